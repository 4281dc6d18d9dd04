//! The verbs: one file or folder each, from options to a report. Reports are values; nothing here
//! prints, reads the environment or decides an exit code.

pub mod backup;
mod meter;
mod problem;
pub mod restore;

pub use meter::Meter;
pub use problem::{Problem, ProblemKind};
