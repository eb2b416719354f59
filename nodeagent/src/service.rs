//! One node as a running thing: started from resolved values, stopped in named steps.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use orch_link::task::{self, Task};
use orch_link::{Dialer, LinkRole, entropy, keep_open};
use orch_wire::ids::{CollectiveName, NodeName};
use orch_wire::keys::Keys;
use serde_json::{Map, Value};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::agents::{Builtin, Jobs, NodeInfo, Registry, remove_stale};
use crate::audit::{Audit, AuditSettings};
use crate::card::{self, CardBoard};
use crate::dispatch::{Command, Dispatcher, Parts};
use crate::facts::{FactSource, Printed};
use crate::files::{self, FileError};
use crate::intake::Intake;
use crate::policies::PolicySource;
use crate::problem::Problem;
use crate::record::Record;
use crate::refresh::{Snapshot, Sources};
use crate::started::Started;

/// Everything a node needs to run, with nothing left to find.
#[derive(Clone)]
pub struct NodeConfig {
    /// Its name; the one in its certificate.
    pub identity: NodeName,
    /// Where the broker is, and as whom to go there.
    pub dialer: Dialer,
    /// The keys of the fleet.
    pub keys: Keys,
    /// The collectives it listens to; the first is its main one.
    pub collectives: Vec<CollectiveName>,
    /// What must survive a restart: the record of begun writes, and a folder for each agent.
    pub state_dir: PathBuf,
    /// Folders of running external agents.
    pub run_dir: PathBuf,
    /// Where facts come from.
    pub facts: FactSource,
    /// Classes given by name.
    pub classes: Vec<String>,
    /// Puppet's `classes.txt` or the like.
    pub classes_file: Option<PathBuf>,
    /// Facts and classes are read again this often; never when zero.
    pub refresh: Duration,
    /// Where agents come from.
    pub agents: AgentSource,
    /// Configuration of external agents, each under its name.
    pub agents_config_dir: PathBuf,
    /// Who may call what.
    pub policies: PolicySource,
    /// How it keeps its audit.
    pub audit: AuditSettings,
    /// How much it does at once.
    pub limits: Limits,
    /// The node is one of a lab, on its user's machine: built-in agents change nothing.
    pub shared_machine: bool,
    /// What `node.config` shows.
    pub settings: Map<String, Value>,
}

/// Where agents come from.
#[derive(Debug, Clone)]
pub enum AgentSource {
    /// These built-in agents, and these folders, read at start and on refresh.
    Own {
        /// Built-in agents beside `node`.
        builtin: Vec<Builtin>,
        /// Folders of external agents.
        folders: Vec<PathBuf>,
        /// The folders are looked at this often, and read again where something has changed; never when zero.
        watch: Duration,
    },
    /// These, shared by the nodes of a process.
    Given(Arc<Registry>),
}

/// How much a node does at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Actions that run at once.
    pub concurrent: usize,
    /// Actions that wait for others to end; more are refused.
    pub queued: usize,
    /// Longest time limit that a caller can give to an action.
    pub action_timeout: Duration,
    /// Private memory of each process of an external agent, in bytes.
    pub action_memory: Option<u64>,
    /// Time that running actions have to end at shutdown.
    pub shutdown_grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            concurrent: 64,
            queued: 256,
            action_timeout: Duration::from_secs(3600),
            action_memory: Some(1 << 30),
            shutdown_grace: Duration::from_secs(5),
        }
    }
}

/// Why a node does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Its folders cannot be used.
    #[error("the node's state cannot be used: {}", .0.full())]
    State(#[from] FileError),
}

/// A node has not yet done what it was told before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the node is still busy with what it was told before; tell it again in a moment")]
pub struct Busy;

/// Starts nodes.
pub struct NodeService;

/// A node that runs; dropping it ends it at once, as a crash would.
#[derive(Debug)]
pub struct RunningNode {
    identity: NodeName,
    stop: CancellationToken,
    commands: mpsc::Sender<Command>,
    is_up: watch::Receiver<bool>,
    task: Task<()>,
}

