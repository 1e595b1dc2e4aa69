//! `ridge` and `leave_one_out`.

use bilevel::autodiff::{Gradients, Number, SampleLoss, Scalar, Taped, Upper};
use bilevel::problem::minibatch::Batch;
use bilevel_problems::data::{LabelledData, RegressionData};
use bilevel_problems::linear::logistic::LogisticRegression;
use bilevel_problems::linear::ridge::{Penalty, Ridge};

use crate::agreement::{Points, mean, sizes};
use crate::common::random;

const COLUMNS: usize = 4;
const PENALTIES: [Penalty; 2] = [Penalty::Single, Penalty::PerFeature];

fn samples(count: usize, seed: u64) -> RegressionData {
    let features = random(count * COLUMNS, seed);
    let targets = random(count, seed + 1).iter().map(|y| y + 0.5).collect();
    RegressionData::new(COLUMNS, features, targets).unwrap()
}

/// The length of θ.
fn length(penalty: Penalty) -> usize {
    match penalty {
        Penalty::Single => 1,
        _ => COLUMNS,
    }
}

/// The penalty of feature j.
fn weight<S: Scalar>(theta: &[S], j: usize) -> S {
    theta[if theta.len() == 1 { 0 } else { j }].exp()
}

/// Half the squares of residuals of samples without the means of others, and the penalty where there is one.
#[derive(Clone)]
struct Squares {
    features: Vec<Vec<f64>>,
    targets: Vec<f64>,
    penalty: Option<Penalty>,
}

impl Squares {
    fn new(samples: &RegressionData, train: &RegressionData, penalty: Option<Penalty>) -> Self {
        let n = train.samples() as f64;
        let average = |j: usize| train.features()[j..].iter().step_by(COLUMNS).sum::<f64>() / n;
        let means: Vec<f64> = (0..COLUMNS).map(average).collect();
        let target = train.targets().iter().sum::<f64>() / n;
        let rows = samples.features().chunks(COLUMNS);
        Squares {
            features: rows
                .map(|row| row.iter().zip(&means).map(|(a, m)| a - m).collect())
                .collect(),
            targets: samples.targets().iter().map(|y| y - target).collect(),
            penalty,
        }
    }

    fn residual<S: Scalar>(&self, w: &[S], i: usize) -> S {
        S::dot_data(w, &self.features[i]).plus(-self.targets[i])
    }
}

impl SampleLoss for Squares {
    sizes!(self: COLUMNS, self.penalty.map_or(1, length), self.targets.len());

    fn loss<S: Scalar>(&self, w: &[S], _theta: &[S], i: usize) -> S {
        self.residual(w, i).squared().times(0.5)
    }

    fn penalty<S: Scalar>(&self, w: &[S], theta: &[S]) -> S {
        let mut total = S::constant(0.0);
        if self.penalty.is_some() {
            for (j, w) in w.iter().enumerate() {
                total += weight(theta, j).times(0.5) * w.squared();
            }
        }
        total
    }
}

impl Gradients for Squares {
    sizes!(self: COLUMNS, self.penalty.map_or(1, length), self.targets.len());

    fn value<S: Number>(&self, batch: Batch<'_>, w: &[S], theta: &[S]) -> S {
        mean(self, batch, w, theta)
    }

    fn gradient<S: Number>(&self, batch: Batch<'_>, w: &[S], theta: &[S], out: &mut [S]) {
        for (j, out) in out.iter_mut().enumerate() {
            *out = match self.penalty {
                Some(_) => weight(theta, j) * w[j],
                None => S::default(),
            };
        }
        for i in batch.iter() {
            let r = self.residual(w, i).times(1.0 / batch.len() as f64);
            for (out, &a) in out.iter_mut().zip(&self.features[i]) {
                *out += r.times(a);
            }
        }
    }

    fn gradient_theta<S: Number>(&self, _batch: Batch<'_>, w: &[S], theta: &[S], out: &mut [S]) {
        out.fill(S::default());
        if self.penalty.is_some() {
            for (j, w) in w.iter().enumerate() {
                out[if theta.len() == 1 { 0 } else { j }] +=
                    weight(theta, j).times(0.5) * w.squared();
            }
        }
    }
}

#[test]
fn ridge_agrees() {
    let (train, validation) = (samples(11, 1), samples(6, 2));
    for penalty in PENALTIES {
        let shipped = Ridge::new(&train, penalty).unwrap();
        let points = Points::around(&vec![-1.0; shipped.theta_len()]);
        let mine = Squares::new(&train, &train, Some(penalty));
        points.lower(&format!("ridge, {penalty:?}"), &shipped, &mine);
        let error = shipped.error_on(&validation).unwrap();
        let mine = Squares::new(&validation, &train, None);
        Points::around(&[0.0]).upper("squared error", &error, &mine);
    }
}

