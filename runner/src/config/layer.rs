//! One source of values, and where each value in it stands.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use toml::Spanned;

use super::environment::Environment;

/// The commented default configuration, which is also the reference.
pub const DEFAULT: &str = include_str!("default.toml");

/// Longest configuration file that is read.
const FILE_BYTES: u64 = 1024 * 1024;

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file cannot be read.
    #[error("cannot read {}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Not TOML, an unknown key, or a value that cannot be meant.
    #[error("{origin}: {message}")]
    Invalid {
        /// Where it stands.
        origin: Origin,
        /// What is wrong with it.
        message: String,
    },
    /// Nothing says who the operator is.
    #[error("no configuration names the operator's `{key}`{searched}")]
    Missing {
        /// The key that nothing sets.
        key: Key,
        /// Where a file was looked for, as the end of the sentence.
        searched: String,
    },
    /// The folder for sockets cannot be used.
    #[error("no folder for sockets")]
    Sockets(#[source] std::io::Error),
}

impl ConfigError {
    /// What the reader can do.
    pub fn help(&self) -> Option<&'static str> {
        match self {
            Self::Missing { .. } => Some(
                "name a file with `--config FILE`; `orch pki init` and `orch pki add-operator` make one, \
                 and `--lab 5` does without",
            ),
            // Only about keys: a file that a key names wants something else, which the message says.
            Self::Invalid { message, .. }
                if message.starts_with("unknown field") || message.starts_with("invalid type") =>
            {
                Some("`orch config show --default` prints every key with its default")
            }
            Self::Invalid { .. } | Self::Read { .. } | Self::Sockets(_) => None,
        }
    }
}

/// A key of the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the reference of the keys is default.toml")]
pub enum Key {
    Broker,
    ServerName,
    Ca,
    Cert,
    Key,
    Psk,
    Collective,
    Agents,
    Connect,
    Discovery,
    PermitRead,
    PermitEnv,
    PermitExec,
    Modules,
    Timeout,
    Deadline,
}

impl Key {
    /// Every key, in the order of the reference.
    pub const ALL: [Key; 16] = [
        Key::Broker,
        Key::ServerName,
        Key::Ca,
        Key::Cert,
        Key::Key,
        Key::Psk,
        Key::Collective,
        Key::Agents,
        Key::Connect,
        Key::Discovery,
        Key::PermitRead,
        Key::PermitEnv,
        Key::PermitExec,
        Key::Modules,
        Key::Timeout,
        Key::Deadline,
    ];

    /// Its name in a file.
    pub fn name(self) -> &'static str {
        match self {
            Key::Broker => "broker",
            Key::ServerName => "server_name",
            Key::Ca => "ca",
            Key::Cert => "cert",
            Key::Key => "key",
            Key::Psk => "psk",
            Key::Collective => "collective",
            Key::Agents => "agents",
            Key::Connect => "timeouts.connect",
            Key::Discovery => "timeouts.discovery",
            Key::PermitRead => "permissions.read",
            Key::PermitEnv => "permissions.env",
            Key::PermitExec => "permissions.exec",
            Key::Modules => "modules.paths",
            Key::Timeout => "defaults.timeout",
            Key::Deadline => "defaults.deadline",
        }
    }

    /// Its name in the environment. What a project asks for and what its scripts need stand in a file alone.
    pub fn variable(self) -> Option<&'static str> {
        Some(match self {
            Key::Broker => "ORCH_BROKER",
            Key::ServerName => "ORCH_SERVER_NAME",
            Key::Ca => "ORCH_CA",
            Key::Cert => "ORCH_CERT",
            Key::Key => "ORCH_KEY",
            Key::Psk => "ORCH_PSK",
            Key::Collective => "ORCH_COLLECTIVE",
            Key::Agents => "ORCH_AGENTS",
            Key::Connect => "ORCH_CONNECT_TIMEOUT",
            Key::Discovery => "ORCH_DISCOVERY_TIMEOUT",
            Key::PermitRead
            | Key::PermitEnv
            | Key::PermitExec
            | Key::Modules
            | Key::Timeout
            | Key::Deadline => return None,
        })
    }

    /// Whether it holds a list.
    fn is_list(self) -> bool {
        matches!(self, Key::Agents | Key::PermitRead | Key::PermitEnv | Key::PermitExec | Key::Modules)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Where a value stands; in the order in which later ones win.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// In the compiled-in default.
    Default,
    /// In the project's file.
    Project(Place),
    /// In the user's file.
    User(Place),
    /// In the file that was named.
    Named(Place),
    /// In this environment variable.
    Environment(&'static str),
    /// In this flag.
    Flag(&'static str),
}

/// A place in a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub(super) file: Arc<Path>,
    line: usize,
    column: usize,
}

impl Origin {
    /// The folder of the file that a project or a person has named.
    pub fn project(&self) -> Option<&Path> {
        match self {
            Origin::Project(place) | Origin::Named(place) => place.file.parent(),
            Origin::Default | Origin::User(_) | Origin::Environment(_) | Origin::Flag(_) => None,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::Project(place) | Origin::User(place) | Origin::Named(place) => {
                write!(f, "{}:{}:{}", place.file.display(), place.line, place.column)
            }
            Origin::Environment(name) => write!(f, "environment {name}"),
            Origin::Flag(name) => write!(f, "flag {name}"),
        }
    }
}

/// A value and where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub origin: Origin,
}

