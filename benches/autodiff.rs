//! The cost of automatic differentiation: gradients and Hessian products that are written by hand, that come from gradients over
//! `Number`, and from a loss over `Scalar`. `cargo bench -p bilevel-benches --bench autodiff`, on one thread.
//!
//! Multinomial regression and hyper-cleaning of 5,000 images of Fashion-MNIST (784 features, ten classes), on batches of 64 and of
//! all, and TV denoising of an image of 256×256.

#![allow(clippy::unwrap_used)] // a benchmark may panic

use bilevel::autodiff::{Gradients, Lower, Real, SampleLoss, Taped};
use bilevel::problem::minibatch::{Batch, MinibatchLower};
use bilevel::{Linearization, LowerLevel, Vector, parallel};
use bilevel_problems::Lanes;
use bilevel_problems::data::{fashion_mnist, photograph, resized};
use bilevel_problems::imaging::{Norm, TvDenoising};
use bilevel_problems::linear::hyper_cleaning::HyperCleaning;
use bilevel_problems::linear::logistic::{LogisticRegression, Penalty};
use std::time::Instant;

#[path = "levels"]
mod levels {
    pub(crate) mod linear;
    pub(crate) mod tv;
}
use levels::linear::{CLASSES, FEATURES, Linear, Theta};
use levels::tv::Tv;

const ROUNDS: usize = 21;

