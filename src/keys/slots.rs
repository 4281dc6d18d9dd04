//! Opens and makes key slots. Knows the derivations; the slot's layout is in `format`.

use argon2::{Algorithm, Argon2, Params, Version};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

use crate::codec::{Domain, MasterKey, Sealer};
use crate::format::{Slot, SlotKind};

/// What a person or a job has to open a repository with.
pub enum Secret {
    /// Something remembered or read from a password manager.
    Passphrase(Zeroizing<Vec<u8>>),
    /// The bytes of a key file.
    KeyFile(Zeroizing<[u8; 32]>),
}

/// What trying one passphrase costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
}

impl Cost {
    /// About half a second and 128 MiB on a server core; above RFC 9106's second choice (64 MiB, 3 passes).
    pub const DEFAULT: Self = Self { memory_kib: 128 << 10, passes: 3, lanes: 4 };
    /// Less protects nothing; read from a slot, it is refused.
    pub const FLOOR: Self = Self { memory_kib: 8 << 10, passes: 1, lanes: 1 };
    /// More is an attack on the machine that opens the slot.
    pub const CEILING: Self = Self { memory_kib: 1 << 20, passes: 16, lanes: 16 };

    fn is_bearable(&self) -> bool {
        let within = |f: fn(&Self) -> u32| (f(&Self::FLOOR)..=f(&Self::CEILING)).contains(&f(self));
        within(|c| c.memory_kib) && within(|c| c.passes) && within(|c| c.lanes)
    }
}

/// Why a slot does not open.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The secret is another one.
    #[error("wrong passphrase or key file")]
    Wrong,
    /// The slot takes the other kind of secret.
    #[error("this slot takes another kind of secret")]
    OtherKind,
    /// The slot asks for an absurd effort.
    #[error("the slot asks for {0:?}, outside of what is safe to attempt; it may have been tampered with")]
    Cost(Cost),
    /// The system gave no randomness.
    #[error("the system gives no random bytes: {0}")]
    Random(String),
}

/// Random bytes of the system's generator.
pub fn random_bytes<const N: usize>() -> Result<[u8; N], KeyError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|e| KeyError::Random(e.to_string()))?;
    Ok(bytes)
}

/// Wraps `master` under `secret`. `salt` is random; `cost` is for passphrases.
pub fn seal_slot(
    master: &MasterKey,
    secret: &Secret,
    salt: [u8; 32],
    cost: Cost,
    created_s: i64,
    label: &str,
) -> Result<Slot, KeyError> {
    let kind = match secret {
        Secret::KeyFile(_) => SlotKind::KeyFile,
        Secret::Passphrase(_) => {
            SlotKind::Passphrase { memory_kib: cost.memory_kib, passes: cost.passes, lanes: cost.lanes }
        }
    };
    let mut slot = Slot { kind, salt, commitment: [0; 32], wrapped: [0; 48], created_s, label: label.into() };
    let (sealer, commitment) = wrapping(&slot, secret)?;
    let mut wrapped = Zeroizing::new(master.0);
    let tag = sealer.seal(Domain::Block, 0, &slot.associated_data(), &mut wrapped[..]);
    slot.wrapped[..32].copy_from_slice(&wrapped[..]);
    slot.wrapped[32..].copy_from_slice(&tag);
    slot.commitment = commitment;
    Ok(slot)
}

/// The master key in `slot`, if `secret` is the one it was wrapped under.
pub fn open_slot(slot: &Slot, secret: &Secret) -> Result<MasterKey, KeyError> {
    let (opener, commitment) = wrapping(slot, secret)?;
    if !bool::from(commitment.ct_eq(&slot.commitment)) {
        return Err(KeyError::Wrong);
    }
    let mut key = Zeroizing::new([0; 32]);
    key.copy_from_slice(&slot.wrapped[..32]);
    let tag = slot.wrapped[32..].try_into().expect("16 of 48 bytes");
    let opened = opener.open(Domain::Block, 0, &slot.associated_data(), &mut key[..], &tag);
    opened.map_err(|_| KeyError::Wrong)?;
    Ok(MasterKey(*key))
}

