//! Stochastic methods: each against its update box in plain dense algebra, its descent on batches with default settings, and runs that
//! are reproducible, resumable, and named when they diverge.

use crate::harness::{Dense, ETA, GAMMA, plus};
use bilevel::stochastic::{
    Amigo, Bsa, Fsla, MaSoba, Method, Saba, Sampler, Sampling, Srba, StepSize, StocBio, Truncation,
    Ttsa,
};
use bilevel::{Implicit, Run, Soba, Solver, Status, Stochastic};
use bilevel_problems::synthetic::finite_sum::FiniteSum;

fn problem() -> (FiniteSum, Vec<f64>) {
    (
        FiniteSum::random(6, 4, 40, 10.0, 1),
        vec![0.5, -1.0, 0.2, 0.8],
    )
}

/// Asserts that ten iterations of the method on batches of all samples, with constant steps γ and η, are those of `reference`, which
/// moves the dense variables once.
fn agrees<M: Method>(method: M, reference: impl FnMut(&mut Dense, u64)) {
    agrees_by(40, method, reference);
}

/// The same on batches of about `size` samples.
fn agrees_by<M: Method>(size: usize, method: M, mut reference: impl FnMut(&mut Dense, u64)) {
    let (problem, theta) = problem();
    let oracle = Implicit::new(problem.lower(), problem.upper());
    let solver = Stochastic {
        lower_batch: size,
        upper_batch: size,
        lower_step: StepSize::constant(GAMMA),
        upper_step: StepSize::constant(ETA),
        block: 1,
        ..Stochastic::new(method)
    };
    let mut dense = Dense::new(&problem, &theta);
    let mut state = solver.start(&oracle, theta.clone()).unwrap();
    for k in 0..10 {
        solver.step(&oracle, &mut state, 0.0).unwrap();
        reference(&mut dense, k);
        let at = state.iterate();
        for (name, ours, theirs) in [
            ("theta", &at.theta, &dense.theta),
            ("x", &at.x, &dense.x),
            ("v", &at.v, &dense.v),
        ] {
            for (a, b) in ours.iter().zip(theirs) {
                assert!(
                    (a - b).abs() <= 1e-12 * (1.0 + b.abs()),
                    "{name} at iteration {k}: {a} and {b}"
                );
            }
        }
    }
    assert_ne!(dense.theta, theta, "something has moved");
}

/// The batches that the driver draws, drawn again: those of ten iterations or more as dense problems.
struct Drawn {
    lower: Sampler,
    upper: Sampler,
    /// By the number of the batch of the lower level, then of the upper one.
    parts: Vec<Vec<Dense>>,
}

impl Drawn {
    fn new(problem: &FiniteSum, theta: &[f64], size: usize) -> Self {
        let sampler = |stream| Sampler::new(40, size, Sampling::Contiguous, 0, stream);
        let (lower, upper) = (sampler(1), sampler(2));
        let parts = (0..lower.batches())
            .map(|i| {
                (0..upper.batches())
                    .map(|j| Dense::on(problem, theta, [lower.batch(i), upper.batch(j)]))
                    .collect()
            })
            .collect();
        Drawn {
            lower,
            upper,
            parts,
        }
    }

    /// The next batch of the lower level.
    fn lower(&mut self) -> &Dense {
        let i = self.lower.draw();
        &self.parts[i][0]
    }

    /// The next batch of the upper level.
    fn upper(&mut self) -> &Dense {
        let j = self.upper.draw();
        &self.parts[0][j]
    }

    /// The next of both.
    fn both(&mut self) -> &Dense {
        let (i, j) = (self.lower.draw(), self.upper.draw());
        &self.parts[i][j]
    }
}

/// Asserts that ten iterations of the method, with constant steps γ and η, are those of `reference`: on batches of all samples, then on
/// two batches, then on three of unequal size. The reference is made anew for each.
fn agrees_on_batches<M, R>(method: M, reference: impl Fn() -> R)
where
    M: Method + Clone,
    R: FnMut(&mut Dense, &mut Drawn, u64),
{
    let (problem, theta) = problem();
    for size in [40, 20, 14] {
        let mut drawn = Drawn::new(&problem, &theta, size);
        let mut reference = reference();
        agrees_by(size, method.clone(), |s, k| reference(s, &mut drawn, k));
    }
}

