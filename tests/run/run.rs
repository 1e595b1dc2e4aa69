//! The driver: the same bytes on any number of threads and after any interruption, budgets and observers that are kept to.

use std::cell::RefCell;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

#[cfg(feature = "tpe")]
use bilevel::Tpe;
use bilevel::lower::{Fista, NewtonCg};
use bilevel::run::{JsonLines, Observer, Table};
use bilevel::{
    Budget, CheckpointError, DerivativeFree, Error, GradientDescent, GridSearch, Hoag, Implicit,
    Iteration, Limits, Maid, RandomSearch, Report, Run, SearchBox, Solver, Status,
    ToleranceSchedule, Trust, Work,
};
use bilevel_problems::synthetic::quadratic::{Quadratic, QuadraticLower, QuadraticUpper};

use crate::common::WithCurvature;
use crate::common::runs::{assert_resumes, resume_error};

fn quadratic(seed: u64) -> Implicit<QuadraticLower, QuadraticUpper> {
    let problem = Quadratic::random(20, 3, 30.0, seed);
    Implicit::new(problem.lower(), problem.upper())
}

#[test]
fn a_run_that_stops_and_resumes_writes_the_trace_of_one_that_did_not() {
    let theta = vec![2.0, -2.0, 2.0];
    let oracle = quadratic(0);
    assert_resumes(&oracle, &Maid::default(), &theta, 15);
    assert_resumes(&oracle, &GradientDescent::with_accuracy(1e-6), &theta, 15);
    for law in [
        ToleranceSchedule::Exponential,
        ToleranceSchedule::Quadratic,
        ToleranceSchedule::Cubic,
    ] {
        assert_resumes(&oracle, &Hoag::new(law), &theta, 15);
    }
    // A first step so long that HOAG takes steps back.
    let bold = Hoag {
        initial_step: Some(50.0),
        ..Hoag::new(ToleranceSchedule::Quadratic)
    };
    assert_resumes(&oracle, &bold, &theta, 15);
}

#[cfg(feature = "tpe")]
fn tpe(region: &SearchBox, points: u64) -> Tpe {
    Tpe {
        startup: 3, // so that a resumed run asks the estimator
        ..Tpe::new(region.clone(), points)
    }
}

#[test]
fn searches_without_gradients_resume_to_the_same_trace() {
    let oracle = quadratic(0);
    let theta = vec![2.0, -2.0, 2.0];
    let region = SearchBox::cube(3, -3.0, 3.0);
    assert_resumes(&oracle, &DerivativeFree::default(), &theta, 15);
    #[cfg(feature = "tpe")]
    assert_resumes(&oracle, &tpe(&region, 12), &theta, 15);
    assert_resumes(&oracle, &RandomSearch::new(region.clone(), 12), &theta, 15);
    assert_resumes(&oracle, &GridSearch::new(region, 2), &theta, 15);
}

#[test]
fn a_run_resumes_to_its_own_end() {
    // Not a limit but convergence ends both.
    let oracle = quadratic(1);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.ckpt");
    let whole = Run::new(&oracle, Maid::default())
        .start(vec![1.0; 3])
        .unwrap();
    assert_eq!(whole.status, Status::Converged);
    Run::new(&oracle, Maid::default())
        .max_iterations(3)
        .checkpoint(&path, 1)
        .start(vec![1.0; 3])
        .unwrap();
    let resumed = Run::new(&oracle, Maid::default()).resume(&path).unwrap();
    assert_eq!(resumed.status, Status::Converged);
    assert_eq!(resumed.trace.to_csv(), whole.trace.to_csv());
}

/// Sets a flag after some iterations, as Ctrl-C would.
struct StopAfter {
    iterations: u64,
    flag: Arc<AtomicBool>,
}

impl Observer for StopAfter {
    fn iteration(&mut self, row: &Iteration, _seconds: f64) -> io::Result<()> {
        if row.iteration + 1 >= self.iterations {
            self.flag.store(true, Ordering::Relaxed);
        }
        Ok(())
    }
}

