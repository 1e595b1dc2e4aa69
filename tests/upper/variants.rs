//! The variants of MAID: what each acceptance promises of the exact F, estimates that say they are, constraints with known solutions, and runs
//! that resume to the same bytes.

use crate::common::variants::{all, monotone, non_monotone};
use crate::common::{self, random};
use bilevel::upper::{Acceptance, Backtracking, Constraint, Direction, FirstStep, Values};
use bilevel::{
    Accuracy, Error, GradientDescent, Implicit, ImplicitState, Iteration, Maid, Mean, Oracle,
    Report, Run, Solver, Status, Trust, Vector,
};
use bilevel_problems::synthetic::quadratic::{Quadratic, QuadraticLower, QuadraticUpper};

const CONDITIONS: [f64; 3] = [1.0, 30.0, 1e3];

fn oracle(problem: &Quadratic) -> Implicit<QuadraticLower, QuadraticUpper> {
    Implicit::new(problem.lower(), problem.upper())
}

fn first_accuracy(mut maid: Maid, accuracy: f64) -> Maid {
    maid.accuracy.initial = Accuracy::new(accuracy, accuracy).unwrap();
    maid
}

/// Runs from points of several scales on problems of several conditions, and hands the exact values of the accepted θ to `check`.
fn for_many_runs(maid: &Maid, mut check: impl FnMut(&str, &[Iteration], &[f64])) {
    for condition in CONDITIONS {
        for (seed, scale) in [(0, 5.0), (1, 0.1), (2, 1e3)] {
            for initial in [1e1, 1e-1, 1e-3] {
                let problem = Quadratic::random(20, 3, condition, seed);
                let maid = first_accuracy(maid.clone(), initial);
                let mut theta = random(3, seed);
                theta.scale(scale);
                let report = Run::new(&oracle(&problem), maid.clone())
                    .tolerance(1e-6)
                    .start(theta)
                    .unwrap();
                let name = Solver::<Implicit<QuadraticLower, QuadraticUpper>>::name(&maid);
                let case = format!("{name}, condition={condition:e} seed={seed} ε₀={initial:e}");
                assert!(report.iterations > 1, "{case}\n{report}");
                let rows = report.trace.rows();
                let values: Vec<f64> = rows.iter().map(|r| problem.value(&r.theta)).collect();
                check(&case, rows, &values);
            }
        }
    }
}

#[test]
fn every_accepted_step_of_the_monotone_variants_decreases_the_exact_objective() {
    for maid in monotone() {
        for_many_runs(&maid, |case, rows, values| {
            for (row, value) in rows.iter().zip(values) {
                assert!(
                    row.value.lower <= *value && *value <= row.value.upper,
                    "{case}"
                );
                assert_eq!(row.trust, Trust::Certified, "{case}");
            }
            for (k, pair) in values.windows(2).enumerate() {
                let rounding = 4.0 * f64::EPSILON * pair[0];
                assert!(
                    pair[1] < pair[0] + rounding,
                    "{case}, iteration {k}: {pair:?}"
                );
                assert!(rows[k].step.unwrap() > 0.0);
            }
        });
    }
}

#[test]
fn a_non_monotone_step_stays_below_the_reference_of_the_exact_values() {
    let mut increases = 0;
    for maid in non_monotone() {
        for_many_runs(&maid, |case, _, values| {
            let (mut q, mut c) = (0.0, 0.0);
            for k in 0..values.len() - 1 {
                let reference = match maid.line_search.acceptance {
                    Acceptance::Max { memory } => values[(k + 1).saturating_sub(memory)..=k]
                        .iter()
                        .fold(f64::NEG_INFINITY, |a, b| a.max(*b)),
                    Acceptance::Average { weight } => {
                        c = (weight * q * c + values[k]) / (weight * q + 1.0);
                        q = weight * q + 1.0;
                        f64::max(c, values[k])
                    }
                    Acceptance::Monotone => panic!("not monotone"),
                };
                let rounding = 4.0 * f64::EPSILON * reference;
                assert!(
                    values[k + 1] < reference + rounding,
                    "{case}, iteration {k}"
                );
                increases += usize::from(values[k + 1] > values[k] * (1.0 + 1e-12));
            }
        });
    }
    assert!(increases > 0, "no run made use of its freedom");
}

