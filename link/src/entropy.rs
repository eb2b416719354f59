//! The clock and the random numbers that `wire`, being pure, asks its callers for.

use std::cell::RefCell;
use std::time::{SystemTime, UNIX_EPOCH};

use orch_wire::ids::{CallId, MessageId, RunId};
use orch_wire::time::Timestamp;

/// The present moment by this machine's clock.
pub fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX))
}

/// Random bytes fit for keys and nonces, from the kernel: fetched some at a time, since each message needs a few and a
/// system call costs more than sealing one. What was given out is wiped.
pub fn random<const N: usize>() -> [u8; N] {
    thread_local! {
        static POOL: RefCell<Pool> = const { RefCell::new(Pool { bytes: [0; POOL_BYTES], left: 0 }) };
    }
    POOL.with_borrow_mut(|pool| {
        let mut bytes = [0; N];
        pool.take(&mut bytes);
        bytes
    })
}

const POOL_BYTES: usize = 512;

struct Pool {
    bytes: [u8; POOL_BYTES],
    left: usize,
}

impl Pool {
    #[expect(
        clippy::expect_used,
        reason = "without the kernel's random numbers no message can be sealed safely"
    )]
    fn take(&mut self, wanted: &mut [u8]) {
        for byte in wanted {
            if self.left == 0 {
                getrandom::fill(&mut self.bytes).expect("the kernel gives no random numbers");
                self.left = POOL_BYTES;
            }
            self.left -= 1;
            if let Some(source) = self.bytes.get_mut(self.left) {
                *byte = std::mem::take(source);
            }
        }
    }
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
