//! Calls that have ended on this node: their results, for resends, and the knowledge that they must not begin again.

use std::collections::{BTreeSet, HashMap};

use orch_wire::body::{Answer, Ending};
use orch_wire::codec;
use orch_wire::header::Millis;
use orch_wire::ids::{CallId, OperatorName};
use orch_wire::limits::{PLAIN_BODY_BYTES, STORED_RESULT_BYTES, STORED_RESULTS};
use orch_wire::time::Timestamp;

/// Most ended calls remembered. Reads beyond it are forgotten, since they may run again; writes are not begun then.
const CALLS: usize = 65_536;

/// How a call ended here.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Ended {
    /// The node was not meant.
    Skipped,
    /// The final answer and its number among the replies.
    Done(Box<Answer>, u32),
}

#[derive(Debug)]
struct Entry {
    /// Whose call it was; not known of calls from before a restart.
    caller: Option<OperatorName>,
    until: Timestamp,
    is_write: bool,
    seq: u32,
    held: Held,
}

#[derive(Debug)]
enum Held {
    Skipped,
    /// The encoded answer: smaller than the value, and its size is known.
    Answer(Box<[u8]>),
    /// The answer was dropped to make room for others; how it ended is not.
    Ending(Ending, Option<Box<str>>),
}

/// Ended calls, each for [`STORED_RESULTS`]; the oldest results lose their outputs when all are larger than
/// [`STORED_RESULT_BYTES`].
#[derive(Debug, Default)]
pub(crate) struct Spool {
    calls: HashMap<CallId, Entry>,
    by_expiry: BTreeSet<(Timestamp, CallId)>,
    bytes: usize,
}

impl Spool {
    /// Stores the end of a call.
    pub(crate) fn put(&mut self, call: CallId, ended: &Ended, is_write: bool, now: Timestamp) {
        self.expire(now);
        self.remove(call);
        let (held, seq) = match ended {
            Ended::Skipped => (Held::Skipped, 0),
            Ended::Done(answer, seq) => match codec::encode(answer) {
                Ok(bytes) => (Held::Answer(bytes.into()), *seq),
                Err(_) => (dropped(answer), *seq),
            },
        };
        if let Held::Answer(bytes) = &held {
            self.bytes = self.bytes.saturating_add(bytes.len());
        }
        let until = now.plus(STORED_RESULTS);
        self.calls.insert(call, Entry { caller: None, until, is_write, seq, held });
        self.by_expiry.insert((until, call));
        self.make_room();
    }

    /// Notes whose call a stored one was.
    pub(crate) fn belongs_to(&mut self, call: CallId, caller: &OperatorName) {
        if let Some(entry) = self.calls.get_mut(&call) {
            entry.caller = Some(caller.clone());
        }
    }

    /// Whether a stored call is known to be another's.
    pub(crate) fn is_others(&self, call: CallId, caller: &OperatorName) -> bool {
        self.calls.get(&call).and_then(|entry| entry.caller.as_ref()).is_some_and(|owner| owner != caller)
    }

    /// How the call ended, if it did and is remembered.
    pub(crate) fn get(&self, call: CallId, now: Timestamp) -> Option<Ended> {
        let entry = self.calls.get(&call).filter(|entry| entry.until >= now)?;
        let answer = match &entry.held {
            Held::Skipped => return Some(Ended::Skipped),
            Held::Answer(bytes) => {
                codec::decode(bytes, PLAIN_BODY_BYTES).unwrap_or_else(|_| lost(Ending::Failed, None))
            }
            Held::Ending(ending, code) => lost(*ending, code.as_deref()),
        };
        Some(Ended::Done(Box::new(answer), entry.seq))
    }

    /// Whether another write may begin: its end must find room.
    pub(crate) fn has_room(&self) -> bool {
        self.calls.len() < CALLS || self.calls.values().any(|entry| !entry.is_write)
    }

    /// Calls remembered, and bytes of their results.
    pub(crate) fn size(&self) -> (usize, usize) {
        (self.calls.len(), self.bytes)
    }

