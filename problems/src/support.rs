//! What several problems need: numbers of a register, buffers, random numbers, fingerprints, checks and sums. Each stands once.

pub(crate) mod checks;
pub(crate) mod fingerprint;
pub(crate) mod lanes;
pub(crate) mod pool;
pub(crate) mod random;
pub(crate) mod sums;
