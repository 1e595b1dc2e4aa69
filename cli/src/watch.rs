//! The solution of one large lower level, with a progress bar.

use bilevel::lower::{Lbfgs, LowerReport, LowerSolver};
use bilevel::vector::Scratch;
use bilevel::{Curvature, Error, Linearization, LocalConvexity, LowerLevel, Vector, Work};
use indicatif::{ProgressBar, ProgressStyle};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::options::Failure;

/// Ticks of the bar.
const TICKS: u64 = 1000;

/// A lower level whose gradients move a bar: on a logarithmic scale, from the first gradient norm to the one to be reached.
struct Watched<P> {
    lower: P,
    bar: ProgressBar,
    target: f64,
    gradients: AtomicU64,
    /// The bits of the first gradient norm.
    first: AtomicU64,
}

impl<P: LowerLevel> Watched<P> {
    fn show(&self, gradient: &P::X) {
        let norm = gradient.norm();
        let count = self.gradients.fetch_add(1, Ordering::Relaxed);
        if count == 0 {
            self.first.store(norm.to_bits(), Ordering::Relaxed);
        }
        let first = f64::from_bits(self.first.load(Ordering::Relaxed));
        let share = (first / norm).ln() / (first / self.target).ln();
        // A line search may step back; the bar does not. (NaN, of a problem that is solved at once, becomes 0.)
        let ticks = (share * TICKS as f64) as u64;
        self.bar
            .set_position(ticks.min(TICKS).max(self.bar.position()));
        let target = self.target;
        self.bar.set_message(format!(
            "{} gradients, norm {norm:.1e} of {target:.1e}",
            count + 1
        ));
    }
}

impl<P: LowerLevel> LowerLevel for Watched<P> {
    type Theta = P::Theta;
    type X = P::X;

    fn start(&self) -> P::X {
        self.lower.start()
    }

    fn check(&self, theta: &P::Theta) -> Result<(), Error> {
        self.lower.check(theta)
    }

    fn value(&self, x: &P::X, theta: &P::Theta) -> f64 {
        self.lower.value(x, theta)
    }

    fn gradient(&self, x: &P::X, theta: &P::Theta, out: &mut P::X) {
        self.lower.gradient(x, theta, out);
        self.show(out);
    }

    fn value_and_gradient(&self, x: &P::X, theta: &P::Theta, out: &mut P::X) -> f64 {
        let value = self.lower.value_and_gradient(x, theta, out);
        self.show(out);
        value
    }

    fn linearize<'a>(
        &'a self,
        x: &'a P::X,
        theta: &'a P::Theta,
    ) -> impl Linearization<Theta = P::Theta, X = P::X> + 'a {
        self.lower.linearize(x, theta)
    }

    fn curvature(&self, theta: &P::Theta) -> Curvature {
        self.lower.curvature(theta)
    }

    fn local_convexity(
        &self,
        x: &P::X,
        theta: &P::Theta,
        work: &mut Work,
    ) -> Option<LocalConvexity> {
        self.lower.local_convexity(x, theta, work)
    }

    fn gradient_rounding(&self, x: &P::X, theta: &P::Theta, norm: f64) -> f64 {
        self.lower.gradient_rounding(x, theta, norm)
    }

    fn identity(&self) -> String {
        self.lower.identity()
    }
}

/// The solution x of `lower` within `epsilon`, by L-BFGS. On a terminal a bar called `name` shows how far it is.
pub(crate) fn minimize<P: LowerLevel>(
    lower: P,
    theta: &P::Theta,
    epsilon: f64,
    name: &str,
) -> Result<(P::X, LowerReport), Failure> {
    lower.check(theta)?;
    let bar = ProgressBar::new(TICKS);
    bar.set_style(ProgressStyle::with_template(
        "{prefix} {wide_bar} {elapsed} {msg}",
    )?);
    bar.set_prefix(name.to_owned());
    let watched = Watched {
        target: epsilon * lower.curvature(theta).strong_convexity.unwrap_or(1.0),
        lower,
        bar,
        gradients: AtomicU64::new(0),
        first: AtomicU64::new(0),
    };
    let mut x = watched.lower.start();
    let solver = Lbfgs::default();
    let report = solver.minimize(&watched, theta, epsilon, &mut x, &mut Scratch::default());
    watched.bar.finish_and_clear();
    if !x.is_finite() {
        return Err(format!("{name}: {}", report.status.advice()).into());
    }
    Ok((x, report))
}
