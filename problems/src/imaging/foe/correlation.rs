//! Correlation of rows with packed filters, in registers.
//!
//! ```text
//! out_f[j] = Σ_t Σ_b c[t][b][f] · from_t[j + b]          f < F outputs, t < rows, b < shifts
//! ```
//!
//! One kernel serves both directions. Forwards, `from_t` are the rows of the image under a filter and the outputs are the K
//! responses of one row. Backwards, `from_t` are the K weighted responses of one row and the outputs are the rows of the image
//! under the filter. A group of at most eight outputs and two registers of columns stays in sixteen accumulators, so that two loads
//! of the input and eight of coefficients feed sixteen products: the multipliers are the bottleneck, not the loads.

use crate::support::lanes::Lanes;
use pulp::Simd;

/// Most outputs that are computed together.
const GROUP: usize = 8;
/// Columns are padded to a multiple of this: the width of the widest registers.
pub(super) const GRANULE: usize = 16;

/// Coefficients c[t][b][f], packed by groups of outputs.
pub(super) struct Packed<E> {
    outputs: usize,
    rows: usize,
    shifts: usize,
    coefficients: Vec<E>,
}

/// The groups that a number of outputs is divided into: (first, width), as equal as can be.
fn groups(outputs: usize) -> impl Iterator<Item = (usize, usize)> {
    let count = outputs.div_ceil(GROUP);
    (0..count).map(move |g| {
        let (first, end) = (g * outputs / count, (g + 1) * outputs / count);
        (first, end - first)
    })
}

impl<E: Lanes> Packed<E> {
    /// Packs c(t, b, f).
    pub(super) fn new(
        outputs: usize,
        rows: usize,
        shifts: usize,
        c: impl Fn(usize, usize, usize) -> f64,
    ) -> Self {
        let mut coefficients = Vec::with_capacity(outputs * rows * shifts);
        for (first, width) in groups(outputs) {
            for t in 0..rows {
                for b in 0..shifts {
                    coefficients.extend((first..first + width).map(|f| E::from_f64(c(t, b, f))));
                }
            }
        }
        Packed {
            outputs,
            rows,
            shifts,
            coefficients,
        }
    }

    /// Computes `wide` columns (a multiple of [`GRANULE`]) of every output, or adds them to what is there where `ADD`.
    ///
    /// `from` has rows of `from_stride` entries, of which `wide + shifts − 1` are read; `out` those of `out_stride`.
    #[inline(always)]
    pub(super) fn correlate<S: Simd, const ADD: bool>(
        &self,
        simd: S,
        from: &[E],
        from_stride: usize,
        out: &mut [E],
        out_stride: usize,
        wide: usize,
    ) {
        let terms = self.rows * self.shifts;
        for (first, width) in groups(self.outputs) {
            let group = Group {
                coefficients: &self.coefficients[first * terms..(first + width) * terms],
                shifts: self.shifts,
                from,
                from_stride,
                out_stride,
                wide,
            };
            let out = &mut out[first * out_stride..];
            match width {
                1 => group.run::<S, 1, ADD>(simd, out),
                2 => group.run::<S, 2, ADD>(simd, out),
                3 => group.run::<S, 3, ADD>(simd, out),
                4 => group.run::<S, 4, ADD>(simd, out),
                5 => group.run::<S, 5, ADD>(simd, out),
                6 => group.run::<S, 6, ADD>(simd, out),
                7 => group.run::<S, 7, ADD>(simd, out),
                _ => group.run::<S, 8, ADD>(simd, out),
            }
        }
    }
}

/// One group of outputs.
struct Group<'a, E> {
    coefficients: &'a [E],
    shifts: usize,
    from: &'a [E],
    from_stride: usize,
    out_stride: usize,
    wide: usize,
}

