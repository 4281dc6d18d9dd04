//! Whose damage it is: goes from each home down to what is missing or damaged, through directories that lead there
//! and no others. Each distinct directory is looked into once at each path of a home, however many snapshots have it.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::CheckError;
use super::intact::{Search, State};
use super::report::{CheckReport, Intact, Loss};
use crate::codec::{ChunkId, SnapshotId};
use crate::engine::{HomePath, Kind};
use crate::format::{Content, Entry, EntryKind, Extent, HomeRecord, SnapshotRecord};
use crate::index::Summary;
use crate::repo::{Reached, Reader, RepoError, Repository, Snapshot};

/// No more losses are listed; further ones are counted.
const MAX_LOSSES: usize = 10_000;

/// Finds everything that is lost in these snapshots.
pub fn find(
    repository: &Repository,
    snapshots: &[Summary],
    reached: &Reached,
    report: &mut CheckReport,
) -> Result<(), CheckError> {
    let numbered = snapshots.iter().enumerate().rev();
    let incomplete = numbered.filter(|(root, _)| !reached.is_complete(*root)).map(|(_, snapshot)| snapshot);
    let incomplete: Vec<&Summary> = incomplete.collect();
    report.incomplete = incomplete.iter().map(|snapshot| snapshot.id).collect();
    if report.incomplete.is_empty() {
        return Ok(());
    }
    let mut search = Search::new(repository.reader()?, reached);
    let snapshots = damaged_homes(repository, snapshots, &incomplete, reached)?;
    for ((source, user), states) in homes(&snapshots) {
        let mut home = HomeLosses::new(repository.reader()?, reached, MAX_LOSSES - report.losses.len());
        for state in &states {
            home.look_into(state)?;
        }
        report.losses_more += home.more;
        for mut loss in home.losses {
            loss.intact = search.newest(&states, &loss)?;
            report.losses.push(Loss { source: source.into(), user: user.into(), ..loss });
        }
    }
    Ok(())
}

/// All snapshots, in the same order, and of each only the homes of which some state lacks something. Read one after the other,
/// since all of them would not fit into memory.
fn damaged_homes(
    repository: &Repository,
    snapshots: &[Summary],
    incomplete: &[&Summary],
    reached: &Reached,
) -> Result<Vec<Snapshot>, CheckError> {
    let mut damaged: HashSet<(String, Vec<u8>)> = HashSet::new();
    for snapshot in incomplete {
        for Snapshot { record, .. } in repository.read_snapshots(&[snapshot.hash])? {
            let lacks = |home: &&HomeRecord| home.root.as_ref().is_some_and(|root| reached.lacks(root));
            damaged
                .extend(record.homes.iter().filter(lacks).map(|h| (record.source.clone(), h.user.clone())));
        }
    }
    let mut found = Vec::with_capacity(snapshots.len());
    for snapshot in snapshots {
        for mut snapshot in repository.read_snapshots(&[snapshot.hash])? {
            let SnapshotRecord { source, homes, deps, .. } = &mut snapshot.record;
            homes.retain(|home| damaged.contains(&(source.clone(), home.user.clone())));
            homes.shrink_to_fit();
            *deps = Vec::new();
            found.push(snapshot);
        }
    }
    Ok(found)
}

/// Every state of each home, newest first.
fn homes(snapshots: &[Snapshot]) -> BTreeMap<(&str, &[u8]), Vec<State<'_>>> {
    let mut homes: BTreeMap<(&str, &[u8]), Vec<State<'_>>> = BTreeMap::new();
    for snapshot in snapshots.iter().rev() {
        for home in &snapshot.record.homes {
            if let Some(root) = &home.root {
                let key = (&snapshot.record.source[..], &home.user[..]);
                homes.entry(key).or_default().push(State { snapshot, root });
            }
        }
    }
    homes
}

/// What is lost of one home.
struct HomeLosses<'r> {
    reader: Reader,
    reached: &'r Reached,
    losses: Vec<Loss>,
    max_losses: usize,
    /// Losses that were not listed.
    more: u64,
    /// Each version of each path that is lost, by its place in the list.
    known: HashMap<(HomePath, Version), usize>,
    /// What is lost below a directory that was looked into.
    below: HashMap<(HomePath, ChunkId), Vec<usize>>,
}

#[derive(PartialEq, Eq, Hash)]
enum Version {
    File(Content),
    Directory(ChunkId),
}

/// A directory that is being looked into.
struct Open {
    path: HomePath,
    tree: ChunkId,
    /// Entries that lead to damage and were not looked at yet.
    rest: Vec<Entry>,
    losses: Vec<usize>,
}

