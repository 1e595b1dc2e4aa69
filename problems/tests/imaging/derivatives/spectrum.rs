//! S(θ) of weakly convex experts: a smooth bound of the largest eigenvalue of Σₖ bₖ CₖᵀCₖ.
//!
//! ```text
//! s(ω) = Σₖ bₖ |ĉₖ(ω)|²,   N = (Σ_ω s(ω)¹⁶)^(1/16),   S = N/cos²(π/16)
//! ```
//!
//! over a grid of sixteen points a turn for every degree of the polynomial s.

use bilevel::autodiff::{Number, Scalar};
use std::f64::consts::PI;

const EXPONENT: f64 = 16.0;

fn between() -> f64 {
    (1.0 + 1e-12) / (PI / 16.0).cos().powi(2)
}

/// The cosines and sines of ⟨ω, position⟩ for the positions in a filter, for every ω.
fn waves(size: usize) -> Vec<[Vec<f64>; 2]> {
    let grid = 16 * (size - 1);
    (0..grid * grid)
        .map(|at| {
            let phase = |a: usize| {
                let turns = (at / grid * (a / size) + at % grid * (a % size)) % grid;
                2.0 * PI * turns as f64 / grid as f64
            };
            let all = 0..size * size;
            [
                all.clone().map(|a| phase(a).cos()).collect(),
                all.map(|a| phase(a).sin()).collect(),
            ]
        })
        .collect()
}

/// The transforms ĉₖ(ω) of all filters, and s(ω).
fn spectrum<S: Scalar>(wave: &[Vec<f64>; 2], b: &[S], filters: &[S]) -> (Vec<[S; 2]>, S) {
    let filters = filters.chunks_exact(wave[0].len());
    let parts = filters.map(|c| [S::dot_data(c, &wave[0]), S::dot_data(c, &wave[1])]);
    let parts: Vec<[S; 2]> = parts.collect();
    let terms = parts.iter().zip(b);
    let terms: Vec<S> = terms
        .map(|([re, im], &b)| b * (re.squared() + im.squared()))
        .collect();
    let sum = S::sum(&terms);
    (parts, sum)
}

/// N.
fn norm<S: Scalar>(waves: &[[Vec<f64>; 2]], b: &[S], filters: &[S]) -> S {
    let powers = waves
        .iter()
        .map(|w| spectrum(w, b, filters).1.powf(EXPONENT));
    let powers: Vec<S> = powers.collect();
    S::sum(&powers).powf(1.0 / EXPONENT)
}

/// S.
pub(super) fn bound<S: Scalar>(size: usize, b: &[S], filters: &[S]) -> S {
    norm(&waves(size), b, filters).times(between())
}

/// S and its derivatives in b and in the filters.
pub(super) fn gradients<S: Number>(size: usize, b: &[S], filters: &[S]) -> (S, Vec<S>, Vec<S>) {
    let waves = waves(size);
    let norm = norm(&waves, b, filters);
    let (mut by_b, mut by_filters) = (
        vec![S::default(); b.len()],
        vec![S::default(); filters.len()],
    );
    for wave in &waves {
        let (parts, s) = spectrum(wave, b, filters);
        // dN/ds = (s/N)¹⁵.
        let slope = (s / norm).powf(EXPONENT - 1.0).times(between());
        let places = by_filters.chunks_exact_mut(size * size);
        for (((by_b, by_filter), &b), [re, im]) in by_b.iter_mut().zip(places).zip(b).zip(parts) {
            *by_b += slope * (re.squared() + im.squared());
            let twice = (slope * b).times(2.0);
            for ((out, &cos), &sin) in by_filter.iter_mut().zip(&wave[0]).zip(&wave[1]) {
                *out += twice * (re.times(cos) + im.times(sin));
            }
        }
    }
    (norm.times(between()), by_b, by_filters)
}
