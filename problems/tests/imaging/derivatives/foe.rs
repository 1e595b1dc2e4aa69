//! `imaging::foe`: convex and weakly convex experts, with and without the means of the filters.

use bilevel::autodiff::{Number, Scalar};
use bilevel_problems::imaging::{Experts, FoeDenoising, Potential};

use super::imaging::{Denoising, Regulariser, noise};
use super::spectrum;
use crate::agreement::Points;

#[derive(Clone)]
pub(super) struct Foe {
    pub(super) rows: usize,
    pub(super) cols: usize,
    pub(super) experts: Experts,
}

/// The parameters that θ stands for.
struct Effective<S> {
    /// e^{θ₀ + θₖ}, and wₖ.
    raw: Vec<S>,
    weights: Vec<S>,
    nu: Vec<S>,
    /// Empty for the convex potential.
    kappa: Vec<S>,
    filters: Vec<S>,
}

fn without_means<S: Scalar>(filters: &mut [S], size: usize) {
    for filter in filters.chunks_exact_mut(size * size) {
        let mean = S::sum(filter).times(1.0 / filter.len() as f64);
        filter.iter_mut().for_each(|c| *c -= mean);
    }
}

impl Foe {
    /// ρ and 1 − μ, for the weakly convex potential.
    fn weakly_convex(&self) -> Option<(f64, f64)> {
        match self.experts.potential() {
            Potential::Convex => None,
            Potential::WeaklyConvex { concavity, modulus } => Some((concavity, 1.0 - modulus)),
        }
    }

    fn first_filter(&self) -> usize {
        self.theta_len() - self.experts.count() * self.experts.size().pow(2)
    }

    /// bₖ = aₖρ/κₖ.
    fn concave<S: Scalar>(raw: &[S], kappa: &[S], rho: f64) -> Vec<S> {
        let pairs = raw.iter().zip(kappa);
        pairs.map(|(&a, &kappa)| a.times(rho) / kappa).collect()
    }

    fn effective<S: Scalar>(&self, theta: &[S]) -> Effective<S> {
        let (k, size) = (self.experts.count(), self.experts.size());
        let raw: Vec<S> = (1..=k).map(|i| (theta[0] + theta[i]).exp()).collect();
        let nu: Vec<S> = (1..=k).map(|i| theta[k + i].exp()).collect();
        let mut filters = theta[self.first_filter()..].to_vec();
        if self.experts.is_zero_mean() {
            without_means(&mut filters, size);
        }
        let Some((rho, budget)) = self.weakly_convex() else {
            return Effective {
                weights: raw.clone(),
                raw,
                nu,
                kappa: Vec::new(),
                filters,
            };
        };
        let kappa = |i: usize| nu[i] * theta[1 + 2 * k + i].exp().plus(1.0);
        let kappa: Vec<S> = (0..k).map(kappa).collect();
        let sum = spectrum::bound(size, &Self::concave(&raw, &kappa, rho), &filters);
        let h = S::constant(budget) / sum.plus(budget);
        Effective {
            weights: raw.iter().map(|&a| a * h).collect(),
            raw,
            nu,
            kappa,
            filters,
        }
    }

    /// The pixels under a filter at (i, j), mirrored without repeating those of the border, and whether none was mirrored.
    fn support(&self, at: usize) -> (Vec<usize>, bool) {
        let (size, pad) = (self.experts.size(), self.experts.size() as isize / 2);
        let (i, j) = ((at / self.cols) as isize, (at % self.cols) as isize);
        let mut inside = true;
        let mut mirrored = |k: isize, n: usize| {
            let last = n as isize - 1;
            inside &= (0..=last).contains(&k);
            (last - (last - k.abs()).abs()) as usize
        };
        let places = (0..size * size).map(|at| {
            let (a, b) = ((at / size) as isize - pad, (at % size) as isize - pad);
            mirrored(i + a, self.rows) * self.cols + mirrored(j + b, self.cols)
        });
        let places = places.collect();
        (places, inside)
    }

    /// Calls `f` with (expert, the pixels under its filter, the response, φ_ν, and φ_κ where the concave part counts).
    fn responses<S: Scalar>(
        &self,
        x: &[S],
        e: &Effective<S>,
        mut f: impl FnMut(usize, &[usize], S, S, Option<S>),
    ) {
        for at in 0..self.rows * self.cols {
            let (places, inside) = self.support(at);
            let patch: Vec<S> = places.iter().map(|&p| x[p]).collect();
            for (k, filter) in e.filters.chunks_exact(patch.len()).enumerate() {
                let t = S::dot(filter, &patch);
                let phi = |nu: S| (t.squared() + nu.squared()).sqrt();
                let concave = e.kappa.get(k).filter(|_| inside).map(|&kappa| phi(kappa));
                f(k, &places, t, phi(e.nu[k]), concave);
            }
        }
    }

    fn rho(&self) -> f64 {
        self.weakly_convex().map_or(0.0, |(rho, _)| rho)
    }

