//! Accounts that appear while the restore waits for them, or do not.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use super::Machine;
use crate::support::is_root;
use crate::support::program::ended;

#[test]
fn whoever_appears_during_the_wait_comes_back_and_the_others_are_back_before() {
    if !is_root() {
        return;
    }
    let machine = Machine::lost(&[("ann", 2001), ("bob", 2002), ("carol", 2003)]);
    machine.add("ann", 2001);
    let mut command = machine.command(&["restore", "--all-homes", "--wait-for-users=1h"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut told = BufReader::new(child.stderr.take().unwrap()).lines();
    let waiting = told.by_ref().map(Result::unwrap).find(|line| line.contains("waiting for 2 accounts"));
    assert!(waiting.unwrap().ends_with("at most: bob, carol"));
    machine.assert_back("ann", 2001);
    machine.add("bob", 3002);
    machine.add("carol", 3003);
    let rest: Vec<_> = told.map(Result::unwrap).collect();
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(0), "{rest:?}");
    machine.assert_back("bob", 3002);
    machine.assert_back("carol", 3003);
}

#[test]
fn whoever_does_not_appear_in_time_is_told() {
    if !is_root() {
        return;
    }
    let machine = Machine::lost(&[("ann", 2001), ("bob", 2002)]);
    machine.add("ann", 2001);
    let told = machine.restore(&["--wait-for-users=1s", "--json"]).expect(3);
    assert_eq!(machine.result(&told, "bob")["outcome"], "no_account");
    assert_eq!(machine.result(&told, "ann")["outcome"], "restored");
    for wrong in ["--wait-for-users=soon", "--wait-for-users=-5s"] {
        machine.restore(&[wrong]).expect(2);
    }
    machine.run(&["restore", "latest", "--in-place", "--wait-for-users"]).expect(2);
}

#[test]
fn a_wait_that_is_interrupted_tells_what_is_done_and_what_is_not() {
    if !is_root() {
        return;
    }
    let machine = Machine::lost(&[("ann", 2001), ("bob", 2002)]);
    machine.add("ann", 2001);
    let mut command = machine.command(&["restore", "--all-homes", "--wait-for-users", "--best-effort"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut told = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(told.any(|line| line.contains("waiting for 1 account")));
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    let output = child.wait_with_output().unwrap();
    // Whoever sent the signal waits for it: no best effort hides it.
    assert_eq!(output.status.code(), Some(130));
    let out = String::from_utf8(output.stdout).unwrap();
    assert!(out.contains("restored 1 of 2 homes"), "{out}");
    machine.assert_back("ann", 2001);
    machine.add("bob", 2002);
    ended(&mut machine.command(&["restore", "--all-homes"])).expect(0);
    machine.assert_back("bob", 2002);
}
