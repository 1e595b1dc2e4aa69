//! Optimisers (stochastic gradient descent with momentum, Adam) and schedules of their steps.

use bilevel::Error;
use bilevel::autodiff::Number;
use serde::{Deserialize, Serialize};
use std::f64::consts::PI;

/// The update of the weights w by the gradient g of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Optimizer {
    /// m ← ρ m + g,  w ← w − α m.
    Sgd {
        /// ρ in [0, 1).
        momentum: f64,
    },
    /// m ← β₁ m + (1 − β₁) g,  s ← β₂ s + (1 − β₂) g²,  w ← w − α m̂/(√ŝ + ϵ), with m̂ = m/(1 − β₁ᵗ), ŝ = s/(1 − β₂ᵗ).
    ///
    /// # Reference
    /// D. P. Kingma, J. Ba: Adam: a method for stochastic optimization. ICLR 2015, [arXiv:1412.6980](https://arxiv.org/abs/1412.6980).
    Adam {
        /// β₁ in [0, 1).
        beta1: f64,
        /// β₂ in [0, 1).
        beta2: f64,
        /// ϵ > 0.
        epsilon: f64,
    },
}

impl Default for Optimizer {
    /// Gradient descent with momentum 0.9.
    fn default() -> Self {
        Optimizer::Sgd { momentum: 0.9 }
    }
}

/// The step α_t as a share of the first one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Schedule {
    /// 1.
    Constant,
    /// ½(1 + cos(πt/T)), which ends at 0.
    #[default]
    Cosine,
    /// factorᵏ after k × `every` epochs.
    Steps {
        /// Epochs between reductions.
        every: usize,
        /// The factor of one reduction.
        factor: f64,
    },
}

impl Schedule {
    /// The share at step t of T, in the given epoch.
    pub fn share(self, t: usize, steps: usize, epoch: usize) -> f64 {
        match self {
            Schedule::Constant => 1.0,
            Schedule::Cosine => 0.5 * (1.0 + (PI * t as f64 / steps.max(1) as f64).cos()),
            Schedule::Steps { every, factor } => factor.powf((epoch / every.max(1)) as f64),
        }
    }
}

/// The weights of a model and the moments of its optimizer.
#[derive(Debug, Clone, Default)]
pub(super) struct Moving<S> {
    pub(super) w: Vec<S>,
    pub(super) m: Vec<S>,
    /// The second moments; empty for gradient descent.
    pub(super) s: Vec<S>,
}

impl Optimizer {
    /// Adam with its usual settings: β₁ = 0.9, β₂ = 0.999, ϵ = 10⁻⁸.
    pub fn adam() -> Self {
        Optimizer::Adam {
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
        }
    }

    pub(super) fn check(self) -> Result<(), Error> {
        let share = |name: &str, value: f64| {
            if (0.0..1.0).contains(&value) {
                Ok(())
            } else {
                Err(Error::invalid(name, value, "a number from 0 to below 1"))
            }
        };
        match self {
            Optimizer::Sgd { momentum } => share("momentum", momentum),
            Optimizer::Adam {
                beta1,
                beta2,
                epsilon,
            } => {
                share("beta1", beta1)?;
                share("beta2", beta2)?;
                if epsilon > 0.0 && epsilon.is_finite() {
                    Ok(())
                } else {
                    let expected = "a positive, finite number";
                    Err(Error::invalid("epsilon", epsilon, expected))
                }
            }
        }
    }

    /// The number of moments per weight.
    pub(super) fn moments(self) -> usize {
        match self {
            Optimizer::Sgd { .. } => 1,
            Optimizer::Adam { .. } => 2,
        }
    }

    /// One step of length α, the t-th from 0.
    pub(super) fn step<S: Number>(self, t: usize, alpha: f64, g: &[S], moving: &mut Moving<S>) {
        let Moving { w, m, s } = moving;
        match self {
            Optimizer::Sgd { momentum } => {
                for ((w, m), &g) in w.iter_mut().zip(m).zip(g) {
                    *m = m.times(momentum) + g;
                    *w -= m.times(alpha);
                }
            }
            Optimizer::Adam {
                beta1,
                beta2,
                epsilon,
            } => {
                let [c1, c2] = corrections(t, beta1, beta2);
                for (((w, m), s), &g) in w.iter_mut().zip(m).zip(s).zip(g) {
                    *m = m.times(beta1) + g.times(1.0 - beta1);
                    *s = s.times(beta2) + (g * g).times(1.0 - beta2);
                    *w -= m.times(alpha * c1) / root(s.times(c2)).plus(epsilon);
                }
            }
        }
    }

    /// The transposed derivative of [`step`](Optimizer::step) at the state before the step, `at`: `adjoint` holds the adjoints of w, m and s
    /// after the step on entry, and those before it on return; `by_g` receives the adjoint of g.
    pub(super) fn transposed<E: Number>(
        self,
        t: usize,
        alpha: f64,
        g: &[E],
        at: &Moving<E>,
        adjoint: &mut Moving<E>,
        by_g: &mut [E],
    ) {
        let Moving { w, m, s } = adjoint;
        match self {
            Optimizer::Sgd { momentum } => {
                for ((&w, m), by_g) in w.iter().zip(m).zip(by_g) {
                    *by_g = *m - w.times(alpha);
                    *m = by_g.times(momentum);
                }
            }
            Optimizer::Adam {
                beta1,
                beta2,
                epsilon,
            } => {
                let [c1, c2] = corrections(t, beta1, beta2);
                let entries = w.iter().zip(m).zip(s).zip(by_g);
                for ((((&w, m), s), by_g), k) in entries.zip(0..) {
                    let m_after = at.m[k].times(beta1) + g[k].times(1.0 - beta1);
                    let s_after = at.s[k].times(beta2) + (g[k] * g[k]).times(1.0 - beta2);
                    let root = root(s_after.times(c2));
                    let below = root.plus(epsilon);
                    let step = w.times(alpha * c1) / below;
                    *m -= step;
                    if root.value() > 0.0 {
                        *s += step * m_after / below * (E::constant(0.5 * c2) / root);
                    }
                    *by_g = m.times(1.0 - beta1) + (*s * g[k]).times(2.0 * (1.0 - beta2));
                    *m = m.times(beta1);
                    *s = s.times(beta2);
                }
            }
        }
    }
}

/// 1/(1 − βᵗ⁺¹), for both moments.
fn corrections(t: usize, beta1: f64, beta2: f64) -> [f64; 2] {
    [beta1, beta2].map(|beta| 1.0 / (1.0 - beta.powf(t as f64 + 1.0)))
}

/// √s, with derivative 0 at 0: there every gradient so far was 0, and so is the step.
fn root<S: Number>(s: S) -> S {
    if s.value() > 0.0 {
        s.sqrt()
    } else {
        S::default()
    }
}
