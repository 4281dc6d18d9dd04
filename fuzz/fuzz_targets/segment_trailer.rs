//! libFuzzer's way into the target `segment_trailer`.

#![no_main]

#[path = "../targets.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::run("segment_trailer", bytes));
