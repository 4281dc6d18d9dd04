//! The integration tests: one binary, a module for each subject. `architecture` holds that none is forgotten.

mod architecture;
mod changing;
mod cheap;
mod cli;
mod damage;
mod fixtures;
mod fuzz_corpus;
mod hostile;
mod killed;
mod live_sqlite;
mod manifest;
mod protocol;
mod pruning;
mod reader;
mod restoring;
mod roundtrip;
mod setup;
mod shrunk;
mod support;
mod trees;
mod vectors;
