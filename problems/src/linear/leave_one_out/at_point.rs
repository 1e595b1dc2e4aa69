//! Leave-one-out at one point: the factor of K, the samples solved with it, and the gradients.
//!
//! ```text
//! K = LLᵀ,  bᵢ = L⁻¹aᵢ,  e = L⁻¹Dw:     hᵢ = ‖bᵢ‖² (+ 1/n),   sᵢ = ⟨bᵢ, e⟩
//!
//! rᵢ = 1 − ℓ''ᵢhᵢ,  Nᵢ = sᵢ + ℓ'ᵢhᵢ,  gᵢ = ℓ'ᵢ(uᵢ)/n:     df = Σ αᵢ dηᵢ + βᵢ dsᵢ + γᵢ dhᵢ
//!     αᵢ = gᵢ (1 + ℓ'''ᵢhᵢNᵢ/rᵢ)/rᵢ,   βᵢ = gᵢ/rᵢ,   γᵢ = gᵢ (ℓ'ᵢ + ℓ''ᵢNᵢ/rᵢ)/rᵢ
//!     dhᵢ = −zᵢᵀ dK zᵢ,   dsᵢ = zᵢᵀ d(Dw) − zᵢᵀ dK v      with zᵢ = K⁻¹aᵢ, v = K⁻¹Dw, dK = Σ ℓ'''ⱼ dηⱼ aⱼaⱼᵀ + (n − 1) dD
//!
//! q = Σ βᵢzᵢ,  M = Σ γᵢ zᵢzᵢᵀ:
//!     ∇_w f = Σⱼ (αⱼ − ℓ'''ⱼ (aⱼᵀMaⱼ + ⟨aⱼ, q⟩⟨aⱼ, v⟩)) aⱼ + Dq
//!     ∂f/∂Dₖ = qₖwₖ − (n − 1)(Mₖₖ + qₖvₖ)
//! ```
//!
//! In terms of bⱼ: with p = Σ βᵢbᵢ and G = Σ γᵢ bᵢbᵢᵀ, ⟨aⱼ, q⟩ = ⟨bⱼ, p⟩, ⟨aⱼ, v⟩ = sⱼ, aⱼᵀMaⱼ = bⱼᵀGbⱼ and M = L⁻ᵀGL⁻¹.

use faer::linalg::matmul::matmul;
use faer::linalg::solvers::Llt;
use faer::linalg::triangular_solve::{
    solve_lower_triangular_in_place, solve_upper_triangular_in_place,
};
use faer::{Accum, Col, ColRef, Mat, MatRef, Par, Side};

use super::LeaveOneOut;

/// f at one point, with the intermediate results that its gradients reuse.
#[derive(Default)]
pub(super) struct AtPoint {
    w: Vec<f64>,
    theta: Vec<f64>,
    found: Found,
    gradients: Option<Gradients>,
}

/// ∇_w f and ∇θf.
pub(super) struct Gradients {
    pub(super) by_x: Vec<f64>,
    pub(super) by_theta: Vec<f64>,
}

/// The outcome of an evaluation.
#[derive(Default)]
enum Found {
    #[default]
    Nothing,
    /// K is not positive definite to rounding.
    Singular,
    /// The fit without this sample is not determined: ℓ''h is 1 to rounding.
    Undetermined(usize),
    /// f and an estimate of its rounding error.
    Value([f64; 2], Box<Parts>),
}

struct Parts {
    /// e^θ for every weight.
    penalties: Vec<f64>,
    /// L.
    factor: Mat<f64>,
    /// bᵢ, one a column.
    whitened: Mat<f64>,
    /// e.
    pull: Col<f64>,
    samples: Vec<Sample>,
}

/// ℓ', ℓ'', ℓ''' at η; h, s, r, N; ℓ' at u.
struct Sample {
    slope: f64,
    curve: f64,
    third: f64,
    leverage: f64,
    pull: f64,
    rest: f64,
    change: f64,
    slope_without: f64,
}

