//! Group AP.

use orch_wire::{
    caller::Caller,
    policy::{Effect, Policies, Request, Settings},
    query::NodeView,
};
use serde_json::json;

use super::{
    Case, same,
    setting::{Setting, caller, setting},
};

fn decided(setting: &Setting, caller: &str) -> Result<Effect, String> {
    let unconfigured = if setting.allow_unconfigured { Effect::Allow } else { Effect::Deny };
    let mut policies = Policies::new(Settings { default_file: setting.default_file, unconfigured });
    for (name, text) in &setting.files {
        policies.add(name, text);
    }
    if !policies.faults().is_empty() {
        return Err(format!("{:?}", policies.faults()));
    }
    let facts = json!({"customer": "acme", "environment": "production", "cpus": 8});
    let node = NodeView {
        identity: "web1",
        facts: facts.as_object().unwrap(),
        classes: &["acme::devserver".to_owned(), "apache".to_owned()],
        agents: &["svc".to_owned()],
        collectives: &["main".to_owned()],
        data: None,
    };
    let caller = Caller::parse(caller).unwrap();
    Ok(policies.decide(&Request { caller: &caller, agent: "svc", action: "restart" }, &node).effect)
}

pub(crate) fn decisions(case: &Case) -> Result<(), String> {
    let setting = setting(&case.input);
    if setting.files.is_empty() && !case.input.starts_with("no policy file") {
        return Err("the test does not know this case".into());
    }
    let found = decided(&setting, caller(&case.input))?;
    if case.expected == "the group is ignored" {
        let other = decided(&setting, "cert=y")?;
        return if (found, other) == (Effect::Deny, Effect::Allow) {
            Ok(())
        } else {
            Err("it is not".into())
        };
    }
    same(found.as_str(), &case.expected)
}
