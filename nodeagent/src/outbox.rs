//! Replies on their way out: sealed, and put into the link's queue without ever waiting for room.

use bytes::Bytes;
use orch_link::entropy;
use orch_wire::body::{Answer, code};
use orch_wire::codec;
use orch_wire::envelope::{self, EnvelopeError, Frames};
use orch_wire::header::{Header, Kind, ReplyHeader, Stage};
use orch_wire::ids::{NodeName, Party};
use orch_wire::keys::Keys;
use orch_wire::limits::{BODY_BYTES, PROTOCOL, TIME_TO_LIVE};
use orch_wire::topic::Topic;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use crate::work::Reply;

/// Seals and sends in the name of one node.
pub(crate) struct Outbox {
    node: NodeName,
    keys: Keys,
    outgoing: mpsc::Sender<Frames>,
}

impl Outbox {
    pub(crate) fn new(node: NodeName, keys: Keys, outgoing: mpsc::Sender<Frames>) -> Self {
        Self { node, keys, outgoing }
    }

    /// An answer too large to travel becomes a failure that says so: it must not be lost without a word.
    pub(crate) fn fit(&self, answer: Answer) -> Answer {
        // Only a large one is worth the try.
        let header = ReplyHeader { call: entropy::call_id(), stage: Stage::Done, seq: 0 };
        if answer.most_bytes() < BODY_BYTES / 2 || self.seal(&Topic::Probe, header, &answer).is_ok() {
            return answer;
        }
        let bytes = codec::encode(&answer).map_or(usize::MAX, |bytes| bytes.len());
        let message =
            format!("the answer of {bytes} bytes is larger than a message can be, or has too many values");
        Answer { elapsed: answer.elapsed, ..Answer::failed(code::REPLY, message) }
    }

    /// Sends a reply; false where it found no room. The runner asks again for what it misses.
    pub(crate) fn reply(&self, reply: &Reply) -> bool {
        self.sealed(reply).is_some_and(|frames| self.send(frames))
    }

    /// Sends a piece of output, which keeps its room until it has left this process.
    pub(crate) fn output(&self, reply: &Reply, room: OwnedSemaphorePermit) -> bool {
        self.sealed(reply).is_some_and(|frames| {
            let body = Bytes::from_owner(Leaving { bytes: frames.body, _room: room });
            self.send(Frames { body, ..frames })
        })
    }

    fn sealed(&self, reply: &Reply) -> Option<Frames> {
        let header = ReplyHeader { call: reply.call, stage: reply.stage, seq: reply.seq };
        let sealed = self.seal(&Topic::Reply(reply.to.clone()), header, &reply.answer);
        sealed
            .inspect_err(|error| tracing::error!(call = %reply.call, %error, "a reply cannot be sealed"))
            .ok()
    }

    /// Sends a sealed message; false where it found no room.
    pub(crate) fn send(&self, frames: Frames) -> bool {
        self.outgoing.try_send(frames).is_ok()
    }

    fn seal(&self, topic: &Topic, reply: ReplyHeader, answer: &Answer) -> Result<Frames, EnvelopeError> {
        let header = Header {
            version: PROTOCOL,
            id: entropy::message_id(),
            sender: Party::Node(self.node.clone()),
            issued_at: entropy::now(),
            ttl: TIME_TO_LIVE.into(),
            lz4: false,
            kind: Kind::Reply(reply),
        };
        envelope::seal(&self.keys, topic, header, answer, &entropy::random())
    }
}

/// A body on its way out, with the room that it takes.
struct Leaving {
    bytes: Bytes,
    _room: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Leaving {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use orch_wire::body::Ending;
    use orch_wire::keys::Psk;
    use orch_wire::topic::ReplyTopic;
    use serde_json::{Map, Value, json};

    fn outbox(room: usize) -> (Outbox, mpsc::Receiver<Frames>) {
        let (outgoing, frames) = mpsc::channel(room);
        (Outbox::new("web1".parse().unwrap(), Keys::derive(&Psk::from_bytes([1; 32])), outgoing), frames)
    }

    fn with(text: String) -> Answer {
        let data: Map<String, Value> = [("text".to_owned(), json!(text))].into_iter().collect();
        Answer::ok(data)
    }

    #[test]
    fn an_answer_that_cannot_travel_is_a_failure() {
        let (outbox, _frames) = outbox(1);
        let small = with("x".to_owned());
        assert_eq!(outbox.fit(small.clone()), small);
        let compressible = with("x".repeat(3_000_000));
        assert_eq!(outbox.fit(compressible.clone()), compressible);
        let noise: String = (0..1_200_000)
            .scan(1_u64, |state, _| {
                *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                char::from_u32(33 + u32::try_from(*state >> 58).unwrap())
            })
            .collect();
        let many: Map<String, Value> = [("list".to_owned(), json!(vec![0; 600_000]))].into_iter().collect();
        for large in [with(noise), with("x".repeat(5_000_000)), Answer::ok(many)] {
            let answer = outbox.fit(large);
            assert_eq!((answer.ending, answer.code.as_deref()), (Some(Ending::Failed), Some(code::REPLY)));
        }
    }

    #[test]
    fn a_full_queue_does_not_block() {
        let (outbox, mut frames) = outbox(1);
        let reply = Reply {
            to: ReplyTopic::new(b"alice", &[1; 16]),
            call: entropy::call_id(),
            stage: Stage::Done,
            seq: 0,
            answer: with("x".to_owned()),
            spread: std::time::Duration::ZERO,
        };
        assert!(outbox.reply(&reply));
        assert!(!outbox.reply(&reply));
        let sent = frames.try_recv().unwrap();
        let (topic, header) = sent.peek().unwrap();
        assert_eq!(topic, Topic::Reply(reply.to.clone()));
        assert_eq!(header.kind, Kind::Reply(ReplyHeader { call: reply.call, stage: Stage::Done, seq: 0 }));
    }
}
