//! AccBO: accelerated bilevel optimisation for F whose smoothness grows with its gradient.
//!
//! ```text
//! y₀ ← T steps of SGD on g(·, θ₀);   x ← y₀
//! ȳ ← y + α(y − y⁻);   y⁻ ← y;   y ← ȳ − γₖ ∇ₓg(ȳ, θ; ξ);   x ← (1 − τ)x + τ y          stochastic Nesterov steps, averaged
//! v ← v − νₖ (A(x, θ; ξ̂) v − ∇ₓf(x, θ; ξ'))
//! m ← d(x, v, θ; ξ'') + β(m − d(x⁻, v⁻, θ⁻; ξ''))                                          m = d at k = 0
//! θ ← θ − ηₖ m/‖m‖                       d(x, v, θ; ξ) = ∇θf(x, θ; ξ) − B(x, θ; ξ)ᵀv
//! ```
//!
//! (x⁻, v⁻, θ⁻) is the point of the last evaluation of d. The recursive momentum computes both of its directions on the same batch, so their
//! noise cancels up to the change of the iterates, which normalisation keeps small. γₖ = γ₀/(1+k/κ)^¼, νₖ is a multiple of γₖ, and
//! ηₖ = η₀/(k+1)^⅔ is a length.
//!
//! # Where this departs from the paper
//! The paper estimates A⁻¹∇ₓf anew in every iteration by a truncated Neumann series on Q batches, whose bias remains. Here v follows A⁻¹∇ₓf
//! by one step of SGD, as in SLIP: one product with A instead of Q, and a bias that vanishes. The authors' program computes the two
//! directions of the recursion on two batches; we use one batch, as the text does, without which nothing cancels. Steps decay by default,
//! because the constant ones of the theory depend on the target accuracy.
//!
//! # Assumptions
//! The assumptions of BO-REP, for every sample and not only for the mean. Then ‖∇F‖ ≤ ε after Õ(ε⁻³) calls where the noise of the lower level is of
//! the size ε; the proof is for the series.
//!
//! # Cost
//! An iteration: one gradient of g, one product with A, two with Bᵀ, three gradients of f. At the start: T gradients of g. Memory: nine
//! vectors like x, seven like θ.
//!
//! # Reference
//! X. Gong, J. Hao, M. Liu: An accelerated algorithm for stochastic bilevel optimization under unbounded smoothness. NeurIPS 2024,
//! [arXiv:2409.19212](https://arxiv.org/abs/2409.19212).

use serde::{Deserialize, Serialize};

use super::iterate::{Iterate, MethodMemory};
use super::levels::Levels;
use super::method::Method;
use super::parts::{Sgd, adjoint_step, momentum, normalised_step, weight};
use super::steps::{StepDefaults, StepSizes};
use super::storm::recur;
use crate::error::{Error, positive};
use crate::problem::minibatch::{Batch, MinibatchLower, MinibatchUpper};
use crate::vector::Vector;
use crate::work::Work;

/// Normalised recursive momentum, and Nesterov steps with averaging. See the [module](self).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AccBo {
    /// T: steps of SGD on x at θ₀ (default 200).
    pub warm_start: u64,
    /// β, at least 0 and below 1 (default 0.9).
    pub momentum: f64,
    /// α: Nesterov's extrapolation factor, at least 0 and below 1 (default 0.9).
    pub extrapolation: f64,
    /// τ: the weight of the new y in the average x, above 0 and at most 1 (default 0.5).
    pub averaging: f64,
    /// νₖ/γₖ (default 1).
    pub adjoint_ratio: f64,
}

impl Default for AccBo {
    fn default() -> Self {
        AccBo {
            warm_start: 200,
            momentum: 0.9,
            extrapolation: 0.9,
            averaging: 0.5,
            adjoint_ratio: 1.0,
        }
    }
}

/// The memory of [`AccBo`].
#[doc(hidden)]
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct AccBoMemory<T: Vector, X: Vector> {
    /// m.
    m: T,
    /// y and y⁻.
    y: X,
    y_before: X,
    /// x⁻, v⁻ and θ⁻.
    x: X,
    v: X,
    theta: T,
}

