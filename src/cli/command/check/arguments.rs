//! What `check` takes.

use clap::Args;

use crate::cli::size::ByteSize;
use crate::engine::check::{ParseSubsetError, Subset};

/// Check that everything that was saved comes back
///
/// Compares the store with the index, and walks every directory of every snapshot: is everything there that they
/// need? Damage is told by user, file and snapshot, with the newest version that is whole. Nothing in the repository
/// is changed. After --read-data or --read-data-subset has found damage, the next backup stores again what is still
/// in the homes.
///
/// Ends with 14 if something that was saved is lost, with 3 if an object needs attention.
#[derive(Debug, Args)]
pub struct CheckArguments {
    /// Read every object, and look at every byte in it
    #[arg(long)]
    read_data: bool,
    /// Read some of the objects: the first of seven parts (1/7; all parts together are everything), or 5% or 10G at
    /// random
    #[arg(long, value_name = "PART", conflicts_with = "read_data", value_parser = subset)]
    read_data_subset: Option<Subset>,
    /// Restore so many files, chosen at random from all snapshots, into the cache folder; compare them, and
    /// remove them again
    #[arg(long, value_name = "FILES")]
    restore_sample: Option<u64>,
}

impl CheckArguments {
    /// Which objects to read, if any.
    pub fn subset(&self) -> Option<Subset> {
        if self.read_data { Some(Subset::All) } else { self.read_data_subset }
    }

    /// What progress counts.
    pub fn counted(&self) -> &'static str {
        if self.subset().is_some() { "objects" } else { "files" }
    }

    /// How many files to restore.
    pub fn restore_sample(&self) -> u64 {
        self.restore_sample.unwrap_or(0)
    }
}

fn subset(text: &str) -> Result<Subset, ParseSubsetError> {
    match text.parse::<ByteSize>() {
        Ok(ByteSize(bytes @ 1..)) => Ok(Subset::Bytes(bytes)),
        _ => text.parse(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subset_may_be_a_size() {
        assert_eq!(subset("10G"), Ok(Subset::Bytes(10 << 30)));
        assert_eq!(subset("3/4"), Ok(Subset::Part { part: 3, of: 4 }));
        assert!(subset("0").is_err() && subset("some").is_err());
    }
}
