//! Experiments from files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A folder of its own for a test, with these experiments in it.
struct Place(tempfile::TempDir);

impl Place {
    fn new(files: &[(&str, &str)]) -> Self {
        let place = Place(tempfile::tempdir().unwrap());
        for (name, text) in files {
            std::fs::write(place.path(name), text).unwrap();
        }
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn bilevel(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_bilevel"))
            .args(arguments)
            .current_dir(self.0.path())
            .output()
            .unwrap()
    }

    fn succeeds(&self, arguments: &[&str]) -> String {
        let output = self.bilevel(arguments);
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments:?}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Exit code 2 and one line with these words.
    fn refuses(&self, arguments: &[&str], words: &[&str]) {
        let output = self.bilevel(arguments);
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {errors}");
        assert_eq!(errors.lines().count(), 1, "{errors}");
        assert!(
            words.iter().all(|word| errors.contains(word)),
            "{arguments:?}: {errors}"
        );
    }

    /// All files below a folder but those of the machine, the page without the section of its seconds.
    fn files(&self, folder: &str) -> BTreeMap<PathBuf, Vec<u8>> {
        let root = self.path(folder);
        let mut files = BTreeMap::new();
        let mut folders = vec![root.clone()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.ends_with("machine") {
                    continue;
                }
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let mut bytes = std::fs::read(&path).unwrap();
                if path.ends_with("report.html") {
                    let text = String::from_utf8(bytes).unwrap();
                    let (page, _) = text.split_once("<section id=\"timing\">").unwrap();
                    bytes = page.as_bytes().to_vec();
                }
                files.insert(path.strip_prefix(&root).unwrap().to_owned(), bytes);
            }
        }
        files
    }
}

const QUADRATIC: &str =
    "seeds = [0, 7]\n[problem.quadratic]\nhyperparameters = 4\n[solver]\nname = \"maid\"\n";
const TV: &str = "[problem.tv]\nsize = 24\n[limits]\niterations = 4\n";
const CLEANING: &str = "[problem.hyper_cleaning]\ntrain = 60\nvalidation = 40\n[solver]\nname = \"saba\"\nbatch = 16\nblock = 20\n[limits]\niterations = 3\n";
const LOGISTIC: &str =
    "[problem.logistic_regression]\npenalty = \"per_class\"\n[limits]\niterations = 2\n";

/// Numbers to be predicted, which three of four features decide.
fn table() -> String {
    let feature = |i: usize, j: usize| ((i * (2 * j + 3)) as f64).sin();
    let row = |i: usize| {
        let x: Vec<f64> = (0..4).map(|j| feature(i, j)).collect();
        let y = 2.0 * x[0] - x[1] + 0.5 * x[2] + 0.3 * (i as f64 * 1.7).cos();
        format!("{},{},{},{},{y}\n", x[0], x[1], x[2], x[3])
    };
    (0..60).map(row).collect()
}

#[test]
fn the_same_experiment_gives_the_same_bytes_on_any_number_of_threads() {
    let place = Place::new(&[("q.toml", QUADRATIC), ("tv.toml", TV), ("c.toml", CLEANING)]);
    for name in ["q", "tv", "c"] {
        let file = format!("{name}.toml");
        place.succeeds(&["run", &file, "--out", "one", "--threads", "1"]);
        place.succeeds(&["run", &file, "--out", "two", "--threads", "2"]);
        place.succeeds(&["run", &file, "--out", "two", "--threads", "2"]);
        let (one, two) = (place.files("one"), place.files("two"));
        assert!(one.len() >= 7, "{:?}", one.keys());
        assert_eq!(
            one.keys().collect::<Vec<_>>(),
            two.keys().collect::<Vec<_>>()
        );
        for (path, bytes) in &one {
            assert!(two[path] == *bytes, "{name}: {} differs", path.display());
        }
        std::fs::remove_dir_all(place.path("one")).unwrap();
        std::fs::remove_dir_all(place.path("two")).unwrap();
    }
}

