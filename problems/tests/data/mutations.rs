//! Damaged files: whatever is done to the bytes of a valid one, a reader accepts it or refuses it by file and place.
//!
//! `BILEVEL_MUTATIONS=4200 cargo test -p bilevel-problems --test data -- --nocapture` makes so many mutations of each format; otherwise 500 are made.
//! A new format is a row of `formats`.

mod checkpoints;
#[cfg(feature = "linfa")]
mod estimators;
mod formats;
mod harness;
mod images;
mod models;
mod tables;
mod traces;

use crate::alone::alone;
use formats::formats;
use harness::assert_accepted_or_refused;

#[test]
fn a_damaged_file_is_accepted_or_refused_by_file_and_place() {
    alone(
        "mutations::a_damaged_file_is_accepted_or_refused_by_file_and_place",
        || {
            let folder = tempfile::tempdir().unwrap();
            assert_accepted_or_refused(formats(folder.path()), folder.path());
        },
    );
}
