//! A linear model of labelled samples and passes over batches of them: the core of logistic regression and data hyper-cleaning.
//!
//! A pass multiplies the rows of the batch with up to two inputs, lets a *link* turn these scores into factors, and multiplies the
//! transposed rows with the factors. Value, gradient, products and all of them at once differ in the link alone. Large batches are
//! divided into parts whose sizes depend on the data, in parallel; their sums are added in order, so the bits do not depend on the
//! number of threads.

mod blocked;
mod design;
mod gram;
pub(crate) mod link_functions;
mod one_class;
mod spectrum;

use bilevel::problem::minibatch::Batch;
use bilevel::simd::dispatch;
use bilevel::{Element, Error, Vector, parallel};

use crate::data::LabelledData;
use crate::support::lanes::Lanes;
use crate::support::pool::Pool;
use design::Design;
use gram::Gram;

/// Batches of at most this many samples stay on one thread: methods ask for them so often that handing work over would dominate.
const SERIAL: usize = 256;
/// The fewest multiplications of a part: about 50 µs of work, against a few µs for handing it over.
const PART: usize = 1 << 17;
/// The most parts of a batch.
const MOST_PARTS: usize = 32;
/// The most numbers in the sums of all parts together.
const MOST_SUMS: usize = 1 << 22;

/// A linear model of labelled samples.
pub(crate) struct Model<E> {
    design: Design<E>,
    labels: Vec<u32>,
    columns: usize,
    /// c: one score for two classes, else one per class.
    outputs: usize,
    /// A bound of ‖X‖², with X the features of all samples.
    norm_squared: f64,
    /// ‖X‖², in the norm of Frobenius.
    frobenius_squared: f64,
    /// The lengths of the rows of X.
    lengths: Vec<f64>,
    longest: f64,
    fingerprint: u32,
    passes: Pool<Pass<E>>,
    grams: Pool<Gram>,
    pub(crate) arrays: Pool<Vec<E>>,
    pub(crate) numbers: Pool<Vec<f64>>,
}

/// A part of a batch.
#[derive(Clone, Copy)]
pub(crate) struct Part<'a> {
    /// Its samples.
    pub(crate) batch: Batch<'a>,
    /// The position of the first of them in the whole batch.
    pub(crate) first: usize,
}

/// The buffers of a pass for one part.
pub(crate) struct Buffers<E> {
    /// Scores, which the link turns into factors: c numbers per sample.
    pub(crate) scores: [Vec<E>; 2],
    /// The labels of the samples.
    pub(crate) labels: Vec<u32>,
    /// One number per sample, written by the link.
    pub(crate) numbers: Vec<f64>,
    /// One weight per sample, written by the link.
    pub(crate) weights: Vec<f64>,
    packed: Vec<E>,
    back: [Vec<E>; 2],
    value: f64,
}

impl<E> Default for Buffers<E> {
    fn default() -> Self {
        Buffers {
            scores: [Vec::new(), Vec::new()],
            labels: Vec::new(),
            numbers: Vec::new(),
            weights: Vec::new(),
            packed: Vec::new(),
            back: [Vec::new(), Vec::new()],
            value: 0.0,
        }
    }
}

/// The outcome of a pass.
pub(crate) struct Pass<E> {
    /// The sum of the values of the link over the parts.
    pub(crate) value: f64,
    buffers: Vec<Buffers<E>>,
    parts: usize,
    packed: Vec<E>,
}

impl<E> Default for Pass<E> {
    fn default() -> Self {
        Pass {
            value: 0.0,
            buffers: Vec::new(),
            parts: 0,
            packed: Vec::new(),
        }
    }
}

impl<E: Element> Pass<E> {
    /// The transposed rows times the factors.
    pub(crate) fn sum(&self, j: usize) -> &[E] {
        &self.buffers[0].back[j]
    }

