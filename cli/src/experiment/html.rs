//! One page for a run or a comparison: figures, tables and settings in a file that opens from disk, without any other.

use bilevel::Error;
use std::fmt::Write as _;

use super::figures::{self, Drawn};
use super::folder::{Finished, Outcome};

/// How the page looks; on paper, figures stay whole.
const STYLE: &str = "\
body{font:15px/1.5 system-ui,sans-serif;color:#222;background:#fff;max-width:1060px;margin:2em auto;padding:0 1em}\
h1{font-size:1.5em}h2{font-size:1.15em;margin-top:2em;border-bottom:1px solid #ccc}\
.wide{overflow-x:auto}table{border-collapse:collapse;font-variant-numeric:tabular-nums}\
th,td{padding:.25em .8em;text-align:right;border-bottom:1px solid #ddd;white-space:nowrap}\
th:first-child,td:first-child,td.text,th.text{text-align:left}thead th{border-bottom:2px solid #222}\
figure{margin:1.5em 0;break-inside:avoid}figure svg{max-width:100%;height:auto}figcaption{color:#555}\
pre{background:#f5f5f5;padding:1em;overflow-x:auto}";

pub fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            c => safe.push(c),
        }
    }
    safe
}

fn page(title: &str, body: &str) -> String {
    let title = escaped(title);
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{title}</title>\n<style>{STYLE}</style>\n\
         </head>\n<body>\n<h1>{title}</h1>\n{body}</body>\n</html>\n"
    )
}

/// A number to be read by people; a dash where it is not known.
pub fn shown(number: f64) -> String {
    let size = number.abs();
    if !number.is_finite() {
        "–".to_owned()
    } else if number == 0.0 || (1e-3..1e6).contains(&size) {
        if number.fract() == 0.0 {
            format!("{number}")
        } else {
            format!("{number:.6}")
        }
    } else {
        format!("{number:.3e}")
    }
}

/// A table: its first columns hold texts.
pub fn table(head: &[&str], texts: usize, rows: &[Vec<String>]) -> String {
    let class = |k: usize| if k < texts { " class=\"text\"" } else { "" };
    let mut html = String::from("<div class=\"wide\"><table>\n<thead><tr>");
    for (k, cell) in head.iter().enumerate() {
        let _ = write!(html, "<th{}>{}</th>", class(k), escaped(cell));
    }
    html.push_str("</tr></thead>\n<tbody>\n");
    for row in rows {
        html.push_str("<tr>");
        for (k, cell) in row.iter().enumerate() {
            let _ = write!(html, "<td{}>{}</td>", class(k), escaped(cell));
        }
        html.push_str("</tr>\n");
    }
    html.push_str("</tbody></table></div>\n");
    html
}

fn figure(html: &mut String, svg: &str, caption: &str) {
    // A document inside a document has no declaration.
    let svg = svg.find("<svg").map_or("", |start| &svg[start..]);
    let caption = escaped(caption);
    let _ = writeln!(
        html,
        "<figure>\n{svg}\n<figcaption>{caption}</figcaption>\n</figure>"
    );
}

/// The columns of both tables behind the first texts.
const NUMBERS: [(&str, &str); 6] = [
    ("iterations", "iterations"),
    ("F", "value"),
    ("± F", "value_error"),
    ("‖z‖", "hypergradient_norm"),
    ("ω", "error_bound"),
    ("work", ""),
];

fn numbers(outcome: &Outcome) -> Vec<String> {
    let work = outcome
        .trace
        .last()
        .map_or(f64::NAN, |row| row.work.iterations() as f64);
    let number = |(_, key): &(&str, &str)| match *key {
        "" => shown(work),
        key => shown(outcome.number(key)),
    };
    let mut cells: Vec<String> = NUMBERS.iter().map(number).collect();
    cells.push(outcome.text("trust").to_owned());
    cells
}

/// The meaning of every status that a run ended with.
fn advice<'a>(outcomes: impl Iterator<Item = &'a Outcome>) -> String {
    let mut seen: Vec<(&str, &str)> = Vec::new();
    for outcome in outcomes {
        let entry = (outcome.text("status"), outcome.text("advice"));
        if !seen.contains(&entry) {
            seen.push(entry);
        }
    }
    let lines = seen.iter().map(|(status, advice)| {
        format!("<li><b>{}</b>: {}</li>\n", escaped(status), escaped(advice))
    });
    format!("<ul>\n{}</ul>\n", lines.collect::<String>())
}

