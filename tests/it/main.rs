//! The integration tests: one binary, a module for each subject.

mod live_sqlite;
mod vectors;
