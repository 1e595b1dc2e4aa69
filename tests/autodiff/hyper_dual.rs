//! Every function of [`Scalar`] beside its formula in the hyper-dual numbers of num-dual: value, gradient and second derivatives.

use bilevel::autodiff::{Dual, Scalar, Var};
use num_dual::{DualNum, HyperDual64};

use super::functions::{dual, swept};

/// A function in our numbers and in theirs.
trait Formula {
    const NAME: &'static str;
    /// How far from each other they may be, relative to the derivative.
    const TOLERANCE: f64;
    fn ours<S: Scalar>(x: &[S]) -> S;
    fn theirs(x: &[HyperDual64]) -> HyperDual64;
}

fn near(name: &str, ours: f64, theirs: f64, tolerance: f64, x: &[f64]) {
    let scale = ours.abs().max(theirs.abs()).max(1e-300);
    let equal = ours == theirs || (ours - theirs).abs() <= tolerance * scale;
    assert!(equal, "{name} at {x:?}: {ours:e}, not {theirs:e}");
}

/// A formula as the only term of a sum: in jets.
fn in_jets<F: Formula, S: Scalar>(x: &[S]) -> S {
    match *x {
        [a] => S::sum_each([&[a]], [], |x, []| F::ours(&x)),
        [a, b] => S::sum_each([&[a], &[b]], [], |x, []| F::ours(&x)),
        [a, b, c] => S::sum_each([&[a], &[b], &[c]], [], |x, []| F::ours(&x)),
        _ => unreachable!(),
    }
}

/// All derivatives up to the second, from dual numbers and from a tape over them, of a formula by itself and in jets.
fn check<F: Formula>(points: &[&[f64]]) {
    check_of::<F>(points, F::ours, F::ours, F::ours, F::ours);
    check_of::<F>(
        points,
        in_jets::<F, _>,
        in_jets::<F, _>,
        in_jets::<F, _>,
        in_jets::<F, _>,
    );
}

type Twice = Var<Dual<f64>>;

fn check_of<F: Formula>(
    points: &[&[f64]],
    plain: fn(&[f64]) -> f64,
    of_dual: fn(&[Dual<f64>]) -> Dual<f64>,
    of_tape: fn(&[Var<f64>]) -> Var<f64>,
    of_dual_tape: fn(&[Twice]) -> Twice,
) {
    for &x in points {
        let n = x.len();
        let unit = |k: usize| -> Vec<f64> { (0..n).map(|i| f64::from(u8::from(i == k))).collect() };
        let (value, _) = swept(x, of_tape);
        for j in 0..n {
            let (result, gradient) = swept(&dual(x, &unit(j)), of_dual_tape);
            let forward = of_dual(&dual(x, &unit(j)));
            for (i, adjoint) in gradient.iter().enumerate() {
                let numbers = (0..n).map(|k| {
                    let one = |at: usize| f64::from(u8::from(k == at));
                    HyperDual64::new(x[k], one(i), one(j), 0.0)
                });
                let exact = F::theirs(&numbers.collect::<Vec<_>>());
                let near = |what: &str, ours: f64, theirs: f64| {
                    let name = format!("{what} {i} {j} of {}", F::NAME);
                    near(&name, ours, theirs, F::TOLERANCE, x);
                };
                near("value", plain(x), exact.re);
                near("value", value, exact.re);
                near("value", result.re, exact.re);
                near("value", forward.re, exact.re);
                near("tangent", result.eps, exact.eps2);
                near("tangent", forward.eps, exact.eps2);
                near("adjoint", adjoint.re, exact.eps1);
                near("second derivative", adjoint.eps, exact.eps1eps2);
            }
        }
    }
}

