//! The upper-level solvers: every accepted MAID step decreases the exact F, all reach the known optimum, and what is out of
//! range is refused by name.

use crate::common::{self, random};
use bilevel::lower::Fista;
use bilevel::upper::{AdaptiveAccuracy, Backtracking};
use bilevel::{
    Accuracy, Error, GradientDescent, Hoag, Implicit, Iteration, Limits, Maid, Oracle, Report, Run,
    Solver, Status, ToleranceSchedule, Trust, Vector,
};
use bilevel_problems::synthetic::quadratic::{Quadratic, QuadraticLower, QuadraticUpper};

const CONDITIONS: [f64; 3] = [1.0, 30.0, 1e3];

fn oracle(problem: &Quadratic) -> Implicit<QuadraticLower, QuadraticUpper> {
    Implicit::new(problem.lower(), problem.upper())
}

/// (F(θ) − F*)/F*.
fn suboptimality(problem: &Quadratic, theta: &Vec<f64>) -> f64 {
    let best = problem.value(&problem.optimum());
    (problem.value(theta) - best) / best
}

/// Asserts the promise of every accepted step: F(θ_{k+1}) ≤ F(θ_k) − λη α‖z‖², and the sandwich L ≤ F ≤ U.
fn assert_descent(problem: &Quadratic, maid: &Maid, rows: &[Iteration], case: &str) {
    for row in rows {
        let value = problem.value(&row.theta);
        assert!(
            row.value.lower <= value && value <= row.value.upper,
            "{case}, iteration {}: F = {value:e} is not in {:?}",
            row.iteration,
            row.value
        );
    }
    for pair in rows.windows(2) {
        let (from, to) = (problem.value(&pair[0].theta), problem.value(&pair[1].theta));
        let step = pair[0].step.unwrap();
        let promised =
            maid.line_search.decrease * maid.margin * step * pair[0].gradient_norm.powi(2);
        // The exact values are themselves rounded.
        let rounding = 4.0 * f64::EPSILON * from.abs();
        assert!(
            to <= from - promised + rounding && promised > 0.0,
            "{case}, iteration {}: F goes from {from:e} to {to:e}, promised {promised:e}",
            pair[0].iteration
        );
        assert!(pair[0].error_bound <= (1.0 - maid.margin) * pair[0].gradient_norm);
    }
}

#[test]
fn every_accepted_maid_step_decreases_the_exact_objective() {
    for condition in CONDITIONS {
        for seed in 0..3 {
            for initial in [1e1, 1e-1, 1e-3] {
                let problem = Quadratic::random(20, 3, condition, seed);
                let maid = Maid::with_accuracy(initial);
                let mut theta = random(3, seed);
                theta.scale(5.0);
                let report = Run::new(&oracle(&problem), maid.clone())
                    .tolerance(1e-6)
                    .start(theta)
                    .unwrap();
                let case = format!("condition={condition:e} seed={seed} ε₀={initial:e}");
                assert!(report.iterations > 3, "{case}\n{report}");
                assert_descent(&problem, &maid, report.trace.rows(), &case);
            }
        }
    }
}

#[test]
fn descent_is_also_kept_with_an_inaccurate_start_and_bold_settings() {
    // A long first step, a coarse accuracy that grows fast, and the thinnest margins.
    let maid = Maid {
        accuracy: AdaptiveAccuracy {
            initial: Accuracy::new(100.0, 100.0).unwrap(),
            growth: 2.0,
            ..AdaptiveAccuracy::default()
        },
        line_search: Backtracking {
            initial_step: Some(100.0),
            growth: 3.0,
            decrease: 1e-6,
            ..Backtracking::default()
        },
        margin: 1e-4,
        first_trials: 1,
    };
    for condition in CONDITIONS {
        let problem = Quadratic::random(20, 3, condition, 4);
        let report = Run::new(&oracle(&problem), maid.clone())
            .tolerance(1e-5)
            .start(vec![3.0, -2.0, 1.0])
            .unwrap();
        assert_eq!(report.status, Status::Converged, "{report}");
        let case = format!("condition={condition:e}");
        assert_descent(&problem, &maid, report.trace.rows(), &case);
    }
}

#[test]
fn a_converged_run_bounds_the_exact_gradient_by_the_tolerance() {
    for condition in CONDITIONS {
        for tolerance in [1e-1, 1e-3, 1e-6] {
            let problem = Quadratic::random(20, 3, condition, 1);
            let report = Run::new(&oracle(&problem), Maid::default())
                .tolerance(tolerance)
                .start(vec![0.0; 3])
                .unwrap();
            assert_eq!(report.status, Status::Converged, "{report}");
            assert_eq!(report.trust, Trust::Certified);
            let bound = report.hypergradient.norm() + report.error_bound;
            let exact = problem.gradient(&report.theta).norm();
            assert!(exact <= bound && bound <= tolerance, "{exact} {bound}");
            let value = problem.value(&report.theta);
            assert!(report.value.lower <= value && value <= report.value.upper);
        }
    }
}

