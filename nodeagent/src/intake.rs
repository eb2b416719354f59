//! What becomes of a message: the pure core of the node, with time as a parameter and without any I/O.
//!
//! The order: sizes and seal; is it for this node by topic, collective and list of names; replay window; is the call known
//! already; time; query; agent and action; body; policy; arguments; room. Two steps stand elsewhere than in the order in which one
//! would name them. A list of names comes before the clock, so that a node that is not meant stays quiet about its
//! clock too. A known call comes before the clock and the query, since both may have changed since the call was first
//! seen, and an answer other than the first would be a lie about what was done. For the same reason every final answer,
//! a refusal too, is remembered: a resend must not act after the runner was told that nothing was done.

mod asking;
mod authorise;
mod examine;
mod refusal;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::time::Duration;

pub use self::asking::Question;
pub(crate) use self::asking::Unbegun;
use self::asking::{Answers, Asking};
use self::authorise::{Asked, Refused, decision, neutral};
use self::refusal::{Refusal, is_forgettable};
use crate::act::interrupted;
use crate::agents::Registry;
use crate::spool::{Ended, Spool, lost};
use crate::started::Begun;
use crate::stats::Counters;
use crate::work::{Reply, Work};
use orch_wire::audit::Decision;
use orch_wire::body::{Answer, code};
use orch_wire::envelope::{self, Frames, Opened};
use orch_wire::header::{CancelHeader, Kind, Stage, Target};
use orch_wire::ids::{CallId, CollectiveName, MessageId, NodeName, OperatorName, Party};
use orch_wire::keys::Keys;
use orch_wire::limits::SKEW;
use orch_wire::nodeset;
use orch_wire::policy::Policies;
use orch_wire::query::{DataCall, NodeView, Query};
use orch_wire::replay::{Admission, ReplayWindow};
use orch_wire::time::{Freshness, Timestamp, expires_at, freshness};
use orch_wire::topic::{ReplyTopic, Topic};
use serde_json::{Map, Value};

/// Longest span over which replies are spread.
const MAX_SPREAD: Duration = Duration::from_secs(30);

/// Messages from ahead of time that are remembered.
const AHEAD: usize = 4096;

/// What must be done about a message.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "made and taken apart at once, never stored")]
pub enum Step {
    /// Nothing; it is counted.
    Quiet,
    /// Send this.
    Reply(Reply),
    /// Run this, and report its end to [`Intake::finish`].
    Begin(Box<Work>),
    /// Whether the call begins depends on these; report each answer to [`Intake::answered`].
    Ask(CallId, Vec<Question>),
    /// Stop this action, which then reports its end.
    Stop(CallId),
}

/// What the intake looks at beside the message.
pub struct View<'a> {
    /// What the node knows of itself.
    pub node: NodeView<'a>,
    /// Its agents.
    pub registry: &'a Registry,
    /// Built-in agents may change nothing here: the machine is not the node's own.
    pub shared_machine: bool,
    /// Most actions that run or wait.
    pub room: usize,
    /// Longest time limit of an action.
    pub longest: Duration,
    /// Who may call what.
    pub policies: &'a Policies,
}

/// A call that has begun and not ended.
#[derive(Debug)]
struct Running {
    caller: OperatorName,
    message: MessageId,
    reply_to: ReplyTopic,
    spread: Duration,
    is_write: bool,
    accepted: bool,
    /// Pieces of output sent.
    pieces: u32,
}

/// The state of the node towards its callers.
#[derive(Debug)]
pub struct Intake {
    me: NodeName,
    collectives: Vec<CollectiveName>,
    keys: Keys,
    window: ReplayWindow,
    /// Messages from ahead of time, apart: nobody's clock may fill the window for longer than a message lives.
    ahead: ReplayWindow,
    running: HashMap<CallId, Running>,
    /// Calls that wait for answers of data functions.
    asking: HashMap<CallId, Asking>,
    spool: Spool,
    /// Refusals that the audit has not been told of.
    refused: Vec<Decision>,
    pub(crate) counters: Counters,
}

impl Intake {
    /// A node that knows of no call yet.
    pub fn new(me: NodeName, collectives: Vec<CollectiveName>, keys: Keys) -> Self {
        Self {
            me,
            collectives,
            keys,
            window: ReplayWindow::default(),
            ahead: ReplayWindow::with_capacity(AHEAD),
            running: HashMap::new(),
            asking: HashMap::new(),
            spool: Spool::default(),
            refused: Vec::new(),
            counters: Counters::default(),
        }
    }

    /// Listens to other collectives from now on.
    pub(crate) fn set_collectives(&mut self, collectives: Vec<CollectiveName>) {
        self.collectives = collectives;
    }