/// Defines formulas, each of which is checked at its points.
macro_rules! formulas {
    ($($test:ident($x:ident) to $tolerance:expr, at $points:expr => $ours:expr, $theirs:expr;)*) => {
        $(
            #[test]
            fn $test() {
                struct This;
                impl Formula for This {
                    const NAME: &'static str = stringify!($test);
                    const TOLERANCE: f64 = $tolerance;
                    fn ours<S: Scalar>($x: &[S]) -> S {
                        $ours
                    }
                    fn theirs($x: &[HyperDual64]) -> HyperDual64 {
                        $theirs
                    }
                }
                check::<This>($points);
            }
        )*
    };
}

const ANY: &[&[f64]] = &[&[0.7], &[-1.3], &[0.0], &[3.9], &[-11.0]];
const MODERATE: &[&[f64]] = &[&[0.7], &[-1.3], &[0.0], &[3.0], &[-2.2]];
const FAR: &[&[f64]] = &[
    &[0.7],
    &[-1.3],
    &[0.0],
    &[40.0],
    &[-40.0],
    &[700.0],
    &[-700.0],
];
const POSITIVE: &[&[f64]] = &[&[0.7], &[1.3], &[1e-3], &[40.0], &[700.0]];
const PAIRS: &[&[f64]] = &[&[0.7, -1.2], &[-3.0, 0.4], &[40.0, 700.0], &[-2.0, -2.0]];
const TRIPLES: &[&[f64]] = &[
    &[0.7, -1.2, 0.3],
    &[0.0, 0.0, 0.0],
    &[40.0, -40.0, 39.0],
    &[700.0, -700.0, 699.0],
    &[-700.0, -701.0, -699.5],
    &[1e5, 1e5 - 1.0, -1e5],
];

fn constant(c: f64) -> HyperDual64 {
    HyperDual64::from(c)
}

/// 1/(1 + e⁻ˣ), in the form that does not overflow at x.
fn sigmoid(x: HyperDual64) -> HyperDual64 {
    if x.re < 0.0 {
        let e = x.exp();
        e / (e + 1.0)
    } else {
        ((-x).exp() + 1.0).recip()
    }
}

fn softplus(x: HyperDual64) -> HyperDual64 {
    if x.re < 0.0 {
        x.exp().ln_1p()
    } else {
        x + (-x).exp().ln_1p()
    }
}

/// exp(xₖ − m)/Σ exp(xⱼ − m), for the largest value m.
fn share(x: &[HyperDual64], k: usize) -> HyperDual64 {
    let m = x.iter().fold(f64::NEG_INFINITY, |m, x| m.max(x.re));
    let sum = x.iter().fold(constant(0.0), |s, &x| s + (x - m).exp());
    (x[k] - m).exp() / sum
}

fn log_sum_exp(x: &[HyperDual64]) -> HyperDual64 {
    let m = x.iter().fold(f64::NEG_INFINITY, |m, x| m.max(x.re));
    let sum = x.iter().fold(constant(0.0), |s, &x| s + (x - m).exp());
    sum.ln() + m
}

