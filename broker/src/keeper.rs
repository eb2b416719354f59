//! The one task that owns the roster: hears from the gate, tells watchers, writes the file.

use std::sync::Arc;
use std::time::Duration;

use orch_link::entropy;
use orch_link::task::{self, Task};
use orch_wire::control::{self, Change};
use orch_wire::ids::{BrokerName, NodeName};
use orch_wire::time::Timestamp;
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::connections::Connections;
use crate::roster::{CardSeen, ConnId, Counts, Forgotten, Roster};
use crate::roster_store::{Loaded, RosterStore};

/// Events that may wait for the keeper: a fleet of a thousand that comes at once.
const EVENTS: usize = 8192;
/// Changes that a watcher may be behind before it misses some.
const FEED: usize = 4096;
/// How often time is told to the roster and the connections.
const TICK: Duration = Duration::from_secs(1);
/// Nodes that came or went are written after this time, so that a fleet that comes at once costs one write.
const SAVE_PRESENCE: Duration = Duration::from_secs(1);
/// A card that only took the place of another is in no hurry: all are renewed each minute.
const SAVE_CARDS: Duration = Duration::from_secs(60);

/// What the gate has seen.
#[derive(Debug)]
pub(crate) enum Event {
    Connected { node: NodeName, conn: ConnId },
    Card { conn: ConnId, card: CardSeen },
    AckDelivered { conn: ConnId, nonce: u64 },
    Disconnected { conn: ConnId },
    Ask(Ask),
}

/// What others want to know of the keeper, with where the answer goes.
#[derive(Debug)]
pub(crate) enum Ask {
    Roster(oneshot::Sender<Snapshot>),
    Summary(oneshot::Sender<Summary>),
    Forget(Vec<NodeName>, oneshot::Sender<Forgotten>),
    /// The broker stops: nodes that end from now on are not away, they were here until the end.
    Stop(oneshot::Sender<()>),
}

/// The roster at a moment, and the changes from then on.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) roster: control::Roster,
    pub(crate) changes: broadcast::Receiver<Arc<Change>>,
}

/// The roster in numbers.
#[derive(Debug)]
pub(crate) struct Summary {
    pub(crate) started: Timestamp,
    pub(crate) settled: bool,
    pub(crate) counts: Counts,
}

/// The keeper is gone: the broker stops.
#[derive(Debug, thiserror::Error)]
#[error("the broker is stopping")]
pub(crate) struct Stopping;

/// Speaks to the keeper.
#[derive(Debug, Clone)]
pub(crate) struct KeeperHandle(mpsc::Sender<Event>);

impl KeeperHandle {
    /// Tells what must not be lost; waits while the keeper is behind.
    pub(crate) async fn tell(&self, event: Event) {
        // A keeper that is gone is a broker that stops.
        let _ = self.0.send(event).await;
    }

    /// Tells what the peer repeats if it is lost; false when there is no room.
    pub(crate) fn try_tell(&self, event: Event) -> bool {
        self.0.try_send(event).is_ok()
    }

    async fn ask<T>(&self, ask: impl FnOnce(oneshot::Sender<T>) -> Ask) -> Result<T, Stopping> {
        let (to, answer) = oneshot::channel();
        self.0.send(Event::Ask(ask(to))).await.map_err(|_| Stopping)?;
        answer.await.map_err(|_| Stopping)
    }

    pub(crate) async fn roster(&self) -> Result<Snapshot, Stopping> {
        self.ask(Ask::Roster).await
    }

    pub(crate) async fn summary(&self) -> Result<Summary, Stopping> {
        self.ask(Ask::Summary).await
    }

    pub(crate) async fn forget(&self, nodes: Vec<NodeName>) -> Result<Forgotten, Stopping> {
        self.ask(|to| Ask::Forget(nodes, to)).await
    }

    /// Writes the roster as it is and ends.
    pub(crate) async fn stop(&self) {
        // Where the keeper is gone already there is nothing to write.
        let _ = self.ask(Ask::Stop).await;
    }
}

