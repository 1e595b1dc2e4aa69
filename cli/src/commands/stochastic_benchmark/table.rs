//! The table of the solvers, and the files that are written.

use crate::registry::methods::is_method;
use bilevel::Error;
use bilevel::plot::Quartiles;
use bilevel::plot::statistics::Points;
use bilevel::plot::{Chart, Graph};
use std::fmt::Write as _;
use std::path::Path;

use super::super::say;
use super::saved::{Point, Run, Saved};
use crate::options::Failure;

/// The files in the output folder.
pub(super) const OUTPUTS: [&str; 5] = [
    "report.json",
    "trace.csv",
    "times.csv",
    "benchmark.svg",
    "seconds.svg",
];

/// The runs of a solver, point by point over the seeds.
struct Summary<'a> {
    name: &'a str,
    runs: Vec<&'a Run>,
}

impl<'a> Summary<'a> {
    fn new(name: &'a str, saved: &'a Saved) -> Self {
        Summary {
            name,
            runs: saved.of(name).collect(),
        }
    }

    /// A number at the last point of every run.
    fn last(&self, number: &dyn Fn(&Point) -> Option<f64>) -> Option<Quartiles> {
        let points = self.runs.iter().filter_map(|run| run.points.last());
        Quartiles::of(points.filter_map(number).collect())
    }

    /// ‖∇F‖² at the end relative to the start.
    fn fall(&self) -> Option<Quartiles> {
        let shares = self.runs.iter().filter_map(|run| {
            let (first, last) = (run.points.first()?, run.points.last()?);
            Some(last.gradient_squared / first.gradient_squared)
        });
        Quartiles::of(shares.collect())
    }

    fn draw(&self, graph: Graph, x: &Axis<'_>, y: &Number<'_>) -> Graph {
        let points = |run: &&Run| {
            run.points
                .iter()
                .filter_map(|p| Some((x(p), y(p)?)))
                .collect()
        };
        let runs: Vec<Points> = self.runs.iter().map(points).collect();
        graph.aligned(self.name, &runs)
    }

    fn status(&self) -> String {
        let mut all: Vec<&str> = self.runs.iter().map(|run| run.status.as_str()).collect();
        all.sort_unstable();
        all.dedup();
        all.join("; ")
    }
}

type Axis<'a> = dyn Fn(&Point) -> f64 + 'a;
type Number<'a> = dyn Fn(&Point) -> Option<f64> + 'a;

