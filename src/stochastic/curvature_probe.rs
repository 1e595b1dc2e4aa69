//! Probes of the curvature of F, from which step sizes are estimated.
//!
//! A probe at θ measures
//!
//! - L, the largest eigenvalue of A, by power iterations on several batches: the largest of them, because a step must be stable on every batch;
//! - L_F, the largest curvature of F, by power iterations on differences of hypergradients along short steps from θ, starting with steepest
//!   descent. The oracle computes the hypergradients, to an accuracy at which their differences are significant;
//! - L_x, the part of that curvature that comes through x and v: the remaining change of the hypergradient when d_θ is computed at the new θ
//!   with the old x and v;
//! - μ̂, the smaller of ‖A δx‖/‖δx‖, for the change δx of x*(θ) along the step, and ‖A q‖/‖q‖. x and v need about 1/(γμ̂) iterations to
//!   follow θ, which limits the step of θ.
//!
//! No step along −∇F is longer than 0.1 in the root mean square over the entries of θ, because where F is flat its curvature sets no
//! limit.
//!
//! # Repeated probes
//! One probe is not enough where the curvature of F changes during the run: penalties e^θ start on a plateau, cross a steep slope, and end
//! in a flat valley, and a step for one of them is wrong by orders of magnitude in the others. So estimated steps are renewed:
//!
//! - after 16 epochs, and then whenever the number of iterations has doubled;
//! - whenever θ is half a unit away from the last probe, in the root mean square over its entries;
//! - whenever θ moves four times as fast as ‖∇F‖ at the last probe predicts, which reveals a slope or too long a step;
//! - L alone, which takes eight batches, whenever the number of iterations has grown by a quarter.
//!
//! Where a method normalises its direction, only L is measured again: the length of its steps is set at the start.
//!
//! Re-estimation never increases a step size: a step that suits a flat valley is too long for the next slope, which the next probe would
//! notice too late; and L, from a few batches, may be that of flat ones. A probe costs some tens to hundreds of passes over all samples, which
//! the trace counts.

use serde::{Deserialize, Serialize};

use super::iterate::{Directions, Iterate};
use super::levels::{Levels, MinibatchOracle, ThetaOf, XOf};
use super::steps::{StepDefaults, StepSizes};
use crate::error::Error;
use crate::hypergradient::Accuracy;
use crate::problem::LowerLevel;
use crate::problem::minibatch::{MinibatchLower, MinibatchUpper};
use crate::vector::Vector;
use crate::work::Work;

/// Batches whose largest eigenvalues are estimated.
const BATCHES: usize = 8;
/// Power iterations on each.
const POWER_ITERATIONS: usize = 10;
/// Steps along which the curvature of F is measured.
const PROBES: usize = 2;
/// The length of such a step, in the root mean square over the entries of θ.
const PROBE: f64 = 0.05;
/// The accuracy of the hypergradients, relative to ‖x‖ or, near zero, to the distance that one gradient step moves it.
const RELATIVE: f64 = 1e-3;
/// Iterations between two checks of the distance from the last probe.
pub(super) const PROBE_INTERVAL: u64 = 8;
/// The distance of θ from the last probe that triggers the next one, in the root mean square over its entries, and its growth per probe.
const REACH: f64 = 0.5;
const GROWTH: f64 = 1.15;
/// Iterations over which the speed of θ is measured, and the increase since the last probe that triggers the next one.
const WINDOW: u64 = 1024;
const FASTER: f64 = 4.0;
/// Epochs until the first scheduled probe.
const FIRST_EPOCHS: u64 = 16;
/// The longest first step, in the root mean square over the entries of θ.
const LONGEST: f64 = 0.1;

/// The result of a probe at θ.
#[derive(Debug)]
pub(super) struct CurvatureProbe {
    /// L and L_F; L_F is zero where F is undefined a short step away.
    largest: f64,
    lipschitz: f64,
    /// L_x and μ̂.
    through_x: f64,
    following: f64,
    /// ‖z‖, and the number of entries of θ.
    pub(super) norm: f64,
    entries: usize,
    pub(super) work: Work,
}

