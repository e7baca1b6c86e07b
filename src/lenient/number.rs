//! Numbers as JSON writes them, and as servers do.

use serde_json::Number;

use crate::number::{decimal, scientific};

/// Whether a word is a number as JSON writes it.
pub(super) fn is_json_number(word: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let word = word.strip_prefix('-').unwrap_or(word);
    let (mantissa, exponent) = word.split_once(['e', 'E']).unwrap_or((word, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
    let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    let is_padded = whole.len() > 1 && whole.starts_with('0');
    digits(whole) && !is_padded && digits(fraction) && digits(exponent)
}

/// The number that a word of JSON writes.
pub(super) fn any_number(word: &str) -> Option<Number> {
    let whole = word.parse::<u64>().map(Number::from);
    let whole = whole.or_else(|_| word.parse::<i64>().map(Number::from));
    whole.ok().or_else(|| Number::from_f64(scientific(word)?))
}

/// A whole number; some servers count in floats.
pub(super) fn whole_number(text: &str) -> Option<u64> {
    text.parse().ok().or_else(|| {
        // The cast saturates.
        decimal(text).filter(|number| number.fract() == 0.0).map(|number| number as u64)
    })
}

#[cfg(test)]
mod tests {
    use super::super::{exact_value, is_json};
    use serde::de::IgnoredAny;
    use serde_json::Value;

    #[test]
    fn json_to_the_letter_is_what_serde_json_takes() {
        let deep = |depth| "[".repeat(depth) + &"]".repeat(depth);
        let fits = deep(127);
        for text in [
            "0",
            "01",
            "-1",
            "-",
            "1.",
            ".5",
            "+1",
            "1e",
            "1e+5",
            "-1.5e3",
            "1.2.3",
            "1e400",
            "0.1",
            "123.456e-7",
            "18446744073709551615",
            "18446744073709551616",
            "-9223372036854775808",
            "{}",
            " [ ] ",
            "{} x",
            "",
            "tru",
            "true",
            "null",
            "NaN",
            "[nul]",
            "[1,]",
            "[1 2]",
            r#"{"a":1,}"#,
            r#"{"a" 1}"#,
            "{1:2}",
            r#"{"a":[1,{"b":"\u00e4\n"}]}"#,
            "\"a\nb\"",
            r#""\q""#,
            r#""\ud83d""#,
            "\u{feff}{}",
            &fits,
        ] {
            let is_ok = serde_json::from_str::<IgnoredAny>(text).is_ok();
            assert_eq!(is_json(text), is_ok, "{text}");
            let value: Option<Value> = serde_json::from_str(text).ok();
            assert_eq!(exact_value(text), value, "{text}");
        }
        assert!(!is_json(&deep(128)));
    }
}
