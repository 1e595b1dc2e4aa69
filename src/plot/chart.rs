//! Charts of any numbers, in the style of the convergence plots: lines, bands and histograms.
//!
//! ```
//! use bilevel::plot::{Chart, Graph};
//!
//! # fn main() -> Result<(), bilevel::Error> {
//! let square: Vec<(f64, f64)> = (1..=10).map(|i| (f64::from(i), f64::from(i * i))).collect();
//! let svg = Chart::new()
//!     .title("A square")
//!     .graph(Graph::new("Growth", "x", "x²").log_y().line("square", square))
//!     .graph(Graph::new("Counts", "x", "numbers").histogram("weights", &[0.0, 0.5, 1.0], &[3.0, 7.0]))
//!     .to_svg()?;
//! # assert!(svg.starts_with("<svg"));
//! # Ok(()) }
//! ```
//!
//! A name has one colour and one mark in all graphs of a chart. Axes omit infinities, NaN, and on a logarithmic axis numbers ≤ 0. The same
//! numbers give the same bytes.

use plotters::style::text_anchor::HPos;
use std::path::Path;

use super::axis::{Kind, Scale, extent};
use super::canvas::{self, Canvas, Point, fitted, width};
use super::panel::Frame;
use super::style::{self, CAPTION, GREY, INK, LABEL, NUMBER, PAPER, TITLE};
use super::{curve, legend};
use crate::error::Error;

/// Graphs in one figure, two per row. See the [module](self).
#[derive(Debug, Clone, Default)]
pub struct Chart {
    title: Option<String>,
    graphs: Vec<Graph>,
}

/// One pair of axes with its lines, bands and histograms.
#[derive(Debug, Clone)]
pub struct Graph {
    caption: String,
    /// The labels and kinds of the axes.
    axes: [(String, Kind); 2],
    shapes: Vec<Shape>,
}

/// The shape drawn for a name.
#[derive(Debug, Clone)]
struct Shape {
    name: String,
    form: Form,
}

#[derive(Debug, Clone)]
enum Form {
    Line(Vec<Point>),
    /// The area between a lower and an upper line over the same x.
    Band(Vec<Point>, Vec<Point>),
    /// The outline of the bars, starting and ending at zero.
    Bars(Vec<Point>),
}

impl Form {
    fn points(&self) -> impl Iterator<Item = &Point> {
        let (first, second): (&[Point], &[Point]) = match self {
            Form::Line(points) | Form::Bars(points) => (points, &[]),
            Form::Band(lower, upper) => (lower, upper),
        };
        first.iter().chain(second)
    }
}

impl Graph {
    /// Linear axes with these labels, under a caption.
    pub fn new(caption: impl Into<String>, x: impl Into<String>, y: impl Into<String>) -> Self {
        Graph {
            caption: caption.into(),
            axes: [(x.into(), Kind::Linear), (y.into(), Kind::Linear)],
            shapes: Vec::new(),
        }
    }

    /// Makes the horizontal axis logarithmic.
    pub fn log_x(mut self) -> Self {
        self.axes[0].1 = Kind::Log;
        self
    }

    /// Makes the vertical axis logarithmic.
    pub fn log_y(mut self) -> Self {
        self.axes[1].1 = Kind::Log;
        self
    }

    fn shape(mut self, name: impl Into<String>, form: Form) -> Self {
        self.shapes.push(Shape {
            name: name.into(),
            form,
        });
        self
    }

    /// A line through these points.
    pub fn line(self, name: impl Into<String>, points: Vec<(f64, f64)>) -> Self {
        self.shape(name, Form::Line(points))
    }

    /// The band between two quantities over the same x, such as quartiles: (x, lower, upper).
    pub fn band(self, name: impl Into<String>, points: &[(f64, f64, f64)]) -> Self {
        let lower = points.iter().map(|p| (p.0, p.1)).collect();
        let upper = points.iter().map(|p| (p.0, p.2)).collect();
        self.shape(name, Form::Band(lower, upper))
    }

