//! Both levels of a problem whose losses are finite sums, with calls that count their work.

use super::iterate::{Directions, Iterate};
use crate::linear::LinearSolver;
use crate::lower::LowerSolver;
use crate::oracle::{Implicit, Oracle};
use crate::problem::LowerLevel;
use crate::problem::minibatch::{Batch, MinibatchLower, MinibatchUpper, Products};
use crate::vector::Vector;
use crate::work::Work;

pub(super) type LowerOf<O> = <O as MinibatchOracle>::Lower;
pub(super) type XOf<O> = <LowerOf<O> as LowerLevel>::X;
pub(super) type ThetaOf<O> = <LowerOf<O> as LowerLevel>::Theta;

/// An oracle whose levels are finite sums.
#[doc(hidden)]
pub trait MinibatchOracle: Oracle<Theta = <Self::Lower as LowerLevel>::Theta> {
    /// The lower level.
    type Lower: MinibatchLower + ?Sized;
    /// The upper level.
    type Upper: MinibatchUpper<
            Theta = <Self::Lower as LowerLevel>::Theta,
            X = <Self::Lower as LowerLevel>::X,
        > + ?Sized;
    /// The levels.
    fn levels(&self) -> Levels<'_, Self::Lower, Self::Upper>;
    /// A state whose warm starts are x and v.
    fn state_with(&self, x: &XOf<Self>, v: &XOf<Self>) -> Self::State;
    /// The x of a state, and its adjoint once there was a hypergradient.
    fn x_of<'a>(&self, state: &'a Self::State) -> (&'a XOf<Self>, Option<&'a XOf<Self>>);
}

impl<P, U, S, L> MinibatchOracle for Implicit<P, U, S, L>
where
    P: MinibatchLower,
    U: MinibatchUpper<Theta = P::Theta, X = P::X>,
    S: LowerSolver,
    L: LinearSolver,
{
    type Lower = P;
    type Upper = U;

    fn levels(&self) -> Levels<'_, P, U> {
        Levels {
            lower: self.lower(),
            upper: self.upper(),
        }
    }

    fn state_with(&self, x: &P::X, v: &P::X) -> Self::State {
        Implicit::state_with(self, x, v)
    }

    fn x_of<'a>(&self, state: &'a Self::State) -> (&'a P::X, Option<&'a P::X>) {
        (state.x(), state.adjoint())
    }
}

/// Both levels of a problem, with calls that count their work.
#[doc(hidden)]
pub struct Levels<'a, P: ?Sized, U: ?Sized> {
    /// g.
    pub lower: &'a P,
    /// f.
    pub upper: &'a U,
}

impl<P: ?Sized, U: ?Sized> Clone for Levels<'_, P, U> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<P: ?Sized, U: ?Sized> Copy for Levels<'_, P, U> {}

impl<P, U> Levels<'_, P, U>
where
    P: MinibatchLower + ?Sized,
    U: MinibatchUpper<Theta = P::Theta, X = P::X> + ?Sized,
{
    /// out ← ∇ₓg.
    pub fn gradient(
        &self,
        batch: Batch<'_>,
        x: &P::X,
        theta: &P::Theta,
        out: &mut P::X,
        work: &mut Work,
    ) {
        self.lower.batch_gradient(batch, x, theta, out);
        work.lower_gradients += 1;
        work.lower_samples += batch.len() as u64;
    }

    /// out ← ∇θg.
    pub fn gradient_theta(
        &self,
        batch: Batch<'_>,
        x: &P::X,
        theta: &P::Theta,
        out: &mut P::Theta,
        work: &mut Work,
    ) {
        self.lower.batch_gradient_theta(batch, x, theta, out);
        work.lower_gradients += 1;
        work.lower_samples += batch.len() as u64;
    }

    /// out ← A v.
    pub fn hvp(
        &self,
        batch: Batch<'_>,
        x: &P::X,
        theta: &P::Theta,
        v: &P::X,
        out: &mut P::X,
        work: &mut Work,
    ) {
        self.lower.batch_hvp(batch, x, theta, v, out);
        work.hessian_products += 1;
        work.lower_samples += batch.len() as u64;
    }

    /// out ← Bᵀv.
    pub fn cross_vjp(
        &self,
        batch: Batch<'_>,
        x: &P::X,
        theta: &P::Theta,
        v: &P::X,
        out: &mut P::Theta,
        work: &mut Work,
    ) {
        self.lower.batch_cross_vjp(batch, x, theta, v, out);
        work.cross_products += 1;
        work.lower_samples += batch.len() as u64;
    }

    /// by_x ← ∇ₓf, by_theta ← ∇θf.
    pub fn upper_gradients(
        &self,
        batch: Batch<'_>,
        x: &P::X,
        theta: &P::Theta,
        by_x: &mut P::X,
        by_theta: &mut P::Theta,
        work: &mut Work,
    ) {
        self.upper.batch_gradients(batch, x, theta, by_x, by_theta);
        work.upper_gradients += 1;
        work.upper_samples += batch.len() as u64;
    }

    /// d ← (d_x, d_v, d_θ) at the iterate on the batches with these numbers, in one pass over each batch.
    pub fn directions(
        &self,
        at: &mut Iterate<P::Theta, P::X>,
        [lower, upper]: [usize; 2],
        d: &mut Directions<P::Theta, P::X>,
    ) {
        let batches = [at.lower.batch(lower), at.upper.batch(upper)];
        self.directions_at(batches, [&at.x, &at.v], &at.theta, d, &mut at.work);
    }

    /// d ← (d_x, d_v, d_θ) at any x, v and θ.
    pub fn directions_at(
        &self,
        [lower, upper]: [Batch<'_>; 2],
        [x, v]: [&P::X; 2],
        theta: &P::Theta,
        d: &mut Directions<P::Theta, P::X>,
        work: &mut Work,
    ) {
        self.parts_at([lower, upper], [x, v], theta, d, work);
        d.v.axpy(-1.0, &d.upper_x);
        d.theta.axpy(-1.0, &d.cross);
    }

    /// The parts of the directions: d holds ∇ₓg in `x`, A v in `v`, Bᵀv in `cross`, ∇ₓf in `upper_x` and ∇θf in `theta`.
    pub(super) fn parts_at(
        &self,
        [lower, upper]: [Batch<'_>; 2],
        [x, v]: [&P::X; 2],
        theta: &P::Theta,
        d: &mut Directions<P::Theta, P::X>,
        work: &mut Work,
    ) {
        let products = Products {
            gradient: &mut d.x,
            hvp: &mut d.v,
            cross: &mut d.cross,
        };
        self.lower.batch_all(lower, x, theta, v, products);
        work.lower_gradients += 1;
        work.hessian_products += 1;
        work.cross_products += 1;
        work.lower_samples += 3 * lower.len() as u64;
        self.upper_gradients(upper, x, theta, &mut d.upper_x, &mut d.theta, work);
    }

    /// x ← x − step·∇ₓg(x, θ; ξ) on a new batch.
    pub fn step_x(&self, at: &mut Iterate<P::Theta, P::X>, step: f64) {
        let mut gradient = at.take_x();
        let number = at.lower.draw();
        let batch = at.lower.batch(number);
        self.gradient(batch, &at.x, &at.theta, &mut gradient, &mut at.work);
        at.x.axpy(-step, &gradient);
        at.put_x(gradient);
    }
}