fn warnings(outcome: &Outcome) -> String {
    let warnings = outcome.report.get("warnings").and_then(|w| w.as_array());
    let texts = warnings.into_iter().flatten().filter_map(|w| w.as_str());
    let line = |text| {
        format!(
            "<p><b>Warning</b>, seed {}: {}</p>\n",
            outcome.seed,
            escaped(text)
        )
    };
    texts.map(line).collect()
}

/// The numbers that depend on the machine: the last section, and the only one in which two runs differ.
fn timing(all: &[Finished]) -> Result<String, Error> {
    let mut html = String::from("<section id=\"timing\">\n<h2>Seconds of this machine</h2>\n");
    let mut rows = Vec::new();
    for (name, one) in figures::names(all).iter().zip(all) {
        for outcome in &one.outcomes {
            let last = outcome.seconds.last().copied().unwrap_or(f64::NAN);
            rows.push(vec![
                name.clone(),
                outcome.seed.to_string(),
                format!("{last:.3}"),
            ]);
        }
    }
    html.push_str(&table(&["experiment", "seed", "seconds"], 1, &rows));
    if let Some(svg) = figures::seconds(all)? {
        figure(
            &mut html,
            &svg,
            "The upper value over the seconds: medians and quartiles of the seeds.",
        );
    }
    html.push_str("</section>\n");
    Ok(html)
}

/// The page of one experiment.
pub(super) fn run_page(finished: &Finished, all: &[Drawn]) -> Result<String, Error> {
    let experiment = &finished.experiment;
    let qualities = finished.outcomes[0].quality();
    let mut head = vec!["seed", "status"];
    head.extend(NUMBERS.iter().map(|(name, _)| *name));
    head.push("trust");
    head.extend(qualities.iter().map(|(name, _)| *name));
    let row = |outcome: &Outcome| {
        let mut row = vec![outcome.seed.to_string(), outcome.text("status").to_owned()];
        row.extend(numbers(outcome));
        row.extend(outcome.quality().iter().map(|(_, v)| shown(*v)));
        row
    };
    let rows: Vec<Vec<String>> = finished.outcomes.iter().map(row).collect();
    let mut html = format!(
        "<p>Solver: {}.</p>\n",
        escaped(finished.outcomes[0].text("solver"))
    );
    html.push_str("<h2>Where the runs ended</h2>\n");
    html.push_str(&table(&head, 2, &rows));
    html.push_str("<p>Work is lower gradients and Hessian products; F ± its bound; z is the hypergradient and ω the bound of its error, as sure as the trust says.</p>\n");
    html.push_str(&advice(finished.outcomes.iter()));
    html.extend(finished.outcomes.iter().map(warnings));
    html.push_str("<h2>Figures</h2>\n");
    for drawn in all {
        figure(&mut html, &drawn.svg, drawn.caption);
    }
    let settings = escaped(&experiment.to_toml()?);
    let versions = escaped(&format!("{:#}", finished.versions()));
    let _ = write!(
        html,
        "<h2>Settings</h2>\n<pre>{settings}</pre>\n<h2>Versions and problems</h2>\n<pre>{versions}</pre>\n"
    );
    html.push_str(&timing(std::slice::from_ref(finished))?);
    Ok(page(&experiment.name, &html))
}

/// The page of several experiments.
pub(super) fn comparison_page(all: &[Finished], drawn: &[Drawn]) -> Result<String, Error> {
    let names = figures::names(all);
    let mut head = vec!["experiment", "solver", "seed", "status"];
    head.extend(NUMBERS.iter().map(|(name, _)| *name));
    head.push("trust");
    let mut rows = Vec::new();
    for (name, one) in names.iter().zip(all) {
        for outcome in &one.outcomes {
            let mut row = vec![
                name.clone(),
                one.experiment.solver.name.clone(),
                outcome.seed.to_string(),
                outcome.text("status").to_owned(),
            ];
            row.extend(numbers(outcome));
            rows.push(row);
        }
    }
    let mut html = String::from("<h2>Figures</h2>\n");
    for drawn in drawn {
        figure(&mut html, &drawn.svg, drawn.caption);
    }
    html.push_str("<h2>Where the runs ended</h2>\n");
    html.push_str(&table(&head, 4, &rows));
    html.push_str(&advice(all.iter().flat_map(|one| &one.outcomes)));
    for (name, one) in names.iter().zip(all) {
        let settings = escaped(&one.experiment.to_toml()?);
        let _ = writeln!(html, "<h2>{}</h2>\n<pre>{settings}</pre>", escaped(name));
    }
    html.push_str(&timing(all)?);
    Ok(page(&names.join(" and "), &html))
}
