//! Prints a query so that it parses to the same query.

use std::fmt::{self, Display, Formatter, Write as _};

use super::{
    ast::{DataCall, Expr, Order, Query, Term, Test},
    pattern::between_slashes,
};

impl Display for Query {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.expr().fmt(f)
    }
}

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::All(parts) => joined(f, parts, " and "),
            Self::Any(parts) => joined(f, parts, " or "),
            Self::Not(inner) => {
                f.write_str("not ")?;
                operand(f, inner, matches!(**inner, Self::All(_) | Self::Any(_)))
            }
            Self::Term(term) => term.fmt(f),
        }
    }
}

fn joined(f: &mut Formatter<'_>, parts: &[Expr], word: &str) -> fmt::Result {
    for (at, part) in parts.iter().enumerate() {
        if at > 0 {
            f.write_str(word)?;
        }
        operand(f, part, matches!(part, Expr::Any(_)) || (word == " or " && matches!(part, Expr::All(_))))?;
    }
    Ok(())
}

fn operand(f: &mut Formatter<'_>, expr: &Expr, grouped: bool) -> fmt::Result {
    if grouped { write!(f, "({expr})") } else { expr.fmt(f) }
}

impl Display for Term {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Class(name) => f.write_str(name),
            Self::ClassMatches(pattern) => write!(f, "/{}/", pattern.source()),
            Self::Fact { name, test } => write!(f, "{name} {test}"),
            Self::Data { call, field, test, .. } => {
                call.fmt(f)?;
                if let Some(field) = field {
                    write!(f, ".{field}")?;
                }
                write!(f, " {test}")
            }
        }
    }
}

impl Display for DataCall {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}(", self.function)?;
        if let Some(argument) = &self.argument {
            quote(f, argument)?;
        }
        f.write_char(')')
    }
}

impl Display for Test {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Equals(text) => value(f, "=", text),
            Self::Differs(text) => value(f, "!=", text),
            Self::Orders(order, text) => value(f, order.as_str(), text),
            Self::Matches(pattern) => write!(f, "=~ /{}/", pattern.source()),
            Self::Avoids(pattern) => write!(f, "!= /{}/", pattern.source()),
        }
    }
}

impl Order {
    /// The operator as printed.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Less => "<",
            Self::AtMost => "<=",
            Self::Greater => ">",
            Self::AtLeast => ">=",
        }
    }
}

fn value(f: &mut Formatter<'_>, op: &str, text: &str) -> fmt::Result {
    write!(f, "{op} ")?;
    let plain = |c: char| c.is_alphanumeric() || "_-./:@%+,".contains(c);
    let keyword = matches!(text, "and" | "or" | "not");
    if !text.is_empty() && text.chars().all(plain) && !keyword && between_slashes(text).is_none() {
        f.write_str(text)
    } else {
        quote(f, text)
    }
}

/// Writes what [`super::scan::quoted`] reads back.
fn quote(f: &mut Formatter<'_>, text: &str) -> fmt::Result {
    if !text.contains('\'') && text.contains(['"', '\\']) {
        return write!(f, "'{text}'");
    }
    f.write_char('"')?;
    let mut backslashes = 0usize;
    for c in text.chars() {
        if c == '"' {
            (0..=backslashes).try_for_each(|_| f.write_char('\\'))?;
        }
        backslashes = if c == '\\' { backslashes + 1 } else { 0 };
        f.write_char(c)?;
    }
    (0..backslashes).try_for_each(|_| f.write_char('\\'))?;
    f.write_char('"')
}
