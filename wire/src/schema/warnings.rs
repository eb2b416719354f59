//! What loads and is hardly meant.

use std::fmt;

use serde_json::{Map, Number, Value};

use super::{
    ActionSchema, AgentSchema, Aggregate, AggregateFunction, InputSchema,
    format::{self, Argument},
    load::KNOWN_METADATA,
    validate::nearest,
};

/// Something in a schema that its author should look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaWarning {
    /// Path of the field, as in [`super::SchemaError`].
    pub field: String,
    /// One sentence that follows on the field.
    pub message: String,
}

impl fmt::Display for SchemaWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.message)
    }
}

const ACTION: [&str; 8] =
    ["action", "description", "display", "input", "output", "aggregate", "effect", "dry_run"];
const INPUT: [&str; 9] =
    ["prompt", "description", "type", "optional", "default", "validation", "maxlength", "list", "secret"];
const OUTPUT: [&str; 4] = ["description", "display_as", "type", "default"];

pub(super) fn of(agent: &AgentSchema) -> Vec<SchemaWarning> {
    let mut found = Warnings(Vec::new());
    // Metadata under other keys is kept and may be anything; what is one slip away from a known key is none of it.
    for key in agent.extra.keys() {
        if let Some(near) = nearest(key, KNOWN_METADATA.into_iter()) {
            found.add(format!("metadata.{key}"), format!("is not read; is `{near}` meant?"));
        }
    }
    let written = agent.source.get("actions").and_then(Value::as_array);
    for fields in written.into_iter().flatten().filter_map(Value::as_object) {
        let name = fields.get("action").and_then(Value::as_str).unwrap_or_default();
        let place = format!("actions.{name}");
        found.unknown_keys(&place, fields, &ACTION);
        for (key, known) in [("input", INPUT.as_slice()), ("output", &OUTPUT)] {
            let described = fields.get(key).and_then(Value::as_object);
            for (name, fields) in described.into_iter().flatten() {
                if let Some(fields) = fields.as_object() {
                    found.unknown_keys(&format!("{place}.{key}.{name}"), fields, known);
                }
            }
        }
        if let Some(action) = agent.action(name) {
            found.action(&place, action);
        }
    }
    found.0
}

struct Warnings(Vec<SchemaWarning>);

impl Warnings {
    fn add(&mut self, field: String, message: impl Into<String>) {
        self.0.push(SchemaWarning { field, message: message.into() });
    }

    fn unknown_keys(&mut self, place: &str, fields: &Map<String, Value>, known: &[&'static str]) {
        for key in fields.keys().filter(|key| !known.contains(&key.as_str())) {
            let message = match nearest(key, known.iter().copied()) {
                Some(near) => format!("is not read; is `{near}` meant?"),
                None => "is not read".to_owned(),
            };
            self.add(format!("{place}.{key}"), message);
        }
    }

    fn action(&mut self, place: &str, action: &ActionSchema) {
        for input in &action.inputs {
            self.default(&format!("{place}.input.{}.default", input.name), input);
        }
        for (index, aggregate) in action.aggregates.iter().enumerate() {
            if let Err(message) = tried(aggregate) {
                self.add(format!("{place}.aggregate[{index}]"), message);
            }
        }
    }

    fn default(&mut self, place: &str, input: &InputSchema) {
        let Some(default) = &input.default else { return };
        // An empty text, zero or `false` is what generators write where there is no default.
        let says_nothing = matches!(default, Value::Bool(false)) || *default == "" || *default == 0;
        if input.optional && !says_nothing {
            self.add(place.to_owned(), "never stands in: only a required input is filled in");
        } else if !input.optional
            && let Some(fault) = input.fault(default)
        {
            self.add(place.to_owned(), format!("is refused where it stands in: it {}", fault.message));
        }
    }
}

/// Whether the aggregate could be computed and shown over one value that fits it.
fn tried(aggregate: &Aggregate) -> Result<(), String> {
    let one = Number::from(1);
    let (text, number) = (Argument::Text("x"), Argument::Number(&one));
    let arguments = match &aggregate.function {
        AggregateFunction::Unknown(name) => {
            return Err(format!("`{name}` is none of summary, boolean_summary, sum, average, min, max"));
        }
        AggregateFunction::Summary | AggregateFunction::BooleanSummary => vec![text, number],
        _ => vec![number],
    };
    let format = aggregate.format.as_deref().unwrap_or_default();
    format::format(format, &arguments).map(drop)
}
