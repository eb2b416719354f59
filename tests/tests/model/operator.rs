//! The runner: a session's engine, its calls, and its lanes and feed as they come and go.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use orch_broker::pure::ConnId;
use orch_link::{LinkEvent, OpenError};
use orch_runner::client::pure::{Command, Composer, Engine, FeedEvent, Moment};
use orch_runner::client::{CallError, CallReport, CallRequest, Manner, Scope};
use orch_wire::control::Roster;
use orch_wire::envelope::Frames;
use orch_wire::header::{Kind, Stage};
use orch_wire::ids::{CallId, CollectiveName, NodeName, Party, RunId};
use orch_wire::query::Query;
use orch_wire::topic::ReplyTopic;
use serde_json::Map;
use tokio::sync::oneshot;

use crate::chance::Chance;
use crate::fleet::{self, keys, steady, until, wall};
use crate::ledger::Ledger;
use crate::step::Whom;

/// A call, from its begin to its report.
pub(crate) struct Made {
    pub(crate) call: CallId,
    pub(crate) whom: Whom,
    /// The nodes named, if they were.
    pub(crate) named: Vec<NodeName>,
    pub(crate) write: bool,
    pub(crate) interrupted: bool,
    pub(crate) since: u64,
    answer: oneshot::Receiver<Result<CallReport, CallError>>,
    pub(crate) ended: Option<Ended>,
}

/// How a call ended for the one who made it.
pub(crate) struct Ended {
    pub(crate) said: Result<CallReport, CallError>,
    pub(crate) at: u64,
}

pub(crate) struct Operator {
    engine: Engine,
    pub(crate) reply_to: ReplyTopic,
    /// The connection, while the lanes are up.
    pub(crate) lanes: Option<ConnId>,
    /// Counts the feeds: what a former one still carries reaches nobody.
    pub(crate) feed: u64,
    pub(crate) feed_is_open: bool,
    outgoing: VecDeque<Frames>,
    pub(crate) calls: Vec<Made>,
}

fn moment(now: u64) -> Moment {
    Moment { steady: steady(now), wall: wall(now) }
}

impl Operator {
    pub(crate) fn new(roster: Roster) -> Self {
        let reply_to = ReplyTopic::new(fleet::CERTIFICATE, &[1; 16]);
        let composer = Composer {
            keys: keys(),
            sender: Party::Operator(fleet::alice()),
            collective: CollectiveName::main(),
            reply_to: reply_to.clone(),
        };
        Self {
            engine: Engine::new(composer, Duration::from_secs(2), roster, moment(0)),
            reply_to,
            lanes: None,
            feed: 0,
            feed_is_open: true,
            outgoing: VecDeque::new(),
            calls: Vec::new(),
        }
    }

    pub(crate) fn call(&mut self, whom: Whom, fleet_size: usize, write: bool, now: u64, chance: &mut Chance) {
        let named: Vec<NodeName> = match whom {
            Whom::Named(bits) => {
                let wanted = |node: &usize| bits & (1 << node) != 0;
                (0..fleet_size).filter(wanted).map(fleet::name).collect()
            }
            Whom::Matching | Whom::All => Vec::new(),
        };
        let scope = match whom {
            Whom::Named(_) => Scope::Nodes(named.clone()),
            Whom::Matching => {
                let text = if chance.up_to(1) == 0 { fleet::QUERY } else { fleet::QUESTION };
                Scope::Query(Query::parse(text).unwrap())
            }
            Whom::All => Scope::All,
        };
        let call = CallId::new(wall(now), &chance.bytes());
        let request = CallRequest {
            scope,
            run: RunId::new(wall(now), &chance.bytes()),
            agent: "shop".parse().unwrap(),
            action: if write { "change" } else { "look" }.parse().unwrap(),
            args: Map::new(),
            timeout: fleet::LIMIT,
            write,
            script: None,
            commit: None,
            dry_run: false,
            manner: Manner::default(),
            resend: None,
        };
        let (reply, answer) = oneshot::channel();
        let made = Made { call, whom, named, write, interrupted: false, since: now, answer, ended: None };
        self.calls.push(made);
        let request = Box::new(request);
        self.engine.command(Command::Call { call, request, events: Arc::new(|_| ()), reply }, moment(now));
    }

    /// Interrupts the oldest call that has not ended.
    pub(crate) fn interrupt(&mut self, now: u64) {
        if let Some(made) = self.calls.iter_mut().find(|made| made.ended.is_none()) {
            made.interrupted = true;
            self.engine.command(Command::Cancel { call: made.call }, moment(now));
        }
    }

    pub(crate) fn message(&mut self, frames: Frames, now: u64, ledger: &mut Ledger) {
        let (_, header) = frames.peek().unwrap();
        if let (Kind::Reply(reply), Party::Node(node)) = (header.kind, header.sender)
            && reply.stage == Stage::Accepted
            && self.calls.iter().any(|made| made.call == reply.call && made.ended.is_none())
        {
            ledger.heard(reply.call, node);
        }
        self.engine.link(LinkEvent::Message(frames), moment(now));
    }

    pub(crate) fn lanes_up(&mut self, lanes: ConnId, now: u64) {
        self.lanes = Some(lanes);
        self.engine.link(LinkEvent::Up, moment(now));
    }

    pub(crate) fn lanes_down(&mut self, now: u64) {
        if self.lanes.take().is_some() {
            let error = OpenError::Lost("cut".to_owned());
            self.engine.link(LinkEvent::Down { error, retry_in: Duration::from_secs(1) }, moment(now));
        }
    }

    pub(crate) fn feed(&mut self, event: FeedEvent, now: u64) {
        self.engine.feed(event, moment(now));
    }

    /// When the engine wants to be told that time has passed.
    pub(crate) fn next_tick(&self) -> Option<u64> {
        self.engine.next_tick().map(until)
    }

    pub(crate) fn tick(&mut self, now: u64) {
        self.engine.tick(moment(now));
    }

    /// Takes what the engine has ready: messages to send, and reports of calls that ended.
    pub(crate) fn collect(&mut self, now: u64, ledger: &mut Ledger) {
        while let Some(frames) = self.engine.next_message() {
            if let Ok((_, header)) = frames.peek()
                && let Kind::Call(call) | Kind::Resend(call) = header.kind
            {
                ledger.sent(call.call);
            }
            self.outgoing.push_back(frames);
        }
        for made in self.calls.iter_mut().filter(|made| made.ended.is_none()) {
            if let Ok(said) = made.answer.try_recv() {
                made.ended = Some(Ended { said, at: now });
            }
        }
    }

    /// What may go out now: the lanes' queue waits while they are down.
    pub(crate) fn next_out(&mut self) -> Option<(ConnId, Frames)> {
        let conn = self.lanes?;
        Some((conn, self.outgoing.pop_front()?))
    }
}
