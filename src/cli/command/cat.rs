//! `cat`: an object of the repository as JSON, for debugging; a chunk as its bytes.

use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::{Value, json};

use crate::cli::choose;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::json::{SnapshotObject, hex, lossy, raw, rfc3339};
use crate::cli::open;
use crate::codec::{ChunkId, Codec};
use crate::engine::select::SelectError;
use crate::format::{
    BlockKind, ChunkEntry, Content, Entry, EntryKind, Extent, ObjectName, SlotKind, SnapshotRecord, TocBlock,
    TreeObject,
};
use crate::repo::Repository;

/// Print an object of the repository, for debugging
#[derive(Debug, Args)]
pub struct CatArguments {
    #[command(subcommand)]
    object: Object,
}

#[derive(Debug, Subcommand)]
enum Object {
    /// What every program must know of the repository
    #[command(alias = "config")]
    Format,
    /// A key slot
    Key {
        /// Its id, or the first digits
        id: String,
    },
    /// A snapshot's record
    Snapshot {
        /// Its id or the first digits, `latest`, or a time
        id: String,
    },
    /// A segment's table of contents
    Segment {
        /// Its hash, or the first digits
        hash: String,
    },
    /// A directory's listing, or a page of it
    Tree {
        /// Its id
        id: ChunkId,
    },
    /// The bytes of a run of file data
    Chunk {
        /// Its id
        id: ChunkId,
    },
}

/// Prints it.
pub fn run(context: &Context, arguments: &CatArguments) -> Result<Exit, CliError> {
    let mut repository = open::open(context)?;
    let value = match &arguments.object {
        Object::Format => format(&repository),
        Object::Key { id } => key(&repository, id)?,
        Object::Snapshot { id } => snapshot(&mut repository, id)?,
        Object::Segment { hash } => segment(&mut repository, hash)?,
        Object::Tree { id } => tree(&mut repository, id)?,
        Object::Chunk { id } => {
            repository.sync(&mut |_, _| {})?;
            let mut bytes = Vec::new();
            repository.reader()?.data(id, &mut bytes)?;
            context.output.write(&bytes);
            return Ok(Exit::Done);
        }
    };
    print(context, &value);
    Ok(Exit::Done)
}

/// For people over several lines, for programs on one.
fn print(context: &Context, value: &Value) {
    if context.output.is_json() {
        context.output.object(value);
    } else {
        context.output.line(&format!("{value:#}"));
    }
}

fn format(repository: &Repository) -> Value {
    let descriptor = repository.descriptor();
    json!({
        "version": 1,
        "repository_id": hex(&descriptor.repository_id),
        "chunker": {
            "min": descriptor.chunker.min,
            "average": descriptor.chunker.average,
            "max": descriptor.chunker.max,
        },
        "block_len": descriptor.block_len,
        "features": descriptor.features,
    })
}

/// What wraps the master key is left out: it is of no use here.
fn key(repository: &Repository, id: &str) -> Result<Value, CliError> {
    let slots = repository.slots()?;
    let slot = only("key", id, slots.iter().filter(|slot| slot.hash.to_hex().starts_with(id)))?;
    let cost = match slot.slot.kind {
        SlotKind::KeyFile => Value::Null,
        SlotKind::Passphrase { memory_kib, passes, lanes } => {
            json!({ "memory_kib": memory_kib, "passes": passes, "lanes": lanes })
        }
    };
    Ok(json!({
        "id": slot.hash.to_hex(),
        "kind": if cost.is_null() { "key-file" } else { "passphrase" },
        "argon2id": cost,
        "salt": hex(&slot.slot.salt),
        "created": rfc3339(slot.slot.created_s.saturating_mul(1000)),
        "label": slot.slot.label,
    }))
}

#[derive(Serialize)]
struct FullSnapshot {
    #[serde(flatten)]
    snapshot: SnapshotObject,
    supersession: u32,
    parents: Vec<String>,
    gc_seen: Vec<String>,
    deps: Vec<String>,
}

fn full(record: &SnapshotRecord) -> FullSnapshot {
    FullSnapshot {
        snapshot: SnapshotObject::new(record),
        supersession: record.supersession,
        parents: record.parents.iter().map(|parent| parent.to_hex()).collect(),
        gc_seen: record.gc_seen.clone(),
        deps: record.deps.iter().map(|dep| hex(dep)).collect(),
    }
}

fn snapshot(repository: &mut Repository, id: &str) -> Result<Value, CliError> {
    repository.sync(&mut |_, _| {})?;
    let summaries = repository.summaries()?;
    let found = choose::snapshot(&summaries, id)?;
    let snapshot = repository.snapshot(&found.hash)?.ok_or_else(|| SelectError::NoSuchId(id.into()))?;
    let mut value = serde_json::to_value(full(&snapshot.record)).map_err(|e| CliError::Output(e.into()))?;
    value["object"] = snapshot.name.to_string().into();
    Ok(value)
}

