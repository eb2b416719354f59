//! Checks of ZMTP frames, pure: what may pass a relay in one direction (`design.md` section 3).
//!
//! The crate's codec has no limits on frame lengths, frame counts or subscriptions, so nothing reaches it unchecked:
//! a greeting 3.x NULL; one READY of at most 256 bytes without `Identity`; then either single subscription frames or
//! messages of exactly four frames within their limits. A length is refused as soon as it is seen.

use orch_wire::limits::{BODY_BYTES, HEADER_BYTES, READY_BYTES, SEAL_BYTES, TOPIC_BYTES};

const GREETING_BYTES: usize = 64;
const MORE: u8 = 0x01;
const LONG: u8 = 0x02;
const COMMAND: u8 = 0x04;

/// What may come in one direction once both ends are ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Traffic {
    /// Subscriptions: from a SUB socket.
    Subscriptions,
    /// Messages: from a PUB or XPUB socket.
    Messages,
}

/// One complete piece of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece<'a> {
    /// The greeting.
    Greeting,
    /// The READY command.
    Ready,
    /// A subscription or a message.
    Item(Item<'a>),
}

/// What the rules of a relay look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Item<'a> {
    /// Begin of a subscription to topics that start so.
    Subscribe(&'a [u8]),
    /// End of such a subscription.
    Unsubscribe(&'a [u8]),
    /// A message.
    Message {
        /// Topic frame.
        topic: &'a [u8],
        /// Header frame.
        header: &'a [u8],
        /// Body frame.
        body: &'a [u8],
        /// Seal frame.
        seal: &'a [u8],
    },
}

/// Why a stream may not go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Violation(pub &'static str);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Greeting,
    Ready,
    Open,
}

/// The checks of one direction. It keeps no bytes: the caller shows it the bytes not yet consumed, again when more came.
#[derive(Debug)]
pub struct FrameCheck {
    state: State,
    traffic: Traffic,
}

impl FrameCheck {
    /// Checks for a direction in which this traffic may come.
    pub fn new(traffic: Traffic) -> Self {
        Self { state: State::Greeting, traffic }
    }

    /// Whether greeting and READY have passed.
    pub fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// Looks for a complete piece at the start of `data`: its length and what it is, or `None` while bytes are missing.
    pub fn next<'a>(&mut self, data: &'a [u8]) -> Result<Option<(usize, Piece<'a>)>, Violation> {
        if data.is_empty() {
            return Ok(None);
        }
        match self.state {
            State::Greeting => {
                let Some(length) = greeting(data)? else { return Ok(None) };
                self.state = State::Ready;
                Ok(Some((length, Piece::Greeting)))
            }
            State::Ready => {
                let Some(length) = ready(data)? else { return Ok(None) };
                self.state = State::Open;
                Ok(Some((length, Piece::Ready)))
            }
            State::Open => {
                let found = match self.traffic {
                    Traffic::Subscriptions => subscription(data)?,
                    Traffic::Messages => message(data)?,
                };
                Ok(found.map(|(length, item)| (length, Piece::Item(item))))
            }
        }
    }

    /// How long the piece at the start of `data` is at least, by what is there: more than `data` has, when [`Self::next`]
    /// has said that bytes are missing, and never more than the piece has.
    pub fn wanted(&self, data: &[u8]) -> usize {
        if self.state == State::Greeting {
            return GREETING_BYTES;
        }
        let is_message = (self.state, self.traffic) == (State::Open, Traffic::Messages);
        let mut used = 0;
        for _ in 0..if is_message { 4 } else { 1 } {
            used += frame_wanted(data.get(used..).unwrap_or_default());
            if used > data.len() {
                break;
            }
        }
        used
    }
}

/// How long the frame at the start of the data is at least. Its length has been checked where it is there.
fn frame_wanted(data: &[u8]) -> usize {
    match data {
        [flags, length @ ..] if flags & LONG != 0 => match length.split_first_chunk::<8>() {
            Some((length, _)) => {
                usize::try_from(u64::from_be_bytes(*length)).map_or(9, |l| l.saturating_add(9))
            }
            None => 9,
        },
        [_, length, ..] => 2 + usize::from(*length),
        _ => 2,
    }
}

