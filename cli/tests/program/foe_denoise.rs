//! The command `foe-denoise` as a user runs it: its files, its reproducibility, stored models, its refusals.

use bilevel_problems::data::{read_png, write_png};
use bilevel_problems::imaging::{FoeModel, Image};
use std::path::Path;

use crate::command;

const NAME: &str = "foe-denoise";
/// A training of a second.
const SMALL: [&str; 8] = [
    "--filters",
    "3",
    "--filter-size",
    "3",
    "--patches",
    "2",
    "--patch-size",
    "20",
];

fn with<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&SMALL[..], more].concat()
}

fn succeeds(out: &Path, more: &[&str]) -> String {
    command::succeeds(NAME, out, &with(more))
}

fn report(out: &Path) -> serde_json::Value {
    let text = std::fs::read_to_string(out.join("report.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// The bytes that must not depend on threads or interruptions.
fn written(out: &Path) -> Vec<Vec<u8>> {
    let names = [
        "trace.csv",
        "convergence.svg",
        "model.json",
        "filters.png",
        "comparison.png",
    ];
    names
        .iter()
        .map(|name| std::fs::read(out.join(name)).unwrap())
        .collect()
}

fn photograph(name: &str) -> String {
    format!(
        "{}/../problems/assets/images/{name}.png",
        env!("CARGO_MANIFEST_DIR")
    )
}

/// The numbers of the line of the table that begins with `name`.
fn row(text: &str, name: &str) -> Vec<f64> {
    let line = text.lines().find(|line| line.starts_with(name)).unwrap();
    let words = line.split_whitespace().skip(1);
    words.map(|word| word.parse().unwrap()).collect()
}

#[test]
fn a_training_writes_its_files_and_its_model_denoises_as_it_said() {
    let folder = tempfile::tempdir().unwrap();
    let (out, applied) = (
        folder.path().join("training"),
        folder.path().join("applied"),
    );
    let text = succeeds(&out, &["--max-iterations", "6"]);
    let found = report(&out);
    for key in [
        "status",
        "theta",
        "value",
        "psnr_noisy",
        "psnr",
        "ssim_noisy",
        "ssim",
    ] {
        assert!(!found[key].is_null(), "{key} is missing");
    }
    assert_eq!(found["trust"], "estimated");
    let camera = row(&text, "camera");
    assert!(
        camera[1] > camera[0] + 3.0 && camera[3] > camera[2] + 0.1,
        "{text}"
    );
    assert_eq!(camera, row(&text, "mean"));
    assert!((found["psnr"].as_f64().unwrap() - camera[1]).abs() <= 0.005 + 1e-9);
    let model = FoeModel::read(out.join("model.json")).unwrap();
    assert_eq!((model.theta().len(), model.sigma()), (1 + 6 + 27, 0.1));
    let theta: Vec<f64> = serde_json::from_value(found["theta"].clone()).unwrap();
    assert_eq!(model.theta(), theta);
    let filters = read_png(out.join("filters.png")).unwrap();
    assert_eq!(filters.pixels().iter().copied().fold(1.0, f64::min), 0.0);
    assert!(
        std::fs::read_to_string(out.join("convergence.svg"))
            .unwrap()
            .starts_with("<svg")
    );

    // The stored model, on the same photograph with the same noise.
    let name = out.join("model.json");
    let (model, clean) = (name.to_str().unwrap(), photograph("camera"));
    let text = command::succeeds(NAME, &applied, &["--model", model, "--images", &clean]);
    assert_eq!(row(&text, "camera.png"), camera);
    // What is noisy already is denoised as it is.
    let noisy = read_png(&clean).unwrap().with_noise(0.1, 5, 0);
    let name = folder.path().join("noisy.png");
    write_png(&name, &[vec![noisy]]).unwrap();
    let arguments = [
        "--model",
        model,
        "--as-is",
        "--images",
        name.to_str().unwrap(),
    ];
    let text = command::succeeds(NAME, &applied, &arguments);
    assert!(!text.contains("PSNR") && text.contains("noisy.png"));
    let denoised = read_png(applied.join("noisy.png")).unwrap();
    let clean = read_png(&clean).unwrap();
    assert!(clean.psnr(denoised.pixels()) > camera[0] + 3.0);
}

#[test]
fn one_and_two_threads_write_the_same_bytes_and_so_does_a_resumed_run() {
    let folder = tempfile::tempdir().unwrap();
    let checkpoint = folder.path().join("run.ckpt");
    let checkpoint = checkpoint.to_str().unwrap();
    for settings in [
        &["--solver", "maid"][..],
        &[
            "--solver",
            "maid-lbfgs",
            "--precision",
            "f64",
            "--potential",
            "weakly-convex",
        ],
        &[
            "--solver",
            "hoag-quadratic",
            "--init",
            "random",
            "--free-mean",
        ],
    ] {
        let run = |name: &str, more: &[&str]| {
            let out = folder.path().join(name);
            succeeds(&out, &[settings, more].concat());
            written(&out)
        };
        let one = run("one", &["--max-iterations", "5", "--threads", "1"]);
        let two = run("two", &["--max-iterations", "5", "--threads", "2"]);
        assert!(one == two, "{settings:?}");
        run(
            "part",
            &["--max-iterations", "2", "--checkpoint", checkpoint],
        );
        let resumed = run("part", &["--max-iterations", "5", "--resume", checkpoint]);
        assert!(one == resumed, "{settings:?}");
        let other = run("other", &["--max-iterations", "5", "--seed", "1"]);
        assert!(one != other, "the seed matters");
    }
}

#[test]
fn bad_input_gets_one_clear_line_and_exit_code_2() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let text = |name: &str| file(name).to_str().unwrap().to_owned();
    let out = file("out");
    let refused = |more: &[&str], words: &[&str]| command::refused(NAME, &out, &with(more), words);
    let alone = |more: &[&str], words: &[&str]| command::refused(NAME, &out, more, words);
    // Experts.
    alone(&["--filter-size", "4"], &["filter size is 4", "odd number"]);
    alone(&["--filter-size", "1"], &["filter size is 1"]);
    alone(
        &["--filter-size", "3", "--filters", "10"],
        &["filters is 10", "at most 9"],
    );
    alone(&["--filters", "0"], &["filters is 0", "at least one"]);
    refused(
        &["--potential", "weakly-convex", "--modulus", "1.5"],
        &["modulus", "1.5"],
    );
    refused(&["--modulus", "0.5"], &["--modulus", "weakly-convex"]);
    refused(&["--potential", "concave"], &["concave", "weakly-convex"]);
    refused(&["--zero-mean", "--free-mean"], &["--free-mean"]);
    // Data.
    alone(&["--patches", "0"], &["patches is 0"]);
    alone(&["--patch-size", "300"], &["256×256", "300×300"]);
    alone(&["--patch-size", "3"], &["3×3", "5×5"]);
    std::fs::create_dir(file("empty")).unwrap();
    refused(&["--test", &text("empty")], &["empty", "no PNG files"]);
    refused(&["--train", &text("empty")], &["empty", "no PNG files"]);
    refused(
        &["--train", &text("missing.png")],
        &["missing.png", "No such file"],
    );
    std::fs::write(file("not.png"), b"plain text").unwrap();
    refused(&["--test", &text("not.png")], &["not.png", "PNG"]);
    let tiny = Image::new(2, 200, vec![0.5; 400]).unwrap();
    write_png(file("tiny.png"), &[vec![tiny]]).unwrap();
    refused(&["--test", &text("tiny.png")], &["2×200", "3×3"]);
    refused(&["--sigma=-1"], &["sigma", "-1"]);
    // The run.
    refused(
        &["--solver", "newton"],
        &["newton", "maid", "hoag-quadratic", "fixed"],
    );
    refused(&["--solver", "fixed-0"], &["epsilon", "positive"]);
    refused(&["--epsilon", "0"], &["epsilon", "positive"]);
    refused(&["--delta=-1"], &["delta", "positive"]);
    refused(
        &["--trust", "unknown", "--solver", "maid"],
        &["unknown", "estimated"],
    );
    refused(&["--tolerance=NaN"], &["tolerance", "NaN"]);
    refused(&["--max-seconds=NaN"], &["seconds", "NaN"]);
    refused(&["--threads", "0"], &["threads", "at least 1"]);
    std::fs::write(file("precious"), b"precious").unwrap();
    refused(
        &["--checkpoint", &text("precious")],
        &["precious", "not overwritten"],
    );
    refused(
        &["--resume", &text("none.ckpt")],
        &["none.ckpt", "No such file"],
    );
    let below = file("precious").join("out");
    command::refused(NAME, &below, &SMALL, &["precious", "output folder"]);
    // Models.
    let camera = photograph("camera");
    let model = |name: &str, words: &[&str]| {
        alone(&["--model", &text(name), "--images", &camera], words);
    };
    model("none.json", &["none.json", "No such file"]);
    std::fs::write(file("no.json"), "{}").unwrap();
    model("no.json", &["no.json", "not readable"]);
    let content = r#"{"format":"bilevel fields of experts","version":1,"filters":2,"size":3,"potential":"convex","zero_mean":true,"sigma":0.1,"theta":[1,2,3]}"#;
    std::fs::write(file("short.json"), content).unwrap();
    model(
        "short.json",
        &["short.json", "3 numbers", "23", "2 filters of 3×3"],
    );
    let huge = content.replace("[1,2,3]", &format!("[{}]", vec!["99"; 23].join(",")));
    std::fs::write(file("huge.json"), huge).unwrap();
    model("huge.json", &["theta[0]", "99"]);
    model("empty", &["empty", "regular file"]);
    alone(&["--model", &text("short.json")], &["--images"]);
    alone(&["--images", &camera], &["--model"]);
    let both = [
        "--model",
        &text("short.json"),
        "--images",
        &camera,
        "--filters",
        "3",
    ];
    alone(&both, &["--filters"]);
}

#[test]
fn a_denoised_image_replaces_neither_its_original_nor_another_one() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("training");
    succeeds(&out, &["--max-iterations", "1"]);
    let model = out.join("model.json");
    let model = model.to_str().unwrap();
    let image = folder.path().join("camera.png");
    std::fs::copy(photograph("camera"), &image).unwrap();
    let (image, camera) = (image.to_str().unwrap(), photograph("camera"));
    let arguments = ["--model", model, "--images", image];
    command::refused(NAME, folder.path(), &arguments, &["camera.png", "replace"]);
    let arguments = ["--model", model, "--images", image, "--images", &camera];
    command::refused(NAME, &out, &arguments, &["two images", "camera.png"]);
}