/// Seconds of a call, over as many calls as take a few milliseconds.
fn seconds(calls: usize, work: &mut dyn FnMut()) -> f64 {
    let clock = Instant::now();
    for _ in 0..calls {
        work();
    }
    clock.elapsed().as_secs_f64() / calls as f64
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Prints the median time of the first and the median ratios of the others to it, round by round. `cargo bench -p bilevel-benches --bench autodiff -- TV` times what
/// has this in its name.
fn compare(name: &str, mut works: [&mut dyn FnMut(); 3]) {
    let filter = std::env::args().skip(1).find(|a| !a.starts_with('-'));
    if !name.contains(&filter.unwrap_or_default()) {
        works.iter_mut().for_each(|work| work());
        return;
    }
    let mut all: [Vec<f64>; 3] = Default::default();
    let calls = works
        .each_mut()
        .map(|work| ((5e-3 / seconds(1, *work).max(1e-7)) as usize).clamp(1, 1000));
    for _ in 0..ROUNDS {
        for ((work, calls), times) in works.iter_mut().zip(calls).zip(&mut all) {
            times.push(seconds(calls, *work));
        }
    }
    let ratio = |k: usize| median(all[k].iter().zip(&all[0]).map(|(a, b)| a / b).collect());
    println!(
        "{name:<52} {:>10.1} µs {:>8.2} {:>8.2}",
        1e6 * median(all[0].clone()),
        ratio(1),
        ratio(2)
    );
}

/// Entries that depend on their place alone, about uniform in (−1, 1).
fn entry(i: usize) -> f64 {
    let bits = (i as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (bits >> 11) as f64 / (1u64 << 52) as f64 - 1.0
}

fn cast<E: Real>(numbers: &[f64]) -> Vec<E> {
    numbers.iter().map(|&n| E::from_f64(n)).collect()
}

/// Asserts that both agree to a few roundings, in the norm.
fn agree<E: Real>(name: &str, a: &[E], b: &[E]) {
    let difference = a
        .iter()
        .zip(b)
        .map(|(a, b)| (a.to_f64() - b.to_f64()).powi(2));
    let error = difference.sum::<f64>().sqrt() / a.to_vec().norm();
    assert!(error <= 1e3 * Vec::<E>::UNIT_ROUNDOFF, "{name}: {error:e}");
}

/// x of the shipped levels, feature after feature, in the order of ours, class after class.
fn by_class<E: Real>(x: &[E]) -> Vec<E> {
    let classes = (0..CLASSES).flat_map(|k| x[k..].iter().step_by(CLASSES));
    classes.copied().collect()
}

fn linear<E: Real + Lanes, P>(name: &str, shipped: &P, mine: &Linear<E>, theta: &Vec<f64>)
where
    P: MinibatchLower<Theta = Vec<f64>, X = Vec<E>>,
{
    let samples = MinibatchLower::samples(shipped);
    let second = Lower::<_, E>::new(mine.clone());
    let third = Lower::<_, E>::new(Taped::new(mine.clone()));
    let numbers = |scale: f64, at: usize| -> Vec<E> {
        let all: Vec<f64> = (0..FEATURES * CLASSES)
            .map(|i| scale * entry(i + at))
            .collect();
        cast(&all)
    };
    let (x, v) = (numbers(0.1, 0), numbers(1.0, 9));
    let (mine_x, mine_v) = (by_class(&x), by_class(&v));
    let [mut a, mut b, mut c] = [(); 3].map(|()| x.clone());
    let list: Vec<usize> = (0..64).map(|i| i * (samples / 64)).collect();
    for (kind, batch) in [
        ("64 listed", Batch::List(&list)),
        ("all", Batch::all(samples)),
    ] {
        let name = |what| format!("{name}, {}, {kind}, {what}", E::NAME);
        compare(
            &name("gradient"),
            [
                &mut || shipped.batch_gradient(batch, &x, theta, &mut a),
                &mut || second.batch_gradient(batch, &mine_x, theta, &mut b),
                &mut || third.batch_gradient(batch, &mine_x, theta, &mut c),
            ],
        );
        agree(&name("(b)"), &by_class(&a), &b);
        agree(&name("(c)"), &by_class(&a), &c);
        compare(
            &name("HVP"),
            [
                &mut || shipped.batch_hvp(batch, &x, theta, &v, &mut a),
                &mut || second.batch_hvp(batch, &mine_x, theta, &mine_v, &mut b),
                &mut || third.batch_hvp(batch, &mine_x, theta, &mine_v, &mut c),
            ],
        );
        agree(&name("(b)"), &by_class(&a), &b);
        agree(&name("(c)"), &by_class(&a), &c);
    }
    // One linearisation keeps what its products share; those of the other two keep nothing.
    let (shipped, second) = (
        shipped.linearize(&x, theta),
        second.linearize(&mine_x, theta),
    );
    let third = third.linearize(&mine_x, theta);
    compare(
        &format!("{name}, {}, all, HVP of a linearisation", E::NAME),
        [
            &mut || shipped.hvp(&v, &mut a),
            &mut || second.hvp(&mine_v, &mut b),
            &mut || third.hvp(&mine_v, &mut c),
        ],
    );
}

fn linear_models<E: Real + Lanes>() {
    let train = fashion_mnist().unwrap().0.cast::<E>();
    let samples = train.samples();
    let theta: Vec<f64> = (0..FEATURES).map(|i| -3.0 + entry(i)).collect();
    let shipped = LogisticRegression::new(&train, Penalty::PerFeature).unwrap();
    let mine = Linear::new(&train, Theta::Penalties);
    linear("regression", &shipped, &mine, &theta);
    let theta: Vec<f64> = (0..samples).map(entry).collect();
    let shipped = HyperCleaning::new(&train, 1e-3).unwrap();
    let mine = Linear::new(&train, Theta::Samples(1e-3));
    linear("hyper-cleaning", &shipped, &mine, &theta);
}

fn image<E: Real + Lanes>() {
    let noisy = resized(&photograph("camera").unwrap(), 256).unwrap();
    let noisy = noisy.with_noise(0.1, 0, 0).cast::<E>();
    let shipped = TvDenoising::new(&noisy, Norm::Isotropic).unwrap();
    let mine = Tv::new(&noisy);
    let (second, third) = (
        Lower::<_, E>::new(mine.clone()),
        Lower::<_, E>::new(Taped::new(mine)),
    );
    let theta = vec![-2.0, -4.0];
    let x = noisy.pixels().to_vec();
    let v: Vec<E> = cast(&(0..x.len()).map(entry).collect::<Vec<_>>());
    let [mut a, mut b, mut c] = [(); 3].map(|()| x.clone());
    let name = |what| format!("TV, {}, 256×256, {what}", E::NAME);
    compare(
        &name("gradient"),
        [
            &mut || shipped.gradient(&x, &theta, &mut a),
            &mut || second.gradient(&x, &theta, &mut b),
            &mut || third.gradient(&x, &theta, &mut c),
        ],
    );
    agree(&name("(b)"), &a, &b);
    agree(&name("(c)"), &a, &c);
    compare(
        &name("HVP, with the linearisation"),
        [
            &mut || shipped.linearize(&x, &theta).hvp(&v, &mut a),
            &mut || second.linearize(&x, &theta).hvp(&v, &mut b),
            &mut || third.linearize(&x, &theta).hvp(&v, &mut c),
        ],
    );
    agree(&name("(b)"), &a, &b);
    agree(&name("(c)"), &a, &c);
    let shipped = shipped.linearize(&x, &theta);
    let (second, third) = (second.linearize(&x, &theta), third.linearize(&x, &theta));
    compare(
        &name("HVP of a linearisation"),
        [
            &mut || shipped.hvp(&v, &mut a),
            &mut || second.hvp(&v, &mut b),
            &mut || third.hvp(&v, &mut c),
        ],
    );
}

fn main() {
    println!(
        "{:<52} {:>13} {:>8} {:>8}",
        "median, and median of paired ratios", "by hand", "(b)", "(c)"
    );
    let all = || {
        linear_models::<f64>();
        linear_models::<f32>();
        image::<f64>();
        image::<f32>();
    };
    parallel::with_threads(1, all).unwrap();
}
