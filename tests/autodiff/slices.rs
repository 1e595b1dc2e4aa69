//! The functions on slices: of arguments that do not lie side by side, of none, and of lengths that do not fit.

use bilevel::autodiff::scalar::sigmoid;
use bilevel::autodiff::{Dual, Scalar};

use super::functions::{close, dual, swept};

/// The result of a function on slices for a slice x of four: as many numbers as it likes.
type OnSlice<S> = fn(&[S]) -> Vec<S>;

fn functions<S: Scalar>() -> Vec<(&'static str, OnSlice<S>)> {
    vec![
        ("sum", |x| vec![S::sum(x)]),
        ("dot", |x| vec![S::dot(x, x)]),
        ("dot_data", |x| vec![S::dot_data(x, &[1.0, -2.0, 3.0, 0.5])]),
        ("mat_vec", |x| {
            let mut out = vec![S::constant(0.0); 2];
            S::mat_vec(x, &x[1..3], &mut out);
            out
        }),
        ("mat_vec by", |x| {
            let mut out = vec![S::constant(0.0); 1];
            S::mat_vec(&[x[3], x[2], x[1], x[0]], x, &mut out);
            out
        }),
        ("mat_data", |x| {
            let mut out = vec![S::constant(0.0); 2];
            S::mat_data(x, &[0.5, -1.0], &mut out);
            out
        }),
        ("map", |x| {
            let mut out = x.to_vec();
            S::map(x, sigmoid, &mut out);
            out
        }),
        ("scaled", |x| {
            let mut out = x.to_vec();
            S::scaled(x, x[2], &mut out);
            out
        }),
        ("added", |x| {
            let mut out = x.to_vec();
            S::added(x, &[x[3], x[1], x[1], x[0]], &mut out);
            out
        }),
        ("multiplied", |x| {
            let mut out = x.to_vec();
            S::multiplied(x, &[x[3], x[1], x[1], x[0]], &mut out);
            out
        }),
        ("sum_each", |x| {
            let data: [&[f64]; 2] = [&[1.0, 2.0, -1.0, 0.5], &[0.3]];
            vec![S::sum_each([x, &[x[1]]], data, |[a, b], [c, d]| {
                (a.times(c) * b.plus(d)).sin()
            })]
        }),
        ("log_sum_exp", |x| vec![S::log_sum_exp(x)]),
        ("softmax", |x| {
            let mut out = x.to_vec();
            S::softmax(x, &mut out);
            out
        }),
    ]
}

/// Σ (k + 1) yₖ of what a function gives for these entries of x: every output counts differently.
fn weighted<S: Scalar>(f: OnSlice<S>, x: &[S], places: &[usize]) -> S {
    let slice: Vec<S> = places.iter().map(|&p| x[p]).collect();
    let terms = f(&slice);
    let terms: Vec<S> = terms
        .iter()
        .enumerate()
        .map(|(k, y)| y.times(k as f64 + 1.0))
        .collect();
    S::sum(&terms)
}

#[test]
fn slices_in_any_order_and_with_repetitions_are_differentiated() {
    let x = [0.3, -0.8, 1.4, 0.9, -0.2];
    let places: [[usize; 4]; 7] = [
        [0, 1, 2, 3], // side by side
        [1, 2, 3, 4],
        [3, 2, 1, 0], // backwards
        [0, 2, 4, 1], // with gaps
        [2, 2, 2, 2],
        [0, 1, 1, 2], // begins side by side
        [4, 0, 1, 2],
    ];
    let plain = functions::<f64>();
    let forward = functions::<Dual<f64>>();
    let reverse = functions();
    let second = functions();
    for (k, (name, f)) in plain.iter().enumerate() {
        for places in &places {
            let (value, gradient) = swept(&x, |x| weighted(reverse[k].1, x, places));
            close(&[value], &[weighted(*f, &x, places)], 1e-14);
            let tangents: Vec<f64> = (0..x.len())
                .map(|i| {
                    let mut unit = [0.0; 5];
                    unit[i] = 1.0;
                    weighted(forward[k].1, &dual(&x, &unit), places).eps
                })
                .collect();
            close(&gradient, &tangents, 1e-13);
            // Second derivatives, by differences of the gradient.
            let v = [0.2, -0.5, 1.0, 0.4, 0.7];
            let (_, adjoints) = swept(&dual(&x, &v), |x| weighted(second[k].1, x, places));
            let at = |t: f64| {
                let moved: Vec<f64> = x.iter().zip(&v).map(|(x, v)| x + t * v).collect();
                swept(&moved, |x| weighted(reverse[k].1, x, places)).1
            };
            let h = 1e-5;
            let difference: Vec<f64> = at(h)
                .iter()
                .zip(&at(-h))
                .map(|(a, b)| (a - b) / (2.0 * h))
                .collect();
            let along: Vec<f64> = adjoints.iter().map(|a| a.eps).collect();
            let size = along.iter().map(|a| a.abs()).fold(1.0, f64::max);
            for (a, d) in along.iter().zip(&difference) {
                assert!((a - d).abs() <= 1e-8 * size, "{name} {places:?}");
            }
        }
    }
}

