//! The backward sweep over a tape.

use super::{Kind, Line, Mark, Side, Span, Tape, gathered};
use crate::autodiff::number::{self, Number};
use crate::autodiff::rows::Rows;

impl<S: Number> Tape<S> {
    /// Propagates the adjoints of everything behind `mark` to its arguments, the last step first.
    pub fn sweep(&mut self, mark: Mark) {
        let Line {
            values,
            adjoints,
            steps,
        } = &mut self.line;
        let Side {
            places,
            spans,
            slopes,
            data,
            buffers: [left, right],
        } = &mut self.side;
        for step in steps[mark.steps..].iter().rev() {
            let (before, after) = adjoints.split_at_mut(step.out as usize);
            let y = after[0];
            match step.kind {
                Kind::Function { a, slope } => before[a as usize] += y * slope,
                Kind::Add { a, b } => {
                    before[a as usize] += y;
                    before[b as usize] += y;
                }
                Kind::Sub { a, b } => {
                    before[a as usize] += y;
                    before[b as usize] -= y;
                }
                Kind::Mul { a, b } => {
                    before[a as usize] += y * values[b as usize];
                    before[b as usize] += y * values[a as usize];
                }
                Kind::Div { a, b } => {
                    let share = y / values[b as usize];
                    before[a as usize] += share;
                    before[b as usize] -= share * values[step.out as usize];
                }
                Kind::Sum { x } => spread(before, places, left, x, |x| {
                    x.iter_mut().for_each(|x| *x += y);
                }),
                Kind::MatData {
                    w,
                    rows,
                    data: at,
                    columns,
                } => {
                    let y = &after[..rows as usize];
                    let d = &data[at as usize..(at + columns) as usize];
                    spread(before, places, left, w, |w| number::add_outer_data(w, y, d));
                }
                Kind::MatRows {
                    w,
                    data: at,
                    columns,
                    samples,
                } => {
                    let rows = Rows::all(&data[at as usize..], columns as usize, samples as usize);
                    let y = &after[..rows.products(w.len as usize)];
                    spread(before, places, left, w, |w| rows.add_outer(y, w));
                }
                Kind::MatVec { w, x, rows } => {
                    let y = &after[..rows as usize];
                    let at = gathered(values, places, right, x);
                    spread(before, places, left, w, |w| number::add_outer(w, y, at));
                    let at = gathered(values, places, right, w);
                    spread(before, places, left, x, |x| {
                        number::add_transposed(at, y, x);
                    });
                }
                Kind::Map { x, slopes: at } => {
                    let slopes = &slopes[at as usize..];
                    spread(before, places, left, x, |x| {
                        for ((x, &y), &slope) in x.iter_mut().zip(after.iter()).zip(slopes) {
                            *x += y * slope;
                        }
                    });
                }
                Kind::SumMap { x, slopes: at } => {
                    let slopes = &slopes[at as usize..];
                    spread(before, places, left, x, |x| {
                        number::add_scaled(x, y, slopes)
                    });
                }
                Kind::SumEach {
                    spans: first,
                    count,
                    slopes: at,
                } => {
                    let mut slopes = &slopes[at as usize..];
                    for &x in &spans[first as usize..(first + count) as usize] {
                        let of_x;
                        (of_x, slopes) = slopes.split_at(x.len as usize);
                        spread(before, places, left, x, |x| number::add_scaled(x, y, of_x));
                    }
                }
                Kind::Scaled { x, s } => {
                    let (factor, y) = (values[s as usize], &after[..x.len as usize]);
                    let mut along = S::default();
                    let at = gathered(values, places, right, x);
                    at.iter().zip(y).for_each(|(&x, &y)| along += x * y);
                    before[s as usize] += along;
                    spread(before, places, left, x, |x| {
                        x.iter_mut().zip(y).for_each(|(x, &y)| *x += factor * y);
                    });
                }
                Kind::Added { a, b } => {
                    for x in [a, b] {
                        spread(before, places, left, x, |x| number::add_to(x, after));
                    }
                }
                Kind::Multiplied { a, b } => {
                    for (x, other) in [(a, b), (b, a)] {
                        let other = gathered(values, places, right, other);
                        spread(before, places, left, x, |x| {
                            for ((x, &y), &other) in x.iter_mut().zip(after.iter()).zip(other) {
                                *x += y * other;
                            }
                        });
                    }
                }
                Kind::Softmax { x } => {
                    let y = &after[..x.len as usize];
                    let p = &values[step.out as usize..];
                    let mut mean = S::default();
                    y.iter().zip(p).for_each(|(&y, &p)| mean += y * p);
                    spread(before, places, left, x, |x| {
                        for ((x, &y), &p) in x.iter_mut().zip(y).zip(p) {
                            *x += p * (y - mean);
                        }
                    });
                }
            }
        }
    }
}

/// Calls `f` to add to the numbers at a span.
fn spread<S: Number>(
    to: &mut [S],
    places: &[u32],
    buffer: &mut Vec<S>,
    span: Span,
    f: impl FnOnce(&mut [S]),
) {
    if !span.listed {
        return f(&mut to[span.range()]);
    }
    buffer.clear();
    buffer.resize(span.len as usize, S::default());
    f(buffer);
    for (&k, &more) in places[span.range()].iter().zip(buffer.iter()) {
        to[k as usize] += more;
    }
}
