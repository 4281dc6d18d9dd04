//! Bytes to bytes: identity, cutting, compression, sealing, key derivation.
//! Knows no file, no clock, no thread and draws no randomness of its own.

mod chunker;
mod compress;
mod derive;
mod id;
mod seal;

pub use chunker::{Chunker, ChunkerParameters};
pub use compress::{Codec, CompressError, Compressor, Decompressor, Packed};
pub use derive::{MasterKey, RepositoryKeys};
pub use id::{ChunkId, Hash, SnapshotId};
pub use seal::{Domain, OpenError, Opener, SALT_LEN, Sealer, TAG_LEN};
