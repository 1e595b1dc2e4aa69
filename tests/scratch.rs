mod common;
use bilevel::*;
use bilevel_problems::quadratic::Quadratic;
#[test]
fn explore() {
    for (n, p, c) in [
        (20, 2, 30.0),
        (20, 4, 30.0),
        (50, 10, 30.0),
        (50, 30, 30.0),
        (100, 50, 100.0),
    ] {
        let problem = Quadratic::random(n, p, c, 0);
        let oracle = Implicit::new(problem.lower(), problem.upper());
        let best = problem.value(&problem.optimum());
        for fs in [1e-1, 1e-2, 1e-3] {
            let s = DerivativeFree {
                final_step: fs,
                ..DerivativeFree::default()
            };
            let r = Run::new(&oracle, s).start(vec![2.0; p]).unwrap();
            let vals: u64 = r.trace.rows().iter().map(|r| r.trials).sum();
            println!(
                "p {p} {:?} fs {fs} it {} vals {vals} gap {:.2e} F0 {:.3} F* {best:.3} lg {} z {:.1e}",
                r.status,
                r.iterations,
                problem.value(&r.theta) - best,
                problem.value(&vec![2.0; p]),
                r.work.lower_gradients,
                r.hypergradient.norm()
            );
        }
        let r = Run::new(&oracle, Maid::default())
            .start(vec![2.0; p])
            .unwrap();
        println!(
            "   maid {:?} it {} gap {:.2e} lg {} it {}",
            r.status,
            r.iterations,
            problem.value(&r.theta) - best,
            r.work.lower_gradients,
            r.work.iterations()
        );
    }
}
