//! Convergence plots: one or several runs in one figure, as SVG and, with the feature `png`, as PNG. A [`Chart`] draws other numbers in the
//! same style.
//!
//! A [`Figure`] has panels over a common horizontal [`Axis`]:
//!
//! | panel | shows | vertical axis |
//! |---|---|---|
//! | [`Panel::Value`] | F(θ) and, as a band, its bounds; or F(θ) − F* | logarithmic if all numbers are positive and differ by a factor above 3 |
//! | [`Panel::Hypergradient`] | ‖z‖ and its error bound ω | logarithmic |
//! | [`Panel::Accuracy`] | the ε and δ of z; one line if they are equal | logarithmic |
//! | [`Panel::Step`] | the accepted steps α | logarithmic |
//! | [`Panel::Series`] | a quantity added by [`Figure::series`] | as for the values |
//!
//! Colour and mark identify the run, the dash pattern the quantity. Colours differ in lightness and suit colour-blind readers (Okabe & Ito,
//! <https://jfly.uni-koeln.de/color/>). Axes omit infinities, NaN, and on a logarithmic axis numbers ≤ 0. Bounds widen the axis of the values
//! to at most three times their range and are clipped beyond it. Long traces are thinned to the resolution, so files stay small. The same
//! traces give the same bytes.
//!
//! ```
//! # use bilevel::{Error, Hoag, Implicit, ToleranceSchedule, Maid, Run};
//! # use bilevel_problems::synthetic::quadratic::Quadratic;
//! use bilevel::plot::{Axis, Figure};
//!
//! # fn main() -> Result<(), Error> {
//! let problem = Quadratic::random(20, 3, 10.0, 0);
//! let oracle = Implicit::new(problem.lower(), problem.upper());
//! let maid = Run::new(&oracle, Maid::default()).start(vec![0.0; 3])?;
//! let hoag = Run::new(&oracle, Hoag::new(ToleranceSchedule::Quadratic)).start(vec![0.0; 3])?;
//! let svg = Figure::new()
//!     .title("A random quadratic problem")
//!     .axis(Axis::Work)
//!     .run("MAID", &maid.trace)
//!     .run("HOAG, quadratic", &hoag.trace)
//!     .to_svg()?;
//! # assert!(svg.starts_with("<svg"));
//! # Ok(()) }
//! ```

mod axis;
mod canvas;
pub mod chart;
mod curve;
mod legend;
mod panel;
#[cfg(feature = "png")]
mod png;
#[doc(hidden)]
pub mod statistics;
mod style;

pub use chart::{Chart, Graph};
pub use statistics::Quartiles;

use plotters::style::text_anchor::HPos;
use std::path::Path;

use crate::error::Error;
use crate::run::Trace;
use crate::upper::Iteration;
use axis::{Kind, Scale};
use canvas::{fitted, width};
use panel::{Frame, Plot};
use style::{INK, NUMBER, PAPER, TITLE};

/// The horizontal axis.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Axis {
    /// The number of the iteration.
    #[default]
    Iterations,
    /// Lower gradients plus Hessian products by the end of the iteration, over all samples:
    /// [`Work::iterations`](crate::Work::iterations).
    Work,
}

impl Axis {
    fn label(self) -> &'static str {
        match self {
            Axis::Iterations => "iteration k",
            Axis::Work => "lower gradients + Hessian products",
        }
    }

    fn number(self, row: &Iteration) -> f64 {
        match self {
            Axis::Iterations => row.iteration as f64,
            // Summed as floats, because a trace from a file may hold any numbers.
            Axis::Work => row.work.lower_gradients as f64 + row.work.hessian_products as f64,
        }
    }
}

/// A panel of a figure. See the [module](self).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Panel {
    /// F(θ) with its bounds.
    Value,
    /// ‖z‖ and ω.
    Hypergradient,
    /// ε and δ.
    Accuracy,
    /// α.
    Step,
    /// The series of this number, from 0, in the order in which they were added by [`Figure::series`].
    Series(usize),
}

impl Panel {
    /// The panels available for every run, in the order of a figure.
    pub const ALL: [Panel; 4] = [
        Panel::Value,
        Panel::Hypergradient,
        Panel::Accuracy,
        Panel::Step,
    ];
}

/// A figure of one or several runs. See the [module](self).
#[derive(Debug, Clone, Default)]
pub struct Figure<'a> {
    title: Option<String>,
    axis: Axis,
    log_x: bool,
    panels: Option<Vec<Panel>>,
    optimum: Option<f64>,
    runs: Vec<(String, &'a Trace)>,
    series: Vec<Series>,
}

/// A quantity of the caller: its name and, for each run, pairs of a row of the trace and a number.
#[derive(Debug, Clone)]
struct Series {
    name: String,
    runs: Vec<Vec<(usize, f64)>>,
}

impl<'a> Figure<'a> {
    /// A figure without runs, with all panels over the iterations: the four of [`Panel::ALL`], then the series.
    pub fn new() -> Self {
        Figure::default()
    }

    /// Adds a run with its name in the legend. The first run is drawn on top.
    pub fn run(mut self, name: impl Into<String>, trace: &'a Trace) -> Self {
        self.runs.push((name.into(), trace));
        self
    }

    /// Adds a panel with this name for a quantity of your own. For each run, in order, `runs` holds pairs (row of its trace, number) with rows
    /// counted from 0 and increasing; rows may be missing.
    pub fn series(mut self, name: impl Into<String>, runs: Vec<Vec<(usize, f64)>>) -> Self {
        let name = name.into();
        self.series.push(Series { name, runs });
        self
    }

