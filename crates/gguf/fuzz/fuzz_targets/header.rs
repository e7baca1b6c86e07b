//! Headers of GGUF files, by the modules that check them alone: any bytes are a header in order or
//! an error, and the figures of a header in order are within its file.
#![no_main]
#![allow(dead_code, unused_imports, unreachable_pub)]

#[path = "../../src/error.rs"]
mod error;
#[path = "../../src/header/mod.rs"]
mod header;

use header::Header;

/// Weights that come after the bytes, so that a header alone is a whole file.
const WEIGHTS_BYTES: u64 = 1 << 20;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    for file_bytes in [input.len() as u64, input.len() as u64 + WEIGHTS_BYTES] {
        let Ok(header) = Header::read(input, file_bytes) else { continue };
        assert!(header.weight_bytes() <= file_bytes);
        assert!(header.context_tokens() > 0 && !header.architecture().is_empty());
        let [small, large] = [1, u32::MAX].map(|tokens| header.context_bytes(tokens, tokens));
        assert!(0 < small && small <= large);
    }
});
