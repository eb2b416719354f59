//! A node: its intake, an executor that takes time, and a disk that keeps of a crash only what was synced.

use std::collections::{BTreeMap, VecDeque};

use orch_broker::pure::ConnId;
use orch_nodeagent::pure::{Begun, Intake, Reply, Step, View, Work, interrupted};
use orch_wire::body::{Answer, Ending, code};
use orch_wire::card::Card;
use orch_wire::envelope::{self, Frames};
use orch_wire::header::{CardHeader, Header, Kind, ReplyHeader};
use orch_wire::ids::{CallId, CollectiveName, Digest, MessageId, NodeName, Party};
use orch_wire::limits::{PROTOCOL, STORED_RESULTS, TIME_TO_LIVE};
use orch_wire::query::{DataCall, NodeView};
use orch_wire::topic::Topic;
use serde_json::{Map, Value, json};

use crate::chance::Chance;
use crate::fleet::{self, POLICIES, REGISTRY, keys, wall};
use crate::ledger::Ledger;

/// An action that takes longer is answered with `accepted` first.
const MOMENT: u64 = 200;
/// Actions that run or wait at once: few, so that games meet a node that is full.
const ROOM: usize = 2;

/// What a node wants to be told later, in this life of its.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Alarm {
    /// Say that the call was accepted.
    Accept(CallId),
    /// The disk is written: record that the call begins.
    Record(CallId),
    /// The action begins.
    Act(CallId),
    /// The action ends.
    End(CallId),
    /// The data functions have answered.
    Answer(CallId),
    /// The card has not been acknowledged: say it again.
    Card(u64),
}

/// The lanes, as the node's link has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Link {
    Down,
    /// Open and not proven: messages that come now are dropped.
    Opening {
        conn: ConnId,
        nonce: u64,
    },
    Up {
        conn: ConnId,
    },
}

struct Action {
    work: Work,
    token: Option<u64>,
    stopped: bool,
}

pub(crate) struct Node {
    pub(crate) name: NodeName,
    /// Counts the lives of its agent: alarms of a former one ring for nobody.
    pub(crate) life: u64,
    pub(crate) link: Link,
    /// None while the agent is not running.
    intake: Option<Intake>,
    actions: BTreeMap<CallId, Action>,
    /// Questions whose answers are still to come.
    asked: BTreeMap<CallId, Vec<DataCall>>,
    /// Sealed and waiting for the lanes.
    pub(crate) outgoing: VecDeque<Frames>,
    pub(crate) alarms: Vec<(u64, Alarm)>,
    /// `state/started` as it will be read after a crash.
    disk: BTreeMap<CallId, Begun>,
    /// Ends that were written and not synced: a crash may take them.
    unsynced: Vec<(CallId, Ending, Option<String>)>,
    facts: Map<String, Value>,
    started: u64,
}

impl Node {
    pub(crate) fn new(number: usize) -> Self {
        let role = if fleet::is_web(number) { "web" } else { "db" };
        Self {
            name: fleet::name(number),
            life: 0,
            link: Link::Down,
            intake: None,
            actions: BTreeMap::new(),
            asked: BTreeMap::new(),
            outgoing: VecDeque::new(),
            alarms: Vec::new(),
            disk: BTreeMap::new(),
            unsynced: Vec::new(),
            facts: Map::from_iter([("role".to_owned(), json!(role))]),
            started: 0,
        }
    }

    pub(crate) fn is_running(&self) -> bool {
        self.intake.is_some()
    }

    /// The agent starts, with what the disk says.
    pub(crate) fn start(&mut self, now: u64) {
        let mut intake = Intake::new(self.name.clone(), vec![CollectiveName::main()], keys());
        intake.restore(self.disk.iter(), wall(now));
        self.intake = Some(intake);
        self.started = now;
    }

    /// The machine is gone from one moment to the next.
    pub(crate) fn crash(&mut self, ledger: &mut Ledger, chance: &mut Chance) {
        for call in self.actions.keys() {
            ledger.crashed(*call, self.name.clone());
        }
        let kept = chance.up_to(self.unsynced.len() as u64);
        self.sync(usize::try_from(kept).unwrap());
        // Ends that were lost are not known even where the call was answered.
        for (call, ..) in std::mem::take(&mut self.unsynced) {
            ledger.crashed(call, self.name.clone());
        }
        for call in self.disk.keys() {
            ledger.crashed(*call, self.name.clone());
        }
        self.life += 1;
        self.intake = None;
        self.actions.clear();
        self.asked.clear();
        self.outgoing.clear();
        self.alarms.clear();
        self.link = Link::Down;
    }

