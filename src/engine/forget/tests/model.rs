//! Random histories and policies against a model that is as plain as can be, and the promises that must
//! hold whatever the policy.

use std::collections::{BTreeSet, HashMap};

use jiff::{SignedDuration, Span};

use super::*;
use crate::engine::select::newest_first;

/// Histories that are tried.
const ROUNDS: u64 = 3_000;
const USERS: [&str; 3] = ["ann", "bob", "cem"];
const START: &str = "2026-01-01T00:00:00";

/// Numbers that are the same in every run.
struct Dice(blake3::OutputReader);

impl Dice {
    fn new(seed: u64) -> Self {
        Self(blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof())
    }

    /// A number below `sides`.
    fn roll(&mut self, sides: u64) -> u64 {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        u64::from_le_bytes(bytes) % sides
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.roll(from.len() as u64) as usize]
    }
}

/// What clocks may do in a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Clocks {
    Right,
    Wrong,
}

fn story(dice: &mut Dice, clocks: Clocks) -> (Vec<Told>, ZonedDateTime) {
    let mut clock = time(START);
    let mut newest: HashMap<&str, u16> = HashMap::new();
    let mut removed: BTreeSet<(&str, &str)> = BTreeSet::new();
    let mut story = Vec::new();
    for id in 0..2 + dice.roll(30) as u16 {
        let minutes = dice.pick(&[1, 10, 45, 60, 300, 24 * 60, 9 * 24 * 60, 40 * 24 * 60]);
        clock += SignedDuration::from_mins(minutes + dice.roll(30) as i64);
        let source = dice.pick(&["a", "a", "a", "b"]);
        let off_days = match (clocks, dice.roll(8)) {
            (Clocks::Wrong, 0) => dice.pick(&[-20_000, -100, -1, 1, 30, 300]),
            _ => 0,
        };
        let mut homes = Vec::new();
        for user in USERS {
            let attention = attention(dice);
            // Someone who comes back begins anew: nothing is there that the home could have shrunk from.
            let is_told =
                dice.roll(4) > 0 && (attention != Attention::Shrunk || !removed.contains(&(source, user)));
            if is_told {
                homes.push((user, attention));
                match attention {
                    Attention::Removed => drop(removed.insert((source, user))),
                    Attention::Normal => drop(removed.remove(&(source, user))),
                    _ => {}
                }
            }
        }
        let parent = newest.insert(source, id).filter(|_| dice.roll(10) > 0);
        story.push(Told {
            id,
            time: clock + SignedDuration::from_hours(24 * off_days),
            source,
            host: dice.pick(&["x", "y"]),
            tags: ["t", "u"].into_iter().filter(|_| dice.roll(8) == 0).collect(),
            homes,
            parents: parent.into_iter().collect(),
        });
    }
    let now = clock + SignedDuration::from_hours(24 * dice.roll(60) as i64);
    (story, now.to_zoned_datetime(jiff::tz::TimeZone::get("Europe/Berlin").unwrap()))
}

fn attention(dice: &mut Dice) -> Attention {
    use Attention::{Missing, Normal, Removed, Shrunk};
    dice.pick(&[Normal, Normal, Normal, Normal, Normal, Normal, Shrunk, Shrunk, Missing, Removed])
}

fn policy(dice: &mut Dice) -> Policy {
    let mut rules = Vec::new();
    for rule in Rule::ALL {
        if dice.roll(4) == 0 {
            rules.push((rule, dice.roll(5) as u32));
        }
    }
    let mut policy = Policy { rules, ..Policy::default() };
    if dice.roll(4) == 0 {
        policy.within = Some(dice.pick(&["3h", "7d", "2m", "90min"]).parse().unwrap());
    }
    if dice.roll(4) == 0 {
        policy.tags = vec![vec![dice.pick(&["t", "u"]).to_owned()]];
    }
    if policy.is_empty() {
        policy.rules.push((Rule::Last, 1));
    }
    policy
}

