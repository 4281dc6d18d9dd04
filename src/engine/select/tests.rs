//! Which state a word leads to, on records made up for it.

use std::sync::Arc;

use super::*;
use crate::codec::{ChunkId, Hash, SnapshotId};
use crate::format::{Attributes, EntryKind, Owner, SnapshotRecord};
use crate::index::{Summary, Users};

/// A snapshot of day `day` at noon; its id and hash begin with `id`.
fn snapshot(id: u8, day: u8, homes: &[(&str, Attention)]) -> Snapshot {
    let time: Timestamp = format!("2026-11-{day:02}T12:00Z").parse().unwrap();
    let record = SnapshotRecord {
        id: SnapshotId([id; 16]),
        supersession: 0,
        time_ms: time.as_millisecond(),
        finished_ms: time.as_millisecond(),
        source: "cluster".into(),
        host: "node".into(),
        program: "homekeep".into(),
        tags: vec![],
        homes: homes.iter().map(|(user, attention)| home(user, *attention)).collect(),
        parents: vec![],
        gc_seen: vec![],
        deps: vec![],
        hints: vec![],
    };
    let hash = Hash([id; 32]);
    let name = format!("snapshots/{id}").parse().unwrap();
    Snapshot { name, hash, record }
}

fn home(user: &str, attention: Attention) -> HomeRecord {
    let root = Entry {
        name: user.into(),
        kind: EntryKind::Directory(ChunkId([0; 32])),
        mode: 0o700,
        owner: Owner::default().into(),
        mtime_s: 0,
        mtime_ns: 0,
        attributes: Attributes::default(),
    };
    let is_there = matches!(attention, Attention::Normal | Attention::Shrunk);
    HomeRecord {
        user: user.into(),
        path: format!("/home/{user}").into(),
        root: is_there.then_some(root),
        files: 0,
        directories: 0,
        bytes: 0,
        bytes_new: 0,
        problems: 0,
        attention,
    }
}

const NORMAL: Attention = Attention::Normal;

fn now() -> jiff::ZonedDateTime {
    "2026-11-24T09:30:00+00:00[UTC]".parse().unwrap()
}

fn select<'s>(snapshots: &'s [Snapshot], text: &str, filter: &Filter) -> Result<Selected<'s>, SelectError> {
    let snapshot = SnapshotSpec::parse(text, &now())?;
    let spec = PathSpec { snapshot, place: Place::Everything };
    match place_in(snapshots, &spec, filter)? {
        SelectedPlace::Homes(selected) => Ok(selected),
        SelectedPlace::InHome { .. } => panic!("no place was named"),
    }
}

/// Chooses from summaries, and reads of the snapshots only what the choice names.
fn place_in<'s>(
    snapshots: &'s [Snapshot],
    spec: &PathSpec,
    filter: &Filter,
) -> Result<SelectedPlace<'s>, SelectError> {
    let choice = Choice::new(&summaries(snapshots), spec, filter, now().timestamp())?;
    let read = |commit: &Hash| snapshots.iter().find(|snapshot| snapshot.hash == *commit).unwrap();
    choice.place(&choice.commits().iter().map(read).collect::<Vec<_>>())
}

fn place<'s>(snapshots: &'s [Snapshot], text: &str) -> Result<SelectedPlace<'s>, SelectError> {
    place_in(snapshots, &PathSpec::parse(text.as_bytes(), &now())?, &Filter::default())
}

/// `user@first byte of the snapshot`, for each home that was chosen.
fn chosen(selected: Result<Selected<'_>, SelectError>) -> Vec<String> {
    let name =
        |s: &HomeState| format!("{}@{}", String::from_utf8_lossy(&s.home.user), s.snapshot.record.id.0[0]);
    selected.unwrap().homes.iter().map(name).collect()
}

fn any() -> Filter {
    Filter::default()
}

