//! Constraints and penalties on θ: projections and proximal maps.
//!
//! ```text
//! minimise F(θ) + h(θ),   h convex: the indicator of a set, or τ‖θ‖₁
//! P_α(v) = argmin_u h(u) + ‖u − v‖²/(2α)                  the projection, for a set
//! θ⁺ = P_α(θ − αz),   s = θ⁺ − θ
//! Δ(s) = −⟨z, s⟩ + h(θ) − h(θ⁺)                           the predicted decrease of the step; it is at least ‖s‖²/α
//! π(z) = ‖θ − P₁(θ − z)‖                                  the measure of stationarity
//! ```
//!
//! θ is stationary exactly where π(∇F) = 0. P₁ does not increase distances, so |π(z) − π(∇F)| ≤ ‖z − ∇F‖ ≤ ω, and π(z) + ω ≤ tolerance
//! bounds the exact π(∇F): the test of convergence. Without a constraint π(z) = ‖z‖.
//!
//! # The predicted decrease
//! The optimality of θ⁺ in its own problem says (θ − αz − θ⁺)/α ∈ ∂h(θ⁺), hence h(θ) ≥ h(θ⁺) + ⟨s + αz, s⟩/α, which is
//! Δ(s) ≥ ‖s‖²/α. The exact change of F + h is, to first order, −Δ(s) + ⟨∇F − z, s⟩ ≤ −Δ(s) + ω‖s‖. ‖s‖/α does not increase with α, so for
//! α ≤ 1 it is at least π(z): where ω ≤ (1 − η)π(z), the change is at most −ηΔ(s) to first order for every such α, as without constraint.
//!
//! # Oblique directions
//! With p ≠ z the projected path need not descend. Under bounds it does, where p = H z is formed in the face of the free entries, which are
//! not held at a bound (the two-metric projection). On the simplex and with ℓ₁ the variants of MAID take p = z, with the scale of H as the
//! first trial step.
//!
//! # References
//! D. Bertsekas: Projected Newton methods for optimization problems with simple constraints. SIAM J. Control Optim. 20 (1982),
//! [doi:10.1137/0320018](https://doi.org/10.1137/0320018).
//! A. Beck: First-Order Methods in Optimization, chapters 6 and 10. SIAM (2017),
//! [doi:10.1137/1.9781611974997](https://doi.org/10.1137/1.9781611974997).
//! J. Duchi, S. Shalev-Shwartz, Y. Singer, T. Chandra: Efficient projections onto the ℓ₁-ball. ICML 2008,
//! [doi:10.1145/1390156.1390191](https://doi.org/10.1145/1390156.1390191): the simplex.

use serde::{Deserialize, Serialize};

use crate::error::{Error, positive};
use crate::vector::Vector;

/// A convex set that contains θ, or a penalty on θ. See the [module](self).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Constraint {
    /// No constraint (the default).
    #[default]
    None,
    /// θᵢ ≥ 0.
    NonNegative,
    /// lowerᵢ ≤ θᵢ ≤ upperᵢ. Infinite bounds are allowed; a single number holds for all entries.
    Bounds {
        /// The lower bounds: one, or as many as θ has entries.
        lower: Vec<f64>,
        /// The upper bounds: one, or as many as θ has entries.
        upper: Vec<f64>,
    },
    /// θᵢ ≥ 0 and Σθᵢ = total.
    Simplex {
        /// The sum, positive.
        total: f64,
    },
    /// The penalty h(θ) = weight·‖θ‖₁, which is added to F: values in trace and report include it.
    L1 {
        /// The weight, positive.
        weight: f64,
    },
}

/// The bound of entry i; a single number holds for all entries.
fn at(bounds: &[f64], i: usize) -> f64 {
    bounds[if bounds.len() == 1 { 0 } else { i }]
}

