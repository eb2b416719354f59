//! The effective configuration: the layers laid over one another, each value checked.

use std::net::Ipv6Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use orch_wire::ids::CollectiveName;

use super::environment::Environment;
use super::layer::{ConfigError, DEFAULT, FileKind, Key, Layer, Origin, Setting};
use super::span::parse_span;

/// Name of a configuration file.
const FILE: &str = "orch.toml";
/// Port of the broker where none is written.
const PORT: u16 = 61613;

/// What flags set.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// `--config`: read this file, neither the project's nor the user's.
    pub file: Option<PathBuf>,
    /// Folder of the script, where the search for the project's file begins; else the working folder.
    pub start: Option<PathBuf>,
    /// `--collective`.
    pub collective: Option<String>,
    /// `--discovery-timeout`.
    pub discovery: Option<String>,
    /// `--connect-timeout`.
    pub connect: Option<String>,
}

/// The effective configuration. Paths are as they are to be opened; an empty one was not set.
#[derive(Debug, Clone)]
pub struct Config {
    /// Host and port of the broker.
    pub broker: Setting<String>,
    /// Name that the broker's certificate must be for.
    pub server_name: Setting<String>,
    /// Certificate of the fleet's authority.
    pub ca: Setting<PathBuf>,
    /// The operator's certificate.
    pub cert: Setting<PathBuf>,
    /// The operator's key.
    pub key: Setting<PathBuf>,
    /// File of the pre-shared key.
    pub psk: Setting<PathBuf>,
    /// The collective that calls go to.
    pub collective: Setting<CollectiveName>,
    /// Folders of schemas.
    pub agents: Setting<Vec<PathBuf>>,
    /// Longest time for opening the connection.
    pub connect: Setting<Duration>,
    /// How long a node may take to say whether it matches.
    pub discovery: Setting<Duration>,
    /// What the project asks for, as it is written: files to read, variables of the environment, programs to run.
    pub permissions: [Setting<Vec<String>>; 3],
    /// Folders of modules that are imported by their names.
    pub modules: Setting<Vec<PathBuf>>,
    /// Time limit of actions in scripts, where one is set.
    pub timeout: Setting<Option<Duration>>,
    /// Longest time of a script, where one is set.
    pub deadline: Setting<Option<Duration>>,
    /// Where files were looked for and not found.
    pub(super) searched: String,
}

impl Config {
    /// Finds and reads all layers.
    pub fn load(overrides: &Overrides, environment: &Environment) -> Result<Self, ConfigError> {
        let mut layers = vec![Layer::parse(FileKind::Default, Path::new("default.toml"), DEFAULT)?];
        let mut searched = String::new();
        let named = overrides.file.clone().or_else(|| environment.get("ORCH_CONFIG").map(PathBuf::from));
        if let Some(path) = named {
            layers.push(Layer::load(FileKind::Named, &environment.cwd.join(path))?);
        } else {
            let start = match &overrides.start {
                Some(folder) => environment.cwd.join(folder),
                None => environment.cwd.clone(),
            };
            let project = project_of(&start).map(|folder| folder.join(FILE));
            let user = environment.config_home.as_ref().map(|home| home.join("orch").join(FILE));
            match &project {
                Some(path) => layers.push(Layer::load(FileKind::Project, path)?),
                None => searched = format!("; there is no {FILE} in {} or above", start.display()),
            }
            match user {
                Some(path) if path.is_file() => layers.push(Layer::load(FileKind::User, &path)?),
                Some(path) if project.is_none() => {
                    searched.push_str(&format!(", and no {}", path.display()));
                }
                _ => {}
            }
        }
        layers.push(Layer::of_environment(environment));
        layers.push(of_flags(overrides));
        Self::of(&layers, &environment.cwd, searched)
    }

