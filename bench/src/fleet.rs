//! orch: the broker and the nodes in their processes, and a session in this one.

use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use orch_link::socket_dir::SocketDir;
use orch_link::tls::Credentials;
use orch_link::{Dialer, control};
use orch_runner::client::{CallReport, CallRequest, Manner, Scope, Session, SessionConfig};
use orch_runner::pki::{Authority, BrokerHost, CertPem, new_psk};
use orch_wire::control::{Reply, Request, Status};
use orch_wire::ids::{BrokerName, CollectiveName, NodeName, OperatorName, Party};
use orch_wire::keys::Keys;
use orch_wire::limits::CONTROL_REPLY_BYTES;
use orch_wire::outcome::Outcome;
use orch_wire::query::Query;
use serde_json::Map;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use crate::nodes;
use crate::part::{Cost, Part};

/// The query of the reads: facts of three depths, true on every node.
pub(crate) const QUERY: &str = "environment = production and os.family = Debian and processors.count >= 4";
const HOST: &str = "127.0.0.1";
/// The broker must listen by then.
const LISTENING: Duration = Duration::from_secs(20);

/// The two kinds of rounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `node.ping`, by query.
    Read,
    /// A write, by a list of identities.
    Write,
}

/// A fleet at work.
pub(crate) struct Fleet {
    session: Session,
    names: Vec<NodeName>,
    query: Query,
    nodes: Part,
    broker: Option<Part>,
    dialer: Dialer,
    writes: usize,
    // Last: the files go when nothing uses them.
    folder: tempfile::TempDir,
}

impl Fleet {
    /// Starts broker and nodes, waits until all nodes are here, and opens a session.
    pub(crate) fn start(runtime: &Runtime, count: usize, base: &Path) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("orch-bench-").tempdir_in(base)?;
        let home = folder.path();
        let authority = Authority::new()?;
        let psk = new_psk();
        write(&home.join("psk"), &psk.to_text())?;
        write(&home.join("ca.pem"), authority.ca_pem())?;
        write(&home.join("count"), &count.to_string())?;
        let names: Vec<NodeName> = (0..count).map(nodes::name).collect::<Result<_>>()?;
        for name in &names {
            let pem = authority.issue(&Party::Node(name.clone()), &[])?;
            write_pem(home, name.as_str(), &pem)?;
        }
        let pem =
            authority.issue(&Party::Broker(BrokerName::new("bench")?), &[HOST.parse::<BrokerHost>()?])?;
        write_pem(home, "broker", &pem)?;
        let (broker, address) = start_broker(home, &format!("{HOST}:0"))?;
        let arguments =
            ["nodes", "--folder", &home.to_string_lossy(), "--broker", &address].map(str::to_owned);
        let mut nodes = Part::of_this_program(&arguments)?;
        nodes.line()?;

