//! The outcome of the checker.

use std::fmt;

/// One test of the checker.
#[derive(Debug, Clone, PartialEq)]
#[doc(hidden)]
pub struct Check {
    /// The name of the test, such as `hvp`.
    pub name: &'static str,
    /// The relative difference, or for a constant the fraction by which a sample exceeds it.
    pub error: f64,
    /// The largest error that passes.
    pub tolerance: f64,
    /// A hint for a failure.
    pub hint: &'static str,
}

impl Check {
    /// Whether the test passed. A value that is not finite never passes.
    pub fn passed(&self) -> bool {
        self.error <= self.tolerance
    }
}

/// The outcome of all tests at one point.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckReport {
    /// The tests, in the order in which they ran.
    pub checks: Vec<Check>,
}

impl CheckReport {
    /// Whether every test passed.
    pub fn passed(&self) -> bool {
        self.checks.iter().all(Check::passed)
    }

    /// The tests that failed.
    pub fn failures(&self) -> impl Iterator<Item = &Check> {
        self.checks.iter().filter(|c| !c.passed())
    }

    pub(crate) fn record(
        &mut self,
        name: &'static str,
        error: f64,
        tolerance: f64,
        hint: &'static str,
    ) {
        // One row per test: the worst over the directions. NaN counts as infinite.
        let error = if error.is_nan() { f64::INFINITY } else { error };
        match self.checks.iter_mut().find(|c| c.name == name) {
            Some(check) => check.error = check.error.max(error),
            None => self.checks.push(Check {
                name,
                error,
                tolerance,
                hint,
            }),
        }
    }
}

impl fmt::Display for CheckReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in &self.checks {
            let verdict = if c.passed() { "ok" } else { "WRONG" };
            write!(f, "{:<24} {:>9.2e}  {verdict}", c.name, c.error)?;
            if !c.passed() {
                write!(f, "  (at most {:.0e}: {})", c.tolerance, c.hint)?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}