    /// Lays the text of a file that was named over the defaults; neither environment nor flags count.
    pub fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let layers = [
            Layer::parse(FileKind::Default, Path::new("default.toml"), DEFAULT)?,
            Layer::parse(FileKind::Named, path, text)?,
        ];
        Self::of(&layers, Path::new(""), String::new())
    }

    fn of(layers: &[Layer], cwd: &Path, searched: String) -> Result<Self, ConfigError> {
        let pick = |key: Key| {
            layers
                .iter()
                .rev()
                .find_map(|layer| layer.0.get(&key))
                .cloned()
                .ok_or_else(|| ConfigError::Missing { key, searched: searched.clone() })
        };
        let text = |key: Key| {
            let Setting { value, origin } = pick(key)?;
            Ok::<_, ConfigError>(Setting { value: value.into_iter().next().unwrap_or_default(), origin })
        };
        let path = |key: Key| {
            let Setting { value, origin } = text(key)?;
            let value = if value.is_empty() { PathBuf::new() } else { folder(&origin, cwd).join(value) };
            Ok::<_, ConfigError>(Setting { value, origin })
        };
        let broker = try_map(text(Key::Broker)?, with_port)?;
        let server_name = text(Key::ServerName)?;
        let server_name = if server_name.value.is_empty() {
            Setting { value: host(&broker.value).to_owned(), origin: broker.origin.clone() }
        } else {
            server_name
        };
        let folders = |key: Key| {
            let Setting { value, origin } = pick(key)?;
            let base = folder(&origin, cwd);
            Ok::<_, ConfigError>(Setting {
                value: value.iter().map(|text| base.join(text)).collect(),
                origin,
            })
        };
        Ok(Self {
            broker,
            server_name,
            ca: path(Key::Ca)?,
            cert: path(Key::Cert)?,
            key: path(Key::Key)?,
            psk: path(Key::Psk)?,
            collective: try_map(text(Key::Collective)?, |name| {
                CollectiveName::new(name).map_err(|e| e.to_string())
            })?,
            agents: folders(Key::Agents)?,
            connect: try_map(text(Key::Connect)?, positive)?,
            discovery: try_map(text(Key::Discovery)?, positive)?,
            permissions: [pick(Key::PermitRead)?, pick(Key::PermitEnv)?, pick(Key::PermitExec)?],
            modules: folders(Key::Modules)?,
            timeout: try_map(text(Key::Timeout)?, perhaps)?,
            deadline: try_map(text(Key::Deadline)?, perhaps)?,
            searched,
        })
    }

    /// Every key with its value as text and where it came from.
    pub fn entries(&self) -> Vec<(Key, String, Origin)> {
        let path = |setting: &Setting<PathBuf>| (setting.value.display().to_string(), setting.origin.clone());
        let text = |setting: &Setting<String>| (setting.value.clone(), setting.origin.clone());
        let span = |setting: &Setting<Duration>| (written(setting.value), setting.origin.clone());
        let perhaps = |setting: &Setting<Option<Duration>>| {
            (setting.value.map(written).unwrap_or_default(), setting.origin.clone())
        };
        let folders = |setting: &Setting<Vec<PathBuf>>| {
            let list: Vec<_> = setting.value.iter().map(|path| path.display().to_string()).collect();
            (list.join(":"), setting.origin.clone())
        };
        let [read, env, exec] = &self.permissions;
        let list = |setting: &Setting<Vec<String>>| (setting.value.join(", "), setting.origin.clone());
        let entry = |key: Key| {
            let (value, origin) = match key {
                Key::Broker => text(&self.broker),
                Key::ServerName => text(&self.server_name),
                Key::Ca => path(&self.ca),
                Key::Cert => path(&self.cert),
                Key::Key => path(&self.key),
                Key::Psk => path(&self.psk),
                Key::Collective => (self.collective.value.to_string(), self.collective.origin.clone()),
                Key::Agents => folders(&self.agents),
                Key::Connect => span(&self.connect),
                Key::Discovery => span(&self.discovery),
                Key::PermitRead => list(read),
                Key::PermitEnv => list(env),
                Key::PermitExec => list(exec),
                Key::Modules => folders(&self.modules),
                Key::Timeout => perhaps(&self.timeout),
                Key::Deadline => perhaps(&self.deadline),
            };
            (key, value, origin)
        };
        Key::ALL.into_iter().map(entry).collect()
    }
}

fn of_flags(overrides: &Overrides) -> Layer {
    let flags = [
        (Key::Collective, &overrides.collective, "--collective"),
        (Key::Discovery, &overrides.discovery, "--discovery-timeout"),
        (Key::Connect, &overrides.connect, "--connect-timeout"),
    ];
    let set = flags.into_iter().filter_map(|(key, value, flag)| {
        let value = vec![value.clone()?];
        Some((key, Setting { value, origin: Origin::Flag(flag) }))
    });
    Layer(set.collect())
}

/// The folder that relative paths of this origin are taken from.
fn folder<'a>(origin: &'a Origin, cwd: &'a Path) -> &'a Path {
    match origin {
        Origin::Project(place) | Origin::User(place) | Origin::Named(place) => {
            place.file.parent().unwrap_or(cwd)
        }
        Origin::Default | Origin::Environment(_) | Origin::Flag(_) => cwd,
    }
}

/// The folder of the project around a folder: the nearest with a configuration file.
pub fn project_of(start: &Path) -> Option<PathBuf> {
    start.ancestors().find(|folder| folder.join(FILE).is_file()).map(Path::to_owned)
}

fn written(span: Duration) -> String {
    let millis = span.as_millis();
    if millis.is_multiple_of(1000) { format!("{}s", millis / 1000) } else { format!("{millis}ms") }
}

fn try_map<T>(
    setting: Setting<String>,
    parse: impl FnOnce(&str) -> Result<T, String>,
) -> Result<Setting<T>, ConfigError> {
    match parse(&setting.value) {
        Ok(value) => Ok(Setting { value, origin: setting.origin }),
        Err(message) => Err(setting.invalid(message)),
    }
}

