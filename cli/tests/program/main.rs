//! The program `bilevel` as a user runs it: files, reproducibility, refusals.

#![allow(clippy::unwrap_used)] // in the helpers of tests, as in tests

mod command;
mod compare_solvers;
mod experiment;
mod foe_denoise;
mod hyper_cleaning;
mod list;
mod logistic_regression;
mod parts;
mod stochastic_benchmark;
mod text_cleaning;
mod tune_regularizer;