#[test]
fn a_run_that_is_gone_on_with_ends_like_one_that_was_not_stopped() {
    let short = QUADRATIC.to_owned() + "[limits]\niterations = 2\n";
    let long = QUADRATIC.to_owned() + "[limits]\niterations = 5\n";
    let place = Place::new(&[("a.toml", &short), ("b.toml", &long)]);
    place.succeeds(&["run", "a.toml", "--out", "a/x"]);
    place.succeeds(&["resume", "a/x", "--iterations", "5"]);
    std::fs::create_dir(place.path("b")).unwrap();
    std::fs::rename(place.path("b.toml"), place.path("b/a.toml")).unwrap();
    place.succeeds(&["run", "b/a.toml", "--out", "b/x"]);
    assert_eq!(place.files("a/x"), place.files("b/x"));
    // Without a new limit there is nothing to do.
    let again = place.succeeds(&["resume", "b/x"]);
    assert_eq!(again.matches("has ended before").count(), 2, "{again}");
    assert_eq!(place.files("a/x"), place.files("b/x"));
    // The seconds of both parts are kept: one for every row.
    let rows = std::fs::read_to_string(place.path("a/x/seed-0/trace.csv")).unwrap();
    let seconds = std::fs::read_to_string(place.path("a/x/machine/seconds.json")).unwrap();
    let seconds: BTreeMap<String, Vec<f64>> = serde_json::from_str(&seconds).unwrap();
    assert_eq!(seconds["0"].len(), rows.lines().count() - 1);
}

#[test]
fn every_problem_is_run_and_its_derivatives_pass_the_check() {
    let ridge = "[problem.ridge]\ndata = \"table.csv\"\npenalty = \"per_feature\"\n";
    let lasso = "[problem.lasso]\ndata = \"table.csv\"\n";
    let foe = "[problem.foe]\nsize = 16\nfilters = 2\nfilter_size = 3\n[limits]\niterations = 2\n";
    let place = Place::new(&[
        ("quadratic.toml", QUADRATIC),
        ("tv.toml", TV),
        ("foe.toml", foe),
        ("logistic.toml", LOGISTIC),
        ("cleaning.toml", CLEANING),
        ("ridge.toml", ridge),
        ("lasso.toml", lasso),
        ("table.csv", &table()),
    ]);
    for name in [
        "quadratic",
        "tv",
        "foe",
        "logistic",
        "cleaning",
        "ridge",
        "lasso",
    ] {
        let file = format!("{name}.toml");
        let text = place.succeeds(&["check", &file]);
        assert!(text.contains("hypergradient"), "{text}");
        let lines = place.succeeds(&["run", &file]);
        assert!(lines.contains(&format!("{name}, seed 0: ")), "{lines}");
        let page =
            std::fs::read_to_string(place.path(&format!("runs/{name}/report.html"))).unwrap();
        assert!(page.contains("<svg") && page.contains("trust"));
        // Nothing is fetched from elsewhere.
        for outside in ["<script", "<link", "src=", "@import", "url("] {
            assert!(!page.contains(outside), "{name}: {outside}");
        }
    }
}

#[test]
fn results_are_not_taken_for_those_of_other_data() {
    let file = "[problem.ridge]\ndata = \"table.csv\"\n[limits]\niterations = 1\n";
    let place = Place::new(&[("ridge.toml", file), ("table.csv", &table())]);
    place.succeeds(&["run", "ridge.toml"]);
    let before = place.files("runs/ridge");
    std::fs::write(place.path("table.csv"), table().replace("0.3", "0.4")).unwrap();
    let words = ["the problem of seed 0", "ridge"];
    place.refuses(&["resume", "runs/ridge", "--iterations", "9"], &words);
    place.refuses(&["compare", "ridge.toml", "ridge.toml"], &["twice"]);
    let kept = place.files("runs/ridge");
    let report = Path::new("seed-0/report.json");
    assert_eq!(kept[report], before[report]);
}