/// Prints the table and writes all files.
pub(super) fn write(
    out: &Path,
    names: &[String],
    saved: &Saved,
    optimum: Option<f64>,
    quality: Option<&str>,
) -> Result<(), Failure> {
    let solvers: Vec<Summary> = names.iter().map(|name| Summary::new(name, saved)).collect();
    // F itself where F* is not known.
    let gap = |p: &Point| Some(p.value - optimum.unwrap_or(0.0));
    let (caption, unit) = match optimum {
        Some(_) => ("Suboptimality", "F − F*"),
        None => ("Upper loss", "F"),
    };
    say(&format!(
        "\n{:<20} {:>9} {:>8} {:>10} {:>10} {:>11}  status",
        "solver",
        "seconds",
        "epochs",
        unit,
        "‖∇F‖² fell",
        quality.unwrap_or(""),
    ));
    let mut rows = Vec::new();
    for solver in &solvers {
        let median = |q: Option<Quartiles>| q.map_or(f64::NAN, Quartiles::median);
        let seconds = solver.last(&|p| Some(p.seconds));
        let epochs = solver.last(&|p| Some(p.epochs));
        let (gap, fall) = (solver.last(&gap), solver.fall());
        let good = solver.last(&|p| p.quality);
        let shown = good.map_or(String::new(), |q| format!("{:.2} %", 100.0 * q.median()));
        say(&format!(
            "{:<20} {:>9.3} {:>8.1} {:>10.2e} {:>10.1e} {shown:>11}  {}",
            solver.name,
            median(seconds),
            median(epochs),
            median(gap),
            median(fall),
            solver.status()
        ));
        let all = |q: Option<Quartiles>| q.map(|q| q.0);
        rows.push(serde_json::json!({
            "solver": solver.name,
            "runs": solver.runs.len(),
            "status": solver.status(),
            "seconds": all(seconds),
            "epochs": all(epochs),
            if optimum.is_some() { "suboptimality" } else { "value" }: all(gap),
            "gradient_squared_relative_to_start": all(fall),
            "quality": all(good),
        }));
    }
    let report = serde_json::json!({
        "optimum": optimum,
        "quality": quality,
        "quartiles": "lower, median, upper, over the seeds at the end of the runs",
        "solvers": rows,
    });
    let text = |name: &str, text: String| {
        let path = out.join(name);
        std::fs::write(&path, text).map_err(|e| Error::io(path, e))
    };
    text("report.json", format!("{report:#}\n"))?;
    let [trace, times] = csv(&solvers, optimum);
    text("trace.csv", trace)?;
    text("times.csv", times)?;
    let gradient = |p: &Point| Some(p.gradient_squared);
    let good = |p: &Point| p.quality;
    // Of solvers that use all samples, what the lower level costs is compared.
    let calls: (&str, &Axis<'_>) = if names.iter().any(|name| is_method(name)) {
        ("oracle calls on batches or on all samples", &|p| {
            p.calls as f64
        })
    } else {
        ("lower iterations", &|p| p.lower_iterations as f64)
    };
    let axes: [(&str, &Axis<'_>); 3] = [
        calls,
        ("epochs", &|p| p.epochs),
        ("seconds", &|p| p.seconds),
    ];
    let chart = |axes: &[(&str, &Axis<'_>)]| {
        let mut chart = Chart::new();
        for (name, x) in axes {
            let mut kinds: Vec<(&str, &str, &Number)> =
                vec![(caption, unit, &gap), ("Hypergradient", "‖∇F‖²", &gradient)];
            if let Some(name) = quality {
                kinds.push(("On the test samples", name, &good));
            }
            for (caption, unit, y) in kinds {
                let graph = Graph::new(caption, *name, unit).log_x().log_y();
                let drawn = |graph, solver: &Summary| solver.draw(graph, x, y);
                chart = chart.graph(solvers.iter().fold(graph, drawn));
            }
        }
        chart
    };
    chart(&axes[..2]).write_svg(out.join("benchmark.svg"))?;
    chart(&axes[2..]).write_svg(out.join("seconds.svg"))?;
    if let Some(optimum) = optimum {
        say(&format!("F* = {optimum:?}"));
    }
    say(&format!(
        "wrote {} into {}",
        OUTPUTS.join(", "),
        out.display()
    ));
    Ok(())
}

/// All points of all runs, and their seconds.
fn csv(solvers: &[Summary<'_>], optimum: Option<f64>) -> [String; 2] {
    let mut trace = String::from(
        "solver,seed,iteration,calls,lower_iterations,epochs,value,suboptimality,gradient_squared,quality\n",
    );
    let mut times = String::from("solver,seed,iteration,seconds\n");
    for solver in solvers {
        for run in &solver.runs {
            for p in &run.points {
                let key = format!("{},{},{}", run.solver, run.seed, p.iteration);
                let gap = optimum.map_or(String::new(), |o| format!("{:?}", p.value - o));
                let quality = p.quality.map_or(String::new(), |q| format!("{q:?}"));
                let _ = writeln!(
                    trace,
                    "{key},{},{},{:?},{:?},{gap},{:?},{quality}",
                    p.calls, p.lower_iterations, p.epochs, p.value, p.gradient_squared
                );
                let _ = writeln!(times, "{key},{:?}", p.seconds);
            }
        }
    }
    [trace, times]
}
