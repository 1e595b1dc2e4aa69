//! Logistic regression and data hyper-cleaning: derivatives, constants, and the agreement of batches, storages and formats.

use bilevel::problem::minibatch::{Batch, MinibatchLower, MinibatchUpper, Products};
use bilevel::{Checker, Element, LowerLevel, UpperLevel, Vector, parallel};
use bilevel_problems::data::LabelledData;
use bilevel_problems::linear::hyper_cleaning::{HyperCleaning, corrupt_labels, hyper_cleaning};
use bilevel_problems::linear::logistic::{
    CrossEntropy, LogisticRegression, Penalty, logistic_regression,
};

use crate::common::{distance, random, uniform};

const PENALTIES: [Penalty; 4] = [
    Penalty::Single,
    Penalty::PerClass,
    Penalty::PerFeature,
    Penalty::PerWeight,
];

/// Random samples, half of whose features are zero, with the classes of a random linear model.
fn table(samples: usize, columns: usize, classes: usize, seed: u64) -> LabelledData<f64> {
    let mut next = uniform(seed);
    let features: Vec<f64> = (0..samples * columns)
        .map(|_| if next() > 0.0 { 3.0 * next() } else { 0.0 })
        .collect();
    let model = random(columns * classes, 77);
    let labels = features.chunks_exact(columns).map(|row| {
        let score = |k: usize| -> f64 {
            let terms = row.iter().enumerate();
            terms.map(|(j, a)| a * model[j * classes + k]).sum()
        };
        (0..classes)
            .max_by(|&a, &b| score(a).total_cmp(&score(b)))
            .unwrap() as u32
    });
    let labels = labels.collect();
    let clean = LabelledData::dense(columns, features, labels, classes).unwrap();
    corrupt_labels(&clean, 0.2, seed).unwrap()
}

fn cast<E: Element>(v: &[f64]) -> Vec<E> {
    v.iter().map(|&v| E::from_f64(v)).collect()
}

/// Runs a test for a problem of every kind: name, lower level, and the length of θ.
macro_rules! for_every_problem {
    ($element:ty, $samples:expr, $columns:expr, $test:expr) => {
        for classes in [2, 5] {
            let dense = table($samples, $columns, classes, 3).cast::<$element>();
            for (form, table) in [("dense", dense.clone()), ("sparse", dense.to_sparse())] {
                for penalty in PENALTIES {
                    let name = format!("{classes} classes, {form}, {penalty:?}");
                    let lower = LogisticRegression::new(&table, penalty).unwrap();
                    let p = lower.theta_len();
                    $test(&name, &lower, p);
                }
                let name = format!("{classes} classes, {form}, hyper-cleaning");
                let lower = HyperCleaning::new(&table, 0.05).unwrap();
                $test(&name, &lower, $samples);
            }
        }
    };
}

fn check<E: Element, P: LowerLevel<Theta = Vec<f64>, X = Vec<E>>>(name: &str, lower: &P, p: usize) {
    for (seed, shift) in [(1, -1.0), (2, 0.5)] {
        let x = cast(&random(lower.start().len(), seed));
        let mut theta = random(p, seed + 10);
        theta.iter_mut().for_each(|t| *t += shift);
        let checker = Checker {
            seed,
            ..Checker::default()
        };
        let report = checker.lower(lower, &x, &theta);
        assert!(report.passed(), "{} {name}\n{report}", E::NAME);
        for expected in [
            "curvature: L_A",
            "curvature: L_B",
            "curvature: ‖B‖",
            "hessian_change",
            "cross_change",
        ] {
            let found = report.checks.iter().any(|c| c.name == expected);
            assert!(found, "{name}: {expected} was not tested");
        }
    }
}

#[test]
fn derivatives_and_constants_of_every_problem_pass() {
    for_every_problem!(f64, 30, 13, check);
    for_every_problem!(f32, 30, 13, check);
}

#[test]
fn derivatives_of_the_cross_entropy_pass() {
    for classes in [2, 5] {
        let dense = table(30, 13, classes, 3);
        for table in [dense.clone(), dense.to_sparse()] {
            for upper in [
                CrossEntropy::new(&table).unwrap(),
                CrossEntropy::multinomial(&table).unwrap(),
            ] {
                let len = 13
                    * if upper.identity().contains("1 scores") {
                        1
                    } else {
                        classes
                    };
                let report = bilevel::check_upper(&upper, &random(len, 4), &vec![0.0]);
                assert!(report.passed(), "{report}");
            }
        }
    }
}