fn greeting(data: &[u8]) -> Result<Option<usize>, Violation> {
    // The fixed bytes are refused as they come, so that a stranger does not hold a connection with garbage.
    let expected = |at: usize, ok: fn(u8) -> bool| data.get(at).is_none_or(|&byte| ok(byte));
    if !expected(0, |b| b == 0xff) || !expected(9, |b| b == 0x7f) || !expected(10, |b| b == 3) {
        return Err(Violation("not a ZMTP 3 greeting"));
    }
    let Some(head) = data.get(..GREETING_BYTES) else { return Ok(None) };
    let mechanism = head.get(12..32).unwrap_or_default();
    if !mechanism.starts_with(b"NULL") || mechanism.iter().skip(4).any(|&byte| byte != 0) {
        return Err(Violation("a ZMTP mechanism other than NULL"));
    }
    Ok(Some(GREETING_BYTES))
}

/// A frame at the start of the data.
struct Frame<'a> {
    flags: u8,
    length: usize,
    body: &'a [u8],
}

/// Reads a frame. Its flags are checked as soon as they are there, and its length before the body is waited for.
fn frame(data: &[u8], flags_allowed: u8, limit: usize) -> Result<Option<Frame<'_>>, Violation> {
    let Some((&flags, rest)) = data.split_first() else { return Ok(None) };
    if flags & !flags_allowed != 0 {
        return Err(Violation("a frame with flags that may not stand here"));
    }
    let (head, length) = if flags & LONG == 0 {
        let Some(&length) = rest.first() else { return Ok(None) };
        (2, u64::from(length))
    } else {
        let Some((length, _)) = rest.split_first_chunk::<8>() else { return Ok(None) };
        (9, u64::from_be_bytes(*length))
    };
    if length > limit as u64 {
        return Err(Violation("a frame longer than its place allows"));
    }
    // At most `limit`, so it fits and cannot overflow.
    let length = usize::try_from(length).map_err(|_| Violation("a frame longer than its place allows"))?;
    Ok(data.get(head..head + length).map(|body| Frame { flags, length: head + length, body }))
}

fn ready(data: &[u8]) -> Result<Option<usize>, Violation> {
    const BAD: Violation = Violation("not a READY command");
    let Some(frame) = frame(data, COMMAND | LONG, READY_BYTES)? else { return Ok(None) };
    if frame.flags & COMMAND == 0 {
        return Err(BAD);
    }
    let mut properties = frame.body.strip_prefix(b"\x05READY").ok_or(BAD)?;
    while let Some((&name_length, rest)) = properties.split_first() {
        let (name, rest) = rest.split_at_checked(usize::from(name_length)).ok_or(BAD)?;
        let (value_length, rest) = rest.split_first_chunk::<4>().ok_or(BAD)?;
        let value_length = usize::try_from(u32::from_be_bytes(*value_length)).map_err(|_| BAD)?;
        properties = rest.get(value_length..).ok_or(BAD)?;
        // A chosen identity could collide with another connection's in the broker's tables.
        if name.eq_ignore_ascii_case(b"Identity") {
            return Err(Violation("a READY command with an identity"));
        }
    }
    Ok(Some(frame.length))
}

fn subscription(data: &[u8]) -> Result<Option<(usize, Item<'_>)>, Violation> {
    // No long frame: a subscription of at most 128 bytes never needs one.
    let Some(frame) = frame(data, 0, TOPIC_BYTES + 1)? else { return Ok(None) };
    let item = match frame.body.split_first() {
        Some((1, topic)) => Item::Subscribe(topic),
        Some((0, topic)) => Item::Unsubscribe(topic),
        _ => return Err(Violation("neither a subscription nor its end")),
    };
    Ok(Some((frame.length, item)))
}

