//! Tables and figures of the runs.

use bilevel::plot::statistics::Points;
use bilevel::plot::{Chart, Graph, Quartiles};
use bilevel_problems::data::Samples;
use std::fmt::Write as _;
use std::io::Write;

use super::runs::{Look, Run};
use super::{Data, OUTPUTS, Options};
use crate::options::Failure;

pub(super) fn write_tables(options: &Options, runs: &[Run]) -> Result<(), Failure> {
    let mut trace = String::from("solver,seed,calls,training_loss,test_loss,test_accuracy\n");
    let mut times = String::from("solver,seed,calls,seconds\n");
    for run in runs {
        for l in &run.looks {
            let head = format!("{},{},{}", run.solver, run.seed, l.calls);
            let _ = writeln!(
                trace,
                "{head},{:?},{:?},{:?}",
                l.training, l.test, l.accuracy
            );
            let _ = writeln!(times, "{head},{:.3}", l.seconds);
        }
    }
    std::fs::write(options.out.join("trace.csv"), trace)?;
    Ok(std::fs::write(options.out.join("times.csv"), times)?)
}

/// The runs of every solver, in the order of the options.
fn by_solver(runs: &[Run]) -> Vec<(&str, Vec<&Run>)> {
    let mut groups: Vec<(&str, Vec<&Run>)> = Vec::new();
    for run in runs {
        match groups.iter_mut().find(|(name, _)| *name == run.solver) {
            Some((_, group)) => group.push(run),
            None => groups.push((&run.solver, vec![run])),
        }
    }
    groups
}

/// A line for the medians of `y` over the medians of `x`, look by look, and a band for the quartiles where there are several runs.
fn draw(graph: Graph, runs: &[Run], x: fn(&Look) -> f64, y: fn(&Look) -> f64) -> Graph {
    by_solver(runs)
        .into_iter()
        .fold(graph, |graph, (name, group)| {
            let points = |run: &&Run| run.looks.iter().map(|look| (x(look), y(look))).collect();
            let runs: Vec<Points> = group.iter().map(points).collect();
            graph.aligned(name, &runs)
        })
}

pub(super) fn figures(options: &Options, runs: &[Run]) -> Result<(), Failure> {
    for (file, unit, x) in [
        (
            "cleaning.svg",
            "oracle calls",
            (|l| l.calls as f64) as fn(&Look) -> f64,
        ),
        ("seconds.svg", "seconds", |l| l.seconds),
    ] {
        let graph = |caption| Graph::new(caption, unit, "cross-entropy");
        Chart::new()
            .title(format!(
                "{:.0} % of the training labels wrong",
                100.0 * options.noise
            ))
            .graph(draw(graph("Training, right labels"), runs, x, |l| {
                l.training
            }))
            .graph(draw(graph("Test"), runs, x, |l| l.test))
            .write_svg(options.out.join(file))?;
    }
    Ok(())
}

pub(super) fn suspects(options: &Options, data: &Data, theta: &[f64]) -> Result<(), Failure> {
    let between = if options.data.is_some() { " " } else { "" };
    let mut order: Vec<usize> = (0..theta.len()).collect();
    order.sort_by(|&a, &b| theta[a].total_cmp(&theta[b]));
    let mut csv = String::from("text,label,weight,wrong\n");
    for i in order {
        let weight = 1.0 / (1.0 + (-theta[i]).exp());
        let label = data.train.labels()[i];
        let wrong = label != data.clean.labels()[i];
        let text = data.train.text(i, between).replace('"', "\"\"");
        let _ = writeln!(csv, "\"{text}\",{label},{weight:?},{wrong}");
    }
    Ok(std::fs::write(options.out.join("suspects.csv"), csv)?)
}

pub(super) fn summary(options: &Options, runs: &[Run]) -> Result<(), Failure> {
    let mut text = format!(
        "{:.0} % of the training labels wrong; medians of {} run(s)\n\n\
         solver     training loss   test loss   least test loss   test accuracy %   F1 of wrong labels   calls   seconds   diverged\n",
        100.0 * options.noise,
        options.seeds
    );
    let mut json = serde_json::Map::new();
    for (name, group) in by_solver(runs) {
        let median = |f: &dyn Fn(&Run) -> f64| {
            let numbers = group.iter().map(|run| f(run)).collect();
            Quartiles::of(numbers).map_or(f64::NAN, Quartiles::median)
        };
        let last = |f: fn(&Look) -> f64| median(&|run| run.looks.last().map_or(f64::NAN, f));
        let least = |run: &Run| run.looks.iter().fold(f64::INFINITY, |m, l| m.min(l.test));
        let numbers = [
            ("training_loss", last(|l| l.training)),
            ("test_loss", last(|l| l.test)),
            ("least_test_loss", median(&least)),
            ("test_accuracy", last(|l| l.accuracy)),
            ("f1", median(&|run| run.f1)),
            ("calls", last(|l| l.calls as f64)),
            ("seconds", last(|l| l.seconds)),
        ];
        let diverged = group.iter().filter(|run| run.diverged).count();
        let [training, test, least, accuracy, f1, calls, seconds] = numbers.map(|(_, v)| v);
        let _ = writeln!(
            text,
            "{name:<10} {training:>13.4} {test:>11.4} {least:>17.4} {:>17.2} {f1:>20.3} {calls:>7} {seconds:>9.1} {diverged:>10}",
            100.0 * accuracy
        );
        let mut entry: serde_json::Map<String, serde_json::Value> = numbers
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).into()))
            .collect();
        entry.insert("diverged".to_owned(), diverged.into());
        json.insert(name.to_owned(), entry.into());
    }
    let json = serde_json::Value::Object(json);
    std::fs::write(options.out.join("report.json"), format!("{json:#}\n"))?;
    // A closed pipe is no reason to fail: the files are written.
    let _ = writeln!(
        std::io::stdout(),
        "{text}\nwrote {} into {}",
        OUTPUTS.join(", "),
        options.out.display()
    );
    Ok(())
}
