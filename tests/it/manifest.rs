//! What a home holds, as text that can be compared: from a directory on disk, or from a repository.
//! Times are seconds and nanoseconds; names that are no UTF-8 are written as escapes.

use std::collections::HashMap;
use std::fs::Metadata;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use homekeep::codec::Hash;
use homekeep::format::{Entry, EntryKind, Extent};
use homekeep::repo::{Reader, RepoError};
use serde_json::{Map, Value, json};

/// Everything below a directory, and itself under the empty path.
pub fn of_directory(folder: &Path) -> Value {
    let mut inodes: HashMap<(u64, u64), String> = HashMap::new();
    let mut entries = Map::new();
    for found in walkdir::WalkDir::new(folder).sort_by_file_name() {
        let found = found.unwrap();
        let path = text(found.path().strip_prefix(folder).unwrap().as_os_str().as_bytes());
        let metadata = found.path().symlink_metadata().unwrap();
        let mut described = describe(found.path(), &metadata);
        if metadata.nlink() > 1 && !metadata.is_dir() {
            let first = inodes.entry((metadata.dev(), metadata.ino())).or_insert_with(|| path.clone());
            described["link"] = json!(first);
        }
        entries.insert(path, described);
    }
    Value::Object(entries)
}

fn describe(path: &Path, metadata: &Metadata) -> Value {
    let common = |kind: &str| {
        json!({
            "kind": kind,
            "mode": format!("{:04o}", metadata.mode() & 0o7777),
            "mtime": format!("{}.{:09}", metadata.mtime(), metadata.mtime_nsec()),
            "owner": format!("{}:{}", metadata.uid(), metadata.gid()),
        })
    };
    let kind = metadata.file_type();
    let mut described = if kind.is_dir() {
        common("directory")
    } else if kind.is_symlink() {
        let mut link = common("symlink");
        link["target"] = json!(text(std::fs::read_link(path).unwrap().as_os_str().as_bytes()));
        link
    } else if kind.is_fifo() {
        common("fifo")
    } else {
        assert!(kind.is_file(), "{path:?}");
        let bytes = std::fs::read(path).unwrap();
        with_content(common("file"), bytes.len() as u64, Hash::of(&bytes))
    };
    let mut names = [0; 4096];
    let length = rustix::fs::llistxattr(path, &mut names).unwrap_or(0);
    for name in names[..length].split(|b| *b == 0).filter(|name| name.starts_with(b"user.")) {
        let mut value = [0; 4096];
        let length = rustix::fs::lgetxattr(path, name, &mut value).unwrap();
        described["xattrs"][text(name)] = json!(text(&value[..length]));
    }
    described
}

fn with_content(mut described: Value, size: u64, hash: Hash) -> Value {
    described["size"] = json!(size);
    described["blake3"] = json!(hash.to_hex());
    described
}

/// Everything a home's root entry leads to, every byte of it read.
pub fn of_tree(reader: &mut Reader, root: &Entry) -> Result<Value, RepoError> {
    let mut tree = Tree { groups: HashMap::new(), entries: Map::new() };
    tree.visit(reader, "", root)?;
    Ok(Value::Object(tree.entries))
}

struct Tree {
    groups: HashMap<[u8; 16], String>,
    entries: Map<String, Value>,
}

impl Tree {
    fn visit(&mut self, reader: &mut Reader, path: &str, entry: &Entry) -> Result<(), RepoError> {
        let mut described = describe_entry(reader, entry)?;
        if let Some(group) = entry.attributes.link_group {
            described["link"] = json!(self.groups.entry(group).or_insert_with(|| path.into()));
        }
        self.entries.insert(path.into(), described);
        let EntryKind::Directory(id) = &entry.kind else { return Ok(()) };
        for child in reader.listing(id)? {
            let name = text(&child.name);
            let path = if path.is_empty() { name } else { format!("{path}/{name}") };
            self.visit(reader, &path, &child)?;
        }
        Ok(())
    }
}

fn describe_entry(reader: &mut Reader, entry: &Entry) -> Result<Value, RepoError> {
    let common = |kind: &str| {
        json!({
            "kind": kind,
            "mode": format!("{:04o}", entry.mode),
            "mtime": format!("{}.{:09}", entry.mtime_s, entry.mtime_ns),
            "owner": format!("{}:{}", entry.owner.uid, entry.owner.gid),
        })
    };
    let mut described = match &entry.kind {
        EntryKind::Directory(_) => common("directory"),
        EntryKind::Fifo => common("fifo"),
        EntryKind::Symlink(target) => {
            let mut link = common("symlink");
            link["target"] = json!(text(target));
            link
        }
        EntryKind::File(content) => {
            let mut bytes = Vec::new();
            reader.extents(content, &mut |reader, extent| match extent {
                Extent::Data { id, length } => {
                    reader.with_data(&id, length, |chunk| bytes.extend_from_slice(chunk))
                }
                Extent::Hole { length } => {
                    bytes.resize(bytes.len() + length as usize, 0);
                    Ok(())
                }
            })?;
            with_content(common("file"), content.size(), Hash::of(&bytes))
        }
        kind => panic!("{kind:?}"),
    };
    for xattr in entry.attributes.xattrs.iter().filter(|xattr| xattr.name.starts_with(b"user.")) {
        described["xattrs"][text(&xattr.name)] = json!(text(&xattr.value));
    }
    Ok(described)
}

fn text(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.into(),
        Err(_) => bytes.escape_ascii().to_string(),
    }
}
