//! Replies as they come over a connection, heads and bodies: the first byte is the size of the
//! steps that the rest comes in.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| automation_assistant::fuzzing::http_reply(input));
