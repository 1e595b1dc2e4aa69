//! The derivative checker passes total variation and names what is wrong with a level.

use bilevel::{
    Checker, Curvature, Element, Error, Linearization, LocalConvexity, LowerLevel, Vector, Work,
    check_lower,
};
use bilevel_problems::imaging::{Image, Norm, SquaredError, TvDenoising, Weights};

use crate::common::{self, picture, random};

fn check_tv<E: Element>(rows: usize, cols: usize, norm: Norm, weights: Weights) {
    for seed in 0..4 {
        let clean = picture(rows, cols, 0);
        let noisy: Image<E> = clean.with_noise(0.1, seed, 0).cast();
        let Ok(lower) = TvDenoising::new(&noisy, norm) else {
            panic!("{rows}×{cols} was refused");
        };
        let lower = lower.with_weights(weights);
        // Near the data, not on it.
        let mut next = common::uniform(seed);
        let mut x = noisy.pixels().to_vec();
        x.iter_mut()
            .for_each(|x| *x = E::from_f64(x.to_f64() + 0.2 * next()));
        for log_smoothing in [-1.0, -3.0] {
            let mut theta = random(lower.theta_len(), seed + 9);
            let last = theta.len() - 1;
            theta[last] = log_smoothing;
            let checker = Checker {
                seed,
                ..Checker::default()
            };
            let report = checker.lower(&lower, &x, &theta);
            let case = format!(
                "{} {rows}×{cols} {norm:?} {weights:?} log ν={log_smoothing}",
                E::NAME
            );
            assert!(report.passed(), "{case}\n{report}");
            let names: Vec<&str> = report.checks.iter().map(|c| c.name).collect();
            for expected in ["gradient", "hvp", "symmetry", "cross_vjp", "hessian_change"] {
                assert!(
                    names.contains(&expected),
                    "{case}: {expected} was not tested"
                );
            }
            let report = checker.upper(&SquaredError::new(&clean.cast::<E>()), &x, &theta);
            assert!(report.passed(), "{case}\n{report}");
        }
    }
}

#[test]
fn total_variation_of_all_shapes_norms_weights_and_storages_passes() {
    for (rows, cols) in [(1, 9), (9, 1), (2, 2), (5, 7), (1, 2), (17, 33)] {
        for norm in [Norm::Anisotropic, Norm::Isotropic] {
            for weights in [
                Weights::Global,
                Weights::PerPixel,
                Weights::PerPatch { size: 3 },
            ] {
                check_tv::<f64>(rows, cols, norm, weights);
                check_tv::<f32>(rows, cols, norm, weights);
            }
        }
    }
}

/// The mistake in a lower level.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Mistake {
    None,
    ScaledGradient,
    ScaledFusedGradient,
    WrongFusedValue,
    ScaledHvp,
    Asymmetry,
    FlippedCrossVjp,
    WrongCrossJvp,
    WrongBothCross,
    SmallSmoothness,
    LargeMu,
    SmallHessianLipschitz,
    SmallCrossLipschitz,
    SmallCrossNorm,
    SmallLocalCrossNorm,
    SmallHessianChange,
    SmallCrossChange,
    LargeLocalModulus,
    NanHvp,
}

/// A lower level with a mistake planted into it.
struct Planted<P> {
    inner: P,
    mistake: Mistake,
}

struct PlantedLinearization<D> {
    inner: D,
    mistake: Mistake,
}

impl<D: Linearization<Theta = Vec<f64>, X = Vec<f64>>> Linearization for PlantedLinearization<D> {
    type Theta = Vec<f64>;
    type X = Vec<f64>;

    fn hvp(&self, v: &Vec<f64>, out: &mut Vec<f64>) {
        self.inner.hvp(v, out);
        match self.mistake {
            Mistake::ScaledHvp => out.scale(1.001),
            // The last row of A is lost below its diagonal.
            Mistake::Asymmetry => {
                let last = out.len() - 1;
                out[last] += 0.1 * v[0];
            }
            Mistake::NanHvp => out[0] = f64::NAN,
            _ => {}
        }
    }

