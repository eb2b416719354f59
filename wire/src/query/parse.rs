//! The parser: recursive descent over the text, with a bound on its depth.

use std::ops::Range;

use super::{
    MAX_DEPTH, MAX_LENGTH, ParseError,
    ast::{Expr, Term},
    is_blank,
    pattern::{Pattern, between_slashes},
    scan,
};

pub(super) type Parsed<T> = Result<T, ParseError>;

/// Parses a whole query.
pub(crate) fn query(text: &str) -> Parsed<Expr> {
    if text.len() > MAX_LENGTH {
        return Err(ParseError::new(
            0..text.len(),
            format!("the query is {} bytes long, the limit is {MAX_LENGTH}", text.len()),
        ));
    }
    let mut parser = Parser::new(text);
    let expr = parser.any()?;
    match parser.peek() {
        None => Ok(expr),
        Some(_) => Err(ParseError::new(parser.at..parser.at + 1, "this `)` closes nothing")),
    }
}

/// Parses one comparison of a fact as the flag `-F` takes it: the value is all that
/// follows the operator, quotes and blanks included.
pub(crate) fn comparison(text: &str) -> Parsed<Term> {
    let mut parser = Parser::new(text);
    parser.skip_blanks();
    let name = parser.fact_name()?;
    parser.skip_blanks();
    let Some(op) = parser.operator() else {
        return Err(parser
            .error_here("an operator is missing after the name of the fact")
            .help("write `fact=value`, or one of != < > <= >= =~"));
    };
    parser.skip_blanks();
    let span = parser.at..text.len();
    let value = parser.rest();
    if value.is_empty() {
        return Err(ParseError::new(span, "a value is missing after the operator"));
    }
    let test = parser.test(op, value, span, true)?;
    Ok(Term::Fact { name: name.into(), test })
}

/// A class as the flag `-C` takes it: `/regex/` or an exact name.
pub(crate) fn class(text: &str) -> Parsed<Term> {
    if text.starts_with('/') {
        return Ok(Term::ClassMatches(flag_pattern(text)?));
    }
    let mut parser = Parser::new(text);
    let name = parser.fact_name()?;
    if parser.at < text.len() {
        return Err(ParseError::new(parser.at..text.len(), "this is no name of a class"));
    }
    Ok(Term::Class(name.into()))
}

/// Where the terms of a list stand that are joined by nothing but blanks, as in a column of a
/// policy.
pub(crate) fn list(text: &str) -> Parsed<Vec<Range<usize>>> {
    let mut parser = Parser::new(text);
    let mut spans = Vec::new();
    loop {
        parser.skip_blanks();
        if parser.at == text.len() {
            return Ok(spans);
        }
        let start = parser.at;
        parser.term()?;
        // What looks for an operator runs over the blanks in front of the next term.
        let length = text.get(start..parser.at).unwrap_or_default().trim_end_matches(is_blank).len();
        spans.push(start..start + length);
    }
}

/// A flag's value that begins with `/`.
pub(crate) fn flag_pattern(text: &str) -> Parsed<Pattern> {
    let Some(source) = between_slashes(text) else {
        return Err(
            ParseError::new(0..text.len(), "the regular expression is not closed").help("end it with `/`")
        );
    };
    Pattern::new(source).map_err(|message| ParseError::new(0..text.len(), message))
}

pub(super) struct Parser<'t> {
    pub(super) text: &'t str,
    pub(super) at: usize,
    depth: usize,
    pub(super) patterns: usize,
    pub(super) data_calls: usize,
}

#[derive(Clone, Copy, PartialEq)]
enum Keyword {
    And,
    Or,
    Not,
}

impl<'t> Parser<'t> {
    fn new(text: &'t str) -> Self {
        Self { text, at: 0, depth: 0, patterns: 0, data_calls: 0 }
    }

    pub(super) fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    pub(super) fn skip_blanks(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start_matches(is_blank).len();
    }

    /// Takes the next `length` bytes.
    pub(super) fn take(&mut self, length: usize) -> (&'t str, Range<usize>) {
        let start = self.at;
        self.at = (start + length).min(self.text.len());
        (self.text.get(start..self.at).unwrap_or_default(), start..self.at)
    }

