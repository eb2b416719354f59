//! The clock and the random numbers that `wire`, being pure, asks its callers for.

use std::time::{SystemTime, UNIX_EPOCH};

use orch_wire::ids::{CallId, MessageId, RunId};
use orch_wire::time::Timestamp;

/// The present moment by this machine's clock.
pub fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX))
}

/// Random bytes fit for keys and nonces.
#[expect(clippy::expect_used, reason = "without the kernel's random numbers no message can be sealed safely")]
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the kernel gives no random numbers");
    bytes
}

/// A number that an opponent cannot guess, for probes and cards.
pub fn nonce() -> u64 {
    u64::from_le_bytes(random())
}

/// Id of a new envelope.
pub fn message_id() -> MessageId {
    MessageId::new(now(), &random())
}

/// Id of a new call.
pub fn call_id() -> CallId {
    CallId::new(now(), &random())
}

/// Id of a new run.
pub fn run_id() -> RunId {
    RunId::new(now(), &random())
}
