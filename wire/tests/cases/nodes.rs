//! Groups DS, LB and ID.

use orch_wire::{
    caller::Caller,
    ids::NodeName,
    nodeset::{Batch, Limit, ListError, names_from_lines, names_from_results},
    query::filter::Filter,
};
use serde_json::json;

use super::{Case, quoted, same};

fn shown(names: Result<Vec<String>, ListError>) -> String {
    match names {
        Ok(names) => json!(names).to_string(),
        Err(ListError::Line { .. }) => "error: invalid identity".into(),
        Err(_) => "error".into(),
    }
}

pub(crate) fn lists(case: &Case) -> Result<(), String> {
    let found = match case.input.as_str() {
        "flatfile one,two with -I /one/" => {
            let filter = Filter { identities: vec!["/one/".into()], ..Filter::default() };
            let mut names = names_from_lines("one\ntwo\n").unwrap();
            let passing = filter.names().unwrap().unwrap();
            names.retain(|name| passing.matches(name));
            shown(Ok(names))
        }
        "stdin JSON with a repeated sender" => {
            shown(names_from_results(r#"[{"sender":"a"},{"sender":"b"},{"sender":"a"}]"#))
        }
        "stdin [\"a\"]" => shown(names_from_results("[\"a\"]")),
        text if text.starts_with("flatfile ") => shown(names_from_lines(&quoted(text)[0])),
        text if text.starts_with("stdin ") => shown(names_from_results(&quoted(text)[0])),
        other => return Err(format!("the test does not know {other}")),
    };
    same(found, &case.expected)
}

fn nodes(count: usize) -> Vec<String> {
    (1..=count).map(|n| format!("n{n:02}")).collect()
}

pub(crate) fn portions(case: &Case) -> Result<(), String> {
    let words: Vec<&str> = case.input.split([' ', ',']).filter(|word| !word.is_empty()).collect();
    match words.as_slice() {
        ["--limit", text] => {
            same(if text.parse::<Limit>().is_err() { "error" } else { "accepted" }, &case.expected)
        }
        [count, "nodes", "limit", text, random @ ..] => {
            let limit: Limit = text.parse().map_err(|error| format!("{error}"))?;
            let names = nodes(count.parse().unwrap());
            if random.is_empty() {
                let taken = limit.take(names, None);
                let found = format!("{} node(s): {}..{}", taken.len(), taken[0], taken[taken.len() - 1]);
                return same(found, &case.expected);
            }
            let mut reversed = names.clone();
            reversed.reverse();
            let taken = limit.take(names, Some(7));
            if taken != limit.take(reversed, Some(7)) {
                return Err("a seed does not repeat its draw".into());
            }
            let different = taken.iter().collect::<std::collections::HashSet<_>>().len();
            same(format!("{different} different nodes"), &case.expected)
        }
        ["batch", text] => same(
            match text.parse::<Batch>() {
                Ok(batch) if batch.is_on() => "accepted, batching on",
                Ok(_) => "accepted, batching off",
                Err(_) => "error",
            },
            &case.expected,
        ),
        ["batch", text, "of", count, "nodes"] => {
            let batch: Batch = text.parse().map_err(|error| format!("{error}"))?;
            same(format!("groups of {}", batch.of(count.parse().unwrap())), &case.expected)
        }
        _ => Err("the test does not know this case".into()),
    }
}

/// `caller id foo=bar`, with quotes where blanks or nothing would be lost, `identity web1`.
pub(crate) fn names(case: &Case) -> Result<(), String> {
    let given = |rest: &str| quoted(rest).pop().unwrap_or_else(|| rest.to_owned());
    let valid = match (case.input.strip_prefix("caller id "), case.input.strip_prefix("identity ")) {
        (Some(caller), _) => given(caller).parse::<Caller>().is_ok(),
        (_, Some(node)) => given(node).parse::<NodeName>().is_ok(),
        _ => return Err("the test does not know this case".into()),
    };
    same(if valid { "valid" } else { "invalid" }, &case.expected)
}