/// The results of a problem on a batch: ∇ₓg, ∇θg, A v and Bᵀv.
fn on_batch<E: Element, P: MinibatchLower<Theta = Vec<f64>, X = Vec<E>>>(
    lower: &P,
    batch: Batch<'_>,
    p: usize,
) -> [Vec<f64>; 4] {
    let n = lower.start().len();
    let (x, v) = (cast(&random(n, 5)), cast(&random(n, 6)));
    let theta = random(p, 7);
    let nan = || vec![E::from_f64(f64::NAN); n];
    let (mut gradient, mut hvp) = (nan(), nan());
    let (mut by_theta, mut cross) = (vec![f64::NAN; p], vec![f64::NAN; p]);
    lower.batch_gradient(batch, &x, &theta, &mut gradient);
    lower.batch_gradient_theta(batch, &x, &theta, &mut by_theta);
    lower.batch_hvp(batch, &x, &theta, &v, &mut hvp);
    lower.batch_cross_vjp(batch, &x, &theta, &v, &mut cross);
    let (mut g, mut h, mut c) = (nan(), nan(), vec![f64::NAN; p]);
    let products = Products {
        gradient: &mut g,
        hvp: &mut h,
        cross: &mut c,
    };
    lower.batch_all(batch, &x, &theta, &v, products);
    let scale = if E::NAME == "f32" { 1e-5 } else { 1e-14 };
    for (a, b) in [
        (gradient.to_f64(), g.to_f64()),
        (hvp.to_f64(), h.to_f64()),
        (cross.clone(), c),
    ] {
        assert!(distance(&a, &b) <= scale * (1.0 + a.norm()), "batch_all");
    }
    [gradient.to_f64(), by_theta, hvp.to_f64(), cross]
}

/// The largest relative distance.
fn apart(a: &[Vec<f64>; 4], b: &[Vec<f64>; 4]) -> f64 {
    let distances = a.iter().zip(b);
    distances
        .map(|(a, b)| distance(a, b) / (1.0 + a.norm()))
        .fold(0.0, f64::max)
}

fn check_batches<P: MinibatchLower<Theta = Vec<f64>, X = Vec<f64>>>(
    name: &str,
    lower: &P,
    p: usize,
) {
    let samples = lower.samples();
    let whole = on_batch(lower, Batch::all(samples), p);
    let size = samples / 6;
    let mut order: Vec<usize> = (0..samples).collect();
    order.sort_by_key(|i| i.wrapping_mul(7919) % samples);
    let mut means = [vec![], vec![], vec![], vec![]];
    for (number, list) in order.chunks(size).enumerate() {
        let of_batch = on_batch(lower, Batch::List(list), p);
        for (mean, part) in means.iter_mut().zip(&of_batch) {
            mean.resize(part.len(), 0.0);
            mean.axpy(1.0 / 6.0, part);
        }
        let range: Vec<usize> = (number * size..(number + 1) * size).collect();
        let (start, end) = (number * size, (number + 1) * size);
        let by_range = on_batch(lower, Batch::Range { start, end }, p);
        let by_list = on_batch(lower, Batch::List(&range), p);
        assert_eq!(by_range, by_list, "{name}: a range is a list");
    }
    assert!(
        apart(&means, &whole) <= 1e-12,
        "{name}: {:e}",
        apart(&means, &whole)
    );
    // The whole is the level itself.
    let (n, theta) = (lower.start().len(), random(p, 7));
    let (x, v) = (random(n, 5), random(n, 6));
    let mut level = [vec![0.0; n], whole[1].clone(), vec![0.0; n], vec![0.0; p]];
    lower.gradient(&x, &theta, &mut level[0]);
    let at = lower.linearize(&x, &theta);
    bilevel::Linearization::hvp(&at, &v, &mut level[2]);
    bilevel::Linearization::cross_vjp(&at, &v, &mut level[3]);
    assert!(apart(&level, &whole) <= 1e-14, "{name}: the whole");
    // ∇θg is the derivative of g.
    let u = random(p, 8);
    let along = |t: f64| {
        let mut there = theta.clone();
        there.axpy(t, &u);
        lower.value(&x, &there)
    };
    let difference = (along(1e-5) - along(-1e-5)) / 2e-5;
    let exact = whole[1].dot(&u);
    assert!(
        (difference - exact).abs() <= 1e-8 * (1.0 + exact.abs()),
        "{name}: {difference} {exact}"
    );
}

#[test]
fn batches_agree_with_each_other_and_with_the_whole() {
    for_every_problem!(f64, 90, 13, check_batches);
    for_every_problem!(f64, 84, 16, check_batches);
}

