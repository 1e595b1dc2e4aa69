//! Damaged files: whatever is done to the bytes of a valid one, a reader accepts it or refuses it by file and place. It never panics, never
//! hangs, and holds no more memory than twice what a file of that size can say.
//!
//! `BILEVEL_MUTATIONS=4200 cargo test --test mutations -- --nocapture` makes so many mutations of each format, 100,800 in all; otherwise 500 are made.
//! One test, because the counts are those of the whole process. A new format is a row of `formats`.

#![allow(clippy::unwrap_used)] // in the helpers of tests, as in tests

mod mutations {
    mod checkpoints;
    mod experiments;
    pub(super) mod formats;
    mod images;
    mod models;
    pub(super) mod mutate;
    mod tables;
}

use mutations::formats::{Format, formats};
use mutations::mutate::Mutations;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

/// Mutations of each format in the ordinary run.
const FEW: u64 = 500;
/// A refusal is a line to be read.
const LONGEST: usize = 600;

#[test]
fn a_damaged_file_is_accepted_or_refused_by_file_and_place() {
    let count = std::env::var("BILEVEL_MUTATIONS").map_or(FEW, |n| n.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let mut failures = Vec::new();
    println!(
        "{:<24}{:>10}{:>10}   most memory",
        "format", "accepted", "refused"
    );
    for format in formats(folder.path()) {
        let path = folder.path().join(format.file);
        let (mut accepted, mut most) = (0, 0.0f64);
        for sample in &format.samples {
            std::fs::write(&path, (format.finish)(sample.clone())).unwrap();
            (format.read)(&path).unwrap();
        }
        let mutations = Mutations::new(format.name, &format.samples);
        let mut memory = Memory::new();
        for number in 0..count {
            let bytes = (format.finish)(mutations.get(number));
            // Some file systems wait for the disk where a file is replaced.
            std::fs::remove_file(&path).unwrap();
            std::fs::write(&path, &bytes).unwrap();
            match read(&format, &path, &bytes, &mut memory) {
                Ok((yes, share)) => {
                    accepted += u64::from(yes);
                    most = most.max(share);
                }
                Err(reason) => failures.push(format!("{} {number}: {reason}", format.name)),
            }
        }
        drop(memory);
        let refused = count - accepted;
        println!(
            "{:<24}{accepted:>10}{refused:>10}   {:.0} % of what is allowed",
            format.name,
            100.0 * most
        );
        assert!(refused > 0, "{} refuses nothing", format.name);
    }
    let some = failures.len().min(50);
    assert!(
        failures.is_empty(),
        "{} failures:\n{}",
        failures.len(),
        failures[..some].join("\n")
    );
}

/// The most memory that was held since it was made.
struct Memory(Option<dhat::Profiler>);

impl Memory {
    fn new() -> Self {
        let profiler = dhat::Profiler::builder().testing();
        Memory(Some(profiler.trim_backtraces(Some(1)).build()))
    }

    fn peak(&self) -> usize {
        dhat::HeapStats::get().max_bytes
    }

    fn restart(&mut self) {
        // There may be one at a time.
        self.0 = None;
        *self = Memory::new();
    }
}

/// Whether a file was accepted, and the memory that took as a share of what it may take, or more; or what is wrong with how it was read.
fn read(
    format: &Format,
    path: &Path,
    bytes: &[u8],
    memory: &mut Memory,
) -> Result<(bool, f64), String> {
    let reading = || catch_unwind(AssertUnwindSafe(|| (format.read)(path)));
    let mut result = reading();
    let allowed = format.slack + 2 * (bytes.len() + (format.claims)(bytes));
    // A profiler for every file would take longer than the reading: of its own a file has one only if those before needed more than it may.
    if memory.peak() > allowed {
        memory.restart();
        result = reading();
    }
    let peak = memory.peak();
    if peak > allowed {
        let length = bytes.len();
        return Err(format!(
            "{peak} bytes of memory for {length}; allowed {allowed}"
        ));
    }
    let share = peak as f64 / allowed as f64;
    match result {
        Err(_) => Err("it panicked".to_owned()),
        Ok(Ok(())) => Ok((true, share)),
        Ok(Err(message)) => {
            let file = message.contains(&path.display().to_string());
            let place = format.places.iter().any(|place| message.contains(place));
            let line = message.len() <= LONGEST && !message.contains(['\n', '\r']);
            if file && place && line {
                Ok((false, share))
            } else {
                Err(format!(
                    "file {file}, place {place}, one line {line}: {message}"
                ))
            }
        }
    }
}
