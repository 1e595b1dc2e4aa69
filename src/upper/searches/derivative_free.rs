//! Derivative-free search with dynamic accuracy: steps along the axes of a basis, compared on certified bounds.
//!
//! ```text
//! for k = 0, 1, …:                                             a sweep
//!   for i = 1 … p, d = dᵢ and then −dᵢ:
//!     ρ = λ |F(θ₀)| (αᵢ/α₀)²                                    the required decrease
//!     accept   if U(θ + αᵢd) ≤ L(θ) − ρ                         by the bounds L ≤ F ≤ U
//!     reject   if L(θ + αᵢd) > U(θ) − ρ,   or if the two intervals together are at most σρ wide
//!     else ε ← ν̲ε, and both are evaluated again                 the accuracy limits the comparison, not the step
//!     accepted:  θ ← θ + αᵢd, ε ← ν̄ε, then steps 2αᵢ, 4αᵢ, … along d until a rejection; αᵢ ← the longest accepted one
//!     rejected along dᵢ and −dᵢ:  αᵢ ← αᵢ/2
//!   d₁ … d_p ← an orthonormal basis whose first vector is the direction of the sweep's total step
//! until every αᵢ < α_end
//! ```
//!
//! A single hypergradient is computed, at the end: it decides between [`Status::Converged`] and [`Status::Completed`].
//!
//! # Guarantee
//! F(θ⁺) ≤ U(θ⁺) and L(θ) ≤ F(θ), so every accepted step decreases the exact F by at least ρ. A rejected one would have
//! decreased it by less than (1 + σ)ρ. Where ∇F is Lipschitz with constant M, a sweep without success therefore shows
//! |⟨∇F(θ), dᵢ⟩| ≤ (1 + σ)ρ(αᵢ)/αᵢ + Mαᵢ/2 for every i, which goes to zero with the steps. So the accuracy of a comparison
//! depends on the step: intervals no wider than ρ ~ α².
//!
//! # Scope
//! For p ≤ 50 hyperparameters. Interpolation models (as in the reference) need fewer values where F is smooth and p is tens, but
//! their linear systems and geometry steps would be a package of their own. A sweep costs p to 2p values, needs no smoothness of F
//! beyond C¹, and every comparison can be certified. The basis is Rosenbrock's: it turns towards the progress and so follows a curved or
//! ill-conditioned valley, where fixed axes zigzag.
//!
//! # Requirements
//! An oracle with bounds, certified or estimated. A trial outside the domain of the problem is rejected.
//!
//! # Reference
//! M. J. Ehrhardt, L. Roberts: Inexact derivative-free optimization for bilevel learning. J. Math. Imaging Vision 63 (2021),
//! 580–600, [arXiv:2006.12674](https://arxiv.org/abs/2006.12674), for the dynamic accuracy; H. H. Rosenbrock: An automatic method for
//! finding the greatest or least value of a function. Comput. J. 3 (1960), 175–184,
//! [doi:10.1093/comjnl/3.3.175](https://doi.org/10.1093/comjnl/3.3.175), for the basis.

use serde::{Deserialize, Serialize};

use super::basis::turn;
use crate::error::{Error, in_unit_interval, positive};
use crate::hypergradient::{Accuracy, BoundedValue, Trust};
use crate::oracle::Oracle;
use crate::status::{SolveStatus, Status};
use crate::upper::descent::accuracy::AdaptiveAccuracy;
use crate::upper::solver::{
    Iteration, Solver, Step, check_theta, converged, evaluate, solver_state,
};
use crate::vector::Vector;

/// Derivative-free search with dynamic accuracy. See the [module](self).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DerivativeFree {
    /// ε₀, ν̲, ν̄ of the values; δ₀ is that of the hypergradient at the end. By default ν̲ = 0.1 and ν̄ = 1.5, since a comparison that
    /// fails for lack of accuracy costs two values.
    pub accuracy: AdaptiveAccuracy,
    /// α₀, the first step along every axis (default 1).
    pub initial_step: f64,
    /// α_end: the search is complete when every step is shorter (default 1e-3).
    pub final_step: f64,
    /// λ: the required relative decrease of a step of length α₀ (default 1e-4).
    pub decrease: f64,
    /// σ: a comparison is decided once both intervals together are at most σρ wide (default 0.5).
    pub slack: f64,
}

