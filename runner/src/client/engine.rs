//! The one task of a session: it owns the calls in progress, the verified roster and what goes out.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use orch_link::LinkEvent;
use orch_wire::body::Answer;
use orch_wire::control::Roster;
use orch_wire::envelope::{self, Frames};
use orch_wire::header::{Kind, Stage, Target};
use orch_wire::ids::{CallId, NodeName, Party};
use orch_wire::outcome::{NodeResult, Outcome};
use orch_wire::topic::Topic;
use tokio::sync::{mpsc, oneshot};

use super::collector::{Collector, Noted, Plan, Standing};
use super::compose::{Addressees, Composer, Errand};
use super::feed::FeedEvent;
use super::roster::VerifiedRoster;
use super::types::{CallError, CallEvent, CallReport, CallRequest, EventSink, Fleet, Scope};

/// A call waits this long for lanes that are down before it gives up unsent: longer than the longest backoff.
const LANES_BACK: Duration = Duration::from_secs(20);
/// A call waits this long for a roster that has not settled: the broker itself waits 60 s at most.
const ROSTER_SETTLED: Duration = Duration::from_secs(65);

/// What handles ask of the task.
pub(super) enum Command {
    Call {
        call: CallId,
        request: Box<CallRequest>,
        events: EventSink,
        reply: oneshot::Sender<Result<CallReport, CallError>>,
    },
    Cancel {
        call: CallId,
    },
    Fleet {
        reply: oneshot::Sender<Result<Fleet, CallError>>,
        events: EventSink,
    },
}

/// A call in progress.
struct Active {
    request: Box<CallRequest>,
    events: EventSink,
    reply: oneshot::Sender<Result<CallReport, CallError>>,
    collector: Collector,
    query: Option<String>,
    away: Vec<NodeName>,
    foreign: Vec<NodeName>,
}

/// Something that waits until the lanes are up and the roster has settled.
struct Waiting {
    since: Instant,
    command: Command,
}

pub(super) struct Engine {
    composer: Composer,
    discovery: Duration,
    roster: VerifiedRoster,
    roster_is_live: bool,
    lanes_are_up: bool,
    lanes_lost: String,
    outgoing: mpsc::Sender<Frames>,
    outbox: VecDeque<Frames>,
    calls: HashMap<CallId, Active>,
    waiting: Vec<Waiting>,
}

impl Engine {
    pub(super) fn new(
        composer: Composer,
        discovery: Duration,
        roster: Roster,
        outgoing: mpsc::Sender<Frames>,
    ) -> Self {
        let roster = VerifiedRoster::new(roster, &composer.keys, &composer.collective);
        Self {
            composer,
            discovery,
            roster,
            roster_is_live: true,
            lanes_are_up: true,
            lanes_lost: String::new(),
            outgoing,
            outbox: VecDeque::new(),
            calls: HashMap::new(),
            waiting: Vec::new(),
        }
    }

    /// Runs until all handles are gone.
    pub(super) async fn run(
        mut self,
        mut commands: mpsc::Receiver<Command>,
        mut link: mpsc::Receiver<LinkEvent>,
        mut feed: mpsc::Receiver<FeedEvent>,
    ) {
        loop {
            let tick = self.next_tick();
            let outgoing = self.outgoing.clone();
            tokio::select! {
                command = commands.recv() => match command {
                    Some(command) => self.command(command),
                    None => break,
                },
                Some(event) = link.recv() => self.link(event),
                Some(event) = feed.recv() => self.feed(event),
                Ok(permit) = outgoing.reserve(), if !self.outbox.is_empty() => {
                    if let Some(frames) = self.outbox.pop_front() {
                        permit.send(frames);
                    }
                }
                () = sleep_until(tick) => self.tick(),
            }
        }
        // A cancel that was just queued should still go out.
        for frames in self.outbox {
            let _ = self.outgoing.try_send(frames);
        }
    }

    fn is_ready(&self) -> bool {
        self.lanes_are_up && self.roster_is_live && self.roster.is_settled()
    }

    fn next_tick(&self) -> Option<Instant> {
        let waited = self.waiting.iter().map(|waiting| waiting.since + self.patience());
        self.calls.values().map(|active| active.collector.next_tick()).chain(waited).min()
    }

