//! The variants of MAID.

use bilevel::Maid;
use bilevel::upper::{Acceptance, TrialStep};

pub(crate) fn monotone() -> Vec<Maid> {
    let with = |trial| {
        let mut maid = Maid::barzilai_borwein();
        maid.line_search.trial = trial;
        maid
    };
    vec![
        Maid::default(),
        Maid::lbfgs(),
        Maid::extrapolating(),
        Maid::barzilai_borwein(),
        with(TrialStep::Long),
        with(TrialStep::Short),
        Maid::diagonal(),
    ]
}

pub(crate) fn non_monotone() -> Vec<Maid> {
    let with = |acceptance| {
        let mut maid = Maid::non_monotone();
        maid.line_search.acceptance = acceptance;
        maid
    };
    let mut going_on = Maid::non_monotone();
    going_on.line_search.extrapolate = true;
    vec![
        Maid::non_monotone(),
        with(Acceptance::Max { memory: 5 }),
        going_on,
    ]
}

pub(crate) fn all() -> Vec<Maid> {
    let mut all = monotone();
    all.extend(non_monotone());
    all.push(Maid::goal_oriented());
    let mut going_on = Maid::goal_oriented();
    going_on.line_search.extrapolate = true;
    all.push(going_on);
    all
}
