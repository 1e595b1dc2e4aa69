//! All functions of [`Scalar`] in one formula, against finite differences; and what the other tests share.

use bilevel::Vector;
use bilevel::autodiff::scalar::atan;
use bilevel::autodiff::{Dual, Number, Scalar, Tape, Var};

/// A formula with every function of [`Scalar`] in it.
fn everything<S: Scalar>(x: &[S]) -> S {
    let [a, b, c, d] = [x[0], x[1], x[2], x[3]];
    let mut out = [S::constant(0.0); 2];
    S::mat_vec(x, &[b, a], &mut out); // 2 × 2 times 2
    let mut shares = [S::constant(0.0); 3];
    S::softmax(&[a * b, c, d.sin()], &mut shares);
    let mut mapped = [S::constant(0.0); 2];
    S::map(&[c, a], atan, &mut mapped);
    let mut scaled = [S::constant(0.0); 4];
    S::scaled(x, b.cos(), &mut scaled);
    let mut products = [S::constant(0.0); 2];
    S::multiplied(&x[..2], &[d, b], &mut products);
    let mut sums = [S::constant(0.0); 2];
    S::added(&products, &[c, a], &mut sums);
    scaled[0] += sums[0] * sums[1];
    scaled[1] += scaled[0];
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

/// Value and gradient of a formula from a tape.
pub(super) fn swept<S: Number>(x: &[S], f: impl Fn(&[Var<S>]) -> Var<S>) -> (S, Vec<S>) {
    let mut tape = Tape::<S>::default();
    let leaves: Vec<Var<S>> = x.iter().map(|&x| tape.leaf(x)).collect();
    let mark = tape.mark();
    let result = tape.record(|| f(&leaves));
    *tape.adjoint_mut(result) += S::constant(1.0);
    tape.sweep(mark);
    let adjoints = leaves.iter().map(|&l| tape.adjoint(l)).collect();
    (tape.value(result), adjoints)
}

pub(super) fn dual(x: &[f64], v: &[f64]) -> Vec<Dual<f64>> {
    x.iter().zip(v).map(|(&x, &v)| Dual::new(x, v)).collect()
}

/// Value, gradient, and the derivative of the gradient along v, from a tape over dual numbers.
fn taped(x: &[f64], v: &[f64]) -> (f64, Vec<f64>, Vec<f64>) {
    let (value, gradient) = swept(&dual(x, v), everything);
    (
        value.re,
        gradient.iter().map(|a| a.re).collect(),
        gradient.iter().map(|a| a.eps).collect(),
    )
}

pub(super) fn close(a: &[f64], b: &[f64], tolerance: f64) {
    assert_eq!(a.len(), b.len());
    let (a, b) = (a.to_vec(), b.to_vec());
    let mut difference = a.clone();
    difference.axpy(-1.0, &b);
    let scale = a.norm().max(b.norm()).max(1e-300);
    assert!(difference.norm() <= tolerance * scale, "{a:?}\n{b:?}");
}

#[test]
fn every_function_agrees_with_finite_differences_in_both_orders() {
    let (value, gradient, along) = taped(&POINT, &ALONG);
    close(&[value], &[everything(&POINT)], 1e-14);
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
    let forward = everything(&dual(&POINT, &ALONG));
    let along: f64 = gradient.iter().zip(&ALONG).map(|(g, v)| g * v).sum();
    close(&[forward.eps], &[along], 1e-13);
}

#[test]
fn single_precision_agrees_with_double() {
    let single = POINT.map(|x| x as f32);
    let (value, gradient, along) = taped(&single.map(f64::from), &ALONG);
    let x: Vec<Dual<f32>> = single
        .iter()
        .zip(&ALONG)
        .map(|(&x, &v)| Dual::new(x, v as f32))
        .collect();
    let (of_f32, by_x) = swept(&x, everything);
    close(&[f64::from(of_f32.re)], &[value], 1e-5);
    let re: Vec<f64> = by_x.iter().map(|a| f64::from(a.re)).collect();
    close(&re, &gradient, 1e-5);
    let eps: Vec<f64> = by_x.iter().map(|a| f64::from(a.eps)).collect();
    close(&eps, &along, 1e-5);
    let (of_f32, by_x) = swept(&single, everything);
    close(&[f64::from(of_f32)], &[value], 1e-5);
    let plain: Vec<f64> = by_x.iter().map(|&a| f64::from(a)).collect();
    close(&plain, &gradient, 1e-5);
}

/// No derivative flows back through it; the tangent of a dual number stays.
#[test]
fn a_detached_number_is_a_constant_to_reverse_mode_alone() {
    let (value, gradient) = swept(&dual(&[3.0], &[1.0]), |x| x[0].detach() * x[0]);
    assert_eq!(value, Dual::new(9.0, 6.0));
    assert_eq!(gradient[0], Dual::new(3.0, 1.0));
    assert_eq!(Dual::new(3.0, 1.0).detach(), Dual::new(3.0, 1.0));
}

/// Adjoints flow to leaves from several recordings, and nothing else is kept.
#[test]
fn a_truncated_tape_keeps_the_adjoints_of_its_leaves() {
    let mut tape = Tape::<f64>::default();
    let x = tape.leaf(2.0);
    let mark = tape.mark();
    for power in [2.0, 3.0] {
        let y = tape.record(|| x.powf(power));
        *tape.adjoint_mut(y) = 1.0;
        tape.sweep(mark);
        tape.truncate(mark);
    }
    assert_eq!(tape.adjoint(x), 4.0 + 12.0);
    assert_eq!(tape.mark(), mark);
}
