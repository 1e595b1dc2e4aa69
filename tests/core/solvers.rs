//! The lower solvers: they reach the accuracy asked for, certify no more than they reach, do without constants, and name how
//! they end.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::common::solving::{
    assert_accurate, assert_without_constants, gradient_norm, limited, minimize,
};
use crate::common::{
    AnySolver, Scaled, WithCurvature, distance, no_constants, only_mu, only_smoothness, random,
    solvers,
};
use bilevel::linear::Cg;
use bilevel::lower::{LowerSolver, NewtonCg};
use bilevel::vector::Scratch;
use bilevel::{
    Accuracy, Curvature, Error, Implicit, Linearization, LowerLevel, Oracle, SolveStatus, Trust,
    Vector,
};
use bilevel_problems::synthetic::quadratic::Quadratic;

#[test]
fn every_solver_reaches_the_accuracy_on_quadratics() {
    for (n, condition) in [
        (1, 1.0),
        (2, 1e2),
        (20, 1.0),
        (20, 30.0),
        (60, 1e3),
        (60, 1e4),
    ] {
        for solver in solvers() {
            if matches!(solver, AnySolver::GradientDescent(_)) && condition > 1e3 {
                continue;
            }
            for scale in [1.0, 1e-2, 1e2] {
                let quadratic = Quadratic::random(n, 3, condition, 1);
                let theta = random(3, 2);
                let exact = quadratic.solution(&theta);
                let problem = Scaled {
                    inner: quadratic.lower(),
                    scale,
                };
                let case = format!("n={n} condition={condition:e} μ={scale:e}");
                assert_accurate(&solver, &problem, &theta, &exact, 0.0, &case);
            }
        }
    }
}

#[test]
fn an_accuracy_below_rounding_stagnates_by_name_and_stays_certified() {
    let quadratic = Quadratic::random(20, 3, 1e2, 1);
    let theta = random(3, 2);
    let exact = quadratic.solution(&theta);
    for solver in solvers() {
        let (x, report) = minimize(&solver, &quadratic.lower(), &theta, 1e-30);
        assert_eq!(
            report.status,
            SolveStatus::Stagnated,
            "{solver:?}: {report:?}"
        );
        assert!(distance(&x, &exact) <= report.epsilon.unwrap());
        assert!(report.epsilon.unwrap() < 1e-11, "{solver:?}: {report:?}");
    }
}

#[test]
fn solvers_do_without_constants() {
    type Change = fn(Curvature) -> Curvature;
    let changes: [(&str, Change); 3] = [
        ("none", no_constants),
        ("μ", only_mu),
        ("L", only_smoothness),
    ];
    for (name, change) in changes {
        for solver in solvers() {
            for condition in [1.0, 1e2, 1e4] {
                if matches!(solver, AnySolver::GradientDescent(_)) && condition > 1e2 {
                    continue;
                }
                let quadratic = Quadratic::random(20, 3, condition, 1);
                let theta = random(3, 2);
                let problem = WithCurvature {
                    inner: quadratic.lower(),
                    change,
                };
                let case = format!("condition={condition:e}, known: {name}");
                let exact = quadratic.solution(&theta);
                assert_without_constants(&solver, &problem, &theta, &exact, &case);
            }
        }
    }
}

#[test]
fn an_ill_conditioned_problem_of_unknown_smoothness_is_not_called_non_finite() {
    // g(x*) = 0, so close to x* the values lose all their digits while the gradient keeps some.
    let quadratic = Quadratic::random(20, 3, 1e6, 0);
    let theta = random(3, 100);
    let problem = WithCurvature {
        inner: Scaled {
            inner: quadratic.lower(),
            scale: 1e3,
        },
        change: no_constants,
    };
    for solver in solvers() {
        if matches!(solver, AnySolver::GradientDescent(_)) {
            continue;
        }
        for epsilon in [1.0, 1e-2, 1e-4, 1e-6, 1e-8] {
            let (x, report) = minimize(&solver, &problem, &theta, epsilon);
            assert!(x.is_finite());
            assert_ne!(
                report.status,
                SolveStatus::NotFinite,
                "{solver:?} ε={epsilon:e}: {report:?}"
            );
        }
    }
}

