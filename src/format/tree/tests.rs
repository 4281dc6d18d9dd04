//! What is written of a directory is read again, what contradicts itself is refused, and a small
//! change to a long listing is a small change to its pages.

use std::collections::HashMap;
use std::convert::Infallible;

use super::super::content::{Content, Extent};
use super::super::hints::Hint;
use super::*;
use crate::codec::ChunkId;

fn file(name: &str) -> Entry {
    let extents = vec![Extent::Data { id: ChunkId(*blake3::hash(name.as_bytes()).as_bytes()), length: 7 }];
    Entry {
        name: name.into(),
        kind: EntryKind::File(Content { depth: 0, extents }),
        mode: 0o644,
        owner: Owner { uid: 1000, gid: 100, user: "ann".into(), group: "users".into() }.into(),
        mtime_s: 1_700_000_000,
        mtime_ns: 5,
        attributes: Attributes::default(),
    }
}

fn build(entries: Vec<Entry>) -> (ChunkId, HashMap<ChunkId, Vec<u8>>) {
    let mut objects = HashMap::new();
    let mut store = |bytes: Vec<u8>| {
        let id = ChunkId(*blake3::hash(&bytes).as_bytes());
        objects.insert(id, bytes);
        Ok::<_, Infallible>(id)
    };
    let mut builder = PageBuilder::new(entries.len());
    for entry in entries {
        builder.push(entry, &mut store).unwrap();
    }
    let id = builder.finish(&mut store).unwrap();
    (id, objects)
}

fn listing(count: usize) -> Vec<Entry> {
    (0..count).map(|n| file(&format!("file-{n:06}"))).collect()
}

#[test]
fn a_page_has_exactly_these_bytes() {
    let mut entry = file("a");
    entry.kind = EntryKind::Symlink(b"b".to_vec());
    entry.attributes.flags = flags::CHANGED;
    let page = Page { entries: vec![entry] };
    let mut bytes = vec![0x83, 0, 0x84, 0x19, 0x03, 0xe8, 0x18, 100, 0x63];
    bytes.extend(b"ann\x65users");
    bytes.extend([
        0x81, 0x88, 0x41, b'a', 2, 0x19, 0x01, 0xa4, 0, 0x1a, 0x65, 0x53, 0xf1, 0, 5, 0x41, b'b', 0xa1, 2, 1,
    ]);
    assert_eq!(page.to_bytes(), bytes);
    assert_eq!(TreeObject::from_bytes(&bytes), Ok(TreeObject::Page(page)));
}

#[test]
fn every_kind_survives_encoding() {
    let kinds = [
        EntryKind::File(Content::default()),
        EntryKind::Directory(ChunkId([9; 32])),
        EntryKind::Symlink(vec![0xff, 0xfe]),
        EntryKind::Fifo,
        EntryKind::CharDevice(5),
        EntryKind::BlockDevice(u64::MAX),
    ];
    let entries: Vec<_> = kinds
        .into_iter()
        .enumerate()
        .map(|(n, kind)| {
            let attributes = Attributes {
                xattrs: vec![Xattr { name: b"user.x".to_vec(), value: vec![0, 255] }],
                link_group: Some([n as u8; 16]),
                flags: flags::ALL | flags::HINTS,
                vault: Some(VaultItem { item: ".ssh/id_rsa".into(), version: 3 }),
                hints: vec![(128, vec![]), (u64::MAX, vec![7; 4096])],
            };
            Entry { kind, attributes, mtime_s: -5, mode: 0o7777, ..file(&format!("{n}")) }
        })
        .collect();
    let page = Page { entries };
    assert_eq!(Page::from_bytes(&page.to_bytes()), Ok(page.clone()));
    let alone = &page.entries[2];
    assert_eq!(Entry::from_bytes(&alone.to_bytes()).as_ref(), Ok(alone));
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    for name in ["", ".", "..", "a/b", "/", "a\0"] {
        let page = Page { entries: vec![file(name)] };
        assert!(Page::from_bytes(&page.to_bytes()).is_err(), "{name:?}");
    }
    let xattr = |name: &str| Xattr { name: name.into(), value: vec![] };
    for xattrs in [vec![xattr("user.b"), xattr("user.a")], vec![xattr("user.a"), xattr("user.a")]] {
        let attributes = Attributes { xattrs, ..Attributes::default() };
        let page = Page { entries: vec![Entry { attributes, ..file("a") }] };
        assert!(Page::from_bytes(&page.to_bytes()).is_err());
    }
    let page = Page { entries: listing(MAX_PAGE_ENTRIES + 1) };
    assert!(Page::from_bytes(&page.to_bytes()).is_err());
    for pages in [vec![], vec![(ChunkId([1; 32]), 1)], vec![(ChunkId([1; 32]), 0), (ChunkId([2; 32]), 1)]] {
        assert!(PageIndex::from_bytes(&PageIndex { pages }.to_bytes()).is_err());
    }
    let twice = Page { entries: vec![file("a"), file("a")] };
    assert!(Page::from_bytes(&twice.to_bytes()).is_err());
}

#[test]
fn what_is_critical_and_unknown_is_refused_and_hints_have_bounds() {
    let is_read = |attributes: Attributes| {
        let page = Page { entries: vec![Entry { attributes, ..file("a") }] };
        Page::from_bytes(&page.to_bytes()).is_ok_and(|read| read == page)
    };
    let flags = |flags| Attributes { flags, ..Attributes::default() };
    assert!(is_read(flags(1 << 32)) && !is_read(flags(1 << 31)) && !is_read(flags(16)));
    let hints = |hints: Vec<Hint>| Attributes { hints, ..Attributes::default() };
    let many = |count| (0..count).map(|n| (128 + n, vec![1])).collect();
    assert!(is_read(hints(many(16))) && !is_read(hints(many(17))));
    assert!(is_read(hints(vec![(128, vec![1; 4096])])) && !is_read(hints(vec![(128, vec![1; 4097])])));
    for wrong in [127, 4] {
        assert!(!is_read(hints(vec![(wrong, vec![1])])), "{wrong}");
    }
    assert!(!is_read(hints(vec![(130, vec![1]), (129, vec![1])])));
    assert!(!is_read(hints(vec![(130, vec![1]), (130, vec![1])])));
    assert_eq!(flags(1 << 40 | flags::CHANGED).critical_flags(), flags::CHANGED);
}

#[test]
fn a_new_name_in_a_huge_directory_rewrites_one_page_and_the_index() {
    let (_, before) = build(listing(20_000));
    let mut entries = listing(20_000);
    entries.insert(10_000, file("file-009999-new"));
    let (id, after) = build(entries);
    assert!(after.keys().filter(|id| !before.contains_key(id)).count() <= 3);
    let Ok(TreeObject::Index(index)) = TreeObject::from_bytes(&after[&id]) else { panic!("not an index") };
    assert_eq!(index.pages.iter().map(|(_, n)| n).sum::<u64>(), 20_001);
}

#[test]
fn short_listings_are_one_page_and_the_empty_one_exists() {
    for count in [0, 1, SPLIT_ENTRIES] {
        let (id, objects) = build(listing(count));
        assert_eq!(objects.len(), 1);
        let Ok(TreeObject::Page(page)) = TreeObject::from_bytes(&objects[&id]) else { panic!("not a page") };
        assert_eq!(page.entries.len(), count);
    }
}
