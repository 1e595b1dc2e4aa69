//! [`Noise`]: wrong labels of three kinds, from a seed.

use bilevel::Error;
use chacha20::ChaCha8Rng;
use chacha20::rand_core::SeedableRng;
use rand_distr::{Distribution, StandardNormal};
use serde::{Deserialize, Serialize};

use super::samples::{Kind, Sample, Samples};
use crate::support::random::uniform;

/// The kind of label noise: which labels become wrong, and what they become.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Noise {
    /// Every sample has the same probability; every other class is equally likely.
    #[default]
    Symmetric,
    /// Every sample has the same probability; class c becomes c + 1, the last class the first one.
    Pair,
    /// Every sample has its own probability, normal around the share with a deviation of 0.1; its new class follows from its features by a random
    /// linear model per true class. For texts the features are the counts of tokens.
    ///
    /// # Reference
    /// X. Xia et al.: Part-dependent label noise: towards instance-dependent label noise. NeurIPS 2020,
    /// [arXiv:2006.07836](https://arxiv.org/abs/2006.07836), algorithm 2.
    InstanceDependent,
}

/// The deviation of the probabilities of instance-dependent noise.
const DEVIATION: f64 = 0.1;

fn check_share(share: f64) -> Result<(), Error> {
    if (0.0..=1.0).contains(&share) {
        return Ok(());
    }
    Err(Error::invalid("share", share, "a number from 0 to 1"))
}

impl Noise {
    /// The labels of `data`, about `share` of them wrong. With the same seed, labels that are wrong for a share are wrong for larger ones.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a share outside [0, 1].
    pub fn labels<D: Samples>(self, data: &D, share: f64, seed: u64) -> Result<Vec<u32>, Error> {
        match self {
            Noise::Symmetric => symmetric(data.labels(), data.classes(), share, seed),
            Noise::Pair => pair(data.labels(), data.classes(), share, seed),
            Noise::InstanceDependent => instance_dependent(data, share, seed),
        }
    }

    /// The same samples with [`labels`](Noise::labels).
    ///
    /// # Errors
    /// Likewise.
    pub fn apply<D: Samples>(self, data: &D, share: f64, seed: u64) -> Result<D, Error> {
        data.clone().with_labels(self.labels(data, share, seed)?)
    }
}

/// Labels of which a share is replaced by another class, each equally likely.
///
/// # Errors
/// [`Error::InvalidArgument`] for a share outside [0, 1].
pub(crate) fn symmetric(
    labels: &[u32],
    classes: usize,
    share: f64,
    seed: u64,
) -> Result<Vec<u32>, Error> {
    check_share(share)?;
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let flipped = labels.iter().map(|&label| {
        // Both are drawn for every sample, so that a larger share corrupts these labels and more.
        let (chance, other) = (uniform(&mut rng), uniform(&mut rng));
        let step = 1 + (other * (classes - 1) as f64) as usize;
        if chance < share && classes > 1 {
            ((label as usize + step) % classes) as u32
        } else {
            label
        }
    });
    Ok(flipped.collect())
}

fn pair(labels: &[u32], classes: usize, share: f64, seed: u64) -> Result<Vec<u32>, Error> {
    check_share(share)?;
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let flipped = labels.iter().map(|&label| {
        if uniform(&mut rng) < share {
            ((label as usize + 1) % classes) as u32
        } else {
            label
        }
    });
    Ok(flipped.collect())
}

fn instance_dependent<D: Samples>(data: &D, share: f64, seed: u64) -> Result<Vec<u32>, Error> {
    check_share(share)?;
    if let kind @ Kind::SparseFeatures(_) = data.kind() {
        let expected = "dense features or texts";
        return Err(Error::invalid(
            "data of instance-dependent noise",
            kind,
            expected,
        ));
    }
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let classes = data.classes();
    let columns = data.kind().columns();
    // A projection of the features to scores of the classes, for every class that a sample may truly have.
    let models: Vec<Vec<f64>> = (0..classes)
        .map(|_| {
            let entries = classes * columns;
            let entry = |_| StandardNormal.sample(&mut rng);
            (0..entries).map(entry).collect()
        })
        .collect();
    let mut flipped = Vec::with_capacity(data.len());
    for (i, &label) in data.labels().iter().enumerate() {
        let z: f64 = StandardNormal.sample(&mut rng);
        let rate = (share + DEVIATION * z).clamp(0.0, 1.0);
        let rate = if share == 0.0 { 0.0 } else { rate };
        let (chance, place) = (uniform(&mut rng), uniform(&mut rng));
        if chance >= rate || classes < 2 {
            flipped.push(label);
            continue;
        }
        let model = &models[label as usize];
        let mut scores: Vec<f64> = model
            .chunks_exact(columns.max(1))
            .map(|row| project(data.sample(i), row))
            .collect();
        scores.resize(classes, 0.0);
        flipped.push(draw(&scores, label as usize, place));
    }
    Ok(flipped)
}

