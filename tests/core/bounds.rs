//! The certificate: the exact F lies within its bounds, the hypergradient within ω of the exact one, the lower-level solution
//! within ε of x*; on problems whose exact answers are known.

use crate::common::{
    Scaled, WithCurvature, distance, no_constants, only_mu, only_smoothness, random, solvers,
};
use bilevel::linear::{Cg, Cholesky, Fallback, LinearSolver, Minres};
use bilevel::lower::{Fista, GradientDescent, Lbfgs, LowerSolver, NewtonCg};
use bilevel::{
    Accuracy, Curvature, Error, ErrorEstimator, Implicit, Linearization, LowerLevel, Oracle,
    SolveStatus, Trust, UpperCurvature, UpperLevel, Vector,
};
use bilevel_problems::synthetic::finite_sum::FiniteSum;
use bilevel_problems::synthetic::quadratic::Quadratic;
use proptest::prelude::*;

const CONDITIONS: [f64; 5] = [1.0, 10.0, 1e2, 1e4, 1e6];
const SIZES: [(usize, usize); 5] = [(1, 1), (2, 2), (20, 3), (20, 4), (100, 5)];
const SCALES: [f64; 3] = [1.0, 1e-3, 1e3];
const ACCURACIES: [f64; 6] = [1.0, 1e-2, 1e-4, 1e-6, 1e-9, 1e-12];
const SEEDS: u64 = 3;

/// The exact answers at one θ.
struct Exact {
    theta: Vec<f64>,
    solution: Vec<f64>,
    value: f64,
    gradient: Vec<f64>,
}

impl Exact {
    fn of(problem: &Quadratic, theta: Vec<f64>) -> Self {
        Exact {
            solution: problem.solution(&theta),
            value: problem.value(&theta),
            gradient: problem.gradient(&theta),
            theta,
        }
    }
}

/// The error of a hypergradient and its bound.
struct Seen {
    error: f64,
    bound: f64,
}

/// Evaluates the oracle and asserts everything that a certificate claims.
fn certified<P, U, S, L>(
    oracle: &Implicit<P, U, S, L>,
    exact: &Exact,
    accuracy: Accuracy,
    state: &mut bilevel::ImplicitState<Vec<f64>>,
    case: &str,
) -> Seen
where
    P: LowerLevel<Theta = Vec<f64>, X = Vec<f64>>,
    U: UpperLevel<Theta = Vec<f64>, X = Vec<f64>>,
    S: LowerSolver,
    L: LinearSolver,
{
    let case = format!("{case}, {accuracy:?}");
    let evaluation = oracle.value(&exact.theta, accuracy.epsilon, state).unwrap();
    let z = oracle.hypergradient(&exact.theta, accuracy, state).unwrap();
    for (value, from) in [(evaluation.value, "value"), (z.value, "hypergradient")] {
        assert_eq!(value.trust, Trust::Certified, "{case}");
        assert!(value.lower <= value.value && value.value <= value.upper);
        assert!(
            value.lower <= exact.value && exact.value <= value.upper,
            "{case}: F = {:e} is not in {value:?} of {from}; off by {:e} of {:e}",
            exact.value,
            (exact.value - value.value).abs(),
            value.error(),
        );
    }
    let true_epsilon = distance(state.x(), &exact.solution);
    assert!(
        true_epsilon <= z.attained.epsilon,
        "{case}: ‖x̃ − x*‖ = {true_epsilon:e} > {:e}",
        z.attained.epsilon
    );
    if z.lower_status == SolveStatus::Converged {
        assert!(z.attained.epsilon <= accuracy.epsilon, "{case}");
    }
    let error = distance(&z.gradient, &exact.gradient);
    assert_eq!(z.trust, Trust::Certified, "{case}");
    assert!(
        error <= z.error_bound,
        "{case}: ‖z − ∇F‖ = {error:e} > ω = {:e}",
        z.error_bound
    );
    Seen {
        error,
        bound: z.error_bound,
    }
}

