//! The three rungs against each other, closed forms, finite differences and num-dual.

use bilevel::Vector;
use bilevel::problem::autodiff::{Dual, Scalar, Tape, Var};

/// A formula with every function of [`Scalar`] in it.
fn everything<S: Scalar>(x: &[S]) -> S {
    let [a, b, c, d] = [x[0], x[1], x[2], x[3]];
    let mut out = [S::constant(0.0); 2];
    S::mat_vec(x, &[b, a], &mut out); // 2 × 2 times 2
    let mut shares = [S::constant(0.0); 3];
    S::softmax(&[a * b, c, d.sin()], &mut shares);
    let mut mapped = [S::constant(0.0); 2];
    S::map(
        &[c, a],
        bilevel::problem::autodiff::scalar::atan,
        &mut mapped,
    );
    let mut scaled = [S::constant(0.0); 4];
    S::scaled(x, b.cos(), &mut scaled);
    let mut data = [S::constant(0.0); 2];
    S::mat_data(&x[..4], &[0.5, -2.0], &mut data);
    let mut total = S::log_sum_exp(&[out[0], out[1], data[0].times(0.3), data[1].tanh()]);
    total += shares[0] * shares[2] - mapped[1] / (mapped[0].squared().plus(1.0));
    total -= (scaled[3] * scaled[1]).sigmoid() + (-a).softplus();
    total *= S::sum(&[
        a.exp(),
        b.squared().plus(0.1).ln(),
        c.squared().plus(0.2).sqrt(),
    ]);
    total += d.squared().powf(1.3) * a.max(b) * c.clamp(-2.0, 2.0) + S::dot(&x[1..3], &x[..2]);
    total + S::dot_data(x, &[1.0, 2.0, 3.0, 4.0]).squared() * d.clamp(5.0, 6.0)
}

const POINT: [f64; 4] = [0.3, -0.7, 1.1, 0.6];
const ALONG: [f64; 4] = [0.5, 0.2, -0.4, 1.0];

/// Value, gradient, and the derivative of the gradient along [`ALONG`], from a tape over dual numbers.
fn taped(x: &[f64], v: &[f64]) -> (f64, Vec<f64>, Vec<f64>) {
    let mut tape = Tape::<Dual<f64>>::default();
    let leaves: Vec<Var<Dual<f64>>> = x
        .iter()
        .zip(v)
        .map(|(&x, &v)| tape.leaf(Dual::new(x, v)))
        .collect();
    let mark = tape.mark();
    let result = tape.record(|| everything(&leaves));
    tape.adjoint_mut(result).re = 1.0;
    tape.sweep(mark);
    let adjoints: Vec<Dual<f64>> = leaves.iter().map(|&l| tape.adjoint(l)).collect();
    (
        tape.value(result).re,
        adjoints.iter().map(|a| a.re).collect(),
        adjoints.iter().map(|a| a.eps).collect(),
    )
}

fn close(a: &[f64], b: &[f64], tolerance: f64) {
    let (a, b) = (a.to_vec(), b.to_vec());
    let mut difference = a.clone();
    difference.axpy(-1.0, &b);
    let scale = a.norm().max(b.norm()).max(1e-300);
    assert!(difference.norm() <= tolerance * scale, "{a:?}\n{b:?}");
}

#[test]
fn every_function_agrees_with_finite_differences_in_both_orders() {
    let (value, gradient, along) = taped(&POINT, &ALONG);
    assert_eq!(value, everything(&POINT));
    let h = 1e-5;
    let moved = |k: usize, t: f64| {
        let mut x = POINT;
        x[k] += t;
        everything(&x)
    };
    let difference: Vec<f64> = (0..4)
        .map(|k| (moved(k, h) - moved(k, -h)) / (2.0 * h))
        .collect();
    close(&gradient, &difference, 1e-9);
    let at = |t: f64| -> Vec<f64> {
        let x: Vec<f64> = POINT.iter().zip(&ALONG).map(|(x, v)| x + t * v).collect();
        taped(&x, &ALONG).1
    };
    let (ahead, behind) = (at(h), at(-h));
    let difference: Vec<f64> = ahead
        .iter()
        .zip(&behind)
        .map(|(a, b)| (a - b) / (2.0 * h))
        .collect();
    close(&along, &difference, 1e-8);
    let forward = everything(&std::array::from_fn::<_, 4, _>(|k| {
        Dual::new(POINT[k], ALONG[k])
    }));
    close(
        &[forward.eps],
        &[gradient.iter().zip(&ALONG).map(|(g, v)| g * v).sum()],
        1e-13,
    );
}
