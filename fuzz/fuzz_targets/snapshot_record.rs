//! libFuzzer's way into the target `snapshot_record`.

#![no_main]

#[path = "../targets.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::run("snapshot_record", bytes));
