//! Shared parts of the methods: SGD on the lower level, a step of the adjoint, momentum, the normalised step, and checks of settings.

use super::iterate::Iterate;
use super::levels::Levels;
use crate::error::Error;
use crate::problem::minibatch::{MinibatchLower, MinibatchUpper};
use crate::vector::Vector;

/// A few steps of SGD on g(·, θ) from the current x.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sgd {
    /// The number of steps.
    pub(super) steps: u64,
    /// The step size.
    pub(super) step: f64,
    /// The radius of the ball around the start onto which every step is projected.
    pub(super) radius: Option<f64>,
    /// Whether x becomes the average of the steps rather than the last.
    pub(super) average: bool,
}

impl Sgd {
    pub(super) fn run<P, U>(self, levels: Levels<'_, P, U>, at: &mut Iterate<P::Theta, P::X>)
    where
        P: MinibatchLower + ?Sized,
        U: MinibatchUpper<Theta = P::Theta, X = P::X> + ?Sized,
    {
        if self.steps == 0 {
            return;
        }
        let mut gradient = at.take_x();
        let mut centre = at.take_x();
        let mut sum = at.take_x();
        centre.copy_from(&at.x);
        for k in 0..self.steps {
            let number = at.lower.draw();
            let batch = at.lower.batch(number);
            levels.gradient(batch, &at.x, &at.theta, &mut gradient, &mut at.work);
            at.x.axpy(-self.step, &gradient);
            if let Some(radius) = self.radius {
                project(&mut at.x, &centre, radius, &mut gradient);
            }
            sum.axpby(1.0, &at.x, if k == 0 { 0.0 } else { 1.0 });
        }
        if self.average {
            at.x.axpby(1.0 / self.steps as f64, &sum, 0.0);
        }
        at.put_x(gradient);
        at.put_x(centre);
        at.put_x(sum);
    }
}

/// x ← the nearest point of the ball.
fn project<X: Vector>(x: &mut X, centre: &X, radius: f64, buffer: &mut X) {
    buffer.copy_from(x);
    buffer.axpy(-1.0, centre);
    let distance = buffer.norm();
    if distance > radius {
        x.copy_from(centre);
        x.axpy(radius / distance, buffer);
    }
}

/// v ← v − ν (A(x, θ; ξ) v − ∇ₓf(x, θ; ξ')) on new batches.
pub(super) fn adjoint_step<P, U>(
    levels: Levels<'_, P, U>,
    at: &mut Iterate<P::Theta, P::X>,
    nu: f64,
) where
    P: MinibatchLower + ?Sized,
    U: MinibatchUpper<Theta = P::Theta, X = P::X> + ?Sized,
{
    let mut product = at.take_x();
    let mut by_x = at.take_x();
    let mut by_theta = at.take_theta();
    let [lower, upper] = at.draw();
    let batch = at.lower.batch(lower);
    levels.hvp(batch, &at.x, &at.theta, &at.v, &mut product, &mut at.work);
    let batch = at.upper.batch(upper);
    let (x, theta) = (&at.x, &at.theta);
    levels.upper_gradients(batch, x, theta, &mut by_x, &mut by_theta, &mut at.work);
    at.v.axpy(-nu, &product);
    at.v.axpy(nu, &by_x);
    at.put_x(product);
    at.put_x(by_x);
    at.put_theta(by_theta);
}

/// m ← βm + (1 − β)(∇θf(x, θ; ξ') − B(x, θ; ξ)ᵀv) on new batches.
pub(super) fn momentum_step<P, U>(
    levels: Levels<'_, P, U>,
    at: &mut Iterate<P::Theta, P::X>,
    beta: f64,
    m: &mut P::Theta,
) where
    P: MinibatchLower + ?Sized,
    U: MinibatchUpper<Theta = P::Theta, X = P::X> + ?Sized,
{
    let mut by_x = at.take_x();
    let mut direction = at.take_theta();
    let mut cross = at.take_theta();
    let [lower, upper] = at.draw();
    let batch = at.upper.batch(upper);
    let (x, theta) = (&at.x, &at.theta);
    levels.upper_gradients(batch, x, theta, &mut by_x, &mut direction, &mut at.work);
    let batch = at.lower.batch(lower);
    levels.cross_vjp(batch, x, theta, &at.v, &mut cross, &mut at.work);
    direction.axpy(-1.0, &cross);
    m.axpby(1.0 - beta, &direction, beta);
    at.put_x(by_x);
    at.put_theta(direction);
    at.put_theta(cross);
}

/// θ ← θ − η m/‖m‖. A zero m is no step.
pub(super) fn normalised_step<T: Vector>(theta: &mut T, eta: f64, m: &T) {
    let norm = m.norm();
    if norm > 0.0 {
        theta.axpy(-eta / norm, m);
    }
}

/// Refuses a number below 0 or of at least 1.
pub(super) fn momentum(argument: &str, value: f64) -> Result<(), Error> {
    if (0.0..1.0).contains(&value) {
        return Ok(());
    }
    Err(Error::invalid(
        argument,
        value,
        "a number of at least 0 and below 1",
    ))
}

/// Refuses a number of at most 0 or above 1.
pub(super) fn weight(argument: &str, value: f64) -> Result<(), Error> {
    if value > 0.0 && value <= 1.0 {
        return Ok(());
    }
    Err(Error::invalid(
        argument,
        value,
        "a number above 0 and at most 1",
    ))
}

/// Refuses a count of 0.
pub(super) fn at_least_one(argument: &str, value: u64) -> Result<(), Error> {
    if value > 0 {
        return Ok(());
    }
    Err(Error::invalid(argument, value, "at least 1"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zero_momentum_is_no_step() {
        let mut theta = vec![1.0, 2.0];
        normalised_step(&mut theta, 0.5, &vec![0.0, 0.0]);
        assert_eq!(theta, [1.0, 2.0]);
        normalised_step(&mut theta, 0.5, &vec![0.0, -3.0]);
        assert_eq!(theta, [1.0, 2.5]);
    }

    #[test]
    fn the_projection_leaves_the_ball_alone_and_shortens_what_is_outside() {
        let centre = vec![1.0f64, 0.0];
        let mut buffer = vec![0.0; 2];
        let mut x: Vec<f64> = vec![1.5, 0.0];
        project(&mut x, &centre, 1.0, &mut buffer);
        assert_eq!(x, [1.5, 0.0]);
        x = vec![4.0, 4.0];
        project(&mut x, &centre, 2.5, &mut buffer);
        assert!((x[0] - 2.5).abs() < 1e-15 && (x[1] - 2.0).abs() < 1e-15);
    }

    #[test]
    fn settings_outside_their_range_are_named() {
        assert_eq!(
            momentum("momentum", 1.0).unwrap_err().to_string(),
            "momentum is 1; expected a number of at least 0 and below 1"
        );
        assert!(momentum("momentum", f64::NAN).is_err() && momentum("momentum", 0.0).is_ok());
        assert!(weight("weight", 0.0).is_err() && weight("weight", 1.0).is_ok());
        assert!(at_least_one("steps", 0).is_err() && at_least_one("steps", 1).is_ok());
    }
}
