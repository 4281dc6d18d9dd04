//! Several at once on one user's secrets: what was reported as stored is there.

use std::fs;
use std::path::Path;

use super::{KEY, vault_folder, world, write};
use crate::support::let_times_settle;
use crate::support::program::ended;

#[test]
fn values_that_are_set_at_the_same_time_are_all_kept() {
    let program = world();
    program.backup(&["--init"]).expect(0);
    let (writers, each) = (4, 6);
    std::thread::scope(|threads| {
        for writer in 0..writers {
            let program = &program;
            threads.spawn(move || {
                for number in 0..each {
                    let value = program.path(&format!("value{writer}-{number}"));
                    write(&value, "x", 0o600);
                    let name = format!("token {writer} {number}");
                    program
                        .run(&["vault", "set", "ann", &name, "--from-file", value.to_str().unwrap()])
                        .expect(0);
                }
            });
        }
        threads.spawn(|| (0..3).for_each(|_| drop(program.run(&["vault", "rotate"]).expect(0))));
    });
    let listed = program.run(&["vault", "list", "ann"]).expect(0).out;
    for writer in 0..writers {
        for number in 0..each {
            assert!(listed.contains(&format!("token {writer} {number} ")), "{writer} {number}: {listed}");
        }
    }
    program.run(&["vault", "verify"]).expect(0);
}

#[test]
fn two_machines_that_save_one_users_new_keys_at_once_both_find_them_in_the_vault() {
    for round in 0..4 {
        let program = world();
        if round % 2 == 0 {
            program.backup(&["--init"]).expect(0);
        } else {
            program.run(&["init"]).expect(0);
        }
        let machines = ["one", "two"].map(|name| {
            let homes = program.path(name);
            write(&homes.join("ann/.ssh").join(format!("id_{name}")), &KEY.replace("ssh-key", name), 0o600);
            homes
        });
        let_times_settle();
        let save = |homes: &Path| {
            let name = homes.file_name().unwrap().to_str().unwrap();
            let cache = program.path(&format!("cache-{name}"));
            let mut command =
                program.command(&["backup", "--source", name, "--homes", homes.to_str().unwrap()]);
            command.env("HOMEKEEP_CACHE_DIR", &cache);
            ended(&mut command)
        };
        std::thread::scope(|threads| {
            let running = machines.each_ref().map(|homes| threads.spawn(|| save(homes)));
            for run in running {
                // One cache for both: the second may have to wait its turn.
                let code = run.join().unwrap().code;
                assert!(matches!(code, Some(0 | 11)), "{code:?}");
            }
        });
        for homes in &machines {
            save(homes).expect(0);
        }
        let listed = program.run(&["vault", "list", "ann"]).expect(0).out;
        assert!(listed.contains(".ssh/id_one") && listed.contains(".ssh/id_two"), "round {round}: {listed}");
    }
}

#[test]
fn a_program_that_forgets_what_is_put_is_found_out() {
    let program = world();
    let forgetful = program.path("forgetful");
    write(
        &forgetful,
        "#!/bin/sh\ncat >/dev/null\ncase $1 in list) echo '{\"users\":[]}';; get) exit 3;; put) echo '{\"tag\":\"1\"}';; esac\n",
        0o755,
    );
    let config = program.path("homekeep.toml");
    fs::write(&config, format!("[vault]\nprovider = \"command\"\nprogram = {forgetful:?}\n")).unwrap();
    let ended = program.backup(&["--init", "--config", config.to_str().unwrap()]).expect(3);
    assert!(ended.err.contains("this secret is not in the vault"), "{}", ended.err);
}

#[test]
fn a_damaged_value_is_mended_from_the_file() {
    let program = world();
    program.backup(&["--init"]).expect(0);
    for file in fs::read_dir(vault_folder(&program)).unwrap() {
        let path = file.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let mut damaged = String::new();
        for (at, part) in text.split("\"sealed\":\"").enumerate() {
            if at > 0 {
                let other = if part.starts_with('A') { 'B' } else { 'A' };
                damaged.push_str(&format!("\"sealed\":\"{other}{}", &part[1..]));
            } else {
                damaged.push_str(part);
            }
        }
        fs::write(&path, damaged).unwrap();
    }
    program.run(&["vault", "verify"]).expect(14);
    program.backup(&[]).expect(0);
    program.run(&["vault", "verify"]).expect(0);
}
