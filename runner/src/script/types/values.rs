//! Between the values of scripts and JSON, and what scripts write for spans of time and numbers of nodes.

use std::time::Duration;

use rhai::{Array, Blob, Dynamic, ImmutableString};
use serde_json::{Map, Number, Value};

use super::results::{OneResult, Results};
use super::secret::Secret;
use super::selection::Selection;
use super::tables::Tallied;
use crate::config::parse_span;
use crate::script::dry::Unknown;

/// Deepest nesting that is converted; deeper values are refused rather than recursed into.
const MAX_DEPTH: usize = 64;

/// What becomes of secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Secrets {
    /// They are passed on: for the arguments of a call.
    Reveal,
    /// They turn into `***`: for whatever can be seen.
    Mask,
}

/// A value of a script as JSON.
///
/// # Errors
/// With a word on what has no JSON form, such as a function.
pub(crate) fn to_json(value: &Dynamic, secrets: Secrets) -> Result<Value, String> {
    convert(value, secrets, 0)
}

fn convert(value: &Dynamic, secrets: Secrets, depth: usize) -> Result<Value, String> {
    if depth > MAX_DEPTH {
        return Err(format!("values nested deeper than {MAX_DEPTH} cannot be passed on"));
    }
    if value.is_shared() {
        return convert(&value.flatten_clone(), secrets, depth);
    }
    if value.is_unit() {
        return Ok(Value::Null);
    }
    if let Ok(flag) = value.as_bool() {
        return Ok(Value::Bool(flag));
    }
    if let Ok(number) = value.as_int() {
        return Ok(number.into());
    }
    if let Ok(number) = value.as_float() {
        return Number::from_f64(number)
            .map(Value::Number)
            .ok_or_else(|| format!("{number} is no JSON number"));
    }
    if let Ok(text) = value.as_immutable_string_ref() {
        return Ok(Value::String(text.to_string()));
    }
    if let Ok(letter) = value.as_char() {
        return Ok(Value::String(letter.to_string()));
    }
    if let Ok(list) = value.as_array_ref() {
        return list.iter().map(|item| convert(item, secrets, depth + 1)).collect();
    }
    if let Ok(map) = value.as_map_ref() {
        let entries =
            map.iter().map(|(name, item)| Ok((name.to_string(), convert(item, secrets, depth + 1)?)));
        return entries.collect::<Result<Map<_, _>, String>>().map(Value::Object);
    }
    if let Some(secret) = value.read_lock::<Secret>() {
        return Ok(Value::String(match secrets {
            Secrets::Reveal => secret.reveal().to_owned(),
            Secrets::Mask => secret.to_string(),
        }));
    }
    if let Some(unknown) = value.read_lock::<Unknown>() {
        return Ok(Value::String(unknown.to_string()));
    }
    if let Some(results) = value.read_lock::<Results>() {
        return Ok(results.to_json());
    }
    if let Some(result) = value.read_lock::<OneResult>() {
        return Ok(result.to_json());
    }
    if let Some(counted) = value.read_lock::<Tallied>() {
        return Ok(counted.to_json());
    }
    if let Some(selection) = value.read_lock::<Selection>() {
        return match selection.known_names() {
            Some(names) => Ok(names.iter().map(|name| name.as_str()).collect()),
            None => Err("a selection that is not resolved has no JSON form: use its `names`".to_owned()),
        };
    }
    if value.is::<Blob>() {
        return Err("bytes have no JSON form".to_owned());
    }
    if value.is_fnptr() {
        return Err("a function has no JSON form".to_owned());
    }
    Ok(Value::String(value.to_string()))
}

/// The entries of a map as JSON.
///
/// # Errors
/// With the name of the entry that has no JSON form, and why.
pub(crate) fn map_to_json(map: &rhai::Map, secrets: Secrets) -> Result<Map<String, Value>, String> {
    let entry = |(name, value): (&rhai::Identifier, &Dynamic)| {
        let value = to_json(value, secrets).map_err(|why| format!("`{name}`: {why}"))?;
        Ok((name.to_string(), value))
    };
    map.iter().map(entry).collect()
}

/// JSON as a value of a script.
pub(crate) fn from_json(value: &Value) -> Dynamic {
    match value {
        Value::Null => Dynamic::UNIT,
        Value::Bool(flag) => (*flag).into(),
        Value::Number(number) => match number.as_i64() {
            Some(number) => number.into(),
            None => number.as_f64().unwrap_or(f64::NAN).into(),
        },
        Value::String(text) => text.as_str().into(),
        Value::Array(list) => list.iter().map(from_json).collect::<Array>().into(),
        Value::Object(map) => from_map(map).into(),
    }
}

