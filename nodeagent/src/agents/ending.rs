//! How a step of an action ends the whole action.

use std::time::Duration;

use orch_wire::body::{Answer, code};

/// What a step of an action gives, or else the answer that ends the action.
pub(super) type Done<T> = Result<T, Box<Answer>>;

/// The failure of an action, for a reason that it found itself.
pub(super) fn failed(why: impl Into<String>) -> Box<Answer> {
    Box::new(Answer::failed(code::ACTION, why))
}

/// The refusal of arguments that the schema could not see to be wrong.
pub(super) fn refused(why: impl Into<String>) -> Box<Answer> {
    Box::new(Answer::rejected(code::ARGUMENTS, why))
}

/// The end of an action that was asked to end.
pub(super) fn cancelled() -> Box<Answer> {
    Box::new(Answer::failed(code::CANCELLED, "cancelled while it ran"))
}

/// The end of an action whose time is over, and all its processes with it.
pub(super) fn timed_out(limit: Duration) -> Box<Answer> {
    Box::new(Answer::timed_out(format!("killed after {} s with all its processes", limit.as_secs_f64())))
}
