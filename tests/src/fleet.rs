//! A fleet of real processes: one broker, its nodes, and an operator.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use orch_link::control::{self};
use orch_link::revocation::CertificateId;
use orch_link::socket_dir::SocketDir;
use orch_link::tls::Credentials;
use orch_link::{Dialer, entropy};
use orch_runner::client::SessionConfig;
use orch_runner::pki::{Authority, BrokerHost, CertPem};
use orch_wire::control::{Presence, Reply, Request, Roster, Status};
use orch_wire::ids::{BrokerName, CollectiveName, NodeName, OperatorName, Party};
use orch_wire::keys::{Keys, Psk};
use orch_wire::limits::{CONTROL_REPLY_BYTES, DISCOVERY};
use serde_json::Value;

use crate::process::{Ended, Server};
use crate::root::{self, Cgroup};
use crate::{programs, wait};

/// Address that everything listens on and goes to.
const HOST: &str = "127.0.0.1";
/// The operator of the tests.
const OPERATOR: &str = "alice";

/// A broker with its nodes and an operator, in a folder of its own.
pub struct Fleet {
    // Servers first: they end before their folder goes.
    broker: Option<Server>,
    nodes: BTreeMap<String, Server>,
    /// Of nodes under a systemd of their own.
    cgroups: BTreeMap<String, Cgroup>,
    port: u16,
    authority: Authority,
    psk: Psk,
    operator: CertPem,
    folder: tempfile::TempDir,
}

/// What a node of a test knows of itself.
#[derive(Debug, Clone, Default)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// Facts beside its native ones.
    pub facts: BTreeMap<String, Value>,
    /// Its classes.
    pub classes: Vec<String>,
    /// A pre-shared key of its own, to be a stranger.
    pub psk: Option<Psk>,
    /// Its built-in agents, where they are not those that it has by default.
    pub builtin: Option<Vec<String>>,
    /// Where it is to have a root of its own: the shell's commands that make it ready, run inside.
    pub root: Option<String>,
    /// Whether that root has a systemd as its first process.
    pub systemd: bool,
}

impl Node {
    /// A node with this name.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    /// With a fact more.
    #[must_use]
    pub fn fact(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.facts.insert(name.to_owned(), value.into());
        self
    }

    /// With these built-in agents only.
    #[must_use]
    pub fn builtin(mut self, agents: &[&str]) -> Self {
        self.builtin = Some(agents.iter().map(|agent| (*agent).to_owned()).collect());
        self
    }

    /// With a throw-away root of its own, made ready by these commands of the shell.
    #[must_use]
    pub fn root(mut self, prepare: &str) -> Self {
        self.root = Some(prepare.to_owned());
        self
    }

    /// With a throw-away root of its own whose first process is systemd.
    #[must_use]
    pub fn systemd(self, prepare: &str) -> Self {
        Self { systemd: true, ..self.root(prepare) }
    }

    /// With a class more.
    #[must_use]
    pub fn class(mut self, name: &str) -> Self {
        self.classes.push(name.to_owned());
        self
    }
}

