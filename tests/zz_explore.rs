#![allow(clippy::unwrap_used, unused)]
#[path = "../benches/least_squares/mod.rs"]
mod least_squares;
use bilevel::*;
use bilevel::upper::*;
use bilevel_problems::data::read_npy;
use bilevel_problems::imaging::{Norm, Weights, tv_denoising, TvOracle};
use bilevel_problems::quadratic::Quadratic;
use least_squares::*;

fn kin() -> Vec<Maid> {
    vec![Maid::default(), Maid::lbfgs(), Maid::barzilai_borwein(), Maid::non_monotone(), Maid::diagonal(), Maid::goal_oriented()]
}
fn show<O: Oracle<Theta=Vec<f64>>>(label: &str, o: &O, s: impl Solver<O>, exact: impl Fn(&Vec<f64>) -> f64, target: f64, start: Vec<f64>, iters: u64, samples: u64, verbose: bool) {
    let name = s.name();
    let r = match Run::new(o, s).tolerance(0.0).max_iterations(iters).start(start) { Ok(r) => r, Err(e) => { println!("{name}: {e}"); return } };
    let rows = r.trace.rows();
    let mut found = None;
    for (k, row) in rows.iter().enumerate() {
        let v = exact(&row.theta);
        if verbose && k < 14 { println!("   {k} F={v:.6e} z={:.3e} w={:.3e} eps={:.1e} step={:?} h={} t={} work={}+{}", row.gradient_norm, row.error_bound, row.accuracy.epsilon, row.step, row.hypergradients, row.trials, row.work.lower_gradients/samples, row.work.hessian_products/samples); }
        if v <= target { found = Some(k); break; }
    }
    match found {
        Some(k) if k > 0 => {
            let h: u64 = rows[..k].iter().map(|r| r.hypergradients).sum();
            let t: u64 = rows[..k].iter().map(|r| r.trials).sum();
            let w = rows[k-1].work;
            println!("{label} {name}: k={k} h={h} t={t} eval={} points={} lower={} hvp={} sum={} {}", h+t, 1+t, w.lower_gradients/samples, w.hessian_products/samples, w.iterations()/samples, r.trust);
        }
        _ => println!("{label} {name}: not found, ended {:?} after {} it, F={:.6e} target {:.6e} work {}", r.status, r.iterations, exact(&rows.last().unwrap().theta), target, rows.last().unwrap().work.iterations()/samples),
    }
}
#[test]
fn tv() {
    let folder = std::path::PathBuf::from("/work/shared/data/tv_kodak96");
    let clean = read_npy(folder.join("clean.npy")).unwrap();
    let noisy = read_npy(folder.join("noisy.npy")).unwrap();
    let oracle = |trust| tv_denoising(&clean, &noisy, Norm::Anisotropic, Weights::Global, trust).unwrap();
    let ex = oracle(Trust::Certified);
    let o = oracle(Trust::Certified);
    let exact = |t: &Vec<f64>| { let mut s = ex.start(t).unwrap(); ex.value(t, 1e-6, &mut s).unwrap().value.value };
    for m in kin() { show("tv", &o, m, exact, 1.001*8.621962825476606, vec![-5.0,-5.0], 40, 12, true); }
}
#[test]
fn ls() {
    for seed in 0..3 {
        let d = Data::new(seed);
        println!("seed {seed} cond g {} cond F {} F0 {} F* {}", d.condition_of_g(), d.condition_of_f, d.value(&d.start), d.optimum);
        let o = Implicit::new(Lower(d.clone()), Upper(d.clone()));
        for m in kin() { show("ls", &o, m, |t| d.value(t), d.optimum + 5e-3, d.start.clone(), 3000, 1, seed==0); }
        let ou = Implicit::new(Lower(d.clone()), Upper(d.clone())).with_trust(Trust::Unknown);
        for law in [Law::Exponential, Law::Quadratic, Law::Cubic] { show("ls", &ou, Hoag::new(law), |t| d.value(t), d.optimum + 5e-3, d.start.clone(), 3000, 1, false); }
        for e in [1e-1, 1e-3, 1e-4, 1e-6] { show("ls", &ou, GradientDescent::with_accuracy(e), |t| d.value(t), d.optimum + 5e-3, d.start.clone(), 3000, 1, false); }
    }
}
#[test]
fn quad() {
    for scale in [1.0, 1e4] {
        let p = Quadratic::random(1000, 10, 30.0, 1);
        let o = Implicit::new(p.lower(), p.upper());
        let start: Vec<f64> = (0..10).map(|i| scale * ((i as f64) * 1.7 + 0.3).sin()).collect();
        println!("F0 {} F* {}", p.value(&start), p.value(&p.optimum()));
        for m in kin() { show("quad", &o, m, |t| p.value(t), p.value(&p.optimum()) + 5e-3, start.clone(), 500, 1, false); }
    }
}
