//! The edge to argmin: its solvers on our oracles, ours under its Executor, its solvers under our driver.

use std::sync::{Arc, Mutex};

use crate::common::runs::resumes;
use crate::common::{WithCurvature, distance, no_constants};
use argmin::core::checkpointing::{Checkpoint, CheckpointingFrequency};
use argmin::core::observers::{Observe, ObserverMode};
use argmin::core::{
    CostFunction, Executor, Gradient, IterState, KV, State, TerminationReason, TerminationStatus,
};
use argmin::solver::linesearch::MoreThuenteLineSearch;
use argmin::solver::neldermead;
use argmin::solver::quasinewton::LBFGS;
use argmin_checkpointing_file::FileCheckpoint;
use bilevel::Tpe;
use bilevel::argmin::{Driven, Lbfgs, NelderMead, Objective, ParticleSwarm};
use bilevel::{
    Accuracy, Budget, DerivativeFree, Error, Evaluation, GradientDescent, Hoag, Hypergradient,
    Implicit, Limits, Maid, Oracle, Report, Run, SearchBox, Solver, Status, ToleranceSchedule,
    Trust, Vector, Work,
};
use bilevel_problems::synthetic::quadratic::{Quadratic, QuadraticLower, QuadraticUpper};

/// argmin's state for our solvers.
type Shown = IterState<Vec<f64>, Vec<f64>, (), (), (), f64>;

type QuadraticOracle = Implicit<QuadraticLower, QuadraticUpper>;

fn quadratic(p: usize) -> (Quadratic, QuadraticOracle) {
    let problem = Quadratic::random(30, p, 30.0, 0);
    let oracle = Implicit::new(problem.lower(), problem.upper());
    (problem, oracle)
}

fn accuracy(epsilon: f64) -> Accuracy {
    Accuracy::new(epsilon, epsilon).unwrap()
}

#[test]
fn an_objective_gives_the_exact_numbers_with_bounds_and_counts() {
    let (problem, oracle) = quadratic(3);
    let theta = vec![1.0, -0.5, 2.0];
    let objective = Objective::new(&oracle, &theta, accuracy(1e-9)).unwrap();
    assert!(objective.best().is_none());
    let cost = objective.cost(&theta).unwrap();
    assert!((cost - problem.value(&theta)).abs() < 1e-7);
    let (at, value) = objective.last().unwrap();
    assert_eq!((&at, value.value), (&theta, cost));
    assert!((value.lower..=value.upper).contains(&problem.value(&theta)));
    let gradient = objective.gradient(&theta).unwrap();
    assert!(distance(&gradient, &problem.gradient(&theta)) < 1e-6);
    let once = objective.work();
    assert_eq!(objective.gradient(&theta).unwrap(), gradient);
    assert_eq!(objective.work(), once, "asked for twice, computed once");
    assert_eq!((objective.values(), objective.hypergradients()), (1, 1));
    assert!(once.lower_gradients > 0 && once.cross_products == 1);

    let twice = Objective::new(&oracle, &theta, accuracy(1e-9))
        .unwrap()
        .scaled(2.0)
        .unwrap();
    assert_eq!(twice.cost(&theta).unwrap(), 2.0 * cost);
    assert!(
        Objective::new(&oracle, &theta, accuracy(1e-9))
            .unwrap()
            .scaled(0.0)
            .is_err()
    );
    assert!(Objective::new(&oracle, &vec![0.0; 2], accuracy(1e-9)).is_err());
    let none = Accuracy {
        epsilon: 0.0,
        delta: 1.0,
    };
    assert!(Objective::new(&oracle, &theta, none).is_err());
}

#[test]
fn a_cost_outside_the_domain_is_infinite_and_a_gradient_there_an_error() {
    let (_, oracle) = quadratic(2);
    let objective = Objective::new(&oracle, &vec![0.0; 2], accuracy(1e-3)).unwrap();
    for theta in [vec![f64::NAN, 0.0], vec![0.0; 3], vec![f64::MAX; 2]] {
        assert_eq!(objective.cost(&theta).unwrap(), f64::INFINITY);
        assert!(objective.gradient(&theta).is_err());
    }
    assert_eq!(objective.values(), 0);
    // A failure that has nothing to do with θ is an error.
    let problem = Quadratic::random(10, 2, 10.0, 0);
    let lower = WithCurvature {
        inner: problem.lower(),
        change: no_constants,
    };
    let oracle = Implicit::new(lower, problem.upper());
    let objective = Objective::new(&oracle, &vec![0.0; 2], accuracy(1e-3)).unwrap();
    assert!(
        objective
            .cost(&vec![0.0; 2])
            .unwrap_err()
            .to_string()
            .contains("certified")
    );
}

