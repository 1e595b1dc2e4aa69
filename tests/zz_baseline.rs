#![allow(clippy::unwrap_used)]
use bilevel::*;
use bilevel_problems::quadratic::Quadratic;
#[test]
fn dump() {
    let mut out = String::new();
    for c in [1.0, 30.0, 1e3] { for seed in 0..3 { for e in [10.0, 0.1, 1e-3] {
        let p = Quadratic::random(20, 3, c, seed);
        let o = Implicit::new(p.lower(), p.upper());
        let r = Run::new(&o, Maid::with_accuracy(e)).tolerance(1e-6).start(vec![3.0, -2.0, 1.0]).unwrap();
        out += &r.trace.to_csv(); out += &format!("{:?}", r.status);
        let r = Run::new(&o, GradientDescent::with_accuracy(e)).tolerance(1e-6).max_iterations(100).start(vec![3.0, -2.0, 1.0]).unwrap();
        out += &r.trace.to_csv(); out += &format!("{:?}", r.status);
    }}}
    std::fs::write(std::env::var("ZZ_OUT").unwrap(), out).unwrap();
}
