//! A strict parser of Prometheus' text format, and Prometheus' own where it is installed.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Of which metric.
    pub name: String,
    /// Of what, in order.
    pub labels: Vec<(String, String)>,
    /// How much.
    pub value: f64,
}

/// Fails unless every line is what it should be, each metric has help and type before its samples, in one
/// place, no sample comes twice, and names have a unit that Prometheus knows.
pub fn parse(text: &str) -> Vec<Sample> {
    assert!(text.ends_with('\n'));
    let (mut samples, mut current, mut seen) = (Vec::new(), String::new(), BTreeSet::new());
    let (mut help, mut types) = (BTreeSet::new(), BTreeMap::new());
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, words) = rest.split_once(' ').expect(line);
            assert!(is_name(name) && !words.is_empty() && help.insert(name.to_owned()), "{line}");
            assert!(!words.contains('\\'), "{line}");
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect(line);
            assert!(
                help.contains(name) && types.insert(name.to_owned(), kind.to_owned()).is_none(),
                "{line}"
            );
            assert_eq!((kind, name.ends_with("_total")), ("gauge", false), "{line}");
            current = name.to_owned();
        } else if line.starts_with('#') {
            assert!(line.starts_with("# homekeep "), "{line}");
        } else {
            let sample = sample(line);
            assert_eq!(sample.name, current, "{line} does not stand below its own type");
            assert!(seen.insert(format!("{}{:?}", sample.name, sample.labels)), "{line} comes twice");
            samples.push(sample);
        }
    }
    let used: BTreeSet<_> = samples.iter().map(|sample| sample.name.clone()).collect();
    assert_eq!(used, help, "metrics without a sample or without help");
    for name in &used {
        assert!(!["bytes_", "seconds_", "_ms", "_kb"].iter().any(|part| name.contains(part)), "{name}");
    }
    samples
}

fn is_name(name: &str) -> bool {
    let is_part = |c: char| c.is_ascii_lowercase() || c == '_';
    name.starts_with("homekeep_") && name.chars().all(is_part)
}

fn sample(line: &str) -> Sample {
    let end = line.find(['{', ' ']).expect(line);
    let (name, mut rest) = line.split_at(end);
    assert!(is_name(name), "{line}");
    let mut labels = Vec::new();
    if let Some(inner) = rest.strip_prefix('{') {
        rest = inner;
        loop {
            let (label, value) = rest.split_once("=\"").expect(line);
            assert!(!label.is_empty() && label.chars().all(|c| c.is_ascii_lowercase()), "{line}");
            let (value, after) = unescaped(value, line);
            labels.push((label.to_owned(), value));
            match after.split_at(1) {
                (",", more) => rest = more,
                ("}", more) => {
                    rest = more;
                    break;
                }
                _ => panic!("{line}"),
            }
        }
    }
    let value = rest.strip_prefix(' ').expect(line);
    assert!(value.chars().all(|c| c.is_ascii_digit() || c == '.'), "{line}");
    Sample { name: name.to_owned(), labels, value: value.parse().expect(line) }
}

/// A label's value up to the quotation mark that ends it, and what stands behind that.
fn unescaped<'t>(text: &'t str, line: &str) -> (String, &'t str) {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return (value, &text[at + 1..]),
            '\\' => match characters.next() {
                Some((_, 'n')) => value.push('\n'),
                Some((_, escaped @ ('\\' | '"'))) => value.push(escaped),
                _ => panic!("{line}"),
            },
            character => value.push(character),
        }
    }
    panic!("{line}")
}

/// Prometheus' own opinion, where it is installed.
pub fn check_with_promtool(text: &str) {
    let spawned = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut promtool) = spawned else {
        eprintln!("there is no promtool here: only this file's parser has read the metrics");
        return;
    };
    promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}\n{text}");
}

/// The same of a file of rules.
pub fn check_rules_with_promtool(path: &Path) {
    let Ok(output) = Command::new("promtool").args(["check", "rules"]).arg(path).output() else {
        eprintln!(
            "there is no promtool here: the rules' metrics are known to exist, and nothing else of them"
        );
        return;
    };
    assert!(output.status.success(), "{output:?}");
}
