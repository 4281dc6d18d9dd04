//! Speed of each stage of a backup, on seeded data. Compare two builds on one machine:
//! `cargo bench --bench stages -- --save-baseline before`, then `-- --baseline before`.

use std::hint::black_box;
use std::path::Path;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use homekeep::codec::{
    ChunkId, Chunker, ChunkerParameters, Codec, Compressor, Decompressor, Hash, MasterKey, RepositoryKeys,
};
use homekeep::files::walk::{self, ListBuffer};
use homekeep::format::{
    BlockKind, ChunkEntry, Header, ObjectName, SegmentKind, SegmentWriter, Toc, TocBlock,
};
use homekeep::index::{Catalog, CatalogWriter};

/// Half text of a small vocabulary, half noise: about what homes compress to.
fn data(length: usize) -> Vec<u8> {
    let mut noise = vec![0; length / 2];
    blake3::Hasher::new().update(b"bench data").finalize_xof().fill(&mut noise);
    let words = ["model", "filter", "group", "by", "mean", "(", ")", "<-", "plot", "residuals", "\n", " "];
    let text = noise.iter().flat_map(|n| words[usize::from(*n) % words.len()].bytes());
    let mut data: Vec<u8> = text.take(length / 2).collect();
    data.extend(&noise);
    data
}

fn keys() -> RepositoryKeys {
    RepositoryKeys::derive(&MasterKey([7; 32]))
}

fn bytes(c: &mut Criterion) {
    let (data, keys) = (data(16 << 20), keys());
    let chunker = Chunker::new(ChunkerParameters::DEFAULT, keys.gear_table());
    let mut group = c.benchmark_group("bytes");
    group.throughput(Throughput::Bytes(data.len() as u64)).sample_size(20);
    group.bench_function("cut", |b| {
        b.iter(|| {
            let mut rest = &data[..];
            while !rest.is_empty() {
                rest = &rest[chunker.cut(rest)..];
            }
        });
    });
    group.bench_function("hash 64 KiB pieces", |b| {
        b.iter(|| {
            for piece in data.chunks(64 << 10) {
                black_box(keys.chunk_id(piece));
            }
        });
    });
    for level in [1, 3] {
        let mut compressor = Compressor::new(level).expect("a level that zstd has");
        group.bench_function(format!("compress and compare, level {level}, 2 MiB blocks"), |b| {
            b.iter(|| {
                for block in data.chunks(2 << 20) {
                    black_box(compressor.pack(block).expect("sound memory"));
                }
            });
        });
    }
    let packed = Compressor::new(3).and_then(|mut c| c.pack(&data[..2 << 20])).expect("sound memory");
    group.throughput(Throughput::Bytes(2 << 20));
    group.bench_function("unpack a 2 MiB block", |b| {
        let (mut unpack, mut raw) = (Decompressor::new().expect("memory"), Vec::new());
        b.iter(|| unpack.unpack_into(packed.codec, &packed.bytes, 2 << 20, &mut raw));
    });
    group.finish();
}

fn seal(c: &mut Criterion) {
    let (data, keys) = (data(16 << 20), keys());
    let segment = || {
        let mut segment = SegmentWriter::new(SegmentKind::Bulk);
        for block in data.chunks(1 << 20) {
            let packed = homekeep::codec::Packed { codec: Codec::Stored, bytes: block.to_vec() };
            let chunk = ChunkEntry { id: keys.chunk_id(block), length: block.len() as u32 };
            segment.push(BlockKind::Data, packed, vec![chunk]);
        }
        segment
    };
    let mut group = c.benchmark_group("segment");
    group.throughput(Throughput::Bytes(data.len() as u64)).sample_size(20);
    group.bench_function("seal, open and compare 16 MiB", |b| {
        b.iter_batched(segment, |s| s.finish(&keys, &[1; 32], None), BatchSize::LargeInput);
    });
    group.finish();
}

/// A catalogue of a million chunks in ten segments.
fn million(folder: &Path) -> CatalogWriter {
    let keys = keys();
    let mut catalog = CatalogWriter::new(Catalog::open(folder).expect("a folder to write to"));
    let (bytes, _) =
        SegmentWriter::new(SegmentKind::Bulk).finish(&keys, &[1; 32], None).expect("sound memory");
    let header = Header::from_bytes(&bytes).expect("just made");
    for segment in 0..10_u64 {
        let block = |block: u64| TocBlock {
            kind: BlockKind::Data,
            codec: Codec::Zstd,
            start: 0,
            stored_len: 100,
            raw_len: 1000,
            chunks: (0..10)
                .map(|n| ChunkEntry { id: id(segment * 100_000 + block * 10 + n), length: 100 })
                .collect(),
        };
        let toc = Toc { blocks: (0..10_000).map(block).collect(), record: None };
        let hash = Hash::of(&segment.to_le_bytes());
        catalog.add_segment(&ObjectName::segment(&hash), &hash, 100, &header, &toc).expect("a new segment");
    }
    catalog
}

fn id(n: u64) -> ChunkId {
    ChunkId(*blake3::hash(&n.to_le_bytes()).as_bytes())
}

fn index(c: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let catalog = million(folder.path());
    let mut group = c.benchmark_group("index of a million chunks");
    group.throughput(Throughput::Elements(1));
    let mut n = 0;
    group.bench_function("look up a known chunk", |b| {
        b.iter(|| {
            n = (n + 7919) % 1_000_000;
            catalog.catalog().locate(&id(n)).expect("a sound index").expect("known")
        });
    });
    group.bench_function("look up a new chunk", |b| {
        b.iter(|| {
            n += 7919;
            catalog.catalog().locate(&id(n + 1_000_000)).expect("a sound index")
        });
    });
    group.finish();
}

fn walk(c: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for directory in 0..100 {
        let path = folder.path().join(format!("{directory:03}"));
        std::fs::create_dir(&path).expect("a new folder");
        for file in 0..50 {
            std::fs::write(path.join(format!("{file:03}")), "x").expect("a new file");
        }
    }
    let mut group = c.benchmark_group("walk");
    group.throughput(Throughput::Elements(5_100));
    group.bench_function("list and stat 5 100 entries, warm", |b| {
        let mut buffer = ListBuffer::default();
        b.iter(|| {
            let root = walk::open_path(folder.path()).expect("there");
            let listing = walk::list(&root, &mut buffer, |_| true).expect("readable");
            for entry in listing.entries {
                let directory = walk::open_directory(&root, &entry.name).expect("there");
                black_box(walk::list(&directory, &mut buffer, |_| true).expect("readable"));
            }
        });
    });
    group.finish();
}

criterion_group!(stages, bytes, seal, index, walk);
criterion_main!(stages);
