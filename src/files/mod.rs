//! The only code that touches users' files; it knows nothing of repositories.

pub mod live_sqlite;