impl<E: Lanes> Group<'_, E> {
    #[inline(always)]
    fn run<S: Simd, const F: usize, const ADD: bool>(&self, simd: S, out: &mut [E]) {
        let width = E::lanes::<S>();
        let mut j = 0;
        // Where two registers of columns for every output would not stay in registers, one.
        if const { 2 * F + 3 <= S::REGISTER_COUNT } {
            while j + 2 * width <= self.wide {
                self.columns::<S, F, 2, ADD>(simd, out, j);
                j += 2 * width;
            }
        }
        while j < self.wide {
            self.columns::<S, F, 1, ADD>(simd, out, j);
            j += width;
        }
    }

    /// `N` registers of columns from column j on.
    #[inline(always)]
    fn columns<S: Simd, const F: usize, const N: usize, const ADD: bool>(
        &self,
        simd: S,
        out: &mut [E],
        j: usize,
    ) {
        let mut sums = [[E::splat(simd, E::default()); N]; F];
        let rows = self.coefficients.chunks_exact(self.shifts * F);
        for (t, coefficients) in rows.enumerate() {
            let from = &self.from[t * self.from_stride + j..];
            for (b, c) in coefficients.chunks_exact(F).enumerate() {
                let x: [E::V<S>; N] = E::load(simd, &from[b..]);
                for f in 0..F {
                    let c = E::splat(simd, c[f]);
                    for n in 0..N {
                        sums[f][n] = E::multiply_add(simd, c, x[n], sums[f][n]);
                    }
                }
            }
        }
        for f in 0..F {
            let out = &mut out[f * self.out_stride + j..];
            let mut sum = sums[f];
            if ADD {
                let before: [E::V<S>; N] = E::load(simd, out);
                for n in 0..N {
                    sum[n] = E::plus(simd, before[n], sum[n]);
                }
            }
            E::store(simd, out, sum);
        }
    }
}

/// Partial sums of an inner product, the same number for every register width, so that the sums do not depend on it.
const PARTIAL_SUMS: usize = 16;
/// Shifts of one pass of [`shifted_products`], at most.
const SHIFTS: usize = 7;

/// out[b] += Σ_{j < wide} u[j] · x[j + b] for every shift b; u is zero beyond its columns.
#[inline(always)]
pub(super) fn shifted_products<S: Simd, E: Lanes>(
    simd: S,
    u: &[E],
    x: &[E],
    wide: usize,
    out: &mut [f64],
) {
    let mut first = 0;
    while first < out.len() {
        let width = SHIFTS.min(out.len() - first);
        let (out, x) = (&mut out[first..first + width], &x[first..]);
        match width {
            7 => shifted::<S, E, 7>(simd, u, x, wide, out),
            6 => shifted::<S, E, 6>(simd, u, x, wide, out),
            5 => shifted::<S, E, 5>(simd, u, x, wide, out),
            4 => shifted::<S, E, 4>(simd, u, x, wide, out),
            3 => shifted::<S, E, 3>(simd, u, x, wide, out),
            2 => shifted::<S, E, 2>(simd, u, x, wide, out),
            _ => shifted::<S, E, 1>(simd, u, x, wide, out),
        }
        first += width;
    }
}

#[inline(always)]
fn shifted<S: Simd, E: Lanes, const B: usize>(
    simd: S,
    u: &[E],
    x: &[E],
    wide: usize,
    out: &mut [f64],
) {
    let width = E::lanes::<S>();
    let mut entries = [[E::default(); PARTIAL_SUMS]; B];
    // One pass for each register that the partial sums are made of.
    for part in (0..PARTIAL_SUMS).step_by(width) {
        let mut sums = [E::splat(simd, E::default()); B];
        for j in (part..wide).step_by(PARTIAL_SUMS) {
            let [v]: [E::V<S>; 1] = E::load(simd, &u[j..j + width]);
            let x = &x[j..j + width + B - 1];
            for b in 0..B {
                let [x]: [E::V<S>; 1] = E::load(simd, &x[b..b + width]);
                sums[b] = E::multiply_add(simd, v, x, sums[b]);
            }
        }
        for (entries, sum) in entries.iter_mut().zip(sums) {
            E::store(simd, &mut entries[part..], [sum]);
        }
    }
    for (out, mut entries) in out.iter_mut().zip(entries) {
        let mut half = PARTIAL_SUMS / 2;
        while half > 0 {
            for i in 0..half {
                entries[i] = entries[i] + entries[i + half];
            }
            half /= 2;
        }
        *out += entries[0].to_f64();
    }
}
