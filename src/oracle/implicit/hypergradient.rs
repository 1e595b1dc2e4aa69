//! The value and the hypergradient at a lower-level solution, with their bounds.

use super::point::{AdjointPoint, LowerPoint};
use super::{Implicit, newton_step, sampled};
use crate::error::Error;
use crate::hypergradient::bound::{BoundTerms, error_bound};
use crate::hypergradient::{Accuracy, BoundedValue, ErrorEstimator, Hypergradient, Trust};
use crate::linear::{LinearReport, LinearSolver, System};
use crate::problem::{Linearization, LowerLevel, UpperCurvature, UpperLevel};
use crate::status::SolveStatus;
use crate::vector::{Scratch, Vector};
use crate::work::Work;

/// The assumed number of roundings of an entry of a product or of a gradient.
const ROUNDINGS: f64 = 8.0;

impl<P, U, S, L> Implicit<P, U, S, L>
where
    P: LowerLevel,
    U: UpperLevel<Theta = P::Theta, X = P::X>,
    L: LinearSolver,
{
    /// The upper value at x̃, with bounds from the lower solver's report. `mu` is an estimate of μ, for estimated bounds where the
    /// problem does not supply it.
    ///
    /// # Errors
    /// [`Error::NotFinite`], [`Error::MissingConstant`].
    pub(super) fn value_at(
        &self,
        at: &LowerPoint<'_, P>,
        mu: Option<f64>,
        work: &mut Work,
        scratch: &mut Scratch<P::X>,
    ) -> Result<BoundedValue, Error> {
        let mut gradient = scratch.take(at.x);
        let result = self
            .upper_at(at, &mut gradient, work)
            .and_then(|(f, norm)| self.bound_value(at, f, &gradient, norm, mu, work, scratch));
        scratch.put(gradient);
        result
    }

    /// f(x̃) and ‖∇ₓf(x̃)‖, with the gradient left in `gradient`.
    pub(super) fn upper_at(
        &self,
        at: &LowerPoint<'_, P>,
        gradient: &mut P::X,
        work: &mut Work,
    ) -> Result<(f64, f64), Error> {
        let f = self.upper.value(at.x, at.theta);
        self.upper.gradient_x(at.x, at.theta, gradient);
        work.upper_values += 1;
        work.upper_gradients += 1;
        let norm = gradient.norm();
        if f.is_finite() && norm.is_finite() {
            Ok((f, norm))
        } else {
            Err(Error::NotFinite {
                function: "the value or the gradient in x of the upper level",
                cause: self.upper.explain(at.x, at.theta),
            })
        }
    }

    /// F(θ) from f(x̃) and ‖x̃ − x*‖ ≤ ε:
    ///
    /// ```text
    /// F ≤ f(x̃) + ‖∇ₓf(x̃)‖ ε + (L_f/2) ε²        F ≥ f(x̃) − ‖∇ₓf(x̃)‖ ε  [− (L_f/2) ε² where f is not convex in x]
    /// ```
    #[allow(clippy::too_many_arguments)] // the quantities of the formula
    fn bound_value(
        &self,
        at: &LowerPoint<'_, P>,
        f: f64,
        gradient: &P::X,
        gradient_norm: f64,
        mu: Option<f64>,
        work: &mut Work,
        scratch: &mut Scratch<P::X>,
    ) -> Result<BoundedValue, Error> {
        let known = self.upper.curvature(at.theta);
        let epsilon = match self.trust {
            Trust::Unknown => return Ok(BoundedValue::unknown(f)),
            Trust::Certified => at.solved.epsilon.ok_or_else(missing_mu)?,
            Trust::Estimated => match (at.solved.epsilon, mu) {
                (Some(epsilon), _) => epsilon,
                (None, Some(mu)) => at.solved.gradient_norm / mu,
                (None, None) => return Ok(BoundedValue::unknown(f)),
            },
        };
        let lipschitz = match (known.gradient_x_lipschitz, self.trust) {
            (Some(lipschitz), _) => lipschitz,
            (None, Trust::Certified) => return Err(missing(L_F)),
            (None, _) => {
                sampled::upper_lipschitz(&self.upper, at, gradient, epsilon, work, scratch)
            }
        };
        let linear = gradient_norm * epsilon + self.upper.value_rounding(at.x, at.theta, f);
        let quadratic = 0.5 * lipschitz * epsilon * epsilon;
        Ok(BoundedValue {
            value: f,
            lower: f - linear - if known.convex { 0.0 } else { quadratic },
            upper: f + linear + quadratic,
            trust: self.trust,
        })
    }

    /// The hypergradient at x̃; `adjoint` is the first guess of q on entry and q on return. Where μ has to be estimated, `mu`
    /// is the smallest estimate so far.
    ///
    /// # Errors
    /// [`Error::NotFinite`], [`Error::MissingConstant`].
    pub(super) fn hypergradient_at(
        &self,
        at: &LowerPoint<'_, P>,
        delta: f64,
        adjoint: &mut P::X,
        mu: &mut Option<f64>,
        scratch: &mut Scratch<P::X>,
    ) -> Result<Hypergradient<P::Theta>, Error> {
        let LowerPoint { theta, x, solved } = *at;
        let mut work = Work::default();
        let mut rhs = scratch.take(x);
        let (f, rhs_norm) = self.upper_at(at, &mut rhs, &mut work)?;
        let linearization = self.lower.linearize(x, theta);
        let smoothness = self.lower.curvature(theta).smoothness.unwrap_or(1.0);
        // The rounding errors of the computed residual count against δ.
        let rounding = |q: &P::X, q_norm: f64| {
            let terms = linearization.hvp_terms(q).unwrap_or(smoothness * q_norm);
            ROUNDINGS * P::X::UNIT_ROUNDOFF * (terms + rhs_norm)
        };
        if !adjoint.is_finite() {
            adjoint.axpby(0.0, &rhs, 0.0);
        }
        let precondition = |r: &P::X, out: &mut P::X| linearization.precondition(r, out);
        let report = self.linear_solver.solve(
            &System {
                product: &|v: &P::X, out: &mut P::X| linearization.hvp(v, out),
                preconditioner: linearization.has_preconditioner().then_some(&precondition),
                sparse: linearization.sparse(),
                rhs: &rhs,
                tolerance: (delta - rounding(adjoint, adjoint.norm()))
                    .max(0.5 * delta)
                    .min(MOST_RESIDUAL * rhs_norm),
            },
            adjoint,
            scratch,
        );
        if report.status == SolveStatus::NoMatrix {
            let expected = "a lower level with Linearization::sparse, of the size of x";
            return Err(Error::invalid("the Hessian", "no sparse matrix", expected));
        }
        work.linear_solves += 1;
        work.hessian_products += report.products + linearization.preparation();
        if !report.residual.is_finite() {
            return Err(Error::NotFinite {
                function: "a Hessian product of the lower level",
                cause: self.lower.explain(x, theta),
            });
        }
        let mut gradient = theta.clone();
        let mut product = theta.clone();
        self.upper.gradient_theta(x, theta, &mut gradient);
        linearization.cross_vjp(adjoint, &mut product);
        work.cross_products += 1;
        let gradient_theta_norm = gradient.norm();
        gradient.axpy(-1.0, &product);
        if !gradient.is_finite() {
            return Err(Error::NotFinite {
                function: "a mixed product of the lower level or ∇θf",
                cause: (self.lower.explain(x, theta)).or_else(|| self.upper.explain(x, theta)),
            });
        }
        // Taken here, so that it reuses a buffer of the linear solver.
        let mut lower_gradient = scratch.take(x);
        self.lower.gradient(x, theta, &mut lower_gradient);
        work.lower_gradients += 1;
        let goal_oriented = f - adjoint.dot(&lower_gradient);
        let q_norm = adjoint.norm();
        let found = AdjointPoint {
            q: adjoint,
            q_norm,
            rhs: &rhs,
            rhs_norm,
            delta: report.residual + rounding(adjoint, q_norm),
        };
        let trust = if is_indefinite(&report) {
            Trust::Unknown
        } else {
            self.trust
        };
        let better = match (trust, self.estimator) {
            (Trust::Estimated, ErrorEstimator::NewtonStep) => newton_step::corrected(
                &self.lower,
                &self.upper,
                at,
                &linearization,
                adjoint,
                &lower_gradient,
                &mut work,
                scratch,
            ),
            _ => None,
        };
        let terms = match trust {
            Trust::Unknown => None,
            _ if better.is_some() => None,
            Trust::Certified => {
                Some(self.certified(at, &linearization, &found, &mut lower_gradient)?)
            }
            Trust::Estimated => Some(sampled::bound_terms(
                &self.lower,
                &self.upper,
                at,
                &linearization,
                &found,
                &lower_gradient,
                mu,
                &mut work,
                scratch,
            )),
        };
        let attained = Accuracy {
            epsilon: solved.epsilon.unwrap_or(solved.gradient_norm),
            delta: found.delta,
        };
        let mut correction = None;
        let (error_bound, value) = match (&terms, better) {
            (_, Some(better)) => {
                gradient.axpby(better.share, &better.gradient, -better.share);
                let error = gradient.norm();
                let rounding = ROUNDINGS * P::X::UNIT_ROUNDOFF * better.gradient.norm();
                correction = Some(std::mem::replace(&mut gradient, better.gradient));
                (
                    error + rounding,
                    self.bound_value(at, f, &rhs, rhs_norm, *mu, &mut work, scratch)?,
                )
            }
            (Some(terms), None) => {
                let rounding = ROUNDINGS
                    * P::X::UNIT_ROUNDOFF
                    * (terms.cross_norm * q_norm + gradient_theta_norm);
                (
                    error_bound(terms) + rounding,
                    self.bound_value(at, f, &rhs, rhs_norm, *mu, &mut work, scratch)?,
                )
            }
            (None, None) => (f64::INFINITY, BoundedValue::unknown(f)),
        };
        drop(linearization);
        scratch.put(rhs);
        scratch.put(lower_gradient);
        Ok(Hypergradient {
            gradient,
            error_bound,
            trust,
            correction,
            value,
            goal_oriented,
            attained,
            lower_status: solved.status,
            adjoint_status: report.status,
            attempts: report.attempts,
            work,
        })
    }

    /// The terms of the bound from the constants that the problem supplies. `buffer` is overwritten.
    fn certified(
        &self,
        at: &LowerPoint<'_, P>,
        linearization: &impl Linearization<Theta = P::Theta, X = P::X>,
        found: &AdjointPoint<'_, P::X>,
        buffer: &mut P::X,
    ) -> Result<BoundTerms, Error> {
        let known = self.lower.curvature(at.theta);
        let UpperCurvature {
            gradient_x_lipschitz,
            gradient_theta_lipschitz,
            ..
        } = self.upper.curvature(at.theta);
        let need = |constant: Option<f64>, name| constant.ok_or_else(|| missing(name));
        let epsilon = at.solved.epsilon.ok_or_else(missing_mu)?;
        let mu = at.solved.strong_convexity.or(known.strong_convexity);
        let mu = mu.ok_or_else(missing_mu)?;
        // The rounding error of the residuals depends on L.
        need(known.smoothness, "L (Curvature::smoothness)")?;
        let cross_change_norm = match linearization.cross_change_norm(epsilon) {
            Some(change) => change,
            None => epsilon * need(known.cross_lipschitz, L_B)?,
        };
        let AdjointPoint { q, q_norm, .. } = *found;
        Ok(BoundTerms {
            delta: found.delta,
            mu,
            cross_norm: need(
                linearization.cross_norm(buffer).or(known.cross_norm),
                NORM_B,
            )?,
            gradient_x_change: epsilon * need(gradient_x_lipschitz, L_F)?,
            gradient_theta_change: epsilon * need(gradient_theta_lipschitz, L_F_THETA)?,
            hessian_change: match linearization.hessian_change(q, epsilon) {
                Some(change) => change,
                None => epsilon * q_norm * need(known.hessian_lipschitz, L_A)?,
            },
            cross_change: linearization
                .cross_change(q, epsilon)
                .unwrap_or(cross_change_norm * q_norm),
            cross_change_norm,
            gradient_x_norm: found.rhs_norm,
        })
    }
}

/// The largest residual of the adjoint relative to ‖∇ₓf‖, for any δ: q = 0 has the relative residual one, so a loose δ would give the
/// hypergradient of q = 0.
const MOST_RESIDUAL: f64 = 0.5;

const L_A: &str = "L_A (Curvature::hessian_lipschitz)";
const L_B: &str = "L_B (Curvature::cross_lipschitz)";
const NORM_B: &str = "a bound of ‖B‖ (Curvature::cross_norm)";
const L_F: &str = "L_f (UpperCurvature::gradient_x_lipschitz)";
const L_F_THETA: &str = "L_fθ (UpperCurvature::gradient_theta_lipschitz)";

fn missing(constant: &'static str) -> Error {
    Error::MissingConstant { constant }
}

fn missing_mu() -> Error {
    missing("μ (Curvature::strong_convexity)")
}

/// Whether the linear solver met negative curvature, which disproves A ≻ 0, the basis of every bound of q.
fn is_indefinite(report: &LinearReport) -> bool {
    report.status == SolveStatus::NegativeCurvature
        || report
            .attempts
            .iter()
            .any(|a| a.status == SolveStatus::NegativeCurvature)
}
