//! Puts the parts together and takes them down in order.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use orch_link::socket_dir::SocketDir;
use orch_link::task::{self, Task};
use orch_link::tls::{Credentials, CredentialsError};
use orch_wire::ids::{BrokerName, Party};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::admission::{Admission, Entrance};
use crate::connections::Connections;
use crate::control::Sources;
use crate::gate::Gate;
use crate::handshakes::Handshakes;
use crate::keeper::{self, KeeperHandle};
use crate::lanes::{Forwarded, Lanes, RunningLane};
use crate::ledger::Ledger;
use crate::roster_store::{RosterStore, StoreError};

/// Connections that a broker takes unless told otherwise.
pub const CONNECTIONS: usize = 20_000;
/// Connections that one operator may have unless told otherwise.
pub const OPERATOR_CONNECTIONS: usize = 1000;
/// Handshakes at once unless told otherwise.
pub const HANDSHAKES: usize = 1024;

/// At a stop, messages under way have this long to arrive.
const DRAIN: Duration = Duration::from_secs(1);
/// The lanes count as drained when nothing was forwarded for this long.
const QUIET: Duration = Duration::from_millis(50);
/// Connections that are told to end have this long before they are cut.
const FORCE: Duration = Duration::from_secs(2);

/// What a broker is made of; everything is read and resolved.
#[derive(Debug, Clone)]
pub struct BrokerConfig {
    /// The broker's certificate and key, and the fleet's CA.
    pub credentials: Credentials,
    /// Who is let in.
    pub admission: Admission,
    /// Folder of the roster; made where it is missing.
    pub state_dir: PathBuf,
    /// Folder below which the sockets' folder is made.
    pub run_dir: PathBuf,
    /// Connections of known parties at once.
    pub connections: usize,
    /// Connections of one operator at once.
    pub operator_connections: usize,
    /// Handshakes at once.
    pub handshakes: usize,
}

impl BrokerConfig {
    /// A configuration with the defaults for all but these.
    pub fn new(credentials: Credentials, state_dir: PathBuf, run_dir: PathBuf) -> Self {
        Self {
            credentials,
            admission: Admission::default(),
            state_dir,
            run_dir,
            connections: CONNECTIONS,
            operator_connections: OPERATOR_CONNECTIONS,
            handshakes: HANDSHAKES,
        }
    }
}

