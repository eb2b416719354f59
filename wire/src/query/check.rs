//! What the runner refuses before anything is sent: `query.md`, Comparing data functions.

use std::ops::Range;

use serde_json::Value;

use super::{
    ParseError,
    ast::{DataCall, Places, Query, Term, Test},
    compare::{self, Literal},
    functions::{DataFunction, DataFunctions},
};
use crate::schema::{OutputSchema, ValueType, nearest};

/// A query that parses, and something that is wrong with a data function in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct QueryFault {
    /// How bad it is.
    pub kind: FaultKind,
    /// The call at fault.
    pub call: DataCall,
    /// One sentence, lower case, without a full stop.
    pub message: String,
    /// The bytes at fault in the text that was parsed.
    pub span: Range<usize>,
    /// What to write instead.
    pub help: Option<String>,
}

/// How bad a fault is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// No schema describes the function. A runner sends no such query; a node that has not the function answers that it
    /// is not meant.
    Unknown,
    /// The argument, the output or the value is none that the function has or takes.
    Refused,
    /// The comparison is allowed and never true, such as an ordering of texts.
    NeverTrue,
}

impl QueryFault {
    /// Whether a runner must not send the query.
    pub fn stops(&self) -> bool {
        self.kind != FaultKind::NeverTrue
    }
}

impl From<QueryFault> for ParseError {
    fn from(fault: QueryFault) -> Self {
        Self { message: fault.message, span: fault.span, help: fault.help }
    }
}

impl Query {
    /// Checks the data functions against their schemas: name, argument, output, and the type of the value. All faults, in
    /// the order of the text, one for each comparison.
    pub fn check(&self, functions: &DataFunctions) -> Vec<QueryFault> {
        let mut faults = Vec::new();
        for term in self.terms() {
            let Term::Data { call, field, test, places } = term else { continue };
            let found = match functions.get(&call.function) {
                None => Some(unknown(call, places, functions)),
                Some(function) => argument(call, places, function)
                    .or_else(|| comparison(call, function, field.as_deref(), test, places)),
            };
            faults.extend(found.map(|found| QueryFault {
                kind: found.kind,
                call: call.clone(),
                message: found.message,
                span: found.span,
                help: found.help,
            }));
        }
        faults
    }
}

struct Found {
    kind: FaultKind,
    message: String,
    span: Range<usize>,
    help: Option<String>,
}

impl Found {
    fn refused(span: &Range<usize>, message: String) -> Self {
        Self { kind: FaultKind::Refused, message, span: span.clone(), help: None }
    }

    fn help(self, help: String) -> Self {
        Self { help: Some(help), ..self }
    }
}

fn unknown(call: &DataCall, places: &Places, functions: &DataFunctions) -> Found {
    let help = match nearest(&call.function, functions.names()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("known are {}", listed(functions.names())),
    };
    Found {
        kind: FaultKind::Unknown,
        message: format!("there is no data function `{}`", call.function),
        span: places.function.clone(),
        help: Some(help),
    }
}

fn argument(call: &DataCall, places: &Places, function: &DataFunction) -> Option<Found> {
    let name = &call.function;
    let place = if places.argument.is_empty() { &places.function } else { &places.argument };
    match (call.argument.as_deref(), function.argument()) {
        (Some(_), _) if call.has_backtick() => {
            Some(Found::refused(place, "an argument must not hold a backtick".to_owned()))
        }
        (Some(_), None) => {
            let found = Found::refused(place, format!("`{name}` takes no argument"));
            Some(found.help(format!("write `{name}()`")))
        }
        (Some(text), Some(input)) => {
            let fault = input.fault(&Value::from(text))?;
            Some(Found::refused(place, format!("the argument of `{name}` {}", fault.message)))
        }
        (None, Some(input)) if !input.optional => {
            let message = format!("`{name}` needs an argument: {}", input.description);
            Some(Found::refused(place, message).help(format!("write `{name}('…')`")))
        }
        (None, _) => None,
    }
}

fn comparison(
    call: &DataCall,
    function: &DataFunction,
    field: Option<&str>,
    test: &Test,
    places: &Places,
) -> Option<Found> {
    let outputs = &function.schema().outputs;
    let names = || listed(outputs.iter().map(|output| output.name.as_str()));
    let output = match (field, outputs.as_slice()) {
        (None, [only]) => only,
        (None, _) => {
            let found = Found::refused(&places.function, format!("`{}` has several outputs", call.function));
            return Some(found.help(format!("say which is meant: {}", names())));
        }
        (Some(field), outputs) => match outputs.iter().find(|output| output.name == field) {
            Some(output) => output,
            None => {
                let near = nearest(field, outputs.iter().map(|output| output.name.as_str()));
                let found =
                    Found::refused(&places.field, format!("`{}` has no output `{field}`", call.function));
                return Some(match near {
                    Some(near) => found.help(format!("did you mean `{near}`?")),
                    None => found.help(format!("it has {}", names())),
                });
            }
        },
    };
    value(output, test, places)
}

fn value(output: &OutputSchema, test: &Test, places: &Places) -> Option<Found> {
    let (name, kind) = (output.name.as_str(), output.kind);
    let never = |message: String| {
        Some(Found { kind: FaultKind::NeverTrue, message, span: places.value.clone(), help: None })
    };
    let typed = matches!(
        kind,
        ValueType::Boolean | ValueType::Integer | ValueType::Float | ValueType::Number | ValueType::String
    );
    let text = match test {
        Test::Matches(_) | Test::Avoids(_) if typed && kind != ValueType::String => {
            return never(format!(
                "`{name}` is {}, and a regular expression matches only strings",
                kind.described()
            ));
        }
        Test::Matches(_) | Test::Avoids(_) => return None,
        Test::Orders(..) if matches!(kind, ValueType::String | ValueType::Boolean) => {
            return never(format!("`{name}` is {}, and only numbers have an order", kind.described()));
        }
        Test::Equals(text) | Test::Differs(text) | Test::Orders(_, text) => text,
    };
    let wrong = |help: &str| {
        let message = format!("`{name}` is {}, and `{text}` is none", kind.described());
        Some(Found::refused(&places.value, message).help(help.to_owned()))
    };
    let is_equality = !matches!(test, Test::Orders(..));
    match (kind, Literal::parse(text)) {
        (ValueType::Boolean, _) if compare::boolean(text).is_none() => wrong("write `true` or `false`"),
        (ValueType::Integer | ValueType::Float | ValueType::Number, None) => wrong("write a number"),
        (ValueType::Integer, Some(number)) if is_equality && !number.is_whole() => {
            wrong("write a whole number")
        }
        _ => None,
    }
}

fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
