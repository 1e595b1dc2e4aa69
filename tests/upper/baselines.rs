//! Searches without gradients: against closed forms, what they promise, what they refuse, and that what they write can be read.

use crate::common::distance;
#[cfg(feature = "tpe")]
use crate::common::{WithCurvature, no_constants};
#[cfg(feature = "tpe")]
use bilevel::Tpe;
use bilevel::run::{JsonLines, Table};
use bilevel::{
    Accuracy, BoundedValue, Budget, DerivativeFree, Error, Evaluation, GridSearch, Hypergradient,
    Implicit, ImplicitState, Limits, Maid, Oracle, RandomSearch, Report, Run, SearchBox,
    SolveStatus, Solver, Status, Trust, Work,
};
use bilevel_problems::synthetic::quadratic::{Quadratic, QuadraticLower, QuadraticUpper};

fn oracle(problem: &Quadratic) -> Implicit<QuadraticLower, QuadraticUpper> {
    Implicit::new(problem.lower(), problem.upper())
}

fn accurate() -> Accuracy {
    Accuracy::new(1e-6, 1e-6).unwrap()
}

#[test]
fn derivative_free_search_finds_the_optimum_of_a_quadratic() {
    for (p, condition) in [(1, 30.0), (2, 30.0), (10, 30.0), (50, 100.0)] {
        let problem = Quadratic::random(100, p, condition, 0);
        let oracle = oracle(&problem);
        let report = Run::new(&oracle, DerivativeFree::default())
            .tolerance(1e-3)
            .start(vec![2.0; p])
            .unwrap();
        assert_eq!(report.status, Status::Converged, "p = {p}: {report}");
        let optimum = problem.optimum();
        let gap = problem.value(&report.theta) - problem.value(&optimum);
        let values: u64 = report.trace.rows().iter().map(|row| row.trials).sum();
        println!(
            "p = {p}: gap {gap:.1e}, {values} values, {} sweeps",
            report.iterations
        );
        assert!((0.0..1e-6).contains(&gap), "p = {p}: {gap}");
        // Strong convexity with constant 0.1.
        assert!(distance(&report.theta, &optimum) <= report.hypergradient_norm_bound() / 0.1);
        assert!(values < 100 * p as u64 + 100, "p = {p}: {values}");
    }
}

trait NormBound {
    fn hypergradient_norm_bound(&self) -> f64;
}

impl NormBound for Report<Vec<f64>> {
    fn hypergradient_norm_bound(&self) -> f64 {
        self.hypergradient.iter().map(|z| z * z).sum::<f64>().sqrt() + self.error_bound
    }
}

#[test]
fn every_sweep_decreases_the_exact_value_by_what_its_steps_promise() {
    let problem = Quadratic::random(30, 4, 100.0, 3);
    let oracle = oracle(&problem);
    let solver = DerivativeFree::default();
    let theta = vec![1.0, -2.0, 2.0, 0.5];
    let report = Run::new(&oracle, solver.clone())
        .start(theta.clone())
        .unwrap();
    let unit = problem.value(&theta);
    let rows = report.trace.rows();
    let mut moves = 0;
    for pair in rows.windows(2) {
        let (from, to) = (problem.value(&pair[0].theta), problem.value(&pair[1].theta));
        match pair[0].step {
            // Each step αᵢ of a sweep promises λ F(θ₀) αᵢ²; orthogonal ones sum to the square of the move's length, and an
            // expansion α, 2α, … to at least a third of it. The unit is the computed F(θ₀).
            Some(step) => {
                moves += 1;
                let promised = solver.decrease * unit * step * step / 3.0;
                assert!(from - to >= 0.99 * promised, "{from} {to} {promised}");
            }
            None => assert_eq!(pair[0].theta, pair[1].theta),
        }
        let (low, high) = (pair[0].value.lower, pair[0].value.upper);
        assert!((low..=high).contains(&from), "the bounds hold {from}");
    }
    assert!(moves >= 5, "nothing was compared");
}