formulas! {
    exp(x) to 1e-14, at FAR => x[0].exp(), x[0].exp();
    ln(x) to 1e-14, at POSITIVE => x[0].ln(), x[0].ln();
    sqrt(x) to 1e-14, at POSITIVE => x[0].sqrt(), x[0].sqrt();
    inverse_sqrt(x) to 1e-14, at POSITIVE => x[0].inverse_sqrt(), x[0].sqrt().recip();
    squared(x) to 1e-14, at FAR => x[0].squared(), x[0] * x[0];
    powf(x) to 1e-13, at POSITIVE => x[0].powf(1.7), x[0].powf(1.7);
    powf_negative(x) to 1e-13, at POSITIVE => x[0].powf(-0.5), x[0].powf(-0.5);
    powf_cubic(x) to 1e-13, at FAR => x[0].powf(3.0), x[0] * x[0] * x[0];
    powf_linear(x) to 1e-14, at FAR => x[0].powf(1.0), x[0];
    powf_none(x) to 1e-14, at FAR => x[0].powf(0.0), x[0] * 0.0 + 1.0;
    tanh(x) to 1e-12, at MODERATE => x[0].tanh(), x[0].tanh();
    sigmoids(x) to 1e-13, at FAR => x[0].sigmoid(), sigmoid(x[0]);
    softpluses(x) to 1e-13, at FAR => x[0].softplus(), softplus(x[0]);
    atan(x) to 1e-13, at FAR => x[0].atan(), x[0].atan();
    sin(x) to 1e-14, at ANY => x[0].sin(), x[0].sin();
    cos(x) to 1e-14, at ANY => x[0].cos(), x[0].cos();
    negative(x) to 0.0, at FAR => -x[0], -x[0];
    plus_and_times(x) to 0.0, at FAR => x[0].plus(2.5).times(-3.0), (x[0] + 2.5) * -3.0;
    sum_and_difference(x) to 0.0, at PAIRS => x[0] + x[1] - x[0].times(2.0), x[0] + x[1] - x[0] * 2.0;
    product(x) to 1e-15, at PAIRS => x[0] * x[1], x[0] * x[1];
    quotient(x) to 1e-14, at PAIRS => x[0] / x[1], x[0] / x[1];
    of_itself(x) to 1e-14, at PAIRS => x[0] * x[0] * x[0] / x[1], x[0] * x[0] * x[0] / x[1];
    larger(x) to 0.0, at PAIRS => x[0].max(x[1]) * x[0], if x[1].re > x[0].re { x[1] * x[0] } else { x[0] * x[0] };
    clamped_inside(x) to 0.0, at ANY => x[0].clamp(-100.0, 100.0) * x[0], x[0] * x[0];
    clamped_above(x) to 0.0, at ANY => x[0].clamp(-200.0, -100.0) * x[0], x[0] * -100.0;
    clamped_below(x) to 0.0, at ANY => x[0].clamp(100.0, 200.0) * x[0], x[0] * 100.0;
    assigned(x) to 1e-14, at PAIRS => {
        let mut y = x[0];
        y += x[1];
        y *= x[0];
        y -= x[1];
        y
    }, (x[0] + x[1]) * x[0] - x[1];
    sum(x) to 1e-14, at TRIPLES => S::sum(x), x[0] + x[1] + x[2];
    dot(x) to 1e-14, at TRIPLES => S::dot(x, &[x[1], x[2], x[0]]), x[0] * x[1] + x[1] * x[2] + x[2] * x[0];
    dot_of_itself(x) to 1e-14, at TRIPLES => S::dot(x, x), x[0] * x[0] + x[1] * x[1] + x[2] * x[2];
    dot_data(x) to 1e-14, at TRIPLES => S::dot_data(x, &[2.0, -1.0, 0.5]), x[0] * 2.0 - x[1] + x[2] * 0.5;
    mat_vec(x) to 1e-13, at TRIPLES => {
        let mut y = [S::constant(0.0); 2];
        S::mat_vec(&[x[0], x[1], x[2], x[0]], &[x[1], x[2]], &mut y);
        y[0] * y[1]
    }, (x[0] * x[1] + x[1] * x[2]) * (x[2] * x[1] + x[0] * x[2]);
    mat_data(x) to 1e-14, at TRIPLES => {
        let mut y = [S::constant(0.0); 2];
        S::mat_data(&[x[0], x[1], x[2], x[0]], &[3.0, -2.0], &mut y);
        y[0] * y[1]
    }, (x[0] * 3.0 - x[1] * 2.0) * (x[2] * 3.0 - x[0] * 2.0);
    mapped(x) to 1e-13, at TRIPLES => {
        let mut y = [S::constant(0.0); 3];
        S::map(x, bilevel::autodiff::scalar::sigmoid, &mut y);
        y[0] * y[1] + y[2]
    }, sigmoid(x[0]) * sigmoid(x[1]) + sigmoid(x[2]);
    scaled(x) to 1e-14, at TRIPLES => {
        let mut y = [S::constant(0.0); 2];
        S::scaled(&x[1..], x[0], &mut y);
        y[0] * y[1]
    }, x[1] * x[0] * x[2] * x[0];
    sum_of_terms(x) to 1e-12, at TRIPLES => {
        S::sum_each([&x[..2], &x[1..], &x[..1]], [&[0.5, -2.0]], |[a, b, c], [d]| {
            (a * b / (c.squared().plus(1.0))).times(d).atan() - c.plus(d)
        })
    }, {
        let term = |a: HyperDual64, b: HyperDual64, d: f64| {
            (a * b / (x[0] * x[0] + 1.0) * d).atan() - (x[0] + d)
        };
        term(x[0], x[1], 0.5) + term(x[1], x[2], -2.0)
    };
    largest_exponential(x) to 1e-12, at TRIPLES => S::log_sum_exp(x), log_sum_exp(x);
    first_share(x) to 1e-12, at TRIPLES => share_of(x, 0), share(x, 0);
    last_share(x) to 1e-12, at TRIPLES => share_of(x, 2), share(x, 2);
    products_of_shares(x) to 1e-12, at TRIPLES => share_of(x, 2) * share_of(x, 0), share(x, 2) * share(x, 0);
}

