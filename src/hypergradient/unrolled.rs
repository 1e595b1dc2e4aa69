//! The hypergradient through a training run: through all steps of an iteration, or through the last ones.
//!
//! ```text
//! s₀ given,   s_{t+1} = Φ_t(s_t, θ)   for t = 0 … T−1,      F_T(θ) = f(s_T(θ), θ)
//!
//! forward:   ṡ_{t+1} = ∂ₛΦ_t ṡ_t + ∂θΦ_t u           dF_T/du = ⟨∇ₛf, ṡ_T⟩ + ⟨∇θf, u⟩            one tangent ṡ per hyperparameter
//! reverse:   θ̄ ← θ̄ + (∂θΦ_t)ᵀ s̄_{t+1},   s̄_t = (∂ₛΦ_t)ᵀ s̄_{t+1}      from s̄_T = ∇ₛf, θ̄ = ∇θf;  ∇F_T = θ̄
//! ```
//!
//! It is the exact gradient of F_T, the criterion after T steps from s₀, and not of F, the criterion at a minimiser. Neither convexity nor a
//! minimiser is required; schedules, momentum, early stopping and targets that change during training are part of Φ.
//!
//! | mode | cost, in steps | states in memory | bias |
//! |---|---|---|---|
//! | [`Mode::Forward`] | T (1 + 2p) for p hyperparameters | p + 2 | none |
//! | [`Mode::Reverse`] with T checkpoints | about 4T | T + 2 | none |
//! | [`Mode::Reverse`] with c checkpoints | 4T and [recomputed](recomputation) steps | c + 3 | none |
//! | [`Mode::Truncated`] to K steps | T + 3K and recomputed steps | c + 3 | Σ_{t < T−K}, the contribution of earlier steps: where Φ contracts, it decreases like the K-th power of the contraction rate |
//! | [`Mode::OneStep`] | T + 3 | 3 | that of K = 1, of the order of the contraction rate: for fast (Newton-like) Φ only |
//!
//! A step forward counts as a lower gradient, a product with ∂Φ or its transpose as a Hessian and a mixed product.
//!
//! # References
//! L. Franceschi, M. Donini, P. Frasconi, M. Pontil: Forward and reverse gradient-based hyperparameter optimization. ICML 2017,
//! [arXiv:1703.01785](https://arxiv.org/abs/1703.01785). A. Shaban, C.-A. Cheng, N. Hatch, B. Boots: Truncated back-propagation for bilevel
//! optimization. AISTATS 2019, [arXiv:1810.10667](https://arxiv.org/abs/1810.10667). J. Bolte, E. Pauwels, S. Vaiter: One-step
//! differentiation of iterative algorithms. NeurIPS 2023, [arXiv:2305.13768](https://arxiv.org/abs/2305.13768). The checkpoints: see
//! [`recomputation`].

mod check;
mod descent;
mod revolve;

pub use check::check_dynamics;
pub use descent::Descent;
pub use revolve::recomputation;

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::parallel;
use crate::problem::UpperLevel;
use crate::vector::{Scratch, Vector};
use crate::work::Work;

/// An iteration s ← Φ_t(s, θ): a training run. The state holds everything that changes during the run.
///
/// Φ must depend on its arguments alone: a random batch is a function of t and a seed, so that a recomputed step gives the same bits.
/// [`check_dynamics`] tests the derivatives.
pub trait Dynamics: Send + Sync {
    /// The type of θ.
    type Theta: Vector;
    /// The type of the state: the weights of a model, momenta, targets.
    type State: Vector;

    /// T.
    fn steps(&self) -> usize;
    /// s₀.
    fn start(&self) -> Self::State;
    /// Refuses a θ of the wrong length or outside the domain.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`].
    fn check(&self, theta: &Self::Theta) -> Result<(), Error>;
    /// state ← Φ_t(state, θ).
    fn step(&self, t: usize, state: &mut Self::State, theta: &Self::Theta);
    /// tangent ← ∂ₛΦ_t tangent + ∂θΦ_t u, at the state before the step.
    fn jvp(
        &self,
        t: usize,
        state: &Self::State,
        theta: &Self::Theta,
        tangent: &mut Self::State,
        u: &Self::Theta,
    );
    /// `by_theta` ← `by_theta` + (∂θΦ_t)ᵀ adjoint, then adjoint ← (∂ₛΦ_t)ᵀ adjoint, at the state before the step.
    fn vjp(
        &self,
        t: usize,
        state: &Self::State,
        theta: &Self::Theta,
        adjoint: &mut Self::State,
        by_theta: &mut Self::Theta,
    );
    /// The reason why Φ_t is infinite or NaN at a state, where it is known.
    fn explain(&self, t: usize, state: &Self::State, theta: &Self::Theta) -> Option<String> {
        let _ = (t, state, theta);
        None
    }
    /// Identifies this iteration, data included; resuming a checkpoint of another one is refused.
    fn identity(&self) -> String {
        std::any::type_name::<Self>().to_owned()
    }
}

