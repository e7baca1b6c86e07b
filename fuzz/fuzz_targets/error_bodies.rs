//! Bodies of refusals: the first byte is the status above 400.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| automation_assistant::fuzzing::error_body(input));