#[test]
fn latest_counts_back_and_a_time_is_the_state_of_then() {
    let snapshots = [1, 2, 3].map(|n| snapshot(n, 10 + n, &[("ann", NORMAL)]));
    let cases = [
        ("latest", 3),
        ("latest~1", 2),
        ("@now", 3),
        ("@2026-11-12", 2),
        ("@2026-11-12T12:00", 2),
        ("@2026-11-12T11:59", 1),
    ];
    for (text, id) in cases {
        assert_eq!(chosen(select(&snapshots, text, &any())), [format!("ann@{id}")], "{text}");
    }
    assert_eq!(select(&snapshots, "latest~3", &any()), Err(SelectError::TooOld { snapshots: 3 }));
    assert_eq!(select(&snapshots, "@2026-11-10", &any()), Err(SelectError::TooOld { snapshots: 3 }));
    assert_eq!(select(&[], "latest", &any()), Err(SelectError::NoSnapshots { is_filtered: false }));
}

/// The heads of the same snapshots as the index keeps them.
fn summaries(snapshots: &[Snapshot]) -> Vec<Summary> {
    let names = snapshots.iter().flat_map(|s| &s.record.homes).map(|home| home.user.clone());
    let users = Arc::new(Users::from_names(names));
    snapshots.iter().map(|s| Summary::of(&s.name, s.hash, &s.record, &users).unwrap()).collect()
}

#[test]
fn a_spec_names_one_snapshot_whether_records_or_summaries_are_searched() {
    let mut snapshots = [(1, 11), (2, 12), (0xab, 13)].map(|(id, day)| snapshot(id, day, &[("ann", NORMAL)]));
    // Dated ahead, and the parent of the newest.
    snapshots[1].record.time_ms = snapshot(0, 30, &[]).record.time_ms;
    snapshots[2].record.parents = vec![snapshots[1].hash];
    let found = |text: &str| {
        let spec = SnapshotSpec::parse(text, &now()).unwrap();
        let at = now().timestamp();
        let whole = find(&snapshots, &spec, at).map(|s| s.record.id);
        assert_eq!(find(&summaries(&snapshots), &spec, at).map(|s| s.id), whole, "{text}");
        whole.map(|id| id.0[0])
    };
    let cases = [("latest", 0xab), ("latest~1", 2), ("latest~2", 1), ("ab", 0xab), ("@2026-11-12", 1)];
    for (text, id) in cases {
        assert_eq!(found(text), Ok(id), "{text}");
    }
    assert_eq!(found("latest~3"), Err(SelectError::TooOld { snapshots: 3 }));
    assert_eq!(found("@2026-11-01"), Err(SelectError::TooOld { snapshots: 3 }));
    assert_eq!(found("b"), Err(SelectError::NoSuchId("b".into())));
    assert!(matches!(found("0"), Err(SelectError::Ambiguous { candidates, .. }) if candidates.len() == 2));
    let nothing: &[Summary] = &[];
    let latest = SnapshotSpec::Latest { back: 0 };
    let none = find(nothing, &latest, now().timestamp());
    assert_eq!(none, Err(SelectError::NoSnapshots { is_filtered: false }));
}

#[test]
fn a_filter_sees_in_a_summary_what_it_sees_in_a_record() {
    let mut snapshots = [
        snapshot(1, 11, &[("ann", NORMAL), ("bob", Attention::Missing)]),
        snapshot(2, 12, &[("cem", NORMAL)]),
    ];
    snapshots[1].record.source = "other".into();
    snapshots[1].record.host = "elsewhere".into();
    snapshots[0].record.tags = vec!["x".into(), "y".into()];
    let text = |word: &str| vec![word.to_owned()];
    let users = |names: &[&str]| names.iter().map(|name| name.as_bytes().to_vec()).collect();
    let cases = [
        (any(), [true, true]),
        (Filter { sources: text("other"), ..any() }, [false, true]),
        (Filter { hosts: text("node"), ..any() }, [true, false]),
        (Filter { users: users(&["bob", "nobody"]), ..any() }, [true, false]),
        (Filter { users: users(&["nobody"]), ..any() }, [false, false]),
        (Filter { tags: vec![text("z"), text("y")], ..any() }, [true, false]),
    ];
    for (filter, expected) in cases {
        let of_records: Vec<_> = snapshots.iter().map(|s| filter.accepts(s)).collect();
        let of_summaries: Vec<_> = summaries(&snapshots).iter().map(|s| filter.accepts(s)).collect();
        assert_eq!((&of_records[..], &of_summaries[..]), (&expected[..], &expected[..]), "{filter:?}");
    }
}

