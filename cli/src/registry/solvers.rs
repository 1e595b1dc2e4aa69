//! Upper-level solvers by name.

use bilevel::argmin;
use bilevel::upper::{AdaptiveAccuracy, DerivativeFree, Tpe};
use bilevel::{
    Accuracy, Error, GradientDescent, GridSearch, Hoag, Maid, Oracle, RandomSearch, SearchBox,
    ToleranceSchedule,
};

use super::names::nearest;
use super::{Entry, entry};
use crate::any_state::State;
use crate::runs::{AnySolver, DynSolver, behind, boxed_once};

/// Default half-width of the box searched by `random`, `grid`, `tpe` and `argmin-swarm`.
pub const HALF_WIDTH: f64 = 3.0;
/// Points of grid search along every entry of θ: an odd number, so that the start is one of them.
const GRID_POINTS: u64 = 9;
/// Grid search takes θ of at most so many entries: 9⁴ = 6,561 points.
const GRID_ENTRIES: usize = 4;

/// The box around a first θ.
///
/// # Errors
/// [`Error::InvalidArgument`] for a half-width that is not positive and finite.
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

/// Makes a solver from its first or constant accuracy and the box that it searches, if it searches one.
pub type Constructor = fn(Accuracy, &SearchBox) -> DynSolver;

/// The register of upper-level solvers. A new solver is one entry here.
#[rustfmt::skip] // one line for each
pub fn solvers() -> Vec<Entry<Constructor>> {
    vec![
        entry("maid", "gradient descent whose accuracy and step adapt to certified bounds", |a, _| maid(Maid::default(), a)),
        entry("maid-lbfgs", "MAID along L-BFGS directions: the first choice", |a, _| maid(Maid::lbfgs(), a)),
        entry("maid-extrapolating", "MAID with L-BFGS and extrapolation along a direction while it pays", |a, _| maid(Maid::extrapolating(), a)),
        entry("maid-bb", "MAID with Barzilai–Borwein trial steps", |a, _| maid(Maid::barzilai_borwein(), a)),
        entry("maid-non-monotone", "MAID with Barzilai–Borwein steps against an average of past values", |a, _| maid(Maid::non_monotone(), a)),
        entry("maid-diagonal", "MAID with a diagonal scaling, as in AdaGrad", |a, _| maid(Maid::diagonal(), a)),
        entry("maid-goal-oriented", "MAID with L-BFGS and goal-oriented values, which are estimated", |a, _| maid(Maid::goal_oriented(), a)),
        entry("hoag-exponential", "HOAG with exponentially decreasing tolerances", |a, _| hoag(ToleranceSchedule::Exponential, a)),
        entry("hoag-quadratic", "HOAG with quadratically decreasing tolerances", |a, _| hoag(ToleranceSchedule::Quadratic, a)),
        entry("hoag-cubic", "HOAG with cubically decreasing tolerances", |a, _| hoag(ToleranceSchedule::Cubic, a)),
        entry("fixed", "gradient descent at a constant accuracy", |accuracy, _| boxed_once(GradientDescent { accuracy, ..GradientDescent::with_accuracy(1.0) })),
        entry("derivative-free", "coordinate search compared on bounds, without hypergradients", |a, _| derivative_free(a)),
        entry("random", "random search in a box around the start", |accuracy, b| boxed_once(RandomSearch { accuracy, ..RandomSearch::new(b.clone(), u64::MAX) })),
        entry("grid", "grid search in a box around the start", |accuracy, b| boxed_once(GridSearch { accuracy, ..GridSearch::new(b.clone(), GRID_POINTS) })),
        entry("tpe", "the tree-structured Parzen estimator in a box around the start", |accuracy, b| boxed_once(Tpe { accuracy, ..Tpe::new(b.clone(), u64::MAX) })),
        entry("argmin-lbfgs", "L-BFGS of argmin at a constant accuracy", |accuracy, _| boxed_once(argmin::Lbfgs { accuracy, ..argmin::Lbfgs::with_accuracy(1.0) })),
        entry("argmin-nelder-mead", "the Nelder–Mead simplex of argmin", |accuracy, _| boxed_once(argmin::NelderMead { accuracy, ..argmin::NelderMead::with_accuracy(1.0) })),
        entry("argmin-swarm", "the particle swarm of argmin in a box around the start", |accuracy, b| boxed_once(argmin::ParticleSwarm { accuracy, ..argmin::ParticleSwarm::with_accuracy(b.clone(), 1.0) })),
    ]
}

fn maid(maid: Maid, initial: Accuracy) -> DynSolver {
    let accuracy = AdaptiveAccuracy {
        initial,
        ..maid.accuracy
    };
    boxed_once(Maid { accuracy, ..maid })
}

fn hoag(schedule: ToleranceSchedule, initial: Accuracy) -> DynSolver {
    boxed_once(Hoag {
        initial,
        ..Hoag::new(schedule)
    })
}

fn derivative_free(initial: Accuracy) -> DynSolver {
    let mut solver = DerivativeFree::default();
    solver.accuracy.initial = initial;
    boxed_once(solver)
}

/// The names and descriptions of the register, in its order.
pub fn descriptions() -> Vec<Entry<()>> {
    let all = solvers();
    all.iter().map(|e| entry(e.name, e.about, ())).collect()
}

/// The solver called `name`. A number after the name is its accuracy, as in `fixed-1e-3`; without one it is `accuracy`. Solvers that
/// search a box search `search_box`.
///
/// # Errors
/// [`Error::InvalidArgument`] for an unknown name, an accuracy that is not positive, and a grid over too many entries of θ.
pub fn solver<'a, O>(
    name: &str,
    accuracy: Accuracy,
    search_box: &SearchBox,
) -> Result<AnySolver<'a, O>, Error>
where
    O: Oracle<Theta = Vec<f64>, State: State> + 'a,
{
    let all = solvers();
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
        if let Some(found) = all.iter().find(|known| known.name == head) {
            let entries = search_box.lower.len();
            if head == "grid" && entries > GRID_ENTRIES {
                let found = format!(
                    "`grid` over {entries} entries of theta, {GRID_POINTS}^{entries} points"
                );
                let expected = format!("at most {GRID_ENTRIES} entries, or `random`");
                return Err(Error::invalid("solver", found, expected));
            }
            return Ok(behind((found.value)(accuracy, search_box)));
        }
    }
    let names: Vec<&str> = all.iter().map(|known| known.name).collect();
    let expected = format!(
        "{}; there are {}, each with an accuracy behind it if you like, as in fixed-1e-3",
        nearest(name, &names),
        names.join(", ")
    );
    Err(Error::invalid("solver", format!("`{name}`"), expected))
}
