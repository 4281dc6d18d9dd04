//! What only a store in a folder can do wrong: links, modes, leftovers, full disks.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use super::*;
use crate::codec::Hash;

fn new_store() -> (TempDir, LocalStore) {
    let folder = tempfile::tempdir().unwrap();
    let store = LocalStore::create(&folder.path().join("store")).unwrap();
    (folder, store)
}

fn segment(bytes: &[u8]) -> ObjectName {
    ObjectName::segment(&Hash::of(bytes))
}

/// Every file below a folder, objects or not.
fn files_below(path: &Path) -> Vec<PathBuf> {
    let entries = walkdir::WalkDir::new(path).into_iter().map(Result::unwrap);
    entries.filter(|entry| !entry.file_type().is_dir()).map(walkdir::DirEntry::into_path).collect()
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn everything_is_for_the_owner_only() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("missing/store");
    let store = LocalStore::create(&root).unwrap();
    let name = segment(b"x");
    store.put(&name, b"x").unwrap();
    store.put(&ObjectName::descriptor(), b"x").unwrap();
    let shard = root.join(name.as_str()).parent().unwrap().to_owned();
    for made in [folder.path().join("missing"), root.clone(), root.join("segments"), shard] {
        assert_eq!(mode(&made), 0o700, "{}", made.display());
    }
    for made in files_below(&root) {
        assert_eq!(mode(&made), 0o600, "{}", made.display());
    }
}

#[test]
fn only_a_folder_that_exists_is_opened() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing");
    let text = LocalStore::open(&missing).unwrap_err().to_string();
    assert_eq!(text, format!("cannot open the store in {}", missing.display()));
    let file = folder.path().join("file");
    fs::write(&file, "x").unwrap();
    assert!(LocalStore::open(&file).is_err());
    assert!(LocalStore::create(&file).is_err());
    assert!(LocalStore::create(&file.join("below")).is_err());
    assert_eq!(fs::read(&file).unwrap(), b"x");
}

#[test]
fn objects_outlive_the_handle() {
    let (folder, store) = new_store();
    store.put(&segment(b"x"), b"x").unwrap();
    drop(store);
    let store = LocalStore::create(&folder.path().join("store")).unwrap();
    assert_eq!(store.get(&segment(b"x")).unwrap(), b"x");
}

#[test]
fn a_link_to_a_folder_is_not_followed_out_of_the_store() {
    let (folder, store) = new_store();
    let outside = folder.path().join("outside");
    let name = segment(b"x");
    let victim = outside.join(name.as_str().strip_prefix("segments/").unwrap());
    fs::create_dir_all(victim.parent().unwrap()).unwrap();
    fs::write(&victim, "x").unwrap();
    symlink(&outside, folder.path().join("store/segments")).unwrap();

    assert!(matches!(store.get(&name), Err(StoreError::Io { .. })));
    assert!(matches!(store.put(&name, b"x"), Err(StoreError::Io { .. })));
    assert!(matches!(store.delete(&name), Err(StoreError::Io { .. })));
    assert!(matches!(store.list("segments/"), Err(StoreError::Io { .. })));
    assert_eq!(store.list("").unwrap(), []);
    assert_eq!(files_below(&outside), [victim]);
}

#[test]
fn a_link_in_the_place_of_an_object_is_neither_read_nor_written_through() {
    let (folder, store) = new_store();
    let outside = folder.path().join("outside");
    fs::write(&outside, "secret").unwrap();
    symlink(&outside, folder.path().join("store/format")).unwrap();
    let name = ObjectName::descriptor();
    assert!(matches!(store.get(&name), Err(StoreError::Io { .. })));
    assert!(matches!(store.put(&name, b"secret"), Err(StoreError::Io { .. })));
    assert_eq!(store.list("").unwrap(), []);
    store.delete(&name).unwrap();
    assert_eq!(fs::read(&outside).unwrap(), b"secret");
}

