//! Runs that must give the same bytes: on any number of threads, and after a stop.

use std::path::Path;

use bilevel::parallel::with_threads;
use bilevel::{Budget, Error, Oracle, Report, Run, Solver, Status};

pub(crate) const THREADS: [usize; 3] = [1, 2, 3];

/// The trace of a run on each number of threads, which must not show.
pub(crate) fn assert_same_on_all_threads<O, S>(
    oracle: &O,
    solver: &S,
    theta: &O::Theta,
    iterations: u64,
) where
    O: Oracle,
    S: Solver<O> + Clone + Send + Sync,
{
    let [one, two, three] = THREADS.map(|threads| {
        with_threads(threads, || {
            let report = Run::new(oracle, solver.clone())
                .tolerance(1e-6)
                .max_iterations(iterations)
                .start(theta.clone())
                .unwrap();
            assert!(report.iterations > 0, "nothing was compared");
            // All of the report but the seconds.
            let report = Report {
                seconds: 0.0,
                ..report
            };
            (report.trace.to_csv(), report.to_json(&[]))
        })
        .unwrap()
    });
    assert_eq!(one, two, "{}: 1 and 2 threads", solver.name());
    assert_eq!(one, three, "{}: 1 and 3 threads", solver.name());
}

/// Runs to the end, then again with a stop after each of a few numbers of iterations, and compares the traces.
pub(crate) fn assert_resumes<O, S>(oracle: &O, solver: &S, theta: &O::Theta, iterations: u64)
where
    O: Oracle,
    S: Solver<O> + Clone,
{
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.ckpt");
    let whole = Run::new(oracle, solver.clone())
        .tolerance(1e-8)
        .max_iterations(iterations)
        .start(theta.clone())
        .unwrap();
    assert!(whole.iterations >= 6, "{whole}");
    for stop in [0, 1, 2, 5, whole.iterations - 1] {
        for every in [1, 3] {
            let case = format!("{} stopped after {stop}, every {every}", solver.name());
            let part = Run::new(oracle, solver.clone())
                .tolerance(1e-8)
                .max_iterations(stop)
                .checkpoint(&path, every)
                .start(theta.clone())
                .unwrap();
            assert_eq!(
                (part.status, part.iterations),
                (Status::BudgetExhausted(Budget::Iterations), stop),
                "{case}"
            );
            let resumed = Run::new(oracle, solver.clone())
                .tolerance(1e-8)
                .max_iterations(iterations)
                .checkpoint(&path, every)
                .resume(&path)
                .unwrap();
            assert_eq!(resumed.trace.to_csv(), whole.trace.to_csv(), "{case}");
            assert_eq!(resumed.status, whole.status, "{case}");
            let (resumed, whole) = (
                Report {
                    seconds: 0.0,
                    ..resumed
                },
                Report {
                    seconds: 0.0,
                    ..whole.clone()
                },
            );
            assert_eq!(resumed.to_json(&[]), whole.to_json(&[]), "{case}");
        }
    }
}

pub(crate) fn resume_error<O: Oracle, S: Solver<O>>(oracle: &O, solver: S, path: &Path) -> Error {
    match Run::new(oracle, solver).resume(path) {
        Err(error) => error,
        Ok(_) => panic!("a checkpoint of another run was accepted"),
    }
}

pub(crate) fn without_seconds<T>(report: Report<T>) -> Report<T> {
    Report {
        seconds: 0.0,
        ..report
    }
}

/// Stops after a few iterations and resumes: the bytes must be those of a run that did not stop.
pub(crate) fn resumes<O: Oracle, S: Solver<O> + Clone>(oracle: &O, solver: &S, theta: &O::Theta) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.ckpt");
    let run = |iterations| {
        Run::new(oracle, solver.clone())
            .tolerance(1e-8)
            .max_iterations(iterations)
    };
    let whole = without_seconds(run(7).start(theta.clone()).unwrap());
    assert!(whole.iterations >= 5, "{whole}");
    for stop in [0, 1, 2, 4] {
        run(stop).checkpoint(&path, 1).start(theta.clone()).unwrap();
        let resumed = without_seconds(run(7).resume(&path).unwrap());
        assert_eq!(
            resumed.trace.to_csv(),
            whole.trace.to_csv(),
            "{} at {stop}",
            solver.name()
        );
        assert_eq!(
            resumed.to_json(&[]),
            whole.to_json(&[]),
            "{} at {stop}",
            solver.name()
        );
    }
}
