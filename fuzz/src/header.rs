//! Topic and header of a message.

use bytes::Bytes;
use orch_wire::codec::{self, CodecError};
use orch_wire::envelope::{self, EnvelopeError, Frames};
use orch_wire::header::Header;
use orch_wire::limits::{HEADER_BYTES, TOPIC_BYTES};
use orch_wire::topic::Topic;

use crate::insider;

/// The first byte is the length of the topic; what follows it is the header.
///
/// What decodes encodes again to the same, a topic has one spelling, and nothing opens that nobody sealed.
pub fn header(data: &[u8]) {
    let Some((&length, rest)) = data.split_first() else { return };
    let (topic, header) = rest.split_at(usize::from(length).min(rest.len()));
    look_at_topic(topic);
    look_at_header(header);

    let parts = [topic, header, &[], &[]].map(Bytes::copy_from_slice).to_vec();
    let Ok(frames) = Frames::from_parts(parts) else {
        assert!(topic.len() > TOPIC_BYTES || header.len() > HEADER_BYTES);
        return;
    };
    match (frames.peek(), envelope::open(&insider::keys(), &frames)) {
        (Ok((_, header)), Err(EnvelopeError::Seal)) => assert!(header.is_ours()),
        (Ok((_, header)), Err(EnvelopeError::Version(version))) => {
            assert!(!header.is_ours() && header.version == version);
        }
        (Err(peeked), Err(opened)) => assert_eq!(peeked, opened),
        (peeked, opened) => panic!("{peeked:?}, and then {opened:?}"),
    }
}

/// A second spelling of a topic would be another topic to the sockets and the same one to the rules.
fn look_at_topic(frame: &[u8]) {
    if let Ok(topic) = Topic::from_frame(frame) {
        assert!(frame.len() <= TOPIC_BYTES);
        assert_eq!(topic.to_string().as_bytes(), frame);
        assert!(frame.ends_with(b"/"), "no topic is the beginning of another");
    }
}

fn look_at_header(bytes: &[u8]) {
    match codec::decode::<Header>(bytes, HEADER_BYTES) {
        Ok(header) => {
            assert!(bytes.len() <= HEADER_BYTES);
            let again = codec::encode(&header).and_then(|bytes| codec::decode(&bytes, HEADER_BYTES));
            assert_eq!(again, Ok(header));
        }
        Err(CodecError::TooLong { actual, limit }) => assert!(actual > limit),
        Err(CodecError::TooMany { limit }) => assert!(bytes.len() > limit),
        Err(CodecError::Malformed(message)) => assert!(!message.is_empty()),
        Err(error @ CodecError::Unencodable(_)) => panic!("{error} while decoding"),
    }
}