/// The grid of problems and accuracies for a pair of solvers.
fn check_grid<S: LowerSolver + Clone, L: LinearSolver + Clone>(
    lower_solver: &S,
    linear_solver: &L,
    largest_condition: f64,
) {
    for condition in CONDITIONS.into_iter().filter(|&c| c <= largest_condition) {
        for (n, p) in SIZES {
            for seed in 0..SEEDS {
                let problem = Quadratic::random(n, p, condition, seed);
                let exact = Exact::of(&problem, random(p, seed + 100));
                let scale = SCALES[seed as usize % SCALES.len()];
                let lower = Scaled {
                    inner: problem.lower(),
                    scale,
                };
                let oracle = Implicit::new(lower, problem.upper())
                    .with_lower_solver(lower_solver.clone())
                    .with_linear_solver(linear_solver.clone());
                let case = format!(
                    "n={n} p={p} condition={condition:e} seed={seed} scale={scale:e} {} {}",
                    lower_solver.identity(),
                    linear_solver.identity()
                );
                // From one accuracy to the next with warm starts; then unequal ε and δ from scratch.
                let mut state = oracle.start(&exact.theta).unwrap();
                for (i, &a) in ACCURACIES.iter().enumerate() {
                    let accuracy = Accuracy::new(a, a).unwrap();
                    certified(&oracle, &exact, accuracy, &mut state, &case);
                    let other = ACCURACIES[(i + 1 + seed as usize) % ACCURACIES.len()];
                    let accuracy = Accuracy::new(a, other).unwrap();
                    let mut fresh = oracle.start(&exact.theta).unwrap();
                    certified(&oracle, &exact, accuracy, &mut fresh, &case);
                }
            }
        }
    }
}

fn check_linear_solvers<S: LowerSolver + Clone>(lower_solver: &S, largest_condition: f64) {
    check_grid(lower_solver, &Cg::default(), largest_condition);
    check_grid(lower_solver, &Minres::default(), largest_condition);
    check_grid(lower_solver, &Cholesky::default(), largest_condition);
    check_grid(lower_solver, &Fallback::default(), largest_condition);
}

#[test]
fn quadratic_is_within_its_bounds_with_gradient_descent() {
    check_linear_solvers(&GradientDescent::default(), 1e2);
}

#[test]
fn quadratic_is_within_its_bounds_with_fista() {
    check_linear_solvers(&Fista::default(), 1e6);
}

#[test]
fn quadratic_is_within_its_bounds_with_newton_cg() {
    check_linear_solvers(&NewtonCg::default(), 1e6);
}

#[test]
fn quadratic_is_within_its_bounds_with_lbfgs() {
    check_linear_solvers(&Lbfgs::default(), 1e6);
}

#[test]
fn bounds_hold_where_the_inner_solvers_are_cut_short() {
    for condition in CONDITIONS {
        for iterations in [0, 1, 3, 10] {
            let problem = Quadratic::random(20, 3, condition, 7);
            let exact = Exact::of(&problem, random(3, 8));
            let oracle = Implicit::new(problem.lower(), problem.upper())
                .with_lower_solver(Fista {
                    max_iterations: iterations,
                    ..Fista::default()
                })
                .with_linear_solver(Cg {
                    max_iterations: iterations,
                    ..Cg::default()
                });
            let mut state = oracle.start(&exact.theta).unwrap();
            let accuracy = Accuracy::new(1e-9, 1e-9).unwrap();
            let case = format!("condition={condition:e} after {iterations} iterations");
            for _ in 0..3 {
                certified(&oracle, &exact, accuracy, &mut state, &case);
            }
        }
    }
}

