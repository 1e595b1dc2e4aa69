//! A panel: its numbers, scales and drawing.

use plotters::style::RGBColor;
use plotters::style::text_anchor::HPos;

use super::axis::{Kind, Scale, Tick, extent};
use super::canvas::{Canvas, Point, fitted, pieces, width};
use super::style::{self, CAPTION, GREY, INK, LABEL, NUMBER};
use super::{Figure, Panel, Series, curve};
use crate::error::Error;
use crate::run::Trace;
use crate::upper::Iteration;

/// The coordinate of numbers ≤ 0 on a logarithmic axis: below all others, so that a band extends to the lower edge.
const BELOW: f64 = -1e3;

/// A quantity of a panel: its name, and its number in a row.
type Quantity = (&'static str, fn(&Iteration) -> f64);

/// A panel with its curves, in coordinates of its axes.
pub(super) struct Plot {
    panel: Panel,
    /// For each run, a solid line and, for a second quantity, a dashed one.
    lines: Vec<Vec<Vec<Point>>>,
    /// For each run, the lower and the upper bound of the value.
    bounds: Vec<[Vec<Point>; 2]>,
    scale: Scale,
    /// The ticks of the vertical axis; none if the panel is empty.
    pub(super) ticks: Vec<Tick>,
}

impl Plot {
    pub(super) fn new(figure: &Figure, panel: Panel) -> Self {
        let kind = kind(figure, panel);
        let zero = match panel {
            Panel::Value => figure.optimum.unwrap_or(0.0),
            _ => 0.0,
        };
        let height = |number: f64| kind.coordinate(number - zero);
        let path = |trace: &Trace, height: &dyn Fn(&Iteration) -> f64| -> Vec<Point> {
            let across = |row| figure.x_kind().coordinate(figure.axis.number(row));
            let points = trace.rows().iter().map(|row| (across(row), height(row)));
            points.filter(|point| !point.0.is_nan()).collect()
        };
        let quantities = quantities(figure, panel);
        let mut lines = Vec::new();
        let mut bounds = Vec::new();
        for (run, (_, trace)) in figure.runs.iter().enumerate() {
            let line = |(_, number): &Quantity| path(trace, &|row| height(number(row)));
            lines.push(match series(figure, panel) {
                Some(series) => {
                    let across =
                        |row: &Iteration| figure.x_kind().coordinate(figure.axis.number(row));
                    let points = series.runs[run].iter();
                    let points = points.map(|(row, y)| (across(&trace.rows()[*row]), height(*y)));
                    vec![points.filter(|point| !point.0.is_nan()).collect()]
                }
                None => quantities.iter().map(line).collect::<Vec<_>>(),
            });
            if panel == Panel::Value {
                let bound = |row: &Iteration| {
                    let known = row.value.lower.is_finite() && row.value.upper.is_finite();
                    match (height(row.value.lower), height(row.value.upper)) {
                        (lower, upper) if known && !(lower + upper).is_nan() => [lower, upper],
                        (_, upper) if known && kind == Kind::Log && !upper.is_nan() => {
                            [BELOW, upper]
                        }
                        _ => [f64::NAN; 2],
                    }
                };
                bounds.push([0, 1].map(|side| path(trace, &|row| bound(row)[side])));
            }
        }

        let (mut low, mut high) = extent(lines.iter().flatten().flatten().map(|p| p.1));
        // Bounds may be far off: they extend the axis on either side by at most the range of the values.
        let margin = if high > low {
            high - low
        } else {
            f64::INFINITY
        };
        let heights = bounds.iter().flatten().flatten().map(|p: &Point| p.1);
        let known = extent(heights.filter(|y| kind == Kind::Linear || *y > BELOW));
        low = low.min(known.0.max(low - margin));
        high = high.max(known.1.min(high + margin));

        let scale = Scale::new(kind, false, (low, high));
        let ticks = if low <= high {
            scale.ticks()
        } else {
            Vec::new()
        };
        Plot {
            panel,
            lines,
            bounds,
            scale,
            ticks,
        }
    }

    pub(super) fn paint(
        &self,
        canvas: &mut Canvas,
        figure: &Figure,
        frame: &Frame,
        x: &Scale,
    ) -> Result<(), Error> {
        self.caption(canvas, figure, frame)?;
        frame.axes(canvas, x, (&self.scale, &self.ticks))?;
        let middle = (frame.left + frame.right) / 2.0;
        let below = (middle, frame.bottom + 35.0);
        canvas.text(figure.axis.label(), below, HPos::Center, LABEL, INK)?;
        if self.ticks.is_empty() {
            let center = (middle, (frame.top + frame.bottom) / 2.0);
            return canvas.text("no numbers to show", center, HPos::Center, LABEL, GREY);
        }

        let on_frame = |points: &[Point]| {
            let place = |p: &Point| frame.place((x.position(p.0), self.scale.position(p.1)));
            curve::thinned(points.iter().map(place).collect())
        };
        for (run, [lower, upper]) in self.bounds.iter().enumerate().rev() {
            frame.band(
                canvas,
                style::color(run),
                &on_frame(lower),
                &on_frame(upper),
            )?;
        }
        let runs = figure.runs.len();
        for (run, lines) in self.lines.iter().enumerate().rev() {
            let color = style::color(run);
            for dashed in lines.iter().skip(1) {
                canvas.path(&on_frame(dashed), style::dashed(color))?;
            }
            for solid in lines.iter().take(1) {
                let points = on_frame(solid);
                let steps = self.panel == Panel::Step;
                let pen = if steps { style::thin } else { style::solid };
                canvas.path(&points, pen(color))?;
                let (spacing, offset) = if steps && points.len() <= style::STEPS {
                    (0.0, 0.0)
                } else if runs > 1 {
                    (style::MARKS, style::MARKS * run as f64 / runs as f64)
                } else {
                    continue;
                };
                for mark in curve::spaced(&points, spacing, offset) {
                    canvas.mark(mark, run, color)?;
                }
            }
        }
        Ok(())
    }

    /// The name of the panel on the left, the key to its lines on the right.
    fn caption(&self, canvas: &mut Canvas, figure: &Figure, frame: &Frame) -> Result<(), Error> {
        let y = frame.top - 16.0;
        let name = match self.panel {
            Panel::Value if figure.optimum.is_some() => "Upper value above F*",
            Panel::Value => "Upper value",
            Panel::Hypergradient => "Hypergradient",
            Panel::Accuracy => "Accuracy",
            Panel::Step => "Step",
            Panel::Series(_) => series(figure, self.panel).map_or("", |series| &series.name),
        };
        let name = &fitted(name, CAPTION, frame.right - frame.left);
        canvas.text(name, (frame.left, y), HPos::Left, CAPTION, INK)?;

        let drawn = |points: &Vec<Point>| points.iter().any(|point| !point.1.is_nan());
        let names = quantities(figure, self.panel).iter().map(|q| q.0);
        let mut keys: Vec<(usize, &str)> = names.enumerate().collect();
        keys.retain(|(i, _)| self.lines.iter().any(|lines| drawn(&lines[*i])));
        if self.bounds.iter().flatten().any(drawn) {
            keys.push((usize::MAX, "bounds"));
        }
        // With several runs a colour stands for a run, so it cannot stand for a quantity.
        let ink = if figure.runs.len() > 1 {
            GREY
        } else {
            style::color(0)
        };
        let key_width = |name: &str| style::LEGEND_LINE + 6.0 + width(name, LABEL);
        let gap = 18.0;
        let mut x = frame.right + gap - keys.iter().map(|k| key_width(k.1) + gap).sum::<f64>();
        for (i, name) in keys {
            let to = x + style::LEGEND_LINE;
            match (i, self.panel) {
                (0, Panel::Step) => {
                    canvas.path(&[(x, y), (to, y)], style::thin(ink))?;
                    canvas.mark(((x + to) / 2.0, y), 0, ink)?;
                }
                (0, _) => canvas.path(&[(x, y), (to, y)], style::solid(ink))?,
                (1, _) => canvas.path(&[(x, y), (to, y)], style::dashed(ink))?,
                _ => {
                    let [lower, upper] = [y + 5.0, y - 5.0].map(|y| [(x, y), (to, y)]);
                    let frame = Frame {
                        left: x,
                        right: to,
                        top: y - 5.0,
                        bottom: y + 5.0,
                    };
                    frame.band(canvas, ink, &lower, &upper)?;
                }
            }
            canvas.text(name, (to + 6.0, y), HPos::Left, LABEL, INK)?;
            x += key_width(name) + gap;
        }
        Ok(())
    }
}

/// The quantities that a panel draws as a solid and as a dashed line.
fn quantities(figure: &Figure, panel: Panel) -> &'static [Quantity] {
    match panel {
        Panel::Value if figure.optimum.is_some() => &[("F(θ) − F*", |row| row.value.value)],
        Panel::Value => &[("F(θ)", |row| row.value.value)],
        Panel::Hypergradient => &[
            ("norm ‖z‖", |row| row.gradient_norm),
            ("error bound ω", |row| row.error_bound),
        ],
        // The dashed line would lie under the solid one.
        Panel::Accuracy
            if figure
                .rows()
                .all(|row| row.accuracy.epsilon == row.accuracy.delta) =>
        {
            &[("lower level ε = adjoint δ", |row| row.accuracy.epsilon)]
        }
        Panel::Accuracy => &[
            ("lower level ε", |row| row.accuracy.epsilon),
            ("adjoint δ", |row| row.accuracy.delta),
        ],
        Panel::Step => &[("accepted α", |row| row.step.unwrap_or(f64::NAN))],
        Panel::Series(_) => &[],
    }
}

