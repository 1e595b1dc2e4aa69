//! The training samples of a linear model, and the residual of a fit.

use bilevel::{Error, Vector};

use super::columns::Columns;

/// The most features with a Gram matrix, which then has 8 MB.
const MOST_IN_GRAM: usize = 1024;

/// The Gram matrix pays where a column of the samples has this many times as many entries as one of its own.
const SHARE_OF_GRAM: usize = 4;

/// Ã and ỹ: features and targets less their means.
pub(crate) struct Samples {
    columns: Columns,
    targets: Vec<f64>,
    target_mean: f64,
    /// ‖ỹ‖²/n.
    square: f64,
    gram: Option<Gram>,
}

/// ÃᵀÃ/n, row after row, and Ãᵀỹ/n: with them a step costs the same for any number of samples.
struct Gram {
    matrix: Vec<f64>,
    linear: Vec<f64>,
}

impl Gram {
    /// The Gram matrix of columns with their centred targets.
    fn new(columns: &Columns, targets: &[f64]) -> Self {
        let (n, d) = (columns.samples(), columns.len());
        let share = 1.0 / n as f64;
        let mut matrix = vec![0.0; d * d];
        let mut centred = vec![0.0; n];
        for j in 0..d {
            // Centring one factor is enough, and the mean is subtracted before the products are summed, not after.
            centred.fill(-columns.means()[j]);
            columns.add(j, 1.0, &mut centred);
            for k in 0..=j {
                let product = share * columns.dot(k, &centred);
                matrix[j * d + k] = product;
                matrix[k * d + j] = product;
            }
        }
        let linear = (0..d).map(|j| share * columns.dot(j, targets)).collect();
        Gram { matrix, linear }
    }

    fn row(&self, j: usize) -> &[f64] {
        let d = self.linear.len();
        &self.matrix[j * d..(j + 1) * d]
    }
}

impl Samples {
    /// # Errors
    /// [`Error::InvalidArgument`] for targets whose squares overflow.
    pub(super) fn new(columns: Columns, targets: &[f64]) -> Result<Self, Error> {
        let pays = columns.len() <= MOST_IN_GRAM
            && SHARE_OF_GRAM * columns.len().pow(2) <= columns.entries();
        let n = targets.len() as f64;
        let target_mean = targets.iter().sum::<f64>() / n;
        let targets: Vec<f64> = targets.iter().map(|y| y - target_mean).collect();
        let square = targets.dot(&targets) / n;
        if !square.is_finite() {
            let expected = "numbers whose squares are finite";
            return Err(Error::invalid("targets", "an overflow", expected));
        }
        let gram = pays.then(|| Gram::new(&columns, &targets));
        Ok(Samples {
            columns,
            targets,
            target_mean,
            square,
            gram,
        })
    }

    /// The number of features.
    pub(crate) fn len(&self) -> usize {
        self.columns.len()
    }

    pub(crate) fn means(&self) -> &[f64] {
        self.columns.means()
    }

    pub(crate) fn variances(&self) -> &[f64] {
        self.columns.variances()
    }

    pub(crate) fn target_mean(&self) -> f64 {
        self.target_mean
    }

    /// ‖ỹ‖²/n.
    pub(crate) fn square(&self) -> f64 {
        self.square
    }

    /// The residual of w.
    pub(crate) fn residual(&self, w: &[f64]) -> Residual<'_> {
        let mut residual = Residual {
            samples: self,
            left: match &self.gram {
                Some(gram) => gram.linear.clone(),
                None => self.targets.clone(),
            },
            offset: 0.0,
        };
        for (j, &w) in w.iter().enumerate().filter(|(_, w)| **w != 0.0) {
            residual.take(j, w);
        }
        residual
    }

    /// out ← ÃₛᵀÃₛ v/n, with the features S at these places.
    pub(crate) fn product(&self, places: &[usize], v: &[f64], out: &mut [f64]) {
        if let Some(gram) = &self.gram {
            for (&j, out) in places.iter().zip(out) {
                let row = gram.row(j);
                *out = places.iter().zip(v).map(|(&k, v)| row[k] * v).sum();
            }
            return;
        }
        let mut image = vec![0.0; self.columns.samples()];
        let mut mean = 0.0;
        for (&j, &v) in places.iter().zip(v) {
            self.columns.add(j, v, &mut image);
            mean += v * self.means()[j];
        }
        let n = self.columns.samples() as f64;
        for (&j, out) in places.iter().zip(out) {
            *out = self.columns.dot(j, &image) / n - mean * self.means()[j];
        }
    }
}

/// r = ỹ − Ãw, which sums to 0, in the form that the samples have.
#[derive(Clone)]
pub(crate) struct Residual<'a> {
    samples: &'a Samples,
    /// Ãᵀr/n where there is a Gram matrix, and otherwise r − offset · 1.
    left: Vec<f64>,
    offset: f64,
}

impl Residual<'_> {
    /// ⟨ãⱼ, r⟩/n, which equals ⟨aⱼ, r⟩/n since r sums to 0.
    pub(crate) fn correlation(&self, j: usize) -> f64 {
        if self.samples.gram.is_some() {
            return self.left[j];
        }
        let columns = &self.samples.columns;
        columns.dot(j, &self.left) / self.left.len() as f64 + self.offset * columns.means()[j]
    }

    /// r ← r − s ãⱼ.
    pub(crate) fn take(&mut self, j: usize, s: f64) {
        if let Some(gram) = &self.samples.gram {
            for (left, g) in self.left.iter_mut().zip(gram.row(j)) {
                *left -= s * g;
            }
            return;
        }
        self.samples.columns.add(j, -s, &mut self.left);
        self.offset += s * self.samples.means()[j];
    }

    /// ‖r‖²/n, with the w that r belongs to.
    pub(crate) fn square(&self, w: &[f64]) -> f64 {
        if let Some(gram) = &self.samples.gram {
            let along = w.iter().zip(gram.linear.iter().zip(&self.left));
            let along: f64 = along.map(|(w, (c, left))| w * (c + left)).sum();
            return (self.samples.square - along).max(0.0);
        }
        let squares = self.left.iter().map(|r| (r + self.offset).powi(2));
        squares.sum::<f64>() / self.left.len() as f64
    }
}
