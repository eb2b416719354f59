//! Types of parameters: how a text or a value of a file is read as one.

use std::fmt;
use std::str::FromStr;

use rhai::INT;
use serde_json::{Map, Number, Value};

use crate::config::parse_span;
use crate::script::types::quoted;

/// Type of a parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParamType {
    /// Text.
    String,
    /// A whole number.
    Int,
    /// A number.
    Float,
    /// True or false.
    Bool,
    /// A span of time such as `30s`.
    Duration,
    /// Several values: `a,b,c`, or a JSON list.
    List,
    /// Named values: `a=1,b=2`, or a JSON object.
    Map,
    /// One of these texts.
    Choice(Vec<String>),
    /// Text that is not shown.
    Secret,
}

const TYPES: [&str; 9] =
    ["string", "int", "float", "bool", "duration", "list", "map", "choice(a|b|c)", "secret"];

impl FromStr for ParamType {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(match text {
            "string" => Self::String,
            "int" => Self::Int,
            "float" => Self::Float,
            "bool" => Self::Bool,
            "duration" => Self::Duration,
            "list" => Self::List,
            "map" => Self::Map,
            "secret" => Self::Secret,
            other => {
                let choices = other.strip_prefix("choice(").and_then(|rest| rest.strip_suffix(')'));
                let choices: Vec<String> =
                    choices.unwrap_or_default().split('|').map(|choice| choice.trim().to_owned()).collect();
                if choices.iter().any(String::is_empty) {
                    let text: String = text.chars().take(40).collect();
                    return Err(format!("`{text}` is no type of a parameter; types are {}", quoted(&TYPES)));
                }
                Self::Choice(choices)
            }
        })
    }
}

impl fmt::Display for ParamType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::String => "string",
            Self::Int => "int",
            Self::Float => "float",
            Self::Bool => "bool",
            Self::Duration => "duration",
            Self::List => "list",
            Self::Map => "map",
            Self::Secret => "secret",
            Self::Choice(choices) => return write!(f, "choice({})", choices.join("|")),
        })
    }
}

impl ParamType {
    /// A value as it was given, in its type. Text is read, as from a command line; anything else comes from a file of
    /// parameters or is a default, and must have the type already.
    ///
    /// # Errors
    /// With a sentence that follows on the name of the parameter. It does not repeat the value: that may be secret.
    pub fn read(&self, given: &Value) -> Result<Value, String> {
        let wrong = || format!("must be {}", self.demand());
        let text = given.as_str();
        match self {
            Self::String | Self::Secret => text.map(Value::from),
            Self::Int => match text {
                Some(text) => text.trim().parse::<INT>().ok().map(Value::from),
                None => given.as_i64().map(Value::from),
            },
            Self::Float => match text {
                Some(text) => text.trim().parse().ok().and_then(Number::from_f64).map(Value::Number),
                None => given.as_f64().and_then(Number::from_f64).map(Value::Number),
            },
            Self::Bool => match text {
                Some(text) => truth(text).map(Value::Bool),
                None => given.as_bool().map(Value::Bool),
            },
            Self::Duration => text.filter(|text| parse_span(text).is_ok()).map(Value::from),
            Self::List => match text {
                Some(text) if text.trim_start().starts_with('[') => json(text).filter(Value::is_array),
                Some("") => Some(Value::Array(Vec::new())),
                Some(text) => Some(text.split(',').map(|item| Value::from(item.trim())).collect()),
                None => Some(given.clone()).filter(Value::is_array),
            },
            Self::Map => match text {
                Some(text) if text.trim_start().starts_with('{') => json(text).filter(Value::is_object),
                Some(text) => pairs(text),
                None => Some(given.clone()).filter(Value::is_object),
            },
            Self::Choice(choices) => {
                text.filter(|text| choices.iter().any(|choice| choice == text)).map(Value::from)
            }
        }
        .ok_or_else(wrong)
    }

    fn demand(&self) -> String {
        match self {
            Self::String | Self::Secret => "a string".to_owned(),
            Self::Int => "a whole number".to_owned(),
            Self::Float => "a number".to_owned(),
            Self::Bool => "`true` or `false`".to_owned(),
            Self::Duration => "a span of time such as `30s`, `5m` or `2h`".to_owned(),
            Self::List => "a list: `a,b,c` or `[\"a\", 1]`".to_owned(),
            Self::Map => "a map: `a=1,b=2` or `{\"a\": 1}`".to_owned(),
            Self::Choice(choices) => format!("one of {}", quoted(choices)),
        }
    }
}

fn json(text: &str) -> Option<Value> {
    serde_json::from_str(text).ok()
}

fn truth(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "yes" | "y" | "t" | "1" => Some(true),
        "false" | "no" | "n" | "f" | "0" => Some(false),
        _ => None,
    }
}

fn pairs(text: &str) -> Option<Value> {
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=')?;
        Some((name.trim().to_owned(), Value::from(value.trim())))
    };
    let pairs = text.split(',').filter(|pair| !pair.trim().is_empty());
    pairs.map(pair).collect::<Option<Map<_, _>>>().map(Value::Object)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn text_is_read_by_the_type() {
        let cases = [
            ("string", "1", json!("1")),
            ("int", "-5", json!(-5)),
            ("float", "2", json!(2.0)),
            ("bool", "Yes", json!(true)),
            ("duration", "30s", json!("30s")),
            ("list", "a, b", json!(["a", "b"])),
            ("list", "[1, \"x\"]", json!([1, "x"])),
            ("list", "", json!([])),
            ("map", "a=1,b=x=y", json!({"a": "1", "b": "x=y"})),
            ("map", "{\"a\": 1}", json!({"a": 1})),
            ("choice(red|green)", "red", json!("red")),
            ("secret", "x", json!("x")),
        ];
        for (kind, given, value) in cases {
            assert_eq!(kind.parse::<ParamType>().unwrap().read(&json!(given)), Ok(value), "{kind} {given}");
        }
        for (kind, given) in [
            ("int", json!("1.5")),
            ("int", json!(1.5)),
            ("float", json!("NaN")),
            ("bool", json!("maybe")),
            ("duration", json!("soon")),
            ("list", json!("[1")),
            ("map", json!("a")),
            ("map", json!([1])),
            ("choice(red|green)", json!("blue")),
            ("string", json!(1)),
        ] {
            assert!(kind.parse::<ParamType>().unwrap().read(&given).is_err(), "{kind} {given}");
        }
    }

    #[test]
    fn types_are_those_of_the_language() {
        for kind in TYPES {
            assert_eq!(kind.parse::<ParamType>().unwrap().to_string(), kind);
        }
        for wrong in ["", "strin", "choice", "choice()", "choice(a||b)"] {
            assert!(wrong.parse::<ParamType>().is_err(), "{wrong}");
        }
    }
}
