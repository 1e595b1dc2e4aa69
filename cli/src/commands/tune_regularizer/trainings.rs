//! The trainings of one seed, and the table of all.

use crate::any_state::State;
use crate::registry::solvers::{around, solver};
use crate::runs::{Notes, Settings};
use bilevel::autodiff::{Lower, Real, Upper};
use bilevel::hypergradient::unrolled::Rollout;
use bilevel::lower::Lbfgs;
use bilevel::{
    Accuracy, Dynamics, Implicit, Limits, Oracle, Report, SearchBox, Trust, Unrolled, UpperLevel,
    Work,
};
use bilevel_problems::data::{LabelledData, Samples, first_names};
use bilevel_problems::networks::models::{
    Activation, Classifier, Convolutional, Linear, Perceptron, Recurrent,
};
use bilevel_problems::networks::regularizers::Recipe;
use bilevel_problems::networks::training::{Criterion, Training};
use std::time::Instant;

use super::cases::{Case, History, Split, Tuned, divide};
use super::options::{ModelName, Options, Treatment};
use super::{figures, results};
use crate::images_of_classes::all_samples;
use crate::options::{Failure, Precision, prepare};

/// The files that every run writes, and those that belong to one regulariser.
const OUTPUTS: [&str; 10] = [
    "report.json",
    "trace.csv",
    "results.csv",
    "accuracy.svg",
    "convergence.svg",
    "theta.svg",
    "memorisation.svg",
    "calibration.svg",
    "mixed.svg",
    "weights.svg",
];
/// Shares of mixed samples that are looked at, from 0 to 1.
const SHARES: usize = 10;
pub(super) fn tune(options: &Options) -> Result<(), Failure> {
    prepare(&options.out, &OUTPUTS)?;
    match options.precision {
        Precision::F64 => of_numbers::<f64>(options),
        Precision::F32 => of_numbers::<f32>(options),
    }
}

fn of_numbers<E: Real>(options: &Options) -> Result<(), Failure> {
    if options.model == ModelName::Recurrent {
        if options.data.is_some() {
            return Err("--model recurrent reads the first names that ship, not --data".into());
        }
        let names = first_names()?;
        let model = Recurrent::new(names.vocabulary().len(), 16, options.hidden, 2)?;
        return run::<E, _, _>(options, &model, &|seed| {
            let all = names.shuffled(seed);
            // A tenth of the names is kept for the test.
            let test = all.len() / 10;
            let end = all.len() - test;
            let kept = options.test.unwrap_or(test).min(test);
            divide(options, seed, |range| Ok(all.rows(range)?), end, &|| {
                Ok(all.rows(end..end + kept)?)
            })
        });
    }
    let (all, test) = all_samples(options.data.as_deref())?;
    let test = match options.test {
        Some(kept) => test.rows(0..kept.min(test.samples()))?,
        None => test,
    };
    let (columns, classes) = (all.columns(), all.classes());
    let split = |seed: u64| -> Result<Split<LabelledData<f64>>, Failure> {
        let all = all.shuffled(seed);
        divide(
            options,
            seed,
            |range| Ok(all.rows(range)?),
            all.samples(),
            &|| Ok(test.clone()),
        )
    };
    let smooth = Activation::Tanh;
    match options.model {
        ModelName::Linear => run::<E, _, _>(options, &Linear::new(columns, classes)?, &split),
        ModelName::Convolutional => {
            let model = Convolutional::new(columns.isqrt(), [8, 16], classes, smooth)?;
            run::<E, _, _>(options, &model, &split)
        }
        _ => {
            let model = Perceptron::new(columns, &[options.hidden], classes, smooth)?;
            run::<E, _, _>(options, &model, &split)
        }
    }
}