#[test]
fn argmins_solvers_find_the_optimum_through_an_objective() {
    let (problem, oracle) = quadratic(3);
    let optimum = problem.optimum();
    let theta = vec![2.0; 3];
    let objective = Objective::new(&oracle, &theta, accuracy(1e-9)).unwrap();
    let lbfgs = LBFGS::new(MoreThuenteLineSearch::new(), 5)
        .with_tolerance_grad(1e-6)
        .unwrap();
    let result = Executor::new(objective.clone(), lbfgs)
        .configure(|state| state.param(theta).max_iters(50))
        .run()
        .unwrap();
    let found = result.state().get_best_param().unwrap();
    assert!(distance(found, &optimum) < 1e-4);
    let (best, value) = objective.best().unwrap();
    assert!(distance(&best, &optimum) < 1e-4);
    assert!(value.value <= result.state().get_best_cost());

    let simplex = (0..4)
        .map(|i| (0..3).map(|j| f64::from(u8::from(i == j))).collect())
        .collect();
    let objective = Objective::new(&oracle, &vec![0.0; 3], accuracy(1e-9)).unwrap();
    let result = Executor::new(
        objective,
        neldermead::NelderMead::new(simplex)
            .with_sd_tolerance(1e-12)
            .unwrap(),
    )
    .configure(|state| state.max_iters(500))
    .run()
    .unwrap();
    assert!(distance(result.state().get_best_param().unwrap(), &optimum) < 1e-4);
}

/// Runs a solver of argmin's under our driver: it must find the optimum of the quadratic.
fn finds<S: Solver<QuadraticOracle>>(solver: S, limit: u64, gap: f64) -> Report<Vec<f64>> {
    let (problem, oracle) = quadratic(3);
    let report = Run::new(&oracle, solver)
        .tolerance(1e-4)
        .max_iterations(limit)
        .start(vec![2.0; 3])
        .unwrap();
    let found = problem.value(&report.theta) - problem.value(&problem.optimum());
    println!("{report}\n  gap {found:.1e}");
    assert!((-1e-12..gap).contains(&found), "{report}: {found}");
    assert_eq!(report.trace.last().unwrap().work, report.work);
    report
}

fn swarm(entries: usize, lower: f64, upper: f64) -> ParticleSwarm {
    ParticleSwarm::with_accuracy(SearchBox::cube(entries, lower, upper), 1e-6)
}

#[test]
fn argmins_solvers_find_the_optimum_under_our_driver() {
    let report = finds(Lbfgs::with_accuracy(1e-7), 100, 1e-7);
    assert_eq!(report.status, Status::Converged, "{report}");
    assert!(report.iterations < 15, "{report}");
    let rows = report.trace.rows();
    assert!(
        rows.iter()
            .all(|row| row.gradient_norm.is_finite() && row.trust == Trust::Certified)
    );

    let report = finds(NelderMead::with_accuracy(1e-6), 500, 1e-6);
    assert!(
        matches!(report.status, Status::Converged | Status::Completed),
        "{report}"
    );
    let report = finds(swarm(3, -3.0, 3.0), 60, 1e-4);
    assert_eq!(report.status, Status::BudgetExhausted(Budget::Iterations));
    // One solve for every particle and iteration, and one at the end.
    assert_eq!(report.work.lower_solves, 20 * 60 + 1);
}