#[test]
fn all_variants_reach_the_optimum_and_bound_the_exact_gradient() {
    for maid in all() {
        for condition in CONDITIONS {
            for scale in [1e-3, 1.0, 1e4] {
                let problem = Quadratic::random(20, 3, condition, 2);
                let report = Run::new(&oracle(&problem), maid.clone())
                    .tolerance(1e-4)
                    .start(vec![2.0 * scale, -2.0 * scale, 2.0 * scale])
                    .unwrap();
                assert_eq!(report.status, Status::Converged, "{report}");
                let exact = problem.gradient(&report.theta).norm();
                assert!(exact <= 1e-4, "{exact} {report}");
            }
        }
    }
}

#[test]
fn names_tell_the_parts() {
    let names: Vec<String> = [
        Maid::default(),
        Maid::lbfgs(),
        Maid::extrapolating(),
        Maid::barzilai_borwein(),
        Maid::non_monotone(),
        Maid::diagonal(),
        Maid::goal_oriented(),
    ]
    .iter()
    .map(Solver::<Implicit<QuadraticLower, QuadraticUpper>>::name)
    .collect();
    assert_eq!(
        names,
        [
            "MAID",
            "MAID, L-BFGS",
            "MAID, L-BFGS, extrapolating",
            "MAID, BB",
            "MAID, BB, non-monotone",
            "MAID, diagonal",
            "MAID, L-BFGS, goal-oriented"
        ]
    );
}

#[test]
fn a_step_that_was_too_short_goes_on_to_the_minimum_along_its_direction() {
    let problem = Quadratic::random(20, 3, 30.0, 4);
    let first = |extrapolate| {
        let mut maid = first_accuracy(Maid::default(), 1e-8);
        maid.line_search.initial_step = Some(1e-3);
        maid.line_search.extrapolate = extrapolate;
        let oracle = oracle(&problem);
        let run = Run::new(&oracle, maid).max_iterations(1);
        let report = run.start(vec![2.0, -2.0, 2.0]).unwrap();
        let rows = report.trace.rows();
        (rows[0].clone(), rows[1].value.value)
    };
    let (short, after_short) = first(false);
    let (long, after_long) = first(true);
    assert_eq!((short.trials, short.step), (1, Some(1e-3)));
    // Along −z the quadratic has its minimum at ‖z‖²/⟨z, Hz⟩, with H z from two exact gradients.
    let theta = &short.theta;
    let z = problem.gradient(theta);
    let there: Vec<f64> = theta.iter().zip(&z).map(|(t, z)| t - z).collect();
    let along: f64 = problem
        .gradient(&there)
        .iter()
        .zip(&z)
        .map(|(there, z)| z * (z - there))
        .sum();
    let least = z.norm().powi(2) / along;
    let step = long.step.unwrap();
    // The last step is the minimum of a parabola that is exact, or short of it by less than what is worth another trial.
    assert!(step > least / 3.0 && step < 1.001 * least, "{step} {least}");
    assert!(after_long < after_short && long.trials > 1);
    // Four times as far at a time at most.
    assert!(
        (long.trials - 1) as f64 >= (step / 1e-3).log(4.0),
        "{long:?}"
    );
}

