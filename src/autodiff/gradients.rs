//! The second rung: the gradients are written once, over any number; products with A and B come from dual numbers.
//!
//! ```text
//! ∇ₓg(x + εv, θ) = ∇ₓg + ε A v,    ∇ₓg(x, θ + εu) = ∇ₓg + ε B u,    ∇θg(x + εw, θ) = ∇θg + ε Bᵀw
//! ```

use std::marker::PhantomData;

use super::dual::Dual;
use super::number::{Number, Real};
use super::parts::{Part, PartMut};
use super::sheets::Rooms;
use crate::error::Error;
use crate::problem::minibatch::{Batch, MinibatchLower, MinibatchUpper, Products};
use crate::problem::{Curvature, Linearization, LowerLevel, UpperCurvature, UpperLevel};
use crate::simd::dispatch;

/// A level, a mean over samples, with its gradients, each written over any [`Number`].
///
/// [`Lower`] makes a lower level of it and [`Upper`] an upper one. A level that is no mean has one sample, and need not look at the batch.
/// The functions write into `out`, whose content on entry is unspecified.
pub trait Gradients: Send + Sync {
    /// The length of x.
    fn parameters(&self) -> usize;
    /// The length of θ.
    fn hyperparameters(&self) -> usize;
    /// The samples that the level is the mean over.
    fn samples(&self) -> usize {
        1
    }
    /// The first guess of x*. The default is 0.
    fn start(&self) -> Vec<f64> {
        vec![0.0; self.parameters()]
    }
    /// Refuses a θ outside the domain. The default wants its length, and finite numbers.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`].
    fn check(&self, theta: &[f64]) -> Result<(), Error> {
        check_entries(theta, self.hyperparameters())
    }
    /// The mean over the batch.
    fn value<S: Number>(&self, batch: Batch<'_>, x: &[S], theta: &[S]) -> S;
    /// out ← the derivative of [`value`](Gradients::value) in x.
    fn gradient<S: Number>(&self, batch: Batch<'_>, x: &[S], theta: &[S], out: &mut [S]);
    /// out ← that in θ.
    fn gradient_theta<S: Number>(&self, batch: Batch<'_>, x: &[S], theta: &[S], out: &mut [S]);
    /// [`gradient`](Gradients::gradient) with values and tangents apart: returns true where it wrote `out`, and false by default, where it is not
    /// given.
    ///
    /// A gradient that is short beside what it reads, as that of an image, makes products with A and B u half again to twice as fast so, for x
    /// and v are read where they are. Write it here then, and `gradient` by [`apart`](super::parts::apart).
    fn gradient_apart<S: Number>(
        &self,
        batch: Batch<'_>,
        x: Part<'_, S>,
        theta: &[S],
        out: PartMut<'_, S>,
    ) -> bool {
        let _ = (batch, x, theta, out);
        false
    }
    /// Both derivatives and the value. Override it where one pass gives all.
    fn gradients<S: Number>(
        &self,
        batch: Batch<'_>,
        x: &[S],
        theta: &[S],
        by_x: &mut [S],
        by_theta: &mut [S],
    ) -> S {
        self.gradient(batch, x, theta, by_x);
        self.gradient_theta(batch, x, theta, by_theta);
        self.value(batch, x, theta)
    }
    /// The constants that are known of it as a lower level; none by default.
    fn curvature(&self, theta: &[f64]) -> Curvature {
        let _ = theta;
        Curvature::default()
    }
    /// The constants that are known of it as an upper level; none by default.
    fn upper_curvature(&self, theta: &[f64]) -> UpperCurvature {
        let _ = theta;
        UpperCurvature::default()
    }
    /// What makes the value or a gradient infinite or NaN at (x, θ), as in `the loss of sample 17 is NaN`, where that can be told.
    fn explain(&self, x: &[f64], theta: &[f64]) -> Option<String> {
        let _ = (x, theta);
        None
    }
    /// What tells this level, data included, from another one when a checkpoint is resumed.
    fn identity(&self) -> String {
        std::any::type_name::<Self>().to_owned()
    }
}

/// Refuses a θ of another length than `expected`, and one with entries that are not finite.
pub(crate) fn check_entries(theta: &[f64], expected: usize) -> Result<(), Error> {
    if theta.len() != expected {
        let found = format!("{} numbers", theta.len());
        return Err(Error::invalid(
            "theta",
            found,
            format!("{expected} numbers"),
        ));
    }
    match theta.iter().position(|t| !t.is_finite()) {
        None => Ok(()),
        Some(i) => {
            let argument = format!("theta[{i}]");
            Err(Error::invalid(argument, theta[i], "a finite number"))
        }
    }
}

/// Both arguments and both gradients in numbers of one type.
#[derive(Default)]
struct Room<S: Number> {
    x: Vec<S>,
    theta: Vec<S>,
    by_x: Vec<S>,
    by_theta: Vec<S>,
    /// The values of ∇ₓg where its tangents are asked for, and zeros.
    values: Vec<S::Real>,
    zeros: Vec<S::Real>,
}

/// A level in numbers of type E: what [`Lower`] and [`Upper`] have in common.
struct Level<G, E> {
    gradients: G,
    rooms: Rooms,
    number: PhantomData<fn() -> E>,
}

fn fill<T, S: Copy + Default>(to: &mut Vec<S>, from: &[T], number: impl Fn(&T) -> S) {
    to.resize(from.len(), S::default());
    dispatch(
        #[inline(always)]
        || {
            for (to, from) in to.iter_mut().zip(from) {
                *to = number(from);
            }
        },
    );
}

fn copy<S: Copy, T>(from: &[S], to: &mut [T], part: impl Fn(S) -> T) {
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
fn along<E: Real>(x: &[E], v: &[E], to: &mut Vec<Dual<E>>) {
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
    fn new(gradients: G) -> Self {
        Level {
            gradients,
            rooms: Rooms::default(),
            number: PhantomData,
        }
    }

    fn all(&self) -> Batch<'static> {
        Batch::all(self.gradients.samples())
    }

    /// Calls `f` with room for numbers of type S, θ among them.
    fn with<S: Number, R>(&self, theta: &[f64], f: impl FnOnce(&mut Room<S>) -> R) -> R {
        self.rooms.with(|room: &mut Room<S>| {
            fill(&mut room.theta, theta, |&t| S::constant(t));
            room.by_theta.resize(theta.len(), S::default());
            f(room)
        })
    }

    fn value(&self, batch: Batch<'_>, x: &[E], theta: &[f64]) -> f64 {
        self.with(theta, |room: &mut Room<E>| {
            self.gradients.value(batch, x, &room.theta).value()
        })
    }

    fn gradient(&self, batch: Batch<'_>, x: &[E], theta: &[f64], out: &mut [E]) {
        self.with(theta, |room: &mut Room<E>| {
            self.gradients.gradient(batch, x, &room.theta, out);
        });
    }

    fn gradient_theta(&self, batch: Batch<'_>, x: &[E], theta: &[f64], out: &mut [f64]) {
        self.with(theta, |room: &mut Room<E>| {
            self.gradients
                .gradient_theta(batch, x, &room.theta, &mut room.by_theta);
            copy(&room.by_theta, out, |t| t.value());
        });
    }

    fn gradients(
        &self,
        batch: Batch<'_>,
        x: &[E],
        theta: &[f64],
        by_x: &mut [E],
        by_theta: &mut [f64],
    ) -> f64 {
        self.with(theta, |room: &mut Room<E>| {
            let Room {
                theta,
                by_theta: out,
                ..
            } = room;
            let value = self.gradients.gradients(batch, x, theta, by_x, out);
            copy(out, by_theta, |t| t.value());
            value.value()
        })
    }

    /// out ← A v.
    fn hvp(&self, batch: Batch<'_>, x: &[E], theta: &[f64], v: &[E], out: &mut [E]) {
        self.with(theta, |room| self.tangents(batch, x, Some(v), room, out));
    }

    /// out ← the tangents of ∇ₓg at x + vε and θ, at x itself where v is `None`.
    fn tangents(
        &self,
        batch: Batch<'_>,
        x: &[E],
        v: Option<&[E]>,
        room: &mut Room<Dual<E>>,
        out: &mut [E],
    ) {
        let v = v.unwrap_or_else(|| {
            room.zeros.resize(x.len(), E::default());
            &room.zeros
        });
        // Not with a vector of another length, which has no place in it.
        if v.len() == x.len() && out.len() == x.len() {
            room.values.resize(x.len(), E::default());
            let (at, to) = (Part::new(x, v), PartMut::new(&mut room.values, out));
            if self.gradients.gradient_apart(batch, at, &room.theta, to) {
                return;
            }
        }
        along(x, v, &mut room.x);
        room.by_x.resize(x.len(), Dual::default());
        self.gradients
            .gradient(batch, &room.x, &room.theta, &mut room.by_x);
        copy(&room.by_x, out, |d| d.eps);
    }

    /// out ← Bᵀw.
    fn cross_vjp(&self, batch: Batch<'_>, x: &[E], theta: &[f64], w: &[E], out: &mut [f64]) {
        self.with(theta, |room: &mut Room<Dual<E>>| {
            along(x, w, &mut room.x);
            self.gradients
                .gradient_theta(batch, &room.x, &room.theta, &mut room.by_theta);
            copy(&room.by_theta, out, |d| d.eps.value());
        });
    }

    /// out ← B u.
    fn cross_jvp(&self, batch: Batch<'_>, x: &[E], theta: &[f64], u: &[f64], out: &mut [E]) {
        self.with(theta, |room: &mut Room<Dual<E>>| {
            for (theta, &u) in room.theta.iter_mut().zip(u) {
                theta.eps = E::constant(u);
            }
            self.tangents(batch, x, None, room, out);
        });
    }

    fn explain(&self, x: &[E], theta: &[f64]) -> Option<String> {
        let x: Vec<f64> = x.iter().map(|x| x.value()).collect();
        self.gradients.explain(&x, theta)
    }

    fn identity(&self) -> String {
        format!("{} in {}", self.gradients.identity(), E::NAME)
    }
}

/// The lower level of which [`Gradients`] are given, with x in `f64` or `f32`.
pub struct Lower<G, E = f64>(Level<G, E>);

impl<G: Gradients, E: Real> Lower<G, E> {
    /// The level of these gradients.
    pub fn new(gradients: G) -> Self {
        Lower(Level::new(gradients))
    }

    /// The gradients.
    pub fn gradients(&self) -> &G {
        &self.0.gradients
    }

    /// The gradients, taken back.
    pub fn into_gradients(self) -> G {
        self.0.gradients
    }
}

impl<G: Gradients, E: Real> LowerLevel for Lower<G, E> {
    type Theta = Vec<f64>;
    type X = Vec<E>;

    fn start(&self) -> Vec<E> {
        let start = self.gradients().start();
        start.into_iter().map(E::constant).collect()
    }

    fn check(&self, theta: &Vec<f64>) -> Result<(), Error> {
        self.gradients().check(theta)
    }

    fn value(&self, x: &Vec<E>, theta: &Vec<f64>) -> f64 {
        self.0.value(self.0.all(), x, theta)
    }

    fn gradient(&self, x: &Vec<E>, theta: &Vec<f64>, out: &mut Vec<E>) {
        self.0.gradient(self.0.all(), x, theta, out);
    }

    fn linearize<'a>(
        &'a self,
        x: &'a Vec<E>,
        theta: &'a Vec<f64>,
    ) -> impl Linearization<Theta = Vec<f64>, X = Vec<E>> + 'a {
        At {
            level: &self.0,
            x,
            theta,
        }
    }

    fn curvature(&self, theta: &Vec<f64>) -> Curvature {
        self.gradients().curvature(theta)
    }

    fn explain(&self, x: &Vec<E>, theta: &Vec<f64>) -> Option<String> {
        self.0.explain(x, theta)
    }

    fn identity(&self) -> String {
        self.0.identity()
    }
}

struct At<'a, G, E> {
    level: &'a Level<G, E>,
    x: &'a [E],
    theta: &'a [f64],
}

