//! The only code that touches users' files. Knows file systems and their owners, not repositories.

mod handle;
pub mod metadata;
pub mod owners;
pub mod place;
