//! The integration tests: one binary, a module for each subject. `architecture` holds that none is forgotten.

mod architecture;
mod changing;
mod cheap;
mod cli;
mod clocks;
mod copying;
mod damage;
mod fixtures;
mod full;
mod fuzz_corpus;
mod hostile;
mod killed;
mod live_sqlite;
mod manifest;
mod power;
mod pruning;
mod reader;
mod restoring;
mod roundtrip;
mod setup;
mod shrunk;
mod stale;
mod support;
mod syscalls;
mod trees;
mod vectors;
