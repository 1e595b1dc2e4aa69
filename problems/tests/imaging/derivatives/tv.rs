//! `imaging::tv`, of both norms and all kinds of weights.

use bilevel::autodiff::{Number, Scalar};
use bilevel_problems::imaging::{Norm, TvDenoising, Weights};

use super::banded::Tv as Banded;
use super::imaging::{Denoising, Regulariser, difference, neighbours, noise, spread};
use crate::agreement::Points;

#[derive(Clone)]
pub(super) struct Tv {
    pub(super) rows: usize,
    pub(super) cols: usize,
    pub(super) norm: Norm,
    pub(super) weights: Weights,
}

impl Tv {
    /// The place in θ of the weight of a pixel.
    fn group(&self, at: usize) -> usize {
        match self.weights {
            Weights::Global => 0,
            Weights::PerPixel => at,
            Weights::PerPatch { size } => {
                at / self.cols / size * self.cols.div_ceil(size) + at % self.cols / size
            }
        }
    }

    /// Calls `f` with (pixel, its neighbours, its differences, its φ_h and φ_v, which are one for the isotropic norm).
    fn pixels<S: Scalar>(
        &self,
        x: &[S],
        theta: &[S],
        mut f: impl FnMut(usize, [Option<usize>; 2], [S; 2], [S; 2]),
    ) {
        let nu2 = theta[theta.len() - 1].exp().squared();
        for (at, right, below) in neighbours(self.rows, self.cols) {
            let [h, v] = [right, below].map(|to| difference(x, at, to));
            let phi = match self.norm {
                Norm::Isotropic => [(h.squared() + v.squared() + nu2).sqrt(); 2],
                Norm::Anisotropic => [h, v].map(|t| (t.squared() + nu2).sqrt()),
            };
            f(at, [right, below], [h, v], phi);
        }
    }

    /// Σ of what a pixel has of both φ.
    fn both<S: Scalar>(&self, of: [S; 2]) -> S {
        match self.norm {
            Norm::Isotropic => of[0],
            Norm::Anisotropic => of[0] + of[1],
        }
    }
}

impl Regulariser for Tv {
    fn theta_len(&self) -> usize {
        1 + self.group(self.rows * self.cols - 1) + 1
    }

    fn value<S: Scalar>(&self, x: &[S], theta: &[S]) -> S {
        let mut total = S::constant(0.0);
        self.pixels(x, theta, |at, _, _, phi| {
            total += theta[self.group(at)].exp() * self.both(phi);
        });
        total
    }

    fn add_gradient<S: Number>(&self, x: &[S], theta: &[S], out: &mut [S]) {
        self.pixels(x, theta, |at, to, t, phi| {
            let weight = theta[self.group(at)].exp();
            for k in 0..2 {
                spread(out, at, to[k], weight * t[k] / phi[k]);
            }
        });
    }

    fn add_gradient_theta<S: Number>(&self, x: &[S], theta: &[S], out: &mut [S]) {
        let last = theta.len() - 1;
        let nu2 = theta[last].exp().squared();
        self.pixels(x, theta, |at, _, _, phi| {
            let weight = theta[self.group(at)].exp();
            out[self.group(at)] += weight * self.both(phi);
            out[last] += weight * self.both(phi.map(|phi| nu2 / phi));
        });
    }
}

const ALL: [Weights; 3] = [
    Weights::Global,
    Weights::PerPixel,
    Weights::PerPatch { size: 3 },
];

#[test]
fn tv_denoising_agrees() {
    for (rows, cols) in [(7, 8), (1, 9)] {
        let noisy = noise(rows, cols, 1);
        for norm in [Norm::Isotropic, Norm::Anisotropic] {
            for weights in ALL {
                let shipped = TvDenoising::new(&noisy, norm).unwrap();
                let shipped = shipped.with_weights(weights);
                let mine = Denoising {
                    y: noisy.pixels().to_vec(),
                    regulariser: Tv {
                        rows,
                        cols,
                        norm,
                        weights,
                    },
                };
                assert_eq!(shipped.theta_len(), mine.regulariser.theta_len());
                let points = Points::around(&vec![-1.0; shipped.theta_len()]);
                points.lower(&format!("{norm:?}, {weights:?}"), &shipped, &mine);
            }
        }
    }
}

#[test]
fn tv_denoising_agrees_in_f32() {
    let noisy = noise(7, 8, 1).cast::<f32>();
    let shipped = TvDenoising::new(&noisy, Norm::Isotropic).unwrap();
    let mine = Denoising {
        y: noisy.cast::<f64>().pixels().to_vec(),
        regulariser: Tv {
            rows: 7,
            cols: 8,
            norm: Norm::Isotropic,
            weights: Weights::Global,
        },
    };
    let points = Points::around(&[-1.0; 2]).within(1e-4);
    points.lower("TV in f32", &shipped, &mine);
}

/// Written for speed, band by band, with values and tangents apart: bands that end with the image and that do not, and a last row alone.
#[test]
fn tv_denoising_in_bands_agrees() {
    for (rows, cols) in [(33, 6), (37, 23), (16, 5), (8, 1), (1, 9), (2, 2)] {
        let noisy = noise(rows, cols, 1);
        let shipped = TvDenoising::new(&noisy, Norm::Isotropic).unwrap();
        let points = Points::around(&[-1.0; 2]);
        points.lower_in_parts(&format!("{rows}×{cols}"), &shipped, &Banded::new(&noisy));
        let single = noisy.cast::<f32>();
        let shipped = TvDenoising::new(&single, Norm::Isotropic).unwrap();
        let name = format!("{rows}×{cols} in f32");
        let mine = Banded::new(&single);
        points.within(1e-4).lower_in_parts(&name, &shipped, &mine);
    }
}
