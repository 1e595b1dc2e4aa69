//! Features of mean 0 and variance 1.

use bilevel::Element;

/// The means of features, and the inverses of their standard deviations.
pub(crate) struct Standard {
    pub(crate) mean: Vec<f64>,
    pub(crate) scale: Vec<f64>,
}

impl Standard {
    /// The transformation that leaves features as they are.
    #[cfg(feature = "linfa")]
    pub(crate) fn none(columns: usize) -> Self {
        Standard {
            mean: vec![0.0; columns],
            scale: vec![1.0; columns],
        }
    }

    /// Means and deviations of samples with `columns` features each. A feature that is constant to rounding is not scaled.
    pub(crate) fn of<E: Element>(values: &[E], columns: usize) -> Self {
        let samples = (values.len() / columns.max(1)) as f64;
        let mut mean = vec![0.0; columns];
        for row in values.chunks_exact(columns.max(1)) {
            for (m, v) in mean.iter_mut().zip(row) {
                *m += v.to_f64() / samples;
            }
        }
        let mut variance = vec![0.0; columns];
        for row in values.chunks_exact(columns.max(1)) {
            for ((s, v), m) in variance.iter_mut().zip(row).zip(&mean) {
                *s += (v.to_f64() - m).powi(2) / samples;
            }
        }
        let scale = variance
            .iter()
            .zip(&mean)
            // A deviation at the level of rounding counts as constant.
            .map(|(&s, m)| {
                if s.sqrt() > 1e-12 * m.abs() {
                    1.0 / s.sqrt()
                } else {
                    1.0
                }
            })
            .collect();
        Standard { mean, scale }
    }

    /// Samples less these means, divided by these deviations.
    pub(crate) fn apply<E: Element>(&self, values: &[E]) -> Vec<E> {
        let row = |row: &[E]| -> Vec<E> {
            let centred = row.iter().zip(&self.mean).zip(&self.scale);
            centred
                .map(|((v, m), s)| E::from_f64((v.to_f64() - m) * s))
                .collect()
        };
        let columns = self.mean.len().max(1);
        values.chunks_exact(columns).flat_map(row).collect()
    }

    /// Converts weights of standardised features, one per feature and intercept, to weights of the original features:
    /// (a − mean) scale w = a (scale w) − mean (scale w).
    #[cfg(feature = "linfa")]
    pub(crate) fn undo(&self, weights: &mut [f64], intercepts: &mut [f64]) {
        let rows = weights.chunks_exact_mut(intercepts.len().max(1));
        for ((weights, mean), scale) in rows.zip(&self.mean).zip(&self.scale) {
            for (w, b) in weights.iter_mut().zip(&mut *intercepts) {
                *w *= scale;
                *b -= mean * *w;
            }
        }
    }
}
