//! The trace of a run: one row per iteration, without wall-clock times.

use serde::{Deserialize, Serialize};
use std::fmt::Write as _;
use std::path::Path;
use std::str::FromStr;

use crate::error::Error;
use crate::hypergradient::{Accuracy, BoundedValue, Trust};
use crate::upper::Iteration;
use crate::work::Work;

/// The columns before those for the work and for θ.
const COLUMNS: &str = "iteration,value,value_lower,value_upper,gradient_norm,error_bound,trust,epsilon,delta,step,hypergradients,trials";

/// The iterations of a run in order, with cumulative work.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Trace {
    rows: Vec<Iteration>,
}

impl Trace {
    /// The iterations.
    pub fn rows(&self) -> &[Iteration] {
        &self.rows
    }

    /// The last iteration.
    pub fn last(&self) -> Option<&Iteration> {
        self.rows.last()
    }

    pub(crate) fn rows_mut(&mut self) -> &mut [Iteration] {
        &mut self.rows
    }

    pub(crate) fn push(&mut self, row: Iteration) {
        self.rows.push(row);
    }

    /// The trace as comma-separated values, with all digits of every number.
    pub fn to_csv(&self) -> String {
        let mut csv = String::from(COLUMNS);
        for kind in Work::KINDS {
            csv.push(',');
            csv.push_str(kind);
        }
        let entries = self.rows.iter().map(|r| r.theta.len()).max().unwrap_or(0);
        for i in 1..=entries {
            let _ = write!(csv, ",theta_{i}");
        }
        csv.push('\n');
        for r in &self.rows {
            let _ = write!(
                csv,
                "{},{:?},{:?},{:?},{:?},{:?},{},{:?},{:?},",
                r.iteration,
                r.value.value,
                r.value.lower,
                r.value.upper,
                r.gradient_norm,
                r.error_bound,
                r.trust,
                r.accuracy.epsilon,
                r.accuracy.delta,
            );
            if let Some(step) = r.step {
                let _ = write!(csv, "{step:?}");
            }
            let _ = write!(csv, ",{},{}", r.hypergradients, r.trials);
            for count in r.work.counts() {
                let _ = write!(csv, ",{count}");
            }
            for value in &r.theta {
                let _ = write!(csv, ",{value:?}");
            }
            csv.push('\n');
        }
        csv
    }

    /// Writes [`to_csv`](Trace::to_csv) into a file.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn write_csv(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        let path = path.as_ref();
        std::fs::write(path, self.to_csv()).map_err(|e| Error::io(path, e))
    }

    /// Parses the output of [`to_csv`](Trace::to_csv); every number is restored to the bit. The table stores one trust per row, that of ω; it is
    /// also taken for the bounds of the value.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`], with the line and the column.
    pub fn from_csv(csv: &str) -> Result<Self, Error> {
        let mut lines = csv.lines().enumerate();
        let head = lines.next().map_or("", |(_, line)| line);
        let kinds = Work::KINDS.join(",");
        let columns: Vec<&str> = head.split(',').collect();
        if !head.starts_with(&format!("{COLUMNS},{kinds}")) {
            let expected = format!("a trace, which begins with the columns {COLUMNS}, …");
            return Err(Error::invalid(
                "line 1",
                format!("`{}`", short(head)),
                expected,
            ));
        }
        let rows = lines.map(|(k, line)| row(k + 1, line, &columns));
        Ok(Trace {
            rows: rows.collect::<Result<_, _>>()?,
        })
    }

    /// Reads a file written by [`write_csv`](Trace::write_csv).
    ///
    /// # Errors
    /// [`Error::Io`], and those of [`from_csv`](Trace::from_csv) with the name of the file.
    pub fn read_csv(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let bytes = std::fs::read(path).map_err(|e| Error::io(path, e))?;
        let trace = utf8(&bytes).and_then(Trace::from_csv);
        trace.map_err(|error| error.within(&path.display().to_string()))
    }
}

fn utf8(bytes: &[u8]) -> Result<&str, Error> {
    str::from_utf8(bytes).map_err(|e| {
        let place = format!("byte {}", e.valid_up_to());
        Error::invalid(place, "not UTF-8", "text")
    })
}

