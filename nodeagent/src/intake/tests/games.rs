//! Games of calls, resends, cancels and restarts in any order: whatever happens, no call acts twice.

use std::collections::{HashMap, HashSet};

use proptest::prelude::*;

use super::*;

/// What can happen to a node and its calls.
#[derive(Debug, Clone)]
enum Event {
    Call(u64),
    Resend(u64),
    /// An envelope that was sent before, delivered once more or late.
    Replay(usize),
    Cancel(u64),
    Finish(usize),
    Restart,
    Wait(u64),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (0..6u64).prop_map(Event::Call),
        4 => (0..6u64).prop_map(Event::Resend),
        3 => (0..40usize).prop_map(Event::Replay),
        1 => (0..6u64).prop_map(Event::Cancel),
        4 => (0..6usize).prop_map(Event::Finish),
        1 => Just(Event::Restart),
        2 => prop_oneof![0..2_000u64, 30_000..1_200_000u64].prop_map(Event::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Calls lost, doubled, late, out of order and across restarts: a write never begins twice, nothing begins after a
    /// final answer, each message that is no replay is answered, and the final answer stays the same.
    #[test]
    fn never_acts_twice_and_always_answers(events in proptest::collection::vec(event(), 1..80)) {
        let mut node = Node::new();
        node.room = 3;
        let mut sent: Vec<(Frames, u64)> = Vec::new();
        let mut begun: HashMap<CallId, Begun> = HashMap::new();
        let mut running: Vec<(u64, CallId)> = Vec::new();
        let mut began: HashSet<u64> = HashSet::new();
        // The final answer and when it was last known.
        let mut ended: HashMap<u64, (Option<Ending>, Option<String>)> = HashMap::new();
        for event in events {
            let life = STORED_RESULTS.as_millis() as u64;
            let forgettable = life - SKEW.as_millis() as u64;
            let incoming = match event {
                Event::Call(n) | Event::Resend(n) => {
                    let said = Said { issued: node.now, ..said(n) };
                    let frames = node.frames(&said, matches!(event, Event::Resend(_)));
                    sent.push((frames.clone(), n));
                    Some((frames, n, true))
                }
                Event::Replay(at) if !sent.is_empty() => {
                    let (frames, n) = sent[at % sent.len()].clone();
                    Some((frames, n, false))
                }
                Event::Cancel(n) => {
                    let said = Said { issued: node.now, ..said(n) };
                    let frames = node.cancel(&said);
                    match node.take(&frames) {
                        Step::Stop(call) => prop_assert!(running.iter().any(|(_, id)| *id == call)),
                        Step::Reply(reply) => {
                            let answer = (reply.answer.ending, reply.answer.code);
                            prop_assert_eq!(ended.entry(n).or_insert(answer.clone()), &answer);
                        }
                        Step::Quiet => prop_assert!(node.now > START + forgettable),
                        other => prop_assert!(false, "{other:?}"),
                    }
                    None
                }
                Event::Finish(at) if !running.is_empty() => {
                    let (n, call) = running.remove(at % running.len());
                    let reply = node.finish(n, Answer::ok(Map::new()));
                    let reply = reply.expect("a begun call gets its answer");
                    prop_assert_eq!(reply.stage, Stage::Done);
                    let ending = reply.answer.ending.unwrap();
                    if let Some(entry) = begun.get_mut(&call) {
                        entry.ending = Some((ending, None));
                        entry.keep = entry.expires.max(Timestamp::from_millis(node.now)).plus(STORED_RESULTS);
                    }
                    ended.insert(n, (Some(ending), None));
                    None
                }
                Event::Restart => {
                    let now = Timestamp::from_millis(node.now);
                    // What runs stays in the record, what ended as long as its result.
                    begun.retain(|_, entry| entry.ending.is_none() || entry.keep >= now);
                    node.intake = fresh_intake();
                    node.intake.restore(begun.iter(), now);
                    for (n, _) in running.drain(..) {
                        ended.insert(n, (Some(Ending::Failed), Some(code::INTERRUPTED.to_owned())));
                    }
                    // Refusals are not on disk.
                    ended.retain(|n, _| began.contains(n));
                    None
                }
                Event::Wait(millis) => {
                    node.now += millis;
                    None
                }
                Event::Replay(_) | Event::Finish(_) => None,
            };
            let Some((frames, n, is_new)) = incoming else { continue };
            match node.take(&frames) {
                Step::Begin(work) => {
                    prop_assert!(began.insert(n), "call {n} began twice");
                    prop_assert!(!ended.contains_key(&n), "call {n} began after its final answer");
                    let now = Timestamp::from_millis(node.now);
                    prop_assert!(work.is_write && work.expires >= now);
                    begun.insert(work.call, Begun {
                        message: work.message,
                        expires: work.expires,
                        ending: None,
                        keep: work.expires.max(now).plus(STORED_RESULTS),
                    });
                    running.push((n, work.call));
                }
                Step::Reply(reply) if reply.stage == Stage::Accepted => {
                    prop_assert!(running.iter().any(|(m, _)| *m == n));
                }
                Step::Reply(reply) => {
                    prop_assert_eq!(reply.stage, Stage::Done);
                    prop_assert!(running.iter().all(|(m, _)| *m != n), "a final answer while it runs");
                    let answer = (reply.answer.ending, reply.answer.code);
                    if let Some(known) = ended.get(&n) {
                        // Long after, the result is forgotten; then the call is too old to begin, and that is said.
                        let is_old = node.now > START + life;
                        let is_clock = answer.1.as_deref() == Some(code::CLOCK);
                        prop_assert!(answer == *known || (is_old && is_clock), "{answer:?} after {known:?}");
                    } else {
                        ended.insert(n, answer);
                    }
                }
                Step::Quiet => {
                    let is_old = node.now > START + forgettable;
                    prop_assert!(!is_new || is_old, "a message that is no replay got no answer");
                }
                Step::Stop(_) | Step::Ask(..) => prop_assert!(false),
            }
        }
        for (n, _) in running {
            prop_assert!(node.finish(n, Answer::ok(Map::new())).is_some());
        }
    }
}
