//! Observers of a run: a table, a progress bar, lines of JSON.

use std::io::{self, ErrorKind, Write};

use crate::upper::Iteration;

/// Receives the iterations of a run. An observer that returns an error is called no more; the run continues.
pub trait Observer {
    /// Called before the first iteration, with the solver's name, the number of the first iteration, and the limit of iterations.
    ///
    /// # Errors
    /// Those of the output.
    fn begin(&mut self, solver: &str, first: u64, limit: Option<u64>) -> io::Result<()> {
        let _ = (solver, first, limit);
        Ok(())
    }
    /// Called after an iteration, with the seconds since the start.
    ///
    /// # Errors
    /// Those of the output.
    fn iteration(&mut self, row: &Iteration, seconds: f64) -> io::Result<()>;
    /// Called after the last iteration, with the report as text.
    ///
    /// # Errors
    /// Those of the output.
    fn end(&mut self, report: &str) -> io::Result<()> {
        let _ = report;
        Ok(())
    }
}

/// A table, one line per iteration.
#[derive(Debug)]
pub struct Table<W> {
    out: W,
}

impl<W: Write> Table<W> {
    /// A table written to `out`.
    pub fn new(out: W) -> Self {
        Table { out }
    }
}

impl Table<io::Stdout> {
    /// A table on standard output. A closed pipe, as after `| head`, is ignored: the run goes on without a warning.
    pub fn stdout() -> Table<impl Write> {
        Table::new(IgnoreClosedPipe(io::stdout()))
    }
}

/// A writer for which a closed pipe is no error.
struct IgnoreClosedPipe<W>(W);

impl<W: Write> Write for IgnoreClosedPipe<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.0.write(bytes) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(bytes.len()),
            written => written,
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self.0.flush() {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            flushed => flushed,
        }
    }
}

/// A number with this many decimals. An unknown number, stored as infinity, becomes a dash.
fn known(number: f64, decimals: usize) -> String {
    if number.is_finite() {
        format!("{number:.decimals$e}")
    } else {
        "-".into()
    }
}

impl<W: Write> Observer for Table<W> {
    fn begin(&mut self, solver: &str, first: u64, _limit: Option<u64>) -> io::Result<()> {
        if first > 0 {
            writeln!(self.out, "{solver}, resumed at iteration {first}")?;
        } else {
            writeln!(self.out, "{solver}")?;
        }
        writeln!(
            self.out,
            "{:>5} {:>14} {:>9} {:>10} {:>9} {:>9} {:>9} {:>9} {:>9} {:>8}",
            "iter", "value", "±", "‖z‖", "ω", "ε", "δ", "step", "products", "seconds"
        )
    }

    fn iteration(&mut self, row: &Iteration, seconds: f64) -> io::Result<()> {
        writeln!(
            self.out,
            "{:>5} {:>14.8} {:>9} {:>10} {:>9} {:>9} {:>9} {:>9} {:>9} {:>8.2}",
            row.iteration,
            row.value.value,
            known(row.value.error(), 1),
            known(row.gradient_norm, 3),
            known(row.error_bound, 1),
            known(row.accuracy.epsilon, 1),
            known(row.accuracy.delta, 1),
            row.step.map_or("-".into(), |s| known(s, 1)),
            row.work.iterations(),
            seconds,
        )
    }

    fn end(&mut self, _report: &str) -> io::Result<()> {
        self.out.flush()
    }
}

/// Lines of JSON, one object per iteration, for programs that follow a run.
#[derive(Debug)]
pub struct JsonLines<W> {
    out: W,
}

impl<W: Write> JsonLines<W> {
    /// Lines written to `out`.
    pub fn new(out: W) -> Self {
        JsonLines { out }
    }
}

impl<W: Write> Observer for JsonLines<W> {
    fn iteration(&mut self, row: &Iteration, seconds: f64) -> io::Result<()> {
        let mut object = serde_json::to_value(row)?;
        if let Some(map) = object.as_object_mut() {
            map.insert("seconds".into(), seconds.into());
        }
        writeln!(self.out, "{object}")?;
        self.out.flush()
    }
}

/// A progress bar with value, bound and elapsed time; silent if the output is not a terminal.
#[cfg(feature = "progress")]
#[derive(Debug)]
pub struct ProgressBar {
    bar: indicatif::ProgressBar,
}

#[cfg(feature = "progress")]
impl Default for ProgressBar {
    fn default() -> Self {
        ProgressBar {
            bar: indicatif::ProgressBar::no_length(),
        }
    }
}

#[cfg(feature = "progress")]
impl Observer for ProgressBar {
    fn begin(&mut self, solver: &str, first: u64, limit: Option<u64>) -> io::Result<()> {
        let template = match limit {
            Some(_) => "{prefix} {wide_bar} {pos}/{len} {elapsed} {msg}",
            None => "{prefix} {spinner} {pos} {elapsed} {msg}",
        };
        let style = indicatif::ProgressStyle::with_template(template).map_err(io::Error::other)?;
        self.bar.set_style(style);
        if let Some(limit) = limit {
            self.bar.set_length(limit);
        }
        self.bar.set_prefix(solver.to_owned());
        self.bar.set_position(first);
        // So that the elapsed time also advances during long iterations.
        self.bar
            .enable_steady_tick(std::time::Duration::from_millis(200));
        Ok(())
    }

    fn iteration(&mut self, row: &Iteration, _seconds: f64) -> io::Result<()> {
        self.bar
            .set_position(row.iteration + u64::from(row.step.is_some()));
        self.bar.set_message(format!(
            "value {:.6} ‖z‖ {} ± {}",
            row.value.value,
            known(row.gradient_norm, 1),
            known(row.error_bound, 1)
        ));
        Ok(())
    }

    fn end(&mut self, _report: &str) -> io::Result<()> {
        self.bar.finish_and_clear();
        Ok(())
    }
}
