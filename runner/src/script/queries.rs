//! Queries in scripts: parsed, and checked against the schemas of data functions, before anything is sent.

use orch_wire::query::{ParseError, Query, QueryFault};

use super::dry::{Unknown, is_unknown_text};
use super::types::{Failure, Kind, Outcome};
use crate::diagnostic::{Code, Diagnostic, SourceText, Span};
use crate::schemas::Schemas;

/// Parses and checks a query of a script.
pub(crate) fn query(schemas: &Schemas, text: &str) -> Outcome<Query> {
    if is_unknown_text(text) {
        return Err(Unknown::in_text().stop());
    }
    let query = Query::parse(text).map_err(|error| malformed(text, &error))?;
    match refusal(schemas, &query) {
        Some(fault) => Err(refused(text, fault).into()),
        None => Ok(query),
    }
}

fn refusal(schemas: &Schemas, query: &Query) -> Option<QueryFault> {
    query.check(schemas.functions()).into_iter().find(QueryFault::stops)
}

/// The error of a text that is no query.
pub(crate) fn malformed(text: &str, error: &ParseError) -> Failure {
    failure(format!("the query `{text}` does not parse: {}", error.message), text, error)
}

/// The error of a query that asks a data function for what it does not have.
pub(crate) fn refused(text: &str, fault: QueryFault) -> Failure {
    let error = ParseError::from(fault);
    failure(format!("the query `{text}` is refused: {}", error.message), text, &error)
}

fn failure(message: String, text: &str, error: &ParseError) -> Failure {
    let failure = Failure::new(Kind::Query, message);
    let failure = match text.get(error.span.clone()) {
        Some(place) if !place.trim().is_empty() => failure.note(format!("the place is `{place}`")),
        _ => failure,
    };
    error.help.iter().fold(failure, |failure, help| failure.help(help))
}

/// The same for a query that stands in a script as it is: the place in the query is a place in the script.
pub(crate) fn fault_of_literal(
    schemas: &Schemas,
    source: &SourceText,
    literal: Span,
    text: &str,
) -> Option<Diagnostic> {
    let (code, message, error) = match Query::parse(text) {
        Err(error) => (Code::Query, format!("the query does not parse: {}", error.message), error),
        Ok(query) => {
            let error = ParseError::from(refusal(schemas, &query)?);
            (Code::DataFunction, format!("the query is refused: {}", error.message), error)
        }
    };
    let mut span = literal;
    // Between its quotes the text is what it says, unless it holds escapes.
    let quoted = literal.length == text.chars().count() + 2;
    if let (true, Some(before), Some(place)) =
        (quoted, text.get(..error.span.start), text.get(error.span.clone()))
    {
        span.column += 1 + before.chars().count();
        span.length = place.chars().count().max(1);
    }
    let diagnostic = Diagnostic::error(code, message).at(source, span);
    Some(error.help.iter().fold(diagnostic, |diagnostic, help| diagnostic.help(help)))
}
