//! `quadratic` and `finite_sum`: both levels of both are least squares, whose data are found from products at unit vectors.

use bilevel::autodiff::{Gradients, Number, SampleLoss, Scalar};
use bilevel::problem::minibatch::{Batch, MinibatchLower, MinibatchUpper};
use bilevel::{Linearization, LowerLevel, UpperLevel};
use bilevel_problems::synthetic::finite_sum::FiniteSum;
use bilevel_problems::synthetic::quadratic::Quadratic;

use crate::agreement::{Points, mean, sizes};

/// ```text
/// (1/m) Σᵢ (ω/2) (sᵢᵀx − tᵢᵀθ − bᵢ)² + (μ/2)‖x‖² + (ρ/2)‖θ‖²
/// ```
#[derive(Clone)]
pub(super) struct LeastSquares {
    s: Vec<Vec<f64>>,
    t: Vec<Vec<f64>>,
    b: Vec<f64>,
    omega: f64,
    mu: f64,
    rho: f64,
}

impl LeastSquares {
    fn residual<S: Scalar>(&self, i: usize, x: &[S], theta: &[S]) -> S {
        (S::dot_data(x, &self.s[i]) - S::dot_data(theta, &self.t[i])).plus(-self.b[i])
    }

    /// out ← out + Σ rᵢ rowᵢ over the batch, times ω/|batch| and the sign.
    fn spread<S: Number>(
        &self,
        sign: f64,
        batch: Batch<'_>,
        (x, theta): (&[S], &[S]),
        rows: &[Vec<f64>],
        out: &mut [S],
    ) {
        for i in batch.iter() {
            let r = self.residual(i, x, theta);
            let r = r.times(sign * self.omega / batch.len() as f64);
            for (out, &entry) in out.iter_mut().zip(&rows[i]) {
                *out += r.times(entry);
            }
        }
    }
}

impl SampleLoss for LeastSquares {
    sizes!(self: self.s[0].len(), self.t[0].len(), self.b.len());

    fn loss<S: Scalar>(&self, x: &[S], theta: &[S], i: usize) -> S {
        self.residual(i, x, theta).squared().times(0.5 * self.omega)
    }

    fn penalty<S: Scalar>(&self, x: &[S], theta: &[S]) -> S {
        S::dot(x, x).times(0.5 * self.mu) + S::dot(theta, theta).times(0.5 * self.rho)
    }
}

impl Gradients for LeastSquares {
    sizes!(self: self.s[0].len(), self.t[0].len(), self.b.len());

    fn value<S: Number>(&self, batch: Batch<'_>, x: &[S], theta: &[S]) -> S {
        mean(self, batch, x, theta)
    }

    fn gradient<S: Number>(&self, batch: Batch<'_>, x: &[S], theta: &[S], out: &mut [S]) {
        out.iter_mut()
            .zip(x)
            .for_each(|(o, x)| *o = x.times(self.mu));
        self.spread(1.0, batch, (x, theta), &self.s, out);
    }

    fn gradient_theta<S: Number>(&self, batch: Batch<'_>, x: &[S], theta: &[S], out: &mut [S]) {
        let all = out.iter_mut().zip(theta);
        all.for_each(|(o, t)| *o = t.times(self.rho));
        self.spread(-1.0, batch, (x, theta), &self.t, out);
    }
}

fn unit(n: usize, k: usize) -> Vec<f64> {
    let mut unit = vec![0.0; n];
    unit[k] = 1.0;
    unit
}

/// R of the Cholesky factorisation RᵀR of a matrix, row after row.
fn cholesky(a: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let n = a.len();
    let mut r = vec![vec![0.0; n]; n];
    for i in 0..n {
        for j in i..n {
            let sum: f64 = (0..i).map(|k| r[k][i] * r[k][j]).sum();
            let rest = a[i][j] - sum;
            r[i][j] = if i == j { rest.sqrt() } else { rest / r[i][i] };
        }
    }
    r
}

/// The solution of Rᵀy = v.
fn forward(r: &[Vec<f64>], v: &[f64]) -> Vec<f64> {
    let mut y = v.to_vec();
    for i in 0..y.len() {
        let sum: f64 = (0..i).map(|k| r[k][i] * y[k]).sum();
        y[i] = (y[i] - sum) / r[i][i];
    }
    y
}

fn transposed(columns: &[Vec<f64>]) -> Vec<Vec<f64>> {
    (0..columns[0].len())
        .map(|i| columns.iter().map(|c| c[i]).collect())
        .collect()
}

/// ½‖Ax − Cθ − b‖² is ½‖Rx − QᵀCθ − Qᵀb‖² for A = QR, and R is a factor of AᵀA.
fn quadratic_lower(problem: &Quadratic, n: usize, p: usize) -> LeastSquares {
    let (lower, x, theta) = (problem.lower(), vec![0.0; n], vec![0.0; p]);
    let at = lower.linearize(&x, &theta);
    let product = |k| {
        let mut column = vec![0.0; n];
        at.hvp(&unit(n, k), &mut column);
        column
    };
    let r = cholesky(&(0..n).map(product).collect::<Vec<_>>());
    let column = |k| {
        let mut column = vec![0.0; n];
        at.cross_jvp(&unit(p, k), &mut column);
        column.iter_mut().for_each(|c| *c = -*c);
        forward(&r, &column)
    };
    let c: Vec<Vec<f64>> = (0..p).map(column).collect();
    let mut gradient = vec![0.0; n];
    lower.gradient(&x, &theta, &mut gradient);
    gradient.iter_mut().for_each(|g| *g = -*g);
    LeastSquares {
        b: forward(&r, &gradient),
        s: r,
        t: transposed(&c),
        omega: n as f64,
        mu: 0.0,
        rho: 0.0,
    }
}

