//! Parses and formats plain decimals without the standard library's code for `f64`, which also
//! handles exponents and the last digit of the longest numbers.
//!
//! No common program links that code for another reason. Measured with benches/programs in
//! profile `size` (x86-64, rustc 1.95): with `str::parse::<f64>` in place of [`decimal`], the
//! program with one Local helper grew from 427,568 to 444,856 bytes and the client with
//! everything from 1,785,896 to 1,802,984; with `format!("{:.1}")` in place of [`fixed`], the
//! Local program with an audit file and its report from 550,648 to 567,264 and the client
//! with everything to 1,803,968.

use std::fmt;
use std::time::Duration;

/// Digits that always fit a `u64`. Later digits of a number do not change the result.
const DIGITS_MAX: usize = 19;

/// The value of digits with at most one decimal point among them, `12.5` or `12`; `None` for any
/// other text, a sign included. The error is at most one unit in the last place.
pub(crate) fn decimal(text: &str) -> Option<f64> {
    scaled(text, 0)
}

/// The value of a decimal that may have a sign and an exponent, `-12.5e3`; infinite beyond the
/// largest `f64`. Below 1e-308 it is zero.
pub(crate) fn scientific(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix('-');
    let rest = unsigned.unwrap_or(text);
    let (mantissa, exponent) = rest.split_once(['e', 'E']).unwrap_or((rest, "0"));
    let value = scaled(mantissa, exponent.parse().ok()?)?;
    Some(if unsigned.is_some() { -value } else { value })
}

/// The value of a decimal times ten to the power.
fn scaled(text: &str, mut power: i32) -> Option<f64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let (mut mantissa, mut taken) = (0_u64, 0);
    for (digit, places) in
        whole.bytes().map(|digit| (digit, 0)).chain(fraction.bytes().map(|digit| (digit, 1)))
    {
        if !digit.is_ascii_digit() {
            return None;
        }
        if taken < DIGITS_MAX {
            mantissa = mantissa * 10 + u64::from(digit - b'0');
            // Leading zeros are not counted.
            taken += usize::from(mantissa > 0);
            power = power.saturating_sub(places);
        } else {
            power = power.saturating_add(1 - places);
        }
    }
    // Divided, not multiplied by a fraction: ten to a positive power is exact.
    let scale = 10_f64.powi(power.saturating_abs());
    let mantissa = mantissa as f64;
    Some(if power < 0 { mantissa / scale } else { mantissa * scale })
}

/// Bits of an `f64`'s mantissa, without the implicit one.
const MANTISSA_BITS: u32 = 52;
/// The bias of an `f64`'s exponent, plus the mantissa's length.
const EXPONENT_BIAS: i32 = 1023 + MANTISSA_BITS as i32;
/// The exponent bits of infinities and NaN.
const EXPONENT_SPECIAL: i32 = 0x7ff;
/// More decimal places would not fit beside a mantissa in a `u64`.
const PLACES_MAX: u32 = 3;

/// The number with this many decimals (at most 3), rounded as `format!("{:.3}")` does it: by its
/// exact value, a tie to the even digit. Beyond 64 bits it is only `>` and a bound.
pub(crate) fn fixed(value: f64, places: u32) -> String {
    let places = places.min(PLACES_MAX);
    let bits = value.to_bits();
    let exponent = (bits >> MANTISSA_BITS) as i32 & EXPONENT_SPECIAL;
    if exponent == EXPONENT_SPECIAL {
        return if value.is_nan() { "NaN" } else { "inf" }.to_owned();
    }
    let hidden = u64::from(exponent > 0);
    let mantissa = (bits & ((1 << MANTISSA_BITS) - 1)) | (hidden << MANTISSA_BITS);
    // The value is this times two to the exponent.
    let scaled = mantissa * 10_u64.pow(places);
    let exponent = exponent.max(1) - EXPONENT_BIAS;
    let sign = if value.is_sign_negative() { "-" } else { "" };
    let units = match u32::try_from(exponent) {
        Ok(up) if up <= scaled.leading_zeros() => scaled << up,
        Ok(_) => return format!("{sign}>{}", u64::MAX / 10_u64.pow(places)),
        Err(_) => half_to_even(scaled, exponent.unsigned_abs()),
    };
    let (whole, part) = (units / 10_u64.pow(places), units % 10_u64.pow(places));
    match places {
        0 => format!("{sign}{whole}"),
        _ => format!("{sign}{whole}.{part:0width$}", width = places as usize),
    }
}