fn message(data: &[u8]) -> Result<Option<(usize, Item<'_>)>, Violation> {
    const COUNT: Violation = Violation("a message that has not four frames");
    let mut used = 0;
    let mut parts: [&[u8]; 4] = [&[]; 4];
    for (at, (part, limit)) in
        parts.iter_mut().zip([TOPIC_BYTES, HEADER_BYTES, BODY_BYTES, SEAL_BYTES]).enumerate()
    {
        let rest = data.get(used..).unwrap_or_default();
        // The flag is checked before the frame is complete, so that endless parts cost nothing.
        if let Some(flags) = rest.first()
            && (flags & MORE == 0) != (at == 3)
        {
            return Err(COUNT);
        }
        let Some(frame) = frame(rest, MORE | LONG, limit)? else { return Ok(None) };
        used += frame.length;
        *part = frame.body;
    }
    let [topic, header, body, seal] = parts;
    Ok(Some((used, Item::Message { topic, header, body, seal })))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hello() -> Vec<u8> {
        let mut bytes = vec![0; 64];
        bytes[0] = 0xff;
        bytes[9] = 0x7f;
        bytes[10] = 3;
        bytes[12..16].copy_from_slice(b"NULL");
        bytes
    }

    fn ready_with(properties: &[(&str, &str)]) -> Vec<u8> {
        let mut body = b"\x05READY".to_vec();
        for (name, value) in properties {
            body.push(name.len() as u8);
            body.extend_from_slice(name.as_bytes());
            body.extend_from_slice(&(value.len() as u32).to_be_bytes());
            body.extend_from_slice(value.as_bytes());
        }
        let mut bytes = vec![0x04, body.len() as u8];
        bytes.extend_from_slice(&body);
        bytes
    }

    fn frames(parts: &[&[u8]]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (at, part) in parts.iter().enumerate() {
            let more = if at + 1 < parts.len() { MORE } else { 0 };
            if part.len() > 255 {
                bytes.push(more | LONG);
                bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
            } else {
                bytes.push(more);
                bytes.push(part.len() as u8);
            }
            bytes.extend_from_slice(part);
        }
        bytes
    }

    fn opened(traffic: Traffic) -> FrameCheck {
        FrameCheck { state: State::Open, traffic }
    }

    /// Runs a stream through the checks; the number of pieces, or the violation.
    fn run(traffic: Traffic, mut data: &[u8]) -> Result<usize, Violation> {
        let mut check = FrameCheck::new(traffic);
        let mut pieces = 0;
        while let Some((used, _)) = check.next(data)? {
            data = &data[used..];
            pieces += 1;
        }
        Ok(pieces)
    }

    #[test]
    fn a_proper_stream_passes() {
        let mut stream = hello();
        stream.extend(ready_with(&[("Socket-Type", "XPUB")]));
        stream.extend(frames(&[b"c/main/", &[1; 300], b"", b"s"]));
        stream.extend(frames(&[b"c/main/", b"h", &[2; 70_000], b"s"]));
        assert_eq!(run(Traffic::Messages, &stream), Ok(4));

        let mut stream = hello();
        stream.extend(ready_with(&[("Socket-Type", "SUB")]));
        stream.extend(frames(&[b"\x01c/main/"]));
        stream.extend(frames(&[b"\x00c/main/"]));
        assert_eq!(run(Traffic::Subscriptions, &stream), Ok(4));
    }

    #[test]
    fn other_greetings_are_refused() {
        for change in [(0, 0x16), (9, 0), (10, 2), (12, b'P'), (20, 1)] {
            let mut bytes = hello();
            bytes[change.0] = change.1;
            assert!(run(Traffic::Messages, &bytes).is_err(), "{change:?}");
        }
        assert!(run(Traffic::Messages, b"GET / HTTP/1.1").is_err(), "at the first byte");
    }

    #[test]
    fn ready_carries_no_identity_and_is_small() {
        let with = |properties: &[(&str, &str)]| {
            let mut stream = hello();
            stream.extend(ready_with(properties));
            run(Traffic::Messages, &stream)
        };
        assert_eq!(with(&[("Socket-Type", "PUB")]), Ok(2));
        assert!(with(&[("Identity", "x")]).is_err());
        assert!(with(&[("identity", "")]).is_err());
        let mut long = hello();
        long.extend_from_slice(&[0x06, 0, 0, 0, 0, 0, 0, 1, 1]);
        assert!(run(Traffic::Messages, &long).is_err(), "257 bytes");
        let mut torn = hello();
        torn.extend_from_slice(&[0x04, 8, 5, b'R', b'E', b'A', b'D', b'Y', 9, b'x']);
        assert!(run(Traffic::Messages, &torn).is_err());
    }

    #[test]
    fn lengths_are_refused_before_their_bytes_come() {
        for length in [1u64 << 36, 1 << 62, u64::MAX, 129] {
            let mut head = vec![MORE | LONG];
            head.extend_from_slice(&length.to_be_bytes());
            assert!(opened(Traffic::Messages).next(&head).is_err(), "{length}");
        }
        assert!(opened(Traffic::Subscriptions).next(&[0, 200]).is_err());
    }

    #[test]
    fn a_message_has_four_frames() {
        assert!(opened(Traffic::Messages).next(&frames(&[b"a", b"b", b"c"])).is_err());
        assert!(opened(Traffic::Messages).next(&frames(&[b"a", b"b", b"c", b"d", b"e"])).is_err());
        assert!(
            opened(Traffic::Messages).next(&[MORE, 0, MORE, 0, MORE, 0, MORE]).is_err(),
            "empty MORE frames"
        );
        assert!(opened(Traffic::Messages).next(&[COMMAND, 0]).is_err(), "a command");
    }

    #[test]
    fn subscriptions_are_single_frames() {
        assert!(opened(Traffic::Subscriptions).next(&frames(&[b"\x01a", b""])).is_err());
        assert!(opened(Traffic::Subscriptions).next(&frames(&[b"\x02a"])).is_err());
        assert!(opened(Traffic::Subscriptions).next(&frames(&[b""])).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_panic_and_pieces_stay_inside(bytes in proptest::collection::vec(any::<u8>(), 0..400), messages in any::<bool>(), open in any::<bool>()) {
            let traffic = if messages { Traffic::Messages } else { Traffic::Subscriptions };
            let mut check = if open { opened(traffic) } else { FrameCheck::new(traffic) };
            let mut rest = bytes.as_slice();
            while let Ok(Some((used, _))) = check.next(rest) {
                prop_assert!(used > 0 && used <= rest.len());
                rest = &rest[used..];
            }
        }

        #[test]
        fn what_is_wanted_leads_to_the_end_of_each_piece_and_not_beyond(body in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut stream = hello();
            stream.extend(ready_with(&[("Socket-Type", "PUB")]));
            stream.extend(frames(&[b"n/a/", b"", &body, b"s"]));
            let mut check = FrameCheck::new(Traffic::Messages);
            let (mut from, mut to, mut pieces) = (0, 1, 0);
            while from < stream.len() {
                match check.next(&stream[from..to]).unwrap() {
                    Some((length, _)) => {
                        prop_assert_eq!(from + length, to);
                        from = to;
                        to = (from + 1).min(stream.len());
                        pieces += 1;
                    }
                    None => {
                        let wanted = from + check.wanted(&stream[from..to]);
                        prop_assert!(to < wanted && wanted <= stream.len());
                        to = wanted;
                    }
                }
            }
            prop_assert_eq!(pieces, 3);
        }

        #[test]
        fn a_stream_is_judged_alike_however_it_is_cut(cut in 0usize..500, body in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut stream = hello();
            stream.extend(ready_with(&[("Socket-Type", "PUB")]));
            stream.extend(frames(&[b"n/a/", b"h", &body, b"s"]));
            let cut = cut.min(stream.len());
            let mut check = FrameCheck::new(Traffic::Messages);
            let (mut used, mut pieces) = (0, 0);
            for end in [cut, stream.len()] {
                while let Some((length, _)) = check.next(&stream[used..end]).unwrap() {
                    used += length;
                    pieces += 1;
                }
            }
            prop_assert_eq!((used, pieces), (stream.len(), 3));
        }
    }
}
