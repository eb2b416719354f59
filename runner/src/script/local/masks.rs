//! The texts of secrets, taken out of everything that leaves a run.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, RwLock};

use orch_wire::outcome::NodeResult;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::client::{CallEvent, CallReport};
use crate::diagnostic::Diagnostic;
use crate::script::dry::Would;
use crate::script::run::{CallRecord, Output, OutputSink};

/// Shortest text that is masked: a shorter one is part of too many others.
const SHORTEST: usize = 6;
/// What stands in the place of a secret.
const MASK: &str = "***";

/// What a run must not show.
#[derive(Clone, Default)]
pub(crate) struct Masks(Arc<Inner>);

#[derive(Default)]
struct Inner {
    /// The longest first: one may be part of another.
    texts: RwLock<Vec<Zeroizing<String>>>,
    /// Whether there are any: most runs have none, and pay for no lock.
    any: AtomicBool,
}

impl Masks {
    /// Remembers the text of a secret, and as it stands inside of JSON.
    pub(crate) fn add(&self, secret: &str) {
        let escaped = Zeroizing::new(Value::from(secret).to_string());
        let inside = escaped.get(1..escaped.len().saturating_sub(1)).unwrap_or_default();
        for text in [secret, inside] {
            if text.trim().len() < SHORTEST {
                continue;
            }
            let mut texts = self.0.texts.write().unwrap_or_else(std::sync::PoisonError::into_inner);
            let at = texts.partition_point(|other| other.len() > text.len());
            if !texts.iter().any(|other| other.as_str() == text) {
                texts.insert(at, Zeroizing::new(text.to_owned()));
                self.0.any.store(true, Ordering::Release);
            }
        }
    }

    /// Remembers a text that holds a secret, unless what is known already hides it.
    pub(crate) fn add_composed(&self, text: &str) {
        if !self.hides(text) {
            self.add(text);
        }
    }

    fn hides(&self, text: &str) -> bool {
        self.0.any.load(Ordering::Acquire) && {
            let texts = self.0.texts.read().unwrap_or_else(std::sync::PoisonError::into_inner);
            texts.iter().any(|secret| text.contains(secret.as_str()))
        }
    }

    /// Takes secrets out of a text.
    pub(crate) fn text(&self, text: &mut String) {
        if !self.hides(text) {
            return;
        }
        let texts = self.0.texts.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        for secret in texts.iter() {
            if text.contains(secret.as_str()) {
                *text = text.replace(secret.as_str(), MASK);
            }
        }
    }

    fn value(&self, value: &mut Value) {
        match value {
            Value::String(text) => self.text(text),
            Value::Array(list) => list.iter_mut().for_each(|item| self.value(item)),
            Value::Object(map) => self.map(map),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// Takes secrets out of values and their names.
    pub(crate) fn map(&self, map: &mut Map<String, Value>) {
        if map.keys().any(|name| self.hides(name)) {
            *map = std::mem::take(map)
                .into_iter()
                .map(|(mut name, value)| {
                    self.text(&mut name);
                    (name, value)
                })
                .collect();
        }
        map.values_mut().for_each(|value| self.value(value));
    }

    /// Takes secrets out of what is reported of an error.
    pub(crate) fn diagnostic(&self, diagnostic: &mut Diagnostic) {
        let Diagnostic { message, label, labels, notes, help, causes, .. } = diagnostic;
        let labels = labels.iter_mut().map(|label| &mut label.text);
        [message, label]
            .into_iter()
            .chain(labels)
            .chain(notes)
            .chain(help)
            .chain(causes)
            .for_each(|text| self.text(text));
    }

    /// Takes secrets out of what is known of a call.
    pub(crate) fn record(&self, record: &mut CallRecord) {
        if !self.0.any.load(Ordering::Acquire) {
            return;
        }
        self.map(&mut record.args);
        let mut report: CallReport = (*record.report).clone();
        report.results.iter_mut().for_each(|result| self.result(result));
        if report != *record.report {
            record.report = report.into();
        }
    }

    fn result(&self, result: &mut NodeResult) {
        self.text(&mut result.message);
        self.map(&mut result.data);
    }

    /// A sink before another one: nothing that passes shows a secret.
    pub(crate) fn before(&self, sink: OutputSink) -> OutputSink {
        let masks = self.clone();
        Arc::new(move |mut output| {
            if masks.0.any.load(Ordering::Acquire) {
                masks.output(&mut output);
            }
            sink(output);
        })
    }

    /// Takes secrets out of what a dry run lists.
    pub(crate) fn would(&self, would: &mut Would) {
        match would {
            Would::Call { args, .. } => self.map(args),
            Would::Do { does, .. } => self.text(does),
        }
    }

    fn output(&self, output: &mut Output) {
        match output {
            Output::Print(text) | Output::Section(text) => self.text(text),
            Output::Log { message, .. } | Output::Rollout { message } => self.text(message),
            Output::Emit { name, value } => {
                self.text(name);
                self.value(value);
            }
            Output::Waiting { what } | Output::Resolving { what } | Output::Resolved { what, .. } => {
                self.text(what)
            }
            Output::Event(CallEvent::Output { text, .. } | CallEvent::Notice(text)) => self.text(text),
            Output::Trouble(diagnostic) => self.diagnostic(diagnostic),
            Output::CallEnded(record) => self.record(record),
            Output::Would(would) => self.would(would),
            Output::CallBegins { .. }
            | Output::CallLost { .. }
            | Output::Waited
            | Output::Event(_)
            | Output::Deferred { .. } => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_longest_secret_goes_first_and_short_ones_stay() {
        let masks = Masks::default();
        masks.add("pass");
        let mut text = "pass".to_owned();
        masks.text(&mut text);
        assert_eq!(text, "pass");
        for secret in ["hunter", "hunter2 and more", "a\"quoted\"b"] {
            masks.add(secret);
        }
        let mut value = json!({"hunter": ["x hunter2 and more y hunter", {"a": "a\\\"quoted\\\"b"}], "n": 5});
        masks.value(&mut value);
        assert_eq!(value, json!({"***": ["x *** y ***", {"a": "***"}], "n": 5}));
    }

    #[test]
    fn what_holds_a_secret_needs_no_mask_of_its_own() {
        let masks = Masks::default();
        masks.add("hunter2");
        masks.add_composed("Bearer hunter2");
        let mut text = "Bearer hunter2".to_owned();
        masks.text(&mut text);
        assert_eq!(text, "Bearer ***");
        masks.add_composed("abc and def");
        let mut text = "abc and def".to_owned();
        masks.text(&mut text);
        assert_eq!(text, "***");
    }
}
