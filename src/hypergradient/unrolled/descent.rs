//! Gradient descent on a lower level, as an iteration that can be unrolled.

use super::Dynamics;
use crate::error::{Error, positive};
use crate::problem::{Linearization, LowerLevel};
use crate::vector::{Scratch, Vector};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Buffers like x, and like θ.
type Buffers<P> = (
    Scratch<<P as LowerLevel>::X>,
    Scratch<<P as LowerLevel>::Theta>,
);

/// x ← x − α∇ₓg(x, θ), T times from the start of the lower level.
///
/// F_T converges to F as T grows, and its gradient to the implicit one, at the rate 1 − αμ.
#[doc(hidden)]
pub struct Descent<P: LowerLevel> {
    lower: P,
    step: f64,
    steps: usize,
    buffers: Mutex<Buffers<P>>,
}

impl<P: LowerLevel> Descent<P> {
    /// T = `steps` steps of length α = `step`, which should be below 2/L.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a step that is not positive.
    pub fn new(lower: P, step: f64, steps: usize) -> Result<Self, Error> {
        Ok(Descent {
            lower,
            step: positive("step", step)?,
            steps,
            buffers: Mutex::default(),
        })
    }

    /// The lower level.
    pub fn lower(&self) -> &P {
        &self.lower
    }

    fn free(&self) -> MutexGuard<'_, Buffers<P>> {
        // A panic in another thread leaves the lists of buffers valid.
        self.buffers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Buffers like x and like θ.
    fn take(&self, x: &P::X, theta: &P::Theta) -> (P::X, P::Theta) {
        let mut free = self.free();
        (free.0.take(x), free.1.take(theta))
    }

    fn put(&self, x: P::X, theta: P::Theta) {
        let mut free = self.free();
        free.0.put(x);
        free.1.put(theta);
    }
}

impl<P: LowerLevel> Dynamics for Descent<P> {
    type Theta = P::Theta;
    type State = P::X;

    fn steps(&self) -> usize {
        self.steps
    }

    fn start(&self) -> P::X {
        self.lower.start()
    }

    fn check(&self, theta: &P::Theta) -> Result<(), Error> {
        self.lower.check(theta)
    }

    fn step(&self, _t: usize, state: &mut P::X, theta: &P::Theta) {
        let (mut gradient, cross) = self.take(state, theta);
        self.lower.gradient(state, theta, &mut gradient);
        state.axpy(-self.step, &gradient);
        self.put(gradient, cross);
    }

    fn jvp(&self, _t: usize, state: &P::X, theta: &P::Theta, tangent: &mut P::X, u: &P::Theta) {
        let at = self.lower.linearize(state, theta);
        let (mut product, cross) = self.take(state, theta);
        at.hvp(tangent, &mut product);
        tangent.axpy(-self.step, &product);
        at.cross_jvp(u, &mut product);
        tangent.axpy(-self.step, &product);
        self.put(product, cross);
    }

    fn vjp(
        &self,
        _t: usize,
        state: &P::X,
        theta: &P::Theta,
        adjoint: &mut P::X,
        by_theta: &mut P::Theta,
    ) {
        let at = self.lower.linearize(state, theta);
        let (mut product, mut cross) = self.take(state, theta);
        at.cross_vjp(adjoint, &mut cross);
        by_theta.axpy(-self.step, &cross);
        at.hvp(adjoint, &mut product);
        adjoint.axpy(-self.step, &product);
        self.put(product, cross);
    }

    fn explain(&self, _t: usize, state: &P::X, theta: &P::Theta) -> Option<String> {
        self.lower.explain(state, theta)
    }

    fn identity(&self) -> String {
        format!(
            "{} steps of gradient descent of length {} on {}",
            self.steps,
            self.step,
            self.lower.identity()
        )
    }
}
