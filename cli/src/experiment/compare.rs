//! Experiments beside each other.

use bilevel::Error;
use std::path::Path;

use super::folder::{Finished, write};
use super::{figures, html, run};

/// Compares the runs in several folders: figures, a table `compare.csv` and the page `report.html` go into the folder `out`.
///
/// # Errors
/// As for [`load`](run::load), and for no folder.
pub fn compare(folders: &[impl AsRef<Path>], out: &Path) -> Result<(), Error> {
    let loaded = folders.iter().map(|folder| run::load(folder.as_ref()));
    let all: Vec<Finished> = loaded.collect::<Result<_, _>>()?;
    if all.is_empty() {
        return Err(Error::invalid("folders", 0, "at least one"));
    }
    if out.join("experiment.toml").exists() {
        let expected = "a folder of its own for a comparison";
        let argument = out.display().to_string();
        return Err(Error::invalid(argument, "the folder of a run", expected));
    }
    let drawn = figures::of_comparison(&all)?;
    for figure in &drawn {
        write(&out.join(figure.file), &figure.svg)?;
    }
    if let Some(svg) = figures::seconds(&all)? {
        write(&out.join("machine").join("seconds.svg"), &svg)?;
    }
    write(&out.join("compare.csv"), &table(&all))?;
    write(
        &out.join("report.html"),
        &html::comparison_page(&all, &drawn)?,
    )
}

fn table(all: &[Finished]) -> String {
    let mut csv = String::from(
        "experiment,solver,seed,status,iterations,value,hypergradient_norm,error_bound,work\n",
    );
    for (name, one) in figures::names(all).iter().zip(all) {
        for outcome in &one.outcomes {
            let work = outcome.trace.last().map_or(0, |row| row.work.iterations());
            let numbers = ["iterations", "value", "hypergradient_norm", "error_bound"];
            let numbers = numbers.map(|key| format!("{:?}", outcome.number(key)));
            csv.push_str(&format!(
                "{},{},{},{},{},{work}\n",
                name.replace(',', ";"),
                one.experiment.solver.name,
                outcome.seed,
                outcome.text("status"),
                numbers.join(",")
            ));
        }
    }
    csv
}
