//! Puppet's report of a run: what it changed, or would, and what failed.

use serde_json::{Value, json};

use crate::agents::builtin::puppet::yaml;
use crate::agents::ending::Done;

/// A report.
#[derive(Debug)]
pub(super) struct Report(Value);

impl Report {
    pub(super) fn parse(text: &str) -> Done<Self> {
        yaml(text, "puppet's report").map(Self)
    }

    /// One entry for each property that was changed, or in a dry run would be.
    pub(super) fn changes(&self) -> Vec<Value> {
        let events =
            self.statuses().flat_map(|status| status.get("events").and_then(Value::as_array)).flatten();
        events
            .filter(|event| matches!(event.get("status").and_then(Value::as_str), Some("success" | "noop")))
            .map(|event| {
                let field = |name| event.get(name).cloned().unwrap_or_default();
                json!({
                    "property": field("property"),
                    "from": field("previous_value"),
                    "to": field("desired_value"),
                    "message": field("message"),
                })
            })
            .collect()
    }

    /// Why the run failed, where it did.
    pub(super) fn failure(&self) -> Option<String> {
        let is = |status: &Value, name| status.get(name).and_then(Value::as_bool).unwrap_or_default();
        let failed = self
            .statuses()
            .any(|status| is(status, "failed") || is(status, "failed_to_restart") || is(status, "skipped"));
        let whole = self.0.get("status").and_then(Value::as_str) == Some("failed");
        // A resource of a type that it does not have puppet leaves out, without a word.
        let none = self.statuses().next().is_none();
        let silent =
            || if none { "puppet has no such type here" } else { "puppet gave no reason" }.to_owned();
        (failed || whole || none).then(|| self.errors().unwrap_or_else(silent))
    }

    fn statuses(&self) -> impl Iterator<Item = &Value> {
        self.0.get("resource_statuses").and_then(Value::as_object).into_iter().flat_map(|map| map.values())
    }

    fn errors(&self) -> Option<String> {
        let logs = self.0.get("logs").and_then(Value::as_array)?;
        let is_error =
            |log: &&Value| matches!(log.get("level").and_then(Value::as_str), Some("err" | "alert" | "crit"));
        let messages: Vec<&str> =
            logs.iter().filter(is_error).filter_map(|log| log.get("message")?.as_str()).collect();
        (!messages.is_empty()).then(|| messages.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of puppet 7.23, shortened.
    fn report(level: &str, status: &str, failed: bool) -> String {
        format!(
            "--- !ruby/object:Puppet::Transaction::Report\nhost: vm\nconfiguration_version: 1\nreport_format: 12\n\
             status: unchanged\nnoop: true\nlogs:\n- level: {level}\n  message: current_value 'absent', should be 'present' (noop)\n\
             \x20 source: \"/User[orchtest]/ensure\"\n  tags:\n  - notice\n  file:\n  line:\n\
             resource_statuses:\n  User[orchtest]:\n    title: orchtest\n    file:\n    resource_type: User\n\
             \x20   provider_used: useradd\n    tags: []\n    failed: {failed}\n    changed: false\n    out_of_sync: true\n\
             \x20   skipped: false\n    events:\n    - audited: false\n      property: ensure\n      previous_value: absent\n\
             \x20     desired_value: present\n      historical_value:\n      message: current_value 'absent', should be 'present' (noop)\n\
             \x20     name: user_created\n      status: {status}\n      corrective_change: false\n"
        )
    }

    #[test]
    fn changes_are_read() {
        let read = Report::parse(&report("notice", "noop", false)).unwrap();
        assert_eq!(read.failure(), None);
        let change = read.changes().pop().unwrap();
        assert_eq!(
            (&change["property"], &change["from"], &change["to"]),
            (&json!("ensure"), &json!("absent"), &json!("present"))
        );
    }

    #[test]
    fn failures_are_read() {
        let read = Report::parse(&report("err", "failure", true)).unwrap();
        assert_eq!(read.failure().as_deref(), Some("current_value 'absent', should be 'present' (noop)"));
        assert!(read.changes().is_empty(), "what failed is no change");
        let none = "---\nstatus: failed\nlogs:\n- level: err\n  message: Could not find type 'nosuch'\nresource_statuses:\n";
        let read = Report::parse(none).unwrap();
        assert_eq!(read.failure().as_deref(), Some("Could not find type 'nosuch'"));
        let read = Report::parse("---\nstatus: unchanged\nlogs: []\nresource_statuses: {}\n").unwrap();
        assert_eq!(read.failure().as_deref(), Some("puppet has no such type here"));
    }
}