        let operator = authority.issue(&Party::Operator(OperatorName::new("bench")?), &[])?;
        let credentials = Credentials::from_pem(authority.ca_pem(), &operator.cert, &operator.key)?;
        let sockets = Arc::new(SocketDir::create(&home.join("run"))?);
        let dialer = Dialer::new(&address, HOST, credentials, sockets, Duration::from_secs(10))?;
        let config = SessionConfig {
            dialer: dialer.clone(),
            keys: Keys::derive(&psk),
            collective: CollectiveName::main(),
            discovery_timeout: Duration::from_secs(10),
        };
        let session = runtime.block_on(Session::connect(config))?;
        let query = Query::parse(QUERY)?;
        Ok(Self { session, names, query, nodes, broker: Some(broker), dialer, writes: 0, folder })
    }

    pub(crate) fn names(&self) -> &[NodeName] {
        &self.names
    }

    /// One round: a call to all nodes, and the outcome of each.
    pub(crate) fn round(&mut self, runtime: &Runtime, kind: Kind) -> Result<Duration> {
        let (scope, agent, action) = match kind {
            Kind::Read => (Scope::Query(self.query.clone()), "node", "ping"),
            Kind::Write => (Scope::Nodes(self.names.clone()), "bench", "count"),
        };
        let request = CallRequest {
            scope,
            run: self.session.run(),
            agent: agent.parse()?,
            action: action.parse()?,
            args: Map::new(),
            timeout: Duration::from_secs(10),
            write: kind == Kind::Write,
            script: None,
            commit: None,
            dry_run: false,
            manner: Manner::default(),
            resend: None,
        };
        let began = Instant::now();
        let called = self.session.call(request, Arc::new(|_| {}), CancellationToken::new());
        let report = runtime.block_on(called)?;
        let took = began.elapsed();
        self.check(&report)?;
        if kind == Kind::Write {
            self.writes += self.names.len();
        }
        Ok(took)
    }

    fn check(&self, report: &CallReport) -> Result<()> {
        let ok = report.results.iter().filter(|result| result.outcome == Outcome::Ok).count();
        ensure!(
            ok == self.names.len() && report.results.len() == ok,
            "orch: {ok} of {} ok, {} results, unanswered {:?}",
            self.names.len(),
            report.results.len(),
            report.unanswered
        );
        Ok(())
    }

    /// Asserts that each write was done exactly once.
    pub(crate) fn check_writes(&mut self) -> Result<()> {
        let done: usize = self.nodes.ask("writes")?.parse()?;
        ensure!(done == self.writes, "{done} writes were done, {} were asked for", self.writes);
        Ok(())
    }

    /// What broker and nodes have cost.
    pub(crate) fn costs(&self) -> Result<[Cost; 2]> {
        Ok([self.broker.as_ref().context("no broker runs")?.cost()?, self.nodes.cost()?])
    }

    /// Kills the broker and starts it again where it was; returns once it listens.
    pub(crate) fn restart_broker(&mut self) -> Result<()> {
        self.broker = None;
        self.broker = Some(start_broker(self.folder.path(), self.dialer.address())?.0);
        Ok(())
    }

    /// What the broker says of itself.
    pub(crate) fn status(&self, runtime: &Runtime) -> Result<Status> {
        runtime.block_on(async {
            let mut stream = control::connect(&self.dialer).await?;
            stream.send(&Request::Status).await?;
            match stream.recv::<Reply>(CONTROL_REPLY_BYTES).await? {
                Some(Reply::Status(status)) => Ok(*status),
                other => anyhow::bail!("the broker answered {other:?}"),
            }
        })
    }
}

fn start_broker(home: &Path, listen: &str) -> Result<(Part, String)> {
    let program = std::env::current_exe()?.with_file_name("orch-broker");
    ensure!(program.exists(), "build the broker first: there is no {}", program.display());
    let config = format!(
        "listen = \"{listen}\"\nstate = \"broker\"\nrun = \"{}\"\nlog = \"error\"\n\
         [tls]\nca = \"ca.pem\"\ncert = \"broker.cert.pem\"\nkey = \"broker.key.pem\"\n",
        home.join("run").display()
    );
    std::fs::write(home.join("broker.toml"), config)?;
    let port_file = home.join("port");
    let _ = std::fs::remove_file(&port_file);
    let mut command = Command::new(program);
    command.arg("--config").arg(home.join("broker.toml")).arg("--port-file").arg(&port_file);
    let broker = Part::start(command)?;
    let deadline = Instant::now() + LISTENING;
    loop {
        if let Ok(text) = std::fs::read_to_string(&port_file)
            && let Some(port) = text.trim().rsplit(':').next().and_then(|port| port.parse::<u16>().ok())
        {
            return Ok((broker, format!("{HOST}:{port}")));
        }
        ensure!(Instant::now() < deadline, "the broker does not listen");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn write_pem(home: &Path, name: &str, pem: &CertPem) -> Result<()> {
    write(&home.join(format!("{name}.cert.pem")), &pem.cert)?;
    write(&home.join(format!("{name}.key.pem")), &pem.key)
}

fn write(path: &Path, text: &str) -> Result<()> {
    use std::io::Write as _;
    let mut file = std::fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes()).with_context(|| path.display().to_string())
}
