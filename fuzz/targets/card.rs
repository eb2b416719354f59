//! libFuzzer over `orch_fuzz::card`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| orch_fuzz::card(data));
