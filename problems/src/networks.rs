//! Networks and their training, differentiated through its steps.

pub mod models;
pub mod regularizers;
pub mod training;
