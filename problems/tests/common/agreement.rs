//! A level beside the same one by another way: hand-written, from gradients over [`Number`](bilevel::autodiff::Number), and from
//! a loss over [`Scalar`](bilevel::autodiff::Scalar).
//!
//! ```ignore
//! Points::around(&[-3.0, -2.0]).lower("TV", &shipped, &mine); // `mine` implements `Gradients` and `SampleLoss`
//! ```

#![allow(dead_code)] // every test file uses a part of it

use bilevel::autodiff::{Gradients, Lower, Number, Real, SampleLoss, Taped, Upper};
use bilevel::problem::minibatch::{Batch, MinibatchLower, MinibatchUpper, Products};
use bilevel::{Linearization, LowerLevel, UpperLevel, Vector};
use bilevel_problems::sure::Pair;

use crate::common::{distance, random};

/// A vector that can be made of numbers.
pub(crate) trait Made: Vector {
    /// The type of its entries.
    type Entry: Real;
    fn made(numbers: &[f64]) -> Self;
}

impl<E: Real> Made for Vec<E> {
    type Entry = E;
    fn made(numbers: &[f64]) -> Self {
        numbers.iter().map(|&n| E::from_f64(n)).collect()
    }
}

impl<E: Real> Made for Pair<Vec<E>> {
    type Entry = E;
    fn made(numbers: &[f64]) -> Self {
        let (first, second) = numbers.split_at(numbers.len() / 2);
        Pair(Vec::made(first), Vec::made(second))
    }
}

/// The three sizes that [`Gradients`] and [`SampleLoss`] both ask for: of x, of θ, and samples.
macro_rules! sizes {
    ($level:ident: $parameters:expr, $hyperparameters:expr, $samples:expr) => {
        fn parameters(&$level) -> usize {
            $parameters
        }
        fn hyperparameters(&$level) -> usize {
            $hyperparameters
        }
        fn samples(&$level) -> usize {
            $samples
        }
    };
}

pub(crate) use sizes;

/// The mean of the losses of a batch, and the penalty: the value where a level is given by its gradients.
pub(crate) fn mean<S: Number>(
    level: &impl SampleLoss,
    batch: Batch<'_>,
    x: &[S],
    theta: &[S],
) -> S {
    let mut total = S::default();
    batch.iter().for_each(|i| total += level.loss(x, theta, i));
    total.times(1.0 / batch.len() as f64) + level.penalty(x, theta)
}

/// Where two levels are compared: at random points.
#[derive(Clone)]
pub(crate) struct Points {
    theta: Vec<f64>,
    tolerance: f64,
    seeds: u64,
}

/// The parts that differ by more than the tolerance.
pub(crate) type Differences = Vec<String>;

struct Notes {
    seed: u64,
    tolerance: f64,
    found: Differences,
}

impl Notes {
    fn compare(&mut self, what: &str, a: &[f64], b: &[f64]) {
        let norm = |v: &[f64]| v.iter().map(|v| v * v).sum::<f64>().sqrt();
        let error = if a.len() == b.len() {
            distance(a, b) / norm(a).max(norm(b)).max(f64::MIN_POSITIVE)
        } else {
            f64::NAN
        };
        // NaN is no agreement.
        if !matches!(error.partial_cmp(&self.tolerance), Some(o) if o.is_le()) {
            self.found
                .push(format!("{what} by {error:.1e} (seed {})", self.seed));
        }
    }
}

impl Points {
    /// Random x in (−1, 1) and random θ within ½ of this one, compared to 1e-10.
    pub(crate) fn around(theta: &[f64]) -> Self {
        Points {
            theta: theta.to_vec(),
            tolerance: 1e-10,
            seeds: 4,
        }
    }

    /// The same with another tolerance, relative to the norm of each vector.
    pub(crate) fn within(mut self, tolerance: f64) -> Self {
        self.tolerance = tolerance;
        self
    }

    fn theta(&self, seed: u64) -> Vec<f64> {
        let moves = random(self.theta.len(), seed + 1000);
        self.theta
            .iter()
            .zip(moves)
            .map(|(t, m)| t + 0.5 * m)
            .collect()
    }

    fn each(&self, mut at: impl FnMut(&mut Notes, u64)) -> Differences {
        let mut notes = Notes {
            seed: 0,
            tolerance: self.tolerance,
            found: Vec::new(),
        };
        for seed in 1..=self.seeds {
            notes.seed = seed;
            at(&mut notes, seed);
        }
        notes.found
    }

