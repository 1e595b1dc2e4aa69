use super::*;
use crate::hypergradient::{Accuracy, BoundedValue, Trust};
use crate::work::Work;

/// A row whose value has no bounds.
fn row(iteration: u64, value: f64) -> Iteration {
    Iteration {
        iteration,
        value: BoundedValue::unknown(value),
        gradient_norm: 1.0,
        error_bound: f64::INFINITY,
        trust: Trust::Unknown,
        accuracy: Accuracy {
            epsilon: 0.1,
            delta: 0.01,
        },
        step: Some(0.5),
        hypergradients: 1,
        trials: 1,
        work: Work {
            lower_gradients: iteration.saturating_mul(100),
            ..Work::default()
        },
        theta: Vec::new(),
    }
}

fn trace(rows: impl IntoIterator<Item = Iteration>) -> Trace {
    let mut trace = Trace::default();
    rows.into_iter().for_each(|row| trace.push(row));
    trace
}

/// A run with bounds: F falls from 34 to 8.6, ε has a sawtooth, the last iteration has no step.
fn descent(iterations: u64) -> Trace {
    trace((0..iterations).map(|k| {
        let t = k as f64 / iterations as f64;
        let value = 8.6 + 25.4 * (-5.0 * t).exp();
        let epsilon = 0.1 * 10f64.powf(-3.5 * t) * if k % 6 < 3 { 1.0 } else { 0.3 };
        let norm = 15.0 * 10f64.powf(-4.0 * t);
        Iteration {
            value: BoundedValue {
                value,
                lower: value - 40.0 * epsilon,
                upper: value + 55.0 * epsilon,
                trust: Trust::Certified,
            },
            gradient_norm: norm,
            error_bound: 0.3 * norm,
            accuracy: Accuracy {
                epsilon,
                delta: 0.5 * epsilon,
            },
            step: (k + 1 < iterations).then_some(0.1 + 0.05 * (k % 5) as f64),
            ..row(k, value)
        }
    }))
}

fn svg(trace: &Trace) -> String {
    Figure::new().run("MAID", trace).to_svg().unwrap()
}

/// All figures that one trace can give: on every axis, with and without an optimum.
fn all(trace: &Trace) -> Vec<String> {
    let figure = Figure::new().run("a", trace);
    let work = figure.clone().axis(Axis::Work);
    [
        figure.clone(),
        figure.clone().log_x(),
        figure.optimum(1.0),
        work.clone(),
        work.log_x().title("t"),
    ]
    .map(|figure| figure.to_svg().unwrap())
    .to_vec()
}

fn count(svg: &str, tag: &str) -> usize {
    svg.matches(&format!("<{tag} ")).count()
}

#[test]
fn the_same_traces_give_the_same_bytes() {
    let (a, b) = (descent(40), descent(25));
    let draw = || {
        let figure = Figure::new().run("MAID", &a).run("HOAG", &b).title("two");
        figure.axis(Axis::Work).optimum(8.0).to_svg().unwrap()
    };
    assert_eq!(draw(), draw());
}

#[test]
fn bounds_and_error_bounds_are_drawn_where_they_are_known() {
    let known = svg(&descent(40));
    // The band in the panel and the one in its caption.
    assert_eq!(count(&known, "polygon"), 3, "paper, band, key");
    for name in ["F(θ)", "bounds", "norm ‖z‖", "error bound ω", "adjoint δ"] {
        assert!(known.contains(name), "{name}");
    }
    let unknown = svg(&trace((0..40).map(|k| row(k, 1.0 + k as f64))));
    assert_eq!(count(&unknown, "polygon"), 1, "paper");
    assert!(!unknown.contains("bounds") && !unknown.contains("error bound"));
    let dashes = |svg: &str| count(svg, "polyline");
    assert!(dashes(&known) > dashes(&unknown) + 20);
}

#[test]
fn panels_and_runs_have_their_names() {
    let (a, b) = (descent(40), descent(25));
    let figure = Figure::new().run("MAID", &a).run("HOAG", &b);
    let svg = figure.to_svg().unwrap();
    for name in ["Upper value", "Hypergradient", "Accuracy", "Step", "HOAG"] {
        assert_eq!(svg.matches(&format!(">\n{name}\n<")).count(), 1, "{name}");
    }
    assert_eq!(svg.matches("iteration k").count(), 4);
    let one = figure.axis(Axis::Work).panels([Panel::Value]).optimum(8.6);
    let svg = one.to_svg().unwrap();
    assert!(svg.contains("F(θ) − F*") && svg.contains("Hessian products"));
    assert!(svg.starts_with("<svg width=\"500\" height=\"377\""));
}

#[test]
fn steps_that_were_not_accepted_leave_a_gap() {
    let gap = |k| Iteration {
        step: (k != 3).then_some(0.5),
        ..row(k, 1.0)
    };
    let figure = |trace| {
        let svg = Figure::new().panels([Panel::Step]).run("", trace).to_svg();
        count(&svg.unwrap(), "polyline")
    };
    assert_eq!(
        figure(&trace((0..9).map(gap))),
        figure(&trace((0..9).map(|k| row(k, 1.0)))) + 1
    );
}

