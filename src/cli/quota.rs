//! Soft limits on what users use: who is over. Nothing is ever refused or left out for one.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::ByteSize;
use super::json::{lossy, raw};
use super::output::Output;
use super::text;

/// `[quota]`
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct QuotaConfig {
    /// For everyone who has no other limit.
    pub default: Option<ByteSize>,
    /// What is measured.
    pub of: Option<Measure>,
    /// For some, by name.
    pub users: Option<BTreeMap<String, ByteSize>>,
}

/// What a limit is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Measure {
    /// Bytes of the files in the home.
    #[default]
    Logical,
    /// The user's own bytes in the store, and a fair part of what is shared.
    Stored,
}

/// Someone who uses more than the limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Over {
    /// Who.
    user: String,
    /// The name's bytes in hexadecimal, where they are not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    user_bytes: Option<String>,
    /// Bytes.
    used: u64,
    /// Bytes.
    limit: u64,
    #[serde(skip)]
    name: Vec<u8>,
}

impl QuotaConfig {
    /// Whether there is any limit.
    pub fn is_set(&self) -> bool {
        self.default.is_some() || self.users.as_ref().is_some_and(|users| !users.is_empty())
    }

    /// What is measured.
    pub fn measure(&self) -> Measure {
        self.of.unwrap_or_default()
    }

    /// A user's limit, in bytes.
    pub fn limit(&self, user: &[u8]) -> Option<u64> {
        let own = std::str::from_utf8(user).ok().and_then(|user| self.users.as_ref()?.get(user).copied());
        own.or(self.default).map(|limit| limit.0)
    }

    /// Who of these uses more than the limit.
    pub fn over<'u>(&self, used: impl Iterator<Item = (&'u [u8], u64)>) -> Vec<Over> {
        let over = |(user, used): (&[u8], u64)| {
            let limit = self.limit(user).filter(|limit| used > *limit)?;
            Some(Over { user: lossy(user), user_bytes: raw(user), used, limit, name: user.to_vec() })
        };
        used.filter_map(over).collect()
    }
}

/// Says it to people. Programs read it in the summary.
pub fn tell(output: &Output, measure: Measure, over: &[Over]) {
    let what = match measure {
        Measure::Logical => "in the home",
        Measure::Stored => "in the store",
    };
    for Over { name, used, limit, .. } in over {
        output.warn(&format!(
            "{} is over the quota: {} {what}, {} are allowed",
            text::name(name),
            text::size(*used),
            text::size(*limit)
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_users_own_limit_comes_before_that_of_everyone() {
        let users = [("ann".to_string(), ByteSize(10))].into();
        let config = QuotaConfig { default: Some(ByteSize(5)), of: None, users: Some(users) };
        let used: [(&[u8], u64); 4] = [(b"ann", 10), (b"bob", 5), (b"cem", 6), (b"\xff", 7)];
        let over = config.over(used.into_iter());
        let names: Vec<_> = over.iter().map(|over| (&over.name[..], over.used, over.limit)).collect();
        assert_eq!(names, [(&b"cem"[..], 6, 5), (b"\xff", 7, 5)]);
        assert!(!QuotaConfig::default().is_set());
    }
}
