//! Group lasso: against closed forms, the lasso, the optimality conditions and finite differences.

use bilevel::{Accuracy, Folds, Hypergradient, Maid, Oracle, Run, Status};
use bilevel_problems::data::{LabelledData, RegressionData};
use bilevel_problems::linear::group_lasso::{
    GroupLasso, GroupPenalty, Partition, cross_validated_group_lasso,
};
use bilevel_problems::linear::lasso::{Lasso, Shrinkage};

const TIGHT: f64 = 1e-10;

fn wave(len: usize, f: f64) -> Vec<f64> {
    (1..=len).map(|k| (f * k as f64 * k as f64).sin()).collect()
}

/// Features that depend on each other, of which those of two groups matter.
fn samples(n: usize, d: usize, f: f64) -> RegressionData {
    let mut a = wave(n * d, f);
    for row in a.chunks_exact_mut(d) {
        for j in 1..d {
            row[j] += 0.6 * row[j - 1] + 0.2;
        }
    }
    let noise = wave(n, 2.3 * f);
    let y = a.chunks_exact(d).zip(&noise);
    let y = y.map(|(a, e)| 2.0 + a[0] - 1.5 * a[1] + 0.8 * a[7] + 0.3 * e);
    RegressionData::new(d, a.clone(), y.collect()).unwrap()
}

fn solved<O: Oracle<Theta = Vec<f64>>>(
    oracle: &O,
    theta: &[f64],
) -> (O::State, f64, Hypergradient<Vec<f64>>) {
    let theta = theta.to_vec();
    let mut state = oracle.start(&theta).unwrap();
    let accuracy = Accuracy::new(TIGHT, 1e-12).unwrap();
    let found = oracle.hypergradient(&theta, accuracy, &mut state).unwrap();
    let value = oracle.value(&theta, TIGHT, &mut state).unwrap();
    assert!((value.value.value - found.value.value).abs() <= 1e-10 * value.value.value.abs());
    (state, found.value.value, found)
}

/// Eight samples whose four features are orthogonal, of mean 0 and length √8.
fn orthogonal(f: f64) -> RegressionData {
    let sign = |i: usize, bit: usize| if i >> bit & 1 == 1 { 1.0 } else { -1.0 };
    let row = |i: usize| [sign(i, 0), sign(i, 1), sign(i, 2), sign(i, 0) * sign(i, 1)];
    RegressionData::new(4, (0..8).flat_map(row).collect(), wave(8, f)).unwrap()
}

/// Of an orthogonal design x_g = (1 − λ_g/‖c_g‖)₊ c_g, and f = ½‖x‖² − ⟨v, x⟩ + constant.
#[test]
fn an_orthogonal_design_has_a_closed_form() {
    let (train, validation) = (orthogonal(0.9), orthogonal(1.7));
    let mean = train.targets().iter().sum::<f64>() / 8.0;
    let correlations = |of: &RegressionData| -> Vec<f64> {
        let of_feature = |j| {
            let product = |i: usize| of.features()[4 * i + j] * (of.targets()[i] - mean);
            (0..8).map(product).sum::<f64>() / 8.0
        };
        (0..4).map(of_feature).collect()
    };
    let (c, v) = (correlations(&train), correlations(&validation));
    let squares = validation.targets().iter().map(|y| (y - mean).powi(2));
    let constant = squares.sum::<f64>() / 16.0;
    let groups = [vec![3, 0, 1], vec![2]];
    let partition = Partition::new(4, &groups).unwrap();
    let mut kinds = [0; 3];
    for theta in [
        vec![-2.5],
        vec![-1.2],
        vec![-2.5, -2.5],
        vec![-3.0, -1.0],
        vec![-1.0, -4.0],
    ] {
        let penalty = [GroupPenalty::Single, GroupPenalty::PerGroup][theta.len() - 1];
        let oracle = GroupLasso::new(&train, &validation, &partition, penalty).unwrap();
        let (state, value, found) = solved(&oracle, &theta);
        let mut exact = vec![0.0; 4];
        let mut slopes = vec![0.0; theta.len()];
        let mut active = 0;
        for (g, group) in groups.iter().enumerate() {
            let at = g.min(theta.len() - 1);
            let lambda = f64::exp(theta[at]) * (group.len() as f64).sqrt();
            let norm = group.iter().map(|&j| c[j] * c[j]).sum::<f64>().sqrt();
            if norm <= lambda {
                continue;
            }
            active += 1;
            for &j in group {
                exact[j] = (1.0 - lambda / norm) * c[j];
                // dx/dθ = −λ c/‖c‖.
                slopes[at] -= (exact[j] - v[j]) * lambda * c[j] / norm;
            }
        }
        kinds[active] += 1;
        for (x, e) in state.w().iter().zip(&exact) {
            assert!((x - e).abs() < 1e-8, "{x} {e}");
        }
        let f: f64 = exact.iter().zip(&v).map(|(x, v)| 0.5 * x * x - v * x).sum();
        assert!((value - f - constant).abs() < 1e-8);
        for (z, slope) in found.gradient.iter().zip(&slopes) {
            assert!((z - slope).abs() < 1e-8, "{z} {slope} at {theta:?}");
        }
    }
    assert!(kinds[1] > 0 && kinds[2] > 0, "{kinds:?}");
}

