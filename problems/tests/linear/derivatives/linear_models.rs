//! `logistic` and `hyper_cleaning`, with the cross-entropy.

use bilevel::autodiff::{Gradients, Number, SampleLoss, Scalar};
use bilevel::problem::minibatch::Batch;
use bilevel_problems::data::LabelledData;
use bilevel_problems::linear::hyper_cleaning::HyperCleaning;
use bilevel_problems::linear::logistic::{CrossEntropy, LogisticRegression, Penalty};

use crate::agreement::{Points, mean, sizes};
use crate::common::{random, uniform};

const SAMPLES: usize = 23;
const COLUMNS: usize = 6;
const C: f64 = 0.05;

/// The role of θ.
#[derive(Clone, Copy, PartialEq)]
enum Theta {
    /// Nothing: the cross-entropy.
    Idle,
    /// Logarithms of penalties.
    Penalties(Penalty),
    /// Weights of samples, beside the penalty [`C`].
    Samples,
}

#[derive(Clone)]
struct Linear {
    features: Vec<f64>,
    labels: Vec<u32>,
    /// Scores a sample: one where there are two classes.
    c: usize,
    theta: Theta,
}

fn table(classes: usize, seed: u64) -> LabelledData<f64> {
    let features = random(SAMPLES * COLUMNS, seed);
    let mut next = uniform(seed + 1);
    let labels = (0..SAMPLES).map(|_| ((next() + 1.0) * 0.5 * classes as f64) as u32);
    LabelledData::dense(COLUMNS, features, labels.collect(), classes).unwrap()
}

impl Linear {
    fn new(classes: usize, seed: u64, binary: bool, theta: Theta) -> Self {
        Linear {
            features: random(SAMPLES * COLUMNS, seed),
            labels: table(classes, seed).labels().to_vec(),
            c: if binary { 1 } else { classes },
            theta,
        }
    }

    fn theta_len(&self) -> usize {
        match self.theta {
            Theta::Idle | Theta::Penalties(Penalty::Single) => 1,
            Theta::Penalties(Penalty::PerClass) => self.c,
            Theta::Penalties(Penalty::PerFeature) => COLUMNS,
            Theta::Penalties(Penalty::PerWeight) => COLUMNS * self.c,
            Theta::Samples => SAMPLES,
        }
    }

    fn row(&self, i: usize) -> &[f64] {
        &self.features[i * COLUMNS..(i + 1) * COLUMNS]
    }

    /// +1 for class 1, −1 for class 0.
    fn sign(&self, i: usize) -> f64 {
        f64::from(2 * self.labels[i] as i32 - 1)
    }

    /// Xᵀaᵢ, for X of c columns.
    fn scores<S: Scalar>(&self, x: &[S], i: usize) -> Vec<S> {
        let classes = (0..self.c).flat_map(|k| x[k..].iter().step_by(self.c));
        let transposed: Vec<S> = classes.copied().collect();
        let mut scores = vec![S::constant(0.0); self.c];
        S::mat_data(&transposed, self.row(i), &mut scores);
        scores
    }

    fn entropy<S: Scalar>(&self, x: &[S], i: usize) -> S {
        let z = self.scores(x, i);
        if self.c == 1 {
            z[0].times(-self.sign(i)).softplus()
        } else {
            S::log_sum_exp(&z) - z[self.labels[i] as usize]
        }
    }

    /// The derivative of the entropy in the scores.
    fn residual<S: Number>(&self, x: &[S], i: usize) -> Vec<S> {
        let z = self.scores(x, i);
        if self.c == 1 {
            let sign = self.sign(i);
            return vec![z[0].times(-sign).sigmoid().times(-sign)];
        }
        let mut p = z.clone();
        S::softmax(&z, &mut p);
        let label = &mut p[self.labels[i] as usize];
        *label = label.plus(-1.0);
        p
    }

    /// Which penalty belongs to weight j.
    fn group(&self, penalty: Penalty, j: usize) -> usize {
        match penalty {
            Penalty::Single => 0,
            Penalty::PerClass => j % self.c,
            Penalty::PerFeature => j / self.c,
            Penalty::PerWeight => j,
        }
    }
}

impl SampleLoss for Linear {
    sizes!(self: COLUMNS * self.c, self.theta_len(), SAMPLES);

    fn loss<S: Scalar>(&self, x: &[S], theta: &[S], i: usize) -> S {
        let entropy = self.entropy(x, i);
        if self.theta == Theta::Samples {
            return theta[i].sigmoid() * entropy;
        }
        entropy
    }

    fn penalty<S: Scalar>(&self, x: &[S], theta: &[S]) -> S {
        match self.theta {
            Theta::Idle => S::constant(0.0),
            Theta::Samples => S::dot(x, x).times(0.5 * C),
            Theta::Penalties(penalty) => {
                let weights: Vec<S> = theta.iter().map(|t| t.exp()).collect();
                let squares: Vec<S> = x.iter().map(|x| x.squared()).collect();
                let weights: Vec<S> = (0..x.len())
                    .map(|j| weights[self.group(penalty, j)])
                    .collect();
                S::dot(&weights, &squares).times(0.5)
            }
        }
    }
}

