//! Users without an account: told, made with the system's own programs, and never a reason to hand anything to a
//! stranger.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};

use homekeep::codec::SnapshotId;
use homekeep::engine::Meter;
use homekeep::engine::restore::everyone::{Happening, HomeOutcome, MissingUsers, Tell, restore_everyone};
use homekeep::engine::restore::{Change, RestoreOptions, RestoreTarget};
use homekeep::format::{Owner, SnapshotRecord};
use homekeep::repo::{WriteTarget, WriterOptions};

use super::{Machine, owner, summary};
use crate::support::{LONG_AGO, Site, is_root, restore_options, set_mtime, source_of, write_old};

#[test]
fn who_has_no_account_is_told_and_left_and_comes_back_with_the_same_command_later() {
    if !is_root() {
        return;
    }
    let machine = Machine::lost(&[("ann", 2001), ("bob", 2002)]);
    machine.add("ann", 3001);
    // Bob's number is somebody else's here.
    machine.add("eve", 2002);
    let told = machine.restore(&[]).expect(3);
    machine.assert_back("ann", 3001);
    assert!(!machine.home("bob").exists());
    assert!(told.err.contains("homekeep: bob: not restored: there is no account bob here"), "{}", told.err);
    assert!(told.out.contains("1 without an account"), "{}", told.out);
    let programs = machine.restore(&["--json"]).expect(3);
    assert_eq!(machine.result(&programs, "bob")["outcome"], "no_account");
    assert_eq!(machine.result(&programs, "ann")["outcome"], "restored");
    assert_eq!(summary(&programs)["users_without_account"], 1);
    machine.add("bob", 3002);
    machine.restore(&[]).expect(0);
    machine.assert_back("bob", 3002);
}

#[test]
fn a_strangers_number_gets_no_file_and_root_lends_no_rights() {
    if !is_root() {
        return;
    }
    let machine = Machine::new();
    machine.add("ann", 2001);
    machine.add("bob", 2002);
    machine.add("guest", 2003);
    machine.plant("ann", 2001);
    let shared = machine.home("ann").join("from-bob");
    write_old(&shared, "bob's, for ann");
    chown(&shared, Some(2002), Some(2002)).unwrap();
    fs::set_permissions(&shared, PermissionsExt::from_mode(0o6755)).unwrap();
    let other = machine.home("ann").join("from-guest");
    write_old(&other, "a guest's");
    chown(&other, Some(2003), Some(2003)).unwrap();
    set_mtime(&machine.home("ann"), LONG_AGO, 7);
    machine.program.run(&["init"]).expect(0);
    machine.save();
    machine.lose();
    machine.add("ann", 2001);
    machine.add("eve", 2002);
    for arguments in [&[][..], &["--setuid", "always", "--overwrite", "always"]] {
        let told = machine.restore(arguments).expect(0);
        assert_eq!(owner(&shared), (0, 0), "{}", told.err);
        assert_eq!(fs::metadata(&shared).unwrap().mode() & 0o7777, 0o755);
        assert_eq!(owner(&other), (2003, 2003));
        assert!(told.err.contains("its number 2002 belongs to \"eve\"; root has it"), "{}", told.err);
    }
}

#[test]
fn accounts_are_made_with_the_numbers_they_had_if_those_are_free() {
    if !is_root() {
        return;
    }
    let users = [("ann", 2001), ("bob", 2002), ("carol@example.org", 2003), ("low", 901)];
    let machine = Machine::lost(&users);
    machine.add("eve", 2002);
    let dry = machine.restore(&["--create-users", "--dry-run"]).expect(0);
    assert!(dry.err.contains("would make the account bob"), "{}", dry.err);
    assert!(machine.account("bob").is_none() && !machine.home("bob").exists());
    let told = machine.restore(&["--create-users", "--json"]).expect(0);
    let number = |user: &str| machine.account(user).unwrap()[2].parse::<u32>().unwrap();
    assert_eq!((number("ann"), number("carol@example.org")), (2001, 2003), "{}", told.err);
    assert!(number("bob") >= 1000 && number("bob") != 2002);
    // A number of the system is not taken, though nobody has it.
    assert!(number("low") >= 1000);
    for (user, _) in users {
        let account = machine.account(user).unwrap();
        assert_eq!(account[5], machine.home(user).to_str().unwrap());
        assert_eq!(machine.result(&told, user)["account_created"], true);
        let (uid, gid) = (account[2].parse().unwrap(), account[3].parse().unwrap());
        assert_eq!(owner(&machine.home(user).join("work/notes")), (uid, gid), "{user}");
        assert_eq!(fs::metadata(machine.home(user)).unwrap().mode() & 0o7777, 0o750, "{user}");
        // What stands in /etc/skel is no part of anybody's home.
        assert!(!machine.home(user).join(".profile").exists());
        let shadow = fs::read_to_string(machine.etc.join("shadow")).unwrap();
        assert!(shadow.contains(&format!("\n{user}:!:")), "{user} has a password");
    }
    assert_eq!(summary(&told)["accounts_created"], 4);
    // Everyone can still read who there is.
    for file in ["passwd", "group"] {
        assert_eq!(fs::metadata(machine.etc.join(file)).unwrap().mode() & 0o7777, 0o644, "{file}");
    }
    machine.restore(&["--create-users"]).expect(0);
}

