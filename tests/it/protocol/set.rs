//! Sets of segments and of chunks, small enough to be bits.

use std::ops::{BitOr, BitOrAssign, Sub, SubAssign};

/// Up to sixteen segments, or the chunks that were first stored in them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
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
