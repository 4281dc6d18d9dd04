//! The verbs: one file or folder each, from options to a report. Reports are values; nothing here
//! prints, reads the environment or decides an exit code.

pub mod backup;
mod browse_error;
mod chain;
pub mod check;
mod content_writer;
pub mod copy;
pub mod diff;
pub mod dump;
pub mod find;
pub mod forget;
mod home_path;
mod kind;
mod listing;
pub mod lookup;
pub mod ls;
mod meter;
mod problem;
pub mod prune;
pub mod repair;
pub mod restore;
mod rewrite;
pub mod select;
mod target;
#[cfg(test)]
pub(crate) mod testing;
mod tree_walk;
pub mod undo;
pub mod usage;
mod work_queue;

pub use browse_error::BrowseError;
pub use home_path::{HomePath, ParsePathError};
pub use kind::Kind;
pub use meter::Meter;
pub use problem::{Problem, ProblemKind};
