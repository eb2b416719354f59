//! Policy files, groups, and the calls that they decide on.

use orch_wire::caller::Caller;
use orch_wire::policy::{Effect, Finding, MAX_FINDINGS, Policies, Reason, Request, Settings};
use orch_wire::query::NodeView;
use serde_json::{Map, Value, json};

/// The bytes are the text of a policy file; after a zero byte comes that of the groups.
///
/// Every finding has its place in its text, a file at fault allows nothing, what decided is the line that it names, and
/// a line that denies everybody in front of all others lets nobody in.
pub fn policy(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (policy, groups) = text.split_once('\0').unwrap_or((text, ""));
    let mut policies = Policies::new(Settings { default_file: true, unconfigured: Effect::Allow });
    policies.add("service.policy", policy);
    policies.add("groups", groups);
    for finding in policies.faults().into_iter().chain(policies.warnings()) {
        assert_placed(finding, if &*finding.file == "groups" { groups } else { policy });
    }
    assert!(policies.faults().len() <= 2 * (MAX_FINDINGS + 1));
    for caller in ["cert=alice", "cert=alic", "uid=500"] {
        for action in ["restart", "status"] {
            ask(&policies, policy, caller, action);
        }
    }
    let closed = format!("deny\t*\t*\t*\t*\n{policy}");
    policies.add("service.policy", &closed);
    assert_eq!(decided(&policies, "cert=alice", "restart").0, Effect::Deny);
}

fn assert_placed(finding: &Finding, text: &str) {
    assert!(!finding.message.is_empty() && !finding.message.ends_with('.'), "{finding}");
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if let Some(at) = finding.line.checked_sub(1) {
        let length = text.split('\n').nth(at).map(|line| line.chars().count());
        let end = finding.column + finding.length;
        assert!(finding.column > 0 && length.is_some_and(|length| end <= length + 1), "{finding}");
    }
}

fn ask(policies: &Policies, text: &str, caller: &str, action: &str) {
    let (effect, reason) = decided(policies, caller, action);
    let at_fault = !policies.faults_for("service").is_empty();
    assert_eq!(matches!(reason, Reason::Malformed { .. }), at_fault);
    match reason {
        Reason::Line { line, text: named, .. } | Reason::Default { line, text: named, .. } => {
            let text = text.strip_prefix('\u{feff}').unwrap_or(text);
            let written = text.split('\n').nth(line - 1).map(str::trim_end);
            assert_eq!(written, Some(&*named));
            assert!(named.contains("allow") || effect == Effect::Deny, "{named}");
        }
        Reason::NoLine { .. } | Reason::Malformed { .. } => assert_eq!(effect, Effect::Deny),
        Reason::Unconfigured => panic!("the agent has a file"),
    }
}

fn decided(policies: &Policies, caller: &str, action: &str) -> (Effect, Reason) {
    let caller = match Caller::parse(caller) {
        Ok(caller) => caller,
        Err(error) => panic!("{error}"),
    };
    let facts = json!({"environment": "production", "cpus": 8, "os": {"family": "Debian"}});
    let none = Map::new();
    let words = ["apache".to_owned(), "role::web".to_owned()];
    let node = NodeView {
        identity: "web1",
        facts: facts.as_object().unwrap_or(&none),
        classes: &words,
        agents: &words,
        collectives: &words,
        data: Some(&data),
    };
    let request = Request { caller: &caller, agent: "service", action };
    let explained = policies.explain(&request, &node);
    assert_eq!(policies.decide(&request, &node), explained.decision);
    let matched = explained.steps.iter().filter(|step| step.mismatch.is_none()).count();
    assert_eq!(matched, usize::from(matches!(explained.decision.reason, Reason::Line { .. })));
    (explained.decision.effect, explained.decision.reason)
}

fn data(function: &str, _: Option<&str>) -> Option<Map<String, Value>> {
    (function == "f").then(|| Map::from_iter([("x".to_owned(), json!(1))]))
}
