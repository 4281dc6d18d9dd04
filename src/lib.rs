//! homekeep: frequent, cheap, encrypted snapshots of every home directory on a machine.
//!
//! The folders are layers, and imports point down only:
//! `cli → engine → repo → index, files → keys, store → format → codec`.
//! docs/design.md explains them to someone new; docs/format.md has the bytes.

pub mod codec;
pub mod files;
pub mod format;
