//! Sizes of real messages of orch, which the opponent's messages have too.

use std::time::Duration;

use anyhow::Result;
use orch_link::entropy;
use orch_wire::body::{Answer, Call};
use orch_wire::envelope::{self, Frames};
use orch_wire::header::{CallHeader, Header, Kind, Millis, ReplyHeader, Stage, Target};
use orch_wire::ids::{CollectiveName, NodeName, OperatorName, Party};
use orch_wire::keys::{Keys, Psk};
use orch_wire::limits::{PROTOCOL, TIME_TO_LIVE};
use orch_wire::topic::{ReplyTopic, Topic};
use serde_json::{Map, json};

/// Length of each frame after the topic: header, body, seal.
pub(crate) type Sizes = [usize; 3];

/// The call of a round, with its target.
pub(crate) fn call(target: Target, agent: &str, action: &str) -> Result<Sizes> {
    let header = CallHeader {
        call: entropy::call_id(),
        run: entropy::run_id(),
        collective: CollectiveName::main(),
        reply_to: ReplyTopic::new(b"certificate", &[0; 16]),
        target,
        agent: agent.parse()?,
        action: action.parse()?,
        timeout: Duration::from_secs(10).into(),
        spread: Millis(0),
    };
    let body = Call { args: Map::new(), script: None, commit: None, dry_run: false, stream: false };
    let sender = Party::Operator(OperatorName::new("bench")?);
    let frames = seal(&Topic::Collective(CollectiveName::main()), sender, Kind::Call(header), &body)?;
    Ok(sizes(frames))
}

/// The answer of a node.
pub(crate) fn reply(node: &NodeName) -> Result<Sizes> {
    let header = ReplyHeader { call: entropy::call_id(), stage: Stage::Done, seq: 0 };
    let answer = Answer::ok([("pong".to_owned(), json!(entropy::now().millis()))].into_iter().collect());
    let topic = Topic::Reply(ReplyTopic::new(b"certificate", &[0; 16]));
    let frames = seal(&topic, Party::Node(node.clone()), Kind::Reply(header), &answer)?;
    Ok(sizes(frames))
}

fn seal<T: serde::Serialize>(topic: &Topic, sender: Party, kind: Kind, body: &T) -> Result<Frames> {
    let header = Header {
        version: PROTOCOL,
        id: entropy::message_id(),
        sender,
        issued_at: entropy::now(),
        ttl: TIME_TO_LIVE.into(),
        lz4: false,
        kind,
    };
    let keys = Keys::derive(&Psk::from_bytes([1; 32]));
    Ok(envelope::seal(&keys, topic, header, body, &entropy::random())?)
}

fn sizes(frames: Frames) -> Sizes {
    let lengths: Vec<usize> = frames.into_parts().iter().map(|part| part.len()).collect();
    match lengths.as_slice() {
        [_, header, body, seal] => [*header, *body, *seal],
        _ => [0; 3],
    }
}
