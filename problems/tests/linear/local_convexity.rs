//! The modulus of strong convexity that the data of a logistic regression give between a point and the solution: that it is one, that what
//! rests on it holds, and that it is what the variants of MAID need where penalties go to zero.

use crate::common::{WithCurvature, distance, random, solvers, uniform};
use bilevel::lower::{Lbfgs, LowerSolver, NewtonCg};
use bilevel::vector::Scratch;
use bilevel::{
    Accuracy, Checker, Implicit, Linearization, LowerLevel, Maid, Oracle, Run, SolveStatus, Status,
    Trust, Vector, Work, parallel,
};
use bilevel_problems::Lanes;
use bilevel_problems::data::{Features, LabelledData};
use bilevel_problems::linear::logistic::{
    CrossEntropy, LogisticRegression, Penalty, logistic_regression,
};
use faer::{Col, Mat, Scale, Side, linalg::solvers::Solve};

/// Samples whose classes are drawn with the probabilities of a linear model, so that no x separates them.
fn table(samples: usize, columns: usize, seed: u64) -> LabelledData<f64> {
    let mut next = uniform(seed);
    let features: Vec<f64> = (0..samples * columns)
        .map(|_| if next() > -0.5 { 2.0 * next() } else { 0.0 })
        .collect();
    let model = random(columns, 7);
    let labels = features.chunks_exact(columns).map(|row| {
        let score: f64 = row.iter().zip(&model).map(|(a, x)| 2.0 * a * x).sum();
        u32::from(0.5 * (1.0 + next()) < 1.0 / (1.0 + (-score).exp()))
    });
    let labels = labels.collect();
    LabelledData::dense(columns, features, labels, 2).unwrap()
}

fn lower<E: Lanes>(table: &LabelledData<E>) -> LogisticRegression<E> {
    LogisticRegression::new(table, Penalty::PerFeature).unwrap()
}

/// A lower level of the same functions that knows no local modulus.
fn without<P>(inner: P) -> WithCurvature<P> {
    WithCurvature {
        inner,
        change: |c| c,
    }
}

/// x*(θ).
fn solution(lower: &LogisticRegression<f64>, theta: &Vec<f64>) -> Vec<f64> {
    let mut x = lower.start();
    let scratch = &mut Scratch::default();
    NewtonCg::default().minimize(lower, theta, 1e-13, &mut x, scratch);
    let mut gradient = x.clone();
    lower.gradient(&x, theta, &mut gradient);
    assert!(gradient.norm() <= 1e-14, "{:e}", gradient.norm());
    x
}

/// The smallest eigenvalue of A, from its products.
fn smallest_eigenvalue(lower: &LogisticRegression<f64>, x: &Vec<f64>, theta: &Vec<f64>) -> f64 {
    let n = x.len();
    let at = lower.linearize(x, theta);
    let mut a = Mat::<f64>::zeros(n, n);
    for j in 0..n {
        let mut unit = vec![0.0; n];
        unit[j] = 1.0;
        let mut column = unit.clone();
        at.hvp(&unit, &mut column);
        (0..n).for_each(|i| a[(i, j)] = column[i]);
    }
    let eigenvalues = a.self_adjoint_eigenvalues(Side::Lower).unwrap();
    eigenvalues.into_iter().fold(f64::INFINITY, f64::min)
}

/// θ of a size, with one entry of exactly that.
fn penalties(columns: usize, size: f64, seed: u64) -> Vec<f64> {
    let mut theta = random(columns, seed);
    theta.iter_mut().for_each(|t| *t += size + 1.0);
    theta[0] = size;
    theta
}

