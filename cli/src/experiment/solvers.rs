//! Upper-level solvers by name.

use bilevel::argmin;
use bilevel::upper::searches::tpe::Tpe;
use bilevel::upper::{AdaptiveAccuracy, DerivativeFree};
use bilevel::{
    Accuracy, Error, GradientDescent, GridSearch, Hoag, ToleranceSchedule, Maid, Oracle, RandomSearch, SearchBox,
};

use super::names::nearest;
use super::runs::{AnySolver, boxed};

/// Half of the width of the box that random search, grid search, TPE and the particle swarm look at, where no option says it.
pub const HALF_WIDTH: f64 = 3.0;
/// Points of grid search along every entry of θ: an odd number, so that the start is one of them.
const GRID_POINTS: u64 = 9;
/// Grid search takes θ of at most so many entries: 9⁴ = 6,561 points.
const GRID_ENTRIES: usize = 4;

/// The box around a first θ.
///
/// # Errors
/// [`Error::InvalidArgument`] for a half width that is not positive and finite.
pub fn around(theta: &[f64], half_width: f64) -> Result<SearchBox, Error> {
    if !(half_width > 0.0 && half_width.is_finite()) {
        let argument = "the half width of the box";
        return Err(Error::invalid(argument, half_width, "a positive number"));
    }
    Ok(SearchBox {
        lower: theta.iter().map(|t| t - half_width).collect(),
        upper: theta.iter().map(|t| t + half_width).collect(),
    })
}

/// The solvers by name, with their first or constant accuracies and the box of those that search one. A new one is a new line.
fn known<'a, O: Oracle + 'a>(
    accuracy: Accuracy,
    region: &SearchBox,
) -> Vec<(&'static str, AnySolver<'a, O>)> {
    let maid = |maid: Maid| {
        boxed(Maid {
            accuracy: AdaptiveAccuracy {
                initial: accuracy,
                ..maid.accuracy
            },
            ..maid
        })
    };
    let hoag = |law| {
        boxed(Hoag {
            initial: accuracy,
            ..Hoag::new(law)
        })
    };
    let fixed = GradientDescent {
        accuracy,
        ..GradientDescent::with_accuracy(1.0)
    };
    let mut derivative_free = DerivativeFree::default();
    derivative_free.accuracy.initial = accuracy;
    let argmin_lbfgs = argmin::Lbfgs {
        accuracy,
        ..argmin::Lbfgs::with_accuracy(1.0)
    };
    let nelder_mead = argmin::NelderMead {
        accuracy,
        ..argmin::NelderMead::with_accuracy(1.0)
    };
    let random = RandomSearch {
        accuracy,
        ..RandomSearch::new(region.clone(), u64::MAX)
    };
    let grid = GridSearch {
        accuracy,
        ..GridSearch::new(region.clone(), GRID_POINTS)
    };
    let tpe = Tpe {
        accuracy,
        ..Tpe::new(region.clone(), u64::MAX)
    };
    let swarm = argmin::ParticleSwarm {
        accuracy,
        ..argmin::ParticleSwarm::with_accuracy(region.clone(), 1.0)
    };
    vec![
        ("maid", maid(Maid::default())),
        ("maid-lbfgs", maid(Maid::lbfgs())),
        ("maid-extrapolating", maid(Maid::extrapolating())),
        ("maid-bb", maid(Maid::barzilai_borwein())),
        ("maid-non-monotone", maid(Maid::non_monotone())),
        ("maid-diagonal", maid(Maid::diagonal())),
        ("maid-goal-oriented", maid(Maid::goal_oriented())),
        ("hoag-exponential", hoag(ToleranceSchedule::Exponential)),
        ("hoag-quadratic", hoag(ToleranceSchedule::Quadratic)),
        ("hoag-cubic", hoag(ToleranceSchedule::Cubic)),
        ("fixed", boxed(fixed)),
        ("derivative-free", boxed(derivative_free)),
        ("random", boxed(random)),
        ("grid", boxed(grid)),
        ("tpe", boxed(tpe)),
        ("argmin-lbfgs", boxed(argmin_lbfgs)),
        ("argmin-nelder-mead", boxed(nelder_mead)),
        ("argmin-swarm", boxed(swarm)),
    ]
}

/// The solver called `name`. A number behind the name is its accuracy, as in `fixed-1e-3`; without one it is `accuracy`. Those that
/// search a box look at `region`.
///
/// # Errors
/// [`Error::InvalidArgument`] for a name that is no solver's, an accuracy that is not positive, and a grid over more entries of θ than
/// its points can be counted for.
pub fn solver<'a, O: Oracle + 'a>(
    name: &str,
    accuracy: Accuracy,
    region: &SearchBox,
) -> Result<AnySolver<'a, O>, Error> {
    let split = |(at, _)| (&name[..at], Some(&name[at + 1..]));
    let readings = [(name, None)]
        .into_iter()
        .chain(name.match_indices('-').map(split));
    for (head, tail) in readings {
        let accuracy = match tail.map(str::parse::<f64>) {
            None => accuracy,
            Some(Ok(number)) => Accuracy::new(number, number)?,
            Some(Err(_)) => continue,
        };
        let mut all = known::<O>(accuracy, region).into_iter();
        if let Some((_, found)) = all.find(|(known, _)| *known == head) {
            let entries = region.lower.len();
            if head == "grid" && entries > GRID_ENTRIES {
                let found = format!(
                    "`grid` over {entries} entries of theta, {GRID_POINTS}^{entries} points"
                );
                let expected = format!("at most {GRID_ENTRIES} entries, or `random`");
                return Err(Error::invalid("solver", found, expected));
            }
            return Ok(found);
        }
    }
    let all = known::<O>(accuracy, region);
    let names: Vec<&str> = all.iter().map(|(name, _)| *name).collect();
    let expected = format!(
        "{}; there are {}, each with an accuracy behind it if you like, as in fixed-1e-3",
        nearest(name, &names),
        names.join(", ")
    );
    Err(Error::invalid("solver", format!("`{name}`"), expected))
}
