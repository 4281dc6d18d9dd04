//! What stays and what goes, on summaries made up for it.

mod model;

use std::sync::Arc;

use jiff::{Timestamp, ZonedDateTime};

use super::*;
use crate::codec::Hash;
use crate::format::{Attention, HomeRecord, ObjectName, SnapshotRecord};
use crate::index::{Summary, Users};

/// A snapshot in a story: they are told oldest first, and each is built on the one before of its source.
#[derive(Debug, Clone)]
struct Told {
    id: u16,
    time: Timestamp,
    source: &'static str,
    host: &'static str,
    tags: Vec<&'static str>,
    homes: Vec<(&'static str, Attention)>,
    parents: Vec<u16>,
}

const NORMAL: Attention = Attention::Normal;

/// Days begin in Berlin.
fn now(text: &str) -> ZonedDateTime {
    time(text).to_zoned_datetime(jiff::tz::TimeZone::get("Europe/Berlin").unwrap())
}

/// In Berlin, unless it says otherwise.
fn time(text: &str) -> Timestamp {
    match text.parse() {
        Ok(time) => time,
        Err(_) => format!("{text}[Europe/Berlin]").parse::<ZonedDateTime>().unwrap().timestamp(),
    }
}

fn told(id: u16, at: &str) -> Told {
    Told {
        id,
        time: time(at),
        source: "cluster",
        host: "node",
        tags: vec![],
        homes: vec![("ann", NORMAL)],
        parents: id.checked_sub(1).into_iter().collect(),
    }
}

fn hash(id: u16) -> Hash {
    Hash(std::array::from_fn(|n| id.to_be_bytes()[n % 2]))
}

fn snapshot_id(id: u16) -> SnapshotId {
    SnapshotId(std::array::from_fn(|n| id.to_be_bytes()[n % 2]))
}

fn number(id: SnapshotId) -> u16 {
    u16::from_be_bytes([id.0[0], id.0[1]])
}

fn record(told: &Told) -> SnapshotRecord {
    let home = |(user, attention): &(&str, Attention)| HomeRecord {
        user: (*user).into(),
        path: vec![],
        root: None,
        files: 0,
        directories: 0,
        bytes: 0,
        bytes_new: 0,
        problems: 0,
        attention: *attention,
    };
    SnapshotRecord {
        id: snapshot_id(told.id),
        supersession: 0,
        time_ms: told.time.as_millisecond(),
        finished_ms: told.time.as_millisecond(),
        source: told.source.into(),
        host: told.host.into(),
        program: String::new(),
        tags: told.tags.iter().map(|tag| (*tag).into()).collect(),
        homes: told.homes.iter().map(home).collect(),
        parents: told.parents.iter().map(|parent| hash(*parent)).collect(),
        gc_seen: vec![],
        deps: vec![],
        hints: vec![],
    }
}

fn summaries(story: &[Told]) -> Vec<Summary> {
    let names = story.iter().flat_map(|told| &told.homes).map(|(user, _)| user.as_bytes().to_vec());
    let users = Arc::new(Users::from_names(names));
    let summary =
        |told: &Told| Summary::of(&ObjectName::descriptor(), hash(told.id), &record(told), &users).unwrap();
    story.iter().map(summary).collect()
}

fn by(rules: &[(Rule, u32)]) -> ForgetOptions {
    by_policy(Policy { rules: rules.to_vec(), ..Policy::default() }, "source")
}

fn by_policy(policy: Policy, grouping: &str) -> ForgetOptions {
    let choice = Choice::Policy { policy, grouping: grouping.parse().unwrap() };
    ForgetOptions { choice, filter: Filter::default(), force: false, allow_everything: false }
}

fn named(ids: &[u16]) -> ForgetOptions {
    let choice = Choice::Named(ids.iter().map(|id| snapshot_id(*id)).collect());
    ForgetOptions { choice, filter: Filter::default(), force: false, allow_everything: false }
}

/// Those that stay of what was asked about, oldest first, with why.
fn kept(story: &[Told], options: &ForgetOptions, at: &str) -> Vec<(u16, Vec<Reason>)> {
    let summaries = summaries(story);
    let plan = plan(&summaries, options, &now(at)).unwrap();
    let kept = plan.decisions.into_iter().filter(|decision| decision.fate == Fate::Kept);
    kept.map(|decision| (number(decision.summary.id), decision.reasons)).collect()
}

fn kept_ids(story: &[Told], options: &ForgetOptions, at: &str) -> Vec<u16> {
    kept(story, options, at).into_iter().map(|(id, _)| id).collect()
}

fn reasons(story: &[Told], options: &ForgetOptions, at: &str, id: u16) -> Vec<Reason> {
    kept(story, options, at).into_iter().find(|(kept, _)| *kept == id).map(|(_, why)| why).unwrap_or_default()
}

fn rule(rule: Rule) -> Reason {
    Reason::Rule { rule, is_oldest: false }
}

/// Snapshots in even steps, from `first` on.
fn every(minutes: i64, count: u16, first: &str) -> Vec<Told> {
    let step = |n: u16| time(first) + jiff::SignedDuration::from_mins(minutes * i64::from(n));
    (0..count).map(|n| Told { time: step(n), ..told(n, first) }).collect()
}

#[test]
fn each_rule_keeps_the_newest_of_each_of_its_stretches() {
    // Half-hourly from Friday to Monday noon; the last is 132.
    let story = every(30, 133, "2026-11-20T18:00:00");
    let cases = [
        (Rule::Last, 3, vec![130, 131, 132]),
        (Rule::Minutely, 2, vec![131, 132]),
        (Rule::Hourly, 3, vec![129, 131, 132]),
        (Rule::Daily, 3, vec![59, 107, 132]),
        // And the oldest, where the rule would keep more.
        (Rule::Weekly, 3, vec![0, 107, 132]),
        (Rule::Monthly, 1, vec![132]),
        (Rule::Yearly, 2, vec![0, 132]),
    ];
    for (rule, count, expected) in cases {
        assert_eq!(kept_ids(&story, &by(&[(rule, count)]), "2026-11-23T13:00:00"), expected, "{rule:?}");
    }
    let weekly = by(&[(Rule::Weekly, 3), (Rule::Last, 1)]);
    let because = |id| reasons(&story, &weekly, "2026-11-23T13:00:00", id);
    assert_eq!(because(0), [Reason::Rule { rule: Rule::Weekly, is_oldest: true }]);
    assert_eq!(because(107), [rule(Rule::Weekly)]);
    let newest = Reason::NewestState { users: vec![b"ann".into()] };
    assert_eq!(because(132), [rule(Rule::Weekly), rule(Rule::Last), newest]);
    assert_eq!(because(131), []);
}

#[test]
fn a_day_on_which_clocks_change_is_one_day_of_all_its_hours() {
    // Of 25 hours: half-hourly through the whole day.
    let autumn = every(30, 50, "2026-10-25T00:00:00");
    assert_eq!(kept_ids(&autumn, &by(&[(Rule::Daily, 1)]), "2026-10-25T23:59:00"), [49]);
    assert_eq!(kept_ids(&autumn, &by(&[(Rule::Hourly, 25)]), "2026-10-25T23:59:00").len(), 25);
    // Of 23 hours: 46 of these belong to it, and four to the day after.
    let spring = every(30, 50, "2026-03-29T00:00:00");
    assert_eq!(kept_ids(&spring, &by(&[(Rule::Daily, 2)]), "2026-03-30T12:00:00"), [45, 49]);
    assert_eq!(kept_ids(&spring, &by(&[(Rule::Hourly, 25)]), "2026-03-30T12:00:00").len(), 25);
}

#[test]
fn days_begin_where_the_time_zone_says() {
    let story =
        [told(0, "2026-11-23T23:30:00Z"), told(1, "2026-11-24T00:30:00Z"), told(2, "2026-11-24T09:00:00Z")];
    let daily = by(&[(Rule::Daily, 2)]);
    // In Berlin, all of them are of the 24th, and the oldest is kept as such.
    let reason = reasons(&story, &daily, "2026-11-24T12:00:00", 0);
    assert_eq!(reason, [Reason::Rule { rule: Rule::Daily, is_oldest: true }]);
    let summaries = summaries(&story);
    let in_london = time("2026-11-24T12:00:00").to_zoned_datetime(jiff::tz::TimeZone::UTC);
    let plan = plan(&summaries, &daily, &in_london).unwrap();
    assert_eq!(plan.decisions[0].reasons, [rule(Rule::Daily)]);
}

#[test]
fn what_is_within_is_counted_from_the_newest_and_by_the_calendar() {
    let days = ["2026-02-27", "2026-02-28", "2026-03-01", "2026-03-31"];
    let story: Vec<_> = (0..).zip(days).map(|(n, day)| told(n, &format!("{day}T12:00:00"))).collect();
    let within =
        |text: &str| by_policy(Policy { within: Some(text.parse().unwrap()), ..Policy::default() }, "source");
    // Whatever the clock says now.
    for now in ["2026-03-31T13:00:00", "2030-01-01T00:00:00"] {
        assert_eq!(kept_ids(&story, &within("1m"), now), [1, 2, 3]);
        assert_eq!(kept_ids(&story, &within("30d"), now), [2, 3]);
        assert_eq!(kept_ids(&story, &within("1h"), now), [3]);
    }
    assert_eq!(reasons(&story, &within("30d"), "2026-03-31T13:00:00", 2), [Reason::Within]);
}

#[test]
fn what_is_tagged_stays_if_all_tags_of_a_list_are_there() {
    let mut story = every(60, 5, "2026-11-24T00:00:00");
    story[0].tags = vec!["a"];
    story[1].tags = vec!["b", "a"];
    story[2].tags = vec!["c"];
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let tags = vec![words(&["a", "b"]), words(&["c"])];
    let options = by_policy(Policy { tags, ..Policy::default() }, "source");
    assert_eq!(kept_ids(&story, &options, "2026-11-24T12:00:00"), [1, 2, 4]);
    assert_eq!(reasons(&story, &options, "2026-11-24T12:00:00", 1), [Reason::Tags(words(&["a", "b"]))]);
}

#[test]
fn what_is_dated_in_the_future_neither_counts_nor_goes() {
    let mut story = every(24 * 60, 5, "2026-11-20T12:00:00");
    // Nothing was built on them: clocks that are ahead, and no date at all.
    story.push(Told { parents: vec![], ..told(5, "2026-12-24T00:00:00") });
    story.push(Told { parents: vec![], ..told(6, "2026-11-24T12:05:01") });
    let daily = by(&[(Rule::Daily, 2)]);
    assert_eq!(kept_ids(&story, &daily, "2026-11-24T12:00:00"), [3, 4, 6, 5]);
    assert_eq!(reasons(&story, &daily, "2026-11-24T12:00:00", 5), [Reason::Future]);
    assert_eq!(kept_ids(&story, &daily, "2026-11-24T12:00:01"), [3, 6, 5]);
    let newest = Reason::NewestState { users: vec![b"ann".into()] };
    assert_eq!(reasons(&story, &daily, "2026-11-24T12:00:00", 4), [rule(Rule::Daily), newest]);

    let mut summaries = summaries(&story[..5]);
    summaries[2].time_ms = i64::MAX;
    summaries[2].parents.clear();
    let plan = plan(&summaries, &by(&[(Rule::Last, 1)]), &now("2026-11-24T12:00:00")).unwrap();
    let of_no_date = plan.decisions.iter().find(|decision| decision.summary.time_ms == i64::MAX).unwrap();
    assert_eq!(of_no_date.reasons, [Reason::Future]);
    // A clock that was set back by decades forgets nothing.
    assert_eq!(kept_ids(&story[..5], &daily, "1970-01-02T00:00:00"), [0, 1, 2, 3, 4]);
}

#[test]
fn where_dates_contradict_what_was_built_on_what_nothing_is_decided_by_them() {
    // A clock was a month ahead for two snapshots; by now that month has passed.
    let mut story = every(60, 12, "2026-10-01T00:00:00");
    for told in &mut story[4..6] {
        told.time += jiff::SignedDuration::from_hours(31 * 24);
    }
    let last = by(&[(Rule::Last, 2)]);
    assert_eq!(kept_ids(&story, &last, "2026-11-24T12:00:00"), [4, 5, 6, 10, 11]);
    let because = |id| reasons(&story, &last, "2026-11-24T12:00:00", id);
    assert_eq!(because(4), [Reason::Late { than: snapshot_id(6) }]);
    assert!(because(5).contains(&Reason::Late { than: snapshot_id(6) }));
    assert_eq!(because(6), [Reason::Witness { of: snapshot_id(5) }]);
}

#[test]
fn each_source_has_the_policy_to_itself_unless_told_otherwise() {
    let mut story = every(60, 6, "2026-11-24T00:00:00");
    for told in &mut story {
        (told.source, told.host) = if told.id % 2 == 0 { ("a", "x") } else { ("b", "y") };
        told.parents.clear();
    }
    story[0].tags = vec!["t", "u"];
    story[2].tags = vec!["u", "t"];
    let last =
        |grouping: &str| by_policy(Policy { rules: vec![(Rule::Last, 1)], ..Policy::default() }, grouping);
    let kept = |grouping: &str| {
        let kept = kept(&story, &last(grouping), "2026-11-24T12:00:00").into_iter();
        kept.filter(|(_, why)| why.contains(&rule(Rule::Last))).map(|(id, _)| id).collect::<Vec<_>>()
    };
    assert_eq!(kept("source"), [4, 5]);
    assert_eq!(kept("host"), [4, 5]);
    assert_eq!(kept(""), [5]);
    assert_eq!(kept("tags"), [2, 5]);
    assert_eq!(kept("source,tags"), [2, 4, 5]);
}

#[test]
fn a_snapshot_stays_when_the_group_of_anyone_in_it_keeps_it() {
    let mut story = every(60, 6, "2026-11-24T00:00:00");
    let all = vec![("ann", NORMAL), ("bob", NORMAL)];
    story[0].homes = all.clone();
    story[1].homes = all;
    // Later on the same day, of one user only; and one that has nothing of bob but the word that he is missing.
    story[4].homes = vec![("ann", NORMAL), ("bob", Attention::Missing)];
    let daily =
        |grouping: &str| by_policy(Policy { rules: vec![(Rule::Daily, 1)], ..Policy::default() }, grouping);
    let because = |grouping: &str, id| reasons(&story, &daily(grouping), "2026-11-24T12:00:00", id);
    let before_alarm = Reason::BeforeAlarm { users: vec![b"bob".into()] };
    assert_eq!(because("source,user", 1), [rule(Rule::Daily), before_alarm.clone()]);
    assert_eq!(because("source", 1), [before_alarm]);
    assert_eq!(kept_ids(&story, &daily("user"), "2026-11-24T12:00:00"), [1, 5]);
}

/// Hourly snapshots of one home.
fn history(said: &[Attention]) -> Vec<Told> {
    let mut story = every(60, said.len() as u16, "2026-11-24T00:00:00");
    for (told, attention) in story.iter_mut().zip(said) {
        told.homes = vec![("ann", *attention), ("zoe", NORMAL)];
    }
    story
}

#[test]
fn the_state_before_an_alarm_stays_until_someone_confirms() {
    use Attention::{Missing, Normal, Removed, Shrunk};
    let last = by(&[(Rule::Last, 1)]);
    let at = "2026-11-24T12:00:00";
    let ann = || vec![b"ann".to_vec()];
    let alarmed = history(&[Normal, Normal, Shrunk, Missing, Shrunk, Shrunk]);
    assert_eq!(kept_ids(&alarmed, &last, at), [1, 5]);
    assert_eq!(reasons(&alarmed, &last, at, 1), [Reason::BeforeAlarm { users: ann() }]);
    let confirmed = history(&[Normal, Shrunk, Normal, Normal]);
    assert_eq!(kept_ids(&confirmed, &last, at), [3]);
    // The whole state was forgotten by hand: what there is left is better than nothing.
    let shrunk = history(&[Shrunk, Missing, Shrunk, Missing, Missing]);
    assert_eq!(kept_ids(&shrunk, &last, at), [2, 4]);
    assert_eq!(reasons(&shrunk, &last, at, 2), [Reason::OnlyState { users: ann() }]);
    let gone = history(&[Missing, Missing, Missing]);
    assert_eq!(kept_ids(&gone, &last, at), [2]);
    // Confirmed to be gone: nothing to protect, and nothing left that knows of it.
    assert_eq!(kept_ids(&history(&[Normal, Normal, Removed, Missing]), &last, at), [3]);
}

#[test]
fn the_word_that_a_home_is_gone_stays_as_long_as_anyone_remembers_it() {
    use Attention::{Normal, Removed};
    let mut story = history(&[Normal, Normal, Removed, Normal, Normal]);
    for told in &mut story[3..] {
        told.homes.remove(0);
    }
    let at = "2026-11-24T12:00:00";
    assert_eq!(kept_ids(&story, &by(&[(Rule::Last, 2)]), at), [3, 4]);
    story[1].tags = vec!["keep"];
    let tags = vec![vec!["keep".to_owned()]];
    let options = by_policy(Policy { tags, ..Policy::default() }, "source");
    assert_eq!(kept_ids(&story, &options, at), [1, 2, 4]);
    assert_eq!(reasons(&story, &options, at, 2), [Reason::Removal { users: vec![b"ann".into()] }]);
    assert_eq!(kept_ids(&story, &named(&[2]), at), [2]);
    assert_eq!(kept_ids(&story, &named(&[0, 1, 2]), at), [] as [u16; 0]);
}

#[test]
fn what_holds_a_state_goes_only_when_it_is_named_and_forced() {
    let story = every(60, 4, "2026-11-24T00:00:00");
    let at = "2026-11-24T12:00:00";
    let newest = Reason::NewestState { users: vec![b"ann".into()] };
    assert_eq!(kept(&story, &named(&[1, 3]), at), [(3, vec![newest.clone()])]);
    let forced = |ids: &[u16]| ForgetOptions { force: true, ..named(ids) };
    assert_eq!(kept_ids(&story, &forced(&[1, 3]), at), [] as [u16; 0]);
    // What comes to hold the newest state then is protected next time, not at the same time.
    assert_eq!(kept(&story[..3], &named(&[2]), at), [(2, vec![newest])]);
    // A date that cannot be right does not protect what is named.
    let ahead = [story.clone(), vec![Told { parents: vec![], ..told(4, "2027-01-01T00:00:00") }]].concat();
    assert_eq!(kept_ids(&ahead, &named(&[4]), at), [] as [u16; 0]);
}

#[test]
fn nothing_is_emptied_by_accident() {
    let mut story = every(60, 4, "2026-11-24T00:00:00");
    story[0].source = "old";
    story[0].homes = vec![("bob", Attention::Removed)];
    let summaries = summaries(&story);
    let plan = |options: &ForgetOptions| plan(&summaries, options, &now("2026-11-24T12:00:00"));
    assert!(matches!(plan(&by(&[])), Err(ForgetError::NoRule)));
    assert!(matches!(plan(&by(&[(Rule::Daily, 0)])), Err(ForgetError::NoRule)));
    let all = ForgetOptions { force: true, ..named(&[0, 1, 2, 3]) };
    assert!(matches!(plan(&all), Err(ForgetError::Everything(source)) if source == "cluster"));
    assert!(matches!(plan(&named(&[0])), Err(ForgetError::Everything(source)) if source == "old"));
    let in_so_many_words = ForgetOptions { allow_everything: true, ..all };
    assert_eq!(plan(&in_so_many_words).unwrap().forgotten().len(), 4);
    // A policy that keeps nothing still leaves what homes would be restored to.
    let bare = ForgetOptions { allow_everything: true, ..by(&[]) };
    let forgotten: Vec<_> = plan(&bare).unwrap().forgotten().into_iter().map(number).collect();
    assert_eq!(forgotten, [0, 1, 2]);
}

#[test]
fn a_policy_for_some_users_leaves_alone_what_holds_others_homes_too() {
    let mut story = every(60, 5, "2026-11-24T00:00:00");
    for (told, other) in
        story.iter_mut().zip([NORMAL, Attention::Missing, Attention::Shrunk, Attention::Removed])
    {
        told.homes.push(("bob", other));
    }
    let mut options = by(&[(Rule::Last, 1)]);
    options.filter.users = vec![b"ann".into()];
    let summaries = summaries(&story);
    let plan = plan(&summaries, &options, &now("2026-11-24T12:00:00")).unwrap();
    let asked: Vec<_> = plan.decisions.iter().map(|decision| number(decision.summary.id)).collect();
    assert_eq!((asked, plan.shared), (vec![1, 3, 4], 2));
    options.filter = Filter { sources: vec!["other".into()], ..Filter::default() };
    assert_eq!(kept_ids(&story, &options, "2026-11-24T12:00:00"), [] as [u16; 0]);
}