/// The differentiation of a run. See the [module](self) for costs and biases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// One tangent per hyperparameter, in parallel: for few hyperparameters.
    Forward,
    /// Backwards through all steps.
    Reverse {
        /// The maximum number of stored states, at least 1; with at least as many as steps, nothing is recomputed.
        checkpoints: usize,
    },
    /// Backwards through the last steps only.
    Truncated {
        /// K, at least 1.
        steps: usize,
        /// As for [`Mode::Reverse`].
        checkpoints: usize,
    },
    /// Backwards through the last step only.
    OneStep,
}

impl Mode {
    /// Whether the result is the gradient of `F_T` up to rounding.
    pub fn is_exact(self, steps: usize) -> bool {
        match self {
            Mode::Forward | Mode::Reverse { .. } => true,
            Mode::Truncated { steps: last, .. } => last >= steps,
            Mode::OneStep => steps <= 1,
        }
    }

    /// The number of differentiated last steps, and the number of useful checkpoints.
    fn reversed(self, steps: usize) -> (usize, usize) {
        let last = match self {
            Mode::Forward | Mode::Reverse { .. } => steps,
            Mode::Truncated { steps: last, .. } => last.min(steps),
            Mode::OneStep => steps.min(1),
        };
        (last, self.checkpoints().min(last.max(1)))
    }

    fn checkpoints(self) -> usize {
        match self {
            Mode::Reverse { checkpoints } | Mode::Truncated { checkpoints, .. } => checkpoints,
            Mode::Forward | Mode::OneStep => 1,
        }
    }

    pub(crate) fn check(self) -> Result<(), Error> {
        if self.checkpoints() == 0 {
            return Err(Error::invalid("checkpoints", 0, "at least 1"));
        }
        match self {
            Mode::Truncated { steps: 0, .. } => Err(Error::invalid("mode.steps", 0, "at least 1")),
            _ => Ok(()),
        }
    }
}

/// The result of a differentiated run.
#[doc(hidden)]
#[derive(Debug, Clone, PartialEq)]
pub struct Differentiated<T> {
    /// `F_T`(θ).
    pub value: f64,
    /// Its gradient, exact or biased according to the mode.
    pub gradient: T,
    /// The work done.
    pub work: Work,
    /// The largest number of stored states at a time, besides the current one and its adjoint or tangents.
    pub kept: usize,
}

/// A run to differentiate: an iteration, and the criterion at its end.
#[doc(hidden)]
pub struct Rollout<'a, D, U> {
    /// Φ.
    pub dynamics: &'a D,
    /// f.
    pub upper: &'a U,
}