/// a b, summed in an order that does not depend on threads.
fn product(a: MatRef<'_, f64>, b: MatRef<'_, f64>) -> Mat<f64> {
    let mut out = Mat::zeros(a.nrows(), b.ncols());
    matmul(&mut out, Accum::Replace, a, b, 1.0, Par::Seq);
    out
}

fn column(values: impl Iterator<Item = f64>) -> Mat<f64> {
    let values: Vec<f64> = values.collect();
    ColRef::from_slice(&values).as_mat().to_owned()
}

/// a diag(weights).
fn weighed(a: &Mat<f64>, weights: impl Fn(usize) -> f64) -> Mat<f64> {
    Mat::from_fn(a.nrows(), a.ncols(), |j, i| a[(j, i)] * weights(i))
}

impl AtPoint {
    pub(super) fn new(problem: &LeaveOneOut, w: &[f64], theta: &[f64]) -> Self {
        AtPoint {
            found: evaluate(problem, w, theta),
            w: w.to_vec(),
            theta: theta.to_vec(),
            gradients: None,
        }
    }

    pub(super) fn is_at(&self, w: &[f64], theta: &[f64]) -> bool {
        self.w == w && self.theta == theta
    }

    /// f and an estimate of its rounding error; both NaN where f is not defined.
    pub(super) fn value(&self) -> [f64; 2] {
        match self.found {
            Found::Value(value, _) => value,
            _ => [f64::NAN; 2],
        }
    }

    pub(super) fn explain(&self) -> Option<String> {
        match self.found {
            Found::Singular => Some(
                "the Hessian without a sample is singular to rounding: no penalty holds some combination of features".to_owned(),
            ),
            Found::Undetermined(i) => Some(format!(
                "the fit without sample {i} is not determined: no other sample and no penalty tells of some combination of its features"
            )),
            _ => None,
        }
    }

    /// The gradients; NaN where f is not defined.
    pub(super) fn gradients(&mut self, problem: &LeaveOneOut) -> &Gradients {
        let AtPoint {
            w,
            theta,
            found,
            gradients,
        } = self;
        gradients.get_or_insert_with(|| match found {
            Found::Value(_, parts) => parts.gradients(problem, w, theta),
            _ => Gradients {
                by_x: vec![f64::NAN; w.len()],
                by_theta: vec![f64::NAN; theta.len()],
            },
        })
    }
}

fn evaluate(problem: &LeaveOneOut, w: &[f64], theta: &[f64]) -> Found {
    let a = &problem.samples;
    let (d, n) = (a.nrows(), a.ncols());
    let mut penalties = vec![0.0; d];
    problem.groups.weights(theta, &mut penalties);
    let scores = product(a.transpose(), ColRef::from_slice(w).as_mat());
    let derivatives: Vec<[f64; 3]> = (0..n)
        .map(|i| problem.loss.derivatives(scores[(i, 0)], problem.targets[i]))
        .collect();
    // Rows √ℓ'' a, so that K is symmetric to the last bit.
    let rows = weighed(a, |i| derivatives[i][1].sqrt());
    let mut k = product(rows.as_ref(), rows.transpose());
    for (j, penalty) in penalties.iter().enumerate() {
        k[(j, j)] += (n - 1) as f64 * penalty;
    }
    let Ok(factor) = Llt::new(k.as_ref(), Side::Lower) else {
        return Found::Singular;
    };
    let factor = factor.L().to_owned();
    let mut whitened = a.clone();
    solve_lower_triangular_in_place(factor.as_ref(), whitened.as_mut(), Par::Seq);
    let mut pull = column(penalties.iter().zip(w).map(|(p, w)| p * w));
    solve_lower_triangular_in_place(factor.as_ref(), pull.as_mut(), Par::Seq);
    let pull = pull.col(0).to_owned();
    let mut samples = Vec::with_capacity(n);
    let (mut sum, mut sensitivity) = (0.0, 0.0);
    for (i, &[slope, curve, third]) in derivatives.iter().enumerate() {
        let b = whitened.col(i);
        let leverage = problem.intercept + b.transpose() * b;
        let along = b.transpose() * &pull;
        let rest = 1.0 - curve * leverage;
        // Zero to rounding.
        if rest <= ROUNDINGS * f64::EPSILON * (d + 1) as f64 {
            return Found::Undetermined(i);
        }
        let change = along + slope * leverage;
        let without = scores[(i, 0)] + change / rest;
        let (loss, slope_without) = problem.loss.value_and_slope(without, problem.targets[i]);
        sum += loss;
        sensitivity += (slope_without * change).abs() / (rest * rest);
        samples.push(Sample {
            slope,
            curve,
            third,
            leverage,
            pull: along,
            rest,
            change,
            slope_without,
        });
    }
    // The relative error of a solve with L is about the condition number of K scaled to a unit diagonal, which the pivots estimate.
    let lost = (0..d).map(|j| k[(j, j)] / factor[(j, j)].powi(2));
    let condition = lost.fold(1.0, f64::max);
    let roundings = ROUNDINGS * f64::EPSILON * (d + 1) as f64;
    let rounding = roundings * (sum + condition * sensitivity);
    Found::Value(
        [sum / n as f64, rounding / n as f64],
        Box::new(Parts {
            penalties,
            factor,
            whitened,
            pull,
            samples,
        }),
    )
}