#[test]
fn maid_ends_at_the_optimum_whatever_the_first_accuracy() {
    for condition in CONDITIONS {
        for initial in [1e1, 1.0, 1e-1, 1e-3] {
            let problem = Quadratic::random(20, 3, condition, 2);
            let report = Run::new(&oracle(&problem), Maid::with_accuracy(initial))
                .tolerance(1e-4)
                .start(vec![2.0, -2.0, 2.0])
                .unwrap();
            let gap = suboptimality(&problem, &report.theta);
            assert_eq!(report.status, Status::Converged, "{report}");
            assert!(
                (-1e-14..1e-4).contains(&gap),
                "condition={condition:e} ε₀={initial:e}: (F − F*)/F* = {gap:e}"
            );
        }
    }
}

#[test]
fn gradient_descent_at_a_fixed_accuracy_approaches_the_optimum() {
    for condition in CONDITIONS {
        let problem = Quadratic::random(20, 3, condition, 2);
        let report = Run::new(&oracle(&problem), GradientDescent::with_accuracy(1e-8))
            .tolerance(1e-5)
            .start(vec![2.0, -2.0, 2.0])
            .unwrap();
        let gap = suboptimality(&problem, &report.theta);
        assert!(gap < 1e-6, "condition={condition:e}: {gap:e}\n{report}");
    }
}

#[test]
fn a_coarse_fixed_accuracy_ends_by_name_and_not_below_its_error() {
    for condition in CONDITIONS {
        let problem = Quadratic::random(20, 3, condition, 2);
        let report = Run::new(&oracle(&problem), GradientDescent::with_accuracy(1e-2))
            .tolerance(1e-6)
            .max_iterations(300)
            .start(vec![2.0, -2.0, 2.0])
            .unwrap();
        assert_ne!(
            report.status,
            Status::Converged,
            "ω alone is above the tolerance"
        );
        assert!(suboptimality(&problem, &report.theta) < 0.1, "{report}");
    }
}

#[test]
fn hoag_approaches_the_optimum_with_each_of_its_laws() {
    for law in [
        ToleranceSchedule::Exponential,
        ToleranceSchedule::Quadratic,
        ToleranceSchedule::Cubic,
    ] {
        for condition in CONDITIONS {
            let problem = Quadratic::random(20, 3, condition, 2);
            let report = Run::new(&oracle(&problem), Hoag::new(law))
                .tolerance(1e-4)
                .start(vec![2.0, -2.0, 2.0])
                .unwrap();
            let gap = suboptimality(&problem, &report.theta);
            assert!(
                gap < 1e-3,
                "{law:?} condition={condition:e}: {gap:e}\n{report}"
            );
        }
    }
}

#[test]
fn hoag_takes_a_step_that_leaves_the_valley_back() {
    let problem = Quadratic::random(20, 3, 30.0, 2);
    let hoag = Hoag {
        initial_step: Some(50.0),
        ..Hoag::new(ToleranceSchedule::Cubic)
    };
    let report = Run::new(&oracle(&problem), hoag)
        .tolerance(1e-4)
        .start(vec![2.0, -2.0, 2.0])
        .unwrap();
    assert!(suboptimality(&problem, &report.theta) < 1e-3, "{report}");
}

/// The message that a solver refuses its settings with.
fn refusal<S>(solver: S) -> String
where
    S: Solver<Implicit<QuadraticLower, QuadraticUpper>>,
{
    let problem = Quadratic::random(5, 2, 10.0, 0);
    match Run::new(&oracle(&problem), solver)
        .max_iterations(2)
        .start(vec![0.0; 2])
    {
        Err(error @ Error::InvalidArgument { .. }) => error.to_string(),
        Err(error) => panic!("expected an invalid argument, got {error}"),
        Ok(report) => format!("accepted: {report}"),
    }
}

const NOT_POSITIVE: [f64; 4] = [0.0, -1.0, f64::NAN, f64::INFINITY];
const NOT_IN_UNIT_INTERVAL: [f64; 5] = [0.0, 1.0, -0.5, 1.5, f64::NAN];
const NOT_AT_LEAST_ONE: [f64; 4] = [0.99, -1.0, f64::NAN, f64::INFINITY];

fn assert_named(field: &str, value: f64, message: &str) {
    assert!(
        !message.starts_with("accepted") && message.contains(field) && message.contains("expected"),
        "{field} = {value}: {message}"
    );
}