fn quadratic_upper(problem: &Quadratic, n: usize, p: usize) -> LeastSquares {
    let (mut by_x, mut by_theta) = (vec![0.0; n], vec![0.0; p]);
    let upper = problem.upper();
    upper.gradient_x(&vec![0.0; n], &vec![0.0; p], &mut by_x);
    upper.gradient_theta(&vec![0.0; n], &vec![1.0; p], &mut by_theta);
    LeastSquares {
        s: (0..n).map(|k| unit(n, k)).collect(),
        t: vec![vec![0.0; p]; n],
        b: by_x.iter().map(|g| -g).collect(),
        omega: n as f64,
        mu: 0.0,
        rho: by_theta[0],
    }
}

#[test]
fn quadratic_lower_agrees() {
    let problem = Quadratic::random(7, 3, 30.0, 5);
    let mine = quadratic_lower(&problem, 7, 3);
    Points::around(&[0.0; 3]).lower("quadratic", &problem.lower(), &mine);
}

#[test]
fn quadratic_upper_agrees() {
    let problem = Quadratic::random(7, 3, 30.0, 5);
    let mine = quadratic_upper(&problem, 7, 3);
    Points::around(&[0.5; 3]).upper("quadratic", &problem.upper(), &mine);
}

/// From rᵢ = sᵢ(sᵢᵀx − tᵢᵀθ − bᵢ) of one sample, up to the sign of all of it together, which the square does not see.
pub(super) fn finite_sum_lower(problem: &FiniteSum, n: usize, p: usize) -> LeastSquares {
    let (lower, mu) = (problem.lower(), 0.5);
    let (x, theta) = (vec![0.0; n], vec![0.0; p]);
    let (mut s, mut t, mut b) = (Vec::new(), Vec::new(), Vec::new());
    for i in 0..lower.samples() {
        let batch = Batch::List(&[i]);
        let mut column = vec![0.0; n];
        let squares: Vec<f64> = (0..n)
            .map(|k| {
                lower.batch_hvp(batch, &x, &theta, &unit(n, k), &mut column);
                column[k] - mu
            })
            .collect();
        let k = (0..n)
            .max_by(|&a, &b| squares[a].total_cmp(&squares[b]))
            .unwrap();
        lower.batch_hvp(batch, &x, &theta, &unit(n, k), &mut column);
        column[k] -= mu;
        let pivot = column[k].sqrt();
        s.push(column.iter().map(|c| c / pivot).collect());
        let mut cross = vec![0.0; p];
        lower.batch_cross_vjp(batch, &x, &theta, &unit(n, k), &mut cross);
        t.push(cross.iter().map(|c| -c / pivot).collect());
        lower.batch_gradient(batch, &x, &theta, &mut column);
        b.push(-column[k] / pivot);
    }
    LeastSquares {
        s,
        t,
        b,
        omega: 1.0,
        mu,
        rho: 0.0,
    }
}

pub(super) fn finite_sum_upper(problem: &FiniteSum, n: usize, p: usize) -> LeastSquares {
    let (upper, theta) = (problem.upper(), vec![1.0; p]);
    let (mut s, mut b) = (Vec::new(), Vec::new());
    let mut by_theta = vec![0.0; p];
    for j in 0..upper.samples() {
        let mut at = |x: &Vec<f64>| {
            let mut by_x = vec![0.0; n];
            upper.batch_gradients(Batch::List(&[j]), x, &theta, &mut by_x, &mut by_theta);
            by_x
        };
        let origin = at(&vec![0.0; n]);
        let column = |there: Vec<f64>| -> Vec<f64> {
            there.iter().zip(&origin).map(|(a, b)| a - b).collect()
        };
        let columns: Vec<Vec<f64>> = (0..n).map(|k| column(at(&unit(n, k)))).collect();
        let k = (0..n)
            .max_by(|&a, &b| columns[a][a].total_cmp(&columns[b][b]))
            .unwrap();
        let pivot = columns[k][k].sqrt();
        s.push(columns[k].iter().map(|c| c / pivot).collect());
        b.push(-origin[k] / pivot);
    }
    LeastSquares {
        t: vec![vec![0.0; p]; b.len()],
        s,
        b,
        omega: 1.0,
        mu: 0.0,
        rho: by_theta[0],
    }
}

#[test]
fn finite_sum_agrees() {
    for problem in [
        FiniteSum::random(5, 3, 20, 10.0, 3),
        FiniteSum::coupled(5, 3, 20, 10.0, 4),
    ] {
        let points = Points::around(&[0.5; 3]);
        let mine = finite_sum_lower(&problem, 5, 3);
        points.batch_lower("finite sum", &problem.lower(), &mine);
        let mine = finite_sum_upper(&problem, 5, 3);
        points.batch_upper("finite sum", &problem.upper(), &mine);
    }
}
