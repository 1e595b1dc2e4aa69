//! The effective parameters of a field of experts as functions of θ, and the derivatives of these functions.

use bilevel::Error;

use super::experts::{Experts, Potential, subtract_mean};
use super::spectrum::{Spectrum, quadratic_form};

/// A number for every effective parameter (weights, smoothings ν and κ, filters): a value, a change, or a derivative.
#[derive(Debug, Clone)]
pub(super) struct Effective {
    pub(super) weights: Vec<f64>,
    pub(super) nu: Vec<f64>,
    /// Empty for the convex potential.
    pub(super) kappa: Vec<f64>,
    pub(super) filters: Vec<f64>,
}

/// The effective parameters at θ, with what their derivatives need.
pub(super) struct Parameters {
    pub(super) weights: Vec<f64>,
    pub(super) nu: Vec<f64>,
    /// Empty for the convex potential.
    pub(super) kappa: Vec<f64>,
    pub(super) filters: Vec<f64>,
    pub(super) concavity: f64,
    /// A bound of max_ω Σₖ wₖ (ρ/κₖ)|ĉₖ(ω)|²: the negative curvature that is left after the scaling.
    pub(super) concave: f64,
    scaling: Option<Scaling>,
}

/// The scaling of the weights of the weakly convex potential, w = a h with h = B/(B + S).
struct Scaling {
    /// a
    raw: Vec<f64>,
    h: f64,
    /// dh/dS
    slope: f64,
    /// dS/dθ
    gradient: Vec<f64>,
}

impl Scaling {
    /// Scales the weights a so that Σₖ bₖ|ĉₖ|², bₖ = aₖρ/κₖ, stays below the budget B = 1 − μ. Also returns the bound of the maximum of that
    /// sum after scaling.
    fn new(
        experts: &Experts,
        raw: &[f64],
        [nu, kappa, filters]: [&[f64]; 3],
        concavity: f64,
        budget: f64,
    ) -> (Self, f64) {
        let (k, s2) = (experts.count(), experts.size() * experts.size());
        let b: Vec<f64> = raw
            .iter()
            .zip(kappa)
            .map(|(a, k)| a * concavity / k)
            .collect();
        let spectrum = Spectrum::new(filters, experts.size(), b.iter().copied());
        let (sum, derivative) = spectrum.smooth_bound();
        let h = budget / (budget + sum);
        // dS = Σ dbₖ cₖᵀQcₖ + 2 bₖ ⟨Qcₖ, dcₖ⟩
        let mut gradient = vec![0.0; experts.theta_len()];
        let (head, tail) = gradient.split_at_mut(experts.first_filter());
        for i in 0..k {
            let filter = &filters[i * s2..(i + 1) * s2];
            let product = quadratic_form(&derivative, experts.size(), filter);
            let form: f64 = product.iter().zip(filter).map(|(q, c)| q * c).sum();
            head[0] += b[i] * form;
            head[1 + i] = b[i] * form;
            head[1 + k + i] = -b[i] * form;
            head[1 + 2 * k + i] = -b[i] * form * (kappa[i] - nu[i]) / kappa[i];
            let out = &mut tail[i * s2..(i + 1) * s2];
            out.iter_mut()
                .zip(&product)
                .for_each(|(out, q)| *out = 2.0 * b[i] * q);
            if experts.is_zero_mean() {
                subtract_mean(out);
            }
        }
        let scaling = Scaling {
            raw: raw.to_vec(),
            h,
            slope: -h * h / budget,
            gradient,
        };
        (scaling, h * spectrum.bound())
    }
}

impl Experts {
    /// The filters at θ, each row after row.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a θ of another length.
    pub fn filters(&self, theta: &[f64]) -> Result<Vec<Vec<f64>>, Error> {
        self.check_length(theta)?;
        let parameters = Parameters::new(self, theta);
        Ok(parameters
            .filters
            .chunks_exact(self.size() * self.size())
            .map(<[f64]>::to_vec)
            .collect())
    }

    /// The weights wₖ at θ.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a θ of another length.
    pub fn weights(&self, theta: &[f64]) -> Result<Vec<f64>, Error> {
        self.check_length(theta)?;
        Ok(Parameters::new(self, theta).weights)
    }
}

