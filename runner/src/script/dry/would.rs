//! What a dry run did not do.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use orch_wire::ids::NodeName;
use orch_wire::schema::ActionSchema;
use rhai::{Dynamic, NativeCallContext};
use serde::Serialize;
use serde_json::{Map, Value};

use super::decisions::Decisions;
use super::unknown::{Unknown, shown};
use crate::script::run::{Output, OutputSink, Run};
use crate::script::types::{Outcome, Secrets, to_json};

/// Something that a dry run only lists.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Would {
    /// A call that was not made.
    Call {
        /// The agent.
        agent: String,
        /// Its action.
        action: String,
        /// The nodes; none where nobody knows which.
        nodes: Option<Vec<NodeName>>,
        /// The arguments, secrets masked, and `unknown` where nobody knows them.
        args: Map<String, Value>,
        /// Where in the script.
        place: String,
    },
    /// Something on this machine that was not done, or a condition that did not hold and was not waited for.
    Do {
        /// In words, such as `write report.txt`.
        does: String,
        /// Where in the script.
        place: String,
    },
}

/// Where in a script: its file, line and column.
pub(crate) struct Place(pub(crate) String);

impl Place {
    pub(crate) fn of(context: &NativeCallContext<'_>, run: &Run) -> Self {
        let position = context.call_position();
        let file = context.call_source().filter(|source| !source.is_empty()).unwrap_or(&run.name);
        match (position.line(), position.position()) {
            (Some(line), Some(column)) => Self(format!("{file}:{line}:{column}")),
            _ => Self(file.to_owned()),
        }
    }
}

/// What a dry run has listed so far.
#[derive(Debug, Default)]
pub(crate) struct DryRun {
    listed: Arc<Mutex<Vec<Would>>>,
    decisions: Decisions,
}

impl DryRun {
    pub(crate) fn new(decisions: Decisions) -> Self {
        Self { listed: Arc::default(), decisions }
    }

    /// The same dry run in another script.
    pub(crate) fn inside(&self, decisions: Decisions) -> Self {
        Self { listed: Arc::clone(&self.listed), decisions }
    }

    /// A value that nobody knows, about to be read under a name; where a `switch` looks at that the run ends.
    pub(crate) fn read(&self, name: &str, unknown: Unknown) -> Outcome<Unknown> {
        if self.decisions.on(name) { Err(unknown.stop()) } else { Ok(unknown) }
    }

    fn list(&self) -> MutexGuard<'_, Vec<Would>> {
        self.listed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lists something, and tells of it.
    pub(crate) fn note(&self, run: &Run, would: Would) {
        run.say(Output::Would(would.clone()));
        self.list().push(would);
    }

    /// Lists something on this machine.
    pub(crate) fn does(&self, run: &Run, does: String, place: Place) {
        self.note(run, Would::Do { does: shown(&does), place: place.0 });
    }

    /// Lists a call; gives the value of what it would have given.
    pub(crate) fn call(
        &self,
        run: &Run,
        (agent, action): (&str, &str),
        nodes: Option<Vec<NodeName>>,
        args: Map<String, Value>,
        place: Place,
    ) -> Outcome<Unknown> {
        let unknown = Unknown::of(&format!("{agent}.{action}"), &place.0);
        let (agent, action) = (agent.to_owned(), action.to_owned());
        self.note(run, Would::Call { agent, action, nodes, args, place: place.0 });
        self.made(unknown)
    }

    /// A value that nobody knows.
    pub(crate) fn made(&self, unknown: Unknown) -> Outcome<Unknown> {
        if self.decisions.on_others() { Err(unknown.stop()) } else { Ok(unknown) }
    }

    /// All that was listed.
    pub(crate) fn all(&self) -> Vec<Would> {
        self.list().clone()
    }
}

/// Arguments as they are listed.
pub(crate) fn masked(action: &ActionSchema, args: &rhai::Map) -> Map<String, Value> {
    let word = |value: &Dynamic| to_json(value, Secrets::Mask).unwrap_or_default();
    let args = args.iter().map(|(name, value)| (name.to_string(), plain_value(word(value)))).collect();
    action.masked(args)
}

/// A text, or the texts in a value, as they are shown.
fn plain_value(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(shown(&text)),
        Value::Array(list) => list.into_iter().map(plain_value).collect(),
        Value::Object(map) => map.into_iter().map(|(name, value)| (name, plain_value(value))).collect(),
        other => other,
    }
}

/// Takes the marks of unknown values from whatever leaves the run.
pub(crate) fn plain(output: OutputSink) -> OutputSink {
    Arc::new(move |said| {
        output(match said {
            Output::Print(text) => Output::Print(shown(&text)),
            Output::Log { level, message } => Output::Log { level, message: shown(&message) },
            Output::Section(title) => Output::Section(shown(&title)),
            Output::Emit { name, value } => Output::Emit { name, value: plain_value(value) },
            Output::Rollout { message } => Output::Rollout { message: shown(&message) },
            other => other,
        });
    })
}

/// Values that were handed out, as they are shown.
pub(crate) fn plain_values(values: &mut Map<String, Value>) {
    for value in values.values_mut() {
        *value = plain_value(std::mem::take(value));
    }
}