/// Starts the keeper with what the store remembers.
pub(crate) fn start(
    name: BrokerName,
    store: RosterStore,
    connections: Arc<Connections>,
) -> (KeeperHandle, Task<()>) {
    let started = entropy::now();
    let remembered = match store.load() {
        Loaded::Nothing => Some(Vec::new()),
        Loaded::Nodes(nodes) => Some(nodes),
        Loaded::Unreadable(problem) => {
            tracing::error!("starting without the roster that was: {problem}");
            None
        }
    };
    let (to, events) = mpsc::channel(EVENTS);
    let keeper = Keeper {
        name,
        started,
        up: Instant::now(),
        roster: Roster::new(started, remembered),
        feed: broadcast::channel(FEED).0,
        store: Arc::new(store),
        save_at: None,
        saving: None,
        connections,
    };
    (KeeperHandle(to), task::spawn(keeper.run(events)))
}

struct Keeper {
    name: BrokerName,
    started: Timestamp,
    up: Instant,
    roster: Roster,
    feed: broadcast::Sender<Arc<Change>>,
    store: Arc<RosterStore>,
    save_at: Option<Instant>,
    saving: Option<tokio::task::JoinHandle<()>>,
    connections: Arc<Connections>,
}

impl Keeper {
    async fn run(mut self, mut events: mpsc::Receiver<Event>) {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                event = events.recv() => match event {
                    None => return,
                    Some(Event::Ask(Ask::Stop(done))) => {
                        self.last_save().await;
                        let _ = done.send(());
                        return;
                    }
                    Some(event) => self.hear(event),
                },
                _ = ticks.tick() => self.tick(),
            }
        }
    }

    fn hear(&mut self, event: Event) {
        let now = entropy::now();
        match event {
            Event::Connected { node, conn } => self.roster.connected(now, &node, conn),
            Event::Card { conn, card } => {
                self.roster.card(now, conn, card);
                self.save_within(SAVE_CARDS);
            }
            Event::AckDelivered { conn, nonce } => self.roster.ack_delivered(now, conn, nonce),
            Event::Disconnected { conn } => self.roster.disconnected(now, conn),
            Event::Ask(ask) => self.answer(ask),
        }
        self.publish();
    }

    /// An asker that is gone does not want its answer any more.
    fn answer(&mut self, ask: Ask) {
        match ask {
            Ask::Roster(to) => {
                let _ = to.send(Snapshot {
                    roster: control::Roster {
                        broker: self.name.clone(),
                        started: self.started,
                        settled: self.roster.settled(),
                        expected: self.roster.expected(),
                        nodes: self.roster.entries(),
                    },
                    changes: self.feed.subscribe(),
                });
            }
            Ask::Summary(to) => {
                let _ = to.send(Summary {
                    started: self.started,
                    settled: self.roster.settled(),
                    counts: self.roster.counts(),
                });
            }
            Ask::Forget(nodes, to) => {
                let _ = to.send(self.roster.forget(&nodes));
            }
            Ask::Stop(_) => {}
        }
    }

    fn tick(&mut self) {
        self.roster.tick(entropy::now(), self.up.elapsed());
        self.publish();
        self.connections.sweep();
        if self.save_at.is_some_and(|at| at <= Instant::now())
            && self.saving.as_ref().is_none_or(tokio::task::JoinHandle::is_finished)
        {
            self.save_at = None;
            self.saving = Some(self.save());
        }
    }

    fn publish(&mut self) {
        for change in self.roster.take_changes() {
            match &change {
                Change::Node(entry) => {
                    tracing::debug!(node = %entry.node, presence = ?entry.presence, "roster");
                }
                Change::Settled => tracing::info!("the roster has settled"),
                Change::Forgotten(node) => tracing::info!(%node, "forgotten"),
                Change::Missed => {}
            }
            self.save_within(SAVE_PRESENCE);
            // Without watchers there is nobody to send to.
            let _ = self.feed.send(Arc::new(change));
        }
    }

    fn save_within(&mut self, span: Duration) {
        let at = Instant::now() + span;
        self.save_at = Some(self.save_at.map_or(at, |before| before.min(at)));
    }

    /// Encodes and writes beside the runtime: nobody waits for the disk.
    fn save(&self) -> tokio::task::JoinHandle<()> {
        let (store, nodes) = (Arc::clone(&self.store), self.roster.remembered());
        tokio::task::spawn_blocking(move || {
            if let Err(error) = store.save(nodes) {
                tracing::error!("cannot write {}: {error}", store.path().display());
            }
        })
    }

    async fn last_save(&mut self) {
        // In order: an older write must not come last.
        if let Some(saving) = self.saving.take() {
            let _ = saving.await;
        }
        let _ = self.save().await;
    }
}
