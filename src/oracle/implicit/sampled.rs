//! Constants of the error bound from samples, where a problem does not supply them or estimates are requested.
//!
//! Changes of A, B and ∇f are measured over steps of length ε from x̃, along −∇ₓg (the likely direction of the error) and along
//! random directions; ‖B‖ by power iterations; μ as the smallest Ritz value of a short Lanczos process and of q, which is a step of inverse
//! iteration at no extra cost. A sample never exceeds the constant that it estimates, so all samples are multiplied by a safety factor. The
//! bound is then likely, not certain, and its trust [`Estimated`](crate::Trust::Estimated).

use chacha20::ChaCha8Rng;
use chacha20::rand_core::SeedableRng;

use super::point::{AdjointPoint, LowerPoint};
use crate::hypergradient::bound::BoundTerms;
use crate::problem::check::random;
use crate::problem::{Linearization, LowerLevel, UpperLevel};
use crate::vector::{Scratch, Vector};
use crate::work::Work;

/// The safety factor of sampled constants.
const SAFETY: f64 = 2.0;
/// Random directions beside −∇ₓg.
const PROBES: usize = 1;
/// Steps of the power iteration for ‖B‖.
const POWER_STEPS: usize = 8;
/// Steps of the Lanczos process for μ.
const LANCZOS_STEPS: usize = 40;

/// L_f from the change of ∇ₓf over a step of length ε along itself.
pub(super) fn upper_lipschitz<P, U>(
    upper: &U,
    at: &LowerPoint<'_, P>,
    gradient: &P::X,
    epsilon: f64,
    work: &mut Work,
    scratch: &mut Scratch<P::X>,
) -> f64
where
    P: LowerLevel,
    U: UpperLevel<Theta = P::Theta, X = P::X>,
{
    let norm = gradient.norm();
    if norm == 0.0 || epsilon == 0.0 {
        return 0.0;
    }
    let mut there = scratch.take(at.x);
    let mut change = scratch.take(at.x);
    there.copy_from(at.x);
    there.axpy(epsilon / norm, gradient);
    upper.gradient_x(&there, at.theta, &mut change);
    work.upper_gradients += 1;
    change.axpy(-1.0, gradient);
    let estimate = SAFETY * change.norm() / epsilon;
    scratch.put(there);
    scratch.put(change);
    estimate
}

