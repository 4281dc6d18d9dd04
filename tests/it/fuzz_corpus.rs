//! The fuzz targets as ordinary tests: over the saved corpus, and over seeded mutations of it.
//!
//! `cargo test --test it -- --ignored write_the_corpus` adds valid encodings and mutations of them to
//! `fuzz/corpus/`. What a fuzzer finds there is kept by copying it beside them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use homekeep::codec::{Codec, Compressor, Hash};
use homekeep::format::{Entry, GcKind, GcRecord, Page, TreeObject};
use homekeep::vault::{Document, Stored, Version};
use serde_json::Value;

use crate::support::allocation::largest_during;

#[path = "../../fuzz/targets.rs"]
mod targets;

const FUZZ: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz");
/// Mutations of the corpus of each target.
const ROUNDS: u64 = 3000;
/// Cutting takes longer.
const ROUNDS_OF_CUTS: u64 = 60;
/// No decoder asks for more at once: the longest table of contents.
const MAX_ALLOCATION: usize = 48 << 20;
/// What decodes without unpacking asks for no more than this many bytes for each byte it is given.
const MAX_GROWTH: usize = 256;

#[test]
fn every_target_keeps_its_promises_over_the_corpus() {
    for (name, _) in targets::ALL {
        let corpus = corpus(name);
        assert!(!corpus.is_empty(), "{name} has no corpus");
        for bytes in corpus {
            watch(name, &bytes);
        }
    }
}

#[test]
fn every_target_keeps_its_promises_over_mutations_of_the_corpus() {
    for (name, _) in targets::ALL {
        let corpus = corpus(name);
        let mut random = Random(0x9e37_79b9_7f4a_7c15);
        for _ in 0..if name == "cuts" { ROUNDS_OF_CUTS } else { ROUNDS } {
            let mut bytes = corpus[random.below(corpus.len())].clone();
            for _ in 0..=random.below(3) {
                mutate(&mut bytes, &mut random);
            }
            watch(name, &bytes);
        }
    }
}

#[test]
fn every_target_has_a_file_a_line_in_the_manifest_and_a_corpus() {
    let names: BTreeSet<_> = targets::ALL.iter().map(|(name, _)| name.to_string()).collect();
    let found = |folder: &str| -> BTreeSet<String> {
        let folder = std::fs::read_dir(Path::new(FUZZ).join(folder)).unwrap();
        folder.map(|f| f.unwrap().path().file_stem().unwrap().to_str().unwrap().into()).collect()
    };
    assert_eq!(found("fuzz_targets"), names);
    assert_eq!(found("corpus"), names);
    let manifest: toml::Table =
        std::fs::read_to_string(Path::new(FUZZ).join("Cargo.toml")).unwrap().parse().unwrap();
    let bins = manifest["bin"].as_array().unwrap();
    assert_eq!(bins.iter().map(|bin| bin["name"].as_str().unwrap().into()).collect::<BTreeSet<_>>(), names);
}

/// Runs a target, and holds what it allocates to its bounds.
fn watch(name: &str, bytes: &[u8]) {
    let (largest, outcome) = largest_during(|| std::panic::catch_unwind(|| targets::run(name, bytes)));
    let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
    assert!(outcome.is_ok(), "{name} panicked over {hex}");
    let is_unpacking = matches!(name, "toc" | "segment" | "unpack" | "cuts");
    let bound = if is_unpacking { MAX_ALLOCATION } else { 16_384 + MAX_GROWTH * bytes.len() };
    assert!(largest <= bound, "{name} asked for {largest} bytes over {hex}");
}

/// Numbers that are the same in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }
}

/// One small change, of those that decoders tend to forget.
fn mutate(bytes: &mut Vec<u8>, random: &mut Random) {
    const TELLING: [u8; 12] = [0, 1, 0x17, 0x18, 0x1b, 0x20, 0x40, 0x5b, 0x7f, 0x80, 0x9b, 0xff];
    let at = random.below(bytes.len());
    let end = bytes.len().min(at + 1 + random.below(16));
    match random.below(7) {
        _ if bytes.is_empty() => bytes.push(random.next() as u8),
        0 => bytes[at] ^= 1 << random.below(8),
        1 => bytes[at] = TELLING[random.below(TELLING.len())],
        2 => bytes.truncate(at),
        3 => drop(bytes.drain(at..end)),
        4 => drop(bytes.splice(at..at, bytes[at..end].to_vec())),
        5 => bytes.insert(at, random.next() as u8),
        _ => bytes[at..end].fill(0xff),
    }
}

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(Path::new(FUZZ).join("corpus").join(target))
        .map(|folder| folder.map(|file| file.unwrap().path()).collect())
        .unwrap_or_default();
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

#[test]
#[ignore = "writes fuzz/corpus"]
fn write_the_corpus() {
    for (name, _) in targets::ALL {
        let folder = Path::new(FUZZ).join("corpus").join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let mut random = Random(1);
        for seed in seeds(name) {
            let mut family = vec![seed.clone()];
            for _ in 0..if name == "segment" { 2 } else { 6 } {
                let mut mutant = seed.clone();
                mutate(&mut mutant, &mut random);
                family.push(mutant);
            }
            for bytes in family {
                std::fs::write(folder.join(&Hash::of(&bytes).to_hex()[..16]), bytes).unwrap();
            }
        }
    }
}

