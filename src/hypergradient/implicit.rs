//! The hypergradient by implicit differentiation.
//!
//! ```text
//! solve A(x̃) q = ∇ₓf(x̃) to ‖A q − ∇ₓf‖ ≤ δ;   z = ∇θf(x̃) − B(x̃)ᵀ q
//! ```
//!
//! With x̃ = x* and δ = 0 this is ∇F(θ), because ∇ₓg(x*(θ), θ) = 0 gives dx*/dθ = −A⁻¹B.
//!
//! # Requirements on the problem
//! g twice continuously differentiable, A(x*) positive definite. Where the constants of
//! [`Curvature`](crate::Curvature) are supplied, the error is certified; where they are sampled, estimated.
//!
//! # Reference
//! F. Pedregosa: Hyperparameter optimization with approximate gradient. ICML 2016,
//! [arXiv:1602.02355](https://arxiv.org/abs/1602.02355).

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use super::bound::{BoundTerms, error_bound};
use super::{Accuracy, Bounded, Hypergradient, Trust};
use crate::error::Error;
use crate::linear::{LinearSolver, System};
use crate::lower::LowerReport;
use crate::problem::check::random;
use crate::problem::{Linearization, LowerLevel, UpperCurvature, UpperLevel};
use crate::status::SolveStatus;
use crate::vector::{Scratch, Vector};
use crate::work::Work;

/// Sampled constants are multiplied by this: a sample is never above what it samples.
const SAFETY: f64 = 2.0;
/// Random directions that changes of A, B and ∇f are sampled along, beside −∇ₓg, the likely direction of the error.
const PROBES: usize = 1;
/// Steps of the power iterations that estimate ‖B‖ and μ.
const POWER_STEPS: usize = 8;
/// Roundings that an entry of a product or of a gradient goes through.
const ROUNDINGS: f64 = 8.0;

/// F(θ) from f(x̃) and ‖x̃ − x*‖ ≤ ε.
///
/// ```text
/// F ≤ f(x̃) + ‖∇ₓf(x̃)‖ ε + (L_f/2) ε²        F ≥ f(x̃) − ‖∇ₓf(x̃)‖ ε  [− (L_f/2) ε² where f is not convex in x]
/// ```
#[allow(clippy::too_many_arguments)] // the quantities of the formula
fn bounded_value(
    f: f64,
    gradient_norm: f64,
    epsilon: f64,
    lipschitz: f64,
    convex: bool,
    unit_roundoff: f64,
    terms: f64,
    trust: Trust,
) -> Bounded {
    // A sum of n terms of one sign, in f64 and in lanes, is rounded by far less than √n/4 at each; each term by the storage.
    let rounding = (ROUNDINGS * unit_roundoff + 0.25 * f64::EPSILON * terms.sqrt()) * f.abs();
    let linear = gradient_norm * epsilon + rounding;
    let quadratic = 0.5 * lipschitz * epsilon * epsilon;
    Bounded {
        value: f,
        lower: f - linear - if convex { 0.0 } else { quadratic },
        upper: f + linear + quadratic,
        trust,
    }
}

/// The parts that an implicit hypergradient is computed from.
pub struct ImplicitParts<'a, P, U, L> {
    /// The lower level g.
    pub lower: &'a P,
    /// The upper level f.
    pub upper: &'a U,
    /// The solver of the adjoint system.
    pub linear_solver: &'a L,
    /// The trust that is wanted: it decides how the bound is computed.
    pub trust: Trust,
}

