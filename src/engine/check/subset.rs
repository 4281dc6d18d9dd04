//! Which objects are read: all, a part that is the same whoever asks, or some at random. Pure.

use std::str::FromStr;

use crate::codec::Hash;
use crate::store::Listed;

/// Which objects to read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Subset {
    /// Every one.
    All,
    /// The `part`-th of `of` parts. By the objects' hashes, so that all parts together are all objects,
    /// whenever each of them is read.
    Part {
        /// From 1 on.
        part: u64,
        /// How many there are.
        of: u64,
    },
    /// So many hundredths of all bytes, of objects chosen at random.
    Percent(f64),
    /// So many bytes, of objects chosen at random.
    Bytes(u64),
}

/// A text names no subset in words of parts or percent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is neither a percentage such as 5% nor a part such as 1/7, nor a size such as 10G")]
pub struct ParseSubsetError(pub String);

impl FromStr for Subset {
    type Err = ParseSubsetError;

    /// Reads `n/m` and `p%`; sizes are the command line's to read.
    fn from_str(text: &str) -> Result<Self, ParseSubsetError> {
        let error = || ParseSubsetError(text.into());
        if let Some(percent) = text.strip_suffix('%') {
            let percent: f64 = percent.parse().map_err(|_| error())?;
            return if percent > 0.0 && percent <= 100.0 { Ok(Self::Percent(percent)) } else { Err(error()) };
        }
        let (part, of) = text.split_once('/').ok_or_else(error)?;
        match (part.parse(), of.parse()) {
            (Ok(part), Ok(of)) if (1..=of).contains(&part) => Ok(Self::Part { part, of }),
            _ => Err(error()),
        }
    }
}

impl Subset {
    /// The objects to read, by name. `seed` decides what is chosen at random.
    pub fn choose(&self, mut objects: Vec<Listed>, seed: &[u8; 32]) -> Vec<Listed> {
        match *self {
            Self::All => {}
            Self::Part { part, of } => objects.retain(|object| number(object) % of == part - 1),
            Self::Percent(percent) => {
                let all: u64 = objects.iter().map(|object| object.length).sum();
                objects = random(objects, (all as f64 * percent / 100.0).ceil() as u64, seed);
            }
            Self::Bytes(bytes) => objects = random(objects, bytes, seed),
        }
        objects.sort_unstable();
        objects
    }
}

/// A number of the object's own that nobody chose.
fn number(object: &Listed) -> u64 {
    let hash = object.name.promised_hash().unwrap_or_else(|| Hash::of(object.name.as_str().as_bytes()));
    u64::from_be_bytes(hash.short())
}

/// Objects in random order, until they have so many bytes.
fn random(mut objects: Vec<Listed>, bytes: u64, seed: &[u8; 32]) -> Vec<Listed> {
    objects.sort_by_cached_key(|object| Hash::of(&[&seed[..], object.name.as_str().as_bytes()].concat()));
    let mut sum: u64 = 0;
    objects.retain(|object| {
        let is_chosen = sum < bytes;
        sum = sum.saturating_add(object.length);
        is_chosen
    });
    objects
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::ObjectName;

    fn objects() -> Vec<Listed> {
        let hash = |n: u32| Hash::of(&n.to_le_bytes());
        let mut objects: Vec<_> = (0..100)
            .map(|n| Listed { name: ObjectName::segment(&hash(n)), length: 10, modified_ms: None })
            .collect();
        objects.push(Listed { name: ObjectName::descriptor(), length: 10, modified_ms: None });
        objects.sort_unstable();
        objects
    }

    #[test]
    fn all_parts_together_are_all_objects_and_none_is_read_twice() {
        let mut read: Vec<_> = (1..=7)
            .flat_map(|part| Subset::Part { part, of: 7 }.choose(objects(), &[part as u8; 32]))
            .collect();
        read.sort_unstable();
        assert_eq!(read, objects());
    }

    #[test]
    fn a_random_subset_has_as_many_bytes_as_were_asked_for() {
        let count = |subset: Subset, seed| subset.choose(objects(), &[seed; 32]).len();
        assert_eq!(count(Subset::Percent(5.0), 1), 6);
        assert_eq!(count(Subset::Percent(100.0), 1), 101);
        assert_eq!(count(Subset::Bytes(95), 1), 10);
        assert_eq!(count(Subset::Bytes(u64::MAX), 1), 101);
        let chosen = |seed| Subset::Bytes(200).choose(objects(), &[seed; 32]);
        assert!(chosen(1) != chosen(2) && chosen(1) == chosen(1));
    }

    #[test]
    fn a_subset_is_a_part_or_a_percentage() {
        assert_eq!("2/7".parse(), Ok(Subset::Part { part: 2, of: 7 }));
        assert_eq!("2.5%".parse(), Ok(Subset::Percent(2.5)));
        for text in ["", "0/7", "8/7", "1/0", "-1/2", "0%", "101%", "x%", "NaN%", "5", "1/2/3"] {
            assert!(text.parse::<Subset>().is_err(), "{text}");
        }
    }
}
