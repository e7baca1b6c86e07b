//! Server-sent events, read by each protocol: the first byte is the size of the chunks that the
//! rest comes in.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| automation_assistant::fuzzing::sse(input));
