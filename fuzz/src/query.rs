//! The language that selects nodes.

use orch_wire::query::filter::Filter;
use orch_wire::query::{
    DataCall, DataFunction, DataFunctions, Explanation, Finding, MAX_LENGTH, NodeView, Query, Verdict,
};
use serde_json::{Map, Value, json};

/// The bytes are the text of a query, and of each filter flag.
///
/// A query prints as text that parses to the same query, and both mean the same of a node; an error and a fault of a data
/// function have a place in the text; an explanation says what the verdict says. A query grows by no more than quotes
/// and blanks when printed. A flag makes a query that travels, or an error with a place in its value.
pub fn query(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    flags(text);
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
    for fault in query.check(&functions()) {
        assert!(text.get(fault.span.clone()).is_some(), "{:?} in {text:?}", fault.span);
        assert!(!fault.message.is_empty() && !fault.message.ends_with('.'), "{}", fault.message);
    }
    let asked = query.data_calls().len() + query.fact_names().len();
    assert!(asked <= query.terms().len());
    if let Ok(both) = query.clone().and(query.clone()) {
        assert_eq!(verdict(&both), verdict(query), "a query and itself is itself");
    }
}

fn flags(text: &str) {
    for place in 0..6 {
        let mut filter = Filter::default();
        let lists = [
            &mut filter.facts,
            &mut filter.classes,
            &mut filter.agents,
            &mut filter.identities,
            &mut filter.words,
            &mut filter.queries,
        ];
        lists.into_iter().skip(place).take(1).for_each(|list| list.push(text.to_owned()));
        match filter.query() {
            Ok(Some(query)) => assert_eq!(Query::parse(&query.to_string()).as_ref(), Ok(&query), "{text:?}"),
            Ok(None) => assert_eq!((place, text), (2, "mcollective"), "a flag restricts"),
            Err(error) => {
                assert!(
                    error.value.get(error.error.span.clone()).is_some(),
                    "{:?} of {error}",
                    error.error.span
                );
            }
        }
    }
}

fn functions() -> DataFunctions {
    let mut functions = DataFunctions::default();
    for text in [include_str!("../../stdlib/data/file.json"), include_str!("../../stdlib/data/puppet.json")] {
        if let Ok(function) = DataFunction::from_json(text) {
            functions.add(function);
        }
    }
    functions
}

/// Every part agrees with its own parts, and none is longer than it may be.
fn agrees(part: &Explanation) {
    let told = |parts: &[Explanation]| parts.iter().map(|part| part.holds).collect::<Option<Vec<bool>>>();
    match &part.finding {
        Finding::All(parts) => {
            assert_eq!(part.holds, told(parts).map(|parts| parts.iter().all(|holds| *holds)));
            parts.iter().for_each(agrees);
        }
        Finding::Any(parts) => {
            assert_eq!(part.holds, told(parts).map(|parts| parts.iter().any(|holds| *holds)));
            parts.iter().for_each(agrees);
        }
        Finding::Not(inner) => {
            assert_eq!(part.holds, inner.holds.map(|holds| !holds));
            agrees(inner);
        }
        Finding::Term { term, value, .. } => {
            assert!(Query::parse(term).is_ok() || term.len() > MAX_LENGTH, "{term:?}");
            assert!(value.as_ref().is_none_or(|shown| shown.value.to_string().len() < 4096), "{value:?}");
        }
    }
}

fn verdict(query: &Query) -> Verdict {
    let facts = json!({
        "os": {"family": "RedHat", "release": {"major": "9"}}, "cpus": [1, "2", 3.5, null, true],
        "memory": {"free_bytes": 17_179_869_184_u64}, "a.b": {"c": {}}, "é": true, "up": -1,
    });
    let none = Map::new();
    let words = ["role::web".to_owned(), "main".to_owned(), "service".to_owned()];
    let node = NodeView {
        identity: "web1.example.com",
        facts: facts.as_object().unwrap_or(&none),
        classes: &words,
        agents: &words,
        collectives: &words,
        data: Some(&data),
    };
    let verdict = query.evaluate(&node);
    let explanation = query.explain(&node);
    let expected = match &verdict {
        Verdict::Matches => Some(true),
        Verdict::Differs => Some(false),
        Verdict::Undecidable(_) => None,
    };
    assert_eq!(explanation.holds, expected);
    agrees(&explanation);
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
