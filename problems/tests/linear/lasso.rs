//! Lasso and elastic net: against closed forms, the optimality conditions, finite differences, and a fine grid on real data.

use bilevel::{Accuracy, Folds, Maid, Oracle, Run, Status};
use bilevel_problems::data::{LabelledData, RegressionData};
use bilevel_problems::linear::lasso::{Lasso, Shrinkage, cross_validated_lasso};
use faer::linalg::solvers::Solve;
use faer::{Col, Mat};

const TIGHT: f64 = 1e-10;

fn wave(len: usize, f: f64) -> Vec<f64> {
    (1..=len).map(|k| (f * k as f64 * k as f64).sin()).collect()
}

/// Features that depend on each other, more of them than matter.
fn samples(n: usize, d: usize, f: f64) -> RegressionData {
    let mut a = wave(n * d, f);
    for row in a.chunks_exact_mut(d) {
        for j in 1..d {
            row[j] += 0.6 * row[j - 1] + 0.2;
        }
    }
    let noise = wave(n, 2.3 * f);
    let y = a.chunks_exact(d).zip(&noise);
    let y = y.map(|(a, e)| 2.0 + a[0] - 1.5 * a[3] + 0.2 * e).collect();
    RegressionData::new(d, a, y).unwrap()
}

fn solved(oracle: &Lasso, theta: &[f64]) -> (Vec<f64>, f64, bilevel::Hypergradient<Vec<f64>>) {
    let theta = theta.to_vec();
    let mut state = oracle.start(&theta).unwrap();
    let accuracy = Accuracy::new(TIGHT, 1e-12).unwrap();
    let found = oracle.hypergradient(&theta, accuracy, &mut state).unwrap();
    let value = oracle.value(&theta, TIGHT, &mut state).unwrap();
    assert!((value.value.value - found.value.value).abs() <= 1e-12 * value.value.value.abs());
    (state.w().to_vec(), found.value.value, found)
}

/// Eight samples whose four features are orthogonal, of mean 0 and length √8.
fn orthogonal(f: f64) -> RegressionData {
    let sign = |i: usize, bit: usize| if i >> bit & 1 == 1 { 1.0 } else { -1.0 };
    let row = |i: usize| [sign(i, 0), sign(i, 1), sign(i, 2), sign(i, 0) * sign(i, 1)];
    RegressionData::new(4, (0..8).flat_map(row).collect(), wave(8, f)).unwrap()
}

#[test]
fn an_orthogonal_design_has_a_closed_form() {
    let (train, validation) = (orthogonal(0.9), orthogonal(1.7));
    let correlations = |of: &RegressionData| -> Vec<f64> {
        let mean = of.targets().iter().sum::<f64>() / 8.0;
        let of_feature = |j| {
            (0..8)
                .map(|i| of.features()[4 * i + j] * (of.targets()[i] - mean))
                .sum::<f64>()
                / 8.0
        };
        (0..4).map(of_feature).collect()
    };
    let (c, v) = (correlations(&train), correlations(&validation));
    let mean = |of: &RegressionData| of.targets().iter().sum::<f64>() / 8.0;
    let shift = mean(&train);
    let constant = validation
        .targets()
        .iter()
        .map(|y| (y - shift).powi(2))
        .sum::<f64>()
        / 16.0;
    for theta in [vec![-2.0], vec![-1.0], vec![-3.0, -0.5]] {
        let shrinkage = [Shrinkage::Lasso, Shrinkage::ElasticNet][theta.len() - 1];
        let oracle = Lasso::new(&train, &validation, shrinkage).unwrap();
        let (l1, l2) = (
            f64::exp(theta[0]),
            theta.get(1).map_or(0.0, |t: &f64| t.exp()),
        );
        let (w, value, found) = solved(&oracle, &theta);
        let exact: Vec<f64> = c
            .iter()
            .map(|c| c.signum() * (c.abs() - l1).max(0.0) / (1.0 + l2))
            .collect();
        for (w, e) in w.iter().zip(&exact) {
            assert!((w - e).abs() < 1e-12, "{w} {e}");
        }
        // f = ½‖w‖² − ⟨v, w⟩ + constant.
        let f: f64 = exact.iter().zip(&v).map(|(w, v)| 0.5 * w * w - v * w).sum();
        assert!((value - f - constant).abs() < 1e-12);
        let slope = |j: usize| exact[j] - v[j];
        let on = |j: &usize| exact[*j] != 0.0;
        let by_l1: f64 = (0..4)
            .filter(on)
            .map(|j| -slope(j) * exact[j].signum() * l1 / (1.0 + l2))
            .sum();
        assert!((found.gradient[0] - by_l1).abs() < 1e-12);
        if theta.len() == 2 {
            let by_l2: f64 = (0..4)
                .filter(on)
                .map(|j| -slope(j) * exact[j] * l2 / (1.0 + l2))
                .sum();
            assert!((found.gradient[1] - by_l2).abs() < 1e-12);
        }
    }
}

