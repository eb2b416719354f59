//! What a script says. Nothing is printed here: it goes to whoever runs the script.

use std::sync::Arc;

use rhai::Engine;
use serde_json::Value;

use super::context::{CallRecord, SharedRun};
use crate::client::{CallEvent, Discovery};
use crate::diagnostic::Diagnostic;
use crate::script::dry::Would;

/// Weight of a line that a script logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// For the author of the script.
    Debug,
    /// Worth knowing.
    Info,
    /// Worth a look.
    Warn,
    /// Something went wrong.
    Error,
}

impl LogLevel {
    pub(crate) const ALL: [Self; 4] = [Self::Debug, Self::Info, Self::Warn, Self::Error];

    /// The name of the level, which is that of its function in `log::`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

/// What happens in a script, in order. Texts are as scripts and nodes gave them: not yet fit for a terminal.
#[derive(Debug, Clone)]
pub enum Output {
    /// A line that the script prints.
    Print(String),
    /// A line for the log.
    Log {
        /// Its weight.
        level: LogLevel,
        /// The line.
        message: String,
    },
    /// A new part of the script begins.
    Section(String),
    /// A value that the script hands out.
    Emit {
        /// Its name.
        name: String,
        /// The value, secrets masked.
        value: Value,
    },
    /// A selection is being resolved.
    Resolving {
        /// The query, or words for it.
        what: String,
    },
    /// A selection was resolved.
    Resolved {
        /// The query, or words for it.
        what: String,
        /// What was found.
        found: Discovery,
    },
    /// Nodes are waited for, to come or to go.
    Waiting {
        /// In words.
        what: String,
    },
    /// They came, or the wait was over.
    Waited,
    /// A call begins.
    CallBegins {
        /// The agent.
        agent: String,
        /// The action.
        action: String,
        /// Whether the script asked for it not to be shown.
        quiet: bool,
    },
    /// Something happens in the call or while resolving; of quiet ones only notices come.
    Event(CallEvent),
    /// The call ended.
    CallEnded(CallRecord),
    /// A call or a search that had begun came to no end: the connection was lost.
    CallLost {
        /// Whether the script asked for it not to be shown.
        quiet: bool,
    },
    /// How far a roll-out is.
    Rollout {
        /// One line.
        message: String,
    },
    /// Of a dry run: something that was not done.
    Would(Would),
    /// What was deferred runs now.
    Deferred {
        /// How many closures.
        count: usize,
        /// Whether the script did not come to its end.
        interrupted: bool,
    },
    /// An error in something that was deferred, after another error.
    Trouble(Box<Diagnostic>),
}

/// Takes what a script says, on the script's thread and, for events of calls, on the session's: it must be quick.
pub type OutputSink = Arc<dyn Fn(Output) + Send + Sync>;

/// Where `print` and `debug` go is decided when a run begins: the engine's hooks know no run.
pub(crate) fn connect(engine: &mut Engine, run: &SharedRun) {
    let printed = run.output.clone();
    engine.on_print(move |text| printed(Output::Print(text.to_owned())));
    let logged = run.output.clone();
    engine
        .on_debug(move |text, _, _| logged(Output::Log { level: LogLevel::Debug, message: text.to_owned() }));
}