fn project(sample: Sample<'_>, row: &[f64]) -> f64 {
    match sample {
        Sample::Features(features) => features.iter().zip(row).map(|(a, b)| a * b).sum(),
        Sample::Tokens(tokens) => tokens.iter().map(|&t| row[t as usize]).sum(),
    }
}

/// A class other than `own`, with the probabilities of the softmax of the scores.
fn draw(scores: &[f64], own: usize, place: f64) -> u32 {
    let others = || scores.iter().enumerate().filter(|(c, _)| *c != own);
    let largest = others().fold(f64::NEG_INFINITY, |m, (_, s)| m.max(*s));
    let total: f64 = others().map(|(_, s)| (s - largest).exp()).sum();
    let mut left = place * total;
    let mut class = own;
    for (c, score) in others() {
        class = c;
        left -= (score - largest).exp();
        if left < 0.0 {
            break;
        }
    }
    class as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{LabelledData, fashion_mnist, first_names};

    const ALL: [Noise; 3] = [Noise::Symmetric, Noise::Pair, Noise::InstanceDependent];

    fn changed(a: &[u32], b: &[u32]) -> Vec<usize> {
        (0..a.len()).filter(|&i| a[i] != b[i]).collect()
    }

    #[test]
    fn about_the_share_of_the_labels_is_wrong_and_the_seed_decides_which() {
        let (data, _) = fashion_mnist().unwrap();
        for noise in ALL {
            let wrong = |share, seed| {
                let noisy = noise.apply(&data, share, seed).unwrap();
                changed(LabelledData::labels(&noisy), LabelledData::labels(&data))
            };
            let some = wrong(0.4, 1);
            assert!(
                (1850..2150).contains(&some.len()),
                "{noise:?}: {}",
                some.len()
            );
            assert_eq!(some, wrong(0.4, 1));
            assert_ne!(some, wrong(0.4, 2));
            assert!(wrong(0.0, 1).is_empty());
            for share in [-0.1, 1.1, f64::NAN] {
                assert!(noise.labels(&data, share, 0).is_err());
            }
        }
    }

    #[test]
    fn a_pair_is_the_next_class_and_the_features_decide_what_a_sample_is_taken_for() {
        let (data, _) = fashion_mnist().unwrap();
        let pair = Noise::Pair.labels(&data, 1.0, 0).unwrap();
        let next = |l: &u32| (l + 1) % 10;
        assert!(
            pair.iter()
                .eq(data.labels().iter().map(next).collect::<Vec<_>>().iter())
        );
        // Of the trousers, most are taken for few classes: those that their random model likes; with symmetric noise for all.
        let share_of_most = |noise: Noise| {
            let noisy = noise.labels(&data, 0.6, 3).unwrap();
            let mut counts = [0.0f64; 10];
            let trousers = (0..5000).filter(|&i| data.labels()[i] == 1 && noisy[i] != 1);
            trousers.for_each(|i| counts[noisy[i] as usize] += 1.0);
            let total: f64 = counts.iter().sum();
            counts.iter().fold(0.0, |m: f64, c| m.max(c / total))
        };
        assert!(share_of_most(Noise::InstanceDependent) > 0.5);
        assert!(share_of_most(Noise::Symmetric) < 0.2);
        let names = first_names().unwrap();
        for noise in ALL {
            let noisy = noise.labels(&names, 0.3, 0).unwrap();
            let share = changed(&noisy, names.labels()).len() as f64 / names.len() as f64;
            assert!((0.27..0.33).contains(&share), "{noise:?}: {share}");
        }
    }
}
