//! The quartiles of the runs of several seeds.

/// The lower quartile, the median and the upper quartile.
#[derive(Clone, Copy)]
pub(crate) struct Quartiles(pub(crate) [f64; 3]);

impl Quartiles {
    /// Of some numbers, at least one; between two of them by straight lines.
    pub(crate) fn of(mut numbers: Vec<f64>) -> Self {
        numbers.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let place = share * (numbers.len() - 1) as f64;
            let (below, part) = (place.floor() as usize, place.fract());
            let above = (below + 1).min(numbers.len() - 1);
            numbers[below] + part * (numbers[above] - numbers[below])
        };
        Quartiles([at(0.25), at(0.5), at(0.75)])
    }

    pub(crate) fn median(self) -> f64 {
        self.0[1]
    }
}