    fn cross_vjp(&self, w: &Vec<f64>, out: &mut Vec<f64>) {
        self.inner.cross_vjp(w, out);
        match self.mistake {
            Mistake::FlippedCrossVjp => out.scale(-1.0),
            Mistake::WrongBothCross => out.scale(0.99),
            _ => {}
        }
    }

    fn cross_jvp(&self, u: &Vec<f64>, out: &mut Vec<f64>) {
        self.inner.cross_jvp(u, out);
        match self.mistake {
            Mistake::WrongCrossJvp => out[0] += 0.1 * u[0],
            Mistake::WrongBothCross => out.scale(0.99),
            _ => {}
        }
    }

    fn hessian_change(&self, q: &Vec<f64>, radius: f64) -> Option<f64> {
        let small = self.mistake == Mistake::SmallHessianChange;
        let factor = if small { 1e-3 } else { 1.0 };
        self.inner.hessian_change(q, radius).map(|c| factor * c)
    }

    fn cross_change(&self, q: &Vec<f64>, radius: f64) -> Option<f64> {
        let small = self.mistake == Mistake::SmallCrossChange;
        let factor = if small { 1e-3 } else { 1.0 };
        self.inner.cross_change(q, radius).map(|c| factor * c)
    }

    fn cross_norm(&self, room: &mut Vec<f64>) -> Option<f64> {
        match self.mistake {
            // The constant of the problem is what counts where there is no local one.
            Mistake::SmallCrossNorm => None,
            Mistake::SmallLocalCrossNorm => self.inner.cross_norm(room).map(|c| 1e-3 * c),
            _ => self.inner.cross_norm(room),
        }
    }
}

impl<P: LowerLevel<Theta = Vec<f64>, X = Vec<f64>>> LowerLevel for Planted<P> {
    type Theta = Vec<f64>;
    type X = Vec<f64>;

    fn start(&self) -> Vec<f64> {
        self.inner.start()
    }

    fn check(&self, theta: &Vec<f64>) -> Result<(), Error> {
        self.inner.check(theta)
    }

    fn value(&self, x: &Vec<f64>, theta: &Vec<f64>) -> f64 {
        self.inner.value(x, theta)
    }

    fn gradient(&self, x: &Vec<f64>, theta: &Vec<f64>, out: &mut Vec<f64>) {
        self.inner.gradient(x, theta, out);
        if self.mistake == Mistake::ScaledGradient {
            out.scale(1.001);
        }
    }

    fn value_and_gradient(&self, x: &Vec<f64>, theta: &Vec<f64>, out: &mut Vec<f64>) -> f64 {
        let value = self.inner.value_and_gradient(x, theta, out);
        if matches!(
            self.mistake,
            Mistake::ScaledGradient | Mistake::ScaledFusedGradient
        ) {
            out.scale(1.001);
        }
        if self.mistake == Mistake::WrongFusedValue {
            value + 1e-3
        } else {
            value
        }
    }

