//! Training runs of all models with all regularisers: their derivatives, and their hypergradients in every mode.

use bilevel::autodiff::{Dual, Gradients, Lower, Upper};
use bilevel::hypergradient::unrolled::Rollout;
use bilevel::problem::minibatch::{Batch, MinibatchLower};
use bilevel::{Dynamics, LowerLevel, Mode, Vector, check_dynamics, check_lower, check_upper};
use bilevel_problems::data::{LabelledData, Noise, Samples, digits, first_names};
use bilevel_problems::networks::models::{
    Activation, Classifier, Convolutional, Linear, Perceptron, Recurrent,
};
use bilevel_problems::networks::regularizers::{
    Compander, DecoupledMixup, Elr, PsKd, Recipe, WeightCompander,
};
use bilevel_problems::networks::training::{Measure, Optimizer, Schedule, Settings, Training};

const ADAM: Optimizer = Optimizer::Adam {
    beta1: 0.9,
    beta2: 0.99,
    epsilon: 1e-3,
};

/// Every regulariser alone, pairs of them, and all.
fn recipes() -> Vec<Recipe> {
    let mixup = DecoupledMixup {
        alpha: 0.7,
        weighted: true,
        ..DecoupledMixup::default()
    };
    let tanh = WeightCompander {
        shape: Compander::Tanh,
        bound: 0.3,
        ..WeightCompander::default()
    };
    vec![
        Recipe::default(),
        Recipe::elr(),
        Recipe::pskd(),
        Recipe::mixup(),
        Recipe::compander(),
        Recipe {
            elr: Some(Elr::default()),
            pskd: Some(PsKd::default()),
            ..Recipe::default()
        },
        Recipe {
            pskd: Some(PsKd { alpha: 0.6 }),
            mixup: Some(mixup),
            ..Recipe::default()
        },
        Recipe {
            elr: Some(Elr {
                lambda: 1.5,
                beta: 0.6,
            }),
            pskd: Some(PsKd { alpha: 0.6 }),
            mixup: Some(mixup),
            compander: Some(tanh),
        },
    ]
}

fn settings(optimizer: Optimizer) -> Settings {
    Settings {
        epochs: 3,
        batch: 9,
        step: 0.1,
        schedule: Schedule::Cosine,
        optimizer,
        decay: 1e-2,
        seed: 3,
    }
}

/// 20 digits: a batch of them is the last one of an epoch, and smaller.
fn data() -> (LabelledData<f64>, LabelledData<f64>) {
    let table = digits().unwrap();
    let train = table.rows(0..20).unwrap();
    let train = Noise::Symmetric.apply(&train, 0.4, 1).unwrap();
    (train, table.rows(100..130).unwrap())
}

/// A state in the middle of a run, so that targets and momenta are not what they begin as.
fn middle<D: Dynamics<State = Vec<f64>>>(dynamics: &D, theta: &D::Theta) -> Vec<f64> {
    let mut state = dynamics.start();
    for t in 0..5 {
        dynamics.step(t, &mut state, theta);
    }
    state
}

fn derivatives_hold<M: Classifier + Clone, D: Samples>(model: &M, data: &D, recipe: Recipe) {
    for optimizer in [Optimizer::default(), ADAM] {
        let training: Training<M, D> =
            Training::new(model.clone(), data.clone(), recipe, settings(optimizer)).unwrap();
        let theta = training.theta().unwrap();
        let mut state = middle(&training, &theta);
        if optimizer == ADAM {
            // Far enough from 0, where a second moment has a root, for finite differences.
            let n = model.parameters();
            state[2 * n..3 * n].iter_mut().for_each(|s| *s += 1.0);
        }
        let report = check_dynamics(&training, 5, &state, &theta);
        let what = format!("{} {} {optimizer:?}", model.name(), recipe.name());
        assert!(report.passed(), "{what}\n{report}");
    }
}

#[test]
fn the_derivatives_of_a_step_are_right_for_every_recipe_and_optimizer() {
    let (train, _) = data();
    let model = Perceptron::new(64, &[7, 5], 10, Activation::Softplus).unwrap();
    for recipe in recipes() {
        derivatives_hold(&model, &train, recipe);
    }
}

