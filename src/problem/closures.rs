//! Levels from closures over slices, which the types of other crates view without a copy.
//!
//! ```text
//! g(x, θ),  ∇ₓg(x, θ);   A v,  Bᵀw,  B u        lower(…).products(…)
//! f(x),  ∇ₓf(x)                                  upper(…)
//! ```
//!
//! A ridge regression, g = ½‖Mx − y‖² + ½ e^θ ‖x‖² and f = ½‖x − z‖², in the types of nalgebra:
//!
//! ```
//! use bilevel::problem::closures::{lower, upper};
//! use bilevel::{Implicit, Maid, Run, Status, Trust};
//! use nalgebra::{DMatrix, DVector, DVectorView as V, DVectorViewMut as Out};
//!
//! let m = DMatrix::from_row_slice(3, 2, &[1.0, 0.2, -0.4, 1.5, 0.3, 0.8]);
//! let (y, z, n) = (DVector::from_vec(vec![1.0, 2.0, 0.5]), DVector::from_vec(vec![0.5, 0.9]), 2);
//! let a = m.tr_mul(&m);
//! let oracle = Implicit::new(
//!     lower(
//!         vec![0.0; 2], 1,
//!         |x, t| 0.5 * (&m * V::from_slice(x, n) - &y).norm_squared() + 0.5 * t[0].exp() * V::from_slice(x, n).norm_squared(),
//!         |x, t, out| { let x = V::from_slice(x, n); Out::from_slice(out, n).copy_from(&(m.tr_mul(&(&m * x - &y)) + t[0].exp() * x)) },
//!     )
//!     .products(
//!         |_, t, v, out| { let v = V::from_slice(v, n); Out::from_slice(out, n).copy_from(&(&a * v + t[0].exp() * v)) },
//!         |x, t, w, out| out[0] = t[0].exp() * V::from_slice(x, n).dot(&V::from_slice(w, n)),
//!         |x, t, u, out| Out::from_slice(out, n).copy_from(&(V::from_slice(x, n) * (t[0].exp() * u[0]))),
//!     ),
//!     upper(
//!         |x| 0.5 * (V::from_slice(x, n) - &z).norm_squared(),
//!         |x, out| Out::from_slice(out, n).copy_from(&(V::from_slice(x, n) - &z)),
//!     ),
//! )
//! .with_trust(Trust::Estimated);
//! let report = Run::new(&oracle, Maid::default()).start(vec![0.0])?;
//! assert_eq!(report.status, Status::Converged);
//! # Ok::<(), bilevel::Error>(())
//! ```
//!
//! A gradient in the types of faer, and in those of ndarray:
//!
//! ```
//! use faer::{ColMut, ColRef, Mat, Scale};
//!
//! let m = Mat::from_fn(3, 2, |i, j| (i + 2 * j) as f64);
//! let gradient = |x: &[f64], theta: &[f64], out: &mut [f64]| {
//!     let x = ColRef::from_slice(x);
//!     ColMut::from_slice_mut(out).copy_from(m.transpose() * (&m * x) + Scale(theta[0].exp()) * x);
//! };
//! # let mut out = [0.0; 2];
//! # gradient(&[1.0, 1.0], &[0.0], &mut out);
//! # assert_eq!(out, [17.0, 41.0]);
//! ```
//!
//! ```
//! use ndarray::{ArrayView1, ArrayViewMut1, array};
//!
//! let m = array![[1.0, 0.0], [2.0, 1.0]];
//! let gradient = |x: &[f64], theta: &[f64], out: &mut [f64]| {
//!     let x = ArrayView1::from(x);
//!     ArrayViewMut1::from(out).assign(&(m.t().dot(&m.dot(&x)) + &x * theta[0].exp()));
//! };
//! # let mut out = [0.0; 2];
//! # gradient(&[1.0, 1.0], &[0.0], &mut out);
//! # assert_eq!(out, [8.0, 4.0]);
//! ```
//!
//! Test the closures with [`check_lower`](crate::check_lower) and [`check_upper`](crate::check_upper) first. With [`autodiff`](crate::autodiff)
//! you write a loss or a gradient, and no products.

use super::{Curvature, Linearization, LowerLevel, UpperCurvature, UpperLevel};
use crate::autodiff::check_entries;
use crate::error::Error;

/// g and ∇ₓg as closures. [`products`](Function::products) completes them to a lower level.
pub struct Function<V, G> {
    start: Vec<f64>,
    hyperparameters: usize,
    value: V,
    gradient: G,
}

/// A lower level from closures. See the [module](self).
pub struct Lower<V, G, H, W, U, C> {
    function: Function<V, G>,
    hvp: H,
    cross_vjp: W,
    cross_jvp: U,
    curvature: C,
}

/// An upper level from closures. It depends on θ only through x.
pub struct Upper<V, G> {
    value: V,
    gradient: G,
    curvature: UpperCurvature,
}

/// g(x, θ) and its gradient (x, θ, out), for a first guess of x and a number of hyperparameters. Closures overwrite `out`, whose content on
/// entry is unspecified.
pub fn lower<V, G>(start: Vec<f64>, hyperparameters: usize, value: V, gradient: G) -> Function<V, G>
where
    V: Fn(&[f64], &[f64]) -> f64 + Send + Sync,
    G: Fn(&[f64], &[f64], &mut [f64]) + Send + Sync,
{
    Function {
        start,
        hyperparameters,
        value,
        gradient,
    }
}

