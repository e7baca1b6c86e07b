//! Whole replies, read by each protocol.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| automation_assistant::fuzzing::reply(input));
