//! Models of images, written as JSON.

use bilevel_problems::imaging::{Experts, FoeModel, Potential};

use super::harness::{Format, PLAIN, as_it_is, message};

pub(super) fn models() -> Vec<Format> {
    let foe = |size: usize, potential: Potential| {
        let experts = Experts::new(3, size).unwrap();
        let experts = experts.with_potential(potential).unwrap();
        let theta = experts.random(1);
        let model = FoeModel::new(experts, theta, 0.1).unwrap();
        model.to_json().into_bytes()
    };
    vec![Format {
        name: "fields of experts",
        file: "damaged.json",
        samples: vec![
            foe(3, Potential::Convex),
            foe(5, Potential::weakly_convex()),
        ],
        finish: as_it_is,
        read: Box::new(|path| {
            let model = FoeModel::read(path).map_err(message)?;
            assert_eq!(model.theta().len(), model.experts().theta_len());
            Ok(())
        }),
        // The text, and numbers of a digit and a comma.
        claims: |bytes| 5 * bytes.len(),
        slack: PLAIN,
        places: &[
            "line ",
            "format",
            "version",
            "theta",
            "sigma",
            "filter",
            "modulus",
            "concavity",
        ],
    }]
}
