//! Estimators that follow linfa's conventions, written as JSON.

use bilevel_problems::linfa::{Penalty, TunedLogistic, TunedRidge};
use linfa::traits::{Fit, Predict};
use linfa::{Dataset, DatasetBase};
use ndarray::{Array1, Array2, Ix1};
use serde::de::DeserializeOwned;
use std::fmt::Display;
use std::path::Path;

use super::harness::{Format, PLAIN, as_it_is};

/// A file of JSON, as a program reads one of its own.
fn from_json<T: DeserializeOwned>(path: &Path) -> Result<T, String> {
    let named = |e: &dyn Display| format!("{}: {e}", path.display());
    let bytes = std::fs::read(path).map_err(|e| named(&e))?;
    serde_json::from_slice(&bytes).map_err(|e| named(&e))
}

/// A little data, with and without classes.
fn samples() -> Array2<f64> {
    Array2::from_shape_fn((30, 3), |(i, j)| ((i * (j + 2)) as f64).sin())
}

pub(super) fn estimators() -> Vec<Format> {
    let numbers = Array1::from_shape_fn(30, |i| (i as f64).cos());
    let data: Dataset<f64, f64, Ix1> = Dataset::new(samples(), numbers);
    let ridge = |penalty| {
        let params = TunedRidge::params().penalty(penalty).max_iterations(3);
        serde_json::to_vec(&params.fit(&data).unwrap()).unwrap()
    };
    let ridge = Format {
        name: "ridge regression",
        samples: vec![ridge(Penalty::Single), ridge(Penalty::PerFeature)],
        read: Box::new(|path| {
            let model: TunedRidge = from_json(path)?;
            let predicted = model.predict(&samples());
            assert_eq!(predicted.len(), 30);
            Ok(())
        }),
        ..json()
    };
    let logistic = |classes: usize, penalty| {
        let labels = Array1::from_shape_fn(30, |i| format!("class {}", i % classes));
        let data = DatasetBase::new(samples(), labels);
        let params = TunedLogistic::params().penalty(penalty).max_iterations(3);
        serde_json::to_vec(&params.fit(&data).unwrap()).unwrap()
    };
    let logistic = Format {
        name: "logistic regression",
        samples: vec![
            logistic(2, Penalty::Single),
            logistic(3, Penalty::PerFeature),
        ],
        read: Box::new(|path| {
            let model: TunedLogistic<String> = from_json(path)?;
            let predicted: Array1<String> = model.predict(&samples());
            assert!(predicted.iter().all(|l| model.classes().contains(l)));
            let p = model.predict_probabilities(&samples());
            assert_eq!(p.ncols(), model.classes().len());
            Ok(())
        }),
        ..json()
    };
    vec![ridge, logistic]
}

/// The format of models that go through serde.
fn json() -> Format {
    Format {
        name: "",
        file: "damaged.json",
        samples: Vec::new(),
        finish: as_it_is,
        read: Box::new(|_| Ok(())),
        // Empty strings, of two quotes and a comma, are the worst; the predictions are few.
        claims: |bytes| 16 * bytes.len(),
        slack: PLAIN,
        places: &["line ", "coefficients", "weights"],
    }
}