/// From steps that are far too short, so that every first search goes on, into the border of what is feasible too.
#[test]
fn what_an_extrapolation_accepts_is_feasible_and_decreases_the_exact_objective() {
    for constraint in constraints() {
        for values in [Values::Bounds, Values::GoalOriented] {
            for seed in 0..3 {
                let problem = Quadratic::random(20, 3, 30.0, seed);
                let mut maid = first_accuracy(with_constraint(Maid::default(), &constraint), 1e-8);
                maid.line_search.initial_step = Some(1e-3);
                maid.line_search.extrapolate = true;
                maid.line_search.values = values;
                let report = Run::new(&oracle(&problem), maid)
                    .tolerance(1e-5)
                    .start(vec![2.0, -2.0, 2.0])
                    .unwrap();
                let case = format!("{constraint:?} {values:?} seed {seed}\n{report}");
                assert_eq!(report.status, Status::Converged, "{case}");
                let rows = report.trace.rows();
                assert!(
                    rows[0].trials > 1 && rows[0].step > Some(3e-3),
                    "{:?}",
                    rows[0]
                );
                let value = |r: &Iteration| problem.value(&r.theta) + constraint.penalty(&r.theta);
                for pair in rows.windows(2) {
                    assert_feasible(&constraint, &pair[1].theta);
                    let (from, to) = (value(&pair[0]), value(&pair[1]));
                    // Estimates err by what is of second order in the accuracy.
                    let estimated = match values {
                        Values::GoalOriented => pair[0].accuracy.epsilon.powi(2),
                        _ => 0.0,
                    };
                    let room = estimated + 4.0 * f64::EPSILON * from;
                    assert!(to < from + room, "{from} {to} {case}");
                }
                let error = common::distance(&report.theta, &solution(&problem, &constraint));
                assert!(error <= 1e-4, "{error:e} {case}");
            }
        }
    }
}

#[test]
fn all_variants_extrapolate_where_they_are_told_to() {
    let problem = Quadratic::random(20, 3, 30.0, 4);
    for maid in all() {
        let mut maid = first_accuracy(maid, 1e-8);
        maid.line_search.initial_step = Some(1e-3);
        for extrapolate in [false, true] {
            maid.line_search.extrapolate = extrapolate;
            let oracle = oracle(&problem);
            let run = Run::new(&oracle, maid.clone()).max_iterations(1);
            let report = run.start(vec![2.0, -2.0, 2.0]).unwrap();
            let row = &report.trace.rows()[0];
            assert_eq!(row.step > Some(3e-3), extrapolate, "{report}\n{row:?}");
        }
    }
}

#[test]
fn goal_oriented_runs_are_never_certified() {
    for direction in [Direction::Steepest, Direction::Lbfgs { memory: 5 }] {
        let mut maid = Maid::goal_oriented();
        maid.line_search.direction = direction;
        let problem = Quadratic::random(20, 3, 30.0, 2);
        let report = Run::new(&oracle(&problem), maid)
            .start(vec![2.0, -2.0, 2.0])
            .unwrap();
        assert_eq!(report.status, Status::Converged, "{report}");
        assert_eq!(report.trust, Trust::Estimated);
        assert_eq!(report.value.trust, Trust::Estimated);
        for row in report.trace.rows() {
            assert_eq!(
                (row.trust, row.value.trust),
                (Trust::Estimated, Trust::Estimated)
            );
        }
    }
}

