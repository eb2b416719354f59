//! The right-hand side of a term: operators, values, calls of data functions.

use std::ops::Range;

use super::{
    MAX_DATA_CALLS, MAX_PATTERNS, ParseError,
    ast::{DataCall, Places, Term, Test},
    is_blank,
    parse::{Parsed, Parser},
    pattern::{Pattern, between_slashes},
    scan::{self, Op},
};

impl Parser<'_> {
    pub(super) fn data(&mut self, function: &str, start: usize) -> Parsed<Term> {
        if !function.chars().all(is_word_char) {
            return Err(ParseError::new(
                start..self.at,
                format!("`{function}` is no name of a data function"),
            ));
        }
        let mut places = Places { function: start..self.at, ..Places::default() };
        self.data_calls += 1;
        if self.data_calls > MAX_DATA_CALLS {
            let message = format!("the query asks data functions more than {MAX_DATA_CALLS} times");
            return Err(ParseError::new(places.function, message));
        }
        let (_, opening) = self.take(1);
        self.skip_blanks();
        let quote = self.at;
        let argument = match self.peek() {
            Some('\'' | '"') => Some(self.quoted()?),
            _ => None,
        };
        places.argument = quote..self.at;
        self.skip_blanks();
        match self.peek() {
            Some(')') => self.take(1),
            None => return Err(ParseError::new(opening, "this parenthesis is not closed").help("add `)`")),
            Some(_) if argument.is_some() => {
                return Err(self.error_here("a data function takes one argument"));
            }
            Some(_) => {
                return Err(self
                    .error_here("the argument of a data function is quoted")
                    .help(format!("write `{function}('…')`")));
            }
        };
        let mut field = None;
        places.field = self.at..self.at;
        if self.peek() == Some('.') {
            self.take(1);
            let length = self.rest().find(|c| !is_word_char(c)).unwrap_or(self.rest().len());
            if length == 0 {
                return Err(self.error_here("the name of an output is missing after the dot"));
            }
            let (name, place) = self.take(length);
            (field, places.field) = (Some(name.to_owned()), place);
            if self.peek() == Some('.') {
                return Err(self.error_here("an output has no parts"));
            }
        }
        self.skip_blanks();
        let Some(op) = self.operator() else {
            return Err(ParseError::new(start..self.at, "the data function is not compared with anything")
                .help(format!("write `{function}('…').output = value`")));
        };
        let (test, value) = self.value(op)?;
        places.value = value;
        Ok(Term::Data { call: DataCall { function: function.into(), argument }, field, test, places })
    }

    pub(super) fn operator(&mut self) -> Option<Op> {
        let (op, length) = scan::operator(self.rest())?;
        self.take(length);
        Some(op)
    }

    fn quoted(&mut self) -> Parsed<String> {
        let (content, length) = scan::quoted(self.rest()).map_err(|error| error.shifted(self.at))?;
        self.take(length);
        Ok(content)
    }

    /// The value after an operator, quoted or bare, and its place.
    pub(super) fn value(&mut self, op: Op) -> Parsed<(Test, Range<usize>)> {
        let operator_end = self.at;
        self.skip_blanks();
        let start = self.at;
        match self.peek() {
            None | Some(')') => {
                let width = usize::from(self.peek().is_some());
                let place = if width == 0 { operator_end..operator_end } else { start..start + width };
                return Err(ParseError::new(place, "a value is missing after the operator"));
            }
            Some('\'' | '"') => {
                let text = self.quoted()?;
                let span = start..self.at;
                if self.peek().is_some_and(|c| !is_blank(c) && c != ')') {
                    return Err(self
                        .error_here("text follows directly on the closing quote")
                        .help("quote the whole value; within \"…\" a quote is written \\\""));
                }
                return Ok((self.test(op, &text, span.clone(), false)?, span));
            }
            Some(_) => {}
        }
        let rest = self.rest();
        let as_regex = scan::bare_regex(rest);
        let is_regex = rest.get(..as_regex).is_some_and(|text| between_slashes(text).is_some());
        let length = if is_regex || op == Op::Matches { as_regex } else { scan::bare(rest) };
        let (text, span) = self.take(length);
        if let Some(bad) =
            ["&&", "'", "\"", "`"].into_iter().filter_map(|bad| text.find(bad).zip(Some(bad))).min()
        {
            let place = start + bad.0..start + bad.0 + bad.1.len();
            return Err(match bad.1 {
                "&&" => ParseError::new(place, "`&&` is no operator").help("write `and`, or quote the value"),
                other if is_regex => {
                    let code = other.bytes().next().unwrap_or_default();
                    ParseError::new(place, format!("a regular expression cannot hold {other}"))
                        .help(format!("write `\\x{code:02x}`"))
                }
                other => ParseError::new(place, format!("a bare value cannot hold {other}"))
                    .help("quote the value"),
            });
        }
        Ok((self.test(op, text, span.clone(), true)?, span))
    }

    /// Joins operator and value. `bare` says that slashes make a regex of it.
    pub(super) fn test(&mut self, op: Op, text: &str, span: Range<usize>, bare: bool) -> Parsed<Test> {
        // A quoted regex after `=~` may keep its slashes, as the ancestors sent it.
        let inner = if bare || op == Op::Matches { between_slashes(text) } else { None };
        Ok(match (op, inner) {
            (Op::Matches, inner) => Test::Matches(self.pattern(inner.unwrap_or(text), span)?),
            (Op::Equals, Some(inner)) => Test::Matches(self.pattern(inner, span)?),
            (Op::Differs, Some(inner)) => Test::Avoids(self.pattern(inner, span)?),
            (Op::Order(_), Some(_)) => {
                return Err(ParseError::new(span, "a regular expression has no order")
                    .help("quote the value if it is text"));
            }
            (Op::Equals, None) => Test::Equals(text.into()),
            (Op::Differs, None) => Test::Differs(text.into()),
            (Op::Order(order), None) => Test::Orders(order, text.into()),
        })
    }

    pub(super) fn pattern(&mut self, source: &str, span: Range<usize>) -> Parsed<Pattern> {
        self.patterns += 1;
        if self.patterns > MAX_PATTERNS {
            let message = format!("the query has more than {MAX_PATTERNS} regular expressions");
            return Err(ParseError::new(span, message));
        }
        Pattern::new(source).map_err(|message| ParseError::new(span, message))
    }
}

fn is_word_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}