#[test]
fn soba_is_its_update_box() {
    agrees(Soba::default(), |s, _| {
        let [x, v, theta] = s.directions(&s.x, &s.v, &s.theta);
        s.x = plus(&s.x, -GAMMA, &x);
        s.v = plus(&s.v, -GAMMA, &v);
        s.theta = plus(&s.theta, -ETA, &theta);
    });
}

/// Runs the method with default settings on batches of 8 of 200 samples and asserts that ‖∇F‖² falls to a thousandth.
fn descends<M: Method + Clone>(method: M, blocks: u64) {
    falls(method, blocks, 1e-3);
}

/// The same to another share. Two problems: one whose ∇F is mostly ρθ, and one whose ∇F comes through x and v.
fn falls<M: Method + Clone>(method: M, blocks: u64, share: f64) {
    for problem in [
        FiniteSum::random(10, 5, 200, 10.0, 2),
        FiniteSum::coupled(10, 5, 200, 10.0, 2),
    ] {
        let theta = vec![3.0; 5];
        let oracle = Implicit::new(problem.lower(), problem.upper());
        let solver = Stochastic {
            lower_batch: 8,
            upper_batch: 8,
            ..Stochastic::new(method.clone())
        };
        let squared = |theta: &[f64]| problem.gradient(theta).iter().map(|g| g * g).sum::<f64>();
        let before = squared(&theta);
        let report = Run::new(&oracle, solver)
            .max_iterations(blocks)
            .start(theta)
            .unwrap();
        let after = squared(&report.theta);
        println!("{}: {:.1e} of {before:.1e}", report.solver, after / before);
        assert_ne!(report.status, Status::Diverged);
        assert!(
            after <= share * before,
            "{}: {:.1e}",
            report.solver,
            after / before
        );
    }
}

#[test]
fn soba_descends_with_default_settings() {
    descends(Soba::default(), 60);
}

/// θ and the mean of a table: the average of `last` with weights |ξᵢ|/n, computed anew.
fn mean(last: &[Vec<f64>], sizes: &[usize]) -> Vec<f64> {
    let mut sum = vec![0.0; last[0].len()];
    for (value, &size) in last.iter().zip(sizes) {
        sum = plus(&sum, size as f64 / 40.0, value);
    }
    sum
}

#[test]
fn saba_is_its_update_box() {
    agrees_on_batches(Saba::default(), || {
        let mut tables: Option<[Vec<Vec<f64>>; 5]> = None;
        move |s: &mut Dense, drawn: &mut Drawn, _| {
            let batches = drawn.parts.len();
            let sizes: Vec<usize> = (0..batches).map(|i| drawn.lower.batch(i).len()).collect();
            let values = |part: &Dense, s: &Dense| {
                [
                    part.gradient(&s.x, &s.theta),
                    part.hvp(&s.v),
                    part.cross(&s.v),
                    part.upper_gradient(&s.x),
                    part.upper_gradient_theta(&s.theta),
                ]
            };
            let tables = tables.get_or_insert_with(|| {
                std::array::from_fn(|q| {
                    (0..batches)
                        .map(|i| values(&drawn.parts[i][i], s)[q].clone())
                        .collect()
                })
            });
            let [i, j] = [drawn.lower.draw(), drawn.upper.draw()];
            let fresh = values(&drawn.parts[i][j], s);
            let mut reduced = Vec::new();
            for (q, u) in fresh.into_iter().enumerate() {
                let number = if q < 3 { i } else { j };
                let factor = batches as f64 * sizes[number] as f64 / 40.0;
                let change = plus(&u, -1.0, &tables[q][number]);
                reduced.push(plus(&mean(&tables[q], &sizes), factor, &change));
                tables[q][number] = u;
            }
            s.x = plus(&s.x, -GAMMA, &reduced[0]);
            s.v = plus(&s.v, -GAMMA, &plus(&reduced[1], -1.0, &reduced[3]));
            s.theta = plus(&s.theta, -ETA, &plus(&reduced[4], -1.0, &reduced[2]));
        }
    });
}

