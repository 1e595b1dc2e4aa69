//! Functions of recorded scalars, one step each.

use super::{Kind, Tape, Var, gathered};
use crate::autodiff::jet::{self, Jet};
use crate::autodiff::number::{self, Number};
use crate::autodiff::scalar::Scalar;

impl<S: Number> Scalar for Var<S> {
    type Real = S::Real;

    fn constant(value: f64) -> Self {
        Var::constant_number(S::constant(value))
    }

    fn value(self) -> f64 {
        self.number().value()
    }

    fn chain(self, phi: [f64; 3]) -> Self {
        S::with_tape(|tape| {
            let at = tape.value(self);
            let (a, slope) = (self.index, at.slope(phi));
            tape.line.push(at.chain(phi), Kind::Function { a, slope })
        })
    }

    fn detach(self) -> Self {
        Var::constant_number(self.number())
    }

    fn plus(self, c: f64) -> Self {
        self.linear(1.0, c)
    }

    fn times(self, c: f64) -> Self {
        self.linear(c, 0.0)
    }

    fn sum(x: &[Self]) -> Self {
        S::with_tape(|Tape { line, side }| {
            let x = side.span(x);
            let [buffer, _] = &mut side.buffers;
            let total = S::sum(gathered(&line.values, &side.places, buffer, x));
            line.push(total, Kind::Sum { x })
        })
    }

    fn mat_vec(w: &[Self], x: &[Self], out: &mut [Self]) {
        if !number::fits(w.len(), out.len(), x.len()) {
            return out.fill(Self::constant(number::misfit(w.len(), x.len())));
        }
        S::with_tape(|Tape { line, side }| {
            let (w, x, rows) = (side.span(w), side.span(x), out.len() as u32);
            let [left, right] = &mut side.buffers;
            line.push_all(Kind::MatVec { w, x, rows }, out, |values, out| {
                number::mat_vec(
                    gathered(values, &side.places, left, w),
                    gathered(values, &side.places, right, x),
                    out,
                );
            });
        });
    }

    fn mat_data(w: &[Self], data: &[f64], out: &mut [Self]) {
        if !number::fits(w.len(), out.len(), data.len()) {
            return out.fill(Self::constant(number::misfit(w.len(), data.len())));
        }
        S::with_tape(|Tape { line, side }| {
            let (w, at) = (side.span(w), side.data.len());
            number::extend::<S>(&mut side.data, data);
            let [buffer, _] = &mut side.buffers;
            let kind = Kind::MatData {
                w,
                rows: out.len() as u32,
                data: at as u32,
                columns: data.len() as u32,
            };
            line.push_all(kind, out, |values, out| {
                let w = gathered(values, &side.places, buffer, w);
                number::mat_data(w, &side.data[at..], out);
            });
        });
    }

    fn map(x: &[Self], phi: impl Fn(f64) -> [f64; 3], out: &mut [Self]) {
        if x.len() != out.len() {
            return out.fill(Self::constant(f64::NAN));
        }
        let [mut values, mut slopes] = Self::collected(x);
        slopes.clear();
        for value in &mut values {
            let phi = phi(value.value());
            slopes.push(value.slope(phi));
            *value = value.chain(phi);
        }
        S::with_tape(|Tape { line, side }| {
            let (x, at) = (side.span(x), side.slopes.len());
            side.slopes.extend_from_slice(&slopes);
            let kind = Kind::Map {
                x,
                slopes: at as u32,
            };
            line.push_all(kind, out, |_, out| out.copy_from_slice(&values));
            side.buffers = [values, slopes];
        });
    }

    fn scaled(x: &[Self], s: Self, out: &mut [Self]) {
        if x.len() != out.len() {
            return out.fill(Self::constant(f64::NAN));
        }
        S::with_tape(|Tape { line, side }| {
            let x = side.span(x);
            let [buffer, _] = &mut side.buffers;
            line.push_all(Kind::Scaled { x, s: s.index }, out, |values, out| {
                let x = gathered(values, &side.places, buffer, x);
                S::scaled(x, values[s.place()], out);
            });
        });
    }

