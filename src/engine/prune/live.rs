//! What is in the store, and what of it is needed.

use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::Timestamp;

use super::{MaxUnused, PruneError, PruneOptions, PruneReport};
use crate::codec::{Hash, SnapshotId};
use crate::format::{CommitName, ObjectName, ShortHash};
use crate::index::Summary;
use crate::repo::{Reached, RepoError, Repository, SegmentUsage};

/// How often everything is looked at while someone writes into the index.
const LOOKS: usize = 20;
/// Fewer segments without a snapshot are no sign of a listing that lacks snapshots.
const FEW_ORPHANS: usize = 16;

/// A segment or commit in the store.
#[derive(Debug, Clone)]
pub struct Object {
    pub name: ObjectName,
    pub hash: Hash,
    pub length: u64,
    pub is_commit: bool,
    modified_ms: Option<i64>,
}

/// What is needed of the store, as of one look at it.
pub struct World {
    /// Every segment and commit.
    pub objects: Vec<Object>,
    /// The commits for which everything is kept.
    pub roots: Vec<Summary>,
    /// What the roots lead to.
    pub reached: Reached,
    /// How much of each segment is needed.
    pub usage: HashMap<Hash, SegmentUsage>,
    /// Segments and commits that are needed.
    live: HashSet<Hash>,
    /// What any commit names, its own hash included: forgotten and replaced ones too.
    named: HashSet<ShortHash>,
    /// When each record of garbage collection was put, by the clock of the store.
    records_ms: BTreeMap<ObjectName, Option<i64>>,
    min_age_ms: u128,
    now_ms: i64,
}

impl World {
    /// Looks at everything. Whatever cannot be listed or read is an error: what it needs is unknown. A backup on this
    /// machine may write into the index meanwhile; then it is looked at again.
    pub fn look(
        repository: &mut Repository,
        options: &PruneOptions,
        report: &mut PruneReport,
    ) -> Result<Self, PruneError> {
        for _ in 1..LOOKS {
            match Self::try_look(repository, options, report) {
                Err(PruneError::Repository(RepoError::IndexChanged)) => {}
                result => return result,
            }
        }
        Self::try_look(repository, options, report)
    }

    fn try_look(
        repository: &mut Repository,
        options: &PruneOptions,
        report: &mut PruneReport,
    ) -> Result<Self, PruneError> {
        let Listing { objects, records_ms, damaged, commits, roots, named } =
            Listing::make(repository, options)?;
        report.damaged = damaged;
        let hashes: Vec<Hash> = roots.iter().map(|root| root.hash).collect();
        let reached = repository.reach_commits(&hashes, options.threads)?;
        let mut world = Self {
            usage: usage(repository, &reached)?,
            objects,
            reached,
            live: HashSet::new(),
            named,
            records_ms,
            min_age_ms: options.min_age.as_millis(),
            now_ms: Timestamp::now().as_millisecond(),
            roots,
        };
        let known: HashSet<Hash> = commits.iter().map(|commit| commit.hash).collect();
        world.live = world.find_live(repository, &known, options.force)?;
        report.snapshots = world.roots.iter().map(|root| root.id).collect::<HashSet<_>>().len();
        report.incomplete = world.incomplete().map(|root| root.id).collect();
        Ok(world)
    }

    /// Looks once more, after the victims were condemned.
    pub fn look_again(
        repository: &mut Repository,
        options: &PruneOptions,
        before: Self,
    ) -> Result<Self, PruneError> {
        let hashes = |roots: &[Summary]| roots.iter().map(|root| root.hash).collect::<HashSet<_>>();
        match Listing::make(repository, options) {
            Ok(Listing { objects, records_ms, roots, named, .. })
                if hashes(&roots) == hashes(&before.roots) =>
            {
                Ok(Self { objects, records_ms, named, ..before })
            }
            Ok(_) | Err(PruneError::Repository(RepoError::IndexChanged)) => {
                Self::look(repository, options, &mut PruneReport::default())
            }
            Err(error) => Err(error),
        }
    }

    /// A segment is needed when a root names it and it holds something that a root leads to. Roots whose trees
    /// cannot all be read keep everything they name. A chunk that is nowhere in what the roots name,
    /// which no writer leaves behind, keeps the segment it lies in all the same.
    fn find_live(
        &self,
        repository: &Repository,
        known_commits: &HashSet<Hash>,
        gives_up: bool,
    ) -> Result<HashSet<Hash>, PruneError> {
        let roots: HashSet<Hash> = self.roots.iter().map(|root| root.hash).collect();
        let by_roots = names(repository, self.roots.iter())?;
        let by_incomplete = names(repository, self.incomplete())?;
        let named: Vec<ShortHash> = by_roots.iter().copied().collect();
        let chosen = self.reached.exact_deps(repository, &named, &HashSet::new())?.segments;
        let segments = repository.catalog().segments()?;
        let chosen: HashSet<Hash> =
            segments.iter().filter(|s| chosen.contains(&s.row)).map(|s| s.hash).collect();
        let is_live = |object: &&Object| {
            let short = object.hash.short();
            let is_used = self.usage.get(&object.hash).is_none_or(|usage| usage.live_chunks > 0);
            let is_unreadable = object.is_commit && !known_commits.contains(&object.hash);
            if gives_up && is_unreadable {
                return false;
            }
            roots.contains(&object.hash)
                || by_incomplete.contains(&short)
                || chosen.contains(&object.hash)
                || by_roots.contains(&short) && is_used
                || is_unreadable
        };
        Ok(self.objects.iter().filter(is_live).map(|object| object.hash).collect())
    }

