//! From a configuration to what a node runs on: the files that it names are read and checked.

use std::io;
use std::sync::Arc;

use orch_link::Dialer;
use orch_link::socket_dir::SocketDir;
use orch_link::tls::{CredentialFiles, Credentials};
use orch_wire::ids::{NodeName, Party};
use orch_wire::keys::{Keys, Psk};
use orch_wire::limits::CONNECT;
use serde_json::{Map, Value, json};

use super::{Config, ConfigError, Setting};
use crate::audit::AuditSettings;
use crate::facts::FactSource;
use crate::files::{self, FileError};
use crate::policies::PolicySource;
use crate::service::{AgentSource, NodeConfig};

/// Longest key file.
const PSK_BYTES: usize = 4096;

/// What only a restart brings into force: what the node is called, what it keeps, and what it seals with.
const RESTART: [&str; 4] = ["identity", "psk", "run", "state"];
/// What a node takes over by opening its lanes anew.
const RECONNECT: [&str; 6] = ["broker", "collectives", "server_name", "tls.ca", "tls.cert", "tls.key"];

/// What is different between two configurations, by the keys of `node.toml`.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// What a running node takes over.
    pub applied: Vec<String>,
    /// What only a restart brings into force.
    pub restart: Vec<String>,
    /// The lanes must be opened anew.
    pub reconnect: bool,
}

/// A configuration whose files were found good.
#[derive(Debug, Clone)]
pub struct Resolved {
    config: Config,
    identity: NodeName,
    credentials: Credentials,
    keys: Keys,
}

impl Resolved {
    /// Reads certificate and keys, and checks that they fit together.
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        let files = CredentialFiles {
            ca: config.ca.value.clone(),
            cert: config.cert.value.clone(),
            key: config.key.value.clone(),
        };
        let credentials = Credentials::load(&files).map_err(|e| config.cert.invalid(chain(&e)))?;
        let Party::Node(name) = credentials.party() else {
            return Err(config
                .cert
                .invalid(format!("the certificate is of {}, not of a node", credentials.party())));
        };
        let identity = name.clone();
        if let Some(wanted) = &config.identity
            && wanted.value != identity
        {
            return Err(wanted.invalid(format!("the certificate is of node `{identity}`")));
        }
        let keys = read_psk(&config)?;
        Ok(Self { config, identity, credentials, keys })
    }

    /// Name of the node.
    pub fn identity(&self) -> &NodeName {
        &self.identity
    }

    /// What is different in another one, and in the files of certificates and keys that it names.
    pub fn changes(&self, other: &Self) -> Changes {
        let [own, others] = [self, other].map(|one| settings(&one.config, &one.identity));
        let mut changes = Changes::default();
        for (key, value) in &others {
            let same = own.get(key) == Some(value)
                && match key.as_str() {
                    "psk" => self.keys.same(&other.keys),
                    "tls.ca" => self.credentials.same_authorities(&other.credentials),
                    "tls.cert" => self.credentials.same_certificate(&other.credentials),
                    _ => true,
                };
            if same {
                continue;
            }
            // A certificate of another name comes with it.
            if RESTART.contains(&key.as_str()) || (key.starts_with("tls.") && self.identity != other.identity)
            {
                changes.restart.push(key.clone());
            } else {
                changes.reconnect |= RECONNECT.contains(&key.as_str());
                changes.applied.push(key.clone());
            }
        }
        changes
    }

    /// These settings with what a running node takes over of others.
    pub fn taking_over(self, other: Self) -> Self {
        let same_name = self.identity == other.identity;
        let mut config = Config {
            identity: self.config.identity,
            psk: self.config.psk,
            run: self.config.run,
            state: self.config.state,
            ..other.config
        };
        if !same_name {
            (config.ca, config.cert, config.key) = (self.config.ca, self.config.cert, self.config.key);
        }
        let credentials = if same_name { other.credentials } else { self.credentials };
        Self { config, credentials, identity: self.identity, keys: self.keys }
    }

    /// What to log.
    pub fn log(&self) -> &Setting<String> {
        &self.config.log
    }

    /// What the node runs on. Makes the folder of its sockets.
    pub fn into_node(self) -> Result<NodeConfig, ConfigError> {
        let Self { config, identity, credentials, keys } = self;
        let settings = settings(&config, &identity);
        let sockets = SocketDir::create(&config.run.value)
            .map_err(|e: io::Error| config.run.invalid(format!("the run folder cannot be used: {e}")))?;
        let dialer =
            Dialer::new(&config.broker.value, &config.server_name, credentials, Arc::new(sockets), CONNECT)
                .map_err(|e| config.broker.invalid(chain(&e)))?;
        Ok(NodeConfig {
            identity,
            dialer,
            keys,
            collectives: config.collectives,
            state_dir: config.state.value,
            run_dir: config.run.value.join("calls"),
            facts: FactSource::Native { facter: config.facter, dirs: config.facts_dirs },
            classes: config.classes,
            classes_file: config.classes_file,
            refresh: config.refresh,
            agents: AgentSource::Own {
                builtin: config.agents_builtin,
                folders: config.agents_dirs,
                watch: config.agents_watch,
            },
            agents_config_dir: config.agents_config,
            policies: PolicySource { folder: Some(config.policy_dir), settings: config.policy },
            audit: AuditSettings { strict: config.audit_strict, ..AuditSettings::default() },
            limits: config.limits,
            shared_machine: false,
            settings,
        })
    }
}