#[test]
fn argmins_lbfgs_does_the_same_work_and_steps_under_either_driver() {
    let (_, oracle) = quadratic(3);
    let theta = vec![2.0; 3];
    let ours = Lbfgs::with_accuracy(1e-7);
    // Beyond, the decrease drowns in the error of the inner solves.
    for iterations in 1..6 {
        let objective = Objective::new(&oracle, &theta, ours.accuracy).unwrap();
        let gradient = objective.gradient(&theta).unwrap();
        let scale = 1.0 / gradient.norm();
        let value = objective.last().unwrap().1.value;
        // argmin takes a cost that it is given for one that has stopped changing.
        let lbfgs = LBFGS::new(MoreThuenteLineSearch::new(), ours.memory)
            .with_tolerance_cost(0.0)
            .unwrap();
        let result = Executor::new(objective.clone().scaled(scale).unwrap(), lbfgs)
            .configure(|state| {
                let gradient = gradient.iter().map(|z| scale * z).collect();
                let state = state
                    .param(theta.clone())
                    .cost(scale * value)
                    .gradient(gradient);
                state.max_iters(iterations)
            })
            .run()
            .unwrap();
        let report = Run::new(&oracle, ours.clone())
            .tolerance(0.0)
            .max_iterations(iterations)
            .start(theta.clone())
            .unwrap();
        let rows = report.trace.rows();
        assert_eq!(result.state().get_param(), Some(&report.theta));
        assert_eq!(
            objective.work(),
            rows[rows.len() - 2].work,
            "without the last hypergradient"
        );
        let evaluations: u64 = rows
            .iter()
            .rev()
            .skip(1)
            .map(|row| row.trials + row.hypergradients)
            .sum();
        assert_eq!(objective.values() + objective.hypergradients(), evaluations);
    }
}

#[test]
fn argmins_nelder_mead_does_the_same_work_and_steps_under_either_driver() {
    let (_, oracle) = quadratic(2);
    let ours = NelderMead::with_accuracy(1e-6);
    let theta = vec![0.5, -1.0];
    for iterations in [0, 1, 5, 20] {
        let objective = Objective::new(&oracle, &theta, ours.accuracy).unwrap();
        let simplex = vec![theta.clone(), vec![1.5, -1.0], vec![0.5, 0.0]];
        let solver = neldermead::NelderMead::new(simplex)
            .with_sd_tolerance(ours.spread)
            .unwrap();
        let result = Executor::new(objective.clone(), solver)
            .configure(|state| state.max_iters(iterations))
            .run()
            .unwrap();
        let report = Run::new(&oracle, ours.clone())
            .tolerance(0.0)
            .max_iterations(iterations + 1) // the first one evaluates the simplex
            .start(theta.clone())
            .unwrap();
        let rows = report.trace.rows();
        assert_eq!(result.state().get_param(), Some(&report.theta));
        assert_eq!(objective.work(), rows[rows.len() - 2].work);
        assert_eq!(rows[0].trials, 3);
    }
}

#[test]
fn argmins_solvers_resume_to_the_same_bytes() {
    let (_, oracle) = quadratic(3);
    let theta = vec![2.0; 3];
    resumes(
        &oracle,
        &Lbfgs {
            memory: 2,
            ..Lbfgs::with_accuracy(1e-7)
        },
        &theta,
    );
    resumes(&oracle, &NelderMead::with_accuracy(1e-6), &theta);
    resumes(&oracle, &swarm(3, -3.0, 3.0), &theta);
}

#[test]
fn budgets_end_argmins_solvers() {
    fn ended<S: Solver<QuadraticOracle>>(solver: S) {
        let (_, oracle) = quadratic(3);
        let limits = Limits {
            lower_gradients: Some(300),
            ..Limits::default()
        };
        let report = Run::new(&oracle, solver)
            .tolerance(0.0)
            .limits(limits)
            .start(vec![2.0; 3])
            .unwrap();
        assert_eq!(
            report.status,
            Status::BudgetExhausted(Budget::LowerGradients)
        );
    }
    ended(Lbfgs::with_accuracy(1e-6));
    ended(NelderMead::with_accuracy(1e-6));
    ended(swarm(3, -3.0, 3.0));
}

#[test]
fn argmins_lbfgs_ends_as_stalled_where_its_line_search_fails() {
    let (problem, oracle) = quadratic(3);
    let impatient = Lbfgs {
        max_trials: 2,
        ..Lbfgs::with_accuracy(1e-7)
    };
    let report = Run::new(&oracle, impatient)
        .tolerance(1e-9)
        .start(vec![2.0; 3])
        .unwrap();
    assert_eq!(report.status, Status::Stalled, "{report}");
    // At the optimum it converges without a step.
    let report = Run::new(&oracle, Lbfgs::with_accuracy(1e-9))
        .start(problem.optimum())
        .unwrap();
    assert_eq!(
        (report.status, report.iterations),
        (Status::Converged, 0),
        "{report}"
    );
}

