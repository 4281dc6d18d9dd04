//! The only code that touches users' files. Everything below a home is reached relative to an open
//! directory, and no link is followed.

pub mod accounts;
mod handle;
pub mod live_sqlite;
pub mod metadata;
pub mod owner_cache;
pub mod owners;
pub mod place;
pub mod read;
pub mod rules;
pub mod walk;
