//! Damaged files, whatever their format: whatever is done to the bytes of a valid one, a reader accepts it or refuses it by file and place.
//! It never panics, never hangs, and holds no more memory than twice what a file of that size can say.

#![allow(dead_code)] // every test program uses a part of it

mod mutate;

use mutate::Mutations;
use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// Reads a file; what a reader refuses, in words.
pub(crate) type Reader = Box<dyn Fn(&Path) -> Result<(), String>>;

/// One format.
pub(crate) struct Format {
    pub(crate) name: &'static str,
    /// The name that a file gets.
    pub(crate) file: &'static str,
    /// Valid files, before `finish`.
    pub(crate) samples: Vec<Vec<u8>>,
    /// The last step after the bytes were changed: compressed, say, or given the checksum that they should have.
    pub(crate) finish: fn(Vec<u8>) -> Vec<u8>,
    /// Reads a file, and uses what was read.
    pub(crate) read: Reader,
    /// The bytes of memory that hold all that a file can say.
    pub(crate) claims: fn(&[u8]) -> usize,
    /// The memory that a reader needs whatever the file.
    pub(crate) slack: usize,
    /// A refusal has one of these words.
    pub(crate) places: &'static [&'static str],
}

pub(crate) const PLAIN: usize = 32 << 10;

/// The windows and tables of a decompressor.
pub(crate) const INFLATING: usize = 256 << 10;

/// Mutations of each format in the ordinary run.
const FEW: u64 = 500;

/// A refusal is a line to be read.
const LONGEST: usize = 600;

/// Reads mutations of the files of every format, in this folder: as many as `BILEVEL_MUTATIONS` says.
///
/// The allocator of the process has to be dhat's, and nothing else may run in it: the counts are those of the whole process.
pub(crate) fn assert_accepted_or_refused(formats: Vec<Format>, folder: &Path) {
    let count = std::env::var("BILEVEL_MUTATIONS").map_or(FEW, |n| n.parse().unwrap());
    let mut failures = Vec::new();
    println!(
        "{:<24}{:>10}{:>10}   most memory",
        "format", "accepted", "refused"
    );
    for format in formats {
        let path = folder.join(format.file);
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

pub(crate) fn message(error: impl Display) -> String {
    error.to_string()
}

pub(crate) fn as_it_is(bytes: Vec<u8>) -> Vec<u8> {
    bytes
}
