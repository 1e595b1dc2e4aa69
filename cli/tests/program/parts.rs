//! Parts of the program: names, experiment files, tables of a page. They stand here so that the library is compiled once, without tests.

use bilevel_cli::experiment::Experiment;
use bilevel_cli::experiment::html::{escaped, shown, table};
use bilevel_cli::registry::names::nearest;

#[test]
fn what_a_file_says_is_text_and_never_a_part_of_the_page() {
    assert_eq!(escaped("<a & \"b\">"), "&lt;a &amp; &quot;b&quot;&gt;");
    let html = table(&["<x>"], 1, &[vec!["<script>".to_owned()]]);
    assert!(html.contains("&lt;script&gt;") && !html.contains("<script>"));
}

#[test]
fn numbers_are_short_and_unknown_ones_a_dash() {
    let texts = [0.0, 12.0, 0.5, 1e-9, 1e9, f64::NAN].map(shown);
    assert_eq!(texts, ["0", "12", "0.500000", "1.000e-9", "1.000e9", "–"]);
}

#[test]
fn an_experiment_comes_back_from_its_file_with_every_default() {
    for text in [
        "[problem.quadratic]",
        "seeds = [3]\n[problem.tv]\nimages = [\"a.png\"]\nnorm = \"isotropic\"\n[limits]\nseconds = 2.5",
        "[problem.foe]\nfilters = 4",
        "[problem.logistic_regression]\npenalty = \"per_class\"\ntrain = \"a\"\nvalidation = \"b\"",
        "[problem.hyper_cleaning]",
        "[problem.ridge]\ndata = \"a.csv\"",
        "[problem.lasso]\ndata = \"a.csv\"\nshrinkage = \"elastic_net\"\n[solver]\nupper_step = 0.5",
    ] {
        let experiment = Experiment::parse(text).unwrap();
        let written = experiment.to_toml().unwrap();
        assert_eq!(
            Experiment::parse(&written).unwrap(),
            experiment,
            "{written}"
        );
    }
}

#[test]
fn mistakes_are_refused_with_their_place_and_the_nearest_name() {
    for (text, words) in [
        ("", &["problem"][..]),
        (
            "[problem.tvv]",
            &["line 1, column 10", "`tvv`", "perhaps `tv`"],
        ),
        (
            "[problem.tv]\nsgima = 1",
            &["line 2, column 1", "`sgima`", "perhaps `sigma`"],
        ),
        (
            "[problem.tv]\n[sovler]",
            &["line 2", "`sovler`", "perhaps `solver`"],
        ),
        (
            "[problem.tv]\n[limits]\niteration = 5",
            &["line 3", "perhaps `iterations`"],
        ),
        (
            "[problem.tv]\nnorm = \"iso\"",
            &["line 2, column 8", "`iso`", "isotropic"],
        ),
        ("[problem.tv]\nsize = -1", &["line 2, column 8"]),
        ("[problem.tv]\nsize = ", &["line 2, column 8"]),
        ("[problem.ridge]", &["data"]),
        ("name = \"a/b\"\n[problem.tv]", &["name", "`a/b`"]),
        ("seeds = []\n[problem.tv]", &["seeds"]),
        ("seeds = [1, 1]\n[problem.tv]", &["seeds", "1 twice"]),
        ("tolerance = nan\n[problem.tv]", &["tolerance"]),
        ("[problem.tv]\n[problem.foe]", &["not understood"]),
    ] {
        let refused = Experiment::parse(text).unwrap_err().to_string();
        assert!(
            words.iter().all(|word| refused.contains(word)),
            "{text:?}: {refused}"
        );
        assert!(!refused.contains('\n'), "{refused}");
    }
}

#[test]
fn the_nearest_name_is_one_that_could_be_meant() {
    let names = ["penalty", "train", "validation"];
    assert_eq!(nearest("penalties", &names), "perhaps `penalty`");
    assert_eq!(nearest("trian", &names), "perhaps `train`");
    assert_eq!(nearest("colour", &names), "another name");
    assert_eq!(nearest("", &[]), "another name");
}
