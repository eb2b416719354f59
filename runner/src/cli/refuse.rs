//! Why filter flags mean nothing: the text of the flag with the place underlined, and the way out.

use std::ops::Range;

use orch_wire::query::filter::{Filter, FilterError};
use orch_wire::query::{DataFunctions, ParseError, QueryFault};

use super::failure::Failure;
use super::script::tell;
use crate::diagnostic::{Code, Diagnostic, SourceText, Span};
use crate::exit::Exit;
use crate::report::Printer;

/// The failure of a flag that does not parse.
pub(super) fn malformed(error: FilterError) -> Failure {
    let FilterError { flag, value, error } = error;
    if value.is_empty() {
        let failure = Failure::usage(format!("`{flag}`: {error}"));
        return match error.help {
            Some(help) => failure.help(help),
            None => failure,
        };
    }
    let message = format!("the value of `{flag}` does not parse: {}", error.message);
    Failure::shown_as(Exit::Usage, shown(Code::Query, message, flag, &value, error))
}

/// Tells what is wrong with the data functions that the flags ask.
///
/// # Errors
/// When such a query must not be sent; everything has been said then.
pub(super) fn check(filter: &Filter, functions: &DataFunctions, printer: &Printer) -> Result<(), Failure> {
    let faults = filter.check(functions);
    let stops = faults.iter().any(|(_, fault)| fault.stops());
    for (text, fault) in faults {
        let refused = fault.stops();
        let diagnostic = of_fault(text, fault);
        tell(printer, &if refused { diagnostic } else { diagnostic.as_warning() });
    }
    if stops { Err(Failure::said(Exit::Usage)) } else { Ok(()) }
}

/// A fault of a data function in the text of `-S`.
pub(super) fn of_fault(text: &str, fault: QueryFault) -> Diagnostic {
    let message = match fault.stops() {
        true => fault.message.clone(),
        false => format!("this comparison is never true: {}", fault.message),
    };
    shown(Code::DataFunction, message, "-S", text, fault.into())
}

fn shown(code: Code, message: String, flag: &str, text: &str, error: ParseError) -> Diagnostic {
    let place = place(text, error.span);
    let mut diagnostic = Diagnostic::error(code, message).at(&SourceText::new(flag, text), place);
    diagnostic.help.extend(error.help);
    diagnostic
}

/// Bytes of a text as line, column and length.
fn place(text: &str, bytes: Range<usize>) -> Span {
    let before = text.get(..bytes.start).unwrap_or(text);
    let last = before.rsplit('\n').next().unwrap_or_default();
    let length = text.get(bytes).and_then(|at| at.lines().next()).map_or(0, |at| at.chars().count());
    Span {
        line: before.matches('\n').count().saturating_add(1),
        column: last.chars().count().saturating_add(1),
        length,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_counts_characters_from_one() {
        assert_eq!(place("ü and", 3..6), Span { line: 1, column: 3, length: 3 });
        assert_eq!(place("a\nbc )", 5..6), Span { line: 2, column: 4, length: 1 });
        assert_eq!(place("a", 1..1), Span { line: 1, column: 2, length: 0 });
        assert_eq!(place("ü", 1..9), Span { line: 1, column: 2, length: 0 });
    }
}