#[test]
fn names_that_are_none_are_refused_and_the_others_made() {
    if !is_root() {
        return;
    }
    let long = "n".repeat(300);
    let hostile = ["a/b", "..", "a b", "$(touch owned)", "12345", "x,y", &long];
    let machine = Machine::new();
    for (n, name) in hostile.iter().enumerate() {
        let number = 2100 + n as u32;
        let passwd = fs::read_to_string(machine.etc.join("passwd")).unwrap();
        let line = format!("{name}:x:{number}:{number}::/nowhere:/bin/sh\n");
        fs::write(machine.etc.join("passwd"), passwd + &line).unwrap();
        machine.plant(&format!("home{n}"), number);
    }
    // A home may be called anything; its owner has a name of his own.
    machine.add("ann", 2001);
    machine.plant("-rf", 2001);
    machine.plant("new\nline", 2001);
    machine.program.run(&["init"]).expect(0);
    machine.save();
    machine.lose();
    let before = fs::read_to_string(machine.etc.join("passwd")).unwrap();
    let told = machine.restore(&["--create-users", "--json"]).expect(3);
    for (n, name) in hostile.iter().enumerate() {
        let result = machine.result(&told, &format!("home{n}"));
        assert_eq!(result["outcome"], "no_account", "{name}: {result}");
        assert!(result["message"].as_str().unwrap().contains("is no name for an account"), "{result}");
        assert!(!machine.home(&format!("home{n}")).exists(), "{name}");
    }
    for home in ["-rf", "new\nline"] {
        assert_eq!(machine.result(&told, home)["outcome"], "restored");
        assert_eq!(owner(&machine.home(home)).0, 2001);
    }
    let after = fs::read_to_string(machine.etc.join("passwd")).unwrap();
    assert_eq!(after.lines().count(), before.lines().count() + 1, "only ann is new");
    assert_eq!(after.strip_prefix(&before).unwrap().split(':').next(), Some("ann"));
}

#[test]
fn a_group_of_the_system_is_nobodys_to_join() {
    if !is_root() {
        return;
    }
    let machine = Machine::new();
    machine.add("ann", 2001);
    machine.plant("ann", 2001);
    // `shadow` has a number below those of users everywhere.
    let shadow = fs::read_to_string("/etc/group").unwrap();
    let gid = shadow.lines().find_map(|line| line.strip_prefix("shadow:x:")).unwrap();
    let gid: u32 = gid.split(':').next().unwrap().parse().unwrap();
    chown(machine.home("ann"), None, Some(gid)).unwrap();
    machine.program.run(&["init"]).expect(0);
    machine.save();
    machine.lose();
    machine.restore(&["--create-users"]).expect(0);
    let primary: u32 = machine.account("ann").unwrap()[3].parse().unwrap();
    assert!(primary >= 1000, "{primary}");
}

#[test]
fn without_useradd_the_others_come_back_and_it_is_told() {
    if !is_root() {
        return;
    }
    let machine = Machine::lost(&[("ann", 2001), ("bob", 2002)]);
    machine.add("ann", 2001);
    let etc = machine.etc.to_str().unwrap();
    let hide = "mount --bind \"$1\" /etc && mount -t tmpfs none /usr/sbin && shift && exec \"$@\"";
    // Where /sbin is a link, as everywhere today, this takes both away.
    let enter = ["unshare", "-m", "--propagation", "private", "sh", "-c", hide, "sh", etc];
    let mut command = machine.program.command_under(&enter, &["restore", "--all-homes", "--create-users"]);
    let told = crate::support::program::ended(&mut command).expect(3);
    assert!(told.err.contains("there is no useradd in /usr/sbin or /sbin: install"), "{}", told.err);
    machine.assert_back("ann", 2001);
    assert!(!machine.home("bob").exists());
}

#[test]
fn only_root_makes_accounts() {
    let machine_arguments = ["restore", "--all-homes", "--create-users"];
    let program = crate::support::program::Program::new();
    program.run(&["init"]).expect(0);
    let ended = match is_root() {
        false => program.run(&machine_arguments),
        true => {
            let somebody = ["setpriv", "--reuid", "65533", "--clear-groups"];
            crate::support::program::ended(&mut program.command_under(&somebody, &machine_arguments))
        }
    };
    assert!(ended.err.contains("only root can create users"), "{}", ended.err);
    assert_eq!(ended.code, Some(2));
}

struct Silent;