    /// g, ∇ₓg, A v, Bᵀw and B u of two lower levels.
    pub(crate) fn lower_differences<X: Made, Y: Made>(
        &self,
        a: &impl LowerLevel<Theta = Vec<f64>, X = X>,
        b: &impl LowerLevel<Theta = Vec<f64>, X = Y>,
    ) -> Differences {
        assert_eq!(a.start().len(), b.start().len(), "the length of x");
        self.each(|notes, seed| {
            let n = a.start().len();
            let theta = self.theta(seed);
            a.check(&theta).expect("θ is of the domain");
            b.check(&theta).expect("θ is of the domain");
            let [x, v, w] = [0, 10, 20].map(|k| random(n, seed + k));
            let u = random(theta.len(), seed + 30);
            let values = [
                a.value(&X::made(&x), &theta),
                b.value(&Y::made(&x), &theta),
                a.value_and_gradient(&X::made(&x), &theta, &mut unset(n)),
                b.value_and_gradient(&Y::made(&x), &theta, &mut unset(n)),
            ];
            for (k, value) in values.iter().enumerate().skip(1) {
                notes.compare(
                    ["", "g", "g with ∇g", "g with ∇g"][k],
                    &values[..1],
                    &[*value],
                );
            }
            let products = |notes: &mut Notes, of_a: Parts, of_b: Parts| {
                for ((what, a), (_, b)) in of_a.iter().zip(&of_b) {
                    notes.compare(what, a, b);
                }
            };
            let of_a = lower_parts(a, &x, &theta, [&v, &w], &u);
            products(notes, of_a, lower_parts(b, &x, &theta, [&v, &w], &u));
        })
    }

    /// ∇ₓg, ∇θg, A v and Bᵀv of two lower levels on batches.
    pub(crate) fn batch_lower_differences<E: Real>(
        &self,
        a: &impl MinibatchLower<Theta = Vec<f64>, X = Vec<E>>,
        b: &impl MinibatchLower<Theta = Vec<f64>, X = Vec<E>>,
    ) -> Differences {
        assert_eq!(a.samples(), b.samples(), "samples");
        self.each(|notes, seed| {
            let (n, theta) = (a.start().len(), self.theta(seed));
            let [x, v] = [0, 10].map(|k| Vec::made(&random(n, seed + k)));
            for_batches(a.samples(), |kind, batch| {
                let of_a = on_batch(a, batch, &x, &theta, &v);
                let of_b = on_batch(b, batch, &x, &theta, &v);
                for ((what, a), (_, b)) in of_a.iter().zip(&of_b) {
                    notes.compare(&format!("{what} on {kind}"), a, b);
                }
            });
        })
    }

    /// f, ∇ₓf and ∇θf of two upper levels with x of this length.
    pub(crate) fn upper_differences<X: Made, Y: Made>(
        &self,
        n: usize,
        a: &impl UpperLevel<Theta = Vec<f64>, X = X>,
        b: &impl UpperLevel<Theta = Vec<f64>, X = Y>,
    ) -> Differences {
        self.each(|notes, seed| {
            let theta = self.theta(seed);
            let x = random(n, seed);
            let (p, q) = (X::made(&x), Y::made(&x));
            notes.compare("f", &[a.value(&p, &theta)], &[b.value(&q, &theta)]);
            let (mut of_a, mut of_b) = (unset::<X>(n), unset::<Y>(n));
            a.gradient_x(&p, &theta, &mut of_a);
            b.gradient_x(&q, &theta, &mut of_b);
            notes.compare("∇ₓf", &of_a.to_f64(), &of_b.to_f64());
            let (mut of_a, mut of_b) = (unset(theta.len()), unset(theta.len()));
            a.gradient_theta(&p, &theta, &mut of_a);
            b.gradient_theta(&q, &theta, &mut of_b);
            notes.compare("∇θf", &of_a, &of_b);
        })
    }

