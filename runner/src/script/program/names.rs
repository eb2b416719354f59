//! Reserved words as names, where nothing but a name can stand.
//!
//! Rhai reserves words that operators use for things: `package`, `match`, `with`. Actions and
//! inputs have such names, so that after `.` and `::`, and before `:` in a map, every word is a name.

use std::sync::Mutex;

use rhai::{Engine, Position, Token, is_valid_identifier};

/// What the tokens so far tell about the next one.
#[derive(Default)]
struct Reader {
    /// Brackets that are open; true for the brace of a map.
    open: Vec<bool>,
    previous: Option<Token>,
    /// Whether that was a keyword, and became a name.
    renamed: bool,
    at: Option<(usize, usize)>,
}

impl Reader {
    fn read(&mut self, token: Token, position: Position) -> Token {
        // A text that begins before the last one ended is another text: the end of one is not reported.
        let at = (position.line().unwrap_or(0), position.position().unwrap_or(0));
        if self.at.is_some_and(|last| at <= last) {
            *self = Self::default();
        }
        self.at = Some(at);
        let token = match token {
            // The lexer takes the sign after a keyword for one of its own: `m.if - 1`.
            Token::UnaryMinus if self.renamed => Token::Minus,
            Token::UnaryPlus if self.renamed => Token::Plus,
            token => token,
        };
        let literal = token.is_literal();
        let token = if self.expects_name() { as_name(token) } else { token };
        self.renamed = literal && matches!(token, Token::Identifier(_));
        match token {
            Token::MapStart => self.open.push(true),
            Token::LeftBrace | Token::LeftBracket | Token::QuestionBracket | Token::LeftParen => {
                self.open.push(false)
            }
            Token::RightBrace | Token::RightBracket | Token::RightParen => {
                self.open.pop();
            }
            _ => {}
        }
        self.previous = Some(token.clone());
        token
    }

    fn expects_name(&self) -> bool {
        match &self.previous {
            Some(Token::Period | Token::Elvis | Token::DoubleColon | Token::MapStart) => true,
            Some(Token::Comma) => self.open.last() == Some(&true),
            _ => false,
        }
    }
}

fn as_name(token: Token) -> Token {
    match token {
        // Operators are reserved too; they stay what they are.
        Token::Reserved(word) if is_valid_identifier(&word) => Token::Identifier(word),
        token if token.is_literal() && is_valid_identifier(token.literal_syntax()) => {
            Token::Identifier(Box::new(token.literal_syntax().into()))
        }
        token => token,
    }
}

/// Teaches an engine to take reserved words as names.
pub(crate) fn register(engine: &mut Engine) {
    let reader = Mutex::new(Reader::default());
    #[expect(
        deprecated,
        reason = "the hook is not deprecated: its marker says that it may change, and the version is pinned"
    )]
    engine.on_parse_token(move |token, position, _| {
        let mut reader = reader.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        reader.read(token, position)
    });
}

#[cfg(test)]
mod tests {
    use rhai::{INT, Map, Module};

    use super::*;

    fn engine() -> Engine {
        let mut engine = Engine::new();
        register(&mut engine);
        engine.register_fn("match", |map: &mut Map| map.len() as INT);
        engine.register_fn("with", |_: &mut Map, other: INT| other);
        let mut log = Module::new();
        log.set_native_fn("debug", |text: &str| Ok(format!("debug {text}")));
        engine.register_static_module("log", log.into());
        engine
    }

    #[test]
    fn reserved_words_are_names_where_only_names_can_stand() {
        let engine = engine();
        let script = r#"let m = #{ package: 1, default: 2, if: 3, "x": [4, #{ new: 5, in: 6 }] };
            m.package + m.default + m.if + m.x[1].new + m.x[1].in + m.match() + m.with(7)"#;
        assert_eq!(engine.eval::<INT>(script).unwrap(), 1 + 2 + 3 + 5 + 6 + 4 + 7);
        assert_eq!(engine.eval::<String>(r#"log::debug("x")"#).unwrap(), "debug x");
        assert_eq!(engine.eval::<INT>("let m = #{ default: 1 }; m?.default").unwrap(), 1);
    }

    #[test]
    fn elsewhere_they_keep_their_meaning() {
        let engine = engine();
        assert_eq!(engine.eval::<INT>("let l = [1, if true { 2 } else { 3 }]; l[1]").unwrap(), 2);
        assert_eq!(
            engine.eval::<INT>("let m = #{ a: if true { 1 } else { 2 }, b: 3 }; m.a + m.b").unwrap(),
            4
        );
        assert_eq!(
            engine
                .eval::<INT>(
                    "let m = #{ a: [1, switch 1 { 1 => 5, _ => 6 }], default: 2 }; m.a[1] + m.default"
                )
                .unwrap(),
            7
        );
        assert!(engine.compile("let package = 1;").is_err());
    }

    #[test]
    fn interpolated_text_and_failed_texts_do_not_confuse_the_next() {
        let engine = engine();
        assert_eq!(
            engine.eval::<String>("let m = #{ with: 1 }; `a ${m.with} ${#{ new: 2 }.new} b`").unwrap(),
            "a 1 2 b"
        );
        assert!(engine.compile("let m = #{ a: (").is_err());
        assert!(engine.compile("let m = #{ a: 1,").is_err());
        assert_eq!(engine.eval::<INT>("if true { 1 } else { 2 }").unwrap(), 1);
    }
}
