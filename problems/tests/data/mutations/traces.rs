//! Traces.

use bilevel::Trace;

use super::harness::{Format, PLAIN, as_it_is, message};

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

pub(super) fn traces() -> Vec<Format> {
    let bytes = |texts: &[&str]| texts.iter().map(|text| text.as_bytes().to_vec()).collect();
    vec![Format {
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
    }]
}
