//! Splits of samples, and criteria over them.

use bilevel::oracle::folds::{Fold, Folds, hold_out};
use bilevel::{Error, Implicit, Oracle};
use bilevel_problems::synthetic::quadratic::Quadratic;
use proptest::prelude::*;

/// Every sample is in one of both, and judged once.
fn is_partition(folds: &Folds, samples: usize) {
    let mut judged = vec![0; samples];
    for fold in folds.iter() {
        let mut all: Vec<usize> = [&fold.train[..], &fold.validation].concat();
        all.sort_unstable();
        assert_eq!(all, (0..samples).collect::<Vec<_>>());
        fold.validation.iter().for_each(|&i| judged[i] += 1);
    }
    assert!(judged.iter().all(|&times| times == 1));
}

fn sizes(folds: &Folds) -> (usize, usize) {
    let sizes = || folds.iter().map(|fold| fold.validation.len());
    (sizes().min().unwrap(), sizes().max().unwrap())
}

proptest! {
    #[test]
    fn folds_are_partitions_of_nearly_equal_parts(
        samples in 2usize..60,
        count in 2usize..60,
        seed in any::<u64>(),
        labels in prop::collection::vec(0u32..4, 60),
    ) {
        let labels = &labels[..samples];
        let all = [
            Folds::new(samples, count, seed),
            Folds::in_order(samples, count),
            Folds::stratified(labels, count, seed),
        ];
        for folds in all {
            if count > samples {
                prop_assert!(folds.is_err());
                continue;
            }
            let folds = folds.unwrap();
            prop_assert_eq!(folds.len(), count);
            is_partition(&folds, samples);
            let (least, most) = sizes(&folds);
            prop_assert!(most - least <= 1);
        }
        if count <= samples {
            let folds = Folds::stratified(labels, count, seed).unwrap();
            for class in 0..4 {
                let of_class = |fold: Fold| fold.validation.iter().filter(|&&i| labels[i] == class).count();
                let counts: Vec<usize> = folds.iter().map(of_class).collect();
                prop_assert!(counts.iter().max().unwrap() - counts.iter().min().unwrap() <= 1);
            }
        }
    }
}

#[test]
fn the_seed_decides_and_the_order_is_kept_where_asked() {
    let folds = |seed| Folds::new(50, 5, seed).unwrap();
    assert_eq!(folds(3), folds(3));
    assert_ne!(folds(3), folds(4));
    let first = Folds::in_order(7, 3).unwrap().get(0).unwrap();
    assert_eq!(first.validation, [0, 1, 2]);
    assert_eq!(folds(0).get(5), None);
    let each = Folds::leave_one_out(4).unwrap();
    assert_eq!(each.get(2).unwrap().validation, [2]);
    assert!(Folds::leave_one_out(1).is_err());
    assert!(Folds::new(0, 2, 0).is_err() && Folds::new(9, 1, 0).is_err());
}

#[test]
fn a_hold_out_has_its_share() {
    let fold = hold_out(10, 0.3, 7).unwrap();
    assert_eq!((fold.train.len(), fold.validation.len()), (7, 3));
    assert_eq!(fold, hold_out(10, 0.3, 7).unwrap());
    // However small or large the share, both have one.
    assert_eq!(hold_out(3, 1e-9, 0).unwrap().validation.len(), 1);
    assert_eq!(hold_out(3, 0.999, 0).unwrap().train.len(), 1);
    for share in [0.0, 1.0, -0.5, f64::NAN] {
        assert!(hold_out(10, share, 0).is_err());
    }
    assert!(hold_out(1, 0.5, 0).is_err());
}

#[test]
fn the_criterion_is_the_mean_over_the_folds() -> Result<(), Error> {
    let folds = Folds::new(6, 3, 0)?;
    let problem = |fold: &Fold| {
        let problem = Quadratic::random(8, 2, 10.0, fold.validation[0] as u64);
        Implicit::new(problem.lower(), problem.upper())
    };
    let mean = folds.oracle(|fold| Ok(problem(&fold)))?;
    let theta = vec![0.1, -0.2];
    let value = |oracle: &dyn Fn() -> Result<f64, Error>| oracle();
    let of = |oracle: &Implicit<_, _>| {
        let mut state = oracle.start(&theta)?;
        Ok::<f64, Error>(oracle.value(&theta, 1e-9, &mut state)?.value.value)
    };
    let each: Vec<f64> = folds
        .iter()
        .map(|fold| of(&problem(&fold)))
        .collect::<Result<_, _>>()?;
    let found = value(&|| {
        let mut state = mean.start(&theta)?;
        Ok(mean.value(&theta, 1e-9, &mut state)?.value.value)
    })?;
    assert_eq!(found, each.iter().sum::<f64>() / 3.0);
    let refused = folds.oracle(|fold| match fold.validation.len() {
        2 => Err(Error::invalid("fold", 2, "another one")),
        _ => Ok(problem(&fold)),
    });
    assert!(refused.is_err());
    Ok(())
}