#[test]
fn the_accuracy_of_derivative_free_search_follows_its_steps() {
    let problem = Quadratic::random(30, 3, 30.0, 1);
    let report = Run::new(&oracle(&problem), DerivativeFree::default())
        .start(vec![2.0; 3])
        .unwrap();
    let rows = report.trace.rows();
    let epsilon = |row: usize| rows[row].accuracy.epsilon;
    // The search goes on until every step is a thousandth of the first, so intervals must shrink to about its square.
    let (coarse, fine) = (epsilon(1), epsilon(rows.len() - 2));
    assert!(
        fine < 1e-2 * coarse,
        "{coarse:e} at the beginning, {fine:e} at the end"
    );
    let loosened = rows
        .windows(2)
        .any(|pair| pair[1].accuracy.epsilon > pair[0].accuracy.epsilon);
    assert!(loosened, "accuracy is given back after success");
}

#[test]
fn derivative_free_search_says_when_accuracy_is_what_it_lacks() {
    let problem = Quadratic::random(20, 2, 30.0, 0);
    let mut solver = DerivativeFree::default();
    solver.accuracy.floor = 1e-2;
    let report = Run::new(&oracle(&problem), solver)
        .tolerance(1e-9)
        .start(vec![2.0; 2])
        .unwrap();
    assert_eq!(report.status, Status::AccuracyFloor, "{report}");
}

#[test]
fn derivative_free_search_needs_bounds() {
    let problem = Quadratic::random(20, 2, 30.0, 0);
    let oracle = oracle(&problem).with_trust(Trust::Unknown);
    let error = Run::new(&oracle, DerivativeFree::default())
        .start(vec![0.0; 2])
        .unwrap_err();
    assert!(error.to_string().contains("rests on"), "{error}");
}

#[test]
fn random_search_keeps_the_best_of_its_points() {
    let problem = Quadratic::random(20, 2, 10.0, 0);
    let oracle = oracle(&problem);
    let mut solver = RandomSearch::new(SearchBox::cube(2, -3.0, 3.0), 60);
    solver.accuracy = accurate();
    let run = |solver: &RandomSearch| {
        Run::new(&oracle, solver.clone())
            .start(vec![2.5; 2])
            .unwrap()
    };
    let report = run(&solver);
    assert_eq!((report.status, report.iterations), (Status::Completed, 61));
    let rows = report.trace.rows();
    for pair in rows.windows(2) {
        assert_eq!(pair[0].step.is_some(), pair[0].theta != pair[1].theta);
        // The last row is a second look at the best point.
        assert!(pair[1].value.value <= pair[0].value.value + 1e-5);
        assert!(pair[0].theta.iter().all(|t| (-3.0..=3.0).contains(t)));
        if let Some(step) = pair[0].step {
            assert!((step - distance(&pair[0].theta, &pair[1].theta)).abs() < 1e-12);
        }
    }
    let gap = |theta: &Vec<f64>| problem.value(theta) - problem.value(&problem.optimum());
    assert!(
        gap(&report.theta) < 0.1 * gap(&vec![2.5; 2]),
        "{}",
        gap(&report.theta)
    );
    // More points include those of fewer; another seed gives others.
    let more = run(&RandomSearch {
        points: 80,
        ..solver.clone()
    });
    assert_eq!(more.trace.rows()[..61], rows[..61]);
    let other = run(&RandomSearch { seed: 1, ..solver });
    assert_ne!(other.theta, report.theta);
}

#[test]
fn grid_search_finds_the_best_point_of_its_grid() {
    let problem = Quadratic::random(20, 2, 10.0, 0);
    let oracle = oracle(&problem);
    let mut solver = GridSearch::new(SearchBox::cube(2, -1.0, 1.0), 5);
    solver.accuracy = accurate();
    let report = Run::new(&oracle, solver).start(vec![9.0; 2]).unwrap();
    assert_eq!((report.status, report.iterations), (Status::Completed, 26));
    let coordinates = [-1.0, -0.5, 0.0, 0.5, 1.0];
    let mut grid = coordinates
        .iter()
        .flat_map(|a| coordinates.map(|b| vec![*a, b]));
    let best = grid.by_ref().reduce(|a, b| {
        if problem.value(&b) < problem.value(&a) {
            b
        } else {
            a
        }
    });
    assert_eq!(Some(report.theta), best);
    // One point: the middle of the box, which here is the optimum itself.
    let optimum = problem.optimum();
    let around = SearchBox {
        lower: optimum.iter().map(|t| t - 1.0).collect(),
        upper: optimum.iter().map(|t| t + 1.0).collect(),
    };
    let report = Run::new(&oracle, GridSearch::new(around, 1))
        .tolerance(1e-1)
        .start(vec![1.0; 2])
        .unwrap();
    assert_eq!((report.status, report.iterations), (Status::Converged, 2));
    assert!(distance(&report.theta, &optimum) < 1e-12);
}

