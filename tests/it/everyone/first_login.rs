//! Homes that users, or the programs that greet them, have begun before the restore comes.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;

use super::{Machine, owner};
use crate::support::{LONG_AGO, is_root, set_mtime};

/// A home as a first login leaves it: what was written now, and a file that came with the time it has in the
/// system's skeleton.
fn begin(machine: &Machine) {
    let home = machine.home("ann");
    fs::create_dir_all(home.join(".local/share/rstudio")).unwrap();
    fs::write(home.join(".local/share/rstudio/state"), "new").unwrap();
    fs::write(home.join(".bashrc"), "# written at login").unwrap();
    fs::create_dir_all(home.join("work")).unwrap();
    fs::write(home.join("work/notes"), "from the skeleton").unwrap();
    set_mtime(&home.join("work/notes"), LONG_AGO + 5, 0);
    let give = |path: &Path| chown(path, Some(3001), Some(3001)).unwrap();
    walkdir::WalkDir::new(&home).into_iter().for_each(|entry| give(entry.unwrap().path()));
}

#[test]
fn what_was_written_since_the_snapshot_stands_unless_it_is_to_be_replaced() {
    if !is_root() {
        return;
    }
    let machine = Machine::lost(&[("ann", 2001)]);
    machine.add("ann", 3001);
    let cases = [
        (&[][..], "# written at login", "ann's notes", 1),
        (&["--overwrite", "never"], "# written at login", "from the skeleton", 0),
        // The snapshot's notes are older than what stands there.
        (&["--overwrite", "if-newer"], "# written at login", "from the skeleton", 0),
        (&["--overwrite", "if-changed"], "# ann's own", "ann's notes", 0),
        (&["--overwrite", "always"], "# ann's own", "ann's notes", 0),
    ];
    for (arguments, bashrc, notes, kept_newer) in cases {
        fs::remove_dir_all(machine.home("ann")).ok();
        begin(&machine);
        let told = machine.restore(&[arguments, &["--json"]].concat()).expect(0);
        let home = machine.home("ann");
        assert_eq!(fs::read_to_string(home.join(".bashrc")).unwrap(), bashrc, "{arguments:?}");
        assert_eq!(fs::read_to_string(home.join("work/notes")).unwrap(), notes, "{arguments:?}");
        assert_eq!(fs::read_to_string(home.join(".local/share/rstudio/state")).unwrap(), "new");
        assert_eq!(machine.result(&told, "ann")["kept_newer"], kept_newer, "{arguments:?}");
        assert_eq!(owner(&home), (3001, 3001));
        assert_eq!(fs::metadata(&home).unwrap().mode() & 0o7777, 0o750);
    }
}

#[test]
fn a_missing_home_and_what_leads_to_it_are_made_so_that_their_users_get_there() {
    if !is_root() {
        return;
    }
    let machine = Machine::lost(&[("ann", 2001)]);
    machine.add("ann", 2001);
    fs::remove_dir(&machine.program.homes).unwrap();
    machine.restore(&[]).expect(0);
    machine.assert_back("ann", 2001);
    let metadata = fs::metadata(&machine.program.homes).unwrap();
    assert_eq!((metadata.mode() & 0o7777, metadata.uid()), (0o755, 0));
}

#[test]
fn a_home_that_root_made_before_its_user_came_is_its_namesakes() {
    if !is_root() {
        return;
    }
    let machine = Machine::new();
    machine.add("ann", 2001);
    machine.plant("ann", 2001);
    chown(machine.home("ann"), Some(0), Some(0)).unwrap();
    fs::set_permissions(machine.home("ann"), PermissionsExt::from_mode(0o777)).unwrap();
    // Nobody's home: root's, and all that is in it.
    fs::create_dir(machine.home("shared")).unwrap();
    crate::support::write_old(&machine.home("shared").join("file"), "everyone's");
    machine.program.run(&["init"]).expect(0);
    machine.save();
    machine.lose();
    let told = machine.restore(&["--json"]).expect(3);
    assert_eq!(machine.result(&told, "ann")["outcome"], "no_account");
    assert_eq!(machine.result(&told, "shared")["outcome"], "restored");
    machine.restore(&["--create-users"]).expect(0);
    assert_eq!(owner(&machine.home("ann").join("work/notes")), (2001, 2001));
    assert_eq!(owner(&machine.home("ann")), (0, 0));
}
