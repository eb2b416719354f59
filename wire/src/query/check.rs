//! What the runner refuses before anything is sent.

use super::{
    ast::{DataCall, Query, Term, Test},
    compare::{self, Literal},
};
use crate::schema::ValueType;

/// A query that parses and still cannot mean anything.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{call}`: {message}")]
pub struct QueryFault {
    /// The call at fault.
    pub call: DataCall,
    /// One sentence.
    pub message: String,
}

/// Outputs of a data function with their types.
pub type Outputs = Vec<(String, ValueType)>;

impl Query {
    /// Checks the data functions: no backtick in an argument, and, as far as `outputs`
    /// knows the function, that the output exists and the value has its type.
    pub fn check(&self, outputs: &dyn Fn(&str) -> Option<Outputs>) -> Vec<QueryFault> {
        let mut faults = Vec::new();
        for term in self.terms() {
            let Term::Data { call, field, test } = term else { continue };
            let fault = if call.has_backtick() {
                Some("an argument must not hold a backtick".to_owned())
            } else {
                outputs(&call.function).and_then(|known| fault(&known, field.as_deref(), test))
            };
            faults.extend(fault.map(|message| QueryFault { call: call.clone(), message }));
        }
        faults
    }
}

fn fault(known: &[(String, ValueType)], field: Option<&str>, test: &Test) -> Option<String> {
    let (name, kind) = match (field, known) {
        (Some(field), _) => match known.iter().find(|(name, _)| name == field) {
            Some(output) => output,
            None => return Some(format!("it has no output `{field}`; it has {}", names(known))),
        },
        (None, [only]) => only,
        (None, _) => return Some(format!("say which output is meant: {}", names(known))),
    };
    let text = match test {
        Test::Equals(text) | Test::Differs(text) | Test::Orders(_, text) => text,
        Test::Matches(_) | Test::Avoids(_) => {
            let textual =
                matches!(kind, ValueType::String | ValueType::List | ValueType::Any | ValueType::Array);
            return (!textual).then(|| format!("`{name}` is {}, which no regex matches", kind.described()));
        }
    };
    let fits = match kind {
        ValueType::Boolean => compare::boolean(text).is_some(),
        ValueType::Integer => matches!(Literal::parse(text), Some(Literal::Integer(_))),
        ValueType::Float | ValueType::Number => Literal::parse(text).is_some(),
        _ => true,
    };
    (!fits).then(|| format!("`{name}` is {}, `{text}` is none", kind.described()))
}

fn names(known: &[(String, ValueType)]) -> String {
    known.iter().map(|(name, _)| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
