//! Why a node is meant, or is not: each term with what the node has, and its truth.

use std::io::Write;

use serde_json::{Map, Value};

use super::{
    ast::{DataCall, Expr, Query, Term, Test},
    compare::{self, Literal},
    eval::{self, Answers, NodeView},
    lookup_fact,
};

/// Most bytes of JSON that are shown of one value; what is longer is cut.
const SHOWN_BYTES: usize = 400;
/// Most classes that are shown for one expression.
const SHOWN_CLASSES: usize = 20;

/// What a query, or a part of it, comes to on a node.
///
/// Bounded: a query has at most so many terms as fit its length, and of each value so much is kept as
/// [`Shown`] says, however large the facts are.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// Whether it holds; `None` where the node cannot tell, since it has not a data function that is asked in it. A query
    /// that is so means the node as little as one that is false.
    pub holds: Option<bool>,
    /// What it is made of.
    pub finding: Finding,
}

/// What an expression is made of, each part explained.
#[derive(Debug, Clone, PartialEq)]
pub enum Finding {
    /// All of these must hold.
    All(Vec<Explanation>),
    /// Any of these must.
    Any(Vec<Explanation>),
    /// This must not.
    Not(Box<Explanation>),
    /// A single question about the node.
    Term {
        /// The term as the language prints it.
        term: String,
        /// What the node has; `None` where it has nothing of the kind.
        value: Option<Shown>,
        /// What is worth knowing besides, such as why a comparison cannot hold. One sentence, without a full stop.
        note: Option<String>,
    },
}

/// A value of a node, as far as it is shown.
#[derive(Debug, Clone, PartialEq)]
pub struct Shown {
    /// The value; where it is cut, the beginning of its JSON as a text.
    pub value: Value,
    /// Whether there is more of it.
    pub cut: bool,
}

impl Query {
    /// Explains what [`Query::evaluate`] decides, with the same code: each data function is asked once, and terms are
    /// looked at even where the answer is clear without them.
    pub fn explain(&self, node: &NodeView<'_>) -> Explanation {
        let answers: Vec<_> =
            self.data_calls().into_iter().map(|call| (call, eval::answer(call, node))).collect();
        let known: Vec<_> = answers
            .iter()
            .filter_map(|(call, answer)| answer.as_ref().map(|outputs| (*call, outputs.clone())))
            .collect();
        explain(self.expr(), node, &known)
    }
}

impl Explanation {
    /// Whether it holds, and the node can tell.
    pub fn is_match(&self) -> bool {
        self.holds == Some(true)
    }
}

fn explain(expr: &Expr, node: &NodeView<'_>, answers: &Answers<'_>) -> Explanation {
    let parts =
        |parts: &[Expr]| -> Vec<_> { parts.iter().map(|part| explain(part, node, answers)).collect() };
    // A part that the node cannot tell leaves the whole untold, whatever the others say.
    let told = |parts: &[Explanation]| parts.iter().all(|part| part.holds.is_some());
    match expr {
        Expr::All(inner) => {
            let parts = parts(inner);
            let holds = told(&parts).then(|| parts.iter().all(Explanation::is_match));
            Explanation { holds, finding: Finding::All(parts) }
        }
        Expr::Any(inner) => {
            let parts = parts(inner);
            let holds = told(&parts).then(|| parts.iter().any(Explanation::is_match));
            Explanation { holds, finding: Finding::Any(parts) }
        }
        Expr::Not(inner) => {
            let inner = explain(inner, node, answers);
            Explanation { holds: inner.holds.map(|holds| !holds), finding: Finding::Not(Box::new(inner)) }
        }
        Expr::Term(term) => explain_term(term, node, answers),
    }
}

fn explain_term(term: &Term, node: &NodeView<'_>, answers: &Answers<'_>) -> Explanation {
    let mut holds = Some(eval::term_holds(term, node, answers));
    let (value, note) = match term {
        Term::Class(name) => class(name, node.classes),
        Term::ClassMatches(pattern) => {
            let found: Vec<_> = node.classes.iter().filter(|class| pattern.is_match(class)).collect();
            let cut = found.len() > SHOWN_CLASSES;
            let value = found.iter().take(SHOWN_CLASSES).map(|class| Value::from(class.as_str())).collect();
            match found.is_empty() {
                true => (None, Some("no class of the node matches".to_owned())),
                false => (Some(Shown { value, cut }), None),
            }
        }
        Term::Fact { name, test } => fact(name, test, node),
        Term::Data { call, field, test, .. } => match answers.iter().find(|(asked, _)| *asked == call) {
            Some((_, outputs)) => data(outputs, field.as_deref(), test),
            None => {
                holds = None;
                (None, Some(unanswered(call)))
            }
        },
    };
    Explanation { holds, finding: Finding::Term { term: term.to_string(), value, note } }
}