    fn incomplete(&self) -> impl Iterator<Item = &Summary> {
        let numbered = self.roots.iter().enumerate();
        numbered.filter(|(number, _)| !self.reached.is_complete(*number)).map(|(_, root)| root)
    }

    /// Whether a segment or commit is needed.
    pub fn is_live(&self, object: &Object) -> bool {
        self.live.contains(&object.hash)
    }

    /// Whether a commit that was listed names one of these, or is one.
    pub fn names_any(&self, segments: &[ShortHash]) -> bool {
        segments.iter().any(|segment| self.named.contains(segment))
    }

    /// What is to be condemned: what was needed once and is not any more, and what is named nowhere for so long
    /// that no backup can still be about to name it.
    pub fn victims(&self) -> impl Iterator<Item = &Object> {
        self.objects.iter().filter(|object| !self.is_live(object) && !self.is_young_orphan(object))
    }

    fn is_orphan(&self, object: &Object) -> bool {
        !object.is_commit && !self.named.contains(&object.hash.short())
    }

    fn is_young_orphan(&self, object: &Object) -> bool {
        let age_ms = object.modified_ms.map_or(0, |modified| age(modified, self.now_ms));
        self.is_orphan(object) && u128::from(age_ms) < self.min_age_ms
    }

    /// How long ago a record was made: by the clock of the store or by that of the host, whichever says less.
    pub fn age_ms(&self, name: &ObjectName, time_ms: i64, now_ms: i64) -> u64 {
        let stored = self.records_ms.get(name).copied().flatten().unwrap_or(time_ms);
        age(time_ms, now_ms).min(age(stored, now_ms))
    }

    /// Refuses to go on where what is there makes no sense.
    pub fn require_plausible(
        &self,
        repository: &Repository,
        options: &PruneOptions,
    ) -> Result<(), PruneError> {
        if options.force {
            return Ok(());
        }
        let listed_later = repository.catalog().commits().map_err(RepoError::from)?;
        let objects = self.objects.iter().map(|object| object.hash.short());
        let present: HashSet<ShortHash> =
            objects.chain(listed_later.iter().map(|(_, hash)| hash.short())).collect();
        let seen = repository.gc().iter().flat_map(|(_, record)| &record.commits);
        let vanished: HashSet<ShortHash> = seen
            .filter(|commit| !present.contains(*commit) && !repository.gc().holds(commit))
            .copied()
            .collect();
        if !vanished.is_empty() {
            return Err(PruneError::Vanished(vanished.into_iter().collect()));
        }
        let segments = self.objects.iter().filter(|object| !object.is_commit).count();
        if self.roots.is_empty() && segments > 0 {
            return Err(PruneError::NothingLeft { segments });
        }
        let orphans = self.victims().filter(|object| self.is_orphan(object)).count();
        if orphans > FEW_ORPHANS && 2 * orphans > segments {
            return Err(PruneError::ManyOrphans { orphans, all: segments });
        }
        Ok(())
    }

    /// Segments that are needed, with how much of them.
    pub fn used(&self) -> impl Iterator<Item = (&Object, &SegmentUsage)> {
        let live = self.objects.iter().filter(|object| self.is_live(object));
        live.filter_map(|object| Some((object, self.usage.get(&object.hash)?)))
    }

    /// Adds up what there is.
    pub fn count(&self, report: &mut PruneReport) {
        for object in &self.objects {
            report.before.add(object.length);
            if self.is_young_orphan(object) {
                report.young.add(object.length);
            }
        }
        self.victims().for_each(|object| report.unneeded.add(object.length));
        report.bytes_unused = self.used().map(|(_, usage)| usage.bytes - usage.live_bytes).sum();
    }
}

/// What there was when everything was listed, in the order of its fields.
struct Listing {
    objects: Vec<Object>,
    records_ms: BTreeMap<ObjectName, Option<i64>>,
    /// What is damaged, and is no commit.
    damaged: Vec<RepoError>,
    commits: Vec<Summary>,
    /// The commits that count.
    roots: Vec<Summary>,
    /// What any commit names.
    named: HashSet<ShortHash>,
}

