//! Looks at the curvature of F along the way, from which step sizes are estimated.
//!
//! A look at θ measures
//!
//! - L, the largest eigenvalue of A, by power iterations on several batches: the largest of them, because a step must be stable on every batch;
//! - L_F, the largest curvature of F, by power iterations on differences of hypergradients along short steps from θ, begun with steepest
//!   descent. The hypergradients come from the oracle, to an accuracy at which their differences mean something;
//! - L_x, the part of that curvature that comes through x and v: the change of the hypergradient that is left when d_θ is taken at the new θ
//!   with the old x and v;
//! - μ̂, the smaller of ‖A δx‖/‖δx‖ for the δx by which x*(θ) moved along the step, and of ‖A q‖/‖q‖. x and v need about 1/(γμ̂) iterations to
//!   follow θ, so θ may not go faster than that.
//!
//! No step along −∇F is longer than [`LONGEST`] in the root mean square over the entries of θ, where F is too flat for curvature to say
//! anything.
//!
//! # Looking again
//! One look is not enough where the curvature of F changes along the way: penalties e^θ start on a plateau, cross a steep slope, and end
//! in a flat valley, and a step for one of them is wrong by orders of magnitude in the others. So steps that are not given are renewed:
//!
//! - after 16 epochs, and then whenever the number of iterations has doubled;
//! - whenever θ is half a unit away from the last look, in the root mean square over its entries;
//! - whenever it moves four times as fast as ‖∇F‖ at the last look says: so do a slope, and a step too long, make themselves known;
//! - L alone, which eight batches tell, whenever the iterations have grown by a quarter.
//!
//! Where a method normalises its direction, L alone is measured every time: the length of its steps is a matter of the start.
//!
//! A look never makes a step longer: one that is right for a flat valley is too long for the next slope, and the look that would tell comes
//! after it; and L, of a few batches, may be that of flat ones. A look costs some tens to hundreds of passes over all samples, which the
//! trace counts.

use serde::{Deserialize, Serialize};

use super::levels::{ThetaOf, XOf};
use super::{Directions, Iterate, Levels, MinibatchOracle, StepDefaults, StepSizes};
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
/// Iterations between two glances at how far θ has gone.
pub(super) const PROBE_INTERVAL: u64 = 8;
/// How far it may go from one look to the next, in the root mean square over its entries; and by how much that grows with every look.
const REACH: f64 = 0.5;
const GROWTH: f64 = 1.15;
/// Iterations over which the speed of θ is measured, and how much faster than at the last look it may be.
const WINDOW: u64 = 1024;
const FASTER: f64 = 4.0;
/// Epochs until the first look that is due.
const FIRST_EPOCHS: u64 = 16;
/// The longest first step, in the root mean square over the entries of θ.
pub const LONGEST: f64 = 0.1;

/// What a look at F around θ shows.
#[derive(Debug)]
pub(super) struct CurvatureProbe {
    /// L and L_F; L_F is zero where F was not defined a short step away.
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

/// Looks at F around an iterate.
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
    let mut look = CurvatureProbe {
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
    // How soon v follows.
    if q.norm() > 0.0 {
        levels.hvp(all[0], &x, &at.theta, &q, &mut d.v, &mut look.work);
        look.following = (d.v.norm() / q.norm()).min(largest);
    }
    let of_v = look.following;
    let mut along = z.gradient.clone();
    along.scale(-1.0);
    for _ in 0..PROBES {
        let norm = along.norm();
        if norm == 0.0 {
            break;
        }
        let length = PROBE * (look.entries as f64).sqrt();
        let mut there = at.theta.clone();
        there.axpy(length / norm, &along);
        let other = match oracle.hypergradient(&there, accuracy, &mut state) {
            Ok(other) => other,
            // Beyond the domain, or not finite: what is known so far has to do.
            Err(Error::InvalidArgument { .. } | Error::NotFinite { .. }) => break,
            Err(error) => return Err(error),
        };
        look.work += with_samples(levels, other.work);
        // d.theta ← the hypergradient there, were x and v still those of θ.
        levels.directions_at(all, [&x, &q], &there, &mut d, &mut look.work);
        d.theta.axpy(-1.0, &other.gradient);
        along = other.gradient;
        along.axpy(-1.0, &z.gradient);
        look.lipschitz = look.lipschitz.max(along.norm() / length);
        let through_x = d.theta.norm() / length;
        // gradient ← δx, then d.v ← A δx.
        gradient.copy_from(oracle.x_of(&state).0);
        gradient.axpy(-1.0, &x);
        let moved = gradient.norm();
        if moved > 0.0 {
            levels.hvp(all[0], &x, &at.theta, &gradient, &mut d.v, &mut look.work);
            let following = (d.v.norm() / moved).min(of_v);
            if through_x / following > look.through_x / look.following {
                (look.through_x, look.following) = (through_x, following);
            }
        }
    }
    Ok(look)
}

/// Work on all samples, with these counted.
fn with_samples<P: MinibatchLower, U: MinibatchUpper>(
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

/// What a look is at.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Depth {
    /// L alone.
    Largest,
    /// All of it.
    Curvature,
}

/// When to look again.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(bound = "")]
pub(super) struct ProbeSchedule<T: Vector> {
    /// θ at the last look.
    theta: T,
    /// How far it may go.
    reach: f64,
    /// The iterations at which a look is due, and one at L alone.
    due: u64,
    due_of_largest: u64,
    /// Where the window began, the length of the mean direction in the last one, and the one that it is compared with.
    window: T,
    speed: f64,
    reference: Option<f64>,
    room: T,
}

impl<T: Vector> ProbeSchedule<T> {
    /// From the start, with so many batches in an epoch.
    pub(super) fn new(theta: &T, batches: usize, norm: Option<f64>) -> Self {
        ProbeSchedule {
            theta: theta.clone(),
            reach: REACH * (theta.len() as f64).sqrt(),
            due: FIRST_EPOCHS * batches as u64,
            due_of_largest: FIRST_EPOCHS * batches as u64,
            window: theta.clone(),
            speed: 0.0,
            reference: norm,
            room: theta.zeros_like(),
        }
    }

