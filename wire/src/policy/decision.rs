//! What was decided, and why.

use std::{fmt, str::FromStr, sync::Arc};

use super::Finding;
use crate::query::DataCall;

/// Whether a call may go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It may.
    Allow,
    /// It is rejected.
    Deny,
}

impl Effect {
    /// The word used in files, settings and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
        }
    }
}

impl FromStr for Effect {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        match text {
            "allow" => Ok(Self::Allow),
            "deny" => Ok(Self::Deny),
            _ => Err("write `allow` or `deny`"),
        }
    }
}

/// The decision on a call. Its text names the line, for the audit: what the caller hears is neutral.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// What was decided.
    pub effect: Effect,
    /// By what.
    pub reason: Reason,
}

/// What decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// The first line that fits the call.
    Line {
        /// The file.
        file: Arc<str>,
        /// The line, counted from one.
        line: usize,
        /// The line as written.
        text: Arc<str>,
        /// The data function that could not be asked, where a line denies because of that.
        undecided: Option<DataCall>,
    },
    /// No line fits; the line `policy default` says so.
    Default {
        /// The file.
        file: Arc<str>,
        /// The line, counted from one.
        line: usize,
        /// The line as written.
        text: Arc<str>,
    },
    /// No line fits and none says `policy default`: denied.
    NoLine {
        /// The file.
        file: Arc<str>,
    },
    /// The file, or the groups that it names, has a fault: denied.
    Malformed {
        /// The first fault.
        fault: Finding,
    },
    /// No file speaks for the agent; the setting `policy.unconfigured` does.
    Unconfigured,
}

impl Reason {
    /// File and line that decided, where a line did.
    pub fn place(&self) -> Option<(&str, usize)> {
        match self {
            Self::Line { file, line, .. } | Self::Default { file, line, .. } => Some((file, *line)),
            Self::Malformed { fault } if fault.line > 0 => Some((&fault.file, fault.line)),
            _ => None,
        }
    }

    /// The line that decided, as written.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Line { text, .. } | Self::Default { text, .. } => Some(text),
            _ => None,
        }
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let done = match self.effect {
            Effect::Allow => "allowed",
            Effect::Deny => "denied",
        };
        match &self.reason {
            Reason::Line { file, line, undecided: None, .. } => write!(f, "{done} by line {line} of {file}"),
            Reason::Line { file, line, undecided: Some(call), .. } => {
                write!(f, "{done} by line {line} of {file}: the node cannot ask {call}")
            }
            Reason::Default { file, line, .. } => write!(f, "{done} by the default in line {line} of {file}"),
            Reason::NoLine { file } => {
                write!(f, "{done}: no line of {file} is about this call, and it has no `policy default`")
            }
            Reason::Malformed { fault } => write!(f, "{done}: {fault}"),
            Reason::Unconfigured => {
                write!(
                    f,
                    "{done}: no policy file speaks for the agent, and `policy.unconfigured` is {}",
                    self.effect.as_str()
                )
            }
        }
    }
}
