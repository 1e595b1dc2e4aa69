//! The savings of the preconditioners of TV denoising: Hessian products of the adjoint and of Newton's method, at several θ.
//!
//! ```text
//! [BILEVEL_DATA=…] cargo bench -p bilevel-benches --bench tv_preconditioning
//! ```
//!
//! One photograph of 64×64 pixels from the tests, and where `BILEVEL_DATA` is set the twelve of `tv_kodak96`. Counts are means over
//! the images; seconds are those of all images on one thread, and rough.

#![allow(clippy::panic)] // a bench that cannot be set up ends with the reason

use bilevel::lower::{Fista, LowerSolver, NewtonCg};
use bilevel::vector::Scratch;
use bilevel::{Accuracy, Implicit, Maid, Mean, Oracle, Run, Trust};
use bilevel_problems::data::read_npy;
use bilevel_problems::imaging::{Image, Norm, Preconditioner, SquaredError, TvDenoising, pairs};
use std::path::PathBuf;
use std::time::Instant;

type Images = Vec<Image<f64>>;

fn read(path: PathBuf) -> Images {
    read_npy(path).unwrap_or_else(|e| panic!("{e}"))
}

fn problems(noisy: &Images, norm: Norm, preconditioner: Preconditioner) -> Vec<TvDenoising<f64>> {
    let problem = |y| Ok(TvDenoising::new(y, norm)?.with_preconditioner(preconditioner));
    let all: Result<Vec<_>, bilevel::Error> = noisy.iter().map(problem).collect();
    all.unwrap_or_else(|e| panic!("{e}"))
}

fn oracle(
    (clean, noisy): &(Images, Images),
    norm: Norm,
    preconditioner: Preconditioner,
) -> Mean<Implicit<TvDenoising<f64>, SquaredError<f64>>> {
    pairs(
        problems(noisy, norm, preconditioner),
        clean,
        Trust::Certified,
    )
    .unwrap_or_else(|e| panic!("{e}"))
}

const ALL: [Preconditioner; 3] = [
    Preconditioner::None,
    Preconditioner::Diagonal,
    Preconditioner::Cosine,
];

fn adjoint(name: &str, images: &(Images, Images), norm: Norm, theta: [f64; 2], delta: f64) {
    print!("| {name} | {norm:?} | {theta:?} | {delta:e} |");
    for preconditioner in ALL {
        let oracle = oracle(images, norm, preconditioner);
        let theta = theta.to_vec();
        let mut state = oracle.start(&theta).unwrap_or_else(|e| panic!("{e}"));
        let accuracy = Accuracy {
            epsilon: 1e-3,
            delta,
        };
        // The lower level first, so that the second call is the adjoint alone.
        let solved = oracle.value(&theta, 0.5e-3, &mut state);
        solved.unwrap_or_else(|e| panic!("{e}"));
        let clock = Instant::now();
        let z = oracle.hypergradient(&theta, accuracy, &mut state);
        let z = z.unwrap_or_else(|e| panic!("{e}"));
        print!(
            " {:.0} ({:.1} ms) |",
            z.work.hessian_products as f64 / images.0.len() as f64,
            clock.elapsed().as_secs_f64() * 1e3
        );
    }
    println!();
}

fn newton(name: &str, images: &(Images, Images), norm: Norm, theta: [f64; 2]) {
    let epsilon = 1e-3;
    let theta = theta.to_vec();
    print!("| {name} | {norm:?} | {theta:?} |");
    let mut fista = 0;
    let clock = Instant::now();
    for problem in problems(&images.1, norm, Preconditioner::None) {
        let mut x = bilevel::LowerLevel::start(&problem);
        let solver = Fista::default();
        let report = solver.minimize(&problem, &theta, epsilon, &mut x, &mut Scratch::default());
        fista += report.work.iterations();
    }
    let m = images.0.len() as f64;
    print!(
        " {:.0} ({:.0} ms) |",
        fista as f64 / m,
        clock.elapsed().as_secs_f64() * 1e3
    );
    for preconditioner in ALL {
        let mut work = 0;
        let clock = Instant::now();
        for problem in problems(&images.1, norm, preconditioner) {
            let mut x = bilevel::LowerLevel::start(&problem);
            let solver = NewtonCg::default();
            let report =
                solver.minimize(&problem, &theta, epsilon, &mut x, &mut Scratch::default());
            work += report.work.iterations();
        }
        print!(
            " {:.0} ({:.0} ms) |",
            work as f64 / m,
            clock.elapsed().as_secs_f64() * 1e3
        );
    }
    println!();
}

fn measure() {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../problems/tests/golden");
    let mut sets = vec![(
        "camera64",
        (
            read(here.join("camera64_clean.npy")),
            read(here.join("camera64_noisy.npy")),
        ),
    )];
    if let Some(data) = std::env::var_os("BILEVEL_DATA").map(PathBuf::from) {
        let folder = data.join("tv_kodak96");
        sets.push((
            "kodak96",
            (
                read(folder.join("clean.npy")),
                read(folder.join("noisy.npy")),
            ),
        ));
    }
    let thetas = [
        [-5.0, -5.0],
        [-3.0, -3.0],
        [-2.5, -5.0],
        [-1.0, -2.0],
        [1.0, -2.0],
    ];
    println!("| images | norm | θ | δ | CG | diagonal | cosine |\n|---|---|---|---|---|---|---|");
    for (name, images) in &sets {
        for norm in [Norm::Anisotropic, Norm::Isotropic] {
            for theta in thetas {
                for delta in [1e-1, 1e-5] {
                    adjoint(name, images, norm, theta, delta);
                }
            }
        }
    }
    println!(
        "\n| images | norm | θ | FISTA | Newton-CG | diagonal | cosine |\n|---|---|---|---|---|---|---|"
    );
    for (name, images) in &sets {
        for theta in thetas {
            newton(name, images, Norm::Anisotropic, theta);
        }
    }
    println!(
        "\n| images | preconditioner | lower gradients | Hessian products | F | seconds |\n|---|---|---|---|---|---|"
    );
    for (name, images) in &sets {
        for preconditioner in ALL {
            let clock = Instant::now();
            let oracle = oracle(images, Norm::Anisotropic, preconditioner);
            let report = Run::new(&oracle, Maid::with_accuracy(0.1))
                .tolerance(0.0)
                .max_iterations(10)
                .start(vec![-5.0, -5.0])
                .unwrap_or_else(|e| panic!("{e}"));
            let m = images.0.len() as f64;
            println!(
                "| {name} | {preconditioner:?} | {:.0} | {:.0} | {:.6} | {:.2} |",
                report.work.lower_gradients as f64 / m,
                report.work.hessian_products as f64 / m,
                report.value.value,
                clock.elapsed().as_secs_f64()
            );
        }
    }
}

fn main() {
    bilevel::parallel::with_threads(1, measure).unwrap_or_else(|e| panic!("{e}"));
}