    /// f, ∇ₓf and ∇θf of two upper levels on batches.
    pub(crate) fn batch_upper_differences<E: Real>(
        &self,
        n: usize,
        a: &impl MinibatchUpper<Theta = Vec<f64>, X = Vec<E>>,
        b: &impl MinibatchUpper<Theta = Vec<f64>, X = Vec<E>>,
    ) -> Differences {
        assert_eq!(a.samples(), b.samples(), "samples");
        self.each(|notes, seed| {
            let theta = self.theta(seed);
            let x = Vec::<E>::made(&random(n, seed));
            for_batches(a.samples(), |kind, batch| {
                let values = [
                    a.batch_value(batch, &x, &theta),
                    b.batch_value(batch, &x, &theta),
                ];
                notes.compare(&format!("f on {kind}"), &values[..1], &values[1..]);
                let [mut ax, mut bx] = [(); 2].map(|()| unset::<Vec<E>>(n));
                let [mut at, mut bt] = [(); 2].map(|()| unset::<Vec<f64>>(theta.len()));
                a.batch_gradients(batch, &x, &theta, &mut ax, &mut at);
                b.batch_gradients(batch, &x, &theta, &mut bx, &mut bt);
                notes.compare(&format!("∇ₓf on {kind}"), &ax.to_f64(), &bx.to_f64());
                notes.compare(&format!("∇θf on {kind}"), &at, &bt);
            });
        })
    }

    /// The same where the loss is a mean over more parts than the gradients, which are compared on all of them.
    pub(crate) fn lower_in_parts<X: Made>(
        &self,
        name: &str,
        shipped: &impl LowerLevel<Theta = Vec<f64>, X = X>,
        mine: &(impl Gradients + SampleLoss + Clone),
    ) {
        let (by_hand, taped) = self.lower_alone::<X, _>(name, shipped, mine);
        let between = self.each(|notes, seed| {
            let (n, theta) = (by_hand.start().len(), self.theta(seed));
            let [x, v] = [0, 10].map(|k| Vec::made(&random(n, seed + k)));
            let of_a = on_batch(&by_hand, Batch::all(by_hand.samples()), &x, &theta, &v);
            let of_b = on_batch(&taped, Batch::all(taped.samples()), &x, &theta, &v);
            for ((what, a), (_, b)) in of_a.iter().zip(&of_b) {
                notes.compare(what, a, b);
            }
        });
        none(name, "gradients and loss", between);
    }

    fn lower_alone<X: Made, G: Gradients + SampleLoss + Clone>(
        &self,
        name: &str,
        shipped: &impl LowerLevel<Theta = Vec<f64>, X = X>,
        mine: &G,
    ) -> Lowers<G, X::Entry> {
        let (by_hand, taped) = lowers::<X::Entry, _>(mine);
        none(name, "gradients", self.lower_differences(shipped, &by_hand));
        none(name, "loss", self.lower_differences(shipped, &taped));
        (by_hand, taped)
    }

    /// Asserts that a shipped lower level agrees both ways.
    pub(crate) fn lower<X: Made>(
        &self,
        name: &str,
        shipped: &impl LowerLevel<Theta = Vec<f64>, X = X>,
        mine: &(impl Gradients + SampleLoss + Clone),
    ) {
        let (by_hand, taped) = self.lower_alone::<X, _>(name, shipped, mine);
        // ∇θg, which a lower level that is no finite sum does not have.
        let between = self.batch_lower_differences(&by_hand, &taped);
        none(name, "gradients and loss", between);
    }

    /// The same for a finite sum, on all samples and on batches.
    pub(crate) fn batch_lower<E: Real>(
        &self,
        name: &str,
        shipped: &impl MinibatchLower<Theta = Vec<f64>, X = Vec<E>>,
        mine: &(impl Gradients + SampleLoss + Clone),
    ) {
        self.lower(name, shipped, mine);
        let (by_hand, taped) = lowers::<E, _>(mine);
        let differences = self.batch_lower_differences(shipped, &by_hand);
        none(name, "gradients", differences);
        let differences = self.batch_lower_differences(shipped, &taped);
        none(name, "loss", differences);
    }

    /// Asserts that a shipped upper level agrees both ways.
    pub(crate) fn upper<X: Made>(
        &self,
        name: &str,
        shipped: &impl UpperLevel<Theta = Vec<f64>, X = X>,
        mine: &(impl Gradients + SampleLoss + Clone),
    ) {
        let n = Gradients::parameters(mine);
        let (by_hand, taped) = uppers::<X::Entry, _>(mine);
        none(
            name,
            "gradients",
            self.upper_differences(n, shipped, &by_hand),
        );
        none(name, "loss", self.upper_differences(n, shipped, &taped));
    }

