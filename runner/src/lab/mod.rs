//! The embedded lab: the real broker and N real node agents in this process, on loopback, with a throwaway authority.
//!
//! Everything between runner and action is the production code, TLS and seal included; only the facts are invented.
//! Lab nodes share their user's machine, so their built-in agents change nothing; the sample agents keep each node's state in
//! a folder of its own.

mod descriptors;
mod invent;

use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use orch_broker::{Broker, BrokerConfig, RunningBroker};
use orch_link::Dialer;
use orch_link::socket_dir::SocketDir;
use orch_link::tls::{Credentials, CredentialsError};
use orch_nodeagent::{
    AgentSource, AuditSettings, Builtin, FactSource, Limits, NodeConfig, NodeService, PolicySource, Registry,
    RunningNode,
};
use orch_wire::ids::{BrokerName, CollectiveName, NameError, OperatorName, Party};
use orch_wire::keys::{Keys, Psk};
use orch_wire::limits;
use tokio::net::TcpListener;

use crate::client::SessionConfig;
use crate::pki::{Authority, BrokerHost, CertPem, PkiError, StoreError, new_psk, write_operator};

/// Opening lanes may take this long in a lab: all its nodes shake hands at one moment on one machine.
const OPENING: Duration = Duration::from_secs(60);
/// The whole lab must be up by then.
const COMING_UP: Duration = Duration::from_secs(120);
/// Host and name of the lab's broker.
const HOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// The sample agents of `examples/agents` and their data functions: name of the files, schema, program.
const SAMPLE_AGENTS: [(&str, &str, &str); 5] = [
    (
        "package",
        include_str!("../../../examples/agents/package.json"),
        include_str!("../../../examples/agents/package"),
    ),
    (
        "package_data",
        include_str!("../../../examples/agents/package_data.json"),
        include_str!("../../../examples/agents/package_data"),
    ),
    (
        "service",
        include_str!("../../../examples/agents/service.json"),
        include_str!("../../../examples/agents/service"),
    ),
    (
        "service_data",
        include_str!("../../../examples/agents/service_data.json"),
        include_str!("../../../examples/agents/service_data"),
    ),
    (
        "shop",
        include_str!("../../../examples/agents/shop.json"),
        include_str!("../../../examples/agents/shop"),
    ),
];

/// What lab is wanted.
#[derive(Debug, Clone)]
pub struct LabConfig {
    /// How many nodes.
    pub nodes: usize,
    /// Whether the built-in agents of its one node may change this machine.
    pub host: bool,
}