    fn expire(&mut self, now: Timestamp) {
        while let Some(&(until, call)) = self.by_expiry.first() {
            if until >= now {
                break;
            }
            self.remove(call);
        }
    }

    fn remove(&mut self, call: CallId) {
        if let Some(entry) = self.calls.remove(&call) {
            self.by_expiry.remove(&(entry.until, call));
            if let Held::Answer(bytes) = entry.held {
                self.bytes = self.bytes.saturating_sub(bytes.len());
            }
        }
    }

    fn make_room(&mut self) {
        if self.bytes > STORED_RESULT_BYTES {
            for (_, call) in &self.by_expiry {
                let Some(entry) = self.calls.get_mut(call) else { continue };
                if let Held::Answer(bytes) = &entry.held {
                    self.bytes = self.bytes.saturating_sub(bytes.len());
                    let answer: Option<Answer> = codec::decode(bytes, PLAIN_BODY_BYTES).ok();
                    entry.held = answer.map_or(Held::Ending(Ending::Failed, None), |answer| dropped(&answer));
                }
                if self.bytes <= STORED_RESULT_BYTES {
                    break;
                }
            }
        }
        if self.calls.len() > CALLS {
            let is_read = |call: &CallId| self.calls.get(call).is_some_and(|entry| !entry.is_write);
            if let Some(oldest) = self.by_expiry.iter().map(|(_, call)| *call).find(is_read) {
                self.remove(oldest);
            }
        }
    }
}

fn dropped(answer: &Answer) -> Held {
    Held::Ending(answer.ending.unwrap_or(Ending::Failed), answer.code.as_deref().map(Box::from))
}

/// What is known of a result whose outputs are gone: how it ended, and that they are.
pub(crate) fn lost(ending: Ending, code: Option<&str>) -> Answer {
    Answer {
        code: code.map(str::to_owned),
        message: "the node no longer has the outputs of this call".to_owned(),
        elapsed: Millis(0),
        ..Answer::new(ending)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Map, json};

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn call(n: u64) -> CallId {
        CallId::new(at(n), &[0; 10])
    }

    fn done(bytes: usize) -> Ended {
        let data: Map<_, _> = [("text".to_owned(), json!("x".repeat(bytes)))].into_iter().collect();
        Ended::Done(Box::new(Answer::ok(data)), 1)
    }

    #[test]
    fn results_are_kept_for_their_life() {
        let mut spool = Spool::default();
        spool.put(call(1), &done(10), true, at(0));
        spool.put(call(2), &Ended::Skipped, false, at(0));
        let life = u64::try_from(STORED_RESULTS.as_millis()).unwrap();
        assert_eq!(spool.get(call(1), at(life)), Some(done(10)));
        assert_eq!(spool.get(call(2), at(life)), Some(Ended::Skipped));
        assert_eq!(spool.get(call(1), at(life + 1)), None);
        spool.put(call(3), &Ended::Skipped, false, at(life + 1));
        assert_eq!(spool.size(), (1, 0));
    }

    #[test]
    fn a_full_spool_forgets_outputs_and_never_how_a_call_ended() {
        let mut spool = Spool::default();
        for n in 0..20 {
            spool.put(call(n), &done(1_000_000), true, at(n));
        }
        assert!(spool.size().1 <= STORED_RESULT_BYTES);
        assert_eq!(spool.get(call(19), at(20)), Some(done(1_000_000)));
        let Some(Ended::Done(answer, 1)) = spool.get(call(0), at(20)) else { panic!("forgotten") };
        assert_eq!(answer.ending, Some(Ending::Ok));
        assert!(answer.data.is_empty() && !answer.message.is_empty());
    }

    #[test]
    fn too_many_calls_push_out_reads_only() {
        let mut spool = Spool::default();
        spool.put(call(0), &Ended::Skipped, true, at(0));
        for n in 1..=70_000 {
            spool.put(call(n), &Ended::Skipped, false, at(1));
        }
        assert_eq!(spool.size().0, CALLS);
        assert!(spool.get(call(0), at(1)).is_some());
        assert!(spool.get(call(1), at(1)).is_none());
        assert!(spool.has_room());
    }
}
