//! Memory: how many vectors of the image's size a run holds, and that iterations allocate nothing.
//!
//! One test, because the counts are those of the whole process.

#![allow(clippy::unwrap_used)] // helpers of tests are tests

use bilevel::linear::{Cg, LinearSolver, System};
use bilevel::lower::{Fista, Lbfgs, LowerSolver};
use bilevel::problem::minibatch::{Batch, MinibatchLower, Products};
use bilevel::vector::Scratch;
use bilevel::{Linearization, LowerLevel, Maid, Run, Trust, Vector, parallel};
use bilevel_problems::data::{Features, LabelledData, digits, photograph, resized};
use bilevel_problems::imaging::{
    Blur, Boundary, Deblurring, Experts, FoeDenoising, Image, Kernel, Norm, Potential,
    Preconditioner, Tikhonov, TvDenoising, Weights, tv_denoising,
};
use bilevel_problems::linear::hyper_cleaning::HyperCleaning;
use bilevel_problems::linear::logistic::{LogisticRegression, Penalty};

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

#[test]
fn a_run_holds_at_most_twelve_vectors_an_image_and_iterations_allocate_nothing() {
    let clean = photograph("camera").unwrap();
    let noisy = clean.with_noise(0.1, 0, 0);
    let vector = size_of_val(clean.pixels()) as f64;
    for norm in [Norm::Anisotropic, Norm::Isotropic] {
        for images in [1, 3] {
            let pairs = |image: &Image<f64>| vec![image.clone(); images];
            let (a, b) = (pairs(&clean), pairs(&noisy));
            let profiler = dhat::Profiler::builder().testing().build();
            let report = parallel::with_threads(2, || {
                let oracle = tv_denoising(&a, &b, norm, Weights::Global, Trust::Certified).unwrap();
                Run::new(&oracle, Maid::default())
                    .max_iterations(3)
                    .start(vec![-5.0, -5.0])
                    .unwrap()
            })
            .unwrap();
            let peak = dhat::HeapStats::get().max_bytes as f64 / vector / images as f64;
            drop(profiler);
            assert!(report.iterations > 0);
            println!("{norm:?}, {images} images: {peak:.1} vectors an image at the peak");
            assert!(peak <= 12.0, "{norm:?}, {images} images: {peak}");
        }
        for preconditioner in [
            Preconditioner::None,
            Preconditioner::Diagonal,
            Preconditioner::Cosine,
        ] {
            let problem = TvDenoising::new(&noisy, norm).unwrap();
            iterations_allocate_nothing(
                &problem.with_preconditioner(preconditioner),
                &vec![-3.0, -5.0],
            );
        }
    }
    let weights = Weights::PerPatch { size: 32 };
    let problem = TvDenoising::new(&noisy, Norm::Isotropic).unwrap();
    let problem = problem.with_weights(weights);
    iterations_allocate_nothing(&problem, &vec![-3.0; problem.theta_len()]);
    for boundary in [Boundary::Periodic, Boundary::Reflecting] {
        let kernel = Kernel::gaussian(1.0).unwrap();
        let blur = Blur::new(&kernel, boundary, clean.rows(), clean.cols()).unwrap();
        let denoiser = Tikhonov::new(&noisy).unwrap();
        iterations_allocate_nothing(&denoiser, &vec![-3.0; 3]);
        let problem = Deblurring::new(denoiser, blur, 1e-2).unwrap();
        iterations_allocate_nothing(&problem, &vec![-3.0; 3]);
    }
    let small = resized(&noisy, 64).unwrap();
    let convex = Experts::new(4, 5).unwrap().zero_mean();
    let weakly_convex = convex
        .clone()
        .with_potential(Potential::weakly_convex())
        .unwrap();
    for experts in [convex, weakly_convex] {
        let problem = FoeDenoising::new(&small, &experts).unwrap();
        iterations_allocate_nothing(&problem, &experts.dct());
    }
    let table = digits().unwrap();
    for table in [table.to_sparse(), table.clone()] {
        for penalty in [Penalty::Single, Penalty::PerWeight] {
            let problem = LogisticRegression::new(&table, penalty).unwrap();
            let theta = vec![-3.0; problem.theta_len()];
            iterations_allocate_nothing(&problem, &theta);
            batches_allocate_nothing(&problem, &theta);
        }
        let problem = HyperCleaning::new(&table, 0.1).unwrap();
        let theta = vec![0.0; table.samples()];
        iterations_allocate_nothing(&problem, &theta);
        batches_allocate_nothing(&problem, &theta);
    }
    // Two classes and small penalties: the Hessian is formed, for its modulus and as a preconditioner.
    let Features::Dense(features) = table.features() else {
        unreachable!("the digits are dense");
    };
    let labels = table.labels().iter().map(|l| l % 2).collect();
    let parity = LabelledData::dense(table.columns(), features.clone(), labels, 2).unwrap();
    for table in [parity.to_sparse(), parity] {
        let problem = LogisticRegression::new(&table, Penalty::PerFeature).unwrap();
        iterations_allocate_nothing(&problem, &vec![-12.0; problem.theta_len()]);
    }
}

