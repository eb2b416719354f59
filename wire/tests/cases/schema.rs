//! Groups DV, TC and AG.

use orch_wire::schema::{AgentSchema, AggregateValue, Display, FaultKind, ValueType};
use serde_json::{Map, Value, json};

use super::{Case, agent::source, same};

fn load(source: Value) -> Result<AgentSchema, String> {
    AgentSchema::from_value(source).map_err(|errors| format!("{errors:?}"))
}

fn rejected(change: impl FnOnce(&mut Value)) -> bool {
    let mut changed = source();
    change(&mut changed);
    load(changed).is_err()
}

pub(crate) fn validation(case: &Case) -> Result<(), String> {
    let schema = load(source())?;
    let accepted = |rejected| if rejected { "rejected" } else { "accepted" };
    match case.input.as_str() {
        "DDL load: string input whose validation is an unknown name" => {
            let unknown = rejected(|all| all["actions"][0]["input"]["s"]["validation"] = json!("nosuch"));
            same(accepted(unknown), &case.expected)
        }
        text if text.starts_with("DDL load: metadata without any one of ") => {
            let mut keys = text.rsplit(" of ").next().unwrap().split(", ");
            let all =
                keys.all(|key| rejected(|all| drop(all["metadata"].as_object_mut().unwrap().remove(key))));
            same(accepted(all), &case.expected)
        }
        "DDL load: string input without a validation" => {
            let without = rejected(|all| {
                drop(all["actions"][0]["input"]["s"].as_object_mut().unwrap().remove("validation"))
            });
            same(accepted(without), &case.expected)
        }
        "DDL load: output without a description" => {
            let without = rejected(|all| {
                drop(all["actions"][0]["output"]["v"].as_object_mut().unwrap().remove("description"))
            });
            same(accepted(without), &case.expected)
        }
        "DDL load: extra metadata keys" => {
            let mut changed = source();
            changed["metadata"]["mood"] = json!("fine");
            let kept = load(changed)?.extra.get("mood") == Some(&json!("fine"));
            same(if kept { "accepted and kept" } else { "dropped" }, &case.expected)
        }
        "DDL: action without a display line" => {
            let failed = schema.actions["act"].display == Display::Failed;
            same(if failed { "display mode is failed" } else { "another" }, &case.expected)
        }
        text => {
            let (action, rest) = text.split_once(' ').unwrap();
            let mut stream = serde_json::Deserializer::from_str(rest).into_iter::<Map<String, Value>>();
            let arguments = stream.next().unwrap().unwrap();
            same(verdict(schema.action(action).unwrap().validate(&arguments)), &case.expected)
        }
    }
}

fn verdict(result: Result<(), Vec<orch_wire::schema::ArgumentFault>>) -> String {
    let Err(faults) = result else { return "valid".into() };
    let [fault] = faults.as_slice() else { return format!("{faults:?}") };
    let reason = match fault.kind {
        FaultKind::Missing => "missing argument",
        FaultKind::Unknown | FaultKind::Repeated => "unknown argument",
        FaultKind::Type if fault.message.contains("must be an integer") => "not a integer",
        FaultKind::Type => {
            let wanted = fault.message.split([' ', ',']).nth(3).unwrap();
            return format!("invalid: not a {wanted}");
        }
        FaultKind::NotInList => "not in list",
        FaultKind::TooLong => "too long",
        FaultKind::Unsafe => "unsafe character",
        FaultKind::Address if fault.message.contains("IPv4") => "not ipv4",
        FaultKind::Address => "not ipv6",
        FaultKind::Pattern => "pattern",
    };
    format!("invalid: {reason}")
}

/// `boolean "yes"`, `number "1"`.
pub(crate) fn conversion(case: &Case) -> Result<(), String> {
    let (kind, text) = case.input.split_once(' ').unwrap();
    let text: String = serde_json::from_str(text).unwrap();
    let input = match kind {
        "boolean" => "b",
        "number" => "n",
        "integer" => "i",
        "float" => "f",
        other => return Err(format!("unknown type {other}")),
    };
    let found = match load(source())?.actions["act"].coerce_text(input, &text) {
        Ok(value) if kind == "boolean" => value.to_string(),
        Ok(value) if ValueType::Integer.accepts(&value) => format!("integer {value}"),
        Ok(value) => format!("float {value}"),
        Err(_) => "error".into(),
    };
    same(found, &case.expected)
}

pub(crate) fn aggregation(case: &Case) -> Result<(), String> {
    let (function, options, values) = match case.input.as_str() {
        "summary of [foo,foo,bar] in one reply" => ("summary", json!({}), vec![json!(["foo", "foo", "bar"])]),
        "summary of nothing" => ("summary", json!({}), vec![]),
        "sum of 10, 20.5 with format Total: %d" => {
            ("sum", json!({"format": "Total: %d"}), vec![json!(10), json!(20.5)])
        }
        "sum of 1, \"a\"" => ("sum", json!({}), vec![json!(1), json!("a")]),
        "average of 1, 2 (integers)" => ("average", json!({}), vec![json!(1), json!(2)]),
        "boolean_summary(true=>enabled,false=>disabled) of true,true,false" => {
            let labels = json!({"true": "enabled", "false": "disabled"});
            ("boolean_summary", labels, vec![json!(true), json!(true), json!(false)])
        }
        other => return Err(format!("the test does not know {other}")),
    };
    let mut changed = source();
    changed["actions"][0]["aggregate"] = json!([{"function": function, "args": ["v", options]}]);
    let schema = load(changed)?;
    let Ok(result) = schema.actions["act"].aggregates[0].compute(&values) else {
        return same("summary dropped, reported as failed", &case.expected);
    };
    let found = match &result.value {
        AggregateValue::Counts(_) if function == "boolean_summary" => {
            let text = result.text.replace(" = ", "=").replace('\n', " ");
            format!("{text}, format %5s = %s")
        }
        AggregateValue::Counts(counts) => format!("{} text={:?}", json!(counts), result.text),
        AggregateValue::Number(number) => format!("{number} text={:?}", result.text),
        AggregateValue::Nothing => format!("nothing text={:?}", result.text),
    };
    same(found, &case.expected)
}