/// Which snapshots a policy keeps, by writing down what calendars call each time.
fn kept_by_model(story: &[Told], grouping: &str, policy: &Policy, now: &ZonedDateTime) -> BTreeSet<u16> {
    let mut kept = BTreeSet::new();
    let words = |told: &Told| -> Vec<String> {
        let common = grouping.split(',').map(|word| match word {
            "source" => told.source,
            "host" => told.host,
            _ => "",
        });
        let common: String = common.collect();
        let is_there = |attention| matches!(attention, Attention::Normal | Attention::Shrunk);
        match grouping.contains("user") {
            false => vec![common],
            true => told
                .homes
                .iter()
                .filter(|(_, a)| is_there(*a))
                .map(|(u, _)| format!("{common} {u}"))
                .collect(),
        }
    };
    let groups: BTreeSet<String> = story.iter().flat_map(&words).collect();
    for group in groups {
        let newest_first: Vec<_> = story.iter().rev().filter(|told| words(told).contains(&group)).collect();
        for (n, told) in newest_first.iter().enumerate() {
            let is_oldest = n + 1 == newest_first.len();
            for (rule, count) in &policy.rules {
                let name = |told: &Told| called(*rule, told, now);
                let newer: BTreeSet<_> = newest_first[..n].iter().map(|told| name(told)).collect();
                let is_first = !newer.contains(&name(told));
                if newer.len() < *count as usize && (is_first || is_oldest) {
                    kept.insert(told.id);
                }
            }
            let newest = newest_first[0].time.to_zoned_datetime(now.time_zone().clone());
            let is_within = |within: Within| {
                let span: Span = within.to_string().parse().unwrap();
                told.time >= newest.checked_sub(span).unwrap().timestamp()
            };
            if policy.within.is_some_and(is_within)
                || policy.tags.iter().any(|tags| told.tags.contains(&tags[0].as_str()))
            {
                kept.insert(told.id);
            }
        }
    }
    kept
}

fn called(rule: Rule, told: &Told, now: &ZonedDateTime) -> String {
    let format = match rule {
        Rule::Last => return told.id.to_string(),
        Rule::Minutely => "%F %H:%M %z",
        Rule::Hourly => "%F %H %z",
        Rule::Daily => "%F",
        Rule::Weekly => "%G-%V",
        Rule::Monthly => "%Y-%m",
        Rule::Yearly => "%Y",
    };
    told.time.to_zoned_datetime(now.time_zone().clone()).strftime(format).to_string()
}

/// The snapshot that each home would be restored from, as the next backup sees it too.
fn states(snapshots: &[Summary], now: &ZonedDateTime) -> HashMap<(String, Vec<u8>), Option<SnapshotId>> {
    let mut states = HashMap::new();
    let mut shrunk = HashMap::new();
    for (_, summary) in newest_first(snapshots, now.timestamp()) {
        for mention in summary.homes.iter() {
            let home = (summary.source.clone(), summary.homes.name(&mention).to_vec());
            match mention.attention {
                Attention::Normal => drop(states.entry(home).or_insert(Some(summary.id))),
                Attention::Removed => drop(states.entry(home).or_insert(None)),
                Attention::Shrunk => drop(shrunk.entry(home).or_insert(Some(summary.id))),
                Attention::Missing => {}
            }
        }
    }
    for (home, state) in shrunk {
        states.entry(home).or_insert(state);
    }
    // Of a home that is gone nobody has to know.
    states.retain(|_, state| state.is_some());
    states
}

const GROUPINGS: [&str; 5] = ["source", "source,user", "user", "host", ""];

