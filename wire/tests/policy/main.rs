//! Policy files: what each column means, what is refused and how it is said, and properties over random files.

#![expect(clippy::unwrap_used, reason = "helpers of tests, which clippy only knows by their attribute")]

mod faults;
mod properties;
mod rules;

use orch_wire::{
    caller::Caller,
    policy::{Decision, Effect, Explanation, Policies, Request, Settings},
    query::NodeView,
};
use serde_json::{Map, Value, json};

/// A node's files, each with its name; columns may be written with `→` for a tab.
fn policies(files: &[(&str, &str)]) -> Policies {
    let mut policies = Policies::new(Settings::default());
    for (name, text) in files {
        policies.add(name, &text.replace('→', "\t"));
    }
    policies
}

/// The node of the cases, with one data function.
fn on_node<T>(ask: impl FnOnce(&NodeView<'_>) -> T) -> T {
    let facts = json!({"customer": "acme", "environment": "production", "cpus": 8, "desc": "a long value"});
    let strings = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
    let data = |function: &str, _: Option<&str>| -> Option<Map<String, Value>> {
        (function == "puppet").then(|| json!({"enabled": true}).as_object().unwrap().clone())
    };
    ask(&NodeView {
        identity: "web1",
        facts: facts.as_object().unwrap(),
        classes: &strings(&["acme::devserver", "apache"]),
        agents: &strings(&["svc"]),
        collectives: &strings(&["main"]),
        data: Some(&data),
    })
}

fn explained(policies: &Policies, caller: &str, agent: &str, action: &str) -> Explanation {
    let caller = Caller::parse(caller).unwrap();
    let request = Request { caller: &caller, agent, action };
    on_node(|node| policies.explain(&request, node))
}

fn decided(policies: &Policies, caller: &str, agent: &str, action: &str) -> Decision {
    let caller = Caller::parse(caller).unwrap();
    let request = Request { caller: &caller, agent, action };
    on_node(|node| policies.decide(&request, node))
}

/// Whether `cert=x` may call `svc.restart` under these lines, which must be in order.
fn allows(lines: &str) -> bool {
    let policies = policies(&[("svc.policy", lines)]);
    assert_eq!(policies.faults(), Vec::<&orch_wire::policy::Finding>::new(), "{lines}");
    decided(&policies, "cert=x", "svc", "restart").effect == Effect::Allow
}
