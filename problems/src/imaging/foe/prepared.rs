//! θ as the kernels use it: computed once for all images, and kept for the last few values of θ.

use bilevel::Curvature;
use std::sync::{Arc, Mutex, PoisonError};

use super::EXTENSION;
use super::experts::Experts;
use super::field::Bank;
use super::parameters::Parameters;
use super::potential::{Expert, MAX_THIRD};
use super::spectrum::Spectrum;
use crate::support::lanes::Lanes;

/// Number of prepared values of θ that are kept: those of a line search, of its start, and one to spare.
const KEPT: usize = 4;

/// The experts and the latest prepared values of θ, shared by all images.
pub(super) struct Model<E> {
    pub(super) experts: Experts,
    kept: Mutex<Vec<Arc<Prepared<E>>>>,
}

impl<E: Lanes> Model<E> {
    pub(super) fn new(experts: &Experts) -> Self {
        Model {
            experts: experts.clone(),
            kept: Mutex::new(Vec::new()),
        }
    }

    /// θ as the kernels use it, computed unless it is among the latest values.
    pub(super) fn prepared(&self, theta: &[f64]) -> Arc<Prepared<E>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = kept.iter().position(|p| p.theta == theta) {
            let found = kept.remove(at);
            kept.push(Arc::clone(&found));
            return found;
        }
        let made = Arc::new(Prepared::new(&self.experts, theta));
        if kept.len() == KEPT {
            kept.remove(0);
        }
        kept.push(Arc::clone(&made));
        made
    }
}

/// θ, as the kernels use it.
pub(super) struct Prepared<E> {
    theta: Vec<f64>,
    pub(super) parameters: Parameters,
    pub(super) bank: Bank<E>,
    pub(super) experts: Vec<Expert<E>>,
    pub(super) curvature: Curvature,
    /// ‖cₖ‖
    pub(super) norms: Vec<f64>,
}

impl<E: Lanes> Prepared<E> {
    fn new(experts: &Experts, theta: &[f64]) -> Self {
        let p = Parameters::new(experts, theta);
        let k = experts.count();
        let expert = |i: usize| {
            let kappa = p.kappa.get(i).copied().unwrap_or(1.0);
            Expert {
                weight: E::from_f64(p.weights[i]),
                nu2: E::from_f64(p.nu[i] * p.nu[i]),
                concave: E::from_f64(p.weights[i] * p.concavity),
                kappa2: E::from_f64(kappa * kappa),
            }
        };
        let extended = EXTENSION * EXTENSION;
        let joint = |weight: &dyn Fn(usize) -> f64| {
            Spectrum::new(&p.filters, experts.size(), (0..k).map(weight)).bound()
        };
        let norms: Vec<f64> = p
            .filters
            .chunks_exact(experts.size() * experts.size())
            .map(|c| c.iter().map(|c| c * c).sum::<f64>().sqrt())
            .collect();
        let third = |i: usize| {
            let concave = p.kappa.get(i).map_or(0.0, |k| p.concavity / (k * k));
            let sup = MAX_THIRD * (1.0 / (p.nu[i] * p.nu[i]) + concave);
            p.weights[i] * sup * EXTENSION * norms[i]
        };
        let curvature = Curvature {
            strong_convexity: Some(1.0 - p.concave).filter(|mu| *mu > 0.0),
            smoothness: Some(1.0 + extended * joint(&|i| p.weights[i] / p.nu[i])),
            hessian_lipschitz: Some(extended * joint(&third)),
            cross_norm: None,
            cross_lipschitz: None,
        };
        Prepared {
            theta: theta.to_vec(),
            bank: Bank::new(&p.filters, experts.size()),
            experts: (0..k).map(expert).collect(),
            curvature,
            norms,
            parameters: p,
        }
    }
}
