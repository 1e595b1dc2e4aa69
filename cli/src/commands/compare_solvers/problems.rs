//! The imaging problems by name. A new one is a name with its description, and an arm of [`solve`] that makes its oracle from pairs of images.

use bilevel::lower::Lbfgs;
use bilevel::{Element, Error, ErrorEstimator, ImplicitState, Oracle, Trust, Vector};
use bilevel_problems::data::{patches, photograph};
use bilevel_problems::imaging::foe::Lanes;
use bilevel_problems::imaging::{
    Blur, Boundary, Deblurring, Experts, FoeDenoising, Image, Kernel, Norm, Potential, Tikhonov,
    TvDenoising, Weights, foe_denoising, pairs, sure, tv_denoising,
};
use clap::ValueEnum;
use std::path::PathBuf;

use super::Options;
use super::compare::{Learned, compare};
use crate::images::{HELD_OUT, check_sigma, read_all, scaled, shipped, stored, with_noise};
use crate::options::Failure;

/// The noise of test images comes from streams that no training image has.
const TEST_STREAM: u64 = 1 << 32;
/// Subtracted from the logarithm of the first weights of experts after a blur: the noise is a tenth of that which they are made
/// for, so its square and the weights are a hundredth, e^−4.6.
const LESS_NOISE: f64 = 4.6;

#[derive(Clone, Copy, PartialEq, ValueEnum)]
pub(in crate::commands) enum ProblemName {
    /// Total variation, anisotropic: log weight, log smoothing.
    Tv,
    /// Total variation, isotropic.
    TvIsotropic,
    /// Isotropic, with a log weight for each patch.
    TvPatches,
    /// Isotropic, with a log weight for each pixel.
    TvPixels,
    /// Isotropic, learned from the noisy images alone: the loss is the risk estimate.
    TvSure,
    /// Tikhonov: the log weights of the image and of its horizontal and vertical differences.
    Tikhonov,
    /// A field of experts.
    Foe,
    /// A field of weakly convex experts.
    FoeWeaklyConvex,
    /// Deblurring by isotropic total variation.
    DeblurTv,
    /// Deblurring by a field of experts.
    DeblurFoe,
}

impl ProblemName {
    fn is_blurred(self) -> bool {
        matches!(self, ProblemName::DeblurTv | ProblemName::DeblurFoe)
    }
}

/// Clean images, and what was observed of them: noisy, and blurred where the problem says so.
struct Pairs<E> {
    clean: Vec<Image<E>>,
    noisy: Vec<Image<E>>,
}

impl<E: Element> Pairs<E> {
    fn new(clean: &[Image<f64>], options: &Options, stream: u64) -> Result<Self, Failure> {
        let observed = if options.problem.is_blurred() {
            let blurred = clean.iter().map(|c| blur(options, c)?.apply(c));
            blurred.collect::<Result<_, _>>().map_err(of_blur)?
        } else {
            clean.to_vec()
        };
        let noisy = with_noise(&observed, sigma(options), options.seed, stream);
        Ok(Pairs {
            clean: stored(clean),
            noisy: stored(&noisy),
        })
    }

    /// A lower level for each observed image.
    fn each<P>(&self, lower: impl Fn(&Image<E>) -> Result<P, Error>) -> Result<Vec<P>, Error> {
        self.noisy.iter().map(lower).collect()
    }
}

/// The standard deviation of the noise. What is blurred has less of it by default: a blur hides more than noise does.
fn sigma(options: &Options) -> f64 {
    let blurred = options.problem.is_blurred();
    options.sigma.unwrap_or(if blurred { 0.01 } else { 0.1 })
}

/// The blur of an image of this shape.
fn blur<E: Element>(options: &Options, image: &Image<E>) -> Result<Blur, Error> {
    let kernel = Kernel::gaussian(options.blur)?;
    Blur::new(&kernel, Boundary::Reflecting, image.rows(), image.cols())
}

fn of_blur(error: Error) -> Failure {
    format!("--blur: {error}").into()
}

/// The data of all problems.
struct Data<'a, E> {
    options: &'a Options,
    train: Pairs<E>,
    test: Pairs<E>,
    test_clean: Vec<Image<f64>>,
}

impl<'a, E: Element> Data<'a, E> {
    fn new(options: &'a Options) -> Result<Self, Failure> {
        check_sigma(sigma(options))?;
        let size = Some(options.size).filter(|size| *size > 0);
        let images = |paths: &[PathBuf], other: &dyn Fn() -> Result<Vec<Image<f64>>, Failure>| {
            let images = read_all(paths)?;
            scaled(if images.is_empty() { other()? } else { images }, size)
        };
        let mut clean = images(&options.train, &shipped)?;
        if let Some(count) = options.patches {
            clean = patches(&clean, count, options.patch_size, options.seed)?;
        }
        let test_clean = images(&options.test, &|| Ok(vec![photograph(HELD_OUT)?]))?;
        Ok(Data {
            train: Pairs::new(&clean, options, 0)?,
            test: Pairs::new(&test_clean, options, TEST_STREAM)?,
            test_clean,
            options,
        })
    }