#[test]
fn sparse_agrees_with_dense_f32_with_f64_and_two_classes_with_a_sign() {
    for classes in [2, 5] {
        let dense = table(90, 21, classes, 5);
        let batch = Batch::Range { start: 3, end: 61 };
        for penalty in PENALTIES {
            let of = |t: &LabelledData<f64>| {
                let lower = LogisticRegression::new(t, penalty).unwrap();
                on_batch(&lower, batch, lower.theta_len())
            };
            let reference = of(&dense);
            assert!(apart(&of(&dense.to_sparse()), &reference) <= 1e-13);
            let single = LogisticRegression::new(&dense.cast::<f32>(), penalty).unwrap();
            let single = on_batch(&single, batch, single.theta_len());
            assert!(
                apart(&single, &reference) <= 1e-4,
                "{:e}",
                apart(&single, &reference)
            );
        }
        let of = |t: &LabelledData<f64>| on_batch(&HyperCleaning::new(t, 0.1).unwrap(), batch, 90);
        assert!(apart(&of(&dense.to_sparse()), &of(&dense)) <= 1e-13);
        let single = HyperCleaning::new(&dense.cast::<f32>(), 0.1).unwrap();
        assert!(apart(&on_batch(&single, batch, 90), &of(&dense)) <= 1e-4);
    }
    // With scores 0 and z the softmax is the sigmoid.
    let two = table(40, 6, 2, 1);
    let binary = CrossEntropy::new(&two).unwrap();
    let multinomial = CrossEntropy::multinomial(&two).unwrap();
    let x = random(6, 2);
    let both: Vec<f64> = x.iter().flat_map(|&x| [0.0, x]).collect();
    let (a, b) = (binary.value(&x, &vec![]), multinomial.value(&both, &vec![]));
    assert!((a - b).abs() <= 1e-14 * a);
    assert_eq!(binary.accuracy(&x), multinomial.accuracy(&both));
}

#[test]
fn values_on_batches_average_to_the_value() {
    for classes in [2, 5] {
        let table = table(90, 13, classes, 2);
        let upper = CrossEntropy::new(&table).unwrap();
        let lower = LogisticRegression::new(&table, Penalty::Single).unwrap();
        let (x, theta) = (random(lower.start().len(), 1), vec![0.3]);
        let (mut mean, mut by_x) = (0.0, x.zeros_like());
        for start in (0..90).step_by(30) {
            let batch = Batch::Range {
                start,
                end: start + 30,
            };
            mean += upper.batch_value(batch, &x, &theta) / 3.0;
            let (mut g, mut t) = (x.clone(), vec![f64::NAN]);
            upper.batch_gradients(batch, &x, &theta, &mut g, &mut t);
            assert_eq!(t, [0.0]);
            by_x.axpy(1.0 / 3.0, &g);
        }
        let mut whole = x.zeros_like();
        upper.gradient_x(&x, &theta, &mut whole);
        assert!((mean - upper.value(&x, &theta)).abs() <= 1e-13);
        assert!(distance(&whole, &by_x) <= 1e-13);
        // On the training samples the lower level is the upper one with a penalty.
        let penalty = 0.5 * 0.3f64.exp() * x.dot(&x);
        assert!((lower.value(&x, &theta) - upper.value(&x, &theta) - penalty).abs() <= 1e-12);
    }
}

#[test]
fn results_are_the_same_bits_on_any_number_of_threads() {
    // Enough samples for several parts.
    for (classes, columns) in [(2, 60), (5, 40)] {
        let dense = table(9_000, columns, classes, 1);
        for table in [dense.clone(), dense.to_sparse()] {
            let lower = HyperCleaning::new(&table, 0.1).unwrap();
            let run = |threads| {
                parallel::with_threads(threads, || {
                    let batch = on_batch(&lower, Batch::all(9_000), 9_000);
                    let x = random(lower.start().len(), 5);
                    (batch, lower.value(&x, &random(9_000, 2)).to_bits())
                })
                .unwrap()
            };
            assert_eq!(run(1), run(2));
            assert_eq!(run(1), run(5));
        }
    }
}

#[test]
fn problems_that_do_not_fit_are_refused() {
    let train = table(20, 4, 3, 0);
    let lower = LogisticRegression::new(&train, Penalty::PerClass).unwrap();
    let refused = lower.check(&vec![0.0; 4]).unwrap_err().to_string();
    assert!(refused.contains("expected 3") && refused.contains("each class"));
    assert!(lower.check(&vec![f64::NAN; 3]).is_err());
    assert!(lower.check(&vec![1e3; 3]).is_err());
    let cleaning = HyperCleaning::new(&train, 1.0).unwrap();
    assert!(cleaning.check(&vec![0.0; 19]).is_err());
    assert!(cleaning.check(&vec![f64::NAN; 20]).is_err());
    assert!(cleaning.check(&vec![1e3; 20]).is_ok());
    for other in [table(20, 5, 3, 0), table(20, 4, 2, 0)] {
        assert!(logistic_regression(&train, &other, Penalty::Single).is_err());
        assert!(hyper_cleaning(&train, &other, 1.0).is_err());
    }
    let huge = LabelledData::dense(1, vec![1e200; 2], vec![0, 1], 2).unwrap();
    assert!(LogisticRegression::new(&huge, Penalty::Single).is_err());
    // The data are part of what a checkpoint knows a problem by.
    let identity = |t: &LabelledData<f64>| HyperCleaning::new(t, 1.0).unwrap().identity();
    assert_ne!(identity(&train), identity(&train.shuffled(1)));
}
