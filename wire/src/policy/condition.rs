//! The columns that ask about the node: facts, classes, or one query.

use super::{
    finding::{Line, Part},
    lines::Findings,
    rule::Column,
};
use crate::query::{DataCall, NodeView, Query, Term, Test, Verdict, parse_list};

/// What a column asks of the node.
pub(super) enum Condition {
    /// `*`
    Any,
    /// A list with what has no place in it, such as a class among facts, holds on no node.
    Never,
    /// All of a list, or a compound query.
    Query(Query),
}

/// The answer to a [`Condition`].
pub(super) enum Answer {
    Holds,
    Differs,
    /// The node has not this data function.
    Undecided(DataCall),
}

impl Condition {
    /// Reads a column; a fault is noted.
    pub(super) fn read(
        findings: &mut Findings,
        line: &Line<'_>,
        column: Column,
        part: Part<'_>,
    ) -> Option<Self> {
        match (part.text, column) {
            // A line of four columns lost one, more likely than that all nodes are meant.
            ("*", Column::Query) => {
                findings.fault(
                    line.at(part.span(), "the last of four columns is a query, and `*` is none")
                        .help("write five columns: `*` for any facts, and `*` for any classes"),
                );
                return None;
            }
            ("*", _) => return Some(Self::Any),
            _ => {}
        }
        let is_list = column != Column::Query && !is_compound(part.text);
        let query = match if is_list { list(line, part) } else { compound(line, part) } {
            Ok(query) => query,
            Err(fault) => {
                findings.fault(fault);
                return None;
            }
        };
        let patterns = query.terms().into_iter().filter(|term| has_pattern(term)).count();
        if !findings.count_patterns(line, patterns) {
            return None;
        }
        let stranger = is_list && query.terms().into_iter().any(|term| !belongs(column, term));
        if stranger {
            let (found, wanted) = if column == Column::Facts {
                ("a class", "facts")
            } else {
                ("a comparison of a fact", "classes")
            };
            findings.warn(|| {
                let message = format!("{found} among the {wanted} never matches, and so never does this line");
                line.at(part.span(), message).help(
                    "facts stand in the fourth column, classes in the fifth; a compound, joined by `and`, may hold both",
                )
            });
            return Some(Self::Never);
        }
        Some(Self::Query(query))
    }

    pub(super) fn ask(&self, node: &NodeView<'_>) -> Answer {
        match self {
            Self::Any => Answer::Holds,
            Self::Never => Answer::Differs,
            Self::Query(query) => match query.evaluate(node) {
                Verdict::Matches => Answer::Holds,
                Verdict::Differs => Answer::Differs,
                Verdict::Undecidable(call) => Answer::Undecided(call),
            },
        }
    }
}

/// Whether a facts or classes column is a compound query: it has the words `and`, `or`, `not`, a `!` that negates, or
/// parentheses. The `!` of `!=` negates nothing.
fn is_compound(text: &str) -> bool {
    text.contains(['(', ')'])
        || text.split(crate::query::is_blank).any(|word| {
            matches!(word, "and" | "or" | "not") || (word.starts_with('!') && !word.starts_with("!="))
        })
}

fn compound(line: &Line<'_>, part: Part<'_>) -> Result<Query, super::Finding> {
    Query::parse(part.text).map_err(|error| line.of_query(part.start, error))
}

/// Terms separated by blanks, all of which must hold: the query that joins them by `and`.
fn list(line: &Line<'_>, part: Part<'_>) -> Result<Query, super::Finding> {
    let spans = parse_list(part.text).map_err(|error| line.of_query(part.start, error))?;
    let terms: Vec<&str> = spans.into_iter().filter_map(|span| part.text.get(span)).collect();
    // Each term was parsed, so that only a limit of the whole can be passed here.
    Query::parse(&terms.join(" and ")).map_err(|error| line.at(part.span(), error.message))
}

fn belongs(column: Column, term: &Term) -> bool {
    match term {
        Term::Class(_) | Term::ClassMatches(_) => column == Column::Classes,
        Term::Fact { .. } | Term::Data { .. } => column == Column::Facts,
    }
}

fn has_pattern(term: &Term) -> bool {
    match term {
        Term::ClassMatches(_) => true,
        Term::Class(_) => false,
        Term::Fact { test, .. } | Term::Data { test, .. } => {
            matches!(test, Test::Matches(_) | Test::Avoids(_))
        }
    }
}
