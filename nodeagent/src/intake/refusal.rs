//! Why a call does not begin, and how old it may be.

use std::time::Duration;

use orch_wire::body::{Answer, code};
use orch_wire::ids::CallId;
use orch_wire::limits::{MAX_TIME_TO_LIVE, SKEW, STORED_RESULTS};
use orch_wire::time::{Freshness, Timestamp, freshness};
use serde_json::json;

use super::Question;

/// Why a call does not begin.
#[derive(Debug)]
pub(super) enum Refusal {
    Skipped,
    /// These must be answered before it can be said.
    Undecided(Vec<Question>),
    /// It may have been begun and forgotten; no answer would be sure to be true.
    Forgotten,
    Rejected(Box<Answer>),
}

impl Refusal {
    pub(super) fn because(code: &str, message: impl Into<String>) -> Self {
        Self::Rejected(Box::new(Answer::rejected(code, message)))
    }
}

/// Whether a call is so old that it may have been begun, ended and forgotten. Saying that it was refused could then be a
/// lie; without an answer it ends as what it is to its caller, unknown.
pub(super) fn is_forgettable(call: CallId, now: Timestamp) -> bool {
    call.made_at().is_none_or(|made_at| now > made_at.plus(STORED_RESULTS.saturating_sub(SKEW)))
}

/// A message must be within its time-to-live, and the call itself younger than the longest one: results are
/// remembered longer than that, so an older call could have been begun and forgotten.
pub(super) fn check_time(
    call: CallId,
    issued_at: Timestamp,
    time_to_live: Duration,
    now: Timestamp,
) -> Result<(), Refusal> {
    let made_at = call
        .made_at()
        .ok_or_else(|| Refusal::because(code::MALFORMED, "the call's id does not say when it was made"))?;
    let message = match (freshness(issued_at, time_to_live, now), freshness(made_at, MAX_TIME_TO_LIVE, now)) {
        (Freshness::Fresh, Freshness::Fresh) => return Ok(()),
        (Freshness::PostDated, _) | (_, Freshness::PostDated) => {
            format!("the message is of {issued_at}, this node's clock says {now}")
        }
        (Freshness::Expired, _) => {
            format!(
                "the message is of {issued_at} and may be {} s old, this node's clock says {now}",
                time_to_live.as_secs()
            )
        }
        (_, Freshness::Expired) if is_forgettable(call, now) => return Err(Refusal::Forgotten),
        (_, Freshness::Expired) => {
            format!("the call is of {made_at}, too long ago to begin it; this node's clock says {now}")
        }
    };
    let mut answer = Answer::rejected(code::CLOCK, message);
    answer.data.insert("node_time".to_owned(), json!(now.millis()));
    answer.data.insert("issued_at".to_owned(), json!(issued_at.millis()));
    Err(Refusal::Rejected(Box::new(answer)))
}