#[test]
fn the_modulus_is_one_between_the_point_and_the_solution() {
    let (mut claims, mut refusals, mut falling) = (0, 0, 0);
    for seed in 0..4 {
        let columns = 3 + 5 * seed as usize;
        let dense = table(400, columns, seed);
        for table in [dense.to_sparse(), dense] {
            let lower = lower(&table);
            for size in [-1.0, -5.0, -8.0, -12.0, -20.0] {
                let theta = penalties(columns, size, seed);
                let exact = solution(&lower, &theta);
                for case in 0..14 {
                    // In any direction, and towards zero, where the losses are more convex than at the solution.
                    let far = [1e-9, 1e-4, 1e-2, 0.03, 0.1, 1.0, 10.0][case / 2];
                    let mut away = if case % 2 == 0 {
                        random(columns, seed + 20)
                    } else {
                        exact.clone()
                    };
                    away.scale(-far / away.norm());
                    let mut x = exact.clone();
                    x.axpy(1.0, &away);
                    let mut work = Work::default();
                    let Some(local) = lower.local_convexity(&x, &theta, &mut work) else {
                        continue;
                    };
                    let case = format!("{columns} columns, θ ≥ {size}, {far:e} away: {local:?}");
                    let of_x = smallest_eigenvalue(&lower, &x, &theta);
                    let of_exact = smallest_eigenvalue(&lower, &exact, &theta);
                    let rounding = 1e-14;
                    assert!(local.modulus <= of_x + rounding, "{case}: {of_x:e}");
                    assert!(of_x <= 1.11 * local.modulus, "{case}: {of_x:e}");
                    let mut gradient = x.clone();
                    lower.gradient(&x, &theta, &mut gradient);
                    let norm = gradient.norm();
                    let attained = norm + lower.gradient_rounding(&x, &theta, norm);
                    let Some(mu) = local.at(attained) else {
                        refusals += 1;
                        continue;
                    };
                    claims += 1;
                    falling += usize::from(of_exact < local.modulus);
                    for step in 0..=20 {
                        let mut y = exact.clone();
                        y.axpy(f64::from(step) / 20.0, &away);
                        let of_y = smallest_eigenvalue(&lower, &y, &theta);
                        assert!(mu <= of_y + rounding, "{case}: {mu:e} {of_y:e} at {step}");
                    }
                    assert!(distance(&x, &exact) <= attained / mu, "{case}: {mu:e}");
                }
            }
        }
    }
    println!("{claims} claims, {refusals} refusals; the Hessian falls below m in {falling}");
    assert!(claims >= 150 && refusals >= 50);
    // Without its decay the modulus would be wrong.
    assert!(falling >= 10);
}

#[test]
fn claimed_distances_hold_for_every_lower_solver_and_cost_less_than_by_the_penalties_alone() {
    let table = table(300, 6, 1);
    let (local, global) = (lower(&table), without(lower(&table)));
    for size in [-7.0, -12.0] {
        let theta = penalties(6, size, 3);
        let exact = solution(&local, &theta);
        let of_penalties = local.curvature(&theta).strong_convexity.unwrap();
        for solver in solvers() {
            let mut gradients = [0, 0];
            for epsilon in [1.0, 1e-2, 1e-4, 1e-6, 1e-8] {
                let case = format!("{solver:?}, θ ≥ {size}, ε = {epsilon:e}");
                let mut x = local.start();
                let scratch = &mut Scratch::default();
                let found = solver.minimize(&local, &theta, epsilon, &mut x, scratch);
                assert_eq!(found.status, SolveStatus::Converged, "{case}");
                assert!(found.epsilon.unwrap() <= epsilon, "{case}: {found:?}");
                let mu = found.strong_convexity.unwrap();
                assert!(mu >= 2.0 * of_penalties, "{case}: {found:?}");
                assert!(distance(&x, &exact) <= found.epsilon.unwrap(), "{case}");
                // Again from there: that it is solved is seen at once.
                let again = solver.minimize(&local, &theta, epsilon, &mut x, scratch);
                assert_eq!(again.work.lower_gradients, 1, "{case}");
                let mut x = local.start();
                let other = solver.minimize(&global, &theta, epsilon, &mut x, scratch);
                assert_eq!(other.strong_convexity, Some(of_penalties), "{case}");
                gradients[0] += found.work.lower_gradients;
                gradients[1] += other.work.lower_gradients;
            }
            println!("{solver:?}, θ ≥ {size}: {gradients:?} gradients");
            assert!(gradients[0] < gradients[1]);
        }
    }
}