impl Tell for Silent {
    fn change(&mut self, _: &Change<'_>) {}
    fn happening(&mut self, _: &Happening<'_>) {}
}

/// Whoever has the key can write any record.
#[test]
fn names_that_only_a_forged_record_has_cost_nobody_else() {
    let site = Site::new();
    for user in ["ann", "bob"] {
        write_old(&site.home(user).join("file"), user);
    }
    site.backup();
    let mut repository = site.repository();
    let honest = repository.snapshots().unwrap().remove(0);
    let options = WriterOptions { level: 1, threads: 1, target: WriteTarget::Store };
    let writer = repository.writer(&options).unwrap();
    let mut homes = honest.record.homes.clone();
    let forged = [vec![b'n'; 300], b"-x".to_vec(), b"new\nline".to_vec()];
    for (user, owner) in forged.iter().zip(["no\nbody:x:0:0", "-x", "--root=/tmp"]) {
        let mut home = homes[0].clone();
        home.user = user.clone();
        let root = home.root.as_mut().unwrap();
        root.name = user.clone();
        root.owner = Owner { uid: 4000, gid: 4000, user: owner.into(), group: "-g".into() }.into();
        homes.push(home);
    }
    homes.sort_by(|a, b| a.user.cmp(&b.user));
    let record = SnapshotRecord { id: SnapshotId([9; 16]), homes, ..honest.record };
    let committed = repository.commit(writer.finish().unwrap(), record).unwrap();
    let snapshot = repository.snapshot(&committed.hash).unwrap().unwrap();
    let users: Vec<_> = snapshot.record.homes.iter().map(|home| home.user.clone()).collect();
    let sources: Vec<_> = users
        .iter()
        .map(|user| source_of(&snapshot, std::str::from_utf8(user).unwrap()).unwrap().1)
        .collect();
    let target = site.path("target");
    for create in [false, true] {
        let options =
            RestoreOptions { dry_run: create, ..restore_options(RestoreTarget::PerUser(target.clone())) };
        let missing = MissingUsers { create, ..MissingUsers::default() };
        let meter = Meter::default();
        let report = restore_everyone(&repository, &sources, &options, missing, &meter, &mut Silent).unwrap();
        for (user, home) in users.iter().zip(&report.homes) {
            let is_honest = user == b"ann" || user == b"bob";
            match &home.outcome {
                HomeOutcome::Restored => assert!(is_honest || !options.owners, "{user:?}"),
                // Without root nobody needs an account, and only the name that no file can have fails.
                HomeOutcome::Failed(_) => assert!(user.len() == 300 && !options.owners),
                HomeOutcome::NoAccount(why) => assert!(!is_honest && why.is_some() == create, "{user:?}"),
                other => panic!("{user:?}: {other:?}"),
            }
        }
    }
    assert_eq!(fs::read(target.join("bob/file")).unwrap(), b"bob");
    // As numbers, they are restored like all, and the one name that the file system refuses is one failure.
    let options = RestoreOptions { owners: false, ..restore_options(RestoreTarget::PerUser(target.clone())) };
    let meter = Meter::default();
    let report =
        restore_everyone(&repository, &sources, &options, MissingUsers::default(), &meter, &mut Silent)
            .unwrap();
    let failed = report.count(|outcome| matches!(outcome, HomeOutcome::Failed(_)));
    assert_eq!((failed, report.homes.len()), (1, 5));
    assert_eq!(fs::read(target.join("new\nline/file")).unwrap(), b"ann");
    // Names that lead elsewhere are no names: a record with one is damaged.
    for user in [&b"a/b"[..], b".."] {
        let mut record = snapshot.record.clone();
        record.homes.truncate(1);
        record.homes[0].user = user.to_vec();
        record.homes[0].root.as_mut().unwrap().name = user.to_vec();
        record.id = SnapshotId([8; 16]);
        let writer = repository.writer(&WriterOptions { level: 1, threads: 1, target: WriteTarget::Store });
        let committed = repository.commit(writer.unwrap().finish().unwrap(), record);
        let is_read = committed.is_ok_and(|c| repository.snapshot(&c.hash).is_ok_and(|s| s.is_some()));
        assert!(!is_read, "{user:?}");
    }
}

/// As when the account service could not be asked while the machine was saved.
#[test]
fn a_number_without_a_name_is_its_namesakes_or_waits_for_a_word() {
    if !is_root() {
        return;
    }
    let machine = Machine::new();
    for (user, number) in [("ann", 2001), ("bob", 2002), ("carol", 2003)] {
        machine.plant(user, number);
    }
    machine.program.run(&["init"]).expect(0);
    machine.save();
    machine.lose();
    machine.add("ann", 2001);
    machine.add("eve", 2002);
    let told = machine.restore(&["--json"]).expect(3);
    machine.assert_back("ann", 2001);
    machine.assert_back("carol", 2003);
    assert!(!told.out.contains("had no name"), "{}", told.out);
    let result = machine.result(&told, "bob");
    assert_eq!(result["outcome"], "failed");
    assert!(result["message"].as_str().unwrap().contains("belongs to \"eve\" here"), "{result}");
    assert!(!machine.home("bob").exists());
    machine.add("bob", 3002);
    machine.restore(&["--owner-map", "2002=bob,@2002=@bob"]).expect(0);
    machine.assert_back("bob", 3002);
}