/// Asserts the certificate of one quadratic with any pair of solvers.
fn check_one(
    (n, p): (usize, usize),
    (condition, scale): (f64, f64),
    (seed, size): (u64, f64),
    accuracy: Accuracy,
    (lower_solver, linear_solver): (usize, usize),
) {
    let case = format!("n={n} p={p} condition={condition:e} scale={scale:e} seed={seed}");
    let problem = Quadratic::random(n, p, condition, seed);
    let mut theta = random(p, seed);
    theta.scale(size);
    let exact = Exact::of(&problem, theta);
    let lower = Scaled {
        inner: problem.lower(),
        scale,
    };
    // Gradient descent, the first of the solvers, is for good conditioning.
    let lower_solver = if condition > 1e2 {
        lower_solver.max(1)
    } else {
        lower_solver
    };
    let oracle =
        Implicit::new(lower, problem.upper()).with_lower_solver(solvers()[lower_solver].clone());
    let mut state = oracle.start(&exact.theta).unwrap();
    let (e, a, s) = (&exact, accuracy, &mut state);
    match linear_solver {
        0 => certified(&oracle.with_linear_solver(Cg::default()), e, a, s, &case),
        1 => certified(
            &oracle.with_linear_solver(Minres::default()),
            e,
            a,
            s,
            &case,
        ),
        2 => certified(
            &oracle.with_linear_solver(Cholesky::default()),
            e,
            a,
            s,
            &case,
        ),
        _ => certified(&oracle, e, a, s, &case),
    };
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_quadratics_are_within_their_bounds(
        shape in (1usize..60, 1usize..=5),
        logs in (0.0..6.0f64, -4.0..4.0f64),
        theta in (any::<u64>(), -2.0..3.0f64),
        accuracy in (-13.0..0.5f64, -13.0..0.5f64),
        pair in (0usize..4, 0usize..4),
    ) {
        let exp = |x: f64| 10f64.powf(x);
        let accuracy = Accuracy::new(exp(accuracy.0), exp(accuracy.1)).unwrap();
        check_one(shape, (exp(logs.0), exp(logs.1)), (theta.0, exp(theta.1)), accuracy, pair);
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The median of ω/‖z − ∇F‖ over seeds and accuracies, with the default solvers.
fn looseness(condition: f64, accuracies: &[f64]) -> f64 {
    let mut ratios = Vec::new();
    for seed in 0..40 {
        let problem = Quadratic::random(20, 3, condition, seed);
        let exact = Exact::of(&problem, random(3, seed + 100));
        let oracle = Implicit::new(problem.lower(), problem.upper());
        for &a in accuracies {
            let mut state = oracle.start(&exact.theta).unwrap();
            let accuracy = Accuracy::new(a, a).unwrap();
            let seen = certified(&oracle, &exact, accuracy, &mut state, "looseness");
            ratios.push(seen.bound / seen.error.max(f64::MIN_POSITIVE));
        }
    }
    median(ratios)
}

/// `cargo test -p bilevel --test core -- --nocapture looseness` prints how far above the true error the certificate is.
#[test]
fn looseness_is_finite_and_never_below_one() {
    println!("condition   ε = δ = 1e-2       1e-4       1e-6   all (median of ω/‖z − ∇F‖)");
    for condition in CONDITIONS {
        let each = [1e-2, 1e-4, 1e-6].map(|a| looseness(condition, &[a]));
        let all = looseness(condition, &[1e-2, 1e-4, 1e-6]);
        println!(
            "{condition:>9.0e}   {:>12.1} {:>10.1} {:>10.1} {all:>8.1}",
            each[0], each[1], each[2]
        );
        assert!(all >= 1.0 && all.is_finite());
    }
}

/// The largest |φ'''| is this over ν², for φ(t) = √(t² + ν²).
const MAX_THIRD: f64 = 0.858_650_103_355_036_9;

/// The meaning of θ = (θ₁, θ₂) in a [`Soft`] problem.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Meaning {
    /// The weight w = e^θ₁ and the smoothing ν = e^θ₂: A and B depend on x.
    Regulariser,
    /// The data y + θ₁ + θ₂ s, with w and ν fixed: A depends on x, B does not.
    Data,
}

/// g(x, θ) = Σ ½xᵢ² + w φ_ν(xᵢ) − yᵢxᵢ: separable, hence solved to rounding one coordinate at a time.
#[derive(Clone)]
struct Soft {
    meaning: Meaning,
    y: Vec<f64>,
    slope: Vec<f64>,
    fixed: (f64, f64),
}

impl Soft {
    fn new(n: usize, meaning: Meaning, fixed: (f64, f64), size: f64, seed: u64) -> Self {
        let mut y = random(n, seed);
        y.scale(size);
        Soft {
            meaning,
            y,
            slope: random(n, seed + 1),
            fixed,
        }
    }

    /// w and ν.
    fn parameters(&self, theta: &[f64]) -> (f64, f64) {
        match self.meaning {
            Meaning::Regulariser => (theta[0].exp(), theta[1].exp()),
            Meaning::Data => self.fixed,
        }
    }

    fn data(&self, i: usize, theta: &[f64]) -> f64 {
        match self.meaning {
            Meaning::Regulariser => self.y[i],
            Meaning::Data => self.y[i] + theta[0] + theta[1] * self.slope[i],
        }
    }

    /// The root of x + w x/φ(x) − y, by Newton's method within a bracket that bisection shrinks.
    fn solution(&self, theta: &[f64]) -> Vec<f64> {
        let (w, nu) = self.parameters(theta);
        (0..self.y.len())
            .map(|i| {
                let y = self.data(i, theta);
                let (mut lo, mut hi) = (y.min(0.0), y.max(0.0));
                let mut x = 0.5 * y;
                for _ in 0..200 {
                    let phi = x.hypot(nu);
                    let residual = x + w * x / phi - y;
                    if residual > 0.0 {
                        hi = x;
                    } else {
                        lo = x;
                    }
                    let next = x - residual / (1.0 + w * nu * nu / phi.powi(3));
                    x = if next > lo && next < hi {
                        next
                    } else {
                        0.5 * (lo + hi)
                    };
                }
                x
            })
            .collect()
    }

    fn exact(&self, upper: &SoftUpper, theta: Vec<f64>) -> Exact {
        let solution = self.solution(&theta);
        let (w, nu) = self.parameters(&theta);
        let mut q = solution.clone();
        upper.gradient_x(&solution, &theta, &mut q);
        for (q, x) in q.iter_mut().zip(&solution) {
            *q /= 1.0 + w * nu * nu / x.hypot(nu).powi(3);
        }
        let mut product = vec![0.0; 2];
        self.linearize(&solution, &theta)
            .cross_vjp(&q, &mut product);
        let mut gradient = vec![0.0; 2];
        upper.gradient_theta(&solution, &theta, &mut gradient);
        gradient.axpy(-1.0, &product);
        Exact {
            value: upper.value(&solution, &theta),
            solution,
            gradient,
            theta,
        }
    }
}

struct SoftLinearization<'a> {
    problem: &'a Soft,
    x: &'a [f64],
    theta: &'a [f64],
}