/// The terms of the bound. Where the problem does not supply μ, `mu` becomes the smallest estimate so far.
#[allow(clippy::too_many_arguments)] // the quantities of the formula
pub(super) fn bound_terms<P, U>(
    lower: &P,
    upper: &U,
    at: &LowerPoint<'_, P>,
    linearization: &impl Linearization<Theta = P::Theta, X = P::X>,
    found: &AdjointPoint<'_, P::X>,
    lower_gradient: &P::X,
    mu: &mut Option<f64>,
    work: &mut Work,
    scratch: &mut Scratch<P::X>,
) -> BoundTerms
where
    P: LowerLevel,
    U: UpperLevel<Theta = P::Theta, X = P::X>,
{
    let LowerPoint { theta, x, solved } = *at;
    let q = found.q;
    let known = lower.curvature(theta);
    // The same directions at every point of a problem, so that a run depends on its settings alone.
    let mut rng = ChaCha8Rng::seed_from_u64(x.len() as u64);
    let [mut aq, mut there, mut out] = std::array::from_fn(|_| scratch.take(x));
    linearization.hvp(q, &mut aq);
    work.hessian_products += 1;
    let proved = solved.strong_convexity.or(known.strong_convexity);
    let strong_convexity = proved.unwrap_or_else(|| {
        let of_q = q.dot(&aq) / q.dot(q);
        let ritz = smallest_ritz_value(linearization, x, &mut rng, work, scratch);
        let estimate = (if of_q > 0.0 { ritz.min(of_q) } else { ritz }) / SAFETY;
        *mu.insert(mu.map_or(estimate, |smallest| smallest.min(estimate)))
    });
    let epsilon = solved
        .epsilon
        .unwrap_or(solved.gradient_norm / strong_convexity);
    let cross_norm = linearization
        .cross_norm(&mut there)
        .or(known.cross_norm)
        .unwrap_or_else(|| {
            let mut u = random(theta, &mut rng);
            let mut norm = 0.0;
            for _ in 0..POWER_STEPS {
                let length = u.norm();
                if length == 0.0 {
                    break;
                }
                u.scale(1.0 / length);
                linearization.cross_jvp(&u, &mut out);
                linearization.cross_vjp(&out, &mut u);
                work.cross_products += 2;
                norm = out.norm();
            }
            SAFETY * norm
        });
    let [mut btq, mut f_theta, mut change] = std::array::from_fn(|_| theta.clone());
    linearization.cross_vjp(q, &mut btq);
    upper.gradient_theta(x, theta, &mut f_theta);
    work.cross_products += 1;
    // A vector other than q, for the change of B as a whole: along q alone it can vanish.
    let r = random(x, &mut rng);
    let mut btr = theta.clone();
    linearization.cross_vjp(&r, &mut btr);
    work.cross_products += 1;
    // The largest changes of A q, Bᵀq, ∇ₓf, ∇θf and Bᵀr.
    let mut largest = [0.0f64; 5];
    for probe in 0..=PROBES {
        if probe == 0 {
            there.copy_from(lower_gradient);
        } else {
            there.copy_from(&random(x, &mut rng));
        }
        let length = there.norm();
        if length == 0.0 || epsilon == 0.0 {
            continue;
        }
        there.axpby(1.0, x, -epsilon / length);
        let moved = lower.linearize(&there, theta);
        moved.hvp(q, &mut out);
        out.axpy(-1.0, &aq);
        largest[0] = largest[0].max(out.norm());
        moved.cross_vjp(q, &mut change);
        change.axpy(-1.0, &btq);
        largest[1] = largest[1].max(change.norm());
        upper.gradient_x(&there, theta, &mut out);
        out.axpy(-1.0, found.rhs);
        largest[2] = largest[2].max(out.norm());
        upper.gradient_theta(&there, theta, &mut change);
        change.axpy(-1.0, &f_theta);
        largest[3] = largest[3].max(change.norm());
        moved.cross_vjp(&r, &mut change);
        change.axpy(-1.0, &btr);
        largest[4] = largest[4].max(change.norm());
        work.hessian_products += 1;
        work.cross_products += 2;
        work.upper_gradients += 1;
    }
    for v in [aq, there, out] {
        scratch.put(v);
    }
    let [
        hessian_change,
        cross_change,
        gradient_x_change,
        gradient_theta_change,
        cross_change_r,
    ] = largest.map(|l| SAFETY * l);
    let along_q = cross_change / found.q_norm.max(f64::MIN_POSITIVE);
    let along_r = cross_change_r / r.norm().max(f64::MIN_POSITIVE);
    BoundTerms {
        delta: found.delta,
        mu: strong_convexity,
        cross_norm,
        gradient_x_change,
        gradient_theta_change,
        hessian_change,
        cross_change,
        cross_change_norm: along_q.max(along_r),
        gradient_x_norm: found.rhs_norm,
    }
}

/// The smallest eigenvalue of A, from above: that of the tridiagonal matrix of a Lanczos process from a random vector.
///
/// Without reorthogonalisation, whose loss repeats Ritz values but does not move the outer ones.
fn smallest_ritz_value<X: Vector>(
    linearization: &impl Linearization<X = X>,
    x: &X,
    rng: &mut ChaCha8Rng,
    work: &mut Work,
    scratch: &mut Scratch<X>,
) -> f64 {
    let mut v = random(x, rng);
    v.scale(1.0 / v.norm().max(f64::MIN_POSITIVE));
    let mut v_old = scratch.take(x);
    let mut av = scratch.take(x);
    let (mut alphas, mut betas) = (Vec::<f64>::new(), Vec::<f64>::new());
    for _ in 0..LANCZOS_STEPS.min(x.len()) {
        linearization.hvp(&v, &mut av);
        work.hessian_products += 1;
        let alpha = v.dot(&av);
        av.axpy(-alpha, &v);
        if let Some(&beta) = betas.last() {
            av.axpy(-beta, &v_old);
        }
        alphas.push(alpha);
        let beta = av.norm();
        if !beta.is_finite() || beta <= f64::EPSILON * alpha.abs() {
            break;
        }
        betas.push(beta);
        std::mem::swap(&mut v_old, &mut v);
        v.axpby(1.0 / beta, &av, 0.0);
    }
    scratch.put(v_old);
    scratch.put(av);
    smallest_eigenvalue(&alphas, &betas).max(f64::MIN_POSITIVE)
}

