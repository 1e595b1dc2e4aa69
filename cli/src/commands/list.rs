//! The command `list`: the registers, name by name.

use clap::ValueEnum;
use std::fmt::Write as _;

use super::{compare_solvers, stochastic_benchmark};
use crate::registry::{Entry, methods, problems, solvers};

/// The names and descriptions of the problems that a command knows.
fn problems_of<P: ValueEnum>() -> Vec<(String, String)> {
    let values = P::value_variants().iter().filter_map(P::to_possible_value);
    let text = |value: clap::builder::PossibleValue| {
        let help = value.get_help().map(ToString::to_string);
        (value.get_name().to_owned(), help.unwrap_or_default())
    };
    values.map(text).collect()
}

/// The registers as text, one line per name.
pub(super) fn text() -> String {
    let own = |entries: &[Entry<()>]| -> Vec<(String, String)> {
        let pair = |e: &Entry<()>| (e.name.to_owned(), e.about.to_owned());
        entries.iter().map(pair).collect()
    };
    let mut text = String::new();
    for (title, lines) in [
        ("Upper-level solvers", own(&solvers::descriptions())),
        ("Stochastic methods", own(&methods::descriptions())),
        ("Problems of experiment files", own(problems::PROBLEMS)),
        (
            "Problems of compare-solvers",
            problems_of::<compare_solvers::ProblemName>(),
        ),
        (
            "Problems of stochastic-benchmark",
            problems_of::<stochastic_benchmark::ProblemName>(),
        ),
    ] {
        let gap = if text.is_empty() { "" } else { "\n" };
        let _ = writeln!(text, "{gap}{title}:");
        for (name, about) in lines {
            let _ = writeln!(text, "  {name:<20} {about}");
        }
    }
    text
}