    /// Takes in what was begun before the agent was restarted: none of it begins again.
    pub fn restore<'a>(&mut self, begun: impl Iterator<Item = (&'a CallId, &'a Begun)>, now: Timestamp) {
        for (call, begun) in begun {
            let answer = match &begun.ending {
                Some((ending, code)) => lost(*ending, code.as_deref()),
                None => interrupted(),
            };
            self.window.admit(begun.message, begun.expires, now);
            self.spool.put(*call, &Ended::Done(Box::new(answer), 0), true, now);
        }
    }

    /// Decides about a received message.
    pub fn message(&mut self, frames: &Frames, view: &View<'_>, now: Timestamp) -> Step {
        self.counters.received += 1;
        let opened = match envelope::open(&self.keys, frames) {
            Ok(opened) => opened,
            Err(error) => return self.unvalidated(&error.to_string()),
        };
        let Party::Operator(caller) = &opened.header.sender else {
            return self.unvalidated("the sender is no operator");
        };
        match &opened.header.kind {
            Kind::Call(_) | Kind::Resend(_) => self.call(opened, view, now),
            Kind::Cancel(cancel) => self.cancel(&opened, cancel, caller, view, now),
            _ => self.unvalidated("neither a call nor a cancel"),
        }
    }

    fn unvalidated(&mut self, why: &str) -> Step {
        self.counters.unvalidated += 1;
        tracing::debug!(why, "a message could not be verified");
        Step::Quiet
    }

    fn quiet(counter: &mut u64) -> Step {
        *counter += 1;
        Step::Quiet
    }

    /// Whether topic, collective and list of names mean this node; a query is looked at later.
    fn is_for_me(&self, topic: &Topic, collective: &CollectiveName, target: &Target) -> bool {
        let by_topic = match topic {
            Topic::Node(name) => *name == self.me,
            Topic::Collective(name) => name == collective,
            _ => false,
        };
        // A list that cannot be read names nobody.
        let by_name = match target {
            Target::Nodes(names) => nodeset::contains(names, self.me.as_str()).unwrap_or(false),
            Target::Query(_) | Target::All => true,
        };
        by_topic && by_name && self.collectives.contains(collective)
    }

    /// Whether the message is new. An expired one is remembered for a while too, so that playing it again draws no more
    /// answers.
    fn admit(&mut self, opened: &Opened, now: Timestamp) -> Admission {
        let header = &opened.header;
        let expires = expires_at(header.issued_at, header.ttl.into()).max(now.plus(SKEW));
        if self.ahead.contains(header.id) {
            return Admission::Replay;
        }
        if freshness(header.issued_at, header.ttl.into(), now) == Freshness::PostDated {
            // Remembered until its time is over: it was refused, and must not be obeyed when its time has come.
            return self.ahead.admit(header.id, expires, now);
        }
        self.window.admit(header.id, expires, now)
    }

    fn call(&mut self, opened: Opened, view: &View<'_>, now: Timestamp) -> Step {
        let Some(Asked { call, caller, .. }) = Asked::of(&opened) else {
            return self.unvalidated("no call of an operator");
        };
        if !self.is_for_me(&opened.topic, &call.collective, &call.target) {
            return Self::quiet(&mut self.counters.filtered);
        }
        let admission = self.admit(&opened, now);
        if admission == Admission::Replay {
            return Self::quiet(&mut self.counters.replayed);
        }
        if admission == Admission::Full
            && freshness(opened.header.issued_at, opened.header.ttl.into(), now) == Freshness::PostDated
        {
            // One that cannot be remembered could be played again when its time has come; who is told nothing is not
            // told that nothing will be done.
            return Self::quiet(&mut self.counters.expired);
        }
        if self.is_others(call.call, caller) {
            return self.refuse_stranger(call.call, &call.reply_to);
        }
        if let Some(asking) = self.asking.get_mut(&call.call) {
            // The one who asked last gets the answer, too, when there is one.
            asking.reply_to = call.reply_to.clone();
            return Self::quiet(&mut self.counters.repeated);
        }
        let spread = Duration::from(call.spread).min(MAX_SPREAD);
        let known = self.known(call.call, &call.reply_to, spread, now);
        if let Some(reply) = known {
            self.counters.repeated += 1;
            return Step::Reply(reply);
        }
        let reply_to = call.reply_to.clone();
        self.decide(
            Asking { opened, reply_to, admission, answers: Answers::default(), waiting: 0 },
            view,
            now,
        )
    }

    /// The answer to a question of a call. After the last one the call is decided again.
    pub fn answered(
        &mut self,
        call: CallId,
        asked: DataCall,
        answer: Option<Map<String, Value>>,
        view: &View<'_>,
        now: Timestamp,
    ) -> Step {
        // Without it the call was cancelled meanwhile.
        let Some(asking) = self.asking.get_mut(&call) else { return Step::Quiet };
        asking.answers.insert(asked, answer);
        asking.waiting = asking.waiting.saturating_sub(1);
        if asking.waiting > 0 {
            return Step::Quiet;
        }
        match self.asking.remove(&call) {
            Some(asking) => self.decide(asking, view, now),
            None => Step::Quiet,
        }
    }

    fn decide(&mut self, mut asking: Asking, view: &View<'_>, now: Timestamp) -> Step {
        let Some(asked) = Asked::of(&asking.opened) else { return Step::Quiet };
        let Asked { call, caller, .. } = asked;
        let spread = Duration::from(call.spread).min(MAX_SPREAD);
        let mut body = None;
        let work = match self.examine(&asked, view, &asking, now, &mut body) {
            Ok(work) => work,
            Err(Refusal::Undecided(questions)) => {
                let call = call.call;
                asking.waiting = questions.len();
                self.asking.insert(call, asking);
                return Step::Ask(call, questions);
            }
            Err(Refusal::Forgotten) => return Self::quiet(&mut self.counters.expired),
            Err(Refusal::Skipped) => {
                self.counters.filtered += 1;
                self.spool.put(call.call, &Ended::Skipped, false, now);
                self.spool.belongs_to(call.call, caller);
                return Step::Reply(reply(call.call, &asking.reply_to, spread, Ended::Skipped));
            }
            Err(Refusal::Rejected(answer)) => {
                let verdict = Refused { code: answer.code.as_deref(), reason: &answer.message };
                self.refused.push(decision(&asked, view, body.as_ref(), Err(verdict)));
                let answer = Box::new(neutral(*answer));
                self.counters.ended(answer.ending);
                self.counters.expired += u64::from(answer.code.as_deref() == Some(code::CLOCK));
                let ended = Ended::Done(answer, 0);
                // To a sender whose clock is far behind, the refusal is true; of a call that was forgotten it must not
                // become what is known.
                if !is_forgettable(call.call, now) {
                    self.spool.put(call.call, &ended, false, now);
                    self.spool.belongs_to(call.call, caller);
                }
                return Step::Reply(reply(call.call, &asking.reply_to, spread, ended));
            }
        };
        self.counters.passed += 1;
        let running = Running {
            caller: caller.clone(),
            message: work.message,
            reply_to: asking.reply_to.clone(),
            spread,
            is_write: work.is_write,
            accepted: false,
            pieces: 0,
        };
        self.running.insert(call.call, running);
        Step::Begin(work)
    }

    /// Whether the call is known as another operator's. An id is no secret: nodes and broker see it.
    fn is_others(&self, call: CallId, caller: &OperatorName) -> bool {
        self.running.get(&call).is_some_and(|running| running.caller != *caller)
            || self.asking.get(&call).is_some_and(|asking| !asking.is_of(caller))
            || self.spool.is_others(call, caller)
    }

    /// Nobody gets, redirects or ends what another operator began. Nothing of it is remembered: the call is the other's.
    fn refuse_stranger(&mut self, call: CallId, to: &ReplyTopic) -> Step {
        let answer = Answer::rejected(code::NOT_AUTHORISED, "this call is another operator's");
        self.counters.ended(answer.ending);
        Step::Reply(reply(call, to, Duration::ZERO, Ended::Done(Box::new(answer), 0)))
    }

    /// The answer to a call that was seen before.
    fn known(&mut self, call: CallId, to: &ReplyTopic, spread: Duration, now: Timestamp) -> Option<Reply> {
        if let Some(running) = self.running.get_mut(&call) {
            // The one who asked last gets the end, too: it may be a new session of the same caller.
            running.reply_to = to.clone();
            running.accepted = true;
            return Some(accepted(call, running));
        }
        let ended = self.spool.get(call, now)?;
        Some(reply(call, to, spread, ended))
    }

    fn cancel(
        &mut self,
        opened: &Opened,
        cancel: &CancelHeader,
        caller: &OperatorName,
        view: &View<'_>,
        now: Timestamp,
    ) -> Step {
        if !self.is_for_me(&opened.topic, &cancel.collective, &cancel.target) {
            return Self::quiet(&mut self.counters.filtered);
        }
        if self.admit(opened, now) == Admission::Replay {
            return Self::quiet(&mut self.counters.replayed);
        }
        if freshness(opened.header.issued_at, opened.header.ttl.into(), now) != Freshness::Fresh {
            return Self::quiet(&mut self.counters.expired);
        }
        if self.is_others(cancel.call, caller) {
            return self.refuse_stranger(cancel.call, &cancel.reply_to);
        }
        if let Some(running) = self.running.get_mut(&cancel.call) {
            running.reply_to = cancel.reply_to.clone();
            return Step::Stop(cancel.call);
        }
        if let Some(ended) = self.spool.get(cancel.call, now) {
            self.counters.repeated += 1;
            return Step::Reply(reply(cancel.call, &cancel.reply_to, Duration::ZERO, ended));
        }
        if is_forgettable(cancel.call, now) {
            return Self::quiet(&mut self.counters.expired);
        }
        let answer = Answer::rejected(code::CANCELLED, "cancelled before it began");
        if let Some(asking) = self.asking.remove(&cancel.call) {
            let body = asking.opened.body(&self.keys).ok();
            self.refused.extend(asking.refused(view, body.as_ref(), &answer));
        } else if let Target::Query(text) = &cancel.target
            // Functions are not asked for it: a node that the query could mean must not begin either.
            && !Query::parse(text).is_ok_and(|query| query.may_match(&view.node))
        {
            return Self::quiet(&mut self.counters.filtered);
        }
        // The call may still be on its way; it must not begin when it comes.
        self.counters.ended(answer.ending);
        let ended = Ended::Done(Box::new(answer), 0);
        self.spool.put(cancel.call, &ended, true, now);
        self.spool.belongs_to(cancel.call, caller);
        Step::Reply(reply(cancel.call, &cancel.reply_to, Duration::ZERO, ended))
    }

    /// The `accepted` of a call that takes longer than a moment, unless it was said or the call has ended.
    pub fn accept(&mut self, call: CallId) -> Option<Reply> {
        let running = self.running.get_mut(&call).filter(|running| !running.accepted)?;
        running.accepted = true;
        Some(accepted(call, running))
    }

    /// A piece of the output of an action that has said `accepted`; gives the reply to send.
    pub fn output(&mut self, call: CallId, text: String) -> Option<Reply> {
        let running = self.running.get_mut(&call).filter(|running| running.accepted)?;
        running.pieces = running.pieces.saturating_add(1);
        let answer = Answer { chunk: Some(text), ..Answer::accepted() };
        let (to, seq) = (running.reply_to.clone(), running.pieces);
        Some(Reply { to, call, stage: Stage::Output, seq, answer, spread: Duration::ZERO })
    }

    /// The end of a call that was begun; gives the reply to send.
    pub fn finish(&mut self, call: CallId, answer: Answer, now: Timestamp) -> Option<Reply> {
        let running = self.running.remove(&call)?;
        self.counters.ended(answer.ending);
        let seq = running.pieces.saturating_add(u32::from(running.accepted));
        let ended = Ended::Done(Box::new(answer), seq);
        self.spool.put(call, &ended, running.is_write, now);
        self.spool.belongs_to(call, &running.caller);
        Some(reply(call, &running.reply_to, running.spread, ended))
    }

    /// The message that asked for a call that has begun and not ended, and whether it is a write.
    pub(crate) fn begun(&self, call: CallId) -> Option<(MessageId, bool)> {
        self.running.get(&call).map(|running| (running.message, running.is_write))
    }

    /// Ends the calls that wait for answers: none of them has begun, and none will.
    pub(crate) fn refuse_asking(&mut self, answer: &Answer, view: &View<'_>, now: Timestamp) -> Vec<Unbegun> {
        let mut unbegun = Vec::new();
        for (call, asking) in std::mem::take(&mut self.asking) {
            let Some(Asked { caller, .. }) = Asked::of(&asking.opened) else { continue };
            let body = asking.opened.body(&self.keys).ok();
            self.refused.extend(asking.refused(view, body.as_ref(), answer));
            self.counters.ended(answer.ending);
            let ended = Ended::Done(Box::new(answer.clone()), 0);
            self.spool.put(call, &ended, false, now);
            self.spool.belongs_to(call, caller);
            let write = asking.write(view, body.as_ref());
            unbegun.push(Unbegun { reply: reply(call, &asking.reply_to, Duration::ZERO, ended), write });
        }
        unbegun
    }

    /// Refusals since this was asked last, for the audit.
    pub(crate) fn take_refused(&mut self) -> Vec<Decision> {
        std::mem::take(&mut self.refused)
    }

    /// Calls that have begun and not ended.
    pub fn running(&self) -> usize {
        self.running.len()
    }

    /// The counters, with what is counted now.
    pub(crate) fn counters(&self) -> Counters {
        Counters { running: self.running.len(), stored: self.spool.size(), ..self.counters }
    }
}

fn accepted(call: CallId, running: &Running) -> Reply {
    Reply {
        to: running.reply_to.clone(),
        call,
        stage: Stage::Accepted,
        seq: 0,
        answer: Answer::accepted(),
        spread: Duration::ZERO,
    }
}

fn reply(call: CallId, to: &ReplyTopic, spread: Duration, ended: Ended) -> Reply {
    let (stage, seq, answer) = match ended {
        Ended::Skipped => (Stage::Skipped, 0, Answer::accepted()),
        Ended::Done(answer, seq) => (Stage::Done, seq, *answer),
    };
    Reply { to: to.clone(), call, stage, seq, answer, spread }
}
