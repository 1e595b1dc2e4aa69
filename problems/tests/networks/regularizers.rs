//! The four regularisers against what was published, computed here by hand.

use bilevel::Dynamics;
use bilevel::autodiff::{Dual, Scalar};
use bilevel_problems::data::{LabelledData, Samples, digits};
use bilevel_problems::networks::models::Linear;
use bilevel_problems::networks::regularizers::{
    Compander, DecoupledMixup, Elr, PsKd, Recipe, WeightCompander,
};
use bilevel_problems::networks::training::{Optimizer, Schedule, Settings, Training};

const SAMPLES: usize = 12;
const FEATURES: usize = 64;
const CLASSES: usize = 10;
const EPOCHS: usize = 3;
const STEP: f64 = 0.3;

fn data() -> LabelledData<f64> {
    digits().unwrap().rows(0..SAMPLES).unwrap()
}

/// One batch of all samples, three times.
fn settings() -> Settings {
    Settings {
        epochs: EPOCHS,
        batch: SAMPLES,
        step: STEP,
        schedule: Schedule::Constant,
        optimizer: Optimizer::Sgd { momentum: 0.0 },
        decay: 0.0,
        seed: 0,
    }
}

/// A linear model by plain loops.
struct Plain {
    /// Row after row, then the shifts.
    w: Vec<f64>,
}

impl Plain {
    fn features(table: &LabelledData<f64>, i: usize) -> &[f64] {
        match Samples::sample(table, i) {
            bilevel_problems::data::Sample::Features(features) => features,
            bilevel_problems::data::Sample::Tokens(_) => panic!("digits have features"),
        }
    }

    fn softmax(&self, a: &[f64]) -> Vec<f64> {
        let z: Vec<f64> = (0..CLASSES)
            .map(|c| {
                let row = &self.w[c * FEATURES..(c + 1) * FEATURES];
                let sum: f64 = row.iter().zip(a).map(|(w, a)| w * a).sum();
                sum + self.w[CLASSES * FEATURES + c]
            })
            .collect();
        let total: f64 = z.iter().map(|z| z.exp()).sum();
        z.iter().map(|z| z.exp() / total).collect()
    }

    /// w ← w − step · mean of slopeᵢ ⊗ (aᵢ, 1), for the derivatives of the losses in the scores.
    fn descend(&mut self, table: &LabelledData<f64>, slopes: &[Vec<f64>]) {
        let share = STEP / SAMPLES as f64;
        for (i, slope) in slopes.iter().enumerate() {
            let a = Plain::features(table, i);
            for (c, slope) in slope.iter().enumerate() {
                for (k, a) in a.iter().enumerate() {
                    self.w[c * FEATURES + k] -= share * slope * a;
                }
                self.w[CLASSES * FEATURES + c] -= share * slope;
            }
        }
    }
}

fn one_hot(label: u32) -> Vec<f64> {
    (0..CLASSES)
        .map(|c| f64::from(u8::from(c == label as usize)))
        .collect()
}

fn close(a: &[f64], b: &[f64], what: &str) {
    for (k, (a, b)) in a.iter().zip(b).enumerate() {
        assert!((a - b).abs() <= 1e-12, "{what}[{k}]: {a} {b}");
    }
}

/// Runs the training beside `expected`, which moves the plain model and the targets by one epoch.
fn compare(
    recipe: Recipe,
    mut expected: impl FnMut(usize, &mut Plain, &mut Vec<Vec<f64>>),
    first: Vec<Vec<f64>>,
) {
    let model = Linear::new(FEATURES, CLASSES).unwrap();
    let training: Training<_, _> = Training::new(model, data(), recipe, settings()).unwrap();
    let theta = training.theta().unwrap();
    let mut state = training.start();
    let n = CLASSES * (FEATURES + 1);
    // From weights that are not all alike: the first ones are 0.
    for (k, w) in state[..n].iter_mut().enumerate() {
        *w = 0.1 * (k as f64).sin();
    }
    let mut plain = Plain {
        w: state[..n].to_vec(),
    };
    let mut targets = first;
    for epoch in 0..EPOCHS {
        training.step(epoch, &mut state, &theta);
        expected(epoch, &mut plain, &mut targets);
        close(&state[..n], &plain.w, "w");
        // Behind the weights and their momenta.
        close(&state[2 * n..], &targets.concat(), "target");
    }
}

