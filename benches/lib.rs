//! Benchmarks of the crate `bilevel`: each file says what it times, and against what.