    /// Bars of these heights between consecutive `edges`, of which there is one more.
    pub fn histogram(self, name: impl Into<String>, edges: &[f64], heights: &[f64]) -> Self {
        let mut outline = Vec::with_capacity(2 * heights.len() + 2);
        for (pair, &height) in edges.windows(2).zip(heights) {
            if outline.is_empty() {
                outline.push((pair[0], 0.0));
            }
            outline.extend([(pair[0], height), (pair[1], height)]);
        }
        if let Some(&(x, _)) = outline.last() {
            outline.push((x, 0.0));
        }
        self.shape(name, Form::Bars(outline))
    }

    fn coordinates(&self, points: &[Point]) -> Vec<Point> {
        let [x, y] = [self.axes[0].1, self.axes[1].1];
        let points = points.iter();
        let points = points.map(|p| (x.coordinate(p.0), y.coordinate(p.1)));
        points.filter(|p| !p.0.is_nan()).collect()
    }

    fn scales(&self) -> [Scale; 2] {
        let all = || self.shapes.iter().flat_map(|shape| shape.form.points());
        let scale = |kind: Kind, number: fn(&Point) -> f64| {
            Scale::new(
                kind,
                false,
                extent(all().map(|point| kind.coordinate(number(point)))),
            )
        };
        [
            scale(self.axes[0].1, |p| p.0),
            scale(self.axes[1].1, |p| p.1),
        ]
    }

    fn paint(&self, canvas: &mut Canvas, frame: &Frame, names: &[&str]) -> Result<(), Error> {
        let [x, y] = self.scales();
        let ticks = y.ticks();
        let caption = fitted(&self.caption, CAPTION, frame.right - frame.left);
        let above = (frame.left, frame.top - 16.0);
        canvas.text(&caption, above, HPos::Left, CAPTION, INK)?;
        let unit = fitted(&self.axes[1].0, LABEL, (frame.right - frame.left) / 2.0);
        let right = (frame.right, frame.top - 16.0);
        canvas.text(&unit, right, HPos::Right, LABEL, GREY)?;
        frame.axes(canvas, &x, (&y, &ticks))?;
        let middle = (frame.left + frame.right) / 2.0;
        let below = (middle, frame.bottom + 35.0);
        canvas.text(&self.axes[0].0, below, HPos::Center, LABEL, INK)?;
        let place = |points: &[Point]| -> Vec<Point> {
            let points = self.coordinates(points);
            let points = points
                .iter()
                .map(|p| frame.place((x.position(p.0), y.position(p.1))));
            curve::thinned(points.collect())
        };
        // Bands lie below lines, and the first name on top.
        let shapes = || {
            self.shapes.iter().rev().map(|shape| {
                let number = names.iter().position(|name| *name == shape.name);
                (number.unwrap_or(0), &shape.form)
            })
        };
        for (number, form) in shapes() {
            let color = style::color(number);
            match form {
                Form::Band(lower, upper) => {
                    frame.band(canvas, color, &place(lower), &place(upper))?;
                }
                Form::Bars(outline) => {
                    let outline = place(outline);
                    canvas.area(&outline, color, 2.0 * style::BAND)?;
                    canvas.path(&outline, style::solid(color))?;
                }
                Form::Line(_) => {}
            }
        }
        for (number, form) in shapes() {
            let Form::Line(points) = form else { continue };
            let color = style::color(number);
            let points = place(points);
            canvas.path(&points, style::solid(color))?;
            if names.len() > 1 {
                let offset = style::MARKS * number as f64 / names.len() as f64;
                for mark in curve::spaced(&points, style::MARKS, offset) {
                    canvas.mark(mark, number, color)?;
                }
            }
        }
        Ok(())
    }
}

impl Chart {
    /// A chart without graphs.
    pub fn new() -> Self {
        Chart::default()
    }

