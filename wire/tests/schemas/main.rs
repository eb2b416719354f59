//! Schemas: what loads, what is refused and how it is said, beyond the cases of `tests/cases`.

#![expect(clippy::unwrap_used, reason = "helpers of tests, which clippy only knows by their attribute")]

mod properties;
mod published;
mod rules;
mod warnings;

use orch_wire::schema::AgentSchema;
use serde_json::{Map, Value, json};

/// A service agent in TOML, with the two additions to the DDL.
const SERVICE: &str = r#"
[metadata]
name = "service"
description = "Manages system services"
author = "orch"
license = "MIT"
version = "1.2.0"
url = "https://example.com"
timeout = 60.5
provider = "builtin"

[[actions]]
action = "status"
description = "Tells whether a service runs"
display = "always"
effect = "read"
[actions.input.service]
prompt = "Service"
description = "Name of the service"
type = "string"
optional = false
validation = '^[a-zA-Z0-9@._-]+$'
maxlength = 90
[actions.output.status]
description = "running, stopped or unknown"
display_as = "Status"
type = "string"
default = "unknown"
[actions.output.since]
description = "When it started"
display_as = "Since"
[[actions.aggregate]]
function = "summary"
args = ["status"]

[[actions]]
action = "login"
description = "Takes a secret"
dry_run = true
[actions.input.token]
prompt = "Token"
description = "A secret"
type = "string"
optional = true
validation = "."
maxlength = 0
secret = true
"#;

fn service() -> AgentSchema {
    AgentSchema::from_toml(SERVICE).unwrap()
}

fn arguments(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

/// An agent with the one action `act`.
fn one_action(open: bool, input: Value, output: Value, aggregate: Value) -> AgentSchema {
    AgentSchema::from_value(json!({
        "metadata": {"name": "a", "description": "d", "author": "x", "license": "MIT", "version": "1.0.0",
                     "url": "https://example.com", "timeout": 10, "open_inputs": open},
        "actions": [
            {"action": "act", "description": "d", "input": input, "output": output, "aggregate": aggregate},
        ],
    }))
    .unwrap_or_else(|errors| panic!("{errors:?}"))
}
