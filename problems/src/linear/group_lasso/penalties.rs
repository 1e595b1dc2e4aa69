//! The groups of a group lasso on its training samples.

use faer::{Mat, Side};

use super::Partition;
use crate::linear::sparse::{Ray, Samples, Support};

/// The most features of a group whose curvature is computed instead of bounded.
const MOST_EXACT: usize = 256;

/// The groups, and the curvature of the loss in each.
pub(super) struct Penalties {
    pub(super) partition: Partition,
    /// L_g ≥ ‖Ã_g‖²/n.
    pub(super) curvature: Vec<f64>,
}

impl Penalties {
    pub(super) fn new(samples: &Samples, partition: Partition) -> Self {
        let groups = 0..partition.groups();
        Penalties {
            curvature: groups
                .map(|g| curvature(samples, partition.members(g)))
                .collect(),
            partition,
        }
    }

    /// ‖x_g‖.
    pub(super) fn norm(&self, g: usize, x: &[f64]) -> f64 {
        let squares = self.partition.members(g).iter().map(|&j| x[j] * x[j]);
        squares.sum::<f64>().sqrt()
    }

    /// The groups with x_g ≠ 0.
    pub(super) fn active(&self, groups: impl Iterator<Item = usize>, x: &[f64]) -> Vec<usize> {
        groups.filter(|&g| self.norm(g, x) != 0.0).collect()
    }

    /// The Hessian on active groups: that of the loss, and λ_g (I − u_g u_gᵀ)/‖x_g‖.
    pub(super) fn support<'a>(
        &self,
        samples: &'a Samples,
        lambda: &[f64],
        active: &[usize],
        x: &[f64],
    ) -> Support<'a> {
        let (mut places, mut diagonal, mut rays) = (Vec::new(), Vec::new(), Vec::new());
        for &g in active {
            let members = self.partition.members(g);
            let norm = self.norm(g, x);
            // I − uuᵀ is 0 for one feature, and rounding should not make it something else.
            let bend = if members.len() == 1 {
                0.0
            } else {
                lambda[g] / norm
            };
            if bend > 0.0 {
                rays.push(Ray {
                    start: places.len(),
                    entries: members.iter().map(|&j| bend.sqrt() * x[j] / norm).collect(),
                });
            }
            places.extend_from_slice(members);
            diagonal.resize(places.len(), bend);
        }
        Support::new(samples, places, diagonal, rays)
    }
}

/// The largest eigenvalue of Ã_gᵀÃ_g/n, or its trace, an upper bound.
fn curvature(samples: &Samples, members: &[usize]) -> f64 {
    let trace = members.iter().map(|&j| samples.variances()[j]).sum();
    if members.len() == 1 || members.len() > MOST_EXACT {
        return trace;
    }
    let p = members.len();
    let mut block = Mat::zeros(p, p);
    let (mut unit, mut image) = (vec![0.0; p], vec![0.0; p]);
    for k in 0..p {
        unit[k] = 1.0;
        samples.product(members, &unit, &mut image);
        unit[k] = 0.0;
        for (i, &entry) in image.iter().enumerate() {
            block[(i, k)] = entry;
        }
    }
    let eigenvalues = block.self_adjoint_eigenvalues(Side::Lower);
    let largest = eigenvalues.ok().and_then(|values| values.last().copied());
    largest.map_or(trace, |largest| largest.clamp(0.0, trace))
}