#[test]
fn early_learning_regularisation_is_the_published_update_element_by_element() {
    let (lambda, beta) = (2.5, 0.6);
    let elr = Elr { lambda, beta };
    let table = data();
    let step = |_: usize, plain: &mut Plain, targets: &mut Vec<Vec<f64>>| {
        let slopes: Vec<Vec<f64>> = (0..SAMPLES)
            .map(|i| {
                let p = plain.softmax(Plain::features(&table, i));
                let clamped: Vec<f64> = p.iter().map(|p| p.clamp(1e-4, 1.0 - 1e-4)).collect();
                let total: f64 = clamped.iter().sum();
                let t = &mut targets[i];
                for (t, q) in t.iter_mut().zip(&clamped) {
                    *t = beta * *t + (1.0 - beta) * q / total;
                }
                let inner: f64 = clamped.iter().zip(&*t).map(|(q, t)| q * t).sum();
                // ∂/∂p_c of λ log(1 − ⟨q, t⟩), none where the probability is clamped; then through the softmax.
                let by_p: Vec<f64> = (0..CLASSES)
                    .map(|c| {
                        if clamped[c] == p[c] {
                            -lambda * t[c] / (1.0 - inner)
                        } else {
                            0.0
                        }
                    })
                    .collect();
                let mean: f64 = by_p.iter().zip(&p).map(|(d, p)| d * p).sum();
                let y = one_hot(table.labels()[i]);
                (0..CLASSES)
                    .map(|c| p[c] - y[c] + p[c] * (by_p[c] - mean))
                    .collect()
            })
            .collect();
        plain.descend(&table, &slopes);
    };
    let recipe = Recipe {
        elr: Some(elr),
        ..Recipe::default()
    };
    compare(recipe, step, vec![vec![0.0; CLASSES]; SAMPLES]);
}

#[test]
fn self_knowledge_distillation_is_the_published_update_element_by_element() {
    let alpha = 0.7;
    let table = data();
    let step = |epoch: usize, plain: &mut Plain, targets: &mut Vec<Vec<f64>>| {
        let share = alpha * (epoch + 1) as f64 / EPOCHS as f64;
        let slopes: Vec<Vec<f64>> = (0..SAMPLES)
            .map(|i| {
                let p = plain.softmax(Plain::features(&table, i));
                let y = one_hot(table.labels()[i]);
                let slope = (0..CLASSES)
                    .map(|c| p[c] - (1.0 - share) * y[c] - share * targets[i][c])
                    .collect();
                targets[i] = p;
                slope
            })
            .collect();
        plain.descend(&table, &slopes);
    };
    let recipe = Recipe {
        pskd: Some(PsKd { alpha }),
        ..Recipe::default()
    };
    let labels = data().labels().iter().map(|&l| one_hot(l)).collect();
    compare(recipe, step, labels);
}

#[test]
fn decoupled_mixup_of_two_examples_worked_by_hand() {
    // Scores ln 1, ln 2, ln 4: without class 1, class 0 has 1/5; without class 0, class 1 has 2/6.
    let scores = [0.0, 2.0f64.ln(), 4.0f64.ln()];
    let (eta, share) = (0.5, 0.25);
    let theta = [f64::ln(eta), 0.0];
    let mixup = DecoupledMixup::default();
    let term = mixup.term(&scores, [0, 1], share, &theta);
    assert!((term - eta * (5.0f64.ln() + 3.0f64.ln())).abs() < 1e-14);
    let weighted = DecoupledMixup {
        weighted: true,
        ..mixup
    };
    let term = weighted.term(&scores, [0, 1], share, &theta);
    assert!((term - eta * (0.25 * 5.0f64.ln() + 0.75 * 3.0f64.ln())).abs() < 1e-14);
    // Two samples of one class leave nothing out: class 2 has 4/7.
    let term = mixup.term(&scores, [2, 2], share, &theta);
    assert!((term - eta * 2.0 * (7.0f64 / 4.0).ln()).abs() < 1e-14);
    // The score of a class does not act on the term of the other one.
    let slope = |c: usize| {
        let scores: [Dual<f64>; 3] =
            std::array::from_fn(|k| Dual::new(scores[k], f64::from(u8::from(k == c))));
        let theta = theta.map(|t| Dual::new(t, 0.0));
        mixup
            .term(&scores, [0, 1], Dual::new(share, 0.0), &theta)
            .eps
    };
    // 1/5 − 1 of its own term alone, and likewise 1/3 − 1; the third class has 4/5 + 4/6 of both.
    for (c, expected) in [
        (0, eta * (0.2 - 1.0)),
        (1, eta * (1.0 / 3.0 - 1.0)),
        (2, eta * (0.8 + 2.0 / 3.0)),
    ] {
        assert!((slope(c) - expected).abs() < 1e-14, "{c}");
    }
}

