//! Splits of samples into a training and a validation part: hold-out, K folds, stratified K folds, leave-one-out.
//!
//! ```text
//! F(θ) = (1/K) Σₖ fₖ(x*ₖ(θ), θ),      x*ₖ(θ) fitted without fold k, fₖ its loss on fold k
//! ```
//!
//! is a [`Mean`] of oracles, one per fold: they are solved in parallel, each from its own warm start and to its own accuracy, and added in the
//! order of the folds. [`Folds::oracle`] builds it from any problem. The sizes of the folds differ by one at most, and all have the same weight.
//!
//! ```
//! use bilevel::oracle::folds::Folds;
//!
//! let folds = Folds::new(10, 3, 0)?; // ten samples, three folds, seed 0
//! for fold in folds.iter() {
//!     assert_eq!(fold.train.len() + fold.validation.len(), 10);
//! }
//! # Ok::<(), bilevel::Error>(())
//! ```

use chacha20::ChaCha8Rng;
use chacha20::rand_core::{Rng, SeedableRng};

use super::{Mean, Oracle};
use crate::error::Error;
use crate::random::shuffle;

/// A partition of samples into folds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folds {
    /// The fold of every sample.
    of_sample: Vec<usize>,
    count: usize,
}

/// One split: the indices of its samples, in increasing order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fold {
    /// The samples that the model is fitted to.
    pub train: Vec<usize>,
    /// The samples that it is validated on.
    pub validation: Vec<usize>,
}

impl Folds {
    /// `count` folds of samples in random order.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for fewer than two folds, and more than there are samples.
    pub fn new(samples: usize, count: usize, seed: u64) -> Result<Self, Error> {
        Self::dealt(&shuffled(samples, seed), count)
    }

    /// `count` folds of consecutive samples, for time series and for groups that were collected together: few neighbours validate each other.
    ///
    /// # Errors
    /// As [`new`](Folds::new).
    pub fn in_order(samples: usize, count: usize) -> Result<Self, Error> {
        check(samples, count)?;
        // The first samples % count folds have one more.
        let of_sample = (0..count)
            .flat_map(|k| {
                let size = samples / count + usize::from(k < samples % count);
                std::iter::repeat_n(k, size)
            })
            .collect();
        Ok(Folds { of_sample, count })
    }

    /// `count` folds of samples in random order, each with its share of every class. Where a class has fewer samples than there are folds,
    /// some folds have none of it.
    ///
    /// # Errors
    /// As [`new`](Folds::new).
    pub fn stratified(labels: &[u32], count: usize, seed: u64) -> Result<Self, Error> {
        let mut order = shuffled(labels.len(), seed);
        // The sort is stable: within a class the order stays random. Dealing continues from class to class, so no fold gets all the remainders.
        order.sort_by_key(|&i| labels[i]);
        Self::dealt(&order, count)
    }

    /// One fold per sample.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for fewer than two samples.
    pub fn leave_one_out(samples: usize) -> Result<Self, Error> {
        Self::in_order(samples, samples.max(2))
    }

    fn dealt(order: &[usize], count: usize) -> Result<Self, Error> {
        check(order.len(), count)?;
        let mut of_sample = vec![0; order.len()];
        for (place, &sample) in order.iter().enumerate() {
            of_sample[sample] = place % count;
        }
        Ok(Folds { of_sample, count })
    }

    /// The number of folds.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Always `false`: there are at least two folds.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// The split that is validated on fold k; `None` from [`len`](Folds::len) on.
    pub fn get(&self, k: usize) -> Option<Fold> {
        let (validation, train) = (0..self.of_sample.len()).partition(|&i| self.of_sample[i] == k);
        (k < self.count).then_some(Fold { train, validation })
    }

    /// All splits.
    pub fn iter(&self) -> impl Iterator<Item = Fold> + '_ {
        (0..self.count).filter_map(|k| self.get(k))
    }

    /// The mean of the criteria of all folds, with the oracle of each split from `problem`.
    ///
    /// # Errors
    /// Those of `problem`.
    pub fn oracle<O: Oracle>(
        &self,
        problem: impl FnMut(Fold) -> Result<O, Error>,
    ) -> Result<Mean<O>, Error> {
        Mean::new(self.iter().map(problem).collect::<Result<_, _>>()?)
    }
}

/// A random split with a given share of the samples for validation; both parts have at least one sample.
///
/// # Errors
/// [`Error::InvalidArgument`] for a share outside (0, 1) and fewer than two samples.
pub fn hold_out(samples: usize, share: f64, seed: u64) -> Result<Fold, Error> {
    if !(share > 0.0 && share < 1.0) {
        return Err(Error::invalid("share", share, "a number between 0 and 1"));
    }
    check(samples, 2)?;
    let order = shuffled(samples, seed);
    let held_out = ((share * samples as f64).round() as usize).clamp(1, samples - 1);
    let (validation, train) = order.split_at(held_out);
    let sorted = |part: &[usize]| {
        let mut part = part.to_vec();
        part.sort_unstable();
        part
    };
    Ok(Fold {
        train: sorted(train),
        validation: sorted(validation),
    })
}

fn check(samples: usize, count: usize) -> Result<(), Error> {
    if count >= 2 && count <= samples {
        return Ok(());
    }
    let found = format!("{count} of {samples} samples");
    let expected = "at least 2, and no more than there are samples";
    Err(Error::invalid("folds", found, expected))
}

/// 0, 1, … in random order.
fn shuffled(samples: usize, seed: u64) -> Vec<usize> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut order: Vec<usize> = (0..samples).collect();
    shuffle(&mut order, |bound| {
        ((u128::from(rng.next_u64()) * u128::from(bound)) >> 64) as u64
    });
    order
}
