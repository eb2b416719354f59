//! The evaluator against a second one that was written to be plain and not to be fast: random expressions are made as
//! trees, written down as text, and decided once by each.

use std::cmp::Ordering;

use orch_wire::query::{Explanation, Finding, NodeView, Query};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// An expression as it was meant, before it became text.
#[derive(Debug, Clone)]
enum Meant {
    And(Vec<Meant>),
    Or(Vec<Meant>),
    Not(Box<Meant>),
    Class(&'static str),
    ClassLike(&'static str),
    Fact(&'static str, &'static str, &'static str),
    Asked(&'static str, &'static str, &'static str, &'static str),
}

const CLASSES: [&str; 4] = ["apache", "role::web", "Apache", "nginx"];
const EXPRESSIONS: [&str; 5] = ["^a", "web$", "c", "1", "x|r"];
const FACTS: [&str; 12] = [
    "text",
    "number",
    "float",
    "negative",
    "flag",
    "list",
    "map",
    "nothing",
    "os.family",
    "dotted.name",
    "identity",
    "absent",
];
const OPERATORS: [&str; 10] = ["=", "==", "!=", "<", ">", "<=", ">=", "=>", "=<", "=~"];
const VALUES: [&str; 14] = [
    "apache",
    "8",
    "08",
    "8.0",
    "-3",
    "-3.50",
    "7.5",
    "10",
    "true",
    "RedHat",
    "a",
    "n1",
    "100000000000000000001",
    "",
];

fn node() -> (Value, Vec<String>) {
    let facts = json!({
        "text": "apache", "number": 8, "float": 7.5, "negative": "-3.5", "flag": true, "list": ["a", 8, ["10", null]],
        "map": {"a": 1, "8": 2}, "nothing": null, "os": {"family": "RedHat"}, "dotted.name": "x",
        "dotted": {"name": "y"}, "identity": "forged",
    });
    (facts, vec!["apache".into(), "role::web".into()])
}

fn outputs(function: &str) -> Option<Value> {
    match function {
        "file" => Some(json!({"size": 158, "md5": "abc", "present": true, "unset": null})),
        "load" => Some(json!({"avg": 0.5})),
        _ => None,
    }
}

fn meant() -> impl Strategy<Value = Meant> {
    let pick = |from: &'static [&'static str]| prop::sample::select(from);
    let fact = (pick(&FACTS), pick(&OPERATORS), pick(&VALUES))
        .prop_map(|(name, op, value)| Meant::Fact(name, op, value));
    let asked = (
        prop::sample::select(
            &[
                ("file", "size"),
                ("file", "md5"),
                ("file", "present"),
                ("file", "unset"),
                ("file", "none"),
                ("load", "avg"),
                ("load", ""),
                ("nosuch", "x"),
            ][..],
        ),
        pick(&OPERATORS[..9]),
        pick(&["158", "0x9e", "1.58e2", "abc", "true", "false", "0.5", "-1", "x"]),
    )
        .prop_map(|((function, field), op, value)| Meant::Asked(function, field, op, value));
    let term = prop_oneof![
        2 => pick(&CLASSES).prop_map(Meant::Class),
        1 => pick(&EXPRESSIONS).prop_map(Meant::ClassLike),
        5 => fact,
        1 => asked,
    ];
    term.prop_recursive(5, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4).prop_map(Meant::And),
            prop::collection::vec(inner.clone(), 2..4).prop_map(Meant::Or),
            inner.prop_map(|part| Meant::Not(Box::new(part))),
        ]
    })
}

/// The text, with parentheses around everything that has parts.
fn written(meant: &Meant) -> String {
    let joined = |parts: &[Meant], word: &str| {
        format!("({})", parts.iter().map(written).collect::<Vec<_>>().join(word))
    };
    match meant {
        Meant::And(parts) => joined(parts, " and "),
        Meant::Or(parts) => joined(parts, " or "),
        Meant::Not(part) => format!("!{}", written(part)),
        Meant::Class(name) => (*name).to_owned(),
        Meant::ClassLike(expression) => format!("/{expression}/"),
        Meant::Fact(name, op, value) => format!("{name} {op} '{value}'"),
        Meant::Asked(function, "", op, value) => format!("{function}('x'){op}'{value}'"),
        Meant::Asked(function, field, op, value) => format!("{function}('x').{field}{op}{value}"),
    }
}

/// Whether some data function in it is missing.
fn is_untold(meant: &Meant) -> bool {
    match meant {
        Meant::And(parts) | Meant::Or(parts) => parts.iter().any(is_untold),
        Meant::Not(part) => is_untold(part),
        Meant::Asked(function, ..) => outputs(function).is_none(),
        _ => false,
    }
}

fn decided(meant: &Meant, facts: &Value, classes: &[String]) -> bool {
    match meant {
        Meant::And(parts) => !parts.iter().any(|part| !decided(part, facts, classes)),
        Meant::Or(parts) => {
            parts.iter().map(|part| decided(part, facts, classes)).fold(false, |one, other| one | other)
        }
        Meant::Not(part) => !decided(part, facts, classes),
        Meant::Class(name) => classes.contains(&(*name).to_owned()),
        Meant::ClassLike(expression) => {
            let expression = regex::Regex::new(expression).unwrap();
            classes.iter().any(|class| expression.is_match(class))
        }
        Meant::Fact("identity", op, value) => {
            texts_of(&json!("n1")).iter().any(|have| text_holds(have, op, value))
        }
        Meant::Fact("os.family", op, value) => text_holds("RedHat", op, value),
        Meant::Fact(name, op, value) => {
            facts.get(*name).is_some_and(|fact| texts_of(fact).iter().any(|have| text_holds(have, op, value)))
        }
        Meant::Asked(function, field, op, value) => {
            let outputs = outputs(function).unwrap();
            let field = if field.is_empty() { "avg" } else { field };
            outputs.get(field).is_some_and(|output| output_holds(output, op, value))
        }
    }
}

