//! Whether a caller may do what is asked, and what the audit is to say of it.

use orch_wire::audit::{self, Decision};
use orch_wire::body::{Answer, Call, code};
use orch_wire::caller::Caller;
use orch_wire::envelope::Opened;
use orch_wire::header::{CallHeader, Kind};
use orch_wire::ids::{OperatorName, Party};
use orch_wire::policy::{Effect, Request};
use orch_wire::query::NodeView;

use super::View;
use super::refusal::Refusal;

/// Longest text of a caller's or of a reason in the audit, in bytes.
const TEXT_BYTES: usize = 1024;

/// A call as it came.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) opened: &'a Opened,
    pub(super) call: &'a CallHeader,
    pub(super) caller: &'a OperatorName,
}

impl<'a> Asked<'a> {
    /// The call in an opened message, if it is one, of an operator.
    pub(super) fn of(opened: &'a Opened) -> Option<Self> {
        match (&opened.header.kind, &opened.header.sender) {
            (Kind::Call(call) | Kind::Resend(call), Party::Operator(caller)) => {
                Some(Self { opened, call, caller })
            }
            _ => None,
        }
    }
}

/// A refusal, as the audit tells it.
pub(super) struct Refused<'a> {
    pub(super) code: Option<&'a str>,
    pub(super) reason: &'a str,
}

/// What allows the call, in words for the audit.
pub(super) fn authorise(asked: &Asked<'_>, view: &View<'_>, node: &NodeView<'_>) -> Result<String, Refusal> {
    let caller = Caller::of_certificate(asked.caller);
    let (agent, action) = (asked.call.agent.as_str(), asked.call.action.as_str());
    let request = Request { caller: &caller, agent, action };
    let decided = view.policies.decide(&request, node);
    match decided.effect {
        Effect::Allow => Ok(decided.to_string()),
        Effect::Deny => Err(Refusal::because(code::NOT_AUTHORISED, decided.to_string())),
    }
}

/// What the caller hears. Which line refused is for the audit alone: it would tell how to get by.
pub(super) fn neutral(answer: Answer) -> Answer {
    if answer.code.as_deref() == Some(code::NOT_AUTHORISED) {
        return Answer { message: "the policy of this node does not allow it".to_owned(), ..answer };
    }
    answer
}

/// The line of the audit.
pub(super) fn decision(
    asked: &Asked<'_>,
    view: &View<'_>,
    body: Option<&Call>,
    verdict: Result<&str, Refused<'_>>,
) -> Decision {
    let Asked { opened, call, caller } = *asked;
    let schema = view.registry.get(call.agent.as_str()).map(|agent| &agent.schema);
    let action = schema.and_then(|schema| schema.action(call.action.as_str()));
    let (allowed, code, reason) = match verdict {
        Ok(reason) => (true, None, reason),
        Err(Refused { code, reason }) => (false, code.map(str::to_owned), reason),
    };
    Decision {
        message: opened.header.id,
        call: call.call,
        run: call.run,
        caller: Caller::of_certificate(caller).to_string(),
        agent: call.agent.clone(),
        action: call.action.clone(),
        args: body.map(|body| audit::shown(&body.args, action)).unwrap_or_default(),
        dry_run: body.is_some_and(|body| body.dry_run),
        script: body.and_then(|body| body.script.as_deref()).map(cut),
        commit: body.and_then(|body| body.commit.as_deref()).map(cut),
        allowed,
        code,
        reason: cut(reason),
    }
}

fn cut(text: &str) -> String {
    text.get(..text.floor_char_boundary(TEXT_BYTES)).unwrap_or_default().to_owned()
}