impl<'r> HomeLosses<'r> {
    fn new(reader: Reader, reached: &'r Reached, max_losses: usize) -> Self {
        let (known, below) = (HashMap::new(), HashMap::new());
        Self { reader, reached, losses: Vec::new(), max_losses, more: 0, known, below }
    }

    /// Adds what one snapshot lacks of the home.
    fn look_into(&mut self, state: &State<'_>) -> Result<(), CheckError> {
        let EntryKind::Directory(root) = state.root.kind else { return Ok(()) };
        if !self.reached.lacks(state.root) {
            return Ok(());
        }
        let mut open: Vec<Open> = Vec::new();
        let mut lost = match self.enter(HomePath::home(), root)? {
            Entered::Known(losses) => losses,
            Entered::New(directory) => {
                open.push(directory);
                Vec::new()
            }
        };
        while let Some(current) = open.last_mut() {
            let Some(entry) = current.rest.pop() else {
                let done = open.pop().expect("it is the last");
                let above = open.last_mut().map_or(&mut lost, |above| &mut above.losses);
                above.extend_from_slice(&done.losses);
                self.below.insert((done.path, done.tree), done.losses);
                continue;
            };
            let path = current.path.join(&entry.name);
            match entry.kind {
                EntryKind::Directory(tree) => match self.enter(path, tree)? {
                    Entered::Known(losses) => current.losses.extend(losses),
                    Entered::New(directory) => open.push(directory),
                },
                EntryKind::File(content) => current.losses.extend(self.file(path, content)?),
                _ => {}
            }
        }
        self.append(lost, state.snapshot.record.id);
        Ok(())
    }

    /// The snapshot has these lost versions.
    fn append(&mut self, lost: Vec<usize>, id: SnapshotId) {
        for at in lost {
            let snapshots = &mut self.losses[at].snapshots;
            if snapshots.last() != Some(&id) {
                snapshots.push(id);
            }
        }
    }

    /// Reads which entries of a directory lead to damage. If its listing cannot be read to its end, it is
    /// itself a loss.
    fn enter(&mut self, path: HomePath, tree: ChunkId) -> Result<Entered, CheckError> {
        if let Some(losses) = self.below.get(&(path.clone(), tree)) {
            return Ok(Entered::Known(losses.clone()));
        }
        let (reached, mut rest) = (self.reached, Vec::new());
        let read = self.reader.entries(&tree, |_, entry| {
            if reached.lacks(&entry) {
                rest.push(entry);
            }
            Ok::<_, RepoError>(())
        });
        let mut losses = Vec::new();
        match read {
            Err(error) if error.is_damage() => {
                losses.extend(self.lose(path.clone(), Version::Directory(tree), (0, 0)));
            }
            read => read?,
        }
        Ok(Entered::New(Open { path, tree, rest, losses }))
    }

    fn file(&mut self, path: HomePath, content: Content) -> Result<Option<usize>, CheckError> {
        let key = (path, Version::File(content));
        if let Some(known) = self.known.get(&key) {
            return Ok(Some(*known));
        }
        let (path, Version::File(content)) = key else { return Ok(None) };
        let sizes = (content.size(), self.bytes_lost(&content)?);
        Ok(self.lose(path, Version::File(content), sizes))
    }

    /// Adds a loss; none if there are too many.
    fn lose(&mut self, path: HomePath, version: Version, (size, bytes_lost): (u64, u64)) -> Option<usize> {
        if self.losses.len() >= self.max_losses {
            self.more += 1;
            return None;
        }
        let kind = match version {
            Version::File(_) => Kind::File,
            Version::Directory(_) => Kind::Directory,
        };
        let (source, user, snapshots, intact) = (String::new(), Vec::new(), Vec::new(), Intact::Unknown);
        let loss = Loss { source, user, path: path.clone(), kind, size, bytes_lost, snapshots, intact };
        self.losses.push(loss);
        self.known.insert((path, version), self.losses.len() - 1);
        Some(self.losses.len() - 1)
    }

    /// How many bytes of a file cannot be read. Lists are no deeper than the format allows.
    fn bytes_lost(&mut self, content: &Content) -> Result<u64, CheckError> {
        let mut lost: u64 = 0;
        for extent in &content.extents {
            let Extent::Data { id, length } = extent else { continue };
            if !self.reached.lacks_extent(id, content.depth) {
                continue;
            }
            lost = lost.saturating_add(match content.depth {
                0 => *length,
                _ => match self.reader.list(id) {
                    Ok(list) if list.depth < content.depth => self.bytes_lost(&list)?,
                    Err(error) if !error.is_damage() => return Err(error.into()),
                    _ => *length,
                },
            });
        }
        Ok(lost)
    }
}

/// What entering a directory came to.
enum Entered {
    /// It was looked into before; these are lost below it.
    Known(Vec<usize>),
    /// It is to be looked into.
    New(Open),
}