/// The results of functions on slices of these lengths.
fn of_lengths<S: Scalar>(x: &[S]) -> Vec<(&'static str, Vec<S>)> {
    let out = |n: usize| vec![S::constant(1.0); n];
    let mut all = Vec::new();
    let mut with = |name, n, f: &dyn Fn(&mut [S])| {
        let mut out = out(n);
        f(&mut out);
        all.push((name, out));
    };
    with("mat_vec, long W", 2, &|out| {
        S::mat_vec(&x[..5], &x[..2], out)
    });
    with("mat_vec, short W", 2, &|out| {
        S::mat_vec(&x[..3], &x[..2], out)
    });
    with("mat_vec, no x", 2, &|out| S::mat_vec(&x[..3], &[], out));
    with("mat_vec, no W", 2, &|out| S::mat_vec(&[], &x[..2], out));
    with("mat_data, long W", 2, &|out| {
        S::mat_data(&x[..5], &[1.0, 2.0], out)
    });
    with("mat_data, short W", 2, &|out| {
        S::mat_data(&x[..3], &[1.0, 2.0], out)
    });
    with("mat_data, no data", 2, &|out| {
        S::mat_data(&x[..3], &[], out)
    });
    with("mat_data, no W", 2, &|out| {
        S::mat_data(&[], &[1.0, 2.0], out)
    });
    with("dot", 1, &|out| out[0] = S::dot(&x[..2], &x[..3]));
    with("dot_data", 1, &|out| {
        out[0] = S::dot_data(&x[..2], &[1.0; 3])
    });
    for n in [1, 3, 9] {
        with("map", n, &|out| S::map(&x[..2], sigmoid, out));
        with("scaled", n, &|out| S::scaled(&x[..2], x[0], out));
        with("softmax", n, &|out| S::softmax(&x[..2], out));
    }
    with("sum_each, two lengths", 1, &|out| {
        out[0] = S::sum_each([&x[..2], &x[..3]], [], |[a, b], []| a * b);
    });
    with("sum_each, other data", 1, &|out| {
        out[0] = S::sum_each([&x[..2]], [&[1.0, 2.0, 3.0]], |[a], [d]| a.times(d));
    });
    with("sum_each, no data", 1, &|out| {
        out[0] = S::sum_each([&x[..2]], [&[]], |[a], [d]| a.times(d));
    });
    with("map of none", 1, &|out| S::map(&[], sigmoid, out));
    with("scaled of none", 1, &|out| S::scaled(&[], x[0], out));
    with("softmax of none", 1, &|out| S::softmax(&[], out));
    all
}

#[test]
fn lengths_that_do_not_fit_give_nan() {
    let x = [0.1f64, 0.2, 0.3, 0.4, 0.5];
    for (name, out) in of_lengths(&x) {
        assert!(out.iter().all(|y| y.is_nan()), "{name}: {out:?}");
    }
    for (name, out) in of_lengths(&dual(&x, &x)) {
        assert!(out.iter().all(|y| y.re.is_nan()), "{name}: {out:?}");
    }
    // On a tape, with a sweep over all of it. The sum is NaN, and so no adjoint matters but that of the last summand.
    let (value, gradient) = swept(&x, |x| {
        let mut all = vec![x[0].squared()];
        for (name, out) in of_lengths(x) {
            assert!(out.iter().all(|y| y.value().is_nan()), "{name}: {out:?}");
            all.extend(out);
        }
        Scalar::sum(&all)
    });
    assert!(value.is_nan());
    assert_eq!(gradient, [0.2, 0.0, 0.0, 0.0, 0.0]);
}

