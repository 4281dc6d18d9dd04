//! One secret in, one key per purpose out. Knows the labels; they are part of the format.

use blake3::Hasher;
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::{ChunkId, Sealer};

/// The repository's root secret. Everything stored is protected by keys derived from it.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct MasterKey(pub [u8; 32]);

/// The keys derived from the [`MasterKey`], one per purpose, so that no two purposes can be
/// played against each other.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct RepositoryKeys {
    chunk_id: [u8; 32],
    tree_id: [u8; 32],
    gear: [u8; 32],
    segment: [u8; 32],
    salt: [u8; 32],
    descriptor: [u8; 32],
    link_group: [u8; 32],
    vault: [u8; 32],
}

impl RepositoryKeys {
    /// Derives all keys. The labels stand in docs/format.md.
    pub fn derive(master: &MasterKey) -> Self {
        let key =
            |purpose: &str| blake3::derive_key(&format!("homekeep 2026-11-24 format 1 {purpose}"), &master.0);
        Self {
            chunk_id: key("chunk id"),
            tree_id: key("tree id"),
            gear: key("gear table"),
            segment: key("segment"),
            salt: key("segment salt"),
            descriptor: key("descriptor"),
            link_group: key("hard link group"),
            vault: key("vault"),
        }
    }

    /// The identity of a chunk of file data.
    pub fn chunk_id(&self, bytes: &[u8]) -> ChunkId {
        ChunkId(*blake3::keyed_hash(&self.chunk_id, bytes).as_bytes())
    }

    /// The identity of an encoded tree page, page index or content list.
    pub fn tree_id(&self, bytes: &[u8]) -> ChunkId {
        ChunkId(*blake3::keyed_hash(&self.tree_id, bytes).as_bytes())
    }

    /// The 256 words of the gear table: without the key, where chunks begin says nothing.
    pub fn gear_table(&self) -> [u64; 256] {
        let mut bytes = [0; 2048];
        Hasher::new_keyed(&self.gear).finalize_xof().fill(&mut bytes);
        let mut table = [0; 256];
        for (word, raw) in table.iter_mut().zip(bytes.chunks_exact(8)) {
            *word = u64::from_le_bytes(raw.try_into().expect("chunks_exact(8)"));
        }
        table
    }

    /// A segment's salt, hedged: random bytes hashed with what the segment holds, so that a
    /// repeated random state cannot repeat a key for other content.
    pub fn segment_salt<'a>(
        &self,
        random: &[u8; 32],
        ids: impl Iterator<Item = &'a ChunkId>,
        record: &[u8],
    ) -> [u8; 32] {
        let mut hasher = Hasher::new_keyed(&self.salt);
        hasher.update(random);
        for id in ids {
            hasher.update(id.as_bytes());
        }
        hasher.update(record);
        *hasher.finalize().as_bytes()
    }

    /// The cipher of one segment, and the commitment that keeps another key from opening it.
    pub fn segment_cipher(&self, kind: u8, salt: &[u8; 32]) -> (Sealer, [u8; 32]) {
        let mut derived = [0; 64];
        Hasher::new_keyed(&self.segment).update(&[kind]).update(salt).finalize_xof().fill(&mut derived);
        let mut commitment = [0; 32];
        commitment.copy_from_slice(&derived[32..]);
        let sealer = Sealer::new(derived[..32].try_into().expect("32 of 64 bytes"));
        derived.zeroize();
        (sealer, commitment)
    }

    /// The tag that binds the repository's descriptor to its key.
    pub fn descriptor_tag(&self, bytes: &[u8]) -> [u8; 32] {
        *blake3::keyed_hash(&self.descriptor, bytes).as_bytes()
    }

    /// Names the names of one inode: equal for every link to it while the inode is unchanged.
    pub fn link_group(&self, device: u64, inode: u64, changed_ns: i128) -> [u8; 16] {
        let mut group = [0; 16];
        let hash = Hasher::new_keyed(&self.link_group)
            .update(&device.to_le_bytes())
            .update(&inode.to_le_bytes())
            .update(&changed_ns.to_le_bytes())
            .finalize();
        group.copy_from_slice(&hash.as_bytes()[..16]);
        group
    }

    /// The secret of the vault that belongs to the repository.
    pub fn vault_secret(&self) -> &[u8; 32] {
        &self.vault
    }

    /// This repository's name for a link group of another: equal groups stay equal, and what one repository
    /// calls an inode says nothing to who has the other's key.
    pub fn copied_link_group(&self, group: &[u8; 16]) -> [u8; 16] {
        let mut copied = [0; 16];
        copied.copy_from_slice(&blake3::keyed_hash(&self.link_group, group).as_bytes()[..16]);
        copied
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_purpose_has_a_key_of_its_own() {
        let keys = RepositoryKeys::derive(&MasterKey([7; 32]));
        let all = [
            keys.chunk_id,
            keys.tree_id,
            keys.gear,
            keys.segment,
            keys.salt,
            keys.descriptor,
            keys.link_group,
            keys.vault,
        ];
        for (i, a) in all.iter().enumerate() {
            assert!(all[i + 1..].iter().all(|b| a != b));
        }
    }

    #[test]
    fn a_salt_depends_on_content_when_randomness_repeats() {
        let keys = RepositoryKeys::derive(&MasterKey([7; 32]));
        let one = keys.segment_salt(&[1; 32], [ChunkId([1; 32])].iter(), b"");
        let two = keys.segment_salt(&[1; 32], [ChunkId([2; 32])].iter(), b"");
        assert_ne!(one, two);
    }

    #[test]
    fn tree_and_data_of_equal_bytes_have_different_ids() {
        let keys = RepositoryKeys::derive(&MasterKey([7; 32]));
        assert_ne!(keys.chunk_id(b"x"), keys.tree_id(b"x"));
    }
}
