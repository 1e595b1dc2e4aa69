//! The table of the solvers, and the files that are written.

use bilevel::Report;
use bilevel::plot::{Axis, Figure, Panel};
use std::io::Write;
use std::path::Path;

use crate::options::Failure;

/// The files in the output folder.
pub(super) const OUTPUTS: [&str; 3] = ["compare.csv", "compare.json", "compare.svg"];

/// A solver's run, and what came of it.
pub(super) struct Outcome {
    pub(super) name: String,
    pub(super) report: Report<Vec<f64>>,
    /// F at the end, to the common accuracy.
    pub(super) loss: f64,
    /// Rows of the trace with the mean PSNR at their θ.
    pub(super) psnr: Vec<(usize, f64)>,
}

pub(super) fn header() -> String {
    format!(
        "{:<20} {:>6} {:>6} {:>10} {:>10} {:>10} {:>8} {:>12} {:>7}  {:<10} status",
        "solver",
        "iter",
        "evals",
        "gradients",
        "products",
        "sum",
        "seconds",
        "loss",
        "PSNR",
        "trust"
    )
}

impl Outcome {
    /// Hypergradients and trial values.
    fn evaluations(&self) -> u64 {
        let rows = self.report.trace.rows().iter();
        rows.map(|row| row.hypergradients + row.trials).sum()
    }

    fn last_psnr(&self) -> f64 {
        self.psnr.last().map_or(f64::NAN, |(_, psnr)| *psnr)
    }

    pub(super) fn line(&self) -> String {
        let Report {
            iterations,
            work,
            seconds,
            trust,
            status,
            ..
        } = &self.report;
        format!(
            "{:<20} {:>6} {:>6} {:>10} {:>10} {:>10} {:>8.2} {:>12.6} {:>7.2}  {:<10} {}",
            self.name,
            iterations,
            self.evaluations(),
            work.lower_gradients,
            work.hessian_products,
            work.iterations(),
            seconds,
            self.loss,
            self.last_psnr(),
            trust,
            status,
        )
    }

    fn json(&self) -> serde_json::Value {
        let report = &self.report;
        serde_json::json!({
            "solver": self.name,
            "iterations": report.iterations,
            "evaluations": self.evaluations(),
            "lower_gradients": report.work.lower_gradients,
            "hessian_products": report.work.hessian_products,
            "sum": report.work.iterations(),
            "seconds": report.seconds,
            "loss": self.loss,
            "psnr": self.last_psnr(),
            "trust": report.trust,
            "status": report.status.name(),
        })
    }
}

/// Writes the table and the figure into `out`.
pub(super) fn write(
    out: &Path,
    outcomes: &[Outcome],
    failures: &[(String, String)],
) -> Result<(), Failure> {
    let io = |name: &str, text: String| {
        let path = out.join(name);
        std::fs::write(&path, text).map_err(|e| bilevel::Error::io(path, e))
    };
    let mut rows: Vec<serde_json::Value> = outcomes.iter().map(Outcome::json).collect();
    const COLUMNS: [&str; 11] = [
        "solver",
        "iterations",
        "evaluations",
        "lower_gradients",
        "hessian_products",
        "sum",
        "seconds",
        "loss",
        "psnr",
        "trust",
        "status",
    ];
    let mut csv = COLUMNS.join(",") + "\n";
    for row in &rows {
        let cells = COLUMNS.map(|column| match &row[column] {
            serde_json::Value::String(text) => text.clone(),
            other => other.to_string(),
        });
        csv += &(cells.join(",") + "\n");
    }
    for (name, error) in failures {
        rows.push(serde_json::json!({ "solver": name, "error": error }));
    }
    io("compare.csv", csv)?;
    io(
        "compare.json",
        format!("{:#}\n", serde_json::Value::from(rows)),
    )?;
    if outcomes.is_empty() {
        return Err("no solver ended with a result; the table says why".into());
    }
    let mut figure = Figure::new().axis(Axis::Work).panels([
        Panel::Value,
        Panel::Series(0),
        Panel::Series(1),
        Panel::Series(2),
    ]);
    for outcome in outcomes {
        figure = figure.run(outcome.name.clone(), &outcome.report.trace);
    }
    let psnr: Vec<_> = outcomes
        .iter()
        .map(|outcome| outcome.psnr.clone())
        .collect();
    let values = outcomes.iter().map(|outcome| {
        let rows = outcome.report.trace.rows().iter().enumerate();
        rows.map(|(i, row)| (i, row.value.value)).collect()
    });
    let near = [
        (
            "Upper value, the last twentieth",
            near_the_end(values.collect()),
        ),
        (
            "Mean PSNR, the last twentieth (dB)",
            near_the_end(psnr.clone()),
        ),
    ];
    figure = figure.series("Mean PSNR of the test images (dB)", psnr);
    for (name, series) in near {
        figure = figure.series(name, series);
    }
    figure.write_svg(out.join("compare.svg"))?;
    let _ = writeln!(
        std::io::stdout(),
        "wrote {} into {}",
        OUTPUTS.join(", "),
        out.display()
    );
    Ok(())
}

/// Of all series the numbers in the twentieth of their common range where they end: where solvers that all arrive soon are told
/// apart.
fn near_the_end(mut series: Vec<Vec<(usize, f64)>>) -> Vec<Vec<(usize, f64)>> {
    let ends = |s: &Vec<(usize, f64)>| Some((s.first()?.1, s.last()?.1));
    let (first, last): (Vec<f64>, Vec<f64>) = series.iter().filter_map(ends).unzip();
    let falls = first.iter().sum::<f64>() > last.iter().sum::<f64>();
    // Falling numbers are turned around.
    let sign = if falls { -1.0 } else { 1.0 };
    let numbers = || series.iter().flatten().map(|(_, number)| sign * number);
    let best = numbers().fold(f64::NEG_INFINITY, f64::max);
    let worst = numbers().fold(f64::INFINITY, f64::min);
    for series in &mut series {
        series.retain(|(_, number)| sign * number >= best - 0.05 * (best - worst));
    }
    series
}
