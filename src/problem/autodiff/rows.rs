//! [`Rows`]: products with the data of several samples at once, in registers.
//!
//! ```text
//! forwards    sᵢ = W dᵢ              sums over blocks of features, in eight or more accumulators at once
//! backwards   W ← W + Σᵢ yᵢ dᵢᵀ      sums over the samples, likewise
//! ```
//!
//! A matrix of dual numbers is one of real numbers with twice as many rows: the values, then the tangents.

use pulp::{Arch, Simd, WithSimd};

use super::number::{Number, Real};
use super::registers::{Registers, lanes};
use crate::parallel;
use crate::problem::minibatch::Batch;

/// Samples whose data are read forwards and backwards while they are in the second-level cache.
const BLOCK: usize = 128;
/// Products of a part, at least: about 50 µs of work, against a few for handing it over.
const PART: usize = 1 << 20;
/// The most parts of a batch.
const MOST_PARTS: usize = 16;
/// The most numbers in the sums of all parts together.
const MOST_SUMS: usize = 1 << 22;

/// The data of the samples of a batch, one row of numbers each.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a, D> {
    values: &'a [D],
    columns: usize,
    batch: Batch<'a>,
}

/// What [`Rows::pass`] works in: arrays that are lent again and again.
#[derive(Debug)]
pub struct Room<S: Number> {
    /// W as real numbers.
    w: Vec<S::Real>,
    parts: Vec<PartRoom<S>>,
}

impl<S: Number> Default for Room<S> {
    fn default() -> Self {
        Room {
            w: Vec::new(),
            parts: Vec::new(),
        }
    }
}

#[derive(Debug)]
struct PartRoom<S: Number> {
    /// Rows in the numbers of S, where the data are others.
    data: Vec<S::Real>,
    reals: Vec<S::Real>,
    scores: Vec<S>,
    sums: Vec<S::Real>,
}

impl<S: Number> Default for PartRoom<S> {
    fn default() -> Self {
        PartRoom {
            data: Vec::new(),
            reals: Vec::new(),
            scores: Vec::new(),
            sums: Vec::new(),
        }
    }
}

