//! A call from its message to its last reply.

use std::sync::Arc;
use std::time::Duration;

use orch_link::entropy;
use orch_wire::audit::Decision;
use orch_wire::body::{Answer, Ending, code};
use orch_wire::envelope::Frames;
use orch_wire::ids::CallId;
use orch_wire::policy::Policies;
use orch_wire::query::{DataCall, NodeView};
use serde_json::{Map, Value};
use tokio::task::{Id, JoinError};
use tokio_util::sync::CancellationToken;

use super::{Alarm, Dispatcher};
use crate::act::{act, act_at_once, act_on_this_thread, crashed, interrupted};
use crate::agents::{Job, Kind, NodeInfo};
use crate::intake::{Step, Unbegun, View};
use crate::output::Piece;
use crate::stats::Counters;
use crate::work::{Reply, Work};

/// An action that takes longer is answered with `accepted` first.
const MOMENT: Duration = Duration::from_millis(200);
/// Replies that wait for their turn at once, and the longest that does: others go at once, so that what waits is little.
const DELAYED: usize = 1024;
const DELAYED_BYTES: usize = 4096;
/// Lines of the audit about reads wait so long for each other.
const AUDIT_WAIT: Duration = Duration::from_millis(200);

impl Dispatcher {
    pub(super) fn message(&mut self, frames: &Frames) {
        let view = view(&self.info, &self.agents, &self.collectives, &self.policies, self.shared_machine);
        let step = self.intake.message(frames, &view, entropy::now());
        self.take_step(step);
    }

    pub(super) fn answered(&mut self, call: CallId, asked: DataCall, answer: Option<Map<String, Value>>) {
        self.intake.counters.unanswered += u64::from(answer.is_none());
        let view = view(&self.info, &self.agents, &self.collectives, &self.policies, self.shared_machine);
        let step = self.intake.answered(call, asked, answer, &view, entropy::now());
        self.take_step(step);
    }

    /// Ends the calls that wait for answers, and writes that down.
    pub(super) fn refuse_asking(&mut self, answer: &Answer) -> Vec<Unbegun> {
        let view = view(&self.info, &self.agents, &self.collectives, &self.policies, self.shared_machine);
        let unbegun = self.intake.refuse_asking(answer, &view, entropy::now());
        self.note_refused();
        unbegun
    }

    fn note_refused(&mut self) {
        for refused in self.intake.take_refused() {
            self.note(refused);
        }
    }

    pub(super) fn take_step(&mut self, step: Step) {
        self.note_refused();
        match step {
            Step::Quiet => {}
            Step::Reply(reply) => self.reply(reply),
            Step::Begin(work) => {
                let call = work.call;
                if let Some(here) = work.runs_at_once() {
                    let answer = match self.note(work.decision.clone()) {
                        Some(refusal) => refusal,
                        None => act_at_once(here, &self.job(*work)),
                    };
                    return self.finish(call, answer);
                }
                if self.actions.len() < self.info.limits.concurrent {
                    self.begin(*work)
                } else {
                    self.queue.push_back(work)
                }
                if let Some(key) = self.alarms.set(MOMENT, Alarm::Accept(call)) {
                    self.accepts.insert(call, key);
                }
            }
            Step::Ask(call, questions) => {
                for question in questions {
                    let job = self.job(question.work);
                    self.questions.ask(call, question.asked, question.function, job);
                }
            }
            Step::Stop(call) => self.stop_call(call),
        }
    }

    /// What an action gets.
    fn job(&self, work: Work) -> Job {
        let (call, caller, agent, action) = (&work.call, &work.caller, &work.agent.name, &work.action);
        if work.is_write {
            tracing::info!(%call, %caller, %agent, %action, "a write begins");
        } else {
            tracing::debug!(%call, %caller, %agent, %action, "a read begins");
        }
        let counters = Counters { audit: self.record.audit_state(), ..self.intake.counters() };
        let info = Arc::new(NodeInfo { counters, ..self.info.clone() });
        let output = work.stream.then(|| self.outputs.of(work.call));
        Job { work, info, output, stop: CancellationToken::new() }
    }

    pub(super) fn begin(&mut self, work: Work) {
        let call = work.call;
        // That of a write is recorded by the action, which may wait for the disk.
        if !work.is_write
            && let Some(refusal) = self.note(work.decision.clone())
        {
            return self.finish(call, refusal);
        }
        let job = self.job(work);
        self.stops.insert(call, job.stop.clone());
        let record = self.record.clone();
        let task = match job.work.agent.kind {
            Kind::Here(here) => self.actions.spawn_blocking(move || act_on_this_thread(here, &job, &record)),
            Kind::Builtin(_) | Kind::External { .. } => {
                self.actions.spawn(act(job, record, self.stop.clone()))
            }
        };
        self.calls.insert(task.id(), call);
    }

