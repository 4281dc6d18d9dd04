//! Words, colours, progress and exit codes: the only layer that reads the environment or prints.

pub mod config;
mod size;

pub use size::{ByteSize, ParseSizeError};