#[test]
fn iteration_limits_are_named_and_what_was_reached_is_certified() {
    for iterations in [0, 1, 2, 5] {
        for solver in limited(iterations) {
            let quadratic = Quadratic::random(40, 3, 1e5, 1);
            let theta = random(3, 2);
            let (x, report) = minimize(&solver, &quadratic.lower(), &theta, 1e-9);
            assert_eq!(
                (report.status, report.iterations),
                (SolveStatus::IterationLimit, iterations),
                "{solver:?}"
            );
            let error = distance(&x, &quadratic.solution(&theta));
            assert!(
                error <= report.epsilon.unwrap(),
                "{solver:?}: {error:e} {report:?}"
            );
            let norm = gradient_norm(&quadratic.lower(), &x, &theta);
            assert_eq!(report.gradient_norm, norm, "{solver:?}");
            assert!(report.status.advice().contains("iteration limit"));
        }
    }
}

#[test]
fn an_ill_conditioned_solve_that_is_cut_short_is_not_worse_than_its_start() {
    for condition in [30.0, 1e3, 1e5] {
        let quadratic = Quadratic::random(40, 3, condition, 1);
        let (problem, theta) = (quadratic.lower(), random(3, 2));
        for iterations in [1, 2, 3, 5, 8, 13, 21, 50, 100] {
            for solver in limited(iterations) {
                let mut x = quadratic.solution(&theta);
                x.axpy(1e-3, &random(x.len(), 4));
                let before = gradient_norm(&problem, &x, &theta);
                let report =
                    solver.minimize(&problem, &theta, 1e-11, &mut x, &mut Scratch::default());
                assert!(
                    report.gradient_norm <= before,
                    "condition={condition:e} {solver:?}: ‖∇g‖ from {before:e} to {:e}",
                    report.gradient_norm
                );
            }
        }
    }
}

#[test]
fn stopped_newton_products_still_descend() {
    let solver = AnySolver::NewtonCg(NewtonCg {
        cg: Cg {
            max_iterations: 2,
            ..Cg::default()
        },
        ..NewtonCg::default()
    });
    let quadratic = Quadratic::random(20, 3, 30.0, 1);
    let theta = random(3, 2);
    let (x, report) = minimize(&solver, &quadratic.lower(), &theta, 1e-6);
    assert_eq!(report.status, SolveStatus::Converged, "{report:?}");
    assert!(distance(&x, &quadratic.solution(&theta)) <= 1e-6);
}

/// When the functions of a [`Broken`] problem stop being finite.
#[derive(Clone, Copy, Debug)]
enum Breaks {
    /// The gradient, from this call on.
    GradientAfter(u64),
    /// Everything, where the first entry of x exceeds this.
    Beyond(f64),
    /// The value only, always.
    Value,
    /// Products with the Hessian only.
    Hvp,
    /// The gradient is infinite.
    Infinite,
}

/// A quadratic whose functions return NaN.
struct Broken<P> {
    inner: P,
    breaks: Breaks,
    calls: AtomicU64,
    known: bool,
}

impl<P: LowerLevel<X = Vec<f64>>> Broken<P> {
    fn new(inner: P, breaks: Breaks, known: bool) -> Self {
        Broken {
            inner,
            breaks,
            calls: AtomicU64::new(0),
            known,
        }
    }
}

struct BrokenLinearization<D> {
    inner: D,
    broken: bool,
}

impl<D: Linearization<X = Vec<f64>>> Linearization for BrokenLinearization<D> {
    type Theta = D::Theta;
    type X = Vec<f64>;

    fn hvp(&self, v: &Vec<f64>, out: &mut Vec<f64>) {
        self.inner.hvp(v, out);
        if self.broken {
            out[0] = f64::NAN;
        }
    }

    fn cross_vjp(&self, w: &Vec<f64>, out: &mut D::Theta) {
        self.inner.cross_vjp(w, out);
    }

    fn cross_jvp(&self, u: &D::Theta, out: &mut Vec<f64>) {
        self.inner.cross_jvp(u, out);
    }
}

impl<P: LowerLevel<X = Vec<f64>>> LowerLevel for Broken<P> {
    type Theta = P::Theta;
    type X = Vec<f64>;

    fn start(&self) -> Vec<f64> {
        self.inner.start()
    }

    fn check(&self, theta: &P::Theta) -> Result<(), Error> {
        self.inner.check(theta)
    }

    fn value(&self, x: &Vec<f64>, theta: &P::Theta) -> f64 {
        match self.breaks {
            Breaks::Value => f64::NAN,
            Breaks::Beyond(limit) if x[0] > limit => f64::NAN,
            _ => self.inner.value(x, theta),
        }
    }