/// Leave-one-out of a regression: sample i judged by one step of Newton's method from the fit to all, as in the formula of the module.
struct LeaveOneOut {
    features: Vec<Vec<f64>>,
    targets: Vec<f64>,
    /// Targets are ±1, and the loss is log(1 + e^{−yz}).
    logistic: bool,
    /// The constant term of h.
    intercept: f64,
    penalty: Penalty,
}

impl LeaveOneOut {
    /// ℓ, ℓ' and ℓ'' at a score.
    fn of_score<S: Scalar>(&self, score: S, target: f64) -> [S; 3] {
        if self.logistic {
            let q = score.times(-target).sigmoid();
            let curve = q * (S::constant(1.0) - q);
            return [score.times(-target).softplus(), q.times(-target), curve];
        }
        let residual = score.plus(-target);
        let half = residual.squared().times(0.5);
        [half, residual, S::constant(1.0)]
    }
}

/// x with A x = b for a positive definite A, by elimination.
fn solved<S: Scalar>(mut a: Vec<Vec<S>>, mut b: Vec<S>) -> Vec<S> {
    let d = b.len();
    for k in 0..d {
        let (upper, lower) = a.split_at_mut(k + 1);
        let pivot = &upper[k];
        let (above, below) = b.split_at_mut(k + 1);
        for (row, right) in lower.iter_mut().zip(below) {
            let factor = row[k] / pivot[k];
            let rest = row.iter_mut().zip(pivot).skip(k);
            rest.for_each(|(entry, &of_pivot)| *entry -= factor * of_pivot);
            *right -= factor * above[k];
        }
    }
    for k in (0..d).rev() {
        for j in k + 1..d {
            let change = a[k][j] * b[j];
            b[k] -= change;
        }
        b[k] = b[k] / a[k][k];
    }
    b
}

impl SampleLoss for LeaveOneOut {
    sizes!(self: COLUMNS, length(self.penalty), self.targets.len());

    fn loss<S: Scalar>(&self, w: &[S], theta: &[S], i: usize) -> S {
        let n = self.targets.len();
        let mut matrix = vec![vec![S::constant(0.0); COLUMNS]; COLUMNS];
        for (row, &target) in self.features.iter().zip(&self.targets) {
            let [_, _, curve] = self.of_score(S::dot_data(w, row), target);
            for j in 0..COLUMNS {
                for l in 0..COLUMNS {
                    matrix[j][l] += curve.times(row[j] * row[l]);
                }
            }
        }
        for (j, row) in matrix.iter_mut().enumerate() {
            row[j] += weight(theta, j).times((n - 1) as f64);
        }
        let row = &self.features[i];
        let y = solved(matrix, row.iter().map(|&a| S::constant(a)).collect());
        let h = S::dot_data(&y, row).plus(self.intercept);
        let mut s = S::constant(0.0);
        for j in 0..COLUMNS {
            s += y[j] * weight(theta, j) * w[j];
        }
        let score = S::dot_data(w, row);
        let [_, slope, curve] = self.of_score(score, self.targets[i]);
        let without = score + (s + slope * h) / (S::constant(1.0) - curve * h);
        self.of_score(without, self.targets[i])[0]
    }
}

#[test]
fn leave_one_out_agrees() {
    let n = 9;
    let train = samples(n, 3);
    let labels: Vec<u32> = (0..n as u32).map(|i| (i * i + i / 2) % 2).collect();
    let table = LabelledData::dense(COLUMNS, train.features().to_vec(), labels.clone(), 2).unwrap();
    for penalty in PENALTIES {
        let points = Points::around(&vec![-1.0; length(penalty)]);
        let centred = Squares::new(&train, &train, None);
        let mine = LeaveOneOut {
            features: centred.features,
            targets: centred.targets,
            logistic: false,
            intercept: 1.0 / n as f64,
            penalty,
        };
        let shipped = Ridge::new(&train, penalty).unwrap();
        let shipped = shipped.leave_one_out(&train).unwrap();
        let taped = Upper::<_>::new(Taped::new(mine));
        let found = points.upper_differences(COLUMNS, &shipped, &taped);
        assert!(found.is_empty(), "ridge, {penalty:?}: {found:?}");

        let mine = LeaveOneOut {
            features: train
                .features()
                .chunks(COLUMNS)
                .map(<[_]>::to_vec)
                .collect(),
            targets: labels.iter().map(|&l| 2.0 * f64::from(l) - 1.0).collect(),
            logistic: true,
            intercept: 0.0,
            penalty,
        };
        let shipped = LogisticRegression::new(&table, penalty).unwrap();
        let shipped = shipped.leave_one_out(&table).unwrap();
        let taped = Upper::<_>::new(Taped::new(mine));
        let found = points.upper_differences(COLUMNS, &shipped, &taped);
        assert!(found.is_empty(), "logistic, {penalty:?}: {found:?}");
    }
}