    /// A line above the graphs.
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.title = Some(title.into());
        self
    }

    /// Adds a graph.
    pub fn graph(mut self, graph: Graph) -> Self {
        self.graphs.push(graph);
        self
    }

    /// The names of all graphs, in the order in which they first appear.
    fn names(&self) -> Vec<&str> {
        let mut names = Vec::new();
        for shape in self.graphs.iter().flat_map(|graph| &graph.shapes) {
            if !names.contains(&shape.name.as_str()) {
                names.push(shape.name.as_str());
            }
        }
        names
    }

    /// The chart as an SVG document.
    ///
    /// # Errors
    /// [`Error::Figure`] without a graph, or if no graph has a number that its axes can show.
    pub fn to_svg(&self) -> Result<String, Error> {
        let shown = |graph: &Graph| {
            let points = graph.shapes.iter().flat_map(|shape| shape.form.points());
            let points: Vec<Point> = points.copied().collect();
            graph.coordinates(&points).iter().any(|p| !p.1.is_nan())
        };
        if !self.graphs.iter().any(shown) {
            return Err(Error::Figure {
                reason: "no graph has a number to show; add a line".into(),
            });
        }
        let names = self.names();
        let columns = self.graphs.len().min(2);
        let full = columns as f64 * style::PANEL.0;
        let legend = legend::rows(names.iter().copied(), full);
        let title = if self.title.is_some() { 36.0 } else { 10.0 };
        let head = title + style::LEGEND_ROW * legend.len() as f64;
        let high = head + self.graphs.len().div_ceil(columns) as f64 * style::PANEL.1;
        let ticks = self
            .graphs
            .iter()
            .flat_map(|graph| graph.scales()[1].ticks());
        let widest = ticks.map(|tick| width(&tick.label, NUMBER));
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
                for (number, x, name) in row {
                    legend::entry(canvas, (*number, names.len() > 1), (*x, y), name)?;
                }
            }
            for (i, graph) in self.graphs.iter().enumerate() {
                let left = (i % columns) as f64 * style::PANEL.0;
                let top = head + (i / columns) as f64 * style::PANEL.1;
                graph.paint(canvas, &Frame::new((left, top), labels), &names)?;
            }
            Ok(())
        })
    }

    /// Writes [`to_svg`](Chart::to_svg) into a file.
    ///
    /// # Errors
    /// Those of [`to_svg`](Chart::to_svg), and [`Error::Io`].
    pub fn write_svg(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        let path = path.as_ref();
        std::fs::write(path, self.to_svg()?).map_err(|e| Error::io(path, e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart() -> Chart {
        let line = vec![
            (0.0, 1.0),
            (1.0, f64::NAN),
            (2.0, 3.0),
            (f64::INFINITY, 2.0),
        ];
        Chart::new()
            .graph(
                Graph::new("Left", "seconds", "gap")
                    .log_y()
                    .line("SOBA", line)
                    .band("SOBA", &[(0.0, 0.5, 2.0), (2.0, 1.0, 4.0)]),
            )
            .graph(Graph::new("Right", "weight", "samples").histogram(
                "clean",
                &[0.0, 0.5, 1.0],
                &[3.0, 7.0],
            ))
    }

    #[test]
    fn a_name_has_one_entry_in_the_legend_and_graphs_have_their_captions() {
        let svg = chart().to_svg().unwrap();
        for (word, times) in [("SOBA", 1), ("clean", 1), ("Left", 1), ("seconds", 1)] {
            assert_eq!(svg.matches(word).count(), times, "{word}");
        }
        assert_eq!(svg, chart().to_svg().unwrap());
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
    }

    #[test]
    fn a_chart_without_numbers_is_refused() {
        let nothing =
            Chart::new().graph(Graph::new("", "", "").log_y().line("x", vec![(1.0, -1.0)]));
        for chart in [Chart::new(), nothing] {
            let refused = chart.to_svg().unwrap_err().to_string();
            assert!(refused.contains("add a line"), "{refused}");
        }
    }
}