#[cfg(feature = "tpe")]
fn tpe(region: SearchBox, points: u64, seed: u64) -> Tpe {
    Tpe {
        seed,
        accuracy: accurate(),
        ..Tpe::new(region, points)
    }
}

#[cfg(feature = "tpe")]
#[test]
fn tpe_comes_nearer_to_the_optimum_of_a_quadratic_than_random_search() {
    fn reached(p: usize, solver: impl Solver<Implicit<QuadraticLower, QuadraticUpper>>) -> f64 {
        let problem = Quadratic::random(20, p, 10.0, 0);
        let gap = |theta: &Vec<f64>| problem.value(theta) - problem.value(&problem.optimum());
        let theta = vec![2.5; p];
        let oracle = oracle(&problem);
        let run = Run::new(&oracle, solver).tolerance(0.0);
        let report = run.start(theta.clone()).unwrap();
        assert_eq!(report.status, Status::Completed, "{report}");
        gap(&report.theta) / gap(&theta)
    }
    for (p, points, share) in [(1, 50, 1e-3), (2, 100, 3e-3), (5, 200, 2e-2)] {
        let region = SearchBox::cube(p, -3.0, 3.0);
        let (mut learned, mut blind) = (0.0, 0.0);
        for seed in 0..3 {
            let random = RandomSearch {
                seed,
                accuracy: accurate(),
                ..RandomSearch::new(region.clone(), points)
            };
            let found = reached(p, tpe(region.clone(), points, seed));
            assert!(found < share, "p = {p}, seed {seed}: {found}");
            learned += found / 3.0;
            blind += reached(p, random) / 3.0;
        }
        println!("p = {p}: {learned:.1e} of F(θ₀) − F* is left, by random search {blind:.1e}");
        assert!(learned < 0.5 * blind, "p = {p}: {learned} {blind}");
    }
}

#[cfg(feature = "tpe")]
#[test]
fn tpe_keeps_the_best_of_its_points_which_its_seed_decides() {
    let problem = Quadratic::random(20, 2, 10.0, 0);
    let oracle = oracle(&problem);
    let run = |points, seed| {
        Run::new(&oracle, tpe(SearchBox::cube(2, -3.0, 3.0), points, seed))
            .start(vec![2.5; 2])
            .unwrap()
    };
    let report = run(40, 0);
    let rows = report.trace.rows();
    for pair in rows.windows(2) {
        assert_eq!(pair[0].step.is_some(), pair[0].theta != pair[1].theta);
        // The last row is a second look at the best point.
        assert!(pair[1].value.value <= pair[0].value.value + 1e-5);
        assert!(pair[0].theta.iter().all(|t| (-3.0..=3.0).contains(t)));
        assert_eq!(pair[0].trials, 1);
        if let Some(step) = pair[0].step {
            assert!((step - distance(&pair[0].theta, &pair[1].theta)).abs() < 1e-12);
        }
    }
    assert_eq!(run(60, 0).trace.rows()[..41], rows[..41]);
    assert_eq!(run(40, 0).trace.to_csv(), report.trace.to_csv());
    assert_ne!(run(40, 1).theta, report.theta);
}

#[cfg(feature = "tpe")]
#[test]
fn tpe_searches_a_box_of_any_size_and_one_without_volume() {
    let problem = Quadratic::random(20, 2, 10.0, 0);
    let mut region = SearchBox::cube(2, -3.0, 3.0);
    (region.lower[1], region.upper[1]) = (0.5, 0.5);
    let report = Run::new(&oracle(&problem), tpe(region, 40, 0))
        .start(vec![2.5, 0.5])
        .unwrap();
    assert!(report.theta[1] == 0.5 && report.theta[0] < 2.5, "{report}");
    assert!(report.trace.rows().iter().all(|row| row.theta[1] == 0.5));
    // Where the middle of a side overflows, where its hundredth part vanishes, and where it has no number inside.
    let misleading = Misleading(problem);
    for (lower, upper) in [
        (1e308, 1.7e308),
        (-8e307, 8e307),
        (0.0, 5e-324),
        (1.0, 1.0 + f64::EPSILON),
        (-2.0, -2.0),
    ] {
        let solver = tpe(SearchBox::cube(2, lower, upper), 30, 0);
        let report = Run::new(&misleading, solver)
            .tolerance(0.0)
            .start(vec![lower, upper])
            .unwrap();
        assert_eq!(report.iterations, 31, "{report}");
        assert!(report.theta.iter().all(|t| (lower..=upper).contains(t)));
    }
}

