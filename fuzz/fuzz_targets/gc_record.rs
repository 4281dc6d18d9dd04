//! libFuzzer's way into the target `gc_record`.

#![no_main]

#[path = "../targets.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::run("gc_record", bytes));