/// Why a lab does not come up.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// More nodes than descriptors allow.
    #[error(
        "a lab of {wanted} nodes needs {needed} open files, and the limit here allows {largest} nodes; \
         raise it with `ulimit -n {needed}`, or ask for fewer"
    )]
    TooLarge {
        /// Nodes asked for.
        wanted: usize,
        /// Nodes that fit.
        largest: usize,
        /// Limit that would do.
        needed: u64,
    },
    /// No nodes at all.
    #[error("a lab needs at least one node")]
    Empty,
    /// More than one node was to change this machine.
    #[error("--lab-host lets a node change this machine: that is for `--lab 1` only")]
    HostNeedsOne,
    /// A file or folder of the lab.
    #[error("{what}: {source}")]
    Files {
        /// What was being done.
        what: String,
        /// Why it failed.
        source: io::Error,
    },
    /// Certificates could not be made.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// Certificates could not be used.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// The files for other processes could not be written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A name that is none.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The broker did not start.
    #[error("the lab's broker: {0}")]
    Broker(#[from] orch_broker::StartError),
    /// A node did not start.
    #[error("a lab node: {0}")]
    Node(#[from] orch_nodeagent::StartError),
    /// Not all nodes came up.
    #[error("{up} of {wanted} lab nodes came up within {} s", COMING_UP.as_secs())]
    Late {
        /// Nodes that came up.
        up: usize,
        /// Nodes asked for.
        wanted: usize,
    },
}

/// A lab at work. Dropping it ends it at once.
pub struct Lab {
    broker: RunningBroker,
    nodes: Vec<RunningNode>,
    dialer: Dialer,
    psk: Psk,
    authority: Authority,
    operator: CertPem,
    // Last, so that it goes when nothing uses its files any more.
    _folder: tempfile::TempDir,
}

impl Lab {
    /// Starts broker and nodes, and waits until every node is listed as here.
    pub async fn start(config: LabConfig) -> Result<Self, LabError> {
        let LabConfig { nodes: count, host } = config;
        let largest = descriptors::largest_lab();
        match count {
            0 => return Err(LabError::Empty),
            n if n > largest => {
                return Err(LabError::TooLarge { wanted: n, largest, needed: descriptors::needed(n) });
            }
            n if host && n > 1 => return Err(LabError::HostNeedsOne),
            _ => {}
        }
        let folder = tempfile::Builder::new()
            .prefix("orch-lab-")
            .tempdir()
            .map_err(files("making the lab's folder"))?;
        let home = folder.path();
        let authority = Authority::new()?;
        let psk = new_psk();
        let keys = Keys::derive(&psk);
        let sockets = Arc::new(SocketDir::create(&home.join("run")).map_err(files("making a run folder"))?);

        let listener = TcpListener::bind((HOST, 0)).await.map_err(files("listening on loopback"))?;
        let broker_pem = authority.issue(&Party::Broker(BrokerName::new("lab")?), &[BrokerHost::Ip(HOST)])?;
        let broker_config =
            BrokerConfig::new(credentials(&authority, &broker_pem)?, home.join("broker"), home.join("run"));
        let broker = Broker::start(broker_config, listener).await?;
        let address = broker.local_addr().to_string();
        let dialer = |credentials: Credentials| {
            Dialer::new(&address, &HOST.to_string(), credentials, Arc::clone(&sockets), OPENING)
        };

        let registry = Arc::new(Registry::load(&LAB_AGENTS, &[sample_agents(home)?]));
        let mut nodes = Vec::with_capacity(count);
        for invented in invent::fleet(count)? {
            let pem = authority.issue(&Party::Node(invented.name.clone()), &[])?;
            let state_dir = home.join("nodes").join(invented.name.as_str());
            nodes.push(NodeService::start(NodeConfig {
                dialer: dialer(credentials(&authority, &pem)?)?,
                identity: invented.name,
                keys: keys.clone(),
                collectives: vec![CollectiveName::main()],
                run_dir: state_dir.join("run"),
                agents_config_dir: state_dir.join("agents"),
                state_dir,
                facts: if host {
                    FactSource::Native { facter: None, dirs: Vec::new() }
                } else {
                    FactSource::Given(invented.facts)
                },
                classes: invented.classes,
                classes_file: None,
                refresh: Duration::ZERO,
                agents: AgentSource::Given(Arc::clone(&registry)),
                policies: PolicySource::default(),
                // They share a disk, and nobody's audit needs room on it of its own.
                audit: AuditSettings { reserve: 0, ..AuditSettings::default() },
                limits: Limits::default(),
                shared_machine: !host,
                settings: serde_json::Map::new(),
            })?);
        }
        let operator = authority.issue(&Party::Operator(OperatorName::new("lab")?), &[])?;
        let dialer = dialer(credentials(&authority, &operator)?)?;
        let lab = Self { broker, nodes, dialer, psk, authority, operator, _folder: folder };
        lab.all_up().await?;
        Ok(lab)
    }

    async fn all_up(&self) -> Result<(), LabError> {
        let mut up = 0;
        let waiting = async {
            for node in &self.nodes {
                // A node that ended leaves its channel; it is then counted as not up.
                if node.is_up().wait_for(|is_up| *is_up).await.is_ok() {
                    up += 1;
                }
            }
        };
        let _ = tokio::time::timeout(COMING_UP, waiting).await;
        if up < self.nodes.len() {
            return Err(LabError::Late { up, wanted: self.nodes.len() });
        }
        Ok(())
    }

    /// How to reach it from this process.
    pub fn session_config(&self) -> SessionConfig {
        SessionConfig {
            dialer: self.dialer.clone(),
            keys: Keys::derive(&self.psk),
            collective: CollectiveName::main(),
            discovery_timeout: limits::DISCOVERY,
        }
    }

    /// Writes what another process needs to reach it: `orch.toml` and the files it names. Gives the path of `orch.toml`.
    pub fn write_config(&self, dir: &Path) -> Result<PathBuf, LabError> {
        let address = self.dialer.address();
        let agents = self.agents_dir();
        Ok(write_operator(dir, self.authority.ca_pem(), &self.operator, &self.psk, address, &agents)?)
    }

    /// Folder of the sample agents' schemas, which the runner checks calls against.
    pub fn agents_dir(&self) -> PathBuf {
        self._folder.path().join("agents")
    }

    /// How many nodes it has.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether it has none, which no lab does.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Ends nodes, then broker, in order.
    pub async fn shutdown(self) {
        let Self { broker, nodes, .. } = self;
        futures_util::future::join_all(nodes.into_iter().map(RunningNode::shutdown)).await;
        broker.shutdown().await;
    }
}

fn credentials(authority: &Authority, pem: &CertPem) -> Result<Credentials, CredentialsError> {
    Credentials::from_pem(authority.ca_pem(), &pem.cert, &pem.key)
}

fn files(what: &str) -> impl FnOnce(io::Error) -> LabError + use<> {
    let what = what.to_owned();
    move |source| LabError::Files { what, source }
}

/// Built-in agents of a lab node; sample agents stand in the place of the others.
const LAB_AGENTS: [Builtin; 4] = [Builtin::File, Builtin::Process, Builtin::Puppet, Builtin::Resource];

/// Writes the sample agents into the lab's folder; each node keeps their state apart.
fn sample_agents(home: &Path) -> Result<PathBuf, LabError> {
    let dir = home.join("agents");
    std::fs::create_dir_all(&dir).map_err(files("making the folder of the sample agents"))?;
    for (name, schema, program) in SAMPLE_AGENTS {
        write(&dir.join(format!("{name}.json")), schema, 0o644)?;
        write(&dir.join(name), program, 0o755)?;
    }
    Ok(dir)
}

/// Writes a file that has its mode from its first moment on: a program that could be changed by others is refused.
fn write(path: &Path, text: &str, mode: u32) -> Result<(), LabError> {
    let failed = || files(&path.display().to_string());
    let options = &mut std::fs::OpenOptions::new();
    let mut file = options.create_new(true).write(true).mode(mode).open(path).map_err(failed())?;
    file.write_all(text.as_bytes()).map_err(failed())
}
