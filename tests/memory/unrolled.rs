//! Memory of reverse mode: no more states than the user allows, whatever the length of the run.

use bilevel::hypergradient::unrolled::Rollout;
use bilevel::{Dynamics, Error, Mode, UpperCurvature, UpperLevel};

use crate::alone::alone;

const ENTRIES: usize = 2_000;
const STEPS: usize = 10_000;

/// sᵢ ← sᵢ + 10⁻³ θ sin sᵢ.
struct Drift;

impl Dynamics for Drift {
    type Theta = Vec<f64>;
    type State = Vec<f64>;

    fn steps(&self) -> usize {
        STEPS
    }

    fn start(&self) -> Vec<f64> {
        (0..ENTRIES).map(|i| (i as f64).cos()).collect()
    }

    fn check(&self, _theta: &Vec<f64>) -> Result<(), Error> {
        Ok(())
    }

    fn step(&self, _t: usize, state: &mut Vec<f64>, theta: &Vec<f64>) {
        state.iter_mut().for_each(|s| *s += 1e-3 * theta[0] * *s);
    }

    fn jvp(&self, _t: usize, s: &Vec<f64>, theta: &Vec<f64>, tangent: &mut Vec<f64>, u: &Vec<f64>) {
        for (t, s) in tangent.iter_mut().zip(s) {
            *t += 1e-3 * (theta[0] * *t + u[0] * s);
        }
    }

    fn vjp(
        &self,
        _t: usize,
        state: &Vec<f64>,
        theta: &Vec<f64>,
        adjoint: &mut Vec<f64>,
        by_theta: &mut Vec<f64>,
    ) {
        for (a, s) in adjoint.iter_mut().zip(state) {
            by_theta[0] += 1e-3 * *a * s;
            *a += 1e-3 * theta[0] * *a;
        }
    }
}

/// The mean of the state.
struct Mean;

impl UpperLevel for Mean {
    type Theta = Vec<f64>;
    type X = Vec<f64>;

    fn value(&self, x: &Vec<f64>, _theta: &Vec<f64>) -> f64 {
        x.iter().sum::<f64>() / ENTRIES as f64
    }

    fn gradient_x(&self, _x: &Vec<f64>, _theta: &Vec<f64>, out: &mut Vec<f64>) {
        out.fill(1.0 / ENTRIES as f64);
    }

    fn curvature(&self, _theta: &Vec<f64>) -> UpperCurvature {
        UpperCurvature::default()
    }
}

#[test]
fn reverse_mode_holds_as_many_states_as_it_may_and_few_more() {
    alone(
        "unrolled::reverse_mode_holds_as_many_states_as_it_may_and_few_more",
        || {
            let rollout = Rollout {
                dynamics: &Drift,
                upper: &Mean,
            };
            let state = (ENTRIES * size_of::<f64>()) as f64;
            for checkpoints in [5, 30, 100] {
                let profiler = dhat::Profiler::builder().testing().build();
                let mode = Mode::Reverse { checkpoints };
                let result = rollout.differentiate(&vec![0.1], mode);
                let peak = dhat::HeapStats::get().max_bytes as f64 / state;
                drop(profiler);
                // d/dθ of (1 + 10⁻³θ)ᵀ s₀, for every entry.
                let mean = Drift.start().iter().sum::<f64>() / ENTRIES as f64;
                let exact = mean * 1e-3 * STEPS as f64 * (1.0f64 + 1e-4).powi(STEPS as i32 - 1);
                let gradient = result.map(|r| r.gradient[0]).unwrap_or(f64::NAN);
                assert!((gradient - exact).abs() < 1e-9 * exact.abs());
                println!("{checkpoints} checkpoints: {peak:.1} states at the peak");
                // Beside those kept: the one that moves, its end, and the adjoint.
                assert!(peak <= checkpoints as f64 + 4.0, "{peak}");
            }
        },
    );
}
