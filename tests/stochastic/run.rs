//! Runs of stochastic methods: the same bytes on any number of threads and after an interruption, divergence by name, refusals by name.

use bilevel::stochastic::{Method, Sampling, StepSize};
use bilevel::{Error, Implicit, Report, Run, Soba, Status, Stochastic, Trust, parallel};
use bilevel_problems::synthetic::finite_sum::FiniteSum;
use std::path::Path;

fn problem() -> FiniteSum {
    FiniteSum::random(8, 4, 120, 10.0, 3)
}

fn solver<M>(method: M, sampling: Sampling) -> Stochastic<M> {
    Stochastic {
        lower_batch: 7,
        upper_batch: 11,
        sampling,
        block: 25,
        seed: 5,
        ..Stochastic::new(method)
    }
}

fn run<M: Method>(
    solver: Stochastic<M>,
    blocks: u64,
    resume: bool,
    checkpoint: Option<&Path>,
) -> Report<Vec<f64>> {
    let problem = problem();
    let oracle = Implicit::new(problem.lower(), problem.upper());
    let mut run = Run::new(&oracle, solver).max_iterations(blocks);
    if let Some(path) = checkpoint {
        run = run.checkpoint(path, 1);
    }
    match checkpoint {
        Some(path) if resume => run.resume(path).unwrap(),
        _ => run.start(vec![1.0; 4]).unwrap(),
    }
}

/// Asserts that a run that was stopped between two blocks, in the middle of an epoch, goes on to the bytes of one that was not.
fn resumes<M: Method + Clone>(method: M) {
    for sampling in [Sampling::Contiguous, Sampling::Shuffled] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.ckpt");
        let whole = run(solver(method.clone(), sampling), 9, false, None);
        run(solver(method.clone(), sampling), 4, false, Some(&path));
        let resumed = run(solver(method.clone(), sampling), 9, true, Some(&path));
        assert_eq!(
            whole.trace.to_csv(),
            resumed.trace.to_csv(),
            "{}",
            whole.solver
        );
        assert_eq!(whole.theta, resumed.theta);
        assert_eq!(whole.work, resumed.work);
    }
}

#[test]
fn runs_resume_to_the_byte() {
    resumes(Soba::default());
}

#[test]
fn runs_are_the_same_bytes_on_any_number_of_threads() {
    let on = |threads| {
        parallel::with_threads(threads, || {
            let report = run(solver(Soba::default(), Sampling::Shuffled), 5, false, None);
            report.trace.to_csv()
        })
        .unwrap()
    };
    assert_eq!(on(1), on(2));
}

#[test]
fn the_report_of_a_run_is_certified_and_its_rows_are_not() {
    let report = run(
        solver(Soba::default(), Sampling::Contiguous),
        5,
        false,
        None,
    );
    let problem = problem();
    let exact = problem.gradient(&report.theta);
    let error: f64 = exact
        .iter()
        .zip(&report.hypergradient)
        .map(|(a, b)| (a - b).powi(2))
        .sum();
    assert_eq!(report.trust, Trust::Certified);
    assert!(error.sqrt() <= report.error_bound);
    let rows = report.trace.rows();
    let (last, before) = rows.split_last().unwrap();
    assert_eq!(last.trust, Trust::Certified);
    assert!(before.iter().all(|row| row.trust == Trust::Unknown));
    assert!(before.iter().all(|row| row.gradient_norm.is_finite()));
    // 125 iterations with three products each on lower and one gradient on upper batches, and what the estimate of the steps took.
    assert!(report.work.lower_samples >= 125 * 3 * 6);
    assert!(report.work.upper_samples >= 125 * 10);
}

#[test]
fn steps_that_are_too_long_end_as_diverged_at_the_last_sound_theta() {
    let mut wild = solver(Soba::default(), Sampling::Contiguous);
    wild.lower_step = StepSize::constant(1e3);
    let report = run(wild, 50, false, None);
    assert_eq!(report.status, Status::Diverged);
    assert!(report.theta.iter().all(|t| t.is_finite()));
    assert!(report.value.value.is_finite());
}

#[test]
fn settings_out_of_range_are_refused_by_name() {
    let refusal = |change: &dyn Fn(&mut Stochastic<Soba>)| {
        let mut solver = solver(Soba::default(), Sampling::Contiguous);
        change(&mut solver);
        let problem = problem();
        let oracle = Implicit::new(problem.lower(), problem.upper());
        let error = Run::new(&oracle, solver).start(vec![1.0; 4]).unwrap_err();
        assert!(matches!(error, Error::InvalidArgument { .. }));
        error.to_string()
    };
    for (change, word) in [
        (
            (&|s: &mut Stochastic<Soba>| s.lower_batch = 121) as &dyn Fn(&mut Stochastic<Soba>),
            "lower_batch is 121; expected at least 1 and at most 120",
        ),
        (&|s| s.upper_batch = 0, "upper_batch is 0"),
        (&|s| s.block = 0, "block"),
        (&|s| s.lower_step.first = Some(f64::NAN), "lower_step.first"),
        (
            &|s| s.upper_step.exponent = Some(-1.0),
            "upper_step.exponent is -1",
        ),
        (&|s| s.accuracy.epsilon = 0.0, "epsilon"),
    ] {
        let text = refusal(change);
        assert!(text.contains(word), "{text}");
    }
}
