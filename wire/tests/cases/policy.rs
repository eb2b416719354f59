//! Group AP.

use orch_wire::{
    caller::Caller,
    policy::{Effect, Policies, Request, Settings},
    query::NodeView,
};
use serde_json::json;

use super::{Case, same};

/// The files of a case, its settings and its caller, read from its sentence.
fn setting(sentence: &str) -> (Vec<(&'static str, String)>, Settings) {
    let mut settings = Settings { default_file: false, unconfigured: Effect::Deny };
    let mut files = Vec::new();
    for (words, lines) in [
        ("file with only `policy default deny`", "policy default deny"),
        ("only comments and blank lines", "# nothing\n\n  \n#allow\t*\t*\t*\t*\n"),
    ] {
        if sentence.contains(words) {
            files.push(("svc.policy", lines.to_owned()));
        }
    }
    if sentence.contains("allow_unconfigured=1") {
        settings.unconfigured = Effect::Allow;
    }
    if sentence.contains("enable_default=1") {
        settings.default_file = true;
    }
    if sentence.contains("default.policy says allow") {
        files.push(("default.policy", "policy default allow".into()));
    }
    // `default deny; LINE then LINE`: lines stand in backticks, tabs are written as arrows.
    if let Some(default) = sentence.strip_prefix("default ").and_then(|rest| rest.split(';').next()) {
        let lines = sentence.split('`').skip(1).step_by(2).map(|line| line.replace('→', "\t"));
        let lines: Vec<String> = std::iter::once(format!("policy default {default}")).chain(lines).collect();
        files.push(("svc.policy", lines.join("\n")));
    }
    (files, settings)
}

fn decided(files: &[(&str, String)], settings: Settings, caller: &str) -> Result<Effect, String> {
    let mut policies = Policies::new(settings);
    for (name, text) in files {
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
    if case.input == "groups file line with a name but no members" {
        let files = |group| {
            [
                ("groups", "empty\nfull cert=x\n".to_owned()),
                ("svc.policy", format!("policy default deny\nallow\t{group}\t*\t*\t*")),
            ]
        };
        let settings = Settings::default();
        let held = decided(&files("full"), settings, "cert=x")? == Effect::Allow
            && decided(&files("empty"), settings, "cert=x")? == Effect::Deny;
        return same(if held { "the group is ignored" } else { "it is not" }, &case.expected);
    }
    let (files, settings) = setting(&case.input);
    if files.is_empty() && !case.input.starts_with("no policy file") {
        return Err("the test does not know this case".into());
    }
    let caller = case.input.rsplit_once("caller ").map_or("cert=x", |(_, caller)| caller);
    same(decided(&files, settings, caller)?.as_str(), &case.expected)
}
