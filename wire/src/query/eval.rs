//! Deciding whether a node is meant.

use serde_json::{Map, Value};

use super::{
    ast::{DataCall, Expr, Query, Term},
    compare, lookup_fact,
};

/// What a node knows of itself.
#[derive(Clone, Copy)]
pub struct NodeView<'a> {
    /// Its name.
    pub identity: &'a str,
    /// Its facts, structured.
    pub facts: &'a Map<String, Value>,
    /// Its classes.
    pub classes: &'a [String],
    /// The names of its agents.
    pub agents: &'a [String],
    /// The collectives it belongs to.
    pub collectives: &'a [String],
    /// Asks a data function with an argument; `None` when the node has no such function.
    /// Without any, the node has no data functions.
    pub data: Option<&'a DataFunctions<'a>>,
}

/// Answers of data functions, by function and argument.
type DataFunctions<'a> = dyn Fn(&str, Option<&str>) -> Option<Map<String, Value>> + 'a;

/// The answer of a node to a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The node is meant.
    Matches,
    /// It is not.
    Differs,
    /// The node cannot tell, because it has not this data function or refuses its argument.
    /// A selection leaves such a node out; a policy must not let it pass either way.
    Undecidable(DataCall),
}

impl Query {
    /// Whether the node is meant. False where the node cannot tell, even when the data
    /// function that it lacks stands behind a `not`.
    pub fn matches(&self, node: &NodeView<'_>) -> bool {
        self.evaluate(node) == Verdict::Matches
    }

    /// Whether the node could be meant, whatever its data functions answer. Where it could not they need not be asked.
    pub fn may_match(&self, node: &NodeView<'_>) -> bool {
        could(self.expr(), node, true)
    }

    /// As [`Query::matches`], but tells a node that is not meant from one that cannot tell.
    pub fn evaluate(&self, node: &NodeView<'_>) -> Verdict {
        // All are asked, whatever the first one answers: who collects the answers hears of all at once.
        let calls: Vec<_> = self.data_calls().into_iter().map(|call| (call, answer(call, node))).collect();
        let mut answers = Vec::with_capacity(calls.len());
        for (call, outputs) in calls {
            let Some(outputs) = outputs else { return Verdict::Undecidable(call.clone()) };
            answers.push((call, outputs));
        }
        if holds(self.expr(), node, &answers) { Verdict::Matches } else { Verdict::Differs }
    }
}

impl DataCall {
    /// Whether the argument holds a backtick: it parses, so that old filters get a clear
    /// answer, but no function is ever asked with one.
    pub(crate) fn has_backtick(&self) -> bool {
        self.argument.as_deref().is_some_and(|argument| argument.contains('`'))
    }
}

/// What the node's function answers; `None` where it has no such function, or may not be asked.
pub(crate) fn answer(call: &DataCall, node: &NodeView<'_>) -> Option<Map<String, Value>> {
    let ask = node.data.filter(|_| !call.has_backtick())?;
    ask(&call.function, call.argument.as_deref())
}

pub(crate) type Answers<'q> = [(&'q DataCall, Map<String, Value>)];

pub(crate) fn holds(expr: &Expr, node: &NodeView<'_>, answers: &Answers<'_>) -> bool {
    match expr {
        Expr::All(parts) => parts.iter().all(|part| holds(part, node, answers)),
        Expr::Any(parts) => parts.iter().any(|part| holds(part, node, answers)),
        Expr::Not(inner) => !holds(inner, node, answers),
        Expr::Term(term) => term_holds(term, node, answers),
    }
}

/// Whether an expression could come out so, whatever data functions answer.
fn could(expr: &Expr, node: &NodeView<'_>, wanted: bool) -> bool {
    match expr {
        Expr::All(parts) if wanted => parts.iter().all(|part| could(part, node, true)),
        Expr::All(parts) => parts.iter().any(|part| could(part, node, false)),
        Expr::Any(parts) if wanted => parts.iter().any(|part| could(part, node, true)),
        Expr::Any(parts) => parts.iter().all(|part| could(part, node, false)),
        Expr::Not(inner) => could(inner, node, !wanted),
        Expr::Term(Term::Data { .. }) => true,
        Expr::Term(term) => term_holds(term, node, &[]) == wanted,
    }
}

pub(crate) fn term_holds(term: &Term, node: &NodeView<'_>, answers: &Answers<'_>) -> bool {
    match term {
        Term::Class(name) => node.classes.iter().any(|class| class == name),
        Term::ClassMatches(pattern) => node.classes.iter().any(|class| pattern.is_match(class)),
        // Every node has these three; a fact of the same name cannot hide them.
        Term::Fact { name, test } => match name.as_str() {
            "identity" => compare::text(test, node.identity),
            "collective" => node.collectives.iter().any(|name| compare::text(test, name)),
            "agent" => node.agents.iter().any(|name| compare::text(test, name)),
            name => lookup_fact(node.facts, name).is_some_and(|fact| compare::fact(test, fact)),
        },
        Term::Data { call, field, test, .. } => answers
            .iter()
            .find(|(asked, _)| *asked == call)
            .and_then(|(_, outputs)| output(outputs, field.as_deref()))
            .is_some_and(|value| compare::data(test, value)),
    }
}

pub(crate) fn output<'a>(outputs: &'a Map<String, Value>, field: Option<&str>) -> Option<&'a Value> {
    match field {
        Some(field) => outputs.get(field),
        None if outputs.len() == 1 => outputs.values().next(),
        None => None,
    }
}