    fn sync(&mut self, lines: usize) {
        for (call, ending, code) in self.unsynced.drain(..lines) {
            if let Some(begun) = self.disk.get_mut(&call) {
                begun.ending = Some((ending, code));
            }
        }
    }

    /// A message came by the call lane.
    pub(crate) fn message(&mut self, frames: &Frames, now: u64, chance: &mut Chance) {
        if let Link::Opening { conn, nonce } = self.link {
            if echoed(frames) == Some(nonce) {
                self.link = Link::Up { conn };
            }
            return;
        }
        let step = self.with_intake(|intake, view| intake.message(frames, view, wall(now)));
        self.take(step, now, chance);
    }

    fn with_intake(&mut self, ask: impl FnOnce(&mut Intake, &View<'_>) -> Step) -> Step {
        let Some(intake) = &mut self.intake else { return Step::Quiet };
        let view = View {
            node: NodeView {
                identity: self.name.as_str(),
                facts: &self.facts,
                classes: &[],
                agents: &[],
                collectives: &[],
                data: None,
            },
            registry: &REGISTRY,
            shared_machine: false,
            room: ROOM,
            longest: fleet::LIMIT * 2,
            policies: &POLICIES,
        };
        ask(intake, &view)
    }

    fn take(&mut self, step: Step, now: u64, chance: &mut Chance) {
        match step {
            Step::Quiet => {}
            Step::Reply(reply) => self.reply(&reply, now, chance),
            Step::Begin(work) => {
                let call = work.call;
                self.actions.insert(call, Action { work: *work, token: None, stopped: false });
                self.alarms.push((now + MOMENT, Alarm::Accept(call)));
                self.alarms.push((now + chance.up_to(60), Alarm::Record(call)));
            }
            Step::Ask(call, questions) => {
                self.asked.insert(call, questions.into_iter().map(|question| question.asked).collect());
                self.alarms.push((now + chance.up_to(1500), Alarm::Answer(call)));
            }
            Step::Stop(call) => {
                if let Some(action) = self.actions.get_mut(&call) {
                    action.stopped = true;
                    self.alarms.push((now + chance.up_to(60), Alarm::End(call)));
                }
            }
        }
    }

    pub(crate) fn ring(&mut self, alarm: Alarm, now: u64, chance: &mut Chance, ledger: &mut Ledger) {
        match alarm {
            Alarm::Accept(call) => {
                if let Some(reply) = self.intake.as_mut().and_then(|intake| intake.accept(call)) {
                    self.reply(&reply, now, chance);
                }
            }
            Alarm::Answer(call) => {
                for asked in self.asked.remove(&call).unwrap_or_default() {
                    let name = self.facts.get("role").cloned().unwrap_or_default();
                    let answer = Some(Map::from_iter([("name".to_owned(), name)]));
                    let step = self
                        .with_intake(|intake, view| intake.answered(call, asked, answer, view, wall(now)));
                    self.take(step, now, chance);
                }
            }
            Alarm::Record(call) => self.record(call, now, chance),
            Alarm::Act(call) => self.act(call, now, chance, ledger),
            Alarm::End(call) => self.end(call, now, chance, ledger),
            Alarm::Card(nonce) => self.say_card(nonce, now, chance),
        }
    }

    /// As `act` does: too late is too late, and a write is on disk before it begins. Syncing takes what was written
    /// before it along.
    fn record(&mut self, call: CallId, now: u64, chance: &mut Chance) {
        let Some(action) = self.actions.get(&call) else { return };
        let work = &action.work;
        if wall(now) > work.expires {
            let answer = Answer::rejected(code::OVERLOADED, "too late to begin");
            return self.finish(call, answer, now, chance);
        }
        if work.is_write {
            let (message, expires) = (work.message, work.expires);
            self.sync(self.unsynced.len());
            let keep = expires.max(wall(now)).plus(STORED_RESULTS);
            self.disk.insert(call, Begun { message, expires, ending: None, keep });
        }
        self.alarms.push((now + chance.up_to(20), Alarm::Act(call)));
    }

    fn act(&mut self, call: CallId, now: u64, chance: &mut Chance, ledger: &mut Ledger) {
        let Some(action) = self.actions.get_mut(&call).filter(|action| !action.stopped) else { return };
        action.token = Some(ledger.begin(call, &self.name, action.work.is_write));
        // Most take a moment, some long, and a few longer than they may.
        let takes = match chance.up_to(9) {
            0 => chance.up_to(14_000),
            1..=3 => chance.up_to(3000),
            _ => chance.up_to(400),
        };
        let limit = u64::try_from(action.work.timeout.as_millis()).unwrap();
        self.alarms.push((now + takes.min(limit), Alarm::End(call)));
    }

    fn end(&mut self, call: CallId, now: u64, chance: &mut Chance, ledger: &mut Ledger) {
        let Some(action) = self.actions.get(&call) else { return };
        let token = action.token;
        let answer = match token {
            _ if action.stopped => Answer::failed(code::CANCELLED, "cancelled"),
            Some(token) if chance.happens(70) => {
                Answer::ok(Map::from_iter([("token".to_owned(), json!(token))]))
            }
            Some(_) if chance.happens(70) => Answer::failed(code::ACTION, "it did not work"),
            _ => Answer::timed_out("it ran over its time"),
        };
        let ending = answer.ending.unwrap_or(Ending::Failed);
        if let Some(token) = token {
            ledger.end(call, &self.name, token, ending);
        }
        if action.work.is_write {
            self.unsynced.push((call, ending, answer.code.clone()));
        }
        self.finish(call, answer, now, chance);
    }

    fn finish(&mut self, call: CallId, answer: Answer, now: u64, chance: &mut Chance) {
        self.actions.remove(&call);
        let reply = self.intake.as_mut().and_then(|intake| intake.finish(call, answer, wall(now)));
        if let Some(reply) = reply {
            self.reply(&reply, now, chance);
        }
    }

    fn reply(&mut self, reply: &Reply, now: u64, chance: &mut Chance) {
        let kind = Kind::Reply(ReplyHeader { call: reply.call, stage: reply.stage, seq: reply.seq });
        let frames = self.seal(&Topic::Reply(reply.to.clone()), kind, &reply.answer, now, chance);
        self.outgoing.push_back(frames);
    }

    /// The lanes are open on the wire: the card goes round them until it is acknowledged.
    pub(crate) fn open(&mut self, conn: ConnId, now: u64, chance: &mut Chance) {
        let nonce = chance.number();
        self.link = Link::Opening { conn, nonce };
        self.say_card(nonce, now, chance);
    }

    fn say_card(&mut self, nonce: u64, now: u64, chance: &mut Chance) {
        if !matches!(self.link, Link::Opening { nonce: awaited, .. } if awaited == nonce) {
            return;
        }
        let card = Card {
            node: self.name.clone(),
            collectives: vec![CollectiveName::main()],
            facts: Digest::of(b"facts"),
            classes: Digest::of(b"classes"),
            agents: Digest::of(b"agents"),
            protocol: PROTOCOL,
            version: "0.1.0".to_owned(),
            boot_id: format!("boot {}", self.life),
            agent_start: wall(self.started),
            audit_head: None,
        };
        let kind = Kind::Card(CardHeader { nonce, goodbye: false });
        let frames = self.seal(&Topic::Card(self.name.clone()), kind, &card, now, chance);
        // Ahead of the answers that wait for the lanes to be proven.
        self.outgoing.push_front(frames);
        self.alarms.push((now + 500, Alarm::Card(nonce)));
    }

    fn seal<T: serde::Serialize>(
        &self,
        topic: &Topic,
        kind: Kind,
        body: &T,
        now: u64,
        chance: &mut Chance,
    ) -> Frames {
        let header = Header {
            version: PROTOCOL,
            id: MessageId::new(wall(now), &chance.bytes()),
            sender: Party::Node(self.name.clone()),
            issued_at: wall(now),
            ttl: TIME_TO_LIVE.into(),
            lz4: false,
            kind,
        };
        envelope::seal(&keys(), topic, header, body, &chance.bytes()).unwrap()
    }

    /// The lanes end. Answers wait for the next ones; a card would be stale.
    pub(crate) fn cut(&mut self) {
        self.link = Link::Down;
        self.outgoing.retain(|frames| !frames.topic.starts_with(b"p/"));
    }

    /// What may go out now, and by which connection: before the lanes are proven only the card.
    pub(crate) fn next_out(&mut self) -> Option<(ConnId, Frames)> {
        match self.link {
            Link::Down => None,
            Link::Up { conn } => Some((conn, self.outgoing.pop_front()?)),
            Link::Opening { conn, .. } => {
                let is_card = self.outgoing.front()?.topic.starts_with(b"p/");
                if is_card { Some((conn, self.outgoing.pop_front()?)) } else { None }
            }
        }
    }

    /// The connection that the node has, or thinks it has.
    pub(crate) fn connection(&self) -> Option<ConnId> {
        match self.link {
            Link::Down => None,
            Link::Opening { conn, .. } | Link::Up { conn } => Some(conn),
        }
    }
}

/// The word with which the next agent answers for what a crash cut short.
pub(crate) fn is_interrupted(code: Option<&str>) -> bool {
    code == interrupted().code.as_deref()
}

fn echoed(frames: &Frames) -> Option<u64> {
    match frames.peek().ok()?.1.kind {
        Kind::Probe(probe) if probe.echo => Some(probe.nonce),
        _ => None,
    }
}
