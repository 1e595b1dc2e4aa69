//! The figures of a run and of a comparison.

use bilevel::plot::statistics::{Points, cost_to_reach, points, work_precision};
use bilevel::plot::{Axis, Chart, Figure, Graph};
use bilevel::{Error, Iteration};

use super::folder::{Finished, Outcome};
use crate::registry::problems::Problem;

/// A figure and the file that it goes into.
pub(super) struct Drawn {
    pub(super) file: &'static str,
    pub(super) caption: &'static str,
    pub(super) svg: String,
}

/// The work of papers: what the lower level costs.
const WORK: &str = "lower gradients + Hessian products";
/// Precisions of the work-precision diagram, as shares of the way from the first value to the best one.
const PRECISIONS: usize = 24;
/// A run has solved its problem when this share of the way is left, in performance profiles.
const SOLVED: f64 = 1e-3;
/// Bars of a histogram.
const BARS: usize = 25;

fn work(row: &Iteration) -> f64 {
    row.work.iterations() as f64
}

fn value(row: &Iteration) -> f64 {
    row.value.value
}

/// The runs of all seeds as points over the work.
fn over_work(outcomes: &[Outcome], y: impl Fn(&Iteration) -> f64 + Copy) -> Vec<Points> {
    outcomes.iter().map(|o| points(&o.trace, work, y)).collect()
}

/// The figures of one experiment.
pub(super) fn of_run(finished: &Finished) -> Result<Vec<Drawn>, Error> {
    let name = &finished.experiment.name;
    let outcomes = &finished.outcomes;
    let mut all = Vec::new();
    all.push(match &outcomes[..] {
        [one] => Drawn {
            file: "convergence.svg",
            caption: "Value and bounds, hypergradient and its error bound, accuracies and steps, over the work.",
            svg: Figure::new().axis(Axis::Work).run(name, &one.trace).to_svg()?,
        },
        several => Drawn {
            file: "convergence.svg",
            caption: "Value, norm of the hypergradient, its error bound and the accuracy of the lower level, over the work: medians and quartiles of the seeds.",
            svg: Chart::new()
                .graph(
                    Graph::new("Upper value", WORK, "F").runs(name, &over_work(several, value)),
                )
                .graph(
                    Graph::new("Hypergradient", WORK, "‖z‖")
                        .log_y()
                        .runs(name, &over_work(several, |row| row.gradient_norm)),
                )
                .graph(
                    Graph::new("Its error bound", WORK, "ω")
                        .log_y()
                        .runs(name, &over_work(several, |row| row.error_bound)),
                )
                .graph(
                    Graph::new("Accuracy of the lower level", WORK, "ε")
                        .log_y()
                        .runs(name, &over_work(several, |row| row.accuracy.epsilon)),
                )
                .to_svg()?,
        },
    });
    all.extend(of_theta(&outcomes[0])?);
    Ok(all)
}

/// The path of θ, or of many entries where they ended.
fn of_theta(outcome: &Outcome) -> Result<Option<Drawn>, Error> {
    let rows = outcome.trace.rows();
    let entries = rows.first().map_or(0, |row| row.theta.len());
    if entries > 0 {
        let path = |k: usize| {
            let path = rows.iter().map(|row| (work(row), row.theta[k]));
            (format!("θ{}", k + 1), path.collect())
        };
        let graph = Graph::new("Hyperparameters of the first seed", WORK, "θ");
        let graph = (0..entries)
            .map(path)
            .fold(graph, |graph, (name, points): (String, Points)| {
                graph.line(name, points)
            });
        return Ok(Some(Drawn {
            file: "theta.svg",
            caption: "The path of the hyperparameters of the first seed.",
            svg: Chart::new().graph(graph).to_svg()?,
        }));
    }
    let theta = outcome.theta();
    let (low, high) = theta
        .iter()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), t| {
            (low.min(*t), high.max(*t))
        });
    if !(high > low && (high - low).is_finite()) {
        return Ok(None);
    }
    let edges: Vec<f64> = (0..=BARS)
        .map(|i| low + (high - low) * i as f64 / BARS as f64)
        .collect();
    let mut counts = vec![0.0; BARS];
    for t in &theta {
        let bar = (t - low) / (high - low) * BARS as f64;
        counts[(bar as usize).min(BARS - 1)] += 1.0;
    }
    let graph = Graph::new(
        "Hyperparameters at the end of the first seed",
        "θ",
        "entries",
    );
    Ok(Some(Drawn {
        file: "theta.svg",
        caption: "The hyperparameters at the end of the first seed.",
        svg: Chart::new()
            .graph(graph.histogram("θ", &edges, &counts))
            .to_svg()?,
    }))
}

/// One run among those of its instance: a problem and a seed.
struct Placed<'a> {
    outcome: &'a Outcome,
    /// The largest first value of the runs of the instance, and the best that any of them is known to have reached.
    start: f64,
    best: f64,
}

/// The value that a row is known to have reached: the upper bound, or where there is none what was computed.
fn reached(row: &Iteration) -> f64 {
    match row.value.upper.is_finite() {
        true => row.value.upper,
        false => row.value.value,
    }
}

