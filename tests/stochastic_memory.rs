//! Iterations of stochastic methods allocate nothing: a block of many costs the allocations of a block of few.
//!
//! One test, because the counts are those of the whole process.

#![allow(clippy::unwrap_used)] // in the helpers of tests, as in tests

use bilevel::stochastic::{AccBo, BoRep, Bome, F2sa, Method, Mrbo, Slip, Sustain, Vrbo};
use bilevel::{Implicit, Solver, Stochastic};
use bilevel_problems::finite_sum::FiniteSum;

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

/// Allocations in one step of blocks of this length, after a first one.
fn allocations<M: Method + Clone>(method: &M, block: u64) -> u64 {
    let problem = FiniteSum::coupled(6, 4, 40, 10.0, 1);
    let oracle = Implicit::new(problem.lower(), problem.upper());
    let solver = Stochastic {
        lower_batch: 8,
        upper_batch: 8,
        block,
        ..Stochastic::new(method.clone())
    };
    let mut state = solver.start(&oracle, vec![0.5; 4]).unwrap();
    solver.step(&oracle, &mut state, 0.0).unwrap();
    let before = dhat::HeapStats::get().total_blocks;
    solver.step(&oracle, &mut state, 0.0).unwrap();
    dhat::HeapStats::get().total_blocks - before
}

fn check<M: Method + Clone>(method: M) {
    // The first step is long enough for every branch of an iteration.
    let (few, many) = (allocations(&method, 20), allocations(&method, 200));
    assert_eq!(few, many, "{}", method.name());
}

#[test]
fn iterations_allocate_nothing() {
    let _profiler = dhat::Profiler::builder().testing().build();
    check(BoRep::default());
    check(Slip::default());
    check(AccBo::default());
    check(Mrbo::default());
    check(Sustain::default());
    check(Vrbo::default());
    check(F2sa::default());
    check(Bome::default());
}
