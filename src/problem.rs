//! The two levels of a bilevel problem, each a trait.
//!
//! ```text
//! min over θ of  F(θ) = f(x*(θ), θ)   with   x*(θ) = argminₓ g(x, θ)
//! ```
//!
//! [`LowerLevel`] is g, [`UpperLevel`] is f. One lower level serves several upper criteria. The constants in
//! [`Curvature`] and [`UpperCurvature`] are what certificates are made of; each that is missing makes a bound an
//! estimate. [`check`] tests the derivatives and the constants of a problem of yours.

pub mod check;
pub mod closures;
pub mod minibatch;

use crate::error::Error;
use crate::linear::SparseMatrix;
use crate::vector::Vector;
use crate::work::Work;

/// Constants of the lower level at one θ, each optional. All norms are Euclidean or spectral.
///
/// They must hold for all x that the lower solver can meet; constants that hold for all x are always right.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Curvature {
    /// μ > 0 with A ⪰ μI: the modulus of strong convexity of g(·, θ).
    pub strong_convexity: Option<f64>,
    /// L with A ⪯ LI: the Lipschitz constant of ∇ₓg in x.
    pub smoothness: Option<f64>,
    /// `L_A`: the Lipschitz constant of the Hessian A in x.
    pub hessian_lipschitz: Option<f64>,
    /// A bound of ‖B‖, the spectral norm of the mixed derivative.
    pub cross_norm: Option<f64>,
    /// `L_B`: the Lipschitz constant of the mixed derivative B in x.
    pub cross_lipschitz: Option<f64>,
}

/// A modulus of strong convexity near one x, as far as the gradient there tells how near x* is:
///
/// ```text
/// A(y, θ) ⪰ (m − R ‖∇ₓg(x, θ)‖) I    for every y on the segment from x to x*(θ)
/// ```
///
/// with m the [`modulus`](LocalConvexity::modulus) and R the [`decay`](LocalConvexity::decay). Where the penalties alone make g strongly
/// convex but the data do so much better, it is orders of magnitude above [`Curvature::strong_convexity`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LocalConvexity {
    /// m > 0, at most the smallest eigenvalue of A(x, θ).
    pub modulus: f64,
    /// R ≥ 0: what a unit of ‖∇ₓg(x, θ)‖ takes off it.
    pub decay: f64,
}

impl LocalConvexity {
    /// μ = m − R G for a gradient of norm G at most, rounding included; `None` where that is not positive.
    pub fn at(&self, gradient_norm: f64) -> Option<f64> {
        let modulus = self.modulus - self.decay * gradient_norm;
        (modulus > 0.0).then_some(modulus)
    }

    /// The largest gradient norm G that proves ‖x − x*‖ ≤ G/μ ≤ ε: m ε/(1 + R ε), rounded down.
    pub fn gradient_norm_for(&self, epsilon: f64) -> f64 {
        (1.0 - 8.0 * f64::EPSILON) * self.modulus * epsilon / (1.0 + self.decay * epsilon)
    }
}

/// Constants of the upper level at one θ.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct UpperCurvature {
    /// `L_f`: the Lipschitz constant of ∇ₓf in x.
    pub gradient_x_lipschitz: Option<f64>,
    /// `L_fθ`: the Lipschitz constant of ∇θf in x.
    pub gradient_theta_lipschitz: Option<f64>,
    /// Whether f(·, θ) is convex, which tightens the lower bound of the upper value.
    pub convex: bool,
}

/// The lower level g(x, θ), whose minimiser in x is wanted.
///
/// Functions write into `out`, whose content on entry is unspecified. A value that is not finite is reported to the
/// user as [`Error::NotFinite`] with the function's name.
pub trait LowerLevel: Send + Sync {
    /// Where θ lives.
    type Theta: Vector;
    /// Where x lives.
    type X: Vector;

    /// The first guess of x*, before anything is known. It fixes the length of x.
    fn start(&self) -> Self::X;
    /// Refuses a θ of the wrong length or outside the domain, with an error that says what was expected.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`].
    fn check(&self, theta: &Self::Theta) -> Result<(), Error>;
    /// g(x, θ).
    fn value(&self, x: &Self::X, theta: &Self::Theta) -> f64;
    /// out ← ∇ₓg(x, θ).
    fn gradient(&self, x: &Self::X, theta: &Self::Theta, out: &mut Self::X);
    /// out ← ∇ₓg(x, θ); returns g(x, θ). Override it where one pass gives both.
    fn value_and_gradient(&self, x: &Self::X, theta: &Self::Theta, out: &mut Self::X) -> f64 {
        self.gradient(x, theta, out);
        self.value(x, theta)
    }
    /// The second derivatives at (x, θ), as products. What the products share is computed here, once.
    fn linearize<'a>(
        &'a self,
        x: &'a Self::X,
        theta: &'a Self::Theta,
    ) -> impl Linearization<Theta = Self::Theta, X = Self::X> + 'a;
    /// The constants that are known at θ.
    fn curvature(&self, theta: &Self::Theta) -> Curvature;

    /// A modulus of strong convexity that holds between x and x*(θ), where the structure of the problem gives a better one than that of
    /// all x in [`curvature`](LowerLevel::curvature). The lower solvers stop by it and bounds rest on it. What it takes is added to `work`.
    /// The default is `None`: nothing better is known, or not at a price that pays.
    fn local_convexity(
        &self,
        x: &Self::X,
        theta: &Self::Theta,
        work: &mut Work,
    ) -> Option<LocalConvexity> {
        let _ = (x, theta, work);
        None
    }

    /// A bound of the rounding error of [`gradient`](LowerLevel::gradient) at x, in the Euclidean norm.
    ///
    /// It is what keeps a certificate true at the rounding error of the storage type. The default assumes that the
    /// terms of the gradient are no larger than L‖x‖ + ‖∇ₓg‖ and rounds each of them eight times.
    fn gradient_rounding(&self, x: &Self::X, theta: &Self::Theta, gradient_norm: f64) -> f64 {
        let smoothness = self.curvature(theta).smoothness.unwrap_or(1.0);
        8.0 * Self::X::UNIT_ROUNDOFF * (smoothness * x.norm() + gradient_norm)
    }
    /// What makes g or its gradients infinite or NaN at (x, θ), as in `the loss of sample 17 is NaN`, where that can be told. It is asked
    /// for when an error is reported, and may take its time.
    fn explain(&self, x: &Self::X, theta: &Self::Theta) -> Option<String> {
        let _ = (x, theta);
        None
    }
    /// What tells this problem, data included, from another one when a checkpoint is resumed.
    fn identity(&self) -> String {
        std::any::type_name::<Self>().to_owned()
    }
}