/// The cipher that wraps the master key, and the commitment to the secret behind it.
fn wrapping(slot: &Slot, secret: &Secret) -> Result<(Sealer, [u8; 32]), KeyError> {
    let mut stretched = Zeroizing::new([0; 32]);
    match (slot.kind, secret) {
        (SlotKind::KeyFile, Secret::KeyFile(bytes)) => stretched.copy_from_slice(&bytes[..]),
        (SlotKind::Passphrase { memory_kib, passes, lanes }, Secret::Passphrase(text)) => {
            stretch(text, &slot.salt, Cost { memory_kib, passes, lanes }, &mut stretched)?;
        }
        _ => return Err(KeyError::OtherKind),
    }
    let mut derived = Zeroizing::new([0; 64]);
    let mut hasher = blake3::Hasher::new_derive_key("homekeep 2026-11-24 format 1 key slot");
    hasher.update(&stretched[..]).update(&slot.salt).finalize_xof().fill(&mut derived[..]);
    hasher.zeroize();
    let key = Zeroizing::new(<[u8; 32]>::try_from(&derived[..32]).expect("32 of 64"));
    Ok((Sealer::new(&key), derived[32..].try_into().expect("32 of 64")))
}

fn stretch(text: &[u8], salt: &[u8; 32], cost: Cost, out: &mut [u8; 32]) -> Result<(), KeyError> {
    if !cost.is_bearable() {
        return Err(KeyError::Cost(cost));
    }
    let parameters = Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(32));
    let parameters = parameters.map_err(|_| KeyError::Cost(cost))?;
    Argon2::new(Algorithm::Argon2id, Version::V0x13, parameters)
        .hash_password_into(text, salt, out)
        .map_err(|_| KeyError::Cost(cost))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passphrase(text: &str) -> Secret {
        Secret::Passphrase(Zeroizing::new(text.into()))
    }

    fn key_file(byte: u8) -> Secret {
        Secret::KeyFile(Zeroizing::new([byte; 32]))
    }

    fn slot(secret: &Secret) -> Slot {
        seal_slot(&MasterKey([5; 32]), secret, [1; 32], Cost::FLOOR, 0, "test").unwrap()
    }

    #[test]
    fn only_the_secret_that_sealed_a_slot_opens_it() {
        for (right, wrong) in [(passphrase("right"), passphrase("wrong")), (key_file(1), key_file(2))] {
            let slot = slot(&right);
            assert_eq!(open_slot(&slot, &right).map(|k| k.0), Ok([5; 32]));
            assert_eq!(open_slot(&slot, &wrong).err(), Some(KeyError::Wrong));
        }
        assert_eq!(open_slot(&slot(&key_file(1)), &passphrase("x")).err(), Some(KeyError::OtherKind));
    }

    #[test]
    fn a_slot_that_demands_the_impossible_is_refused_before_it_is_tried() {
        let mut slot = slot(&passphrase("x"));
        for cost in [(u32::MAX, 1, 1), (8 << 10, u32::MAX, 1), (8 << 10, 1, u32::MAX), (8, 1, 1)] {
            slot.kind = SlotKind::Passphrase { memory_kib: cost.0, passes: cost.1, lanes: cost.2 };
            assert!(matches!(open_slot(&slot, &passphrase("x")), Err(KeyError::Cost(_))));
        }
    }

    #[test]
    fn everything_in_a_slot_is_authenticated() {
        let secret = key_file(1);
        let slot = slot(&secret);
        let spoil: [fn(&mut Slot); 5] = [
            |s| s.salt[0] ^= 1,
            |s| s.commitment[0] ^= 1,
            |s| s.wrapped[0] ^= 1,
            |s| s.created_s += 1,
            |s| s.label.push('x'),
        ];
        for spoil in spoil {
            let mut spoiled = slot.clone();
            spoil(&mut spoiled);
            assert_eq!(open_slot(&spoiled, &secret).err(), Some(KeyError::Wrong));
        }
    }
}