/// The certificate of a hypergradient against one from much more accurate inner solutions; the smallest bound relative to the gradient.
fn certified<E: Lanes>(train: &LabelledData<E>, validation: &LabelledData<E>) -> f64 {
    let exact = logistic_regression(
        &train.cast::<f64>(),
        &validation.cast(),
        Penalty::PerFeature,
    )
    .unwrap()
    .with_lower_solver(NewtonCg::default());
    let oracle = logistic_regression(train, validation, Penalty::PerFeature)
        .unwrap()
        .with_lower_solver(Lbfgs::default());
    let mut tightest = f64::INFINITY;
    for seed in 0..3 {
        let theta = penalties(train.columns(), -12.0, seed);
        let mut state = exact.start(&theta).unwrap();
        let accuracy = Accuracy::new(1e-12, 1e-12).unwrap();
        let reference = exact.hypergradient(&theta, accuracy, &mut state).unwrap();
        let size = reference.gradient.norm();
        assert!(reference.error_bound <= 1e-5 * size);
        for accuracy in [1e-1, 1e-2, 1e-3, 1e-5, 1e-7, 1e-9] {
            let mut state = oracle.start(&theta).unwrap();
            let accuracy = Accuracy::new(accuracy, accuracy).unwrap();
            let z = oracle.hypergradient(&theta, accuracy, &mut state).unwrap();
            assert_eq!(z.trust, Trust::Certified);
            let error = distance(&z.gradient, &reference.gradient);
            assert!(
                error <= z.error_bound + reference.error_bound,
                "{}, {accuracy:?}: {error:e} of {size:e}, {z:?}",
                E::NAME
            );
            assert!(
                z.value.lower <= reference.value.upper && reference.value.lower <= z.value.upper
            );
            tightest = tightest.min(z.error_bound / size);
        }
    }
    tightest
}

#[test]
fn hypergradients_with_small_penalties_are_within_their_certified_bounds_and_these_are_tight() {
    let (train, validation) = (table(400, 6, 1), table(300, 6, 2));
    let (double, single) = (
        certified(&train, &validation),
        certified(&train.cast::<f32>(), &validation.cast()),
    );
    println!("smallest ω/‖∇F‖: {double:e} in f64, {single:e} in f32");
    assert!(double <= 1e-4 && single <= 1.0, "{double:e} {single:e}");
}

/// The local modulus at a random point.
fn modulus_of<E: Lanes>(table: &LabelledData<E>, threads: usize) -> f64 {
    let lower = lower(table);
    let theta = penalties(table.columns(), -12.0, 1);
    let mut x = random(table.columns(), 4);
    x.scale(0.1);
    let x: Vec<E> = x.iter().map(|&x| E::from_f64(x)).collect();
    let local = parallel::with_threads(threads, || {
        lower.local_convexity(&x, &theta, &mut Work::default())
    });
    local.unwrap().unwrap().modulus
}

#[test]
fn the_modulus_is_the_same_bits_on_any_number_of_threads_and_nearly_in_any_storage() {
    // Enough samples for several parts.
    let dense = table(9_000, 60, 1);
    let double = modulus_of(&dense, 1);
    for threads in [2, 5] {
        assert_eq!(modulus_of(&dense, threads).to_bits(), double.to_bits());
    }
    let sparse = modulus_of(&dense.to_sparse(), 1);
    assert_eq!(
        modulus_of(&dense.to_sparse(), 2).to_bits(),
        sparse.to_bits()
    );
    let single = modulus_of(&dense.cast::<f32>(), 2);
    for other in [sparse, single] {
        assert!((other / double - 1.0).abs() <= 1e-6, "{other:e} {double:e}");
    }
}

