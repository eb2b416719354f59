//! Regular expressions of schemas, which were written for Ruby and Go.

use regex::{Regex, RegexBuilder};

use crate::query;

/// Compiled size of one expression.
const COMPILED_LIMIT: usize = 1024 * 1024;
/// Sizes by which expressions are charged: what one takes is not told, only whether it fits.
const SIZES: [usize; 3] = [4 * 1024, 64 * 1024, COMPILED_LIMIT];
/// Longest expression: to read one takes much more memory than its text.
const SOURCE_BYTES: usize = 4096;

/// What the expressions of one schema may still take once they are compiled. A schema comes from a node too, and thousands of
/// expressions that are each within their limit would take gigabytes.
#[derive(Debug)]
pub(super) struct Budget(usize);

impl Default for Budget {
    fn default() -> Self {
        Self(4 * COMPILED_LIMIT)
    }
}

/// Compiles the `validation` of an input, to be searched in the value.
///
/// `^`, `$` and `\Z`, which elsewhere may stand at each line, mean the ends of the whole value: a schema's `^[a-z]+$` is
/// meant to keep everything else out. For the same reason `\d`, `\w`, `\s` and `\b` are those of ASCII, as they are where
/// these schemas come from, and a `{` that counts nothing is itself.
///
/// # Errors
/// With a sentence, when the expression is not valid or too large, alone or with those before it.
pub(super) fn compile(source: &str, budget: &mut Budget) -> Result<Regex, String> {
    if source.len() > SOURCE_BYTES {
        return Err(format!("is longer than {SOURCE_BYTES} bytes"));
    }
    if let Some(construct) = look_around(source) {
        return Err(format!(
            "the look-around `{construct}` is not supported, since every expression must run in linear time"
        ));
    }
    let translated = translated(source);
    let mut last = "the expressions of this schema are too large together".to_owned();
    for size in SIZES.into_iter().filter(|size| *size <= budget.0) {
        let built = RegexBuilder::new(&translated)
            .size_limit(size)
            .dfa_size_limit(COMPILED_LIMIT)
            .nest_limit(64)
            .build();
        match built {
            Err(regex::Error::CompiledTooBig(_)) if size < COMPILED_LIMIT => {}
            built => {
                budget.0 = budget.0.saturating_sub(size);
                last = match built {
                    Ok(regex) => return Ok(regex),
                    Err(error) => query::explain_regex(&error),
                };
                break;
            }
        }
    }
    Err(last)
}

/// Longest text between the braces of a count.
const COUNT_CHARS: usize = 16;

/// The piece of an expression that one step of reading takes.
enum Piece<'s> {
    /// A backslash and what follows it, if anything does.
    Escape(Option<char>),
    /// The beginning of a character class, with a `^` and a `]` that belong to it.
    Open(&'s str),
    /// The end of one.
    Close,
    Plain(char),
}

/// Reads the expression piece by piece: what, where, and in how many character classes it stands.
fn pieces(source: &str) -> impl Iterator<Item = (Piece<'_>, usize, usize)> {
    let mut chars = source.char_indices().peekable();
    let mut classes = 0usize;
    std::iter::from_fn(move || {
        let (at, c) = chars.next()?;
        let depth = classes;
        let piece = match c {
            '\\' => Piece::Escape(chars.next().map(|(_, escaped)| escaped)),
            '[' => {
                classes = classes.saturating_add(1);
                chars.next_if(|(_, c)| *c == '^');
                // The first `]` of a class is an ordinary character.
                chars.next_if(|(_, c)| *c == ']');
                let end = chars.peek().map_or(source.len(), |(end, _)| *end);
                Piece::Open(source.get(at..end).unwrap_or_default())
            }
            ']' => {
                classes = classes.saturating_sub(1);
                Piece::Close
            }
            c => Piece::Plain(c),
        };
        Some((piece, at, depth))
    })
}

fn look_around(source: &str) -> Option<&'static str> {
    pieces(source).filter(|(piece, _, depth)| *depth == 0 && matches!(piece, Piece::Plain('('))).find_map(
        |(_, at, _)| {
            let rest = source.get(at..).unwrap_or_default();
            ["(?=", "(?!", "(?<=", "(?<!"].into_iter().find(|construct| rest.starts_with(construct))
        },
    )
}