impl Default for DerivativeFree {
    fn default() -> Self {
        DerivativeFree {
            accuracy: AdaptiveAccuracy {
                shrink: 0.1,
                growth: 1.5,
                ..AdaptiveAccuracy::default()
            },
            initial_step: 1.0,
            final_step: 1e-3,
            decrease: 1e-4,
            slack: 0.5,
        }
    }
}

/// The state of [`DerivativeFree`].
#[doc(hidden)]
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(bound(
    serialize = "T: Serialize, S: Serialize",
    deserialize = "T: serde::de::DeserializeOwned, S: serde::de::DeserializeOwned"
))]
pub struct DerivativeFreeState<T, S> {
    theta: T,
    oracle: S,
    accuracy: Accuracy,
    /// F(θ); `None` before the first sweep.
    here: Option<BoundedValue>,
    /// |F(θ₀)|, which scales the required decrease.
    unit: f64,
    /// dᵢ and αᵢ.
    axes: Vec<(Vec<f64>, f64)>,
    /// Whether a comparison of the last sweep failed because the inner problems cannot be solved more accurately.
    floor: bool,
}

solver_state!([] DerivativeFreeState<O::Theta, O::State>);

impl<O: Oracle> Solver<O> for DerivativeFree {
    type State = DerivativeFreeState<O::Theta, O::State>;

    fn start(&self, oracle: &O, theta: O::Theta) -> Result<Self::State, Error> {
        self.accuracy.check()?;
        positive("initial_step", self.initial_step)?;
        positive("final_step", self.final_step)?;
        in_unit_interval("decrease", self.decrease)?;
        positive("slack", self.slack)?;
        check_theta(&theta)?;
        let p = theta.len();
        let axis = |i: usize| (0..p).map(|j| f64::from(u8::from(i == j))).collect();
        Ok(DerivativeFreeState {
            oracle: oracle.start(&theta)?,
            theta,
            accuracy: self.accuracy.initial,
            here: None,
            unit: 0.0,
            axes: (0..p).map(|i| (axis(i), self.initial_step)).collect(),
            floor: false,
        })
    }

    fn step(
        &self,
        oracle: &O,
        s: &mut Self::State,
        tolerance: f64,
    ) -> Result<Step<O::Theta>, Error> {
        if s.axes.iter().all(|(_, step)| *step < self.final_step) {
            let (row, z) = evaluate(oracle, &s.theta, s.accuracy, &mut s.oracle)?;
            let status = match converged(z.gradient.norm(), &z, tolerance) {
                true => Status::Converged,
                false if s.floor => Status::AccuracyFloor,
                false => Status::Completed,
            };
            return Ok(Step::Ended(status, row, z));
        }
        let first = s.here.is_none();
        let mut sweep = Sweep {
            rule: self,
            oracle,
            here: BoundedValue::unknown(0.0),
            candidate: s.theta.clone(),
            axis: s.theta.clone(),
            row: Iteration::without_gradient(
                &s.theta,
                s.accuracy.epsilon,
                BoundedValue::unknown(0.0),
            ),
        };
        match s.here {
            Some(here) => sweep.here = here,
            None => sweep.evaluate_here(s)?,
        }
        if sweep.here.trust == Trust::Unknown {
            return Err(Error::invalid(
                "trust",
                "unknown",
                "certified or estimated bounds, which derivative-free search rests on",
            ));
        }
        if first {
            let size = sweep.here.value.abs();
            s.unit = if size > 0.0 { size } else { 1.0 };
        }
        sweep.row.value = sweep.here;
        s.floor = false;

        let from = s.theta.clone();
        let mut progress = vec![0.0; s.axes.len()];
        for (i, progress) in progress.iter_mut().enumerate() {
            *progress = sweep.along(s, i)?;
        }
        if progress.iter().any(|way| *way != 0.0) {
            turn(&mut s.axes, &progress);
            let mut way = from;
            way.axpy(-1.0, &s.theta);
            sweep.row.step = Some(way.norm());
        }
        s.here = Some(sweep.here);
        Ok(Step::Moved(sweep.row))
    }

