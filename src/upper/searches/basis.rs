//! Rosenbrock's basis, which turns towards the direction of the last progress.

use crate::vector::Vector;

/// The new axes: Σᵢ wᵢdᵢ and its partial sums, in decreasing order of the progress |wᵢ|, orthonormalised.
pub(super) fn turn(axes: &mut [(Vec<f64>, f64)], progress: &[f64]) {
    let p = axes.len();
    let mut order: Vec<usize> = (0..p).collect();
    order.sort_by(|&a, &b| progress[b].abs().total_cmp(&progress[a].abs()));
    let old: Vec<(Vec<f64>, f64)> = order.iter().map(|&i| axes[i].clone()).collect();
    let ways = order.iter().map(|&i| progress[i]);
    // The k-th vector is the step along the axes from the k-th on; an axis without progress stays.
    let mut rest = vec![0.0; p];
    let mut next: Vec<Vec<f64>> = vec![Vec::new(); p];
    for (k, way) in ways.enumerate().collect::<Vec<_>>().into_iter().rev() {
        rest.axpy(way, &old[k].0);
        next[k] = if way == 0.0 {
            old[k].0.clone()
        } else {
            rest.clone()
        };
    }
    for k in 0..p {
        let (done, todo) = next.split_at_mut(k);
        let Some(vector) = todo.first_mut() else {
            return;
        };
        // Twice is enough for orthogonality to rounding.
        let size = vector.norm();
        for d in done.iter().chain(done.iter()) {
            let share = d.dot(vector);
            vector.axpy(-share, d);
        }
        let norm = vector.norm();
        if norm.is_nan() || norm <= 1e-10 * size {
            // The vectors are numerically parallel: keep the axes.
            return;
        }
        vector.scale(1.0 / norm);
    }
    for ((axis, vector), (_, step)) in axes.iter_mut().zip(next).zip(old) {
        *axis = (vector, step);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axes(p: usize) -> Vec<(Vec<f64>, f64)> {
        let axis = |i: usize| (0..p).map(|j| f64::from(u8::from(i == j))).collect();
        (0..p).map(|i| (axis(i), 1.0 + i as f64)).collect()
    }

    #[test]
    fn the_basis_stays_orthonormal_and_begins_with_the_way_gone() {
        let mut basis = axes(5);
        for progress in [
            [3.0, 0.0, -4.0, 0.0, 0.0],
            [1e-9, 2.0, 0.0, 1.0, -5.0],
            [1.0, 1.0, 1.0, 1.0, 1.0],
            [0.0, 0.0, 0.0, 0.0, 1e-12],
        ] {
            let mut way = vec![0.0; 5];
            for (w, (axis, _)) in progress.iter().zip(&basis) {
                way.axpy(*w, axis);
            }
            way.scale(1.0 / way.norm());
            turn(&mut basis, &progress);
            assert!((basis[0].0.dot(&way) - 1.0).abs() < 1e-12, "{progress:?}");
            for (i, (a, _)) in basis.iter().enumerate() {
                for (j, (b, _)) in basis.iter().enumerate() {
                    let expected = f64::from(u8::from(i == j));
                    assert!((a.dot(b) - expected).abs() < 1e-12, "{progress:?}");
                }
            }
        }
    }

    #[test]
    fn progress_that_is_not_finite_leaves_the_basis() {
        let mut basis = axes(2);
        turn(&mut basis, &[f64::NAN, 1.0]);
        assert_eq!(basis, axes(2));
    }
}
