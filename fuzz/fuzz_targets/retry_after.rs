//! Headers about waiting, one a line: retry-after, retry-after-ms, date, x-should-retry.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| automation_assistant::fuzzing::retry_after(input));