    /// What a look found.
    pub(super) fn found(&mut self, norm: Option<f64>) {
        if let Some(norm) = norm {
            self.reference = Some(norm.max(self.speed));
        }
    }

    /// What it is time to look at.
    pub(super) fn time(&mut self, theta: &T, now: StepSizes) -> Option<Depth> {
        let k = now.k + 1;
        if k.is_multiple_of(WINDOW) {
            self.room.copy_from(theta);
            self.room.axpy(-1.0, &self.window);
            self.window.copy_from(theta);
            self.speed = self.room.norm() / (WINDOW as f64 * now.upper);
        }
        let fast = self.reference.is_some_and(|r| self.speed > FASTER * r);
        self.room.copy_from(theta);
        self.room.axpy(-1.0, &self.theta);
        let far = self.room.norm() > self.reach;
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
    P: MinibatchLower,
    U: MinibatchUpper<Theta = P::Theta, X = P::X>,
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

    /// Every iteration at which it is time, with θ where `theta` says, and what then.
    fn times(mut theta: impl FnMut(u64) -> f64, norm: Option<f64>, k: u64) -> Vec<(u64, Depth)> {
        let mut watch = ProbeSchedule::new(&vec![0.0], 5, norm);
        (PROBE_INTERVAL..=k)
            .step_by(PROBE_INTERVAL as usize)
            .filter_map(|k| {
                let depth = watch.time(&vec![theta(k)], now(k - 1))?;
                watch.found((depth == Depth::Curvature).then_some(norm).flatten());
                Some((k, depth))
            })
            .collect()
    }

    #[test]
    fn looks_at_rest_come_at_doublings_and_those_at_l_between_them() {
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
    fn a_theta_that_goes_far_is_looked_at_and_each_time_may_go_farther() {
        let all = times(|k| k as f64 / 16.0, None, 40);
        assert_eq!(all, [(16, Depth::Curvature), (32, Depth::Curvature)]);
    }

    #[test]
    fn a_theta_that_moves_four_times_as_fast_is_looked_at_once() {
        // To and fro, so that it is never far: the mean direction of a window is 0.2/1024 long.
        let speed = 0.2 / WINDOW as f64;
        let to_and_fro = |k: u64| if (k / WINDOW) % 2 == 1 { 0.2 } else { 0.0 };
        let looks_at_windows = |norm| {
            let all = times(to_and_fro, norm, 4 * WINDOW);
            let curvature_probe = all.into_iter().filter(|(_, d)| *d == Depth::Curvature);
            let at_windows = curvature_probe
                .map(|(k, _)| k)
                .filter(|k| k.is_multiple_of(WINDOW));
            at_windows.collect::<Vec<_>>()
        };
        assert_eq!(looks_at_windows(Some(speed / 4.1)), [WINDOW]);
        assert!(looks_at_windows(Some(speed / 3.9)).is_empty());
        assert!(looks_at_windows(None).is_empty());
    }
}
