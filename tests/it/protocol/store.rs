//! What lies in the modelled store, and what can be said of it: which commits are roots, which pass the
//! look, what is live. Knows no actor.

use super::set::Set;

pub type Segments = Set;
/// A chunk has the number of the segment that it was first stored in.
pub type Chunks = Set;

/// Bulk, of the snapshot that is there at the start.
pub const OLD: usize = 0;
/// Bulk in that snapshot's deps without a chunk of it: deps may be supersets.
pub const SPARE: usize = 1;
/// The commit of that snapshot, which also carries a chunk of it.
pub const FIRST: usize = 2;
pub const SEGMENTS: usize = 15;

pub const WRITERS: usize = 2;
pub const ATTEMPTS: usize = 2;
pub const PRUNES: usize = 3;
pub const REPUBLISHERS: usize = 2;
/// Snapshots: the first, and one of each writer.
pub const IDS: usize = 1 + WRITERS;

/// The bulk segment of a writer's attempt; its commit is the number after it.
pub fn written_by(writer: usize, attempt: usize) -> usize {
    3 + 4 * writer + 2 * attempt
}

/// The bulk segment of who publishes a snapshot again; its commit is the number after it.
pub fn republished_by(republisher: usize) -> usize {
    11 + 2 * republisher
}

pub fn is_commit(segment: usize) -> bool {
    segment >= FIRST && segment.is_multiple_of(2)
}

/// Among the commits.
fn commit_index(commit: usize) -> usize {
    commit / 2 - 1
}

const COMMITS: usize = 7;
const COMMITS_ALL: Segments = Set::of(&[2, 4, 6, 8, 10, 12, 14]);

/// What a commit's record says.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct Commit {
    /// Segments that have what the snapshot needs, and perhaps more. The commit itself is not named.
    pub deps: Segments,
    pub id: u8,
    pub supersession: u8,
}

/// Names of records. Each prune puts one record of what it condemned, which has the number of the prune, and
/// one of what was deleted.
pub type Names = Set;

/// The number of a prune's record of what was deleted.
pub fn deleted_by(prune: usize) -> usize {
    PRUNES + prune
}

/// The records of what is condemned.
pub const CONDEMNED: Names = Set::of(&[0, 1, 2]);

/// The records that prunes put.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct Records {
    /// What each names. Kept here when the record is gone, for those who read it before.
    lists: [Segments; 2 * PRUNES],
    pub standing: Names,
}

impl Records {
    pub fn put(&mut self, record: usize, list: Segments) {
        self.lists[record] = list;
        self.standing |= Set::of(&[record]);
    }

    pub fn remove(&mut self, record: usize) {
        self.standing -= Set::of(&[record]);
    }

    pub fn list(&self, record: usize) -> Segments {
        self.lists[record]
    }

    /// Everything that some of the records name.
    pub fn named(&self, which: Names) -> Segments {
        which.iter().fold(Set::EMPTY, |all, record| all | self.lists[record])
    }

