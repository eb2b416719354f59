//! The one task that owns the node's state. Actions run beside it and report to it; it waits for nothing but events.

use std::collections::{HashMap, VecDeque};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use orch_link::task::{self, Task};
use orch_link::{LinkEvent, LinkHandle, entropy};
use orch_wire::audit::Decision;
use orch_wire::body::{Answer, Ending, code};
use orch_wire::codec;
use orch_wire::envelope::Frames;
use orch_wire::ids::{CallId, Digest};
use orch_wire::keys::Keys;
use orch_wire::limits::CARD_INTERVAL;
use orch_wire::policy::Policies;
use orch_wire::query::{DataCall, NodeView};
use serde_json::{Map, Value};
use tokio::sync::{mpsc, watch};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::act::{act, act_at_once, act_on_this_thread, crashed, interrupted};
use crate::agents::{Job, Kind, NodeInfo, Registry, Stamp};
use crate::alarms::{AlarmKey, Alarms};
use crate::card::{self, CardBoard};
use crate::intake::{Intake, Step, View};
use crate::outbox::Outbox;
use crate::output::{Outputs, Piece};
use crate::problem::Problem;
use crate::questions::Questions;
use crate::record::Record;
use crate::refresh::{Snapshot, Sources};
use crate::service::NodeConfig;
use crate::stats::Counters;
use crate::work::{Reply, Work};