impl<D, U> Rollout<'_, D, U>
where
    D: Dynamics,
    U: UpperLevel<Theta = D::Theta, X = D::State>,
{
    /// state ← s_to, from s_from.
    fn advance(
        &self,
        state: &mut D::State,
        (from, to): (usize, usize),
        theta: &D::Theta,
        work: &mut Work,
    ) {
        for t in from..to {
            self.dynamics.step(t, state, theta);
        }
        work.lower_gradients += (to - from) as u64;
    }

    /// s_T.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a θ outside the domain, [`Error::NotFinite`], which names the step.
    pub fn run(&self, theta: &D::Theta, work: &mut Work) -> Result<D::State, Error> {
        self.dynamics.check(theta)?;
        let mut state = self.dynamics.start();
        self.advance(&mut state, (0, self.dynamics.steps()), theta, work);
        work.lower_solves += 1;
        if state.is_finite() {
            Ok(state)
        } else {
            Err(self.not_finite(theta))
        }
    }

    /// `F_T`(θ).
    ///
    /// # Errors
    /// Those of [`run`](Rollout::run), and [`Error::NotFinite`] for its criterion.
    pub fn value(&self, theta: &D::Theta, work: &mut Work) -> Result<f64, Error> {
        let state = self.run(theta, work)?;
        let value = self.upper.value(&state, theta);
        work.upper_values += 1;
        if value.is_finite() {
            Ok(value)
        } else {
            Err(self.upper_not_finite(&state, theta))
        }
    }

    /// `F_T` and its gradient.
    ///
    /// # Errors
    /// [`Error::NotFinite`], and [`Error::InvalidArgument`] for a θ outside the domain and a mode without checkpoints or steps.
    pub fn differentiate(
        &self,
        theta: &D::Theta,
        mode: Mode,
    ) -> Result<Differentiated<D::Theta>, Error> {
        mode.check()?;
        self.dynamics.check(theta)?;
        let result = match mode {
            Mode::Forward => self.forward(theta)?,
            mode => self.reverse(theta, mode)?,
        };
        if result.gradient.is_finite() {
            Ok(result)
        } else {
            // The run itself is finite.
            Err(Error::NotFinite {
                function: "the derivative of the training run",
                cause: Some(
                    "the run is, so its steps expand: with shorter ones, or with the last of them alone, the derivative is smaller"
                        .to_owned(),
                ),
            })
        }
    }

    /// f, ∇ₛf and ∇θf at s_T.
    fn upper_at(
        &self,
        state: &D::State,
        theta: &D::Theta,
        adjoint: &mut D::State,
        by_theta: &mut D::Theta,
        work: &mut Work,
    ) -> Result<f64, Error> {
        if !state.is_finite() {
            return Err(self.not_finite(theta));
        }
        let value = self.upper.value(state, theta);
        self.upper.gradient_x(state, theta, adjoint);
        self.upper.gradient_theta(state, theta, by_theta);
        work.upper_values += 1;
        work.upper_gradients += 1;
        if value.is_finite() && adjoint.is_finite() && by_theta.is_finite() {
            Ok(value)
        } else {
            Err(self.upper_not_finite(state, theta))
        }
    }

    fn forward(&self, theta: &D::Theta) -> Result<Differentiated<D::Theta>, Error> {
        let mut work = Work::default();
        let mut state = self.dynamics.start();
        let mut tangents: Vec<(D::Theta, D::State)> = (0..theta.len())
            .map(|k| {
                let mut unit = theta.zeros_like();
                unit.assign(&mut |i| f64::from(u8::from(i == k)));
                (unit, state.zeros_like())
            })
            .collect();
        for t in 0..self.dynamics.steps() {
            parallel::for_each(&mut tangents, |_, (unit, tangent)| {
                self.dynamics.jvp(t, &state, theta, tangent, unit);
            });
            self.advance(&mut state, (t, t + 1), theta, &mut work);
            work.hessian_products += tangents.len() as u64;
            work.cross_products += tangents.len() as u64;
        }
        work.lower_solves += 1;
        let (mut by_state, mut gradient) = (state.zeros_like(), theta.zeros_like());
        let value = self.upper_at(&state, theta, &mut by_state, &mut gradient, &mut work)?;
        let along: Vec<f64> = tangents.iter().map(|(_, t)| by_state.dot(t)).collect();
        let mut total = theta.zeros_like();
        total.assign(&mut |k| along[k]);
        gradient.axpy(1.0, &total);
        Ok(Differentiated {
            value,
            gradient,
            work,
            kept: 0,
        })
    }

    /// Backwards through the last steps. The stored states form a stack: the top one is the nearest before the next step to reverse.
    fn reverse(&self, theta: &D::Theta, mode: Mode) -> Result<Differentiated<D::Theta>, Error> {
        let steps = self.dynamics.steps();
        let (last, checkpoints) = mode.reversed(steps);
        let mut work = Work::default();
        let mut scratch = Scratch::default();
        let mut state = self.dynamics.start();
        let first = steps - last;
        self.advance(&mut state, (0, first), theta, &mut work);
        work.lower_solves += 1;
        let (mut adjoint, mut gradient) = (state.zeros_like(), theta.zeros_like());
        if last == 0 {
            let value = self.upper_at(&state, theta, &mut adjoint, &mut gradient, &mut work)?;
            return Ok(Differentiated {
                value,
                gradient,
                work,
                kept: 0,
            });
        }
        let mut value = f64::NAN;
        let mut kept = 1;
        let mut stack = vec![(first, state)];
        let mut end = steps;
        while end > first {
            let free = checkpoints - stack.len();
            let Some((from, nearest)) = stack.pop() else {
                break;
            };
            let moving = if from + 1 == end {
                nearest
            } else {
                let mut moving = scratch.take(&nearest);
                moving.copy_from(&nearest);
                stack.push((from, nearest));
                let to = match free {
                    0 => end - 1,
                    free => from + revolve::advance(end - from, free + 1),
                };
                self.advance(&mut moving, (from, to), theta, &mut work);
                if free > 0 {
                    stack.push((to, moving));
                    kept = kept.max(stack.len());
                    continue;
                }
                moving
            };
            if end == steps {
                let mut over = scratch.take(&moving);
                over.copy_from(&moving);
                self.advance(&mut over, (end - 1, end), theta, &mut work);
                value = self.upper_at(&over, theta, &mut adjoint, &mut gradient, &mut work)?;
                scratch.put(over);
            }
            self.dynamics
                .vjp(end - 1, &moving, theta, &mut adjoint, &mut gradient);
            work.hessian_products += 1;
            work.cross_products += 1;
            scratch.put(moving);
            end -= 1;
        }
        Ok(Differentiated {
            value,
            gradient,
            work,
            kept,
        })
    }

    /// The error of a run whose state is not finite, with the first such step.
    fn not_finite(&self, theta: &D::Theta) -> Error {
        let mut state = self.dynamics.start();
        let mut before = state.clone();
        for t in 0..self.dynamics.steps() {
            before.copy_from(&state);
            self.dynamics.step(t, &mut state, theta);
            if !state.is_finite() {
                let mut cause = format!(
                    "it is not after step {} of {}",
                    t + 1,
                    self.dynamics.steps()
                );
                if let Some(more) = self.dynamics.explain(t, &before, theta) {
                    cause = format!("{cause}: {more}");
                }
                return Error::NotFinite {
                    function: "the state of the training run",
                    cause: Some(cause),
                };
            }
        }
        Error::NotFinite {
            function: "the state of the training run",
            cause: None,
        }
    }

    fn upper_not_finite(&self, state: &D::State, theta: &D::Theta) -> Error {
        Error::NotFinite {
            function: "the value or a gradient of the upper level",
            cause: self.upper.explain(state, theta),
        }
    }
}