#[test]
fn an_interrupted_run_resumes_to_the_same_trace() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.ckpt");
    let oracle = quadratic(2);
    let run = || {
        Run::new(&oracle, Maid::default())
            .tolerance(1e-8)
            .max_iterations(12)
    };
    let whole = run().start(vec![1.0; 3]).unwrap();
    for stop in [1, 4, 9] {
        // Checkpoints are rare: what counts is the one that is written at the interruption.
        let flag = Arc::new(AtomicBool::new(false));
        let interrupted = run()
            .checkpoint(&path, 1000)
            .stop_on(Arc::clone(&flag))
            .observe(StopAfter {
                iterations: stop,
                flag,
            })
            .start(vec![1.0; 3])
            .unwrap();
        assert_eq!(
            (interrupted.status, interrupted.iterations),
            (Status::Interrupted, stop)
        );
        assert!(interrupted.status.advice().contains("resume"));
        let resumed = run().resume(&path).unwrap();
        assert_eq!(resumed.trace.to_csv(), whole.trace.to_csv(), "after {stop}");
    }
    // Interrupted before the first iteration, there is a report all the same.
    let flag = Arc::new(AtomicBool::new(true));
    let report = run()
        .checkpoint(&path, 1)
        .stop_on(flag)
        .start(vec![1.0; 3])
        .unwrap();
    assert_eq!((report.status, report.iterations), (Status::Interrupted, 0));
    let resumed = run().resume(&path).unwrap();
    assert_eq!(resumed.trace.to_csv(), whole.trace.to_csv());
}

#[test]
fn a_checkpoint_of_another_problem_or_solver_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.ckpt");
    let maid = Maid::default();
    Run::new(&quadratic(0), maid.clone())
        .max_iterations(2)
        .checkpoint(&path, 1)
        .start(vec![0.0; 3])
        .unwrap();
    let other_settings = Maid {
        margin: 0.2,
        ..Maid::default()
    };
    let newton = quadratic(0).with_lower_solver(NewtonCg::default());
    let limited = quadratic(0).with_lower_solver(Fista {
        max_iterations: 7,
        ..Fista::default()
    });
    let estimated = quadratic(0).with_trust(Trust::Estimated);
    let errors = [
        resume_error(&quadratic(1), maid.clone(), &path),
        resume_error(&quadratic(0), other_settings, &path),
        resume_error(&quadratic(0), Hoag::new(ToleranceSchedule::Cubic), &path),
        resume_error(&newton, maid.clone(), &path),
        resume_error(&limited, maid.clone(), &path),
        resume_error(&estimated, maid.clone(), &path),
    ];
    for error in errors {
        let text = error.to_string();
        assert!(
            matches!(
                error,
                Error::Checkpoint {
                    reason: CheckpointError::OtherRun { .. },
                    ..
                }
            ),
            "{text}"
        );
        assert!(
            text.contains("run.ckpt") && text.contains("belongs to another run"),
            "{text}"
        );
    }
}

#[test]
fn a_missing_checkpoint_is_an_error_with_its_path() {
    let error = resume_error(
        &quadratic(0),
        Maid::default(),
        Path::new("no-such-file.ckpt"),
    );
    assert!(matches!(error, Error::Io { .. }));
    assert!(error.to_string().contains("no-such-file.ckpt"));
}

