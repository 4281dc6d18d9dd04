//! homekeep: frequent, cheap, encrypted snapshots of every home directory on a machine.
//!
//! The folders are layers, and imports point down only:
//! `cli → engine → repo → index, files, vault → keys, store → format → codec`.
//! docs/design.md explains them to someone new; docs/format.md has the bytes.

pub mod cli;
pub mod codec;
pub mod engine;
pub mod files;
pub mod format;
pub mod index;
pub mod keys;
pub mod repo;
pub mod store;
pub mod vault;