/// Every text that a fact is compared by.
fn texts_of(fact: &Value) -> Vec<String> {
    match fact {
        Value::Null => vec![],
        Value::String(text) => vec![text.clone()],
        Value::Array(list) => list.iter().flat_map(texts_of).collect(),
        Value::Object(map) => map.keys().cloned().collect(),
        other => vec![other.to_string()],
    }
}

/// A decimal as sign, whole digits and fraction, each at a fixed width, so that texts of equal length compare.
fn decimal(text: &str) -> Option<(bool, String)> {
    let shape = regex::Regex::new(r"^(-?)(\d+)(?:\.(\d+))?$").unwrap();
    let parts = shape.captures(text)?;
    let digits = format!("{:0>40}{:0<40}", &parts[2], parts.get(3).map_or("", |fraction| fraction.as_str()));
    Some((&parts[1] == "-" && digits.contains(|digit| digit != '0'), digits))
}

fn ordered(have: &str, want: &str) -> Ordering {
    match (decimal(have), decimal(want)) {
        (Some((true, a)), Some((true, b))) => b.cmp(&a),
        (Some((one, a)), Some((other, b))) => other.cmp(&one).then(a.cmp(&b)),
        _ => have.cmp(want),
    }
}

fn is_so(op: &str, ordering: Ordering) -> bool {
    match op {
        "<" => ordering == Ordering::Less,
        ">" => ordering == Ordering::Greater,
        "<=" | "=<" => ordering != Ordering::Greater,
        ">=" | "=>" => ordering != Ordering::Less,
        other => panic!("{other} orders nothing"),
    }
}

fn text_holds(have: &str, op: &str, want: &str) -> bool {
    match op {
        "=" | "==" => have == want,
        "!=" => have != want,
        "=~" => regex::Regex::new(want).unwrap().is_match(have),
        op => is_so(op, ordered(have, want)),
    }
}

fn number(text: &str) -> Option<f64> {
    match text.strip_prefix("0x") {
        Some(hexadecimal) => i64::from_str_radix(hexadecimal, 16).ok().map(|number| number as f64),
        None => text.parse().ok(),
    }
}

fn output_holds(output: &Value, op: &str, want: &str) -> bool {
    let equality = |same: bool| match op {
        "=" | "==" => same,
        "!=" => !same,
        _ => false,
    };
    match output {
        Value::String(have) => equality(have == want),
        Value::Bool(have) if want == "true" || want == "false" => equality(have.to_string() == want),
        Value::Number(have) => match (have.as_f64(), number(want)) {
            (Some(have), Some(want)) if matches!(op, "=" | "==" | "!=") => equality(have == want),
            (Some(have), Some(want)) => is_so(op, have.partial_cmp(&want).unwrap()),
            _ => false,
        },
        _ => false,
    }
}

/// Terms of an explanation, with their truth.
fn terms(part: &Explanation) -> Vec<(String, Option<bool>)> {
    match &part.finding {
        Finding::All(parts) | Finding::Any(parts) => parts.iter().flat_map(terms).collect(),
        Finding::Not(inner) => terms(inner),
        Finding::Term { term, .. } => vec![(term.clone(), part.holds)],
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn the_evaluator_decides_as_a_plain_one(meant in meant()) {
        let (facts, classes) = node();
        let data = |function: &str, argument: Option<&str>| {
            assert_eq!(argument, Some("x"));
            outputs(function).and_then(|outputs| outputs.as_object().cloned())
        };
        let view = NodeView {
            identity: "n1",
            facts: facts.as_object().unwrap(),
            classes: &classes,
            agents: &[],
            collectives: &[],
            data: Some(&data),
        };
        let text = written(&meant);
        let query = Query::parse(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let expected = !is_untold(&meant) && decided(&meant, &facts, &classes);
        prop_assert_eq!(query.matches(&view), expected, "{}", text);

        let explained = query.explain(&view);
        prop_assert_eq!(explained.holds, (!is_untold(&meant)).then_some(expected), "{}", text);
        for (term, holds) in terms(&explained) {
            let alone = Query::parse(&term).unwrap();
            prop_assert_eq!(holds.unwrap_or(false), alone.matches(&view), "{} in {}", term, text);
        }
        let shown: Vec<String> = terms(&explained).into_iter().map(|(term, _)| term).collect();
        let asked: Vec<String> = query.terms().iter().map(ToString::to_string).collect();
        prop_assert_eq!(shown, asked);
    }

}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// What a value costs to explain does not follow its size.
    #[test]
    fn an_explanation_is_bounded(size in 0usize..1000, wide in any::<bool>()) {
        let fact = if wide { json!("é".repeat(size)) } else { json!(vec![json!({"a": [1, 2]}); size]) };
        let facts = Map::from_iter([("f".to_owned(), fact.clone())]);
        let view =
            NodeView { identity: "n", facts: &facts, classes: &[], agents: &[], collectives: &[], data: None };
        let Finding::Term { value: Some(shown), .. } = Query::parse("f = x").unwrap().explain(&view).finding else {
            panic!("the fact is there")
        };
        prop_assert!(shown.value.to_string().len() <= 1000);
        if shown.cut {
            prop_assert!(fact.to_string().starts_with(shown.value.as_str().unwrap()));
        } else {
            prop_assert_eq!(shown.value, fact);
        }
    }
}
