//! Places in a script: the token at a point that the engine names.

use rhai::{Engine, Position, Token};

use crate::diagnostic::Span;

/// Most tokens looked at; a script of more is underlined by its words.
const MOST: usize = 500_000;

/// The tokens of a text, with the places where they begin.
pub(crate) struct Tokens<'a> {
    text: &'a str,
    list: Vec<(Token, Span)>,
}

impl<'a> Tokens<'a> {
    /// Reads a text again. The parser tells the lexer when an interpolated expression ends and text goes on; the same
    /// is done here, or everything after the first `${…}` would be read wrong.
    pub(crate) fn of(engine: &Engine, text: &'a str) -> Self {
        let (tokens, control) = engine.lex_with_map([&text], &|token, _, _| token);
        let mut list: Vec<(Token, Span)> = Vec::new();
        // For each open interpolation, the braces open in it.
        let mut interpolations: Vec<usize> = Vec::new();
        let mut begins_interpolation = false;
        for (token, position) in tokens.take(MOST) {
            match &token {
                Token::EOF | Token::LexError(_) => break,
                Token::LeftBrace if begins_interpolation => interpolations.push(0),
                Token::LeftBrace | Token::MapStart => {
                    if let Some(open) = interpolations.last_mut() {
                        *open += 1;
                    }
                }
                Token::RightBrace => match interpolations.last_mut() {
                    Some(0) => {
                        interpolations.pop();
                        control.borrow_mut().is_within_text = true;
                    }
                    Some(open) => *open -= 1,
                    None => {}
                },
                _ => {}
            }
            begins_interpolation = matches!(token, Token::InterpolatedString(_));
            if let Some(at) = point(position) {
                let length = length(text, at, &token);
                list.push((token, Span { length, ..at }));
            }
        }
        Self { text, list }
    }

    /// The token that begins at a place, or the word there.
    pub(crate) fn at(&self, position: Position) -> Option<Span> {
        let at = point(position)?;
        Some(self.token_at(position).unwrap_or_else(|| Span { length: word(self.text, at), ..at }))
    }

    /// The token that begins at a place. For the dot before a property it is the property, which is what is meant.
    pub(crate) fn token_at(&self, position: Position) -> Option<Span> {
        let at = point(position)?;
        let begins = |(_, span): &(Token, Span)| (span.line, span.column) == (at.line, at.column);
        let index = self.list.iter().position(begins)?;
        match (self.list.get(index), self.list.get(index + 1)) {
            (Some((Token::Period | Token::Elvis, _)), Some((_, property))) => Some(*property),
            (Some((_, token)), _) => Some(*token),
            (None, _) => None,
        }
    }

    /// Where the last token before a place ends: what is missing is missing there.
    pub(crate) fn end_before(&self, position: Position) -> Option<Span> {
        let at = point(position)?;
        let before = |(_, span): &&(Token, Span)| (span.line, span.column) < (at.line, at.column);
        let last = self.list.iter().rfind(before).map(|(_, span)| *span)?;
        Some(Span { column: last.column + last.length, length: 1, ..last })
    }

    /// All names in the text.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.list.iter().filter_map(|(token, _)| match token {
            Token::Identifier(name) => Some(name.as_str()),
            _ => None,
        })
    }

    /// The name in the definition of a function.
    pub(crate) fn function(&self, name: &str) -> Option<Span> {
        self.list.windows(2).find_map(|pair| match pair {
            [(Token::Fn, _), (Token::Identifier(defined), span)] if defined.as_str() == name => Some(*span),
            _ => None,
        })
    }

    /// Whether the text declares such a constant.
    pub(crate) fn declares_constant(&self, name: &str) -> bool {
        let declared = |pair: &[(Token, Span)]| match pair {
            [(Token::Const, _), (Token::Identifier(declared), _)] => declared.as_str() == name,
            _ => false,
        };
        self.list.windows(2).any(declared)
    }
}

/// A place as a span of one character. The engine counts from one, and says 0 for "before the line".
pub(crate) fn point(position: Position) -> Option<Span> {
    let line = position.line()?;
    Some(Span { line, column: position.position().unwrap_or(1).max(1), length: 1 })
}

fn length(text: &str, at: Span, token: &Token) -> usize {
    match token {
        Token::Identifier(name) | Token::Reserved(name) | Token::Custom(name) => name.chars().count(),
        token if token.is_literal() => token.literal_syntax().chars().count(),
        _ => word(text, at),
    }
}

/// Characters of the word, number or quoted text that begins at a place; one of anything else.
fn word(text: &str, at: Span) -> usize {
    let Some(line) = text.lines().nth(at.line.saturating_sub(1)) else { return 1 };
    let mut rest = line.chars().skip(at.column.saturating_sub(1));
    match rest.next() {
        Some(quote @ ('"' | '`' | '\'')) => {
            let mut length = 1;
            let mut escaped = false;
            for c in rest {
                length += 1;
                match c {
                    _ if escaped => escaped = false,
                    '\\' => escaped = true,
                    c if c == quote => break,
                    _ => {}
                }
            }
            length
        }
        Some(first) if is_word(first) => 1 + rest.take_while(|c| is_word(*c)).count(),
        _ => 1,
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn underlined(text: &str, line: u16, column: u16) -> String {
        let engine = Engine::new();
        let span = Tokens::of(&engine, text).at(Position::new(line, column)).unwrap();
        let line = text.lines().nth(span.line - 1).unwrap();
        line.chars().skip(span.column - 1).take(span.length).collect()
    }

    #[test]
    fn a_point_is_widened_to_its_token() {
        assert_eq!(underlined("/* é */ let shop = 1;", 1, 13), "shop");
        assert_eq!(underlined("let shop = nodes(\"a \\\" b\");", 1, 18), "\"a \\\" b\"");
        assert_eq!(underlined("a == 12.5", 1, 3), "==");
        assert_eq!(underlined("a\n  .package", 2, 4), "package");
        assert_eq!(underlined("x", 1, 9), "");
    }

    #[test]
    fn interpolated_text_does_not_shift_what_follows() {
        let text = "print(`a ${#{ b: 1 }.b} \" ${c} d`); service";
        assert_eq!(underlined(text, 1, 37), "service");
        let engine = Engine::new();
        let tokens = Tokens::of(&engine, text);
        assert!(tokens.names().any(|name| name == "service"));
        assert!(!tokens.names().any(|name| name == "d"));
    }

    #[test]
    fn what_is_missing_is_missing_after_the_last_token() {
        let engine = Engine::new();
        let text = "let a = 1 // one;\nlet b";
        let end = Tokens::of(&engine, text).end_before(Position::new(2, 1)).unwrap();
        assert_eq!((end.line, end.column), (1, 10));
        assert!(Tokens::of(&engine, "const a = 1;").declares_constant("a"));
    }
}
