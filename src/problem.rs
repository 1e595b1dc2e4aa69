//! The two levels of a bilevel problem, each a trait.
//!
//! ```text
//! min over θ of  F(θ) = f(x*(θ), θ)   with   x*(θ) = argminₓ g(x, θ)
//! ```
//!
//! [`LowerLevel`] is g, [`UpperLevel`] is f. One lower level serves several upper levels. Certificates rest on the constants in
//! [`Curvature`] and [`UpperCurvature`]; with one missing, a bound is an estimate. [`check`] tests the derivatives and constants of your
//! problems.

pub mod check;
pub mod closures;
pub mod minibatch;

use crate::error::Error;
use crate::linear::SparseMatrix;
use crate::vector::Vector;
use crate::work::Work;

/// Constants of the lower level at one θ, each optional. All norms are Euclidean or spectral.
///
/// They must hold for all x that the lower solver may visit; constants valid for all x always qualify.
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

/// A modulus of strong convexity between x and x*, in terms of the gradient at x:
///
/// ```text
/// A(y, θ) ⪰ (m − R ‖∇ₓg(x, θ)‖) I    for every y on the segment from x to x*(θ)
/// ```
///
/// with m the [`modulus`](LocalConvexity::modulus) and R the [`decay`](LocalConvexity::decay). If only the penalties make g strongly convex
/// globally, but the data do near x, it exceeds [`Curvature::strong_convexity`] by orders of magnitude.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LocalConvexity {
    /// m > 0, at most the smallest eigenvalue of A(x, θ).
    pub modulus: f64,
    /// R ≥ 0: the loss of modulus per unit of ‖∇ₓg(x, θ)‖.
    pub decay: f64,
}

impl LocalConvexity {
    /// μ = m − R G for a gradient norm of at most G, rounding included; `None` if that is not positive.
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

/// The lower level g(x, θ), minimised over x.
///
/// Functions overwrite `out`, whose content on entry is unspecified. A value that is not finite is reported as [`Error::NotFinite`] with
/// the function's name.
pub trait LowerLevel: Send + Sync {
    /// The type of θ.
    type Theta: Vector;
    /// The type of x.
    type X: Vector;

    /// The first guess of x*. It fixes the length of x.
    fn start(&self) -> Self::X;
    /// Refuses a θ of the wrong length or outside the domain, with an error that names the expectation.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`].
    fn check(&self, theta: &Self::Theta) -> Result<(), Error>;
    /// g(x, θ).
    fn value(&self, x: &Self::X, theta: &Self::Theta) -> f64;
    /// out ← ∇ₓg(x, θ).
    fn gradient(&self, x: &Self::X, theta: &Self::Theta, out: &mut Self::X);
    /// out ← ∇ₓg(x, θ); returns g(x, θ). Override it if one pass gives both.
    fn value_and_gradient(&self, x: &Self::X, theta: &Self::Theta, out: &mut Self::X) -> f64 {
        self.gradient(x, theta, out);
        self.value(x, theta)
    }
    /// The second derivatives at (x, θ), as products. Compute here whatever several products share.
    fn linearize<'a>(
        &'a self,
        x: &'a Self::X,
        theta: &'a Self::Theta,
    ) -> impl Linearization<Theta = Self::Theta, X = Self::X> + 'a
    where
        Self: Sized;
    /// The known constants at θ.
    fn curvature(&self, theta: &Self::Theta) -> Curvature;

    /// A modulus of strong convexity between x and x*(θ), if the problem knows a better one than the global modulus in
    /// [`curvature`](LowerLevel::curvature). Lower solvers use it to stop, and error bounds rest on it. Its cost is added to `work`. The
    /// default is `None`.
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
    /// It keeps certificates valid at the rounding level of the storage type. The default assumes terms of at most L‖x‖ + ‖∇ₓg‖, each
    /// rounded eight times.
    fn gradient_rounding(&self, x: &Self::X, theta: &Self::Theta, gradient_norm: f64) -> f64 {
        let smoothness = self.curvature(theta).smoothness.unwrap_or(1.0);
        8.0 * Self::X::UNIT_ROUNDOFF * (smoothness * x.norm() + gradient_norm)
    }
    /// The reason why g or a gradient of it is infinite or NaN at (x, θ), if known, such as `the loss of sample 17 is NaN`. It is called only
    /// to report an error, and may be slow.
    fn explain(&self, x: &Self::X, theta: &Self::Theta) -> Option<String> {
        let _ = (x, theta);
        None
    }
    /// Identifies this level, data included; resuming a checkpoint of another one is refused.
    fn identity(&self) -> String {
        std::any::type_name::<Self>().to_owned()
    }
}