#[test]
fn a_beginning_of_an_id_must_be_of_one() {
    let snapshots = [snapshot(0xab, 11, &[("ann", NORMAL)]), snapshot(0xac, 12, &[("ann", NORMAL)])];
    assert_eq!(chosen(select(&snapshots, "ab", &any())), ["ann@171"]);
    assert_eq!(chosen(select(&snapshots, &"AC".repeat(16), &any())), ["ann@172"]);
    let Err(SelectError::Ambiguous { candidates, .. }) = select(&snapshots, "a", &any()) else { panic!() };
    assert_eq!(candidates.iter().map(|c| c.id.0[0]).collect::<Vec<_>>(), [0xab, 0xac]);
    assert_eq!(select(&snapshots, "b", &any()), Err(SelectError::NoSuchId("b".into())));
}

#[test]
fn an_empty_new_home_is_not_news_and_a_removed_one_is() {
    let snapshots = [
        snapshot(1, 11, &[("ann", NORMAL), ("bob", NORMAL), ("cem", NORMAL), ("dov", Attention::Shrunk)]),
        snapshot(2, 12, &[("ann", NORMAL), ("bob", Attention::Shrunk), ("cem", Attention::Removed)]),
        snapshot(3, 13, &[("bob", Attention::Missing), ("cem", Attention::Missing)]),
    ];
    let selected = select(&snapshots, "latest", &any()).unwrap();
    assert_eq!(selected.absent.iter().map(|a| &a.home.user[..]).collect::<Vec<_>>(), [b"cem"]);
    assert_eq!(selected.homes[0].note, None);
    let behind = StateNote::Behind { newest: &snapshots[2], attention: Attention::Missing };
    assert_eq!(selected.homes[1].note, Some(behind));
    assert_eq!(selected.homes[2].note, Some(StateNote::Shrunk));
    assert_eq!(chosen(Ok(selected)), ["ann@2", "bob@1", "dov@1"]);
    assert_eq!(chosen(select(&snapshots, "latest~2", &any())), ["ann@1", "bob@1", "cem@1", "dov@1"]);
}

/// The first bytes of the snapshots that are read.
fn read(snapshots: &[Snapshot], text: &str, filter: &Filter) -> Vec<u8> {
    let spec = PathSpec::parse(text.as_bytes(), &now()).unwrap();
    let choice = Choice::new(&summaries(snapshots), &spec, filter, now().timestamp()).unwrap();
    choice.commits().iter().map(|commit| commit.0[0]).collect()
}

#[test]
fn only_snapshots_that_decide_over_a_home_are_read() {
    let snapshots = [
        snapshot(1, 11, &[("ann", NORMAL), ("bob", NORMAL), ("cem", NORMAL), ("dov", Attention::Shrunk)]),
        snapshot(2, 12, &[("ann", NORMAL), ("bob", NORMAL), ("dov", Attention::Shrunk)]),
        snapshot(3, 13, &[("ann", NORMAL), ("bob", Attention::Missing), ("dov", Attention::Missing)]),
        snapshot(4, 14, &[("ann", NORMAL), ("bob", Attention::Shrunk), ("cem", Attention::Removed)]),
        snapshot(5, 15, &[("ann", NORMAL), ("bob", Attention::Missing)]),
    ];
    let of = |users: &[&str]| Filter {
        users: users.iter().map(|user| user.as_bytes().to_vec()).collect(),
        ..Filter::default()
    };
    assert_eq!(read(&snapshots, "latest", &of(&["ann"])), [5]);
    assert_eq!(read(&snapshots, "latest:ann/x", &any()), [5]);
    assert_eq!(read(&snapshots, "latest~1:ann", &any()), [4]);
    // What was said last, the shrunk state that would do at need, and the one that holds the home.
    assert_eq!(read(&snapshots, "latest:bob", &any()), [5, 4, 2]);
    assert_eq!(read(&snapshots, "latest:cem", &any()), [4]);
    assert_eq!(read(&snapshots, "latest:dov", &any()), [3, 2]);
    assert_eq!(read(&snapshots, "latest", &any()), [5, 4, 3, 2]);
    assert_eq!(read(&snapshots, "03", &any()), [3]);
}