impl Constraint {
    /// Refuses settings out of range, or of another length than θ's.
    pub(crate) fn check(&self, len: usize) -> Result<(), Error> {
        match self {
            Constraint::None | Constraint::NonNegative => Ok(()),
            Constraint::Simplex { total } => positive("constraint.total", *total).map(drop),
            Constraint::L1 { weight } => positive("constraint.weight", *weight).map(drop),
            Constraint::Bounds { lower, upper } => {
                for (name, bounds) in [("lower", lower), ("upper", upper)] {
                    if bounds.len() != 1 && bounds.len() != len {
                        return Err(Error::invalid(
                            format!("constraint.{name}"),
                            format!("{} numbers", bounds.len()),
                            format!("1 number, or {len} as in theta"),
                        ));
                    }
                }
                for i in 0..lower.len().max(upper.len()) {
                    let (low, high) = (at(lower, i), at(upper, i));
                    if !(low <= high && low < f64::INFINITY && high > f64::NEG_INFINITY) {
                        return Err(Error::invalid(
                            format!("constraint.lower[{i}]"),
                            low,
                            format!("a number of at most constraint.upper[{i}] = {high}"),
                        ));
                    }
                }
                Ok(())
            }
        }
    }

    /// Whether θ is unconstrained.
    pub fn is_none(&self) -> bool {
        *self == Constraint::None
    }

    /// v ← P_α(v). For a set it does not depend on α.
    pub fn project<T: Vector>(&self, alpha: f64, v: &mut T) {
        let entries = match self {
            Constraint::None => return,
            _ => v.to_f64(),
        };
        match self {
            Constraint::None => {}
            Constraint::NonNegative => v.assign(&mut |i| entries[i].max(0.0)),
            Constraint::Bounds { lower, upper } => {
                v.assign(&mut |i| entries[i].max(at(lower, i)).min(at(upper, i)));
            }
            Constraint::Simplex { total } => {
                let shift = simplex_shift(&entries, *total);
                v.assign(&mut |i| (entries[i] - shift).max(0.0));
            }
            Constraint::L1 { weight } => {
                let threshold = alpha * weight;
                v.assign(&mut |i| {
                    let e = entries[i];
                    e.signum() * (e.abs() - threshold).max(0.0)
                });
            }
        }
    }

    /// h(θ): the penalty, or 0 on a set.
    pub fn penalty<T: Vector>(&self, theta: &T) -> f64 {
        match self {
            Constraint::L1 { weight } => {
                weight * theta.to_f64().iter().map(|t| t.abs()).sum::<f64>()
            }
            _ => 0.0,
        }
    }

    /// π(z), the norm of the projected or proximal step: ‖z‖ without a constraint.
    pub fn stationarity<T: Vector>(&self, theta: &T, z: &T) -> f64 {
        if self.is_none() {
            return z.norm();
        }
        let mut step = theta.clone();
        step.axpy(-1.0, z);
        self.project(1.0, &mut step);
        step.axpy(-1.0, theta);
        step.norm()
    }

    /// The part of z that an oblique direction is built from.
    pub(crate) fn reduced<T: Vector>(&self, theta: &T, z: &T) -> Reduced<T> {
        let (lower, upper): (&[f64], &[f64]) = match self {
            Constraint::None => return Reduced::All,
            Constraint::NonNegative => (&[0.0], &[f64::INFINITY]),
            Constraint::Bounds { lower, upper } => (lower, upper),
            Constraint::Simplex { .. } | Constraint::L1 { .. } => return Reduced::Steepest,
        };
        let (t, entries) = (theta.to_f64(), z.to_f64());
        let mut face = z.zeros_like();
        face.assign(&mut |i| {
            let held = (t[i] <= at(lower, i) && entries[i] > 0.0)
                || (t[i] >= at(upper, i) && entries[i] < 0.0);
            if held { 0.0 } else { entries[i] }
        });
        Reduced::Face(face)
    }
}

/// z as a constraint reduces it for an oblique direction.
pub(crate) enum Reduced<T> {
    /// z itself: θ is unconstrained.
    All,
    /// z with zeros where θᵢ lies at a bound that −zᵢ points into: the two-metric projection of Bertsekas.
    Face(T),
    /// No oblique direction: the projected path along one need not descend.
    Steepest,
}

/// The σ with Σ max(vᵢ − σ, 0) = total, from the largest entries, which stay positive.
fn simplex_shift(v: &[f64], total: f64) -> f64 {
    let mut sorted = v.to_vec();
    sorted.sort_by(|a, b| b.total_cmp(a));
    let (mut sum, mut shift) = (0.0, 0.0);
    for (k, entry) in sorted.iter().enumerate() {
        sum += entry;
        let candidate = (sum - total) / (k as f64 + 1.0);
        if *entry <= candidate {
            break;
        }
        shift = candidate;
    }
    shift
}