#[test]
fn foreign_things_are_left_out_and_do_not_block() {
    let (folder, store) = new_store();
    let root = folder.path().join("store");
    fs::create_dir_all(root.join("lost+found/segments")).unwrap();
    fs::write(root.join("lost+found/segments/x"), "x").unwrap();
    fs::write(root.join("README"), "x").unwrap();
    fs::create_dir(root.join("keys")).unwrap();
    assert!(Command::new("mkfifo").arg(root.join("format")).status().unwrap().success());
    assert_eq!(store.list("").unwrap(), []);
    assert!(matches!(store.get(&ObjectName::descriptor()), Err(StoreError::Io { .. })));
}

#[test]
fn temporary_files_are_no_objects_and_go_when_they_are_stale() {
    let (folder, store) = new_store();
    store.put(&segment(b"x"), b"x").unwrap();
    let shard = folder.path().join("store/segments").join(&Hash::of(b"x").to_hex()[..2]);
    let [fresh, stale] = [(); 2].map(|()| shard.join(place::temporary_name().unwrap()));
    fs::write(&fresh, "half").unwrap();
    fs::write(&stale, "half").unwrap();
    let hour_ago = SystemTime::now() - Duration::from_secs(3600);
    fs::File::options().write(true).open(&stale).unwrap().set_modified(hour_ago).unwrap();

    assert_eq!(store.list("").unwrap().len(), 1);
    assert_eq!(store.clean_up(Duration::from_secs(7200)).unwrap(), 0);
    assert_eq!(store.clean_up(Duration::from_secs(60)).unwrap(), 1);
    assert!(fresh.exists() && !stale.exists());
    assert_eq!(store.get(&segment(b"x")).unwrap(), b"x");
}

#[test]
fn a_folder_that_vanished_is_made_again() {
    let (folder, store) = new_store();
    store.put(&segment(b"x"), b"x").unwrap();
    fs::remove_dir_all(folder.path().join("store/segments")).unwrap();
    store.put(&segment(b"x"), b"x").unwrap();
    assert_eq!(store.get(&segment(b"x")).unwrap(), b"x");
}

#[test]
fn a_store_that_vanished_is_an_error_and_not_empty() {
    let (folder, store) = new_store();
    store.put(&segment(b"x"), b"x").unwrap();
    fs::remove_dir_all(folder.path().join("store")).unwrap();
    assert!(matches!(store.list(""), Err(StoreError::Io { .. })));
    assert!(matches!(store.put(&segment(b"x"), b"x"), Err(StoreError::Io { .. })));
}

#[test]
fn objects_that_come_and_go_do_not_disturb_a_listing() {
    let (_folder, store) = new_store();
    store.put(&segment(b"stays"), b"stays").unwrap();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for bytes in (0..200_u32).map(u32::to_le_bytes) {
                store.put(&segment(&bytes), &bytes).unwrap();
                store.delete(&segment(&bytes)).unwrap();
            }
        });
        while !writer.is_finished() {
            let listed = store.list("").unwrap();
            assert!(listed.iter().any(|object| object.name == segment(b"stays")));
        }
    });
}

#[test]
fn a_replaced_object_is_a_new_file() {
    let (folder, store) = new_store();
    let path = folder.path().join("store").join(segment(b"whole").as_str());
    store.put(&segment(b"whole"), b"who").unwrap();
    let torn = fs::metadata(&path).unwrap().ino();
    store.put(&segment(b"whole"), b"whole").unwrap();
    let whole = fs::metadata(&path).unwrap().ino();
    store.put(&segment(b"whole"), b"whole").unwrap();
    assert_ne!(torn, whole);
    assert_eq!(fs::metadata(&path).unwrap().ino(), whole);
    assert_eq!(files_below(folder.path()), [path]);
}

#[test]
fn what_is_too_long_for_an_object_is_damaged_and_takes_no_memory() {
    let (folder, store) = new_store();
    let root = folder.path().join("store");
    for name in [segment(b"x"), ObjectName::descriptor()] {
        store.put(&name, b"x").unwrap();
        let file = fs::File::options().write(true).open(root.join(name.as_str())).unwrap();
        file.set_len(1 << 40).unwrap();
        assert!(matches!(store.get(&name), Err(StoreError::Io { .. })));
        assert_eq!(store.get_range(&name, 0, 2).unwrap(), b"x\0");
    }
    store.put(&segment(b"x"), b"x").unwrap();
    assert_eq!(store.get(&segment(b"x")).unwrap(), b"x");
    assert!(matches!(store.put(&ObjectName::descriptor(), b"x"), Err(StoreError::Conflict { .. })));
}