    /// Two prunes' records change places.
    pub fn exchange(&mut self, a: usize, b: usize, exchange: impl Fn(Names) -> Names) {
        self.lists.swap(a, b);
        self.lists.swap(deleted_by(a), deleted_by(b));
        self.standing = exchange(self.standing);
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Store {
    pub present: Segments,
    /// Everything that was put, ever.
    pub ever: Segments,
    /// Of a bulk segment, what is in it; of a commit, what its snapshot needs. Immutable once put.
    pub chunks: [Chunks; SEGMENTS],
    commits: [Commit; COMMITS],
    /// Snapshots that are hidden.
    pub marks: u8,
    pub records: Records,
}

impl Store {
    /// One snapshot, acknowledged.
    pub fn new() -> Self {
        let present = Set::of(&[OLD, SPARE, FIRST]);
        let mut store = Self {
            present,
            ever: present,
            chunks: [Set::EMPTY; SEGMENTS],
            commits: [Commit::default(); COMMITS],
            marks: 0,
            records: Records::default(),
        };
        store.chunks[OLD] = Set::of(&[OLD]);
        store.chunks[SPARE] = Set::of(&[SPARE]);
        store.chunks[FIRST] = Set::of(&[OLD, FIRST]);
        store.commits[commit_index(FIRST)].deps = Set::of(&[OLD, SPARE]);
        store
    }

    /// Two writers' segments, commits and snapshots change places.
    pub fn exchange_writers(
        &mut self,
        segments: impl Fn(Segments) -> Segments,
        ids: impl Fn(u8) -> u8,
        a: usize,
        b: usize,
    ) {
        self.present = segments(self.present);
        self.ever = segments(self.ever);
        self.marks = ids(self.marks);
        for n in 0..b - a {
            self.chunks.swap(a + n, b + n);
        }
        for commit in (a..b).filter(|segment| is_commit(*segment)) {
            self.commits.swap(commit_index(commit), commit_index(commit + b - a));
        }
        self.chunks.iter_mut().chain(&mut self.records.lists).for_each(|set| *set = segments(*set));
        for commit in &mut self.commits {
            commit.deps = segments(commit.deps);
            commit.id = if commit.id == 0 { 0 } else { WRITERS as u8 + 1 - commit.id };
        }
    }

    pub fn put(&mut self, segment: usize) {
        assert!(!self.ever.has(segment), "names never recur");
        self.present |= Set::of(&[segment]);
        self.ever |= Set::of(&[segment]);
    }

    pub fn commit(&self, commit: usize) -> &Commit {
        &self.commits[commit_index(commit)]
    }

    /// Makes up a commit that is yet to be put.
    pub fn prepare(&mut self, commit: usize, record: Commit, needs: Chunks) {
        assert!(!self.ever.has(commit), "a commit is immutable");
        self.commits[commit_index(commit)] = record;
        self.chunks[commit] = needs;
    }

    /// What a segment can give a snapshot. A commit carries one chunk.
    pub fn contents(&self, segment: usize) -> Chunks {
        if is_commit(segment) { Set::of(&[segment]) } else { self.chunks[segment] }
    }

    pub fn contents_of(&self, segments: Segments) -> Chunks {
        segments.iter().fold(Set::EMPTY, |all, segment| all | self.contents(segment))
    }

    pub fn needs(&self, commit: usize) -> Chunks {
        self.chunks[commit]
    }

    /// The commit with everything it names.
    pub fn reach(&self, commit: usize) -> Segments {
        self.commit(commit).deps | Set::of(&[commit])
    }

    /// Whether all that a snapshot needs is there.
    pub fn is_whole(&self, commit: usize) -> bool {
        let there = self.reach(commit).and(self.present);
        there.has(commit) && self.needs(commit).is_within(self.contents_of(there))
    }

    pub fn commits_present(&self) -> Segments {
        COMMITS_ALL.and(self.present)
    }

    /// What any garbage collection record names.
    pub fn recorded(&self) -> Segments {
        self.records.named(self.records.standing)
    }

    pub fn is_marked(&self, id: u8) -> bool {
        self.marks >> id & 1 == 1
    }

    /// Of the listed commits those of one snapshot, highest first.
    pub fn commits_of(&self, id: u8, listed: Segments) -> impl Iterator<Item = usize> + use<> {
        let mut found = [None; COMMITS];
        let mut count = 0;
        for commit in listed.iter().filter(|commit| self.commit(*commit).id == id) {
            found[count] = Some((self.commit(commit).supersession, commit));
            count += 1;
        }
        found[..count].sort_unstable();
        found.into_iter().take(count).rev().flatten().map(|(_, commit)| commit)
    }
}

/// How a commit is compared with the records.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Comparison {
    /// It passes if no record names any of its deps.
    Deps,
    /// It passes if it finds all it needs in those of its deps that no record names.
    Exact,
}

impl Store {
    pub fn passes(&self, commit: usize, recorded: Segments, comparison: Comparison) -> bool {
        let reach = self.reach(commit);
        match comparison {
            Comparison::Deps => !reach.meets(recorded),
            Comparison::Exact => {
                !recorded.has(commit) && self.needs(commit).is_within(self.contents_of(reach - recorded))
            }
        }
    }

    /// Of each unmarked snapshot the highest commit that passes the look, and those above it.
    pub fn roots(&self, listed: Segments, marks: u8, recorded: Segments, comparison: Comparison) -> Segments {
        let mut roots = Set::EMPTY;
        for id in (0..IDS as u8).filter(|id| marks >> id & 1 == 0) {
            for commit in self.commits_of(id, listed) {
                roots |= Set::of(&[commit]);
                if self.passes(commit, recorded, comparison) {
                    break;
                }
            }
        }
        roots
    }

    /// The roots, and what they need as a walk of their trees finds it now: all segments that a root names and that have
    /// something of it, and those that have the only copy of it, whoever names them.
    pub fn live(&self, roots: Segments) -> Segments {
        let mut live = roots;
        let (mut deps, mut needed) = (Set::EMPTY, Set::EMPTY);
        for root in roots.iter() {
            deps |= self.reach(root);
            match self.needs(root).is_within(self.contents_of(self.present)) {
                true => needed |= self.needs(root),
                false => live |= self.reach(root),
            }
        }
        let holders = |among: Segments, chunks: Chunks| {
            let holds = |segment: &usize| self.contents(*segment).meets(chunks);
            among.iter().filter(holds).fold(Set::EMPTY, |all, segment| all | Set::of(&[segment]))
        };
        live |= holders(deps, needed);
        let unnamed = needed - self.contents_of(live.and(self.present));
        live | holders(self.present, unnamed)
    }
}