#[test]
fn saba_refuses_batches_that_are_not_the_same_in_every_epoch() {
    let (problem, theta) = problem();
    let oracle = Implicit::new(problem.lower(), problem.upper());
    let solver = Stochastic {
        lower_batch: 10,
        upper_batch: 10,
        sampling: Sampling::Shuffled,
        ..Stochastic::new(Saba::default())
    };
    let error = solver.start(&oracle, theta).unwrap_err();
    assert_eq!(
        error.to_string(),
        "sampling is shuffled; expected contiguous: SABA remembers batches, which must be the same in every epoch"
    );
}

#[test]
fn saba_descends_with_default_settings() {
    descends(Saba::default(), 60);
}

#[test]
fn saba_and_srba_reach_the_minimiser_with_constant_steps_and_soba_does_not() {
    let problem = FiniteSum::coupled(10, 5, 200, 10.0, 2);
    let minimiser = problem.minimiser();
    fn distance<M: Method>(method: M, problem: &FiniteSum, minimiser: &[f64]) -> f64 {
        let oracle = Implicit::new(problem.lower(), problem.upper());
        let solver = Stochastic {
            lower_batch: 8,
            upper_batch: 8,
            lower_step: StepSize::constant(0.02),
            upper_step: StepSize::constant(0.002),
            ..Stochastic::new(method)
        };
        let report = Run::new(&oracle, solver)
            .max_iterations(60)
            .start(vec![3.0; 5])
            .unwrap();
        let squared = |v: &[f64]| v.iter().map(|v| v * v).sum::<f64>();
        let distance = squared(&plus(&report.theta, -1.0, minimiser));
        distance / squared(&plus(&[3.0; 5], -1.0, minimiser))
    }
    let soba = distance(Soba::default(), &problem, &minimiser);
    let saba = distance(Saba::default(), &problem, &minimiser);
    let srba = distance(Srba::default(), &problem, &minimiser);
    println!("{soba:.1e} {saba:.1e} {srba:.1e}");
    // The noise of the batches holds SOBA where γ and η put it; the others are as near as the arithmetic allows.
    assert!(soba > 1e-8, "{soba:.1e}");
    assert!(saba < 1e-24, "{saba:.1e}");
    assert!(srba < 1e-24, "{srba:.1e}");
}

#[test]
fn ma_soba_is_its_update_box() {
    for weight in [1.0, 0.3] {
        agrees_on_batches(MaSoba { weight }, || {
            let mut h = vec![0.0; 4];
            move |s: &mut Dense, drawn: &mut Drawn, k| {
                let [x, v, theta] = drawn.both().directions(&s.x, &s.v, &s.theta);
                let w = weight / ((k + 1) as f64).sqrt();
                h = plus(&plus(&h, -w, &h), w, &theta);
                s.x = plus(&s.x, -GAMMA, &x);
                s.v = plus(&s.v, -GAMMA, &v);
                s.theta = plus(&s.theta, -ETA, &h);
            }
        });
    }
}

#[test]
fn ma_soba_descends_with_default_settings() {
    descends(MaSoba::default(), 60);
}

/// One step of SGD on x.
fn step_x(s: &mut Dense, drawn: &mut Drawn, step: f64) {
    let x = drawn.lower().gradient(&s.x, &s.theta);
    s.x = plus(&s.x, -step, &x);
}

/// v by a Neumann series of `terms` terms and one step of θ.
fn step_theta_by_series(s: &mut Dense, drawn: &mut Drawn, k: u64, terms: u64, cut: Truncation) {
    let part = drawn.upper();
    let mut p = part.upper_gradient(&s.x);
    let by_theta = part.upper_gradient_theta(&s.theta);
    let mut sum = p.clone();
    let products = match cut {
        Truncation::Fixed => terms - 1,
        Truncation::Random => drawn.lower.number(k, terms),
    };
    for _ in 0..products {
        let product = drawn.lower().hvp(&p);
        p = plus(&p, -GAMMA, &product);
        sum = plus(&sum, 1.0, &p);
    }
    let (scale, term) = match cut {
        Truncation::Fixed => (GAMMA, sum),
        Truncation::Random => (GAMMA * terms as f64, p),
    };
    s.v = term.iter().map(|t| scale * t).collect();
    let cross = drawn.lower().cross(&s.v);
    s.theta = plus(&s.theta, -ETA, &plus(&by_theta, -1.0, &cross));
}