impl CurvatureProbe {
    /// γ₀ and η₀ of a method, for steps that have decayed by this factor already.
    pub(super) fn steps(&self, scale: StepDefaults, decayed: f64) -> [f64; 2] {
        let lower = scale.lower / self.largest;
        let longest = LONGEST * (self.entries as f64).sqrt();
        if self.norm == 0.0 {
            return [
                lower,
                if scale.normalised {
                    longest
                } else {
                    scale.upper
                },
            ];
        }
        if scale.normalised {
            return [
                lower,
                (scale.upper * self.norm / self.lipschitz).min(longest),
            ];
        }
        let share = scale.upper.min(scale.follow * lower * self.following);
        [
            lower,
            (share / self.lipschitz).min(longest / self.norm / decayed),
        ]
    }
}

/// Probes F around an iterate.
pub(super) fn probe<O: MinibatchOracle>(
    oracle: &O,
    at: &Iterate<ThetaOf<O>, XOf<O>>,
) -> Result<CurvatureProbe, Error> {
    let mut work = Work::default();
    let levels = oracle.levels();
    let largest = largest_eigenvalue(levels, at, &mut work)?;
    let mut gradient = at.x.zeros_like();
    levels.lower.gradient(&at.x, &at.theta, &mut gradient);
    work.lower_gradients += 1;
    work.lower_samples += levels.lower.samples() as u64;
    let size = at.x.norm().max(gradient.norm() / largest);
    let epsilon = RELATIVE * if size > 0.0 { size } else { 1.0 };
    let accuracy = Accuracy::new(epsilon, epsilon * largest)?;
    let mut state = oracle.state_with(&at.x, &at.v);
    let z = oracle.hypergradient(&at.theta, accuracy, &mut state)?;
    work += with_samples(levels, z.work);
    let mut found = CurvatureProbe {
        largest,
        lipschitz: 0.0,
        through_x: 0.0,
        following: largest,
        norm: z.gradient.norm(),
        entries: at.theta.len(),
        work,
    };
    let (x, q) = match oracle.x_of(&state) {
        (x, Some(q)) => (x.clone(), q.clone()),
        (x, None) => (x.clone(), x.zeros_like()),
    };
    let mut d = Directions::new(&at.theta, &x);
    let all = [at.lower.all(), at.upper.all()];
    // The rate at which v follows.
    if q.norm() > 0.0 {
        levels.hvp(all[0], &x, &at.theta, &q, &mut d.v, &mut found.work);
        found.following = (d.v.norm() / q.norm()).min(largest);
    }
    let of_v = found.following;
    let mut along = z.gradient.clone();
    along.scale(-1.0);
    for _ in 0..PROBES {
        let norm = along.norm();
        if norm == 0.0 {
            break;
        }
        let length = PROBE * (found.entries as f64).sqrt();
        let mut there = at.theta.clone();
        there.axpy(length / norm, &along);
        let other = match oracle.hypergradient(&there, accuracy, &mut state) {
            Ok(other) => other,
            // Outside the domain, or not finite: the results so far are used.
            Err(Error::InvalidArgument { .. } | Error::NotFinite { .. }) => break,
            Err(error) => return Err(error),
        };
        found.work += with_samples(levels, other.work);
        // d.theta ← the hypergradient there with the x and v of θ.
        levels.directions_at(all, [&x, &q], &there, &mut d, &mut found.work);
        d.theta.axpy(-1.0, &other.gradient);
        along = other.gradient;
        along.axpy(-1.0, &z.gradient);
        found.lipschitz = found.lipschitz.max(along.norm() / length);
        let through_x = d.theta.norm() / length;
        // gradient ← δx, then d.v ← A δx.
        gradient.copy_from(oracle.x_of(&state).0);
        gradient.axpy(-1.0, &x);
        let moved = gradient.norm();
        if moved > 0.0 {
            levels.hvp(all[0], &x, &at.theta, &gradient, &mut d.v, &mut found.work);
            let following = (d.v.norm() / moved).min(of_v);
            if through_x / following > found.through_x / found.following {
                (found.through_x, found.following) = (through_x, following);
            }
        }
    }
    Ok(found)
}

