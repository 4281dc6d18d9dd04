//! What is saved of who holds what: all of it, a part, too late, and damaged.

use std::collections::HashSet;

use super::*;

fn key(number: u32) -> ChunkKey {
    let mut key = [7; ChunkKey::LEN];
    key[..4].copy_from_slice(&number.wrapping_mul(0x9e37_79b9).to_be_bytes());
    ChunkKey(key)
}

/// So many places, in order of ids; two of the last chunk.
fn places(count: u32, group: u32) -> Vec<HeldPlace> {
    let place = |number| HeldPlace { key: key(number), group, segment: number % 3, bytes: number };
    let mut places: Vec<HeldPlace> = (0..count).map(place).collect();
    places.sort_unstable_by_key(|place| place.key);
    places.extend(places.last().copied());
    places
}

fn head() -> HoldingsHead {
    HoldingsHead {
        generation: 0,
        division: Division::default(),
        is_exact: true,
        holders: vec![("lab".into(), b"ann".to_vec()), ("lab".into(), vec![0xff])],
        groups: vec![vec![], vec![0], vec![0, 1]],
        segments: vec![HeldSegment { hash: Hash([3; 32]), length: 70, body: 50 }],
        trees: vec![Some((0, ChunkId([1; 32]))), None, Some((1, ChunkId([1; 32])))],
        names: vec![None, Some([4; 8])],
    }
}

fn commit(number: u8, is_counted: bool, trees: &[u32]) -> KeptCommit {
    KeptCommit { hash: Hash([number; 32]), is_counted, trees: trees.into(), names: vec![1] }
}

/// Commits, those that count and new ones; which parts, and all places.
type Saved<'s> = (&'s [u8], &'s [u8], &'s [KeptCommit], PartsChange, &'s [HeldPlace]);

fn save(holdings: &mut Holdings, head: &HoldingsHead, saved: Saved<'_>) -> bool {
    let (commits, counted, new_commits, parts, places) = saved;
    let hashes = |numbers: &[u8]| numbers.iter().map(|n| Hash([*n; 32])).collect::<HashSet<Hash>>();
    holdings
        .save(HoldingsChange {
            head,
            commits: &hashes(commits),
            counted: &hashes(counted),
            new_commits,
            parts: &parts,
            places: &mut |division, part, visit| {
                places.iter().filter(|p| division.part(&p.key) == part).copied().for_each(visit);
            },
            vaulted: &[(key(9), 4)],
        })
        .unwrap()
}

fn kept_places(holdings: &Holdings) -> Vec<HeldPlace> {
    let mut found = Vec::new();
    holdings.scan_places(|place| found.push(place)).unwrap();
    assert_eq!(holdings.place_count().unwrap(), found.len());
    found
}

fn kept_commits(holdings: &Holdings) -> Vec<KeptCommit> {
    let mut found = Vec::new();
    holdings.scan_commits(&holdings.load().unwrap(), |commit| found.push(commit)).unwrap();
    found.sort_unstable_by_key(|commit| commit.hash);
    found
}

#[test]
fn what_was_saved_last_is_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut holdings = Holdings::open(folder.path()).unwrap();
    assert_eq!(holdings.load().unwrap(), HoldingsHead::default());
    let (places, division) = (places(20_000, 2), Division::of(20_000));
    assert_eq!(division.parts(), 16);
    let new = [commit(1, true, &[0, 2]), commit(2, false, &[2])];
    assert!(save(&mut holdings, &head(), (&[1, 2], &[1], &new, PartsChange::All(division), &places)));

    let holdings = Holdings::open(folder.path()).unwrap();
    let loaded = holdings.load().unwrap();
    assert_eq!(loaded, HoldingsHead { generation: 1, division, ..head() });
    assert_eq!(kept_places(&holdings), places);
    assert_eq!(kept_commits(&holdings), new);
    let mut vaulted = Vec::new();
    holdings.scan_vaulted(|entry| vaulted.push(entry)).unwrap();
    assert_eq!(vaulted, [(key(9), 4)]);
}