    /// The numbers of the samples, in the order of the batch.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = f64> + '_ {
        let buffers = &self.buffers[..self.parts];
        buffers.iter().flat_map(|r| r.numbers.iter().copied())
    }
}

impl<E: Lanes> Model<E> {
    /// The model of these samples, with one score for two classes if `binary`.
    pub(crate) fn new(data: &LabelledData<E>, binary: bool) -> Result<Self, Error> {
        if binary && data.classes() != 2 {
            return Err(Error::invalid(
                "classes",
                data.classes(),
                "2, for a model with one score",
            ));
        }
        let design = Design::new(data);
        let square = |row: &[E]| row.iter().map(|v| v.to_f64() * v.to_f64()).sum::<f64>();
        // Rounded up, as bounds are.
        let up = 1.0 + 64.0 * f64::EPSILON;
        let lengths: Vec<f64> = (0..data.samples())
            .map(|i| up * square(design.row(i)).sqrt())
            .collect();
        let mut model = Model {
            design,
            labels: data.labels().to_vec(),
            columns: data.columns(),
            outputs: 1,
            norm_squared: 0.0,
            frobenius_squared: lengths.iter().map(|l| l * l).sum(),
            longest: lengths.iter().copied().fold(0.0, f64::max),
            lengths,
            fingerprint: data.fingerprint(),
            passes: Pool::default(),
            grams: Pool::default(),
            arrays: Pool::default(),
            numbers: Pool::default(),
        };
        if !model.frobenius_squared.is_finite() {
            return Err(Error::invalid(
                "features",
                "too large: their squares overflow",
                "features of a moderate size",
            ));
        }
        let all = Batch::all(model.samples());
        let by_lanczos = spectrum::largest_eigenvalue(model.columns, |v, out: &mut Vec<E>| {
            let pass = model.pass::<1, 1>(all, [v], |_, _| 0.0);
            out.copy_from_slice(&pass.sum(0)[..model.columns]);
            model.done(pass);
        });
        model.norm_squared = by_lanczos.min(model.frobenius_squared);
        if !binary {
            model.outputs = data.classes();
        }
        // The buffers of the products above have other sizes.
        model.passes = Pool::default();
        Ok(model)
    }

    pub(crate) fn samples(&self) -> usize {
        self.labels.len()
    }

    pub(crate) fn columns(&self) -> usize {
        self.columns
    }

    /// c.
    pub(crate) fn outputs(&self) -> usize {
        self.outputs
    }

    /// The length of x.
    pub(crate) fn len(&self) -> usize {
        self.columns * self.outputs
    }

    /// The checksum of the samples.
    #[cfg(feature = "direct")]
    pub(crate) fn fingerprint(&self) -> u32 {
        self.fingerprint
    }

    pub(crate) fn norm_squared(&self) -> f64 {
        self.norm_squared
    }

    pub(crate) fn lengths(&self) -> &[f64] {
        &self.lengths
    }

    /// The largest of the lengths.
    pub(crate) fn longest(&self) -> f64 {
        self.longest
    }

    /// The largest eigenvalue of the Hessian of a loss in its scores.
    pub(crate) fn loss_smoothness(&self) -> f64 {
        if self.outputs == 1 { 0.25 } else { 0.5 }
    }

    /// The Lipschitz constant of that Hessian. For one score |σ''| ≤ 1/(6√3). For several the third derivative of log Σ exp along
    /// unit vectors u, v, w is a mixed moment, E (u − ū)(v − v̄)(w − w̄), at most √2 · √(Var u Var v) ≤ √2/2.
    pub(crate) fn loss_third(&self) -> f64 {
        if self.outputs == 1 {
            0.096_225_044_864_937_64
        } else {
            std::f64::consts::FRAC_1_SQRT_2
        }
    }

    /// The largest length of a residual: √2, or 1 for one score.
    pub(crate) fn largest_residual(&self) -> f64 {
        if self.outputs == 1 {
            1.0
        } else {
            std::f64::consts::SQRT_2
        }
    }

