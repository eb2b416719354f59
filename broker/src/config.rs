//! `broker.toml`: the compiled-in default, the file over it, and where each value came from.
//!
//! Nothing here reads the environment; only the file that was named.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use toml::Spanned;

use crate::identity::{Collectives, Roles};

/// The commented default configuration, which is also the reference.
pub const DEFAULT: &str = include_str!("default.toml");

/// Longest configuration file that is read.
const FILE_BYTES: u64 = 4 * 1024 * 1024;

/// Why a configuration cannot be used. Prints as `FILE:LINE:COLUMN: what`, so that editors can jump there.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Not TOML, an unknown key, or a value of the wrong kind.
    #[error("{origin}: {message}")]
    Invalid {
        /// Where it stands.
        origin: Origin,
        /// What is wrong with it.
        message: String,
    },
}

/// Where a value stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The file, or none for the compiled-in default.
    pub file: Option<Arc<Path>>,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.file {
            Some(file) => write!(f, "{}:{}:{}", file.display(), self.line, self.column),
            None => write!(f, "default.toml:{}:{}", self.line, self.column),
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

/// The effective configuration. Paths are as they are to be opened.
#[derive(Debug, Clone)]
pub struct Config {
    /// Address and port to listen on.
    pub listen: Setting<String>,
    /// Folder of the roster.
    pub state: Setting<PathBuf>,
    /// Folder of the sockets.
    pub run: Setting<PathBuf>,
    /// Log filter.
    pub log: Setting<String>,
    /// Certificate of the fleet's authority.
    pub ca: Setting<PathBuf>,
    /// The broker's certificate.
    pub cert: Setting<PathBuf>,
    /// The broker's key.
    pub key: Setting<PathBuf>,
    /// Revoked certificates.
    pub crl: Option<Setting<PathBuf>>,
    /// Parties of certificates without a URI of ours.
    pub roles: Roles,
    /// Which node may listen to which collective.
    pub collectives: Collectives,
    /// Connections at once.
    pub connections: Setting<usize>,
    /// Connections of one operator at once.
    pub operator_connections: Setting<usize>,
    /// Handshakes at once.
    pub handshakes: Setting<usize>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Raw {
    listen: Option<Spanned<String>>,
    state: Option<Spanned<String>>,
    run: Option<Spanned<String>>,
    log: Option<Spanned<String>>,
    tls: RawTls,
    roles: BTreeMap<Spanned<String>, Spanned<String>>,
    collectives: Option<BTreeMap<Spanned<String>, Vec<Spanned<String>>>>,
    limits: RawLimits,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawTls {
    ca: Option<Spanned<String>>,
    cert: Option<Spanned<String>>,
    key: Option<Spanned<String>>,
    crl: Option<Spanned<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawLimits {
    connections: Option<Spanned<usize>>,
    operator_connections: Option<Spanned<usize>>,
    handshakes: Option<Spanned<usize>>,
}

/// One source of values, the lower one first in every lookup's argument order.
struct Layer<'a> {
    file: Option<Arc<Path>>,
    text: &'a str,
    raw: Raw,
}

impl<'a> Layer<'a> {
    fn parse(file: Option<&Path>, text: &'a str) -> Result<Self, ConfigError> {
        let file = file.map(Arc::from);
        let raw = toml::from_str(text).map_err(|e| ConfigError::Invalid {
            origin: origin(file.as_ref(), text, e.span().map_or(0, |span| span.start)),
            message: e.message().to_owned(),
        })?;
        Ok(Self { file, text, raw })
    }

    fn setting<T: Clone>(&self, value: &Spanned<T>) -> Setting<T> {
        Setting {
            value: value.get_ref().clone(),
            origin: origin(self.file.as_ref(), self.text, value.span().start),
        }
    }

    fn invalid<T>(&self, value: &Spanned<T>, message: impl Into<String>) -> ConfigError {
        ConfigError::Invalid {
            origin: origin(self.file.as_ref(), self.text, value.span().start),
            message: message.into(),
        }
    }
}

fn origin(file: Option<&Arc<Path>>, text: &str, offset: usize) -> Origin {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |at| at.saturating_add(1));
    Origin {
        file: file.cloned(),
        line: before.matches('\n').count().saturating_add(1),
        column: before.get(line_start..).unwrap_or_default().chars().count().saturating_add(1),
    }
}

impl Config {
    /// Reads a file and lays it over the defaults.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let read = || {
            let length = std::fs::metadata(path)?.len();
            if length > FILE_BYTES {
                return Err(std::io::Error::other(format!("{length} bytes is no configuration file")));
            }
            std::fs::read_to_string(path)
        };
        let text = read().map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        Self::parse(path, &text)
    }

    /// Lays a file's text over the defaults.
    pub fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        Self::layered(&Layer::parse(None, DEFAULT)?, &Layer::parse(Some(path), text)?)
    }

    fn layered(default: &Layer<'_>, file: &Layer<'_>) -> Result<Self, ConfigError> {
        let text = |pick: fn(&Raw) -> &Option<Spanned<String>>| pick_setting(default, file, pick);
        let path = |pick: fn(&Raw) -> &Option<Spanned<String>>| pick_path(default, file, pick);
        let crl = text(|raw| &raw.tls.crl)?;
        let config = Self {
            listen: text(|raw| &raw.listen)?,
            state: path(|raw| &raw.state)?,
            run: path(|raw| &raw.run)?,
            log: text(|raw| &raw.log)?,
            ca: path(|raw| &raw.tls.ca)?,
            cert: path(|raw| &raw.tls.cert)?,
            key: path(|raw| &raw.tls.key)?,
            crl: if crl.value.is_empty() { None } else { Some(path(|raw| &raw.tls.crl)?) },
            roles: roles(file)?,
            collectives: collectives(if file.raw.collectives.is_some() { file } else { default })?,
            connections: pick_setting(default, file, |raw| &raw.limits.connections)?,
            operator_connections: pick_setting(default, file, |raw| &raw.limits.operator_connections)?,
            handshakes: pick_setting(default, file, |raw| &raw.limits.handshakes)?,
        };
        for count in [&config.connections, &config.operator_connections, &config.handshakes] {
            if count.value == 0 {
                return Err(count.invalid("must be at least 1"));
            }
        }
        Ok(config)
    }
}