#[test]
fn budgets_end_a_search_and_name_themselves() {
    let problem = Quadratic::random(20, 2, 10.0, 0);
    let oracle = oracle(&problem);
    let limits = Limits {
        lower_gradients: Some(100),
        ..Limits::default()
    };
    let ended = |report: Report<Vec<f64>>| {
        assert_eq!(
            report.status,
            Status::BudgetExhausted(Budget::LowerGradients)
        );
        assert!(report.work.lower_gradients >= 100);
        let last = report.trace.last().unwrap();
        assert_eq!(last.work, report.work);
        assert!(
            last.gradient_norm.is_finite(),
            "the last row has the report's hypergradient"
        );
    };
    let region = SearchBox::cube(2, -1.0, 1.0);
    ended(
        Run::new(&oracle, DerivativeFree::default())
            .limits(limits)
            .start(vec![1.0; 2])
            .unwrap(),
    );
    let random = RandomSearch::new(region.clone(), 1_000_000);
    ended(
        Run::new(&oracle, random)
            .limits(limits)
            .start(vec![1.0; 2])
            .unwrap(),
    );
    #[cfg(feature = "tpe")]
    ended(
        Run::new(&oracle, Tpe::new(region.clone(), 1_000_000))
            .limits(limits)
            .start(vec![1.0; 2])
            .unwrap(),
    );
    let grid = GridSearch::new(region, 1_000);
    ended(
        Run::new(&oracle, grid)
            .limits(limits)
            .start(vec![1.0; 2])
            .unwrap(),
    );
}

fn refusal<S: Solver<Implicit<QuadraticLower, QuadraticUpper>>>(solver: S) -> String {
    let problem = Quadratic::random(20, 2, 30.0, 0);
    let error = Run::new(&oracle(&problem), solver)
        .start(vec![-3.0; 2])
        .unwrap_err();
    assert!(matches!(error, Error::InvalidArgument { .. }), "{error}");
    error.to_string()
}

#[test]
fn settings_out_of_range_are_refused_by_name() {
    let plane = SearchBox::cube(2, -1.0, 1.0);
    let says = |text: String, expected: &str| assert!(text.contains(expected), "{text}");
    says(refusal(RandomSearch::new(plane.clone(), 0)), "points is 0");
    says(refusal(GridSearch::new(plane.clone(), 0)), "points is 0");
    says(
        refusal(RandomSearch::new(SearchBox::cube(2, 1.0, -1.0), 9)),
        "region[0] is from 1 to -1",
    );
    says(
        refusal(GridSearch::new(SearchBox::cube(3, -1.0, 1.0), 9)),
        "region.lower is 3 numbers",
    );
    says(
        refusal(GridSearch::new(SearchBox::default(), 9)),
        "region.lower is 0 numbers",
    );
    says(
        refusal(GridSearch::new(plane.clone(), 1 << 40)),
        "draw points at random",
    );
    let mut coarse = RandomSearch::new(plane, 9);
    coarse.accuracy.epsilon = f64::NAN;
    says(refusal(coarse), "epsilon is NaN");
    let default = DerivativeFree::default;
    for (solver, name) in [
        (
            DerivativeFree {
                initial_step: 0.0,
                ..default()
            },
            "initial_step",
        ),
        (
            DerivativeFree {
                final_step: f64::INFINITY,
                ..default()
            },
            "final_step",
        ),
        (
            DerivativeFree {
                decrease: 1.0,
                ..default()
            },
            "decrease",
        ),
        (
            DerivativeFree {
                slack: -1.0,
                ..default()
            },
            "slack",
        ),
    ] {
        says(refusal(solver), name);
    }
}