#[test]
fn a_failing_oracle_is_an_error_and_no_panic() {
    let problem = Quadratic::random(10, 2, 10.0, 0);
    let lower = WithCurvature {
        inner: problem.lower(),
        change: no_constants,
    };
    let oracle = Implicit::new(lower, problem.upper());
    let theta = vec![0.0; 2];
    let failed = [
        Run::new(&oracle, Lbfgs::with_accuracy(1e-3)).start(theta.clone()),
        Run::new(&oracle, NelderMead::with_accuracy(1e-3)).start(theta.clone()),
        Run::new(&oracle, swarm(2, -1.0, 1.0)).start(theta),
    ];
    for result in failed {
        assert!(
            matches!(result, Err(Error::MissingConstant { .. })),
            "{result:?}"
        );
    }
    // Overflow at θ₀.
    let (_, oracle) = quadratic(2);
    let far = vec![f64::MAX; 2];
    assert!(
        Run::new(&oracle, Lbfgs::with_accuracy(1e-3))
            .start(far.clone())
            .is_err()
    );
    assert!(
        Run::new(&oracle, NelderMead::with_accuracy(1e-3))
            .start(far)
            .is_err()
    );
}

#[test]
fn settings_out_of_range_are_refused_by_name() {
    fn says<S: Solver<QuadraticOracle>>(solver: S, expected: &str) {
        let (_, oracle) = quadratic(2);
        let error = Run::new(&oracle, solver)
            .start(vec![0.0; 2])
            .unwrap_err()
            .to_string();
        assert!(error.contains(expected), "{error}");
    }
    says(Lbfgs::with_accuracy(0.0), "epsilon is 0.0");
    says(
        Lbfgs {
            memory: 0,
            ..Lbfgs::with_accuracy(1e-3)
        },
        "memory is 0",
    );
    says(
        Lbfgs {
            max_trials: 1,
            ..Lbfgs::with_accuracy(1e-3)
        },
        "max_trials is 1",
    );
    says(
        NelderMead {
            size: 0.0,
            ..NelderMead::with_accuracy(1e-3)
        },
        "size is 0.0",
    );
    says(
        NelderMead {
            spread: f64::NAN,
            ..NelderMead::with_accuracy(1e-3)
        },
        "spread is NaN",
    );
    says(
        ParticleSwarm {
            particles: 0,
            ..swarm(2, -1.0, 1.0)
        },
        "particles is 0",
    );
    says(swarm(3, -1.0, 1.0), "region.lower is 3 numbers");
    says(swarm(2, 1.0, -1.0), "region[0] is from 1 to -1");
    says(swarm(2, 1.0, 2.0), "theta[0] is 0");
}

/// The quadratic with θ stored in f32.
struct Single(QuadraticOracle);

fn wide(theta: &[f32]) -> Vec<f64> {
    theta.iter().map(|t| f64::from(*t)).collect()
}

impl Oracle for Single {
    type Theta = Vec<f32>;
    type State = <QuadraticOracle as Oracle>::State;

    fn start(&self, theta: &Vec<f32>) -> Result<Self::State, Error> {
        self.0.start(&wide(theta))
    }

    fn value(
        &self,
        theta: &Vec<f32>,
        epsilon: f64,
        s: &mut Self::State,
    ) -> Result<Evaluation, Error> {
        self.0.value(&wide(theta), epsilon, s)
    }

    fn hypergradient(
        &self,
        theta: &Vec<f32>,
        accuracy: Accuracy,
        s: &mut Self::State,
    ) -> Result<Hypergradient<Vec<f32>>, Error> {
        let z = self.0.hypergradient(&wide(theta), accuracy, s)?;
        Ok(Hypergradient {
            gradient: z.gradient.iter().map(|z| *z as f32).collect(),
            error_bound: z.error_bound,
            trust: z.trust,
            value: z.value,
            correction: None,
            goal_oriented: z.goal_oriented,
            attained: z.attained,
            lower_status: z.lower_status,
            adjoint_status: z.adjoint_status,
            attempts: z.attempts,
            work: z.work,
        })
    }

