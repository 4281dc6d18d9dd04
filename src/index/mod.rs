//! The local index: which snapshots exist, where each chunk lies, and what was seen last time.
//! SQLite, and nothing else knows SQL. Never the truth: whatever it says is proven by the hash of
//! the bytes read, and all of it can be rebuilt from the store.
//!
//! Three files on local disk. `index.sqlite` describes the repository and can be published;
//! `seen.sqlite` describes this machine's files and means nothing elsewhere; `holdings.sqlite` says who holds
//! what, for who asks, and is never published.

mod catalog;
mod database;
mod holdings;
mod seen;

pub use catalog::{
    BlockRow, Catalog, CatalogWriter, HomeList, HomeMention, KnownSegment, ListedSegment, Location,
    SegmentRow, StoredSnapshot, Summary, Totals, Users,
};
pub use database::IndexError;
pub use holdings::{
    ChunkKey, Division, HeldPlace, HeldSegment, Holdings, HoldingsChange, HoldingsHead, KeptCommit,
    PartsChange,
};
pub use seen::{HomeKey, Seen, SeenDirectory, SeenHome, SeenRow, SeenSecrets, SeenWriter};