impl Gradients for Linear {
    sizes!(self: COLUMNS * self.c, self.theta_len(), SAMPLES);

    fn value<S: Number>(&self, batch: Batch<'_>, x: &[S], theta: &[S]) -> S {
        mean(self, batch, x, theta)
    }

    fn gradient<S: Number>(&self, batch: Batch<'_>, x: &[S], theta: &[S], out: &mut [S]) {
        for (j, out) in out.iter_mut().enumerate() {
            *out = match self.theta {
                Theta::Idle => S::default(),
                Theta::Samples => x[j].times(C),
                Theta::Penalties(penalty) => theta[self.group(penalty, j)].exp() * x[j],
            };
        }
        let share = 1.0 / batch.len() as f64;
        for i in batch.iter() {
            for (k, r) in self.residual(x, i).into_iter().enumerate() {
                let mut r = r.times(share);
                if self.theta == Theta::Samples {
                    r *= theta[i].sigmoid();
                }
                for (d, &a) in self.row(i).iter().enumerate() {
                    out[d * self.c + k] += r.times(a);
                }
            }
        }
    }

    fn gradient_theta<S: Number>(&self, batch: Batch<'_>, x: &[S], theta: &[S], out: &mut [S]) {
        out.fill(S::default());
        match self.theta {
            Theta::Idle => {}
            Theta::Samples => {
                for i in batch.iter() {
                    let s = theta[i].sigmoid();
                    let slope = s * (S::constant(1.0) - s);
                    out[i] = (slope * self.entropy(x, i)).times(1.0 / batch.len() as f64);
                }
            }
            Theta::Penalties(penalty) => {
                for (j, x) in x.iter().enumerate() {
                    let group = self.group(penalty, j);
                    out[group] += (theta[group].exp() * x.squared()).times(0.5);
                }
            }
        }
    }
}

const PENALTIES: [Penalty; 4] = [
    Penalty::Single,
    Penalty::PerClass,
    Penalty::PerFeature,
    Penalty::PerWeight,
];

/// Two classes with one score, two with two, and four.
const FORMS: [(usize, bool); 3] = [(2, true), (2, false), (4, false)];

#[test]
fn logistic_regression_agrees() {
    for (classes, binary) in FORMS {
        let dense = table(classes, 3);
        for table in [dense.clone(), dense.to_sparse()] {
            for penalty in PENALTIES {
                let name = format!("{classes} classes, binary: {binary}, {penalty:?}");
                let shipped = if binary {
                    LogisticRegression::new(&table, penalty).unwrap()
                } else {
                    LogisticRegression::multinomial(&table, penalty).unwrap()
                };
                let mine = Linear::new(classes, 3, binary, Theta::Penalties(penalty));
                assert_eq!(shipped.theta_len(), mine.theta_len());
                let points = Points::around(&vec![-1.0; mine.theta_len()]);
                points.batch_lower(&name, &shipped, &mine);
            }
        }
    }
}

#[test]
fn hyper_cleaning_agrees() {
    for (classes, binary) in [FORMS[0], FORMS[2]] {
        let dense = table(classes, 3);
        for table in [dense.clone(), dense.to_sparse()] {
            let shipped = HyperCleaning::new(&table, C).unwrap();
            let mine = Linear::new(classes, 3, binary, Theta::Samples);
            let points = Points::around(&[0.3; SAMPLES]);
            points.batch_lower(&format!("{classes} classes"), &shipped, &mine);
        }
    }
}

#[test]
fn cross_entropy_agrees() {
    for (classes, binary) in FORMS {
        let dense = table(classes, 3);
        for table in [dense.clone(), dense.to_sparse()] {
            let shipped = if binary {
                CrossEntropy::new(&table).unwrap()
            } else {
                CrossEntropy::multinomial(&table).unwrap()
            };
            let mine = Linear::new(classes, 3, binary, Theta::Idle);
            Points::around(&[0.0]).batch_upper(&format!("{classes} classes"), &shipped, &mine);
        }
    }
}

/// In single precision a rounding is 6e-8, and the sums have a few dozen terms.
#[test]
fn linear_models_agree_in_f32() {
    let table = table(4, 3).cast::<f32>();
    // The features of both are those in f32.
    let rounded = |mut mine: Linear| {
        let cast = |v: &f64| f64::from(*v as f32);
        mine.features = mine.features.iter().map(cast).collect();
        mine
    };
    let shipped = LogisticRegression::new(&table, Penalty::PerClass).unwrap();
    let mine = rounded(Linear::new(
        4,
        3,
        false,
        Theta::Penalties(Penalty::PerClass),
    ));
    let points = Points::around(&[-1.0; 4]).within(1e-4);
    points.batch_lower("logistic", &shipped, &mine);
    let shipped = HyperCleaning::new(&table, C).unwrap();
    let mine = rounded(Linear::new(4, 3, false, Theta::Samples));
    let points = Points::around(&[0.3; SAMPLES]).within(1e-4);
    points.batch_lower("hyper-cleaning", &shipped, &mine);
    let mine = rounded(Linear::new(4, 3, false, Theta::Idle));
    let points = Points::around(&[0.0]).within(1e-4);
    points.batch_upper("cross-entropy", &CrossEntropy::new(&table).unwrap(), &mine);
}