impl Listing {
    /// Objects first: a commit among them is then known, and a segment that is in none of the commits
    /// listed later is only condemned, which is no harm.
    fn make(repository: &mut Repository, options: &PruneOptions) -> Result<Self, PruneError> {
        let (objects, records_ms) = (objects(repository)?, records(repository)?);
        let damaged = synced(repository, options)?;
        let commits = repository.commit_summaries()?;
        let roots = roots(repository, &commits)?;
        let named = names(repository, commits.iter())?;
        Ok(Self { objects, records_ms, damaged, commits, roots, named })
    }
}

fn age(then_ms: i64, now_ms: i64) -> u64 {
    u64::try_from(now_ms.saturating_sub(then_ms)).unwrap_or(0)
}

/// All that these snapshots name, their own commits included.
fn names<'s>(
    repository: &Repository,
    snapshots: impl Iterator<Item = &'s Summary>,
) -> Result<HashSet<ShortHash>, RepoError> {
    repository.named_by(snapshots.map(|snapshot| snapshot.hash))
}

fn objects(repository: &Repository) -> Result<Vec<Object>, PruneError> {
    let mut objects = Vec::new();
    for prefix in [ObjectName::SEGMENTS, CommitName::PREFIX] {
        let is_commit = prefix == CommitName::PREFIX;
        for listed in repository.store().list(prefix).map_err(RepoError::from)? {
            let is_known_kind = !is_commit || CommitName::parse(&listed.name).is_ok();
            if let Some(hash) = listed.name.promised_hash().filter(|_| is_known_kind) {
                let (name, length) = (listed.name, listed.length);
                objects.push(Object { name, hash, length, is_commit, modified_ms: listed.modified_ms });
            }
        }
    }
    Ok(objects)
}

fn records(repository: &Repository) -> Result<BTreeMap<ObjectName, Option<i64>>, PruneError> {
    let listed = repository.store().list(ObjectName::GC).map_err(RepoError::from)?;
    Ok(listed.into_iter().map(|listed| (listed.name, listed.modified_ms)).collect())
}

/// Brings the index up to date. A commit that cannot be read ends the prune, since what it needs is unknown.
fn synced(repository: &mut Repository, options: &PruneOptions) -> Result<Vec<RepoError>, PruneError> {
    let report = repository.sync_all(&mut |_, _| {})?;
    repository.persist_marks()?;
    // Whether a commit is safe is judged by records that are listed after it.
    repository.refresh_gc()?;
    if options.force {
        return Ok(report.damaged);
    }
    repository.require_known_gc()?;
    let vanished = repository.vanished()?;
    if !vanished.is_empty() {
        return Err(PruneError::Gone(vanished));
    }
    let damaged = report.damaged;
    // One that was listed and is not there any more was deleted by another prune.
    let damaged = damaged.into_iter().filter(|error| !error.is_absent());
    let (commits, others): (Vec<_>, Vec<_>) = damaged.partition(RepoError::is_of_commit);
    match commits.into_iter().next() {
        Some(error) => Err(PruneError::DamagedCommit(error)),
        None => Ok(others),
    }
}

/// Of each snapshot that is not forgotten, the newest commit that is safe; and those above it, whose writers may
/// still be about to find out.
fn roots(repository: &mut Repository, commits: &[Summary]) -> Result<Vec<Summary>, PruneError> {
    let mut by_id: BTreeMap<SnapshotId, Vec<&Summary>> = BTreeMap::new();
    for commit in commits.iter().filter(|commit| !repository.is_forgotten(&commit.id)) {
        by_id.entry(commit.id).or_default().push(commit);
    }
    let mut roots = Vec::new();
    for mut commits in by_id.into_values() {
        commits.sort_by_key(|commit| std::cmp::Reverse((commit.supersession, commit.hash)));
        for (at, commit) in commits.iter().enumerate() {
            roots.push((*commit).clone());
            let is_last = at + 1 == commits.len();
            if !is_last && is_safe(repository, commit)? {
                break;
            }
        }
    }
    Ok(roots)
}

fn is_safe(repository: &mut Repository, commit: &Summary) -> Result<bool, RepoError> {
    let snapshot = repository.snapshot(&commit.hash)?.ok_or(RepoError::IndexChanged)?;
    repository.is_safe(&snapshot)
}

fn usage(repository: &Repository, reached: &Reached) -> Result<HashMap<Hash, SegmentUsage>, PruneError> {
    let by_row = reached.usage(repository.catalog())?;
    let segments = repository.catalog().segments()?;
    Ok(segments.iter().filter_map(|s| Some((s.hash, *by_row.get(&s.row)?))).collect())
}

impl MaxUnused {
    /// Whether anything is to be repacked at all.
    pub fn is_limited(self) -> bool {
        self != Self::Unlimited
    }
}
