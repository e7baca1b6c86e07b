//! Configurations as JSON.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| automation_assistant::fuzzing::config(input));
