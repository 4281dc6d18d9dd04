//! What every provider promises. Knows only the [`Provider`] trait.

use std::any::Any;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::thread;

use homekeep::vault::{Provider, ProviderError, Written};

/// Somewhere that keeps nothing yet.
pub struct Place {
    /// Opens it anew, as another process would.
    pub open: Box<dyn Fn() -> Arc<dyn Provider>>,
    /// The place goes when this does.
    pub guard: Box<dyn Any>,
}

/// Runs every clause, each on a place of its own that `fresh` makes.
pub fn check(fresh: impl Fn() -> Place) {
    let clauses: &[fn(&Place)] = &[
        nobody_is_there_at_first,
        what_was_put_is_what_everybody_gets,
        a_put_replaces_what_was_there,
        a_stamp_tells_whether_a_document_is_another,
        names_of_any_kind_are_users_of_their_own,
        deleting_takes_one_user,
        what_is_too_large_is_refused_and_changes_nothing,
        threads_do_not_disturb_each_other,
        a_user_who_came_since_the_listing_is_found,
    ];
    for clause in clauses {
        let place = fresh();
        clause(&place);
        drop(place.guard);
    }
}

/// A document of this user, of exactly `length` bytes where that is enough for what it must have.
pub fn document(user: &str, fill: &str, length: usize) -> Vec<u8> {
    let bare = serde_json::json!({"format": 1, "user": user, "items": {"x": fill}, "pad": ""}).to_string();
    let pad = "p".repeat(length.saturating_sub(bare.len()));
    serde_json::json!({"format": 1, "user": user, "items": {"x": fill}, "pad": pad}).to_string().into_bytes()
}

fn users(provider: &dyn Provider) -> BTreeSet<String> {
    provider.list().unwrap().into_keys().collect()
}

fn nobody_is_there_at_first(place: &Place) {
    let provider = (place.open)();
    assert_eq!(users(&*provider), BTreeSet::new());
    assert_eq!(provider.get("ann").unwrap(), None);
    provider.delete("ann").unwrap();
    assert_eq!(provider.older_copies("ann").unwrap(), Vec::<Vec<u8>>::new());
}

fn what_was_put_is_what_everybody_gets(place: &Place) {
    let provider = (place.open)();
    let ann = document("ann", "\u{1f511} \"quoted\" \\ \n\t ü\u{7f}", 0);
    provider.put("ann", &ann).unwrap();
    assert_eq!(provider.get("ann").unwrap(), Some(ann.clone()));
    let other = (place.open)();
    assert_eq!(other.get("ann").unwrap(), Some(ann));
    assert_eq!(users(&*other), ["ann".into()].into());
    assert_eq!(users(&*provider), ["ann".into()].into());
}

fn a_put_replaces_what_was_there(place: &Place) {
    let [first, second] = [(); 2].map(|()| (place.open)());
    first.list().unwrap();
    second.list().unwrap();
    for (provider, fill) in [(&first, "1"), (&second, "2"), (&first, "3"), (&second, ""), (&first, "5")] {
        provider.put("ann", &document("ann", fill, 0)).unwrap();
        for reader in [&first, &second] {
            assert_eq!(reader.get("ann").unwrap(), Some(document("ann", fill, 0)));
            assert_eq!(users(&**reader).len(), 1);
        }
    }
}

fn a_stamp_tells_whether_a_document_is_another(place: &Place) {
    let provider = (place.open)();
    let mut seen = Vec::new();
    provider.put("bob", &document("bob", "", 0)).unwrap();
    let bob = provider.list().unwrap().remove("bob").unwrap();
    // As fast as it goes, and of one length: a stamp must not rest on a clock's tick.
    for n in 0..10 {
        let written = provider.put("ann", &document("ann", &n.to_string(), 0)).unwrap();
        let listing = provider.list().unwrap();
        let stamp = listing["ann"].clone();
        match &written {
            Written::As(_) => assert!(written.is(&stamp), "{written:?} {stamp:?}"),
            Written::Within(range) => assert!(written.is(&stamp), "{range:?} {stamp:?}"),
            Written::Unknown => {}
        }
        if !stamp.tag.is_empty() {
            assert!(!seen.contains(&stamp), "{stamp:?} again");
        }
        assert_eq!(listing["bob"], bob);
        assert_eq!(provider.list().unwrap()["ann"], stamp);
        seen.push(stamp);
    }
}

