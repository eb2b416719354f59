//! The one task that owns the node's state. Actions run beside it and report to it; it waits for nothing but events.

mod calls;
mod closing;
mod knowledge;

use std::collections::{HashMap, VecDeque};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use orch_link::task::Task;
use orch_link::{LinkEvent, LinkHandle, entropy};
use orch_wire::body::Answer;
use orch_wire::ids::{CallId, Digest};
use orch_wire::keys::Keys;
use orch_wire::limits::CARD_INTERVAL;
use orch_wire::policy::Policies;
use tokio::sync::{mpsc, watch};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::agents::{NodeInfo, Registry, Stamp};
use crate::alarms::{AlarmKey, Alarms};
use crate::card::CardBoard;
use crate::intake::Intake;
use crate::outbox::Outbox;
use crate::output::{Outputs, Piece};
use crate::problem::Problem;
use crate::questions::Questions;
use crate::record::Record;
use crate::refresh::{Snapshot, Sources};
use crate::service::NodeConfig;
use crate::work::{Reply, Work};

/// What the owner of a node can ask of it.
pub(crate) enum Command {
    /// Go on with another configuration, and open the lanes anew where that is said.
    Reconfigure(Box<NodeConfig>, bool),
    /// The configuration cannot be used; the one before stays.
    Misconfigured(Problem),
}

/// Everything that the task owns at its start.
pub(crate) struct Parts {
    pub(crate) intake: Intake,
    pub(crate) record: Record,
    pub(crate) policies: Arc<Policies>,
    pub(crate) info: NodeInfo,
    pub(crate) sources: Arc<Sources>,
    pub(crate) digest: Digest,
    pub(crate) stamp: Option<Stamp>,
    pub(crate) board: Arc<CardBoard>,
    pub(crate) boot_id: Arc<str>,
    pub(crate) keys: Keys,
    pub(crate) link: LinkHandle,
    pub(crate) events: mpsc::Receiver<LinkEvent>,
    pub(crate) inbox: mpsc::Receiver<Command>,
    pub(crate) up: watch::Sender<bool>,
    pub(crate) stop: CancellationToken,
    pub(crate) refresh: Duration,
    pub(crate) shared_machine: bool,
}

/// Something to do later.
enum Alarm {
    Accept(CallId),
    Send(Box<Reply>),
    Card,
    Refresh,
    Look,
    Audit,
}

/// What is being read.
type Reading = Task<Result<News, JoinError>>;

/// What was read.
enum News {
    Whole(Box<Snapshot>),
    Agents(Option<(Arc<Registry>, Option<Stamp>)>),
}

pub(crate) struct Dispatcher {
    intake: Intake,
    record: Record,
    policies: Arc<Policies>,
    info: NodeInfo,
    /// The names in the info, as queries want them.
    agents: Vec<String>,
    collectives: Vec<String>,
    sources: Arc<Sources>,
    /// Of the facts.
    digest: Digest,
    /// Of the agents' folders as they were read.
    stamp: Option<Stamp>,
    board: Arc<CardBoard>,
    boot_id: Arc<str>,
    link: LinkHandle,
    outbox: Outbox,
    events: mpsc::Receiver<LinkEvent>,
    inbox: mpsc::Receiver<Command>,
    up: watch::Sender<bool>,
    stop: CancellationToken,
    refresh: Duration,
    shared_machine: bool,
    actions: JoinSet<Answer>,
    outputs: Outputs,
    pieces: mpsc::Receiver<Piece>,
    calls: HashMap<Id, CallId>,
    questions: Questions,
    stops: HashMap<CallId, CancellationToken>,
    /// Alarms of calls that have not said `accepted` yet.
    accepts: HashMap<CallId, AlarmKey>,
    queue: VecDeque<Box<Work>>,
    alarms: Alarms<Alarm>,
    /// How many of the alarms are replies.
    delayed: usize,
    /// An alarm is set for the lines of the audit that wait.
    audit_alarm: bool,
    reading: Option<Reading>,
    /// The next reading was asked for.
    is_asked: bool,
    refresh_alarm: Option<AlarmKey>,
    look_alarm: Option<AlarmKey>,
}

impl Dispatcher {
    pub(crate) fn new(parts: Parts) -> Self {
        let outbox = Outbox::new(parts.info.identity.clone(), parts.keys, parts.link.sender());
        let (outputs, pieces) = Outputs::new();
        Self {
            intake: parts.intake,
            record: parts.record,
            policies: parts.policies,
            agents: parts.info.registry.names(),
            collectives: parts.info.collectives.iter().map(ToString::to_string).collect(),
            info: parts.info,
            sources: parts.sources,
            digest: parts.digest,
            stamp: parts.stamp,
            board: parts.board,
            boot_id: parts.boot_id,
            link: parts.link,
            outbox,
            events: parts.events,
            inbox: parts.inbox,
            up: parts.up,
            stop: parts.stop,
            refresh: parts.refresh,
            shared_machine: parts.shared_machine,
            actions: JoinSet::new(),
            outputs,
            pieces,
            calls: HashMap::new(),
            questions: Questions::default(),
            stops: HashMap::new(),
            accepts: HashMap::new(),
            queue: VecDeque::new(),
            alarms: Alarms::default(),
            delayed: 0,
            audit_alarm: false,
            reading: None,
            is_asked: false,
            refresh_alarm: None,
            look_alarm: None,
        }
    }

