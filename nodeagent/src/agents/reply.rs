//! Requests and replies of external agents: Choria's external RPC protocol, version 1, and the replies of MCollective's scripts.
//!
//! Choria asks each agent first whether it is to be active on the node. It is never asked here: a program that does not look at the
//! protocol would act when nobody called it. An agent that Choria would leave out says on a call why it cannot act.

use std::path::Path;

use orch_wire::body::{Answer, code};
use orch_wire::limits::PLAIN_BODY_BYTES;
use orch_wire::schema::ActionSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::files;
use crate::json::{DEPTH, is_within};
use crate::work::Work;

/// Name of the request's format, given to the agent beside it.
pub(super) const REQUEST_PROTOCOL: &str = "io.choria.mcorpc.external.v1.rpc_request";
const REQUEST_SCHEMA: &str = "https://choria.io/schemas/mcorpc/external/v1/rpc_request.json";

#[derive(Serialize)]
struct Request<'a> {
    #[serde(rename = "$schema")]
    schema: &'static str,
    protocol: &'static str,
    agent: &'a str,
    action: &'a str,
    requestid: String,
    senderid: &'a str,
    callerid: String,
    collective: &'a str,
    ttl: u64,
    /// In seconds.
    msgtime: u64,
    /// An addition: the agent is to say what it would do.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    dry_run: bool,
    data: &'a Map<String, Value>,
}

/// The request file of a call.
pub(super) fn request(work: &Work) -> Result<Vec<u8>, serde_json::Error> {
    serde_json::to_vec(&Request {
        schema: REQUEST_SCHEMA,
        protocol: REQUEST_PROTOCOL,
        agent: work.agent.name.as_str(),
        action: work.action.as_str(),
        requestid: work.call.to_string(),
        senderid: work.caller.as_str(),
        callerid: format!("cert={}", work.caller),
        collective: work.collective.as_str(),
        ttl: work.expires.since(work.issued_at).as_secs(),
        msgtime: work.issued_at.millis() / 1000,
        dry_run: work.dry_run,
        data: &work.args,
    })
}

#[derive(Deserialize)]
struct Reply {
    statuscode: i64,
    #[serde(default)]
    statusmsg: Option<String>,
    #[serde(default)]
    data: Option<Map<String, Value>>,
}

/// Whether a reply is one of MCollective's scripts, which write their outputs and nothing around them. Only what the schema declares
/// is taken for that, so that a reply with something missing is still a failure.
fn is_outputs(reply: &Map<String, Value>, action: &ActionSchema) -> bool {
    let around = ["statuscode", "statusmsg", "data"];
    !reply.is_empty()
        && reply.keys().all(|name| !around.contains(&name.as_str()) && action.output(name).is_some())
}

/// Reads the reply file. Whatever is wrong with it is a failure that says so, never an empty success.
pub(super) fn read(path: &Path, action: &ActionSchema) -> Answer {
    let bytes = match files::read(path, PLAIN_BODY_BYTES) {
        Ok(bytes) if bytes.iter().all(u8::is_ascii_whitespace) => {
            return Answer::failed(code::REPLY, "the agent wrote no reply");
        }
        Ok(bytes) => bytes,
        Err(error) if error.is_absent() => {
            return Answer::failed(code::REPLY, "the agent removed its reply file");
        }
        Err(error) => {
            return Answer::failed(code::REPLY, format!("the agent's reply is unusable: {}", error.full()));
        }
    };
    let reply = serde_json::from_slice(&bytes).and_then(|reply: Map<String, Value>| {
        if is_outputs(&reply, action) {
            return Ok(Reply { statuscode: 0, statusmsg: None, data: Some(reply) });
        }
        serde_json::from_value(Value::Object(reply))
    });
    let reply: Reply = match reply {
        Ok(reply) => reply,
        Err(error) => {
            return Answer::failed(code::REPLY, format!("the agent's reply is not as agreed: {error}"));
        }
    };
    let mut data = action.output_defaults();
    data.extend(reply.data.unwrap_or_default());
    if data.values().any(|value| !is_within(value, DEPTH)) {
        return Answer::failed(
            code::REPLY,
            format!("the agent's reply is nested deeper than {DEPTH} levels"),
        );
    }
    // Libraries of agents fill in `OK` on their own; it tells nobody anything.
    let message = reply.statusmsg.filter(|message| message.trim() != "OK").unwrap_or_default();
    let reason = match reply.statuscode {
        0 => return Answer { message, ..Answer::ok(data) },
        2 => code::UNKNOWN_ACTION,
        3 | 4 => code::ARGUMENTS,
        _ => code::ACTION,
    };
    let message = match message.trim() {
        "" => format!("the agent reported status {}", reply.statuscode),
        _ => message,
    };
    // It ran, so it is a failure whatever the status is.
    Answer { data, ..Answer::failed(reason, message) }
}