/// Reads the object itself: the index may know it otherwise, or not at all.
fn segment(repository: &mut Repository, hash: &str) -> Result<Value, CliError> {
    let store = repository.store();
    let mut listed = store.list("segments/").map_err(crate::repo::RepoError::from)?;
    listed.extend(store.list("snapshots/").map_err(crate::repo::RepoError::from)?);
    let begins = |name: &ObjectName| name.promised_hash().is_some_and(|h| h.to_hex().starts_with(hash));
    let listed = only("segment", hash, listed.iter().filter(|listed| begins(&listed.name)))?;
    let (header, toc) = repository.read_toc(&listed.name, listed.length)?;
    let record = match &toc.record {
        None => Value::Null,
        Some(bytes) => match SnapshotRecord::from_bytes(bytes) {
            Ok(record) => record.id.to_hex().into(),
            Err(error) => format!("cannot be read: {error}").into(),
        },
    };
    Ok(json!({
        "object": listed.name.to_string(),
        "length": listed.length,
        "kind": format!("{:?}", header.kind).to_lowercase(),
        "snapshot": record,
        "blocks": toc.blocks.iter().map(block).collect::<Vec<_>>(),
    }))
}

fn block(block: &TocBlock) -> Value {
    let chunk = |chunk: &ChunkEntry| json!({ "id": chunk.id.to_hex(), "length": chunk.length });
    json!({
        "kind": if block.kind == BlockKind::Data { "data" } else { "tree" },
        "codec": if block.codec == Codec::Stored { "stored" } else { "zstd" },
        "start": block.start,
        "stored_len": block.stored_len,
        "raw_len": block.raw_len,
        "chunks": block.chunks.iter().map(chunk).collect::<Vec<_>>(),
    })
}

fn tree(repository: &mut Repository, id: &ChunkId) -> Result<Value, CliError> {
    repository.sync(&mut |_, _| {})?;
    Ok(match repository.reader()?.tree(id)? {
        TreeObject::Page(page) => json!({ "entries": page.entries.iter().map(entry).collect::<Vec<_>>() }),
        TreeObject::Index(index) => {
            let pages = index.pages.iter().map(|(page, _)| page.to_hex());
            json!({ "pages": pages.collect::<Vec<_>>() })
        }
    })
}

fn entry(entry: &Entry) -> Value {
    let mut value = json!({
        "name": lossy(&entry.name),
        "mode": format!("{:04o}", entry.mode),
        "uid": entry.owner.uid,
        "gid": entry.owner.gid,
        "user": entry.owner.user,
        "group": entry.owner.group,
        "mtime": format!("{}.{:09}", entry.mtime_s, entry.mtime_ns),
        "flags": entry.attributes.flags,
        "link_group": entry.attributes.link_group.map(|group| hex(&group)),
        "xattrs": entry.attributes.xattrs.iter().map(|x| json!({ "name": lossy(&x.name), "value": hex(&x.value) }))
            .collect::<Vec<_>>(),
    });
    if let Some(raw) = raw(&entry.name) {
        value["name_bytes"] = raw.into();
    }
    let (kind, what) = match &entry.kind {
        EntryKind::File(content) => ("file", contents(content)),
        EntryKind::Directory(tree) => ("directory", json!({ "tree": tree.to_hex() })),
        EntryKind::Symlink(target) => {
            ("symlink", json!({ "target": lossy(target), "target_bytes": raw(target) }))
        }
        EntryKind::Fifo => ("fifo", json!({})),
        EntryKind::CharDevice(device) => ("char_device", json!({ "device": device })),
        EntryKind::BlockDevice(device) => ("block_device", json!({ "device": device })),
    };
    value["kind"] = kind.into();
    value["content"] = what;
    value
}

fn contents(content: &Content) -> Value {
    let extent = |extent: &Extent| match extent {
        Extent::Data { id, length } => json!({ "id": id.to_hex(), "length": length }),
        Extent::Hole { length } => json!({ "hole": length }),
    };
    let extents: Vec<_> = content.extents.iter().map(extent).collect();
    json!({ "size": content.size(), "depth": content.depth, "extents": extents })
}

/// The only one of what was found.
fn only<T>(what: &'static str, id: &str, mut found: impl Iterator<Item = T>) -> Result<T, CliError> {
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(one),
        (Some(_), Some(_)) => Err(CliError::Ambiguous { what, id: id.into() }),
        (None, _) => Err(CliError::Unknown { what, id: id.into() }),
    }
}
