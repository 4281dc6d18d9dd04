//! Sets of segments, of chunks and of records, small enough to be bits.

use std::ops::{BitOr, BitOrAssign, Sub, SubAssign};

/// Up to sixteen segments, or chunks, which have the numbers of the segments they were first stored in, or records.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct Set(u16);

impl Set {
    pub const EMPTY: Self = Self(0);

    pub const fn of(members: &[usize]) -> Self {
        let mut bits = 0;
        let mut at = 0;
        while at < members.len() {
            bits |= 1 << members[at];
            at += 1;
        }
        Self(bits)
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub fn has(self, member: usize) -> bool {
        self.0 >> member & 1 == 1
    }

    pub fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub fn is_within(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }

    /// Members of `len` numbers from `a` and from `b` change places.
    pub fn exchange(self, a: usize, b: usize, len: usize) -> Self {
        let mask = (1u16 << len) - 1;
        let (at_a, at_b) = (self.0 >> a & mask, self.0 >> b & mask);
        Self(self.0 & !(mask << a | mask << b) | at_a << b | at_b << a)
    }

    /// What a listing may have seen that began when these stood and ends when `after` stands: of what changed, any
    /// part.
    pub fn seen_until(self, after: Self) -> impl Iterator<Item = Self> {
        let (sure, changed) = (self.0 & after.0, self.0 ^ after.0);
        let mut next = Some(changed);
        std::iter::from_fn(move || {
            let part = next?;
            next = (part != 0).then(|| (part - 1) & changed);
            Some(Self(sure | part))
        })
    }

    pub fn iter(self) -> impl Iterator<Item = usize> {
        (0..u16::BITS as usize).filter(move |member| self.has(*member))
    }
}

impl BitOr for Set {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Set {
    fn bitor_assign(&mut self, other: Self) {
        *self = *self | other;
    }
}

impl Sub for Set {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

impl SubAssign for Set {
    fn sub_assign(&mut self, other: Self) {
        *self = *self - other;
    }
}