/// Valid encodings to begin with.
fn seeds(target: &str) -> Vec<Vec<u8>> {
    let vectors: Value = serde_json::from_str(include_str!("../vectors/format-1.json")).unwrap();
    let bytes = |name: &str| unhex(vectors[name]["bytes"].as_str().unwrap());
    let text = |value: &Value| value.as_str().unwrap().as_bytes().to_vec();
    let segment = bytes("segment");
    let refused = |what: &str| -> Vec<Vec<u8>> {
        let cases = vectors["refused"].as_array().unwrap().iter().filter(|case| case["what"] == what);
        cases.map(|case| unhex(case["bytes"].as_str().unwrap())).collect()
    };
    match target {
        "commit_name" => vec![text(&vectors["segment"]["name"])],
        "object_name" => object_names(&vectors["segment"]["name"]),
        "key_file" => vec![text(&vectors["key_file"]["text"])],
        "content_list" => [vec![bytes("content_list")], refused("content list")].concat(),
        "tree" => {
            [vec![bytes("page"), bytes("page_index"), vec![0x83, 0, 0x80, 0x80]], refused("tree")].concat()
        }
        "entry" => entries(&bytes("page")),
        "descriptor" => vec![bytes("descriptor")],
        "slot" => [vec![bytes("slot_key_file"), bytes("slot_passphrase")], refused("slot")].concat(),
        "gc_record" => gc_records(),
        "history_record" => vec![bytes("history"), vec![0x83, 1, 0x80, 0x80]],
        "snapshot_record" => [vec![bytes("record")], refused("record")].concat(),
        "segment" => vec![segment],
        "segment_header" => vec![segment[..80].to_vec()],
        "segment_trailer" => vec![[&4096_u64.to_le_bytes()[..], &segment[4080..]].concat()],
        "toc" => tables(&segment, &bytes("record")),
        "unpack" => packed(),
        "cuts" => [0, 1, 2, 3].map(|choice| [&[choice, 0xff, 0xef][..], &noise(400)].concat()).to_vec(),
        "vault_document" => vec![vault_document(0), vault_document(1), vault_document(3)],
        target => panic!("{target} has no seeds"),
    }
}

fn object_names(commit: &Value) -> Vec<Vec<u8>> {
    let mark = format!("forgotten/{}-{}", "ab".repeat(16), "cd".repeat(32));
    [commit.as_str().unwrap(), "format", "gc/a-b.c", &mark].map(|name| name.as_bytes().to_vec()).to_vec()
}

fn gc_records() -> Vec<Vec<u8>> {
    let record = GcRecord {
        kind: GcKind::Condemned,
        time_ms: 1_764_000_000_000,
        host: "node".into(),
        segments: vec![[1; 8], [2; 8], [0xfe; 8]],
        commits: vec![[3; 8]],
    };
    let empty = GcRecord { kind: GcKind::Deleted, segments: vec![], commits: vec![], ..record.clone() };
    let disorder = GcRecord { segments: vec![[2; 8], [1; 8]], ..record.clone() };
    vec![record.to_bytes(), empty.to_bytes(), disorder.to_bytes()]
}

/// A document with one item of so many versions, the last of which is in use.
fn vault_document(versions: u64) -> Vec<u8> {
    let mut document = Document::new(targets::USER, "0123456789abcdef".into(), [3; 16]);
    for number in 0..versions {
        let stored = Stored { saved_ms: 1_764_000_000_000 + number as i64, bytes: 5, sealed: vec![7; 70] };
        document.set("node", ".ssh/id_rsa", Version(number), Some(stored));
    }
    document.to_json()
}

fn entries(page: &[u8]) -> Vec<Vec<u8>> {
    let Ok(TreeObject::Page(Page { entries })) = TreeObject::from_bytes(page) else { panic!("not a page") };
    entries.iter().map(Entry::to_bytes).collect()
}

/// Plain tables: without blocks, with one, and with a record.
fn tables(segment: &[u8], record: &[u8]) -> Vec<Vec<u8>> {
    let block = [&[0x81, 0x85, 0, 1, 0x18, 100, 0x58, 64][..], &segment[16..80], &[0x82, 0x18, 30, 0x18, 40]]
        .concat();
    let record = [&[0x59][..], &(record.len() as u16).to_be_bytes(), record].concat();
    let table = |start: u64, cbor: &[u8]| {
        let frame = zstd_frame(cbor);
        let mut plain = start.to_le_bytes().to_vec();
        plain.extend((frame.len() as u32).to_le_bytes());
        plain.extend((cbor.len() as u32).to_le_bytes());
        plain.extend(frame);
        plain.extend([0; 40]);
        plain
    };
    vec![
        table(80, &[0x83, 1, 0x80, 0xf6]),
        table(180, &[&[0x83, 1][..], &block, &[0xf6]].concat()),
        table(180, &[&[0x83, 1][..], &block, &record].concat()),
    ]
}

/// A frame that holds its bytes as they are, so that mutations reach them.
fn zstd_frame(bytes: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0xa0];
    frame.extend((bytes.len() as u32).to_le_bytes());
    frame.extend(&((bytes.len() as u32) << 3 | 1).to_le_bytes()[..3]);
    frame.extend(bytes);
    frame
}

fn packed() -> Vec<Vec<u8>> {
    let text = b"some text ".repeat(50);
    let packed = Compressor::new(3).unwrap().pack(&text).unwrap();
    assert_eq!(packed.codec, Codec::Zstd);
    let declared = |length: u32, bytes: &[u8]| [&length.to_le_bytes()[..], bytes].concat();
    vec![
        declared(500, &packed.bytes),
        declared(16 << 20, &packed.bytes),
        declared(9, &zstd_frame(b"some text")),
        declared(0x8000_0009, b"some text"),
    ]
}

fn noise(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().finalize_xof().fill(&mut bytes);
    bytes
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}
