//! The report of a run: result, error bounds and cost.

use serde::{Serialize, Serializer};
use std::fmt;
use std::path::Path;

use super::Trace;
use crate::error::Error;
use crate::hypergradient::{Accuracy, BoundedValue, Trust};
use crate::status::Status;
use crate::vector::Vector;
use crate::work::Work;

/// The report of a run.
///
/// Print it (`Display`), or write it as JSON ([`to_json`](Report::to_json)), where an unknown number is `null`.
#[derive(Debug, Clone, PartialEq)]
pub struct Report<T> {
    /// Why the run ended.
    pub status: Status,
    /// The name of the solver.
    pub solver: String,
    /// The trust in the bounds.
    pub trust: Trust,
    /// The last θ.
    pub theta: T,
    /// F(θ) with its bounds.
    pub value: BoundedValue,
    /// The second-order estimate of F(θ).
    pub goal_oriented: f64,
    /// z ≈ ∇F(θ).
    pub hypergradient: T,
    /// ω ≥ ‖z − ∇F(θ)‖.
    pub error_bound: f64,
    /// The attained ε and δ.
    pub attained: Accuracy,
    /// Steps taken.
    pub iterations: u64,
    /// The total work, over all samples.
    pub work: Work,
    /// Wall-clock seconds, including those before a resume.
    pub seconds: f64,
    /// The iterations.
    pub trace: Trace,
    /// Failures that do not affect the result, such as that of an observer.
    pub warnings: Vec<String>,
}

/// The keys of `report.json`.
#[derive(Serialize)]
struct Json<'a, T> {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    budget: Option<crate::status::Budget>,
    advice: String,
    solver: &'a str,
    trust: Trust,
    theta: &'a T,
    value: f64,
    value_error: f64,
    value_lower: f64,
    value_upper: f64,
    goal_oriented_value: f64,
    hypergradient: &'a T,
    hypergradient_norm: f64,
    error_bound: f64,
    epsilon: f64,
    delta: f64,
    iterations: u64,
    work: Work,
    seconds: f64,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    warnings: &'a [String],
}

impl<T: Vector> Serialize for Report<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Json {
            status: self.status.name(),
            budget: match self.status {
                Status::BudgetExhausted(budget) => Some(budget),
                _ => None,
            },
            advice: self.status.advice(),
            solver: &self.solver,
            trust: self.trust,
            theta: &self.theta,
            value: self.value.value,
            value_error: self.value.error(),
            value_lower: self.value.lower,
            value_upper: self.value.upper,
            goal_oriented_value: self.goal_oriented,
            hypergradient: &self.hypergradient,
            hypergradient_norm: self.hypergradient.norm(),
            error_bound: self.error_bound,
            epsilon: self.attained.epsilon,
            delta: self.attained.delta,
            iterations: self.iterations,
            work: self.work,
            seconds: self.seconds,
            warnings: &self.warnings,
        }
        .serialize(serializer)
    }
}

impl<T: Vector> Report<T> {
    /// The report as a JSON object, without the trace. `extra` adds further keys.
    pub fn to_json(&self, extra: &[(&str, f64)]) -> String {
        let mut object = serde_json::to_value(self).unwrap_or_default();
        if let Some(map) = object.as_object_mut() {
            for (key, value) in extra {
                map.insert((*key).to_owned(), (*value).into());
            }
        }
        let mut text = format!("{object:#}");
        text.push('\n');
        text
    }

    /// Writes [`to_json`](Report::to_json) into a file.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn write_json(&self, path: impl AsRef<Path>, extra: &[(&str, f64)]) -> Result<(), Error> {
        let path = path.as_ref();
        std::fs::write(path, self.to_json(extra)).map_err(|e| Error::io(path, e))
    }
}

/// The first entries of a vector, in brackets.
fn abbreviated(v: &[f64]) -> String {
    const SHOWN: usize = 6;
    let mut text: Vec<String> = v.iter().take(SHOWN).map(|x| format!("{x:.6}")).collect();
    if v.len() > SHOWN {
        text.push(format!("… {} entries", v.len()));
    }
    format!("[{}]", text.join(", "))
}

impl<T: Vector> fmt::Display for Report<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}: {} after {} iterations, {:.2} s",
            self.solver, self.status, self.iterations, self.seconds
        )?;
        writeln!(f, "  {}", self.status.advice())?;
        writeln!(f, "  theta          {}", abbreviated(&self.theta.to_f64()))?;
        writeln!(
            f,
            "  value          {:.8} ± {:.1e} ({})",
            self.value.value,
            self.value.error(),
            self.value.trust
        )?;
        writeln!(
            f,
            "  hypergradient  {}, norm {:.3e} ± {:.1e} ({})",
            abbreviated(&self.hypergradient.to_f64()),
            self.hypergradient.norm(),
            self.error_bound,
            self.trust
        )?;
        write!(
            f,
            "  work           {} lower gradients, {} Hessian products, {} cross products",
            self.work.lower_gradients, self.work.hessian_products, self.work.cross_products
        )?;
        for warning in &self.warnings {
            write!(f, "\n  warning        {warning}")?;
        }
        Ok(())
    }
}