    fn patience(&self) -> Duration {
        if self.lanes_are_up { ROSTER_SETTLED } else { LANES_BACK }
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Cancel { call } => self.cancel(call),
            command if self.is_ready() => self.start(command),
            command => {
                let (Command::Call { events, .. } | Command::Fleet { events, .. }) = &command else { return };
                events(CallEvent::Notice(self.why_not_ready()));
                self.waiting.push(Waiting { since: Instant::now(), command });
            }
        }
    }

    fn why_not_ready(&self) -> String {
        if !self.lanes_are_up {
            return format!("the connection to the broker is down ({}); trying again", self.lanes_lost);
        }
        match self.roster.expected() {
            _ if !self.roster_is_live => "waiting for the broker's roster".to_owned(),
            0 => "the broker has just started; waiting for its roster to settle".to_owned(),
            1 => "the broker has just started; waiting for 1 node to come back".to_owned(),
            n => format!("the broker has just started; waiting for {n} nodes to come back"),
        }
    }

    fn start(&mut self, command: Command) {
        match command {
            Command::Fleet { reply, .. } => {
                let _ = reply.send(Ok(self.roster.fleet()));
            }
            Command::Call { call, request, events, reply } => self.start_call(call, request, events, reply),
            Command::Cancel { call } => self.cancel(call),
        }
    }

    fn start_call(
        &mut self,
        call: CallId,
        request: Box<CallRequest>,
        events: EventSink,
        reply: oneshot::Sender<Result<CallReport, CallError>>,
    ) {
        let (nodes, query, to): (Vec<NodeName>, Option<String>, Addressees) = match &request.scope {
            Scope::Query(query) => {
                let text = query.to_string();
                let to = Addressees::Collective(Target::Query(text.clone()));
                (self.roster.here().cloned().collect(), Some(text), to)
            }
            Scope::All => {
                (self.roster.not_left().cloned().collect(), None, Addressees::Collective(Target::All))
            }
            Scope::Nodes(nodes) => {
                let to = Addressees::Nodes { nodes: nodes.clone(), query: None };
                (nodes.clone(), None, to)
            }
        };
        let messages = match self.composer.messages(Errand::Call, call, &request, &to) {
            Ok(messages) => messages,
            Err(error) => {
                let _ = reply.send(Err(CallError::TooLarge(error.to_string())));
                return;
            }
        };
        let standings: Vec<(NodeName, Standing)> =
            nodes.into_iter().map(|node| (node.clone(), self.roster.standing(&node))).collect();
        let (away, foreign) = match &request.scope {
            Scope::All | Scope::Query(_) => (self.roster.away(), self.roster.foreign()),
            Scope::Nodes(_) => (of(&standings, Standing::Absent), of(&standings, Standing::Foreign)),
        };
        let plan = Plan {
            by_query: query.is_some(),
            open: !matches!(request.scope, Scope::Nodes(_)),
            nodes: standings,
            timeout: request.timeout,
            discovery: self.discovery,
        };
        events(CallEvent::Planned { expected: plan.nodes.len() });
        let collector = Collector::new(plan, Instant::now());
        self.outbox.extend(messages);
        self.calls.insert(call, Active { request, events, reply, collector, query, away, foreign });
        self.finish_if_complete(call);
    }

    fn link(&mut self, event: LinkEvent) {
        match event {
            LinkEvent::Message(frames) => self.message(&frames),
            LinkEvent::Up => {
                self.lanes_are_up = true;
                self.ready_again();
            }
            LinkEvent::Down { error, .. } => {
                if self.lanes_are_up {
                    self.lanes_lost = error.to_string();
                }
                self.lanes_are_up = false;
                self.suspend();
            }
        }
    }

    fn feed(&mut self, event: FeedEvent) {
        match event {
            FeedEvent::Lost => {
                self.roster_is_live = false;
                self.suspend();
            }
            FeedEvent::Roster(roster) => {
                let Composer { keys, collective, .. } = &self.composer;
                let before =
                    std::mem::replace(&mut self.roster, VerifiedRoster::new(roster, keys, collective));
                self.roster_is_live = true;
                let mut names: Vec<NodeName> = before.names().chain(self.roster.names()).cloned().collect();
                names.sort();
                names.dedup();
                for node in names {
                    self.presence(&node);
                }
                self.ready_again();
            }
            FeedEvent::Change(change) => {
                let was_ready = self.is_ready();
                if let Some(node) = self.roster.apply(change, &self.composer.keys) {
                    self.presence(&node);
                }
                if !was_ready {
                    self.ready_again();
                }
            }
        }
    }

    fn presence(&mut self, node: &NodeName) {
        let standing = self.roster.standing(node);
        let now = Instant::now();
        for (call, active) in &mut self.calls {
            if active.collector.presence(node, standing, now) {
                let to = Addressees::Nodes { nodes: vec![node.clone()], query: active.query.clone() };
                if let Ok(messages) = self.composer.messages(Errand::Resend, *call, &active.request, &to) {
                    self.outbox.extend(messages);
                }
            }
        }
    }

    fn suspend(&mut self) {
        let (now, notice) = (Instant::now(), self.why_not_ready());
        for active in self.calls.values_mut() {
            active.collector.suspend(now);
            (active.events)(CallEvent::Notice(notice.clone()));
        }
    }

    fn ready_again(&mut self) {
        if !self.is_ready() {
            return;
        }
        let now = Instant::now();
        for active in self.calls.values_mut() {
            active.collector.resume(now);
        }
        for waiting in std::mem::take(&mut self.waiting) {
            self.start(waiting.command);
        }
    }

    /// Takes a message of the reply lane. What does not verify, or is not an answer to a call in progress, is nothing
    /// to act on.
    fn message(&mut self, frames: &Frames) {
        let Ok(opened) = envelope::open(&self.composer.keys, frames) else { return };
        let (Kind::Reply(reply), Party::Node(node)) = (&opened.header.kind, &opened.header.sender) else {
            return;
        };
        if opened.topic != Topic::Reply(self.composer.reply_to.clone()) {
            return;
        }
        let Some(active) = self.calls.get_mut(&reply.call) else { return };
        let answer = match reply.stage {
            Stage::Skipped | Stage::Accepted => None,
            Stage::Output | Stage::Done => match opened.body::<Answer>(&self.composer.keys) {
                Ok(answer) => Some(answer),
                // The node did answer; that its answer cannot be read is its fault and no success.
                Err(error) => Some(Answer::failed(orch_wire::body::code::REPLY, error.to_string())),
            },
        };
        if reply.stage == Stage::Output
            && let Some(text) = answer.as_ref().and_then(|answer| answer.chunk.clone())
        {
            (active.events)(CallEvent::Output { node: node.clone(), text });
        }
        match active.collector.answer(node.clone(), reply.stage, answer, Instant::now()) {
            Noted::Nothing => {}
            Noted::Progress => {
                (active.events)(CallEvent::Progress { node: node.clone(), stage: reply.stage });
            }
            Noted::Final(outcome) => (active.events)(CallEvent::Answered { node: node.clone(), outcome }),
        }
        self.finish_if_complete(reply.call);
    }

    fn tick(&mut self) {
        let now = Instant::now();
        let patience = self.patience();
        let (over, waiting): (Vec<_>, Vec<_>) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|waiting| now >= waiting.since + patience);
        self.waiting = waiting;
        for overdue in over {
            self.give_up_waiting(overdue.command);
        }
        let calls: Vec<CallId> = self.calls.keys().copied().collect();
        for call in calls {
            let Some(active) = self.calls.get_mut(&call) else { continue };
            if now < active.collector.next_tick() {
                continue;
            }
            let due = active.collector.tick(now);
            for node in due.silenced {
                (active.events)(CallEvent::Answered { node, outcome: Outcome::Silent });
            }
            if !due.resend.is_empty() {
                let to = Addressees::Nodes { nodes: due.resend, query: active.query.clone() };
                if let Ok(messages) = self.composer.messages(Errand::Resend, call, &active.request, &to) {
                    self.outbox.extend(messages);
                }
            }
            self.finish_if_complete(call);
        }
    }

    fn give_up_waiting(&mut self, command: Command) {
        if self.lanes_are_up {
            // The roster did not settle in the time that the broker itself allows: go on with what it knows.
            self.start(command);
            return;
        }
        let error = || CallError::Disconnected(self.lanes_lost.clone());
        match command {
            Command::Call { reply, .. } => drop(reply.send(Err(error()))),
            Command::Fleet { reply, .. } => drop(reply.send(Err(error()))),
            Command::Cancel { .. } => {}
        }
    }

    fn cancel(&mut self, call: CallId) {
        if let Some(active) = self.calls.remove(&call) {
            let nodes = active.collector.awaited();
            // A write that began should end as it will; what only reads need not go on.
            if !active.request.write && !nodes.is_empty() {
                let to = Addressees::Nodes { nodes, query: None };
                if let Ok(messages) = self.composer.messages(Errand::Cancel, call, &active.request, &to) {
                    self.outbox.extend(messages);
                }
            }
            let mut report = active.collector.finish("interrupted before it answered", Instant::now());
            report.interrupted = true;
            (report.away, report.foreign) = (active.away, active.foreign);
            let _ = active.reply.send(Ok(report));
            return;
        }
        let is_it =
            |waiting: &Waiting| matches!(&waiting.command, Command::Call { call: id, .. } if *id == call);
        if let Some(at) = self.waiting.iter().position(is_it)
            && let Command::Call { request, reply, .. } = self.waiting.swap_remove(at).command
        {
            let results = match request.scope {
                Scope::Nodes(nodes) => nodes
                    .into_iter()
                    .map(|node| NodeResult::not_started(node, "interrupted before it was sent"))
                    .collect(),
                Scope::All | Scope::Query(_) => Vec::new(),
            };
            let _ = reply.send(Ok(CallReport { results, interrupted: true, ..CallReport::default() }));
        }
    }

    fn finish_if_complete(&mut self, call: CallId) {
        if self.calls.get(&call).is_none_or(|active| active.collector.outstanding() > 0) {
            return;
        }
        if let Some(active) = self.calls.remove(&call) {
            let mut report = active.collector.finish("", Instant::now());
            (report.away, report.foreign) = (active.away, active.foreign);
            let _ = active.reply.send(Ok(report));
        }
    }
}

fn of(standings: &[(NodeName, Standing)], which: Standing) -> Vec<NodeName> {
    standings.iter().filter(|(_, standing)| *standing == which).map(|(node, _)| node.clone()).collect()
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}