/// The series that a panel shows.
fn series<'a>(figure: &'a Figure, panel: Panel) -> Option<&'a Series> {
    match panel {
        Panel::Series(i) => figure.series.get(i),
        _ => None,
    }
}

/// Logarithmic, except for values and series that are not all positive or lie within a factor of 3.
fn kind(figure: &Figure, panel: Panel) -> Kind {
    let (low, high) = match (series(figure, panel), panel) {
        (Some(series), _) => {
            let numbers = series.runs.iter().flatten();
            extent(numbers.map(|(_, number)| Kind::Linear.coordinate(*number)))
        }
        (None, Panel::Value) if figure.optimum.is_none() => {
            let values = figure.rows().map(|row| row.value.value);
            extent(values.map(|value| Kind::Linear.coordinate(value)))
        }
        _ => return Kind::Log,
    };
    if low > 0.0 && high > 3.0 * low {
        Kind::Log
    } else {
        Kind::Linear
    }
}

/// The position of the axes of a panel.
pub(super) struct Frame {
    pub(super) left: f64,
    pub(super) right: f64,
    pub(super) top: f64,
    pub(super) bottom: f64,
}

impl Frame {
    /// The frame of the panel with this upper left corner, with a margin of this width for the numbers of the vertical axis.
    pub(super) fn new((left, top): Point, labels: f64) -> Self {
        Frame {
            left: left + labels,
            right: left + style::PANEL.0 - 20.0,
            top: top + 40.0,
            bottom: top + style::PANEL.1 - 50.0,
        }
    }