impl Parameters {
    pub(super) fn new(experts: &Experts, theta: &[f64]) -> Self {
        let (k, s2) = (experts.count(), experts.size() * experts.size());
        let raw: Vec<f64> = theta[1..=k].iter().map(|t| (theta[0] + t).exp()).collect();
        let nu: Vec<f64> = theta[1 + k..=2 * k].iter().map(|t| t.exp()).collect();
        let mut filters = theta[experts.first_filter()..].to_vec();
        if experts.is_zero_mean() {
            filters.chunks_exact_mut(s2).for_each(subtract_mean);
        }
        let Potential::WeaklyConvex { concavity, modulus } = experts.potential() else {
            return Parameters {
                weights: raw,
                nu,
                kappa: Vec::new(),
                filters,
                concavity: 0.0,
                concave: 0.0,
                scaling: None,
            };
        };
        let kappa: Vec<f64> = theta[1 + 2 * k..=3 * k]
            .iter()
            .zip(&nu)
            .map(|(t, nu)| nu * (1.0 + t.exp()))
            .collect();
        let (scaling, concave) = Scaling::new(
            experts,
            &raw,
            [&nu, &kappa, &filters],
            concavity,
            1.0 - modulus,
        );
        Parameters {
            weights: raw.iter().map(|a| a * scaling.h).collect(),
            nu,
            kappa,
            filters,
            concavity,
            concave,
            scaling: Some(scaling),
        }
    }

    /// out ← the derivative by θ of a function whose derivative by the effective parameters is g.
    pub(super) fn pull_back(&self, experts: &Experts, g: &Effective, out: &mut [f64]) {
        let (k, s2) = (experts.count(), experts.size() * experts.size());
        let (head, filters) = out.split_at_mut(experts.first_filter());
        for i in 0..k {
            head[1 + i] = g.weights[i] * self.weights[i];
            head[1 + k + i] = g.nu[i] * self.nu[i];
            if let Some(kappa) = self.kappa.get(i) {
                head[1 + k + i] += g.kappa[i] * kappa;
                head[1 + 2 * k + i] = g.kappa[i] * (kappa - self.nu[i]);
            }
        }
        head[0] = head[1..=k].iter().sum();
        filters.copy_from_slice(&g.filters);
        if experts.is_zero_mean() {
            filters.chunks_exact_mut(s2).for_each(subtract_mean);
        }
        if let Some(scaling) = &self.scaling {
            let by_h: f64 = g.weights.iter().zip(&scaling.raw).map(|(g, a)| g * a).sum();
            let by_sum = by_h * scaling.slope;
            let pairs = out.iter_mut().zip(&scaling.gradient);
            pairs.for_each(|(out, s)| *out += by_sum * s);
        }
    }

    /// The change of the effective parameters along the direction u of θ.
    pub(super) fn push_forward(&self, experts: &Experts, u: &[f64]) -> Effective {
        let (k, s2) = (experts.count(), experts.size() * experts.size());
        let mut filters = u[experts.first_filter()..].to_vec();
        if experts.is_zero_mean() {
            filters.chunks_exact_mut(s2).for_each(subtract_mean);
        }
        let all = u[0] + self.scaling_functional().map_or(0.0, |f| dot(&f, u));
        let nu: Vec<f64> = (0..k).map(|i| self.nu[i] * u[1 + k + i]).collect();
        Effective {
            weights: (0..k).map(|i| self.weights[i] * (all + u[1 + i])).collect(),
            kappa: (0..self.kappa.len())
                .map(|i| {
                    self.kappa[i] * u[1 + k + i] + (self.kappa[i] - self.nu[i]) * u[1 + 2 * k + i]
                })
                .collect(),
            nu,
            filters,
        }
    }

    /// The derivative of log h by θ, which moves all weights of the weakly convex potential together, as θ₀ does.
    fn scaling_functional(&self) -> Option<Vec<f64>> {
        let scaling = self.scaling.as_ref()?;
        let factor = scaling.slope / scaling.h;
        Some(scaling.gradient.iter().map(|s| factor * s).collect())
    }

    /// The norm of the functional u ↦ u₀ + d log h(u), which moves the logarithms of all weights together.
    pub(super) fn common_norm(&self) -> f64 {
        match self.scaling_functional() {
            None => 1.0,
            Some(mut f) => {
                f[0] += 1.0;
                dot(&f, &f).sqrt()
            }
        }
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
