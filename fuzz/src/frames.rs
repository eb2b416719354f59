//! The relay's checks of ZMTP.

use orch_link::zmtp::{FrameCheck, Item, Piece, Traffic, Violation};
use orch_wire::limits::{BODY_BYTES, HEADER_BYTES, SEAL_BYTES, TOPIC_BYTES};

/// Longest piece that a relay may have to wait for: four frames, each with its nine bytes of flags and length.
const PIECE_BYTES: usize = TOPIC_BYTES + HEADER_BYTES + BODY_BYTES + SEAL_BYTES + 4 * 9;

/// What the checks said of a stream.
#[derive(Debug, PartialEq, Eq)]
struct Verdict {
    /// Length of each piece that passed.
    passed: Vec<usize>,
    end: Result<(), Violation>,
}

/// The first byte chooses the direction, the second how the stream is cut; the rest is the stream.
///
/// A stream is judged alike however it is cut, no piece reaches past its bytes, frames are within their limits, and no
/// more is waited for than the longest message.
pub fn frames(data: &[u8]) {
    let [kind, cut, stream @ ..] = data else { return };
    let traffic = if kind % 2 == 0 { Traffic::Messages } else { Traffic::Subscriptions };
    let whole = judge(traffic, stream, stream.len());
    for step in [usize::from(*cut) + 1, 1 + usize::from(*cut) % 7] {
        assert_eq!(judge(traffic, stream, step), whole, "cut every {step} bytes");
    }
}

/// Shows the stream to the checks as a relay does: what was not consumed is shown again when more came.
fn judge(traffic: Traffic, stream: &[u8], step: usize) -> Verdict {
    let mut check = FrameCheck::new(traffic);
    let (mut used, mut shown) = (0, 0);
    let mut passed = Vec::new();
    while shown < stream.len() {
        shown = (shown + step).min(stream.len());
        loop {
            let pending = &stream[used..shown];
            match check.next(pending) {
                Ok(Some((length, piece))) => {
                    assert!(length > 0 && length <= pending.len(), "{length} of {} bytes", pending.len());
                    look_at(piece, passed.len(), traffic, &pending[..length]);
                    used += length;
                    passed.push(length);
                }
                Ok(None) => {
                    assert!(pending.len() < PIECE_BYTES, "{} bytes are kept", pending.len());
                    break;
                }
                Err(violation) => return Verdict { passed, end: Err(violation) },
            }
        }
    }
    assert_eq!(check.is_open(), passed.len() >= 2);
    Verdict { passed, end: Ok(()) }
}

fn look_at(piece: Piece<'_>, before: usize, traffic: Traffic, bytes: &[u8]) {
    match (before, piece) {
        (0, Piece::Greeting) | (1, Piece::Ready) => {}
        (2.., Piece::Item(item)) => look_at_item(item, traffic, bytes),
        _ => panic!("{piece:?} after {before} pieces"),
    }
}

fn look_at_item(item: Item<'_>, traffic: Traffic, bytes: &[u8]) {
    match (traffic, item) {
        (Traffic::Subscriptions, Item::Subscribe(topic) | Item::Unsubscribe(topic)) => {
            assert!(topic.len() <= TOPIC_BYTES);
            let begins = u8::from(matches!(item, Item::Subscribe(_)));
            let head = [0, u8::try_from(topic.len() + 1).unwrap_or(u8::MAX), begins];
            assert_eq!(bytes, [&head, topic].concat(), "a subscription has one spelling");
        }
        (Traffic::Messages, Item::Message { topic, header, body, seal }) => {
            let parts =
                [(topic, TOPIC_BYTES), (header, HEADER_BYTES), (body, BODY_BYTES), (seal, SEAL_BYTES)];
            let mut length = 0;
            for (part, limit) in parts {
                assert!(part.len() <= limit, "{} bytes where {limit} are allowed", part.len());
                length += part.len();
            }
            // Two bytes of flags and length before a short frame, nine before a long one.
            assert!((length + 8..=length + 36).contains(&bytes.len()));
        }
        _ => panic!("{item:?} among {traffic:?}"),
    }
}