fn translated(source: &str) -> String {
    let mut out = String::with_capacity(source.len() + 16);
    for (piece, at, depth) in pieces(source) {
        let in_class = depth > 0;
        match piece {
            Piece::Escape(None) => out.push('\\'),
            Piece::Escape(Some(c)) => match (c, in_class) {
                ('Z', false) => out.push_str(r"\z"),
                ('d' | 'w' | 's', true) => out.push_str(ascii_set(c)),
                ('D' | 'W' | 'S', _) => out.extend(["[^", ascii_set(c.to_ascii_lowercase()), "]"]),
                ('d' | 'w' | 's', false) => out.extend(["[", ascii_set(c), "]"]),
                // Not the beginning of `\b{start}`.
                ('b', false) if !source.get(at + 2..).unwrap_or_default().starts_with('{') => {
                    out.push_str(r"(?-u:\b)");
                }
                _ => out.extend(['\\', c]),
            },
            Piece::Open(text) => out.push_str(text),
            Piece::Close => out.push(']'),
            Piece::Plain('^') if !in_class => out.push_str(r"\A"),
            Piece::Plain('$') if !in_class => out.push_str(r"\z"),
            Piece::Plain('{') if !in_class && !counts(&out, source.get(at..).unwrap_or_default()) => {
                out.push_str(r"\{")
            }
            Piece::Plain(c) => out.push(c),
        }
    }
    out
}

fn ascii_set(class: char) -> &'static str {
    match class {
        'd' => "0-9",
        'w' => "0-9A-Za-z_",
        _ => r" \t\n\r\x0B\x0C",
    }
}

/// Whether the `{` that begins `rest` counts repetitions, or belongs to the escape before it, such as `\p{…}`.
fn counts(before: &str, rest: &str) -> bool {
    let mut escape = before.chars().rev();
    let named = matches!(escape.next(), Some('p' | 'P' | 'x' | 'u' | 'U' | 'b'));
    if named && escape.take_while(|c| *c == '\\').count() % 2 == 1 {
        return true;
    }
    // No further than a count may reach, so that many braces in a row cost no more than others.
    let inner: String = rest.chars().skip(1).take(COUNT_CHARS).take_while(|c| *c != '}').collect();
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    rest.chars().nth(inner.chars().count() + 1) == Some('}')
        && match inner.split_once(',') {
            None => !inner.is_empty() && digits(&inner),
            Some((least, most)) => inner.len() > 1 && digits(least) && digits(most),
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_means_the_same_stays_the_same() {
        for source in
            [r"[$^]\$", r"a{2,3}b{4}c{5,}", r"\p{Greek}+\x{61}", "[]^]+", r"[[:alpha:]_-]*\.", r"(?i)a|b"]
        {
            assert_eq!(translated(source), source);
        }
    }

    #[test]
    fn what_other_engines_mean_is_written_so() {
        for (source, expected) in [
            (r"^a$|\Z", r"\Aa\z|\z"),
            (r"\d+\w", "[0-9]+[0-9A-Za-z_]"),
            (r"[\w.-]", "[0-9A-Za-z_.-]"),
            (r"[^\d\s]", r"[^0-9 \t\n\r\x0B\x0C]"),
            (r"\D[\W]", "[^0-9][[^0-9A-Za-z_]]"),
            ("^{.+}$", r"\A\{.+}\z"),
            ("a{x}{", r"a\{x}\{"),
            (r"\bx\\b", r"(?-u:\b)x\\b"),
        ] {
            assert_eq!(translated(source), expected);
            compile(source, &mut Budget::default()).unwrap();
        }
    }

    #[test]
    fn what_is_large_alone_or_together_is_refused() {
        let mut budget = Budget::default();
        for _ in 0..3 {
            compile(r"^\p{L}{20}$", &mut budget).unwrap();
        }
        compile("^[a-z]+$", &mut budget).unwrap();
        let error = compile(r"^\p{L}{20}$", &mut budget).unwrap_err();
        assert_eq!(error, "the expressions of this schema are too large together");
        compile("^[a-z]+$", &mut budget).unwrap();
        let mut fresh = Budget::default();
        assert!(compile(r"((\p{L}{100}){100}){100}", &mut fresh).unwrap_err().contains("too large"));
        assert!(compile(&r"\pL".repeat(2000), &mut fresh).unwrap_err().contains("4096"));
        let mut many = Budget::default();
        assert_eq!((0..5000).filter(|_| compile("^[a-z]+$", &mut many).is_ok()).count(), 1024);
    }
}