    fn linearize<'a>(
        &'a self,
        x: &'a Vec<f64>,
        theta: &'a Vec<f64>,
    ) -> impl Linearization<Theta = Vec<f64>, X = Vec<f64>> + 'a {
        PlantedLinearization {
            inner: self.inner.linearize(x, theta),
            mistake: self.mistake,
        }
    }

    fn curvature(&self, theta: &Vec<f64>) -> Curvature {
        let known = self.inner.curvature(theta);
        let times = |constant: Option<f64>, factor: f64| constant.map(|c| factor * c);
        match self.mistake {
            // No direction has a quotient below μ or above L: these two are found by any direction.
            Mistake::SmallSmoothness => Curvature {
                smoothness: times(known.strong_convexity, 0.99),
                ..known
            },
            Mistake::LargeMu => Curvature {
                strong_convexity: times(known.smoothness, 1.01),
                ..known
            },
            Mistake::SmallHessianLipschitz => Curvature {
                hessian_lipschitz: times(known.hessian_lipschitz, 1e-3),
                ..known
            },
            Mistake::SmallCrossLipschitz => Curvature {
                cross_lipschitz: times(known.cross_lipschitz, 1e-3),
                ..known
            },
            Mistake::SmallCrossNorm => Curvature {
                cross_norm: times(known.cross_norm, 1e-3),
                ..known
            },
            _ => known,
        }
    }

    fn local_convexity(
        &self,
        _x: &Vec<f64>,
        theta: &Vec<f64>,
        _work: &mut Work,
    ) -> Option<LocalConvexity> {
        let large = self.mistake == Mistake::LargeLocalModulus;
        let modulus = self.inner.curvature(theta).smoothness?;
        large.then_some(LocalConvexity {
            modulus: 1.01 * modulus,
            decay: 0.0,
        })
    }
}

/// The names of the tests that fail with a mistake planted into TV denoising.
fn failures(norm: Norm, mistake: Mistake) -> Vec<&'static str> {
    let noisy = picture(6, 7, 0).with_noise(0.1, 1, 0);
    let Ok(inner) = TvDenoising::new(&noisy, norm) else {
        panic!("the image was refused");
    };
    let mut x = noisy.pixels().to_vec();
    x.axpy(0.2, &random(42, 3));
    let report = check_lower(&Planted { inner, mistake }, &x, &vec![-1.0, -2.0]);
    for failed in report.failures() {
        let line = report.to_string();
        assert!(line.contains(failed.hint) && line.contains("WRONG"));
    }
    report.failures().map(|c| c.name).collect()
}

#[test]
fn every_planted_mistake_is_named_and_nothing_else_is() {
    let expected: [(Mistake, &[&str]); 19] = [
        (Mistake::None, &[]),
        // A and B are differences of the gradient, so they disagree with a wrong one too.
        (Mistake::ScaledGradient, &["gradient", "hvp", "cross_jvp"]),
        (Mistake::ScaledFusedGradient, &["value_and_gradient"]),
        (Mistake::WrongFusedValue, &["value_and_gradient"]),
        (Mistake::ScaledHvp, &["hvp"]),
        (Mistake::Asymmetry, &["hvp", "symmetry"]),
        (Mistake::FlippedCrossVjp, &["cross_vjp"]),
        (Mistake::WrongCrossJvp, &["cross_jvp", "cross_vjp"]),
        (Mistake::WrongBothCross, &["cross_jvp"]),
        (Mistake::SmallSmoothness, &["curvature: L"]),
        (Mistake::LargeMu, &["curvature: mu"]),
        (Mistake::SmallHessianLipschitz, &["curvature: L_A"]),
        (Mistake::SmallCrossLipschitz, &["curvature: L_B"]),
        (Mistake::SmallCrossNorm, &["curvature: ‖B‖"]),
        (Mistake::SmallLocalCrossNorm, &["curvature: ‖B‖"]),
        (Mistake::SmallHessianChange, &["hessian_change"]),
        (Mistake::SmallCrossChange, &["cross_change"]),
        (Mistake::LargeLocalModulus, &["local_convexity"]),
        (
            Mistake::NanHvp,
            &["hvp", "symmetry", "curvature: mu", "curvature: L"],
        ),
    ];
    for norm in [Norm::Anisotropic, Norm::Isotropic] {
        for (mistake, names) in expected {
            let found = failures(norm, mistake);
            if mistake == Mistake::NanHvp {
                for name in names {
                    assert!(found.contains(name), "{norm:?} {mistake:?}: {found:?}");
                }
            } else {
                assert_eq!(found, names, "{norm:?} {mistake:?}");
            }
        }
    }
}