    pub(crate) async fn run(mut self) {
        self.report_problems();
        self.set_card_alarm();
        self.set_refresh_alarm();
        self.set_look_alarm();
        let stop = self.stop.clone();
        let mut stopped = pin!(stop.cancelled());
        // One timer for the life of the task: it is set only when the first alarm is another one.
        let mut timer = pin!(sleep_until(Instant::now()));
        loop {
            // Where nothing runs and nothing was asked, nothing can come of it: to look costs a node among many more than the work.
            let (acts, asks) = (!self.actions.is_empty(), !self.questions.is_empty());
            let alarm = self.alarms.next();
            if let Some(at) = alarm
                && timer.deadline() != at
            {
                timer.as_mut().reset(at);
            }
            tokio::select! {
                () = &mut stopped => break,
                event = self.events.recv() => match event {
                    Some(event) => self.link_event(event),
                    None => break,
                },
                Some(ended) = self.actions.join_next_with_id(), if acts => self.action_ended(ended),
                Some((call, asked, answer)) = self.questions.next(), if asks => self.answered(call, asked, answer),
                Some(piece) = self.pieces.recv(), if acts => self.pass_on(piece),
                () = &mut timer, if alarm.is_some() => self.ring(),
                Some(command) = self.inbox.recv() => match command {
                    Command::Reconfigure(config, reconnect) => self.reconfigure(*config, reconnect),
                    Command::Misconfigured(problem) => self.info.misconfigured = Some(Arc::new(problem)),
                },
                news = joined(&mut self.reading), if self.reading.is_some() => self.take(news),
            }
        }
        self.shut_down().await;
    }
    fn link_event(&mut self, event: LinkEvent) {
        match event {
            LinkEvent::Message(frames) => self.message(&frames),
            LinkEvent::Up => {
                tracing::info!("the lanes to the broker are open");
                self.up.send_replace(true);
            }
            LinkEvent::Down { error, retry_in } => {
                if self.up.send_replace(false) {
                    self.intake.counters.reconnects += 1;
                }
                tracing::warn!(%error, help = error.help(), ?retry_in, "no lanes to the broker");
            }
        }
    }

    /// A little early and never twice at the same distance, so that a fleet started at once does not stay in step.
    fn set_card_alarm(&mut self) {
        let jitter = Duration::from_millis(entropy::nonce() % 10_000);
        self.alarms.set(CARD_INTERVAL.saturating_sub(jitter), Alarm::Card);
    }

    fn set_refresh_alarm(&mut self) {
        let wanted = Some(self.refresh).filter(|refresh| !refresh.is_zero());
        self.refresh_alarm = wanted.and_then(|refresh| self.alarms.set(refresh, Alarm::Refresh));
    }

    fn set_look_alarm(&mut self) {
        self.look_alarm = self.sources.watch().and_then(|watch| self.alarms.set(watch, Alarm::Look));
    }

    fn ring(&mut self) {
        while let Some(alarm) = self.alarms.pop_due() {
            match alarm {
                Alarm::Accept(call) => self.accept(call),
                Alarm::Send(reply) => {
                    self.delayed -= 1;
                    self.send_reply(&reply);
                }
                Alarm::Card => {
                    self.send_card(false);
                    self.set_card_alarm();
                }
                Alarm::Audit => {
                    self.audit_alarm = false;
                    self.record.flush_audit();
                }
                Alarm::Refresh => {
                    self.read_again();
                    self.set_refresh_alarm();
                }
                Alarm::Look => {
                    self.look_at_agents();
                    self.set_look_alarm();
                }
            }
        }
    }

    fn send_card(&mut self, goodbye: bool) {
        // While the lanes are down a card would only be stale when they open; opening brings its own.
        if *self.up.borrow() {
            self.board.set_audit(self.record.audit_state().0);
            let sent = self.outbox.send(self.board.frames(entropy::nonce(), goodbye));
            self.intake.counters.unsent += u64::from(!sent);
        }
    }
}

async fn joined(reading: &mut Option<Reading>) -> Result<News, JoinError> {
    match reading {
        Some(reading) => reading.await.flatten(),
        None => std::future::pending().await,
    }
}
