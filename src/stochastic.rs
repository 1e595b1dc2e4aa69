//! Stochastic single-loop methods: θ, x and the adjoint v move together, on batches of the samples.
//!
//! ```text
//! x → x*(θ) = argmin g(·, θ),   v → A⁻¹∇ₓf,   θ → argmin F        all three by steps on batches ξ of the lower and ξ' of the upper level
//!
//! d_x = ∇ₓg(x, θ; ξ),   d_v = A(x, θ; ξ) v − ∇ₓf(x, θ; ξ'),   d_θ = ∇θf(x, θ; ξ') − B(x, θ; ξ)ᵀv
//! ```
//!
//! A [`Method`] defines how they move; every method has its own file. [`Stochastic`] turns a method into a [`Solver`](crate::Solver), so that
//! [`Run`](crate::Run) adds limits, observers, a trace and checkpoints. An iteration of the driver is a *block* of iterations of the method,
//! because one of them takes microseconds.
//!
//! # Methods
//! | method | file | idea | default steps a, b; c_γ, c_η | memory |
//! |---|---|---|---|---|
//! | [`Soba`] | `soba.rs` | one step of SGD on x, v and θ | ½, ½; 1/10, 1 | vectors |
//! | [`Saba`] | `saba.rs` | SOBA, the directions as in SAGA | 0, 0; ½, min(1, 3/b) | per batch of g 2 like x and 1 like θ, per batch of f 1 and 1 |
//! | [`MaSoba`] | `ma_soba.rs` | SOBA, θ moves along an average | ½, ½; 1/10, 1 | vectors |
//! | [`StocBio`] | `stocbio.rs` | 10 steps of x, Neumann series | 0, 0; ½, 1/10 | vectors |
//! | [`Ttsa`] | `ttsa.rs` | one step of x, Neumann series truncated at random, θ on a slower time scale | ⅖, ⅗; ½, 1 | vectors |
//! | [`Bsa`] | `bsa.rs` | loop of decaying steps of x, Neumann series truncated at random | 0, ½; ½, 1 | vectors |
//! | [`Amigo`] | `amigo.rs` | 10 steps of x, 10 of v, warm-started | ½, ½; 1/10, 1 | vectors |
//! | [`Fsla`] | `fsla.rs` | one step of x and v, momentum of STORM on θ | ½, ½; 1/10, 1 | vectors |
//! | [`Srba`] | `srba.rs` | recursive directions as in SARAH, periodically all samples | 0, 0; ½, 0.3/√b | vectors |
//! | [`Mrbo`] | `mrbo.rs` | recursive momentum on x and θ, Neumann series | ⅓, ⅓; ½, 1 | vectors |
//! | [`Sustain`] | `sustain.rs` | the recursion of MRBO with other weights | ⅓, ⅓; ½, 1 | vectors |
//! | [`Vrbo`] | `vrbo.rs` | SPIDER on x and θ, periodically all samples, Neumann series | 0, 0; ½, 1 | vectors |
//! | [`F2sa`] | `f2sa.rs` | first derivatives only, a growing penalty | see its page | vectors |
//! | [`Bome`] | `bome.rs` | first derivatives only, a barrier on the lower value | see its page | vectors |
//! | [`BoRep`] | `bo_rep.rs` | normalised momentum, x refined at the start and periodically | ¼, ⅔; ½, 1 normalised | vectors |
//! | [`Slip`] | `slip.rs` | normalised momentum, one step of x and v | ¼, ⅔; ½, 1 normalised | vectors |
//! | [`AccBo`] | `accbo.rs` | normalised recursive momentum, x by Nesterov's acceleration | ¼, ⅔; ½, 1 normalised | vectors |
//!
//! Vectors: a number of vectors that does not depend on the number of samples. b: batches per epoch, of the level that has more. Only SABA and
//! SRBA converge to the minimiser with constant steps.
//!
//! # Trust
//! The rows of the trace hold f at x on a few batches and the norm of the mean of d_θ over the block: estimates of unknown error, marked as
//! such. At the end the oracle evaluates F(θ) and ∇F(θ) with bounds, as for every solver; the report holds these. A stochastic run does not
//! test for convergence: it ends by a limit, or as [`Diverged`](crate::Status::Diverged) when θ, x or v is not finite or θ leaves the domain
//! of the problem.
//!
//! # Steps
//! γₖ = γ₀/(1 + k/κ)ᵃ for x (and v), ηₖ = η₀/(1 + k/κ)ᵇ for θ. Exponents are those of the method's theory unless set. γ₀ and η₀ come from
//! probes of the curvature unless set, with the c_γ and c_η of the table; see [`steps`] and [`curvature_probe`].

pub mod accbo;
pub mod amigo;
pub mod bo_rep;
pub mod bome;
pub mod bsa;
pub mod curvature_probe;
mod driver;
pub mod f2sa;
pub mod fsla;
mod iterate;
mod levels;
pub mod ma_soba;
mod method;
pub mod mrbo;
pub mod neumann;
mod parts;
pub mod saba;
pub mod sampler;
pub mod slip;
pub mod soba;
pub mod srba;
pub mod steps;
pub mod stocbio;
pub mod storm;
pub mod sustain;
pub mod ttsa;
pub mod vrbo;

pub use accbo::AccBo;
pub use amigo::Amigo;
pub use bo_rep::BoRep;
pub use bome::Bome;
pub use bsa::Bsa;
pub use driver::{Stochastic, StochasticState};
pub use f2sa::F2sa;
pub use fsla::Fsla;
pub use iterate::{Directions, Iterate, MethodMemory};
pub use levels::{Levels, MinibatchOracle};
pub use ma_soba::MaSoba;
pub use method::Method;
pub use mrbo::Mrbo;
pub use neumann::Truncation;
pub use saba::Saba;
pub use sampler::{Sampler, Sampling};
pub use slip::Slip;
pub use soba::Soba;
pub use srba::Srba;
pub use steps::{StepDefaults, StepSize, StepSizes};
pub use stocbio::StocBio;
pub use sustain::Sustain;
pub use ttsa::Ttsa;
pub use vrbo::Vrbo;