    pub(super) fn stop_call(&mut self, call: CallId) {
        match self.stops.get(&call) {
            Some(stop) => stop.cancel(),
            None => {
                let answer = Answer::rejected(code::CANCELLED, "cancelled before it began");
                if let Some(at) = self.queue.iter().position(|work| work.call == call)
                    && let Some(work) = self.queue.remove(at)
                {
                    self.note_refusal(&work, &answer);
                }
                self.end(call, answer);
            }
        }
    }

    /// Sends a piece of output, behind an `accepted`.
    pub(super) fn pass_on(&mut self, piece: Piece) {
        let Piece { call, text, room } = piece;
        self.accept(call);
        if let Some(reply) = self.intake.output(call, text) {
            self.intake.counters.unsent += u64::from(!self.outbox.output(&reply, room));
        }
    }

    pub(super) fn accept(&mut self, call: CallId) {
        if let Some(key) = self.accepts.remove(&call) {
            self.alarms.cancel(key);
        }
        if let Some(reply) = self.intake.accept(call) {
            self.send_reply(&reply);
            tracing::debug!(%call, "accepted: it takes longer than a moment, or has output");
        }
    }

    pub(super) fn action_ended(&mut self, ended: Result<(Id, Answer), JoinError>) {
        // All that the action said goes out before its end.
        while let Ok(piece) = self.pieces.try_recv() {
            self.pass_on(piece);
        }
        let (id, answer) = match ended {
            Ok(ended) => ended,
            Err(error) => {
                tracing::error!(%error, "an action ended abnormally");
                (error.id(), if error.is_panic() { crashed() } else { interrupted() })
            }
        };
        if let Some(call) = self.calls.remove(&id) {
            self.stops.remove(&call);
            self.finish(call, answer);
        }
        self.begin_queued();
    }

    pub(super) fn begin_queued(&mut self) {
        while !self.stop.is_cancelled()
            && self.actions.len() < self.info.limits.concurrent
            && let Some(work) = self.queue.pop_front()
        {
            self.begin(*work);
        }
    }

    /// The end of a call whose decision was written down, or could not be.
    pub(super) fn finish(&mut self, call: CallId, mut answer: Answer) {
        answer = self.outbox.fit(answer);
        if answer.code.as_deref() != Some(code::AUDIT)
            && let Some((message, is_write)) = self.intake.begun(call)
        {
            answer.audit = self.record.audit_outcome(message, call, &answer, is_write);
            self.set_audit_alarm();
        }
        self.end(call, answer);
    }

    pub(super) fn end(&mut self, call: CallId, answer: Answer) {
        if let Some(key) = self.accepts.remove(&call) {
            self.alarms.cancel(key);
        }
        if answer.ending == Some(Ending::Ok) {
            tracing::debug!(%call, "ended well");
        } else {
            tracing::info!(%call, ending = ?answer.ending, code = answer.code, said = answer.message, "ended");
        }
        if let Some(reply) = self.intake.finish(call, answer, entropy::now()) {
            self.reply(reply);
        }
    }

    pub(super) fn reply(&mut self, mut reply: Reply) {
        let spread = u64::try_from(reply.spread.as_millis()).unwrap_or(u64::MAX);
        if spread > 0
            && self.delayed < DELAYED
            && reply.answer.most_bytes() <= DELAYED_BYTES
            && !self.stop.is_cancelled()
        {
            let delay = Duration::from_millis(entropy::nonce() % spread);
            reply.spread = Duration::ZERO;
            self.delayed += 1;
            self.alarms.set(delay, Alarm::Send(Box::new(reply)));
            return;
        }
        self.send_reply(&reply);
    }

    pub(super) fn send_reply(&mut self, reply: &Reply) {
        self.intake.counters.unsent += u64::from(!self.outbox.reply(reply));
    }

    /// Writes down what was decided. Lines of the audit wait a moment for each other.
    pub(super) fn note(&mut self, decision: Decision) -> Option<Answer> {
        let refusal = self.record.note(decision);
        self.set_audit_alarm();
        refusal
    }

    /// What was allowed and did not begin was refused in the end.
    pub(super) fn note_refusal(&mut self, work: &Work, answer: &Answer) {
        let (code, reason) = (answer.code.clone(), answer.message.clone());
        // It is refused already: there is nothing more to refuse.
        let _ = self.note(Decision { allowed: false, code, reason, ..work.decision.clone() });
    }

    pub(super) fn set_audit_alarm(&mut self) {
        if !self.audit_alarm && self.record.audit_waits() {
            self.audit_alarm = true;
            self.alarms.set(AUDIT_WAIT, Alarm::Audit);
        }
    }
}

/// What the intake looks at.
fn view<'a>(
    info: &'a NodeInfo,
    agents: &'a [String],
    collectives: &'a [String],
    policies: &'a Policies,
    shared_machine: bool,
) -> View<'a> {
    View {
        node: NodeView {
            identity: info.identity.as_str(),
            facts: &info.facts,
            classes: &info.classes,
            agents,
            collectives,
            data: None,
        },
        registry: &info.registry,
        shared_machine,
        room: info.limits.concurrent.saturating_add(info.limits.queued),
        longest: info.limits.action_timeout,
        policies,
    }
}
