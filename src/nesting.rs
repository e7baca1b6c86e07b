//! How deep JSON may be nested: one bound, checked where a value enters.
//!
//! Code that walks a value (to copy, write, compare or drop it) takes a stack frame for each
//! level, so a value that is too deep overflows the stack. None gets that far: every setter that
//! takes a [`Value`] passes it through [`bounded`], and the validation of the request or
//! configuration calls [`is_too_deep`].

use serde_json::Value;

/// How deep a value may be nested: serde_json's own limit for reading.
pub(crate) const MAX_JSON_DEPTH: usize = 128;

/// The value; or, if it is nested too deep, a replacement that is one level too deep. The
/// replacement is rejected as the value would be, and can be copied and dropped safely until
/// then.
pub(crate) fn bounded(value: Value) -> Value {
    if !is_too_deep(&value) {
        return value;
    }
    discard(value);
    (0..MAX_JSON_DEPTH).fold(Value::Null, |inner, _| Value::Array(vec![inner]))
}

/// Whether the value is nested deeper than [`MAX_JSON_DEPTH`].
pub(crate) fn is_too_deep(value: &Value) -> bool {
    is_deeper(value, MAX_JSON_DEPTH)
}

/// Recurses no deeper than `depth_max`.
fn is_deeper(value: &Value, depth_max: usize) -> bool {
    let Some(rest) = depth_max.checked_sub(1) else { return true };
    match value {
        Value::Array(values) => values.iter().any(|value| is_deeper(value, rest)),
        Value::Object(map) => map.values().any(|value| is_deeper(value, rest)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// Drops a value of any depth without recursion.
fn discard(value: Value) {
    let mut left = vec![value];
    while let Some(value) = left.pop() {
        match value {
            Value::Array(values) => left.extend(values),
            Value::Object(map) => left.extend(map.into_iter().map(|(_, value)| value)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Not by `json!`, which copies what is inside.
    fn array(inner: Value) -> Value {
        Value::Array(vec![Value::Null, inner])
    }

    fn object(inner: Value) -> Value {
        Value::Object([("k".to_owned(), inner)].into_iter().collect())
    }

    fn nested(levels: usize, around: fn(Value) -> Value) -> Value {
        (1..levels).fold(Value::Null, |inner, _| around(inner))
    }

    #[test]
    fn a_value_at_the_bound_is_kept_and_a_deeper_one_becomes_just_too_deep() {
        for around in [array, object] {
            let fits = nested(MAX_JSON_DEPTH, around);
            assert_eq!(bounded(fits.clone()), fits);
            for deep in [MAX_JSON_DEPTH + 1, 100_000] {
                let stand_in = bounded(nested(deep, around));
                assert!(is_too_deep(&stand_in) && !is_deeper(&stand_in, MAX_JSON_DEPTH + 1));
            }
        }
    }
}