#[test]
fn looks_and_preconditioners_are_counted_and_problems_without_them_are_left_alone() {
    fn work(
        lower: &impl LowerLevel<Theta = Vec<f64>, X = Vec<f64>>,
        by: &impl LowerSolver,
    ) -> Work {
        let (theta, mut x) = (penalties(6, -12.0, 0), lower.start());
        let scratch = &mut Scratch::default();
        by.minimize(lower, &theta, 1e-6, &mut x, scratch).work
    }
    let table = table(300, 6, 1);
    let (local, global) = (lower(&table), without(lower(&table)));
    // A look is worth three products.
    let looks = work(&local, &Lbfgs::default()).hessian_products;
    assert!(looks % 3 == 0 && (6..=12).contains(&looks), "{looks}");
    let looks = work(&global, &Lbfgs::default()).hessian_products;
    assert_eq!(looks, 0);
    // A is its own preconditioner: one step of CG each, whose residuals take three more products.
    let newton = work(&local, &NewtonCg::default());
    let steps = newton.lower_gradients - 1;
    assert!(steps <= 12, "{newton:?}");
    assert!(newton.hessian_products <= 6 * steps + 12, "{newton:?}");
    // Several scores, penalties that are large enough, more features than samples or than are worth it.
    let multinomial = LogisticRegression::multinomial(&table, Penalty::PerFeature).unwrap();
    let none = [
        (multinomial, -12.0),
        (lower(&table), 0.0),
        (lower(&self::table(5, 6, 0)), -12.0),
        (lower(&self::table(400, 300, 0)), -12.0),
    ];
    for (lower, size) in none {
        let x = lower.start();
        let theta = vec![size; lower.theta_len()];
        let mut work = Work::default();
        assert_eq!(lower.local_convexity(&x, &theta, &mut work), None);
        assert_eq!(work, Work::default());
        assert!(!lower.linearize(&x, &theta).has_preconditioner());
    }
}

#[test]
fn the_checker_passes_the_local_modulus_and_the_rest_at_small_penalties() {
    let dense = table(60, 9, 3);
    for table in [dense.to_sparse(), dense] {
        let theta = penalties(9, -9.0, 2);
        let report = Checker::default().lower(&lower(&table), &random(9, 1), &theta);
        assert!(report.passed(), "{report}");
        assert!(report.checks.iter().any(|c| c.name == "local_convexity"));
    }
}

/// Rows and signs.
type Samples = (Vec<Vec<f64>>, Vec<f64>);

fn samples(table: &LabelledData<f64>) -> Samples {
    let Features::Dense(features) = table.features() else {
        panic!("a dense table");
    };
    let rows = features.chunks_exact(table.columns()).map(<[f64]>::to_vec);
    let signs = table.labels().iter().map(|&l| 2.0 * f64::from(l) - 1.0);
    (rows.collect(), signs.collect())
}

/// The mean loss, its gradient and its Hessian at x.
fn loss((rows, signs): &Samples, x: &[f64]) -> (f64, Col<f64>, Mat<f64>) {
    let n = x.len();
    let mut value = 0.0;
    let (mut gradient, mut hessian) = (Col::<f64>::zeros(n), Mat::<f64>::zeros(n, n));
    for (row, sign) in rows.iter().zip(signs) {
        let margin: f64 = sign * row.iter().zip(x).map(|(a, x)| a * x).sum::<f64>();
        let wrong = 1.0 / (1.0 + margin.exp());
        value += (-margin).exp().ln_1p();
        for j in 0..n {
            gradient[j] -= sign * wrong * row[j];
            for k in 0..n {
                hessian[(j, k)] += wrong * (1.0 - wrong) * row[j] * row[k];
            }
        }
    }
    let share = 1.0 / signs.len() as f64;
    (
        share * value,
        Scale(share) * gradient,
        Scale(share) * hessian,
    )
}

