//! The numbers of all seeds: a file and a table.

use bilevel::plot::Quartiles;
use bilevel_problems::networks::models::Classifier;
use bilevel_problems::networks::regularizers::Recipe;
use bilevel_problems::networks::training::Judged;
use std::fmt::Write as _;
use std::io::Write;

use super::cases::{Case, History};
use super::options::Options;
use crate::options::Failure;

/// Accuracies of a table are of this many digits, in percent.
const DIGITS: usize = 2;

/// Expected calibration error: the mean distance of confidence and accuracy over ten bins of confidence.
pub(super) fn calibration(
    judged: &Judged,
    labels: &[u32],
    classes: usize,
) -> (f64, Vec<(f64, f64)>) {
    const BINS: usize = 10;
    let mut bins = [[0.0f64; 3]; BINS];
    for (p, &label) in judged.probabilities.chunks_exact(classes).zip(labels) {
        let (best, confidence) =
            p.iter().enumerate().fold(
                (0, 0.0),
                |best, (c, &q)| {
                    if q > best.1 { (c, q) } else { best }
                },
            );
        let bin = &mut bins[((confidence * BINS as f64) as usize).min(BINS - 1)];
        bin[0] += 1.0;
        bin[1] += confidence;
        bin[2] += f64::from(u8::from(best == label as usize));
    }
    let total: f64 = labels.len() as f64;
    let error = bins
        .iter()
        .map(|[_, confidence, right]| (confidence - right).abs() / total)
        .sum();
    let curve = bins
        .iter()
        .filter(|bin| bin[0] > 0.0)
        .map(|[n, confidence, right]| (confidence / n, right / n))
        .collect();
    (error, curve)
}

pub(super) fn write(options: &Options, cases: &[Case]) -> Result<(), Failure> {
    let mut csv = String::from(
        "seed,training,tuned_for,validation_loss,validation_accuracy,test_loss,test_accuracy,false_labels_fitted\n",
    );
    for case in cases {
        for h in &case.histories {
            let _ = writeln!(
                csv,
                "{},{},{:?},{:?},{:?},{:?},{:?},{:?}",
                case.seed,
                h.name,
                h.measured,
                h.validation.loss,
                h.validation.accuracy,
                h.test.loss,
                h.test.accuracy,
                h.epochs.last().map_or(f64::NAN, |e| e[2])
            );
        }
    }
    Ok(std::fs::write(options.out.join("results.csv"), csv)?)
}

fn mean_and_deviation(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let square = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>();
    (mean, (square / (n - 1.0).max(1.0)).sqrt())
}

pub(super) fn summary<M: Classifier>(
    options: &Options,
    model: &M,
    recipe: Recipe,
    cases: &[Case],
) -> Result<(), Failure> {
    let layers = model.layers().len();
    let mut text = String::new();
    if let Some(tuned) = cases.first().and_then(|case| case.tuned.as_ref()) {
        let _ = writeln!(text, "\n{}", tuned.report);
    }
    let _ = writeln!(
        text,
        "\n{} of {}, {} seed(s), labels {:.0} % wrong\n\n\
         training  tuned for   validation loss   test accuracy %   false labels fitted %   seconds   theta of the first seed",
        recipe.name(),
        model.name(),
        cases.len(),
        100.0 * options.noise
    );
    for (k, history) in cases[0].histories.iter().enumerate() {
        let over = |f: &dyn Fn(&History) -> f64| {
            let values: Vec<f64> = cases.iter().map(|case| f(&case.histories[k])).collect();
            mean_and_deviation(&values)
        };
        let (measured, _) = over(&|h| h.measured);
        let (loss, _) = over(&|h| h.validation.loss);
        let (accuracy, spread) = over(&|h| 100.0 * h.test.accuracy);
        let (fitted, _) = over(&|h| 100.0 * h.epochs.last().map_or(f64::NAN, |e| e[2]));
        let (seconds, _) = over(&|h| h.seconds);
        let theta: Vec<String> = if history.theta.is_empty() {
            Vec::new()
        } else {
            let named = recipe.named(&history.theta, layers);
            named.iter().map(|(n, v)| format!("{n} {v:.3}")).collect()
        };
        let _ = writeln!(
            text,
            "{:<9} {measured:>9.4} {loss:>17.4} {accuracy:>10.DIGITS$} ± {spread:.DIGITS$} {fitted:>19.1} {seconds:>13.1}   {}",
            history.name,
            theta.join(", ")
        );
    }
    let races: Vec<(Option<f64>, f64)> = cases.iter().filter_map(|case| case.race).collect();
    let reached: Vec<f64> = races.iter().filter_map(|(seconds, _)| *seconds).collect();
    if !races.is_empty() {
        let of_tpe = median(races.iter().map(|(_, seconds)| *seconds));
        let after = match reached.len() {
            0 => String::new(),
            _ => format!(
                ", after {:.1} s in the median",
                median(reached.iter().copied())
            ),
        };
        let _ = writeln!(
            text,
            "\nas good as the best of {} trials of TPE ({of_tpe:.1} s) in {} of {} run(s){after}",
            options.tpe_trials,
            reached.len(),
            races.len()
        );
    }
    // A closed pipe is no reason to fail: the files are written.
    let _ = writeln!(std::io::stdout(), "{text}\nwrote {}", options.out.display());
    Ok(())
}

fn median(numbers: impl Iterator<Item = f64>) -> f64 {
    Quartiles::of(numbers.collect()).map_or(f64::NAN, Quartiles::median)
}
