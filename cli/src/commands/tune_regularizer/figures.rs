//! The figures of the first seed.

use bilevel::plot::{Chart, Figure, Graph};
use bilevel_problems::data::Samples;
use bilevel_problems::networks::regularizers::Recipe;

use super::cases::{Case, History, Split};
use super::options::Options;
use super::results::calibration;
use crate::options::Failure;

/// Bars of the histogram of weights.
const BARS: usize = 60;

/// A line a training of what `part` takes from every epoch.
fn over_epochs(mut graph: Graph, case: &Case, part: impl Fn(&[f64; 3]) -> f64) -> Graph {
    for history in &case.histories {
        let points = history.epochs.iter().enumerate();
        let points = points.map(|(e, row)| ((e + 1) as f64, part(row))).collect();
        graph = graph.line(history.name, points);
    }
    graph
}

pub(super) fn write<D: Samples>(
    options: &Options,
    recipe: Recipe,
    split: &Split<D>,
    case: &Case,
) -> Result<(), Failure> {
    let out = &options.out;
    let accuracy = |title, k: usize| {
        let graph = Graph::new(title, "epoch", "accuracy");
        over_epochs(graph, case, |row| row[k])
    };
    Chart::new()
        .title(format!(
            "{}, {:.0} % of the labels wrong",
            recipe.name(),
            100.0 * options.noise
        ))
        .graph(accuracy("Validation", 0))
        .graph(accuracy("Test", 1))
        .write_svg(out.join("accuracy.svg"))?;
    if let Some(tuned) = &case.tuned {
        let extra: Vec<(String, f64)> = case
            .histories
            .iter()
            .flat_map(|h| {
                [
                    (format!("test_accuracy_{}", h.name), h.test.accuracy),
                    (format!("validation_loss_{}", h.name), h.validation.loss),
                ]
            })
            .collect();
        let extra: Vec<(&str, f64)> = extra.iter().map(|(n, v)| (n.as_str(), *v)).collect();
        tuned.report.write_json(out.join("report.json"), &extra)?;
        tuned.report.trace.write_csv(out.join("trace.csv"))?;
        Figure::new()
            .run(tuned.report.solver.clone(), &tuned.report.trace)
            .write_svg(out.join("convergence.svg"))?;
        path(&tuned.path).write_svg(out.join("theta.svg"))?;
    }
    if recipe.elr.is_some() {
        let graph = Graph::new("Wrong labels that the model predicts", "epoch", "share");
        Chart::new()
            .graph(over_epochs(graph, case, |row| row[2]))
            .write_svg(out.join("memorisation.svg"))?;
    }
    if recipe.pskd.is_some() {
        calibrations(case, split).write_svg(out.join("calibration.svg"))?;
    }
    if recipe.mixup.is_some() {
        let mut graph = Graph::new(
            "Test images mixed with the next one of another class",
            "share of the first",
            "both classes found",
        );
        for history in &case.histories {
            graph = graph.line(history.name, history.mixed.clone());
        }
        Chart::new().graph(graph).write_svg(out.join("mixed.svg"))?;
    }
    if recipe.compander.is_some() {
        histogram(case).write_svg(out.join("weights.svg"))?;
    }
    Ok(())
}

/// θ in natural units, iteration by iteration.
fn path(rows: &[Vec<(String, f64)>]) -> Chart {
    let mut chart = Chart::new().title("The path of θ");
    let Some(first) = rows.first() else {
        return chart.graph(Graph::new("θ", "iteration", "value"));
    };
    for (k, (name, _)) in first.iter().enumerate() {
        let points = rows.iter().enumerate();
        let points = points.map(|(i, row)| (i as f64, row[k].1)).collect();
        chart = chart
            .graph(Graph::new(name.clone(), "iteration", name.clone()).line(name.clone(), points));
    }
    chart
}

fn calibrations<D: Samples>(case: &Case, split: &Split<D>) -> Chart {
    let mut graph = Graph::new("Calibration on test data", "confidence", "accuracy")
        .line("ideal", vec![(0.0, 0.0), (1.0, 1.0)]);
    for history in &case.histories {
        let (error, curve) = calibration(&history.test, split.test.labels(), split.test.classes());
        let name = format!("{}: error {:.1} %", history.name, 100.0 * error);
        graph = graph.line(name, curve);
    }
    Chart::new().graph(graph)
}

/// The weights of every training, from the least to the greatest of all.
fn histogram(case: &Case) -> Chart {
    let all = || case.histories.iter().flat_map(|h: &History| &h.weights);
    let largest = all()
        .fold(0.0f64, |m, w| m.max(w.abs()))
        .max(f64::MIN_POSITIVE);
    let edges: Vec<f64> = (0..=BARS)
        .map(|i| largest * (2.0 * i as f64 / BARS as f64 - 1.0))
        .collect();
    let mut graph = Graph::new("Weights of the trained models", "weight", "number").log_y();
    for history in &case.histories {
        let mut counts = vec![0.0; BARS];
        for w in &history.weights {
            let place = (w / largest + 1.0) * 0.5 * BARS as f64;
            counts[(place as usize).min(BARS - 1)] += 1.0;
        }
        graph = graph.histogram(history.name, &edges, &counts);
    }
    Chart::new().graph(graph)
}