impl<'a, D: Real> Rows<'a, D> {
    /// The rows of a batch of samples, whose data stand in `values` sample after sample, `columns` numbers each.
    pub fn new(values: &'a [D], columns: usize, batch: Batch<'a>) -> Self {
        Rows {
            values,
            columns,
            batch,
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.batch.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.batch.is_empty()
    }

    /// The numbers of a row.
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

    /// The rows from `start` up to and without `end`.
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

    /// c, for a matrix W of c rows that takes data to scores.
    fn outputs(&self, w: usize) -> Option<usize> {
        let fits = self.columns > 0 && w.is_multiple_of(self.columns);
        fits.then(|| w / self.columns)
    }

    /// out ← the scores W dᵢ of every row, one after the other, for a matrix W, row after row.
    pub fn scores<S: Number>(&self, w: &[S], out: &mut [S]) {
        let c = match self.outputs(w.len()) {
            Some(c) if out.len() == c * self.len() => c,
            _ => return out.fill(S::constant(f64::NAN)),
        };
        S::with_room(|room| {
            let Room { w: planes, parts } = room;
            let w = in_planes(w, planes);
            let parts = at_least(parts, 1);
            let PartRoom { data, reals, .. } = &mut parts[0];
            for start in (0..self.len()).step_by(BLOCK) {
                let end = (start + BLOCK).min(self.len());
                let block = self.part(start, end).converted(data);
                let out = &mut out[start * c..end * c];
                forwards(w, block, S::PARTS * c, out, reals);
            }
        });
    }

    /// out ← Σᵢ rᵢ dᵢᵀ with the rᵢ that `link` leaves where it finds the scores sᵢ = W dᵢ: the gradient of a linear model in W.
    ///
    /// `link` is called for some of the rows at a time, with c numbers each, from several threads. The sums are added in an order that
    /// depends on the numbers of rows, columns and scores alone.
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
        S::with_room(|room| {
            let planes = in_planes(w, &mut room.w);
            let parts = at_least(&mut room.parts, self.len().div_ceil(rows).max(1));
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
                    let y = match S::as_reals(scores) {
                        Some(scores) => scores,
                        None => {
                            reals.clear();
                            for row in scores.chunks_exact(c.max(1)) {
                                reals.extend(row.iter().map(|s| s.real_part()));
                                reals.extend(row.iter().map(|s| s.tangent()));
                            }
                            &*reals
                        }
                    };
                    add_outer(&mut part.sums, y, block);
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

    /// The same rows in numbers of another type, in `room` where they are not of it already.
    fn converted<'b, E: Real>(&self, room: &'b mut Vec<E>) -> Rows<'b, E>
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
        room.clear();
        for k in 0..self.len() {
            room.extend(self.row(k).iter().map(|d| E::from_f64(d.to_f64())));
        }
        Rows {
            values: room,
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

/// A matrix as one of real numbers: itself, or the values and then the tangents, in `room`.
fn in_planes<'a, S: Number>(w: &'a [S], room: &'a mut Vec<S::Real>) -> &'a [S::Real] {
    if let Some(w) = S::as_reals(w) {
        return w;
    }
    room.clear();
    room.extend(w.iter().map(|w| w.real_part()));
    room.extend(w.iter().map(|w| w.tangent()));
    room
}

/// out ← the scores of every row, by a matrix of `outputs` real rows.
fn forwards<S: Number>(
    w: &[S::Real],
    rows: Rows<'_, S::Real>,
    outputs: usize,
    out: &mut [S],
    room: &mut Vec<S::Real>,
) {
    room.resize(rows.len() * outputs, S::Real::default());
    Arch::new().dispatch(Forwards {
        w,
        rows,
        outputs,
        out: room,
    });
    if S::PARTS == 1 {
        for (out, &re) in out.iter_mut().zip(room.iter()) {
            *out = S::real(re);
        }
        return;
    }
    let c = (outputs / 2).max(1);
    for (out, room) in out.chunks_exact_mut(c).zip(room.chunks_exact(2 * c)) {
        let (re, eps) = room.split_at(c);
        for ((out, &re), &eps) in out.iter_mut().zip(re).zip(eps) {
            *out = S::with_tangent(re, eps);
        }
    }
}

/// out ← W d.
pub(super) fn scores_of_one<E: Real>(w: &[E], d: &[E], out: &mut [E]) {
    Arch::new().dispatch(Forwards {
        w,
        rows: Rows::new(d, d.len(), Batch::all(1)),
        outputs: out.len(),
        out,
    });
}

/// W ← W + Σᵢ yᵢ dᵢᵀ.
fn add_outer<E: Real>(w: &mut [E], y: &[E], rows: Rows<'_, E>) {
    Arch::new().dispatch(Backwards { w, y, rows });
}

struct Forwards<'a, E> {
    w: &'a [E],
    rows: Rows<'a, E>,
    outputs: usize,
    out: &'a mut [E],
}

impl<E: Real> WithSimd for Forwards<'_, E> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        // Rows and outputs of a block, as many as there are registers for.
        match (lanes::<E>(), lanes::<E>() / E::width_v::<S>()) {
            (8, 1) => self.run::<S, 8, 1, 4, 5>(simd),
            (8, 2) => self.run::<S, 8, 2, 2, 3>(simd),
            (8, 4) => self.run::<S, 8, 4, 1, 2>(simd),
            (8, _) => self.run::<S, 8, 8, 1, 1>(simd),
            (_, 1) => self.run::<S, 16, 1, 4, 5>(simd),
            (_, 2) => self.run::<S, 16, 2, 2, 3>(simd),
            (_, 4) => self.run::<S, 16, 4, 1, 2>(simd),
            _ => self.run::<S, 16, 16, 1, 1>(simd),
        }
    }
}

impl<E: Real> Forwards<'_, E> {
    #[inline(always)]
    fn run<S: Simd, const L: usize, const N: usize, const R: usize, const C: usize>(
        &mut self,
        simd: S,
    ) {
        let m = self.rows.len();
        for i in (0..m / R * R).step_by(R) {
            self.outputs::<S, L, N, R, C>(simd, i);
        }
        for i in m / R * R..m {
            self.outputs::<S, L, N, 1, C>(simd, i);
        }
    }

    /// All scores of R rows.
    #[inline(always)]
    fn outputs<S: Simd, const L: usize, const N: usize, const R: usize, const C: usize>(
        &mut self,
        simd: S,
        i: usize,
    ) {
        let mut k = 0;
        while k + C <= self.outputs {
            self.block::<S, L, N, R, C>(simd, i, k);
            k += C;
        }
        while k < self.outputs {
            self.block::<S, L, N, R, 1>(simd, i, k);
            k += 1;
        }
    }

