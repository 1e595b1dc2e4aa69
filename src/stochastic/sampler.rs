//! Batches of samples, drawn as a function of the seed and of the number of the draw alone.
//!
//! The n samples are divided into ⌈n/size⌉ batches whose sizes differ by one at most. An epoch visits every batch once, in a random order;
//! the order of epoch e comes from the e-th stream of ChaCha8, so a resumed sampler continues with the batches of an uninterrupted one.

use chacha20::ChaCha8Rng;
use chacha20::rand_core::SeedableRng;
use serde::{Deserialize, Serialize};

use crate::problem::minibatch::Batch;
use crate::random::{below, shuffle};

/// Separates the seed of [`Sampler::number`] from that of the epochs.
const NUMBERS: u64 = 0x6E75_6D62_6572_7321;

/// How an epoch divides the samples into batches.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sampling {
    /// Batches of neighbours, the same in every epoch and visited in random order: fast, and correct where the samples are in random order.
    #[default]
    Contiguous,
    /// All samples are shuffled anew in every epoch. Methods that store values per batch refuse it.
    Shuffled,
}

/// Draws batches. Two samplers that differ in `stream` alone are independent.
#[doc(hidden)]
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Sampler {
    samples: usize,
    batches: usize,
    sampling: Sampling,
    seed: u64,
    stream: u64,
    /// Batches drawn so far.
    drawn: u64,
    /// The order of the current epoch: of the batches, or of the samples. It is recomputed after a resume.
    #[serde(skip)]
    order: Vec<usize>,
}

impl Sampler {
    /// A sampler of batches of about `size` of `samples` samples, each at least 1; `size` is at most `samples`.
    pub fn new(samples: usize, size: usize, sampling: Sampling, seed: u64, stream: u64) -> Self {
        Sampler {
            samples,
            batches: samples.div_ceil(size.max(1)).max(1),
            sampling,
            seed,
            stream,
            drawn: 0,
            order: Vec::new(),
        }
    }

    /// The batches of an epoch.
    pub fn batches(&self) -> usize {
        self.batches
    }

    /// Draws a batch: its number, from 0 to [`batches`](Sampler::batches) − 1.
    pub fn draw(&mut self) -> usize {
        let position = (self.drawn % self.batches as u64) as usize;
        if position == 0 || self.order.is_empty() {
            self.shuffle(self.drawn / self.batches as u64);
        }
        self.drawn += 1;
        match self.sampling {
            Sampling::Contiguous => self.order[position],
            Sampling::Shuffled => position,
        }
    }

    /// The samples of batch `number`, in the epoch of the last draw.
    pub fn batch(&self, number: usize) -> Batch<'_> {
        let at = |b: usize| b * self.samples / self.batches;
        let (start, end) = (at(number), at(number + 1));
        match self.sampling {
            Sampling::Shuffled if self.batches > 1 => Batch::List(&self.order[start..end]),
            _ => Batch::Range { start, end },
        }
    }

    /// An integer from 0 to `bound` − 1 (`bound` at least 1), uniformly distributed: a function of the seed, the stream and `k` alone.
    pub fn number(&self, k: u64, bound: u64) -> u64 {
        // The epochs use the numbered streams of their own seed.
        let seed = self.seed ^ self.stream.rotate_left(32) ^ NUMBERS;
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(k);
        below(&mut rng, bound)
    }

    /// All samples.
    pub fn all(&self) -> Batch<'static> {
        Batch::all(self.samples)
    }

    fn shuffle(&mut self, epoch: u64) {
        let count = match self.sampling {
            Sampling::Contiguous => self.batches,
            Sampling::Shuffled => self.samples,
        };
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed ^ self.stream.rotate_left(32));
        rng.set_stream(epoch);
        self.order.clear();
        self.order.extend(0..count);
        shuffle(&mut self.order, |bound| below(&mut rng, bound));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_visits_every_sample_once_in_an_order_of_its_own() {
        for sampling in [Sampling::Contiguous, Sampling::Shuffled] {
            let mut sampler = Sampler::new(103, 10, sampling, 3, 0);
            assert_eq!(sampler.batches(), 11);
            let mut epochs = Vec::new();
            for _ in 0..3 {
                let mut seen = Vec::new();
                for _ in 0..11 {
                    let number = sampler.draw();
                    let batch = sampler.batch(number);
                    assert!((9..=10).contains(&batch.len()));
                    seen.extend(batch.iter());
                }
                let mut sorted = seen.clone();
                sorted.sort_unstable();
                assert_eq!(sorted, (0..103).collect::<Vec<_>>());
                epochs.push(seen);
            }
            assert_ne!(epochs[0], epochs[1]);
            assert_ne!(epochs[1], epochs[2]);
        }
    }

    #[test]
    fn a_sampler_that_is_stored_and_read_goes_on_as_if_nothing_had_happened() {
        for sampling in [Sampling::Contiguous, Sampling::Shuffled] {
            let mut sampler = Sampler::new(50, 7, sampling, 1, 2);
            (0..12).for_each(|_| {
                sampler.draw();
            });
            let stored = serde_json::to_string(&sampler).unwrap();
            let mut read: Sampler = serde_json::from_str(&stored).unwrap();
            for _ in 0..20 {
                let (a, b) = (sampler.draw(), read.draw());
                assert_eq!(sampler.batch(a), read.batch(b));
            }
        }
    }

    #[test]
    fn streams_and_seeds_draw_different_batches() {
        let draws = |seed, stream| {
            let mut sampler = Sampler::new(1000, 10, Sampling::Contiguous, seed, stream);
            (0..50).map(|_| sampler.draw()).collect::<Vec<_>>()
        };
        assert_eq!(draws(0, 0), draws(0, 0));
        assert_ne!(draws(0, 0), draws(0, 1));
        assert_ne!(draws(0, 0), draws(1, 0));
    }

    #[test]
    fn numbers_belong_to_their_iteration_and_are_about_uniform() {
        let sampler = Sampler::new(10, 5, Sampling::Contiguous, 4, 1);
        let mut drawn = sampler.clone();
        drawn.draw();
        let mut counts = [0; 5];
        for k in 0..5_000 {
            let number = sampler.number(k, 5);
            assert_eq!(number, drawn.number(k, 5), "draws do not matter");
            counts[number as usize] += 1;
        }
        // Five standard deviations of the count of one number, √(5000 · 0.2 · 0.8) = 28.
        assert!(counts.iter().all(|c| (860..1140).contains(c)), "{counts:?}");
        let other = Sampler::new(10, 5, Sampling::Contiguous, 5, 1);
        assert!((0..50).any(|k| sampler.number(k, 5) != other.number(k, 5)));
        assert_eq!(sampler.number(7, 1), 0);
    }

    #[test]
    fn one_batch_of_all_samples_is_the_range_of_them() {
        for sampling in [Sampling::Contiguous, Sampling::Shuffled] {
            let mut sampler = Sampler::new(20, 20, sampling, 0, 0);
            let number = sampler.draw();
            assert_eq!(sampler.batch(number), Batch::all(20));
        }
    }
}
