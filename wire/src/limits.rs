//! Every limit of the protocol in one place, each with its reason (`design.md` sections 3, 4, 6 and 8).

use std::time::Duration;

/// Version of the protocol that this build speaks; a peer with another one is refused by name.
pub const PROTOCOL: u8 = 1;

/// Longest topic frame in bytes: `n/` + name + `/`, with room to spare.
pub const TOPIC_BYTES: usize = 128;
/// Longest header frame: holds an identity list of 64 KiB at most.
pub const HEADER_BYTES: usize = 64 * 1024;
/// Longest body frame on the wire; larger data travels in several `output` chunks.
pub const BODY_BYTES: usize = 1024 * 1024;
/// Longest body once decompressed: bounds what a compressed body can cost its reader.
pub const PLAIN_BODY_BYTES: usize = 4 * 1024 * 1024;
/// Longest seal frame: a mode byte and a 64-byte signature fit twice.
pub const SEAL_BYTES: usize = 128;
/// Longest ZMTP READY command that a relay lets pass.
pub const READY_BYTES: usize = 256;
/// Most subscriptions on one connection.
pub const SUBSCRIPTIONS: usize = 16;

/// Bodies longer than this are compressed when that makes them smaller.
pub const COMPRESS_ABOVE: usize = 4 * 1024;
/// Deepest nesting that the decoder follows.
pub const DEPTH: usize = 64;

/// Longest name of a node, operator, collective, agent or action.
pub const NAME_BYTES: usize = 120;
/// Longest identity list in a header, so that the whole header stays under [`HEADER_BYTES`].
pub const TARGET_BYTES: usize = 60 * 1024;
/// A call to at most this many nodes goes to their own topics; more make one broadcast.
pub const DIRECT_NODES: usize = 16;

/// Longest control frame that a client may send to the broker.
pub const CONTROL_REQUEST_BYTES: usize = 64 * 1024;
/// Longest control frame that the broker may send: a roster of tens of thousands of nodes.
pub const CONTROL_REPLY_BYTES: usize = 64 * 1024 * 1024;

/// Default time-to-live of a call: bounds only its start.
pub const TIME_TO_LIVE: Duration = Duration::from_secs(60);
/// Longest time-to-live that a node honours.
pub const MAX_TIME_TO_LIVE: Duration = Duration::from_secs(600);
/// How far the clocks of two parties may be apart.
pub const SKEW: Duration = Duration::from_secs(30);
/// Message ids that a node remembers to recognise a replay.
pub const REPLAY_IDS: usize = 65_536;

/// Time to connect, shake hands and prove the lanes.
pub const CONNECT: Duration = Duration::from_secs(5);
/// Time a node that is here has to answer a discovery.
pub const DISCOVERY: Duration = Duration::from_secs(2);
/// Time the runner waits beyond an action's own limit.
pub const ANSWER_GRACE: Duration = Duration::from_secs(5);
/// Time that a target which is away when the call starts may take to come back.
pub const AWAY_GRACE: Duration = Duration::from_secs(2);
/// Time that a node lost in the middle of a call may take to come back.
pub const RECONNECT_GRACE: Duration = Duration::from_secs(10);
/// First resend of a call after this time; each further one after twice the time before.
pub const RESEND_AFTER: Duration = Duration::from_secs(1);
/// A card is published this often even when nothing changed.
pub const CARD_INTERVAL: Duration = Duration::from_secs(60);
/// A client proves its idle lanes this often, by a probe around both.
pub const HEARTBEAT: Duration = Duration::from_secs(15);
/// A lane whose probe has not come back in this time is dead.
pub const HEARTBEAT_LOST: Duration = Duration::from_secs(15);
/// Results are kept for resends this long, or until [`STORED_RESULT_BYTES`] are exceeded.
pub const STORED_RESULTS: Duration = Duration::from_secs(15 * 60);
/// Bytes of results that a node keeps for resends.
pub const STORED_RESULT_BYTES: usize = 16 * 1024 * 1024;
/// Output that one action may produce.
pub const OUTPUT_BYTES: usize = 16 * 1024 * 1024;
