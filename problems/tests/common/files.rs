//! Where files of the tests are.

#![allow(dead_code)] // every test program uses a part of it

use std::path::PathBuf;

/// Golden values, and the images that they are of.
pub(crate) fn golden(name: &str) -> PathBuf {
    let tests = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests");
    tests.join("golden").join(name)
}

/// A file or a folder of the data that do not ship.
#[track_caller]
pub(crate) fn data_that_do_not_ship(name: &str) -> PathBuf {
    let folder = std::env::var_os("BILEVEL_DATA")
        .expect("set BILEVEL_DATA to the folder of the data that do not ship");
    let path = PathBuf::from(folder).join(name);
    assert!(
        path.exists(),
        "{} is not there: BILEVEL_DATA names a folder without it",
        path.display()
    );
    path
}