#[test]
fn stocbio_is_its_update_box() {
    let method = StocBio { steps: 3, terms: 5 };
    agrees_on_batches(method, || {
        |s: &mut Dense, drawn: &mut Drawn, k| {
            (0..3).for_each(|_| step_x(s, drawn, GAMMA));
            step_theta_by_series(s, drawn, k, 5, Truncation::Fixed);
        }
    });
}

#[test]
fn stocbio_descends_with_default_settings() {
    descends(StocBio::default(), 60);
}

#[test]
fn ttsa_is_its_update_box() {
    for truncation in [Truncation::Fixed, Truncation::Random] {
        let method = Ttsa {
            terms: 6,
            truncation,
        };
        agrees_on_batches(method, || {
            move |s: &mut Dense, drawn: &mut Drawn, k| {
                step_x(s, drawn, GAMMA);
                step_theta_by_series(s, drawn, k, 6, truncation);
            }
        });
    }
}

#[test]
fn ttsa_descends_with_default_settings() {
    // Its θ moves by k^−⅗: slower than the others by theory.
    descends(Ttsa::default(), 300);
}

#[test]
fn bsa_is_its_update_box() {
    for (truncation, growth, counts) in [
        (Truncation::Fixed, 0.0, [2; 10]),
        (Truncation::Random, 0.5, [2, 3, 4, 4, 5, 5, 6, 6, 6, 7]),
    ] {
        let method = Bsa {
            steps: 2,
            growth,
            terms: 6,
            truncation,
        };
        agrees_on_batches(method, || {
            move |s: &mut Dense, drawn: &mut Drawn, k| {
                for t in 0..counts[k as usize] {
                    step_x(s, drawn, GAMMA * 2.0 / (t + 2) as f64);
                }
                step_theta_by_series(s, drawn, k, 6, truncation);
            }
        });
    }
}

#[test]
fn bsa_descends_with_default_settings() {
    descends(Bsa::default(), 60);
}

#[test]
fn amigo_is_its_update_box() {
    let method = Amigo {
        steps: 3,
        adjoint_steps: 2,
    };
    agrees_on_batches(method, || {
        |s: &mut Dense, drawn: &mut Drawn, _| {
            (0..3).for_each(|_| step_x(s, drawn, GAMMA));
            let part = drawn.upper();
            let rhs = part.upper_gradient(&s.x);
            let by_theta = part.upper_gradient_theta(&s.theta);
            for _ in 0..2 {
                let residual = plus(&drawn.lower().hvp(&s.v), -1.0, &rhs);
                s.v = plus(&s.v, -GAMMA, &residual);
            }
            let cross = drawn.lower().cross(&s.v);
            s.theta = plus(&s.theta, -ETA, &plus(&by_theta, -1.0, &cross));
        }
    });
}

#[test]
fn amigo_descends_with_default_settings() {
    descends(Amigo::default(), 60);
}

#[test]
fn fsla_is_its_update_box() {
    for weight in [1.0, 0.4] {
        agrees_on_batches(Fsla { weight }, || {
            let mut before: Option<[Vec<f64>; 4]> = None;
            move |s: &mut Dense, drawn: &mut Drawn, k| {
                let [mut m, x, v, theta] = before
                    .take()
                    .unwrap_or_else(|| [vec![0.0; 4], s.x.clone(), s.v.clone(), s.theta.clone()]);
                step_x(s, drawn, GAMMA);
                let d_v = drawn.both().directions(&s.x, &s.v, &s.theta)[1].clone();
                s.v = plus(&s.v, -GAMMA, &d_v);
                let part = drawn.both();
                let fresh = part.directions(&s.x, &s.v, &s.theta)[2].clone();
                let stale = part.directions(&x, &v, &theta)[2].clone();
                let w = weight / ((k + 1) as f64).sqrt();
                m = plus(&fresh, 1.0 - w, &plus(&m, -1.0, &stale));
                before = Some([m.clone(), s.x.clone(), s.v.clone(), s.theta.clone()]);
                s.theta = plus(&s.theta, -ETA, &m);
            }
        });
    }
}

#[test]
fn fsla_descends_with_default_settings() {
    descends(Fsla::default(), 60);
}

