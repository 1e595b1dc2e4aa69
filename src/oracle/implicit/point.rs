//! The point at which an implicit hypergradient is computed.

use crate::lower::LowerReport;
use crate::problem::LowerLevel;

/// θ and x̃, with the report of the lower solver.
pub(super) struct LowerPoint<'a, P: LowerLevel> {
    /// θ.
    pub(super) theta: &'a P::Theta,
    /// x̃ ≈ x*(θ).
    pub(super) x: &'a P::X,
    /// The report of the solver that found x̃.
    pub(super) solved: &'a LowerReport,
}

/// The adjoint at a [`LowerPoint`].
pub(super) struct AdjointPoint<'a, X> {
    /// q and ‖q‖.
    pub(super) q: &'a X,
    pub(super) q_norm: f64,
    /// ∇ₓf(x̃) and its norm.
    pub(super) rhs: &'a X,
    pub(super) rhs_norm: f64,
    /// ‖A q − ∇ₓf‖, rounding included.
    pub(super) delta: f64,
}