/// Everything that a stochastic method calls, on contiguous and on listed samples.
fn batches_allocate_nothing<P>(problem: &P, theta: &Vec<f64>)
where
    P: MinibatchLower<Theta = Vec<f64>, X = Vec<f64>>,
{
    let x = problem.start();
    let (mut gradient, mut hvp, mut cross) = (x.clone(), x.clone(), theta.clone());
    let mut blocks = |calls: usize| {
        let before = dhat::HeapStats::get().total_blocks;
        for call in 0..calls {
            let (start, end) = (call % 9 * 64, call % 9 * 64 + 64);
            for batch in [Batch::Range { start, end }, Batch::List(&[7, 1, 30])] {
                problem.batch_gradient(batch, &x, theta, &mut gradient);
                problem.batch_gradient_theta(batch, &x, theta, &mut cross);
                problem.batch_hvp(batch, &x, theta, &x, &mut hvp);
                problem.batch_cross_vjp(batch, &x, theta, &x, &mut cross);
                let products = Products {
                    gradient: &mut gradient,
                    hvp: &mut hvp,
                    cross: &mut cross,
                };
                problem.batch_all(batch, &x, theta, &x, products);
            }
        }
        dhat::HeapStats::get().total_blocks - before
    };
    let profiler = dhat::Profiler::builder().testing().build();
    blocks(2);
    let later = blocks(50);
    drop(profiler);
    // As below: a pool of threads that is ending may add one.
    assert!(later <= 2, "{later} blocks, {}", problem.identity());
}

/// Of both lower solvers and of CG. On one thread: how many row buffers several threads need depends on how they meet.
fn iterations_allocate_nothing<P>(problem: &P, theta: &Vec<f64>)
where
    P: LowerLevel<Theta = Vec<f64>, X = Vec<f64>>,
{
    let fista = |max_iterations| Fista {
        max_iterations,
        ..Fista::default()
    };
    let lbfgs = |max_iterations| Lbfgs {
        max_iterations,
        ..Lbfgs::default()
    };
    solver_allocates_nothing(problem, theta, fista);
    solver_allocates_nothing(problem, theta, lbfgs);
}

/// `solver` makes a solver of so many iterations.
fn solver_allocates_nothing<P, S>(problem: &P, theta: &Vec<f64>, solver: impl Fn(u64) -> S + Sync)
where
    P: LowerLevel<Theta = Vec<f64>, X = Vec<f64>>,
    S: LowerSolver,
{
    let mut scratch = Scratch::default();
    let start = problem.start();
    let mut x = start.clone();
    let mut q = x.zeros_like();
    // Not the start, which is zero for some problems.
    let mut rhs = x.clone();
    rhs.assign(&mut |i| (1.0 + i as f64).sin());
    let mut blocks = |iterations: u64| {
        let before = dhat::HeapStats::get().total_blocks;
        x.copy_from(&start);
        let report = solver(iterations).minimize(problem, theta, 1e-300, &mut x, &mut scratch);
        let at = problem.linearize(&x, theta);
        let product = |v: &Vec<f64>, out: &mut Vec<f64>| at.hvp(v, out);
        let precondition = |v: &Vec<f64>, out: &mut Vec<f64>| at.precondition(v, out);
        let system = System {
            product: &product,
            preconditioner: at.has_preconditioner().then_some(&precondition),
            sparse: None,
            rhs: &rhs,
            tolerance: 1e-300,
        };
        let cg = Cg {
            max_iterations: iterations,
            ..Cg::default()
        };
        let products = cg.solve(&system, &mut q, &mut scratch).products;
        q.assign(&mut |_| 0.0);
        let blocks = dhat::HeapStats::get().total_blocks - before;
        (blocks, report.iterations, products)
    };
    let profiler = dhat::Profiler::builder().testing().build();
    // The first call fills the memory of L-BFGS, too.
    let (first, short, long) =
        parallel::with_threads(1, || (blocks(60), blocks(3), blocks(60))).unwrap();
    drop(profiler);
    let case = problem.identity();
    assert!(first.0 > 0, "the first call allocates");
    let (iterations, products) = (long.1 - short.1, long.2 - short.2);
    assert!(
        iterations >= 10 && products >= 10,
        "{iterations} {products} {case}"
    );
    // The counts are those of the process: a pool of threads that is ending may add one.
    assert!(
        long.0 <= short.0 + 2,
        "{iterations} more iterations and {products} more products allocate nothing: {} and {}, {case}",
        short.0,
        long.0
    );
}