    fn accuracy(&self, s: &Self::State) -> Accuracy {
        s.accuracy
    }

    fn name(&self) -> String {
        "derivative-free".into()
    }
}

/// A sweep over the axes.
struct Sweep<'a, O: Oracle> {
    rule: &'a DerivativeFree,
    oracle: &'a O,
    /// F at the current θ.
    here: BoundedValue,
    /// θ + αd and d, in the storage of θ.
    candidate: O::Theta,
    axis: O::Theta,
    row: Iteration,
}

impl<O: Oracle> Sweep<'_, O> {
    /// Steps along ±dᵢ until a rejection, and adapts αᵢ. Returns the total step along dᵢ.
    fn along(
        &mut self,
        s: &mut DerivativeFreeState<O::Theta, O::State>,
        i: usize,
    ) -> Result<f64, Error> {
        let mut way = 0.0;
        for sign in [1.0, -1.0] {
            let mut alpha = s.axes[i].1;
            while self.accept(s, i, sign * alpha)? {
                way += sign * alpha;
                s.axes[i].1 = alpha;
                alpha *= 2.0;
            }
            if way != 0.0 {
                return Ok(way);
            }
        }
        s.axes[i].1 *= 0.5;
        Ok(0.0)
    }

    /// Moves by α along dᵢ if the required decrease is shown.
    fn accept(
        &mut self,
        s: &mut DerivativeFreeState<O::Theta, O::State>,
        i: usize,
        alpha: f64,
    ) -> Result<bool, Error> {
        let enough = self.rule.decrease * s.unit * (alpha / self.rule.initial_step).powi(2);
        self.axis.assign(&mut |j| s.axes[i].0[j]);
        self.candidate.copy_from(&s.theta);
        self.candidate.axpy(alpha, &self.axis);
        let mut trial = self.oracle.begin_trial(&s.oracle);
        let accepted = loop {
            self.row.trials += 1;
            let there = match self
                .oracle
                .value(&self.candidate, s.accuracy.epsilon, &mut trial)
            {
                Ok(there) => there,
                Err(Error::NotFinite { .. } | Error::InvalidArgument { .. }) => break None,
                Err(error) => return Err(error),
            };
            self.row.work += there.work;
            if there.value.upper <= self.here.lower - enough {
                break Some(there.value);
            }
            let width = |v: &BoundedValue| v.upper - v.lower;
            if there.value.lower > self.here.upper - enough
                || width(&there.value) + width(&self.here) <= self.rule.slack * enough
            {
                break None;
            }
            match self.rule.accuracy.tightened(s.accuracy, 1.0) {
                Some(tighter)
                    if there.status == SolveStatus::Converged
                        && there.value.trust != Trust::Unknown =>
                {
                    s.accuracy = tighter;
                }
                _ => {
                    s.floor = true;
                    break None;
                }
            }
            self.evaluate_here(s)?;
        };
        self.oracle
            .end_trial(&mut s.oracle, trial, accepted.is_some());
        if let Some(there) = accepted {
            self.here = there;
            s.theta.copy_from(&self.candidate);
            s.accuracy = s.accuracy.scaled(self.rule.accuracy.growth);
        }
        Ok(accepted.is_some())
    }

    /// Evaluates F at the current θ, to the current accuracy.
    fn evaluate_here(
        &mut self,
        s: &mut DerivativeFreeState<O::Theta, O::State>,
    ) -> Result<(), Error> {
        let here = self
            .oracle
            .value(&s.theta, s.accuracy.epsilon, &mut s.oracle)?;
        self.row.trials += 1;
        self.row.work += here.work;
        self.here = here.value;
        Ok(())
    }
}