/// The work, with the samples of passes over all samples counted.
fn with_samples<P: MinibatchLower + ?Sized, U: MinibatchUpper + ?Sized>(
    levels: Levels<'_, P, U>,
    work: Work,
) -> Work {
    let lower = work.iterations() + work.cross_products;
    Work {
        lower_samples: lower * levels.lower.samples() as u64,
        upper_samples: work.upper_gradients * levels.upper.samples() as u64,
        ..work
    }
}

/// The extent of a probe.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Depth {
    /// L alone.
    Largest,
    /// All quantities.
    Curvature,
}

/// The schedule of repeated probes.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(bound = "")]
pub(super) struct ProbeSchedule<T: Vector> {
    /// θ at the last probe.
    theta: T,
    /// The distance from it that triggers the next probe.
    reach: f64,
    /// The iterations of the next scheduled probe, and of the next one of L alone.
    due: u64,
    due_of_largest: u64,
    /// θ at the start of the window, the length of the mean direction in the last window, and the length that it is compared with.
    window: T,
    speed: f64,
    reference: Option<f64>,
    buffer: T,
}

impl<T: Vector> ProbeSchedule<T> {
    /// The schedule at the start, with the number of batches per epoch.
    pub(super) fn new(theta: &T, batches: usize, norm: Option<f64>) -> Self {
        ProbeSchedule {
            theta: theta.clone(),
            reach: REACH * (theta.len() as f64).sqrt(),
            due: FIRST_EPOCHS * batches as u64,
            due_of_largest: FIRST_EPOCHS * batches as u64,
            window: theta.clone(),
            speed: 0.0,
            reference: norm,
            buffer: theta.zeros_like(),
        }
    }

    /// Records ‖∇F‖ from a probe.
    pub(super) fn record(&mut self, norm: Option<f64>) {
        if let Some(norm) = norm {
            self.reference = Some(norm.max(self.speed));
        }
    }

    /// The probe that is due after iteration `now.k`.
    pub(super) fn due(&mut self, theta: &T, now: StepSizes) -> Option<Depth> {
        let k = now.k + 1;
        if k.is_multiple_of(WINDOW) {
            self.buffer.copy_from(theta);
            self.buffer.axpy(-1.0, &self.window);
            self.window.copy_from(theta);
            self.speed = self.buffer.norm() / (WINDOW as f64 * now.upper);
        }
        let fast = self.reference.is_some_and(|r| self.speed > FASTER * r);
        self.buffer.copy_from(theta);
        self.buffer.axpy(-1.0, &self.theta);
        let far = self.buffer.norm() > self.reach;
        if far {
            self.reach *= GROWTH;
        }
        let due = k >= self.due;
        if due {
            self.due *= 2;
        }
        let largest = k >= self.due_of_largest;
        if largest {
            self.due_of_largest += (self.due_of_largest / 4).max(1);
        }
        if far || due || fast {
            self.reference = self.reference.map(|r| r.max(self.speed));
            self.theta.copy_from(theta);
            return Some(Depth::Curvature);
        }
        largest.then_some(Depth::Largest)
    }
}