/// Why a broker cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The certificate is not a broker's.
    #[error("the certificate is that of {0}, not of a broker: it needs a URI `orch://broker/NAME`")]
    NotABroker(Party),
    /// The credentials or the revocation list cannot be used.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// The state folder is another broker's.
    #[error("another broker uses the state folder {}", .0.display())]
    StateInUse(PathBuf),
    /// The state folder cannot be used.
    #[error("cannot use the state folder {}", path.display())]
    State {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The run folder cannot be used.
    #[error("cannot use the run folder")]
    Run(#[source] std::io::Error),
    /// The lanes' sockets cannot be bound.
    #[error("cannot bind the sockets of the lanes: {0}")]
    Lanes(String),
    /// The listener is not usable.
    #[error("the listener cannot be used")]
    Listener(#[source] std::io::Error),
}

/// The broker.
#[derive(Debug)]
pub struct Broker;

impl Broker {
    /// Starts a broker on a listener, which the caller binds: with port 0 it serves a test or a lab.
    pub async fn start(config: BrokerConfig, listener: TcpListener) -> Result<RunningBroker, StartError> {
        let name = match config.credentials.party() {
            Party::Broker(name) => name.clone(),
            other => return Err(StartError::NotABroker(other.clone())),
        };
        let local_addr = listener.local_addr().map_err(StartError::Listener)?;
        let entrance = Entrance::new(&config.credentials, config.admission)?;
        let store = RosterStore::open(&config.state_dir).map_err(|error| match error {
            StoreError::InUse => StartError::StateInUse(config.state_dir.clone()),
            StoreError::Io(source) => StartError::State { path: config.state_dir.clone(), source },
        })?;
        let folder = SocketDir::create(&config.run_dir).map_err(StartError::Run)?;
        let lanes = Lanes::start(&name, &folder).await.map_err(|e| StartError::Lanes(e.to_string()))?;
        let connections = Arc::new(Connections::new(config.operator_connections));
        let (keeper, keeper_task) = keeper::start(name.clone(), store, Arc::clone(&connections));

        let stop = CancellationToken::new();
        let gate = Arc::new(Gate {
            credentials: config.credentials,
            entrance: Mutex::new(Arc::new(entrance)),
            sockets: lanes.sockets,
            sources: Sources {
                name: name.clone(),
                keeper: keeper.clone(),
                connections,
                ledger: Arc::new(Ledger::default()),
                forwarded: Arc::clone(&lanes.forwarded),
            },
            room: Arc::new(Semaphore::new(config.connections.min(Semaphore::MAX_PERMITS))),
            handshakes: Handshakes::new(config.handshakes),
            hush: Mutex::default(),
            stop: stop.clone(),
        });
        let closing = CancellationToken::new();
        let accepting = task::spawn(Arc::clone(&gate).run(listener, closing.clone()));
        Ok(RunningBroker {
            name,
            gate,
            local_addr,
            closing,
            stop,
            keeper,
            forwarded: lanes.forwarded,
            accepting,
            call_lane: lanes.call,
            reply_lane: lanes.reply,
            keeper_task,
            _folder: folder,
        })
    }
}

/// A broker at work. Dropping it cuts everything, as a crash would; [`RunningBroker::shutdown`] ends it in order.
pub struct RunningBroker {
    name: BrokerName,
    gate: Arc<Gate>,
    local_addr: SocketAddr,
    closing: CancellationToken,
    stop: CancellationToken,
    keeper: KeeperHandle,
    forwarded: Arc<Forwarded>,
    accepting: Task<JoinSet<()>>,
    call_lane: RunningLane,
    reply_lane: RunningLane,
    keeper_task: Task<()>,
    _folder: SocketDir,
}

impl RunningBroker {
    /// The broker's name, from its certificate.
    pub fn name(&self) -> &BrokerName {
        &self.name
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Lets in by another rule from now on, and closes the connections that would not be let in by it, or not as
    /// what they are: how many. After an error everything is as it was.
    pub fn readmit(&self, admission: Admission) -> Result<usize, CredentialsError> {
        self.gate.readmit(admission)
    }

    /// Waits until a part of the broker has ended that never should: which one.
    pub async fn wait(&mut self) -> &'static str {
        tokio::select! {
            _ = &mut self.accepting => "the gate",
            () = &mut self.call_lane => "the call lane",
            () = &mut self.reply_lane => "the reply lane",
            _ = &mut self.keeper_task => "the roster's keeper",
        }
    }

    /// Ends the broker: stops accepting, lets what is under way arrive, then ends the connections; what is not gone
    /// two seconds later is cut. The roster is kept as it was while everybody was here.
    pub async fn shutdown(self) {
        self.closing.cancel();
        let open = self.accepting.await;
        self.keeper.stop().await;
        drained(&self.forwarded).await;
        self.stop.cancel();
        if let Ok(mut open) = open {
            let ended = async { while open.join_next().await.is_some() {} };
            if timeout(FORCE, ended).await.is_err() {
                tracing::warn!(connections = open.len(), "cut what did not end in time");
            }
        }
    }
}

/// Waits until the lanes are quiet.
async fn drained(forwarded: &Forwarded) {
    let count = || (forwarded.calls.load(Ordering::Relaxed), forwarded.replies.load(Ordering::Relaxed));
    let deadline = Instant::now() + DRAIN;
    let mut before = count();
    while Instant::now() < deadline {
        sleep(QUIET).await;
        let now = count();
        if now == before {
            return;
        }
        before = now;
    }
}