/// The number divided by two to the power of `down`, rounded, ties to even. The number is below
/// 2^63.
fn half_to_even(scaled: u64, down: u32) -> u64 {
    // Then it is less than a half.
    if down >= u64::BITS {
        return 0;
    }
    let whole = scaled >> down;
    let (rest, half) = (scaled - (whole << down), 1 << (down - 1));
    whole + u64::from(rest > half || (rest == half && whole % 2 == 1))
}

/// Seconds, rounded up, so that a wait of this length is long enough. (Texts show whole numbers,
/// for the formatting of fractions takes 12 KB of a program.)
#[cfg_attr(not(feature = "http"), allow(dead_code))]
pub(crate) fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

/// From this duration on, times are shown in seconds.
const SECONDS_FROM: Duration = Duration::from_secs(10);

/// A time for people, in whole units: `350 ms`, `2 s`, `2500 ms`, `61 s`.
pub(crate) struct Rounded(pub(crate) Duration);

impl fmt::Display for Rounded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 >= SECONDS_FROM || self.0.subsec_millis() == 0 && self.0.as_secs() > 0 {
            write!(f, "{} s", self.0.as_secs())
        } else {
            // Not `as_millis`: numbers of 128 bits bring 1.2 KB of formatting with them.
            write!(f, "{} ms", self.0.as_secs() * 1000 + u64::from(self.0.subsec_millis()))
        }
    }
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
    fn fixed_decimals_are_what_the_standard_library_says() {
        let mut seed = 20_261_122_u64;
        let chance = std::iter::repeat_with(|| {
            seed = seed.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(0x1405_7B7E_F767_814F);
            // Every exponent from far below the last decimal to the largest that fits.
            f64::from_bits((seed >> 12) | ((990 + seed % 83) << 52))
        });
        let ties = (0..4000_u32).map(|n| f64::from(n) / 16.0);
        let cents = (0..4000_u32).map(|n| f64::from(n) / 100.0);
        let odd = [0.0, -0.0, -1.5, f64::MIN_POSITIVE, 5e-324, 515.15, 0.9995, 9e15];
        for value in ties.chain(cents).chain(odd).chain(chance.take(20_000)) {
            if value > 9e15 {
                continue;
            }
            for places in 0..=PLACES_MAX {
                let theirs = format!("{value:.width$}", width = places as usize);
                assert_eq!(fixed(value, places), theirs, "{value:e}");
            }
        }
        assert_eq!(fixed(1e300, 1), ">1844674407370955161");
        assert_eq!((fixed(f64::NAN, 1), fixed(f64::INFINITY, 1)), ("NaN".into(), "inf".into()));
    }

    #[test]
    fn times_for_people_are_whole() {
        for (micros, text) in [
            (0, "0 ms"),
            (350_900, "350 ms"),
            (2_000_000, "2 s"),
            (2_000_999, "2 s"),
            (2_500_000, "2500 ms"),
            (61_999_000, "61 s"),
        ] {
            assert_eq!(Rounded(Duration::from_micros(micros)).to_string(), text);
        }
    }

    #[test]
    fn numbers_with_an_exponent_are_what_the_standard_library_says() {
        for text in ["-1", "1e3", "-12.5e-3", "1.5E+2", "0.1e1", "123e20", "5e-9", "1e400", "1e22"]
        {
            assert_eq!(scientific(text), text.parse().ok(), "{text}");
        }
        assert_eq!(scientific("1e-400"), Some(0.0));
        for text in ["", "-", "e3", "1e", "1e2.5", "--1", "1e99999999999"] {
            assert_eq!(scientific(text), None, "{text}");
        }
    }

    #[test]
    fn anything_else_is_no_decimal() {
        for text in ["", ".", "-1", "+1", "1e3", "inf", "nan", "1.2.3", "1 ", "0x1", "١"] {
            assert_eq!(decimal(text), None, "{text}");
        }
    }
}