#[test]
fn a_change_writes_the_parts_it_names_and_drops_commits_that_are_gone() {
    let folder = tempfile::tempdir().unwrap();
    let mut holdings = Holdings::open(folder.path()).unwrap();
    let (before, after) = (places(5000, 1), places(5000, 2));
    let new = [commit(1, true, &[0]), commit(2, true, &[2])];
    let all = PartsChange::All(Division::of(5000));
    assert!(save(&mut holdings, &head(), (&[1, 2], &[1, 2], &new, all, &before)));

    let loaded = holdings.load().unwrap();
    let new = [commit(3, true, &[0, 2])];
    let parts = PartsChange::Some(vec![1]);
    assert!(save(&mut holdings, &loaded, (&[2, 3], &[3], &new, parts, &after)));
    let expected: Vec<HeldPlace> = before
        .iter()
        .zip(&after)
        .map(|(before, after)| if loaded.division.part(&before.key) == 1 { *after } else { *before })
        .collect();
    assert_ne!(expected, before);
    assert_eq!(kept_places(&holdings), expected);
    assert_eq!(kept_commits(&holdings), [commit(2, false, &[2]), new[0].clone()]);
}

#[test]
fn what_rests_on_an_older_moment_is_not_saved() {
    let folder = tempfile::tempdir().unwrap();
    let [mut one, mut other] = [(); 2].map(|()| Holdings::open(folder.path()).unwrap());
    let heads = [&one, &other].map(|holdings| holdings.load().unwrap());
    let all = || PartsChange::All(Division::default());
    let (first, second) = (places(10, 1), places(10, 2));
    assert!(save(&mut one, &head(), (&[1], &[1], &[commit(1, true, &[0])], all(), &first)));
    // What was loaded is of one moment, whatever is saved meanwhile.
    assert_eq!(kept_places(&other), []);
    let late = HoldingsHead { generation: heads[1].generation, ..head() };
    assert!(!save(&mut other, &late, (&[2], &[2], &[commit(2, true, &[0])], all(), &second)));
    assert_eq!(other.load().unwrap().generation, heads[0].generation + 1);
    assert_eq!(kept_places(&other), first);
}

#[test]
fn damaged_tables_are_told_from_whole_ones() {
    let damages = [
        "UPDATE parts SET places = x'00'",
        "UPDATE commits SET names = x'05'",
        "UPDATE commits SET trees = x'80'",
        "UPDATE groups SET holders = x'02000000' WHERE number = 2",
        "UPDATE groups SET holders = x'02' WHERE number = 2",
        "UPDATE state SET bits = 17",
        "UPDATE trees SET holder = 2",
    ];
    for damage in damages {
        let folder = tempfile::tempdir().unwrap();
        let mut holdings = Holdings::open(folder.path()).unwrap();
        let parts = PartsChange::All(Division::default());
        assert!(save(&mut holdings, &head(), (&[1], &[1], &[commit(1, true, &[0])], parts, &places(3, 1))));
        let read = |holdings: &Holdings| -> Result<(), IndexError> {
            let head = holdings.load()?;
            holdings.scan_commits(&head, |_| {})?;
            holdings.scan_places(|_| {})
        };
        read(&holdings).unwrap();
        holdings.let_go().unwrap();
        holdings.0.connection.execute_batch(damage).unwrap();
        assert!(read(&holdings).is_err_and(|error| error.is_damage()), "{damage}");
    }
}

#[test]
fn an_answer_counts_while_what_it_rests_on_is_the_same_and_nothing_newer_was_saved() {
    let folder = tempfile::tempdir().unwrap();
    let mut holdings = Holdings::open(folder.path()).unwrap();
    let (basis, other) = (Hash([1; 32]), Hash([2; 32]));
    holdings.keep_answer("q", &basis, b"a").unwrap();
    assert_eq!(holdings.answer("q", &basis).unwrap(), Some(b"a".to_vec()));
    assert_eq!(holdings.answer("q", &other).unwrap(), None);
    assert_eq!(holdings.answer("p", &basis).unwrap(), None);
    assert!(save(&mut holdings, &head(), (&[], &[], &[], PartsChange::All(Division::default()), &[])));
    assert_eq!(holdings.answer("q", &basis).unwrap(), None);
}