impl Fleet {
    /// A broker with no nodes yet.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start() -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("orch-").tempdir()?;
        let authority = Authority::new()?;
        let operator = authority.issue(&Party::Operator(OperatorName::new(OPERATOR)?), &[])?;
        let psk = Psk::from_bytes(entropy::random());
        let mut fleet = Self {
            broker: None,
            nodes: BTreeMap::new(),
            cgroups: BTreeMap::new(),
            port: 0,
            authority,
            psk,
            operator,
            folder,
        };
        std::fs::create_dir_all(fleet.path("agents"))?;
        let pem =
            fleet.authority.issue(&Party::Broker(BrokerName::new("b1")?), &[HOST.parse::<BrokerHost>()?])?;
        fleet.write_identity("broker", &pem)?;
        fleet.revoke(&[])?;
        fleet.start_broker()?;
        fleet.write_identity("operator", &fleet.operator)?;
        write(&fleet.path("operator/orch.toml"), &fleet.operator_config(fleet.port), 0o644)?;
        Ok(fleet)
    }

    /// A fleet with these nodes, all of them here.
    ///
    /// # Errors
    /// When something does not start.
    pub fn with(nodes: impl IntoIterator<Item = Node>) -> Result<Self> {
        let mut fleet = Self::start()?;
        let mut names = Vec::new();
        for node in nodes {
            names.push(node.name.clone());
            fleet.add(&node)?;
        }
        fleet.await_here(&names);
        Ok(fleet)
    }

    fn operator_config(&self, port: u16) -> String {
        format!(
            "broker = \"{HOST}:{port}\"\nca = \"ca.pem\"\ncert = \"cert.pem\"\nkey = \"key.pem\"\npsk = \"psk\"\n\
             agents = [\"{}\"]\n",
            self.path("agents").display()
        )
    }

    /// A path in the fleet's folder.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The port of its broker.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    fn write_identity(&self, folder: &str, pem: &CertPem) -> Result<()> {
        let folder = self.path(folder);
        std::fs::create_dir_all(&folder)?;
        write(&folder.join("ca.pem"), self.authority.ca_pem(), 0o644)?;
        write(&folder.join("cert.pem"), &pem.cert, 0o644)?;
        write(&folder.join("key.pem"), &pem.key, 0o600)?;
        write(&folder.join("psk"), &self.psk.to_text(), 0o600)
    }

    /// Starts the broker, on the port it had before if it had one, and waits until it listens.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start_broker(&mut self) -> Result<()> {
        let port_file = self.path("broker/port");
        let _ = std::fs::remove_file(&port_file);
        let config = format!(
            "listen = \"{HOST}:{}\"\nstate = \"state\"\nrun = \"{}\"\nlog = \"debug\"\n\
             [tls]\nca = \"ca.pem\"\ncert = \"cert.pem\"\nkey = \"key.pem\"\ncrl = \"crl.pem\"\n",
            self.port,
            self.path("run").display()
        );
        self.write_broker_config(&config)?;
        let mut command = Command::new(programs::path("orch-broker"));
        command.arg("--config").arg(self.path("broker/broker.toml")).arg("--port-file").arg(&port_file);
        self.broker = Some(Server::start(command, &self.path("broker/log"))?);
        self.port = wait::until("the broker listens", || {
            let text = std::fs::read_to_string(&port_file).map_err(|e| e.to_string())?;
            text.trim().rsplit(':').next().and_then(|port| port.parse().ok()).ok_or(text)
        });
        Ok(())
    }

    /// Writes another configuration for the broker, which reads it when it is told to.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_broker_config(&self, text: &str) -> Result<()> {
        write(&self.path("broker/broker.toml"), text, 0o644)
    }

    /// The broker's configuration as it stands in its file.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn broker_config(&self) -> Result<String> {
        std::fs::read_to_string(self.path("broker/broker.toml")).context("broker.toml")
    }

    /// Makes these certificates the revoked ones. The broker reads the list when it starts or is told to.
    ///
    /// # Errors
    /// When the list cannot be made or written.
    pub fn revoke(&self, certificates: &[&str]) -> Result<()> {
        let revoked = certificates.iter().filter_map(|pem| CertificateId::of_pem(pem)).collect::<Vec<_>>();
        let list =
            self.authority.revocation_list(revoked.iter().map(|id| (id, std::time::SystemTime::now())))?;
        write(&self.path("broker/crl.pem"), &list, 0o644)
    }

    /// The certificate of a node that was added.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn node_certificate(&self, name: &str) -> Result<String> {
        std::fs::read_to_string(self.path(&format!("nodes/{name}/cert.pem"))).context("a node's certificate")
    }

    /// The authority's certificate.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        self.authority.ca_pem()
    }

    /// A certificate of this fleet, for whoever a test wants to be.
    ///
    /// # Errors
    /// When the URI names no party.
    pub fn issue(&self, uri: &str) -> Result<CertPem> {
        let party: Party = uri.parse()?;
        let hosts =
            if matches!(party, Party::Broker(_)) { vec![HOST.parse::<BrokerHost>()?] } else { Vec::new() };
        Ok(self.authority.issue(&party, &hosts)?)
    }

    /// The fleet's pre-shared key.
    #[must_use]
    pub fn psk(&self) -> &Psk {
        &self.psk
    }

    /// Waits until the broker has counted so many refusals of a party for a reason.
    ///
    /// # Panics
    /// When it has not within a minute.
    pub fn await_refused(&self, party: &str, reason: &str, count: u64) {
        wait::until(&format!("`{party}` refused for `{reason}` {count} times"), || {
            let refused = self.status().map_err(|e| format!("{e:#}"))?.refused;
            let found = refused.iter().find(|r| r.party == party && r.reason == reason);
            if found.is_some_and(|r| r.count >= count) { Ok(()) } else { Err(format!("{refused:?}")) }
        });
    }

    /// The broker's process.
    ///
    /// # Errors
    /// When none runs.
    pub fn broker(&mut self) -> Result<&mut Server> {
        self.broker.as_mut().context("no broker runs")
    }

    /// Starts a node; it is here some moments later.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn add(&mut self, node: &Node) -> Result<()> {
        let folder = format!("nodes/{}", node.name);
        let pem = self.authority.issue(&Party::Node(NodeName::new(&node.name)?), &[])?;
        self.write_identity(&folder, &pem)?;
        if let Some(psk) = &node.psk {
            write(&self.path(&folder).join("psk"), &psk.to_text(), 0o600)?;
        }
        let facts = self.path(&folder).join("facts.d");
        std::fs::create_dir_all(&facts)?;
        write(&facts.join("test.json"), &serde_json::to_string(&node.facts)?, 0o644)?;
        let mut config = format!(
            "broker = \"{HOST}:{}\"\nstate = \"state\"\nrun = \"{}\"\npsk = \"psk\"\nlog = \"debug\"\n\
             [tls]\nca = \"ca.pem\"\ncert = \"cert.pem\"\nkey = \"key.pem\"\n\
             [facts]\ndirs = [\"facts.d\"]\n[agents]\ndirs = [\"{}\"]\n[policy]\ndir = \"policies\"\n[classes]\nfile = \"\"\n",
            self.port,
            // Sockets of processes that it does not see a node takes for left over, and removes them.
            if node.root.is_some() { "/run/orch".into() } else { self.path("run") }.display(),
            self.path("agents").display(),
        );
        writeln!(config, "names = {:?}", node.classes)?;
        if let Some(agents) = &node.builtin {
            config = config.replace("[agents]\n", &format!("[agents]\nbuiltin = {agents:?}\n"));
        }
        write(&self.path(&folder).join("node.toml"), &config, 0o644)?;
        if let Some(prepare) = &node.root {
            write(&self.path(&folder).join(root::PREPARE), prepare, 0o644)?;
        }
        if node.systemd {
            self.cgroups.insert(node.name.clone(), Cgroup::new()?);
        }
        self.start_node(&node.name)
    }

    /// Starts a node that was added before.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start_node(&mut self, name: &str) -> Result<()> {
        let folder = self.path("nodes").join(name);
        let mut command = if folder.join(root::PREPARE).exists() {
            root::command(&folder, self.folder.path(), "orch-node", self.cgroups.get(name))
        } else {
            Command::new(programs::path("orch-node"))
        };
        command.arg("--config").arg(folder.join("node.toml"));
        let server = Server::start(command, &folder.join("log"))?;
        self.nodes.insert(name.to_owned(), server);
        Ok(())
    }

    /// A node's process.
    ///
    /// # Errors
    /// When it was never started.
    pub fn node(&mut self, name: &str) -> Result<&mut Server> {
        self.nodes.get_mut(name).with_context(|| format!("no node {name}"))
    }

    /// Where a path of a node's own root is for the test.
    ///
    /// # Errors
    /// When the node was never started.
    pub fn inside(&self, name: &str, path: &str) -> Result<PathBuf> {
        let node = self.nodes.get(name).with_context(|| format!("no node {name}"))?;
        Ok(root::outside(node, &self.path("nodes").join(name), path))
    }

    /// Kills a node, as a crash of its machine's process would.
    ///
    /// # Errors
    /// When it was never started.
    pub fn kill_node(&mut self, name: &str) -> Result<()> {
        self.node(name)?.kill().map(drop)
    }

    /// Puts an external agent where every node finds it: its schema and its program. Before nodes are started.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn agent(&self, name: &str, schema: &Value, program: &str) -> Result<()> {
        let folder = self.path("agents");
        std::fs::create_dir_all(&folder)?;
        write(&folder.join(format!("{name}.json")), &serde_json::to_string_pretty(schema)?, 0o644)?;
        write(&folder.join(name), program, 0o755)
    }

    /// A file of an agent's own folder on a node.
    #[must_use]
    pub fn agent_state(&self, node: &str, agent: &str, file: &str) -> PathBuf {
        self.path("nodes").join(node).join("state/agents").join(agent).join(file)
    }

    /// Writes a script and gives its path.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn script(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.path(name);
        write(&path, text, 0o644)?;
        Ok(path)
    }

    /// `orch` as the operator, with an environment of its own.
    #[must_use]
    pub fn orch(&self) -> Command {
        let mut command = Command::new(programs::path("orch"));
        command
            .env_clear()
            .env("HOME", self.path("home"))
            .env("PATH", "/usr/bin:/bin")
            .current_dir(self.folder.path())
            .arg("--config")
            .arg(self.path("operator/orch.toml"))
            .stdin(Stdio::null());
        command
    }

    /// Runs `orch` with these arguments.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn run(&self, arguments: &[&str]) -> Ended {
        match self.orch().args(arguments).output() {
            Ok(output) => output.into(),
            Err(error) => panic!("orch does not start: {error}"),
        }
    }

    /// The broker's roster at this moment.
    ///
    /// # Errors
    /// When the broker cannot be asked.
    pub fn roster(&self) -> Result<Roster> {
        match self.ask(&Request::Roster { watch: false })? {
            Reply::Roster(roster) => Ok(roster),
            other => bail!("the broker answered {other:?}"),
        }
    }

    /// The broker's status at this moment.
    ///
    /// # Errors
    /// When the broker cannot be asked.
    pub fn status(&self) -> Result<Status> {
        match self.ask(&Request::Status)? {
            Reply::Status(status) => Ok(*status),
            other => bail!("the broker answered {other:?}"),
        }
    }

    /// Reaches the broker as the operator.
    fn dialer(&self) -> Result<Dialer> {
        let sockets = Arc::new(SocketDir::create(&self.path("run"))?);
        let credentials =
            Credentials::from_pem(self.authority.ca_pem(), &self.operator.cert, &self.operator.key)?;
        let broker = format!("{HOST}:{}", self.port);
        Ok(Dialer::new(&broker, HOST, credentials, sockets, Duration::from_secs(5))?)
    }

    /// What a session of the operator needs.
    ///
    /// # Errors
    /// When its files cannot be used.
    pub fn session_config(&self) -> Result<SessionConfig> {
        Ok(SessionConfig {
            dialer: self.dialer()?,
            keys: Keys::derive(&self.psk),
            collective: CollectiveName::main(),
            discovery_timeout: DISCOVERY,
        })
    }

    fn ask(&self, request: &Request) -> Result<Reply> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let mut stream = control::connect(&self.dialer()?).await?;
            stream.send(request).await?;
            stream.recv::<Reply>(CONTROL_REPLY_BYTES).await?.context("the broker closed the channel")
        })
    }

    /// How a node stands in the roster; none where it is not in it.
    ///
    /// # Errors
    /// When the broker cannot be asked.
    pub fn presence(&self, name: &str) -> Result<Option<Presence>> {
        let roster = self.roster()?;
        Ok(roster.nodes.iter().find(|entry| entry.node.as_str() == name).map(|entry| entry.presence))
    }

    /// Waits until a node stands so.
    ///
    /// # Panics
    /// When it does not within a minute.
    pub fn await_presence(&self, name: &str, presence: Presence) {
        wait::until(&format!("{name} is {presence:?}"), || match self.presence(name) {
            Ok(Some(now)) if now == presence => Ok(()),
            other => Err(format!("{other:?}")),
        });
    }

    /// Waits until all these nodes are here.
    ///
    /// # Panics
    /// When they are not within a minute.
    pub fn await_here(&self, names: &[String]) {
        wait::until("all nodes are here", || {
            let roster = self.roster().map_err(|e| format!("{e:#}"))?;
            let missing: Vec<&String> = names
                .iter()
                .filter(|name| {
                    !roster
                        .nodes
                        .iter()
                        .any(|entry| entry.node.as_str() == name.as_str() && entry.presence == Presence::Here)
                })
                .collect();
            if missing.is_empty() { Ok(()) } else { Err(format!("missing: {missing:?}")) }
        });
    }
}

/// Writes a file that has its mode from its first moment on.
fn write(path: &Path, text: &str, mode: u32) -> Result<()> {
    use std::io::Write as _;
    let failed = || path.display().to_string();
    let _ = std::fs::remove_file(path);
    let mut file = std::fs::OpenOptions::new()
        .create_new(true)
        .write(true)
        .mode(mode)
        .open(path)
        .with_context(failed)?;
    file.write_all(text.as_bytes()).with_context(failed)
}
