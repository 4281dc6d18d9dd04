//! Sizes as people write them: `512`, `100K`, `1.5G`, `2GiB`. Knows no flag.

use std::fmt;
use std::str::FromStr;

use serde::de::{self, Deserialize, Deserializer, Visitor};

/// More digits than any unit can use.
const MAX_DECIMALS: usize = 12;

/// A number of bytes. Units are powers of 1024, as in restic, however they are spelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(pub u64);

/// A text is not a size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a size; write a number of bytes, or one with K, M, G or T, such as 100M or 1.5G")]
pub struct ParseSizeError(pub String);

impl FromStr for ByteSize {
    type Err = ParseSizeError;

    fn from_str(text: &str) -> Result<Self, ParseSizeError> {
        let text = text.trim();
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (number, unit) = text.split_at(end);
        let size = shift(unit.trim_start()).and_then(|shift| scale(number, shift));
        size.map(Self).ok_or_else(|| ParseSizeError(text.into()))
    }
}

/// The power of two that a unit stands for.
fn shift(unit: &str) -> Option<u32> {
    let unit = unit.to_ascii_uppercase();
    let Some(letter) = unit.chars().next() else { return Some(0) };
    let shift = match letter {
        'B' => return (unit.len() == 1).then_some(0),
        letter => 10 * (1 + "KMGTPE".find(letter)? as u32),
    };
    matches!(&unit[1..], "" | "B" | "IB").then_some(shift)
}

/// In whole numbers, so that 0.1T is the same everywhere; what is left of a byte is dropped.
fn scale(number: &str, shift: u32) -> Option<u64> {
    let (whole, decimals) = number.split_once('.').unwrap_or((number, "0"));
    if decimals.is_empty() || decimals.len() > MAX_DECIMALS {
        return None;
    }
    let whole = u128::from(whole.parse::<u64>().ok()?);
    let decimal_places = 10u128.pow(decimals.len() as u32);
    let decimals = u128::from(decimals.parse::<u64>().ok()?);
    let bytes = (whole << shift) + ((decimals << shift) / decimal_places);
    u64::try_from(bytes).ok()
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SizeVisitor)
    }
}

struct SizeVisitor;

impl Visitor<'_> for SizeVisitor {
    type Value = ByteSize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a size such as \"100M\"")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<ByteSize, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_i64<E: de::Error>(self, bytes: i64) -> Result<ByteSize, E> {
        u64::try_from(bytes).map(ByteSize).map_err(|_| E::custom(ParseSizeError(bytes.to_string())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_bytes_or_a_power_of_1024() {
        let cases = [
            ("0", 0),
            ("512", 512),
            ("512B", 512),
            ("100K", 100 << 10),
            ("100k", 100 << 10),
            ("1.5G", 3 << 29),
            ("2GiB", 2 << 30),
            ("2 GiB", 2 << 30),
            ("2gb", 2 << 30),
            (" 1T ", 1 << 40),
            ("0.1K", 102),
            ("1.000000000000K", 1 << 10),
            ("15.999E", 18_445_591_152_204_944_769),
            ("18446744073709551615", u64::MAX),
        ];
        for (text, expected) in cases {
            assert_eq!(text.parse(), Ok(ByteSize(expected)), "{text}");
        }
    }

    #[test]
    fn what_is_no_size_is_said_to_be_none() {
        let more = "18446744073709551616";
        let texts =
            ["", "K", "-1", "1.", ".5", "1..2", "1KK", "1KiBx", "5X", "1Bi", "1e3", "16E", "1Ké", more];
        for text in texts {
            assert_eq!(text.parse::<ByteSize>(), Err(ParseSizeError(text.into())));
        }
        assert!("1.0000000000000K".parse::<ByteSize>().is_err());
    }
}