#[test]
fn and_for_every_model() {
    let (train, _) = data();
    let everything = recipes()[7];
    derivatives_hold(&Linear::new(64, 10).unwrap(), &train, everything);
    let model = Convolutional::new(9, [2, 3], 10, Activation::Tanh);
    // The digits are of 8 × 8 pixels; with a row and a column of zeros they are large enough.
    let bigger = |table: &LabelledData<f64>| {
        let mut pixels = Vec::new();
        for i in 0..table.samples() {
            let mut image = [0.0; 81];
            if let bilevel_problems::data::Sample::Features(from) = Samples::sample(table, i) {
                for (to, from) in image.chunks_exact_mut(9).zip(from.chunks_exact(8)) {
                    to[..8].copy_from_slice(from);
                }
            }
            pixels.extend(image);
        }
        LabelledData::dense(81, pixels, table.labels().to_vec(), 10).unwrap()
    };
    derivatives_hold(&model.unwrap(), &bigger(&train), everything);
    let names = first_names().unwrap().shuffled(0).rows(0..20).unwrap();
    let recipe = Recipe {
        mixup: None,
        ..everything
    };
    derivatives_hold(&Recurrent::new(26, 3, 4, 2).unwrap(), &names, recipe);
}

#[test]
fn forward_reverse_and_finite_differences_agree_through_whole_runs() {
    let (train, validation) = data();
    let model = Perceptron::new(64, &[6], 10, Activation::Tanh).unwrap();
    for recipe in recipes() {
        for optimizer in [Optimizer::default(), ADAM] {
            let training: Training<_, _> =
                Training::new(model.clone(), train.clone(), recipe, settings(optimizer)).unwrap();
            let upper = Upper::new(training.criterion(validation.clone()).unwrap());
            let theta = training.theta().unwrap();
            if theta.is_empty() {
                continue;
            }
            let rollout = Rollout {
                dynamics: &training,
                upper: &upper,
            };
            let by = |mode| rollout.differentiate(&theta, mode).unwrap().gradient;
            let forward = by(Mode::Forward);
            let stored = by(Mode::Reverse {
                checkpoints: usize::MAX,
            });
            assert_eq!(stored, by(Mode::Reverse { checkpoints: 2 }));
            let what = recipe.name();
            let far = |a: &Vec<f64>, b: &Vec<f64>| {
                let mut difference = a.clone();
                difference.axpy(-1.0, b);
                difference.norm() / a.norm()
            };
            assert!(
                far(&forward, &stored) < 1e-10,
                "{what}: {forward:?} {stored:?}"
            );
            let h = 1e-4;
            let value = |k: usize, h: f64| {
                let mut there = theta.clone();
                there[k] += h;
                rollout.value(&there, &mut Default::default()).unwrap()
            };
            let differences: Vec<f64> = (0..theta.len())
                .map(|k| (value(k, h) - value(k, -h)) / (2.0 * h))
                .collect();
            let error = far(&forward, &differences);
            assert!(
                error < 1e-6,
                "{what} {optimizer:?}: {error:.1e}\n{forward:?}\n{differences:?}"
            );
        }
    }
}

#[test]
fn frozen_targets_make_a_lower_level_whose_derivatives_are_right() {
    let (train, validation) = data();
    let model = Perceptron::new(64, &[6], 10, Activation::Tanh).unwrap();
    for recipe in recipes() {
        let training: Training<_, _> =
            Training::new(model.clone(), train.clone(), recipe, settings(ADAM)).unwrap();
        let theta = training.theta().unwrap();
        let state = middle(&training, &theta);
        let n = model.parameters();
        let frozen = training.freeze(&state).refreshed(&state[..n], &theta);
        let upper: Upper<_> = Upper::new(frozen.criterion(validation.clone()).unwrap());
        let lower: Lower<_> = Lower::new(frozen);
        let x = state[..n].to_vec();
        let report = check_lower(&lower, &x, &theta);
        assert!(report.passed(), "{}\n{report}", recipe.name());
        let report = check_upper(&upper, &x, &theta);
        assert!(report.passed(), "{}\n{report}", recipe.name());
        for measure in [Measure::Error, Measure::Calibrated] {
            let criterion = training
                .freeze(&state)
                .criterion(validation.clone())
                .unwrap();
            let upper: Upper<_> = Upper::new(criterion.with_measure(measure));
            let report = check_upper(&upper, &x, &theta);
            assert!(report.passed(), "{measure:?} {}\n{report}", recipe.name());
        }
        // A batch of all, in another order, is the level itself.
        let backwards: Vec<usize> = (0..20).rev().collect();
        let (mut a, mut b) = (x.clone(), x.clone());
        lower.gradient(&x, &theta, &mut a);
        lower.batch_gradient(Batch::List(&backwards), &x, &theta, &mut b);
        a.axpy(-1.0, &b);
        assert!(a.norm() <= 1e-14 * b.norm());
    }
}

