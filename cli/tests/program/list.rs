//! The command `list`, and the former names of commands.

use bilevel_cli::registry::{methods, solvers};
use std::process::Command;

fn prints(arguments: &[&str]) -> String {
    let mut program = Command::new(env!("CARGO_BIN_EXE_bilevel"));
    let output = program.args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn all_names_are_listed_with_a_line_of_description_each() {
    let text = prints(&["list"]);
    for name in [
        "maid-lbfgs",
        "argmin-swarm",
        "soba",
        "accbo",
        "lasso",
        "deblur-foe",
        "mnist12",
    ] {
        let line = text
            .lines()
            .find(|line| line.starts_with(&format!("  {name} ")));
        assert!(line.unwrap().split_whitespace().count() > 2, "{name}");
    }
}

#[test]
fn commands_go_by_the_names_of_the_examples_too() {
    for name in [
        "compare_solvers",
        "foe_denoise",
        "hyper_cleaning",
        "logistic_regression",
        "stochastic_benchmark",
        "text_cleaning",
        "tune_regularizer",
    ] {
        let help = prints(&[name, "--help"]);
        assert!(
            help.contains(&format!("bilevel {}", name.replace('_', "-"))),
            "{help}"
        );
        assert!(help.contains(&format!("out/{name}")), "{help}");
    }
}

#[test]
fn every_name_has_one_line_of_description_and_stands_once() {
    let mut names = Vec::new();
    for entry in [solvers::descriptions(), methods::descriptions()].concat() {
        assert!(!entry.about.is_empty() && !entry.about.contains('\n'));
        names.push(entry.name);
    }
    names.sort_unstable();
    assert!(names.windows(2).all(|pair| pair[0] != pair[1]));
    let text = prints(&["list"]);
    assert!(text.contains("  maid-lbfgs           MAID along L-BFGS directions"));
    assert!(text.contains("  tv-sure              Isotropic, learned"));
}
