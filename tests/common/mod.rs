//! Shared by the integration tests of both crates: random numbers, lower levels made from others, and what is asserted of runs and solves.

#![allow(dead_code)] // every test file uses a part of it
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests are tests

pub(crate) mod runs;
pub(crate) mod solving;
pub(crate) mod unrolled;
pub(crate) mod variants;

use bilevel::lower::{Fista, GradientDescent, Lbfgs, LowerReport, LowerSolver, NewtonCg};
use bilevel::vector::Scratch;
use bilevel::{
    Accuracy, Curvature, Error, Linearization, LocalConvexity, LowerLevel, Oracle, SolveStatus,
    Trust, Vector, Work,
};

/// Uniform numbers in (−1, 1), the same for the same seed (SplitMix64).
pub(crate) fn uniform(seed: u64) -> impl FnMut() -> f64 {
    let mut state = seed.wrapping_mul(0x2545_F491_4F6C_DD1D);
    move || {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 31;
        (z >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    }
}

/// `len` uniform numbers in (−1, 1).
pub(crate) fn random(len: usize, seed: u64) -> Vec<f64> {
    let mut next = uniform(seed);
    (0..len).map(|_| next()).collect()
}

/// ‖a − b‖.
pub(crate) fn distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter()
        .zip(b)
        .map(|(a, b)| (a - b) * (a - b))
        .sum::<f64>()
        .sqrt()
}

/// Coarse answers are within their certified bounds of the one at 1e-10, whose own bound is small.
pub(crate) fn agree<O: Oracle<Theta = Vec<f64>>>(oracle: &O, theta: &Vec<f64>) {
    let answer = |accuracy: f64| {
        let mut state = oracle.start(theta).expect("θ is of the domain");
        let accuracy = Accuracy::new(accuracy, accuracy).expect("θ is of the domain");
        let z = oracle
            .hypergradient(theta, accuracy, &mut state)
            .expect("θ is of the domain");
        assert_eq!(
            (z.trust, z.status()),
            (Trust::Certified, SolveStatus::Converged)
        );
        z
    };
    let exact = answer(1e-10);
    assert!(exact.error_bound <= 1e-3 * exact.gradient.norm());
    for accuracy in [1.0, 1e-1, 1e-2, 1e-4, 1e-6] {
        let z = answer(accuracy);
        let error = distance(&z.gradient, &exact.gradient);
        assert!(
            error <= z.error_bound + exact.error_bound,
            "{accuracy:e}: {error:e} ± {:e}",
            z.error_bound
        );
        let value = (z.value.value - exact.value.value).abs();
        assert!(value <= z.value.error() + exact.value.error());
    }
}

/// The lower level s·g: the same minimiser, other constants.
pub(crate) struct Scaled<P> {
    pub(crate) inner: P,
    pub(crate) scale: f64,
}

struct ScaledLinearization<D> {
    inner: D,
    scale: f64,
}

impl<D: Linearization> Linearization for ScaledLinearization<D> {
    type Theta = D::Theta;
    type X = D::X;

    fn hvp(&self, v: &D::X, out: &mut D::X) {
        self.inner.hvp(v, out);
        out.scale(self.scale);
    }

    fn cross_vjp(&self, w: &D::X, out: &mut D::Theta) {
        self.inner.cross_vjp(w, out);
        out.scale(self.scale);
    }

    fn cross_jvp(&self, u: &D::Theta, out: &mut D::X) {
        self.inner.cross_jvp(u, out);
        out.scale(self.scale);
    }
}

impl<P: LowerLevel> LowerLevel for Scaled<P> {
    type Theta = P::Theta;
    type X = P::X;

    fn start(&self) -> P::X {
        self.inner.start()
    }

    fn check(&self, theta: &P::Theta) -> Result<(), Error> {
        self.inner.check(theta)
    }

    fn value(&self, x: &P::X, theta: &P::Theta) -> f64 {
        self.scale * self.inner.value(x, theta)
    }

    fn gradient(&self, x: &P::X, theta: &P::Theta, out: &mut P::X) {
        self.inner.gradient(x, theta, out);
        out.scale(self.scale);
    }

