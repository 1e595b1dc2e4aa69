//! Random formulas: the gradient that a tape sweeps is that of dual numbers.

use bilevel::autodiff::scalar::{sigmoid, softplus};
use bilevel::autodiff::{Dual, Scalar};
use proptest::prelude::*;

use super::functions::{dual, swept};

const INPUTS: usize = 4;

/// A step: which function, of which earlier results, with a constant.
type Step = (u8, usize, usize, f64);

/// The results of the steps one after the other, each of moderate size; the sum of the last ones.
fn formula<S: Scalar>(x: &[S], steps: &[Step]) -> S {
    let mut all = x.to_vec();
    for &(kind, a, b, c) in steps {
        let (a, b) = (a % all.len(), b % all.len());
        let (first, last) = (a.min(b), a.max(b));
        let (x, y) = (all[a], all[b]);
        // A slice that lies side by side, and one that does not, with an entry twice.
        let slice = &all[first..=last];
        let listed = [y, x, y];
        let mut out = vec![S::constant(0.0); slice.len()];
        let mut two = [S::constant(0.0); 2];
        let next = match kind {
            0 => x + y.times(c),
            1 => x - y,
            2 => x * y,
            3 => x / y.squared().plus(0.5),
            4 => x.plus(c).exp(),
            5 => x.squared().plus(0.1).ln(),
            6 => x.squared().plus(0.2).sqrt(),
            7 => x.squared().plus(0.3).powf(c),
            8 => x.sin() + y.cos(),
            9 => x.sigmoid() * y.softplus(),
            10 => x.atan(),
            11 => S::sum(slice),
            12 => S::dot(slice, slice),
            13 => S::dot(&listed, &[x, x, y]),
            14 => S::log_sum_exp(slice),
            15 => S::log_sum_exp(&listed),
            16 => {
                S::softmax(slice, &mut out);
                out[0]
            }
            17 => {
                S::map(slice, if c > 0.0 { sigmoid } else { softplus }, &mut out);
                out[slice.len() - 1]
            }
            18 => {
                S::scaled(slice, x, &mut out);
                S::sum(&out)
            }
            19 => {
                S::mat_vec(&[x, y, x, all[0]], &[y, all[1]], &mut two);
                two[0] - two[1]
            }
            20 => {
                S::mat_data(&[x, y, x, all[0]], &[c, 0.5], &mut two);
                two[0] * two[1]
            }
            21 => x.max(y),
            22 => x.clamp(-0.5, 0.5) + y,
            23 => S::sum_each([slice, &[y]], [&[c]], |[a, y], [c]| {
                (a * y).plus(c).sigmoid()
            }),
            24 => S::sum_each([&listed, &[x, x, y]], [&[1.0, c, -c]], |[a, b], [c]| {
                a / (b.squared() + a.squared()).plus(0.4).sqrt() * b.times(c).tanh()
            }),
            _ => S::dot_data(&listed, &[c, 1.0, -c]),
        };
        // Nothing grows out of bounds, whatever follows.
        all.push(next.tanh());
    }
    S::sum(&all[all.len().saturating_sub(3)..])
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec((0u8..26, 0usize..64, 0usize..64, -1.5..1.5f64), 1..30)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn a_tape_agrees_with_dual_numbers(
        x in prop::collection::vec(-2.0..2.0f64, INPUTS),
        v in prop::collection::vec(-1.0..1.0f64, INPUTS),
        steps in steps(),
    ) {
        let (value, gradient) = swept(&x, |x| formula(x, &steps));
        let plain = formula(&x, &steps);
        prop_assert!((value - plain).abs() <= 1e-13 * plain.abs().max(1.0));
        // Component by component, and along v. Terms of size 1 may cancel.
        let mut along = 0.0;
        let norm = gradient.iter().map(|g| g * g).sum::<f64>().sqrt().max(1.0);
        for k in 0..INPUTS {
            let mut unit = [0.0; INPUTS];
            unit[k] = 1.0;
            let forward: Dual<f64> = formula(&dual(&x, &unit), &steps);
            let error = (forward.eps - gradient[k]).abs();
            prop_assert!(error <= 1e-12 * norm, "{k}: {} {}", forward.eps, gradient[k]);
            along += gradient[k] * v[k];
        }
        let forward: Dual<f64> = formula(&dual(&x, &v), &steps);
        prop_assert!((forward.eps - along).abs() <= 1e-12 * norm);
        // The value of a tape over dual numbers is that of dual numbers, and its adjoints are those of a tape over real ones.
        let (result, adjoints) = swept(&dual(&x, &v), |x| formula(x, &steps));
        prop_assert!((result.eps - forward.eps).abs() <= 1e-12 * norm);
        for (a, g) in adjoints.iter().zip(&gradient) {
            prop_assert!((a.re - g).abs() <= 1e-12 * norm);
        }
    }
}