/// A JSON object as a map of a script.
pub(crate) fn from_map(map: &Map<String, Value>) -> rhai::Map {
    map.iter().map(|(name, value)| (name.as_str().into(), from_json(value))).collect()
}

/// A value of a call as it is shown inside a line: text plain, everything else as JSON.
pub(crate) fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// What a script calls the type of a value, for messages.
pub(crate) fn type_of(value: &Dynamic) -> &'static str {
    match value.type_name() {
        "()" => "nothing",
        "i64" => "an int",
        "f64" => "a float",
        "bool" => "a bool",
        "char" => "a char",
        "array" => "an array",
        "map" => "a map",
        "Fn" => "a function",
        _ if value.is_string() => "a string",
        _ if value.read_lock::<Selection>().is_some() => "a selection",
        _ if value.read_lock::<Results>().is_some() => "results",
        _ if value.read_lock::<OneResult>().is_some() => "a result",
        _ => "a value of another type",
    }
}

/// A span given as text, or as a number of seconds.
///
/// # Errors
/// With a sentence on how spans are written.
pub(crate) fn span(value: &Dynamic) -> Result<Duration, String> {
    if let Ok(text) = value.as_immutable_string_ref() {
        return bounded(parse_span(&text).map_err(|error| error.to_string())?);
    }
    let seconds = match (value.as_int(), value.as_float()) {
        #[expect(clippy::cast_precision_loss, reason = "what is lost is far over the limit")]
        (Ok(seconds), _) => seconds as f64,
        (_, Ok(seconds)) => seconds,
        _ => return Err(format!("a span of time is a string such as \"30s\", not {}", type_of(value))),
    };
    bounded(
        Duration::try_from_secs_f64(seconds).map_err(|_| format!("{seconds} seconds is no span of time"))?,
    )
}

/// Longest span a script can name: 30 days, which keeps deadlines far from overflow.
const LONGEST: Duration = Duration::from_secs(30 * 24 * 3600);

fn bounded(span: Duration) -> Result<Duration, String> {
    if span > LONGEST { Err("a span of time is at most 30 days".to_owned()) } else { Ok(span) }
}

/// A count or a share of nodes, as a script writes it: `5` or `"10%"`.
///
/// # Errors
/// When it is neither an int nor a string.
pub(crate) fn portion(value: &Dynamic) -> Result<ImmutableString, String> {
    match value.as_int() {
        Ok(count) => Ok(count.to_string().into()),
        Err(_) if value.is_string() => Ok(value.clone().into_immutable_string().unwrap_or_default()),
        Err(_) => Err(format!("write a number of nodes, or a share such as \"10%\", not {}", type_of(value))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json_goes_in_and_comes_out_the_same() {
        let value = json!({"a": [1, 2.5, "x", null, true], "b": {"c": -3}, "big": 9_007_199_254_740_993_i64});
        assert_eq!(to_json(&from_json(&value), Secrets::Mask).unwrap(), value);
        let unsigned = json!(u64::MAX);
        assert!(from_json(&unsigned).is_float());
    }

    #[test]
    fn what_has_no_json_form_is_refused_with_the_reason() {
        let function = Dynamic::from(rhai::FnPtr::new("f").unwrap());
        let map = rhai::Map::from([("f".into(), function)]);
        assert_eq!(map_to_json(&map, Secrets::Mask).unwrap_err(), "`f`: a function has no JSON form");
        assert!(to_json(&Dynamic::from_float(f64::NAN), Secrets::Mask).is_err());
        let mut deep = Dynamic::UNIT;
        for _ in 0..100 {
            deep = Dynamic::from_array(vec![deep]);
        }
        assert!(to_json(&deep, Secrets::Mask).is_err());
    }

    #[test]
    fn secrets_are_masked_unless_they_are_asked_for() {
        let secret = Dynamic::from(Secret::new("hunter2"));
        assert_eq!(to_json(&secret, Secrets::Mask).unwrap(), json!("***"));
        assert_eq!(to_json(&secret, Secrets::Reveal).unwrap(), json!("hunter2"));
    }

    #[test]
    fn spans_are_texts_or_numbers_of_seconds() {
        assert_eq!(span(&Dynamic::from("30s")), Ok(Duration::from_secs(30)));
        assert_eq!(span(&Dynamic::from(2_i64)), Ok(Duration::from_secs(2)));
        assert_eq!(span(&Dynamic::from(0.5_f64)), Ok(Duration::from_millis(500)));
        for wrong in [Dynamic::from(-1_i64), true.into(), "soon".into(), "31d".into(), f64::NAN.into()] {
            assert!(span(&wrong).is_err(), "{wrong}");
        }
    }
}
