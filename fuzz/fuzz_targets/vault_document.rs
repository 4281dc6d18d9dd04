//! libFuzzer's way into the target `vault_document`.

#![no_main]

#[path = "../targets.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::run("vault_document", bytes));