#[test]
fn equal_accuracies_share_a_line() {
    let equal = |k| Iteration {
        accuracy: Accuracy {
            epsilon: 0.1,
            delta: 0.1,
        },
        ..row(k, 1.0)
    };
    let svg = svg(&trace((0..9).map(equal)));
    assert!(svg.contains("ε = adjoint δ"));
}

#[test]
fn any_trace_can_be_drawn() {
    let numbers = [
        0.0,
        1.0,
        -1.0,
        5e-324,
        1e-310,
        f64::EPSILON,
        1e300,
        f64::MAX,
        f64::MIN,
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
    ];
    let odd = |k: u64, a: f64, b: f64| Iteration {
        value: BoundedValue {
            value: a,
            lower: b,
            upper: a,
            trust: Trust::Estimated,
        },
        gradient_norm: b,
        error_bound: a,
        accuracy: Accuracy {
            epsilon: a,
            delta: b,
        },
        step: Some(b),
        ..row(k, a)
    };
    for a in numbers {
        all(&trace([row(0, a)]));
        for b in numbers {
            all(&trace([odd(0, a, b), odd(1, b, a), odd(7, a, a)]));
            all(&trace((0..5).map(|k| odd(k, a, b))));
        }
    }
    let all_odd = (0..u64::MAX).zip(numbers).map(|(k, a)| odd(k, a, -a));
    for svg in all(&trace(all_odd)) {
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
    }
    all(&trace([row(u64::MAX - 1, 1.0), row(u64::MAX / 200, 2.0)]));
}

#[test]
fn a_long_run_gives_a_small_file() {
    let long = trace((0..100_000).map(|k| {
        let noise = 1.0 + (k * 7919 % 1009) as f64;
        Iteration {
            value: BoundedValue {
                value: noise,
                lower: 0.5 * noise,
                upper: 2.0 * noise,
                trust: Trust::Certified,
            },
            gradient_norm: noise,
            error_bound: 1.0 / noise,
            accuracy: Accuracy {
                epsilon: noise,
                delta: 1.0 / noise,
            },
            step: (k % 2 == 0).then_some(noise),
            ..row(k, noise)
        }
    }));
    for svg in all(&long) {
        assert!(svg.len() < 500_000, "{} bytes", svg.len());
    }
}

#[test]
fn names_are_escaped_and_cut() {
    let run = descent(3);
    let svg = Figure::new()
        .run("<a href=\"x\"> & 'b'\u{0}\u{1b}", &run)
        .run("n".repeat(10_000), &run)
        .title("a < b\n& c")
        .to_svg()
        .unwrap();
    assert!(svg.contains("&lt;a href=&quot;x&quot;&gt; &amp; &apos;b&apos;"));
    assert!(svg.contains("a &lt; b &amp; c"));
    assert!(!svg.contains(|c: char| c.is_control() && c != '\n'));
    assert!(!svg.contains(&"n".repeat(200)));
}

#[test]
fn a_figure_without_content_is_an_error_that_says_what_to_do() {
    let empty = Trace::default();
    for figure in [Figure::new(), Figure::new().run("MAID", &empty)] {
        let error = figure.to_svg().unwrap_err();
        assert!(matches!(error, Error::Figure { .. }));
        assert!(error.to_string().contains("add a run"), "{error}");
    }
    let run = descent(3);
    let figure = Figure::new().run("MAID", &run);
    assert!(figure.clone().run("HOAG", &empty).to_svg().is_ok());
    assert!(matches!(
        figure.clone().panels([]).to_svg(),
        Err(Error::Figure { .. })
    ));
    assert!(matches!(
        figure.optimum(f64::NAN).to_svg(),
        Err(Error::InvalidArgument { .. })
    ));
}

#[test]
fn a_file_is_written_or_the_path_is_reported() {
    let run = descent(3);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.svg");
    let figure = Figure::new().run("MAID", &run);
    figure.write_svg(&path).unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), svg(&run));
    let error = figure.write_svg(path.join("below/a/file.svg")).unwrap_err();
    assert!(matches!(error, Error::Io { .. }));
}

#[test]
fn a_series_of_the_callers_has_a_panel_of_its_name() {
    let (a, b) = (descent(40), descent(25));
    let figure = Figure::new().run("MAID", &a).run("HOAG", &b);
    let rows = |step: usize, rows: usize| (0..rows).step_by(step).map(|k| (k, 20.0 + k as f64));
    let series = vec![rows(3, 40).collect(), rows(1, 25).collect()];
    let one = figure.clone().series("PSNR (dB)", series.clone());
    let svg = one.clone().panels([Panel::Series(0)]).to_svg().unwrap();
    assert_eq!(svg.matches(">\nPSNR (dB)\n<").count(), 1);
    assert!(!svg.contains("Upper value") && !svg.contains("no numbers"));
    let all = one.to_svg().unwrap();
    assert!(all.contains("PSNR (dB)") && all.contains("Step"));
    // What does not fit is refused.
    let refused = |figure: Figure, word: &str| {
        let error = figure.to_svg().unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    };
    refused(figure.clone().panels([Panel::Series(0)]), "series");
    refused(figure.clone().series("s", vec![Vec::new()]), "`s`");
    refused(
        figure
            .clone()
            .series("s", vec![vec![(40, 1.0)], Vec::new()]),
        "`s`",
    );
    refused(
        figure.series("s", vec![vec![(2, 1.0), (1, 1.0)], Vec::new()]),
        "`s`",
    );
}
