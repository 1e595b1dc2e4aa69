//! Differentiation through a training run: against finite differences, closed forms, and itself with fewer states in memory.

use crate::common::distance;
use crate::common::unrolled::{ALL, gradient};
use bilevel::hypergradient::unrolled::{Descent, Rollout, recomputation};
use bilevel::{
    Accuracy, DerivativeFree, Dynamics, Error, GradientDescent, Hoag, LowerLevel, Maid, Mode,
    Oracle, RandomSearch, Run, SearchBox, Status, ToleranceSchedule, Trust, Unrolled,
    UpperCurvature, UpperLevel, Vector, check_dynamics,
};
use bilevel_problems::synthetic::quadratic::Quadratic;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Accuracies make no difference to an unrolled oracle.
const ANY: Accuracy = Accuracy {
    epsilon: 1.0,
    delta: 1.0,
};

#[test]
fn the_longer_the_run_the_nearer_it_comes_to_the_implicit_gradient_and_what_is_cut_off_is_its_bias()
{
    let problem = Quadratic::random(20, 3, 10.0, 1);
    let theta = vec![0.3, -0.2, 0.5];
    let curvature = problem.lower().curvature(&theta);
    let (mu, l) = (
        curvature.strong_convexity.unwrap(),
        curvature.smoothness.unwrap(),
    );
    let rate = 1.0 - mu / l;
    let exact = problem.gradient(&theta);
    let error = |steps: usize, mode: Mode| {
        let dynamics = Descent::new(problem.lower(), 1.0 / l, steps).unwrap();
        distance(&gradient(&dynamics, &problem.upper(), &theta, mode), &exact)
    };
    let long = (-30.0 / rate.ln()) as usize;
    assert!(error(long, ALL) < 1e-9 * exact.norm());
    assert!(error(long, ALL) < 1e-3 * error(long / 4, ALL));
    // At the minimiser the bias of K steps falls by the rate of contraction, or faster.
    let truncated = |steps| Mode::Truncated {
        steps,
        checkpoints: 8,
    };
    let one = error(long, Mode::OneStep);
    assert_eq!(one, error(long, truncated(1)));
    for k in [4, 16, 64] {
        let bias = error(long, truncated(k));
        assert!(bias <= one * rate.powi(k as i32 - 1) * 1.01, "{k}: {bias}");
        assert!(bias > 1e-9, "{k} steps leave a bias");
    }
}

/// A long run that is not linear: θ enters every step, and t does.
struct Pendulum {
    steps: usize,
}

impl Dynamics for Pendulum {
    type Theta = Vec<f64>;
    type State = Vec<f64>;

    fn steps(&self) -> usize {
        self.steps
    }

    fn start(&self) -> Vec<f64> {
        vec![1.0, 0.0]
    }

    fn check(&self, _theta: &Vec<f64>) -> Result<(), Error> {
        Ok(())
    }

    fn step(&self, t: usize, state: &mut Vec<f64>, theta: &Vec<f64>) {
        let push = 0.01 * (0.1 * t as f64).cos() * theta[1];
        state[1] += -0.01 * state[0].sin() - 0.01 * theta[0] * state[1] + push;
        state[0] += 0.01 * state[1];
    }

    fn jvp(
        &self,
        t: usize,
        state: &Vec<f64>,
        theta: &Vec<f64>,
        tangent: &mut Vec<f64>,
        u: &Vec<f64>,
    ) {
        let push = 0.01 * (0.1 * t as f64).cos() * u[1];
        tangent[1] += -0.01 * state[0].cos() * tangent[0]
            - 0.01 * theta[0] * tangent[1]
            - 0.01 * u[0] * state[1]
            + push;
        tangent[0] += 0.01 * tangent[1];
    }

    fn vjp(
        &self,
        t: usize,
        state: &Vec<f64>,
        theta: &Vec<f64>,
        adjoint: &mut Vec<f64>,
        by_theta: &mut Vec<f64>,
    ) {
        let velocity = adjoint[1] + 0.01 * adjoint[0];
        by_theta[0] -= 0.01 * state[1] * velocity;
        by_theta[1] += 0.01 * (0.1 * t as f64).cos() * velocity;
        adjoint[0] -= 0.01 * state[0].cos() * velocity;
        adjoint[1] = velocity * (1.0 - 0.01 * theta[0]);
    }
}

/// Half the squared length of the state.
struct Energy {
    calls: AtomicUsize,
}

impl UpperLevel for Energy {
    type Theta = Vec<f64>;
    type X = Vec<f64>;

    fn value(&self, x: &Vec<f64>, _theta: &Vec<f64>) -> f64 {
        self.calls.fetch_add(1, Ordering::Relaxed);
        0.5 * x.dot(x)
    }

    fn gradient_x(&self, x: &Vec<f64>, _theta: &Vec<f64>, out: &mut Vec<f64>) {
        out.copy_from(x);
    }

    fn curvature(&self, _theta: &Vec<f64>) -> UpperCurvature {
        UpperCurvature::default()
    }
}

fn energy() -> Energy {
    Energy {
        calls: AtomicUsize::new(0),
    }
}