    pub(super) fn error_here(&self, message: impl Into<String>) -> ParseError {
        let width = self.peek().map_or(0, char::len_utf8);
        ParseError::new(self.at..self.at + width, message)
    }

    fn keyword(&self) -> Option<(Keyword, usize)> {
        let word = [("and", Keyword::And), ("or", Keyword::Or), ("not", Keyword::Not)]
            .into_iter()
            .find(|(word, _)| self.rest().starts_with(word))?;
        let after = self.rest().get(word.0.len()..)?;
        let ends = after.chars().next().is_none_or(|c| is_blank(c) || "()".contains(c))
            || (after.starts_with('!') && !after.starts_with("!="));
        ends.then_some((word.1, word.0.len()))
    }

    fn any(&mut self) -> Parsed<Expr> {
        let mut parts = vec![self.all()?];
        while let Some((Keyword::Or, length)) = self.keyword() {
            self.take(length);
            parts.push(self.all()?);
        }
        Expr::any(parts).ok_or_else(|| self.error_here("a term is missing"))
    }

    fn all(&mut self) -> Parsed<Expr> {
        let mut parts = vec![self.unary()?];
        loop {
            self.skip_blanks();
            if matches!(self.peek(), None | Some(')')) {
                break;
            }
            match self.keyword() {
                Some((Keyword::And, length)) => {
                    self.take(length);
                    parts.push(self.unary()?);
                }
                Some((Keyword::Or, _)) => break,
                _ => return Err(self.side_by_side()),
            }
        }
        Expr::all(parts).ok_or_else(|| self.error_here("a term is missing"))
    }

    /// The error for what follows a term and is neither `and`, `or` nor the end.
    fn side_by_side(&self) -> ParseError {
        let rest = self.rest();
        for (spelling, word) in [("&&", "and"), ("||", "or"), ("&", "and"), ("|", "or"), (",", "and")] {
            if rest.starts_with(spelling) {
                return ParseError::new(
                    self.at..self.at + spelling.len(),
                    format!("`{spelling}` is no operator"),
                )
                .help(format!("write `{word}`"));
            }
        }
        for spelling in ["!~", "~=", "~"] {
            if rest.starts_with(spelling) {
                let span = self.at..self.at + spelling.len();
                return ParseError::new(span, format!("`{spelling}` is no operator"))
                    .help("write `=~ /…/`, or `!= /…/` for its negation");
            }
        }
        let length = scan::word(rest).max(self.peek().map_or(0, char::len_utf8));
        let span = self.at..self.at + length;
        let word = rest.get(..length).unwrap_or_default();
        if let Some(error) = misspelt_keyword(word, span.clone()) {
            return error;
        }
        ParseError::new(span, "two terms stand side by side").help(match self.peek() {
            Some('(') => "join them by `and` or `or`; the `(` of a data function follows its name directly",
            _ => "join them by `and` or `or`; a value with blanks is quoted",
        })
    }

    fn unary(&mut self) -> Parsed<Expr> {
        self.skip_blanks();
        let negation = match self.keyword() {
            Some((Keyword::Not, length)) => Some(length),
            _ if self.peek() == Some('!') => Some(1),
            _ => None,
        };
        if let Some(length) = negation {
            let (_, span) = self.take(length);
            self.skip_blanks();
            if self.peek().is_none() {
                return Err(ParseError::new(span, "a term is missing after the negation"));
            }
            return self.nested(|parser| Ok(Expr::Not(Box::new(parser.unary()?))));
        }
        if self.peek() == Some('(') {
            return self.nested(Self::group);
        }
        self.term().map(Expr::Term)
    }

    fn nested(&mut self, parse: impl FnOnce(&mut Self) -> Parsed<Expr>) -> Parsed<Expr> {
        if self.depth >= MAX_DEPTH {
            return Err(self.error_here(format!("the query is nested deeper than {MAX_DEPTH} levels")));
        }
        self.depth += 1;
        let expr = parse(self)?;
        self.depth -= 1;
        Ok(expr)
    }

