//! The integration tests: one binary, a module for each subject.

mod architecture;
mod cli;
mod fixtures;
mod fuzz_corpus;
mod live_sqlite;
mod manifest;
mod reader;
mod setup;
mod vectors;
