//! A number in a line, and its value.

use crate::number::scientific;

/// A number as it stands, and its digits as far as a `u64` holds them.
#[derive(Clone, Copy)]
pub(super) struct Digits<'a> {
    pub(super) raw: &'a [u8],
    pub(super) mantissa: u64,
    /// Digits after the point.
    pub(super) places: usize,
    /// Neither negative nor with an exponent, and not more than [`FAST_DIGITS_MAX`] digits.
    pub(super) simple: bool,
}

/// Up to here an integer is exact as `f64`, and so are these powers of ten: their quotient
/// is then rounded once, which is the right value.
const EXACT_INTEGER_MAX: u64 = 1 << 53;
const POWERS_OF_TEN: [f64; 16] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];

/// More digits than this may not fit a `u64`.
pub(super) const FAST_DIGITS_MAX: usize = 18;

impl Digits<'_> {
    pub(super) fn value(self) -> f64 {
        if self.simple && self.mantissa <= EXACT_INTEGER_MAX {
            if let Some(power) = POWERS_OF_TEN.get(self.places) {
                return self.mantissa as f64 / power;
            }
        }
        // Rare: more digits than our clocks have, or an exponent.
        let text = std::str::from_utf8(self.raw).ok();
        text.and_then(scientific).filter(|value| value.is_finite()).unwrap_or(f64::NAN)
    }
}