impl NodeService {
    /// Starts a node on the current runtime. It keeps running while the broker is away. Reads facts and the record of
    /// begun writes, which blocks for some milliseconds.
    pub fn start(config: NodeConfig) -> Result<RunningNode, StartError> {
        let now = entropy::now();
        files::create_private_folder(&config.state_dir)?;
        remove_stale(&config.run_dir);
        let (started, problems) = Started::open(&config.state_dir, now)?;
        for problem in &problems {
            tracing::warn!(%problem, "the record of begun writes has a line that cannot be read");
        }
        let (audit, problems) =
            Audit::open(&config.state_dir.join("audit"), &config.identity, config.audit, now)?;
        for problem in &problems {
            tracing::warn!(%problem, "the audit is not as it should be");
        }
        let mut intake =
            Intake::new(config.identity.clone(), config.collectives.clone(), config.keys.clone());
        intake.restore(started.begun(), now);

        let sources = Arc::new(Sources::of(&config));
        let snapshot = sources.read(&Registry::default(), Printed::new());
        let stop = CancellationToken::new();
        let (commands, inbox) = mpsc::channel(4);
        let (up, is_up) = watch::channel(false);
        let (identity, stopping) = (config.identity.clone(), stop.clone());
        let begin = move |sources, snapshot| {
            let Snapshot { facts, digest, classes, registry, stamp, policies, problems } = snapshot;
            let info = NodeInfo {
                identity: config.identity.clone(),
                collectives: config.collectives.clone().into(),
                facts: Arc::new(facts),
                classes: classes.into(),
                registry,
                problems: problems.into(),
                misconfigured: None,
                limits: config.limits,
                state_dir: Arc::new(config.state_dir),
                run_dir: Arc::new(config.run_dir),
                agents_config_dir: Arc::new(config.agents_config_dir),
                settings: Arc::new(config.settings),
                jobs: Jobs::default(),
                started: now,
                counters: intake.counters(),
            };
            let boot_id =
                files::read_text("/proc/sys/kernel/random/boot_id".as_ref(), 256).unwrap_or_default();
            let boot_id: Arc<str> = boot_id.trim().into();
            let board = CardBoard::new(config.keys.clone(), card::describe(&info, digest, &boot_id));
            board.set_audit(audit.head());
            let role = LinkRole::Node {
                name: config.identity,
                collectives: config.collectives,
                card: board.maker(),
            };
            let (link, events) = keep_open(config.dialer, role);
            Dispatcher::new(Parts {
                intake,
                record: Record::new(started, audit),
                policies,
                info,
                sources,
                digest,
                stamp,
                board,
                boot_id,
                keys: config.keys,
                link,
                events,
                inbox,
                up,
                stop: stopping,
                refresh: config.refresh,
                shared_machine: config.shared_machine,
            })
        };
        let stopped = stop.clone();
        let task = task::spawn(async move {
            let snapshot = whole(&sources, snapshot, &stopped).await;
            begin(sources, snapshot).run().await;
        });
        Ok(RunningNode { identity, stop, commands, is_up, task })
    }
}

/// The first snapshot with the facts that programs print. A node takes no calls before it has them: a query decided on a part of
/// its facts could have it act where it must not. Each program has a limit of seconds, so it comes in any case.
async fn whole(sources: &Arc<Sources>, snapshot: Snapshot, stop: &CancellationToken) -> Snapshot {
    if !sources.have_programs() {
        return snapshot;
    }
    tracing::info!("runs the programs that print facts");
    let reading = Arc::clone(sources).read_all(Arc::clone(&snapshot.registry));
    tokio::select! {
        read = reading => match read {
            Ok(whole) => whole.resettled(),
            Err(error) => {
                tracing::error!(%error, "facts cannot be read");
                snapshot
            }
        },
        () = stop.cancelled() => snapshot,
    }
}

impl RunningNode {
    /// Its name.
    pub fn identity(&self) -> &NodeName {
        &self.identity
    }

    /// Whether its lanes are open, as it changes.
    pub fn is_up(&self) -> watch::Receiver<bool> {
        self.is_up.clone()
    }

    /// Has it go on with another configuration: all of it but its name, its keys and its folders, which stay as they are. What runs goes
    /// on as it began. Facts, classes, agents and policies are read again; where `reconnect` says so the lanes are opened anew.
    pub fn reconfigure(&self, config: NodeConfig, reconnect: bool) -> Result<(), Busy> {
        self.command(Command::Reconfigure(Box::new(config), reconnect))
    }

    /// Has it tell in `node.stats` that its configuration cannot be used, until it gets another one.
    pub fn misconfigured(&self, problem: Problem) -> Result<(), Busy> {
        self.command(Command::Misconfigured(problem))
    }

    fn command(&self, command: Command) -> Result<(), Busy> {
        self.commands.try_send(command).map_err(|_| Busy)
    }

    /// Stops it: no more calls are taken; running actions have the grace of its limits to end and are then killed and
    /// answered as `interrupted`; it says goodbye; what is to be sent is sent.
    pub async fn shutdown(self) {
        self.stop.cancel();
        self.wait().await;
    }

    /// Waits until its task has ended, without taking it.
    pub async fn ended(&self) {
        // The task holds the other end of the queue for as long as it runs.
        self.commands.closed().await;
    }

    /// Waits until it has ended.
    pub async fn wait(self) {
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the node's task ended abnormally");
        }
    }
}