impl<P, U, L> ImplicitParts<'_, P, U, L>
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
    pub fn value(
        &self,
        theta: &P::Theta,
        x: &P::X,
        solved: &LowerReport,
        mu: Option<f64>,
        work: &mut Work,
        scratch: &mut Scratch<P::X>,
    ) -> Result<Bounded, Error> {
        let f = self.upper.value(x, theta);
        work.upper_values += 1;
        if !f.is_finite() {
            return Err(Error::NotFinite {
                function: "the value of the upper level",
            });
        }
        let mut gradient = scratch.take(x);
        self.upper.gradient_x(x, theta, &mut gradient);
        work.upper_gradients += 1;
        let result = self.bound_value(theta, x, f, &gradient, solved, mu, scratch);
        scratch.put(gradient);
        result
    }

    #[allow(clippy::too_many_arguments)] // one computation, split off to share it; the names are the formula's
    fn bound_value(
        &self,
        theta: &P::Theta,
        x: &P::X,
        f: f64,
        gradient: &P::X,
        solved: &LowerReport,
        mu: Option<f64>,
        scratch: &mut Scratch<P::X>,
    ) -> Result<Bounded, Error> {
        let known = self.upper.curvature(theta);
        let epsilon = match self.trust {
            Trust::Unknown => return Ok(Bounded::unknown(f)),
            Trust::Certified => solved.epsilon.ok_or_else(missing_mu)?,
            Trust::Estimated => match (solved.epsilon, mu) {
                (Some(epsilon), _) => epsilon,
                (None, Some(mu)) => solved.gradient_norm / mu,
                (None, None) => return Ok(Bounded::unknown(f)),
            },
        };
        let lipschitz = match (known.gradient_x_lipschitz, self.trust) {
            (Some(lipschitz), _) => lipschitz,
            (None, Trust::Certified) => {
                return Err(Error::MissingConstant {
                    constant: "L_f (UpperCurvature::gradient_x_lipschitz)",
                });
            }
            (None, _) => self.sample_gradient_lipschitz(theta, x, gradient, epsilon, scratch),
        };
        Ok(bounded_value(
            f,
            gradient.norm(),
            epsilon,
            lipschitz,
            known.convex,
            P::X::UNIT_ROUNDOFF,
            x.len() as f64,
            self.trust,
        ))
    }

    /// L_f from the change of ∇ₓf over a step of length ε along itself.
    fn sample_gradient_lipschitz(
        &self,
        theta: &P::Theta,
        x: &P::X,
        gradient: &P::X,
        epsilon: f64,
        scratch: &mut Scratch<P::X>,
    ) -> f64 {
        let norm = gradient.norm();
        if norm == 0.0 || epsilon == 0.0 {
            return 0.0;
        }
        let mut there = scratch.take(x);
        let mut change = scratch.take(x);
        there.copy_from(x);
        there.axpy(epsilon / norm, gradient);
        self.upper.gradient_x(&there, theta, &mut change);
        change.axpy(-1.0, gradient);
        let estimate = SAFETY * change.norm() / epsilon;
        scratch.put(there);
        scratch.put(change);
        estimate
    }

    /// The hypergradient at x̃; `adjoint` is the first guess of q on entry and q on return. Where μ had to be estimated, `mu`
    /// is the estimate on return.
    ///
    /// # Errors
    /// [`Error::NotFinite`], [`Error::MissingConstant`].
    pub fn hypergradient(
        &self,
        theta: &P::Theta,
        x: &P::X,
        solved: &LowerReport,
        delta: f64,
        adjoint: &mut P::X,
        mu: &mut Option<f64>,
        scratch: &mut Scratch<P::X>,
    ) -> Result<Hypergradient<P::Theta>, Error> {
        let mut work = Work::default();
        let f = self.upper.value(x, theta);
        let mut rhs = scratch.take(x);
        self.upper.gradient_x(x, theta, &mut rhs);
        work.upper_values += 1;
        work.upper_gradients += 1;
        let rhs_norm = rhs.norm();
        if !(f.is_finite() && rhs_norm.is_finite()) {
            return Err(Error::NotFinite {
                function: "the value or the gradient in x of the upper level",
            });
        }
        let at = self.lower.linearize(x, theta);
        let product = |v: &P::X, out: &mut P::X| at.hvp(v, out);
        let smoothness = self.lower.curvature(theta).smoothness;
        // The residual is computed with rounding errors of its own; they count against δ.
        let rounding = |q_norm: f64| {
            ROUNDINGS * P::X::UNIT_ROUNDOFF * (smoothness.unwrap_or(1.0) * q_norm + rhs_norm)
        };
        if !adjoint.is_finite() {
            adjoint.axpby(0.0, &rhs, 0.0);
        }
        let report = self.linear_solver.solve(
            &System {
                product: &product,
                preconditioner: None,
                rhs: &rhs,
                tolerance: (delta - rounding(adjoint.norm())).max(0.5 * delta),
            },
            adjoint,
            scratch,
        );
        work.linear_solves += 1;
        work.hessian_products += report.products;
        if !report.residual.is_finite() {
            return Err(Error::NotFinite {
                function: "a Hessian product of the lower level",
            });
        }
        let mut gradient = theta.clone();
        let mut product_theta = theta.clone();
        self.upper.gradient_theta(x, theta, &mut gradient);
        at.cross_vjp(adjoint, &mut product_theta);
        work.cross_products += 1;
        let gradient_theta_norm = gradient.norm();
        gradient.axpy(-1.0, &product_theta);
        if !gradient.is_finite() {
            return Err(Error::NotFinite {
                function: "a mixed product of the lower level or ∇θf",
            });
        }
        // What is certified about q rests on A ≻ 0: a direction of negative curvature refutes it.
        let indefinite = report.status == SolveStatus::NegativeCurvature
            || report
                .attempts
                .iter()
                .any(|a| a.status == SolveStatus::NegativeCurvature);
        let trust = if indefinite {
            Trust::Unknown
        } else {
            self.trust
        };
        let q_norm = adjoint.norm();
        let attained_delta = report.residual + rounding(q_norm);
        let attained = Accuracy {
            epsilon: solved.epsilon.unwrap_or(solved.gradient_norm),
            delta: attained_delta,
        };
        // ∇ₓg at x̃, for the goal-oriented value and as the likely direction of the error.
        let mut lower_gradient = scratch.take(x);
        self.lower.gradient(x, theta, &mut lower_gradient);
        work.lower_gradients += 1;
        let goal_oriented = f - adjoint.dot(&lower_gradient);
        let terms = match trust {
            Trust::Unknown => None,
            Trust::Certified => Some(self.certified(
                theta,
                &at,
                solved,
                attained,
                rhs_norm,
                adjoint,
                q_norm,
                &mut lower_gradient,
            )?),
            Trust::Estimated => Some(self.estimated(
                theta,
                x,
                &at,
                solved,
                attained,
                &rhs,
                adjoint,
                &lower_gradient,
                &mut work,
                scratch,
            )),
        };
        if solved.epsilon.is_none() {
            *mu = terms.as_ref().map(|t| t.mu);
        }
        let error_bound = match &terms {
            Some(terms) => {
                let rounding = ROUNDINGS
                    * P::X::UNIT_ROUNDOFF
                    * (terms.cross_norm * q_norm + gradient_theta_norm);
                error_bound(terms) + rounding
            }
            None => f64::INFINITY,
        };
        let value = if trust == Trust::Unknown {
            Bounded::unknown(f)
        } else {
            self.bound_value(theta, x, f, &rhs, solved, *mu, scratch)?
        };
        drop(at);
        scratch.put(rhs);
        scratch.put(lower_gradient);
        Ok(Hypergradient {
            gradient,
            error_bound,
            trust,
            value,
            goal_oriented,
            attained,
            lower_status: solved.status,
            adjoint_status: report.status,
            attempts: report.attempts,
            work,
        })
    }

    /// The terms of the bound from the constants that the problem supplies.
    #[allow(clippy::too_many_arguments)] // the quantities of the formula
    fn certified(
        &self,
        theta: &P::Theta,
        at: &impl Linearization<Theta = P::Theta, X = P::X>,
        solved: &LowerReport,
        attained: Accuracy,
        rhs_norm: f64,
        q: &P::X,
        q_norm: f64,
        room: &mut P::X,
    ) -> Result<BoundTerms, Error> {
        let known = self.lower.curvature(theta);
        let UpperCurvature {
            gradient_x_lipschitz,
            gradient_theta_lipschitz,
            ..
        } = self.upper.curvature(theta);
        let need = |constant: Option<f64>, name: &'static str| {
            constant.ok_or(Error::MissingConstant { constant: name })
        };
        let epsilon = solved.epsilon.ok_or_else(missing_mu)?;
        let mu = known.strong_convexity.ok_or_else(missing_mu)?;
        // L stands in the rounding error of the residuals.
        need(known.smoothness, "L (Curvature::smoothness)")?;
        let cross_change_norm =
            need(known.cross_lipschitz, "L_B (Curvature::cross_lipschitz)")? * epsilon;
        Ok(BoundTerms {
            epsilon,
            delta: attained.delta,
            mu,
            cross_norm: need(
                at.cross_norm(room).or(known.cross_norm),
                "a bound of ‖B‖ (Curvature::cross_norm)",
            )?,
            gradient_x_change: epsilon
                * need(
                    gradient_x_lipschitz,
                    "L_f (UpperCurvature::gradient_x_lipschitz)",
                )?,
            gradient_theta_change: epsilon
                * need(
                    gradient_theta_lipschitz,
                    "L_fθ (UpperCurvature::gradient_theta_lipschitz)",
                )?,
            hessian_change: match at.hessian_change(q, epsilon) {
                Some(change) => change,
                None => {
                    let constant = need(
                        known.hessian_lipschitz,
                        "L_A (Curvature::hessian_lipschitz)",
                    )?;
                    constant * epsilon * q_norm
                }
            },
            cross_change: at
                .cross_change(q, epsilon)
                .unwrap_or(cross_change_norm * q_norm),
            cross_change_norm,
            gradient_x_norm: rhs_norm,
        })
    }

    /// The terms of the bound from samples: changes over steps of length ε along likely and random directions, and power
    /// iterations for ‖B‖ and, where it is not supplied, μ.
    #[allow(clippy::too_many_arguments)] // the quantities of the formula
    fn estimated(
        &self,
        theta: &P::Theta,
        x: &P::X,
        at: &impl Linearization<Theta = P::Theta, X = P::X>,
        solved: &LowerReport,
        attained: Accuracy,
        rhs: &P::X,
        q: &P::X,
        lower_gradient: &P::X,
        work: &mut Work,
        scratch: &mut Scratch<P::X>,
    ) -> BoundTerms {
        let known = self.lower.curvature(theta);
        let mut rng = ChaCha8Rng::seed_from_u64(x.len() as u64);
        let mut aq = scratch.take(x);
        at.hvp(q, &mut aq);
        work.hessian_products += 1;
        let mu = known.strong_convexity.unwrap_or_else(|| {
            // q = A⁻¹∇ₓf is a step of inverse iteration, and free: its Rayleigh quotient sees small eigenvalues that a
            // power iteration is too short for.
            let of_q = match (q.dot(&aq), q.dot(q)) {
                (qaq, qq) if qaq > 0.0 && qq > 0.0 => qaq / qq,
                _ => f64::INFINITY,
            };
            of_q.min(self.estimate_mu(x, at, &mut rng, work, scratch)) / SAFETY
        });
        let epsilon = solved.epsilon.unwrap_or(solved.gradient_norm / mu);
        let mut there = scratch.take(x);
        let local_norm = at.cross_norm(&mut there);
        let cross_norm = local_norm.or(known.cross_norm).unwrap_or_else(|| {
            let mut u = random(theta, &mut rng);
            let mut bu = scratch.take(x);
            let mut norm = 0.0;
            for _ in 0..POWER_STEPS {
                let length = u.norm();
                if length == 0.0 {
                    break;
                }
                u.scale(1.0 / length);
                at.cross_jvp(&u, &mut bu);
                at.cross_vjp(&bu, &mut u);
                work.cross_products += 2;
                norm = bu.norm();
            }
            scratch.put(bu);
            SAFETY * norm
        });
        let mut out = scratch.take(x);
        let (mut btq, mut out_theta) = (theta.clone(), theta.clone());
        let mut f_theta = theta.clone();
        at.cross_vjp(q, &mut btq);
        self.upper.gradient_theta(x, theta, &mut f_theta);
        work.cross_products += 1;
        let mut largest = [0.0f64; 4];
        for probe in 0..=PROBES {
            if probe == 0 {
                there.axpby(-1.0, lower_gradient, 0.0);
            } else {
                there.copy_from(&random(x, &mut rng));
            }
            let length = there.norm();
            if length == 0.0 || epsilon == 0.0 {
                continue;
            }
            there.axpby(1.0, x, epsilon / length);
            let at_there = self.lower.linearize(&there, theta);
            at_there.hvp(q, &mut out);
            out.axpy(-1.0, &aq);
            largest[0] = largest[0].max(out.norm());
            at_there.cross_vjp(q, &mut out_theta);
            out_theta.axpy(-1.0, &btq);
            largest[1] = largest[1].max(out_theta.norm());
            self.upper.gradient_x(&there, theta, &mut out);
            out.axpy(-1.0, rhs);
            largest[2] = largest[2].max(out.norm());
            self.upper.gradient_theta(&there, theta, &mut out_theta);
            out_theta.axpy(-1.0, &f_theta);
            largest[3] = largest[3].max(out_theta.norm());
            work.hessian_products += 1;
            work.cross_products += 1;
            work.upper_gradients += 1;
        }
        for v in [there, out, aq] {
            scratch.put(v);
        }
        let q_norm = q.norm().max(f64::MIN_POSITIVE);
        let cross_change = SAFETY * largest[1];
        BoundTerms {
            epsilon,
            delta: attained.delta,
            mu,
            cross_norm,
            gradient_x_change: SAFETY * largest[2],
            gradient_theta_change: SAFETY * largest[3],
            hessian_change: SAFETY * largest[0],
            cross_change,
            cross_change_norm: cross_change / q_norm,
            gradient_x_norm: rhs.norm(),
        }
    }

    /// The smallest eigenvalue of A, from above: Rayleigh quotients of a power iteration on s I − A.
    fn estimate_mu(
        &self,
        x: &P::X,
        at: &impl Linearization<Theta = P::Theta, X = P::X>,
        rng: &mut ChaCha8Rng,
        work: &mut Work,
        scratch: &mut Scratch<P::X>,
    ) -> f64 {
        let mut v = random(x, rng);
        let mut av = scratch.take(x);
        let mut shift = 0.0f64;
        let mut smallest = f64::INFINITY;
        for step in 0..2 * POWER_STEPS {
            let length = v.norm();
            if length == 0.0 {
                break;
            }
            v.scale(1.0 / length);
            at.hvp(&v, &mut av);
            work.hessian_products += 1;
            let rayleigh = v.dot(&av);
            smallest = smallest.min(rayleigh);
            if step < POWER_STEPS {
                // First towards the largest eigenvalue, for the shift s.
                shift = shift.max(1.1 * av.norm());
                std::mem::swap(&mut v, &mut av);
                if step + 1 == POWER_STEPS {
                    v.copy_from(&random(x, rng));
                }
            } else {
                v.axpby(-1.0, &av, shift);
            }
        }
        scratch.put(av);
        smallest.max(f64::MIN_POSITIVE)
    }
}

fn missing_mu() -> Error {
    Error::MissingConstant {
        constant: "μ (Curvature::strong_convexity)",
    }
}
