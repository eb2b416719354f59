//! The language that selects nodes.

use orch_wire::query::{DataCall, MAX_LENGTH, NodeView, Query, Verdict};
use serde_json::{Map, Value, json};

/// The bytes are the text of a query.
///
/// A query prints as text that parses to the same query, and both mean the same of a node; an error has a place in the
/// text. A query grows by no more than quotes and blanks when printed.
pub fn query(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match Query::parse(text) {
        Ok(query) => look_at(&query, text),
        Err(error) => {
            assert!(text.get(error.span.clone()).is_some(), "{:?} in {text:?}", error.span);
            assert!(!error.message.is_empty() && !error.message.ends_with('.'), "{}", error.message);
        }
    }
}

fn look_at(query: &Query, text: &str) {
    assert!(text.len() <= MAX_LENGTH);
    let printed = query.to_string();
    match Query::parse(&printed) {
        Ok(again) => {
            assert_eq!(again, *query, "{printed:?}");
            assert_eq!(again.to_string(), printed);
            assert_eq!(verdict(&again), verdict(query), "{printed:?}");
        }
        // The only thing that may go wrong: it no longer fits.
        Err(error) => assert!(printed.len() > MAX_LENGTH, "{printed:?}: {error}"),
    }
    let asked = query.data_calls().len() + query.fact_names().len();
    assert!(asked <= query.terms().len());
    if let Ok(both) = query.clone().and(query.clone()) {
        assert_eq!(verdict(&both), verdict(query), "a query and itself is itself");
    }
}

fn verdict(query: &Query) -> Verdict {
    let facts = json!({
        "os": {"family": "RedHat", "release": {"major": "9"}}, "cpus": [1, "2", 3.5, null, true],
        "memory": {"free_bytes": 17_179_869_184_u64}, "a.b": {"c": {}}, "é": true, "up": -1,
    });
    let none = Map::new();
    let words = ["role::web".to_owned(), "main".to_owned(), "service".to_owned()];
    let verdict = query.evaluate(&NodeView {
        identity: "web1.example.com",
        facts: facts.as_object().unwrap_or(&none),
        classes: &words,
        agents: &words,
        collectives: &words,
        data: Some(&data),
    });
    if let Verdict::Undecidable(DataCall { function, argument }) = &verdict {
        let refused = argument.as_deref().is_some_and(|argument| argument.contains('`'));
        assert!(refused || data(function, argument.as_deref()).is_none());
    }
    verdict
}

fn data(function: &str, argument: Option<&str>) -> Option<Map<String, Value>> {
    assert!(!argument.is_some_and(|argument| argument.contains('`')), "no function is asked with a backtick");
    match function {
        "f" => Some(Map::from_iter([("y".to_owned(), json!(1))])),
        "g" => Some(Map::from_iter([("x".to_owned(), json!("a")), ("y".to_owned(), json!([1, 2]))])),
        _ => None,
    }
}
