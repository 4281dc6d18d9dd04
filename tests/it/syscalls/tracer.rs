//! Runs the program under `strace`: once to see which system calls it makes on its files, then with a fault
//! at one of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use crate::support::program::{Ended, Program, ended};
use crate::support::run;

/// What is injected into, and the errors that the kernel may answer with.
const CALLS: [(&str, &[&str]); 11] = [
    ("openat", &["EIO", "EMFILE", "ENOSPC", "ESTALE", "EINTR"]),
    ("write", &["EIO", "ENOSPC", "EDQUOT", "EINTR", "ESTALE"]),
    ("pwrite64", &["EIO", "ENOSPC", "EDQUOT", "EINTR"]),
    ("fsync", &["EIO", "ENOSPC", "EDQUOT", "ESTALE"]),
    ("close", &["EIO", "ENOSPC", "EDQUOT", "EINTR"]),
    ("rename", &["EIO", "ENOSPC", "ESTALE"]),
    ("renameat2", &["EIO", "ENOSPC", "EDQUOT", "ESTALE"]),
    ("unlink", &["EIO", "ESTALE"]),
    ("unlinkat", &["EIO", "ESTALE"]),
    ("mkdir", &["EIO", "ENOSPC", "EDQUOT"]),
    ("mkdirat", &["EIO", "ENOSPC", "EDQUOT"]),
];
/// The variable that asks for all calls and all errors, which takes minutes.
const ALL_VARIABLE: &str = "HOMEKEEP_TEST_ALL_CALLS";
/// Of the calls on the index and on the homes, of which there are many alike, so many are taken of each kind.
const SAMPLES: usize = 3;

/// A fault at one system call.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Injection {
    call: &'static str,
    /// `signal=…` or `error=…`.
    fault: String,
    /// Which call of that name in its thread.
    nth: usize,
    /// Whether it is a call on the repository or the key, and not on the index or a home.
    pub is_on_store: bool,
}

impl Injection {
    /// Whether the program does not survive it.
    pub fn is_kill(&self) -> bool {
        self.fault.starts_with("signal=")
    }
}

/// Runs the program with the fault.
pub fn run_with(program: &Program, injection: &Injection, arguments: &[&str]) -> Ended {
    let Injection { call, fault, nth, .. } = injection;
    let fault = format!("inject={call}:{fault}:when={nth}");
    let trace = program.path("trace");
    let strace = ["strace", "-f", "-qq", "-o", trace.to_str().unwrap(), "-e", &fault];
    ended(&mut program.command_under(&strace, arguments))
}

/// Faults at the calls that an undisturbed run makes on the program's own files: a kill and an error at each
/// call on the repository and the key, and at some of the others.
pub fn injections(program: &Program, arguments: &[&str]) -> BTreeSet<Injection> {
    let calls = trace(program, arguments);
    let all = std::env::var_os(ALL_VARIABLE).is_some();
    let mut injections = BTreeSet::new();
    for (call, errors) in CALLS {
        let own = |call: &Traced| call.is_on_store;
        let [on_store, others] = [true, false].map(|wanted| {
            let seen = calls.iter().filter(|traced| traced.call == call && own(traced) == wanted);
            seen.map(|traced| traced.nth).collect::<BTreeSet<_>>()
        });
        let step = if all { 1 } else { others.len().div_ceil(SAMPLES).max(1) };
        let on_store = on_store.into_iter().map(|nth| (nth, true));
        let others = others.into_iter().step_by(step).map(|nth| (nth, false));
        for (n, (nth, is_on_store)) in on_store.chain(others).enumerate() {
            let errors = if all { errors } else { &errors[n % errors.len()..][..1] };
            let errors = errors.iter().map(|error| format!("error={error}"));
            let faults = errors.chain(["signal=SIGKILL".into()]);
            injections.extend(faults.map(|fault| Injection { call, fault, nth, is_on_store }));
        }
    }
    injections
}

/// A call on one of the program's own files.
struct Traced {
    call: String,
    /// Which call of that name in its thread: so the tracer counts.
    nth: usize,
    is_on_store: bool,
}

/// Runs the program undisturbed and gives a line for each of its calls, with the paths of descriptors.
pub fn lines(program: &Program, calls: &str, arguments: &[&str]) -> Vec<String> {
    let (file, only) = (program.path("trace"), format!("trace={calls}"));
    let mut version = Command::new("strace");
    version.arg("-V");
    run(version, "strace");
    let strace = ["strace", "-f", "-qq", "-y", "-s", "0", "-e", &only, "-o", file.to_str().unwrap()];
    ended(&mut program.command_under(&strace, arguments)).expect(0);
    fs::read_to_string(&file).unwrap().lines().map(str::to_owned).collect()
}

fn trace(program: &Program, arguments: &[&str]) -> Vec<Traced> {
    let names = CALLS.map(|(call, _)| call).join(",");
    let own = program.path("").to_str().unwrap().trim_end_matches('/').to_owned();
    let [repository, key] = [&program.repository, &program.key()].map(|p| p.to_str().unwrap().to_owned());
    let mut counts: BTreeMap<(String, String), usize> = BTreeMap::new();
    let mut calls = Vec::new();
    for line in lines(program, &names, arguments) {
        // `PID call(arguments) = result`; the second half of a call that another interrupted has no such head.
        let Some((thread, rest)) = line.split_once(char::is_whitespace) else { continue };
        let Some((call, rest)) = rest.trim_start().split_once('(') else { continue };
        if !CALLS.iter().any(|(name, _)| *name == call) {
            continue;
        }
        let nth = counts.entry((thread.into(), call.into())).or_default();
        *nth += 1;
        if rest.contains(&own) {
            let is_on_store = rest.contains(&repository) || rest.contains(&key);
            calls.push(Traced { call: call.into(), nth: *nth, is_on_store });
        }
    }
    assert!(calls.iter().any(|call| call.is_on_store), "strace saw nothing: may this user trace processes?");
    calls
}