impl SoftLinearization<'_> {
    /// Row i of B.
    fn cross(&self, i: usize) -> [f64; 2] {
        let (w, nu) = self.problem.parameters(self.theta);
        let phi = self.x[i].hypot(nu);
        match self.problem.meaning {
            Meaning::Regulariser => {
                let first = w * self.x[i] / phi;
                [first, -first * nu * nu / (phi * phi)]
            }
            Meaning::Data => [-1.0, -self.problem.slope[i]],
        }
    }
}

impl Linearization for SoftLinearization<'_> {
    type Theta = Vec<f64>;
    type X = Vec<f64>;

    fn hvp(&self, v: &Vec<f64>, out: &mut Vec<f64>) {
        let (w, nu) = self.problem.parameters(self.theta);
        for i in 0..v.len() {
            out[i] = v[i] * (1.0 + w * nu * nu / self.x[i].hypot(nu).powi(3));
        }
    }

    fn cross_vjp(&self, w: &Vec<f64>, out: &mut Vec<f64>) {
        *out = vec![0.0; 2];
        for (i, w) in w.iter().enumerate() {
            let b = self.cross(i);
            out[0] += b[0] * w;
            out[1] += b[1] * w;
        }
    }

    fn cross_jvp(&self, u: &Vec<f64>, out: &mut Vec<f64>) {
        for (i, out) in out.iter_mut().enumerate() {
            let b = self.cross(i);
            *out = b[0] * u[0] + b[1] * u[1];
        }
    }
}

impl LowerLevel for Soft {
    type Theta = Vec<f64>;
    type X = Vec<f64>;

    fn start(&self) -> Vec<f64> {
        self.y.clone()
    }

    fn check(&self, theta: &Vec<f64>) -> Result<(), Error> {
        if theta.len() == 2 {
            Ok(())
        } else {
            Err(Error::invalid("theta", theta.len(), "2 numbers"))
        }
    }

    fn value(&self, x: &Vec<f64>, theta: &Vec<f64>) -> f64 {
        let (w, nu) = self.parameters(theta);
        x.iter()
            .enumerate()
            .map(|(i, x)| 0.5 * x * x + w * x.hypot(nu) - self.data(i, theta) * x)
            .sum()
    }

    fn gradient(&self, x: &Vec<f64>, theta: &Vec<f64>, out: &mut Vec<f64>) {
        let (w, nu) = self.parameters(theta);
        for (i, x) in x.iter().enumerate() {
            out[i] = x + w * x / x.hypot(nu) - self.data(i, theta);
        }
    }

    fn linearize<'a>(
        &'a self,
        x: &'a Vec<f64>,
        theta: &'a Vec<f64>,
    ) -> impl Linearization<Theta = Vec<f64>, X = Vec<f64>> + 'a {
        SoftLinearization {
            problem: self,
            x,
            theta,
        }
    }

    fn curvature(&self, theta: &Vec<f64>) -> Curvature {
        let (w, nu) = self.parameters(theta);
        let (cross_norm, cross_lipschitz) = match self.meaning {
            // Each row of B has norm below w, and a derivative in x of norm at most √2 w/ν.
            Meaning::Regulariser => (w * (self.y.len() as f64).sqrt(), 2f64.sqrt() * w / nu),
            Meaning::Data => {
                let squares: f64 = self.slope.iter().map(|s| 1.0 + s * s).sum();
                (squares.sqrt(), 0.0)
            }
        };
        Curvature {
            strong_convexity: Some(1.0),
            smoothness: Some(1.0 + w / nu),
            hessian_lipschitz: Some(w * MAX_THIRD / (nu * nu)),
            cross_norm: Some(cross_norm),
            cross_lipschitz: Some(cross_lipschitz),
        }
    }
}