#[test]
fn maid_settings_out_of_range_are_refused_by_name() {
    type Set = fn(&mut Maid, f64);
    let fields: [(&str, &[f64], Set); 9] = [
        ("epsilon", &NOT_POSITIVE, |m, v| {
            m.accuracy.initial.epsilon = v
        }),
        ("delta", &NOT_POSITIVE, |m, v| m.accuracy.initial.delta = v),
        ("accuracy.shrink", &NOT_IN_UNIT_INTERVAL, |m, v| {
            m.accuracy.shrink = v
        }),
        ("accuracy.growth", &NOT_AT_LEAST_ONE, |m, v| {
            m.accuracy.growth = v
        }),
        ("accuracy.floor", &NOT_POSITIVE, |m, v| m.accuracy.floor = v),
        ("line_search.initial_step", &NOT_POSITIVE, |m, v| {
            m.line_search.initial_step = Some(v);
        }),
        ("line_search.shrink", &NOT_IN_UNIT_INTERVAL, |m, v| {
            m.line_search.shrink = v
        }),
        ("line_search.growth", &NOT_AT_LEAST_ONE, |m, v| {
            m.line_search.growth = v
        }),
        ("line_search.decrease", &NOT_IN_UNIT_INTERVAL, |m, v| {
            m.line_search.decrease = v
        }),
    ];
    for (field, values, set) in fields {
        for &value in values {
            let mut maid = Maid::default();
            set(&mut maid, value);
            assert_named(field, value, &refusal(maid));
        }
    }
    for value in NOT_IN_UNIT_INTERVAL {
        let maid = Maid {
            margin: value,
            ..Maid::default()
        };
        assert_named("margin", value, &refusal(maid));
    }
    let maid = Maid {
        first_trials: 0,
        ..Maid::default()
    };
    assert_named("first_trials", 0.0, &refusal(maid));
}

#[test]
fn gradient_descent_settings_out_of_range_are_refused_by_name() {
    type Set = fn(&mut GradientDescent, f64);
    let fields: [(&str, &[f64], Set); 6] = [
        ("epsilon", &NOT_POSITIVE, |m, v| m.accuracy.epsilon = v),
        ("delta", &NOT_POSITIVE, |m, v| m.accuracy.delta = v),
        ("line_search.initial_step", &NOT_POSITIVE, |m, v| {
            m.line_search.initial_step = Some(v);
        }),
        ("line_search.shrink", &NOT_IN_UNIT_INTERVAL, |m, v| {
            m.line_search.shrink = v
        }),
        ("line_search.growth", &NOT_AT_LEAST_ONE, |m, v| {
            m.line_search.growth = v
        }),
        ("line_search.decrease", &NOT_IN_UNIT_INTERVAL, |m, v| {
            m.line_search.decrease = v
        }),
    ];
    for (field, values, set) in fields {
        for &value in values {
            let mut solver = GradientDescent::with_accuracy(1e-3);
            set(&mut solver, value);
            assert_named(field, value, &refusal(solver));
        }
    }
    let solver = GradientDescent {
        max_trials: 0,
        ..GradientDescent::with_accuracy(1e-3)
    };
    assert_named("max_trials", 0.0, &refusal(solver));
}

#[test]
fn hoag_settings_out_of_range_are_refused_by_name() {
    type Set = fn(&mut Hoag, f64);
    let fields: [(&str, Set); 4] = [
        ("initial.epsilon", |m, v| m.initial.epsilon = v),
        ("initial.delta", |m, v| m.initial.delta = v),
        ("floor", |m, v| m.floor = v),
        ("initial_step", |m, v| m.initial_step = Some(v)),
    ];
    for (field, set) in fields {
        for value in NOT_POSITIVE {
            let mut hoag = Hoag::new(ToleranceSchedule::Cubic);
            set(&mut hoag, value);
            assert_named(field, value, &refusal(hoag));
        }
    }
}

#[test]
fn a_tolerance_or_a_time_limit_out_of_range_is_refused_by_name() {
    let problem = Quadratic::random(5, 2, 10.0, 0);
    let oracle = oracle(&problem);
    for value in [-1.0, f64::NAN] {
        let error = Run::new(&oracle, Maid::default())
            .tolerance(value)
            .start(vec![0.0; 2])
            .unwrap_err();
        assert_named("tolerance", value, &error.to_string());
        let limits = Limits {
            iterations: Some(3),
            seconds: Some(value),
            ..Limits::default()
        };
        let message = match Run::new(&oracle, Maid::default())
            .limits(limits)
            .start(vec![0.0; 2])
        {
            Err(error) => error.to_string(),
            Ok(report) => format!("accepted: {report}"),
        };
        assert_named("seconds", value, &message);
    }
}

