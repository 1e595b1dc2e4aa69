//! Memory: iterations of the stochastic methods allocate nothing.

use bilevel::stochastic::{
    AccBo, Amigo, BoRep, Bome, Bsa, F2sa, Fsla, MaSoba, Method, Mrbo, Saba, Slip, Srba, StepSize,
    StocBio, Sustain, Ttsa, Vrbo,
};
use bilevel::{Implicit, Soba, Solver, Stochastic, parallel};
use bilevel_problems::synthetic::finite_sum::FiniteSum;

use crate::alone::alone;

#[test]
fn iterations_of_stochastic_methods_allocate_nothing() {
    alone(
        "stochastic::iterations_of_stochastic_methods_allocate_nothing",
        || {
            allocates_nothing(Soba::default());
            allocates_nothing(Saba::default());
            allocates_nothing(MaSoba::default());
            allocates_nothing(StocBio::default());
            allocates_nothing(Ttsa::default());
            allocates_nothing(Bsa::default());
            allocates_nothing(Amigo::default());
            allocates_nothing(Fsla::default());
            allocates_nothing(Srba::default());
            allocates_nothing(BoRep::default());
            allocates_nothing(Slip::default());
            allocates_nothing(AccBo::default());
            allocates_nothing(Mrbo::default());
            allocates_nothing(Sustain::default());
            allocates_nothing(Vrbo::default());
            allocates_nothing(F2sa::default());
            allocates_nothing(Bome::default());
        },
    );
}

/// Two solvers that differ in the length of their blocks alone: a step allocates for its row of the trace, and no more for more
/// iterations.
fn allocates_nothing<M: Method + Clone>(method: M) {
    let problem = FiniteSum::random(6, 4, 40, 10.0, 1);
    let oracle = Implicit::new(problem.lower(), problem.upper());
    let blocks = |block: u64| {
        let solver = Stochastic {
            lower_batch: 7,
            upper_batch: 9,
            block,
            // Given steps: a look at the curvature solves inner problems, and allocates as they do.
            lower_step: StepSize::decaying(0.02, 0.5),
            upper_step: StepSize::decaying(0.001, 0.5),
            ..Stochastic::new(method.clone())
        };
        let mut state = solver.start(&oracle, vec![0.5; 4]).unwrap();
        // The first pass may allocate.
        solver.step(&oracle, &mut state, 0.0).unwrap();
        let before = dhat::HeapStats::get().total_blocks;
        solver.step(&oracle, &mut state, 0.0).unwrap();
        dhat::HeapStats::get().total_blocks - before
    };
    let profiler = dhat::Profiler::builder().testing().build();
    let (short, long) = parallel::with_threads(1, || (blocks(20), blocks(200))).unwrap();
    drop(profiler);
    assert!(short > 0, "a row of the trace is allocated");
    // The counts are those of the process: a pool of threads that is ending may add one.
    assert!(long <= short + 2, "{}: {short}, {long}", method.name());
}