    fn check(&self, theta: &Vec<f32>, s: &Self::State) -> Result<(), Error> {
        self.0.check(&wide(theta), s)
    }

    fn identity(&self) -> String {
        format!("single {}", self.0.identity())
    }
}

#[test]
fn a_theta_of_other_storage_crosses_the_edge() {
    let (problem, oracle) = quadratic(3);
    let oracle = Single(oracle);
    let theta = vec![0.1f32; 3];
    let optimum = problem.optimum();
    let run = Run::new(&oracle, Lbfgs::with_accuracy(1e-7)).tolerance(1e-4);
    let report = run.start(theta.clone()).unwrap();
    assert_eq!(report.status, Status::Converged, "{report}");
    assert!(distance(&wide(&report.theta), &optimum) < 1e-3);
    let run = Run::new(&oracle, NelderMead::with_accuracy(1e-6)).max_iterations(200);
    let report = run.start(theta.clone()).unwrap();
    assert!(distance(&wide(&report.theta), &optimum) < 1e-2);
    resumes(&oracle, &Lbfgs::with_accuracy(1e-7), &theta);
    resumes(&oracle, &NelderMead::with_accuracy(1e-6), &theta);
    resumes(&oracle, &swarm(3, -3.0, 3.0), &theta);
    // Points rounded to f32 may lie just outside a narrow box.
    let mut region = SearchBox::cube(3, -3.0, 3.0);
    (region.lower[0], region.upper[0]) = (0.1, f64::from(0.1f32));
    let tpe = Tpe {
        startup: 2,
        ..Tpe::new(region, 20)
    };
    resumes(&oracle, &tpe, &theta);
}

#[test]
fn a_swarm_flies_in_a_box_without_volume() {
    let (_, oracle) = quadratic(2);
    let mut solver = swarm(2, -1.0, 1.0);
    solver.region.upper[0] = -1.0;
    let report = Run::new(&oracle, solver)
        .max_iterations(20)
        .start(vec![-1.0, 0.5])
        .unwrap();
    assert!(
        report.theta[0] == -1.0 && report.iterations == 20,
        "{report}"
    );
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<(u64, f64, KV)>>>);

impl Observe<Shown> for Log {
    fn observe_iter(&mut self, state: &Shown, kv: &KV) -> Result<(), argmin::core::Error> {
        let row = (state.get_iter(), state.get_cost(), kv.clone());
        self.0.lock().unwrap().push(row);
        Ok(())
    }
}

/// One of our solvers under argmin's driver and under ours: the same trace.
fn is_driven<S>(solver: S, tolerance: f64, iterations: u64)
where
    S: Clone + for<'a> Solver<&'a QuadraticOracle> + Solver<QuadraticOracle>,
    for<'a> <S as Solver<&'a QuadraticOracle>>::State: Clone,
{
    let (_, oracle) = quadratic(3);
    let theta = vec![2.0; 3];
    let ours = Run::new(&oracle, solver.clone())
        .tolerance(tolerance)
        .max_iterations(iterations)
        .start(theta.clone())
        .unwrap();
    let result = Executor::new(&oracle, Driven::new(solver, tolerance))
        .configure(|state| state.param(theta).max_iters(iterations))
        .run()
        .unwrap();
    let (driven, state) = (result.solver(), result.state());
    assert_eq!(
        driven.trace().to_csv(),
        ours.trace.to_csv(),
        "{}",
        ours.solver
    );
    assert_eq!(driven.work(), ours.work);
    assert_eq!(state.get_param(), Some(&ours.theta));
    assert_eq!(state.get_cost(), ours.value.value);
    assert_eq!(state.get_gradient(), Some(&ours.hypergradient));
    let reason = state.get_termination_reason().unwrap();
    match ours.status {
        Status::Converged => assert_eq!(reason, &TerminationReason::SolverConverged),
        Status::BudgetExhausted(_) => {
            assert_eq!(reason, &TerminationReason::MaxItersReached);
            assert_eq!(driven.status(), None);
        }
        other => assert_eq!(reason, &TerminationReason::SolverExit(other.to_string())),
    }
}

