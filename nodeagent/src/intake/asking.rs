//! Calls that wait: whether they begin depends on data functions, which take longer than a decision may.
//!
//! A query or a policy is decided with the answers that are there. What is missing is asked, outside, and with the answers the
//! decision is made again, from the freshness of the message on.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use orch_wire::audit::Decision;
use orch_wire::body::{Answer, Call};
use orch_wire::envelope::Opened;
use orch_wire::ids::{MessageId, OperatorName, Party};
use orch_wire::query::{DataCall, NodeView};
use orch_wire::replay::Admission;
use orch_wire::time::{Timestamp, expires_at};
use orch_wire::topic::ReplyTopic;
use serde_json::{Map, Value};

use super::View;
use super::authorise::{Asked, Refused, decision};
use crate::agents::{Function, Source};
use crate::work::{Reply, Work};

/// Most calls that wait for answers at one time.
pub(super) const ASKING: usize = 64;

/// Answers by question; none where the node has none.
pub(super) type Answers = HashMap<DataCall, Option<Map<String, Value>>>;

/// A call that waits.
#[derive(Debug)]
pub(super) struct Asking {
    pub(super) opened: Opened,
    /// Where the one listens who asked last.
    pub(super) reply_to: ReplyTopic,
    pub(super) admission: Admission,
    pub(super) answers: Answers,
    /// How many answers are still to come.
    pub(super) waiting: usize,
}

impl Asking {
    /// Whether it is this operator's call.
    pub(super) fn is_of(&self, caller: &OperatorName) -> bool {
        matches!(&self.opened.header.sender, Party::Operator(sender) if sender == caller)
    }

    /// Its end without a beginning, as the audit tells it.
    pub(super) fn refused(&self, view: &View<'_>, body: Option<&Call>, answer: &Answer) -> Option<Decision> {
        let verdict = Refused { code: answer.code.as_deref(), reason: &answer.message };
        Some(decision(&Asked::of(&self.opened)?, view, body, Err(verdict)))
    }

    /// The message and how long it could be obeyed, if it asks for a write. One that cannot be read could be anything.
    pub(super) fn write(&self, view: &View<'_>, body: Option<&Call>) -> Option<(MessageId, Timestamp)> {
        let call = Asked::of(&self.opened)?.call;
        let agent = view.registry.get(call.agent.as_str())?;
        let is_write = agent.schema.action(call.action.as_str())?.is_write();
        let header = &self.opened.header;
        (is_write && !body.is_some_and(|body| body.dry_run))
            .then(|| (header.id, expires_at(header.issued_at, header.ttl.into())))
    }
}

/// A call that ended while it waited.
#[derive(Debug)]
pub(crate) struct Unbegun {
    pub(crate) reply: Reply,
    /// The message of a write, and until when it could be obeyed: the next agent must not.
    pub(crate) write: Option<(MessageId, Timestamp)>,
}

/// A question to a data function.
#[derive(Debug)]
pub struct Question {
    /// What is asked.
    pub asked: DataCall,
    pub(crate) function: Arc<Function>,
    /// The action that answers it.
    pub(crate) work: Work,
}

/// The answers that are there, and the questions that came up beyond them.
pub(super) struct Asks<'a> {
    answers: &'a Answers,
    missing: RefCell<Vec<(DataCall, Arc<Function>)>>,
}

impl<'a> Asks<'a> {
    pub(super) fn new(answers: &'a Answers) -> Self {
        Self { answers, missing: RefCell::default() }
    }

    /// Decides something with the node as it is and the answers as far as they go.
    pub(super) fn with<T>(&self, view: &View<'_>, decide: impl FnOnce(&NodeView<'_>) -> T) -> T {
        let ask = |function: &str, argument: Option<&str>| self.answer(view, function, argument);
        decide(&NodeView { data: Some(&ask), ..view.node })
    }

    fn answer(&self, view: &View<'_>, function: &str, argument: Option<&str>) -> Option<Map<String, Value>> {
        let found = view.registry.functions().get(function)?;
        if !found.schema.takes(argument) {
            return None;
        }
        if let Source::Memory(memory) = &found.source {
            let argument = argument.unwrap_or_default();
            let version = view.registry.get(argument).map(|agent| agent.schema.version.as_str());
            return Some(memory.answer(argument, &view.node, version));
        }
        let asked = DataCall { function: function.to_owned(), argument: argument.map(str::to_owned) };
        if let Some(answer) = self.answers.get(&asked) {
            return answer.clone();
        }
        let mut missing = self.missing.borrow_mut();
        if missing.iter().all(|(other, _)| *other != asked) {
            missing.push((asked, Arc::clone(found)));
        }
        None
    }

    /// Whether a question came up that has no answer yet.
    pub(super) fn lacks_answers(&self) -> bool {
        !self.missing.borrow().is_empty()
    }

    /// The questions that must be answered first.
    pub(super) fn take(&self, asked: &Asked<'_>, view: &View<'_>) -> Vec<Question> {
        let missing = self.missing.take();
        missing.into_iter().filter_map(|(question, function)| ask(question, function, asked, view)).collect()
    }
}

/// A question as the action that answers it.
fn ask(question: DataCall, function: Arc<Function>, asked: &Asked<'_>, view: &View<'_>) -> Option<Question> {
    let Source::Action { agent, action, input } = &function.source else { return None };
    let header = &asked.opened.header;
    let argument = question.argument.iter().map(|text| ((*input).to_owned(), Value::from(text.as_str())));
    let work = Work {
        call: asked.call.call,
        message: header.id,
        caller: asked.caller.clone(),
        collective: asked.call.collective.clone(),
        agent: Arc::clone(agent),
        action: action.clone(),
        args: argument.collect(),
        dry_run: false,
        stream: false,
        is_write: false,
        timeout: function.schema.as_agent().timeout.min(view.longest),
        issued_at: header.issued_at,
        expires: expires_at(header.issued_at, header.ttl.into()),
        // It is a part of its call, and no request of its own: this is never written down.
        decision: decision(asked, view, None, Err(Refused { code: None, reason: "not decided yet" })),
    };
    Some(Question { asked: question, function, work })
}