/// The runs of every experiment beside the others of their instances.
fn placed<'a>(all: &'a [Finished]) -> Vec<Vec<Placed<'a>>> {
    let of_instance = |one: &Finished, seed: u64| {
        let same = |other: &&'a Finished| other.experiment.problem == one.experiment.problem;
        let runs: Vec<&'a Finished> = all.iter().filter(same).collect();
        let outcomes = runs.into_iter().flat_map(|other| &other.outcomes);
        outcomes.filter(move |o| o.seed == seed).collect::<Vec<_>>()
    };
    let placed = |one: &'a Finished| {
        let place = |outcome: &'a Outcome| {
            let runs = of_instance(one, outcome.seed);
            let firsts = runs.iter().filter_map(|o| o.trace.rows().first());
            let rows = runs.iter().flat_map(|o| o.trace.rows());
            Placed {
                outcome,
                start: firsts.map(value).fold(f64::NEG_INFINITY, f64::max),
                best: rows.map(reached).fold(f64::INFINITY, f64::min),
            }
        };
        one.outcomes.iter().map(place).collect()
    };
    all.iter().map(placed).collect()
}

/// The names of experiments, told apart where two are alike.
pub(super) fn names(all: &[Finished]) -> Vec<String> {
    let name = |(k, one): (usize, &Finished)| {
        let name = &one.experiment.name;
        let alike = all.iter().filter(|other| other.experiment.name == *name);
        match alike.count() {
            1 => name.clone(),
            _ => format!("{name} ({})", k + 1),
        }
    };
    all.iter().enumerate().map(name).collect()
}

/// Of every experiment, the work that it takes to solve every instance.
fn costs(all: &[Finished], placed: &[Vec<Placed>]) -> Vec<Vec<Option<f64>>> {
    let mut instances: Vec<(&Problem, u64)> = Vec::new();
    for one in all {
        for outcome in &one.outcomes {
            let instance = (&one.experiment.problem, outcome.seed);
            if !instances.contains(&instance) {
                instances.push(instance);
            }
        }
    }
    let of = |(one, runs): (&Finished, &Vec<Placed>)| {
        let cost = |(problem, seed): &(&Problem, u64)| {
            let same = one.experiment.problem == **problem;
            let run = runs.iter().find(|run| same && run.outcome.seed == *seed)?;
            let target = run.best + SOLVED * (run.start - run.best);
            cost_to_reach(&points(&run.outcome.trace, work, value), target)
        };
        instances.iter().map(cost).collect()
    };
    all.iter().zip(placed).map(of).collect()
}

/// The figures of several experiments: what is compared is what is left above the best value that any of them found.
pub(super) fn of_comparison(all: &[Finished]) -> Result<Vec<Drawn>, Error> {
    let (names, placed) = (names(all), placed(all));
    let mut value_graph = Graph::new("Above the best value found", WORK, "F − best").log_y();
    let mut norm_graph = Graph::new("Hypergradient", WORK, "‖z‖").log_y();
    let mut precise = Graph::new(
        "Work for a precision",
        "share of the way that is left",
        "work",
    )
    .log_x()
    .log_y();
    let precisions: Vec<f64> = (0..PRECISIONS)
        .map(|k| 10f64.powf(-0.25 * k as f64))
        .collect();
    for (name, runs) in names.iter().zip(&placed) {
        let gaps = runs
            .iter()
            .map(|run| points(&run.outcome.trace, work, |row| value(row) - run.best));
        value_graph = value_graph.runs(name, &gaps.collect::<Vec<_>>());
        let norms = runs
            .iter()
            .map(|run| points(&run.outcome.trace, work, |row| row.gradient_norm));
        norm_graph = norm_graph.runs(name, &norms.collect::<Vec<_>>());
        let curves = runs.iter().map(|run| {
            let points = points(&run.outcome.trace, work, value);
            work_precision(&points, run.start, run.best, &precisions)
        });
        precise = precise.aligned(name, &curves.collect::<Vec<_>>());
    }
    let costs = costs(all, &placed);
    let profile = Graph::new(
        "Performance profile",
        "work relative to the least of the instance",
        "share of the instances",
    )
    .log_x()
    .profile(&names, &costs);
    let convergence = Chart::new().graph(value_graph).graph(norm_graph);
    Ok(vec![
        Drawn {
            file: "convergence.svg",
            caption: "What is left above the best value that any run is known to have reached of the same problem and seed, and the norm of the hypergradient: medians and quartiles of the seeds. Values are those that each solver computed, to its own accuracy: what is below its ± F is not known.",
            svg: convergence.to_svg()?,
        },
        Drawn {
            file: "precision.svg",
            caption: "The work (lower gradients and Hessian products) until a share of the way from the first to the best value is left: medians and quartiles of the seeds.",
            svg: Chart::new().graph(precise).to_svg()?,
        },
        Drawn {
            file: "profile.svg",
            caption: "Of each experiment, the share of all instances (problems and seeds) of which no more than a thousandth of the way is left, at a multiple of the least work.",
            svg: Chart::new().graph(profile).to_svg()?,
        },
    ])
}

/// Values over seconds: of this machine.
pub(super) fn seconds(all: &[Finished]) -> Result<Option<String>, Error> {
    let runs = |one: &Finished| -> Vec<Points> {
        let timed = one.outcomes.iter().map(|o| {
            // Of a resumed run, only the last part has seconds.
            let rows = o.trace.rows();
            let first = rows.len().saturating_sub(o.seconds.len());
            o.seconds
                .iter()
                .copied()
                .zip(rows[first..].iter().map(value))
                .collect()
        });
        timed.filter(|points: &Points| !points.is_empty()).collect()
    };
    let graph = Graph::new("Upper value", "seconds", "F");
    let named = names(all).into_iter().zip(all);
    let graph = named.fold(graph, |graph, (name, one)| graph.aligned(&name, &runs(one)));
    if all.iter().all(|one| runs(one).is_empty()) {
        return Ok(None);
    }
    Chart::new().graph(graph).to_svg().map(Some)
}