/// The optimality conditions of the lower level, and the closed form of the hypergradient on the support.
#[test]
fn solutions_are_optimal_and_hypergradients_those_of_the_support() {
    let (train, validation) = (samples(60, 12, 0.7), samples(40, 12, 1.9));
    for theta in [vec![-3.0], vec![-1.5], vec![-2.5, -1.0], vec![-4.0, -6.0]] {
        let shrinkage = [Shrinkage::Lasso, Shrinkage::ElasticNet][theta.len() - 1];
        let oracle = Lasso::new(&train, &validation, shrinkage).unwrap();
        let (l1, l2) = (
            f64::exp(theta[0]),
            theta.get(1).map_or(0.0, |t: &f64| t.exp()),
        );
        let (w, value, found) = solved(&oracle, &theta);
        let b = oracle.intercept(&w);
        let residuals = |of: &RegressionData| -> Vec<f64> {
            let rows = of.features().chunks_exact(12).zip(of.targets());
            rows.map(|(a, y)| y - b - a.iter().zip(&w).map(|(a, w)| a * w).sum::<f64>())
                .collect()
        };
        let r = residuals(&train);
        assert!(r.iter().sum::<f64>().abs() < 1e-9);
        for (j, &w) in w.iter().enumerate() {
            let pull: f64 = (0..60)
                .map(|i| train.features()[12 * i + j] * r[i])
                .sum::<f64>()
                / 60.0
                - l2 * w;
            if w == 0.0 {
                assert!(pull.abs() <= l1 + 1e-9);
            } else {
                assert!((pull - l1 * w.signum()).abs() < 1e-9, "{pull} {l1}");
            }
        }
        let rv = residuals(&validation);
        assert!((value - rv.iter().map(|r| r * r).sum::<f64>() / 80.0).abs() < 1e-12);
        let s: Vec<usize> = (0..12).filter(|&j| w[j] != 0.0).collect();
        assert!(!s.is_empty());
        let mean = |j: usize| (0..60).map(|i| train.features()[12 * i + j]).sum::<f64>() / 60.0;
        let centred = |of: &RegressionData, i: usize, j: usize| of.features()[12 * i + j] - mean(j);
        let a = Mat::from_fn(s.len(), s.len(), |p, q| {
            let sum: f64 = (0..60)
                .map(|i| centred(&train, i, s[p]) * centred(&train, i, s[q]))
                .sum();
            sum / 60.0 + if p == q { l2 } else { 0.0 }
        });
        let g = Col::from_fn(s.len(), |p| {
            (0..40)
                .map(|i| -centred(&validation, i, s[p]) * rv[i])
                .sum::<f64>()
                / 40.0
        });
        let q = a.full_piv_lu().solve(&g);
        let by_l1: f64 = s
            .iter()
            .enumerate()
            .map(|(p, &j)| -l1 * w[j].signum() * q[p])
            .sum();
        assert!(
            (found.gradient[0] - by_l1).abs() < 1e-8 * by_l1.abs().max(1.0),
            "{} {by_l1}",
            found.gradient[0]
        );
        // The support is that of the neighbourhood here: a central difference agrees.
        let h = 1e-4;
        for k in 0..theta.len() {
            let at = |t: f64| {
                let mut theta = theta.clone();
                theta[k] += t;
                solved(&oracle, &theta).1
            };
            let difference = (at(h) - at(-h)) / (2.0 * h);
            let off = (difference - found.gradient[k]).abs();
            assert!(off < 1e-6 + found.error_bound, "{off:.1e} of {difference}");
        }
    }
}

