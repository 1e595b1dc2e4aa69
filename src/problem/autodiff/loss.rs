//! The third rung: the loss of one sample is written once, and everything is derived.

use super::gradients::{Gradients, Rooms, check_entries};
use super::number::Number;
use super::scalar::Scalar;
use super::tape::{Tape, Var};
use crate::error::Error;
use crate::parallel;
use crate::problem::minibatch::Batch;
use crate::problem::{Curvature, UpperCurvature};
use crate::simd::dispatch;

/// A level that is a mean over samples, with the loss of one of them written over any [`Scalar`].
///
/// ```text
/// g(x, θ) = (1/n) Σᵢ ℓᵢ(x, θ) + r(x, θ)
/// ```
///
/// [`Taped`] gives its gradients, from a tape a thread.
pub trait SampleLoss: Send + Sync {
    /// The length of x.
    fn parameters(&self) -> usize;
    /// The length of θ.
    fn hyperparameters(&self) -> usize;
    /// n.
    fn samples(&self) -> usize;
    /// ℓᵢ(x, θ), of sample i.
    fn loss<S: Scalar>(&self, x: &[S], theta: &[S], sample: usize) -> S;
    /// r(x, θ): what does not depend on a sample. The default is 0.
    fn penalty<S: Scalar>(&self, x: &[S], theta: &[S]) -> S {
        let _ = (x, theta);
        S::constant(0.0)
    }
    /// The first guess of x*. The default is 0, where the hidden layers of a model all do the same: there, give another one.
    fn start(&self) -> Vec<f64> {
        vec![0.0; self.parameters()]
    }
    /// Refuses a θ outside the domain. The default wants its length, and finite numbers.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`].
    fn check(&self, theta: &[f64]) -> Result<(), Error> {
        check_entries(theta, self.hyperparameters())
    }
    /// The constants that are known of it as a lower level; none by default.
    fn curvature(&self, theta: &[f64]) -> Curvature {
        let _ = theta;
        Curvature::default()
    }
    /// The constants that are known of it as an upper level; none by default.
    fn upper_curvature(&self, theta: &[f64]) -> UpperCurvature {
        let _ = theta;
        UpperCurvature::default()
    }
    /// What tells this level, data included, from another one when a checkpoint is resumed.
    fn identity(&self) -> String {
        std::any::type_name::<Self>().to_owned()
    }
}

/// The [`Gradients`] of a [`SampleLoss`], by reverse mode.
///
/// The samples of a batch are divided into at most sixteen parts, whose size depends on the batch alone, each with a tape of its own, in
/// parallel; the parts are added in their order.
pub struct Taped<L> {
    loss: L,
    rooms: Rooms,
}

/// Parts of a batch, at most.
const CHUNKS: usize = 16;
/// Samples of a part, at least, but of the last one.
const SHARE: usize = 8;

/// A tape with the leaves x and θ.
struct Sheet<S: Number> {
    tape: Tape<S>,
    x: Vec<Var<S>>,
    theta: Vec<Var<S>>,
    value: S,
}

impl<S: Number> Default for Sheet<S> {
    fn default() -> Self {
        Sheet {
            tape: Tape::default(),
            x: Vec::new(),
            theta: Vec::new(),
            value: S::default(),
        }
    }
}

impl<S: Number> Sheet<S> {
    /// A tape of nothing but the leaves.
    fn open(&mut self, x: &[S], theta: &[S]) {
        self.tape.clear();
        self.tape.leaves(x);
        self.tape.leaves(theta);
        // The leaves are at the same places every time, as long as x and θ are.
        if (self.x.len(), self.theta.len()) != (x.len(), theta.len()) {
            let end = x.len() + theta.len();
            self.x = (0..x.len()).map(Var::at).collect();
            self.theta = (x.len()..end).map(Var::at).collect();
        }
        self.value = S::default();
    }

    /// Adds `weight` times a loss, and `weight` times its gradients to the adjoints of the leaves.
    fn add(&mut self, weight: f64, loss: impl FnOnce(&[Var<S>], &[Var<S>]) -> Var<S>) {
        let mark = self.tape.mark();
        let loss = self.tape.record(|| loss(&self.x, &self.theta));
        self.value += self.tape.value(loss).times(weight);
        *self.tape.adjoint_mut(loss) += S::constant(weight);
        self.tape.sweep(mark);
        self.tape.truncate(mark);
    }

    fn adjoints(&self, of_theta: bool) -> &[S] {
        let (x, theta) = self.tape.adjoints(self.x.len(), self.theta.len());
        if of_theta { theta } else { x }
    }
}