#[test]
fn a_policy_keeps_what_the_model_keeps_and_what_protects_a_home() {
    for seed in 0..ROUNDS {
        let mut dice = Dice::new(seed);
        let (story, now) = story(&mut dice, Clocks::Right);
        let (policy, grouping) = (policy(&mut dice), dice.pick(&GROUPINGS));
        let summaries = summaries(&story);
        let options = ForgetOptions { allow_everything: true, ..by_policy(policy.clone(), grouping) };
        let plan = plan(&summaries, &options, &now).unwrap();
        let is_rule =
            |reason: &Reason| matches!(reason, Reason::Rule { .. } | Reason::Within | Reason::Tags(_));
        let by_rule: BTreeSet<u16> = plan
            .decisions
            .iter()
            .filter(|decision| decision.reasons.iter().any(is_rule))
            .map(|decision| number(decision.summary.id))
            .collect();
        assert_eq!(
            by_rule,
            kept_by_model(&story, grouping, &policy, &now),
            "seed {seed}: {policy:?} {grouping}"
        );
        // Nothing else stays without need.
        let expected: BTreeSet<_> = states(&summaries, &now).into_values().flatten().collect();
        for decision in plan.decisions.iter().filter(|d| d.fate == Fate::Kept) {
            let is_needed = decision.reasons.iter().any(is_rule)
                || expected.contains(&decision.summary.id)
                || decision.reasons.iter().all(|reason| matches!(reason, Reason::Removal { .. }));
            assert!(is_needed, "seed {seed}: {decision:?}");
        }
    }
}

/// Whatever clocks say: what is left is in the order in which it was, every home is restored from where it
/// was, and who was gone stays gone.
#[test]
fn forgetting_changes_no_order_and_no_homes_newest_state() {
    for seed in 0..ROUNDS {
        let mut dice = Dice::new(seed);
        let (story, now) = story(&mut dice, Clocks::Wrong);
        let options = ForgetOptions {
            allow_everything: true,
            filter: Filter {
                users: dice
                    .pick(&[&[][..], &["ann"], &["ann", "bob"]])
                    .iter()
                    .map(|user| (*user).into())
                    .collect(),
                ..Filter::default()
            },
            ..by_policy(policy(&mut dice), dice.pick(&GROUPINGS))
        };
        let all = summaries(&story);
        let forgotten = plan(&all, &options, &now).unwrap().forgotten();
        let left: Vec<_> = all.iter().filter(|summary| !forgotten.contains(&summary.id)).cloned().collect();
        let order = |snapshots: &[Summary]| -> Vec<SnapshotId> {
            newest_first(snapshots, now.timestamp()).into_iter().map(|(_, summary)| summary.id).collect()
        };
        let mut expected = order(&all);
        expected.retain(|id| !forgotten.contains(id));
        assert_eq!(order(&left), expected, "seed {seed}");
        assert_eq!(states(&left, &now), states(&all, &now), "seed {seed}");
    }
}

/// Ended half-way, forgetting has forgotten nothing that the next run would keep, and the next run ends
/// where this one would have.
#[test]
fn a_run_that_was_interrupted_is_continued_by_the_next() {
    for seed in 0..ROUNDS {
        let mut dice = Dice::new(seed);
        let (story, now) = story(&mut dice, dice_clocks(seed));
        let options =
            ForgetOptions { allow_everything: true, ..by_policy(policy(&mut dice), dice.pick(&GROUPINGS)) };
        let all = summaries(&story);
        let whole = plan(&all, &options, &now).unwrap().forgotten();
        let done = whole[..dice.roll(whole.len() as u64 + 1) as usize].to_vec();
        let left: Vec<_> = all.iter().filter(|summary| !done.contains(&summary.id)).cloned().collect();
        let rest = plan(&left, &options, &now).unwrap().forgotten();
        let together: BTreeSet<_> = done.into_iter().chain(rest).collect();
        assert_eq!(together, whole.into_iter().collect(), "seed {seed}");
    }
}

fn dice_clocks(seed: u64) -> Clocks {
    if seed.is_multiple_of(2) { Clocks::Right } else { Clocks::Wrong }
}
