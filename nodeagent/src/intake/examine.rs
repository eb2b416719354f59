//! What a new call must pass: time, query, agent and action, body, policy, arguments, room.

use std::time::Duration;

use orch_wire::body::{Call, code};
use orch_wire::header::{Millis, Target};
use orch_wire::query::Query;
use orch_wire::replay::Admission;
use orch_wire::time::{Timestamp, expires_at};

use super::asking::{ASKING, Asking, Asks, Question};
use super::authorise::{Asked, authorise, decision};
use super::refusal::{Refusal, check_time};
use super::{Intake, View};
use crate::work::Work;

impl Intake {
    /// What a new call must pass, in order, to become an action.
    pub(super) fn examine(
        &self,
        asked: &Asked<'_>,
        view: &View<'_>,
        asking: &Asking,
        now: Timestamp,
        seen: &mut Option<Call>,
    ) -> Result<Box<Work>, Refusal> {
        let Asked { opened, call, caller } = *asked;
        let asks = Asks::new(&asking.answers);
        let header = &opened.header;
        let time_to_live = Duration::from(header.ttl);
        check_time(call.call, header.issued_at, time_to_live, now)?;
        if let Target::Query(text) = &call.target {
            let query = Query::parse(text)
                .map_err(|error| Refusal::because(code::MALFORMED, format!("the query: {error}")))?;
            let matches = asks.with(view, |node| query.matches(node));
            // Looked at only where answers are missing, so that a query without functions is decided once.
            if asks.lacks_answers() && !query.may_match(&view.node) {
                return Err(Refusal::Skipped);
            }
            self.settled(asks.take(asked, view))?;
            if !matches {
                return Err(Refusal::Skipped);
            }
        }
        let unknown = |what: String| Refusal::because(code::UNKNOWN_ACTION, what);
        let agent = view
            .registry
            .get(call.agent.as_str())
            .ok_or_else(|| unknown(format!("this node has no agent `{}`", call.agent)))?;
        let action = agent
            .schema
            .action(call.action.as_str())
            .ok_or_else(|| unknown(format!("agent `{}` has no action `{}`", call.agent, call.action)))?;
        let body: Call = opened
            .body(&self.keys)
            .map_err(|error| Refusal::because(code::MALFORMED, format!("the call: {error}")))?;
        let body = &*seen.insert(body);
        let allowed = asks.with(view, |node| authorise(asked, view, node));
        self.settled(asks.take(asked, view))?;
        let allowed = allowed?;
        action.validate(&body.args).map_err(|faults| {
            let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
            Refusal::because(code::ARGUMENTS, faults.join("; "))
        })?;
        if body.dry_run && action.is_write() && !action.dry_run {
            let message = format!("`{}.{}` cannot say what it would do", call.agent, call.action);
            return Err(Refusal::because(code::ARGUMENTS, message));
        }
        let is_write = action.is_write() && !body.dry_run;
        if is_write && view.shared_machine && agent.is_builtin() {
            return Err(Refusal::because(code::LAB, "this lab node shares your machine"));
        }
        if is_write && (asking.admission == Admission::Full || !self.spool.has_room()) {
            let message =
                "this node cannot remember more calls now, so that it could not tell a repeated one";
            return Err(Refusal::because(code::OVERLOADED, message));
        }
        // What is answered from memory takes no room, so that a busy node can be asked what it does.
        let takes_room = is_write || !agent.is_here();
        if takes_room && self.running.len() >= view.room {
            let message = format!("{} actions run or wait here already", self.running.len());
            return Err(Refusal::because(code::OVERLOADED, message));
        }
        let limit = match call.timeout {
            Millis(0) => agent.schema.timeout,
            span => span.into(),
        };
        Ok(Box::new(Work {
            call: call.call,
            message: header.id,
            caller: caller.clone(),
            collective: call.collective.clone(),
            agent: agent.clone(),
            action: call.action.clone(),
            args: body.args.clone(),
            dry_run: body.dry_run,
            stream: body.stream,
            is_write,
            timeout: limit.min(view.longest),
            issued_at: header.issued_at,
            expires: expires_at(header.issued_at, time_to_live),
            decision: decision(asked, view, Some(body), Ok(&allowed)),
        }))
    }

    /// Nothing may follow from a decision that lacked answers.
    fn settled(&self, missing: Vec<Question>) -> Result<(), Refusal> {
        if missing.is_empty() {
            return Ok(());
        }
        if self.asking.len() >= ASKING {
            let message = format!("{ASKING} calls wait for data functions here already");
            return Err(Refusal::because(code::OVERLOADED, message));
        }
        Err(Refusal::Undecided(missing))
    }
}
