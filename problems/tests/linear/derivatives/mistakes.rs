//! The comparison finds a factor that is wrong in one function, and nothing else.

use bilevel::autodiff::{Lower, Taped, Upper};
use bilevel::problem::minibatch::{Batch, MinibatchLower, MinibatchUpper};
use bilevel::{Curvature, Error, Linearization, LowerLevel, UpperCurvature, UpperLevel, Vector};
use bilevel_problems::synthetic::finite_sum::FiniteSum;

use super::least_squares::{finite_sum_lower, finite_sum_upper};
use crate::agreement::Points;

/// Another level, one of whose functions is off by a factor.
struct Mistaken<P> {
    inner: P,
    in_function: &'static str,
    factor: f64,
}

impl<P> Mistaken<P> {
    fn spoil<V: Vector>(&self, function: &str, out: &mut V) {
        if function == self.in_function {
            out.scale(self.factor);
        }
    }

    fn number(&self, function: &str, value: f64) -> f64 {
        if function == self.in_function {
            self.factor * value
        } else {
            value
        }
    }
}

type Vf = Vec<f64>;

struct At<'a, P, D>(&'a Mistaken<P>, D);

impl<P, D: Linearization<Theta = Vf, X = Vf>> Linearization for At<'_, P, D> {
    type Theta = Vf;
    type X = Vf;

    fn hvp(&self, v: &Vf, out: &mut Vf) {
        self.1.hvp(v, out);
        self.0.spoil("A v", out);
    }
    fn cross_vjp(&self, w: &Vf, out: &mut Vf) {
        self.1.cross_vjp(w, out);
        self.0.spoil("Bᵀw", out);
    }
    fn cross_jvp(&self, u: &Vf, out: &mut Vf) {
        self.1.cross_jvp(u, out);
        self.0.spoil("B u", out);
    }
}

impl<P: LowerLevel<Theta = Vf, X = Vf>> LowerLevel for Mistaken<P> {
    type Theta = Vf;
    type X = Vf;

    fn start(&self) -> Vf {
        self.inner.start()
    }
    fn check(&self, theta: &Vf) -> Result<(), Error> {
        self.inner.check(theta)
    }
    fn value(&self, x: &Vf, theta: &Vf) -> f64 {
        self.number("g", self.inner.value(x, theta))
    }
    fn gradient(&self, x: &Vf, theta: &Vf, out: &mut Vf) {
        self.inner.gradient(x, theta, out);
        self.spoil("∇ₓg", out);
    }
    fn linearize<'a>(
        &'a self,
        x: &'a Vf,
        theta: &'a Vf,
    ) -> impl Linearization<Theta = Vf, X = Vf> + 'a {
        At(self, self.inner.linearize(x, theta))
    }
    fn curvature(&self, theta: &Vf) -> Curvature {
        self.inner.curvature(theta)
    }
}

impl<P: MinibatchLower<Theta = Vf, X = Vf>> MinibatchLower for Mistaken<P> {
    fn samples(&self) -> usize {
        self.inner.samples()
    }
    fn batch_gradient(&self, batch: Batch<'_>, x: &Vf, theta: &Vf, out: &mut Vf) {
        self.inner.batch_gradient(batch, x, theta, out);
        self.spoil("∇ₓg on", out);
    }
    fn batch_gradient_theta(&self, batch: Batch<'_>, x: &Vf, theta: &Vf, out: &mut Vf) {
        self.inner.batch_gradient_theta(batch, x, theta, out);
        self.spoil("∇θg on", out);
    }
    fn batch_hvp(&self, batch: Batch<'_>, x: &Vf, theta: &Vf, v: &Vf, out: &mut Vf) {
        self.inner.batch_hvp(batch, x, theta, v, out);
        self.spoil("A v on", out);
    }
    fn batch_cross_vjp(&self, batch: Batch<'_>, x: &Vf, theta: &Vf, v: &Vf, out: &mut Vf) {
        self.inner.batch_cross_vjp(batch, x, theta, v, out);
        self.spoil("Bᵀv on", out);
    }
}

impl<P: UpperLevel<Theta = Vf, X = Vf>> UpperLevel for Mistaken<P> {
    type Theta = Vf;
    type X = Vf;

    fn value(&self, x: &Vf, theta: &Vf) -> f64 {
        self.number("f", self.inner.value(x, theta))
    }
    fn gradient_x(&self, x: &Vf, theta: &Vf, out: &mut Vf) {
        self.inner.gradient_x(x, theta, out);
        self.spoil("∇ₓf", out);
    }
    fn gradient_theta(&self, x: &Vf, theta: &Vf, out: &mut Vf) {
        self.inner.gradient_theta(x, theta, out);
        self.spoil("∇θf", out);
    }
    fn curvature(&self, theta: &Vf) -> UpperCurvature {
        self.inner.curvature(theta)
    }
}

impl<P: MinibatchUpper<Theta = Vf, X = Vf>> MinibatchUpper for Mistaken<P> {
    fn samples(&self) -> usize {
        self.inner.samples()
    }
    fn batch_value(&self, batch: Batch<'_>, x: &Vf, theta: &Vf) -> f64 {
        self.number("f on", self.inner.batch_value(batch, x, theta))
    }
    fn batch_gradients(
        &self,
        batch: Batch<'_>,
        x: &Vf,
        theta: &Vf,
        by_x: &mut Vf,
        by_theta: &mut Vf,
    ) {
        self.inner.batch_gradients(batch, x, theta, by_x, by_theta);
        self.spoil("∇ₓf on", by_x);
        self.spoil("∇θf on", by_theta);
    }
}

/// Something was found, and all of it in this function.
fn only(function: &str, differences: &[String]) {
    assert!(!differences.is_empty(), "{function}");
    let named = |d: &String| d.starts_with(function);
    assert!(differences.iter().all(named), "{function}: {differences:?}");
}

#[test]
fn a_wrong_sign_or_factor_in_a_lower_level_is_found() {
    let problem = FiniteSum::coupled(5, 3, 20, 10.0, 4);
    let right = Lower::<_, f64>::new(Taped::new(finite_sum_lower(&problem, 5, 3)));
    let points = Points::around(&[0.5; 3]);
    for factor in [-1.0, 2.0, 1.0 + 1e-8, f64::NAN] {
        let wrong = |in_function| Mistaken {
            inner: problem.lower(),
            in_function,
            factor,
        };
        for function in ["g", "∇ₓg", "A v", "Bᵀw", "B u"] {
            only(
                function,
                &points.lower_differences(&wrong(function), &right),
            );
        }
        for function in ["∇ₓg on", "∇θg on", "A v on", "Bᵀv on"] {
            let found = points.batch_lower_differences(&wrong(function), &right);
            only(&function[..function.len() - 3], &found);
        }
    }
}

#[test]
fn a_wrong_sign_or_factor_in_an_upper_level_is_found() {
    let problem = FiniteSum::coupled(5, 3, 20, 10.0, 4);
    let right = Upper::<_, f64>::new(Taped::new(finite_sum_upper(&problem, 5, 3)));
    let points = Points::around(&[0.5; 3]);
    for factor in [-1.0, 2.0, 1.0 + 1e-8, f64::NAN] {
        let wrong = |in_function| Mistaken {
            inner: problem.upper(),
            in_function,
            factor,
        };
        for function in ["f", "∇ₓf", "∇θf"] {
            only(
                function,
                &points.upper_differences(5, &wrong(function), &right),
            );
        }
        for function in ["f on", "∇ₓf on", "∇θf on"] {
            only(
                function,
                &points.batch_upper_differences(5, &wrong(function), &right),
            );
        }
    }
}
