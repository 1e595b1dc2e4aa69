//! [`Rows`]: products with the data of several samples at once, in registers.
//!
//! ```text
//! forwards    sᵢ = W dᵢ              sums over blocks of features, in eight or more accumulators
//! backwards   W ← W + Σᵢ yᵢ dᵢᵀ      sums over the samples, likewise
//! ```
//!
//! A matrix of dual numbers is one of real numbers with twice as many rows: the values, then the tangents.

mod products;

use products::add_outer;
pub(super) use products::scores_of_one;

use super::number::{Number, Real};
use crate::parallel;
use crate::problem::minibatch::Batch;
use crate::simd::dispatch;

/// Samples of a block: their data are read forwards and backwards while in the second-level cache.
const BLOCK: usize = 128;
/// The fewest multiplications of a part: about 50 µs of work, against a few µs for handing it to a thread.
const PART: usize = 1 << 20;
/// The most parts of a batch.
const MOST_PARTS: usize = 16;
/// The most numbers in the sums of all parts together.
const MOST_SUMS: usize = 1 << 22;

/// The data of the samples of a batch, one row of numbers each.
#[derive(Debug, Clone, Copy)]
#[doc(hidden)]
pub struct Rows<'a, D> {
    values: &'a [D],
    columns: usize,
    batch: Batch<'a>,
}

/// Work arrays of [`Rows::pass`], kept from call to call.
#[derive(Debug)]
#[doc(hidden)]
pub struct RowBuffers<S: Number> {
    /// W as real numbers.
    w: Vec<S::Real>,
    parts: Vec<PartBuffers<S>>,
}

impl<S: Number> Default for RowBuffers<S> {
    fn default() -> Self {
        RowBuffers {
            w: Vec::new(),
            parts: Vec::new(),
        }
    }
}

#[derive(Debug)]
struct PartBuffers<S: Number> {
    /// Rows converted to the numbers of S.
    data: Vec<S::Real>,
    reals: Vec<S::Real>,
    scores: Vec<S>,
    sums: Vec<S::Real>,
}

impl<S: Number> Default for PartBuffers<S> {
    fn default() -> Self {
        PartBuffers {
            data: Vec::new(),
            reals: Vec::new(),
            scores: Vec::new(),
            sums: Vec::new(),
        }
    }
}

impl<'a, D: Real> Rows<'a, D> {
    /// The rows of a batch. `values` holds the data of all samples in turn, `columns` numbers each, and must cover the batch.
    pub fn new(values: &'a [D], columns: usize, batch: Batch<'a>) -> Self {
        Rows {
            values,
            columns,
            batch,
        }
    }

    /// The first `samples` rows.
    pub(super) fn all(values: &'a [D], columns: usize, samples: usize) -> Self {
        Rows::new(values, columns, Batch::all(samples))
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        self.batch.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.batch.is_empty()
    }

