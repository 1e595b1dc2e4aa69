//! Half the mean squared error of a linear model, as a quadratic function of its weights.

use bilevel::Error;
use faer::linalg::matmul::matmul;
use faer::{Accum, Col, ColMut, ColRef, Mat, MatRef, Par, Side};

use crate::data::RegressionData;

/// h(w) = ½ wᵀGw − cᵀw + s.
pub(super) struct Gram {
    matrix: Mat<f64>,
    c: Col<f64>,
    s: f64,
    /// Bounds of the eigenvalues of G.
    eigenvalues: [f64; 2],
}

impl Gram {
    /// Half the mean squared error on samples centred by these means.
    pub(super) fn new(samples: &RegressionData, means: &[f64], mean: f64) -> Result<Self, Error> {
        let (n, d) = (samples.samples(), samples.columns());
        let mut centred = samples.features().to_vec();
        for row in centred.chunks_exact_mut(d) {
            row.iter_mut().zip(means).for_each(|(a, m)| *a -= m);
        }
        let targets: Vec<f64> = samples.targets().iter().map(|y| y - mean).collect();
        let a = MatRef::from_row_major_slice(&centred, n, d);
        let y = ColRef::from_slice(&targets);
        let share = 1.0 / n as f64;
        let mut matrix = Mat::zeros(d, d);
        // One thread: the order of the sums, and with it the bits, are always the same.
        matmul(
            &mut matrix,
            Accum::Replace,
            a.transpose(),
            a,
            share,
            Par::Seq,
        );
        let mut c = Col::zeros(d);
        matmul(
            c.as_mat_mut(),
            Accum::Replace,
            a.transpose(),
            y.as_mat(),
            share,
            Par::Seq,
        );
        let s = 0.5 * share * targets.iter().map(|y| y * y).sum::<f64>();
        let eigenvalues = bounds(&matrix)?;
        Ok(Gram {
            matrix,
            c,
            s,
            eigenvalues,
        })
    }

    pub(super) fn columns(&self) -> usize {
        self.matrix.nrows()
    }

    pub(super) fn matrix(&self) -> MatRef<'_, f64> {
        self.matrix.as_ref()
    }

    /// A lower bound of the smallest eigenvalue, at least 0, and an upper one of the largest.
    pub(super) fn eigenvalues(&self) -> [f64; 2] {
        self.eigenvalues
    }

    /// c.
    pub(super) fn linear(&self) -> Vec<f64> {
        self.c.iter().copied().collect()
    }

    /// ‖c‖.
    pub(super) fn linear_norm(&self) -> f64 {
        self.c.norm_l2()
    }

    /// out ← G v.
    pub(super) fn product(&self, v: &[f64], out: &mut [f64]) {
        let out = ColMut::from_slice_mut(out).as_mat_mut();
        let v = ColRef::from_slice(v).as_mat();
        matmul(out, Accum::Replace, self.matrix(), v, 1.0, Par::Seq);
    }

    /// out ← G w − c; returns h(w).
    pub(super) fn value_and_gradient(&self, w: &[f64], out: &mut [f64]) -> f64 {
        self.product(w, out);
        let mut value = self.s;
        for ((out, &w), &c) in out.iter_mut().zip(w).zip(self.c.iter()) {
            value += w * (0.5 * *out - c);
            *out -= c;
        }
        value
    }

    /// A bound of the rounding error of the value at w.
    pub(super) fn value_rounding(&self, w: &[f64]) -> f64 {
        let square: f64 = w.iter().map(|w| w * w).sum();
        let linear = self.c.iter().zip(w).map(|(c, w)| (c * w).abs());
        let terms = 0.5 * self.eigenvalues[1] * square + linear.sum::<f64>() + self.s;
        2.0 * (self.columns() as f64 + 4.0) * f64::EPSILON * terms
    }
}

/// Bounds of the smallest and the largest eigenvalue that include their rounding errors.
fn bounds(matrix: &Mat<f64>) -> Result<[f64; 2], Error> {
    let d = matrix.nrows();
    let finite = (0..d).all(|j| matrix.col(j).iter().all(|v| v.is_finite()));
    let values = finite.then(|| matrix.self_adjoint_eigenvalues(Side::Lower));
    let Some(Ok(values)) = values else {
        let expected = "numbers whose squares are finite";
        return Err(Error::invalid("features", "an overflow", expected));
    };
    let largest = values.last().copied().unwrap_or(0.0).abs();
    // The computed eigenvalues are exact for a matrix that differs by a small multiple of d roundings of its norm.
    let margin = 16.0 * d as f64 * f64::EPSILON * largest;
    let smallest = values.first().copied().unwrap_or(0.0) - margin;
    Ok([smallest.max(0.0), largest + margin])
}