/// Trains, and judges the model behind every epoch.
fn train<E: Real, M: Classifier + Clone, D: Samples>(
    options: &Options,
    name: &'static str,
    training: &Training<M, D, E>,
    split: &Split<D>,
    theta: &[f64],
    seconds: f64,
) -> Result<History, Failure> {
    let theta = theta.to_vec();
    let judges = [&split.validation, &split.test, &split.train];
    let judges: Vec<Criterion<M, D>> = judges
        .into_iter()
        .map(|data| training.criterion(data.clone()))
        .collect::<Result<_, _>>()?;
    let wrong: Vec<usize> = (0..split.train.len())
        .filter(|&i| split.train.labels()[i] != split.clean.labels()[i])
        .collect();
    let mut state = training.start();
    let mut epochs = Vec::new();
    for t in 0..training.steps() {
        training.step(t, &mut state, &theta);
        if (t + 1) % training.steps_of_epoch() == 0 && state.iter().any(|s| !s.value().is_finite())
        {
            // The oracle finds out in which step, and why.
            let criterion = Upper::<_, E>::new(training.criterion(split.validation.clone())?);
            let rollout = Rollout {
                dynamics: training,
                upper: &criterion,
            };
            rollout.value(&theta, &mut Work::default())?;
        }
        if (t + 1) % training.steps_of_epoch() == 0 {
            let [validation, test] = [0, 1].map(|k| judges[k].judge(&state, &theta).accuracy);
            let fitted = judges[2].judge(&state, &theta);
            let classes = split.train.classes();
            let hit = |&&i: &&usize| {
                let p = &fitted.probabilities[i * classes..(i + 1) * classes];
                p.iter().all(|q| *q <= p[split.train.labels()[i] as usize])
            };
            let share = wrong.iter().filter(hit).count() as f64 / wrong.len().max(1) as f64;
            epochs.push([validation, test, share]);
        }
    }
    let mixed = (0..=SHARES).filter_map(|k| {
        let share = k as f64 / SHARES as f64;
        Some((share, judges[1].both_found(&state, &theta, share)?))
    });
    let measure = training
        .criterion(split.validation.clone())?
        .with_measure(options.measure.into());
    let measured = Upper::<_, E>::new(measure).value(&state, &theta);
    Ok(History {
        name,
        measured,
        epochs,
        mixed: mixed.collect(),
        validation: judges[0].judge(&state, &theta),
        test: judges[1].judge(&state, &theta),
        weights: judges[0].model_weights(&state, &theta),
        theta,
        seconds,
    })
}

fn run<E: Real, M: Classifier + Clone, D: Samples>(
    options: &Options,
    model: &M,
    split: &dyn Fn(u64) -> Result<Split<D>, Failure>,
) -> Result<(), Failure> {
    let recipe = options.recipe()?;
    let seeds = crate::options::seeds(options.seed, options.seeds)?;
    let mut cases: Vec<Case> = Vec::new();
    for seed in seeds {
        let data = split(seed)?;
        let case = one_seed::<E, M, D>(options, model, recipe, &data, seed)?;
        if cases.is_empty() {
            figures::write(options, recipe, &data, &case)?;
        }
        cases.push(case);
        results::write(options, &cases)?;
    }
    results::summary(options, model, recipe, &cases)
}

fn one_seed<E: Real, M: Classifier + Clone, D: Samples>(
    options: &Options,
    model: &M,
    recipe: Recipe,
    split: &Split<D>,
    seed: u64,
) -> Result<Case, Failure> {
    let make = |recipe| -> Result<Training<M, D, E>, Failure> {
        let settings = options.settings(seed);
        Ok(Training::new(
            model.clone(),
            split.train.clone(),
            recipe,
            settings,
        )?)
    };
    check(options, make(recipe)?, split)?;
    let plain = make(Recipe::default())?;
    let mut histories = vec![train(options, "none", &plain, split, &[], 0.0)?];
    if recipe == Recipe::default() {
        return Ok(Case {
            seed,
            histories,
            tuned: None,
            race: None,
        });
    }
    let training = make(recipe)?;
    let published = training.theta()?;
    histories.push(train(
        options, "default", &training, split, &published, 0.0,
    )?);
    let clock = Instant::now();
    let notes = Notes::default();
    let first = seed == options.seed;
    let report = match options.treatment {
        Treatment::Unrolled => unrolled(
            options,
            &options.solver,
            make(recipe)?,
            split,
            &notes,
            first,
        )?,
        Treatment::Frozen => frozen(options, &training, split, &notes, first)?,
    };
    let seconds = clock.elapsed().as_secs_f64();
    histories.push(train(
        options,
        "tuned",
        &training,
        split,
        &report.theta,
        seconds,
    )?);
    let rows = notes.rows();
    let mut race = None;
    if options.tpe_trials > 0 {
        let clock = Instant::now();
        let notes = Notes::default();
        let best = unrolled(options, "tpe", make(recipe)?, split, &notes, false)?;
        let seconds = clock.elapsed().as_secs_f64();
        let values = report.trace.rows().iter().map(|row| row.value.value);
        let mut reached = values.zip(&rows).filter(|(v, _)| *v <= best.value.value);
        race = Some((reached.next().map(|(_, note)| note.seconds), seconds));
        histories.push(train(
            options,
            "TPE",
            &training,
            split,
            &best.theta,
            seconds,
        )?);
    }
    let path = rows
        .iter()
        .map(|note| training.named(&note.theta))
        .collect();
    Ok(Case {
        seed,
        histories,
        tuned: Some(Tuned { report, path }),
        race,
    })
}

