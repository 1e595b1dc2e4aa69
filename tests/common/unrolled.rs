//! Differentiation through a training run.

use bilevel::hypergradient::unrolled::Rollout;
use bilevel::{Dynamics, Mode, UpperLevel};

pub(crate) const ALL: Mode = Mode::Reverse {
    checkpoints: usize::MAX,
};

pub(crate) fn gradient<D, U>(dynamics: &D, upper: &U, theta: &D::Theta, mode: Mode) -> D::Theta
where
    D: Dynamics,
    U: UpperLevel<Theta = D::Theta, X = D::State>,
{
    let rollout = Rollout { dynamics, upper };
    rollout.differentiate(theta, mode).unwrap().gradient
}
