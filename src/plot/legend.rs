//! The legend: a colour and a mark for each name.

use plotters::style::text_anchor::HPos;

use super::canvas::{Canvas, Point, fitted, width};
use super::style::{self, INK, LABEL};
use crate::error::Error;

/// A row of the legend: for each entry its number, position and name.
type Row = Vec<(usize, f64, String)>;

/// The rows of the legend, centred in the given width, without blank names.
pub(super) fn rows<'a>(names: impl Iterator<Item = &'a str>, full: f64) -> Vec<Row> {
    let mut rows: Vec<(f64, Row)> = Vec::new();
    for (run, name) in names.enumerate() {
        if name.trim().is_empty() {
            continue;
        }
        let line = style::LEGEND_LINE + 30.0;
        let name = fitted(name, LABEL, full - 40.0 - line);
        let entry = line + width(&name, LABEL);
        match rows.last_mut() {
            Some((used, row)) if *used + entry <= full - 40.0 => {
                row.push((run, *used, name));
                *used += entry;
            }
            _ => rows.push((entry, vec![(run, 0.0, name)])),
        }
    }
    let centred = |(used, mut row): (f64, Row)| {
        for entry in &mut row {
            entry.1 += (full - used) / 2.0 + 12.0;
        }
        row
    };
    rows.into_iter().map(centred).collect()
}

/// One name with its line and, among several, its mark.
pub(super) fn entry(
    canvas: &mut Canvas,
    (run, marked): (usize, bool),
    (x, y): Point,
    name: &str,
) -> Result<(), Error> {
    let to = x + style::LEGEND_LINE;
    let color = style::color(run);
    canvas.path(&[(x, y), (to, y)], style::solid(color))?;
    if marked {
        canvas.mark(((x + to) / 2.0, y), run, color)?;
    }
    canvas.text(name, (to + 7.0, y), HPos::Left, LABEL, INK)
}