/// L: the largest eigenvalue of A over several batches.
pub(super) fn largest_eigenvalue<P, U>(
    levels: Levels<'_, P, U>,
    at: &Iterate<P::Theta, P::X>,
    work: &mut Work,
) -> Result<f64, Error>
where
    P: MinibatchLower + ?Sized,
    U: MinibatchUpper<Theta = P::Theta, X = P::X> + ?Sized,
{
    let mut sampler = at.lower.clone();
    let mut v = at.x.zeros_like();
    let mut product = at.x.zeros_like();
    let mut largest = 0.0f64;
    for _ in 0..BATCHES.min(sampler.batches()) {
        let number = sampler.draw();
        let batch = sampler.batch(number);
        // Entries of both signs, all of about the same size.
        v.assign(&mut |i| {
            if (i as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 63 == 0 {
                1.0
            } else {
                -1.0
            }
        });
        v.scale(1.0 / v.norm());
        let mut eigenvalue = 0.0;
        for _ in 0..POWER_ITERATIONS {
            levels.hvp(batch, &at.x, &at.theta, &v, &mut product, work);
            eigenvalue = product.norm();
            if !(eigenvalue > 0.0 && eigenvalue.is_finite()) {
                break;
            }
            std::mem::swap(&mut v, &mut product);
            v.scale(1.0 / eigenvalue);
        }
        largest = largest.max(eigenvalue);
    }
    if largest > 0.0 && largest.is_finite() {
        Ok(largest)
    } else if largest == 0.0 {
        Err(Error::invalid(
            "lower_step.first",
            "not set, and the Hessian of the lower level is zero at the start",
            "a step, or a lower level with curvature",
        ))
    } else {
        Err(Error::NotFinite {
            function: "a Hessian product of the lower level",
            cause: levels.lower.explain(&at.x, &at.theta),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now(k: u64) -> StepSizes {
        StepSizes {
            k,
            first: 1.0,
            lower: 1.0,
            upper: 1.0,
        }
    }

    /// Every iteration with a due probe, for the path `theta`, and its extent.
    fn times(mut theta: impl FnMut(u64) -> f64, norm: Option<f64>, k: u64) -> Vec<(u64, Depth)> {
        let mut schedule = ProbeSchedule::new(&vec![0.0], 5, norm);
        (PROBE_INTERVAL..=k)
            .step_by(PROBE_INTERVAL as usize)
            .filter_map(|k| {
                let depth = schedule.due(&vec![theta(k)], now(k - 1))?;
                schedule.record((depth == Depth::Curvature).then_some(norm).flatten());
                Some((k, depth))
            })
            .collect()
    }

    #[test]
    fn probes_at_rest_come_at_doublings_and_those_of_l_between_them() {
        let all = times(|_| 0.0, Some(1.0), 400);
        let of = |which| {
            all.iter()
                .filter(move |(_, d)| *d == which)
                .map(|(k, _)| *k)
        };
        assert!(of(Depth::Curvature).eq([80, 160, 320]));
        assert!(of(Depth::Largest).eq([104, 128, 200, 248, 304, 384]));
    }

    #[test]
    fn a_theta_that_goes_far_is_probed_and_each_time_may_go_farther() {
        let all = times(|k| k as f64 / 16.0, None, 40);
        assert_eq!(all, [(16, Depth::Curvature), (32, Depth::Curvature)]);
    }

    #[test]
    fn a_theta_that_moves_four_times_as_fast_is_probed_once() {
        // To and fro, so that it is never far: the mean direction of a window is 0.2/1024 long.
        let speed = 0.2 / WINDOW as f64;
        let to_and_fro = |k: u64| if (k / WINDOW) % 2 == 1 { 0.2 } else { 0.0 };
        let probes_at_windows = |norm| {
            let all = times(to_and_fro, norm, 4 * WINDOW);
            let probes = all.into_iter().filter(|(_, d)| *d == Depth::Curvature);
            let at_windows = probes.map(|(k, _)| k).filter(|k| k.is_multiple_of(WINDOW));
            at_windows.collect::<Vec<_>>()
        };
        assert_eq!(probes_at_windows(Some(speed / 4.1)), [WINDOW]);
        assert!(probes_at_windows(Some(speed / 3.9)).is_empty());
        assert!(probes_at_windows(None).is_empty());
    }
}