#[test]
fn every_kind_of_budget_ends_the_run_by_its_name() {
    let none = Limits::default();
    let cases = [
        (
            Limits {
                iterations: Some(4),
                ..none
            },
            Budget::Iterations,
        ),
        (
            Limits {
                lower_gradients: Some(60),
                ..none
            },
            Budget::LowerGradients,
        ),
        (
            Limits {
                hessian_products: Some(20),
                ..none
            },
            Budget::HessianProducts,
        ),
        (
            Limits {
                cross_products: Some(3),
                ..none
            },
            Budget::CrossProducts,
        ),
        (
            Limits {
                lower_solves: Some(7),
                ..none
            },
            Budget::LowerSolves,
        ),
        (
            Limits {
                seconds: Some(0.0),
                ..none
            },
            Budget::Seconds,
        ),
    ];
    let oracle = quadratic(3);
    let used = |budget, report: &Report<Vec<f64>>, work: Work| match budget {
        Budget::Iterations => report.iterations,
        Budget::LowerGradients => work.lower_gradients,
        Budget::HessianProducts => work.hessian_products,
        Budget::CrossProducts => work.cross_products,
        Budget::LowerSolves => work.lower_solves,
        _ => 0,
    };
    for (limits, budget) in cases {
        fn run<S: Solver<Implicit<QuadraticLower, QuadraticUpper>>>(
            oracle: &Implicit<QuadraticLower, QuadraticUpper>,
            solver: S,
            limits: Limits,
        ) -> Report<Vec<f64>> {
            Run::new(oracle, solver)
                .tolerance(0.0)
                .limits(limits)
                .start(vec![2.0, -2.0, 2.0])
                .unwrap()
        }
        for report in [
            run(&oracle, Maid::default(), limits),
            run(&oracle, Hoag::new(ToleranceSchedule::Cubic), limits),
            run(&oracle, GradientDescent::with_accuracy(1e-6), limits),
        ] {
            assert_eq!(report.status, Status::BudgetExhausted(budget), "{report}");
            assert!(report.status.advice().contains(&budget.to_string()));
            assert!(report.to_json(&[]).contains("\"budget\""));
            // It was not used up an iteration earlier, and it is used up now.
            let limit = [
                limits.iterations,
                limits.lower_gradients,
                limits.hessian_products,
                limits.cross_products,
                limits.lower_solves,
            ]
            .into_iter()
            .flatten()
            .next()
            .unwrap_or(0);
            let rows = report.trace.rows();
            assert_eq!(rows.len() as u64, report.iterations + 1);
            assert!(used(budget, &report, report.work) >= limit);
            if budget != Budget::Iterations && rows.len() >= 3 {
                assert!(used(budget, &report, rows[rows.len() - 3].work) < limit);
            }
        }
    }
}

/// The calls of an observer.
#[derive(Default)]
struct Told {
    begun: Vec<(String, u64, Option<u64>)>,
    rows: Vec<Iteration>,
    seconds: Vec<f64>,
    ended: Vec<String>,
}

struct Recorder<'a>(&'a RefCell<Told>);

impl Observer for Recorder<'_> {
    fn begin(&mut self, solver: &str, first: u64, limit: Option<u64>) -> io::Result<()> {
        self.0
            .borrow_mut()
            .begun
            .push((solver.into(), first, limit));
        Ok(())
    }

    fn iteration(&mut self, row: &Iteration, seconds: f64) -> io::Result<()> {
        let mut told = self.0.borrow_mut();
        told.rows.push(row.clone());
        told.seconds.push(seconds);
        Ok(())
    }

    fn end(&mut self, report: &str) -> io::Result<()> {
        self.0.borrow_mut().ended.push(report.into());
        Ok(())
    }
}

#[test]
fn observers_see_every_iteration_once_and_in_order() {
    let oracle = quadratic(4);
    let (first, second) = (RefCell::new(Told::default()), RefCell::new(Told::default()));
    let report = Run::new(&oracle, Maid::default())
        .max_iterations(6)
        .tolerance(1e-9)
        .observe(Recorder(&first))
        .observe(Recorder(&second))
        .start(vec![1.0; 3])
        .unwrap();
    for told in [&first.borrow(), &second.borrow()] {
        assert_eq!(told.begun, [("MAID".to_owned(), 0, Some(6))]);
        assert_eq!(told.rows, report.trace.rows());
        assert_eq!(told.ended, [report.to_string()]);
        assert!(told.seconds.is_sorted());
    }
    let rows = report.trace.rows();
    for (k, row) in rows.iter().enumerate() {
        assert_eq!(row.iteration, k as u64);
        assert_eq!(row.step.is_some(), k + 1 < rows.len());
        assert!(k == 0 || row.work.iterations() > rows[k - 1].work.iterations());
    }
    assert_eq!(rows[rows.len() - 1].work, report.work);
}

#[test]
fn observers_of_a_resumed_run_see_the_rest_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.ckpt");
    let oracle = quadratic(4);
    let run = |limit| {
        Run::new(&oracle, Maid::default())
            .max_iterations(limit)
            .tolerance(1e-9)
    };
    run(3).checkpoint(&path, 1).start(vec![1.0; 3]).unwrap();
    let told = RefCell::new(Told::default());
    let report = run(7).observe(Recorder(&told)).resume(&path).unwrap();
    let told = told.borrow();
    assert_eq!(told.begun, [("MAID".to_owned(), 3, Some(7))]);
    assert_eq!(told.rows, report.trace.rows()[3..]);
}

