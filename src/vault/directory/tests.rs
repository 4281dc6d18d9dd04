//! What only a provider in a folder can do wrong: modes, links, owners, leftovers.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::time::{Duration, SystemTime};

use tempfile::TempDir;

use super::*;

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// A folder, the vault's path in it, and the vault with one document.
fn site() -> (TempDir, PathBuf, DirectoryProvider) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/vault");
    let provider = DirectoryProvider::new(&path).unwrap();
    provider.put("Ann", b"{}").unwrap();
    (folder, path, provider)
}

fn refusal(path: &Path) -> String {
    match DirectoryProvider::new(path).unwrap().list().unwrap_err() {
        ProviderError::Configuration(text) => text,
        other => panic!("{other:?}"),
    }
}

#[test]
fn everything_is_for_the_owner_only() {
    let (folder, path, provider) = site();
    for made in [folder.path().join("deep"), path.clone()] {
        assert_eq!(mode(&made), 0o700, "{}", made.display());
    }
    assert_eq!(mode(&path.join("_41nn.json")), 0o600);
    provider.put("Ann", b"[]").unwrap();
    assert_eq!(mode(&path.join("_41nn.json")), 0o600);
    assert_eq!(fs::read_dir(&path).unwrap().count(), 1);
}

#[test]
fn reading_creates_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vault");
    let provider = DirectoryProvider::new(&path).unwrap();
    assert!(provider.list().unwrap().is_empty());
    assert_eq!(provider.get("ann").unwrap(), None);
    provider.delete("ann").unwrap();
    assert!(!path.exists());
}

#[test]
fn a_folder_that_others_can_write_to_is_refused_in_words() {
    let (_folder, path, provider) = site();
    for shared in [0o720, 0o702, 0o777, 0o1777] {
        set_mode(&path, shared);
        assert!(refusal(&path).contains("chmod 0700"), "{}", refusal(&path));
        assert!(matches!(provider.put("bob", b"{}"), Err(ProviderError::Configuration(_))));
        assert!(provider.get("Ann").is_err() && provider.list().is_err() && provider.delete("Ann").is_err());
    }
    set_mode(&path, 0o755);
    provider.put("bob", b"{}").unwrap();
}

#[test]
fn a_folder_that_others_can_exchange_on_the_way_is_refused() {
    let (folder, path, _) = site();
    let deep = folder.path().join("deep");
    set_mode(&deep, 0o777);
    assert!(refusal(&path).contains("on the way"), "{}", refusal(&path));
    // What is sticky lets nobody exchange what is not theirs.
    set_mode(&deep, 0o1777);
    DirectoryProvider::new(&path).unwrap();
    set_mode(&deep, 0o700);
    let link = folder.path().join("link");
    symlink(&path, &link).unwrap();
    DirectoryProvider::new(&link).unwrap();
    let open = folder.path().join("open");
    fs::create_dir(&open).unwrap();
    symlink(&path, open.join("link")).unwrap();
    set_mode(&open, 0o777);
    symlink(open.join("link"), folder.path().join("roundabout")).unwrap();
    assert!(refusal(&open.join("link")).contains("on the way"));
    assert!(refusal(&folder.path().join("roundabout")).contains("on the way"));
}

#[test]
fn folders_of_others_are_refused() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can give folders away");
        return;
    }
    let (folder, path, _) = site();
    chown(&path, Some(65_533), None).unwrap();
    assert!(refusal(&path).contains("belongs to the user with the number 65533"));
    chown(&path, Some(0), None).unwrap();
    chown(folder.path().join("deep"), Some(65_533), None).unwrap();
    assert!(refusal(&path).contains("on the way"));
}

#[test]
fn no_link_or_pipe_in_the_folder_is_followed() {
    let (folder, path, provider) = site();
    let outside = folder.path().join("outside");
    fs::write(&outside, "of somebody else").unwrap();
    symlink(&outside, path.join("bob.json")).unwrap();
    let made = std::process::Command::new("mkfifo").arg(path.join("eve.json")).status().unwrap();
    assert!(made.success());
    fs::create_dir(path.join("max.json")).unwrap();
    assert_eq!(provider.list().unwrap().into_keys().collect::<Vec<_>>(), ["Ann"]);
    for user in ["bob", "eve", "max"] {
        assert!(provider.get(user).is_err(), "{user}");
    }
    provider.put("bob", b"{}").unwrap();
    assert_eq!(fs::read(&outside).unwrap(), b"of somebody else");
    assert_eq!(provider.get("bob").unwrap(), Some(b"{}".to_vec()));
    assert!(provider.put("max", b"{}").is_err());
}

#[test]
fn foreign_files_are_nobodys_documents() {
    let (_folder, path, provider) = site();
    for name in ["README", "ANN.json", "a b.json", ".json", "_61.json", &format!("_h{}.json", "0".repeat(64))]
    {
        fs::write(path.join(name), "{\"user\": \"x\"}").unwrap();
    }
    assert_eq!(provider.list().unwrap().into_keys().collect::<Vec<_>>(), ["Ann"]);
}

#[test]
fn what_interrupted_puts_left_goes_when_it_is_stale() {
    let (_folder, path, _) = site();
    fs::write(path.join(".tmp-1"), "half").unwrap();
    let provider = DirectoryProvider::new(&path).unwrap();
    provider.put("bob", b"{}").unwrap();
    assert!(path.join(".tmp-1").exists(), "another may be writing it");
    let folder = provider.folder().unwrap().unwrap();
    let later = SystemTime::now() + Duration::from_secs(7200);
    sweep(&folder, later).unwrap();
    assert!(!path.join(".tmp-1").exists());
    assert_eq!(provider.list().unwrap().len(), 2);
}

#[test]
fn a_document_edited_in_place_has_another_stamp() {
    let (_folder, path, provider) = site();
    let before = provider.list().unwrap();
    let file = path.join("_41nn.json");
    let modified = fs::metadata(&file).unwrap().modified().unwrap();
    // The change time moves with the kernel's tick.
    std::thread::sleep(Duration::from_millis(20));
    fs::write(&file, "[]").unwrap();
    fs::File::options().write(true).open(&file).unwrap().set_modified(modified).unwrap();
    assert_ne!(provider.list().unwrap(), before);
}

#[test]
fn a_name_too_long_for_a_file_needs_a_document_that_says_whose_it_is() {
    let (_folder, _, provider) = site();
    let long = "L".repeat(255);
    assert!(matches!(provider.put(&long, b"{}"), Err(ProviderError::Configuration(_))));
    provider.put(&long, serde_json::json!({"user": long}).to_string().as_bytes()).unwrap();
    assert!(provider.list().unwrap().contains_key(&long));
}
