//! Bodies of calls and answers.

use std::fmt::Debug;

use orch_wire::body::{Answer, Call};
use orch_wire::codec::{self, CodecError};
use orch_wire::envelope::{self, EnvelopeError, Opened};
use orch_wire::header::{Header, Kind, Millis, ReplyHeader, Stage};
use orch_wire::ids::{CallId, MessageId, NodeName, Party};
use orch_wire::limits::{DEPTH, PLAIN_BODY_BYTES, PROTOCOL};
use orch_wire::time::Timestamp;
use orch_wire::topic::{ReplyTopic, Topic};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::insider;

/// The first byte says whether a call or an answer is read and whether the body counts as compressed; the rest is the
/// plaintext.
///
/// What decodes encodes again to the same and travels again; a compressed body grows no further than its limit; what
/// was decoded nests no deeper than allowed and holds no more values than the plaintext had bytes.
pub fn body(data: &[u8]) {
    let Some((&kind, plain)) = data.split_first() else { return };
    let lz4 = kind & 2 != 0;
    let Ok(node) = NodeName::new("web1") else { return };
    let call = CallId::new(Timestamp::from_millis(1), &[1; 10]);
    let reply = Kind::Reply(ReplyHeader { call, stage: Stage::Done, seq: 0 });
    let topic = Topic::Reply(ReplyTopic::new(b"certificate", &[7; 16]));
    let Ok(opened) = insider::opened(&topic, Party::Node(node), reply, lz4, plain) else { return };
    if lz4 && claimed_length(plain).is_none_or(|length| length > PLAIN_BODY_BYTES) {
        let refused = opened.body::<Value>(&insider::keys());
        assert_eq!(refused, Err(EnvelopeError::Decompress));
    }
    let room = if lz4 { claimed_length(plain).unwrap_or(0) } else { plain.len() };
    if kind & 1 == 0 {
        if let Some(call) = look_at::<Call>(&opened) {
            assert_bounded(&call.args, room);
        }
    } else if let Some(answer) = look_at::<Answer>(&opened) {
        assert_bounded(&answer.data, room);
    }
}

fn claimed_length(packed: &[u8]) -> Option<usize> {
    packed.first_chunk::<4>().map(|length| u32::from_le_bytes(*length) as usize)
}

fn look_at<T: Serialize + DeserializeOwned + PartialEq + Debug>(opened: &Opened) -> Option<T> {
    let keys = insider::keys();
    let value = match opened.body::<T>(&keys) {
        Ok(value) => value,
        Err(EnvelopeError::Decompress) => {
            assert!(opened.header.lz4);
            return None;
        }
        Err(EnvelopeError::Content(CodecError::Malformed(_) | CodecError::TooMany { .. })) => return None,
        // The plaintext is never longer than the limit, and always encrypted.
        Err(error) => panic!("{error}"),
    };
    let again = codec::encode(&value).and_then(|bytes| codec::decode::<T>(&bytes, usize::MAX));
    assert_eq!(again.as_ref(), Ok(&value));

    let header = Header {
        version: PROTOCOL,
        id: MessageId::new(opened.header.issued_at, &[2; 10]),
        lz4: false,
        ttl: Millis(1),
        ..opened.header.clone()
    };
    match envelope::seal(&keys, &opened.topic, header, &value, &[3; envelope::NONCE_BYTES]) {
        Ok(frames) => {
            let arrived = envelope::open(&keys, &frames).and_then(|opened| opened.body::<T>(&keys));
            assert_eq!(arrived.as_ref(), Ok(&value));
        }
        // What was compressed well may not be once it is in order.
        Err(EnvelopeError::TooLarge(_)) => {}
        Err(error) => panic!("{error}"),
    }
    Some(value)
}

fn assert_bounded(values: &Map<String, Value>, bytes: usize) {
    let mut count = 0;
    let mut level: Vec<&Value> = values.values().collect();
    // The body itself is one level, the map of values another.
    let mut depth = 2;
    while !level.is_empty() {
        assert!(depth <= DEPTH, "{depth} levels");
        count += level.len();
        level = level.into_iter().flat_map(inner).collect();
        depth += 1;
    }
    assert!(count <= bytes, "{count} values out of {bytes} bytes");
}

fn inner(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(list) => list.iter().collect(),
        Value::Object(map) => map.values().collect(),
        _ => Vec::new(),
    }
}