impl<G: Gradients, E: Real> Linearization for At<'_, G, E> {
    type Theta = Vec<f64>;
    type X = Vec<E>;

    fn hvp(&self, v: &Vec<E>, out: &mut Vec<E>) {
        let all = self.level.all();
        self.level.hvp(all, self.x, self.theta, v, out);
    }

    fn cross_vjp(&self, w: &Vec<E>, out: &mut Vec<f64>) {
        let all = self.level.all();
        self.level.cross_vjp(all, self.x, self.theta, w, out);
    }

    fn cross_jvp(&self, u: &Vec<f64>, out: &mut Vec<E>) {
        let all = self.level.all();
        self.level.cross_jvp(all, self.x, self.theta, u, out);
    }
}

impl<G: Gradients, E: Real> MinibatchLower for Lower<G, E> {
    fn samples(&self) -> usize {
        self.gradients().samples()
    }

    fn batch_gradient(&self, batch: Batch<'_>, x: &Vec<E>, theta: &Vec<f64>, out: &mut Vec<E>) {
        self.0.gradient(batch, x, theta, out);
    }

    fn batch_gradient_theta(
        &self,
        batch: Batch<'_>,
        x: &Vec<E>,
        theta: &Vec<f64>,
        out: &mut Vec<f64>,
    ) {
        self.0.gradient_theta(batch, x, theta, out);
    }

