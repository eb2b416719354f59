//! Names of facts, as queries write them. Values are not kept: they may be private.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// Deepest path that is kept. Below it stand addresses of interfaces and the like, of which there is no end.
const DEPTH: usize = 4;
/// Most names of one node.
const NAMES: usize = 2048;
/// Longest name.
const NAME_BYTES: usize = 128;

/// Whether it can be the name of a fact in a query.
pub(super) fn is_name(name: &str) -> bool {
    (1..=NAME_BYTES).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.:/".contains(&byte))
}

/// The names of a node's facts, and the paths into those that are maps.
pub(super) fn names(facts: &Map<String, Value>) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    add(&mut names, "", facts, DEPTH);
    names
}

fn add(names: &mut BTreeSet<String>, before: &str, facts: &Map<String, Value>, depth: usize) {
    for (name, value) in facts {
        let path = if before.is_empty() { name.clone() } else { format!("{before}.{name}") };
        if names.len() >= NAMES || !is_name(&path) {
            continue;
        }
        if let (Value::Object(inner), 2..) = (value, depth) {
            add(names, &path, inner, depth - 1);
        }
        names.insert(path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_names_and_values_are_not_kept() {
        let facts = serde_json::json!({
            "os": {"family": "Debian", "release": {"major": "12", "deep": {"deeper": {"deepest": 1}}}},
            "models": ["a"], "a b": 1, "x\u{1b}[2J": 1, "": 1,
        });
        let names = names(facts.as_object().unwrap());
        let expected = [
            "models",
            "os",
            "os.family",
            "os.release",
            "os.release.deep",
            "os.release.deep.deeper",
            "os.release.major",
        ];
        assert_eq!(names.iter().map(String::as_str).collect::<Vec<_>>(), expected);
        let many: Map<String, Value> = (0..5000).map(|n| (format!("f{n}"), Value::Null)).collect();
        assert_eq!(super::names(&many).len(), NAMES);
    }
}
