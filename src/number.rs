//! Plain decimals as text to numbers. The standard library's parser for `f64` also takes
//! exponents and rounds the longest numbers rightly, for which it brings tables of 14 KB;
//! what a kernel or a server's header says needs neither.

use std::time::Duration;

/// Digits that a `u64` holds whatever they are. Later ones of a number change nothing here.
const DIGITS_MAX: usize = 19;

/// The value of digits with at most one decimal point among them, `12.5` or `12`; nothing
/// for any other text, a sign included. The error is at most one unit in the last place.
pub(crate) fn decimal(text: &str) -> Option<f64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let (mut mantissa, mut taken, mut power) = (0_u64, 0, 0_i32);
    for (digit, places) in
        whole.bytes().map(|digit| (digit, 0)).chain(fraction.bytes().map(|digit| (digit, 1)))
    {
        if !digit.is_ascii_digit() {
            return None;
        }
        if taken < DIGITS_MAX {
            mantissa = mantissa * 10 + u64::from(digit - b'0');
            // Leading zeros take no room.
            taken += usize::from(mantissa > 0);
            power -= places;
        } else {
            power = power.saturating_add(1 - places);
        }
    }
    // Divided, not multiplied by a fraction: ten to a positive power is exact.
    let scale = 10_f64.powi(power.abs());
    let mantissa = mantissa as f64;
    Some(if power < 0 { mantissa / scale } else { mantissa * scale })
}

/// Begun seconds count as whole: who comes back then is not too early. (Texts tell whole
/// numbers, for the formatting of fractions takes 12 KB of a program.)
#[cfg_attr(not(feature = "http"), allow(dead_code))]
pub(crate) fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_what_the_standard_library_says() {
        for text in [
            "0",
            "0.0",
            "1",
            "12.5",
            "350735.47",
            ".5",
            "5.",
            "00012.250",
            "0.000001",
            "9007199254740993",
            "1234567890.123456",
            "0.1",
        ] {
            assert_eq!(decimal(text), text.parse().ok(), "{text}");
        }
        for text in ["123456789012345678901234567890", "3.14159265358979323846264338327950288"] {
            let exact: f64 = text.parse().unwrap();
            let error = (decimal(text).unwrap() - exact).abs() / exact;
            assert!(error <= f64::EPSILON, "{text}: {error}");
        }
    }

    #[test]
    fn anything_else_is_no_decimal() {
        for text in ["", ".", "-1", "+1", "1e3", "inf", "nan", "1.2.3", "1 ", "0x1", "١"] {
            assert_eq!(decimal(text), None, "{text}");
        }
    }
}