#[test]
fn groups_of_one_are_the_lasso() {
    for n in [60, 20] {
        // Few samples, and the Gram matrix is not formed.
        let (train, validation) = (samples(n, 12, 0.7), samples(40, 12, 1.9));
        let lasso = Lasso::new(&train, &validation, Shrinkage::Lasso).unwrap();
        let partition = Partition::consecutive(&[1; 12]).unwrap();
        let penalty = GroupPenalty::Single;
        let groups = GroupLasso::new(&train, &validation, &partition, penalty).unwrap();
        assert!((groups.largest_penalty() - lasso.largest_l1()).abs() < 1e-12);
        for theta in [-1.0, -2.0, -3.0, -4.0] {
            let (state, value, found) = solved(&groups, &[theta]);
            let (of_lasso, lasso_value, lasso_found) = solved(&lasso, &[theta]);
            for (x, w) in state.w().iter().zip(of_lasso.w()) {
                assert!((x - w).abs() < 1e-8, "{x} {w}");
            }
            assert!((value - lasso_value).abs() < 1e-8);
            let off = found.gradient[0] - lasso_found.gradient[0];
            assert!(off.abs() < 1e-8, "{off:.1e} at {theta}");
        }
    }
}

/// −c_g + λ_g u_g = 0 of the active groups and ‖c_g‖ ≤ λ_g of the others; and central differences of F.
#[test]
fn solutions_are_optimal_and_hypergradients_those_of_differences() {
    let (train, validation) = (samples(60, 12, 0.7), samples(40, 12, 1.9));
    let groups: [&[usize]; 5] = [&[0, 1], &[2, 3, 4], &[5], &[6, 7, 8], &[9, 11, 10]];
    let partition = Partition::new(12, &groups.map(<[usize]>::to_vec)).unwrap();
    let mut left_out = 0;
    for theta in [
        vec![-2.0],
        vec![-3.5],
        vec![-2.0, -1.0, -2.5, -3.0, 0.5],
        vec![-3.0, -3.5, -2.0, -1.5, -4.0],
    ] {
        let penalty = [GroupPenalty::Single, GroupPenalty::PerGroup][usize::from(theta.len() > 1)];
        let oracle = GroupLasso::new(&train, &validation, &partition, penalty).unwrap();
        let (state, _, found) = solved(&oracle, &theta);
        let x = state.w();
        let b = oracle.intercept(x);
        let rows = train.features().chunks_exact(12).zip(train.targets());
        let r: Vec<f64> = rows
            .map(|(a, y)| y - b - a.iter().zip(x).map(|(a, x)| a * x).sum::<f64>())
            .collect();
        let pull = |j: usize| {
            let products = (0..60).map(|i| train.features()[12 * i + j] * r[i]);
            products.sum::<f64>() / 60.0
        };
        let mut active = 0;
        for (g, group) in groups.iter().enumerate() {
            let lambda = f64::exp(theta[g.min(theta.len() - 1)]) * (group.len() as f64).sqrt();
            let norm = |of: &dyn Fn(usize) -> f64| {
                let squares = group.iter().map(|&j| of(j).powi(2));
                squares.sum::<f64>().sqrt()
            };
            let size = norm(&|j| x[j]);
            if size == 0.0 {
                left_out += 1;
                assert!(norm(&pull) <= lambda + 1e-9);
                if theta.len() > 1 {
                    assert!(found.gradient[g] == 0.0);
                }
                continue;
            }
            active += 1;
            let off = norm(&|j| pull(j) - lambda * x[j] / size);
            assert!(off < 1e-8, "{off:.1e}");
        }
        assert!(active > 0);
        // The active groups are those of the neighbourhood here.
        let h = 1e-4;
        for k in 0..theta.len() {
            let at = |t: f64| {
                let mut theta = theta.clone();
                theta[k] += t;
                solved(&oracle, &theta).1
            };
            let difference = (at(h) - at(-h)) / (2.0 * h);
            let off = (difference - found.gradient[k]).abs();
            assert!(off < 1e-7, "{off:.1e} of {difference} at {theta:?}");
        }
    }
    assert!(left_out > 0);
}