/// f(x, θ) = Σ h(xᵢ − tᵢ) + θ₁⟨a, x⟩ with ‖a‖ = 1; h(d) = ½d², or 1 − cos d, which is not convex.
#[derive(Clone)]
struct SoftUpper {
    target: Vec<f64>,
    a: Vec<f64>,
    convex: bool,
    constants: bool,
}

impl SoftUpper {
    fn new(n: usize, convex: bool, size: f64, seed: u64) -> Self {
        let mut target = random(n, seed + 2);
        target.scale(size);
        let mut a = random(n, seed + 3);
        a.scale(1.0 / a.norm());
        SoftUpper {
            target,
            a,
            convex,
            constants: true,
        }
    }
}

impl UpperLevel for SoftUpper {
    type Theta = Vec<f64>;
    type X = Vec<f64>;

    fn value(&self, x: &Vec<f64>, theta: &Vec<f64>) -> f64 {
        let sum: f64 = x
            .iter()
            .zip(&self.target)
            .map(|(x, t)| {
                if self.convex {
                    0.5 * (x - t) * (x - t)
                } else {
                    1.0 - (x - t).cos()
                }
            })
            .sum();
        sum + theta[0] * self.a.dot(x)
    }

    fn gradient_x(&self, x: &Vec<f64>, theta: &Vec<f64>, out: &mut Vec<f64>) {
        for i in 0..x.len() {
            let d = x[i] - self.target[i];
            let slope = if self.convex { d } else { d.sin() };
            out[i] = slope + theta[0] * self.a[i];
        }
    }

    fn gradient_theta(&self, x: &Vec<f64>, _theta: &Vec<f64>, out: &mut Vec<f64>) {
        *out = vec![self.a.dot(x), 0.0];
    }

    fn curvature(&self, _theta: &Vec<f64>) -> UpperCurvature {
        if !self.constants {
            return UpperCurvature::default();
        }
        UpperCurvature {
            gradient_x_lipschitz: Some(1.0),
            gradient_theta_lipschitz: Some(1.0),
            convex: self.convex,
        }
    }

    /// x − t and its cosine are rounded by their own size, not by that of f, in which they cancel.
    fn value_rounding(&self, x: &Vec<f64>, theta: &Vec<f64>, value: f64) -> f64 {
        let terms = x.norm() + self.target.norm() + theta[0].abs() * self.a.norm() * x.norm();
        8.0 * Vec::<f64>::UNIT_ROUNDOFF * (value.abs() + x.len() as f64 + terms)
    }
}

/// Soft problems over a range of weights, smoothings, sizes and targets, and a θ for each.
fn soft_problems() -> Vec<(String, Soft, SoftUpper, Vec<f64>)> {
    let mut problems = Vec::new();
    // cos(x − t) loses the digits of x for a large t: that is the subject of a test of its own.
    for n in [1, 3, 30] {
        for meaning in [Meaning::Regulariser, Meaning::Data] {
            for (w, nu) in [
                (0.01, 1.0),
                (0.1, 0.1),
                (1.0, 0.1),
                (1.0, 0.01),
                (10.0, 1.0),
            ] {
                for (data, target) in [(0.01, 1.0), (1.0, 1.0), (1.0, 100.0)] {
                    for convex in [true, false] {
                        if !convex && target > 1.0 {
                            continue;
                        }
                        for seed in [10, 20] {
                            let case = format!(
                                "n={n} {meaning:?} w={w} ν={nu} data={data} target={target} convex={convex} seed={seed}"
                            );
                            let lower = Soft::new(n, meaning, (w, nu), data, seed);
                            let upper = SoftUpper::new(n, convex, target, seed);
                            let theta = match meaning {
                                Meaning::Regulariser => vec![w.ln(), nu.ln()],
                                Meaning::Data => vec![0.3 * data, -0.2 * data],
                            };
                            problems.push((case, lower, upper, theta));
                        }
                    }
                }
            }
        }
    }
    problems
}

#[test]
fn soft_problem_has_right_derivatives_and_constants() {
    for (case, lower, upper, theta) in soft_problems() {
        let x: Vec<f64> = random(lower.y.len(), 77);
        let report = bilevel::check_lower(&lower, &x, &theta);
        assert!(report.passed(), "{case}\n{report}");
        let report = bilevel::check_upper(&upper, &x, &theta);
        assert!(report.passed(), "{case}\n{report}");
    }
}

