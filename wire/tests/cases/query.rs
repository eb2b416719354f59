//! Groups FP, FC, CI, CF, CT and CP.

use orch_wire::query::{
    DataFunction, DataFunctions, Expr, FaultKind, NodeView, Query, Term, Test, filter::Filter,
};
use serde_json::{Map, Value, json};

use super::{Case, quoted, same};

fn strings(names: &[&str]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

fn one_fact(text: &str) -> Filter {
    Filter { facts: vec![text.into()], ..Filter::default() }
}

/// Operator and value of a comparison, as the cases write them.
fn parts(test: &Test) -> (&'static str, String) {
    match test {
        Test::Equals(text) => ("==", text.clone()),
        Test::Differs(text) => ("!=", text.clone()),
        Test::Orders(order, text) => (order.as_str(), text.clone()),
        Test::Matches(pattern) => ("=~", pattern.source().replace(r"\/", "/")),
        Test::Avoids(pattern) => ("!=", format!("/{}/", pattern.source())),
    }
}

pub(crate) fn fact_parsing(case: &Case) -> Result<(), String> {
    let Ok(query) = one_fact(&case.input).query() else { return same("parse error", &case.expected) };
    let query = query.unwrap();
    let Expr::Term(Term::Fact { name, test }) = query.expr() else { return Err(format!("found {query:?}")) };
    let (op, value) = parts(test);
    same(format!("[{name}] [{op}] [{value}]"), &case.expected)
}

/// `fact value "b" < "b"`, `array fact ["1"] >= "2"`, `map fact {foo:1,baz:2} == "1"`.
pub(crate) fn fact_comparison(case: &Case) -> Result<(), String> {
    let texts = quoted(&case.input);
    let (last, given) = texts.split_last().unwrap();
    let operator = case.input.split(' ').rev().nth(1).unwrap();
    let fact = match case.input.split(' ').next().unwrap() {
        "fact" => json!(given[0]),
        "array" => json!(given),
        _ => json!({"foo": 1, "baz": 2}),
    };
    let facts = Map::from_iter([("f".to_owned(), fact)]);
    let query = one_fact(&format!("f {operator} {last}")).query().unwrap().unwrap();
    let node =
        NodeView { identity: "n", facts: &facts, classes: &[], agents: &[], collectives: &[], data: None };
    same(query.matches(&node).to_string(), &case.expected)
}

pub(crate) fn flags(case: &Case) -> Result<(), String> {
    let combined = case.group == "CF";
    let mut filter = Filter::default();
    for flag in case.input.split(" -") {
        let (flag, value) = flag.trim_start_matches('-').split_once(' ').unwrap();
        let list = match flag {
            "F" => &mut filter.facts,
            "C" => &mut filter.classes,
            "A" => &mut filter.agents,
            "I" => &mut filter.identities,
            "W" => &mut filter.words,
            "S" => &mut filter.queries,
            other => return Err(format!("unknown flag {other}")),
        };
        list.push(value.trim_matches(['"', '\'']).to_owned());
    }
    let facts = if combined { json!({"country": "uk", "cpus": "8"}) } else { json!({}) };
    let classes = strings(if combined {
        &["apache", "role::web", "test_class_test", "mysql"]
    } else {
        &["apache", "role::web", "test_class_test"]
    });
    // Names are exact, so that `-I web1` in CF speaks of a node of that short name.
    let node = NodeView {
        identity: if combined { "web1" } else { "web1.example.com" },
        facts: facts.as_object().unwrap(),
        classes: &classes,
        agents: &strings(&["rpcutil", "package"]),
        collectives: &strings(&["main"]),
        data: None,
    };
    match filter.query() {
        Ok(query) => same(query.is_none_or(|query| query.matches(&node)).to_string(), &case.expected),
        Err(error) if case.expected.contains("error") => drop_error(error),
        Err(error) => Err(error.to_string()),
    }
}

fn drop_error(error: impl std::error::Error) -> Result<(), String> {
    if error.to_string().is_empty() { Err("an error without words".into()) } else { Ok(()) }
}

fn outputs(function: &str) -> Option<Map<String, Value>> {
    let outputs = match function {
        "fstat" => json!({"md5": "abc123", "size": 158, "present": 1, "mtime_age": 100}),
        "puppet" => json!({"enabled": true, "applying": false, "since_lastrun": 600, "status": "idling"}),
        "ldavg" => json!({"avg": 0.5, "name": null}),
        "num" => json!({"v": 10}),
        _ => return None,
    };
    outputs.as_object().cloned()
}

/// The functions that ship with orch, and the two that only these cases have.
fn functions() -> DataFunctions {
    let described = |name: &str, input: Value, output: Value| {
        json!({
            "metadata": {"name": name, "description": "d", "author": "x", "license": "MIT", "version": "1.0.0",
                         "url": "https://example.com", "timeout": 5},
            "data": {"input": input, "output": output},
        })
    };
    let output = |kind: &str| json!({"description": "d", "display_as": "D", "type": kind});
    let any = json!({"query": {"prompt": "p", "description": "d", "type": "string", "optional": false,
                               "validation": ".", "maxlength": 0}});
    let mut functions = DataFunctions::default();
    for text in
        [include_str!("../../../stdlib/data/file.json"), include_str!("../../../stdlib/data/puppet.json")]
    {
        functions.add(DataFunction::from_json(text).unwrap());
    }
    for document in [
        described("ldavg", json!({}), json!({"avg": output("float"), "name": output("string")})),
        described("num", any, json!({"v": output("integer")})),
    ] {
        functions.add(DataFunction::from_value(&document).unwrap());
    }
    functions
}

pub(crate) fn truth(case: &Case) -> Result<(), String> {
    let facts = json!({
        "country": "uk", "environment": "production", "customer": "acme", "cpus": "8", "mem": "7.5",
        "os": "RedHat", "path": "/usr/local", "desc": "a long value", "zone": "eu-1",
    });
    let data = |function: &str, _: Option<&str>| outputs(function);
    let node = NodeView {
        identity: "web1.example.com",
        facts: facts.as_object().unwrap(),
        classes: &strings(&["apache", "role::web", "mysql::server"]),
        agents: &[],
        collectives: &[],
        data: Some(&data),
    };
    let query = Query::parse(&case.input).map_err(|error| error.to_string())?;
    let refused = query.check(&functions()).iter().any(|fault| fault.kind == FaultKind::Refused);
    let found = query.matches(&node).to_string() + if refused { ", and refused by the client" } else { "" };
    same(found, &case.expected)
}

fn rendered(expr: &Expr) -> String {
    let joined = |parts: &[Expr], word: &str| parts.iter().map(rendered).collect::<Vec<_>>().join(word);
    match expr {
        Expr::All(parts) => joined(parts, " and "),
        Expr::Any(parts) => joined(parts, " or "),
        Expr::Not(inner) => format!("not {}", rendered(inner)),
        Expr::Term(Term::Class(name)) => format!("S({name})"),
        Expr::Term(Term::ClassMatches(pattern)) => format!("S(/{}/)", pattern.source()),
        Expr::Term(Term::Fact { name, test }) => {
            let (op, value) = match test {
                Test::Equals(text) => ("=", text.clone()),
                Test::Matches(pattern) => ("=", format!("/{}/", pattern.source())),
                other => parts(other),
            };
            format!("S({name}{op}{value})")
        }
        Expr::Term(Term::Data { call, field, test, .. }) => {
            let argument = call.argument.as_ref().map_or("-".into(), |argument| format!("{argument:?}"));
            let (op, value) = parts(test);
            format!("F({},{argument},{},{op},{value})", call.function, field.as_deref().unwrap_or("-"))
        }
    }
}

pub(crate) fn parsing(case: &Case) -> Result<(), String> {
    match Query::parse(&case.input) {
        Ok(query) => same(rendered(query.expr()), &case.expected),
        Err(error) if !case.expected.contains("error") => Err(error.to_string()),
        Err(error) if error.span.end <= case.input.len() => drop_error(error),
        Err(error) => Err(format!("the place {:?} lies outside of the text", error.span)),
    }
}