/// The smallest eigenvalue of the symmetric tridiagonal matrix with this diagonal and this off-diagonal, by bisection with Sturm sequences.
/// Up to rounding the result is a lower bound of all eigenvalues.
fn smallest_eigenvalue(diagonal: &[f64], beside: &[f64]) -> f64 {
    let off = |i: usize| beside.get(i).map_or(0.0, |b| b.abs());
    let n = diagonal.len();
    let disc = |i: usize| {
        (
            diagonal[i],
            if i > 0 { off(i - 1) } else { 0.0 } + if i + 1 < n { off(i) } else { 0.0 },
        )
    };
    // Gershgorin's discs, and the smallest entry of the diagonal, which is a Rayleigh quotient.
    let mut low = (0..n)
        .map(disc)
        .fold(f64::INFINITY, |low, (c, r)| low.min(c - r));
    let mut high = diagonal.iter().copied().fold(f64::INFINITY, f64::min);
    let below = |shift: f64| {
        let mut pivot = 1.0f64;
        (0..n).any(|i| {
            let b = if i > 0 { off(i - 1) } else { 0.0 };
            // b² would leave the range of the numbers before the eigenvalues do. A pivot of zero counts as a tiny positive one, after
            // which the next pivot is negative.
            pivot = diagonal[i] - shift - if b > 0.0 { b * (b / pivot) } else { 0.0 };
            pivot < 0.0
        })
    };
    if !(low.is_finite() && high.is_finite()) {
        return f64::MIN_POSITIVE;
    }
    loop {
        let middle = low + 0.5 * (high - low);
        if middle <= low || middle >= high {
            return low;
        }
        if below(middle) {
            high = middle;
        } else {
            low = middle;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::smallest_eigenvalue;

    #[test]
    fn the_smallest_eigenvalue_is_that_of_the_closed_form() {
        // tridiag(−1, 2, −1) of size n has the eigenvalues 2 − 2 cos(kπ/(n + 1)).
        for n in 1..40usize {
            let exact = 2.0 - 2.0 * (std::f64::consts::PI / (n + 1) as f64).cos();
            let found = smallest_eigenvalue(&vec![2.0; n], &vec![-1.0; n - 1]);
            assert!(
                (found - exact).abs() <= 8.0 * f64::EPSILON,
                "{n}: {found} {exact}"
            );
        }
    }

    #[test]
    fn scales_zero_pivots_and_parts_without_coupling_do_not_mislead_it() {
        for scale in [1e-200, 1e-9, 1.0, 1e9, 1e140] {
            let found = smallest_eigenvalue(&[2.0 * scale, 2.0 * scale], &[scale]);
            assert!((found / scale - 1.0).abs() <= 8.0 * f64::EPSILON, "{found}");
        }
        // The first pivot is zero at the shift 3; the eigenvalues are 3 ± 1.
        let found = smallest_eigenvalue(&[3.0, 3.0], &[1.0]);
        assert!((found - 2.0).abs() <= 8.0 * f64::EPSILON, "{found}");
        assert_eq!(smallest_eigenvalue(&[5.0, 0.5, 7.0], &[0.0, 0.0]), 0.5);
        // An indefinite matrix has a negative one.
        let found = smallest_eigenvalue(&[1.0, 1.0], &[3.0]);
        assert!((found + 2.0).abs() <= 8.0 * f64::EPSILON, "{found}");
    }
}
