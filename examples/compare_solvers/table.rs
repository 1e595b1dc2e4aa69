//! The table of the solvers, and the files that are written.

use bilevel::Report;
use bilevel::plot::{Axis, Figure, Panel};
use std::io::Write;
use std::path::Path;

use crate::common::Failure;

/// What is written into the output folder.
pub(crate) const OUTPUTS: [&str; 3] = ["compare.csv", "compare.json", "compare.svg"];

/// A solver's run, and what came of it.
pub(crate) struct Outcome {
    pub(crate) name: String,
    pub(crate) report: Report<Vec<f64>>,
    /// F at the end, to the common accuracy.
    pub(crate) loss: f64,
    /// Rows of the trace with the mean PSNR at their θ.
    pub(crate) psnr: Vec<(usize, f64)>,
}

pub(crate) fn header() -> String {
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

    pub(crate) fn line(&self) -> String {
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
pub(crate) fn write(
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
    let mut figure = Figure::new()
        .axis(Axis::Work)
        .panels([Panel::Value, Panel::Series(0)]);
    for outcome in outcomes {
        figure = figure.run(outcome.name.clone(), &outcome.report.trace);
    }
    let psnr = outcomes.iter().map(|outcome| outcome.psnr.clone());
    figure
        .series("Mean PSNR of the test images (dB)", psnr.collect())
        .write_svg(out.join("compare.svg"))?;
    let _ = writeln!(
        std::io::stdout(),
        "wrote {} into {}",
        OUTPUTS.join(", "),
        out.display()
    );
    Ok(())
}
