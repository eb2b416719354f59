//! What the program takes from its surroundings, read once, so that everything behind can be tested without them.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use etcetera::BaseStrategy;

/// Every environment variable that is read, with what it is for.
pub const VARIABLES: [(&str, &str); 16] = [
    ("ORCH_CONFIG", "configuration file, in the place of the project's and the user's (0.1)"),
    ("ORCH_BROKER", "host and port of the broker (0.1)"),
    ("ORCH_SERVER_NAME", "name that the broker's certificate must be for (0.1)"),
    ("ORCH_CA", "certificate of the fleet's authority (0.1)"),
    ("ORCH_CERT", "the operator's certificate (0.1)"),
    ("ORCH_KEY", "the operator's key (0.1)"),
    ("ORCH_PSK", "file of the key that all of the fleet shares (0.1)"),
    ("ORCH_COLLECTIVE", "the collective that calls go to (0.1)"),
    ("ORCH_AGENTS", "folders of schemas, with `:` between (0.1)"),
    ("ORCH_CONNECT_TIMEOUT", "longest time that opening the connection may take (0.1)"),
    ("ORCH_DISCOVERY_TIMEOUT", "how long a node may take to say whether it matches (0.1)"),
    (
        "ORCH_TRUST",
        "digests of `[permissions]` that hold, as `orch trust` prints them, with `,` between (0.1)",
    ),
    ("ORCH_LOG", "what to log to stderr, such as `debug` or `orch_link=trace` (0.1)"),
    ("NO_COLOR", "no colours, whatever its value (0.1)"),
    ("XDG_RUNTIME_DIR", "where sockets go (0.1)"),
    ("TMPDIR", "where sockets go otherwise (0.1)"),
];

/// The surroundings of the program.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    variables: BTreeMap<String, String>,
    /// Everything that is set. It is not for the program itself, but for scripts, as far as they may see it, and their
    /// parameters: `ORCH_PARAM_NAME`.
    pub inherited: Arc<BTreeMap<String, String>>,
    /// The working folder.
    pub cwd: PathBuf,
    /// The user's folder of configuration, where it is known.
    pub config_home: Option<PathBuf>,
    /// The user's folder of what may be thrown away, where it is known.
    pub cache_home: Option<PathBuf>,
}

impl Environment {
    /// Those of this process.
    pub fn of_process() -> Self {
        // What is no text is nothing that a script or this program could use.
        let text =
            |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
        let inherited: BTreeMap<String, String> = std::env::vars_os().filter_map(text).collect();
        let variables = VARIABLES
            .iter()
            .filter_map(|(name, _)| Some(((*name).to_owned(), inherited.get(*name)?.clone())))
            .collect();
        let base = etcetera::choose_base_strategy().ok();
        Self {
            variables,
            inherited: inherited.into(),
            cwd: std::env::current_dir().unwrap_or_default(),
            config_home: base.as_ref().map(BaseStrategy::config_dir),
            cache_home: base.as_ref().map(BaseStrategy::cache_dir),
        }
    }

    /// Surroundings made up by a caller.
    pub fn of(variables: &[(&str, &str)], cwd: impl Into<PathBuf>, config_home: Option<PathBuf>) -> Self {
        let variables: BTreeMap<String, String> =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let inherited = variables.clone().into();
        Self { inherited, variables, cwd: cwd.into(), config_home, cache_home: None }
    }

    /// A variable that is set and not empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        debug_assert!(VARIABLES.iter().any(|(known, _)| *known == name), "{name} is not declared");
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }
}