/// The scores of a linear model are scaled by scaling its weights: the calibrated measure is the least cross-entropy along them.
#[test]
fn the_calibrated_measure_is_the_least_cross_entropy_of_all_scales() {
    let (train, validation) = data();
    let model = Linear::new(64, 10).unwrap();
    let training: Training<_, _> = Training::new(
        model,
        train,
        Recipe::default(),
        settings(Optimizer::default()),
    )
    .unwrap();
    let criterion = |measure| {
        let plain = training.criterion(validation.clone()).unwrap();
        plain.with_measure(measure)
    };
    let (plain, calibrated) = (
        criterion(Measure::CrossEntropy),
        criterion(Measure::Calibrated),
    );
    let all = Batch::all(validation.len());
    let x = middle(&training, &vec![]);
    let scaled = |kappa: f64| -> Vec<f64> { x.iter().map(|x| kappa * x).collect() };
    let least = calibrated.value(all, &x, &[]);
    let logs = (-4000..4000).map(|k| 1e-3 * f64::from(k));
    let on_grid = logs
        .map(|log: f64| plain.value(all, &scaled(log.exp()), &[]))
        .fold(f64::INFINITY, f64::min);
    assert!(
        least <= on_grid && on_grid - least < 1e-6,
        "{least} {on_grid}"
    );
    assert!(least < plain.value(all, &x, &[]) - 1e-3);
    // It does not depend on the scale, so its gradient is orthogonal to the weights.
    let elsewhere = calibrated.value(all, &scaled(7.0), &[]);
    assert!((elsewhere - least).abs() < 1e-12);
    let gradient = |x: &[f64]| {
        let mut out = x.to_vec();
        calibrated.gradient(all, x, &[], &mut out);
        out
    };
    let g = gradient(&x);
    assert!(g.dot(&x).abs() < 1e-12 * g.norm() * x.norm());
    // Twice differentiable, κ included.
    let v: Vec<f64> = (0..x.len()).map(|k| (0.3 * k as f64).cos()).collect();
    let along: Vec<Dual<f64>> = x.iter().zip(&v).map(|(&x, &v)| Dual::new(x, v)).collect();
    let mut product = along.clone();
    calibrated.gradient(all, &along, &[], &mut product);
    let product: Vec<f64> = product.iter().map(|d| d.eps).collect();
    let h = 1e-5;
    let at = |t: f64| -> Vec<f64> { x.iter().zip(&v).map(|(x, v)| x + t * v).collect() };
    let (ahead, behind) = (gradient(&at(h)), gradient(&at(-h)));
    let differences: Vec<f64> = (ahead.iter().zip(&behind))
        .map(|(a, b)| (a - b) / (2.0 * h))
        .collect();
    let mut error = differences.clone();
    error.axpy(-1.0, &product);
    assert!(error.norm() < 1e-7 * product.norm());
    // Scores without a difference have any scale, and such that are NaN a NaN.
    assert!((calibrated.value(all, &vec![0.0; x.len()], &[]) - 10f64.ln()).abs() < 1e-12);
    assert!(
        calibrated
            .value(all, &vec![f64::NAN; x.len()], &[])
            .is_nan()
    );
}

#[test]
fn early_stopping_returns_the_best_epoch_and_stops_behind_it() {
    let (train, validation) = data();
    let model = Perceptron::new(64, &[16], 10, Activation::Tanh).unwrap();
    // 20 digits, 8 of which are labelled wrongly: after a while the validation loss grows.
    let settings = Settings {
        epochs: 200,
        schedule: Schedule::Constant,
        ..settings(Optimizer::default())
    };
    let training: Training<_, _> =
        Training::new(model, train, Recipe::default(), settings).unwrap();
    let criterion = training.criterion(validation).unwrap();
    let theta = vec![];
    let trained = training.train(&theta, &criterion, 5).unwrap();
    let losses: Vec<f64> = trained.epochs.iter().map(|e| e.loss).collect();
    let least = losses.iter().copied().fold(f64::INFINITY, f64::min);
    assert_eq!(losses[trained.best], least);
    assert_eq!(losses.len(), trained.best + 6);
    assert!(losses.len() < 200 && trained.best > 0);
    assert_eq!(criterion.judge(&trained.state, &theta).loss, least);
    assert!(training.train(&theta, &criterion, 0).is_err());
    assert!(training.train(&vec![1.0], &criterion, 1).is_err());
}