/// Products with A = ∇²ₓₓg and B = ∇²ₓθg ∈ ℝⁿˣᵖ at one point (x, θ).
pub trait Linearization {
    /// The type of θ.
    type Theta: Vector;
    /// The type of x.
    type X: Vector;

    /// out ← A v.
    fn hvp(&self, v: &Self::X, out: &mut Self::X);
    /// out ← Bᵀw = ∇θ⟨∇ₓg, w⟩.
    fn cross_vjp(&self, w: &Self::X, out: &mut Self::Theta);
    /// out ← B u = d/dt ∇ₓg(x, θ + t u).
    fn cross_jvp(&self, u: &Self::Theta, out: &mut Self::X);

    /// The size of the terms summed in A v, which scales its rounding error, if a better bound than L‖v‖ is known.
    fn hvp_terms(&self, v: &Self::X) -> Option<f64> {
        let _ = v;
        None
    }

    /// Whether [`precondition`](Linearization::precondition) is implemented.
    fn has_preconditioner(&self) -> bool {
        false
    }
    /// out ← M⁻¹ r with a symmetric positive definite M close to A and a cheap inverse. Solvers use it according to their settings; residuals
    /// are measured in the Euclidean norm regardless. The default is M = I.
    fn precondition(&self, r: &Self::X, out: &mut Self::X) {
        out.copy_from(r);
    }

    /// The cost so far of preparing [`precondition`](Linearization::precondition), in Hessian products. The default is 0.
    fn preparation(&self) -> u64 {
        0
    }

    /// A as a matrix, if it is sparse and its entries are available: for `linear::SparseCholesky` (feature `direct`). The default is `None`.
    fn sparse(&self) -> Option<&dyn SparseMatrix> {
        None
    }

    /// A bound of ‖(A(x+e) − A(x)) q‖ over ‖e‖ ≤ radius, if a better one than L_A · radius · ‖q‖ is known.
    fn hessian_change(&self, q: &Self::X, radius: f64) -> Option<f64> {
        let _ = (q, radius);
        None
    }
    /// A bound of ‖(B(x+e) − B(x))ᵀ q‖ over ‖e‖ ≤ radius, if a better one than L_B · radius · ‖q‖ is known.
    fn cross_change(&self, q: &Self::X, radius: f64) -> Option<f64> {
        let _ = (q, radius);
        None
    }
    /// A bound of ‖B(x+e) − B(x)‖ over ‖e‖ ≤ radius, if a better one than L_B · radius is known.
    fn cross_change_norm(&self, radius: f64) -> Option<f64> {
        let _ = radius;
        None
    }
    /// A bound of ‖B‖ at this x, if a better one than [`Curvature::cross_norm`] is known. `buffer` may be overwritten.
    fn cross_norm(&self, buffer: &mut Self::X) -> Option<f64> {
        let _ = buffer;
        None
    }
}

/// The upper level f(x, θ), the criterion for the solution of the lower level.
pub trait UpperLevel: Send + Sync {
    /// The type of θ.
    type Theta: Vector;
    /// The type of x.
    type X: Vector;

    /// f(x, θ).
    fn value(&self, x: &Self::X, theta: &Self::Theta) -> f64;
    /// out ← ∇ₓf(x, θ).
    fn gradient_x(&self, x: &Self::X, theta: &Self::Theta, out: &mut Self::X);
    /// out ← ∇θf(x, θ). The default is zero, for an f that depends on θ only through x.
    fn gradient_theta(&self, x: &Self::X, theta: &Self::Theta, out: &mut Self::Theta) {
        let _ = x;
        out.axpby(0.0, theta, 0.0);
    }
    /// The known constants at θ.
    fn curvature(&self, theta: &Self::Theta) -> UpperCurvature;
    /// A bound of the rounding error of `value`, a value of f at x. The default suits sums of terms of one sign: each term is rounded eight
    /// times in the storage type, and the sum of n terms in `f64` adds at most √n/4 roundings. Override it if terms cancel.
    fn value_rounding(&self, x: &Self::X, theta: &Self::Theta, value: f64) -> f64 {
        let _ = theta;
        let sum = 0.25 * f64::EPSILON * (x.len() as f64).sqrt();
        (8.0 * Self::X::UNIT_ROUNDOFF + sum) * value.abs()
    }
    /// The reason why f or a gradient of it is infinite or NaN at (x, θ), if known.
    fn explain(&self, x: &Self::X, theta: &Self::Theta) -> Option<String> {
        let _ = (x, theta);
        None
    }
    /// Identifies this level, data included; resuming a checkpoint of another one is refused.
    fn identity(&self) -> String {
        std::any::type_name::<Self>().to_owned()
    }
}
