//! Files that say of their directory that it need not be saved. Knows their first bytes, opens nothing.

use std::ffi::OsString;

/// <https://bford.info/cachedir/>
const CACHE_TAG: &str = "CACHEDIR.TAG";
const CACHE_SIGNATURE: &[u8] = b"Signature: 8a477f597d28d172789f06886806bc55";

/// A file that empties its directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marker {
    /// Its name.
    pub name: OsString,
    /// What it must begin with; if that is nothing, any entry of the name will do and none need be opened.
    pub header: Vec<u8>,
}

impl Marker {
    /// The tag that programs put into caches.
    pub(super) fn cache_directory() -> Self {
        Self { name: CACHE_TAG.into(), header: CACHE_SIGNATURE.into() }
    }

    /// Whether a file that begins with `start` means it. Give the first `header.len()` bytes, of regular files only.
    pub fn is_proven_by(&self, start: &[u8]) -> bool {
        start.starts_with(&self.header)
    }
}
