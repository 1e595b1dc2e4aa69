//! Drawing of lines, areas, marks and text as SVG.

use plotters::backend::{DrawingBackend, SVGBackend};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontStyle, RGBColor, ShapeStyle, TextStyle};

use crate::error::Error;

/// Grid points per pixel: the drawing library rounds to integers, so it draws on a finer grid.
const GRID: f64 = 10.0;

/// Lengths of a dash and of the gap after it.
const DASH: (f64, f64) = (6.0, 3.5);

/// The most dashes of a path; a longer path has longer dashes.
const DASHES: f64 = 400.0;

/// A point in pixels, from the upper left corner. A gap in a path is a point with y = NaN.
pub(super) type Point = (f64, f64);

/// The style of a line.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pen {
    pub(super) color: RGBColor,
    pub(super) opacity: f64,
    pub(super) width: f64,
    pub(super) dashed: bool,
}

/// The style of a text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Font {
    /// In pixels.
    pub(super) size: f64,
    pub(super) bold: bool,
}

/// A drawing in progress.
pub(super) struct Canvas<'a> {
    svg: SVGBackend<'a>,
}

/// An SVG of the given size in pixels, drawn by `paint`.
pub(super) fn draw(
    (width, height): (u32, u32),
    paint: impl FnOnce(&mut Canvas) -> Result<(), Error>,
) -> Result<String, Error> {
    let grid = |length: u32| length * GRID as u32;
    let mut svg = String::new();
    let mut canvas = Canvas {
        svg: SVGBackend::with_string(&mut svg, (grid(width), grid(height))),
    };
    paint(&mut canvas)?;
    drawn(canvas.svg.present())?;
    drop(canvas);
    // The viewBox keeps the grid; the picture is shown in pixels.
    let fine = format!("width=\"{}\" height=\"{}\"", grid(width), grid(height));
    let shown = format!("width=\"{width}\" height=\"{height}\" stroke-linejoin=\"round\"");
    Ok(svg.replacen(&fine, &shown, 1))
}

fn drawn<E: std::fmt::Display>(result: Result<(), E>) -> Result<(), Error> {
    result.map_err(|e| Error::Figure {
        reason: e.to_string(),
    })
}

fn to_grid(length: f64) -> i32 {
    (length * GRID).round() as i32
}

fn on_grid(points: &[Point]) -> impl Iterator<Item = (i32, i32)> {
    points.iter().map(|&(x, y)| (to_grid(x), to_grid(y)))
}

impl Canvas<'_> {
    /// A path, interrupted at its gaps. A point between two gaps is drawn as a dot.
    pub(super) fn path(&mut self, points: &[Point], pen: Pen) -> Result<(), Error> {
        let style = ShapeStyle {
            color: pen.color.mix(pen.opacity),
            filled: false,
            stroke_width: (pen.width * GRID) as u32,
        };
        for piece in pieces(points) {
            if let [dot] = piece {
                self.mark(*dot, 0, pen.color)?;
            } else if pen.dashed {
                for dash in dashes(piece) {
                    drawn(self.svg.draw_path(on_grid(&dash), &style))?;
                }
            } else {
                drawn(self.svg.draw_path(on_grid(piece), &style))?;
            }
        }
        Ok(())
    }

    /// A filled polygon.
    pub(super) fn area(
        &mut self,
        corners: &[Point],
        color: RGBColor,
        opacity: f64,
    ) -> Result<(), Error> {
        drawn(self.svg.fill_polygon(on_grid(corners), &color.mix(opacity)))
    }

    /// A small mark, of a shape that depends on `shape`.
    pub(super) fn mark(
        &mut self,
        (x, y): Point,
        shape: usize,
        color: RGBColor,
    ) -> Result<(), Error> {
        let corners: &[Point] = match shape % 4 {
            1 => &[(-2.8, -2.8), (2.8, -2.8), (2.8, 2.8), (-2.8, 2.8)],
            2 => &[(0.0, -3.8), (3.6, 2.8), (-3.6, 2.8)],
            3 => &[(0.0, -4.0), (4.0, 0.0), (0.0, 4.0), (-4.0, 0.0)],
            _ => {
                let center = (to_grid(x), to_grid(y));
                let radius = (2.8 * GRID) as u32;
                return drawn(self.svg.draw_circle(center, radius, &color, true));
            }
        };
        let corners: Vec<Point> = corners.iter().map(|c| (x + c.0, y + c.1)).collect();
        self.area(&corners, color, 1.0)
    }

    /// A line of text, around the height of its anchor.
    pub(super) fn text(
        &mut self,
        text: &str,
        (x, y): Point,
        anchor: HPos,
        font: Font,
        color: RGBColor,
    ) -> Result<(), Error> {
        let style = if font.bold {
            FontStyle::Bold
        } else {
            FontStyle::Normal
        };
        // The library divides by 1.24, the height of a line.
        let style = TextStyle::from(("sans-serif", font.size * GRID * 1.24, style))
            .color(&color)
            .pos(Pos::new(anchor, VPos::Center));
        let at = (to_grid(x), to_grid(y));
        drawn(self.svg.draw_text(&legible(text), &style, at))
    }
}

