//! Problems of finite sums behind `dyn`: stochastic methods are compiled once for all problems.

use bilevel::problem::minibatch::{MinibatchLower, MinibatchUpper};
use bilevel::stochastic::{Levels, MinibatchOracle};
use bilevel::{Element, ImplicitState, LowerLevel, Oracle};

/// Any lower level that is a finite sum, on vectors of `E`.
pub type DynLower<E> = dyn MinibatchLower<Theta = Vec<f64>, X = Vec<E>>;

/// Any upper level that is a finite sum, on vectors of `E`.
pub type DynUpper<E> = dyn MinibatchUpper<Theta = Vec<f64>, X = Vec<E>>;

/// An oracle whose levels are finite sums, on vectors of `E`.
pub trait FiniteSum<E: Element>: Oracle<Theta = Vec<f64>, State = ImplicitState<Vec<E>>> {
    /// The lower level.
    fn lower_sum(&self) -> &DynLower<E>;
    /// The upper level.
    fn upper_sum(&self) -> &DynUpper<E>;
    /// [`MinibatchOracle::state_with`].
    #[allow(clippy::ptr_arg)] // the vectors of the oracle
    fn state_at(&self, x: &Vec<E>, v: &Vec<E>) -> ImplicitState<Vec<E>>;
}

impl<E: Element, O> FiniteSum<E> for O
where
    O: MinibatchOracle<State = ImplicitState<Vec<E>>>,
    O::Lower: LowerLevel<Theta = Vec<f64>, X = Vec<E>> + Sized + 'static,
    O::Upper: Sized + 'static,
{
    fn lower_sum(&self) -> &DynLower<E> {
        self.levels().lower
    }

    fn upper_sum(&self) -> &DynUpper<E> {
        self.levels().upper
    }

    fn state_at(&self, x: &Vec<E>, v: &Vec<E>) -> ImplicitState<Vec<E>> {
        self.state_with(x, v)
    }
}

/// Any oracle whose levels are finite sums.
pub type DynSum<'a, E> = dyn FiniteSum<E> + 'a;

impl<E: Element> MinibatchOracle for &DynSum<'_, E> {
    type Lower = DynLower<E>;
    type Upper = DynUpper<E>;

    fn levels(&self) -> Levels<'_, DynLower<E>, DynUpper<E>> {
        Levels {
            lower: self.lower_sum(),
            upper: self.upper_sum(),
        }
    }

    fn state_with(&self, x: &Vec<E>, v: &Vec<E>) -> ImplicitState<Vec<E>> {
        self.state_at(x, v)
    }

    fn x_of<'a>(&self, state: &'a ImplicitState<Vec<E>>) -> (&'a Vec<E>, Option<&'a Vec<E>>) {
        (state.x(), state.adjoint())
    }
}