#[test]
fn a_loose_solution_is_as_near_as_it_says() {
    let (train, validation) = (samples(60, 12, 0.7), samples(40, 12, 1.9));
    let oracle = Lasso::new(&train, &validation, Shrinkage::Lasso).unwrap();
    let theta = vec![-3.5];
    let (exact, ..) = solved(&oracle, &theta);
    for epsilon in [1.0, 0.1, 1e-2, 1e-4] {
        let mut state = oracle.start(&theta).unwrap();
        let found = oracle.value(&theta, epsilon, &mut state).unwrap();
        assert!(found.epsilon <= epsilon);
        let distance: f64 = train
            .features()
            .chunks_exact(12)
            .map(|a| {
                let off: f64 = a
                    .iter()
                    .zip(state.w().iter().zip(&exact))
                    .map(|(a, (w, e))| a * (w - e))
                    .sum();
                (off + oracle.intercept(state.w()) - oracle.intercept(&exact)).powi(2)
            })
            .sum::<f64>();
        assert!((distance / 60.0).sqrt() <= found.epsilon + 1e-9);
    }
}

#[test]
fn sparse_tables_give_what_dense_ones_give() {
    let wide = wave(40 * 8, 0.37);
    let a: Vec<f64> = wide
        .iter()
        .map(|v| if v.abs() < 0.7 { 0.0 } else { *v })
        .collect();
    let labels: Vec<u32> = (0..40)
        .map(|i| u32::from(a[8 * i] + a[8 * i + 2] + 0.3 > 0.0))
        .collect();
    let table = LabelledData::dense(8, a.clone(), labels.clone(), 2).unwrap();
    let y = labels
        .iter()
        .map(|&l| if l == 1 { 1.0 } else { -1.0 })
        .collect();
    let regression = RegressionData::new(8, a, y).unwrap();
    let theta = vec![-3.0, -2.0];
    let of = |oracle: Lasso| solved(&oracle, &theta);
    let dense = of(Lasso::new(&regression, &regression, Shrinkage::ElasticNet).unwrap());
    for table in [table.clone(), table.to_sparse()] {
        let sparse = of(Lasso::of_classes(&table, &table, Shrinkage::ElasticNet).unwrap());
        assert!((dense.1 - sparse.1).abs() < 1e-12);
        assert!(
            dense
                .2
                .gradient
                .iter()
                .zip(&sparse.2.gradient)
                .all(|(a, b)| (a - b).abs() < 1e-9)
        );
    }
}

/// Features that are constant predict nothing, but with ten of them there are too many for a Gram matrix to be formed.
#[test]
fn a_gram_matrix_gives_what_columns_give() {
    let padded = |of: &RegressionData| {
        let rows = of.features().chunks_exact(12);
        let rows = rows.flat_map(|a| [a, &[1.0; 10]].concat());
        RegressionData::new(22, rows.collect(), of.targets().to_vec()).unwrap()
    };
    let (train, validation) = (samples(60, 12, 0.7), samples(40, 12, 1.9));
    for theta in [vec![-3.0], vec![-2.5, -1.0]] {
        let shrinkage = [Shrinkage::Lasso, Shrinkage::ElasticNet][theta.len() - 1];
        let of = |train: &RegressionData, validation: &RegressionData| {
            solved(&Lasso::new(train, validation, shrinkage).unwrap(), &theta)
        };
        let (w, value, found) = of(&train, &validation);
        let (columns_w, columns_value, columns_found) = of(&padded(&train), &padded(&validation));
        assert!(w.iter().zip(&columns_w).all(|(a, b)| (a - b).abs() < 1e-10));
        assert!((value - columns_value).abs() < 1e-11);
        for (a, b) in found.gradient.iter().zip(&columns_found.gradient) {
            assert!((a - b).abs() < 1e-9, "{a} {b}");
        }
    }
}