/// What reading everything would choose, as the documentation of a choice has it.
fn by_the_book(newest_first: &[&Snapshot], user: &str) -> Option<u8> {
    let mentions = newest_first.iter().filter_map(|snapshot| {
        let home = snapshot.record.homes.iter().find(|home| home.user == user.as_bytes())?;
        Some((snapshot.hash.0[0], home.attention))
    });
    let mentions: Vec<_> = mentions.collect();
    let end = mentions.iter().position(|(_, said)| matches!(said, Attention::Normal | Attention::Removed));
    let shrunk = mentions.iter().find(|(_, said)| *said == Attention::Shrunk);
    match end.map(|end| mentions[end]) {
        Some((id, Attention::Normal)) => Some(id),
        Some(_) => None,
        None => shrunk.map(|(id, _)| *id),
    }
}

#[test]
fn what_is_chosen_is_the_same_whatever_is_not_read() {
    let said = [NORMAL, Attention::Shrunk, Attention::Missing, Attention::Removed];
    for seed in 0..2000_u64 {
        let word =
            |n: u64| u64::from_le_bytes(Hash::of(&[seed.to_le_bytes(), n.to_le_bytes()].concat()).short());
        let homes = |id: u64| {
            let users = ["ann", "bob", "cem"].into_iter().enumerate();
            let said =
                users.filter_map(|(n, user)| Some((user, *said.get(word(10 * id + n as u64) as usize % 6)?)));
            said.collect::<Vec<_>>()
        };
        let snapshots: Vec<_> = (1..7).map(|id| snapshot(id as u8, 10 + id as u8, &homes(id))).collect();
        let newest_first: Vec<_> = snapshots.iter().rev().collect();
        let expected =
            ["ann", "bob", "cem"].map(|user| Some(format!("{user}@{}", by_the_book(&newest_first, user)?)));
        let found = chosen(select(&snapshots, "latest", &any()));
        assert_eq!(found, expected.into_iter().flatten().collect::<Vec<_>>(), "seed {seed}");
    }
}

#[test]
fn an_id_means_what_that_snapshot_holds() {
    let snapshots = [
        snapshot(1, 11, &[("ann", NORMAL), ("bob", NORMAL)]),
        snapshot(2, 12, &[("ann", Attention::Shrunk), ("bob", Attention::Missing)]),
    ];
    let selected = select(&snapshots, "02", &any()).unwrap();
    assert_eq!(selected.homes[0].note, Some(StateNote::Shrunk));
    assert_eq!(selected.absent.len(), 1);
    assert_eq!(chosen(Ok(selected)), ["ann@2"]);
    assert!(matches!(place(&snapshots, "02:bob"), Err(SelectError::Absent { .. })));
}

#[test]
fn only_what_passes_the_filter_counts() {
    let mut snapshots = [1, 2, 3].map(|n| snapshot(n, 10 + n, &[("ann", NORMAL), ("bob", NORMAL)]));
    snapshots[2].record.source = "other".into();
    snapshots[1].record.tags = vec!["nightly".into(), "keep".into()];
    let ann = Filter { users: vec![b"ann".to_vec()], ..any() };
    let cluster = Filter { sources: vec!["cluster".into()], ..ann.clone() };
    let tagged = |tags: &[&[&str]]| {
        let list = |list: &&[&str]| list.iter().map(|tag| tag.to_string()).collect();
        Filter { tags: tags.iter().map(list).collect(), ..ann.clone() }
    };
    assert_eq!(chosen(select(&snapshots, "latest", &cluster)), ["ann@2"]);
    assert_eq!(chosen(select(&snapshots, "latest~1", &cluster)), ["ann@1"]);
    assert_eq!(chosen(select(&snapshots, "latest", &ann)), ["ann@2", "ann@3"]);
    assert_eq!(chosen(select(&snapshots, "latest", &tagged(&[&["nightly", "keep"]]))), ["ann@2"]);
    assert_eq!(chosen(select(&snapshots, "latest", &tagged(&[&["x"], &["keep"]]))), ["ann@2"]);
    let none = select(&snapshots, "latest", &tagged(&[&["keep", "x"]]));
    assert_eq!(none, Err(SelectError::NoSnapshots { is_filtered: true }));
    assert!(matches!(place(&snapshots, "latest:ann"), Err(SelectError::SeveralSources { .. })));
}