#[test]
fn changing_hessian_and_mixed_derivative_are_within_the_certified_bounds() {
    let mut ratios = Vec::new();
    for (case, lower, upper, theta) in soft_problems() {
        let exact = lower.exact(&upper, theta);
        let oracle = Implicit::new(lower, upper);
        let newton = Implicit::new(oracle.lower().clone(), oracle.upper().clone())
            .with_lower_solver(NewtonCg::default());
        for a in [1.0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-6, 1e-9, 1e-12] {
            let accuracy = Accuracy::new(a, a).unwrap();
            let mut state = oracle.start(&exact.theta).unwrap();
            let seen = certified(&oracle, &exact, accuracy, &mut state, &case);
            ratios.push(seen.bound / seen.error.max(f64::MIN_POSITIVE));
            let mut state = newton.start(&exact.theta).unwrap();
            certified(&newton, &exact, accuracy, &mut state, &case);
        }
    }
    println!(
        "changing A and B: median of ω/‖z − ∇F‖ {:.1}",
        median(ratios)
    );
}

#[test]
fn a_value_whose_digits_cancel_is_within_its_bounds() {
    // f(x) = 1 − cos(x − t) with |t| = 65: the rounding of x − t alone is 7e-15, whatever the size of f.
    let theta = vec![0.1f64.ln(), 0.1f64.ln()];
    let lower = Soft::new(1, Meaning::Regulariser, (0.1, 0.1), 1.0, 20);
    let upper = SoftUpper::new(1, false, 100.0, 20);
    let exact = lower.exact(&upper, theta);
    let oracle = Implicit::new(lower, upper).with_lower_solver(NewtonCg::default());
    for a in [1e-6, 1e-9, 1e-12] {
        let accuracy = Accuracy::new(a, a).unwrap();
        let mut state = oracle.start(&exact.theta).unwrap();
        certified(&oracle, &exact, accuracy, &mut state, "1 − cos(x − t)");
    }
}

/// The largest ‖z − ∇F‖/ω over the soft problems of a meaning, with the constants replaced.
fn worst_with(meaning: Meaning, change: fn(Curvature) -> Curvature) -> f64 {
    let mut worst = 0.0f64;
    for (_, lower, upper, theta) in soft_problems() {
        if lower.meaning != meaning {
            continue;
        }
        let exact = lower.exact(&upper, theta);
        let oracle = Implicit::new(
            WithCurvature {
                inner: lower,
                change,
            },
            upper,
        );
        for a in [1.0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-6] {
            let mut state = oracle.start(&exact.theta).unwrap();
            let accuracy = Accuracy::new(a, a).unwrap();
            let z = oracle
                .hypergradient(&exact.theta, accuracy, &mut state)
                .unwrap();
            worst = worst.max(distance(&z.gradient, &exact.gradient) / z.error_bound);
        }
    }
    worst
}

#[test]
fn the_terms_of_changing_hessian_and_mixed_derivative_are_needed() {
    // Were a term left out of the bound, these problems would tell.
    let all = worst_with(Meaning::Data, |c| c).max(worst_with(Meaning::Regulariser, |c| c));
    let without_hessian = worst_with(Meaning::Data, |c| Curvature {
        hessian_lipschitz: Some(0.0),
        ..c
    });
    let without_cross = worst_with(Meaning::Regulariser, |c| Curvature {
        cross_lipschitz: Some(0.0),
        ..c
    });
    println!(
        "largest ‖z − ∇F‖/ω: {all:.3}; without L_A {without_hessian:.3}, without L_B {without_cross:.3}"
    );
    assert!(all <= 1.0, "{all}");
    assert!(without_hessian > 1.0, "{without_hessian}");
    assert!(without_cross > 1.0, "{without_cross}");
}

#[test]
fn a_missing_constant_of_a_certificate_is_named() {
    let cases: [(&str, Change); 5] = [
        ("a certified bound needs L ", |c| Curvature {
            smoothness: None,
            ..c
        }),
        ("μ", |c| Curvature {
            strong_convexity: None,
            ..c
        }),
        ("L_A", |c| Curvature {
            hessian_lipschitz: None,
            ..c
        }),
        ("‖B‖", |c| Curvature {
            cross_norm: None,
            ..c
        }),
        ("L_B", |c| Curvature {
            cross_lipschitz: None,
            ..c
        }),
    ];
    let (_, lower, upper, theta) = soft_problems().remove(0);
    let accuracy = Accuracy::new(1e-3, 1e-3).unwrap();
    for (name, change) in cases {
        let oracle = Implicit::new(
            WithCurvature {
                inner: lower.clone(),
                change,
            },
            upper.clone(),
        );
        let mut state = oracle.start(&theta).unwrap();
        let error = oracle
            .hypergradient(&theta, accuracy, &mut state)
            .unwrap_err();
        assert!(matches!(error, Error::MissingConstant { .. }), "{error}");
        assert!(error.to_string().contains(name), "{error}");
    }
    let without = SoftUpper {
        constants: false,
        ..upper
    };
    let oracle = Implicit::new(lower, without);
    let mut state = oracle.start(&theta).unwrap();
    let error = oracle.value(&theta, 1e-3, &mut state).unwrap_err();
    assert!(error.to_string().contains("L_f"), "{error}");
}

