//! Limits for JSON values that other people's programs and files made.

use serde_json::Value;

/// Deepest nesting of a value that is taken in: leaves room for the envelope around it below the codec's limit.
pub(crate) const DEPTH: usize = 32;

/// Whether a value is nested at most so deep.
pub(crate) fn is_within(value: &Value, depth: usize) -> bool {
    let Some(below) = depth.checked_sub(1) else { return false };
    match value {
        Value::Array(list) => list.iter().all(|value| is_within(value, below)),
        Value::Object(map) => map.values().all(|value| is_within(value, below)),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn depth_is_counted_from_the_outside() {
        assert!(is_within(&json!(1), 1));
        assert!(is_within(&json!([{"a": 1}]), 3));
        assert!(!is_within(&json!([{"a": 1}]), 2));
    }
}