    fn batch_hvp(
        &self,
        batch: Batch<'_>,
        x: &Vec<E>,
        theta: &Vec<f64>,
        v: &Vec<E>,
        out: &mut Vec<E>,
    ) {
        self.0.hvp(batch, x, theta, v, out);
    }

    fn batch_cross_vjp(
        &self,
        batch: Batch<'_>,
        x: &Vec<E>,
        theta: &Vec<f64>,
        v: &Vec<E>,
        out: &mut Vec<f64>,
    ) {
        self.0.cross_vjp(batch, x, theta, v, out);
    }

    fn batch_all(
        &self,
        batch: Batch<'_>,
        x: &Vec<E>,
        theta: &Vec<f64>,
        v: &Vec<E>,
        out: Products<'_, Vec<E>, Vec<f64>>,
    ) {
        self.0.with(theta, |room: &mut Room<Dual<E>>| {
            let Room {
                x: point,
                theta,
                by_x,
                by_theta,
                ..
            } = room;
            let given = self.gradients();
            along(x, v, point);
            let (at, to) = (Part::new(x, v), PartMut::new(out.gradient, out.hvp));
            if given.gradient_apart(batch, at, theta, to) {
                given.gradient_theta(batch, point, theta, by_theta);
            } else {
                by_x.resize(x.len(), Dual::default());
                given.gradients(batch, point, theta, by_x, by_theta);
                copy(by_x, out.gradient, |d| d.re);
                copy(by_x, out.hvp, |d| d.eps);
            }
            copy(by_theta, out.cross, |d| d.eps.value());
        });
    }
}

