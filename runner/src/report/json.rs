//! JSON for programs. Its shapes are a promise:
//!
//! - a call: `agent`, `action`, `results` (`node`, `outcome`, `code`?, `message`?, `data`, `elapsed_ms`, `began`?, `audit`?:
//!   `position` and `hash` of the last line of the node's audit), `counts`
//!   (one number per outcome), `skipped`, `unanswered`, `away`, `foreign` (names), `interrupted`;
//! - a discovery: `nodes`, `unanswered`, `away`, `foreign`;
//! - the roster: `broker`, `here`, `away`, `left`, `foreign`.

use serde_json::{Value, json};

use super::call::CallView;
use crate::client::{Discovery, Fleet};

/// A call and what came of it.
pub fn call_json(view: &CallView<'_>) -> Value {
    let report = view.report;
    json!({
        "agent": view.agent,
        "action": view.action,
        "results": report.results,
        "counts": view.counts(),
        "skipped": report.skipped,
        "unanswered": report.unanswered,
        "away": report.away,
        "foreign": report.foreign,
        "interrupted": report.interrupted,
    })
}

/// What a discovery found.
pub fn discovery_json(found: &Discovery) -> Value {
    json!({
        "nodes": found.nodes,
        "unanswered": found.unanswered,
        "away": found.away,
        "foreign": found.foreign,
        "interrupted": found.interrupted,
    })
}

/// The roster.
pub fn fleet_json(fleet: &Fleet) -> Value {
    json!({
        "broker": fleet.broker,
        "here": fleet.here,
        "away": fleet.away,
        "left": fleet.left,
        "foreign": fleet.foreign,
    })
}
