//! What a reader makes of an object's bytes. Damage that gives the same answer everywhere is one case of
//! damage, however many bytes there are to do it to.

use homekeep::codec::{Decompressor, Hash};
use homekeep::format::{Header, ObjectName, SegmentError, Slot, Toc, Trailer};
use homekeep::repo::Repository;

/// The answers of every decoder that a kind of object meets, as text.
///
/// A segment's bytes reach the program through these functions and no others: the header, the trailer,
/// the sealed table of contents, each sealed block. Two damaged forms with the same answers are read the
/// same by every verb.
pub fn reading(repository: &Repository, name: &ObjectName, bytes: &[u8]) -> String {
    let kind = name.as_str().split('/').next().unwrap_or_default();
    match kind {
        // Opening alone tells; it is cheap, so each byte is a case of its own.
        "format" | "forgotten" => Hash::of(bytes).to_string(),
        "keys" => {
            format!("{:?} {}", Slot::from_bytes(bytes).err(), name.promised_hash() == Some(Hash::of(bytes)))
        }
        _ => read_segment(repository, bytes).unwrap_or_else(|error| format!("{error:?}")),
    }
}

fn read_segment(repository: &Repository, bytes: &[u8]) -> Result<String, SegmentError> {
    let header = Header::from_bytes(bytes)?;
    let opener = header.opener(repository.keys())?;
    let trailer = Trailer::from_bytes(bytes, bytes.len() as u64)?;
    let toc_start = trailer.toc_start as usize;
    let toc =
        Toc::open(&header, &opener, trailer.toc_start, &bytes[toc_start..][..trailer.toc_len as usize])?;
    let mut unpack = Decompressor::new()?;
    let mut answers =
        vec![format!("{:?} {trailer:?} {:?}", header.kind, toc.record.as_deref().map(Hash::of))];
    for (number, block) in toc.blocks.iter().enumerate() {
        let stored = &bytes[block.start as usize..][..block.stored_len as usize];
        let mut raw = Vec::new();
        let opened = block.open(&header, &opener, number as u32, stored, &mut unpack, &mut raw);
        answers.push(format!("{:?} {:?}", opened.err(), Hash::of(&raw)));
    }
    Ok(answers.join("\n"))
}
