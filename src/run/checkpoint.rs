//! Checkpoints: versioned, checksummed, and complete at any moment.
//!
//! ```text
//! "BILEVEL\n"   8 bytes
//! version       u32, little endian
//! checksum      u32, CRC-32 of the payload
//! length        u64, of the payload
//! payload       the identity of the run, then its state, in postcard's format
//! ```

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::Path;

use crate::crc32::crc32;
use crate::error::{CheckpointError, Error};

/// The format version of this build.
pub const VERSION: u32 = 4;

const MAGIC: &[u8; 8] = b"BILEVEL\n";
const HEADER: usize = 24;

/// Writes a checkpoint to a temporary file and renames it to `path`. It replaces only checkpoints, and follows links.
///
/// # Errors
/// [`Error::Io`]; [`Error::Checkpoint`] if `path` is something else.
pub fn write<T: Serialize>(path: &Path, identity: &str, progress: &T) -> Result<(), Error> {
    let file = postcard::to_extend(identity, vec![0; HEADER]);
    let file = file.and_then(|file| postcard::to_extend(progress, file));
    let damaged = |e: postcard::Error| Error::Checkpoint {
        path: path.to_owned(),
        reason: CheckpointError::Damaged(e.to_string()),
    };
    put(path, file.map_err(damaged)?)
}

/// Writes a file that begins with space for the header, and its payload behind it.
fn put(path: &Path, mut file: Vec<u8>) -> Result<(), Error> {
    let checksum = crc32(&file[HEADER..]);
    let length = (file.len() - HEADER) as u64;
    file[..8].copy_from_slice(MAGIC);
    file[8..12].copy_from_slice(&VERSION.to_le_bytes());
    file[12..16].copy_from_slice(&checksum.to_le_bytes());
    file[16..24].copy_from_slice(&length.to_le_bytes());
    if replaceable(path).map_err(|e| Error::io(path, e))? {
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        return replace(&path, &file);
    }
    Err(Error::Checkpoint {
        path: path.to_owned(),
        reason: CheckpointError::WouldOverwrite,
    })
}

/// Whether `path` is free or a checkpoint.
fn replaceable(path: &Path) -> std::io::Result<bool> {
    match fs::metadata(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(true),
        Err(e) => Err(e),
        Ok(found) if !found.is_file() => Ok(false),
        Ok(_) => {
            let mut magic = [0; MAGIC.len()];
            Ok(File::open(path)?.read_exact(&mut magic).is_ok() && &magic == MAGIC)
        }
    }
}

fn replace(path: &Path, file: &[u8]) -> Result<(), Error> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".partial");
    let beside = Path::new(&beside);
    let io = |source| Error::io(path, source);
    let mut out = File::create(beside).map_err(io)?;
    out.write_all(file).map_err(io)?;
    out.sync_all().map_err(io)?;
    fs::rename(beside, path).map_err(io)
}

/// Reads a checkpoint of the run that `identity` describes.
///
/// # Errors
/// [`Error::Io`]; [`Error::Checkpoint`] for a file that is not a checkpoint, is damaged, or belongs to another version or another run.
pub fn read<T: DeserializeOwned>(path: &Path, identity: &str) -> Result<T, Error> {
    let (file, at) = open(path, identity)?;
    let mut decoder = postcard::Deserializer::from_bytes(&file[at..]);
    let progress = T::deserialize(&mut decoder);
    let rest = decoder.finalize().map_or(0, <[u8]>::len);
    let reason = match progress {
        Ok(progress) if rest == 0 => return Ok(progress),
        Ok(_) => "nothing more was expected".to_owned(),
        Err(error) => error.to_string(),
    };
    Err(damaged_at(path, file.len() - rest, &reason))
}

fn damaged_at(path: &Path, at: usize, reason: &str) -> Error {
    Error::Checkpoint {
        path: path.to_owned(),
        reason: CheckpointError::Damaged(format!("at byte {at}: {reason}")),
    }
}

/// The bytes of a whole checkpoint of the run that `identity` describes, and where its state begins.
fn open(path: &Path, identity: &str) -> Result<(Vec<u8>, usize), Error> {
    let fail = |reason| Error::Checkpoint {
        path: path.to_owned(),
        reason,
    };
    let io = |e| Error::io(path, e);
    if !fs::metadata(path).map_err(io)?.is_file() {
        return Err(io(std::io::Error::other("this is not a regular file")));
    }
    let file = fs::read(path).map_err(io)?;
    if file.len() < MAGIC.len() || &file[..8] != MAGIC {
        return Err(fail(CheckpointError::NotACheckpoint));
    }
    let word = |at: usize| {
        file.get(at..at + 4)
            .and_then(|b| b.try_into().ok())
            .map(u32::from_le_bytes)
            .ok_or_else(|| {
                let reason = format!("it ends at byte {}, in its header", file.len());
                fail(CheckpointError::Damaged(reason))
            })
    };
    let version = word(8)?;
    if version != VERSION {
        return Err(fail(CheckpointError::Version {
            found: version,
            expected: VERSION,
        }));
    }
    let checksum = word(12)?;
    let length = u64::from(word(16)?) | u64::from(word(20)?) << 32;
    let payload = &file[HEADER..];
    if payload.len() as u64 != length {
        return Err(fail(CheckpointError::Damaged(format!(
            "it holds {} bytes of the length {length}",
            payload.len()
        ))));
    }
    if crc32(payload) != checksum {
        return Err(fail(CheckpointError::Damaged(
            "its checksum does not match".into(),
        )));
    }
    let mut decoder = postcard::Deserializer::from_bytes(payload);
    let found = String::deserialize(&mut decoder);
    let rest = decoder.finalize().map_or(0, <[u8]>::len);
    let at = file.len() - rest;
    match found {
        Ok(found) if found == identity => Ok((file, at)),
        Ok(found) => {
            let (found, expected) = from_first_difference(&found, identity);
            Err(fail(CheckpointError::OtherRun { found, expected }))
        }
        Err(error) => Err(damaged_at(path, at, &error.to_string())),
    }
}