/// The upper level of which [`Gradients`] are given, with x in `f64` or `f32`.
pub struct Upper<G, E = f64>(Level<G, E>);

impl<G: Gradients, E: Real> Upper<G, E> {
    /// The level of these gradients.
    pub fn new(gradients: G) -> Self {
        Upper(Level::new(gradients))
    }

    /// The gradients.
    pub fn gradients(&self) -> &G {
        &self.0.gradients
    }
}

impl<G: Gradients, E: Real> UpperLevel for Upper<G, E> {
    type Theta = Vec<f64>;
    type X = Vec<E>;

    fn value(&self, x: &Vec<E>, theta: &Vec<f64>) -> f64 {
        self.0.value(self.0.all(), x, theta)
    }

    fn gradient_x(&self, x: &Vec<E>, theta: &Vec<f64>, out: &mut Vec<E>) {
        self.0.gradient(self.0.all(), x, theta, out);
    }

    fn gradient_theta(&self, x: &Vec<E>, theta: &Vec<f64>, out: &mut Vec<f64>) {
        self.0.gradient_theta(self.0.all(), x, theta, out);
    }

    fn curvature(&self, theta: &Vec<f64>) -> UpperCurvature {
        self.gradients().upper_curvature(theta)
    }

    fn explain(&self, x: &Vec<E>, theta: &Vec<f64>) -> Option<String> {
        self.0.explain(x, theta)
    }

    fn identity(&self) -> String {
        self.0.identity()
    }
}

impl<G: Gradients, E: Real> MinibatchUpper for Upper<G, E> {
    fn samples(&self) -> usize {
        self.gradients().samples()
    }

    fn batch_value(&self, batch: Batch<'_>, x: &Vec<E>, theta: &Vec<f64>) -> f64 {
        self.0.value(batch, x, theta)
    }

    fn batch_gradients(
        &self,
        batch: Batch<'_>,
        x: &Vec<E>,
        theta: &Vec<f64>,
        by_x: &mut Vec<E>,
        by_theta: &mut Vec<f64>,
    ) {
        self.0.gradients(batch, x, theta, by_x, by_theta);
    }
}