fn unanswered(call: &DataCall) -> String {
    if call.has_backtick() {
        return "no data function is asked with a backtick, so that the whole query is false".to_owned();
    }
    format!("the node has no data function `{}`, so that the whole query is false", call.function)
}

type Noted = (Option<Shown>, Option<String>);

fn class(name: &str, classes: &[String]) -> Noted {
    if classes.iter().any(|class| class == name) {
        return (Some(shown(&Value::from(name))), None);
    }
    let note = match classes.iter().find(|class| class.eq_ignore_ascii_case(name)) {
        Some(other) => format!("the node has the class `{other}`, and case matters"),
        None => "the node has no such class".to_owned(),
    };
    (None, Some(note))
}

fn fact(name: &str, test: &Test, node: &NodeView<'_>) -> Noted {
    let list = |names: &[String]| Value::from(names.to_vec());
    let built_in = match name {
        "identity" => Some(Value::from(node.identity)),
        "collective" => Some(list(node.collectives)),
        "agent" => Some(list(node.agents)),
        _ => None,
    };
    match built_in.as_ref().or_else(|| lookup_fact(node.facts, name)) {
        None => (None, Some("the node has no such fact".to_owned())),
        Some(Value::Null) => {
            (Some(shown(&Value::Null)), Some("null is as if the fact were not there".to_owned()))
        }
        Some(value) => (Some(shown(value)), comparing(value, test)),
    }
}

/// How a fact is compared, where that may surprise.
fn comparing(value: &Value, test: &Test) -> Option<String> {
    let note = match (value, test) {
        (Value::Object(_), _) => "a map is compared by its keys",
        (Value::Array(list), _) if list.is_empty() => "the list is empty",
        (Value::Array(_), _) => "any element of the list may hold",
        (value, Test::Orders(_, want)) if !compare::are_numbers(value, want) => {
            "compared as text, since not both are numbers"
        }
        (Value::String(have), Test::Equals(want)) if have != want && have.eq_ignore_ascii_case(want) => {
            "they differ in case, which matters"
        }
        _ => return None,
    };
    Some(note.to_owned())
}

fn data(outputs: &Map<String, Value>, field: Option<&str>, test: &Test) -> Noted {
    let Some(value) = eval::output(outputs, field) else {
        let note = match field {
            Some(field) => format!("the function gave no output `{field}`"),
            None => format!("the function gave {} outputs, and the term says none", outputs.len()),
        };
        return (None, Some(note));
    };
    let wanted = match test {
        Test::Equals(text) | Test::Differs(text) | Test::Orders(_, text) => Some(text.as_str()),
        Test::Matches(_) | Test::Avoids(_) => None,
    };
    let note = match (value, test, wanted) {
        (Value::Null, ..) => Some("the output is not set".to_owned()),
        (Value::Bool(_) | Value::Number(_), Test::Matches(_) | Test::Avoids(_), _) => {
            Some("a regular expression matches only strings".to_owned())
        }
        (Value::Bool(_) | Value::String(_), Test::Orders(..), _) => {
            Some("only numbers have an order".to_owned())
        }
        (Value::Number(_), _, Some(want)) if Literal::parse(want).is_none() => {
            Some(format!("`{want}` is no number"))
        }
        (Value::Bool(_), _, Some(want)) if compare::boolean(want).is_none() => {
            Some(format!("`{want}` is neither `true` nor `false`"))
        }
        _ => None,
    };
    (Some(shown(value)), note)
}

/// Takes only what fits, so that a large fact costs no more than a small one.
fn shown(value: &Value) -> Shown {
    let mut beginning = Beginning(Vec::new());
    if serde_json::to_writer(&mut beginning, value).is_ok() {
        return Shown { value: value.clone(), cut: false };
    }
    // Cut in the middle of a character, perhaps: what is left of it is dropped.
    let whole = beginning.0.utf8_chunks().next().map(|chunk| chunk.valid().to_owned());
    Shown { value: Value::from(whole.unwrap_or_default()), cut: true }
}

/// Takes the first bytes and refuses the rest.
struct Beginning(Vec<u8>);

impl Write for Beginning {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let room = SHOWN_BYTES.saturating_sub(self.0.len()).min(bytes.len());
        self.0.extend(bytes.iter().take(room));
        Ok(room)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
