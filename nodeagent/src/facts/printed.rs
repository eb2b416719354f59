//! What programs print as facts: JSON, YAML, TOML or lines of `name=value`, told apart by looking at it.

use serde_json::{Map, Value};

use super::dir;

/// Reads what a program printed. The strictest format goes first, so that what is one of them is not taken for another: JSON is
/// YAML too, and most lines of TOML could be text in YAML. Lines of `name=value` without blanks around the sign are text, as
/// Facter has them, and not TOML: else `id=007` would be broken and `id=7` a number.
pub(super) fn parse(text: &str) -> Result<Map<String, Value>, String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let trimmed = text.trim();
    if trimmed.is_empty() {
        return Ok(Map::new());
    }
    let value = match dir::parse_json(trimmed) {
        Ok(value) => value,
        Err(error) if trimmed.starts_with('{') => {
            return Err(format!("printed JSON that is broken: {error}"));
        }
        Err(_) if is_plain(trimmed) => dir::parse_text(trimmed)?,
        Err(_) => dir::parse_toml(text)
            .or_else(|_| dir::parse_yaml(text))
            .ok()
            .filter(Value::is_object)
            .or_else(|| dir::parse_text(trimmed).ok())
            .ok_or("printed neither JSON, YAML, TOML nor lines of name=value")?,
    };
    dir::facts_of(value).map_err(|error| format!("printed what {error}"))
}

fn is_plain(text: &str) -> bool {
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')).all(|line| {
        let is_of_name = |c: char| c.is_ascii_alphanumeric() || "_-.:".contains(c);
        line.split_once('=').is_some_and(|(name, value)| {
            !name.is_empty() && name.chars().all(is_of_name) && !value.starts_with(' ')
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn formats_are_told_apart() {
        for (text, facts) in [
            ("", json!({})),
            ("\u{feff} {\"a\": [1, {\"b\": null}]}\n", json!({"a": [1, {"b": null}]})),
            ("---\na: 1\nb: [p, q]\n", json!({"a": 1, "b": ["p", "q"]})),
            ("url: http://x/?a=b\n", json!({"url": "http://x/?a=b"})),
            ("a = 1\n[site]\nnote = \"x: y\"\n", json!({"a": 1, "site": {"note": "x: y"}})),
            ("# of mine\nid=007\n\nnote=a b=c\n", json!({"id": "007", "note": "a b=c"})),
            ("a::b=7\n", json!({"a::b": "7"})),
            ("owner = ops team\n", json!({"owner": "ops team"})),
            ("empty=\n", json!({"empty": ""})),
        ] {
            assert_eq!(parse(text).map(Value::Object), Ok(facts), "{text:?}");
        }
    }

    #[test]
    fn what_is_none_of_them_is_an_error() {
        for (text, error) in [
            ("rubbish", "printed neither JSON"),
            ("{\"a\": 1", "printed JSON that is broken"),
            ("[1, 2]", "printed what does not hold a map of facts"),
            ("7", "printed what does not hold"),
            ("- a\n- b\n", "printed neither JSON"),
            (": 1\n=2", "printed neither JSON"),
        ] {
            let found = parse(text).unwrap_err();
            assert!(found.starts_with(error), "{text:?}: {found}");
        }
        assert!(
            parse(&format!("{{\"a\": {}1{}}}", "[".repeat(40), "]".repeat(40)))
                .unwrap_err()
                .contains("deeper")
        );
    }
}