#[test]
fn checkpoints_change_no_bit_over_ten_thousand_steps_and_keep_to_their_limit() {
    const STEPS: usize = 10_000;
    let (dynamics, upper) = (Pendulum { steps: STEPS }, energy());
    let report = check_dynamics(&dynamics, 3, &vec![0.4, -0.3], &vec![0.2, 0.5]);
    assert!(report.passed(), "{report}");
    let rollout = Rollout {
        dynamics: &dynamics,
        upper: &upper,
    };
    let theta = vec![0.02, 0.3];
    let stored = rollout.differentiate(&theta, ALL).unwrap();
    assert_eq!(stored.kept, STEPS);
    assert_eq!(stored.work.lower_gradients, STEPS as u64);
    let forward = gradient(&dynamics, &upper, &theta, Mode::Forward);
    assert!(distance(&forward, &stored.gradient) <= 1e-10 * forward.norm());
    for checkpoints in [1, 2, 3, 5, 10, 50, 141, 1000, STEPS] {
        // Without a second state in memory it is 50 million steps, which are cheap here.
        let result = rollout
            .differentiate(&theta, Mode::Reverse { checkpoints })
            .unwrap();
        let bits = |v: &Vec<f64>| v.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&result.gradient), bits(&stored.gradient));
        assert_eq!(result.value.to_bits(), stored.value.to_bits());
        assert!(result.kept <= checkpoints, "{}", result.kept);
        assert_eq!(
            result.work.lower_gradients,
            STEPS as u64 + recomputation(STEPS, checkpoints),
            "{checkpoints} checkpoints"
        );
    }
}

#[test]
fn every_upper_solver_runs_on_it() {
    let (dynamics, upper) = (Pendulum { steps: 300 }, energy());
    let oracle = Unrolled::new(dynamics, upper, Mode::Reverse { checkpoints: 20 }).unwrap();
    let start = vec![0.5, 0.3];
    let first = oracle.value(&start, 1.0, &mut Default::default()).unwrap();
    let region = SearchBox::cube(2, 0.0, 2.0);
    let search = RandomSearch {
        accuracy: ANY,
        ..RandomSearch::new(region, 40)
    };
    let runs = [
        Run::new(&oracle, Maid::default())
            .max_iterations(20)
            .start(start.clone()),
        Run::new(&oracle, Maid::lbfgs())
            .max_iterations(20)
            .start(start.clone()),
        Run::new(&oracle, Hoag::new(ToleranceSchedule::Quadratic))
            .max_iterations(20)
            .start(start.clone()),
        Run::new(&oracle, GradientDescent::with_accuracy(1e-3))
            .max_iterations(20)
            .start(start.clone()),
        Run::new(&oracle, DerivativeFree::default())
            .max_iterations(20)
            .start(start.clone()),
        Run::new(&oracle, search).start(start),
    ];
    for run in runs {
        let report = run.unwrap();
        assert!(
            report.value.value < 0.9 * first.value.value,
            "{}: {} of {}",
            report.solver,
            report.value.value,
            first.value.value
        );
        assert_ne!(report.value.trust, Trust::Certified);
    }
}

#[test]
fn a_biased_mode_says_that_no_bound_is_known() {
    let mode = Mode::Truncated {
        steps: 10,
        checkpoints: 4,
    };
    let oracle = Unrolled::new(Pendulum { steps: 100 }, energy(), mode).unwrap();
    let z = oracle
        .hypergradient(&vec![0.5, 0.3], ANY, &mut Default::default())
        .unwrap();
    assert_eq!(z.trust, Trust::Unknown);
    assert_eq!(z.error_bound, f64::INFINITY);
    let all = Mode::Truncated {
        steps: 100,
        checkpoints: 4,
    };
    let oracle = Unrolled::new(Pendulum { steps: 100 }, energy(), all).unwrap();
    let z = oracle
        .hypergradient(&vec![0.5, 0.3], ANY, &mut Default::default())
        .unwrap();
    assert_eq!(z.trust, Trust::Estimated);
    let report = Run::new(&oracle, Maid::default())
        .tolerance(1e9)
        .start(vec![0.5, 0.3])
        .unwrap();
    assert_eq!(report.status, Status::Converged);
}

#[test]
fn a_run_that_leaves_the_finite_numbers_names_the_step_and_bad_settings_are_refused() {
    let oracle = Unrolled::new(Pendulum { steps: 500 }, energy(), ALL).unwrap();
    let error = oracle
        .hypergradient(&vec![-1e4, 0.0], ANY, &mut Default::default())
        .unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("it is not after step 1") && text.contains("of 500"),
        "{text}"
    );
    for mode in [
        Mode::Reverse { checkpoints: 0 },
        Mode::Truncated {
            steps: 0,
            checkpoints: 1,
        },
        Mode::Truncated {
            steps: 1,
            checkpoints: 0,
        },
    ] {
        assert!(Unrolled::new(Pendulum { steps: 5 }, energy(), mode).is_err());
    }
    // No steps at all: F is the criterion at the start.
    for mode in [ALL, Mode::Forward, Mode::OneStep] {
        let oracle = Unrolled::new(Pendulum { steps: 0 }, energy(), mode).unwrap();
        let z = oracle
            .hypergradient(&vec![0.1, 0.0], ANY, &mut Default::default())
            .unwrap();
        assert_eq!((z.value.value, z.gradient), (0.5, vec![0.0, 0.0]));
    }
}
