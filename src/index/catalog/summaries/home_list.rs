//! Whose homes a snapshot speaks of and what it says of each, in about a byte a home.
//!
//! ```text
//! for each home, in order of names:  varint (zigzag (number - number of the one before - 1) << 2 | attention)
//! ```
//!
//! Users get their numbers in the order of their names as snapshots mention them, so most steps are one.

use std::sync::Arc;

use super::Users;
use crate::format::{Attention, HomeRecord};

const ATTENTIONS: [Attention; 4] =
    [Attention::Normal, Attention::Shrunk, Attention::Missing, Attention::Removed];

/// The homes of one snapshot. It has been read once when it is made: reading it again cannot fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HomeList {
    bytes: Box<[u8]>,
    users: Arc<Users>,
    counts: [u32; 4],
}

/// What a snapshot says of a home.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HomeMention {
    /// The user's number in [`HomeList::users`].
    pub user: u32,
    /// Whether this is the user's state.
    pub attention: Attention,
}

impl HomeMention {
    /// Whether the snapshot has a tree of the home.
    pub fn is_present(&self) -> bool {
        matches!(self.attention, Attention::Normal | Attention::Shrunk)
    }
}

impl HomeList {
    /// The homes of a record; None when `users` does not know one.
    pub(super) fn new(homes: &[HomeRecord], users: &Arc<Users>) -> Option<Self> {
        let mut list = Self { bytes: Box::default(), users: Arc::clone(users), counts: [0; 4] };
        let mut bytes = Vec::with_capacity(homes.len());
        let mut before = 0;
        for home in homes {
            let user = users.number(&home.user)?;
            let step = i64::from(user) - i64::from(before) - 1;
            push_varint(&mut bytes, zigzag(step) << 2 | home.attention as u64);
            list.counts[home.attention as usize] += 1;
            before = user;
        }
        list.bytes = bytes.into();
        Some(list)
    }

    /// Reads a list; None when it is not one, or mentions someone whom `users` does not know.
    pub(super) fn from_bytes(bytes: Vec<u8>, users: &Arc<Users>) -> Option<Self> {
        let mut counts = [0; 4];
        let mut mentions = Mentions { rest: &bytes, before: 0 };
        for mention in mentions.by_ref() {
            users.name(mention.user)?;
            counts[mention.attention as usize] += 1;
        }
        let is_whole = mentions.rest.is_empty();
        is_whole.then(|| Self { bytes: bytes.into(), users: Arc::clone(users), counts })
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What the snapshot says of each home, by the users' names.
    pub fn iter(&self) -> impl Iterator<Item = HomeMention> {
        Mentions { rest: &self.bytes, before: 0 }
    }

    /// Who the numbers are. All lists that were read together have the same users.
    pub fn users(&self) -> &Arc<Users> {
        &self.users
    }

    /// Who is meant by a mention of this list.
    pub fn name(&self, mention: &HomeMention) -> &[u8] {
        self.users.name(mention.user).unwrap_or_default()
    }

    /// How many homes are in this state.
    pub fn count(&self, attention: Attention) -> u64 {
        self.counts[attention as usize].into()
    }

    /// How many homes there is a tree of.
    pub fn present(&self) -> u64 {
        self.count(Attention::Normal) + self.count(Attention::Shrunk)
    }
}

struct Mentions<'l> {
    rest: &'l [u8],
    before: u32,
}

/// Ends early at what cannot be read, and leaves it.
impl Iterator for Mentions<'_> {
    type Item = HomeMention;

    fn next(&mut self) -> Option<HomeMention> {
        let (value, rest) = read_varint(self.rest)?;
        let step = unzigzag(value >> 2);
        let user = u32::try_from(i64::from(self.before).checked_add(step)?.checked_add(1)?).ok()?;
        let attention = ATTENTIONS[(value & 3) as usize];
        (self.rest, self.before) = (rest, user);
        Some(HomeMention { user, attention })
    }
}

fn zigzag(step: i64) -> u64 {
    (step << 1 ^ step >> 63).cast_unsigned()
}

fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -((value & 1).cast_signed())
}

/// Seven bits a byte, the lowest first; all but the last have the top bit set.
fn push_varint(to: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        to.push(value as u8 | 0x80);
        value >>= 7;
    }
    to.push(value as u8);
}

fn read_varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0;
    for (place, byte) in bytes.iter().enumerate().take(9) {
        value |= u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Some((value, &bytes[place + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn homes(said: &[(&str, Attention)]) -> Vec<HomeRecord> {
        let home = |(user, attention): &(&str, Attention)| HomeRecord {
            user: user.as_bytes().into(),
            path: vec![],
            root: None,
            files: 0,
            directories: 0,
            bytes: 0,
            bytes_new: 0,
            problems: 0,
            attention: *attention,
        };
        said.iter().map(home).collect()
    }

    #[test]
    fn a_list_reads_back_whatever_the_numbers_are() {
        let names = (0..400).map(|n| format!("u{n:03}").into_bytes()).rev();
        let users = Arc::new(Users::from_names(names));
        let said = [
            ("u000", Attention::Removed),
            ("u001", Attention::Normal),
            ("u200", Attention::Shrunk),
            ("u399", Attention::Missing),
        ];
        let list = HomeList::new(&homes(&said), &users).unwrap();
        let read = HomeList::from_bytes(list.as_bytes().to_vec(), &users).unwrap();
        assert_eq!(read, list);
        let again: Vec<_> = read.iter().map(|m| (read.name(&m).to_vec(), m.attention)).collect();
        assert_eq!(again, said.map(|(user, attention)| (user.as_bytes().to_vec(), attention)));
        assert_eq!((read.present(), read.count(Attention::Missing)), (2, 1));
    }

    #[test]
    fn usual_homes_take_a_byte_each() {
        let names: Vec<_> = (0..1000).map(|n| format!("u{n:04}")).collect();
        let users = Arc::new(Users::from_names(names.iter().map(|name| name.clone().into_bytes())));
        let said: Vec<_> = names.iter().map(|name| (name.as_str(), Attention::Missing)).collect();
        assert_eq!(HomeList::new(&homes(&said), &users).unwrap().as_bytes().len(), 1000);
    }

    #[test]
    fn what_is_no_list_is_refused() {
        let users = Arc::new(Users::from_names([b"ann".to_vec()]));
        assert!(HomeList::new(&homes(&[("bob", Attention::Normal)]), &users).is_none());
        let read = |bytes: &[u8]| HomeList::from_bytes(bytes.to_vec(), &users).is_some();
        assert!(read(&[]) && read(&[0]) && read(&[3]));
        // Number 2, number 0, a number that goes on, numbers that no arithmetic takes.
        for bytes in [&[8][..], &[4], &[0x80], &[0, 0], &[0xff; 9], &[0xff; 12]] {
            assert!(!read(bytes), "{bytes:?}");
        }
    }
}