/// f(x) and its gradient (x, out).
pub fn upper<V, G>(value: V, gradient: G) -> Upper<V, G>
where
    V: Fn(&[f64]) -> f64 + Send + Sync,
    G: Fn(&[f64], &mut [f64]) + Send + Sync,
{
    Upper {
        value,
        gradient,
        curvature: UpperCurvature::default(),
    }
}

/// No constant is known.
fn unknown(_theta: &[f64]) -> Curvature {
    Curvature::default()
}

impl<V, G> Function<V, G> {
    /// The lower level with the products A v, Bᵀw and B u, each a closure of (x, θ, vector, out).
    pub fn products<H, W, U>(
        self,
        hvp: H,
        cross_vjp: W,
        cross_jvp: U,
    ) -> Lower<V, G, H, W, U, impl Fn(&[f64]) -> Curvature + Send + Sync>
    where
        H: Fn(&[f64], &[f64], &[f64], &mut [f64]) + Send + Sync,
        W: Fn(&[f64], &[f64], &[f64], &mut [f64]) + Send + Sync,
        U: Fn(&[f64], &[f64], &[f64], &mut [f64]) + Send + Sync,
    {
        Lower {
            function: self,
            hvp,
            cross_vjp,
            cross_jvp,
            curvature: unknown,
        }
    }
}

impl<V, G, H, W, U, C> Lower<V, G, H, W, U, C> {
    /// Adds the constants behind certificates, as a function of θ.
    pub fn with_curvature<D>(self, curvature: D) -> Lower<V, G, H, W, U, D>
    where
        D: Fn(&[f64]) -> Curvature + Send + Sync,
    {
        Lower {
            function: self.function,
            hvp: self.hvp,
            cross_vjp: self.cross_vjp,
            cross_jvp: self.cross_jvp,
            curvature,
        }
    }
}

impl<V, G> Upper<V, G> {
    /// Adds the constants behind certificates.
    pub fn with_curvature(self, curvature: UpperCurvature) -> Self {
        Upper { curvature, ..self }
    }
}

impl<V, G, H, W, U, C> LowerLevel for Lower<V, G, H, W, U, C>
where
    V: Fn(&[f64], &[f64]) -> f64 + Send + Sync,
    G: Fn(&[f64], &[f64], &mut [f64]) + Send + Sync,
    H: Fn(&[f64], &[f64], &[f64], &mut [f64]) + Send + Sync,
    W: Fn(&[f64], &[f64], &[f64], &mut [f64]) + Send + Sync,
    U: Fn(&[f64], &[f64], &[f64], &mut [f64]) + Send + Sync,
    C: Fn(&[f64]) -> Curvature + Send + Sync,
{
    type Theta = Vec<f64>;
    type X = Vec<f64>;

    fn start(&self) -> Vec<f64> {
        self.function.start.clone()
    }

    fn check(&self, theta: &Vec<f64>) -> Result<(), Error> {
        check_entries(theta, self.function.hyperparameters)
    }

    fn value(&self, x: &Vec<f64>, theta: &Vec<f64>) -> f64 {
        (self.function.value)(x, theta)
    }

    fn gradient(&self, x: &Vec<f64>, theta: &Vec<f64>, out: &mut Vec<f64>) {
        (self.function.gradient)(x, theta, out);
    }

    fn linearize<'a>(
        &'a self,
        x: &'a Vec<f64>,
        theta: &'a Vec<f64>,
    ) -> impl Linearization<Theta = Vec<f64>, X = Vec<f64>> + 'a {
        AtPoint {
            level: self,
            x,
            theta,
        }
    }

    fn curvature(&self, theta: &Vec<f64>) -> Curvature {
        (self.curvature)(theta)
    }
}

struct AtPoint<'a, L> {
    level: &'a L,
    x: &'a Vec<f64>,
    theta: &'a Vec<f64>,
}

impl<V, G, H, W, U, C> Linearization for AtPoint<'_, Lower<V, G, H, W, U, C>>
where
    H: Fn(&[f64], &[f64], &[f64], &mut [f64]),
    W: Fn(&[f64], &[f64], &[f64], &mut [f64]),
    U: Fn(&[f64], &[f64], &[f64], &mut [f64]),
{
    type Theta = Vec<f64>;
    type X = Vec<f64>;

    fn hvp(&self, v: &Vec<f64>, out: &mut Vec<f64>) {
        (self.level.hvp)(self.x, self.theta, v, out);
    }

    fn cross_vjp(&self, w: &Vec<f64>, out: &mut Vec<f64>) {
        (self.level.cross_vjp)(self.x, self.theta, w, out);
    }

    fn cross_jvp(&self, u: &Vec<f64>, out: &mut Vec<f64>) {
        (self.level.cross_jvp)(self.x, self.theta, u, out);
    }
}

impl<V, G> UpperLevel for Upper<V, G>
where
    V: Fn(&[f64]) -> f64 + Send + Sync,
    G: Fn(&[f64], &mut [f64]) + Send + Sync,
{
    type Theta = Vec<f64>;
    type X = Vec<f64>;

    fn value(&self, x: &Vec<f64>, _theta: &Vec<f64>) -> f64 {
        (self.value)(x)
    }

    fn gradient_x(&self, x: &Vec<f64>, _theta: &Vec<f64>, out: &mut Vec<f64>) {
        (self.gradient)(x, out);
    }

    fn curvature(&self, _theta: &Vec<f64>) -> UpperCurvature {
        self.curvature
    }
}