    /// The root mean square of the lengths of the samples.
    pub(crate) fn typical_length(&self) -> f64 {
        (self.frobenius_squared / self.samples() as f64).sqrt()
    }

    pub(crate) fn describe(&self) -> String {
        format!(
            "{} samples × {} features, {} scores in {} ({:08x})",
            self.samples(),
            self.columns,
            self.outputs,
            E::NAME,
            self.fingerprint
        )
    }

    /// The number of parts of a batch of m samples: a function of the data alone.
    fn parts(&self, m: usize) -> usize {
        let of_sample = self.design.entries().len() / self.samples() + 1;
        let products = m.saturating_mul(of_sample * self.outputs);
        let affordable = (MOST_SUMS / self.len()).clamp(1, MOST_PARTS);
        if m <= SERIAL {
            1
        } else {
            (products / PART).clamp(1, affordable)
        }
    }

    /// A pass over a batch with K inputs and J sums: the link reads the scores of the inputs and overwrites them with the factors of the
    /// sums. [`done`](Model::done) takes the result back.
    pub(crate) fn pass<const K: usize, const J: usize>(
        &self,
        batch: Batch<'_>,
        inputs: [&[E]; K],
        link: impl Fn(Part<'_>, &mut Buffers<E>) -> f64 + Sync,
    ) -> Pass<E> {
        self.pass_with::<K, J>(batch, inputs, &link)
    }

    /// The same for any link, so that all links of one form share the compiled pass.
    fn pass_with<const K: usize, const J: usize>(
        &self,
        batch: Batch<'_>,
        inputs: [&[E]; K],
        link: &(dyn Fn(Part<'_>, &mut Buffers<E>) -> f64 + Sync),
    ) -> Pass<E> {
        let mut pass = self.passes.take_or(Pass::default);
        let m = batch.len();
        let (c, columns) = (self.outputs, self.columns);
        let rows = m.div_ceil(self.parts(m)).max(1);
        pass.parts = m.div_ceil(rows).max(1);
        if pass.buffers.len() < pass.parts {
            pass.buffers.resize_with(pass.parts, Buffers::default);
        }
        let Pass {
            packed, buffers, ..
        } = &mut pass;
        if K > 0 {
            self.design.pack(&inputs, columns, c, packed);
        }
        let buffers = &mut buffers[..m.div_ceil(rows).max(1)];
        parallel::for_each(buffers, |number, buffers| {
            let (start, end) = (number * rows, ((number + 1) * rows).min(m));
            let part = Part {
                first: start,
                batch: match batch {
                    Batch::Range { start: first, .. } => Batch::Range {
                        start: first + start,
                        end: first + end,
                    },
                    Batch::List(list) => Batch::List(&list[start..end]),
                },
            };
            let count = end - start;
            for scores in buffers.scores.iter_mut().take(K.max(J)) {
                scores.resize(count * c, E::default());
            }
            buffers.labels.clear();
            match part.batch.range() {
                Some(range) => buffers.labels.extend_from_slice(&self.labels[range]),
                None => buffers
                    .labels
                    .extend(part.batch.iter().map(|i| self.labels[i])),
            }
            if K > 0 {
                self.design
                    .forward(part.batch, c, inputs, packed, &mut buffers.scores);
            }
            buffers.value = link(part, buffers);
            if J > 0 {
                let len = self.design.back_len(columns, c);
                for back in buffers.back.iter_mut().take(J) {
                    back.resize(len, E::default());
                }
                self.design.transpose::<J>(
                    part.batch,
                    columns,
                    c,
                    &buffers.scores,
                    &mut buffers.packed,
                    &mut buffers.back,
                );
            }
        });
        let value = buffers.iter().map(|r| r.value).sum();
        if let Some((total, others)) = buffers.split_first_mut() {
            for other in others {
                for (total, other) in total.back.iter_mut().zip(&other.back).take(J) {
                    add(total, other);
                }
            }
        }
        pass.value = value;
        pass
    }

    /// Takes back the buffers of a pass.
    pub(crate) fn done(&self, pass: Pass<E>) {
        self.passes.put(pass);
    }

    /// √Σᵢ (boundᵢ ‖tᵢ‖)² over all samples, with tᵢ the scores of q; rounded up.
    pub(crate) fn score_change(&self, q: &[E], bound: impl Fn(usize) -> f64 + Sync) -> f64 {
        let all = Batch::all(self.samples());
        let pass = self.pass::<1, 0>(all, [q], |part, buffers| {
            let rows = buffers.scores[0].chunks_exact(self.outputs);
            let terms = rows.zip(part.batch.iter()).map(|(t, i)| {
                let square: f64 = t.iter().map(|t| t.to_f64() * t.to_f64()).sum();
                bound(i) * bound(i) * square
            });
            terms.sum()
        });
        let sum = pass.value;
        self.done(pass);
        (1.0 + 64.0 * E::UNIT_ROUNDOFF) * sum.sqrt()
    }

    /// The sum of the losses of a batch.
    pub(crate) fn losses(&self, batch: Batch<'_>, x: &[E]) -> f64 {
        let pass = self.pass::<1, 0>(batch, [x], |_, buffers| {
            self.activate(buffers, true);
            buffers.numbers.iter().sum()
        });
        let value = pass.value;
        self.done(pass);
        value
    }

    /// The probabilities of all samples at x, in an array of [`arrays`](Model::arrays).
    pub(crate) fn probabilities(&self, x: &[E]) -> Vec<E> {
        let mut all = self.arrays.take(self.samples() * self.outputs);
        let pass = self.pass::<1, 0>(Batch::all(self.samples()), [x], |_, buffers| {
            self.activate(buffers, false);
            0.0
        });
        let mut at = 0;
        for buffers in &pass.buffers[..pass.parts] {
            let scores = &buffers.scores[0];
            all[at..at + scores.len()].copy_from_slice(scores);
            at += scores.len();
        }
        self.done(pass);
        all
    }

    /// The probabilities that belong to a part.
    pub(crate) fn of_part<'a>(&self, part: Part<'_>, all: &'a [E]) -> &'a [E] {
        &all[part.first * self.outputs..(part.first + part.batch.len()) * self.outputs]
    }

    /// scores₀ ← p; numbers ← losses if `losses`.
    pub(crate) fn activate(&self, buffers: &mut Buffers<E>, losses: bool) {
        buffers
            .numbers
            .resize(if losses { buffers.labels.len() } else { 0 }, 0.0);
        link_functions::activate(
            self.outputs,
            &mut buffers.scores[0],
            &buffers.labels,
            &mut buffers.numbers,
        );
    }
}

/// total ← total + other.
fn add<E: Element>(total: &mut [E], other: &[E]) {
    for (t, &o) in total.iter_mut().zip(other) {
        *t = *t + o;
    }
}

/// The largest entry, at least 0.
pub(crate) fn largest(values: impl Iterator<Item = f64>) -> f64 {
    values.fold(0.0, f64::max)
}

/// out ← share · sum + weight ∘ x.
pub(crate) fn regularise<E: Element>(share: f64, sum: &[E], weights: &[E], x: &[E], out: &mut [E]) {
    let share = E::from_f64(share);
    dispatch(
        #[inline(always)]
        || {
            let others = sum.iter().zip(weights).zip(x);
            for (out, ((&sum, &weight), &x)) in out.iter_mut().zip(others) {
                *out = share * sum + weight * x;
            }
        },
    );
}

/// out ← share · sum: a gradient without a penalty.
pub(crate) fn scaled<E: Element>(share: f64, sum: &[E], out: &mut Vec<E>) {
    let len = Vec::len(out);
    out.copy_from_slice(&sum[..len]);
    out.scale(share);
}