    fn linearize<'a>(
        &'a self,
        x: &'a P::X,
        theta: &'a P::Theta,
    ) -> impl Linearization<Theta = P::Theta, X = P::X> + 'a {
        ScaledLinearization {
            inner: self.inner.linearize(x, theta),
            scale: self.scale,
        }
    }

    fn curvature(&self, theta: &P::Theta) -> Curvature {
        let of_inner = self.inner.curvature(theta);
        let times = |constant: Option<f64>| constant.map(|c| self.scale * c);
        Curvature {
            strong_convexity: times(of_inner.strong_convexity),
            smoothness: times(of_inner.smoothness),
            hessian_lipschitz: times(of_inner.hessian_lipschitz),
            cross_norm: times(of_inner.cross_norm),
            cross_lipschitz: times(of_inner.cross_lipschitz),
        }
    }

    /// The gradient is scaled as the modulus is.
    fn local_convexity(
        &self,
        x: &P::X,
        theta: &P::Theta,
        work: &mut Work,
    ) -> Option<LocalConvexity> {
        let of_inner = self.inner.local_convexity(x, theta, work)?;
        Some(LocalConvexity {
            modulus: self.scale * of_inner.modulus,
            ..of_inner
        })
    }

    fn gradient_rounding(&self, x: &P::X, theta: &P::Theta, gradient_norm: f64) -> f64 {
        self.scale
            * self
                .inner
                .gradient_rounding(x, theta, gradient_norm / self.scale)
    }
}

/// A lower level whose constants are replaced, and which knows no local ones.
pub(crate) struct WithCurvature<P> {
    pub(crate) inner: P,
    pub(crate) change: fn(Curvature) -> Curvature,
}

impl<P: LowerLevel> LowerLevel for WithCurvature<P> {
    type Theta = P::Theta;
    type X = P::X;

    fn start(&self) -> P::X {
        self.inner.start()
    }

    fn check(&self, theta: &P::Theta) -> Result<(), Error> {
        self.inner.check(theta)
    }

    fn value(&self, x: &P::X, theta: &P::Theta) -> f64 {
        self.inner.value(x, theta)
    }

    fn gradient(&self, x: &P::X, theta: &P::Theta, out: &mut P::X) {
        self.inner.gradient(x, theta, out);
    }

    fn value_and_gradient(&self, x: &P::X, theta: &P::Theta, out: &mut P::X) -> f64 {
        self.inner.value_and_gradient(x, theta, out)
    }

    fn linearize<'a>(
        &'a self,
        x: &'a P::X,
        theta: &'a P::Theta,
    ) -> impl Linearization<Theta = P::Theta, X = P::X> + 'a {
        self.inner.linearize(x, theta)
    }

    fn curvature(&self, theta: &P::Theta) -> Curvature {
        (self.change)(self.inner.curvature(theta))
    }

    fn gradient_rounding(&self, x: &P::X, theta: &P::Theta, gradient_norm: f64) -> f64 {
        self.inner.gradient_rounding(x, theta, gradient_norm)
    }
}

/// No constants at all.
pub(crate) fn no_constants(_: Curvature) -> Curvature {
    Curvature::default()
}

/// Nothing but μ.
pub(crate) fn only_mu(known: Curvature) -> Curvature {
    Curvature {
        strong_convexity: known.strong_convexity,
        ..Curvature::default()
    }
}

/// Nothing but L.
pub(crate) fn only_smoothness(known: Curvature) -> Curvature {
    Curvature {
        smoothness: known.smoothness,
        ..Curvature::default()
    }
}

/// Any of the lower solvers.
#[derive(Clone, Debug)]
pub(crate) enum AnySolver {
    GradientDescent(GradientDescent),
    Fista(Fista),
    NewtonCg(NewtonCg),
    Lbfgs(Lbfgs),
}

impl LowerSolver for AnySolver {
    fn minimize<P: LowerLevel>(
        &self,
        problem: &P,
        theta: &P::Theta,
        epsilon: f64,
        x: &mut P::X,
        scratch: &mut Scratch<P::X>,
    ) -> LowerReport {
        match self {
            AnySolver::GradientDescent(s) => s.minimize(problem, theta, epsilon, x, scratch),
            AnySolver::Fista(s) => s.minimize(problem, theta, epsilon, x, scratch),
            AnySolver::NewtonCg(s) => s.minimize(problem, theta, epsilon, x, scratch),
            AnySolver::Lbfgs(s) => s.minimize(problem, theta, epsilon, x, scratch),
        }
    }

    fn identity(&self) -> String {
        format!("{self:?}")
    }
}

/// All of them, with their defaults.
pub(crate) fn solvers() -> [AnySolver; 4] {
    [
        AnySolver::GradientDescent(GradientDescent::default()),
        AnySolver::Fista(Fista::default()),
        AnySolver::NewtonCg(NewtonCg::default()),
        AnySolver::Lbfgs(Lbfgs::default()),
    ]
}