/// Roundings counted for each of the d + 1 terms of ℓ''h.
const ROUNDINGS: f64 = 8.0;

impl Parts {
    fn gradients(&self, problem: &LeaveOneOut, w: &[f64], theta: &[f64]) -> Gradients {
        let n = self.samples.len() as f64;
        let beta = |s: &Sample| s.slope_without / (n * s.rest);
        let alpha = |s: &Sample| beta(s) * (1.0 + s.third * s.leverage * s.change / s.rest);
        let gamma = |s: &Sample| beta(s) * (s.slope + s.curve * s.change / s.rest);
        let b = &self.whitened;
        let back = |m: &mut Mat<f64>| {
            let transposed = self.factor.transpose();
            solve_upper_triangular_in_place(transposed, m.as_mut(), Par::Seq);
        };
        // p and G.
        let p = product(b.as_ref(), column(self.samples.iter().map(beta)).as_ref());
        let weighted = weighed(b, |i| gamma(&self.samples[i]));
        let g = product(weighted.as_ref(), b.transpose());
        let of_squared_loss = self.samples.iter().all(|s| s.third == 0.0);
        let omega: Vec<f64> = if of_squared_loss {
            self.samples.iter().map(alpha).collect()
        } else {
            let gb = product(g.as_ref(), b.as_ref());
            let of = |(i, s): (usize, &Sample)| {
                let quadratic = b.col(i).transpose() * gb.col(i);
                let along = b.col(i).transpose() * p.col(0);
                alpha(s) - s.third * (quadratic + along * s.pull)
            };
            self.samples.iter().enumerate().map(of).collect()
        };
        let mut q = p;
        back(&mut q);
        let mut v = self.pull.as_mat().to_owned();
        back(&mut v);
        // M = L⁻ᵀ (L⁻ᵀ G)ᵀ, as G is symmetric.
        let mut m = g;
        back(&mut m);
        let mut m = m.transpose().to_owned();
        back(&mut m);
        let sums = product(problem.samples.as_ref(), column(omega.into_iter()).as_ref());
        let by_x = (0..w.len()).map(|k| sums[(k, 0)] + self.penalties[k] * q[(k, 0)]);
        let by_penalty = (0..w.len())
            .map(|k| q[(k, 0)] * w[k] - (n - 1.0) * (m[(k, k)] + q[(k, 0)] * v[(k, 0)]));
        let by_x = by_x.collect();
        let by_penalty: Vec<f64> = by_penalty.collect();
        let mut by_theta = vec![0.0; theta.len()];
        problem
            .groups
            .inner(&self.penalties, &by_penalty, &mut by_theta);
        Gradients { by_x, by_theta }
    }
}
