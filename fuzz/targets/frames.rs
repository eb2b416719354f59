//! libFuzzer over `orch_fuzz::frames`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| orch_fuzz::frames(data));