impl<T: Vector, X: Vector> MethodMemory<T, X> for AccBoMemory<T, X> {
    fn new(at: &Iterate<T, X>) -> Self {
        AccBoMemory {
            m: at.theta.zeros_like(),
            y: at.x.clone(),
            y_before: at.x.clone(),
            x: at.x.clone(),
            v: at.v.clone(),
            theta: at.theta.clone(),
        }
    }
}

/// out ← ∇θf(x, θ; ξ') − B(x, θ; ξ)ᵀv.
fn direction<P, U>(
    levels: Levels<'_, P, U>,
    [lower, upper]: [Batch<'_>; 2],
    [x, v]: [&P::X; 2],
    theta: &P::Theta,
    out: &mut P::Theta,
    (by_x, cross): (&mut P::X, &mut P::Theta),
    work: &mut Work,
) where
    P: MinibatchLower + ?Sized,
    U: MinibatchUpper<Theta = P::Theta, X = P::X> + ?Sized,
{
    levels.upper_gradients(upper, x, theta, by_x, out, work);
    levels.cross_vjp(lower, x, theta, v, cross, work);
    out.axpy(-1.0, cross);
}

impl Method for AccBo {
    type Memory<T: Vector, X: Vector> = AccBoMemory<T, X>;

    fn name(&self) -> String {
        "AccBO".into()
    }

    fn check(&self) -> Result<(), Error> {
        momentum("momentum", self.momentum)?;
        momentum("extrapolation", self.extrapolation)?;
        weight("averaging", self.averaging)?;
        positive("adjoint_ratio", self.adjoint_ratio).map(|_| ())
    }

    fn scale(&self) -> StepDefaults {
        StepDefaults::normalised()
    }

    fn start<P, U>(
        &self,
        levels: Levels<'_, P, U>,
        at: &mut Iterate<P::Theta, P::X>,
        now: StepSizes,
    ) -> AccBoMemory<P::Theta, P::X>
    where
        P: MinibatchLower + ?Sized,
        U: MinibatchUpper<Theta = P::Theta, X = P::X> + ?Sized,
    {
        Sgd {
            steps: self.warm_start,
            step: now.lower,
            radius: None,
            average: false,
        }
        .run(levels, at);
        MethodMemory::new(at)
    }

    fn iterate<P, U>(
        &self,
        levels: Levels<'_, P, U>,
        at: &mut Iterate<P::Theta, P::X>,
        s: &mut AccBoMemory<P::Theta, P::X>,
        now: StepSizes,
    ) where
        P: MinibatchLower + ?Sized,
        U: MinibatchUpper<Theta = P::Theta, X = P::X> + ?Sized,
    {
        // y⁻ becomes ȳ, and then the new y.
        s.y_before
            .axpby(1.0 + self.extrapolation, &s.y, -self.extrapolation);
        let mut buffer = at.take_x();
        let number = at.lower.draw();
        let batch = at.lower.batch(number);
        levels.gradient(batch, &s.y_before, &at.theta, &mut buffer, &mut at.work);
        s.y_before.axpy(-now.lower, &buffer);
        std::mem::swap(&mut s.y, &mut s.y_before);
        at.x.axpby(self.averaging, &s.y, 1.0 - self.averaging);

        adjoint_step(levels, at, self.adjoint_ratio * now.lower);

        let mut here = at.take_theta();
        let mut there = at.take_theta();
        let mut cross = at.take_theta();
        let [lower, upper] = at.draw();
        let batches = [at.lower.batch(lower), at.upper.batch(upper)];
        let (point, buffers) = ([&at.x, &at.v], (&mut buffer, &mut cross));
        direction(
            levels,
            batches,
            point,
            &at.theta,
            &mut here,
            buffers,
            &mut at.work,
        );
        if now.k == 0 {
            s.m.copy_from(&here);
        } else {
            let (point, buffers) = ([&s.x, &s.v], (&mut buffer, &mut cross));
            direction(
                levels,
                batches,
                point,
                &s.theta,
                &mut there,
                buffers,
                &mut at.work,
            );
            recur(&mut s.m, 1.0 - self.momentum, &here, &there);
        }
        s.x.copy_from(&at.x);
        s.v.copy_from(&at.v);
        s.theta.copy_from(&at.theta);
        at.put_x(buffer);
        at.put_theta(here);
        at.put_theta(there);
        at.put_theta(cross);
        normalised_step(&mut at.theta, now.upper, &s.m);
        at.note(&s.m);
    }
}