/// |f(x̃⁺) − correction − F(θ⁺)| ≤ ε(‖x̃ − x̃⁺‖ + ε) + ε²/2 on the quadratic, whose adjoint is A⁻¹(x̃ − t).
#[test]
fn the_correction_of_a_trial_is_of_second_order_in_accuracy_and_step() {
    let mut plain_is_worse = 0;
    for seed in 0..5 {
        let problems = [
            Quadratic::random(30, 3, 100.0, seed),
            Quadratic::random(20, 3, 30.0, seed + 10),
        ];
        let sum = Mean::new(problems.iter().map(oracle).collect()).unwrap();
        let theta = random(3, seed);
        let direction = random(3, seed + 100);
        for epsilon in [1e-1, 1e-2, 1e-3] {
            for step in [0.0, 1e-3, 1e-2, 1e-1] {
                let mut state = sum.start(&theta).unwrap();
                let accuracy = Accuracy::new(epsilon, 1e-12).unwrap();
                sum.hypergradient(&theta, accuracy, &mut state).unwrap();
                let mut there = theta.clone();
                there.axpy(step, &direction);
                let mut trial = sum.begin_trial(&state);
                let mut work = bilevel::Work::default();
                let computed = sum.value(&there, epsilon, &mut trial).unwrap().value.value;
                let correction = sum.correction(&there, &state, &trial, &mut work);
                assert_eq!(work.lower_gradients, 2);
                let exact = 0.5 * (problems[0].value(&there) + problems[1].value(&there));
                let error = (computed - correction - exact).abs();
                // ‖x*(θ) − x*(θ⁺)‖ ≤ ‖C‖ step ‖direction‖, with μ = 1 and ‖C‖ below 3.
                let moved = 3.0 * step * direction.norm() + 2.0 * epsilon;
                assert!(
                    error <= epsilon * moved + 0.5 * epsilon * epsilon + 1e-10,
                    "ε = {epsilon:e}, step {step:e}: {error:e}"
                );
                if error < 0.2 * (computed - exact).abs() {
                    plain_is_worse += 1;
                }
            }
        }
    }
    assert!(plain_is_worse > 30, "{plain_is_worse} of 60");
}

/// Goal-oriented runs among them: what is added to a computed value comes from the oracle, too.
#[test]
fn a_borrowed_oracle_of_unknown_type_runs_as_the_oracle_itself() {
    let problem = Quadratic::random(20, 3, 30.0, 0);
    let oracle = oracle(&problem);
    let borrowed: &dyn Oracle<Theta = Vec<f64>, State = ImplicitState<Vec<f64>>> = &oracle;
    for maid in all() {
        let start = || vec![5.0; 3];
        let run = Run::new(&oracle, maid.clone()).max_iterations(10);
        let direct = run.start(start()).unwrap();
        let run = Run::new(&borrowed, maid).max_iterations(10);
        let lent = run.start(start()).unwrap();
        assert_eq!(lent.theta, direct.theta, "{}", direct.solver);
        assert_eq!(lent.work, direct.work, "{}", direct.solver);
    }
}

fn refusal(line_search: Backtracking) -> String {
    let problem = Quadratic::random(5, 2, 10.0, 0);
    let maid = Maid {
        line_search: line_search.clone(),
        ..Maid::default()
    };
    let descent = GradientDescent {
        line_search,
        ..GradientDescent::with_accuracy(1e-3)
    };
    let start = || vec![0.0; 2];
    let of_maid = Run::new(&oracle(&problem), maid).start(start());
    let of_descent = Run::new(&oracle(&problem), descent).start(start());
    match (of_maid, of_descent) {
        (Err(a @ Error::InvalidArgument { .. }), Err(b)) if a.to_string() == b.to_string() => {
            a.to_string()
        }
        other => panic!("accepted: {other:?}"),
    }
}

#[test]
fn settings_out_of_range_are_refused_by_name() {
    let base = Backtracking::default();
    let direction = |direction| Backtracking {
        direction,
        ..base.clone()
    };
    let acceptance = |acceptance| Backtracking {
        acceptance,
        ..base.clone()
    };
    let constraint = |constraint| Backtracking {
        constraint,
        ..base.clone()
    };
    let memory = refusal(direction(Direction::Lbfgs { memory: 0 }));
    assert!(memory.starts_with("direction.memory is 0"), "{memory}");
    let memory = refusal(acceptance(Acceptance::Max { memory: 0 }));
    assert!(memory.starts_with("acceptance.memory is 0"), "{memory}");
    for bad in [0.0, -1.0, f64::NAN] {
        let decay = refusal(direction(Direction::Diagonal { decay: bad }));
        assert!(decay.starts_with("direction.decay is"), "{decay}");
        let weight = refusal(acceptance(Acceptance::Average { weight: bad }));
        assert!(weight.starts_with("acceptance.weight is"), "{weight}");
        let total = refusal(constraint(Constraint::Simplex { total: bad }));
        assert!(total.starts_with("constraint.total is"), "{total}");
        let weight = refusal(constraint(Constraint::L1 { weight: bad }));
        assert!(weight.starts_with("constraint.weight is"), "{weight}");
    }
    let bounds = |lower: &[f64], upper: &[f64]| {
        refusal(constraint(Constraint::Bounds {
            lower: lower.to_vec(),
            upper: upper.to_vec(),
        }))
    };
    assert!(bounds(&[0.0; 3], &[1.0]).contains("constraint.lower is 3 numbers"));
    assert!(bounds(&[], &[1.0]).contains("constraint.lower is 0 numbers"));
    assert!(bounds(&[0.0], &[1.0; 4]).contains("constraint.upper is 4 numbers"));
    for (low, high) in [
        (2.0, 1.0),
        (f64::NAN, 1.0),
        (0.0, f64::NAN),
        (f64::INFINITY, f64::INFINITY),
    ] {
        assert!(bounds(&[0.0, low], &[5.0, high]).contains("constraint.lower[1]"));
    }
}