    /// w ψ'(t).
    fn slope<S: Scalar>(&self, w: S, t: S, phi: S, concave: Option<S>) -> S {
        let slope = t / phi;
        w * concave.map_or(slope, |c| slope - (t / c).times(self.rho()))
    }
}

impl Regulariser for Foe {
    fn theta_len(&self) -> usize {
        self.experts.theta_len()
    }

    fn value<S: Scalar>(&self, x: &[S], theta: &[S]) -> S {
        let e = self.effective(theta);
        let mut sum = S::constant(0.0);
        self.responses(x, &e, |k, _, _, phi, concave| {
            let psi = concave.map_or(phi, |c| phi - c.times(self.rho()));
            sum += e.weights[k] * psi;
        });
        sum
    }

    fn add_gradient<S: Number>(&self, x: &[S], theta: &[S], out: &mut [S]) {
        let e = self.effective(theta);
        self.responses(x, &e, |k, places, t, phi, concave| {
            let slope = self.slope(e.weights[k], t, phi, concave);
            let filter = &e.filters[k * places.len()..];
            for (&place, &c) in places.iter().zip(filter) {
                out[place] += slope * c;
            }
        });
    }

    fn add_gradient_theta<S: Number>(&self, x: &[S], theta: &[S], out: &mut [S]) {
        let (count, size) = (self.experts.count(), self.experts.size());
        let e = self.effective(theta);
        let zeros = |n: usize| vec![S::default(); n];
        let mut by_filters = zeros(e.filters.len());
        let [mut by_w, mut by_nu, mut by_kappa] = [(); 3].map(|()| zeros(count));
        self.responses(x, &e, |k, places, t, phi, concave| {
            let w = e.weights[k];
            by_w[k] += phi;
            by_nu[k] += w * e.nu[k] / phi;
            if let Some(c) = concave {
                by_w[k] -= c.times(self.rho());
                by_kappa[k] -= (w * e.kappa[k] / c).times(self.rho());
            }
            let slope = self.slope(w, t, phi, concave);
            let by_filter = &mut by_filters[k * places.len()..];
            for (by, &place) in by_filter.iter_mut().zip(places) {
                *by += slope * x[place];
            }
        });
        let mut by_raw = by_w.clone();
        if let Some((rho, budget)) = self.weakly_convex() {
            // w = a h with h = B/(B + S), and S depends on a, κ and the filters.
            let b = Self::concave(&e.raw, &e.kappa, rho);
            let (sum, of_b, of_filters) = spectrum::gradients(size, &b, &e.filters);
            let h = S::constant(budget) / sum.plus(budget);
            let by_h = S::dot(&by_w, &e.raw);
            let by_sum = -(by_h * h * h).times(1.0 / budget);
            for k in 0..count {
                let by_b = by_sum * of_b[k];
                by_raw[k] = by_w[k] * h + by_b.times(rho) / e.kappa[k];
                by_kappa[k] -= by_b * b[k] / e.kappa[k];
            }
            for (by, &of) in by_filters.iter_mut().zip(&of_filters) {
                *by += by_sum * of;
            }
        }
        for k in 0..count {
            let by_log = by_raw[k] * e.raw[k];
            out[0] += by_log;
            out[1 + k] += by_log;
            out[1 + count + k] += by_nu[k] * e.nu[k];
            if let Some(&kappa) = e.kappa.get(k) {
                // κ = ν(1 + e^τ).
                out[1 + count + k] += by_kappa[k] * kappa;
                out[1 + 2 * count + k] += by_kappa[k] * (kappa - e.nu[k]);
            }
        }
        if self.experts.is_zero_mean() {
            without_means(&mut by_filters, size);
        }
        let filters = &mut out[self.first_filter()..];
        filters
            .iter_mut()
            .zip(&by_filters)
            .for_each(|(o, &by)| *o += by);
    }
}

#[test]
fn fields_of_experts_agree() {
    let (rows, cols) = (6, 7);
    let noisy = noise(rows, cols, 4);
    let some = Experts::new(2, 3).unwrap();
    let partly = Potential::WeaklyConvex {
        concavity: 0.7,
        modulus: 0.3,
    };
    for potential in [Potential::Convex, Potential::weakly_convex(), partly] {
        let experts = some.clone().with_potential(potential).unwrap();
        for experts in [experts.clone(), experts.zero_mean()] {
            let name = format!("{experts:?}");
            let shipped = FoeDenoising::new(&noisy, &experts).unwrap();
            // Smoothings of about 1/e: at a start of a training, ν = 0.003, all derivatives of √(t² + ν²) are huge or tiny.
            let mut theta = experts.random(1);
            theta[1 + 2..1 + 2 * 2].fill(-1.0);
            let mine = Denoising {
                y: noisy.pixels().to_vec(),
                regulariser: Foe {
                    rows,
                    cols,
                    experts,
                },
            };
            Points::around(&theta).lower(&name, &shipped, &mine);
        }
    }
}