#[test]
fn what_cannot_be_used_is_refused_and_a_flat_start_is_no_solution() {
    let (train, validation) = (samples(30, 5, 0.7), samples(20, 5, 1.9));
    let oracle = Lasso::new(&train, &validation, Shrinkage::Lasso).unwrap();
    assert!(oracle.start(&vec![0.0, 0.0]).is_err());
    assert!(oracle.start(&vec![f64::NAN]).is_err());
    assert!(Lasso::new(&train, &samples(20, 4, 1.0), Shrinkage::Lasso).is_err());
    let huge = RegressionData::new(1, vec![1e200, -1e200], vec![0.0, 1.0]).unwrap();
    assert!(Lasso::new(&huge, &huge, Shrinkage::Lasso).is_err());
    let three = LabelledData::dense(1, vec![1.0, 2.0, 3.0], vec![0, 1, 2], 3).unwrap();
    assert!(Lasso::of_classes(&three, &three, Shrinkage::Lasso).is_err());
    // A constant feature and more features than samples are no trouble.
    let constant =
        RegressionData::new(3, vec![1.0, 0.5, 2.0, 1.0, -0.5, 0.0], vec![1.0, -1.0]).unwrap();
    let oracle_of_two = Lasso::new(&constant, &constant, Shrinkage::Lasso).unwrap();
    assert!(solved(&oracle_of_two, &[-4.0]).1.is_finite());
    // Above the largest λ₁ no feature is in the model, and F is flat: a run says that it does not know.
    let above = oracle.largest_l1().ln() + 1e-9;
    assert!(solved(&oracle, &[above]).0.iter().all(|w| *w == 0.0));
    assert!(solved(&oracle, &[above - 0.1]).0.iter().any(|w| *w != 0.0));
    let report = Run::new(&oracle, Maid::lbfgs()).start(vec![above]).unwrap();
    assert_ne!(report.status, Status::Converged);
}

#[test]
fn on_real_data_theta_is_the_minimum_of_a_fine_grid() {
    let diabetes = linfa_datasets::diabetes();
    let given = RegressionData::new(
        10,
        diabetes.records.iter().copied().collect(),
        diabetes.targets.to_vec(),
    )
    .unwrap();
    let samples = given.standardised(&given).unwrap();
    let folds = Folds::new(samples.samples(), 5, 2).unwrap();
    let oracle = cross_validated_lasso(&samples, &folds, Shrinkage::Lasso).unwrap();
    let mut state = oracle.start(&vec![0.0]).unwrap();
    let grid = (0..900).map(|k| 4.0 - 0.01 * f64::from(k));
    let values = grid.map(|theta| {
        let found = oracle.value(&vec![theta], 1e-6, &mut state).unwrap();
        (found.value.value, theta)
    });
    let best = values.fold(
        (f64::INFINITY, 0.0),
        |best, at| if at.0 < best.0 { at } else { best },
    );
    // It has valleys, and kinks where the support changes: the best of a few descents.
    let reports = [2.0, 1.0, -1.0, -3.0].map(|start| {
        let run = Run::new(&oracle, Maid::lbfgs()).tolerance(1e-3);
        run.start(vec![start]).unwrap()
    });
    let values = reports.each_ref().map(|report| report.value.value);
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    assert!(least <= best.0 * (1.0 + 1e-5), "{values:?} {best:?}");
}