#[test]
fn without_a_rename_that_refuses_a_free_name_is_still_taken_once() {
    let (folder, store) = new_store();
    let root = folder.path().join("store");
    let name = ObjectName::descriptor();
    let place = Place { folder: store.folders.open("").unwrap(), file_name: "format", name: &name };
    for (temporary, taken) in [("first", true), ("second", false)] {
        fs::write(root.join(temporary), temporary).unwrap();
        assert_eq!(place.take_free_name(temporary).is_ok(), taken);
        assert_eq!(root.join(temporary).exists(), !taken);
    }
    assert_eq!(store.get(&name).unwrap(), b"first");
}

/// A small file system of its own, until dropped; nothing where the test may not mount one.
struct SmallDisk(TempDir);

impl SmallDisk {
    fn mount(size: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).arg(folder.path());
        let mounted = rustix::process::geteuid().is_root() && mount.status().is_ok_and(|s| s.success());
        if !mounted {
            eprintln!("skipped: only root may mount a small file system");
        }
        mounted.then_some(Self(folder))
    }

    fn make_read_only(&self) {
        let mut mount = Command::new("mount");
        mount.args(["-o", "remount,ro"]).arg(self.0.path());
        assert!(mount.status().unwrap().success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[test]
fn a_full_disk_keeps_nothing_of_the_object_and_takes_it_when_there_is_room() {
    let Some(disk) = SmallDisk::mount("1m") else { return };
    let store = LocalStore::open(disk.0.path()).unwrap();
    let (filler, wanted) = (vec![1; 700 << 10], vec![2; 500 << 10]);
    store.put(&segment(&filler), &filler).unwrap();

    assert!(matches!(store.put(&segment(&wanted), &wanted), Err(StoreError::Full { .. })));
    assert!(matches!(store.get(&segment(&wanted)), Err(StoreError::NotFound { .. })));
    assert_eq!(files_below(disk.0.path()), [disk.0.path().join(segment(&filler).as_str())]);
    assert_eq!(store.get(&segment(&filler)).unwrap(), filler);

    store.delete(&segment(&filler)).unwrap();
    store.put(&segment(&wanted), &wanted).unwrap();
    assert_eq!(store.get(&segment(&wanted)).unwrap(), wanted);
}

#[test]
fn a_read_only_disk_denies_writing_and_reads_on() {
    let Some(disk) = SmallDisk::mount("1m") else { return };
    let store = LocalStore::open(disk.0.path()).unwrap();
    store.put(&segment(b"x"), b"x").unwrap();
    disk.make_read_only();
    assert!(matches!(store.put(&segment(b"y"), b"y"), Err(StoreError::Denied { action: "write", .. })));
    assert!(matches!(store.delete(&segment(b"x")), Err(StoreError::Denied { action: "delete", .. })));
    assert_eq!(store.get(&segment(b"x")).unwrap(), b"x");
    assert_eq!(store.list("").unwrap().len(), 1);
}

#[test]
fn what_is_no_object_is_listed_apart() {
    let folder = tempfile::tempdir().unwrap();
    let store = LocalStore::create(folder.path()).unwrap();
    store.put(&"segments/ab/cd".parse().unwrap(), b"bytes").unwrap();
    std::fs::write(folder.path().join("segments/.tmp-1_"), "half").unwrap();
    std::fs::write(folder.path().join("READ ME"), "mine").unwrap();
    let strays: Vec<_> =
        store.strays().unwrap().into_iter().map(|s| (s.path, s.length, s.is_temporary)).collect();
    assert_eq!(strays, [("READ ME".to_owned(), 4, false), ("segments/.tmp-1_".to_owned(), 4, true)]);
}