#[test]
fn settings_survive_json_and_missing_parts_take_their_defaults() {
    for mut maid in all() {
        maid.line_search.constraint = Constraint::Bounds {
            lower: vec![-1.0],
            upper: vec![2.0, 3.0],
        };
        let text = serde_json::to_string(&maid).unwrap();
        assert_eq!(serde_json::from_str::<Maid>(&text).unwrap(), maid);
    }
    let maid: Maid =
        serde_json::from_str(r#"{"line_search": {"direction": {"lbfgs": {"memory": 3}}}}"#)
            .unwrap();
    let mut expected = Maid::default();
    expected.line_search.direction = Direction::Lbfgs { memory: 3 };
    assert_eq!(maid, expected);
    assert!(serde_json::from_str::<Maid>(r#"{"line_search": {"directoin": "steepest"}}"#).is_err());
    assert_eq!(Maid::default().line_search.first, FirstStep::Unit);
    assert_eq!(Maid::default().line_search.values, Values::Bounds);
}

/// Every state is whole after each iteration: runs that stop and resume write the trace of the one that did not.
#[test]
fn variants_resume_to_the_same_bytes() {
    let problem = Quadratic::random(20, 3, 1e3, 0);
    let oracle = oracle(&problem);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.ckpt");
    let mut solvers = all();
    for constraint in constraints() {
        for mut maid in [Maid::lbfgs(), Maid::non_monotone()] {
            maid.line_search.constraint = constraint.clone();
            solvers.push(maid);
        }
    }
    for maid in solvers {
        let run = |limit| {
            Run::new(&oracle, maid.clone())
                .tolerance(1e-9)
                .max_iterations(limit)
        };
        let theta = vec![200.0, -200.0, 200.0];
        let whole = run(12).start(theta.clone()).unwrap();
        assert!(whole.iterations >= 3, "{whole}");
        for stop in [1, 2, whole.iterations - 1] {
            run(stop).checkpoint(&path, 1).start(theta.clone()).unwrap();
            let resumed = run(12).resume(&path).unwrap();
            let json = |report: &Report<Vec<f64>>| {
                let seconds = 0.0;
                Report {
                    seconds,
                    ..report.clone()
                }
                .to_json(&[])
            };
            assert_eq!(resumed.trace.to_csv(), whole.trace.to_csv(), "{maid:?}");
            assert_eq!(json(&resumed), json(&whole));
        }
    }
}

fn constraints() -> Vec<Constraint> {
    vec![
        Constraint::NonNegative,
        Constraint::Bounds {
            lower: vec![-0.05, f64::NEG_INFINITY, 0.01],
            upper: vec![0.02, -0.01, 0.5],
        },
        Constraint::Simplex { total: 0.7 },
        Constraint::L1 { weight: 0.05 },
    ]
}

fn with_constraint(mut maid: Maid, constraint: &Constraint) -> Maid {
    maid.line_search.constraint = constraint.clone();
    maid
}

fn assert_feasible(constraint: &Constraint, theta: &[f64]) {
    let mut projected = theta.to_vec();
    if !matches!(constraint, Constraint::L1 { .. }) {
        constraint.project(1.0, &mut projected);
    }
    assert!(common::distance(&projected, theta) <= 1e-12, "{theta:?}");
}

/// The solution by many exact proximal gradient steps.
fn solution(problem: &Quadratic, constraint: &Constraint) -> Vec<f64> {
    let mut theta = vec![0.0; 3];
    for _ in 0..20_000 {
        let gradient = problem.gradient(&theta);
        theta.axpy(-0.1, &gradient);
        constraint.project(0.1, &mut theta);
    }
    theta
}

#[test]
fn constrained_runs_of_all_variants_end_at_the_known_solution() {
    // A step that gains the square of this is still seen in a value that is known to 1e-11.
    const TOLERANCE: f64 = 5e-6;
    let mut bound_somewhere = 0;
    for constraint in constraints() {
        for seed in 0..3 {
            let problem = Quadratic::random(20, 3, 30.0, seed);
            let best = solution(&problem, &constraint);
            let zero = constraint.stationarity(&best, &problem.gradient(&best));
            assert!(zero <= 1e-12, "stationarity at the solution: {zero:e}");
            let unconstrained = common::distance(&best, &problem.optimum());
            bound_somewhere += usize::from(unconstrained > 1e-3);
            for maid in all() {
                let maid = with_constraint(maid, &constraint);
                let report = Run::new(&oracle(&problem), maid.clone())
                    .tolerance(TOLERANCE)
                    .start(vec![2.0, -2.0, 2.0])
                    .unwrap();
                let case = format!("{constraint:?} seed {seed} {}", report.solver);
                assert_eq!(report.status, Status::Converged, "{case}\n{report}");
                assert_feasible(&constraint, &report.theta);
                let error = common::distance(&report.theta, &best);
                assert!(error <= 1e-4, "{case}: {error:e}");
                // What the run proves: the exact measure is within the tolerance.
                let exact =
                    constraint.stationarity(&report.theta, &problem.gradient(&report.theta));
                assert!(exact <= TOLERANCE, "{case}: {exact:e}");
                let value = problem.value(&report.theta) + constraint.penalty(&report.theta);
                assert!(
                    report.value.lower <= value && value <= report.value.upper,
                    "{case}"
                );
            }
        }
    }
    assert!(bound_somewhere >= 9, "the constraints hardly bind");
}

#[test]
fn accepted_constrained_steps_decrease_the_exact_objective_and_stay_feasible() {
    for constraint in constraints() {
        for maid in monotone() {
            let maid = with_constraint(maid, &constraint);
            for seed in 0..3 {
                let problem = Quadratic::random(20, 3, 1e3, seed);
                let report = Run::new(&oracle(&problem), maid.clone())
                    .tolerance(1e-7)
                    .start(vec![5.0, -4.0, 3.0])
                    .unwrap();
                let rows = report.trace.rows();
                let value = |r: &Iteration| problem.value(&r.theta) + constraint.penalty(&r.theta);
                for pair in rows.windows(2) {
                    assert_feasible(&constraint, &pair[1].theta);
                    let (from, to) = (value(&pair[0]), value(&pair[1]));
                    assert!(
                        to < from + 4.0 * f64::EPSILON * from,
                        "{maid:?}: {from} {to}"
                    );
                }
            }
        }
    }
}

#[test]
fn gradient_descent_takes_constraints_and_directions_too() {
    for constraint in constraints() {
        for direction in [Direction::Steepest, Direction::Lbfgs { memory: 5 }] {
            let problem = Quadratic::random(20, 3, 30.0, 1);
            let best = solution(&problem, &constraint);
            let mut solver = GradientDescent::with_accuracy(1e-9);
            solver.line_search.constraint = constraint.clone();
            solver.line_search.direction = direction;
            let report = Run::new(&oracle(&problem), solver)
                .tolerance(1e-6)
                .start(vec![2.0, -2.0, 2.0])
                .unwrap();
            let error = common::distance(&report.theta, &best);
            assert!(
                error <= 1e-4,
                "{constraint:?} {direction:?}: {error:e}\n{report}"
            );
        }
    }
}

#[test]
fn projections_meet_their_optimality_conditions() {
    for seed in 0..200 {
        let mut v = random(1 + seed as usize % 7, seed);
        v.scale(3.0);
        let n = v.len();
        let project = |constraint: &Constraint, alpha: f64| {
            let mut u = v.clone();
            constraint.project(alpha, &mut u);
            u
        };
        // Simplex: v − u is one number where u > 0, at most that where u = 0.
        let u = project(&Constraint::Simplex { total: 1.3 }, 1.0);
        assert!((u.iter().sum::<f64>() - 1.3).abs() <= 1e-12);
        let shift = (0..n)
            .filter(|&i| u[i] > 0.0)
            .map(|i| v[i] - u[i])
            .fold(f64::NEG_INFINITY, f64::max);
        for i in 0..n {
            assert!(u[i] >= 0.0);
            let gap = shift - (v[i] - u[i]);
            assert!(if u[i] > 0.0 {
                gap.abs() <= 1e-12
            } else {
                gap >= -1e-12
            });
        }
        // Bounds and the orthant: the nearest point of a grid that holds the bounds.
        let bounds = Constraint::Bounds {
            lower: vec![-1.0],
            upper: vec![0.5],
        };
        for (constraint, low, high) in [(bounds, -1.0, 0.5), (Constraint::NonNegative, 0.0, 10.0)] {
            for (u, v) in project(&constraint, 1.0).iter().zip(&v) {
                let nearest = (0..=10_000)
                    .map(|k| low + (high - low) * f64::from(k) / 1e4)
                    .fold(f64::INFINITY, |best, w| best.min((w - v).abs()));
                assert!((low..=high).contains(u) && (u - v).abs() <= nearest + 1e-12);
            }
        }
        // ℓ₁: no other number has a smaller weight·|u| + (u − v)²/(2α).
        let (weight, alpha) = (0.4, 1.7);
        for (u, v) in project(&Constraint::L1 { weight }, alpha).iter().zip(&v) {
            let cost = |w: f64| weight * w.abs() + (w - v).powi(2) / (2.0 * alpha);
            for k in -1000..=1000 {
                assert!(cost(*u) <= cost(u + f64::from(k) * 1e-3) + 1e-12);
            }
        }
    }
}

/// In one dimension F is a parabola, and the solutions are known in a line.
#[test]
fn one_dimensional_solutions_are_the_clipped_and_the_shrunk_minimiser() {
    let problem = Quadratic::random(10, 1, 30.0, 3);
    let best = problem.optimum()[0];
    let curvature = problem.gradient(&[1.0])[0] - problem.gradient(&[0.0])[0];
    let weight = 0.5 * curvature * best.abs();
    let at = |t: f64| Constraint::Bounds {
        lower: vec![t],
        upper: vec![f64::INFINITY],
    };
    let cases = [
        (at(best + 0.3), best + 0.3),
        (at(best - 0.3), best),
        (Constraint::L1 { weight }, 0.5 * best),
        (
            Constraint::L1 {
                weight: 3.0 * weight,
            },
            0.0,
        ),
        (Constraint::Simplex { total: 2.0 }, 2.0),
    ];
    for (constraint, expected) in cases {
        for maid in all() {
            let report = Run::new(&oracle(&problem), with_constraint(maid, &constraint))
                .tolerance(1e-6)
                .start(vec![4.0])
                .unwrap();
            assert_eq!(report.status, Status::Converged, "{constraint:?}\n{report}");
            assert!(
                (report.theta[0] - expected).abs() <= 1e-5,
                "{constraint:?}\n{report}"
            );
        }
    }
}