#[cfg(feature = "tpe")]
#[test]
fn settings_of_tpe_out_of_range_are_refused_by_name() {
    let plane = SearchBox::cube(2, -1.0, 1.0);
    let says = |text: String, expected: &str| assert!(text.contains(expected), "{text}");
    let around = SearchBox::cube(2, -4.0, -2.0);
    let tpe = |change: fn(&mut Tpe)| {
        let mut solver = Tpe::new(around.clone(), 9);
        change(&mut solver);
        refusal(solver)
    };
    says(tpe(|s| s.points = 0), "points is 0; expected at least 1");
    says(tpe(|s| s.candidates = 0), "candidates is 0");
    for gamma in [0.0, 1.0, f64::NAN] {
        let mut solver = Tpe::new(around.clone(), 9);
        solver.gamma = gamma;
        let expected = format!("gamma is {gamma}; expected a number strictly between 0 and 1");
        says(refusal(solver), &expected);
    }
    says(tpe(|s| s.accuracy.delta = 0.0), "delta is 0");
    says(
        tpe(|s| s.region = SearchBox::cube(1, -4.0, -2.0)),
        "region.lower is 1 numbers",
    );
    says(
        tpe(|s| s.region.upper[1] = f64::INFINITY),
        "region[1] is from -4 to inf",
    );
    says(
        refusal(Tpe::new(plane, 9)),
        "theta[0] is -3; expected a number of the box, from -1 to 1",
    );
}

/// The quadratic with values that are wrong by up to ε, as badly as they may be.
struct Misleading(Quadratic);

impl Oracle for Misleading {
    type Theta = Vec<f64>;
    type State = ();

    fn start(&self, _theta: &Vec<f64>) -> Result<(), Error> {
        Ok(())
    }

    fn value(&self, theta: &Vec<f64>, epsilon: f64, _s: &mut ()) -> Result<Evaluation, Error> {
        let bits = theta.iter().fold(0u64, |h, t| {
            (h ^ t.to_bits()).wrapping_mul(0x9E37_79B9_7F4A_7C15)
        });
        let value = self.0.value(theta) + if bits >> 63 == 0 { epsilon } else { -epsilon };
        Ok(Evaluation {
            value: BoundedValue {
                value,
                lower: value - epsilon,
                upper: value + epsilon,
                trust: Trust::Certified,
            },
            epsilon,
            status: SolveStatus::Converged,
            work: Work {
                lower_solves: 1,
                ..Work::default()
            },
        })
    }

    fn hypergradient(
        &self,
        theta: &Vec<f64>,
        accuracy: Accuracy,
        s: &mut (),
    ) -> Result<Hypergradient<Vec<f64>>, Error> {
        let at = self.value(theta, accuracy.epsilon, s)?;
        Ok(Hypergradient {
            gradient: self.0.gradient(theta),
            error_bound: 1e-9,
            trust: Trust::Certified,
            value: at.value,
            correction: None,
            goal_oriented: at.value.value,
            attained: accuracy,
            lower_status: SolveStatus::Converged,
            adjoint_status: SolveStatus::Converged,
            attempts: Vec::new(),
            work: at.work,
        })
    }

    fn check(&self, _theta: &Vec<f64>, _s: &()) -> Result<(), Error> {
        Ok(())
    }

    fn identity(&self) -> String {
        "misleading".into()
    }
}

#[test]
fn misleading_values_do_not_mislead_derivative_free_search() {
    let problem = Quadratic::random(30, 3, 30.0, 5);
    let oracle = Misleading(problem.clone());
    let report = Run::new(&oracle, DerivativeFree::default())
        .start(vec![2.0; 3])
        .unwrap();
    let rows = report.trace.rows();
    for pair in rows.windows(2).filter(|pair| pair[0].step.is_some()) {
        let fall = problem.value(&pair[0].theta) - problem.value(&pair[1].theta);
        assert!(fall > 0.0, "{} rises by {}", pair[0].iteration, -fall);
    }
    let gap = problem.value(&report.theta) - problem.value(&problem.optimum());
    assert!(gap < 1e-5, "{report}: {gap}");
    // On values alone it goes wrong: the same numbers mislead random search.
    let mut random = RandomSearch::new(SearchBox::cube(3, -0.5, 0.5), 200);
    random.accuracy = Accuracy::new(0.5, 0.5).unwrap();
    let report = Run::new(&oracle, random).start(vec![0.0; 3]).unwrap();
    let rises = report.trace.rows().windows(2);
    let rises = rises.filter(|p| problem.value(&p[1].theta) > problem.value(&p[0].theta));
    assert!(rises.count() > 0);
}