    fn gradient(&self, x: &Vec<f64>, theta: &P::Theta, out: &mut Vec<f64>) {
        self.inner.gradient(x, theta, out);
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        match self.breaks {
            Breaks::GradientAfter(calls) if call >= calls => out[0] = f64::NAN,
            Breaks::Beyond(limit) if x[0] > limit => out[0] = f64::NAN,
            Breaks::Infinite => out[0] = f64::INFINITY,
            _ => {}
        }
    }

    fn linearize<'a>(
        &'a self,
        x: &'a Vec<f64>,
        theta: &'a P::Theta,
    ) -> impl Linearization<Theta = P::Theta, X = Vec<f64>> + 'a {
        BrokenLinearization {
            inner: self.inner.linearize(x, theta),
            broken: matches!(self.breaks, Breaks::Hvp),
        }
    }

    fn curvature(&self, theta: &P::Theta) -> Curvature {
        if self.known {
            self.inner.curvature(theta)
        } else {
            Curvature::default()
        }
    }
}

#[test]
fn a_gradient_that_is_not_finite_ends_every_solve_by_name() {
    let quadratic = Quadratic::random(20, 3, 1e3, 1);
    let theta = random(3, 2);
    for known in [true, false] {
        for breaks in [
            Breaks::GradientAfter(0),
            Breaks::GradientAfter(1),
            Breaks::GradientAfter(4),
            Breaks::Infinite,
        ] {
            for solver in solvers() {
                let problem = Broken::new(quadratic.lower(), breaks, known);
                let (_, report) = minimize(&solver, &problem, &theta, 1e-8);
                assert_eq!(
                    report.status,
                    SolveStatus::NotFinite,
                    "{solver:?} {breaks:?} constants known: {known}: {report:?}"
                );
                assert!(report.status.advice().contains("overflow"));
                let oracle = Implicit::new(
                    Broken::new(quadratic.lower(), breaks, known),
                    quadratic.upper(),
                )
                .with_lower_solver(solver)
                .with_trust(Trust::Estimated);
                let mut state = oracle.start(&theta).unwrap();
                let error = oracle.value(&theta, 1e-8, &mut state).unwrap_err();
                assert!(matches!(error, Error::NotFinite { .. }));
                assert!(error.to_string().contains("gradient of the lower level"));
                assert_eq!(state.x(), &oracle.lower().start(), "a NaN is never kept");
                let accuracy = Accuracy::new(1e-8, 1e-8).unwrap();
                assert!(oracle.hypergradient(&theta, accuracy, &mut state).is_err());
                assert!(state.x().is_finite());
            }
        }
    }
}

#[test]
fn a_lower_level_with_a_domain_ends_every_solve_without_a_hang_or_a_nan() {
    // The solution is outside the domain, or its border is close to the path.
    let quadratic = Quadratic::random(20, 3, 1e2, 1);
    let theta = random(3, 2);
    let border = quadratic.solution(&theta)[0];
    for limit in [
        0.5 * border - 0.1,
        border - 1e-3,
        border + 1e-9,
        border + 1.0,
    ] {
        for known in [true, false] {
            for solver in solvers() {
                let problem = Broken::new(quadratic.lower(), Breaks::Beyond(limit), known);
                let (x, report) = minimize(&solver, &problem, &theta, 1e-8);
                if report.status == SolveStatus::Converged {
                    assert!(distance(&x, &quadratic.solution(&theta)) <= 1e-8);
                } else {
                    assert!(!report.status.advice().is_empty());
                }
            }
        }
    }
}

#[test]
fn values_and_products_that_are_not_finite_never_end_as_converged_elsewhere() {
    let quadratic = Quadratic::random(20, 3, 1e2, 1);
    let theta = random(3, 2);
    let exact = quadratic.solution(&theta);
    for breaks in [Breaks::Value, Breaks::Hvp] {
        for known in [true, false] {
            for solver in solvers() {
                let problem = Broken::new(quadratic.lower(), breaks, known);
                let (x, report) = minimize(&solver, &problem, &theta, 1e-8);
                let close = distance(&x, &exact) <= 1e-8;
                assert!(
                    close || report.status != SolveStatus::Converged,
                    "{solver:?} {breaks:?}: {report:?}"
                );
            }
        }
    }
    let oracle = Implicit::new(
        Broken::new(quadratic.lower(), Breaks::Hvp, true),
        quadratic.upper(),
    );
    let mut state = oracle.start(&theta).unwrap();
    let accuracy = Accuracy::new(1e-8, 1e-8).unwrap();
    let error = oracle
        .hypergradient(&theta, accuracy, &mut state)
        .unwrap_err();
    assert!(error.to_string().contains("Hessian product"), "{error}");
}