    pub(super) fn place(&self, (x, y): Point) -> Point {
        (
            self.left + x * (self.right - self.left),
            self.bottom - y * (self.bottom - self.top),
        )
    }

    /// The grid, the axes, and the numbers on them.
    pub(super) fn axes(
        &self,
        canvas: &mut Canvas,
        x: &Scale,
        (y, y_ticks): (&Scale, &[Tick]),
    ) -> Result<(), Error> {
        let (axis, grid) = (style::ruled(0.8), style::ruled(0.12));
        let reach = |tick: &Tick| if tick.label.is_empty() { 2.5 } else { 5.0 };
        let (left, bottom) = (self.left, self.bottom);
        for tick in &x.ticks() {
            let (at, _) = self.place((x.position(tick.at), 0.0));
            canvas.path(&[(at, bottom), (at, bottom + reach(tick))], axis)?;
            if !tick.label.is_empty() {
                canvas.path(&[(at, self.top), (at, bottom)], grid)?;
                let below = (at, bottom + 15.0);
                canvas.text(&tick.label, below, HPos::Center, NUMBER, INK)?;
            }
        }
        for tick in y_ticks {
            let (_, at) = self.place((0.0, y.position(tick.at)));
            canvas.path(&[(left - reach(tick), at), (left, at)], axis)?;
            if !tick.label.is_empty() {
                canvas.path(&[(left, at), (self.right, at)], grid)?;
                canvas.text(&tick.label, (left - 8.0, at), HPos::Right, NUMBER, INK)?;
            }
        }
        let corners = [(left, self.top), (left, bottom), (self.right, bottom)];
        canvas.path(&corners, axis)
    }

    /// The band between two bounds with its edges, clipped to the frame.
    pub(super) fn band(
        &self,
        canvas: &mut Canvas,
        color: RGBColor,
        lower: &[Point],
        upper: &[Point],
    ) -> Result<(), Error> {
        for (lower, upper) in pieces(lower).zip(pieces(upper)) {
            let mut corners = curve::clamped(upper, self.top, self.bottom);
            corners.extend(curve::clamped(lower, self.top, self.bottom).iter().rev());
            canvas.area(&corners, color, style::BAND)?;
        }
        for bound in [lower, upper] {
            let edge = curve::clipped(bound, self.top, self.bottom);
            for piece in pieces(&edge).filter(|piece| piece.len() > 1) {
                canvas.path(piece, style::thin(color))?;
            }
        }
        Ok(())
    }
}