    #[inline(always)]
    fn block<S: Simd, const L: usize, const N: usize, const R: usize, const C: usize>(
        &mut self,
        simd: S,
        i: usize,
        k: usize,
    ) {
        let n = self.rows.columns;
        let chunks = n / L;
        let rows: [&[E]; R] = std::array::from_fn(
            #[inline(always)]
            |r| self.rows.row(i + r),
        );
        let weights: [&[E]; C] = std::array::from_fn(
            #[inline(always)]
            |c| &self.w[(k + c) * n..][..n],
        );
        let d: [&[[E; L]]; R] = rows.map(
            #[inline(always)]
            |row| &row.as_chunks().0[..chunks],
        );
        let w: [&[[E; L]]; C] = weights.map(
            #[inline(always)]
            |row| &row.as_chunks().0[..chunks],
        );
        let mut sums = [[[E::splat_v(simd, E::default()); N]; C]; R];
        for t in 0..chunks {
            let d = d.map(
                #[inline(always)]
                |d| &d[t],
            );
            let w = w.map(
                #[inline(always)]
                |w| &w[t],
            );
            sums = fuse::<E, S, L, N, R, C>(simd, d, w, sums);
        }
        if chunks * L < n {
            let d = rows.map(
                #[inline(always)]
                |row| padded(&row[chunks * L..]),
            );
            let w = weights.map(
                #[inline(always)]
                |row| padded(&row[chunks * L..]),
            );
            sums = fuse::<E, S, L, N, R, C>(simd, d.each_ref(), w.each_ref(), sums);
        }
        for (r, sums) in sums.into_iter().enumerate() {
            let out = &mut self.out[(i + r) * self.outputs + k..][..C];
            for (out, sum) in out.iter_mut().zip(sums) {
                *out = total(simd, sum);
            }
        }
    }
}

/// Sums that stay in registers.
type Sums<E, S, const N: usize, const C: usize, const R: usize> =
    [[[<E as Registers>::V<S>; N]; C]; R];

/// sums ← sums + the products of R blocks with C others.
#[inline(always)]
fn fuse<E: Real, S: Simd, const L: usize, const N: usize, const R: usize, const C: usize>(
    simd: S,
    d: [&[E; L]; R],
    w: [&[E; L]; C],
    mut sums: Sums<E, S, N, C, R>,
) -> Sums<E, S, N, C, R> {
    let d = d.map(
        #[inline(always)]
        |d| E::load_v::<S, N>(d),
    );
    for c in 0..C {
        let w = E::load_v::<S, N>(w[c]);
        for r in 0..R {
            for n in 0..N {
                sums[r][c][n] = E::multiply_add_v(simd, d[r][n], w[n], sums[r][c][n]);
            }
        }
    }
    sums
}

/// sums ← sums + K numbers times J blocks.
#[inline(always)]
fn spread<E: Real, S: Simd, const L: usize, const N: usize, const K: usize, const J: usize>(
    simd: S,
    y: &[E; K],
    d: [&[E; L]; J],
    mut sums: Sums<E, S, N, J, K>,
) -> Sums<E, S, N, J, K> {
    let d = d.map(
        #[inline(always)]
        |d| E::load_v::<S, N>(d),
    );
    for k in 0..K {
        let y = E::splat_v(simd, y[k]);
        for j in 0..J {
            for n in 0..N {
                sums[k][j][n] = E::multiply_add_v(simd, y, d[j][n], sums[k][j][n]);
            }
        }
    }
    sums
}

/// The first K numbers.
#[inline(always)]
fn first<E, const K: usize>(of: &[E]) -> &[E; K] {
    &of.as_chunks().0[0]
}

/// The sum of N registers: of the two halves of their lanes, of the halves of that, and so on.
#[inline(always)]
fn total<E: Real, S: Simd, const N: usize>(simd: S, mut sums: [E::V<S>; N]) -> E {
    let mut count = N / 2;
    while count > 0 {
        for k in 0..count {
            sums[k] = E::plus_v(simd, sums[k], sums[k + count]);
        }
        count /= 2;
    }
    E::total_v(simd, sums[0])
}

/// A part of a block, and zeros.
#[inline(always)]
fn padded<E: Copy + Default, const L: usize>(part: &[E]) -> [E; L] {
    let mut block = [E::default(); L];
    block[..part.len()].copy_from_slice(part);
    block
}

