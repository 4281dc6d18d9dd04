//! A directory as a tar archive: entries in order, links to what came before. Knows which entries
//! there are and their bytes, not how a header is written.

use std::collections::HashMap;
use std::io::Write;

use tar::EntryType;

use super::header::{self, Member};
use super::{is_without_content, write_content, write_zeros};
use crate::engine::lookup::Located;
use crate::engine::tree_walk::{Step, TreeWalk};
use crate::engine::{BrowseError, HomePath};
use crate::format::{Content, Entry, EntryKind};
use crate::repo::Reader;

/// What an archive holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ArchiveReport {
    /// Files with their bytes.
    pub files: u64,
    /// Bytes of them, holes included.
    pub bytes: u64,
    /// Directories.
    pub directories: u64,
    /// Further names of what is in the archive already.
    pub hard_links: u64,
    /// Symbolic links, pipes and devices.
    pub others: u64,
    /// Files left out because the snapshot has no content of them.
    pub without_content: u64,
}

/// Writes what is at `start`, with all below it, as a tar archive in which it has its own name.
/// `left_out` is told each file that was saved without content. Remembers one path for each file that
/// has several names.
pub fn dump_archive(
    reader: &mut Reader,
    start: &Located,
    to: &mut dyn Write,
    left_out: &mut dyn FnMut(&HomePath),
) -> Result<ArchiveReport, BrowseError> {
    let mut archive =
        Archive { start, to, left_out, first_names: HashMap::new(), report: ArchiveReport::default() };
    archive.entry(reader, &start.path, &start.entry)?;
    if let EntryKind::Directory(tree) = start.entry.kind {
        let mut walk = TreeWalk::new(reader, start.path.clone(), tree)?;
        while let Some(step) = walk.next(reader)? {
            let Step::Entry(entry) = step else { continue };
            archive.entry(reader, walk.path(), &entry)?;
            if let EntryKind::Directory(tree) = entry.kind {
                walk.enter(reader, tree)?;
            }
        }
    }
    // Two blocks of zeros end an archive.
    write_zeros(archive.to, 2 * header::BLOCK_LEN)?;
    archive.to.flush()?;
    Ok(archive.report)
}

struct Archive<'a> {
    start: &'a Located,
    to: &'a mut dyn Write,
    left_out: &'a mut dyn FnMut(&HomePath),
    /// By link group, the name under which the archive has the file.
    first_names: HashMap<[u8; 16], Vec<u8>>,
    report: ArchiveReport,
}

impl Archive<'_> {
    fn entry(&mut self, reader: &mut Reader, path: &HomePath, entry: &Entry) -> Result<(), BrowseError> {
        if is_without_content(entry) {
            self.report.without_content += 1;
            (self.left_out)(path);
            return Ok(());
        }
        let name = self.name_of(path);
        if let Some(group) = entry.attributes.link_group {
            if let Some(first) = self.first_names.get(&group) {
                self.report.hard_links += 1;
                let link = Member::new(entry, &name, EntryType::Link).linked(first);
                return Ok(self.to.write_all(&link.to_bytes()?)?);
            }
            self.first_names.insert(group, name.clone());
        }
        let member = |kind| Member::new(entry, &name, kind);
        match &entry.kind {
            EntryKind::File(content) => self.file(reader, path, &name, entry, content),
            EntryKind::Directory(_) => self.directory(&name, entry),
            EntryKind::Symlink(target) => self.other(member(EntryType::Symlink).linked(target)),
            EntryKind::Fifo => self.other(member(EntryType::Fifo)),
            EntryKind::CharDevice(number) => self.other(member(EntryType::Char).device(*number)),
            EntryKind::BlockDevice(number) => self.other(member(EntryType::Block).device(*number)),
        }
    }

    fn file(
        &mut self,
        reader: &mut Reader,
        path: &HomePath,
        name: &[u8],
        entry: &Entry,
        content: &Content,
    ) -> Result<(), BrowseError> {
        let size = content.size();
        self.to.write_all(&Member::new(entry, name, EntryType::Regular).sized(size).to_bytes()?)?;
        write_content(reader, path, content, self.to)?;
        write_zeros(self.to, size.next_multiple_of(header::BLOCK_LEN) - size)?;
        self.report.files += 1;
        self.report.bytes += size;
        Ok(())
    }

    fn directory(&mut self, name: &[u8], entry: &Entry) -> Result<(), BrowseError> {
        self.report.directories += 1;
        let name = [name, b"/"].concat();
        Ok(self.to.write_all(&Member::new(entry, &name, EntryType::Directory).to_bytes()?)?)
    }

    fn other(&mut self, member: Member<'_>) -> Result<(), BrowseError> {
        self.report.others += 1;
        Ok(self.to.write_all(&member.to_bytes()?)?)
    }

    /// The name in the archive: what was asked for by its own name, the rest below it.
    fn name_of(&self, path: &HomePath) -> Vec<u8> {
        let below = &path.as_bytes()[self.start.path.as_bytes().len()..];
        let mut name = self.start.entry.name.clone();
        if !below.is_empty() && below[0] != b'/' {
            name.push(b'/');
        }
        name.extend_from_slice(below);
        name
    }
}
