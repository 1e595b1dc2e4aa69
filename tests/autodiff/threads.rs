//! The bits of a taped loss do not depend on the number of threads.

use bilevel::autodiff::{Lower, Real, SampleLoss, Scalar, Taped};
use bilevel::parallel::with_threads;
use bilevel::problem::minibatch::{Batch, MinibatchLower, Products};
use bilevel::{Linearization, LowerLevel, Vector};

/// A small network, with weights of the samples and a penalty: x is 3 × 2 and 3 numbers.
struct Network;

const SAMPLES: usize = 203;

impl SampleLoss for Network {
    fn parameters(&self) -> usize {
        9
    }
    fn hyperparameters(&self) -> usize {
        SAMPLES + 1
    }
    fn samples(&self) -> usize {
        SAMPLES
    }
    fn loss<S: Scalar>(&self, x: &[S], theta: &[S], i: usize) -> S {
        let mut hidden = [S::constant(0.0); 3];
        let data = [(i as f64).sin(), (0.7 * i as f64).cos()];
        S::mat_data(&x[..6], &data, &mut hidden);
        let active = hidden.map(|h| h.tanh());
        let r = S::dot(&active, &x[6..]).plus(-(data[0] * data[1]));
        theta[i].sigmoid() * r.squared()
    }
    fn penalty<S: Scalar>(&self, x: &[S], theta: &[S]) -> S {
        theta[SAMPLES].exp() * S::dot(x, x)
    }
}

/// The bits of all that a level computes.
fn bits<E: Real>(batch: Batch<'_>) -> Vec<u64> {
    let level = Lower::<_, E>::new(Taped::new(Network));
    let numbers = |n: usize, f: f64| -> Vec<f64> { (0..n).map(|k| (f * k as f64).sin()).collect() };
    let x: Vec<E> = numbers(9, 1.3).into_iter().map(E::from_f64).collect();
    let v: Vec<E> = numbers(9, 0.4).into_iter().map(E::from_f64).collect();
    let (theta, u) = (numbers(SAMPLES + 1, 0.3), numbers(SAMPLES + 1, 0.9));
    let [mut gradient, mut hvp, mut jvp] = [(); 3].map(|()| x.clone());
    let [mut cross, mut by_theta, mut vjp] = [(); 3].map(|()| theta.clone());
    let products = Products {
        gradient: &mut gradient,
        hvp: &mut hvp,
        cross: &mut cross,
    };
    level.batch_all(batch, &x, &theta, &v, products);
    level.batch_gradient_theta(batch, &x, &theta, &mut by_theta);
    level.linearize(&x, &theta).cross_jvp(&u, &mut jvp);
    level.linearize(&x, &theta).cross_vjp(&v, &mut vjp);
    let mut all = vec![level.value(&x, &theta)];
    for part in [gradient, hvp, jvp] {
        all.extend(part.to_f64());
    }
    for part in [cross, by_theta, vjp] {
        all.extend(part);
    }
    assert!(all.iter().all(|a| a.is_finite()));
    all.iter().map(|a| a.to_bits()).collect()
}

#[test]
fn results_have_the_same_bits_on_any_number_of_threads() {
    let list: Vec<usize> = (0..SAMPLES).step_by(2).collect();
    for batch in [Batch::all(SAMPLES), Batch::List(&list), Batch::List(&[5])] {
        let one = with_threads(1, || (bits::<f64>(batch), bits::<f32>(batch))).unwrap();
        for threads in [2, 5] {
            let more = with_threads(threads, || (bits::<f64>(batch), bits::<f32>(batch)));
            assert!(one == more.unwrap(), "{threads} threads");
        }
    }
}