#[test]
fn no_trust_gives_an_infinite_bound_and_no_claim_about_the_value() {
    for change in [no_constants, |c| c] {
        let (_, lower, upper, theta) = soft_problems().remove(0);
        let exact = lower.exact(&upper, theta);
        let oracle = Implicit::new(
            WithCurvature {
                inner: lower,
                change,
            },
            upper,
        )
        .with_trust(Trust::Unknown);
        let mut state = oracle.start(&exact.theta).unwrap();
        let accuracy = Accuracy::new(1e-9, 1e-9).unwrap();
        let z = oracle
            .hypergradient(&exact.theta, accuracy, &mut state)
            .unwrap();
        assert_eq!((z.trust, z.value.trust), (Trust::Unknown, Trust::Unknown));
        assert_eq!(z.error_bound, f64::INFINITY);
        assert_eq!(
            (z.value.lower, z.value.upper),
            (f64::NEG_INFINITY, f64::INFINITY)
        );
        assert!(distance(&z.gradient, &exact.gradient) < 1e-7);
    }
}

/// The quality of estimated bounds: the smallest ω/‖z − ∇F‖ and the smallest ratio for the value, over accuracies.
fn estimated<P, U>(lower: P, upper: U, exact: &Exact, case: &str) -> (f64, f64)
where
    P: LowerLevel<Theta = Vec<f64>, X = Vec<f64>>,
    U: UpperLevel<Theta = Vec<f64>, X = Vec<f64>>,
{
    estimated_by(ErrorEstimator::Sampled, lower, upper, exact, case)
}

fn estimated_by<P, U>(
    estimator: ErrorEstimator,
    lower: P,
    upper: U,
    exact: &Exact,
    case: &str,
) -> (f64, f64)
where
    P: LowerLevel<Theta = Vec<f64>, X = Vec<f64>>,
    U: UpperLevel<Theta = Vec<f64>, X = Vec<f64>>,
{
    let oracle = Implicit::new(lower, upper)
        .with_trust(Trust::Estimated)
        .with_estimator(estimator);
    let (mut gradient_ratio, mut value_ratio) = (f64::INFINITY, f64::INFINITY);
    for a in [1.0, 1e-1, 1e-2, 1e-4, 1e-6, 1e-8] {
        let mut state = oracle.start(&exact.theta).unwrap();
        let accuracy = Accuracy::new(a, a).unwrap();
        let z = oracle
            .hypergradient(&exact.theta, accuracy, &mut state)
            .unwrap();
        assert_eq!(
            (z.trust, z.value.trust),
            (Trust::Estimated, Trust::Estimated),
            "{case}"
        );
        assert!(z.error_bound.is_finite(), "{case}");
        // Errors at rounding level say nothing about the estimate.
        let error = distance(&z.gradient, &exact.gradient);
        if error > 1e-12 * (1.0 + exact.gradient.norm()) {
            gradient_ratio = gradient_ratio.min(z.error_bound / error);
        }
        let error = (z.value.value - exact.value).abs();
        if error > 1e-12 * (1.0 + exact.value.abs()) {
            value_ratio = value_ratio.min(z.value.error() / error);
        }
    }
    (gradient_ratio, value_ratio)
}

#[test]
fn estimated_bounds_say_so_and_are_at_most_tenfold_too_small() {
    let changes = [no_constants, only_mu, only_smoothness, |c| c];
    let mut worst: [_; 4] = std::array::from_fn(|_| (f64::INFINITY, f64::INFINITY, String::new()));
    for (case, lower, upper, theta) in soft_problems() {
        let exact = lower.exact(&upper, theta);
        for (change, worst) in changes.into_iter().zip(&mut worst) {
            for constants in [false, true] {
                let lower = WithCurvature {
                    inner: lower.clone(),
                    change,
                };
                let upper = SoftUpper {
                    constants,
                    ..upper.clone()
                };
                let (gradient, value) = estimated(lower, upper, &exact, &case);
                if gradient < worst.0 {
                    worst.0 = gradient;
                    worst.2.clone_from(&case);
                }
                worst.1 = worst.1.min(value);
            }
        }
    }
    for (name, (gradient, value, case)) in ["none", "μ", "L", "all"].iter().zip(&worst) {
        println!(
            "constants {name}: smallest ω/‖z − ∇F‖ {gradient:.2}, of the value {value:.2} ({case})"
        );
    }
    for (gradient, value, case) in &worst {
        assert!(*gradient >= 0.1, "{case}: {gradient}");
        assert!(*value >= 0.1, "{value}");
    }
}