    /// Compares the solvers on the oracle of the training pairs. That of the test pairs tells PSNR.
    fn learn<O>(
        &self,
        trust: Trust,
        start: &[f64],
        oracle: impl Fn(&Pairs<E>, Trust) -> Result<O, Error>,
    ) -> Result<(), Failure>
    where
        O: Oracle<Theta = Vec<f64>, State = Vec<ImplicitState<Vec<E>>>> + 'static,
    {
        let training = oracle(&self.train, self.trust(trust))?;
        self.compare(&training, &oracle(&self.test, Trust::Unknown)?, start)
    }

    fn compare<X: Vector>(
        &self,
        training: &Learned<X>,
        test: &Learned<Vec<E>>,
        start: &[f64],
    ) -> Result<(), Failure> {
        let theta = self.options.theta.as_deref().unwrap_or(start);
        compare(self.options, training, test, &self.test_clean, theta)
    }

    /// The trust of the options, or the default of the problem.
    fn trust(&self, default: Trust) -> Trust {
        self.options.trust.map_or(default, Trust::from)
    }

    /// Total variation with any weights. Those of patches and pixels are learned for images of one shape.
    fn learn_tv(&self, norm: Norm, weights: Weights) -> Result<(), Failure> {
        let entries = |y: &Image<E>| -> Result<usize, Error> {
            Ok(TvDenoising::new(y, norm)?.with_weights(weights).theta_len())
        };
        let noisy = self.train.noisy.iter().chain(&self.test.noisy);
        let mut shapes: Vec<_> = noisy.map(|y| (y.rows(), y.cols())).collect();
        shapes.dedup();
        if let ([(a, b), (c, d), ..], true) = (&shapes[..], weights != Weights::Global) {
            return Err(format!("a weight for each patch or pixel takes training and test images of one shape; there are {a}×{b} and {c}×{d} pixels").into());
        }
        let entries = self.train.noisy.first().map_or(Ok(0), entries)?;
        self.learn(Trust::Certified, &vec![-5.0; entries], |p, trust| {
            tv_denoising(&p.clean, &p.noisy, norm, weights, trust)
        })
    }
}

/// Makes the problem that the options ask for, and compares the solvers on it.
pub(super) fn solve<E: Lanes>(options: &Options) -> Result<(), Failure> {
    let data = Data::<E>::new(options)?;
    let experts =
        || Ok::<_, Error>(Experts::new(options.filters, options.filter_size)?.zero_mean());
    let learn_experts = |experts: Experts| {
        data.learn(Trust::Estimated, &experts.dct(), |p, trust| {
            foe_denoising(&p.clean, &p.noisy, &experts, trust)
        })
    };
    let tv = |y: &Image<E>| TvDenoising::new(y, Norm::Isotropic);
    match options.problem {
        ProblemName::Tv => data.learn_tv(Norm::Anisotropic, Weights::Global),
        ProblemName::TvIsotropic => data.learn_tv(Norm::Isotropic, Weights::Global),
        ProblemName::TvPatches => {
            let size = options.weight_patch.get();
            data.learn_tv(Norm::Isotropic, Weights::PerPatch { size })
        }
        ProblemName::TvPixels => data.learn_tv(Norm::Isotropic, Weights::PerPixel),
        ProblemName::TvSure => {
            let (noisy, sigma) = (&data.train.noisy, sigma(options));
            let trust = data.trust(Trust::Estimated);
            let training = sure(noisy, sigma, options.seed, trust, tv)?;
            let test = pairs(data.test.each(tv)?, &data.test.clean, Trust::Unknown)?;
            data.compare(&training, &test, &[-5.0, -5.0])
        }
        ProblemName::Tikhonov => data.learn(Trust::Certified, &[-4.0, -2.0, -2.0], |p, trust| {
            pairs(p.each(Tikhonov::new)?, &p.clean, trust)
        }),
        ProblemName::Foe => learn_experts(experts()?),
        ProblemName::FoeWeaklyConvex => {
            learn_experts(experts()?.with_potential(Potential::weakly_convex())?)
        }
        ProblemName::DeblurTv => data.learn(Trust::Estimated, &[-7.0, -4.0], |p, trust| {
            let lower = |y: &_| Deblurring::new(tv(y)?, blur(options, y)?, options.ridge);
            pairs(p.each(lower)?, &p.clean, trust)
        }),
        ProblemName::DeblurFoe => {
            let experts = experts()?;
            let mut start = experts.dct();
            start[0] -= LESS_NOISE;
            data.learn(Trust::Estimated, &start, |p, trust| {
                let lower = |y: &_| {
                    let denoiser = FoeDenoising::new(y, &experts)?;
                    Deblurring::new(denoiser, blur(options, y)?, options.ridge)
                };
                // As `foe_denoising` does.
                Ok(pairs(p.each(lower)?, &p.clean, trust)?.map(|term| {
                    term.with_lower_solver(Lbfgs::default())
                        .with_estimator(ErrorEstimator::NewtonStep)
                }))
            })
        }
    }
}
