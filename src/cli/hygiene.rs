//! What the process owes the secrets it will hold: no core dumps, no reading by other processes of the
//! user, no files for others. Knows no secret.

use rustix::fs::Mode;
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit, umask};

/// Sets all of it. A kernel that refuses a part leaves the others in force, and nothing depends on them.
pub fn protect() {
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    umask(Mode::RWXG | Mode::RWXO);
}