fn of_none<S: Scalar>() -> Vec<f64> {
    let mut none: [S; 0] = [];
    S::mat_vec(&[], &[], &mut none);
    S::mat_vec(&[], &[S::constant(1.0)], &mut none);
    S::mat_data(&[], &[], &mut none);
    S::mat_data(&[], &[1.0], &mut none);
    S::map(&[], sigmoid, &mut none);
    S::scaled(&[], S::constant(1.0), &mut none);
    S::softmax(&[], &mut none);
    let mut product = [S::constant(1.0); 2];
    S::mat_vec(&[], &[], &mut product);
    vec![
        S::sum(&[]).value(),
        S::dot(&[], &[]).value(),
        S::dot_data(&[], &[]).value(),
        S::log_sum_exp(&[]).value(),
        S::sum_each([&[], &[S::constant(1.0)]], [], |[a, b], []| a + b).value(),
        product[0].value(),
        product[1].value(),
    ]
}

#[test]
fn functions_of_no_numbers_are_empty_sums() {
    let expected = vec![0.0, 0.0, 0.0, f64::NEG_INFINITY, 0.0, 0.0, 0.0];
    assert_eq!(of_none::<f64>(), expected);
    assert_eq!(of_none::<f32>(), expected);
    assert_eq!(of_none::<Dual<f64>>(), expected);
    let (_, gradient) = swept(&[1.0f64], |x| {
        assert_eq!(of_none::<bilevel::autodiff::Var<f64>>(), expected);
        x[0]
    });
    assert_eq!(gradient, [1.0]);
}

/// Whatever is not finite: results may be NaN, and nothing panics, in either direction.
#[test]
fn nothing_panics_for_numbers_that_are_not_finite() {
    let strange = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.0, -0.0, 1e308];
    let scalars: [fn(Dual<f64>) -> Dual<f64>; 12] = [
        |x| x.exp(),
        |x| x.ln(),
        |x| x.sqrt(),
        |x| x.powf(0.5),
        |x| x.tanh(),
        |x| x.sigmoid(),
        |x| x.softplus(),
        |x| x.atan(),
        |x| x.sin() + x.cos(),
        |x| x.max(-x),
        |x| x.clamp(-1.0, 1.0),
        |x| x / x,
    ];
    for a in strange {
        for f in scalars {
            let _ = f(Dual::new(a, 1.0));
        }
        for b in strange {
            let x = [a, b, a, 1.0];
            for ((_, f), (_, on_tape)) in functions::<Dual<f64>>().iter().zip(&functions()) {
                let _ = f(&dual(&x, &[1.0; 4]));
                let _ = swept(&x, |x| weighted(*on_tape, x, &[0, 1, 2, 3]));
                let _ = swept(&x, |x| weighted(*on_tape, x, &[1, 0, 3, 1]));
            }
        }
    }
}

fn parts(of: &[Dual<f64>]) -> Vec<f64> {
    of.iter().flat_map(|d| [d.re, d.eps]).collect()
}

