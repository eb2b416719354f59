//! libFuzzer over `orch_fuzz::control`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| orch_fuzz::control(data));