/// The text without characters that XML forbids.
fn legible(text: &str) -> String {
    text.replace(
        |c: char| c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}'),
        " ",
    )
}

/// The approximate width of a text in a wide font; the fonts of the reader are unknown.
pub(super) fn width(text: &str, font: Font) -> f64 {
    let em = |c: char| match c {
        'f' | 'i' | 'j' | 'l' | 'r' | 't' | ' ' | '.' | ',' | '(' | ')' | '·' | '‖' => 0.4,
        '⁰'..='⁻' | '¹' | '²' | '³' => 0.42,
        'm' | 'w' | 'M' | 'W' | '−' => 0.9,
        // The scripts of East Asia, and symbols.
        '\u{1100}'..='\u{11ff}' | '\u{2e80}'.. => 1.0,
        _ => 0.64,
    };
    let bold = if font.bold { 1.1 } else { 1.0 };
    bold * font.size * text.chars().map(em).sum::<f64>()
}

/// The text, cut to the width `available`.
pub(super) fn fitted(text: &str, font: Font, available: f64) -> String {
    let mut text = text.to_owned();
    if width(&text, font) > available {
        while width(&text, font) + font.size > available && text.pop().is_some() {}
        text.push('…');
    }
    text
}

/// The parts of a path between its gaps.
pub(super) fn pieces(points: &[Point]) -> impl Iterator<Item = &[Point]> {
    points
        .split(|point| point.1.is_nan())
        .filter(|piece| !piece.is_empty())
}

/// The path cut into dashes, which may bend at its corners.
fn dashes(points: &[Point]) -> Vec<Vec<Point>> {
    let length = |pair: &[Point]| (pair[1].0 - pair[0].0).hypot(pair[1].1 - pair[0].1);
    let total: f64 = points.windows(2).map(length).sum();
    let stretch = (total / (DASHES * (DASH.0 + DASH.1))).max(1.0);
    let mut dashes = Vec::new();
    let mut dash: Vec<Point> = points[..1].to_vec();
    let mut drawing = true;
    let mut left = DASH.0 * stretch;
    for pair in points.windows(2) {
        let whole = length(pair);
        let mut done = 0.0;
        while whole - done > left {
            done += left;
            let share = done / whole;
            let at = (
                pair[0].0 + share * (pair[1].0 - pair[0].0),
                pair[0].1 + share * (pair[1].1 - pair[0].1),
            );
            if drawing {
                dash.push(at);
                dashes.push(std::mem::take(&mut dash));
            } else {
                dash.push(at);
            }
            drawing = !drawing;
            left = stretch * if drawing { DASH.0 } else { DASH.1 };
        }
        left -= whole - done;
        if drawing {
            dash.push(pair[1]);
        }
    }
    if dash.len() > 1 {
        dashes.push(dash);
    }
    dashes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dashes_go_around_corners_and_are_bounded_in_number() {
        let corner = [(0.0, 0.0), (3.0, 0.0), (3.0, 20.0)];
        let cut = dashes(&corner);
        assert_eq!(cut[0], [(0.0, 0.0), (3.0, 0.0), (3.0, 3.0)]);
        assert_eq!(cut[1], [(3.0, 6.5), (3.0, 12.5)]);
        let scribble: Vec<Point> = (0..2000)
            .map(|i| (f64::from(i) * 0.2, f64::from(i % 2) * 300.0))
            .collect();
        assert!(dashes(&scribble).len() <= 401);
        assert!(dashes(&[(1.0, 1.0), (1.0, 1.0)]).len() <= 1);
    }

    #[test]
    fn long_text_is_cut_and_short_text_is_not() {
        let font = Font {
            size: 12.0,
            bold: false,
        };
        assert_eq!(fitted("MAID", font, 100.0), "MAID");
        let cut = fitted(&"x".repeat(1000), font, 100.0);
        assert!(cut.ends_with('…') && width(&cut, font) <= 100.0);
        assert_eq!(fitted("x", font, 0.0), "…");
    }
}