/// Refuses what would be refused only after the first trainings.
fn check<E: Real, M: Classifier + Clone, D: Samples>(
    options: &Options,
    training: Training<M, D, E>,
    split: &Split<D>,
) -> Result<(), Failure> {
    let start = training.theta()?;
    let region = around(&start, options.half_width)?;
    let accuracy = Accuracy::new(options.accuracy, options.accuracy)?;
    let criterion = training.criterion(split.validation.clone())?;
    let mode = options.mode(start.len());
    let oracle = Unrolled::new(training, Upper::<_, E>::new(criterion), mode)?;
    known(&oracle, &options.solver, accuracy, &region)?;
    if options.treatment == Treatment::Frozen {
        if options.checkpoints.checkpoint.is_some() || options.checkpoints.resume.is_some() {
            return Err("--treatment frozen makes a new problem every few iterations, and cannot be resumed".into());
        }
        if options.refresh == 0 {
            return Err("--refresh 0: expected at least 1".into());
        }
    }
    Ok(())
}

/// Refuses a name that is no solver's.
fn known<O: Oracle<Theta = Vec<f64>>>(
    _: &O,
    name: &str,
    accuracy: Accuracy,
    region: &SearchBox,
) -> Result<(), Failure>
where
    O::State: State,
{
    solver::<O>(name, accuracy, region)?;
    Ok(())
}

fn unrolled<E: Real, M: Classifier + Clone, D: Samples>(
    options: &Options,
    name: &str,
    training: Training<M, D, E>,
    split: &Split<D>,
    notes: &Notes<Vec<f64>>,
    first: bool,
) -> Result<Report<Vec<f64>>, Failure> {
    let start = training.theta()?;
    let criterion = training
        .criterion(split.validation.clone())?
        .with_measure(options.measure.into());
    let mode = options.mode(start.len());
    let oracle = Unrolled::new(training, Upper::<_, E>::new(criterion), mode)?;
    let region = around(&start, options.half_width)?;
    let accuracy = Accuracy::new(options.accuracy, options.accuracy)?;
    let iterations = match name {
        "tpe" if options.tpe_trials > 0 => options.tpe_trials,
        _ => options.max_iterations,
    };
    let settings = settings(options, iterations, notes, first);
    Ok(solver(name, accuracy, &region)?.run(&oracle, start, &settings)?)
}

/// Rounds of iterations at targets that are held still, and new targets behind each.
fn frozen<E: Real, M: Classifier + Clone, D: Samples>(
    options: &Options,
    training: &Training<M, D, E>,
    split: &Split<D>,
    notes: &Notes<Vec<f64>>,
    first: bool,
) -> Result<Report<Vec<f64>>, Failure> {
    let accuracy = Accuracy::new(options.accuracy, options.accuracy)?;
    let mut theta = training.theta()?;
    let mut state = training.start();
    for t in 0..training.steps() {
        training.step(t, &mut state, &theta);
    }
    let mut objective = training.freeze(&state);
    let mut left = options.max_iterations.max(1);
    loop {
        let criterion = objective
            .criterion(split.validation.clone())?
            .with_measure(options.measure.into());
        let lower = Lower::<_, f64>::new(objective);
        let oracle = Implicit::new(lower, Upper::<_, f64>::new(criterion))
            .with_lower_solver(Lbfgs::default())
            .with_trust(Trust::Unknown);
        let iterations = left.min(options.refresh);
        left -= iterations;
        let region = around(&theta, options.half_width)?;
        let settings = settings(options, iterations, notes, first);
        let report = solver(&options.solver, accuracy, &region)?.run(&oracle, theta, &settings)?;
        theta = report.theta.clone();
        if left == 0 {
            return Ok(report);
        }
        let mut state = oracle.start(&theta)?;
        oracle.value(&theta, accuracy.epsilon, &mut state)?;
        objective = oracle
            .into_lower()
            .into_gradients()
            .refreshed(state.x(), &theta);
    }
}

fn settings<'a>(
    options: &'a Options,
    iterations: u64,
    notes: &'a Notes<Vec<f64>>,
    first: bool,
) -> Settings<'a, Vec<f64>> {
    let limits = Limits {
        iterations: Some(iterations),
        seconds: options.max_seconds,
        ..Limits::default()
    };
    let of_options = options.checkpoints.settings(options.tolerance, limits);
    Settings {
        notes: Some(notes),
        table: first,
        // One checkpoint cannot be that of several runs.
        checkpoint: of_options.checkpoint.filter(|_| first),
        resume: of_options.resume.filter(|_| first),
        ..of_options
    }
}