/// Fails after some iterations.
struct Failing<'a> {
    seen: &'a RefCell<u64>,
    fails_at: u64,
}

impl Observer for Failing<'_> {
    fn iteration(&mut self, row: &Iteration, _seconds: f64) -> io::Result<()> {
        *self.seen.borrow_mut() += 1;
        if row.iteration >= self.fails_at {
            return Err(io::Error::other("the disk is full"));
        }
        Ok(())
    }
}

#[test]
fn an_observer_that_fails_is_left_out_and_the_run_goes_on() {
    let oracle = quadratic(4);
    let (seen, told) = (RefCell::new(0), RefCell::new(Told::default()));
    let report = Run::new(&oracle, Maid::default())
        .max_iterations(6)
        .tolerance(1e-9)
        .observe(Failing {
            seen: &seen,
            fails_at: 2,
        })
        .observe(Recorder(&told))
        .start(vec![1.0; 3])
        .unwrap();
    assert_eq!((report.iterations, *seen.borrow()), (6, 3));
    assert_eq!(told.borrow().rows, report.trace.rows());
    assert_eq!(report.warnings.len(), 1);
    assert!(report.warnings[0].contains("the disk is full"));
    assert!(report.to_string().contains("the disk is full"));
}

#[test]
fn json_lines_are_json_with_the_numbers_of_the_trace() {
    for trust in [Trust::Certified, Trust::Estimated, Trust::Unknown] {
        let oracle = quadratic(4).with_trust(trust);
        let mut lines = Vec::new();
        let report = Run::new(&oracle, GradientDescent::with_accuracy(1e-5))
            .max_iterations(5)
            .tolerance(1e-9)
            .observe(JsonLines::new(&mut lines))
            .start(vec![1.0; 3])
            .unwrap();
        let text = String::from_utf8(lines).unwrap();
        let rows = report.trace.rows();
        assert_eq!(text.lines().count(), rows.len());
        for (line, row) in text.lines().zip(rows) {
            let object: serde_json::Value = serde_json::from_str(line).unwrap();
            assert_eq!(object["iteration"], row.iteration);
            assert_eq!(object["value"]["value"].as_f64(), Some(row.value.value));
            assert_eq!(object["trust"], trust.to_string());
            let theta: Vec<f64> = object["theta"]
                .as_array()
                .unwrap()
                .iter()
                .map(|t| t.as_f64().unwrap())
                .collect();
            assert_eq!(theta, row.theta, "to the last bit");
            assert!(object["seconds"].is_f64());
            assert_eq!(object["step"].as_f64(), row.step);
            // A bound that is not known is null.
            assert_eq!(object["error_bound"].is_null(), trust == Trust::Unknown);
        }
        let json: serde_json::Value =
            serde_json::from_str(&report.to_json(&[("psnr", 1.5)])).unwrap();
        assert_eq!(json["status"], "budget_exhausted");
        assert_eq!(json["budget"], "iterations");
        assert_eq!(json["psnr"], 1.5);
        assert_eq!(json["value"].as_f64(), Some(report.value.value));
        assert_eq!(json["error_bound"].is_null(), trust == Trust::Unknown);
    }
}

#[test]
fn the_table_has_a_line_an_iteration_and_says_when_it_was_resumed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.ckpt");
    let oracle = quadratic(4);
    let run = |limit| {
        Run::new(&oracle, Maid::default())
            .max_iterations(limit)
            .tolerance(1e-9)
    };
    let mut text = Vec::new();
    run(4)
        .checkpoint(&path, 1)
        .observe(Table::new(&mut text))
        .start(vec![1.0; 3])
        .unwrap();
    let table = String::from_utf8(text).unwrap();
    assert_eq!(table.lines().count(), 2 + 5, "{table}");
    let mut text = Vec::new();
    run(6).observe(Table::new(&mut text)).resume(&path).unwrap();
    let table = String::from_utf8(text).unwrap();
    assert!(table.contains("resumed at iteration 4"), "{table}");
    assert_eq!(table.lines().count(), 2 + 3, "{table}");
}

