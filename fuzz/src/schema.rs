//! Schemas of agents, and the arguments that they are asked about.

use orch_wire::schema::{
    ActionSchema, AgentSchema, FaultKind, MAX_ACTIONS, MAX_FIELDS, MAX_SCHEMA, SchemaError,
};
use serde_json::{Map, Value};

/// The bytes are the text of a schema, as JSON and as TOML; after a zero byte come arguments as JSON.
///
/// What loads loads again to the same and is within the limits, faults name a field, and whatever the arguments are, a
/// verdict comes: what was found good holds, and no secret is shown.
pub fn schema(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (schema, arguments) = text.split_once('\0').unwrap_or((text, "{}"));
    let arguments = serde_json::from_str(arguments).unwrap_or_default();
    for loaded in [AgentSchema::from_json(schema), AgentSchema::from_toml(schema)] {
        match loaded {
            Ok(agent) => {
                assert!(schema.len() <= MAX_SCHEMA);
                look_at(&agent);
                agent.actions.values().for_each(|action| ask(action, &arguments));
            }
            Err(errors) => assert_named(&errors, schema),
        }
    }
}

fn assert_named(errors: &[SchemaError], text: &str) {
    assert!(!errors.is_empty());
    assert!(errors.iter().all(|error| !error.field.is_empty() && !error.message.is_empty()));
    for (line, column) in errors.iter().filter_map(|error| error.place) {
        let lines = text.split('\n').count();
        assert!((1..=lines + 1).contains(&line) && column > 0, "{line}:{column} of {lines} lines");
    }
}

fn look_at(agent: &AgentSchema) {
    assert!(!agent.timeout.is_zero());
    assert!(agent.actions.len() <= MAX_ACTIONS);
    for (name, action) in &agent.actions {
        assert_eq!(*name, action.name);
        assert!(action.inputs.len() <= MAX_FIELDS && action.outputs.len() <= MAX_FIELDS);
    }
    for warning in agent.warnings() {
        assert!(!warning.field.is_empty() && !warning.message.is_empty());
    }
    match serde_json::to_value(agent).map(AgentSchema::from_value) {
        Ok(Ok(again)) => assert_eq!(format!("{again:?}"), format!("{agent:?}")),
        other => panic!("what was loaded does not load again: {other:?}"),
    }
}

fn ask(action: &ActionSchema, arguments: &Map<String, Value>) {
    match action.validate(arguments) {
        Ok(()) => {
            for input in &action.inputs {
                match arguments.get(&input.name) {
                    Some(value) => assert!(input.kind.accepts(value) && input.fault(value).is_none()),
                    None => assert!(input.optional),
                }
            }
            let described = |name: &String| action.input(name).is_some();
            assert!(action.open_inputs || arguments.keys().all(described));
        }
        Err(faults) => assert!(!faults.is_empty() && faults.iter().all(|fault| !fault.message.is_empty())),
    }
    let filled = action.with_defaults(arguments.clone());
    assert_eq!(action.with_defaults(filled.clone()), filled, "defaults are filled in once");
    let masked = action.masked(arguments.clone());
    for input in action.inputs.iter().filter(|input| input.secret) {
        assert!(masked.get(&input.name).is_none_or(|shown| shown == "***"));
    }
    let texts = arguments.iter().filter_map(|(name, value)| Some((name.as_str(), value.as_str()?)));
    let texts: Vec<(&str, &str)> = texts.collect();
    let (converted, faults) = action.coerce_each(texts.iter().copied());
    assert_eq!(converted.len() + faults.len(), texts.len(), "each text is converted or refused");
    match action.coerce_texts(texts.iter().copied()) {
        Ok(all) => assert!(faults.is_empty() && all == converted),
        Err(refused) => assert_eq!(refused, faults),
    }
    let twice = action.coerce_each(texts.iter().chain(&texts).copied());
    assert!(twice.0 == converted && twice.1.len() == faults.len() * 2 + converted.len());
    for (name, value) in arguments {
        if let (Some(text), Some(input)) = (value.as_str(), action.input(name))
            && let Ok(coerced) = input.coerce_text(text)
        {
            let fault = input.fault(&coerced);
            assert!(fault.is_none_or(|fault| fault.kind != FaultKind::Type), "{text:?} became {coerced}");
        }
    }
    assert_eq!(action.output_defaults().len(), action.outputs.len());
    for aggregate in &action.aggregates {
        match aggregate.compute(arguments.values()) {
            Ok(result) => assert_eq!(result.output, aggregate.output),
            Err(error) => assert!(!error.message.is_empty()),
        }
    }
}
