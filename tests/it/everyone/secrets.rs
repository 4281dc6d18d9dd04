//! Secrets come back with their homes, and lie nowhere before.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::PathBuf;

use super::{Machine, owner};
use crate::support::{is_root, write_old};

const KEY: &str = "-----BEGIN OPENSSH PRIVATE KEY-----\nCANARY-everyone\n-----END OPENSSH PRIVATE KEY-----\n";

/// Two users with a key each, lost.
fn lost() -> Machine {
    let machine = Machine::new();
    machine.program.run(&["init"]).expect(0);
    for (user, number) in [("ann", 2001), ("bob", 2002)] {
        machine.add(user, number);
        machine.plant(user, number);
        let folder = machine.home(user).join(".ssh");
        fs::create_dir(&folder).unwrap();
        fs::set_permissions(&folder, PermissionsExt::from_mode(0o700)).unwrap();
        write_old(&folder.join("id_rsa"), format!("{KEY}{user}"));
        fs::set_permissions(folder.join("id_rsa"), PermissionsExt::from_mode(0o600)).unwrap();
        for path in [&folder, &folder.join("id_rsa")] {
            chown(path, Some(number), Some(number)).unwrap();
        }
    }
    machine.save();
    machine.lose();
    machine
}

fn assert_key_is_back(machine: &Machine, user: &str, number: u32) {
    let folder = machine.home(user).join(".ssh");
    let key = folder.join("id_rsa");
    assert_eq!(fs::read_to_string(&key).unwrap(), format!("{KEY}{user}"));
    assert_eq!((owner(&folder), owner(&key)), ((number, number), (number, number)));
    let mode = |path: &PathBuf| fs::metadata(path).unwrap().mode() & 0o7777;
    assert_eq!((mode(&folder), mode(&key)), (0o700, 0o600));
}

#[test]
fn keys_come_back_with_their_homes_and_are_never_staged() {
    if !is_root() {
        return;
    }
    let machine = lost();
    machine.add("ann", 3001);
    machine.restore(&["--stage-users"]).expect(3);
    assert_key_is_back(&machine, "ann", 3001);
    let staged = machine.home(".homekeep-staged");
    assert!(staged.exists());
    for entry in walkdir::WalkDir::new(staged) {
        let entry = entry.unwrap();
        let is_secret = entry.file_type().is_file()
            && fs::read(entry.path()).unwrap().windows(6).any(|window| window == b"CANARY");
        assert!(!is_secret, "{entry:?}");
    }
    machine.add("bob", 3002);
    machine.restore(&[]).expect(0);
    assert_key_is_back(&machine, "bob", 3002);
    assert_eq!(fs::read_to_string(machine.home("bob").join("work/notes")).unwrap(), "bob's notes");
}

#[test]
fn a_vault_that_is_gone_or_cannot_be_opened_costs_the_secrets_alone() {
    if !is_root() {
        return;
    }
    let machine = lost();
    machine.add("ann", 3001);
    machine.add("bob", 3002);
    let wrong = machine.program.path("wrong.toml");
    fs::write(&wrong, "[vault]\nkey-file = \"/nowhere/at/all\"\n").unwrap();
    let told = machine.restore(&["--config", wrong.to_str().unwrap()]).expect(3);
    assert!(told.err.contains("the vault cannot be opened"), "{}", told.err);
    let mut vault = machine.program.repository.clone().into_os_string();
    vault.push(".vault");
    let kept = machine.program.path("kept");
    fs::rename(&vault, &kept).unwrap();
    let told = machine.restore(&["--json"]).expect(3);
    for user in ["ann", "bob"] {
        assert_eq!(machine.result(&told, user)["outcome"], "incomplete");
        assert_eq!(machine.result(&told, user)["problems"], 1);
        assert!(machine.home(user).join("work/notes").exists());
        assert!(!machine.home(user).join(".ssh/id_rsa").exists());
    }
    fs::remove_dir_all(&vault).ok();
    fs::rename(&kept, &vault).unwrap();
    machine.restore(&[]).expect(0);
    assert_key_is_back(&machine, "ann", 3001);
}