    /// A line above the figure.
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.title = Some(title.into());
        self
    }

    /// The horizontal axis.
    pub fn axis(mut self, axis: Axis) -> Self {
        self.axis = axis;
        self
    }

    /// Makes the horizontal axis logarithmic. It does not show iteration 0.
    pub fn log_x(mut self) -> Self {
        self.log_x = true;
        self
    }

    /// The panels, in this order, two per row.
    pub fn panels(mut self, panels: impl IntoIterator<Item = Panel>) -> Self {
        self.panels = Some(panels.into_iter().collect());
        self
    }

    /// Shows F(θ) − `optimum` in place of F(θ), on a logarithmic axis.
    pub fn optimum(mut self, optimum: f64) -> Self {
        self.optimum = Some(optimum);
        self
    }

    /// The figure as an SVG document.
    ///
    /// # Errors
    /// [`Error::Figure`] without a panel or without a run that has an iteration; [`Error::InvalidArgument`] for an optimum that is not finite,
    /// a panel of a series that was not added, or a series whose runs or rows do not exist.
    pub fn to_svg(&self) -> Result<String, Error> {
        let all = || {
            let series = (0..self.series.len()).map(Panel::Series);
            Panel::ALL.into_iter().chain(series).collect()
        };
        let panels = &self.panels.clone().unwrap_or_else(all)[..];
        self.check(panels)?;
        let plots: Vec<Plot> = panels.iter().map(|&p| Plot::new(self, p)).collect();
        let x = self.x_scale();

        let columns = panels.len().min(2);
        let full = columns as f64 * style::PANEL.0;
        let legend = legend::rows(self.runs.iter().map(|(name, _)| name.as_str()), full);
        let title = if self.title.is_some() { 36.0 } else { 10.0 };
        let head = title + style::LEGEND_ROW * legend.len() as f64;
        let high = head + panels.len().div_ceil(columns) as f64 * style::PANEL.1;
        let labels = plots.iter().flat_map(|plot| &plot.ticks);
        let widest = labels.map(|tick| width(&tick.label, NUMBER));
        let labels = widest.fold(30.0, f64::max) + 16.0;

        canvas::draw((full as u32, high as u32), |canvas| {
            let corners = [(0.0, 0.0), (full, 0.0), (full, high), (0.0, high)];
            canvas.area(&corners, PAPER, 1.0)?;
            if let Some(title) = &self.title {
                let title = fitted(title, TITLE, full - 40.0);
                canvas.text(&title, (full / 2.0, 22.0), HPos::Center, TITLE, INK)?;
            }
            for (i, row) in legend.iter().enumerate() {
                let y = title + style::LEGEND_ROW * (i as f64 + 0.5);
                for (run, x, name) in row {
                    legend::entry(canvas, (*run, self.runs.len() > 1), (*x, y), name)?;
                }
            }
            for (i, plot) in plots.iter().enumerate() {
                let left = (i % columns) as f64 * style::PANEL.0;
                let top = head + (i / columns) as f64 * style::PANEL.1;
                plot.paint(canvas, self, &Frame::new((left, top), labels), &x)?;
            }
            Ok(())
        })
    }

    /// Writes [`to_svg`](Figure::to_svg) into a file.
    ///
    /// # Errors
    /// Those of [`to_svg`](Figure::to_svg), and [`Error::Io`].
    pub fn write_svg(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        let path = path.as_ref();
        std::fs::write(path, self.to_svg()?).map_err(|e| Error::io(path, e))
    }

    fn check(&self, panels: &[Panel]) -> Result<(), Error> {
        let missing = |reason: &str| {
            Err(Error::Figure {
                reason: reason.into(),
            })
        };
        if panels.is_empty() {
            return missing("it has no panel; name at least one, or leave the default");
        }
        if self.rows().next().is_none() {
            return missing("no run has an iteration; add a run that made at least one");
        }
        for panel in panels {
            if let Panel::Series(i) = panel
                && *i >= self.series.len()
            {
                let expected = format!("one of the {} that were added", self.series.len());
                return Err(Error::invalid("the series of a panel", i, expected));
            }
        }
        for Series { name, runs } in &self.series {
            let rows = self.runs.iter().map(|(_, trace)| trace.rows().len());
            let fits = |(run, rows): (&Vec<(usize, f64)>, usize)| {
                run.is_sorted_by_key(|(row, _)| *row) && run.iter().all(|(row, _)| *row < rows)
            };
            if runs.len() != self.runs.len() || !runs.iter().zip(rows).all(fits) {
                let expected = "numbers for rows, in order, of the trace of every run";
                let found = format!("numbers for {} runs", runs.len());
                return Err(Error::invalid(format!("series `{name}`"), found, expected));
            }
        }
        match self.optimum {
            Some(f) if !f.is_finite() => Err(Error::invalid("optimum", f, "a finite number")),
            _ => Ok(()),
        }
    }

    fn rows(&self) -> impl Iterator<Item = &Iteration> {
        self.runs.iter().flat_map(|(_, trace)| trace.rows())
    }

    fn x_kind(&self) -> Kind {
        if self.log_x { Kind::Log } else { Kind::Linear }
    }

    fn x_scale(&self) -> Scale {
        let kind = self.x_kind();
        let numbers = self.rows().map(|row| self.axis.number(row));
        let (low, high) = axis::extent(numbers.map(|number| kind.coordinate(number)));
        let low = if kind == Kind::Linear { 0.0 } else { low };
        Scale::new(kind, true, (low, high))
    }
}

#[cfg(test)]
mod tests;
