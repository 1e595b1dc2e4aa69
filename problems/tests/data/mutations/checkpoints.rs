//! Checkpoints of both drivers.

use bilevel::run::checkpoint;
use bilevel::stochastic::Saba;
use bilevel::{Implicit, Maid, Run, Stochastic};
use bilevel_problems::synthetic::finite_sum::FiniteSum;
use bilevel_problems::synthetic::quadratic::Quadratic;
use flate2::Crc;
use std::path::Path;

use super::harness::{Format, PLAIN, as_it_is, message};

/// The length and the checksum that a checkpoint should have.
fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    if bytes.len() >= 24 {
        let mut crc = Crc::new();
        crc.update(&bytes[24..]);
        let length = (bytes.len() - 24) as u64;
        bytes[12..16].copy_from_slice(&crc.sum().to_le_bytes());
        bytes[16..24].copy_from_slice(&length.to_le_bytes());
    }
    bytes
}

/// A run by either driver, from its start or from a checkpoint.
type Driver = Box<dyn Fn(u64, Start<'_>) -> Result<(), bilevel::Error>>;

enum Start<'a> {
    /// Writes checkpoints there.
    Fresh(&'a Path),
    Resumed(&'a Path),
}

fn descent() -> Driver {
    let problem = Quadratic::random(6, 3, 10.0, 0);
    Box::new(move |iterations, start| {
        let oracle = Implicit::new(problem.lower(), problem.upper());
        let run = Run::new(&oracle, Maid::lbfgs()).max_iterations(iterations);
        match start {
            Start::Fresh(path) => run.checkpoint(path, 1).start(vec![0.0; 3]).map(drop),
            Start::Resumed(path) => run.resume(path).map(drop),
        }
    })
}

fn batches() -> Driver {
    let problem = FiniteSum::random(4, 3, 12, 10.0, 1);
    Box::new(move |iterations, start| {
        let oracle = Implicit::new(problem.lower(), problem.upper());
        let solver = Stochastic {
            lower_batch: 4,
            upper_batch: 4,
            block: 5,
            ..Stochastic::new(Saba::default())
        };
        let run = Run::new(&oracle, solver).max_iterations(iterations);
        match start {
            Start::Fresh(path) => run.checkpoint(path, 1).start(vec![0.0; 3]).map(drop),
            Start::Resumed(path) => run.resume(path).map(drop),
        }
    })
}

/// The contents of a checkpoint: numbers, lists of both kinds, texts, and what may be missing.
type Held = (u64, f64, Vec<f64>, Vec<(u32, String)>, Option<Vec<f32>>);

pub(super) fn checkpoints(folder: &Path) -> Vec<Format> {
    let whole = folder.join("whole.ckpt");
    let written = |write: &dyn Fn(&Path)| {
        std::fs::remove_file(&whole).ok();
        write(&whole);
        std::fs::read(&whole).unwrap()
    };
    let of_run = |name, driver: Driver| Format {
        name,
        file: "damaged.ckpt",
        samples: [1, 3]
            .map(|k| written(&|path| driver(k, Start::Fresh(path)).unwrap()))
            .to_vec(),
        finish: as_it_is,
        // It ends where it was resumed.
        read: Box::new(move |path| driver(0, Start::Resumed(path)).map_err(message)),
        // A file that is whole is run: the problem is of a few numbers.
        claims: |bytes| 4 * bytes.len(),
        slack: PLAIN,
        places: &["byte", "version", "length", "checksum", "another run"],
    };
    let held = |k: u64| -> Held {
        let texts = (0..k as u32).map(|i| (i, format!("text {i}"))).collect();
        (k, 0.5, vec![1.5; 9], texts, Some(vec![2.5; 4]))
    };
    let sealed = Format {
        name: "checkpoint, checksum right",
        samples: [2, 9]
            .map(|k| written(&|path| checkpoint::write(path, "a run", &held(k)).unwrap()))
            .to_vec(),
        finish: sealed,
        read: Box::new(|path| {
            let held: Result<Held, _> = checkpoint::read(path, "a run");
            held.map(drop).map_err(message)
        }),
        // A pair of a number and an empty text takes two bytes.
        claims: |bytes| 16 * bytes.len(),
        ..of_run("", descent())
    };
    vec![
        of_run("checkpoint of a descent", descent()),
        of_run("checkpoint on batches", batches()),
        sealed,
    ]
}