    /// The same for a finite sum, on all samples and on batches.
    pub(crate) fn batch_upper<E: Real>(
        &self,
        name: &str,
        shipped: &impl MinibatchUpper<Theta = Vec<f64>, X = Vec<E>>,
        mine: &(impl Gradients + SampleLoss + Clone),
    ) {
        self.upper(name, shipped, mine);
        let n = Gradients::parameters(mine);
        let (by_hand, taped) = uppers::<E, _>(mine);
        let differences = self.batch_upper_differences(n, shipped, &by_hand);
        none(name, "gradients", differences);
        let differences = self.batch_upper_differences(n, shipped, &taped);
        none(name, "loss", differences);
    }
}

/// A level from its gradients, and from its loss.
type Lowers<G, E> = (Lower<G, E>, Lower<Taped<G>, E>);

fn lowers<E: Real, G: Gradients + SampleLoss + Clone>(mine: &G) -> Lowers<G, E> {
    (
        Lower::new(mine.clone()),
        Lower::new(Taped::new(mine.clone())),
    )
}

fn uppers<E: Real, G: Gradients + SampleLoss + Clone>(
    mine: &G,
) -> (Upper<G, E>, Upper<Taped<G>, E>) {
    (
        Upper::new(mine.clone()),
        Upper::new(Taped::new(mine.clone())),
    )
}

fn none(name: &str, way: &str, differences: Differences) {
    assert!(differences.is_empty(), "{name}, {way}: {differences:#?}");
}

/// An output to be overwritten: a result that keeps any of it is NaN.
fn unset<X: Made>(n: usize) -> X {
    X::made(&vec![f64::NAN; n])
}

type Parts = Vec<(&'static str, Vec<f64>)>;

fn lower_parts<X: Made>(
    level: &impl LowerLevel<Theta = Vec<f64>, X = X>,
    x: &[f64],
    theta: &Vec<f64>,
    [v, w]: [&[f64]; 2],
    u: &Vec<f64>,
) -> Parts {
    let n = x.len();
    let (x, v, w) = (X::made(x), X::made(v), X::made(w));
    let [mut gradient, mut same, mut hvp, mut jvp] = [(); 4].map(|()| unset::<X>(n));
    let mut vjp: Vec<f64> = unset(theta.len());
    level.gradient(&x, theta, &mut gradient);
    level.value_and_gradient(&x, theta, &mut same);
    let at = level.linearize(&x, theta);
    at.hvp(&v, &mut hvp);
    at.cross_vjp(&w, &mut vjp);
    at.cross_jvp(u, &mut jvp);
    vec![
        ("∇ₓg", gradient.to_f64()),
        ("∇ₓg with g", same.to_f64()),
        ("A v", hvp.to_f64()),
        ("Bᵀw", vjp),
        ("B u", jvp.to_f64()),
    ]
}

fn on_batch<E: Real>(
    level: &impl MinibatchLower<Theta = Vec<f64>, X = Vec<E>>,
    batch: Batch<'_>,
    x: &Vec<E>,
    theta: &Vec<f64>,
    v: &Vec<E>,
) -> Parts {
    let [mut gradient, mut hvp, mut gradient_too, mut hvp_too] =
        [(); 4].map(|()| unset::<Vec<E>>(x.len()));
    let [mut by_theta, mut cross, mut cross_too] = [(); 3].map(|()| unset::<Vec<f64>>(theta.len()));
    level.batch_gradient(batch, x, theta, &mut gradient);
    level.batch_gradient_theta(batch, x, theta, &mut by_theta);
    level.batch_hvp(batch, x, theta, v, &mut hvp);
    level.batch_cross_vjp(batch, x, theta, v, &mut cross);
    let products = Products {
        gradient: &mut gradient_too,
        hvp: &mut hvp_too,
        cross: &mut cross_too,
    };
    level.batch_all(batch, x, theta, v, products);
    vec![
        ("∇ₓg", gradient.to_f64()),
        ("∇θg", by_theta),
        ("A v", hvp.to_f64()),
        ("Bᵀv", cross),
        ("∇ₓg of all", gradient_too.to_f64()),
        ("A v of all", hvp_too.to_f64()),
        ("Bᵀv of all", cross_too),
    ]
}

/// A range, a list in no order, a single sample, and all.
fn for_batches(samples: usize, mut test: impl FnMut(&str, Batch<'_>)) {
    let start = samples / 3;
    let end = (start + samples / 2).max(start + 1);
    test("a range", Batch::Range { start, end });
    let mut list: Vec<usize> = (0..samples).step_by(2).collect();
    list.rotate_left(samples / 5);
    list.reverse();
    test("a list", Batch::List(&list));
    test("one sample", Batch::List(&[samples - 1]));
    test("all", Batch::all(samples));
}
