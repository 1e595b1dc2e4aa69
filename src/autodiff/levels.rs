//! [`Lower`] and [`Upper`]: levels from [`Gradients`], with products by dual numbers.
//!
//! ```text
//! ∇ₓg(x + εv, θ) = ∇ₓg + ε A v,    ∇ₓg(x, θ + εu) = ∇ₓg + ε B u,    ∇θg(x + εw, θ) = ∇θg + ε Bᵀw
//! ```

mod products;

use products::{Arguments, Level, along, copy, real, tangent, tangent_f64};

use super::dual::Dual;
use super::gradients::Gradients;
use super::loss::{SampleLoss, Taped};
use super::number::Real;
use super::parts::{Part, PartMut};
use crate::error::Error;
use crate::problem::minibatch::{Batch, MinibatchLower, MinibatchUpper, Products};
use crate::problem::{Curvature, Linearization, LowerLevel, UpperCurvature, UpperLevel};

/// The lower level with this loss: gradients by reverse mode, products with A and B by dual numbers over it.
///
/// x is in `f64`; for `f32`, write `Lower::<_, f32>::new(Taped::new(loss))`.
pub fn lower<L: SampleLoss>(loss: L) -> Lower<Taped<L>> {
    Lower::new(Taped::new(loss))
}

/// The upper level with this loss: gradients by reverse mode.
///
/// x is in `f64`; for `f32`, write `Upper::<_, f32>::new(Taped::new(loss))`.
pub fn upper<L: SampleLoss>(loss: L) -> Upper<Taped<L>> {
    Upper::new(Taped::new(loss))
}

/// The lower level with these [`Gradients`], and x in `f64` or `f32`.
pub struct Lower<G, E = f64>(Level<G, E>);

impl<G: Gradients, E: Real> Lower<G, E> {
    /// The level with these gradients.
    pub fn new(gradients: G) -> Self {
        Lower(Level::new(gradients))
    }

    /// The gradients.
    pub fn gradients(&self) -> &G {
        &self.0.gradients
    }

    /// Returns the gradients.
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
        self.0.with(theta, |buffer: &mut Arguments<Dual<E>>| {
            let Arguments {
                x: point,
                theta,
                by_x,
                by_theta,
                ..
            } = buffer;
            let given = self.gradients();
            along(x, v, point);
            let (at, to) = (Part::new(x, v), PartMut::new(out.gradient, out.hvp));
            if given.gradient_apart(batch, at, theta, to) {
                given.gradient_theta(batch, point, theta, by_theta);
            } else {
                by_x.resize(x.len(), Dual::default());
                given.gradients(batch, point, theta, by_x, by_theta);
                copy(by_x, out.gradient, real);
                copy(by_x, out.hvp, tangent);
            }
            copy(by_theta, out.cross, tangent_f64);
        });
    }
}

/// The upper level with these [`Gradients`], and x in `f64` or `f32`.
pub struct Upper<G, E = f64>(Level<G, E>);

impl<G: Gradients, E: Real> Upper<G, E> {
    /// The level with these gradients.
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