/// A part of a batch: the samples at these places of it.
fn part(batch: Batch<'_>, k: usize) -> impl Iterator<Item = usize> + '_ {
    let size = batch.len().div_ceil(CHUNKS).max(SHARE);
    (k * size..((k + 1) * size).min(batch.len())).map(move |at| batch.get(at))
}

fn parts(batch: Batch<'_>) -> usize {
    batch
        .len()
        .div_ceil(batch.len().div_ceil(CHUNKS).max(SHARE))
}

impl<L: SampleLoss> Taped<L> {
    /// The gradients of this loss.
    pub fn new(loss: L) -> Self {
        Taped {
            loss,
            rooms: Rooms::default(),
        }
    }

    /// The loss.
    pub fn loss(&self) -> &L {
        &self.loss
    }

    /// Calls `read` with a sheet a part, on which the part was recorded and swept.
    fn sheets<S: Number, R>(
        &self,
        batch: Batch<'_>,
        x: &[S],
        theta: &[S],
        read: impl FnOnce(&[Sheet<S>]) -> R,
    ) -> R {
        let weight = 1.0 / batch.len() as f64;
        self.rooms.with(|sheets: &mut Vec<Sheet<S>>| {
            let parts = parts(batch).max(1);
            if sheets.len() < parts {
                sheets.resize_with(parts, Sheet::default);
            }
            parallel::for_each(&mut sheets[..parts], |k, sheet| {
                sheet.open(x, theta);
                if k == 0 {
                    sheet.add(1.0, |x, theta| self.loss.penalty(x, theta));
                }
                for i in part(batch, k) {
                    sheet.add(weight, |x, theta| self.loss.loss(x, theta, i));
                }
            });
            read(&sheets[..parts])
        })
    }
}

/// out ← the sum of the adjoints of all sheets.
fn gather<S: Number>(sheets: &[Sheet<S>], of_theta: bool, out: &mut [S]) {
    out.fill(S::default());
    for sheet in sheets {
        let more = sheet.adjoints(of_theta);
        dispatch(
            #[inline(always)]
            || {
                for (out, &more) in out.iter_mut().zip(more) {
                    *out += more;
                }
            },
        );
    }
}

impl<L: SampleLoss> Gradients for Taped<L> {
    fn parameters(&self) -> usize {
        self.loss.parameters()
    }

    fn hyperparameters(&self) -> usize {
        self.loss.hyperparameters()
    }

    fn samples(&self) -> usize {
        self.loss.samples()
    }

    fn start(&self) -> Vec<f64> {
        self.loss.start()
    }

    fn check(&self, theta: &[f64]) -> Result<(), Error> {
        self.loss.check(theta)
    }

    fn value<S: Number>(&self, batch: Batch<'_>, x: &[S], theta: &[S]) -> S {
        let mut sums = [S::default(); CHUNKS];
        parallel::for_each(&mut sums[..parts(batch)], |k, sum| {
            for i in part(batch, k) {
                *sum += self.loss.loss(x, theta, i);
            }
        });
        let mut total = S::default();
        sums.iter().for_each(|&sum| total += sum);
        total.times(1.0 / batch.len() as f64) + self.loss.penalty(x, theta)
    }

    fn gradient<S: Number>(&self, batch: Batch<'_>, x: &[S], theta: &[S], out: &mut [S]) {
        self.sheets(batch, x, theta, |sheets| gather(sheets, false, out));
    }

    fn gradient_theta<S: Number>(&self, batch: Batch<'_>, x: &[S], theta: &[S], out: &mut [S]) {
        self.sheets(batch, x, theta, |sheets| gather(sheets, true, out));
    }

    fn gradients<S: Number>(
        &self,
        batch: Batch<'_>,
        x: &[S],
        theta: &[S],
        by_x: &mut [S],
        by_theta: &mut [S],
    ) -> S {
        self.sheets(batch, x, theta, |sheets| {
            gather(sheets, false, by_x);
            gather(sheets, true, by_theta);
            let mut value = S::default();
            sheets.iter().for_each(|sheet| value += sheet.value);
            value
        })
    }

    fn curvature(&self, theta: &[f64]) -> Curvature {
        self.loss.curvature(theta)
    }

    fn upper_curvature(&self, theta: &[f64]) -> UpperCurvature {
        self.loss.upper_curvature(theta)
    }

    fn explain(&self, x: &[f64], theta: &[f64]) -> Option<String> {
        let penalty = self.loss.penalty(x, theta);
        if !penalty.is_finite() {
            return Some(format!("the penalty is {penalty}"));
        }
        let losses = (0..self.loss.samples()).map(|i| self.loss.loss(x, theta, i));
        if let Some((i, loss)) = losses.enumerate().find(|(_, loss)| !loss.is_finite()) {
            return Some(format!("the loss of sample {i} is {loss}"));
        }
        let mut sheet = Sheet::default();
        let mut finite = |sample: Option<usize>| {
            sheet.open(x, theta);
            sheet.add(1.0, |x, theta| match sample {
                None => self.loss.penalty(x, theta),
                Some(i) => self.loss.loss(x, theta, i),
            });
            let both = [sheet.adjoints(false), sheet.adjoints(true)];
            both.iter().all(|part| part.iter().all(|a| a.is_finite()))
        };
        if !finite(None) {
            return Some("the gradient of the penalty is not finite".to_owned());
        }
        let at = (0..self.loss.samples()).find(|&i| !finite(Some(i)))?;
        Some(format!(
            "the gradient of the loss of sample {at} is not finite"
        ))
    }

    fn identity(&self) -> String {
        self.loss.identity()
    }
}