fn positive(text: &str) -> Result<Duration, String> {
    match parse_span(text).map_err(|e| e.to_string())? {
        Duration::ZERO => Err("must be longer than nothing".to_owned()),
        span => Ok(span),
    }
}

fn perhaps(text: &str) -> Result<Option<Duration>, String> {
    if text.is_empty() { Ok(None) } else { positive(text).map(Some) }
}

/// Host and port; an IPv6 address stands in brackets when a port follows.
fn with_port(address: &str) -> Result<String, String> {
    let wrong = || format!("`{}` is not HOST:PORT", address.escape_debug());
    if address.parse::<Ipv6Addr>().is_ok() {
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

    #[test]
    fn errors_say_where() {
        for (text, error) in [
            ("brokr = 'x'", "orch.toml:1:1: unknown field `brokr`"),
            ("\n[timeouts]\n  conect = '1s'\n", "orch.toml:3:3: unknown field `conect`"),
            ("broker = 3", "orch.toml:1:10: invalid type: integer `3`"),
            ("broker = 'a b:1'", "orch.toml:1:10: `a b:1` is not HOST:PORT"),
            ("collective = '../x'", "orch.toml:1:14: `../x` is not a valid collective name"),
            ("[timeouts]\nconnect = '5x'", "orch.toml:2:11: `5x` is not a span of time"),
            ("[timeouts]\nconnect = '0s'", "orch.toml:2:11: must be longer than nothing"),
            ("[permissions]\nenv = ['A', 3]", "orch.toml:2:13: invalid type: integer `3`"),
            ("[permissions]\nnet = []", "orch.toml:2:1: unknown field `net`"),
            ("[modules]\npath = []", "orch.toml:2:1: unknown field `path`"),
            ("[defaults]\ntimeout = '0s'", "orch.toml:2:11: must be longer than nothing"),
            ("broker = ", "orch.toml:1:10: "),
        ] {
            let found = Config::parse(Path::new(FILE), text).unwrap_err().to_string();
            assert!(found.starts_with(error), "{found:?} does not start with {error:?}");
        }
    }

    #[test]
    fn later_layers_win_and_each_value_knows_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let below = dir.path().join("a/b");
        let home = dir.path().join("home");
        std::fs::create_dir_all(&below).unwrap();
        std::fs::create_dir_all(home.join("orch")).unwrap();
        let project = "broker = 'p:1'\nca = 'ca.pem'\ncollective = 'p'\n[timeouts]\nconnect = '1s'\n";
        std::fs::write(dir.path().join(FILE), project).unwrap();
        std::fs::write(home.join("orch").join(FILE), "broker = 'u:1'\ncollective = 'u'\nkey = 'u.key'\n")
            .unwrap();
        let environment =
            Environment::of(&[("ORCH_COLLECTIVE", "e"), ("ORCH_AGENTS", "x:/y")], &below, Some(home.clone()));
        let overrides = Overrides { connect: Some("9s".to_owned()), ..Overrides::default() };
        let config = Config::load(&overrides, &environment).unwrap();
        assert_eq!(config.broker.value, "u:1");
        assert_eq!(config.server_name.value, "u");
        assert_eq!(config.ca.value, dir.path().join("ca.pem"));
        assert_eq!(config.key.value, home.join("orch/u.key"));
        assert_eq!(config.collective.value.as_str(), "e");
        assert_eq!(config.agents.value, [below.join("x"), PathBuf::from("/y")]);
        assert_eq!(config.connect.value, Duration::from_secs(9));
        let origins: Vec<String> =
            config.entries().iter().map(|(key, _, origin)| format!("{key} {origin}")).collect();
        let place = |text: String| text.replace(&dir.path().display().to_string(), "DIR");
        let origins: Vec<String> = origins.into_iter().map(place).collect();
        assert!(origins.contains(&"broker DIR/home/orch/orch.toml:1:10".to_owned()), "{origins:?}");
        assert!(origins.contains(&"ca DIR/orch.toml:2:6".to_owned()), "{origins:?}");
        assert!(origins.contains(&"collective environment ORCH_COLLECTIVE".to_owned()), "{origins:?}");
        assert!(origins.contains(&"timeouts.connect flag --connect-timeout".to_owned()), "{origins:?}");
        assert!(origins.contains(&"timeouts.discovery default".to_owned()), "{origins:?}");

        // A file that was named stands in the place of both others.
        std::fs::write(below.join("n.toml"), "broker = '[::1]'").unwrap();
        let overrides = Overrides { file: Some("n.toml".into()), ..Overrides::default() };
        let config = Config::load(&overrides, &environment).unwrap();
        assert_eq!((config.broker.value.as_str(), config.server_name.value.as_str()), ("[::1]:61613", "::1"));
        assert_eq!(config.ca.value, PathBuf::new());
    }

    #[test]
    fn the_layers_are_ordered() {
        assert!(Origin::Default < Origin::Environment("X"));
        assert!(Origin::Environment("X") < Origin::Flag("--x"));
    }
}
