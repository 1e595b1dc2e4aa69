//! Splits of samples into those that a model is fitted to and those that judge it: hold-out, K folds, stratified K folds, leave-one-out.
//!
//! ```text
//! F(θ) = (1/K) Σₖ fₖ(x*ₖ(θ), θ),      x*ₖ(θ) fitted without fold k, fₖ its loss on fold k
//! ```
//!
//! is a [`Mean`] of oracles, one a fold: they are solved in parallel, each from its own warm start and to its own accuracy, and added in the
//! order of the folds. [`Folds::oracle`] makes it of any problem. Folds differ by one sample in size at most, and each counts the same.
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

use crate::error::Error;
use crate::oracle::{Mean, Oracle};

/// A partition of samples into folds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folds {
    /// The fold of every sample.
    of_sample: Vec<usize>,
    count: usize,
}

/// The samples of one split, by their places, in increasing order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fold {
    /// What the model is fitted to.
    pub train: Vec<usize>,
    /// What judges it.
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

    /// `count` folds of samples in their order: neighbours judge each other least, as series and groups that were collected together want.
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

    /// `count` folds of samples in random order, each with its share of every class. A class may have fewer samples than there are folds;
    /// then some folds have none of it.
    ///
    /// # Errors
    /// As [`new`](Folds::new).
    pub fn stratified(labels: &[u32], count: usize, seed: u64) -> Result<Self, Error> {
        let mut order = shuffled(labels.len(), seed);
        // Stable: within a class the order stays random. Dealing goes on from class to class, so no fold gets all the remainders.
        order.sort_by_key(|&i| labels[i]);
        Self::dealt(&order, count)
    }

    /// A fold for every sample.
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

    /// How many folds there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Never: there are two folds at least.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// The split that fold k judges; `None` from [`len`](Folds::len) on.
    pub fn get(&self, k: usize) -> Option<Fold> {
        let (validation, train) = (0..self.of_sample.len()).partition(|&i| self.of_sample[i] == k);
        (k < self.count).then_some(Fold { train, validation })
    }

    /// All splits.
    pub fn iter(&self) -> impl Iterator<Item = Fold> + '_ {
        (0..self.count).filter_map(|k| self.get(k))
    }

    /// The mean of the criteria of all folds. `problem` makes the oracle of a split.
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

/// A random split with a share of the samples for validation, one at least, and one at least to fit to.
///
/// # Errors
/// [`Error::InvalidArgument`] for a share outside (0, 1) and fewer than two samples.
pub fn hold_out(samples: usize, share: f64, seed: u64) -> Result<Fold, Error> {
    if !(share > 0.0 && share < 1.0) {
        return Err(Error::invalid("share", share, "a number between 0 and 1"));
    }
    check(samples, 2)?;
    let order = shuffled(samples, seed);
    let judges = ((share * samples as f64).round() as usize).clamp(1, samples - 1);
    let (validation, train) = order.split_at(judges);
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
    for last in (1..samples).rev() {
        let other = (u128::from(rng.next_u64()) * (last as u128 + 1)) >> 64;
        order.swap(last, other as usize);
    }
    order
}