struct Backwards<'a, E> {
    w: &'a mut [E],
    y: &'a [E],
    rows: Rows<'a, E>,
}

impl<E: Real> WithSimd for Backwards<'_, E> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        // Outputs and blocks of features, as many as there are registers for.
        match (lanes::<E>(), lanes::<E>() / E::width_v::<S>()) {
            (8, 1) => self.run::<S, 8, 1, 5, 4>(simd),
            (8, 2) => self.run::<S, 8, 2, 5, 1>(simd),
            (8, 4) => self.run::<S, 8, 4, 2, 1>(simd),
            (8, _) => self.run::<S, 8, 8, 1, 1>(simd),
            (_, 1) => self.run::<S, 16, 1, 5, 4>(simd),
            (_, 2) => self.run::<S, 16, 2, 5, 1>(simd),
            (_, 4) => self.run::<S, 16, 4, 2, 1>(simd),
            _ => self.run::<S, 16, 16, 1, 1>(simd),
        }
    }
}

impl<E: Real> Backwards<'_, E> {
    #[inline(always)]
    fn run<S: Simd, const L: usize, const N: usize, const K: usize, const J: usize>(
        &mut self,
        simd: S,
    ) {
        let n = self.rows.columns;
        let end = n / (J * L) * (J * L);
        for j in (0..end).step_by(J * L) {
            self.features::<S, L, N, K, J>(simd, j);
        }
        for j in (end..n).step_by(L) {
            self.features::<S, L, N, K, 1>(simd, j);
        }
    }

    /// J blocks of features of all outputs: the data of these stay in the first-level cache.
    #[inline(always)]
    fn features<S: Simd, const L: usize, const N: usize, const K: usize, const J: usize>(
        &mut self,
        simd: S,
        j: usize,
    ) {
        let outputs = self.w.len() / self.rows.columns;
        let mut k = 0;
        while k + K <= outputs {
            self.block::<S, L, N, K, J>(simd, k, j, outputs);
            k += K;
        }
        while k < outputs {
            self.block::<S, L, N, 1, J>(simd, k, j, outputs);
            k += 1;
        }
    }

    #[inline(always)]
    fn block<S: Simd, const L: usize, const N: usize, const K: usize, const J: usize>(
        &mut self,
        simd: S,
        k: usize,
        j: usize,
        outputs: usize,
    ) {
        let n = self.rows.columns;
        // Less than a block is left at the end of a row.
        let len = (J * L).min(n - j);
        let sums = self.sums::<S, L, N, K, J>(simd, k, j, outputs);
        // Written in a loop of their own, which is unrolled, so that they are in registers until then.
        let mut blocks = [[[E::default(); L]; J]; K];
        for a in 0..K {
            for b in 0..J {
                E::store_v::<S, N>(&mut blocks[a][b], sums[a][b]);
            }
        }
        for (a, blocks) in blocks.iter().enumerate() {
            let w = &mut self.w[(k + a) * n + j..][..len];
            for (w, &more) in w.iter_mut().zip(blocks.as_flattened()) {
                *w += more;
            }
        }
    }

    /// Σᵢ yᵢ dᵢᵀ of K outputs and J blocks of features. It is a function of its own so that the sums are in registers.
    #[inline(always)]
    fn sums<S: Simd, const L: usize, const N: usize, const K: usize, const J: usize>(
        &self,
        simd: S,
        k: usize,
        j: usize,
        outputs: usize,
    ) -> Sums<E, S, N, J, K> {
        let mut sums = [[[E::splat_v(simd, E::default()); N]; J]; K];
        if j + J * L <= self.rows.columns {
            for i in 0..self.rows.len() {
                let d: &[[E; L]] = self.rows.row(i)[j..][..J * L].as_chunks().0;
                let d = std::array::from_fn(
                    #[inline(always)]
                    |b| &d[b],
                );
                let y = first(&self.y[i * outputs + k..]);
                sums = spread::<E, S, L, N, K, J>(simd, y, d, sums);
            }
        } else {
            for i in 0..self.rows.len() {
                let d = padded(&self.rows.row(i)[j..]);
                let y = first(&self.y[i * outputs + k..]);
                sums = spread::<E, S, L, N, K, J>(simd, y, [&d; J], sums);
            }
        }
        sums
    }
}
