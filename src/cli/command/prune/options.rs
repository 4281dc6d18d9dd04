//! What a prune is told: flags and configuration, merged. Knows the defaults.

use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use jiff::SignedDuration;
use serde::{Deserialize, Deserializer, de};

use crate::cli::ByteSize;
use crate::cli::context::{Context, host_name};
use crate::cli::effort;
use crate::engine::prune::{MaxUnused, PruneOptions};

const DEFAULT_MAX_UNUSED: MaxUnused = MaxUnused::Percent(5.0);
const DEFAULT_MAX_REPACK: u64 = u64::MAX;
const DEFAULT_MIN_AGE: Duration = Duration::from_secs(24 * 3600);

/// Delete what no snapshot needs, and repack what is mostly not needed
///
/// Any machine may prune, at any time, also while others back up or prune. Killed at any point it leaves a repository in which every
/// snapshot is whole; the next prune goes on.
#[derive(Debug, Clone, Default, Args)]
pub struct PruneArguments {
    /// Change nothing; tell how much would be freed
    #[arg(long, short = 'n')]
    pub dry_run: bool,
    #[command(flatten)]
    pub limits: PruneLimits,
}

/// What `prune` and `forget --prune` share.
#[derive(Debug, Clone, Default, Args)]
pub struct PruneLimits {
    /// Repack until no more than this is wasted in segments that are partly needed: `5%` (the default), a size, or `unlimited` for not repacking at all
    #[arg(long, value_name = "LIMIT")]
    pub max_unused: Option<Unused>,
    /// Move at most so many bytes into new segments
    #[arg(long, value_name = "SIZE")]
    pub max_repack_size: Option<ByteSize>,
    /// Delete only what was condemned at least so long ago. By default nothing waits where listings are never old (a local disk), and 24 hours elsewhere (FUSE, NFS, CIFS)
    #[arg(long, value_name = "DURATION")]
    pub grace: Option<Age>,
    /// Leave segments alone that no snapshot names and that are younger: a backup that runs may be about to name them. 24 hours by default
    #[arg(long, value_name = "DURATION")]
    pub min_age: Option<Age>,
    /// Go on where what is found makes no sense: snapshots vanished, none is left, most segments belong to none, a commit is damaged
    #[arg(long = "force-prune")]
    pub force_prune: bool,
}

impl PruneArguments {
    /// All that was said; `list_delay` is how old the store's listings may be.
    pub fn options(&self, context: &Context, list_delay: Duration) -> PruneOptions {
        let (limits, config) = (&self.limits, &context.config.prune);
        PruneOptions {
            host: host_name(),
            grace: limits.grace.or(config.grace).map_or(list_delay, |age| age.0),
            min_age: limits.min_age.or(config.min_age).map_or(DEFAULT_MIN_AGE, |age| age.0),
            max_unused: limits.max_unused.or(config.max_unused).map_or(DEFAULT_MAX_UNUSED, |unused| unused.0),
            max_repack: limits
                .max_repack_size
                .or(config.max_repack_size)
                .map_or(DEFAULT_MAX_REPACK, |size| size.0),
            level: effort::level(context.config.backup.compression_level),
            threads: effort::threads(None),
            dry_run: self.dry_run,
            force: limits.force_prune,
        }
    }
}

/// `5%`, `2G` or `unlimited`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Unused(pub MaxUnused);

impl FromStr for Unused {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "unlimited" {
            return Ok(Self(MaxUnused::Unlimited));
        }
        if let Some(percent) = text.strip_suffix('%') {
            let percent =
                percent.trim().parse::<f64>().ok().filter(|percent| (0.0..=100.0).contains(percent));
            return percent
                .map(|p| Self(MaxUnused::Percent(p)))
                .ok_or_else(|| format!("{text:?} is no share"));
        }
        let size: ByteSize = text.parse().map_err(|_| {
            format!("{text:?} is neither a share such as 5%, nor a size such as 2G, nor `unlimited`")
        })?;
        Ok(Self(MaxUnused::Bytes(size.0)))
    }
}

/// A length of time, such as `36h` or `2 days`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Age(pub Duration);

impl FromStr for Age {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no length of time; write for instance 90s, 15m, 24h or 7d");
        if text == "0" {
            return Ok(Self(Duration::ZERO));
        }
        let span: jiff::Span = text.parse().map_err(|_| wrong())?;
        let days = jiff::SpanRelativeTo::days_are_24_hours();
        let duration: SignedDuration = span.to_duration(days).map_err(|_| wrong())?;
        Duration::try_from(duration).map(Self).map_err(|_| wrong())
    }
}

fn from_text<'de, D: Deserializer<'de>, T: FromStr<Err = String>>(from: D) -> Result<T, D::Error> {
    String::deserialize(from)?.parse().map_err(de::Error::custom)
}

impl<'de> Deserialize<'de> for Unused {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from_text(from)
    }
}

impl<'de> Deserialize<'de> for Age {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from_text(from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_and_ages_are_read_as_people_write_them() {
        let unused = |text: &str| text.parse::<Unused>().map(|unused| unused.0);
        assert_eq!(unused("5%"), Ok(MaxUnused::Percent(5.0)));
        assert_eq!(unused("0.5 %"), Ok(MaxUnused::Percent(0.5)));
        assert_eq!(unused("2G"), Ok(MaxUnused::Bytes(2 << 30)));
        assert_eq!(unused("unlimited"), Ok(MaxUnused::Unlimited));
        for wrong in ["101%", "-1%", "x", "%", "NaN%"] {
            assert!(unused(wrong).is_err(), "{wrong}");
        }
        let age = |text: &str| text.parse::<Age>().map(|age| age.0.as_secs());
        assert_eq!(age("0"), Ok(0));
        assert_eq!(age("36h"), Ok(36 * 3600));
        assert_eq!(age("2 days"), Ok(48 * 3600));
        for wrong in ["", "x", "-1h", "3"] {
            assert!(age(wrong).is_err(), "{wrong}");
        }
    }
}