/// F and ∇F of one penalty per feature by dense Newton steps and solves, from the formulas alone.
fn reference(train: &Samples, validation: &Samples, theta: &[f64]) -> (f64, Vec<f64>) {
    let n = theta.len();
    let (mut x, mut q) = (vec![0.0; n], Col::zeros(n));
    for _ in 0..40 {
        let (_, mut gradient, mut a) = loss(train, &x);
        for (j, t) in theta.iter().enumerate() {
            gradient[j] += t.exp() * x[j];
            a[(j, j)] += t.exp();
        }
        let a = a.partial_piv_lu();
        q = a.solve(loss(validation, &x).1);
        let step = a.solve(&gradient);
        (0..n).for_each(|j| x[j] -= step[j]);
    }
    let terms = theta.iter().enumerate();
    let gradient = terms.map(|(j, t)| -t.exp() * x[j] * q[j]).collect();
    (loss(validation, &x).0, gradient)
}

/// The least F that plain BFGS finds from θ, with steps no longer than two.
fn least(train: &Samples, validation: &Samples, mut theta: Vec<f64>) -> f64 {
    let n = theta.len();
    let (mut value, mut z) = reference(train, validation, &theta);
    let mut h = Mat::<f64>::identity(n, n);
    for _ in 0..300 {
        let gradient = Col::from_fn(n, |i| z[i]);
        let mut p = -&h * &gradient;
        let slope = p.transpose() * &gradient;
        let length = p.norm_l2();
        if slope >= 0.0 || length < 1e-12 {
            break;
        }
        p *= Scale((2.0 / length).min(1.0));
        let mut alpha = 1.0;
        let there: Option<(Vec<f64>, _)> = (0..40).find_map(|_| {
            let at: Vec<f64> = (0..n).map(|i| theta[i] + alpha * p[i]).collect();
            alpha *= 0.5;
            let found = reference(train, validation, &at);
            (found.0 < value).then_some((at, found))
        });
        let Some((at, (lower, gradient))) = there else {
            break;
        };
        let s = Col::from_fn(n, |i| at[i] - theta[i]);
        let y = Col::from_fn(n, |i| gradient[i] - z[i]);
        let sy = s.transpose() * &y;
        if sy > 0.0 {
            let turn = Mat::<f64>::identity(n, n) - Scale(1.0 / sy) * (&s * y.transpose());
            h = &turn * &h * turn.transpose() + Scale(1.0 / sy) * (&s * s.transpose());
        }
        (theta, value, z) = (at, lower, gradient);
    }
    value
}

#[test]
fn maid_reaches_the_optimum_where_penalties_go_to_zero_and_the_global_modulus_does_not_get_there() {
    for seed in [7, 11] {
        let (train, validation) = (table(300, 5, seed), table(150, 5, seed + 50));
        let upper = || CrossEntropy::new(&validation).unwrap();
        let oracle = Implicit::new(lower(&train), upper()).with_lower_solver(NewtonCg::default());
        let global =
            Implicit::new(without(lower(&train)), upper()).with_lower_solver(NewtonCg::default());
        let (train, validation) = (samples(&train), samples(&validation));
        for start in [0.0, -8.0] {
            let run = Run::new(&oracle, Maid::lbfgs()).tolerance(4e-9);
            let report = run.max_iterations(100).start(vec![start; 5]).unwrap();
            assert_eq!(report.status, Status::Converged, "{seed} {start}\n{report}");
            assert_eq!(report.trust, Trust::Certified);
            let (value, _) = reference(&train, &validation, &report.theta);
            assert!(report.value.lower <= value && value <= report.value.upper);
            let from = [vec![-4.0; 5], report.theta.clone()];
            let best = from.map(|theta| least(&train, &validation, theta));
            let best = best.into_iter().fold(f64::INFINITY, f64::min);
            let run = Run::new(&global, Maid::lbfgs()).tolerance(4e-9);
            let other = run.max_iterations(100).start(vec![start; 5]).unwrap();
            let (above, other_above) = (value - best, other.value.value - best);
            println!("{seed}, from {start}: F − F* = {above:e}, {other_above:e} without");
            assert!(above <= 1e-8, "{seed} {start}: {above:e}");
            assert_eq!(other.status, Status::AccuracyFloor, "{seed} {start}");
            assert!(other_above >= 1e-7, "{seed} {start}: {other_above:e}");
        }
    }
}