/// An oracle that is not defined for θ₁ > 0.
struct HalfSpace(Implicit<QuadraticLower, QuadraticUpper>);

impl HalfSpace {
    fn defined(theta: &[f64]) -> Result<(), Error> {
        match theta[0] {
            t if t > 0.0 => Err(Error::invalid("theta[0]", t, "at most 0")),
            _ => Ok(()),
        }
    }
}

impl Oracle for HalfSpace {
    type Theta = Vec<f64>;
    type State = <Implicit<QuadraticLower, QuadraticUpper> as Oracle>::State;

    fn start(&self, theta: &Vec<f64>) -> Result<Self::State, Error> {
        self.0.start(theta)
    }

    fn value(
        &self,
        theta: &Vec<f64>,
        epsilon: f64,
        s: &mut Self::State,
    ) -> Result<Evaluation, Error> {
        Self::defined(theta)?;
        self.0.value(theta, epsilon, s)
    }

    fn hypergradient(
        &self,
        theta: &Vec<f64>,
        accuracy: Accuracy,
        s: &mut Self::State,
    ) -> Result<Hypergradient<Vec<f64>>, Error> {
        Self::defined(theta)?;
        self.0.hypergradient(theta, accuracy, s)
    }

    fn check(&self, theta: &Vec<f64>, s: &Self::State) -> Result<(), Error> {
        self.0.check(theta, s)
    }

    fn identity(&self) -> String {
        format!("half of {}", self.0.identity())
    }
}

#[test]
fn points_outside_the_domain_are_passed_over_and_a_theta_outside_is_an_error() {
    let problem = Quadratic::random(20, 2, 10.0, 0);
    let oracle = HalfSpace(oracle(&problem));
    let region = SearchBox::cube(2, -2.0, 2.0);
    let random = RandomSearch::new(region.clone(), 40);
    #[cfg(feature = "tpe")]
    let tpe = Tpe::new(region.clone(), 40);
    let grid = GridSearch::new(region, 5);
    let theta = vec![-1.0; 2];
    for report in [
        Run::new(&oracle, random.clone())
            .start(theta.clone())
            .unwrap(),
        #[cfg(feature = "tpe")]
        Run::new(&oracle, tpe.clone()).start(theta.clone()).unwrap(),
        Run::new(&oracle, grid).start(theta.clone()).unwrap(),
        Run::new(&oracle, DerivativeFree::default())
            .start(theta)
            .unwrap(),
    ] {
        assert!(
            report.theta[0] <= 0.0 && report.trace.rows().len() > 10,
            "{report}"
        );
    }
    assert!(Run::new(&oracle, random).start(vec![1.0; 2]).is_err());
    #[cfg(feature = "tpe")]
    assert!(Run::new(&oracle, tpe).start(vec![1.0; 2]).is_err());
    assert!(
        Run::new(&oracle, DerivativeFree::default())
            .start(vec![1.0; 2])
            .is_err()
    );
}

/// The first step is accepted, four times as far the problem is not defined.
#[test]
fn an_extrapolation_out_of_the_domain_keeps_the_step_that_was_accepted() {
    const STEP: f64 = 1e-3;
    let mut problems = (0..20).map(|seed| Quadratic::random(20, 2, 10.0, seed));
    let problem = problems.find(|p| p.optimum()[0] > 0.1).unwrap();
    let mut theta = vec![0.0, problem.optimum()[1]];
    // θ₁ = 2.5 α ∂F/∂θ₁ < 0: a step α stays inside, one of 4α does not.
    for _ in 0..50 {
        theta[0] = 2.5 * STEP * problem.gradient(&theta)[0];
    }
    let mut maid = Maid::with_accuracy(1e-8);
    maid.line_search.initial_step = Some(STEP);
    maid.line_search.extrapolate = true;
    let run = |oracle: &dyn Oracle<Theta = Vec<f64>, State = ImplicitState<Vec<f64>>>| {
        let run = Run::new(&oracle, maid.clone()).max_iterations(1);
        run.start(theta.clone()).unwrap()
    };
    let whole = run(&oracle(&problem));
    let half = run(&HalfSpace(oracle(&problem)));
    let (whole, half) = (&whole.trace.rows()[..2], &half.trace.rows()[..2]);
    assert!(whole[0].step > Some(3.0 * STEP), "{:?}", whole[0]);
    assert_eq!((half[0].trials, half[0].step), (2, Some(STEP)));
    assert!(problem.value(&half[1].theta) < problem.value(&theta));
}