/// The first characters of a line, escaped to stay on one line.
fn short(line: &str) -> String {
    line.chars().take(40).flat_map(char::escape_debug).collect()
}

/// Parses one row.
fn row(number: usize, line: &str, columns: &[&str]) -> Result<Iteration, Error> {
    let cells: Vec<&str> = line.split(',').collect();
    if cells.len() != columns.len() {
        let expected = format!("{} entries, as in its first line", columns.len());
        return Err(Error::invalid(
            format!("line {number}"),
            format!("{} entries", cells.len()),
            expected,
        ));
    }
    let cells = Cells {
        number,
        cells,
        columns,
    };
    let trust = match cells.cells[6] {
        "certified" => Trust::Certified,
        "estimated" => Trust::Estimated,
        "unknown" => Trust::Unknown,
        other => return Err(cells.refuse(6, other, "certified, estimated or unknown")),
    };
    let first = COLUMNS.split(',').count();
    let mut counts = [0; Work::KINDS.len()];
    for (k, count) in counts.iter_mut().enumerate() {
        *count = cells.get(first + k)?;
    }
    let theta = first + counts.len()..columns.len();
    Ok(Iteration {
        iteration: cells.get(0)?,
        value: BoundedValue {
            value: cells.get(1)?,
            lower: cells.get(2)?,
            upper: cells.get(3)?,
            trust,
        },
        gradient_norm: cells.get(4)?,
        error_bound: cells.get(5)?,
        trust,
        accuracy: Accuracy {
            epsilon: cells.get(7)?,
            delta: cells.get(8)?,
        },
        step: match cells.cells[9] {
            "" => None,
            _ => Some(cells.get(9)?),
        },
        hypergradients: cells.get(10)?,
        trials: cells.get(11)?,
        work: Work::of_counts(counts),
        theta: theta.map(|k| cells.get(k)).collect::<Result<_, _>>()?,
    })
}

/// The entries of a line.
struct Cells<'a> {
    number: usize,
    cells: Vec<&'a str>,
    columns: &'a [&'a str],
}

impl Cells<'_> {
    fn get<T: FromStr>(&self, k: usize) -> Result<T, Error> {
        let cell = self.cells[k];
        cell.parse().map_err(|_| self.refuse(k, cell, "a number"))
    }

    fn refuse(&self, k: usize, found: &str, expected: &str) -> Error {
        let argument = format!("line {}, column {}", self.number, self.columns[k]);
        Error::invalid(argument, format!("`{}`", short(found)), expected)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace() -> Trace {
        let row = |k: u64| Iteration {
            iteration: k,
            value: BoundedValue {
                value: 0.1 + k as f64,
                lower: f64::NEG_INFINITY,
                upper: 1.0 / 3.0 + k as f64,
                trust: Trust::Estimated,
            },
            gradient_norm: 1e-300,
            error_bound: f64::INFINITY,
            trust: Trust::Estimated,
            accuracy: Accuracy {
                epsilon: 0.1,
                delta: 0.2,
            },
            step: (k > 0).then_some(0.7),
            hypergradients: 2,
            trials: 3,
            work: Work::of_counts([1, 2, 3, 4, 5, 6, 7, 8, 9, u64::MAX]),
            theta: vec![-5.0, 1e-17],
        };
        Trace {
            rows: (0..3).map(row).collect(),
        }
    }

    #[test]
    fn a_trace_comes_back_from_its_table_to_the_bit() {
        let trace = trace();
        assert_eq!(Trace::from_csv(&trace.to_csv()).unwrap(), trace);
        let empty = Trace::default();
        assert_eq!(Trace::from_csv(&empty.to_csv()).unwrap(), empty);
    }

    #[test]
    fn what_is_no_trace_is_refused_with_its_place() {
        let csv = trace().to_csv();
        for (text, words) in [
            (String::new(), ["line 1", "a trace"]),
            (
                csv.replacen("estimated", "sure", 1),
                ["line 2, column trust", "`sure`"],
            ),
            (
                csv.replacen("0.7", "long", 1),
                ["line 3, column step", "`long`"],
            ),
            (format!("{csv}1,2\n"), ["line 5", "2 entries"]),
        ] {
            let refused = Trace::from_csv(&text).unwrap_err().to_string();
            assert!(words.iter().all(|word| refused.contains(word)), "{refused}");
        }
    }
}