/// The parts of two identities around their first difference, one line each at most.
fn from_first_difference(a: &str, b: &str) -> (String, String) {
    const BEFORE: usize = 24;
    const SHOWN: usize = 80;
    let same = a.chars().zip(b.chars()).take_while(|(a, b)| a == b).count();
    let excerpt = |text: &str| {
        let from = same.saturating_sub(BEFORE);
        // A damaged file may contain anything, line breaks included.
        let shown = text.chars().skip(from).take(SHOWN);
        let plain = |c: char| if c.is_control() { '\u{FFFD}' } else { c };
        let mut excerpt: String = shown.map(plain).collect();
        if from > 0 {
            excerpt.insert(0, '…');
        }
        if text.chars().count() > from + SHOWN {
            excerpt.push('…');
        }
        excerpt
    };
    (excerpt(a), excerpt(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(result: Result<Vec<f64>, Error>) -> CheckpointError {
        match result {
            Err(Error::Checkpoint { reason, .. }) => reason,
            other => panic!("expected a checkpoint error, got {other:?}"),
        }
    }

    #[test]
    fn every_damage_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.ckpt");
        let state = vec![1.0, f64::NEG_INFINITY, 0.1];
        write(&path, "this run", &state).unwrap();
        assert_eq!(read::<Vec<f64>>(&path, "this run").unwrap(), state);
        assert!(matches!(
            reason(read(&path, "another run")),
            CheckpointError::OtherRun { .. }
        ));
        let whole = fs::read(&path).unwrap();
        for cut in 0..whole.len() {
            fs::write(&path, &whole[..cut]).unwrap();
            let reason = reason(read(&path, "this run"));
            assert!(
                matches!(reason, CheckpointError::NotACheckpoint if cut < 8)
                    || matches!(reason, CheckpointError::Damaged(_) if cut >= 8),
                "cut at {cut}: {reason}"
            );
        }
        fs::write(&path, b"a photograph").unwrap();
        let refused = write(&path, "this run", &state).unwrap_err();
        assert!(refused.to_string().contains("not overwritten"));
        assert_eq!(fs::read(&path).unwrap(), b"a photograph");
        for at in 0..whole.len() {
            let mut broken = whole.clone();
            broken[at] ^= 0x10;
            fs::write(&path, &broken).unwrap();
            assert!(read::<Vec<f64>>(&path, "this run").is_err(), "byte {at}");
        }
        let mut newer = whole.clone();
        newer[8] = 9;
        fs::write(&path, &newer).unwrap();
        assert_eq!(
            reason(read(&path, "this run")),
            CheckpointError::Version {
                found: 9,
                expected: VERSION
            }
        );
    }

    #[test]
    fn a_payload_of_another_type_is_refused_at_its_byte_though_the_checksum_matches() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.ckpt");
        let refused = |text: &str| match reason(read(&path, "run")) {
            CheckpointError::Damaged(found) => assert!(found.starts_with(text), "{found}"),
            other => panic!("{other}"),
        };
        // The identity takes 4 bytes behind the header of 24. A number of entries, of three bytes, that are not there.
        write(&path, "run", &1_000_000u64).unwrap();
        refused("at byte 31");
        // No entries, and something behind them.
        write(&path, "run", &(0u8, 7u8)).unwrap();
        refused("at byte 29: nothing more");
        // An entry of which bytes are missing.
        write(&path, "run", &(1u8, 2u8, 3u8)).unwrap();
        refused("at byte 29");
    }

    #[test]
    fn what_another_run_is_called_is_shown_in_one_line() {
        let (found, expected) = from_first_difference("a\nrun\r\u{7}", "a run");
        assert_eq!(
            (found.as_str(), expected.as_str()),
            ("a\u{FFFD}run\u{FFFD}\u{FFFD}", "a run")
        );
    }

    #[test]
    fn a_device_is_refused_and_not_read_without_end() {
        let error = read::<u8>(Path::new("/dev/zero"), "run").unwrap_err();
        assert!(error.to_string().contains("/dev/zero"), "{error}");
    }

    #[test]
    fn an_unwritable_place_is_an_error_and_leaves_the_old_checkpoint() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("missing").join("run.ckpt");
        let error = write(&missing, "run", &1u8).unwrap_err();
        assert!(error.to_string().contains("missing"));
    }
}
