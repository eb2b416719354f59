//! What a session knows and decides: the calls in progress, the verified roster, and what goes out.
//!
//! It has no clock, no socket and no task: events and moments come in, messages and reports go out. The task that
//! drives it stands in `drive.rs`.

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
use tokio::sync::oneshot;

use super::collector::{Collector, Noted, Piece, Plan, Standing};
use super::compose::{Addressees, Composer, Errand};
use super::feed::FeedEvent;
use super::moment::Moment;
use super::roster::VerifiedRoster;
use super::types::{CallError, CallEvent, CallReport, CallRequest, EventSink, Fleet, Scope, Until, Waited};

/// A call waits this long for lanes that are down before it gives up unsent: longer than the longest backoff.
const LANES_BACK: Duration = Duration::from_secs(20);
/// A call waits this long for a roster that has not settled: the broker itself waits 60 s at most.
const ROSTER_SETTLED: Duration = Duration::from_secs(65);

/// What handles ask of the task.
pub enum Command {
    /// Call an action.
    Call {
        /// The new call's id.
        call: CallId,
        /// What is called, and where.
        request: Box<CallRequest>,
        /// Takes what happens meanwhile.
        events: EventSink,
        /// Takes the report.
        reply: oneshot::Sender<Result<CallReport, CallError>>,
    },
    /// Report of a call what is known now, and end it.
    Cancel {
        /// The call.
        call: CallId,
    },
    /// Tell the roster once it has settled.
    Fleet {
        /// Takes the roster.
        reply: oneshot::Sender<Result<Fleet, CallError>>,
        /// Takes what happens meanwhile.
        events: EventSink,
    },
    /// Tell for which of these nodes something does not hold yet.
    Unmet {
        /// The nodes.
        nodes: Vec<NodeName>,
        /// What should hold.
        until: Until,
        /// What was so before does not count.
        since: Instant,
        /// Takes how it stands.
        reply: oneshot::Sender<Waited>,
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

/// The calls of a session.
pub struct Engine {
    composer: Composer,
    discovery: Duration,
    roster: VerifiedRoster,
    roster_is_live: bool,
    lanes_are_up: bool,
    lanes_lost: String,
    outbox: VecDeque<Frames>,
    calls: HashMap<CallId, Active>,
    waiting: Vec<Waiting>,
    /// How often the roster or the connection has changed.
    changes: u64,
}

impl Engine {
    /// A session whose lanes are up and whose feed is open, with the roster that the feed gave first.
    pub fn new(composer: Composer, discovery: Duration, roster: Roster, now: Moment) -> Self {
        let roster = VerifiedRoster::new(roster, &composer.keys, &composer.collective, now.steady);
        Self {
            composer,
            discovery,
            roster,
            roster_is_live: true,
            lanes_are_up: true,
            lanes_lost: String::new(),
            outbox: VecDeque::new(),
            calls: HashMap::new(),
            waiting: Vec::new(),
            changes: 0,
        }
    }

    /// How often the roster or the connection has changed: another number is a reason to look again.
    pub(super) fn changes(&self) -> u64 {
        self.changes
    }

    /// Whether a message is ready to be sent.
    pub(super) fn has_message(&self) -> bool {
        !self.outbox.is_empty()
    }

    /// The next message to send.
    pub fn next_message(&mut self) -> Option<Frames> {
        self.outbox.pop_front()
    }

    fn is_ready(&self) -> bool {
        self.lanes_are_up && self.roster_is_live && self.roster.is_settled()
    }

    /// When [`Engine::tick`] has something to do, if nothing comes before.
    pub fn next_tick(&self) -> Option<Instant> {
        let waited = self.waiting.iter().map(|waiting| waiting.since + self.patience());
        self.calls.values().map(|active| active.collector.next_tick()).chain(waited).min()
    }

    fn patience(&self) -> Duration {
        if self.lanes_are_up { ROSTER_SETTLED } else { LANES_BACK }
    }

    /// Takes a wish of a handle.
    pub fn command(&mut self, command: Command, now: Moment) {
        match command {
            Command::Cancel { call } => self.cancel(call, now),
            // Of a roster that is being renewed it tells what was last known.
            Command::Unmet { nodes, until, since, reply } => {
                let is_ready = self.is_ready();
                let left = self.roster.unmet(&nodes, until, since, is_ready);
                let unsure = (!is_ready).then(|| self.why_not_ready());
                let _ = reply.send(Waited { left, unsure });
            }
            command if self.is_ready() => self.start(command, now),
            command => {
                let (Command::Call { events, .. } | Command::Fleet { events, .. }) = &command else { return };
                events(CallEvent::Notice(self.why_not_ready()));
                self.waiting.push(Waiting { since: now.steady, command });
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

    fn start(&mut self, command: Command, now: Moment) {
        match command {
            Command::Fleet { reply, .. } => {
                let _ = reply.send(Ok(self.roster.fleet()));
            }
            Command::Call { call, request, events, reply } => {
                self.start_call(call, request, events, reply, now)
            }
            Command::Cancel { call } => self.cancel(call, now),
            Command::Unmet { .. } => {}
        }
    }

    fn start_call(
        &mut self,
        call: CallId,
        request: Box<CallRequest>,
        events: EventSink,
        reply: oneshot::Sender<Result<CallReport, CallError>>,
        now: Moment,
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
        let errand = if request.resend.is_some() { Errand::Resend } else { Errand::Call };
        let messages = match self.composer.messages(errand, call, &request, &to, now.wall) {
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
        let collector = Collector::new(plan, now.steady);
        self.outbox.extend(messages);
        self.calls.insert(call, Active { request, events, reply, collector, query, away, foreign });
        self.finish_if_complete(call, now);
    }

    /// Takes what happens on the lanes.
    pub fn link(&mut self, event: LinkEvent, now: Moment) {
        match event {
            LinkEvent::Message(frames) => self.message(&frames, now),
            LinkEvent::Up => {
                self.changes = self.changes.wrapping_add(1);
                self.lanes_are_up = true;
                self.ready_again(now);
            }
            LinkEvent::Down { error, .. } => {
                self.changes = self.changes.wrapping_add(1);
                if self.lanes_are_up {
                    self.lanes_lost = error.to_string();
                }
                self.lanes_are_up = false;
                self.suspend(now);
            }
        }
    }

    /// Takes what the broker's roster feed says.
    pub fn feed(&mut self, event: FeedEvent, now: Moment) {
        self.changes = self.changes.wrapping_add(1);
        match event {
            FeedEvent::Lost => {
                self.roster_is_live = false;
                self.suspend(now);
            }
            FeedEvent::Roster(roster) => {
                let names = self.roster.renew(roster, &self.composer.keys, now.steady);
                self.roster_is_live = true;
                for node in names {
                    self.presence(&node, now);
                }
                self.ready_again(now);
            }
            FeedEvent::Change(change) => {
                let was_ready = self.is_ready();
                if let Some(node) = self.roster.apply(change, &self.composer.keys, now.steady) {
                    self.presence(&node, now);
                }
                if !was_ready {
                    self.ready_again(now);
                }
            }
        }
    }

    fn presence(&mut self, node: &NodeName, now: Moment) {
        let standing = self.roster.standing(node);
        for (call, active) in &mut self.calls {
            if active.collector.presence(node, standing, now.steady) {
                let to = Addressees::Nodes { nodes: vec![node.clone()], query: active.query.clone() };
                let messages = self.composer.messages(Errand::Resend, *call, &active.request, &to, now.wall);
                if let Ok(messages) = messages {
                    self.outbox.extend(messages);
                }
            }
        }
    }

    fn suspend(&mut self, now: Moment) {
        let notice = self.why_not_ready();
        for active in self.calls.values_mut() {
            active.collector.suspend(now.steady);
            (active.events)(CallEvent::Notice(notice.clone()));
        }
    }

    fn ready_again(&mut self, now: Moment) {
        if !self.is_ready() {
            return;
        }
        for active in self.calls.values_mut() {
            active.collector.resume(now.steady);
        }
        for waiting in std::mem::take(&mut self.waiting) {
            self.start(waiting.command, now);
        }
    }

    /// Takes a message of the reply lane. What does not verify, or is not an answer to a call in progress, is nothing
    /// to act on.
    fn message(&mut self, frames: &Frames, now: Moment) {
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
        let mut answer = answer;
        let output = match &mut answer {
            Some(answer) if reply.stage == Stage::Output => answer.chunk.take(),
            _ => None,
        };
        let heard_all = reply.stage != Stage::Done || active.collector.has_heard_all(node, reply.seq);
        match active.collector.answer(node.clone(), reply.stage, answer, now.steady) {
            Noted::Nothing => {}
            Noted::Progress => {
                (active.events)(CallEvent::Progress { node: node.clone(), stage: reply.stage });
            }
            Noted::Final(outcome) => {
                if !heard_all {
                    (active.events)(CallEvent::Gap { node: node.clone() });
                }
                (active.events)(CallEvent::Answered { node: node.clone(), outcome });
            }
        }
        if let Some(text) = output {
            match active.collector.output(node, reply.seq, text.len()) {
                Piece::Shown { gap } => {
                    if gap {
                        (active.events)(CallEvent::Gap { node: node.clone() });
                    }
                    (active.events)(CallEvent::Output { node: node.clone(), text });
                }
                Piece::FirstTooMuch => (active.events)(CallEvent::Notice(format!(
                    "{node} sends more output than an action may; the rest of it is not shown"
                ))),
                Piece::TooMuch | Piece::Unasked => {}
            }
        }
        self.finish_if_complete(reply.call, now);
    }

    /// Does what is due.
    pub fn tick(&mut self, now: Moment) {
        let patience = self.patience();
        let (over, waiting): (Vec<_>, Vec<_>) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|waiting| now.steady >= waiting.since + patience);
        self.waiting = waiting;
        for overdue in over {
            self.give_up_waiting(overdue.command, now);
        }
        let calls: Vec<CallId> = self.calls.keys().copied().collect();
        for call in calls {
            let Some(active) = self.calls.get_mut(&call) else { continue };
            if now.steady < active.collector.next_tick() {
                continue;
            }
            let due = active.collector.tick(now.steady);
            for node in due.silenced {
                (active.events)(CallEvent::Answered { node, outcome: Outcome::Silent });
            }
            if !due.resend.is_empty() {
                let to = Addressees::Nodes { nodes: due.resend, query: active.query.clone() };
                let messages = self.composer.messages(Errand::Resend, call, &active.request, &to, now.wall);
                if let Ok(messages) = messages {
                    self.outbox.extend(messages);
                }
            }
            self.finish_if_complete(call, now);
        }
    }

    fn give_up_waiting(&mut self, command: Command, now: Moment) {
        if self.lanes_are_up {
            // The roster did not settle in the time that the broker itself allows: go on with what it knows.
            self.start(command, now);
            return;
        }
        let error = || CallError::Disconnected(self.lanes_lost.clone());
        match command {
            Command::Call { reply, .. } => drop(reply.send(Err(error()))),
            Command::Fleet { reply, .. } => drop(reply.send(Err(error()))),
            Command::Cancel { .. } | Command::Unmet { .. } => {}
        }
    }

    fn cancel(&mut self, call: CallId, now: Moment) {
        if let Some(active) = self.calls.remove(&call) {
            let nodes = active.collector.awaited();
            if active.request.ends_when_cancelled() && !nodes.is_empty() {
                let to = Addressees::Nodes { nodes, query: None };
                let messages = self.composer.messages(Errand::Cancel, call, &active.request, &to, now.wall);
                if let Ok(messages) = messages {
                    self.outbox.extend(messages);
                }
            }
            let mut report = active.collector.finish("interrupted before it answered", now.steady);
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

    fn finish_if_complete(&mut self, call: CallId, now: Moment) {
        if self.calls.get(&call).is_none_or(|active| active.collector.outstanding() > 0) {
            return;
        }
        if let Some(active) = self.calls.remove(&call) {
            let mut report = active.collector.finish("", now.steady);
            (report.away, report.foreign) = (active.away, active.foreign);
            let _ = active.reply.send(Ok(report));
        }
    }
}

fn of(standings: &[(NodeName, Standing)], which: Standing) -> Vec<NodeName> {
    standings.iter().filter(|(_, standing)| *standing == which).map(|(node, _)| node.clone()).collect()
}