    /// The length of a row.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// The samples, in order.
    pub fn samples(&self) -> impl Iterator<Item = usize> + '_ {
        self.batch.iter()
    }

    /// The k-th row.
    #[inline(always)]
    pub fn row(&self, k: usize) -> &'a [D] {
        &self.values[self.batch.get(k) * self.columns..][..self.columns]
    }

    /// The rows `start..end`.
    fn part(&self, start: usize, end: usize) -> Self {
        let batch = match self.batch {
            Batch::Range { start: first, .. } => Batch::Range {
                start: first + start,
                end: first + end,
            },
            Batch::List(list) => Batch::List(&list[start..end]),
        };
        Rows { batch, ..*self }
    }

    /// c, the number of rows of a matrix W with `w` entries.
    fn outputs(&self, w: usize) -> Option<usize> {
        let fits = self.columns > 0 && w.is_multiple_of(self.columns);
        fits.then(|| w / self.columns)
    }

    /// The number of scores of all rows under a matrix of `w` entries.
    pub(super) fn products(&self, w: usize) -> usize {
        self.outputs(w).unwrap_or(0) * self.len()
    }

    /// out ← the scores W dᵢ of every row in turn, with W in row-major order.
    pub fn scores<S: Number>(&self, w: &[S], out: &mut [S]) {
        let c = match self.outputs(w.len()) {
            Some(c) if out.len() == c * self.len() => c,
            _ => return out.fill(S::constant(f64::NAN)),
        };
        S::with_buffers(|buffers| {
            let RowBuffers { w: planes, parts } = buffers;
            let w = in_planes(w, planes);
            let parts = at_least(parts, 1);
            let PartBuffers { data, reals, .. } = &mut parts[0];
            for start in (0..self.len()).step_by(BLOCK) {
                let end = (start + BLOCK).min(self.len());
                let block = self.part(start, end).converted(data);
                let out = &mut out[start * c..end * c];
                forwards(w, block, S::PARTS * c, out, reals);
            }
        });
    }

    /// out ← Σᵢ rᵢ dᵢᵀ, the gradient of a linear model in W. `link` replaces the scores sᵢ = W dᵢ by rᵢ.
    ///
    /// `link` is called from several threads, for a block of rows at a time, with c numbers per row. The order of the sums depends on the
    /// numbers of rows, columns and scores alone.
    pub fn pass<S: Number>(
        &self,
        w: &[S],
        link: impl Fn(Rows<'_, D>, &mut [S]) + Sync,
        out: &mut [S],
    ) {
        let c = match self.outputs(w.len()) {
            Some(c) if out.len() == w.len() => c,
            _ => return out.fill(S::constant(f64::NAN)),
        };
        let len = S::PARTS * w.len();
        let affordable = (MOST_SUMS / len.max(1)).clamp(1, MOST_PARTS);
        let parts = (self.len().saturating_mul(len) / PART).clamp(1, affordable);
        let rows = self.len().div_ceil(parts).max(1);
        S::with_buffers(|buffers| {
            let planes = in_planes(w, &mut buffers.w);
            let parts = at_least(&mut buffers.parts, self.len().div_ceil(rows).max(1));
            parallel::for_each(parts, |number, part| {
                part.sums.clear();
                part.sums.resize(len, S::Real::default());
                let last = ((number + 1) * rows).min(self.len());
                for start in (number * rows..last).step_by(BLOCK) {
                    let rows = self.part(start, (start + BLOCK).min(last));
                    let block = rows.converted(&mut part.data);
                    part.scores.resize(rows.len() * c, S::default());
                    let (scores, reals) = (&mut part.scores, &mut part.reals);
                    forwards(planes, block, S::PARTS * c, scores, reals);
                    link(rows, scores);
                    add_outer(&mut part.sums, rows_in_planes(scores, c, reals), block);
                }
            });
            let Some((total, others)) = parts.split_first_mut() else {
                return;
            };
            for other in others {
                for (total, &more) in total.sums.iter_mut().zip(&other.sums) {
                    *total += more;
                }
            }
            let (re, eps) = total.sums.split_at(w.len());
            if S::PARTS == 1 {
                for (out, &re) in out.iter_mut().zip(re) {
                    *out = S::real(re);
                }
            } else {
                for ((out, &re), &eps) in out.iter_mut().zip(re).zip(eps) {
                    *out = S::with_tangent(re, eps);
                }
            }
        });
    }

    /// W ← W + Σᵢ yᵢ dᵢᵀ with c numbers yᵢ per row, the transpose of [`scores`](Rows::scores). The data must be of the real type of S, and y
    /// of matching length.
    pub(super) fn add_outer<S: Number<Real = D>>(&self, y: &[S], w: &mut [S]) {
        let Some(c) = self.outputs(w.len()) else {
            return;
        };
        if let (Some(y), Some(w)) = (S::as_reals(y), S::as_reals_mut(w)) {
            return add_outer(w, y, *self);
        }
        S::with_buffers(|buffers| {
            let part = &mut at_least(&mut buffers.parts, 1)[0];
            part.sums.clear();
            part.sums.resize(S::PARTS * w.len(), D::default());
            add_outer(&mut part.sums, rows_in_planes(y, c, &mut part.reals), *self);
            let (re, eps) = part.sums.split_at(w.len());
            dispatch(
                #[inline(always)]
                || {
                    for ((w, &re), &eps) in w.iter_mut().zip(re).zip(eps) {
                        *w += S::with_tangent(re, eps);
                    }
                },
            );
        });
    }

    /// The same rows in numbers of type E: converted into `buffer`, unless they are of that type.
    fn converted<'b, E: Real>(&self, buffer: &'b mut Vec<E>) -> Rows<'b, E>
    where
        'a: 'b,
    {
        if let Some(values) = E::same(self.values) {
            return Rows {
                values,
                columns: self.columns,
                batch: self.batch,
            };
        }
        buffer.clear();
        for k in 0..self.len() {
            buffer.extend(self.row(k).iter().map(|d| E::from_f64(d.to_f64())));
        }
        Rows {
            values: buffer,
            columns: self.columns,
            batch: Batch::all(self.len()),
        }
    }
}

fn at_least<T: Default>(list: &mut Vec<T>, count: usize) -> &mut [T] {
    if list.len() < count {
        list.resize_with(count, T::default);
    }
    &mut list[..count]
}

/// A matrix as a real one: itself, or its values and then its tangents, in `buffer`.
fn in_planes<'a, S: Number>(w: &'a [S], buffer: &'a mut Vec<S::Real>) -> &'a [S::Real] {
    if let Some(w) = S::as_reals(w) {
        return w;
    }
    buffer.clear();
    buffer.extend(w.iter().map(|w| w.real_part()));
    buffer.extend(w.iter().map(|w| w.tangent()));
    buffer
}

/// The c numbers of every row as 2c real ones, values and then tangents, in `buffer`; real ones are returned unchanged.
fn rows_in_planes<'a, S: Number>(
    y: &'a [S],
    c: usize,
    buffer: &'a mut Vec<S::Real>,
) -> &'a [S::Real] {
    if let Some(y) = S::as_reals(y) {
        return y;
    }
    buffer.clear();
    for row in y.chunks_exact(c.max(1)) {
        buffer.extend(row.iter().map(|s| s.real_part()));
        buffer.extend(row.iter().map(|s| s.tangent()));
    }
    buffer
}

/// out ← the scores of every row under a matrix of `outputs` real rows.
fn forwards<S: Number>(
    w: &[S::Real],
    rows: Rows<'_, S::Real>,
    outputs: usize,
    out: &mut [S],
    buffer: &mut Vec<S::Real>,
) {
    buffer.resize(rows.len() * outputs, S::Real::default());
    products::scores(w, rows, outputs, buffer);
    if S::PARTS == 1 {
        for (out, &re) in out.iter_mut().zip(buffer.iter()) {
            *out = S::real(re);
        }
        return;
    }
    let c = (outputs / 2).max(1);
    for (out, buffer) in out.chunks_exact_mut(c).zip(buffer.chunks_exact(2 * c)) {
        let (re, eps) = buffer.split_at(c);
        for ((out, &re), &eps) in out.iter_mut().zip(re).zip(eps) {
            *out = S::with_tangent(re, eps);
        }
    }
}