/// An action that takes longer is answered with `accepted` first.
const MOMENT: Duration = Duration::from_millis(200);
/// Replies that wait for their turn at once, and the longest that does: others go at once, so that what waits is little.
const DELAYED: usize = 1024;
const DELAYED_BYTES: usize = 4096;
/// Lines of the audit about reads wait so long for each other.
const AUDIT_WAIT: Duration = Duration::from_millis(200);
/// Time for killed actions to be gone at shutdown.
const KILLING: Duration = Duration::from_secs(3);

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
                Some(ended) = self.actions.join_next_with_id() => self.action_ended(ended),
                Some((call, asked, answer)) = self.questions.next() => self.answered(call, asked, answer),
                Some(piece) = self.pieces.recv() => self.pass_on(piece),
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

    fn message(&mut self, frames: &Frames) {
        let view = view(&self.info, &self.agents, &self.collectives, &self.policies, self.shared_machine);
        let step = self.intake.message(frames, &view, entropy::now());
        self.take_step(step);
    }

    fn answered(&mut self, call: CallId, asked: DataCall, answer: Option<Map<String, Value>>) {
        self.intake.counters.unanswered += u64::from(answer.is_none());
        let view = view(&self.info, &self.agents, &self.collectives, &self.policies, self.shared_machine);
        let step = self.intake.answered(call, asked, answer, &view, entropy::now());
        self.take_step(step);
    }

    fn take_step(&mut self, step: Step) {
        for refused in self.intake.take_refused() {
            self.note(refused);
        }
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

    fn begin(&mut self, work: Work) {
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

    fn stop_call(&mut self, call: CallId) {
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
    fn pass_on(&mut self, piece: Piece) {
        let Piece { call, text, room } = piece;
        self.accept(call);
        if let Some(reply) = self.intake.output(call, text) {
            self.intake.counters.unsent += u64::from(!self.outbox.output(&reply, room));
        }
    }

    fn accept(&mut self, call: CallId) {
        if let Some(key) = self.accepts.remove(&call) {
            self.alarms.cancel(key);
        }
        if let Some(reply) = self.intake.accept(call) {
            self.send_reply(&reply);
            tracing::debug!(%call, "accepted: it takes longer than a moment, or has output");
        }
    }

    fn action_ended(&mut self, ended: Result<(Id, Answer), JoinError>) {
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

    fn begin_queued(&mut self) {
        while !self.stop.is_cancelled()
            && self.actions.len() < self.info.limits.concurrent
            && let Some(work) = self.queue.pop_front()
        {
            self.begin(*work);
        }
    }

    /// Writes down what was decided. Lines of the audit wait a moment for each other.
    fn note(&mut self, decision: Decision) -> Option<Answer> {
        let refusal = self.record.note(decision);
        self.set_audit_alarm();
        refusal
    }

    /// What was allowed and did not begin was refused in the end.
    fn note_refusal(&mut self, work: &Work, answer: &Answer) {
        let (code, reason) = (answer.code.clone(), answer.message.clone());
        // It is refused already: there is nothing more to refuse.
        let _ = self.note(Decision { allowed: false, code, reason, ..work.decision.clone() });
    }

    fn set_audit_alarm(&mut self) {
        if !self.audit_alarm && self.record.audit_waits() {
            self.audit_alarm = true;
            self.alarms.set(AUDIT_WAIT, Alarm::Audit);
        }
    }

    /// The end of a call whose decision was written down, or could not be.
    fn finish(&mut self, call: CallId, mut answer: Answer) {
        answer = self.outbox.fit(answer);
        if answer.code.as_deref() != Some(code::AUDIT)
            && let Some((message, is_write)) = self.intake.begun(call)
        {
            answer.audit = self.record.audit_outcome(message, call, &answer, is_write);
            self.set_audit_alarm();
        }
        self.end(call, answer);
    }

    fn end(&mut self, call: CallId, answer: Answer) {
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

    fn reply(&mut self, mut reply: Reply) {
        let spread = u64::try_from(reply.spread.as_millis()).unwrap_or(u64::MAX);
        if spread > 0 && self.delayed < DELAYED && is_small(&reply.answer) && !self.stop.is_cancelled() {
            let delay = Duration::from_millis(entropy::nonce() % spread);
            reply.spread = Duration::ZERO;
            self.delayed += 1;
            self.alarms.set(delay, Alarm::Send(Box::new(reply)));
            return;
        }
        self.send_reply(&reply);
    }

    fn send_reply(&mut self, reply: &Reply) {
        self.intake.counters.unsent += u64::from(!self.outbox.reply(reply));
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

    /// Goes on with another configuration. Actions that run keep what they began with.
    fn reconfigure(&mut self, config: NodeConfig, reconnect: bool) {
        self.sources = Arc::new(Sources::of(&config));
        self.refresh = config.refresh;
        self.record.set_strict(config.audit.strict);
        self.info.misconfigured = None;
        self.info.limits = config.limits;
        self.info.agents_config_dir = Arc::new(config.agents_config_dir);
        self.info.settings = Arc::new(config.settings);
        self.info.collectives = config.collectives.clone().into();
        self.collectives = config.collectives.iter().map(ToString::to_string).collect();
        self.intake.set_collectives(config.collectives.clone());
        for alarm in [self.refresh_alarm.take(), self.look_alarm.take()].into_iter().flatten() {
            self.alarms.cancel(alarm);
        }
        self.set_refresh_alarm();
        self.set_look_alarm();
        // What is being read now is of the sources before.
        self.reading = None;
        self.is_asked = true;
        self.read_again();
        if reconnect {
            // New lanes open with the card as it is then.
            self.board.replace(card::describe(&self.info, self.digest, &self.boot_id));
            if !self.link.redial(config.dialer, config.collectives) {
                tracing::error!("the lanes are not opened anew: restart the node's agent");
            }
        } else {
            self.show_card();
        }
        self.begin_queued();
    }

    fn read_again(&mut self) {
        if self.reading.is_none() {
            let (sources, registry) = (Arc::clone(&self.sources), Arc::clone(&self.info.registry));
            self.reading = Some(task::spawn(async move {
                sources.read_all(registry).await.map(|snapshot| News::Whole(Box::new(snapshot)))
            }));
        }
    }

    fn look_at_agents(&mut self) {
        if self.reading.is_none() {
            let (sources, registry, stamp) =
                (Arc::clone(&self.sources), Arc::clone(&self.info.registry), self.stamp);
            self.reading = Some(task::spawn(async move {
                sources.read_changed_agents(registry, stamp).await.map(News::Agents)
            }));
        }
    }

    fn take(&mut self, news: Result<News, JoinError>) {
        self.reading = None;
        match news {
            Ok(News::Whole(snapshot)) => self.take_snapshot(snapshot.resettled()),
            Ok(News::Agents(None)) => {}
            Ok(News::Agents(Some((registry, stamp)))) => {
                self.take_agents(registry, stamp);
                tracing::info!(agents = ?self.agents, "a folder of agents has changed and was read again");
                for problem in self.info.registry.problems() {
                    tracing::warn!(%problem, "a file is not used");
                }
                self.show_card();
            }
            Err(error) => tracing::error!(%error, "facts cannot be read"),
        }
    }

    fn take_snapshot(&mut self, snapshot: Snapshot) {
        let Snapshot { facts, digest, classes, registry, stamp, policies, problems } = snapshot;
        let had_problems = !std::mem::replace(&mut self.info.problems, problems.into()).is_empty();
        self.info.facts = Arc::new(facts);
        self.info.classes = classes.into();
        self.digest = digest;
        self.policies = policies;
        self.take_agents(registry, stamp);
        self.report_problems();
        if std::mem::take(&mut self.is_asked) {
            tracing::info!("facts, classes, agents and policies were read again");
        }
        if had_problems && self.info.problems.is_empty() {
            tracing::info!("facts and classes are readable again");
        }
        self.show_card();
    }

    fn take_agents(&mut self, registry: Arc<Registry>, stamp: Option<Stamp>) {
        self.agents = registry.names();
        self.info.registry = registry;
        self.stamp = stamp;
    }

    /// Sends a card where it says something else than the last one.
    fn show_card(&mut self) {
        if self.board.replace(card::describe(&self.info, self.digest, &self.boot_id)) {
            self.send_card(false);
        }
    }

    fn report_problems(&self) {
        for problem in self.info.all_problems() {
            tracing::warn!(%problem, "a file is not used");
        }
    }

    /// No more calls; what runs has a grace, then ends by force with an answer; goodbye; what is queued is sent.
    async fn shut_down(mut self) {
        tracing::info!(running = self.intake.running(), "stops");
        self.refuse_queued();
        let grace = Instant::now() + self.info.limits.shutdown_grace;
        self.end_actions(grace).await;
        for stop in self.stops.values() {
            stop.cancel();
        }
        self.end_actions(Instant::now() + KILLING).await;
        self.actions.abort_all();
        let left: Vec<CallId> = self.calls.drain().map(|(_, call)| call).collect();
        for call in left {
            self.finish(call, interrupted());
        }
        for alarm in self.alarms.take_all() {
            if let Alarm::Send(reply) = alarm {
                self.send_reply(&reply);
            }
        }
        self.record.flush_audit();
        self.send_card(true);
        let Self { link, outbox, events, actions, .. } = self;
        drop((outbox, actions));
        // The events are kept until then: without a receiver the link would end at once.
        link.close().await;
        drop(events);
    }

    /// Actions that wait have not begun and will not. Writes among them are recorded as refused, so that a resend to the
    /// next agent does not do what was said not to be done.
    fn refuse_queued(&mut self) {
        for work in std::mem::take(&mut self.queue) {
            let answer =
                Answer::rejected(code::OVERLOADED, "the node's agent ends, the action did not begin");
            if work.is_write {
                self.record.refuse(&work, &answer);
            }
            self.note_refusal(&work, &answer);
            self.end(work.call, answer);
        }
        let answer = Answer::rejected(code::OVERLOADED, "the node's agent ends, the action did not begin");
        for reply in self.intake.refuse_asking(&answer, entropy::now()) {
            self.reply(reply);
        }
    }

    async fn end_actions(&mut self, until: Instant) {
        while !self.actions.is_empty() {
            let alarm = self.alarms.next();
            tokio::select! {
                Some(ended) = self.actions.join_next_with_id() => self.action_ended(ended),
                Some(piece) = self.pieces.recv() => self.pass_on(piece),
                () = sleep_until(alarm.unwrap_or(until)), if alarm.is_some() => self.ring(),
                () = sleep_until(until) => return,
            }
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

fn is_small(answer: &Answer) -> bool {
    codec::encode(answer).is_ok_and(|bytes| bytes.len() <= DELAYED_BYTES)
}

async fn joined(reading: &mut Option<Reading>) -> Result<News, JoinError> {
    match reading {
        Some(reading) => reading.await.flatten(),
        None => std::future::pending().await,
    }
}
