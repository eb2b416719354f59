//! libFuzzer over `orch_fuzz::header`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| orch_fuzz::header(data));
