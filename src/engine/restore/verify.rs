//! Reads restored files back and compares them with the snapshot, chunk by chunk.

use std::ffi::OsStr;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;

use super::plan::Context;
use super::report::RestoreReport;
use super::root::Root;
use super::words::chain;
use super::{RestoreError, RestoreSource, problem};
use crate::engine::{Meter, ProblemKind};
use crate::files::place::Place;
use crate::files::read::{OpenFile, Region};
use crate::files::rules::{Scope, Verdict};
use crate::format::{Entry, EntryKind, Extent, flags};
use crate::repo::{Reader, Readers, RepoError};

/// Bytes read at once; no chunk is longer.
const PIECE: u64 = 8 << 20;

/// Compares every file of the tree that was to be restored with its chunks' ids. A file that was kept
/// on purpose and differs is reported too: it is not what the snapshot has.
pub fn verify(
    readers: &Readers,
    source: &RestoreSource,
    root: &Root,
    context: &Context<'_>,
    report: &mut RestoreReport,
) -> Result<(), RestoreError> {
    let Some(place) = root.place.clone() else { return Ok(()) };
    let mut verifier = Verifier { reader: readers.reader()?, source, context, report };
    let EntryKind::Directory(tree) = source.entry.kind else {
        return verifier.file(&place, &source.entry, b"");
    };
    let scope = context.excludes.home(&source.home_path);
    let include = context.includes.as_ref().map(|rules| rules.home(&source.home_path));
    let mut stack = vec![(place, tree, Vec::new(), scope, include)];
    while let Some((place, tree, path, scope, include)) = stack.pop() {
        let listing = match verifier.reader.listing(&tree) {
            Err(error) if error.is_damage() => {
                verifier.differs(&path, &chain(&error))?;
                continue;
            }
            listing => listing?,
        };
        for entry in listing {
            let name = OsStr::from_bytes(&entry.name);
            let excludes = |scope: &Scope| scope.decide(name, entry.is_directory()) != Verdict::Keep;
            let is_wanted = include.as_ref().is_none_or(excludes);
            if excludes(&scope) || (!is_wanted && !entry.is_directory()) {
                continue;
            }
            let below = join(&path, &entry.name);
            match entry.kind {
                EntryKind::Directory(tree) => {
                    if let Ok(next) = place.open_directory(&entry.name) {
                        let include = include.as_ref().filter(|_| !is_wanted).map(|s| s.enter(name));
                        stack.push((next, tree, below, scope.enter(name), include));
                    }
                }
                _ => verifier.file(&place, &entry, &below)?,
            }
        }
    }
    Ok(())
}

/// Whether the bytes from `start` to `end` read as zeros. Holes are not read.
fn is_zero(file: &OpenFile, start: u64, end: u64, buffer: &mut Vec<u8>) -> bool {
    let mut at = start;
    while at < end {
        at = match file.region(at) {
            Ok(Some(Region::Hole { length })) => at + length,
            Ok(Some(Region::Data { start, end: data_end })) => {
                buffer.resize((data_end.min(end) - start).min(PIECE) as usize, 0);
                let read = file.read_at(buffer, start).unwrap_or(0);
                if read < buffer.len() || buffer.iter().any(|byte| *byte != 0) {
                    return false;
                }
                start + read as u64
            }
            Ok(None) | Err(_) => return false,
        };
    }
    true
}

fn join(path: &[u8], name: &[u8]) -> Vec<u8> {
    if path.is_empty() { name.to_vec() } else { [path, name].join(&b'/') }
}

struct Verifier<'v, 'a> {
    reader: Reader,
    source: &'v RestoreSource,
    context: &'v Context<'a>,
    report: &'v mut RestoreReport,
}

impl Verifier<'_, '_> {
    fn file(&mut self, place: &Place, entry: &Entry, path: &[u8]) -> Result<(), RestoreError> {
        let EntryKind::File(content) = &entry.kind else { return Ok(()) };
        let attributes = &entry.attributes;
        if attributes.flags & flags::FOREIGN_LINK != 0 || attributes.vault.is_some() {
            return Ok(());
        }
        if self.context.meter.is_interrupted() {
            return Err(RestoreError::Interrupted);
        }
        let Ok(file) = OpenFile::open(place.as_fd(), &entry.name) else {
            return self.differs(path, "it cannot be opened");
        };
        let (mut at, mut buffer, mut is_equal) = (0, Vec::new(), true);
        let read = self.reader.extents(content, &mut |reader, extent| {
            is_equal &= match extent {
                Extent::Data { id, length } => {
                    buffer.resize(length.min(PIECE) as usize, 0);
                    let read = file.read_at(&mut buffer, at).unwrap_or(0);
                    read == buffer.len() && reader.is_data(&id, &buffer)
                }
                Extent::Hole { length } => is_zero(&file, at, at + length, &mut buffer),
            };
            at += extent.length();
            Ok::<_, RepoError>(())
        });
        match read {
            Err(error) if error.is_damage() => return self.differs(path, &chain(&error)),
            read => read?,
        }
        Meter::add(&self.context.meter.bytes_moved, at);
        if is_equal && file.stat.size == at {
            self.report.verified += 1;
            return Ok(());
        }
        self.differs(path, "it differs from the snapshot")
    }

    fn differs(&mut self, path: &[u8], why: &str) -> Result<(), RestoreError> {
        let kind = ProblemKind::Unrestored(format!("verification: {why}"));
        self.report.problems.push(problem(self.source, path, kind));
        Ok(())
    }
}
