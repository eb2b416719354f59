//! Arguments from the text of a command line.

use serde_json::{Map, Number, Value};

use super::{ActionSchema, ArgumentFault, FaultKind, InputSchema, ValueType};

impl ActionSchema {
    /// Converts the text of one argument to the type of its input; without checking it
    /// further, which [`ActionSchema::validate`] does for all. An argument that an open
    /// agent does not describe stays text.
    ///
    /// # Errors
    /// When the text does not read as the type, or no input has the name.
    pub fn coerce_text(&self, input: &str, text: &str) -> Result<Value, ArgumentFault> {
        match self.input(input) {
            Some(input) => input.coerce_text(text),
            None if self.open_inputs => Ok(Value::String(text.to_owned())),
            None => Err(self.unknown(input)),
        }
    }

    /// Converts several arguments, each of which may be given once.
    ///
    /// # Errors
    /// With every fault, in the order of the arguments.
    pub fn coerce_texts<'a>(
        &self,
        pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Map<String, Value>, Vec<ArgumentFault>> {
        let (arguments, faults) = self.coerce_each(pairs);
        if faults.is_empty() { Ok(arguments) } else { Err(faults) }
    }

    /// As [`ActionSchema::coerce_texts`], but gives what could be converted besides the faults, so that it can be
    /// checked too.
    pub fn coerce_each<'a>(
        &self,
        pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> (Map<String, Value>, Vec<ArgumentFault>) {
        let (mut arguments, mut faults) = (Map::new(), Vec::new());
        for (name, text) in pairs {
            if arguments.contains_key(name) {
                faults.push(self.repeated(name));
                continue;
            }
            match self.coerce_text(name, text) {
                Ok(value) => {
                    arguments.insert(name.to_owned(), value);
                }
                Err(fault) => faults.push(fault),
            }
        }
        (arguments, faults)
    }
}

impl InputSchema {
    /// Converts text to the type of the input.
    ///
    /// # Errors
    /// When the text does not read as the type.
    pub fn coerce_text(&self, text: &str) -> Result<Value, ArgumentFault> {
        let value = match self.kind {
            ValueType::String | ValueType::Any => Some(Value::String(text.to_owned())),
            ValueType::Integer => integer(text),
            ValueType::Float => float(text),
            ValueType::Number => integer(text).or_else(|| float(text)),
            ValueType::Boolean => boolean(text),
            ValueType::List => Some(self.choose(text)),
            ValueType::Array | ValueType::Hash => {
                serde_json::from_str(text).ok().filter(|value| self.kind.accepts(value))
            }
        };
        value.ok_or_else(|| {
            let message = match self.kind {
                ValueType::Boolean => "must be true or false (also yes, no, t, f, y, n, 1, 0)".into(),
                ValueType::Array => "must be a JSON array, such as [\"a\", \"b\"]".into(),
                ValueType::Hash => "must be a JSON object, such as {\"key\": \"value\"}".into(),
                kind => format!("must be {}", kind.described()),
            };
            self.faulty(FaultKind::Type, message)
        })
    }

    /// A list may hold other things than text; one that is written so is meant.
    fn choose(&self, text: &str) -> Value {
        let meant = self.list.iter().find(|value| match value {
            Value::String(string) => string == text,
            other => serde_json::from_str::<Value>(text).is_ok_and(|value| value == **other),
        });
        meant.cloned().unwrap_or_else(|| Value::String(text.to_owned()))
    }
}

fn integer(text: &str) -> Option<Value> {
    text.parse::<i64>().map(Value::from).or_else(|_| text.parse::<u64>().map(Value::from)).ok()
}

fn float(text: &str) -> Option<Value> {
    // Only digits: `inf`, `nan` and their kin parse too and are no JSON.
    let plain = text.trim_start_matches(['+', '-']).starts_with(|c: char| c.is_ascii_digit() || c == '.');
    let float = text.parse::<f64>().ok().filter(|_| plain)?;
    Number::from_f64(float).map(Value::Number)
}

fn boolean(text: &str) -> Option<Value> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "t" | "y" | "1" => Some(Value::Bool(true)),
        "false" | "no" | "f" | "n" | "0" => Some(Value::Bool(false)),
        _ => None,
    }
}
