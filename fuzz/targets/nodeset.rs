//! libFuzzer over `orch_fuzz::nodeset`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| orch_fuzz::nodeset(data));
