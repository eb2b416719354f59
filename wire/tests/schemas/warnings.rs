//! What loads and is hardly meant, and the small rules that the cases do not reach.

use orch_wire::schema::{AgentSchema, Display, FaultKind};
use serde_json::json;

use super::{one_action, service};

#[test]
fn what_is_hardly_meant_is_told() {
    assert!(service().warnings().is_empty(), "{:?}", service().warnings());
    let mut source = service().source;
    source["metadata"]["open_input"] = json!(true);
    source["metadata"]["mood"] = json!("fine");
    source["actions"][0]["efect"] = json!("read");
    source["actions"][0]["input"]["service"]["default"] = json!("a b");
    source["actions"][0]["output"]["since"]["colour"] = json!("red");
    source["actions"][0]["aggregate"] = json!([
        {"function": "nagios_states", "args": ["status"]},
        {"function": "summary", "args": ["status", {"format": "%s: %d of %d"}]},
        {"function": "sum", "args": ["status"]},
    ]);
    source["actions"][1]["input"]["token"]["default"] = json!("t");
    source["actions"][1]["input"]["token"]["secert"] = json!(true);
    let schema = AgentSchema::from_value(source).unwrap();
    let told: Vec<String> = schema.warnings().iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "metadata.open_input: is not read; is `open_inputs` meant?",
            "actions.status.efect: is not read; is `effect` meant?",
            "actions.status.output.since.colour: is not read",
            "actions.status.input.service.default: is refused where it stands in: it must match `^[a-zA-Z0-9@._-]+$`",
            "actions.status.aggregate[0]: `nagios_states` is none of summary, boolean_summary, sum, average, min, max",
            "actions.status.aggregate[1]: the format asks for more values than there are",
            "actions.login.input.token.secert: is not read; is `secret` meant?",
            "actions.login.input.token.default: never stands in: only a required input is filled in",
        ]
    );
}

#[test]
fn an_argument_is_given_once() {
    let act = &service().actions["status"];
    let faults = act.coerce_texts([("service", "a"), ("service", "b")]).unwrap_err();
    assert_eq!((faults.len(), faults[0].kind), (1, FaultKind::Repeated));
    assert_eq!(faults[0].to_string(), "`service` is given twice; which value is meant?");
}

#[test]
fn each_display_shows_what_it_says() {
    let shown = |display: Display| (display.shows(true), display.shows(false));
    assert_eq!(shown(Display::Ok), (true, false));
    assert_eq!(shown(Display::Failed), (false, true));
    assert_eq!((shown(Display::Flatten), shown(Display::Always)), ((true, true), (true, true)));
}

#[test]
fn an_aggregate_that_cannot_be_computed_spoils_no_other() {
    let output = json!({"v": {"description": "d", "display_as": "V"}});
    let list = json!([
        {"function": "sum", "args": ["v"]},
        {"function": "average", "args": ["v"]},
        {"function": "boolean_summary", "args": ["v"]},
        {"function": "summary", "args": ["v"]},
    ]);
    let schema = one_action(false, json!({}), output, list);
    let computed = |values: serde_json::Value| -> Vec<String> {
        let values = values.as_array().unwrap().clone();
        let all = schema.actions["act"].aggregates.iter();
        all.map(|one| one.compute(&values).map_or_else(|error| error.to_string(), |result| result.text))
            .collect()
    };
    assert_eq!(
        computed(json!([1, "a"])),
        [
            "sum of `v` could not be computed: an answer is no number",
            "average of `v` could not be computed: an answer is no number",
            "boolean_summary of `v` could not be computed: an answer is no boolean",
            "1 = 1\na = 1",
        ]
    );
    let huge = computed(json!([f64::MAX, f64::MAX]));
    assert!(huge[0].ends_with("the sum is too large"), "{huge:?}");
    assert!(huge[1].ends_with("the sum behind the average is too large"), "{huge:?}");
    // The order of the fields of an object tells no objects apart.
    let objects =
        serde_json::from_str(r#"[{"a": 1, "b": [{"c": 2, "d": 3}]}, {"b": [{"d": 3, "c": 2}], "a": 1}]"#)
            .unwrap();
    assert_eq!(computed(objects)[3], r#"{"a":1,"b":[{"c":2,"d":3}]} = 2"#);
}

#[test]
fn a_provider_is_a_name() {
    let provider = |value| {
        let mut source = service().source;
        source["metadata"]["provider"] = value;
        AgentSchema::from_value(source).map(|schema| schema.provider).map_err(|errors| errors[0].to_string())
    };
    assert!(provider(json!("ruby")).is_ok());
    assert_eq!(provider(json!(5)), Err("metadata.provider: must be a string: builtin or external".into()));
}
