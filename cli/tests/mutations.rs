//! Damaged experiments: whatever is done to the bytes of a valid file, it is read or refused by file and place.
//!
//! One test, because the counts are those of the whole process.

#![allow(clippy::unwrap_used, clippy::panic)] // helpers of tests are tests

#[path = "../../problems/tests/data/mutations/harness/mod.rs"]
mod harness;

use bilevel_cli::experiment::Experiment;
use harness::{Format, PLAIN, as_it_is, assert_accepted_or_refused, message};

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

const EXPERIMENTS: [&str; 3] = [
    "name = \"a\"\nseeds = [0, 1, 2]\ntolerance = 1e-3\n\n[problem.tv]\nimages = [\"a.png\", \"b\"]\nsize = 64\nsigma = 0.1\nnorm = \"isotropic\"\n\
     theta = [-5.0, -5.0]\ntrust = \"certified\"\n\n[solver]\nname = \"maid\"\naccuracy = 0.1\n\n[limits]\niterations = 10\nseconds = 2.5\n",
    "# Penalties.\n[problem.logistic_regression]\ntrain = 'a.csv'\nvalidation = \"\"\"b.csv\"\"\"\nclasses = 0x0a\nfirst_class = -1\nunit_rows = true\n\
     penalty = \"per_feature\"\nstart = -4e0\n\n[solver]\nname = \"saba\"\nbatch = 16\nblock = 200\nlower_step = 0.5\n",
    "problem = { ridge = { data = \"a\\u00e9.csv\", header = true, folds = 5 } }\nsolver.name = \"tpe\"\nsolver.half_width = inf\n",
];

#[test]
fn a_damaged_experiment_is_accepted_or_refused_by_file_and_place() {
    let folder = tempfile::tempdir().unwrap();
    let experiments = Format {
        name: "experiment in TOML",
        file: "damaged.toml",
        samples: EXPERIMENTS.map(|text| text.as_bytes().to_vec()).to_vec(),
        finish: as_it_is,
        read: Box::new(|path| {
            let experiment = Experiment::read(path).map_err(message)?;
            // What was read can be written again.
            experiment.to_toml().map(drop).map_err(message)
        }),
        // A list of seeds takes eight bytes for two, a list of files a path for four.
        claims: |bytes| 256 * bytes.len(),
        slack: PLAIN,
        places: &["line ", "byte ", "name", "seeds", "tolerance"],
    };
    assert_accepted_or_refused(vec![experiments], folder.path());
}