fn pick_setting<T: Clone>(
    default: &Layer<'_>,
    file: &Layer<'_>,
    pick: fn(&Raw) -> &Option<Spanned<T>>,
) -> Result<Setting<T>, ConfigError> {
    [file, default]
        .into_iter()
        .find_map(|layer| pick(&layer.raw).as_ref().map(|v| layer.setting(v)))
        .ok_or_else(|| ConfigError::Invalid {
            origin: origin(None, DEFAULT, 0),
            message: "a key of the reference has no default".to_owned(),
        })
}

fn pick_path(
    default: &Layer<'_>,
    file: &Layer<'_>,
    pick: fn(&Raw) -> &Option<Spanned<String>>,
) -> Result<Setting<PathBuf>, ConfigError> {
    let text = pick_setting(default, file, pick)?;
    if text.value.is_empty() {
        return Err(text.invalid("a path is needed here"));
    }
    let folder = text.origin.file.as_deref().and_then(Path::parent).unwrap_or(Path::new(""));
    Ok(Setting { value: folder.join(&text.value), origin: text.origin })
}

fn roles(layer: &Layer<'_>) -> Result<Roles, ConfigError> {
    let mut roles = Roles::default();
    for (name, party) in &layer.raw.roles {
        let parsed = party.get_ref().parse().map_err(|e| layer.invalid(party, format!("{e}")))?;
        roles.insert(name.get_ref(), parsed).map_err(|message| layer.invalid(party, message))?;
    }
    Ok(roles)
}

fn collectives(layer: &Layer<'_>) -> Result<Collectives, ConfigError> {
    let mut rules = Collectives::none();
    for (nodes, patterns) in layer.raw.collectives.iter().flatten() {
        for pattern in patterns {
            rules.allow(nodes.get_ref(), pattern.get_ref());
        }
    }
    Ok(rules)
}

#[cfg(test)]
mod tests {
    use super::*;
    use orch_wire::ids::{CollectiveName, NodeName};

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse(Path::new("/etc/x/broker.toml"), text).map_err(|e| e.to_string())
    }

    #[test]
    fn an_empty_file_is_the_default() {
        let config = parse("").unwrap();
        assert_eq!(config.listen.value, "0.0.0.0:61613");
        assert_eq!(config.listen.origin.file, None);
        assert_eq!(config.key.value, Path::new("/etc/orch/broker.key"));
        assert!(config.crl.is_none());
        let node = NodeName::new("web1").unwrap();
        assert!(config.collectives.allows(&node, &CollectiveName::main()));
    }

    #[test]
    fn a_file_wins_and_is_remembered() {
        let config = parse("\nlisten = '127.0.0.1:1'\n[tls]\nkey = 'b.key'\n").unwrap();
        assert_eq!(config.listen.value, "127.0.0.1:1");
        assert_eq!(config.listen.origin.to_string(), "/etc/x/broker.toml:2:10");
        assert_eq!(config.key.value, Path::new("/etc/x/b.key"));
        assert_eq!(config.cert.value, Path::new("/etc/orch/broker.pem"));
    }

    #[test]
    fn errors_say_where() {
        for (text, error) in [
            ("listn = 'x'", "/etc/x/broker.toml:1:1: unknown field `listn`"),
            ("\n[tls]\n  keys = 'x'\n", "/etc/x/broker.toml:3:3: unknown field `keys`"),
            ("listen = 3", "/etc/x/broker.toml:1:10: invalid type: integer `3`"),
            ("[limits]\nconnections = 0", "/etc/x/broker.toml:2:15: must be at least 1"),
            ("[limits]\nhandshakes = -1", "/etc/x/broker.toml:2:14: "),
            ("[roles]\n'web' = 'web'", "/etc/x/broker.toml:2:9: `web` is not a valid party"),
            ("[roles]\n'b' = 'orch://broker/b'", "/etc/x/broker.toml:2:7: a broker cannot be mapped"),
            ("[tls]\nca = ''", "/etc/x/broker.toml:2:6: a path is needed here"),
            ("listen = ", "/etc/x/broker.toml:1:10: "),
        ] {
            let found = parse(text).unwrap_err();
            assert!(found.starts_with(error), "{found:?} does not start with {error:?}");
        }
    }

    #[test]
    fn a_table_of_collectives_replaces_the_default() {
        let config = parse("[collectives]\n'web*' = ['main', 'eu-?']\n").unwrap();
        let allows = |node: &str, collective: &str| {
            config
                .collectives
                .allows(&NodeName::new(node).unwrap(), &CollectiveName::new(collective).unwrap())
        };
        assert!(allows("web1", "main") && allows("web1", "eu-1"));
        assert!(!allows("web1", "eu-10") && !allows("db1", "main"));
    }

    #[test]
    fn the_sample_is_valid() {
        let sample = include_str!("../../examples/broker.toml");
        parse(sample).unwrap();
    }
}
