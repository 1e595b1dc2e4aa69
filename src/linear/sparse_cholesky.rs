//! Sparse Cholesky factorisation.
//!
//! ```text
//! A = Pᵀ L Lᵀ P      P: an ordering of approximate minimum degree, which keeps L sparse
//! ```
//!
//! by faer, followed by one step of iterative refinement. For lower levels with a sparse Hessian that is available as a matrix
//! ([`Linearization::sparse`](crate::Linearization::sparse)). The result is exact to rounding for any condition number of A.
//!
//! The solver analyses the pattern of A once and keeps the analysis: for another θ or x only the numeric factorisation is repeated. A new
//! pattern replaces the analysis; [`SparseCholesky::analyses`] counts them. A clone of the solver starts without one.
//!
//! # Requirements on the problem
//! A is positive definite. A pivot that is not positive ends the solve with [`SolveStatus::NegativeCurvature`]. Rounding may let a singular
//! A pass the factorisation; its residual is then large, and the solve ends as stagnated.
//!
//! # Cost
//! Half the sum of the squared lengths of the columns of L, in multiplications, counted as the number of products with A that take as many.
//! The analysis, about as long as one factorisation, is not counted.
//!
//! # Reference
//! P. Amestoy, T. Davis, I. Duff: An approximate minimum degree ordering algorithm. SIAM J. Matrix Anal. Appl. 17 (1996),
//! [doi:10.1137/S0895479894278952](https://doi.org/10.1137/S0895479894278952).

use faer::dyn_stack::{MemBuffer, MemStack, StackReq};
use faer::sparse::linalg::cholesky::{
    SymbolicCholesky, SymbolicCholeskyRaw, factorize_symbolic_cholesky,
};
use faer::sparse::{SparseColMatRef, SymbolicSparseColMatRef};
use faer::{Conj, MatMut, Par, Side};
use serde::{Deserialize, Serialize};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{LinearReport, LinearSolver, Pattern, SparseMatrix, System};
use crate::status::SolveStatus;
use crate::vector::{Scratch, Vector};

/// Sparse Cholesky for a symmetric positive definite A given as a matrix. See the [module](self).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SparseCholesky {
    /// The most entries of a factor (default 50,000,000: 400 MB). Larger ones end the solve at once with [`SolveStatus::IterationLimit`].
    pub max_entries: usize,
    #[serde(skip)]
    kept: Kept,
}

impl Default for SparseCholesky {
    fn default() -> Self {
        SparseCholesky::new(50_000_000)
    }
}

impl SparseCholesky {
    /// A solver for factors of at most `max_entries` entries.
    pub fn new(max_entries: usize) -> Self {
        SparseCholesky {
            max_entries,
            kept: Kept::default(),
        }
    }

    /// The number of patterns analysed so far: 1 while the pattern does not change.
    pub fn analyses(&self) -> u64 {
        self.kept.lock().analyses
    }
}

/// The analysis and buffers, kept from call to call. A clone starts empty.
#[derive(Default)]
struct Kept(Mutex<State>);

#[derive(Default)]
struct State {
    analysis: Option<Arc<Analysis>>,
    analyses: u64,
    /// One per concurrent call.
    buffers: Vec<Buffers>,
}

impl Kept {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves it usable.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clone for Kept {
    fn clone(&self) -> Self {
        Kept::default()
    }
}

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} analyses", self.lock().analyses)
    }
}

/// The ordering and the pattern of L for a pattern of A.
struct Analysis {
    pattern: Arc<Pattern>,
    symbolic: SymbolicCholesky<usize>,
    /// The cost of a factorisation, in products with A.
    products: u64,
}

/// Buffers for one factorisation.
#[derive(Default)]
struct Buffers {
    values: Vec<f64>,
    factor: Vec<f64>,
    rhs: Vec<f64>,
    memory: Option<MemBuffer>,
}

impl Analysis {
    fn new(pattern: Arc<Pattern>) -> Option<Self> {
        let (ordering, parameters) = Default::default();
        let symbolic =
            factorize_symbolic_cholesky(pattern_of(&pattern), Side::Lower, ordering, parameters);
        let symbolic = symbolic.ok()?;
        let products = (multiplications(&symbolic) / 2).div_ceil(pattern.multiplications());
        Some(Analysis {
            pattern,
            symbolic,
            products,
        })
    }

    fn memory(&self) -> StackReq {
        let factor =
            (self.symbolic).factorize_numeric_llt_scratch::<f64>(Par::Seq, Default::default());
        factor.or(self.symbolic.solve_in_place_scratch::<f64>(1, Par::Seq))
    }
}

/// The sum of the squared lengths of the columns of L.
fn multiplications(symbolic: &SymbolicCholesky<usize>) -> u64 {
    let square = |length: usize| (length * length) as u64;
    match symbolic.raw() {
        SymbolicCholeskyRaw::Simplicial(l) => {
            let columns = l.col_ptr().windows(2);
            columns.map(|range| square(range[1] - range[0])).sum()
        }
        // Columns of a supernode share the rows below it.
        SymbolicCholeskyRaw::Supernodal(l) => (0..l.n_supernodes())
            .map(|s| {
                let width = l.supernode_end()[s] - l.supernode_begin()[s];
                let below = l.supernode(s).pattern().len();
                (1..=width).map(|own| square(below + own)).sum::<u64>()
            })
            .sum(),
    }
}

