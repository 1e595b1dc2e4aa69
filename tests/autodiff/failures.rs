//! Panics in a formula, and losses that are not finite.

use std::panic::{AssertUnwindSafe, catch_unwind};

use bilevel::autodiff::{Lower, SampleLoss, Scalar, Tape, Taped, Upper};
use bilevel::{Accuracy, Error, Implicit, Oracle, Trust};

/// The tape of a panicking formula is whole, and so is that of the thread.
#[test]
fn a_tape_is_given_back_when_the_formula_panics() {
    let mut tape = Tape::<f64>::default();
    let x = tape.leaf(3.0);
    let mark = tape.mark();
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        tape.record(|| {
            let y = x.squared();
            assert!(y.value() < 0.0, "as intended");
            y
        })
    }));
    assert!(outcome.is_err());
    assert_eq!(tape.value(x), 3.0);
    tape.truncate(mark);
    let y = tape.record(|| x.squared());
    *tape.adjoint_mut(y) = 1.0;
    tape.sweep(mark);
    assert_eq!((tape.value(y), tape.adjoint(x)), (9.0, 6.0));
    // The tape of the thread is empty: a number on a new one is the first.
    let mut other = Tape::<f64>::default();
    let z = other.leaf(5.0);
    assert_eq!(other.record(|| z.value()), 5.0);
}

/// The mistake in the sample.
#[derive(Clone, Copy)]
enum Wrong {
    Nothing,
    /// The loss is NaN wherever x is, its gradient is not.
    Loss,
    /// The loss is finite, and its gradient is NaN at 0.
    Gradient,
    /// Of all samples.
    Penalty,
}

/// ½(x − i/20)² of 20 samples.
struct Squares(Wrong);

impl SampleLoss for Squares {
    fn parameters(&self) -> usize {
        2
    }
    fn hyperparameters(&self) -> usize {
        1
    }
    fn samples(&self) -> usize {
        20
    }
    fn loss<S: Scalar>(&self, x: &[S], theta: &[S], i: usize) -> S {
        let loss = (x[0] - theta[0]).plus(-0.05 * i as f64).squared() + x[1].squared();
        match self.0 {
            Wrong::Loss if i == 17 => loss + x[1].squared().plus(1.0).times(-1.0).ln(),
            Wrong::Gradient if i == 17 => loss + x[1].squared().sqrt(),
            _ => loss,
        }
    }
    fn penalty<S: Scalar>(&self, x: &[S], _theta: &[S]) -> S {
        match self.0 {
            Wrong::Penalty => x[1].squared().plus(1.0).times(-1.0).sqrt(),
            _ => S::constant(0.0),
        }
    }
}

/// The message of the error that an oracle answers with.
fn message(lower: Wrong, upper: Wrong) -> String {
    let lower = Lower::<_, f64>::new(Taped::new(Squares(lower)));
    let upper = Upper::<_, f64>::new(Taped::new(Squares(upper)));
    let oracle = Implicit::new(lower, upper).with_trust(Trust::Estimated);
    let theta = vec![0.3];
    let mut state = oracle.start(&theta).unwrap();
    let accuracy = Accuracy::new(1e-6, 1e-6).unwrap();
    match oracle.hypergradient(&theta, accuracy, &mut state) {
        Err(error @ Error::NotFinite { .. }) => error.to_string(),
        Err(error) => panic!("another error: {error}"),
        Ok(_) => String::new(),
    }
}

#[test]
fn a_sample_whose_loss_is_not_finite_is_named() {
    assert_eq!(message(Wrong::Nothing, Wrong::Nothing), "");
    for found in [
        message(Wrong::Loss, Wrong::Nothing),
        message(Wrong::Nothing, Wrong::Loss),
    ] {
        assert!(found.contains("the loss of sample 17 is NaN"), "{found}");
    }
}

#[test]
fn a_sample_whose_gradient_alone_is_not_finite_is_named() {
    for found in [
        message(Wrong::Gradient, Wrong::Nothing),
        message(Wrong::Nothing, Wrong::Gradient),
    ] {
        assert!(
            found.contains("the gradient of the loss of sample 17"),
            "{found}"
        );
    }
}

#[test]
fn a_penalty_that_is_not_finite_is_named() {
    let found = message(Wrong::Penalty, Wrong::Nothing);
    assert!(found.contains("the penalty is NaN"), "{found}");
}