#[test]
fn accuracies_that_are_not_positive_are_refused_by_the_oracle() {
    let problem = Quadratic::random(5, 2, 10.0, 0);
    let oracle = oracle(&problem);
    let theta = vec![0.0; 2];
    let mut state = oracle.start(&theta).unwrap();
    for value in NOT_POSITIVE {
        let error = oracle.value(&theta, value, &mut state).unwrap_err();
        assert_named("epsilon", value, &error.to_string());
        for (epsilon, delta, field) in [(value, 1.0, "epsilon"), (1.0, value, "delta")] {
            let accuracy = Accuracy { epsilon, delta };
            let error = oracle
                .hypergradient(&theta, accuracy, &mut state)
                .unwrap_err();
            assert_named(field, value, &error.to_string());
        }
    }
}

#[test]
fn a_theta_that_is_empty_not_finite_or_of_the_wrong_length_is_refused() {
    fn refused<S>(solver: S, theta: Vec<f64>) -> String
    where
        S: Solver<Implicit<QuadraticLower, QuadraticUpper>>,
    {
        let problem = Quadratic::random(5, 2, 10.0, 0);
        match Run::new(&oracle(&problem), solver).start(theta) {
            Err(error @ Error::InvalidArgument { .. }) => error.to_string(),
            Err(error) => panic!("expected an invalid argument, got {error}"),
            Ok(report) => panic!("accepted: {report}"),
        }
    }
    let cases = [
        (vec![], "theta is empty"),
        (vec![0.0, f64::NAN], "theta[1] is NaN"),
        (vec![f64::NEG_INFINITY, 0.0], "theta[0] is -inf"),
        (vec![0.0], "theta is 1 numbers; expected 2 numbers"),
        (vec![0.0; 3], "theta is 3 numbers; expected 2 numbers"),
    ];
    for (theta, expected) in cases {
        for message in [
            refused(Maid::default(), theta.clone()),
            refused(GradientDescent::with_accuracy(1e-3), theta.clone()),
            refused(Hoag::new(ToleranceSchedule::Quadratic), theta.clone()),
        ] {
            assert!(message.contains(expected), "{message}");
        }
    }
}

fn assert_accuracy_floor(report: &Report<Vec<f64>>, problem: &Quadratic, maid: &Maid) {
    assert_eq!(report.status, Status::AccuracyFloor, "{report}");
    assert!(
        report
            .status
            .advice()
            .contains("raise the iteration limits")
    );
    assert!(report.to_string().contains("accuracy floor"));
    // It is not said to be better than it is, and no step was wrong.
    assert_eq!(report.trust, Trust::Certified);
    let error = common::distance(&report.hypergradient, &problem.gradient(&report.theta));
    assert!(error <= report.error_bound);
    assert_descent(problem, maid, report.trace.rows(), "accuracy floor");
}

#[test]
fn a_lower_solver_of_few_iterations_ends_at_the_accuracy_floor_with_advice() {
    let problem = Quadratic::random(20, 3, 1e3, 0);
    for iterations in [0, 1, 3, 20] {
        let few = Fista {
            max_iterations: iterations,
            ..Fista::default()
        };
        let maid = Maid::default();
        let report = Run::new(&oracle(&problem).with_lower_solver(few), maid.clone())
            .tolerance(1e-8)
            .start(vec![2.0, -2.0, 2.0])
            .unwrap();
        assert_accuracy_floor(&report, &problem, &maid);
    }
}

#[test]
fn a_floor_of_the_accuracy_above_need_ends_at_the_accuracy_floor() {
    let problem = Quadratic::random(20, 3, 1e3, 0);
    let maid = Maid {
        accuracy: AdaptiveAccuracy {
            floor: 1e-3,
            ..AdaptiveAccuracy::default()
        },
        ..Maid::default()
    };
    let report = Run::new(&oracle(&problem), maid.clone())
        .tolerance(1e-8)
        .start(vec![2.0, -2.0, 2.0])
        .unwrap();
    assert_accuracy_floor(&report, &problem, &maid);
}

#[test]
fn maid_refuses_an_oracle_without_bounds_by_name() {
    let problem = Quadratic::random(20, 3, 10.0, 0);
    let error = Run::new(
        &oracle(&problem).with_trust(Trust::Unknown),
        Maid::default(),
    )
    .start(vec![2.0, -2.0, 2.0])
    .unwrap_err();
    assert!(error.to_string().starts_with("trust is unknown"), "{error}");
}

#[test]
fn a_start_at_the_optimum_converges_without_a_step() {
    for condition in CONDITIONS {
        let problem = Quadratic::random(20, 3, condition, 5);
        let report = Run::new(&oracle(&problem), Maid::default())
            .tolerance(1e-6)
            .start(problem.optimum())
            .unwrap();
        assert_eq!(
            (report.status, report.iterations),
            (Status::Converged, 0),
            "{report}"
        );
    }
}
