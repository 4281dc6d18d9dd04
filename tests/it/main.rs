//! The integration tests: one binary, a module for each subject.

mod fixtures;
mod live_sqlite;
mod manifest;
mod reader;
mod setup;
mod vectors;
