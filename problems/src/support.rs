//! Building blocks that several problems share: scalar types, buffers, random numbers, fingerprints, argument checks and sums.

pub(crate) mod checks;
pub(crate) mod fingerprint;
pub(crate) mod lanes;
pub(crate) mod pool;
pub(crate) mod random;
pub(crate) mod sums;
