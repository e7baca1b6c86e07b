//! Small pictures.

/// A PNG of one red pixel, and the same as base64 (by another program).
pub const PNG: &[u8] =
    b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x02\
    \x00\x00\x00\x90wS\xde\x00\x00\x00\x0cIDATx\x9cc\xf8\xcf\xc0\x00\x00\x03\x01\x01\x00\xc9\xfe\
    \x92\xef\x00\x00\x00\x00IEND\xaeB`\x82";
#[cfg(feature = "http")]
pub const PNG_BASE64: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/\
    pLvAAAAAElFTkSuQmCC";

/// The first bytes of a picture of each kind, and its media type.
pub const BEGINNINGS: [(&str, &[u8]); 5] = [
    ("image/png", b"\x89PNG\r\n\x1a\n"),
    ("image/jpeg", b"\xff\xd8\xff\xe0"),
    ("image/webp", b"RIFF\x24\x00\x00\x00WEBP"),
    ("image/gif", b"GIF87a"),
    ("image/gif", b"GIF89a"),
];

/// After how many bytes those of [`png_of`] repeat.
const PERIOD: usize = 251 << 8;

/// Bytes that pass for a PNG, of this length.
pub fn png_of(length: usize) -> Vec<u8> {
    let rest = length.saturating_sub(8);
    let block: Vec<u8> = (0..rest.min(PERIOD)).map(|n| (n * 31 + n / 251) as u8).collect();
    let mut bytes = [BEGINNINGS[0].1, &block.repeat(rest.div_ceil(PERIOD))].concat();
    bytes.truncate(8 + rest);
    bytes
}
