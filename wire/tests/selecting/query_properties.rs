//! Whatever arrives: no panic, and what is printed means what was parsed.

use orch_wire::query::{NodeView, Pattern, Query, filter::Filter, lookup_fact};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// Pieces from which near-queries are made.
const PIECES: [&str; 46] = [
    "and",
    "or",
    "not",
    "!",
    "(",
    ")",
    " ",
    "\n",
    "role::web",
    "/we[b)]$/",
    "os.family",
    "cpus",
    "=",
    "==",
    "!=",
    "=~",
    "<",
    ">=",
    "=>",
    "=<",
    "RedHat",
    "'a b'",
    "\"a\\\"b\"",
    "\"c:\\\\\"",
    "/usr/local/",
    "/usr",
    "/",
    "f('x').y",
    "g()",
    "`",
    "&&",
    "AND",
    "4.5",
    "-2",
    "/[(]a b/",
    "/a(b|c)/",
    "'/x/'",
    "\\",
    "é",
    "[",
    "]",
    "/\\//",
    "f(",
    ".",
    "identity",
    "agent",
];

fn near_query() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(&PIECES[..]), 0..14).prop_map(|pieces| pieces.concat())
}

fn term() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z:]{1,6}x".boxed(),
        "/[a-z(|)]{0,3}/".boxed(),
        "[a-z.]{1,6}_ ?(=|!=|<|>=|=~) ?[a-z0-9./-]{1,6}".boxed(),
        "[a-z]{1,6}_ ?(=|!=|=~|<) ?'[^']{0,6}'".boxed(),
        "[a-z]{1,6}_ ?(=|!=|>) ?\"[^\"]{0,6}\"".boxed(),
        "[a-z]{1,6}\\('[^']{0,5}'\\)(\\.[a-z]{1,3})?=[a-z0-9]{1,4}".boxed(),
    ]
}

fn expression() -> impl Strategy<Value = String> {
    term().prop_recursive(6, 40, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4).prop_map(|parts| parts.join(" and ")),
            prop::collection::vec(inner.clone(), 2..4).prop_map(|parts| parts.join(" or ")),
            inner.clone().prop_map(|part| format!("({part})")),
            inner.prop_map(|part| format!("not ({part})")),
        ]
    })
}

fn prints_what_it_parsed(query: &Query) {
    let text = query.to_string();
    let again = Query::parse(&text)
        .unwrap_or_else(|error| panic!("{text:?} from {query:?}: {error} {:?}", error.span));
    assert_eq!(&again, query, "{text:?}");
    assert_eq!(again.to_string(), text);
}

fn evaluate(query: &Query) -> bool {
    let facts = json!({"os": {"family": "RedHat"}, "cpus": [1, "2", 3.5, null], "a": {"b": {}}, "é": true});
    let data =
        |name: &str, _: Option<&str>| (name == "f").then(|| Map::from_iter([("y".to_owned(), json!(1))]));
    let words = ["role::web".to_owned(), "main".to_owned()];
    query.matches(&NodeView {
        identity: "n1",
        facts: facts.as_object().unwrap(),
        classes: &words,
        agents: &words,
        collectives: &words,
        data: Some(&data),
    })
}

proptest! {
    #[test]
    fn no_text_panics(text in prop_oneof![any::<String>().boxed(), near_query().boxed()]) {
        match Query::parse(&text) {
            Ok(query) => {
                prints_what_it_parsed(&query);
                evaluate(&query);
            }
            Err(error) => {
                prop_assert!(text.get(error.span.clone()).is_some(), "{:?} in {text:?}", error.span);
                prop_assert!(!error.message.is_empty());
            }
        }
    }

    #[test]
    fn printing_and_parsing_agree(text in expression()) {
        if let Ok(query) = Query::parse(&text) {
            prints_what_it_parsed(&query);
            prop_assert_eq!(evaluate(&query), evaluate(&Query::parse(&query.to_string()).unwrap()));
            let json = serde_json::to_string(&query).unwrap();
            prop_assert_eq!(serde_json::from_str::<Query>(&json).unwrap(), query);
        }
    }

    /// A flag may hold what the language cannot spell; its query must travel all the same.
    #[test]
    fn a_flag_makes_a_query_that_travels(value in any::<String>(), op in prop::sample::select(&["=", "!=", "=~", "<"][..]),
            regex in any::<bool>()) {
        let value = if regex { format!("/{value}/") } else { value };
        let filter = Filter { facts: vec![format!("f{op}{value}")], ..Filter::default() };
        if let Ok(Some(query)) = filter.query() {
            prints_what_it_parsed(&query);
        }
    }

    #[test]
    fn any_flags_make_a_query_or_an_error(flags in prop::collection::vec(near_query(), 6)) {
        let mut flags = flags.into_iter().map(|flag| vec![flag]);
        let mut next = || flags.next().unwrap_or_default();
        let filter = Filter { facts: next(), classes: next(), agents: next(), identities: next(), words: next(),
            queries: next() };
        if let Ok(Some(query)) = filter.query() {
            prints_what_it_parsed(&query);
        }
    }

    #[test]
    fn a_text_fact_equals_itself(text in any::<String>()) {
        let facts = Map::from_iter([("f".to_owned(), Value::from(text.as_str()))]);
        let node = NodeView { identity: "n", facts: &facts, classes: &[], agents: &[], collectives: &[], data: None };
        let quoted = text.replace('\'', "");
        let query = Query::parse(&format!("f = '{quoted}'")).unwrap();
        prop_assert_eq!(query.matches(&node), quoted == text);
    }

    /// Rewriting for the language changes no match.
    #[test]
    fn a_portable_pattern_matches_as_its_source(
        source in prop::collection::vec(prop::sample::select(
            &["a", " ", "/", "'", "\"", "`", "&", "(", ")", "|", "[", "]", "^", "\\", "*", ".", "\t", "x"][..]), 0..8),
        text in "[a /'\"`&x\t]{0,6}",
    ) {
        let source = source.concat();
        if let (Ok(pattern), Ok(regex)) = (Pattern::new(&source), regex::Regex::new(&source)) {
            prop_assert_eq!(pattern.is_match(&text), regex.is_match(&text), "{} {}", source, pattern.source());
            let query = Query::parse(&format!("f =~ /{}/", pattern.source())).unwrap();
            prints_what_it_parsed(&query);
        }
    }

    #[test]
    fn no_path_panics(path in "[a-c.0]{0,24}") {
        let facts = json!({"a": {"b": [{"c": 1}], "b.c": 2}, "a.b": {"c": 3}});
        lookup_fact(facts.as_object().unwrap(), &path);
    }
}
