//! Stochastic methods with momentum, recursive estimators or first derivatives alone: each against its update box in plain dense
//! algebra, on all samples and on two batches, and its descent on batches with default settings.

use crate::harness::{
    Dense, ETA, GAMMA, Reference, agrees, agrees_with, descends, plus, times, transposed,
};
use bilevel::problem::minibatch::{Batch, MinibatchLower};
use bilevel::stochastic::{
    AccBo, BoRep, Bome, F2sa, Method, Mrbo, Sampling, Slip, StepSize, Sustain, Vrbo,
};
use bilevel::{
    Implicit, Linearization, LowerLevel, Report, Run, Soba, Solver, Status, Stochastic, Trust,
    check_lower, check_upper,
};
use bilevel_problems::synthetic::finite_sum::FiniteSum;
use bilevel_problems::synthetic::unbounded_smoothness::UnboundedSmoothness;

fn norm(a: &[f64]) -> f64 {
    a.iter().map(|a| a * a).sum::<f64>().sqrt()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// SGD on x: the last step, or the average, of steps projected on a ball.
fn sgd(r: &mut Reference, steps: usize, step: f64, radius: f64, average: bool) {
    let centre = r.x.clone();
    let mut sum = vec![0.0; centre.len()];
    for _ in 0..steps {
        let gradient = r.lower().gradient(&r.x, &r.theta);
        r.x = plus(&r.x, -step, &gradient);
        let away = plus(&r.x, -1.0, &centre);
        if norm(&away) > radius {
            r.x = plus(&centre, radius / norm(&away), &away);
        }
        sum = plus(&sum, 1.0, &r.x);
    }
    if average {
        r.x = sum.iter().map(|s| s / steps as f64).collect();
    }
}

/// v − ν(Av − ∇ₓf).
fn adjoint(r: &mut Reference, nu: f64) -> Vec<f64> {
    let (lower, upper) = (r.lower(), r.upper());
    let d = plus(&times(&lower.a, &r.v), -1.0, &upper.upper_gradient(&r.x));
    plus(&r.v, -nu, &d)
}

/// ∇θf − Bᵀv.
fn direction(r: &mut Reference) -> Vec<f64> {
    let lower = r.lower();
    r.upper();
    plus(&r.upper_theta(&r.theta), -1.0, &transposed(&lower.b, &r.v))
}

fn normalised(theta: &[f64], m: &[f64]) -> Vec<f64> {
    plus(theta, -ETA / norm(m), m)
}

#[test]
fn bo_rep_is_its_update_box() {
    // Balls that bind.
    let method = BoRep {
        period: 3,
        inner_steps: 4,
        radius: Some(1e-3),
        momentum: 0.8,
        adjoint_ratio: 2.0,
        epochs: 3,
        first_epoch: 5,
        first_radius: Some(0.2),
    };
    let start = |r: &mut Reference| {
        sgd(r, 5, GAMMA, 0.2, true);
        sgd(r, 10, GAMMA / 2.0, 0.1, true);
        sgd(r, 20, GAMMA / 4.0, 0.05, true);
        vec![0.0; 4]
    };
    agrees(method, start, |r, m, k| {
        if k > 0 && k % 3 == 0 {
            sgd(r, 4, GAMMA, 1e-3, true);
        }
        r.v = adjoint(r, 2.0 * GAMMA);
        let d = direction(r);
        *m = plus(&m.iter().map(|m| 0.8 * m).collect::<Vec<_>>(), 0.2, &d);
        r.theta = normalised(&r.theta, m);
    });
}

#[test]
fn slip_is_its_update_box() {
    let method = Slip {
        warm_start: 7,
        momentum: 0.8,
        adjoint_ratio: 2.0,
    };
    let start = |r: &mut Reference| {
        sgd(r, 7, GAMMA, f64::INFINITY, false);
        vec![0.0; 4]
    };
    agrees(method, start, |r, m, _| {
        let d = direction(r);
        *m = plus(&m.iter().map(|m| 0.8 * m).collect::<Vec<_>>(), 0.2, &d);
        let v = adjoint(r, 2.0 * GAMMA);
        sgd(r, 1, GAMMA, f64::INFINITY, false);
        r.v = v;
        r.theta = normalised(&r.theta, m);
    });
}

#[test]
fn accbo_is_its_update_box() {
    let method = AccBo {
        warm_start: 7,
        momentum: 0.8,
        extrapolation: 0.3,
        averaging: 0.7,
        adjoint_ratio: 2.0,
    };
    struct Memory {
        m: Vec<f64>,
        y: [Vec<f64>; 2],
        v: Vec<f64>,
        theta: Vec<f64>,
    }
    let start = |r: &mut Reference| {
        sgd(r, 7, GAMMA, f64::INFINITY, false);
        Memory {
            m: vec![],
            y: [r.x.clone(), r.x.clone()],
            v: vec![],
            theta: vec![],
        }
    };
    agrees(method, start, |r, s, k| {
        let [y, before] = &s.y;
        let ahead = plus(y, 0.3, &plus(y, -1.0, before));
        let new = plus(&ahead, -GAMMA, &r.lower().gradient(&ahead, &r.theta));
        r.x = plus(&r.x, 0.7, &plus(&new, -1.0, &r.x));
        s.y = [new, y.clone()];
        r.v = adjoint(r, 2.0 * GAMMA);
        let lower = r.lower();
        r.upper();
        let d =
            |theta: &[f64], v: &[f64]| plus(&r.upper_theta(theta), -1.0, &transposed(&lower.b, v));
        let here = d(&r.theta, &r.v);
        s.m = if k == 0 {
            here
        } else {
            plus(&here, 0.8, &plus(&s.m, -1.0, &d(&s.theta, &s.v)))
        };
        (s.v, s.theta) = (r.v.clone(), r.theta.clone());
        r.theta = normalised(&r.theta, &s.m);
    });
}

/// τ Σ Π (I − τA_ξᵢ) ∇ₓf and the rest of the hypergradient, at points on the same batches.
fn neumann(r: &mut Reference, terms: u64, points: &[(&[f64], &[f64])], all: bool) -> Vec<Vec<f64>> {
    let draw = |r: &mut Reference, lower: bool| match (all, lower) {
        (true, _) => r.all.clone(),
        (_, true) => r.lower(),
        (_, false) => r.upper(),
    };
    let upper = draw(r, false);
    let factors: Vec<Dense> = (1..terms).map(|_| draw(r, true)).collect();
    let cross = draw(r, true);
    points
        .iter()
        .map(|(theta, x)| {
            let mut term = upper.upper_gradient(x);
            let mut sum = term.clone();
            for factor in &factors {
                term = plus(&term, -0.1, &times(&factor.a, &term));
                sum = plus(&sum, 1.0, &term);
            }
            let q: Vec<f64> = sum.iter().map(|s| 0.1 * s).collect();
            plus(&r.upper_theta(theta), -1.0, &transposed(&cross.b, &q))
        })
        .collect()
}

/// The memory of a recursive estimator.
#[derive(Default)]
struct Recursive {
    u: Vec<f64>,
    w: Vec<f64>,
    x: Vec<f64>,
    theta: Vec<f64>,
}

/// An iteration of the recursive momentum, with the weights of the new gradients.
fn recursive(r: &mut Reference, s: &mut Recursive, k: u64, a: f64, b: f64) {
    let lower = r.lower();
    let here = lower.gradient(&r.x, &r.theta);
    let (x, theta) = (r.x.clone(), r.theta.clone());
    if k == 0 {
        s.u = here;
        s.w = neumann(r, 5, &[(&theta, &x)], false).remove(0);
    } else {
        let there = lower.gradient(&s.x, &s.theta);
        s.u = plus(&here, 1.0 - b, &plus(&s.u, -1.0, &there));
        let h = neumann(r, 5, &[(&theta, &x), (&s.theta, &s.x)], false);
        s.w = plus(&h[0], 1.0 - a, &plus(&s.w, -1.0, &h[1]));
    }
    (s.x, s.theta) = (x, theta);
    r.x = plus(&r.x, -GAMMA, &s.u);
    r.theta = plus(&r.theta, -ETA, &s.w);
}

#[test]
fn mrbo_is_its_update_box() {
    let method = Mrbo {
        terms: 5,
        neumann_step: Some(0.1),
        upper_forgetting: 0.9,
        lower_forgetting: 0.6,
    };
    agrees(
        method,
        |_| Recursive::default(),
        |r, s, k| {
            let decay = ((k + 1) as f64).cbrt().powi(2);
            recursive(r, s, k, 0.9 / decay, 0.6 / decay);
        },
    );
}

#[test]
fn sustain_is_its_update_box() {
    let method = Sustain {
        terms: 5,
        neumann_step: Some(0.1),
        upper_forgetting: 0.7,
        lower_forgetting: 0.4,
    };
    agrees(
        method,
        |_| Recursive::default(),
        |r, s, k| {
            let decay = ((k + 1) as f64).cbrt().powi(2);
            recursive(r, s, k, 0.7 / decay, 0.4 / decay);
        },
    );
}

#[test]
fn vrbo_is_its_update_box() {
    let method = Vrbo {
        inner_steps: 2,
        period: Some(4),
        terms: 5,
        neumann_step: Some(0.1),
    };
    agrees(
        method,
        |_| Recursive::default(),
        |r, s, k| {
            if k % 4 == 0 {
                s.u = r.all.gradient(&r.x, &r.theta);
                let (x, theta) = (r.x.clone(), r.theta.clone());
                s.w = neumann(r, 5, &[(&theta, &x)], true).remove(0);
            }
            (s.x, s.theta) = (r.x.clone(), r.theta.clone());
            r.theta = plus(&r.theta, -ETA, &s.w);
            for t in 0..3 {
                let lower = r.lower();
                let change = plus(
                    &lower.gradient(&r.x, &r.theta),
                    -1.0,
                    &lower.gradient(&s.x, &s.theta),
                );
                s.u = plus(&s.u, 1.0, &change);
                let (x, theta) = (r.x.clone(), r.theta.clone());
                let h = neumann(r, 5, &[(&theta, &x), (&s.theta, &s.x)], false);
                s.w = plus(&s.w, 1.0, &plus(&h[0], -1.0, &h[1]));
                (s.x, s.theta) = (x, theta);
                if t < 2 {
                    r.x = plus(&r.x, -GAMMA, &s.u);
                }
            }
        },
    );
}

#[test]
fn f2sa_is_its_update_box() {
    let method = F2sa {
        inner_steps: 2,
        multiplier: 3.0,
        growth: 0.5,
    };
    agrees(
        method,
        |_| (),
        |r, (), k| {
            let lambda = 3.0 * ((k + 1) as f64).sqrt();
            for _ in 0..2 {
                let (lower, upper) = (r.lower(), r.upper());
                let by_y = lower.gradient(&r.v, &r.theta);
                let by_y = plus(&by_y, 1.0 / lambda, &upper.upper_gradient(&r.v));
                r.x = plus(&r.x, -GAMMA, &lower.gradient(&r.x, &r.theta));
                r.v = plus(&r.v, -GAMMA, &by_y);
            }
            let lower = r.lower();
            r.upper();
            let difference = plus(
                &lower.gradient_theta(&r.v, &r.theta),
                -1.0,
                &lower.gradient_theta(&r.x, &r.theta),
            );
            let d = plus(&r.upper_theta(&r.theta), lambda, &difference);
            r.theta = plus(&r.theta, -ETA, &d);
        },
    );
}

#[test]
fn bome_is_its_update_box() {
    // Where γ is longer than η, x and θ move by η, as in the paper; else x moves by γ. The last barrier is so high that λ is cut off.
    for (gamma, eta, barrier) in [(0.05, 0.02, 0.4), (0.02, 0.05, 0.4), (0.02, 0.05, 40.0)] {
        let method = Bome {
            inner_steps: 3,
            barrier,
        };
        let x_step = f64::min(gamma, eta);
        agrees_with(
            [gamma, eta],
            method,
            |_| (),
            |r, (), _| {
                let (lower, upper) = (r.lower(), r.upper());
                let mut reached = r.x.clone();
                for _ in 0..3 {
                    reached = plus(&reached, -gamma, &lower.gradient(&reached, &r.theta));
                }
                let q_x = lower.gradient(&r.x, &r.theta);
                let q_theta = plus(
                    &lower.gradient_theta(&r.x, &r.theta),
                    -1.0,
                    &lower.gradient_theta(&reached, &r.theta),
                );
                let (f_x, f_theta) = (upper.upper_gradient(&r.x), r.upper_theta(&r.theta));
                let inner = |a: [&[f64]; 2], b: [&[f64]; 2]| {
                    x_step / eta * dot(a[0], b[0]) + dot(a[1], b[1])
                };
                let squared = inner([&q_x, &q_theta], [&q_x, &q_theta]);
                let along = inner([&f_x, &f_theta], [&q_x, &q_theta]);
                let lambda = ((barrier * squared - along) / squared).max(0.0);
                let lambda = lambda.min(gamma / x_step);
                r.x = plus(&r.x, -x_step, &plus(&f_x, lambda, &q_x));
                r.theta = plus(&r.theta, -eta, &plus(&f_theta, lambda, &q_theta));
            },
        );
    }
}

#[test]
fn bo_rep_descends_with_default_settings() {
    descends(BoRep::default(), 20, 1e-3);
}

#[test]
fn slip_descends_with_default_settings() {
    descends(Slip::default(), 20, 1e-3);
}

#[test]
fn accbo_descends_with_default_settings() {
    descends(AccBo::default(), 20, 1e-3);
}

#[test]
fn mrbo_descends_with_default_settings() {
    descends(Mrbo::default(), 20, 1e-3);
}

#[test]
fn sustain_descends_with_default_settings() {
    descends(Sustain::default(), 20, 1e-3);
}

#[test]
fn vrbo_descends_with_default_settings() {
    descends(Vrbo::default(), 5, 1e-3);
}

#[test]
fn f2sa_descends_with_default_settings() {
    descends(F2sa::default(), 20, 1e-3);
}

#[test]
fn bome_descends_with_default_settings() {
    // Its theory promises K^{-1/4} without noise, and on batches nothing: λ stays bounded, and the bias of the order of 1/λ remains.
    descends(Bome::default(), 20, 0.1);
}

#[test]
fn the_problem_of_unbounded_smoothness_has_the_derivatives_it_says() {
    for (n, condition, seed) in [(1, 1.0, 0), (4, 10.0, 1), (7, 100.0, 2)] {
        let problem = UnboundedSmoothness::random(n, 30, condition, seed);
        let theta: Vec<f64> = (0..n).map(|k| 0.3 - 0.2 * k as f64).collect();
        let x = plus(&theta, 1.0, &vec![0.7; n]);
        let report = check_lower(&problem.lower(), &x, &theta);
        assert!(report.passed(), "{report}");
        let report = check_upper(&problem.upper(), &x, &theta);
        assert!(report.passed(), "{report}");

        let mut gradient = vec![0.0; n];
        let solution = problem.solution(&theta);
        problem.lower().gradient(&solution, &theta, &mut gradient);
        assert!(norm(&gradient) <= 1e-12 * condition);
        let exact = problem.gradient(&theta);
        for k in 0..n {
            let at = |h: f64| {
                let mut there = theta.clone();
                there[k] += h;
                problem.value(&there)
            };
            let difference = (at(1e-5) - at(-1e-5)) / 2e-5;
            // Central differences of a smooth function: h² of the third derivative, and rounding over h.
            assert!((difference - exact[k]).abs() <= 1e-8 * (1.0 + norm(&exact)));
        }
        // The batches are those of the level.
        let lower = problem.lower();
        let mut batch = vec![0.0; n];
        lower.batch_gradient_theta(Batch::all(30), &x, &theta, &mut batch);
        let value = |theta: &Vec<f64>| lower.value(&x, theta);
        for k in 0..n {
            let at = |h: f64| {
                let mut there = theta.clone();
                there[k] += h;
                value(&there)
            };
            let difference = (at(1e-5) - at(-1e-5)) / 2e-5;
            assert!((difference - batch[k]).abs() <= 1e-8 * (1.0 + norm(&batch)));
        }
        let unit = vec![1.0; n];
        let mut other = vec![0.0; n];
        lower.batch_hvp(Batch::all(30), &x, &theta, &unit, &mut batch);
        lower.linearize(&x, &theta).hvp(&unit, &mut other);
        assert!(norm(&plus(&batch, -1.0, &other)) <= 1e-12 * norm(&batch));
        lower.batch_cross_vjp(Batch::all(30), &x, &theta, &unit, &mut batch);
        lower.linearize(&x, &theta).cross_vjp(&unit, &mut other);
        assert!(norm(&plus(&batch, -1.0, &other)) <= 1e-12 * norm(&batch));
    }
}

#[test]
fn where_smoothness_grows_with_the_gradient_soba_diverges_and_bo_rep_descends() {
    let problem = UnboundedSmoothness::random(5, 200, 4.0, 0);
    let theta = vec![8.0; 5];
    let squared = |theta: &[f64]| dot(&problem.gradient(theta), &problem.gradient(theta));
    // At the start the gradient is large, and the smoothness is as large.
    assert!(squared(&theta) > 1e6);
    fn run<M: Method>(problem: &UnboundedSmoothness, method: M) -> Report<Vec<f64>> {
        let oracle = Implicit::new(problem.lower(), problem.upper()).with_trust(Trust::Estimated);
        let solver = Stochastic {
            lower_batch: 8,
            upper_batch: 8,
            lower_step: StepSize::decaying(0.1, 0.5),
            upper_step: StepSize::decaying(0.3, 0.5),
            ..Stochastic::new(method)
        };
        Run::new(&oracle, solver)
            .max_iterations(20)
            .start(vec![8.0; 5])
            .unwrap()
    }
    let soba = run(&problem, Soba::default());
    assert_eq!(soba.status, Status::Diverged);
    let bo_rep = run(&problem, BoRep::default());
    let share = squared(&bo_rep.theta) / squared(&theta);
    println!("{share:.1e} of {:.1e}", squared(&theta));
    assert_ne!(bo_rep.status, Status::Diverged);
    assert!(share <= 1e-6, "{share:.1e}");
    // The steps are right near the minimiser, for SOBA too: it is the start that throws it out.
    assert!(
        squared(&bo_rep.theta) <= 1e-1,
        "{:.1e}",
        squared(&bo_rep.theta)
    );
}

/// Asserts that a state that is stored and read goes on as if nothing had happened, to the last bit.
fn resumes<M: Method>(method: M) {
    let problem = FiniteSum::coupled(6, 4, 40, 10.0, 1);
    let oracle = Implicit::new(problem.lower(), problem.upper());
    let solver = Stochastic {
        lower_batch: 7,
        upper_batch: 9,
        sampling: Sampling::Shuffled,
        block: 5,
        ..Stochastic::new(method)
    };
    let mut state = solver.start(&oracle, vec![0.5; 4]).unwrap();
    let step = |state: &mut _| {
        solver.step(&oracle, state, 0.0).unwrap();
    };
    step(&mut state);
    let stored = serde_json::to_string(&state).unwrap();
    let mut read = serde_json::from_str(&stored).unwrap();
    step(&mut state);
    step(&mut read);
    let (a, b) = (state.iterate(), read.iterate());
    assert_eq!((&a.theta, &a.x, &a.v), (&b.theta, &b.x, &b.v));
    assert_ne!(a.theta, vec![0.5; 4]);
    assert_eq!(
        serde_json::to_string(&state).unwrap(),
        serde_json::to_string(&read).unwrap()
    );
}

#[test]
fn every_method_resumes_to_the_last_bit() {
    resumes(BoRep::default());
    resumes(Slip::default());
    resumes(AccBo::default());
    resumes(Mrbo::default());
    resumes(Sustain::default());
    resumes(Vrbo::default());
    resumes(F2sa::default());
    resumes(Bome::default());
}

#[test]
fn settings_outside_their_range_are_refused_by_name() {
    let named = |error: Result<(), bilevel::Error>, name: &str| {
        let message = error.unwrap_err().to_string();
        assert!(message.starts_with(&format!("{name} is ")), "{message}");
    };
    let default = BoRep::default;
    named(
        BoRep {
            period: 0,
            ..default()
        }
        .check(),
        "period",
    );
    named(
        BoRep {
            inner_steps: 0,
            ..default()
        }
        .check(),
        "inner_steps",
    );
    named(
        BoRep {
            radius: Some(0.0),
            ..default()
        }
        .check(),
        "radius",
    );
    named(
        BoRep {
            momentum: 1.0,
            ..default()
        }
        .check(),
        "momentum",
    );
    named(
        BoRep {
            epochs: 33,
            ..default()
        }
        .check(),
        "epochs",
    );
    named(
        BoRep {
            adjoint_ratio: 0.0,
            ..default()
        }
        .check(),
        "adjoint_ratio",
    );
    named(
        Slip {
            momentum: -0.1,
            ..Slip::default()
        }
        .check(),
        "momentum",
    );
    named(
        AccBo {
            averaging: 0.0,
            ..AccBo::default()
        }
        .check(),
        "averaging",
    );
    named(
        AccBo {
            extrapolation: 1.0,
            ..AccBo::default()
        }
        .check(),
        "extrapolation",
    );
    named(
        Mrbo {
            terms: 0,
            ..Mrbo::default()
        }
        .check(),
        "terms",
    );
    named(
        Mrbo {
            upper_forgetting: 1.5,
            ..Mrbo::default()
        }
        .check(),
        "upper_forgetting",
    );
    named(
        Sustain {
            neumann_step: Some(-1.0),
            ..Sustain::default()
        }
        .check(),
        "neumann_step",
    );
    named(
        Vrbo {
            period: Some(0),
            ..Vrbo::default()
        }
        .check(),
        "period",
    );
    named(
        F2sa {
            multiplier: 0.0,
            ..F2sa::default()
        }
        .check(),
        "multiplier",
    );
    named(
        F2sa {
            growth: -1.0,
            ..F2sa::default()
        }
        .check(),
        "growth",
    );
    named(
        Bome {
            barrier: f64::NAN,
            ..Bome::default()
        }
        .check(),
        "barrier",
    );
}
