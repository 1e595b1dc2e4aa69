//! Products with the data of several samples: sizes of every kind, lists, other types of data, and the order of their sums.

use bilevel::autodiff::{Dual, Number, Real, Rows, Scalar, Var};
use bilevel::parallel::with_threads;
use bilevel::problem::minibatch::Batch;

use super::functions::{close, swept};

fn numbers<E: Real>(len: usize, f: f64) -> Vec<E> {
    (0..len)
        .map(|k| E::from_f64((f * (k + 1) as f64).sin()))
        .collect()
}

fn duals<E: Real>(len: usize, f: f64) -> Vec<Dual<E>> {
    let both = numbers::<E>(len, f).into_iter().zip(numbers(len, f + 0.3));
    both.map(|(re, eps)| Dual::new(re, eps)).collect()
}

fn values<S: Number>(of: &[S]) -> Vec<f64> {
    let parts = of.iter().map(|s| [s.real_part(), s.tangent()]);
    parts.flatten().map(|e| e.value()).collect()
}

/// A link that is not linear and depends on the sample.
fn link<S: Number, D: Real>(c: usize) -> impl Fn(Rows<'_, D>, &mut [S]) + Sync {
    move |rows, scores| {
        for (i, scores) in rows.samples().zip(scores.chunks_exact_mut(c)) {
            for s in scores {
                *s = s.squared().plus(0.1 * i as f64);
            }
        }
    }
}

/// The same by the functions for one sample.
fn one_by_one<S: Number>(
    w: &[S],
    data: &[f64],
    columns: usize,
    batch: Batch<'_>,
) -> (Vec<S>, Vec<S>) {
    let c = w.len() / columns;
    let (mut all, mut out) = (Vec::new(), vec![S::default(); w.len()]);
    for i in batch.iter() {
        let row = &data[i * columns..(i + 1) * columns];
        let mut scores = vec![S::default(); c];
        S::mat_data(w, row, &mut scores);
        for (k, &s) in scores.iter().enumerate() {
            let r = s.squared().plus(0.1 * i as f64);
            for (out, &d) in out[k * columns..].iter_mut().zip(row) {
                *out += r.times(d);
            }
        }
        all.extend(scores);
    }
    (all, out)
}

fn check<S: Number, D: Real>(
    w: &[S],
    columns: usize,
    samples: usize,
    batch: Batch<'_>,
    tolerance: f64,
) {
    let data = numbers::<D>(samples * columns, 0.7);
    let wide: Vec<f64> = data.iter().map(|d| d.value()).collect();
    let c = w.len() / columns;
    let rows = Rows::new(&data, columns, batch);
    let mut scores = vec![S::constant(f64::NAN); c * batch.len()];
    rows.scores(w, &mut scores);
    let mut sums = vec![S::constant(f64::NAN); w.len()];
    rows.pass(w, link(c), &mut sums);
    let (expected, of_one) = one_by_one(w, &wide, columns, batch);
    close(&values(&scores), &values(&expected), tolerance);
    close(&values(&sums), &values(&of_one), tolerance);
}

#[test]
fn sizes_of_every_kind_agree_with_one_sample_at_a_time() {
    for columns in [1, 7, 8, 16, 22, 33, 40, 70] {
        for c in [1, 2, 5, 6, 11] {
            for samples in [1, 3, 5, 12] {
                let list: Vec<usize> = (0..samples).rev().step_by(2).collect();
                for batch in [Batch::all(samples), Batch::List(&list)] {
                    let n = columns * c;
                    check::<f64, f64>(&numbers(n, 0.4), columns, samples, batch, 1e-13);
                    check::<Dual<f64>, f64>(&duals(n, 0.4), columns, samples, batch, 1e-13);
                    check::<f64, f32>(&numbers(n, 0.4), columns, samples, batch, 1e-13);
                    check::<f32, f32>(&numbers(n, 0.4), columns, samples, batch, 1e-5);
                    check::<Dual<f32>, f64>(&duals(n, 0.4), columns, samples, batch, 1e-5);
                }
            }
        }
    }
}

/// Several parts, and several blocks of each.
#[test]
fn many_samples_agree_and_have_the_same_bits_on_any_number_of_threads() {
    let (columns, c, samples) = (100, 10, 5000);
    let w = numbers::<f64>(columns * c, 0.4);
    check::<f64, f64>(&w, columns, samples, Batch::all(samples), 1e-11);
    let data = numbers::<f32>(samples * columns, 0.7);
    let pass = |threads| {
        let mut sums = duals::<f64>(columns * c, 0.4);
        let w = sums.clone();
        let rows = Rows::new(&data, columns, Batch::all(samples));
        with_threads(threads, || rows.pass(&w, link(c), &mut sums)).unwrap();
        values(&sums)
            .iter()
            .map(|v| v.to_bits())
            .collect::<Vec<u64>>()
    };
    let one = pass(1);
    assert!(one == pass(2) && one == pass(5));
}

/// The result on registers of any width: the products of a block of 64 bytes fused into as many sums, which are then halved.
fn by_lanes<const L: usize>(w: &[f64], d: &[f64]) -> f64 {
    let mut lanes = [0.0f64; L];
    for (k, (w, d)) in w.iter().zip(d).enumerate() {
        lanes[k % L] = d.mul_add(*w, lanes[k % L]);
    }
    let mut count = L / 2;
    while count > 0 {
        for k in 0..count {
            lanes[k] += lanes[k + count];
        }
        count /= 2;
    }
    lanes[0]
}