    fn group(&mut self) -> Parsed<Expr> {
        let (_, opening) = self.take(1);
        self.skip_blanks();
        if self.peek() == Some(')') {
            return Err(ParseError::new(opening.start..self.at + 1, "the group is empty"));
        }
        let inner = self.any()?;
        if self.peek() != Some(')') {
            return Err(ParseError::new(opening, "this parenthesis is not closed").help("add `)`"));
        }
        self.take(1);
        Ok(inner)
    }

    fn term(&mut self) -> Parsed<Term> {
        match self.peek() {
            None => return Err(self.error_here("a term is missing at the end of the query")),
            Some(')') => return Err(self.error_here("a term is missing before this `)`")),
            Some('/') => return self.class_pattern(),
            Some('\'' | '"') => {
                return Err(self
                    .error_here("a term cannot begin with a quote")
                    .help("only values and arguments are quoted: `fact = \"a value\"`"));
            }
            Some('&' | '|') => return Err(self.side_by_side()),
            _ => {}
        }
        if let Some((_, length)) = self.keyword() {
            let span = self.at..self.at + length;
            return Err(ParseError::new(span, format!("a term is missing before `{}`", self.take(length).0)));
        }
        let start = self.at;
        let name = self.fact_name()?;
        if self.peek() == Some('(') {
            return self.data(name, start);
        }
        let end = self.at;
        self.skip_blanks();
        if let Some(op) = self.operator() {
            let (test, _) = self.value(op)?;
            return Ok(Term::Fact { name: name.into(), test });
        }
        let glued = self.rest().chars().next().filter(|c| self.at == end && !is_blank(*c) && *c != ')');
        match glued {
            Some('&' | '|' | '~') => Err(self.side_by_side()),
            Some('!') if self.rest().starts_with("!~") => Err(self.side_by_side()),
            Some('!') => Err(self.error_here("`!` is no operator").help("write `!=`")),
            Some(_) => Err(self.error_here(format!("the name `{name}` ends here"))),
            None => Ok(Term::Class(name.into())),
        }
    }

    /// The name of a fact, a class or a function.
    fn fact_name(&mut self) -> Parsed<&'t str> {
        let length = scan::word(self.rest());
        if length == 0 {
            return Err(if scan::operator(self.rest()).is_some() {
                self.error_here("the name of a fact is missing before the operator")
            } else {
                self.error_here("a name is expected here")
            });
        }
        let (name, span) = self.take(length);
        match misspelt_keyword(name, span) {
            Some(error) => Err(error),
            None => Ok(name),
        }
    }

    fn class_pattern(&mut self) -> Parsed<Term> {
        let rest = self.rest();
        let mut escaped = true; // the opening slash does not close
        let mut length = None;
        for (at, c) in rest.char_indices() {
            match c {
                c if is_blank(c) => break,
                '/' if !escaped => {
                    length = Some(at + 1);
                    break;
                }
                _ => escaped = c == '\\' && !escaped,
            }
        }
        let Some(length) = length else {
            let (_, span) = self.take(scan::bare(rest));
            return Err(ParseError::new(span, "the regular expression is not closed")
                .help("a class is matched by `/…/`; write `\\s` for a blank"));
        };
        let (text, span) = self.take(length);
        let pattern = self.pattern(text.get(1..length - 1).unwrap_or_default(), span.clone())?;
        match self.peek() {
            Some(c) if !is_blank(c) && c != ')' => {
                let error = self.error_here("a regular expression alone is matched against classes");
                Err(match scan::operator(self.rest()) {
                    Some(_) => error.help("a comparison begins with the name of a fact: `fact = /regex/`"),
                    None => error.help("within the expression write `\\/`; otherwise a blank follows it"),
                })
            }
            _ => Ok(Term::ClassMatches(pattern)),
        }
    }
}

/// Keywords are lower case and name neither facts nor classes.
fn misspelt_keyword(word: &str, span: Range<usize>) -> Option<ParseError> {
    let keyword = ["and", "or", "not"].into_iter().find(|keyword| word.eq_ignore_ascii_case(keyword))?;
    Some(if word == keyword {
        ParseError::new(span, format!("`{keyword}` is a keyword and joins terms"))
    } else {
        ParseError::new(span, format!("`{word}` is no operator")).help(format!("write `{keyword}`"))
    })
}
