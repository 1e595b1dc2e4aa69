//! A run of a method, and the losses along it.

use bilevel::stochastic::{Method, StepSize, Stochastic};
use bilevel::{Accuracy, Solver, Status, Step};
use bilevel_problems::data::{Samples, Texts};
use bilevel_problems::linear::hyper_cleaning::{ModelCleaning, judge};
use bilevel_problems::networks::models::Recurrent;
use std::time::Instant;

use super::{Data, Options};
use crate::finite_sum::DynSum;
use crate::options::Failure;
use crate::registry::methods::{OfMethod, methods};

/// The losses at one moment of a run.
#[derive(Clone, Copy)]
pub(super) struct Look {
    pub(super) calls: u64,
    pub(super) seconds: f64,
    /// The mean loss on training texts with their labels as they should be, and on test texts; the share of test texts that are right.
    pub(super) training: f64,
    pub(super) test: f64,
    pub(super) accuracy: f64,
}

pub(super) struct Run {
    pub(super) solver: String,
    pub(super) seed: u64,
    pub(super) looks: Vec<Look>,
    /// Whether it left the finite numbers.
    pub(super) diverged: bool,
    /// F₁ of the wrong labels, taken for those of a weight below one half.
    pub(super) f1: f64,
    pub(super) theta: Vec<f64>,
}

pub(super) type Oracle = ModelCleaning<Recurrent, Texts, f32>;

fn f1(theta: &[f64], data: &Data) -> f64 {
    let wrong = |i: usize| data.train.labels()[i] != data.clean.labels()[i];
    let flagged = |i: &usize| theta[*i] < 0.0;
    let all = (0..theta.len()).filter(|&i| wrong(i)).count() as f64;
    let named = (0..theta.len()).filter(flagged).count() as f64;
    let caught = (0..theta.len())
        .filter(flagged)
        .filter(|&i| wrong(i))
        .count() as f64;
    if all + named == 0.0 {
        // Nothing is wrong, and nothing was said to be.
        return 1.0;
    }
    2.0 * caught / (all + named)
}

/// An accuracy that any x has.
const UNSEEN: Accuracy = Accuracy {
    epsilon: 1e30,
    delta: 1e30,
};

/// Runs a method until its calls are used up, with looks at the losses that take no part in its time.
fn run<M: Method + Default>(
    options: &Options,
    model: &Recurrent,
    oracle: &DynSum<'_, f32>,
    data: &Data,
    upper_step: f64,
    seed: u64,
) -> Result<Run, Failure> {
    let step = |first: f64| StepSize {
        first: Some(first),
        ..StepSize::default()
    };
    let stochastic = Stochastic {
        lower_batch: options.batch,
        upper_batch: options.batch,
        block: 1,
        seed,
        lower_step: step(options.lower_step),
        upper_step: step(upper_step),
        // The value at the end of a run that diverged, which is not looked at: solving for it would take longer than the run.
        accuracy: UNSEEN,
        ..Stochastic::new(M::default())
    };
    let look = |x: &Vec<f32>, calls, seconds| {
        let [training, _] = judge(model, &data.clean, x);
        let [test, accuracy] = judge(model, &data.test, x);
        Look {
            calls,
            seconds,
            training,
            test,
            accuracy,
        }
    };
    // A method may begin with steps of its own: what they cost comes with its first iteration.
    let (mut calls, mut seconds, mut diverged) = (0, 0.0, false);
    let mut looks = vec![look(&oracle.lower_sum().start(), calls, seconds)];
    let mut clock = Instant::now();
    let mut state =
        Solver::<&DynSum<'_, f32>>::start(&stochastic, &oracle, vec![0.0; data.train.len()])?;
    loop {
        let due = u128::from(options.calls) * looks.len() as u128 / u128::from(options.looks);
        let due = due.min(u128::from(options.calls)) as u64;
        while calls < due && !diverged {
            match stochastic.step(&oracle, &mut state, 0.0)? {
                Step::Moved(row) => calls += row.work.calls(),
                Step::Ended(status, row, _) => {
                    calls += row.work.calls();
                    diverged = status == Status::Diverged;
                }
            }
        }
        seconds += clock.elapsed().as_secs_f64();
        looks.push(look(&state.iterate().x, calls, seconds));
        let late = options.max_seconds.is_some_and(|most| seconds >= most);
        if diverged || calls >= options.calls || late {
            break;
        }
        clock = Instant::now();
    }
    let theta = state.iterate().theta.clone();
    Ok(Run {
        solver: stochastic.method.name(),
        seed,
        looks,
        diverged,
        f1: f1(&theta, data),
        theta,
    })
}

/// A run of one method: options, model, oracle, data, η₀ and seed.
type AnyRun = fn(&Options, &Recurrent, &DynSum<'_, f32>, &Data, f64, u64) -> Result<Run, Failure>;

/// A method, and its η₀ where none is given.
pub(super) struct Known {
    pub(super) run: AnyRun,
    pub(super) upper_step: f64,
}

/// The runs of all methods of the register.
struct Runs;

impl OfMethod for Runs {
    type Output = AnyRun;

    fn of<M: Method + Default + 'static>(&self) -> AnyRun {
        run::<M>
    }
}

/// The best η₀ of a few, on the names. Normalised methods move θ by η₀ however large the hypergradient is.
fn upper_step(name: &str) -> f64 {
    match name {
        "bo-rep" | "slip" | "accbo" => 30.0,
        "ttsa" => 3000.0,
        _ => 300.0,
    }
}

/// The method called `name`.
pub(super) fn solver(name: &str) -> Result<Known, Failure> {
    let all = methods(&Runs);
    let found = all.iter().find(|known| known.name == name);
    let known = found.ok_or_else(|| {
        let names: Vec<&str> = all.iter().map(|known| known.name).collect();
        format!(
            "no solver is called `{name}`; there are {}",
            names.join(", ")
        )
    })?;
    Ok(Known {
        run: known.value,
        upper_step: upper_step(name),
    })
}
