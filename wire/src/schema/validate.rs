//! Checking the arguments of a call.

use serde_json::{Map, Value};

use super::{ActionSchema, InputSchema, Validator, ValueType};

/// An argument that the schema does not allow.
///
/// The message says what would be right and never repeats the value: it may be a secret,
/// or hold what has no place on a terminal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{input}` {message}")]
pub struct ArgumentFault {
    /// Name of the argument.
    pub input: String,
    /// What sort of fault.
    pub kind: FaultKind,
    /// A sentence that follows on the name.
    pub message: String,
}

/// Sorts of faults of an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// A required argument is left out.
    Missing,
    /// No input has this name.
    Unknown,
    /// The argument is given twice.
    Repeated,
    /// The value is of another type.
    Type,
    /// The value is not one of the list.
    NotInList,
    /// The text is longer than allowed.
    TooLong,
    /// The text holds a character with a meaning to a shell.
    Unsafe,
    /// The text is no such IP address.
    Address,
    /// The text does not match the expression, or does not read as it should.
    Pattern,
}

impl ActionSchema {
    /// Checks arguments as the node does: nothing is converted or filled in.
    ///
    /// # Errors
    /// With every fault, those of given arguments first.
    pub fn validate(&self, arguments: &Map<String, Value>) -> Result<(), Vec<ArgumentFault>> {
        let mut faults = Vec::new();
        for (name, value) in arguments {
            match self.input(name) {
                Some(input) => faults.extend(input.fault(value)),
                None if self.open_inputs => {}
                None => faults.push(self.unknown(name)),
            }
        }
        for input in self.inputs.iter().filter(|input| !input.optional) {
            if !arguments.contains_key(&input.name) {
                let message = format!("is missing: {}", input.description);
                faults.push(ArgumentFault { input: input.name.clone(), kind: FaultKind::Missing, message });
            }
        }
        if faults.is_empty() { Ok(()) } else { Err(faults) }
    }

    /// The fault of a name that stands twice on a command line.
    pub(crate) fn repeated(&self, name: &str) -> ArgumentFault {
        ArgumentFault {
            input: shortened(name),
            kind: FaultKind::Repeated,
            message: "is given twice; which value is meant?".into(),
        }
    }

    /// The fault of an argument that no input describes.
    pub(crate) fn unknown(&self, name: &str) -> ArgumentFault {
        let names = self.inputs.iter().map(|input| input.name.as_str());
        let message = match nearest(name, names.clone()) {
            Some(near) => format!("is no input of `{}`; did you mean `{near}`?", self.name),
            None if self.inputs.is_empty() => format!("is no input of `{}`, which has none", self.name),
            None => {
                let known: Vec<String> = names.map(|name| format!("`{name}`")).collect();
                format!("is no input of `{}`; it has {}", self.name, known.join(", "))
            }
        };
        ArgumentFault { input: shortened(name), kind: FaultKind::Unknown, message }
    }
}

impl InputSchema {
    /// What is wrong with a value, if anything.
    pub fn fault(&self, value: &Value) -> Option<ArgumentFault> {
        if !self.kind.accepts(value) {
            let article = self.kind.described();
            return Some(
                self.faulty(FaultKind::Type, format!("must be {article}, not {}", described(value))),
            );
        }
        if self.kind == ValueType::List && !self.list.contains(value) {
            return Some(self.faulty(FaultKind::NotInList, format!("must be one of {}", self.choices())));
        }
        let text = value.as_str().filter(|_| self.kind == ValueType::String)?;
        if let Some(most) = self.max_length {
            let length = text.chars().count();
            if length > most {
                let message = format!("must have at most {most} characters, not {length}");
                return Some(self.faulty(FaultKind::TooLong, message));
            }
        }
        let validator = self.validation.as_ref().filter(|validator| !validator.accepts(text))?;
        let kind = match validator {
            Validator::Shellsafe => FaultKind::Unsafe,
            Validator::Ipv4Address | Validator::Ipv6Address | Validator::IpAddress => FaultKind::Address,
            _ => FaultKind::Pattern,
        };
        Some(self.faulty(kind, format!("must {}", validator.demand())))
    }

    pub(crate) fn faulty(&self, kind: FaultKind, message: String) -> ArgumentFault {
        ArgumentFault { input: self.name.clone(), kind, message }
    }

    /// The values of the list, for sentences.
    fn choices(&self) -> String {
        let shown = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        self.list.iter().map(|value| format!("`{}`", shown(value))).collect::<Vec<_>>().join(", ")
    }
}

fn described(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(number) if number.is_f64() => "a float",
        Value::Number(_) => "an integer",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "a hash",
    }
}

fn shortened(name: &str) -> String {
    name.chars().take(80).collect()
}

/// The known name that is most likely meant.
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let name = shortened(name);
    known
        .map(|candidate| (strsim::damerau_levenshtein(&name, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len() / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}