/// Products with A = ∇²ₓₓg and B = ∇²ₓθg ∈ ℝⁿˣᵖ at one point (x, θ).
pub trait Linearization {
    /// Where θ lives.
    type Theta: Vector;
    /// Where x lives.
    type X: Vector;

    /// out ← A v.
    fn hvp(&self, v: &Self::X, out: &mut Self::X);
    /// out ← Bᵀw = ∇θ⟨∇ₓg, w⟩.
    fn cross_vjp(&self, w: &Self::X, out: &mut Self::Theta);
    /// out ← B u = d/dt ∇ₓg(x, θ + t u).
    fn cross_jvp(&self, u: &Self::Theta, out: &mut Self::X);

    /// The size of the terms that A v is summed from, which its rounding error is relative to, where there is a better bound than L‖v‖.
    fn hvp_terms(&self, v: &Self::X) -> Option<f64> {
        let _ = v;
        None
    }

    /// Whether [`precondition`](Linearization::precondition) does anything.
    fn has_preconditioner(&self) -> bool {
        false
    }
    /// out ← M⁻¹ r with a symmetric positive definite M close to A whose inverse is cheap. Solvers use it where their settings say so;
    /// what they attain is measured in the Euclidean norm all the same. The default is M = I.
    fn precondition(&self, r: &Self::X, out: &mut Self::X) {
        out.copy_from(r);
    }

    /// What preparing [`precondition`](Linearization::precondition) has cost so far, as Hessian products. The default is nothing.
    fn preparation(&self) -> u64 {
        0
    }

    /// A as a matrix, where it is sparse and its entries can be had: for [`SparseCholesky`](crate::linear::SparseCholesky). The default is
    /// `None`.
    fn sparse(&self) -> Option<&dyn SparseMatrix> {
        None
    }

    /// A bound of ‖(A(x+e) − A(x)) q‖ over ‖e‖ ≤ radius, where the structure of the problem gives a better one than
    /// L_A · radius · ‖q‖.
    fn hessian_change(&self, q: &Self::X, radius: f64) -> Option<f64> {
        let _ = (q, radius);
        None
    }
    /// A bound of ‖(B(x+e) − B(x))ᵀ q‖ over ‖e‖ ≤ radius, where there is a better one than L_B · radius · ‖q‖.
    fn cross_change(&self, q: &Self::X, radius: f64) -> Option<f64> {
        let _ = (q, radius);
        None
    }
    /// A bound of ‖B(x+e) − B(x)‖ over ‖e‖ ≤ radius, where there is a better one than L_B · radius.
    fn cross_change_norm(&self, radius: f64) -> Option<f64> {
        let _ = radius;
        None
    }
    /// A bound of ‖B‖ at this x, where there is a better one than [`Curvature::cross_norm`]. `room` may be overwritten.
    fn cross_norm(&self, room: &mut Self::X) -> Option<f64> {
        let _ = room;
        None
    }
}

/// The upper level f(x, θ), which judges the solution of the lower level.
pub trait UpperLevel: Send + Sync {
    /// Where θ lives.
    type Theta: Vector;
    /// Where x lives.
    type X: Vector;

    /// f(x, θ).
    fn value(&self, x: &Self::X, theta: &Self::Theta) -> f64;
    /// out ← ∇ₓf(x, θ).
    fn gradient_x(&self, x: &Self::X, theta: &Self::Theta, out: &mut Self::X);
    /// out ← ∇θf(x, θ). The default is zero: f does not depend on θ but through x.
    fn gradient_theta(&self, x: &Self::X, theta: &Self::Theta, out: &mut Self::Theta) {
        let _ = x;
        out.axpby(0.0, theta, 0.0);
    }
    /// The constants that are known at θ.
    fn curvature(&self, theta: &Self::Theta) -> UpperCurvature;
    /// A bound of the rounding error of a `value` of f at x. The default is right for sums of terms of one sign: each is rounded
    /// eight times in the storage type, and the sum of n terms in `f64` by no more than √n/4 roundings. Override it where the
    /// terms cancel.
    fn value_rounding(&self, x: &Self::X, theta: &Self::Theta, value: f64) -> f64 {
        let _ = theta;
        let sum = 0.25 * f64::EPSILON * (x.len() as f64).sqrt();
        (8.0 * Self::X::UNIT_ROUNDOFF + sum) * value.abs()
    }
    /// What makes f or its gradients infinite or NaN at (x, θ), where that can be told.
    fn explain(&self, x: &Self::X, theta: &Self::Theta) -> Option<String> {
        let _ = (x, theta);
        None
    }
    /// What tells this criterion, data included, from another one when a checkpoint is resumed.
    fn identity(&self) -> String {
        std::any::type_name::<Self>().to_owned()
    }
}