    fn added(a: &[Self], b: &[Self], out: &mut [Self]) {
        if a.len() != out.len() || b.len() != out.len() {
            return out.fill(Self::constant(f64::NAN));
        }
        S::with_tape(|Tape { line, side }| {
            let (a, b) = (side.span(a), side.span(b));
            let [left, right] = &mut side.buffers;
            line.push_all(Kind::Added { a, b }, out, |values, out| {
                S::added(
                    gathered(values, &side.places, left, a),
                    gathered(values, &side.places, right, b),
                    out,
                );
            });
        });
    }

    fn multiplied(a: &[Self], b: &[Self], out: &mut [Self]) {
        if a.len() != out.len() || b.len() != out.len() {
            return out.fill(Self::constant(f64::NAN));
        }
        S::with_tape(|Tape { line, side }| {
            let (a, b) = (side.span(a), side.span(b));
            let [left, right] = &mut side.buffers;
            line.push_all(Kind::Multiplied { a, b }, out, |values, out| {
                S::multiplied(
                    gathered(values, &side.places, left, a),
                    gathered(values, &side.places, right, b),
                    out,
                );
            });
        });
    }

    fn sum_each<const K: usize, const M: usize>(
        x: [&[Self]; K],
        data: [&[f64]; M],
        phi: impl Fn([Jet<K, Self::Real>; K], [f64; M]) -> Jet<K, Self::Real>,
    ) -> Self {
        let Some(n) = jet::common_len(x.map(<[Self]>::len), data.map(<[f64]>::len)) else {
            return Self::constant(f64::NAN);
        };
        // The tape is borrowed for a moment at a time, and free while the formula is called.
        let (spans, slopes) = S::with_tape(|Tape { side, .. }| {
            let spans = x.map(|x| side.span(x));
            (spans, side.slopes_along(spans))
        });
        let fetch = |k: usize, start: usize, numbers: &mut [S]| {
            let span = spans[k];
            S::with_tape(|Tape { line, side }| {
                if span.listed {
                    let places = &side.places[span.range()][start..];
                    for (number, &place) in numbers.iter_mut().zip(places) {
                        *number = line.values[place as usize];
                    }
                } else {
                    jet::copy(&line.values[span.range()], start, numbers);
                }
            });
        };
        let keep = |k: usize, start: usize, derivatives: &[S]| {
            let at = slopes.of_slices[k];
            S::with_tape(|Tape { side, .. }| match spans[k].len {
                1 => side.slopes[at] += jet::lane_sum(derivatives),
                _ => number::add_to(&mut side.slopes[at + start..], derivatives),
            });
        };
        let total = jet::sum_each(n, fetch, data, phi, keep);
        S::with_tape(|tape| tape.line.push(total, slopes.kind))
    }

    fn log_sum_exp(x: &[Self]) -> Self {
        S::with_tape(|Tape { line, side }| {
            let (x, at) = (side.span(x), side.slopes.len());
            let [buffer, _] = &mut side.buffers;
            let numbers = gathered(&line.values, &side.places, buffer, x);
            let total = S::log_sum_exp(numbers);
            side.slopes.resize(at + numbers.len(), S::default());
            S::softmax(numbers, &mut side.slopes[at..]);
            let slopes = at as u32;
            line.push(total, Kind::SumMap { x, slopes })
        })
    }

    fn softmax(x: &[Self], out: &mut [Self]) {
        if x.len() != out.len() {
            return out.fill(Self::constant(f64::NAN));
        }
        S::with_tape(|Tape { line, side }| {
            let x = side.span(x);
            let [buffer, _] = &mut side.buffers;
            line.push_all(Kind::Softmax { x }, out, |values, out| {
                S::softmax(gathered(values, &side.places, buffer, x), out);
            });
        });
    }
}
