//! Experiments in TOML, and traces.

use bilevel::Trace;
use bilevel_cli::experiment::Experiment;

use super::formats::{Format, PLAIN, as_it_is, message};

const EXPERIMENTS: [&str; 3] = [
    "name = \"a\"\nseeds = [0, 1, 2]\ntolerance = 1e-3\n\n[problem.tv]\nimages = [\"a.png\", \"b\"]\nsize = 64\nsigma = 0.1\nnorm = \"isotropic\"\n\
     theta = [-5.0, -5.0]\ntrust = \"certified\"\n\n[solver]\nname = \"maid\"\naccuracy = 0.1\n\n[limits]\niterations = 10\nseconds = 2.5\n",
    "# Penalties.\n[problem.logistic_regression]\ntrain = 'a.csv'\nvalidation = \"\"\"b.csv\"\"\"\nclasses = 0x0a\nfirst_class = -1\nunit_rows = true\n\
     penalty = \"per_feature\"\nstart = -4e0\n\n[solver]\nname = \"saba\"\nbatch = 16\nblock = 200\nlower_step = 0.5\n",
    "problem = { ridge = { data = \"a\\u00e9.csv\", header = true, folds = 5 } }\nsolver.name = \"tpe\"\nsolver.half_width = inf\n",
];

/// Traces of two and of twenty entries of θ.
const TRACES: [&str; 2] = [
    "iteration,value,value_lower,value_upper,gradient_norm,error_bound,trust,epsilon,delta,step,hypergradients,trials,\
     lower_solves,lower_values,lower_gradients,linear_solves,hessian_products,cross_products,upper_values,upper_gradients,lower_samples,upper_samples,\
     theta_1,theta_2\n0,1.5,-inf,inf,0.25,inf,unknown,0.1,0.1,,1,0,1,2,3,4,5,6,7,8,9,10,-5.0,1e-300\n\
     1,1.25,1.0,1.5,0.125,0.5,certified,0.05,0.1,0.5,2,1,2,3,4,5,6,7,8,9,10,18446744073709551615,-4.5,0.0\n",
    "iteration,value,value_lower,value_upper,gradient_norm,error_bound,trust,epsilon,delta,step,hypergradients,trials,\
     lower_solves,lower_values,lower_gradients,linear_solves,hessian_products,cross_products,upper_values,upper_gradients,lower_samples,upper_samples\n\
     0,1.5,1.0,2.0,0.25,0.1,estimated,0.1,0.1,1.0,1,0,1,2,3,4,5,6,7,8,9,10\n",
];

pub(super) fn experiments() -> Vec<Format> {
    let bytes = |texts: &[&str]| texts.iter().map(|text| text.as_bytes().to_vec()).collect();
    vec![
        Format {
            name: "experiment in TOML",
            file: "damaged.toml",
            samples: bytes(&EXPERIMENTS),
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
        },
        Format {
            name: "trace",
            file: "damaged.csv",
            samples: bytes(&TRACES),
            finish: as_it_is,
            read: Box::new(|path| {
                let trace = Trace::read_csv(path).map_err(message)?;
                assert_eq!(trace.to_csv().lines().count(), 1 + trace.rows().len());
                Ok(())
            }),
            // The places of the entries of a line, and the row.
            claims: |bytes| 64 * bytes.len(),
            slack: PLAIN,
            places: &["line ", "byte "],
        },
    ]
}