#[test]
fn sparse_tables_give_what_dense_ones_give_and_more_features_than_samples_are_no_trouble() {
    let (n, d) = (40, 90);
    let wide = wave(n * d, 0.37);
    let a: Vec<f64> = wide
        .iter()
        .map(|v| if v.abs() < 0.7 { 0.0 } else { *v })
        .collect();
    let labels: Vec<u32> = (0..n)
        .map(|i| u32::from(a[d * i] + a[d * i + 2] + 0.3 > 0.0))
        .collect();
    let table = LabelledData::dense(d, a, labels, 2).unwrap();
    let partition = Partition::consecutive(&[3; 30]).unwrap();
    let of = |table: &LabelledData<f64>| {
        let penalty = GroupPenalty::Single;
        let oracle = GroupLasso::of_classes(table, table, &partition, penalty).unwrap();
        solved(&oracle, &[-3.0])
    };
    let (dense, sparse) = (of(&table), of(&table.to_sparse()));
    assert!(dense.0.w().iter().any(|x| *x != 0.0));
    assert!((dense.1 - sparse.1).abs() < 1e-9);
    assert!((dense.2.gradient[0] - sparse.2.gradient[0]).abs() < 1e-8);
}

#[test]
fn what_cannot_be_used_is_refused() {
    let refused = |groups: &[Vec<usize>], what: &str| {
        let error = Partition::new(4, groups).unwrap_err().to_string();
        assert!(error.contains(what), "{error}");
    };
    refused(
        &[vec![0, 1], vec![1, 2, 3]],
        "feature 1, which is in groups[0]",
    );
    refused(
        &[vec![0, 0, 1], vec![2, 3]],
        "feature 0, which is in groups[0]",
    );
    refused(&[vec![0, 1], vec![3]], "feature 2 in none");
    refused(&[vec![0, 1, 2, 3], vec![]], "groups[1]");
    refused(&[vec![0, 1, 2, 3, 4]], "feature 4");
    assert!(Partition::new(0, &[]).is_err());
    assert!(Partition::consecutive(&[2, 0]).is_err());
    assert!(RegressionData::new(1, vec![f64::NAN, 1.0], vec![0.0, 1.0]).is_err());
    assert!(RegressionData::new(1, vec![0.0, 1.0], vec![0.0, f64::NAN]).is_err());

    let (train, validation) = (samples(30, 8, 0.7), samples(20, 8, 1.9));
    let four = Partition::consecutive(&[2; 4]).unwrap();
    let penalty = GroupPenalty::PerGroup;
    let oracle = GroupLasso::new(&train, &validation, &four, penalty).unwrap();
    assert!(oracle.start(&vec![0.0]).is_err());
    assert!(oracle.start(&vec![0.0, 0.0, f64::NAN, 0.0]).is_err());
    let three = Partition::consecutive(&[2; 3]).unwrap();
    assert!(GroupLasso::new(&train, &validation, &three, penalty).is_err());
    assert!(GroupLasso::new(&train, &samples(20, 9, 1.0), &four, penalty).is_err());
    let huge = RegressionData::new(1, vec![1e200, -1e200], vec![0.0, 1.0]).unwrap();
    let one = Partition::consecutive(&[1]).unwrap();
    assert!(GroupLasso::new(&huge, &huge, &one, penalty).is_err());

    // Above the largest penalty no group is active, and F is flat: a run says that it does not know.
    let penalty = GroupPenalty::Single;
    let oracle = GroupLasso::new(&train, &validation, &four, penalty).unwrap();
    let above = oracle.largest_penalty().ln() + 1e-9;
    assert!(solved(&oracle, &[above]).0.w().iter().all(|x| *x == 0.0));
    let below = solved(&oracle, &[above - 0.1]);
    assert_eq!(below.0.w().iter().filter(|x| **x != 0.0).count(), 2);
    let report = Run::new(&oracle, Maid::lbfgs()).start(vec![above]).unwrap();
    assert_ne!(report.status, Status::Converged);
}

#[test]
fn maid_descends_the_cross_validated_error_and_a_penalty_a_group_does_better() {
    let all = samples(80, 12, 0.7);
    let folds = Folds::new(80, 4, 1).unwrap();
    let partition = Partition::consecutive(&[2, 3, 1, 3, 3]).unwrap();
    let best = |penalty, theta: Vec<f64>| {
        let oracle = cross_validated_group_lasso(&all, &folds, &partition, penalty).unwrap();
        let mut state = oracle.start(&theta).unwrap();
        let first = oracle.value(&theta, 1e-6, &mut state).unwrap().value.value;
        let run = Run::new(&oracle, Maid::lbfgs()).tolerance(1e-5);
        let report = run.max_iterations(60).start(theta).unwrap();
        assert_ne!(report.status, Status::Diverged);
        (first, report.value.value, report.theta)
    };
    let (first, single, theta) = best(GroupPenalty::Single, vec![-1.0]);
    assert!(single < 0.5 * first, "{first} {single}");
    let (_, per_group, _) = best(GroupPenalty::PerGroup, vec![theta[0]; 5]);
    assert!(per_group < 0.95 * single, "{single} {per_group}");
}
