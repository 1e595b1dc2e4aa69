//! Examples of the crate `bilevel`: each file is a sequence of library calls to copy.
