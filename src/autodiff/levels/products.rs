//! Values, gradients and products of a level from its [`Gradients`], with the buffers that they need.

use std::marker::PhantomData;

use crate::autodiff::buffers::Buffers;
use crate::autodiff::dual::Dual;
use crate::autodiff::gradients::Gradients;
use crate::autodiff::number::{Number, Real};
use crate::autodiff::parts::{Part, PartMut};
use crate::problem::minibatch::Batch;
use crate::simd::dispatch;

/// Buffers for both arguments and both gradients, in numbers of one type.
#[derive(Default)]
pub(super) struct Arguments<S: Number> {
    pub(super) x: Vec<S>,
    pub(super) theta: Vec<S>,
    pub(super) by_x: Vec<S>,
    pub(super) by_theta: Vec<S>,
    /// The values of ∇ₓg that come with wanted tangents, and zeros.
    values: Vec<S::Real>,
    zeros: Vec<S::Real>,
}

/// A level in numbers of type E: the common part of [`Lower`](super::Lower) and [`Upper`](super::Upper).
pub(super) struct Level<G, E> {
    pub(super) gradients: G,
    buffers: Buffers,
    number: PhantomData<fn() -> E>,
}

// The conversions below are functions and not closures: a closure would have the type of the level, and its loop would be compiled for each.

fn fill<T: Copy, S: Copy + Default>(to: &mut Vec<S>, from: &[T], number: impl Fn(T) -> S) {
    to.resize(from.len(), S::default());
    copy(from, to, number);
}

#[inline(always)]
pub(super) fn real<E: Real>(d: Dual<E>) -> E {
    d.re
}

#[inline(always)]
pub(super) fn tangent<E: Real>(d: Dual<E>) -> E {
    d.eps
}

#[inline(always)]
pub(super) fn tangent_f64<E: Real>(d: Dual<E>) -> f64 {
    d.eps.value()
}

pub(super) fn copy<S: Copy, T>(from: &[S], to: &mut [T], part: impl Fn(S) -> T) {
    dispatch(
        #[inline(always)]
        || {
            for (to, &from) in to.iter_mut().zip(from) {
                *to = part(from);
            }
        },
    );
}

/// to ← x + vε.
pub(super) fn along<E: Real>(x: &[E], v: &[E], to: &mut Vec<Dual<E>>) {
    to.resize(x.len(), Dual::default());
    dispatch(
        #[inline(always)]
        || {
            for ((to, &x), &v) in to.iter_mut().zip(x).zip(v) {
                *to = Dual::new(x, v);
            }
        },
    );
}

impl<G: Gradients, E: Real> Level<G, E> {
    pub(super) fn new(gradients: G) -> Self {
        Level {
            gradients,
            buffers: Buffers::default(),
            number: PhantomData,
        }
    }

    pub(super) fn all(&self) -> Batch<'static> {
        Batch::all(self.gradients.samples())
    }

    /// Calls `f` with buffers for numbers of type S, of which `theta` holds θ.
    pub(super) fn with<S: Number, R>(
        &self,
        theta: &[f64],
        f: impl FnOnce(&mut Arguments<S>) -> R,
    ) -> R {
        self.buffers.with(|buffer: &mut Arguments<S>| {
            fill(&mut buffer.theta, theta, S::constant);
            buffer.by_theta.resize(theta.len(), S::default());
            f(buffer)
        })
    }

    pub(super) fn value(&self, batch: Batch<'_>, x: &[E], theta: &[f64]) -> f64 {
        self.with(theta, |buffer: &mut Arguments<E>| {
            self.gradients.value(batch, x, &buffer.theta).value()
        })
    }

    pub(super) fn gradient(&self, batch: Batch<'_>, x: &[E], theta: &[f64], out: &mut [E]) {
        self.with(theta, |buffer: &mut Arguments<E>| {
            self.gradients.gradient(batch, x, &buffer.theta, out);
        });
    }

    pub(super) fn gradient_theta(&self, batch: Batch<'_>, x: &[E], theta: &[f64], out: &mut [f64]) {
        self.with(theta, |buffer: &mut Arguments<E>| {
            self.gradients
                .gradient_theta(batch, x, &buffer.theta, &mut buffer.by_theta);
            copy(&buffer.by_theta, out, E::value);
        });
    }

    pub(super) fn gradients(
        &self,
        batch: Batch<'_>,
        x: &[E],
        theta: &[f64],
        by_x: &mut [E],
        by_theta: &mut [f64],
    ) -> f64 {
        self.with(theta, |buffer: &mut Arguments<E>| {
            let Arguments {
                theta,
                by_theta: out,
                ..
            } = buffer;
            let value = self.gradients.gradients(batch, x, theta, by_x, out);
            copy(out, by_theta, E::value);
            value.value()
        })
    }

    /// out ← A v.
    pub(super) fn hvp(&self, batch: Batch<'_>, x: &[E], theta: &[f64], v: &[E], out: &mut [E]) {
        self.with(theta, |buffer| {
            self.tangents(batch, x, Some(v), buffer, out)
        });
    }

    /// out ← the tangents of ∇ₓg at x + vε and θ; without v, at x.
    fn tangents(
        &self,
        batch: Batch<'_>,
        x: &[E],
        v: Option<&[E]>,
        buffer: &mut Arguments<Dual<E>>,
        out: &mut [E],
    ) {
        let v = v.unwrap_or_else(|| {
            buffer.zeros.resize(x.len(), E::default());
            &buffer.zeros
        });
        // Parts have no place for a vector of another length.
        if v.len() == x.len() && out.len() == x.len() {
            buffer.values.resize(x.len(), E::default());
            let (at, to) = (Part::new(x, v), PartMut::new(&mut buffer.values, out));
            if self.gradients.gradient_apart(batch, at, &buffer.theta, to) {
                return;
            }
        }
        along(x, v, &mut buffer.x);
        buffer.by_x.resize(x.len(), Dual::default());
        self.gradients
            .gradient(batch, &buffer.x, &buffer.theta, &mut buffer.by_x);
        copy(&buffer.by_x, out, tangent);
    }

    /// out ← Bᵀw.
    pub(super) fn cross_vjp(
        &self,
        batch: Batch<'_>,
        x: &[E],
        theta: &[f64],
        w: &[E],
        out: &mut [f64],
    ) {
        self.with(theta, |buffer: &mut Arguments<Dual<E>>| {
            along(x, w, &mut buffer.x);
            self.gradients
                .gradient_theta(batch, &buffer.x, &buffer.theta, &mut buffer.by_theta);
            copy(&buffer.by_theta, out, tangent_f64);
        });
    }

    /// out ← B u.
    pub(super) fn cross_jvp(
        &self,
        batch: Batch<'_>,
        x: &[E],
        theta: &[f64],
        u: &[f64],
        out: &mut [E],
    ) {
        self.with(theta, |buffer: &mut Arguments<Dual<E>>| {
            for (theta, &u) in buffer.theta.iter_mut().zip(u) {
                theta.eps = E::constant(u);
            }
            self.tangents(batch, x, None, buffer, out);
        });
    }

    pub(super) fn explain(&self, x: &[E], theta: &[f64]) -> Option<String> {
        let x: Vec<f64> = x.iter().map(|x| x.value()).collect();
        self.gradients.explain(&x, theta)
    }

    pub(super) fn identity(&self) -> String {
        format!("{} in {}", self.gradients.identity(), E::NAME)
    }
}