#[test]
fn our_solvers_do_the_same_under_argmins_executor() {
    is_driven(Maid::default(), 1e-3, 100);
    is_driven(Maid::default(), 1e-3, 3);
    is_driven(Hoag::new(ToleranceSchedule::Quadratic), 1e-3, 20);
    is_driven(GradientDescent::with_accuracy(1e-2), 1e-9, 100);
    is_driven(DerivativeFree::default(), 1e-3, 100);
    is_driven(Lbfgs::with_accuracy(1e-6), 1e-3, 100);
    let tpe = Tpe::new(SearchBox::cube(3, -3.0, 3.0), 20);
    is_driven(tpe.clone(), 1e-3, 100);
    is_driven(tpe, 1e-3, 15);
}

#[test]
fn observers_of_argmin_see_bounds_and_counts() {
    let (_, oracle) = quadratic(3);
    let log = Log::default();
    let result = Executor::new(&oracle, Driven::new(Maid::default(), 1e-3))
        .configure(|state| state.param(vec![2.0; 3]).max_iters(100))
        .add_observer(log.clone(), ObserverMode::Always)
        .run()
        .unwrap();
    let rows = log.0.lock().unwrap();
    let trace = result.solver().trace();
    assert_eq!(rows.len(), trace.rows().len());
    for ((iteration, cost, kv), row) in rows.iter().zip(trace.rows()) {
        assert_eq!((*iteration, *cost), (row.iteration, row.value.value));
        let told = |key: &str| kv.get(key).unwrap().get_float().unwrap();
        assert_eq!(told("value_upper"), row.value.upper);
        assert_eq!(told("error_bound"), row.error_bound);
        assert_eq!(told("epsilon"), row.accuracy.epsilon);
    }
    let counts = &result.problem().counts;
    for (kind, count) in Work::KINDS.into_iter().zip(result.solver().work().counts()) {
        assert_eq!(counts[kind], count);
    }
}

#[test]
fn a_checkpoint_of_argmin_resumes_to_the_same_trace() {
    let (_, oracle) = quadratic(3);
    let theta = vec![2.0; 3];
    let folder = tempfile::tempdir().unwrap();
    let file = || {
        let folder = folder.path().to_str().unwrap();
        FileCheckpoint::new(folder, "maid", CheckpointingFrequency::Always)
    };
    let executor = |limit| {
        Executor::new(&oracle, Driven::new(Maid::default(), 1e-3))
            .configure(|state| state.param(theta.clone()).max_iters(limit))
    };
    let whole = executor(100).run().unwrap();
    assert_eq!(whole.solver().status(), Some(Status::Converged));
    let part = executor(3).checkpointing(file()).run().unwrap();
    assert_eq!(part.solver().trace().rows().len(), 4);

    // argmin itself brings the old limit back, and does nothing more.
    let again = executor(100).checkpointing(file()).run().unwrap();
    assert_eq!(again.state().get_iter(), 3);
    assert_eq!(
        again.state().get_termination_status(),
        &TerminationStatus::Terminated(TerminationReason::MaxItersReached)
    );

    // Loaded by hand, with a new limit, it goes on.
    let (solver, state): (Driven<Maid, _>, Shown) = file().load().unwrap().unwrap();
    let resumed = Executor::new(&oracle, solver)
        .configure(|_| state.max_iters(100))
        .run()
        .unwrap();
    assert_eq!(
        resumed.solver().trace().to_csv(),
        whole.solver().trace().to_csv()
    );
    assert_eq!(resumed.state().get_param(), whole.state().get_param());
    assert_eq!(resumed.state().get_iter(), whole.state().get_iter());
    assert_eq!(resumed.solver().work(), whole.solver().work());
}

#[test]
fn the_executor_needs_a_theta_and_passes_refusals_on() {
    let (_, oracle) = quadratic(2);
    let run = |maid: Maid, theta: Option<Vec<f64>>| {
        Executor::new(&oracle, Driven::new(maid, 1e-3))
            .configure(|state| match theta {
                Some(theta) => state.param(theta),
                None => state,
            })
            .run()
            .map(|_| ())
            .unwrap_err()
            .to_string()
    };
    assert!(run(Maid::default(), None).contains("no θ₀"));
    assert!(run(Maid::with_accuracy(-1.0), Some(vec![0.0; 2])).contains("epsilon is -1.0"));
    assert!(run(Maid::default(), Some(vec![0.0; 3])).contains("theta is 3 numbers"));
}