#[test]
fn experiments_are_compared_and_what_has_been_run_is_not_run_again() {
    let hoag = QUADRATIC.replace("maid", "hoag-quadratic");
    let place = Place::new(&[("maid.toml", QUADRATIC), ("hoag.toml", &hoag)]);
    place.succeeds(&["run", "maid.toml"]);
    let text = place.succeeds(&["compare", "maid.toml", "hoag.toml"]);
    assert_eq!(
        text.matches("maid, seed").count(),
        text.matches("has ended before").count()
    );
    assert!(text.contains("hoag, seed 7: "), "{text}");
    let files = place.files("runs/maid-and-hoag");
    let names: Vec<&Path> = files.keys().map(PathBuf::as_path).collect();
    let expected = [
        "compare.csv",
        "convergence.svg",
        "precision.svg",
        "profile.svg",
        "report.html",
    ];
    assert_eq!(names, expected.map(Path::new));
    let svg = String::from_utf8(files[Path::new("profile.svg")].clone()).unwrap();
    for word in ["Performance profile", "hoag", "maid"] {
        assert!(svg.contains(word), "{word}");
    }
    place.succeeds(&["plot", "runs/maid", "runs/hoag", "--out", "drawn"]);
    let drawn = place.files("drawn");
    assert_eq!(drawn, files);
}

#[test]
fn mistakes_get_one_line_and_lose_nothing() {
    let place = Place::new(&[
        ("q.toml", QUADRATIC),
        (
            "typo.toml",
            "[problem.quadratic]\nunknowns = 5\nconditon = 3\n",
        ),
        (
            "solver.toml",
            "[problem.quadratic]\n[solver]\nname = \"mdai\"\n",
        ),
        (
            "batch.toml",
            "[problem.tv]\nsize = 16\n[solver]\nname = \"soba\"\n",
        ),
        ("missing.toml", "[problem.ridge]\ndata = \"none.csv\"\n"),
        (
            "half.toml",
            "[problem.logistic_regression]\ntrain = \"a\"\n",
        ),
    ]);
    let typo = [
        "typo.toml",
        "line 3, column 1",
        "`conditon`",
        "perhaps `condition`",
    ];
    place.refuses(&["run", "typo.toml"], &typo);
    place.refuses(
        &["run", "solver.toml", "--out", "kept"],
        &["`mdai`", "perhaps `maid`", "hoag-quadratic"],
    );
    place.refuses(&["run", "batch.toml"], &["`soba`", "batches"]);
    place.refuses(&["run", "missing.toml"], &["none.csv"]);
    place.refuses(&["run", "half.toml"], &["`validation`"]);
    place.refuses(&["run", "nowhere.toml"], &["nowhere.toml"]);
    place.refuses(&["run", "q.toml", "--threads", "0"], &["threads"]);
    place.refuses(&["resume", "nowhere"], &["nowhere"]);
    place.refuses(&["plot", "."], &["experiment.toml"]);
    place.refuses(&["runn", "q.toml"], &["runn"]);
    // What could not be run left nothing behind.
    assert!(!place.path("runs").join("typo").exists());
    assert!(!place.path("runs").join("missing").exists());
    place.succeeds(&["run", "q.toml", "--out", "kept"]);
    let before = place.files("kept");
    place.refuses(&["run", "typo.toml", "--out", "kept"], &["conditon"]);
    std::fs::write(place.path("q.toml"), QUADRATIC.replace("maid", "maid-bb")).unwrap();
    place.refuses(
        &["run", "q.toml", "--out", "kept"],
        &["kept", "another experiment"],
    );
    assert_eq!(place.files("kept"), before);
    // A report that somebody damaged is named.
    std::fs::write(place.path("kept/seed-7/trace.csv"), "iteration\n").unwrap();
    place.refuses(&["plot", "kept"], &["trace.csv", "line 1"]);
}