#[cfg(feature = "tpe")]
#[test]
fn tpe_learns_where_the_problem_is_not_defined() {
    let problem = Quadratic::random(20, 2, 10.0, 0);
    let oracle = HalfSpace(oracle(&problem));
    let mut region = SearchBox::cube(2, -2.0, 2.0);
    region.upper[0] = 6.0;
    for seed in 0..3 {
        let report = Run::new(&oracle, tpe(region.clone(), 100, seed))
            .start(vec![-1.0; 2])
            .unwrap();
        // Of points drawn blindly a quarter would be defined; two solves are those of θ₀ and of the end.
        let defined = report.work.lower_solves - 2;
        println!("seed {seed}: {defined} of 100 points are defined");
        assert!((50..100).contains(&defined), "{report}");
    }
}

#[cfg(feature = "tpe")]
#[test]
fn an_error_that_has_nothing_to_do_with_theta_ends_tpe() {
    let problem = Quadratic::random(10, 2, 10.0, 0);
    let lower = WithCurvature {
        inner: problem.lower(),
        change: no_constants,
    };
    let oracle = Implicit::new(lower, problem.upper());
    let run = Run::new(&oracle, Tpe::new(SearchBox::cube(2, -1.0, 1.0), 5));
    let result = run.start(vec![0.0; 2]);
    assert!(
        matches!(result, Err(Error::MissingConstant { .. })),
        "{result:?}"
    );
}

#[test]
fn rows_without_a_gradient_never_show_as_a_number() {
    let problem = Quadratic::random(20, 2, 10.0, 0);
    let oracle = oracle(&problem);
    let (mut table, mut lines) = (Vec::new(), Vec::new());
    let report = Run::new(
        &oracle,
        RandomSearch::new(SearchBox::cube(2, -1.0, 1.0), 10),
    )
    .observe(Table::new(&mut table))
    .observe(JsonLines::new(&mut lines))
    .start(vec![1.0; 2])
    .unwrap();
    let table = String::from_utf8(table).unwrap();
    assert!(!table.contains("inf") && !table.contains("NaN"), "{table}");
    let widths: Vec<usize> = table
        .lines()
        .skip(1)
        .map(|line| line.chars().count())
        .collect();
    assert!(widths.iter().all(|w| *w == widths[0]), "{table}");
    let lines = String::from_utf8(lines).unwrap();
    let first: serde_json::Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    assert!(
        first["gradient_norm"].is_null() && first["accuracy"]["delta"].is_null(),
        "{first}"
    );
    assert!(first["value"]["value"].is_number(), "{first}");
    let csv = report.trace.to_csv();
    assert!(
        !csv.contains("NaN") && csv.lines().nth(1).unwrap().contains(",inf,inf,unknown,"),
        "{csv}"
    );
    assert!(
        !report.to_json(&[]).contains("null"),
        "the report has a hypergradient"
    );
}

#[cfg(feature = "plot")]
#[test]
fn rows_without_a_gradient_never_show_in_a_figure() {
    use bilevel::UpperLevel;
    let problem = Quadratic::random(20, 2, 10.0, 0);
    let oracle = oracle(&problem);
    let search = RandomSearch::new(SearchBox::cube(2, -1.0, 1.0), 10);
    let report = Run::new(&oracle, search).start(vec![1.0; 2]).unwrap();
    let maid = Run::new(&oracle, Maid::default())
        .start(vec![1.0; 2])
        .unwrap();
    let svg = bilevel::plot::Figure::new()
        .axis(bilevel::plot::Axis::Work)
        .optimum(
            problem
                .upper()
                .value(&problem.solution(&problem.optimum()), &problem.optimum()),
        )
        .run("random search", &report.trace)
        .run("MAID", &maid.trace)
        .to_svg()
        .unwrap();
    assert!(
        !svg.contains("NaN") && !svg.contains("inf"),
        "a figure of numbers only"
    );
}