/// Less than a block of terms and several, of slices that lie side by side, that do not, and of one entry, with data of both kinds.
#[test]
fn long_sums_agree_with_their_terms() {
    fn at_once<S: Scalar>(x: &[S], data: &[f64]) -> S {
        let n = data.len();
        let backwards: Vec<S> = x[..n].iter().rev().copied().collect();
        let slices: [&[S]; 4] = [&x[..n], &x[1..], &backwards, &x[5..6]];
        S::sum_each(slices, [data, &[0.5]], |[a, b, c, d], [e, f]| {
            (a.times(e) * b + c.squared() * d).plus(f).sin()
        })
    }
    fn one_by_one<S: Scalar>(x: &[S], data: &[f64]) -> S {
        let n = data.len();
        let terms: Vec<S> = (0..n)
            .map(|i| {
                let (a, b, c, d) = (x[i], x[i + 1], x[n - 1 - i], x[5]);
                (a.times(data[i]) * b + c.squared() * d).plus(0.5).sin()
            })
            .collect();
        S::sum(&terms)
    }
    for n in [6, 16, 17, 128, 129, 256, 257, 513] {
        let x: Vec<f64> = (0..=n).map(|k| (0.7 * k as f64).sin()).collect();
        let v: Vec<f64> = (0..=n).map(|k| (0.2 * k as f64).cos()).collect();
        let data: Vec<f64> = (0..n).map(|k| (0.1 * k as f64).cos()).collect();
        close(&[at_once(&x, &data)], &[one_by_one(&x, &data)], 1e-13);
        let (value, gradient) = swept(&dual(&x, &v), |x| at_once(x, &data));
        let (expected, slopes) = swept(&dual(&x, &v), |x| one_by_one(x, &data));
        close(&[value.re, value.eps], &[expected.re, expected.eps], 1e-12);
        close(&parts(&gradient), &parts(&slopes), 1e-12);
        let values: Vec<f64> = gradient.iter().map(|d| d.re).collect();
        let (_, again) = swept(&x, |x| at_once(x, &data));
        close(&again, &values, 1e-13);
        let single: Vec<f32> = x.iter().map(|&x| x as f32).collect();
        close(&[at_once(&single, &data).into()], &[value.re], 1e-4);
        let pairs = x
            .iter()
            .zip(&v)
            .map(|(&x, &v)| Dual::new(x as f32, v as f32));
        let (sum, again) = swept(&pairs.collect::<Vec<_>>(), |x| at_once(x, &data));
        close(
            &[sum.re.into(), sum.eps.into()],
            &[value.re, value.eps],
            1e-4,
        );
        let again: Vec<f64> = again
            .iter()
            .flat_map(|d| [d.re.into(), d.eps.into()])
            .collect();
        close(&again, &parts(&gradient), 1e-5);
        let (_, again) = swept(&single, |x| at_once(x, &data));
        let again: Vec<f64> = again.iter().map(|&a| a.into()).collect();
        close(&again, &values, 1e-5);
    }
}

/// Data are numbers of the type that a formula is computed in, in a sum within a sum too.
#[test]
fn data_are_rounded_to_the_type_of_the_numbers() {
    let large = [1e8, 2e8, 3e8];
    let next = large.map(|d| d + 1.0);
    fn differences<S: Scalar>(x: &[S], a: &[f64], b: &[f64]) -> S {
        S::sum_each([x], [a, b], |[x], [a, b]| x.times(b - a))
    }
    assert_eq!(differences(&[1.0; 3], &large, &next), 3.0);
    assert_eq!(differences(&[1f32; 3], &large, &next), 0.0);
    fn within<S: Scalar>(x: &[S], a: &[f64], b: &[f64]) -> S {
        S::sum_each([x], [], |[x], []| differences(&[x; 3], a, b))
    }
    assert_eq!(within(&[1.0; 2], &large, &next), 6.0);
    assert_eq!(within(&[1f32; 2], &large, &next), 0.0);
}

/// Two slices that overlap, and one apart from them: what lies between has no part in the sum.
#[test]
fn slices_with_a_gap_between_them_give_the_derivatives_of_their_terms() {
    let x: Vec<f64> = (0..25).map(|k| (0.7 * k as f64).sin()).collect();
    let v: Vec<f64> = (0..25).map(|k| (0.2 * k as f64).cos()).collect();
    let (_, gradient) = swept(&dual(&x, &v), |x| {
        let slices = [&x[..10], &x[2..12], &x[15..]];
        Scalar::sum_each(slices, [], |[a, b, c], []| (a * b + c).sin())
    });
    let (_, expected) = swept(&dual(&x, &v), |x| {
        let terms: Vec<_> = (0..10)
            .map(|i| (x[i] * x[i + 2] + x[i + 15]).sin())
            .collect();
        Scalar::sum(&terms)
    });
    close(&parts(&gradient), &parts(&expected), 1e-13);
    assert_eq!(parts(&gradient[12..15]), [0.0; 6]);
}

/// The tape is free while a function of the user's is called: it may look at numbers on it.
#[test]
fn functions_along_slices_may_read_the_tape() {
    let (value, gradient) = swept(&[2.0, 3.0], |x| {
        let mut out = [x[0]; 2];
        Scalar::map(x, |a| [a * x[1].value(), x[1].value(), 0.0], &mut out);
        Scalar::sum_each([&out], [], |[a], []| a.times(x[0].value()))
    });
    assert_eq!((value, gradient), (30.0, vec![6.0, 6.0]));
}