impl SparseCholesky {
    /// The analysis of this pattern, and buffers for its numbers. The analysis happens under the lock, so that concurrent calls share it.
    fn prepare(&self, pattern: Arc<Pattern>) -> Option<(Arc<Analysis>, Buffers)> {
        let mut state = self.kept.lock();
        let known = (state.analysis.as_ref())
            .filter(|a| Arc::ptr_eq(&a.pattern, &pattern) || a.pattern == pattern)
            .cloned();
        let analysis = match known {
            Some(analysis) => analysis,
            None => {
                let analysis = Arc::new(Analysis::new(pattern)?);
                state.analysis = Some(analysis.clone());
                state.analyses += 1;
                state.buffers.clear();
                analysis
            }
        };
        Some((analysis, state.buffers.pop().unwrap_or_default()))
    }

    /// Corrects q twice, the solution and a step of refinement; r ← b − A q and its norm likewise. How it ended, and the products it took.
    fn correct<V: Vector>(
        &self,
        matrix: &dyn SparseMatrix,
        system: &System<'_, V>,
        q: &mut V,
        r: &mut V,
        norm: &mut f64,
        scratch: &mut Scratch<V>,
    ) -> (SolveStatus, u64) {
        let Some((analysis, mut buffer)) = self.prepare(matrix.pattern()) else {
            return (SolveStatus::IterationLimit, 0);
        };
        let Analysis {
            pattern, symbolic, ..
        } = &*analysis;
        if symbolic.len_val() > self.max_entries {
            return (SolveStatus::IterationLimit, 0);
        }
        buffer.values.resize(pattern.entries(), 0.0);
        buffer.factor.resize(symbolic.len_val(), 0.0);
        matrix.values(&mut buffer.values);
        let finite = buffer.values.iter().all(|v| v.is_finite());
        let memory = (buffer.memory).get_or_insert_with(|| MemBuffer::new(analysis.memory()));
        let factor = symbolic.factorize_numeric_llt(
            &mut buffer.factor,
            SparseColMatRef::new(pattern_of(pattern), &buffer.values),
            Side::Lower,
            Default::default(),
            Par::Seq,
            MemStack::new(memory),
            Default::default(),
        );
        let mut products = analysis.products;
        let status = match factor {
            _ if !finite => SolveStatus::NotFinite,
            Err(_) => SolveStatus::NegativeCurvature,
            Ok(factor) => {
                let mut step = scratch.take(q);
                for _ in 0..2 {
                    buffer.rhs.clear();
                    buffer.rhs.extend(r.to_f64());
                    factor.solve_in_place_with_conj(
                        Conj::No,
                        MatMut::from_column_major_slice_mut(&mut buffer.rhs, q.len(), 1),
                        Par::Seq,
                        MemStack::new(memory),
                    );
                    step.assign(&mut |i| buffer.rhs[i]);
                    q.axpy(1.0, &step);
                    *norm = system.residual(q, r);
                    products += 1;
                    if *norm <= system.tolerance {
                        break;
                    }
                }
                scratch.put(step);
                if *norm <= system.tolerance {
                    SolveStatus::Converged
                } else if norm.is_finite() {
                    SolveStatus::Stagnated
                } else {
                    SolveStatus::NotFinite
                }
            }
        };
        let mut state = self.kept.lock();
        // Buffers for another pattern are of no use.
        if (state.analysis.as_ref()).is_some_and(|kept| Arc::ptr_eq(kept, &analysis)) {
            state.buffers.push(buffer);
        }
        (status, products)
    }
}

impl LinearSolver for SparseCholesky {
    fn solve<V: Vector>(
        &self,
        system: &System<'_, V>,
        q: &mut V,
        scratch: &mut Scratch<V>,
    ) -> LinearReport {
        let mut r = scratch.take(q);
        let mut norm = system.residual(q, &mut r);
        let mut products = 1;
        let status = if norm <= system.tolerance {
            SolveStatus::Converged
        } else if !norm.is_finite() {
            SolveStatus::NotFinite
        } else {
            match system.sparse {
                Some(matrix) if matrix.pattern().size() == q.len() => {
                    let (status, more) =
                        self.correct(matrix, system, q, &mut r, &mut norm, scratch);
                    products += more;
                    status
                }
                _ => SolveStatus::NoMatrix,
            }
        };
        scratch.put(r);
        LinearReport::new("sparse Cholesky", norm, products, status)
    }

    fn identity(&self) -> String {
        format!("SparseCholesky {{ max_entries: {} }}", self.max_entries)
    }
}

/// The pattern as faer knows it.
fn pattern_of(pattern: &Pattern) -> SymbolicSparseColMatRef<'_, usize> {
    let n = pattern.size();
    SymbolicSparseColMatRef::new_checked(n, n, &pattern.starts, None, &pattern.rows)
}