#[test]
fn a_clock_that_went_ahead_is_newest_only_until_something_is_built_on_it() {
    let mut snapshots = [snapshot(1, 11, &[("ann", NORMAL)]), snapshot(2, 30, &[("ann", NORMAL)])].to_vec();
    snapshots[1].record.parents = vec![snapshots[0].hash];
    assert_eq!(chosen(select(&snapshots, "latest", &any())), ["ann@2"]);
    assert_eq!(chosen(select(&snapshots, "@now", &any())), ["ann@2"]);
    snapshots.push(snapshot(3, 13, &[("ann", NORMAL)]));
    snapshots[2].record.parents = vec![snapshots[1].hash];
    assert_eq!(chosen(select(&snapshots, "latest", &any())), ["ann@3"]);
    assert_eq!(chosen(select(&snapshots, "latest~1", &any())), ["ann@2"]);
    assert_eq!(chosen(select(&snapshots, "@2026-11-12", &any())), ["ann@1"]);
    // Nothing real goes in a circle, and what does must not hang.
    snapshots[1].record.parents = vec![snapshots[2].hash];
    assert_eq!(chosen(select(&snapshots, "latest~2", &any())), ["ann@1"]);
}

#[test]
fn a_place_is_a_users_or_an_absolute_path() {
    let mut snapshots =
        [snapshot(1, 11, &[("ann", NORMAL), ("ann@x.org", NORMAL), ("bob", Attention::Missing)])];
    snapshots[0].record.homes[1].path = b"/home/ann/nested".to_vec();
    let cases = [
        ("latest:ann/a/b", "ann", "a/b"),
        ("latest:ann@x.org", "ann@x.org", ""),
        ("01:/home/ann", "ann", ""),
        ("01:/home/ann/a", "ann", "a"),
        ("01:/home/ann/nested/a", "ann@x.org", "a"),
    ];
    for (text, user, path) in cases {
        let Ok(SelectedPlace::InHome { state, path: found }) = place(&snapshots, text) else {
            panic!("{text}")
        };
        assert_eq!((&state.home.user[..], found.as_bytes()), (user.as_bytes(), path.as_bytes()), "{text}");
    }
    assert!(matches!(place(&snapshots, "latest"), Ok(SelectedPlace::Homes(_))));
    assert!(matches!(place(&snapshots, "latest:/home/annie/x"), Err(SelectError::OutsideHomes { .. })));
    assert!(matches!(place(&snapshots, "latest:/home/bob/x"), Err(SelectError::Absent { .. })));
    for text in ["latest:a/b", "01:a/b"] {
        let Err(SelectError::UnknownUser { known, .. }) = place(&snapshots, text) else { panic!("{text}") };
        assert_eq!(known.len(), 3);
    }
}

#[test]
fn errors_say_what_there_is() {
    let snapshots: Vec<_> = (0..20).map(|n| snapshot(0xa0 + n % 16, 1 + n, &[("ann", NORMAL)])).collect();
    let ambiguous = select(&snapshots, "a", &any()).unwrap_err().to_string();
    assert!(ambiguous.contains("2026-11-01T12:00:00Z") && ambiguous.ends_with("and 8 more"), "{ambiguous}");
    let unknown = place(&snapshots, "latest:eve").unwrap_err().to_string();
    assert!(unknown.contains("eve") && unknown.ends_with("there are ann"), "{unknown}");
}
