//! The keys of `node.toml` and the effective configuration.

use std::path::{Path, PathBuf};
use std::time::Duration;

use orch_wire::ids::{CollectiveName, NodeName};
use orch_wire::policy::Settings as PolicySettings;
use serde::Deserialize;
use toml::Spanned;

use super::layer::{ConfigError, Layer, Setting, pick};
use super::span;
use crate::agents::{Builtin, NoBuiltin};
use crate::facts::FactSource;
use crate::files;
use crate::service::Limits;

/// The commented default configuration, which is also the reference.
pub const DEFAULT: &str = include_str!("default.toml");

/// Longest configuration file that is read.
const FILE_BYTES: usize = 1024 * 1024;
/// Port of the broker where none is written.
const PORT: u16 = 61613;
/// Most collectives: the broker allows sixteen subscriptions, and one is the node's own.
const COLLECTIVES: usize = 15;

/// The effective configuration. Paths are as they are to be opened.
#[derive(Debug, Clone)]
pub struct Config {
    /// Name of the node, where it is not left to the certificate.
    pub identity: Option<Setting<NodeName>>,
    /// Host and port of the broker.
    pub broker: Setting<String>,
    /// Name in the broker's certificate.
    pub server_name: String,
    /// Collectives, the main one first.
    pub collectives: Vec<CollectiveName>,
    /// Folder of the state.
    pub state: Setting<PathBuf>,
    /// Folder of sockets and of running agents.
    pub run: Setting<PathBuf>,
    /// File of the pre-shared key.
    pub psk: Setting<PathBuf>,
    /// Log filter.
    pub log: Setting<String>,
    /// Certificate of the fleet's authority.
    pub ca: Setting<PathBuf>,
    /// The node's certificate.
    pub cert: Setting<PathBuf>,
    /// The node's key.
    pub key: Setting<PathBuf>,
    /// Folders of facts.
    pub facts_dirs: Vec<PathBuf>,
    /// The program `facter`, where it is switched on.
    pub facter: Option<PathBuf>,
    /// How often facts, classes and agents are read.
    pub refresh: Duration,
    /// Classes by name.
    pub classes: Vec<String>,
    /// File of classes.
    pub classes_file: Option<PathBuf>,
    /// Built-in agents beside `node`.
    pub agents_builtin: Vec<Builtin>,
    /// Folders of external agents.
    pub agents_dirs: Vec<PathBuf>,
    /// How often these are looked at for changes.
    pub agents_watch: Duration,
    /// Folder of their configuration.
    pub agents_config: PathBuf,
    /// Folder of policies.
    pub policy_dir: PathBuf,
    /// What holds where no policy speaks.
    pub policy: PolicySettings,
    /// Reads are refused too when they cannot be audited.
    pub audit_strict: bool,
    /// How much the node does at once.
    pub limits: Limits,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Raw {
    identity: Option<Spanned<String>>,
    broker: Option<Spanned<String>>,
    server_name: Option<Spanned<String>>,
    collectives: Option<Spanned<Vec<String>>>,
    state: Option<Spanned<String>>,
    run: Option<Spanned<String>>,
    psk: Option<Spanned<String>>,
    log: Option<Spanned<String>>,
    tls: RawTls,
    facts: RawFacts,
    classes: RawClasses,
    agents: RawAgents,
    policy: RawPolicy,
    audit: Option<Spanned<String>>,
    limits: RawLimits,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawTls {
    ca: Option<Spanned<String>>,
    cert: Option<Spanned<String>>,
    key: Option<Spanned<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawFacts {
    dirs: Option<Spanned<Vec<String>>>,
    facter: Option<Spanned<bool>>,
    facter_command: Option<Spanned<String>>,
    refresh: Option<Spanned<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawClasses {
    names: Option<Spanned<Vec<String>>>,
    file: Option<Spanned<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawAgents {
    builtin: Option<Spanned<Vec<String>>>,
    dirs: Option<Spanned<Vec<String>>>,
    watch: Option<Spanned<String>>,
    config: Option<Spanned<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawPolicy {
    dir: Option<Spanned<String>>,
    default_file: Option<Spanned<bool>>,
    unconfigured: Option<Spanned<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawLimits {
    concurrent: Option<Spanned<usize>>,
    queued: Option<Spanned<usize>>,
    action_timeout: Option<Spanned<String>>,
    action_memory: Option<Spanned<u64>>,
    shutdown_grace: Option<Spanned<String>>,
}

impl Config {
    /// Reads a file and lays it over the defaults.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = files::read_text(path, FILE_BYTES).map_err(|e| ConfigError::File(e.full()))?;
        Self::parse(path, &text)
    }

    /// Lays a file's text over the defaults.
    pub fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let layers = [Layer::parse(None, DEFAULT)?, Layer::parse(Some(path), text)?];
        let text = |field: fn(&Raw) -> &Option<Spanned<String>>| pick(&layers, field);
        let path = |field: fn(&Raw) -> &Option<Spanned<String>>| text(field)?.path();
        let list = |field: fn(&Raw) -> &Option<Spanned<Vec<String>>>| pick(&layers, field);
        let span = |field: fn(&Raw) -> &Option<Spanned<String>>| text(field)?.try_map(|t| span::parse(t));
        let optional = |field: fn(&Raw) -> &Option<Spanned<String>>| {
            Ok::<_, ConfigError>(Some(text(field)?).filter(|setting| !setting.value.is_empty()))
        };

        let broker = text(|raw| &raw.broker)?.try_map(|address| with_port(address))?;
        let server_name = match optional(|raw| &raw.server_name)? {
            Some(name) => name.value,
            None => host(&broker.value).to_owned(),
        };
        let collectives = list(|raw| &raw.collectives)?.try_map(|names| collectives(names))?.value;
        let identity = optional(|raw| &raw.identity)?
            .map(|name| name.try_map(|name| NodeName::new(name).map_err(|e| e.to_string())))
            .transpose()?;
        let facter = optional(|raw| &raw.facts.facter_command)?;
        let concurrent = pick(&layers, |raw: &Raw| &raw.limits.concurrent)?;
        if concurrent.value == 0 {
            return Err(concurrent.invalid("must be at least 1"));
        }
        let memory = pick(&layers, |raw: &Raw| &raw.limits.action_memory)?
            .try_map(|mebibytes| mebibytes.checked_mul(1 << 20).ok_or("is more than any machine has"))?;
        Ok(Self {
            identity,
            broker,
            server_name,
            collectives,
            state: path(|raw| &raw.state)?,
            run: path(|raw| &raw.run)?,
            psk: path(|raw| &raw.psk)?,
            log: text(|raw| &raw.log)?,
            ca: path(|raw| &raw.tls.ca)?,
            cert: path(|raw| &raw.tls.cert)?,
            key: path(|raw| &raw.tls.key)?,
            facts_dirs: paths(&list(|raw| &raw.facts.dirs)?)?,
            facter: match (pick(&layers, |raw: &Raw| &raw.facts.facter)?.value, facter) {
                (false, _) => None,
                (true, Some(command)) => Some(command.path()?.value),
                (true, None) => Some(PathBuf::from(FactSource::FACTER)),
            },
            refresh: span(|raw| &raw.facts.refresh)?.value,
            classes: list(|raw| &raw.classes.names)?.value,
            classes_file: optional(|raw| &raw.classes.file)?
                .map(|file| file.path())
                .transpose()?
                .map(|f| f.value),
            agents_builtin: list(|raw| &raw.agents.builtin)?
                .try_map(|names| {
                    names.iter().map(|name| name.parse().map_err(|e: NoBuiltin| e.to_string())).collect()
                })?
                .value,
            agents_dirs: paths(&list(|raw| &raw.agents.dirs)?)?,
            agents_watch: span(|raw| &raw.agents.watch)?.value,
            agents_config: path(|raw| &raw.agents.config)?.value,
            policy_dir: path(|raw| &raw.policy.dir)?.value,
            policy: PolicySettings {
                default_file: pick(&layers, |raw: &Raw| &raw.policy.default_file)?.value,
                unconfigured: text(|raw| &raw.policy.unconfigured)?
                    .try_map(|word| word.parse().map_err(str::to_owned))?
                    .value,
            },
            audit_strict: text(|raw| &raw.audit)?.try_map(|word| strict(word))?.value,
            limits: Limits {
                concurrent: concurrent.value,
                queued: pick(&layers, |raw: &Raw| &raw.limits.queued)?.value,
                action_timeout: span(|raw| &raw.limits.action_timeout)?.value,
                action_memory: Some(memory.value).filter(|bytes| *bytes > 0),
                shutdown_grace: span(|raw| &raw.limits.shutdown_grace)?.value,
            },
        })
    }
}

fn paths(list: &Setting<Vec<String>>) -> Result<Vec<PathBuf>, ConfigError> {
    let each = |text: &String| Setting { value: text.clone(), origin: list.origin.clone() }.path();
    list.value.iter().map(|text| Ok(each(text)?.value)).collect()
}

fn strict(word: &str) -> Result<bool, &'static str> {
    match word {
        "strict" => Ok(true),
        "normal" => Ok(false),
        _ => Err("write `normal` or `strict`"),
    }
}

fn collectives(names: &[String]) -> Result<Vec<CollectiveName>, String> {
    if names.is_empty() || names.len() > COLLECTIVES {
        return Err(format!("a node is in 1 to {COLLECTIVES} collectives"));
    }
    let mut known = Vec::new();
    for name in names {
        let name = CollectiveName::new(name).map_err(|e| e.to_string())?;
        if known.contains(&name) {
            return Err(format!("`{name}` stands here twice"));
        }
        known.push(name);
    }
    Ok(known)
}

/// Host and port; an IPv6 address stands in brackets when a port follows.
fn with_port(address: &str) -> Result<String, String> {
    let wrong = || format!("`{}` is not HOST:PORT", address.escape_debug());
    if address.parse::<std::net::Ipv6Addr>().is_ok() {
        return Ok(format!("[{address}]:{PORT}"));
    }
    let (host, port) = match address.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse::<u16>().map_err(|_| wrong())?),
        _ => (address, PORT),
    };
    if host.is_empty() || host.contains(char::is_whitespace) {
        return Err(wrong());
    }
    Ok(format!("{host}:{port}"))
}

fn host(address: &str) -> &str {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    host.trim_start_matches('[').trim_end_matches(']')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse(Path::new("/etc/x/node.toml"), text).map_err(|e| e.to_string())
    }

    #[test]
    fn an_empty_file_is_the_default() {
        let config = parse("").unwrap();
        assert_eq!(config.broker.value, "orch:61613");
        assert_eq!(config.server_name, "orch");
        assert_eq!(config.collectives, [CollectiveName::main()]);
        assert_eq!(config.limits, Limits::default());
        assert!(config.identity.is_none());
        assert_eq!(config.refresh, Duration::from_secs(300));
    }

    #[test]
    fn paths_are_taken_from_the_folder_of_the_file() {
        let config =
            parse("psk = 'psk'\nstate = '/s'\n[facts]\ndirs = ['facts.d', '/f']\n[classes]\nfile = ''\n")
                .unwrap();
        assert_eq!(config.psk.value, Path::new("/etc/x/psk"));
        assert_eq!(config.state.value, Path::new("/s"));
        assert_eq!(config.facts_dirs, [Path::new("/etc/x/facts.d"), Path::new("/f")]);
        assert_eq!(config.classes_file, None);
    }

    #[test]
    fn facter_is_off_until_it_is_switched_on() {
        let facter = |text: &str| parse(&format!("[facts]\n{text}")).unwrap().facter;
        assert_eq!(facter("facter_command = 'bin/f'"), None);
        assert_eq!(facter("facter = true").as_deref(), Some(Path::new("facter")));
        let own = facter("facter = true\nfacter_command = 'bin/f'");
        assert_eq!(own.as_deref(), Some(Path::new("/etc/x/bin/f")));
    }

    #[test]
    fn addresses() {
        for (text, address, name) in [
            ("b", "b:61613", "b"),
            ("b.lan:1", "b.lan:1", "b.lan"),
            ("127.0.0.1:4000", "127.0.0.1:4000", "127.0.0.1"),
            ("[::1]:5", "[::1]:5", "::1"),
            ("[::1]", "[::1]:61613", "::1"),
            ("::1", "[::1]:61613", "::1"),
        ] {
            let config = parse(&format!("broker = '{text}'")).unwrap();
            assert_eq!((config.broker.value.as_str(), config.server_name.as_str()), (address, name));
        }
    }

    #[test]
    fn errors_say_where() {
        for (text, error) in [
            ("brokr = 'x'", "/etc/x/node.toml:1:1: unknown field `brokr`"),
            ("\n[tls]\n  keys = 'x'\n", "/etc/x/node.toml:3:3: unknown field `keys`"),
            ("broker = 3", "/etc/x/node.toml:1:10: invalid type: integer `3`"),
            ("broker = 'a b:1'", "/etc/x/node.toml:1:10: `a b:1` is not HOST:PORT"),
            ("broker = 'a:b'", "/etc/x/node.toml:1:10: `a:b` is not HOST:PORT"),
            ("identity = '../x'", "/etc/x/node.toml:1:12: `../x` is not a valid node name"),
            ("collectives = []", "/etc/x/node.toml:1:15: a node is in 1 to 15"),
            ("collectives = ['a', 'a']", "/etc/x/node.toml:1:15: `a` stands here twice"),
            ("psk = ''", "/etc/x/node.toml:1:7: a path is needed here"),
            ("[facts]\nrefresh = '5'", "/etc/x/node.toml:2:11: `5` is not a span"),
            ("[limits]\nconcurrent = 0", "/etc/x/node.toml:2:14: must be at least 1"),
            ("[limits]\nqueued = -1", "/etc/x/node.toml:2:10: "),
            ("[agents]\nbuiltin = ['servce']", "/etc/x/node.toml:2:11: there is no built-in agent `servce`"),
            ("audit = 'off'", "/etc/x/node.toml:1:9: write `normal` or `strict`"),
            ("[policy]\nunconfigured = 'maybe'", "/etc/x/node.toml:2:16: write `allow` or `deny`"),
            ("[agents]\ndirs = ['']", "/etc/x/node.toml:2:8: a path is needed here"),
            ("state = ", "/etc/x/node.toml:1:9: "),
        ] {
            let found = parse(text).unwrap_err();
            assert!(found.starts_with(error), "{found:?} does not start with {error:?}");
        }
    }

    #[test]
    fn the_sample_is_valid() {
        parse(include_str!("../../../examples/node.toml")).unwrap();
    }
}