fn read_psk(config: &Config) -> Result<Keys, ConfigError> {
    let path = &config.psk.value;
    let read = || -> Result<String, FileError> {
        let (file, metadata) = files::open(path)?;
        files::refuse_if_others_read(path, &metadata)?;
        let bytes = files::read_from(&file, path, PSK_BYTES)?;
        String::from_utf8(bytes).map_err(|_| FileError::refused(path, "is not text"))
    };
    let text = read().map_err(|e| config.psk.invalid(e.full()))?;
    let psk = Psk::parse(&text).map_err(|e| config.psk.invalid(format!("`{}`: {e}", path.display())))?;
    Ok(Keys::derive(&psk))
}

/// What `node.config` shows: every key with its value in force. Secrets stand in files, of which only the names are
/// told.
fn settings(config: &Config, identity: &NodeName) -> Map<String, Value> {
    let millis = |span: std::time::Duration| format!("{}ms", span.as_millis());
    let settings = json!({
        "identity": identity,
        "broker": config.broker.value,
        "server_name": config.server_name,
        "collectives": config.collectives,
        "state": config.state.value,
        "run": config.run.value,
        "psk": config.psk.value,
        "log": config.log.value,
        "tls.ca": config.ca.value,
        "tls.cert": config.cert.value,
        "tls.key": config.key.value,
        "facts.dirs": config.facts_dirs,
        "facts.facter": config.facter.is_some(),
        "facts.facter_command": config.facter,
        "facts.refresh": millis(config.refresh),
        "classes.names": config.classes,
        "classes.file": config.classes_file,
        "agents.builtin": config.agents_builtin.iter().map(|builtin| builtin.name()).collect::<Vec<_>>(),
        "agents.dirs": config.agents_dirs,
        "agents.watch": millis(config.agents_watch),
        "agents.config": config.agents_config,
        "policy.dir": config.policy_dir,
        "policy.default_file": config.policy.default_file,
        "policy.unconfigured": config.policy.unconfigured.as_str(),
        "audit": if config.audit_strict { "strict" } else { "normal" },
        "limits.concurrent": config.limits.concurrent,
        "limits.queued": config.limits.queued,
        "limits.action_timeout": millis(config.limits.action_timeout),
        "limits.action_memory": config.limits.action_memory.unwrap_or(0) >> 20,
        "limits.shutdown_grace": millis(config.limits.shutdown_grace),
    });
    settings.as_object().cloned().unwrap_or_default()
}

/// An error with its causes, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
