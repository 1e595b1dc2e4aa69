//! Features of mean 0 and variance 1.

use bilevel::Element;

/// The means of features, and the inverses of their standard deviations.
pub(super) struct Standard {
    pub(super) mean: Vec<f64>,
    pub(super) scale: Vec<f64>,
}

impl Standard {
    /// Those of samples, `columns` features each. A feature that is constant, or as good as that, is not scaled.
    pub(super) fn of<E: Element>(values: &[E], columns: usize) -> Self {
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
            // What rounding leaves of a constant counts as constant.
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

    /// Samples less these means, by these deviations.
    pub(super) fn apply<E: Element>(&self, values: &[E]) -> Vec<E> {
        let row = |row: &[E]| -> Vec<E> {
            let centred = row.iter().zip(&self.mean).zip(&self.scale);
            centred
                .map(|((v, m), s)| E::from_f64((v.to_f64() - m) * s))
                .collect()
        };
        let columns = self.mean.len().max(1);
        values.chunks_exact(columns).flat_map(row).collect()
    }
}
