//! Why a command ends early: a sentence, what can be done, and the exit code.

use std::error::Error;

use crate::client::{CallError, ConnectError};
use crate::config::{ConfigError, Origin, TrustError};
use crate::diagnostic::Diagnostic;
use crate::exit::Exit;
use crate::lab::LabError;
use crate::pki::{HostError, StoreError};
use crate::schemas::SchemasError;

/// The end of a command that did not do what it was asked for.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) exit: Exit,
    /// Empty where everything has been said already.
    pub(super) message: String,
    pub(super) help: Option<String>,
    /// Shown in the place of the message, where a text can be underlined.
    pub(super) diagnostic: Option<Box<Diagnostic>>,
}

impl Failure {
    pub(super) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), help: None, diagnostic: None }
    }

    pub(super) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    pub(super) fn of(exit: Exit, error: &dyn Error) -> Self {
        Self::new(exit, chain(error))
    }

    pub(super) fn shown_as(exit: Exit, diagnostic: Diagnostic) -> Self {
        Self { diagnostic: Some(Box::new(diagnostic)), ..Self::said(exit) }
    }

    /// Everything has been said; only the exit code is left.
    pub(super) fn said(exit: Exit) -> Self {
        Self::new(exit, "")
    }

    #[must_use]
    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    #[must_use]
    fn maybe_help(mut self, help: Option<&str>) -> Self {
        self.help = help.map(str::to_owned);
        self
    }
}

/// An error with its causes on one line; a cause that the line before repeats is left out.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let said = cause.to_string();
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        next = cause.source();
    }
    text
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        // A flag that the configuration cannot take is a wrong usage, whatever key it stands for.
        let exit = match &error {
            ConfigError::Invalid { origin: Origin::Flag(_), .. } => Exit::Usage,
            _ => Exit::Config,
        };
        Self::of(exit, &error).maybe_help(error.help())
    }
}

impl From<TrustError> for Failure {
    fn from(error: TrustError) -> Self {
        Self::of(Exit::Config, &error)
    }
}

impl From<ConnectError> for Failure {
    fn from(error: ConnectError) -> Self {
        Self::of(Exit::Unavailable, &error).help(error.help())
    }
}

impl From<LabError> for Failure {
    fn from(error: LabError) -> Self {
        let exit = match error {
            LabError::TooLarge { .. } | LabError::Empty | LabError::HostNeedsOne => Exit::Usage,
            // As with `orch pki`: a folder that cannot be written is no broker that cannot be reached.
            LabError::Store(error) => return error.into(),
            LabError::Files { .. } => Exit::Script,
            _ => Exit::Unavailable,
        };
        Self::of(exit, &error)
    }
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Disconnected(_) => Self::of(Exit::Unavailable, &error)
                .help("check that orch-broker runs and that the network between is up"),
            CallError::TooLarge(_) => Self::of(Exit::Usage, &error),
            CallError::Unresolved | CallError::Ended => Self::of(Exit::Internal, &error),
        }
    }
}

impl From<SchemasError> for Failure {
    fn from(error: SchemasError) -> Self {
        Self::of(Exit::Config, &error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::of(Exit::Script, &error).maybe_help(error.help())
    }
}

impl From<HostError> for Failure {
    fn from(error: HostError) -> Self {
        Self::of(Exit::Usage, &error)
    }
}
