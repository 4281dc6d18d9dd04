//! Our matcher against the `ignore` crate's on random lists and trees, and what a decision costs.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};

use super::{PatternFile, RuleOptions, Rules, Scope, Verdict};

/// xorshift: the same cases on every machine.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }

    fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// No negated classes: in a path, globset's also match `/`, which git's and ours do not.
    fn component(&mut self) -> String {
        const PIECES: &[&str] =
            &["a", "b", "c", ".", "*", "?", "[ab]", "[b-c]", "\\*", "{a,b}", "{ab,c*}", "a", "b", "*"];
        if self.chance(12) {
            return "**".into();
        }
        (0..=self.below(3)).map(|_| self.pick(PIECES)).collect()
    }

    fn pattern(&mut self) -> String {
        let depth = if self.chance(50) { 1 } else { 1 + self.below(4) };
        let path = (0..depth).map(|_| self.component()).collect::<Vec<_>>().join("/");
        let mut mark = |percent, mark| if self.chance(percent) { mark } else { "" };
        format!("{}{}{path}{}", mark(20, "!"), mark(20, "/"), mark(20, "/"))
    }

    fn name(&mut self) -> Vec<u8> {
        const PIECES: &[&[u8]] = &[b"a", b"b", b"c", b".", b"*", b"\xff", b"\n", b"a", b"b", b"c"];
        let name = (0..=self.below(3)).flat_map(|_| self.pick(PIECES)).copied().collect();
        if name == b"." || name == b".." { b"a".into() } else { name }
    }
}

/// Patterns that ours refuses, because they can match nothing, are not compared.
fn both(random: &mut Random) -> (Scope, Gitignore, Vec<String>) {
    let rules = Rules::new(&RuleOptions { default_excludes: false, ..RuleOptions::default() }).unwrap();
    let home = rules.home(Path::new("/home/ann"));
    let mut theirs = GitignoreBuilder::new("");
    let mut patterns = Vec::new();
    let count = 1 + random.below(6);
    while patterns.len() < count {
        let pattern = random.pattern();
        let file = PatternFile { path: "test".into(), bytes: pattern.clone().into() };
        if home.clone().with_ignore_files(&[file]).1.is_empty() {
            theirs.add_line(None, &pattern).unwrap();
            patterns.push(pattern);
        }
    }
    let file = PatternFile { path: "test".into(), bytes: patterns.join("\n").into() };
    (home.with_ignore_files(&[file]).0, theirs.build().unwrap(), patterns)
}

#[test]
fn decisions_are_those_of_gitignore_on_random_patterns_and_names() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut excluded = 0;
    for _ in 0..4000 {
        let (home, theirs, patterns) = both(&mut random);
        for _ in 0..12 {
            let (mut scope, mut path) = (home.clone(), PathBuf::new());
            for _ in 0..4 {
                let name = random.name();
                let is_directory = random.chance(50);
                path.push(OsStr::from_bytes(&name));
                let expected = matches!(theirs.matched(&path, is_directory), Match::Ignore(_));
                let found = scope.decide(OsStr::from_bytes(&name), is_directory) != Verdict::Keep;
                assert_eq!(found, expected, "{patterns:?} {path:?} {is_directory}");
                excluded += usize::from(found);
                scope = scope.enter(OsStr::from_bytes(&name));
            }
        }
    }
    assert!(excluded > 10_000, "too few cases matched for the test to mean something: {excluded}");
}

/// `cargo test --release -- --ignored --nocapture what_a_decision_costs`
#[test]
#[ignore = "a measurement, to be run by hand"]
fn what_a_decision_costs() {
    let names: Vec<String> = (0..1000).map(|i| format!("analysis-of-{i}.R")).collect();
    let excludes =
        ["*.tmp", "*.bak", "scratch", "/projects/*/raw/*.csv", "/home/*/old"].map(String::from).to_vec();
    for (title, options) in [
        ("no rules", RuleOptions { default_excludes: false, ..RuleOptions::default() }),
        ("defaults", RuleOptions::default()),
        ("defaults and five patterns", RuleOptions { excludes, ..RuleOptions::default() }),
    ] {
        let home = Rules::new(&options).unwrap().home(Path::new("/home/ann"));
        let scope = home.enter(OsStr::new("projects")).enter(OsStr::new("x"));
        let per =
            |start: std::time::Instant, count: u32| start.elapsed().as_nanos() as f64 / f64::from(count);
        let start = std::time::Instant::now();
        for _ in 0..1000 {
            for name in &names {
                assert_eq!(std::hint::black_box(&scope).decide(OsStr::new(name), false), Verdict::Keep);
            }
        }
        let decide = per(start, 1_000_000);
        let start = std::time::Instant::now();
        for name in names.iter().cycle().take(100_000) {
            std::hint::black_box(scope.enter(OsStr::new(name)));
        }
        eprintln!("{title}: {decide:.1} ns a decision, {:.0} ns a directory", per(start, 100_000));
    }
}
