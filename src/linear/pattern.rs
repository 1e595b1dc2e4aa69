//! Sparse symmetric matrices, as problems give them.

use std::sync::Arc;

use crate::error::Error;

/// The places of the entries on and below the diagonal of a symmetric matrix, column by column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    pub(super) starts: Vec<usize>,
    pub(super) rows: Vec<usize>,
}

impl Pattern {
    /// Column j has its entries in the rows `rows[starts[j]..starts[j + 1]]`, which increase and begin with j itself.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] where they do not.
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

    /// Column j has the diagonal and what of `neighbours(j, out)` lies below it, in increasing order and each once. Rows from `size` on are
    /// none of the matrix, and neighbours above the diagonal have it in a column of their own: both are left out.
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

/// A symmetric matrix that is given by the entries on and below its diagonal.
pub trait SparseMatrix {
    /// Where they are. A problem makes its pattern once and hands out the same one at every point.
    fn pattern(&self) -> Arc<Pattern>;
    /// out ← the entries, in the order of the pattern.
    fn values(&self, out: &mut [f64]);
}