#[test]
fn sums_do_not_depend_on_the_width_of_registers() {
    let (columns, c, samples) = (43, 7, 9);
    let (w, data) = (
        numbers::<f64>(columns * c, 0.4),
        numbers::<f64>(samples * columns, 0.7),
    );
    let rows = Rows::new(&data, columns, Batch::all(samples));
    let mut scores = vec![0.0; c * samples];
    rows.scores(&w, &mut scores);
    let mut sums = vec![0.0; w.len()];
    rows.pass(&w, |_, _| {}, &mut sums);
    for (i, scores) in scores.chunks_exact(c).enumerate() {
        for (k, score) in scores.iter().enumerate() {
            let (w, d) = (
                &w[k * columns..][..columns],
                &data[i * columns..][..columns],
            );
            assert_eq!(*score, by_lanes::<8>(w, d));
        }
    }
    for k in 0..c {
        for j in 0..columns {
            let terms = (0..samples).map(|i| (scores[i * c + k], data[i * columns + j]));
            let sum = terms.fold(0.0f64, |sum, (y, d)| y.mul_add(d, sum));
            assert_eq!(sums[k * columns + j], sum);
        }
    }
}

#[test]
fn matrices_that_do_not_fit_give_nan() {
    let data = numbers::<f64>(12, 0.7);
    let rows = Rows::new(&data, 4, Batch::all(3));
    for (entries, outputs) in [(7, 3), (8, 5), (8, 0)] {
        let mut out = vec![0.0; outputs];
        rows.scores(&numbers::<f64>(entries, 0.4), &mut out);
        assert!(out.iter().all(|o| o.is_nan()));
        let mut out = vec![0.0; outputs];
        rows.pass(&numbers::<f64>(entries, 0.4), |_, _| {}, &mut out);
        assert!(out.iter().all(|o| o.is_nan()));
    }
    let nothing = Rows::new(&data, 0, Batch::all(3));
    let mut out = [0.0f64];
    nothing.scores(&[1.0], &mut out);
    assert!(out[0].is_nan());
    // No samples, and no outputs.
    let none = Rows::new(&data, 4, Batch::List(&[]));
    let mut out = [1.0; 4];
    none.pass(&[1.0; 4], |_, _| {}, &mut out);
    assert_eq!(out, [0.0; 4]);
    rows.scores::<f64>(&[], &mut []);
    rows.pass::<Dual<f64>>(&[], |_, _| {}, &mut []);
}

/// A loss that is not linear in W d of each of five samples, with W as it lies or in another order of its entries.
fn of_products<S: Number>(w: &[Var<S>], at_once: bool) -> Var<S> {
    let data = numbers::<f64>(5 * 19, 0.7);
    let rows: Vec<&[f64]> = data.chunks_exact(19).collect();
    let c = w.len() / 19;
    let mut out = vec![Var::constant(0.0); 5 * c];
    if at_once {
        Var::mat_rows(w, &rows, &mut out);
    } else {
        for (row, out) in rows.iter().zip(out.chunks_exact_mut(c)) {
            Var::mat_data(w, row, out);
        }
    }
    let mut terms = out.clone();
    Var::map(&out, |s| [s * s * s, 3.0 * s * s, 6.0 * s], &mut terms);
    Var::sum(&terms)
}

fn check_products<S: Number>(w: &[S], tolerance: f64) {
    for reversed in [false, true] {
        let [together, apart] = [true, false].map(|at_once| {
            swept(w, |w| {
                let mut w = w.to_vec();
                if reversed {
                    w.reverse();
                }
                of_products(&w, at_once)
            })
        });
        close(&values(&[together.0]), &values(&[apart.0]), tolerance);
        close(&values(&together.1), &values(&apart.1), tolerance);
    }
}

#[test]
fn products_of_several_samples_on_a_tape_are_those_of_each() {
    for c in [1, 3, 8] {
        check_products(&numbers::<f64>(19 * c, 0.4), 1e-14);
        check_products(&numbers::<f32>(19 * c, 0.4), 1e-5);
        check_products(&duals::<f64>(19 * c, 0.4), 1e-14);
        check_products(&duals::<f32>(19 * c, 0.4), 1e-5);
    }
    let misfits: [(&[&[f64]], usize); 3] = [
        (&[&[1.0, 2.0], &[3.0]], 2),
        (&[&[1.0, 2.0], &[3.0, 4.0]], 3),
        (&[&[1.0, 2.0, 3.0]], 1),
    ];
    for (data, outputs) in misfits {
        let (value, _) = swept(&[0.5f64, 1.5], |w| {
            let mut out = vec![Var::constant(0.0); outputs];
            Var::mat_rows(w, data, &mut out);
            Var::sum(&out)
        });
        assert!(value.is_nan());
    }
    // Of no samples there are no products.
    let (value, _) = swept(&[0.5f64], |w| {
        Var::mat_rows(w, &[], &mut []);
        w[0]
    });
    assert_eq!(value, 0.5);
}
