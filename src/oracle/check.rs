//! A check of any oracle: its hypergradient against finite differences of its values.

use chacha20::ChaCha8Rng;
use chacha20::rand_core::SeedableRng;

use super::Oracle;
use crate::error::Error;
use crate::hypergradient::Accuracy;
use crate::problem::check::{CheckReport, Checker, random};
use crate::vector::Vector;

/// The accuracy of the compared values and hypergradient.
const ACCURACY: f64 = 1e-11;
/// Steps of the differences.
const STEPS: [f64; 4] = [1e-1, 1e-2, 1e-3, 1e-4];
/// The largest relative disagreement that passes: values are exact to about 10⁻¹¹ and differences of them, at the best step, to 10⁻⁶.
const TOLERANCE: f64 = 1e-4;

/// Compares ⟨z, u⟩ with (F(θ + tu) − F(θ − tu))/2t along random u of length 1, relative to ‖z‖; the best of several t counts.
///
/// It tests the derivatives of both levels, the solvers and the warm starts together. Where F has a kink near θ, as for the lasso, choose
/// another θ.
///
/// # Errors
/// Those of the oracle.
pub fn check_oracle<O: Oracle>(oracle: &O, theta: &O::Theta) -> Result<CheckReport, Error> {
    let Checker {
        directions, seed, ..
    } = Checker::default();
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut report = CheckReport { checks: Vec::new() };
    let accuracy = Accuracy::new(ACCURACY, ACCURACY)?;
    let z = oracle.hypergradient(theta, accuracy, &mut oracle.start(theta)?)?;
    let size = z.gradient.norm().max(f64::MIN_POSITIVE);
    for _ in 0..directions {
        let mut u = random(theta, &mut rng);
        u.scale(1.0 / u.norm().max(f64::MIN_POSITIVE));
        let along = z.gradient.dot(&u);
        let mut best = f64::INFINITY;
        for t in STEPS {
            let value = |t: f64| {
                let mut at = theta.clone();
                at.axpy(t, &u);
                let mut state = oracle.start(&at)?;
                Ok(oracle.value(&at, ACCURACY, &mut state)?.value.value)
            };
            let difference = (value(t)? - value(-t)?) / (2.0 * t);
            best = best.min((difference - along).abs() / size);
        }
        report.record(
            "hypergradient",
            best,
            TOLERANCE,
            "z is not the derivative of F: check both levels, and that θ is not at a kink of F",
        );
    }
    Ok(report)
}
