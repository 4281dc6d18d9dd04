//! Ways into a repository: passphrases and key files that wrap the master key.
//! Knows how a slot is opened and made, not where slots are kept.

mod keyfile;
mod slots;

pub use keyfile::{KeyFile, KeyFileError, KeyTextError, parse_key, render_key};
pub use slots::{Cost, KeyError, Secret, open_slot, random_bytes, seal_slot};
