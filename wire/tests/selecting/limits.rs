//! The limits of a query, and that nothing below them costs more than a walk over the text.

use orch_wire::query::{MAX_DATA_CALLS, MAX_DEPTH, MAX_LENGTH, NodeView, Query};
use serde_json::{Map, json};

#[test]
fn limits_hold() {
    let deep = |levels: usize| "(".repeat(levels) + "a" + &")".repeat(levels);
    assert!(Query::parse(&deep(MAX_DEPTH)).is_ok());
    assert!(Query::parse(&deep(MAX_DEPTH + 1)).is_err());
    assert!(Query::parse(&"!".repeat(4000)).is_err());
    assert!(Query::parse(&deep(3000)).is_err());
    assert!(Query::parse(&"a".repeat(MAX_LENGTH)).is_ok());
    assert!(Query::parse(&"a".repeat(MAX_LENGTH + 1)).is_err());
    assert!(Query::parse(&vec!["/a/"; 32].join(" or ")).is_ok());
    assert!(Query::parse(&vec!["/a/"; 33].join(" or ")).is_err());
    let huge = Query::parse(r"a =~ (\w{100}){100}").unwrap_err();
    assert_eq!(huge.message, "the regular expression is too large when compiled");
    assert!(Query::parse("a =~ (?=b)").unwrap_err().message.contains("look-around"));
    assert!(Query::parse("a =~ (?x)b").is_err());
    let calls = |count: usize| vec!["f('x').y = 1"; count].join(" or ");
    assert!(Query::parse(&calls(MAX_DATA_CALLS)).is_ok());
    assert_eq!(
        Query::parse(&calls(MAX_DATA_CALLS + 1)).unwrap_err().message,
        "the query asks data functions more than 32 times"
    );
}

/// Whatever is repeated until the length is reached is parsed in the time of one walk over it: with a square of the
/// length this would take minutes.
#[test]
fn repetition_to_the_limit_costs_one_walk() {
    let facts = Map::from_iter([("a".to_owned(), json!({"a": {"a": {"a.a": {"a": 1}}}}))]);
    let node =
        NodeView { identity: "n", facts: &facts, classes: &[], agents: &[], collectives: &[], data: None };
    for piece in [
        "a and ",
        "a or ",
        "!",
        "(",
        "a(",
        "a=/",
        "a=(",
        "a='",
        "a=\\",
        "/\\/",
        "\\\"",
        "a=[",
        "a.",
        "a=~(?i",
        "f('",
        "&&",
        "a=b ",
        "\t",
        "é",
        "a=/(a|b)/ or ",
        "not ",
        "/a/ ",
        "a.a.a.a.a=1 or ",
        "f('').y=1 or ",
        "a='b' and ",
        "a==1 and ",
        "((a)) or ",
    ] {
        for tail in ["", "a", "a)", "'", "/", "\""] {
            let text = piece.repeat((MAX_LENGTH - tail.len()) / piece.len()) + tail;
            for _ in 0..3 {
                match Query::parse(&text) {
                    Ok(query) => {
                        query.evaluate(&node);
                        query.explain(&node);
                        assert!(query.data_calls().len() + query.fact_names().len() <= query.terms().len());
                    }
                    Err(error) => assert!(text.get(error.span).is_some(), "{piece}"),
                }
            }
        }
    }
}
