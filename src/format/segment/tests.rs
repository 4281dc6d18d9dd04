//! What is sealed opens again, whatever is changed is noticed, and what could not be read is not sealed.

use super::trailer::END_MAGIC;
use super::*;
use crate::codec::{ChunkId, Codec, Compressor, Decompressor, MasterKey, Packed, RepositoryKeys};

fn keys(n: u8) -> RepositoryKeys {
    RepositoryKeys::derive(&MasterKey([n; 32]))
}

fn segment() -> (Vec<u8>, Toc) {
    let mut compressor = Compressor::new(3).unwrap();
    let mut writer = SegmentWriter::new(SegmentKind::Commit);
    let chunk = |bytes: &[u8]| ChunkEntry { id: keys(1).chunk_id(bytes), length: bytes.len() as u32 };
    let tree = b"a tree";
    writer.push(BlockKind::Tree, compressor.pack(tree).unwrap(), vec![chunk(tree)]);
    let text = b"some text ".repeat(1000);
    writer.push(BlockKind::Data, compressor.pack(&text).unwrap(), vec![chunk(&text[..5]), chunk(&text[5..])]);
    writer.finish(&keys(1), &[9; 32], Some(b"record".to_vec())).unwrap()
}

fn read(bytes: &[u8], keys: &RepositoryKeys) -> Result<(Toc, Vec<Vec<u8>>), SegmentError> {
    let header = Header::from_bytes(bytes)?;
    let opener = header.opener(keys)?;
    let trailer = Trailer::from_bytes(bytes, bytes.len() as u64)?;
    let toc_range = trailer.toc_start as usize..bytes.len() - Trailer::LEN;
    let toc = Toc::open(&header, &opener, trailer.toc_start, &bytes[toc_range])?;
    let mut raws = vec![];
    for (index, block) in toc.blocks.iter().enumerate() {
        let stored = &bytes[block.start as usize..][..block.stored_len as usize];
        let mut raw = vec![];
        block.open(&header, &opener, index as u32, stored, &mut Decompressor::new()?, &mut raw)?;
        raws.push(raw);
    }
    Ok((toc, raws))
}

#[test]
fn a_segment_reads_back_with_trees_behind_data_and_is_padded() {
    let (bytes, written) = segment();
    assert_eq!(bytes.len() % TOC_PADDING, 0);
    let (toc, raws) = read(&bytes, &keys(1)).unwrap();
    assert_eq!(toc, written);
    assert_eq!(raws, [b"some text ".repeat(1000), b"a tree".to_vec()]);
    assert_eq!(toc.record.as_deref(), Some(&b"record"[..]));
    assert_eq!(toc.tree_start(), Some(toc.blocks[1].start));
}

#[test]
fn a_segment_of_a_newer_version_is_called_so() {
    let (mut bytes, _) = segment();
    bytes[7] = b'2';
    let newer = FormatError::Version { what: "the segment", found: 2, known: 1 };
    assert_eq!(Header::from_bytes(&bytes), Err(newer));
}

#[test]
fn what_a_reader_would_refuse_is_not_sealed() {
    let mut writer = SegmentWriter::new(SegmentKind::Bulk);
    let chunk = ChunkEntry { id: ChunkId([1; 32]), length: MAX_BLOCK_LEN as u32 + 1 };
    writer.push(BlockKind::Data, Packed { codec: Codec::Stored, bytes: vec![1] }, vec![chunk]);
    assert!(writer.finish(&keys(1), &[9; 32], None).is_err());
}

#[test]
fn a_table_is_not_looked_for_in_an_object_of_impossible_length() {
    let mut end = ((MAX_OBJECT_LEN as u32) - 80).to_le_bytes().to_vec();
    end.extend([0; 4]);
    end.extend(END_MAGIC);
    assert!(Trailer::from_bytes(&end, MAX_OBJECT_LEN).is_err());
    assert!(Trailer::from_bytes(&end, MAX_OBJECT_LEN + 16).is_err());
    end[..4].copy_from_slice(&100_u32.to_le_bytes());
    assert!(Trailer::from_bytes(&end, MAX_OBJECT_LEN).is_ok());
    assert!(Trailer::from_bytes(&end, MAX_OBJECT_LEN + 1).is_err());
}

#[test]
fn another_repositorys_segment_is_called_so() {
    assert!(matches!(read(&segment().0, &keys(2)), Err(SegmentError::ForeignKey)));
}

#[test]
fn every_flipped_byte_and_every_truncation_is_noticed() {
    let (bytes, _) = segment();
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x10;
        assert!(read(&damaged, &keys(1)).is_err(), "byte {at}");
        assert!(read(&bytes[..at], &keys(1)).is_err(), "length {at}");
    }
}