#[test]
fn srba_is_its_update_box() {
    for (period, radius) in [(Some(4), None), (None, None), (Some(100), Some(0.02))] {
        let method = Srba { period, radius };
        agrees_on_batches(method, || {
            let mut before: Option<[Vec<f64>; 3]> = None;
            let mut d: [Vec<f64>; 3] = Default::default();
            move |s: &mut Dense, drawn: &mut Drawn, k| {
                let both = 2 * drawn.parts.len() as u64;
                if k % period.unwrap_or(both) == 0 {
                    d = s.directions(&s.x, &s.v, &s.theta);
                } else {
                    let part = drawn.both();
                    let [x, v, theta] = before.take().unwrap();
                    let fresh = part.directions(&s.x, &s.v, &s.theta);
                    let stale = part.directions(&x, &v, &theta);
                    for q in 0..3 {
                        d[q] = plus(&plus(&d[q], 1.0, &fresh[q]), -1.0, &stale[q]);
                    }
                }
                before = Some([s.x.clone(), s.v.clone(), s.theta.clone()]);
                s.x = plus(&s.x, -GAMMA, &d[0]);
                s.v = plus(&s.v, -GAMMA, &d[1]);
                s.theta = plus(&s.theta, -ETA, &d[2]);
                let norm = s.v.iter().map(|v| v * v).sum::<f64>().sqrt();
                assert!(
                    k < 9 || radius.is_none_or(|r| norm > r),
                    "the ball must matter"
                );
                if let Some(radius) = radius.filter(|r| norm > *r) {
                    s.v.iter_mut().for_each(|v| *v *= radius / norm);
                }
            }
        });
    }
}

#[test]
fn srba_descends_with_default_settings() {
    descends(Srba::default(), 60);
}

/// Asserts that a run whose state is written and read after its first block goes on as if nothing had happened, to the byte.
fn resumes<M: Method>(method: M) {
    let (problem, theta) = problem();
    let oracle = Implicit::new(problem.lower(), problem.upper());
    let solver = Stochastic {
        lower_batch: 7,
        upper_batch: 9,
        block: 25,
        ..Stochastic::new(method)
    };
    let name = Method::name(&solver.method);
    let mut state = solver.start(&oracle, theta).unwrap();
    solver.step(&oracle, &mut state, 0.0).unwrap();
    let stored = serde_json::to_string(&state).unwrap();
    let mut read = serde_json::from_str(&stored).unwrap();
    for state in [&mut state, &mut read] {
        solver.step(&oracle, state, 0.0).unwrap();
    }
    let bytes = |state| serde_json::to_string(state).unwrap();
    assert_ne!(bytes(&state), stored, "{name}");
    assert_eq!(bytes(&state), bytes(&read), "{name}");
}

#[test]
fn what_a_method_remembers_is_in_its_state() {
    resumes(Soba::default());
    resumes(Saba::default());
    resumes(MaSoba::default());
    resumes(StocBio::default());
    resumes(Ttsa::default());
    resumes(Bsa {
        growth: 0.5,
        ..Bsa::default()
    });
    resumes(Amigo::default());
    resumes(Fsla::default());
    resumes(Srba::default());
}

#[test]
fn settings_out_of_range_are_refused_by_name() {
    fn refused<M: Method>(method: M, message: &str) {
        assert_eq!(method.check().unwrap_err().to_string(), message);
    }
    let count = "is 0.0; expected a positive, finite number";
    let share = "expected a number above 0 and at most 1";
    refused(MaSoba { weight: 1.5 }, &format!("weight is 1.5; {share}"));
    refused(
        Fsla { weight: f64::NAN },
        &format!("weight is NaN; {share}"),
    );
    refused(StocBio { steps: 0, terms: 1 }, &format!("steps {count}"));
    refused(StocBio { steps: 1, terms: 0 }, &format!("terms {count}"));
    refused(
        Ttsa {
            terms: 0,
            ..Ttsa::default()
        },
        &format!("terms {count}"),
    );
    refused(
        Bsa {
            growth: 2.0,
            ..Bsa::default()
        },
        "growth is 2; expected a number from 0 to 1",
    );
    refused(
        Amigo {
            adjoint_steps: 0,
            ..Amigo::default()
        },
        &format!("adjoint_steps {count}"),
    );
    refused(
        Srba {
            period: Some(0),
            ..Srba::default()
        },
        &format!("period {count}"),
    );
    refused(
        Srba {
            radius: Some(-1.0),
            ..Srba::default()
        },
        "radius is -1.0; expected a positive, finite number",
    );
}