/// What a provider's own names are likely to confuse or not to take.
fn hard_names() -> Vec<String> {
    let mut names: Vec<String> =
        ["a", "A", "ann@example.org", "Ann@Example.org", ".", "..", ".hidden", "-", "_"]
            .map(String::from)
            .into();
    names.extend(
        ["_h", "_41", "a b", " a", "a/b", "../a", "a.json", "a%40b", "ä", "Ä", "a\u{308}", "日本"]
            .map(String::from),
    );
    names.extend(["x".repeat(255), "X".repeat(255), "X".repeat(254) + "y", "ö".repeat(127)]);
    names.extend([65, 127, 128, 129, 249, 250, 251].map(|length| "z".repeat(length)));
    names.extend(["con", "aux.txt", "a:b", "a*b", "'", "\"", "$(id)", "{}", "null", "\\"].map(String::from));
    names
}

fn names_of_any_kind_are_users_of_their_own(place: &Place) {
    let provider = (place.open)();
    let names = hard_names();
    for name in &names {
        provider.put(name, &document(name, "own", 0)).unwrap();
    }
    let everybody: BTreeSet<String> = names.iter().cloned().collect();
    let other = (place.open)();
    assert_eq!(users(&*other), everybody);
    for name in &names {
        assert_eq!(other.get(name).unwrap(), Some(document(name, "own", 0)), "{name}");
    }
    for name in &names {
        provider.delete(name).unwrap();
    }
    assert_eq!(users(&*provider), BTreeSet::new());
}

fn deleting_takes_one_user(place: &Place) {
    let [provider, other] = [(); 2].map(|()| (place.open)());
    for user in ["ann", "Ann", "bob"] {
        provider.put(user, &document(user, "", 0)).unwrap();
    }
    assert_eq!(users(&*other).len(), 3);
    provider.delete("ann").unwrap();
    provider.delete("ann").unwrap();
    assert_eq!(other.get("ann").unwrap(), None);
    other.delete("ann").unwrap();
    assert_eq!(users(&*provider), ["Ann".into(), "bob".into()].into());
    assert_eq!(provider.get("Ann").unwrap(), Some(document("Ann", "", 0)));
    other.put("ann", &document("ann", "again", 0)).unwrap();
    assert_eq!(provider.get("ann").unwrap(), Some(document("ann", "again", 0)));
}

fn what_is_too_large_is_refused_and_changes_nothing(place: &Place) {
    let provider = (place.open)();
    provider.put("ann", &document("ann", "small", 0)).unwrap();
    let limit = provider.max_len();
    match provider.put("ann", &document("ann", "", limit + 1)).unwrap_err() {
        ProviderError::TooLarge { user, bytes, limit: told, .. } => {
            assert_eq!((user.as_str(), bytes), ("ann", limit + 1));
            assert!(told <= limit);
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(provider.get("ann").unwrap(), Some(document("ann", "small", 0)));
    assert_eq!(users(&*provider), ["ann".into()].into());
    // What another kept within its own limit is told too.
    let sizes = [1000, 50_000, limit.min(128_000)];
    for size in sizes {
        let large = document("ann", "", size);
        assert_eq!(large.len(), size);
        provider.put("ann", &large).unwrap();
        assert_eq!(provider.get("ann").unwrap(), Some(large));
    }
}

fn threads_do_not_disturb_each_other(place: &Place) {
    let provider = (place.open)();
    thread::scope(|scope| {
        for thread in 0..4 {
            let provider = &provider;
            scope.spawn(move || {
                for n in 0..3 {
                    let own = format!("user {thread}-{n}");
                    provider.put(&own, &document(&own, "own", 0)).unwrap();
                    provider.put("all", &document("all", &thread.to_string(), 3000)).unwrap();
                    assert_eq!(provider.get(&own).unwrap(), Some(document(&own, "own", 0)));
                    let shared = provider.get("all").unwrap().unwrap();
                    assert!((0..4).any(|t| shared == document("all", &t.to_string(), 3000)), "torn");
                }
            });
        }
    });
    assert_eq!(users(&*provider).len(), 13);
    assert_eq!(users(&*(place.open)()).len(), 13);
}

fn a_user_who_came_since_the_listing_is_found(place: &Place) {
    let [provider, other] = [(); 2].map(|()| (place.open)());
    assert_eq!(users(&*provider).len(), 0);
    other.put("ann", &document("ann", "of the other", 0)).unwrap();
    assert_eq!(provider.get("ann").unwrap(), Some(document("ann", "of the other", 0)));
    other.put("bob", &document("bob", "of the other", 0)).unwrap();
    provider.put("bob", &document("bob", "own", 0)).unwrap();
    assert_eq!(other.get("bob").unwrap(), Some(document("bob", "own", 0)));
    assert_eq!(users(&*other).len(), 2);
    other.put("eve", &document("eve", "", 0)).unwrap();
    provider.delete("eve").unwrap();
    assert_eq!(users(&*other).len(), 2);
}
