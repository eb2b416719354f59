//! Finding a fact by its name or dotted path.

use serde_json::{Map, Value};

/// A path of more parts is looked up by its literal name only: the search tries every
/// way to split the path, and facts come from programs that may nest as they like.
const MAX_PARTS: usize = 16;

/// Finds a fact. `os.family` is the fact of that literal name, else `family` in the map
/// `os`; list elements are reached by their number (`processors.models.0`). Where names
/// hold dots themselves (`networking.interfaces.eth0.100.ip`) the longest one wins.
pub fn lookup_fact<'a>(facts: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    if path.bytes().filter(|byte| *byte == b'.').count() >= MAX_PARTS {
        return facts.get(path);
    }
    in_map(facts, path)
}

fn in_map<'a>(map: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    map.get(path).or_else(|| {
        path.rmatch_indices('.').find_map(|(dot, _)| {
            let (name, rest) = (path.get(..dot)?, path.get(dot + 1..)?);
            below(map.get(name)?, rest)
        })
    })
}

fn below<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    match value {
        Value::Object(map) => in_map(map, path),
        Value::Array(list) => {
            let (index, rest) = match path.split_once('.') {
                Some((index, rest)) => (index, Some(rest)),
                None => (path, None),
            };
            // `parse` takes a sign, an index has none.
            let digits = !index.is_empty() && index.bytes().all(|byte| byte.is_ascii_digit());
            let element = list.get(digits.then(|| index.parse::<usize>().ok())??)?;
            match rest {
                Some(rest) => below(element, rest),
                None => Some(element),
            }
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_literal_names_paths_and_elements() {
        let facts = serde_json::json!({
            "os": {"family": "RedHat"}, "os.family": "literal",
            "net": {"eth0.100": {"ip": "10.0.0.1"}}, "models": ["a", {"b": 1}],
        });
        let facts = facts.as_object().unwrap();
        let find = |path| lookup_fact(facts, path).map(ToString::to_string);
        assert_eq!(find("os.family").as_deref(), Some("\"literal\""));
        assert_eq!(find("net.eth0.100.ip").as_deref(), Some("\"10.0.0.1\""));
        assert_eq!(find("models.0").as_deref(), Some("\"a\""));
        assert_eq!(find("models.1.b").as_deref(), Some("1"));
        for missing in ["", ".", "os.", ".os", "models.+0", "models.2", "os.family.x", "models.0.b"] {
            assert_eq!(find(missing), None, "{missing}");
        }
    }
}
