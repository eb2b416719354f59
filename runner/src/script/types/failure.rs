//! Errors that orch's own functions raise: what a script sees in `catch`, and what is reported when it does not.

use std::fmt;

use rhai::{Dynamic, EvalAltResult, Position};

use super::results::Results;
use crate::diagnostic::Code;

/// What a native function of the language returns.
pub(crate) type Outcome<T> = Result<T, Box<EvalAltResult>>;

/// Sort of an error, as `e.kind` gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// More nodes than tolerated did not end `ok`.
    Call,
    /// A roll-out stopped before all nodes were reached.
    Rollout,
    /// The script called `fail`.
    Fail,
    /// `expect` found something else.
    Expect,
    /// A condition did not hold in time.
    Wait,
    /// A query does not parse.
    Query,
    /// No schema describes the agent or action.
    Agent,
    /// Arguments of a call are not what the schema asks for.
    Arguments,
    /// A function was given what it cannot work with.
    Usage,
    /// A parameter is missing or does not have its type.
    Parameter,
    /// A `param(…)` declares none.
    Declaration,
    /// An error of the engine: a division by zero, a property that is not there.
    Runtime,
    /// The broker is lost, or the session has ended.
    Connection,
    /// Something on the operator's machine that was not allowed.
    Permission,
    /// A file cannot be read or written.
    File,
    /// What a file holds is malformed.
    Data,
    /// A program on the operator's machine did not do what it should.
    Exec,
    /// The source of a secret gives none.
    Secret,
    /// Nobody answered a question.
    Answer,
    /// Another script cannot be run.
    Script,
}

impl Kind {
    /// The word that scripts compare with.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Kind::Call => "call",
            Kind::Rollout => "rollout",
            Kind::Fail => "fail",
            Kind::Expect => "expect",
            Kind::Wait => "wait",
            Kind::Query => "query",
            Kind::Agent => "agent",
            Kind::Arguments => "arguments",
            Kind::Usage => "usage",
            Kind::Parameter => "parameter",
            Kind::Declaration => "declaration",
            Kind::Runtime => "runtime",
            Kind::Connection => "connection",
            Kind::Permission => "permission",
            Kind::File => "file",
            Kind::Data => "data",
            Kind::Exec => "exec",
            Kind::Secret => "secret",
            Kind::Answer => "answer",
            Kind::Script => "script",
        }
    }

    /// The code of the diagnostic, when nobody caught it.
    pub(crate) const fn code(self) -> Code {
        match self {
            Kind::Call => Code::Call,
            Kind::Rollout => Code::Rollout,
            Kind::Fail => Code::Fail,
            Kind::Expect => Code::Expectation,
            Kind::Wait => Code::Waited,
            Kind::Query => Code::Query,
            Kind::Agent => Code::UnknownAgent,
            Kind::Arguments => Code::Arguments,
            Kind::Usage => Code::Usage,
            Kind::Parameter => Code::Parameter,
            Kind::Declaration => Code::Declaration,
            Kind::Runtime => Code::Runtime,
            Kind::Connection => Code::Connection,
            Kind::Permission => Code::Permission,
            Kind::File => Code::File,
            Kind::Data => Code::DataFile,
            Kind::Exec => Code::Exec,
            Kind::Secret => Code::Secret,
            Kind::Answer => Code::Answer,
            Kind::Script => Code::Script,
        }
    }
}

/// An error as a value of scripts.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    pub(crate) kind: Kind,
    pub(crate) message: String,
    pub(crate) notes: Vec<String>,
    pub(crate) help: Vec<String>,
    pub(crate) causes: Vec<String>,
    /// Of a call: what it came to.
    pub(crate) results: Option<Results>,
    /// Of a call: its number in the run, by which the run knows whether the error was caught.
    pub(crate) call: Option<usize>,
}

impl Failure {
    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            notes: Vec::new(),
            help: Vec::new(),
            causes: Vec::new(),
            results: None,
            call: None,
        }
    }

    pub(crate) fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help.push(help.into());
        self
    }

    pub(crate) fn cause(mut self, cause: impl Into<String>) -> Self {
        self.causes.push(cause.into());
        self
    }

    /// The failure behind an error of the engine, however deep in calls of functions.
    pub(crate) fn within(error: &EvalAltResult) -> Option<Failure> {
        match error.unwrap_inner() {
            EvalAltResult::ErrorRuntime(value, _) => {
                value.read_lock::<Failure>().map(|failure| failure.clone())
            }
            _ => None,
        }
    }
}

impl From<Failure> for Box<EvalAltResult> {
    /// The engine adds the position of the call.
    fn from(failure: Failure) -> Self {
        EvalAltResult::ErrorRuntime(Dynamic::from(failure), Position::NONE).into()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// The end of a script that was cancelled: no `catch` can hold it.
pub(crate) fn interrupted() -> Box<EvalAltResult> {
    EvalAltResult::ErrorTerminated(Dynamic::UNIT, Position::NONE).into()
}

/// `call(…)` of the wrong sort of value.
pub(crate) fn usage(message: impl Into<String>) -> Box<EvalAltResult> {
    Failure::new(Kind::Usage, message).into()
}