#[test]
fn the_csv_has_a_field_a_column_and_keeps_all_digits() {
    let oracle = quadratic(4);
    let report = Run::new(&oracle, Maid::default())
        .max_iterations(3)
        .tolerance(1e-9)
        .start(vec![1.0; 3])
        .unwrap();
    let csv = report.trace.to_csv();
    let mut lines = csv.lines();
    let header: Vec<&str> = lines.next().unwrap().split(',').collect();
    let column = |name: &str| header.iter().position(|h| *h == name).unwrap();
    for (line, row) in lines.zip(report.trace.rows()) {
        let fields: Vec<&str> = line.split(',').collect();
        assert_eq!(fields.len(), header.len());
        let number = |name| fields[column(name)].parse::<f64>().unwrap();
        assert_eq!(number("value"), row.value.value);
        assert_eq!(number("error_bound"), row.error_bound);
        assert_eq!(number("theta_3"), row.theta[2]);
        assert_eq!(number("lower_gradients"), row.work.lower_gradients as f64);
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trace.csv");
    report.trace.write_csv(&path).unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), csv);
}

/// The wrapper says nothing about its data: its identity is the name of its type.
#[test]
fn a_checkpoint_of_other_data_is_told_by_its_functions() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.ckpt");
    let anonymous = |seed, n| {
        let problem = Quadratic::random(n, 3, 30.0, seed);
        let lower = WithCurvature {
            inner: problem.lower(),
            change: |curvature| curvature,
        };
        Implicit::new(lower, problem.upper())
    };
    let start = |oracle: &_, iterations| {
        Run::new(oracle, Maid::default())
            .tolerance(0.0)
            .max_iterations(iterations)
            .checkpoint(&path, 1)
            .start(vec![1.0; 3])
    };
    start(&anonymous(0, 20), 3).unwrap();
    let resume = |oracle: &_| {
        Run::new(oracle, Maid::default())
            .max_iterations(4)
            .resume(&path)
    };
    assert_eq!(resume(&anonymous(0, 20)).unwrap().iterations, 4);
    let other = resume(&anonymous(1, 20)).unwrap_err().to_string();
    assert!(
        other.contains("run.ckpt") && other.contains("another run"),
        "{other}"
    );
    let larger = resume(&anonymous(0, 21)).unwrap_err().to_string();
    assert!(
        larger.contains("20 numbers") && larger.contains("21"),
        "{larger}"
    );
}

#[test]
fn a_run_that_is_refused_leaves_the_checkpoint_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.ckpt");
    std::fs::write(&path, b"precious").unwrap();
    let oracle = quadratic(0);
    for tolerance in [f64::NAN, -1.0] {
        let run = Run::new(&oracle, Maid::default()).tolerance(tolerance);
        assert!(run.checkpoint(&path, 1).start(vec![0.0; 3]).is_err());
    }
    assert_eq!(std::fs::read(&path).unwrap(), b"precious");
}

#[cfg(all(feature = "interrupt", target_os = "linux"))]
#[test]
fn an_ignored_ctrl_c_stays_ignored_and_is_no_error() {
    use std::process::Command;
    // The test starts itself in a process that ignores the signal.
    const INSIDE: &str = "BILEVEL_TEST_IGNORES_CTRL_C";
    if std::env::var_os(INSIDE).is_some() {
        let flag = bilevel::run::ctrl_c().unwrap();
        let process = std::process::id().to_string();
        let sent = Command::new("kill").args(["-INT", &process]).status();
        assert!(sent.unwrap().success());
        // A handler would set the flag in a thread of its own.
        std::thread::sleep(std::time::Duration::from_millis(200));
        assert!(!flag.load(std::sync::atomic::Ordering::Relaxed));
        return;
    }
    let output = Command::new("sh")
        .args(["-c", "trap '' INT; exec \"$0\" --exact \"$1\""])
        .arg(std::env::current_exe().unwrap())
        .arg("run::an_ignored_ctrl_c_stays_ignored_and_is_no_error")
        .env(INSIDE, "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}"
    );
}