impl<T> Setting<T> {
    /// The error that blames this value.
    pub fn invalid(&self, message: impl Into<String>) -> ConfigError {
        ConfigError::Invalid { origin: self.origin.clone(), message: message.into() }
    }
}

/// A file's part in the order of layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileKind {
    Default,
    Project,
    User,
    Named,
}

/// The values that one source sets: each a list of texts, of which all keys but those of lists have exactly one.
#[derive(Debug, Default)]
pub(super) struct Layer(pub(super) BTreeMap<Key, Setting<Vec<String>>>);

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Raw {
    broker: Option<Spanned<String>>,
    server_name: Option<Spanned<String>>,
    ca: Option<Spanned<String>>,
    cert: Option<Spanned<String>>,
    key: Option<Spanned<String>>,
    psk: Option<Spanned<String>>,
    collective: Option<Spanned<String>>,
    agents: Option<Spanned<Vec<String>>>,
    timeouts: RawTimeouts,
    permissions: RawPermissions,
    modules: RawModules,
    defaults: RawDefaults,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawPermissions {
    read: Option<Spanned<Vec<String>>>,
    env: Option<Spanned<Vec<String>>>,
    exec: Option<Spanned<Vec<String>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawModules {
    paths: Option<Spanned<Vec<String>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawDefaults {
    timeout: Option<Spanned<String>>,
    deadline: Option<Spanned<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawTimeouts {
    connect: Option<Spanned<String>>,
    discovery: Option<Spanned<String>>,
}

impl Layer {
    pub(super) fn load(kind: FileKind, path: &Path) -> Result<Self, ConfigError> {
        let read = || {
            let length = std::fs::metadata(path)?.len();
            if length > FILE_BYTES {
                return Err(std::io::Error::other(format!("{length} bytes is no configuration file")));
            }
            std::fs::read_to_string(path)
        };
        let text = read().map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        Self::parse(kind, path, &text)
    }

    pub(super) fn parse(kind: FileKind, path: &Path, text: &str) -> Result<Self, ConfigError> {
        let file: Arc<Path> = path.into();
        let origin = |offset: usize| {
            let before = text.get(..offset).unwrap_or(text);
            let line_start = before.rfind('\n').map_or(0, |at| at.saturating_add(1));
            let place = Place {
                file: Arc::clone(&file),
                line: before.matches('\n').count().saturating_add(1),
                column: before.get(line_start..).unwrap_or_default().chars().count().saturating_add(1),
            };
            match kind {
                FileKind::Default => Origin::Default,
                FileKind::Project => Origin::Project(place),
                FileKind::User => Origin::User(place),
                FileKind::Named => Origin::Named(place),
            }
        };
        let raw: Raw = toml::from_str(text).map_err(|error| ConfigError::Invalid {
            origin: origin(error.span().map_or(0, |span| span.start)),
            message: error.message().to_owned(),
        })?;
        let mut values = BTreeMap::new();
        for (key, list) in [
            (Key::Agents, raw.agents),
            (Key::PermitRead, raw.permissions.read),
            (Key::PermitEnv, raw.permissions.env),
            (Key::PermitExec, raw.permissions.exec),
            (Key::Modules, raw.modules.paths),
        ] {
            let Some(list) = list else { continue };
            let origin = origin(list.span().start);
            if kind == FileKind::User && key.name().starts_with("permissions.") {
                let message = "permissions are those of a project: they stand in its orch.toml";
                return Err(ConfigError::Invalid { origin, message: message.to_owned() });
            }
            values.insert(key, Setting { value: list.into_inner(), origin });
        }
        for (key, text) in [
            (Key::Broker, raw.broker),
            (Key::ServerName, raw.server_name),
            (Key::Ca, raw.ca),
            (Key::Cert, raw.cert),
            (Key::Key, raw.key),
            (Key::Psk, raw.psk),
            (Key::Collective, raw.collective),
            (Key::Connect, raw.timeouts.connect),
            (Key::Discovery, raw.timeouts.discovery),
            (Key::Timeout, raw.defaults.timeout),
            (Key::Deadline, raw.defaults.deadline),
        ] {
            if let Some(text) = text {
                let origin = origin(text.span().start);
                values.insert(key, Setting { value: vec![text.into_inner()], origin });
            }
        }
        Ok(Self(values))
    }

    pub(super) fn of_environment(environment: &Environment) -> Self {
        let mut values = BTreeMap::new();
        for key in Key::ALL {
            let Some(variable) = key.variable() else { continue };
            if let Some(text) = environment.get(variable) {
                let value = if key.is_list() {
                    text.split(':').filter(|part| !part.is_empty()).map(str::to_owned).collect()
                } else {
                    vec![text.to_owned()]
                };
                values.insert(key, Setting { value, origin: Origin::Environment(variable) });
            }
        }
        Self(values)
    }
}
