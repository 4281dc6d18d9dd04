//! Tiny homes that have files in common, and what a snapshot holds of one.

use std::fs;
use std::path::{Path, PathBuf};

use homekeep::format::{Entry, EntryKind, Extent};
use homekeep::repo::{Reader, RepoError, Snapshot};

use crate::support::{Contents, contents, noise, source_of, write_old};

/// Files of each home, by number of the pool; neighbours have two in common.
const FILES: [&[u64]; 6] = [&[0, 1, 2], &[1, 2, 3], &[2, 3, 4], &[0, 4], &[3, 5, 0], &[5]];

/// The homes, each in a folder of its own, where a user `ann` has it. Nobody changes them.
#[derive(Clone)]
pub struct Homes {
    folder: PathBuf,
    contents: Vec<Contents>,
}

impl Homes {
    pub fn new(folder: &Path) -> Self {
        let mut homes = Self { folder: folder.to_path_buf(), contents: Vec::new() };
        for (home, files) in FILES.iter().enumerate() {
            let ann = homes.folder(home).join("ann");
            fs::create_dir_all(ann.join("below")).unwrap();
            for file in *files {
                let place = if file % 2 == 0 { "" } else { "below" };
                write_old(&ann.join(place).join(format!("file{file}")), pool(*file));
            }
            homes.contents.push(contents(&ann));
        }
        homes
    }

    pub fn count(&self) -> usize {
        FILES.len()
    }

    /// The folder that has a home.
    pub fn folder(&self, home: usize) -> PathBuf {
        self.folder.join(format!("home{home}"))
    }

    pub fn contents(&self, home: usize) -> &Contents {
        &self.contents[home]
    }
}

/// From one chunk to some ten.
fn pool(file: u64) -> Vec<u8> {
    noise(file + 1, 500 + 9_000 * file as usize)
}

/// What a snapshot has of the home, every byte read and verified.
pub fn read_home(reader: &mut Reader, snapshot: &Snapshot) -> Result<Contents, RepoError> {
    let (_, source) = source_of(snapshot, "ann").expect("the snapshot has the home");
    let mut found = Contents::new();
    let mut directories = vec![(PathBuf::new(), source.entry)];
    while let Some((path, directory)) = directories.pop() {
        let EntryKind::Directory(tree) = directory.kind else { continue };
        for entry in reader.listing(&tree)? {
            let path = path.join(String::from_utf8_lossy(&entry.name).as_ref());
            match &entry.kind {
                EntryKind::Directory(_) => {
                    found.insert(path.clone(), b"directory".to_vec());
                    directories.push((path, entry));
                }
                _ => drop(found.insert(path, read_file(reader, &entry)?)),
            }
        }
    }
    Ok(found)
}

fn read_file(reader: &mut Reader, entry: &Entry) -> Result<Vec<u8>, RepoError> {
    let EntryKind::File(content) = &entry.kind else { panic!("{entry:?} is no file") };
    let mut bytes = Vec::new();
    reader.extents(content, &mut |reader, extent| match extent {
        Extent::Data { id, .. } => reader.data(&id, &mut bytes),
        Extent::Hole { length } => {
            bytes.resize(bytes.len() + length as usize, 0);
            Ok(())
        }
    })?;
    Ok(bytes)
}
