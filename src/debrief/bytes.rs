//! Eight bytes at a time, in a word whose lowest byte is the first.

/// All bytes 1, and all bytes with the highest bit.
pub(super) const ONES: u64 = 0x0101_0101_0101_0101;
pub(super) const HIGHS: u64 = 0x8080_8080_8080_8080;

/// The highest bit of each byte that is zero. (Bytes above the first such may be marked
/// wrongly; the first never is.)
pub(super) const fn zero_bytes(word: u64) -> u64 {
    word.wrapping_sub(ONES) & !word & HIGHS
}

/// Powers of ten up to the eighth.
pub(super) const SMALL_POWERS: [u64; 9] =
    [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];

/// The number whose eight digits are the word's bytes, the first in the lowest byte:
/// adjacent digits are combined three times.
pub(super) const fn eight_digits(word: u64) -> u64 {
    let pairs = (word * 10 + (word >> 8)) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs * 100 + (pairs >> 16)) & 0x0000_ffff_0000_ffff;
    (fours * 10_000 + (fours >> 32)) & 0xffff_ffff
}