fn share_of<S: Scalar>(x: &[S], k: usize) -> S {
    let mut shares = [S::constant(0.0); 3];
    S::softmax(x, &mut shares);
    shares[k]
}

/// 1 − tanh² is as exact as 1 is, not as the small slope is.
#[test]
fn tanh_is_exact_to_a_rounding_of_one() {
    for x in [5.0f64, -11.0, 19.0, 40.0, -700.0] {
        let e = (-2.0 * x.abs()).exp();
        let slope = 4.0 * e / (1.0 + e).powi(2);
        let theirs = [x.tanh(), slope, slope, -2.0 * x.tanh() * slope];
        let (value, gradient) = swept(&dual(&[x], &[1.0]), |x| x[0].tanh());
        let ours = [value.re, value.eps, gradient[0].re, gradient[0].eps];
        for (a, b) in ours.iter().zip(theirs) {
            assert!((a - b).abs() <= 1e-15, "{x}: {ours:?} {theirs:?}");
        }
    }
}

/// The true values are finite there, be it that they are 0 or x itself.
#[test]
fn nothing_overflows_far_out() {
    for x in [-1e308, -1e9, -750.0, -700.0, 700.0, 750.0, 1e9, 1e308] {
        for of in [
            |x: Dual<f64>| x.sigmoid(),
            |x: Dual<f64>| x.softplus(),
            |x: Dual<f64>| x.tanh(),
            |x: Dual<f64>| x.atan(),
            |x: Dual<f64>| Dual::log_sum_exp(&[x, Dual::new(0.0, 0.0)]),
            |x: Dual<f64>| share_of(&[x, Dual::new(1.0, 0.0), -x], 1),
        ] {
            let y = of(Dual::new(x, 1.0));
            assert!(y.re.is_finite() && y.eps.is_finite(), "{x:e}: {y:?}");
        }
        for phi in [
            bilevel::autodiff::scalar::sigmoid,
            bilevel::autodiff::scalar::softplus,
            bilevel::autodiff::scalar::tanh,
            bilevel::autodiff::scalar::atan,
        ] {
            assert!(phi(x).iter().all(|d| d.is_finite()), "{x:e}: {:?}", phi(x));
        }
    }
    // In single precision, whose exponential overflows at 89.
    for x in [-1e38f32, -100.0, 100.0, 1e38] {
        let mut shares = [0.0f32; 2];
        f32::softmax(&[x, 1.0], &mut shares);
        assert!(shares.iter().all(|s| s.is_finite()));
        assert!(f32::log_sum_exp(&[x, 0.0]).is_finite() && x.softplus().is_finite());
    }
}
