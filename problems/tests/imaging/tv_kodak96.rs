//! TV denoising of twelve photographs, against an optimum that was computed independently.
//!
//! The data are not part of the project: `BILEVEL_DATA` names their folder.

use bilevel::{Maid, Oracle, Run, Trust};
use bilevel_problems::data::read_npy;
use bilevel_problems::imaging::{Norm, Weights, tv_denoising};

use crate::common::data_that_do_not_ship;

#[test]
#[ignore = "needs data that do not ship: set BILEVEL_DATA"]
fn maid_reaches_the_optimum_to_one_per_mille() {
    let folder = data_that_do_not_ship("tv_kodak96");
    let clean = read_npy(folder.join("clean.npy")).unwrap();
    let noisy = read_npy(folder.join("noisy.npy")).unwrap();
    let text = std::fs::read_to_string(folder.join("optimum.json")).unwrap();
    let optimum: serde_json::Value = serde_json::from_str(&text).unwrap();
    let minimum = optimum["F_star"].as_f64().unwrap();
    let oracle =
        |trust| tv_denoising(&clean, &noisy, Norm::Anisotropic, Weights::Global, trust).unwrap();
    // The value at the optimum, certified.
    let exact = oracle(Trust::Certified);
    let theta: Vec<f64> = serde_json::from_value(optimum["theta_star"].clone()).unwrap();
    let mut state = exact.start(&theta).unwrap();
    let value = exact.value(&theta, 1e-9, &mut state).unwrap().value;
    assert!((value.value - minimum).abs() <= 1e-7 * minimum, "{value:?}");
    for trust in [Trust::Certified, Trust::Estimated] {
        let report = Run::new(&oracle(trust), Maid::with_accuracy(0.1))
            .max_iterations(10)
            .start(vec![-5.0, -5.0])
            .unwrap();
        assert_eq!(report.trust, trust);
        assert!(report.value.upper <= 1.001 * minimum, "{trust}: {report}");
        assert!(
            report.value.upper >= minimum * (1.0 - 1e-9),
            "nothing is below the minimum"
        );
    }
}