/// The smallest ratios of [`estimated`] for quadratics of a conditioning, with μ = `scale`.
fn estimated_quadratics(
    change: fn(Curvature) -> Curvature,
    scale: f64,
    condition: f64,
) -> (f64, f64) {
    let (mut gradient, mut value) = (f64::INFINITY, f64::INFINITY);
    for seed in 0..5 {
        let problem = Quadratic::random(20, 3, condition, seed);
        let exact = Exact::of(&problem, random(3, seed + 100));
        let inner = Scaled {
            inner: problem.lower(),
            scale,
        };
        let lower = WithCurvature { inner, change };
        let (g, v) = estimated(lower, problem.upper(), &exact, "quadratic");
        (gradient, value) = (gradient.min(g), value.min(v));
    }
    (gradient, value)
}

type Change = fn(Curvature) -> Curvature;

#[test]
fn estimated_errors_of_ill_conditioned_hypergradients_are_at_most_tenfold_too_small() {
    let mut worst = f64::INFINITY;
    for (name, change) in [
        ("none", no_constants as Change),
        ("μ", only_mu),
        ("L", only_smoothness),
    ] {
        for scale in SCALES {
            let ratios = CONDITIONS.map(|c| estimated_quadratics(change, scale, c).0);
            println!("constants {name}, μ = {scale:.0e}: smallest ω/‖z − ∇F‖ {ratios:.2?}");
            worst = ratios.into_iter().fold(worst, f64::min);
        }
    }
    assert!(worst >= 0.1, "{worst:e}");
}

#[test]
fn estimates_by_a_newton_step_are_at_most_tenfold_too_small() {
    let newton = |lower, upper, exact: &Exact, case: &str| {
        estimated_by(ErrorEstimator::NewtonStep, lower, upper, exact, case).0
    };
    for condition in CONDITIONS {
        let ratios: Vec<f64> = (0..40)
            .map(|seed| {
                let problem = Quadratic::random(20, 3, condition, seed);
                let exact = Exact::of(&problem, random(3, seed + 100));
                let oracle = (problem.lower(), problem.upper());
                estimated_by(
                    ErrorEstimator::NewtonStep,
                    oracle.0,
                    oracle.1,
                    &exact,
                    "quadratic",
                )
                .0
            })
            .collect();
        let smallest = ratios.iter().copied().fold(f64::INFINITY, f64::min);
        let middle = median(ratios);
        println!("condition {condition:e}: smallest {smallest:.2}, median {middle:.1}");
        assert!(smallest >= 0.1);
    }
    let mut worst = f64::INFINITY;
    for (case, lower, upper, theta) in soft_problems() {
        let exact = lower.exact(&upper, theta);
        worst = worst.min(newton(lower, upper, &exact, &case));
    }
    println!("changing A and B: smallest {worst:.2}");
    assert!(worst >= 0.1);
}

#[test]
fn estimated_bounds_of_the_value_do_not_assume_the_strong_convexity() {
    let mut worst = f64::INFINITY;
    for (name, change) in [
        ("none", no_constants as Change),
        ("μ", only_mu),
        ("L", only_smoothness),
    ] {
        for scale in SCALES {
            let ratios = CONDITIONS.map(|c| estimated_quadratics(change, scale, c).1);
            println!("constants {name}, μ = {scale:.0e}: smallest (U − L)/|F − f| {ratios:.2?}");
            worst = ratios.into_iter().fold(worst, f64::min);
        }
    }
    assert!(worst >= 0.1, "{worst:e}");
}

/// An adjoint of zero has the residual ‖∇ₓf‖: a δ as loose as that would pass it, and end a run as converged on a gradient of zero.
#[test]
fn a_loose_delta_does_not_make_a_gradient_of_zero() {
    let problem = FiniteSum::coupled(6, 4, 50, 10.0, 1);
    let oracle = Implicit::new(problem.lower(), problem.upper()).with_trust(Trust::Unknown);
    let theta = vec![1.0; 4];
    let exact = problem.gradient(&theta);
    let mut state = oracle.start(&theta).unwrap();
    let loose = Accuracy::new(1e-6, 1e9).unwrap();
    let z = oracle.hypergradient(&theta, loose, &mut state).unwrap();
    let along: f64 = z.gradient.iter().zip(&exact).map(|(a, b)| a * b).sum();
    // Without the adjoint only the 0.1 θ of ∇θf is left.
    let direct: f64 = theta.iter().zip(&exact).map(|(t, b)| 0.1 * t * b).sum();
    assert!(along > 2.0 * direct.abs(), "{along}, directly {direct}");
}