#[test]
fn the_compander_has_its_bound_its_slope_and_is_odd_at_zero_and_far_out() {
    for shape in [Compander::Atan, Compander::Tanh] {
        let (slope, bound) = (1.6, 0.8);
        let compander = WeightCompander {
            shape,
            slope,
            bound,
        };
        let theta = [f64::ln(slope - 1.0), f64::ln(bound)];
        let at = |v: f64| {
            let mut out = [Dual::default()];
            let theta = theta.map(|t| Dual::new(t, 0.0));
            compander.apply(&[Dual::new(v, 1.0)], &theta, &mut out);
            out[0]
        };
        assert_eq!(at(0.0).re, 0.0);
        assert!((at(0.0).eps - slope).abs() < 1e-14);
        for v in [1e-8, 0.01, 0.3, 2.0, 50.0, 1e6] {
            let (right, left) = (at(v), at(-v));
            assert_eq!(right.re, -left.re);
            assert_eq!(right.eps, left.eps);
            assert!(right.re <= bound && right.eps >= 0.0);
            let h = 1e-6 * v.max(1e-3);
            let difference = (at(v + h).re - at(v - h).re) / (2.0 * h);
            assert!((difference - right.eps).abs() <= 1e-8 * slope, "{v}");
        }
        // Far out nothing moves any more, and nothing overflows.
        assert!((at(1e12).re - bound).abs() < 1e-11 && at(1e12).eps < 1e-11);
        // Small weights are pushed away from zero.
        assert!(at(0.05).re > 0.05);
    }
}

#[test]
fn values_outside_their_ranges_are_refused_by_name() {
    let with = |recipe: Recipe| recipe.theta(1).unwrap_err().to_string();
    let elr = |lambda, beta| Recipe {
        elr: Some(Elr { lambda, beta }),
        ..Recipe::default()
    };
    assert!(with(elr(0.0, 0.5)).contains("elr.lambda"));
    assert!(with(elr(f64::NAN, 0.5)).contains("elr.lambda"));
    assert!(with(elr(1.0, 1.0)).contains("elr.beta"));
    let pskd = Recipe {
        pskd: Some(PsKd { alpha: 1.5 }),
        ..Recipe::default()
    };
    assert!(with(pskd).contains("pskd.alpha"));
    let mixup = |eta, alpha| Recipe {
        mixup: Some(DecoupledMixup {
            eta,
            alpha,
            weighted: false,
        }),
        ..Recipe::default()
    };
    assert!(with(mixup(-1.0, 1.0)).contains("mixup.eta"));
    assert!(with(mixup(1.0, 0.001)).contains("mixup.alpha"));
    let compander = |slope, bound| Recipe {
        compander: Some(WeightCompander {
            shape: Compander::Atan,
            slope,
            bound,
        }),
        ..Recipe::default()
    };
    assert!(with(compander(1.0, 1.0)).contains("compander.slope"));
    assert!(with(compander(2.0, f64::INFINITY)).contains("compander.bound"));
    let model = Linear::new(FEATURES, CLASSES).unwrap();
    let training: Training<_, _> =
        Training::new(model.clone(), data(), Recipe::mixup(), settings()).unwrap();
    for theta in [
        vec![0.0],
        vec![0.0, f64::NAN],
        vec![31.0, 0.0],
        vec![0.0, -20.0],
    ] {
        assert!(training.check(&theta).is_err(), "{theta:?}");
    }
    for broken in [
        Settings {
            epochs: 0,
            ..settings()
        },
        Settings {
            batch: 0,
            ..settings()
        },
        Settings {
            step: -1.0,
            ..settings()
        },
        Settings {
            decay: f64::NAN,
            ..settings()
        },
        Settings {
            optimizer: Optimizer::Sgd { momentum: 1.0 },
            ..settings()
        },
    ] {
        let made = Training::<_, _, f64>::new(model.clone(), data(), Recipe::default(), broken);
        assert!(made.is_err(), "{broken:?}");
    }
    let other = Linear::new(FEATURES + 1, CLASSES).unwrap();
    assert!(Training::<_, _, f64>::new(other, data(), Recipe::default(), settings()).is_err());
}

#[test]
fn a_share_of_the_mixup_follows_alpha() {
    let theta = |alpha: f64| [Dual::new(0.0, 0.0), Dual::new(alpha.ln(), 1.0)];
    let share = DecoupledMixup::share(&theta(0.5), [0.5, 1.0, 0.0]);
    // d α/d ln α = α.
    assert!((share.re - 0.5).abs() < 1e-15 && (share.eps - 0.5).abs() < 1e-15);
    assert_eq!(Scalar::value(share), share.re);
}
