//! Sparse symmetric matrices, as problems provide them.

use std::sync::Arc;

use crate::error::Error;

/// The sparsity pattern of a symmetric matrix: the entries on and below the diagonal, in compressed columns.
#[derive(Debug, Clone, PartialEq, Eq)]
#[doc(hidden)]
pub struct Pattern {
    pub(super) starts: Vec<usize>,
    pub(super) rows: Vec<usize>,
}

impl Pattern {
    /// Column j has entries in the rows `rows[starts[j]..starts[j + 1]]`, which must increase and begin with j.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] otherwise.
    pub fn new(starts: Vec<usize>, rows: Vec<usize>) -> Result<Self, Error> {
        let n = starts.len().saturating_sub(1);
        let ends = (starts.first(), starts.last()) == (Some(&0), Some(&rows.len()));
        if n == 0 || !ends || !starts.is_sorted() {
            let found = format!("{} starts of columns", starts.len());
            let expected = format!("0 to {}, one more than there are columns", rows.len());
            return Err(Error::invalid("starts", found, expected));
        }
        for (j, range) in starts.windows(2).enumerate() {
            let column = &rows[range[0]..range[1]];
            let increase = column.windows(2).all(|pair| pair[0] < pair[1]);
            let inside = column.last().is_some_and(|&last| last < n);
            if column.first() != Some(&j) || !increase || !inside {
                let found = format!("{column:?}");
                let expected = format!("increasing numbers below {n}, {j} the first");
                return Err(Error::invalid(
                    format!("rows of column {j}"),
                    found,
                    expected,
                ));
            }
        }
        Ok(Pattern { starts, rows })
    }

    /// A matrix in which row j couples with `neighbours(j, out)`. Column j gets the diagonal and the neighbours below it, sorted and without
    /// duplicates. Neighbours above the diagonal belong to their own column; rows from `size` on are ignored.
    pub fn of_neighbours(size: usize, mut neighbours: impl FnMut(usize, &mut Vec<usize>)) -> Self {
        let (mut starts, mut rows, mut column) = (vec![0], Vec::new(), Vec::new());
        for j in 0..size {
            column.clear();
            neighbours(j, &mut column);
            column.retain(|row| (j + 1..size).contains(row));
            column.sort_unstable();
            column.dedup();
            rows.push(j);
            rows.extend_from_slice(&column);
            starts.push(rows.len());
        }
        Pattern { starts, rows }
    }

    /// The size of the matrix.
    pub fn size(&self) -> usize {
        self.starts.len() - 1
    }

    /// The number of entries on and below the diagonal.
    pub fn entries(&self) -> usize {
        self.rows.len()
    }

    /// The multiplications of a product with the symmetric matrix.
    #[cfg(feature = "direct")]
    pub(super) fn multiplications(&self) -> u64 {
        (2 * self.entries() - self.size()) as u64
    }
}

/// A symmetric matrix given by its entries on and below the diagonal.
#[doc(hidden)]
pub trait SparseMatrix {
    /// The pattern. A problem should create it once and share it between all points, so that it is analysed once.
    fn pattern(&self) -> Arc<Pattern>;
    /// out ← the entries, in the order of the pattern.
    fn values(&self, out: &mut [f64]);
}
