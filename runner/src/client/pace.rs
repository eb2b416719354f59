//! How a call goes out: to all nodes at once, batch by batch, or to a window of them that moves on.
//!
//! Whatever the pace, it is one call: every target has exactly one result, and those that were not reached are `not_started`.

use std::collections::HashMap;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use orch_wire::ids::{CallId, NodeName};
use orch_wire::nodeset::Batch;
use orch_wire::outcome::{NodeResult, Outcome};
use tokio_util::sync::CancellationToken;

use super::types::{CallError, CallEvent, CallReport, CallRequest, EventSink, Scope};

/// How many nodes at a time, how long between, and how often.
#[derive(Debug, Clone, Copy, Default)]
pub struct Pace {
    /// So many nodes, and no further after a batch in which more were bad than are borne.
    pub batch: Option<Batch>,
    /// At most so many nodes at once: the next is called when one has ended.
    pub window: Option<usize>,
    /// Time between batches.
    pub pause: Option<Duration>,
    /// What is tried again.
    pub retry: Option<Retry>,
}

/// Nodes that ended `failed` or `timed_out` are called again; silent ones are asked again for the call that they had.
#[derive(Debug, Clone, Copy)]
pub struct Retry {
    /// How often at most, the first time not counted.
    pub times: u32,
    /// Time before each.
    pub wait: Duration,
}

impl Pace {
    /// The size of batches, where nodes are called in batches at all.
    pub fn batch(self) -> Option<Batch> {
        self.batch.filter(|batch| batch.is_on())
    }

    /// Whether the nodes must be known before they are called.
    pub fn needs_names(self) -> bool {
        self.batch().is_some() || self.window.is_some() || self.retry.is_some()
    }
}

/// How many nodes may end other than `ok` before a call raises an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tolerance {
    /// So many.
    Count(usize),
    /// This share of all.
    Percent(u8),
    /// Any number.
    All,
}

impl Tolerance {
    /// Whether so many bad nodes out of so many are borne.
    pub fn bears(self, bad: usize, total: usize) -> bool {
        match self {
            Tolerance::Count(count) => bad <= count,
            Tolerance::Percent(percent) => bad as u128 * 100 <= total as u128 * u128::from(percent),
            Tolerance::All => true,
        }
    }
}

impl FromStr for Tolerance {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || "write how many nodes may fail: a number, a share such as \"10%\", or \"all\"".to_owned();
        match text.strip_suffix('%') {
            Some(digits) => digits
                .parse()
                .ok()
                .filter(|percent| *percent <= 100)
                .map(Tolerance::Percent)
                .ok_or_else(wrong),
            None if text == "all" => Ok(Tolerance::All),
            None => text.parse().map(Tolerance::Count).map_err(|_| wrong()),
        }
    }
}

impl Default for Tolerance {
    fn default() -> Self {
        Tolerance::Count(0)
    }
}

/// Makes one call of known nodes at a pace.
pub struct Paced<'a, Call> {
    /// What is called; its scope is that of the argument of [`Paced::run`].
    pub request: &'a CallRequest,
    /// The pace.
    pub pace: Pace,
    /// Whether each node gets a message of its own: where it has arguments of its own.
    pub alone: bool,
    /// How many bad nodes are borne before no further one is called.
    pub tolerance: Tolerance,
    /// Ends it: what was not sent is not sent any more.
    pub cancel: &'a CancellationToken,
    /// Sends a piece of the call.
    pub call: Call,
}

impl<Call, Sent> Paced<'_, Call>
where
    Call: Fn(CallRequest) -> Sent,
    Sent: Future<Output = Result<CallReport, CallError>>,
{
    /// Calls the nodes in this order.
    ///
    /// # Errors
    /// When nothing at all could be sent.
    pub async fn run(&self, nodes: &[NodeName]) -> Result<CallReport, CallError> {
        let size = self.pace.batch().map_or(nodes.len(), |batch| batch.of(nodes.len())).max(1);
        let mut whole = CallReport::default();
        let mut stopped: Option<String> = None;
        for (batch, part) in (1..).zip(nodes.chunks(size)) {
            if let Some(pause) = self.pace.pause.filter(|_| batch > 1 && stopped.is_none()) {
                let _ = self.cancel.run_until_cancelled(tokio::time::sleep(pause)).await;
            }
            if self.cancel.is_cancelled() && stopped.is_none() {
                whole.interrupted = true;
                stopped = Some("interrupted before its batch".to_owned());
            }
            if let Some(why) = &stopped {
                let not_started = |node: &NodeName| NodeResult::not_started(node.clone(), why);
                whole.results.extend(part.iter().map(not_started));
                continue;
            }
            let bad_before = bad(&whole.results);
            let width = self.pace.window.unwrap_or(part.len()).max(1);
            let sent = if self.alone || width < part.len() {
                Ok(self.window(part, width, bad_before, nodes.len()).await)
            } else {
                self.attempt(part).await
            };
            match sent {
                Ok(report) => take(&mut whole, report),
                Err(error) if batch == 1 => return Err(error),
                // What came in before must not be lost.
                Err(error) => {
                    stopped = Some(error.to_string());
                    whole.results.extend(part.iter().map(|node| unsent(node, &error)));
                    continue;
                }
            }
            if !self.tolerance.bears(bad(&whole.results), nodes.len()) {
                stopped = Some(match bad_before {
                    0 => format!("not every node of batch {batch} was ok"),
                    _ => format!("too many nodes were not ok after batch {batch}"),
                });
            }
        }
        whole.results.sort_by(|one, other| one.node.cmp(&other.node));
        Ok(whole)
    }

    /// Calls nodes, so many at a time as the window is wide. A node moves out of it when nothing is tried again with it.
    async fn window(&self, nodes: &[NodeName], width: usize, bad_before: usize, all: usize) -> CallReport {
        let mut whole = CallReport::default();
        let mut waiting = nodes.iter();
        let mut under_way = FuturesUnordered::new();
        let mut bad_here = 0;
        let mut stopped: Option<&str> = None;
        loop {
            while under_way.len() < width && stopped.is_none() {
                let Some(node) = waiting.next() else { break };
                under_way.push(async move { (node, self.attempt(std::slice::from_ref(node)).await) });
            }
            let Some((node, answered)) = under_way.next().await else { break };
            let report = answered.unwrap_or_else(|error| CallReport {
                results: vec![unsent(node, &error)],
                ..CallReport::default()
            });
            bad_here += bad(&report.results);
            take(&mut whole, report);
            if self.cancel.is_cancelled() {
                whole.interrupted = true;
                stopped = Some("interrupted before its turn");
            } else if !self.tolerance.bears(bad_before + bad_here, all) {
                stopped = Some("too many nodes were not ok before its turn");
            }
        }
        let why = stopped.unwrap_or_default();
        whole.results.extend(waiting.map(|node| NodeResult::not_started(node.clone(), why)));
        whole
    }

    /// Calls nodes at once, and tries again what the pace says is to be tried again.
    async fn attempt(&self, nodes: &[NodeName]) -> Result<CallReport, CallError> {
        let mut calls = HashMap::new();
        let mut whole = self.send(nodes, None, &mut calls).await?;
        let Some(retry) = self.pace.retry else { return Ok(whole) };
        for _ in 0..retry.times {
            let ended = |outcomes: &[Outcome]| -> Vec<NodeName> {
                let of = whole.results.iter().filter(|result| outcomes.contains(&result.outcome));
                of.map(|result| result.node.clone()).collect()
            };
            let again = ended(&[Outcome::Failed, Outcome::TimedOut]);
            let silent = ended(&[Outcome::Silent]);
            if again.is_empty() && silent.is_empty() || whole.interrupted {
                break;
            }
            if self.cancel.run_until_cancelled(tokio::time::sleep(retry.wait)).await.is_none() {
                whole.interrupted = true;
                break;
            }
            // Each silent node is asked for the call that it had: it answers from its memory, and never acts twice.
            let mut rounds: Vec<(Option<CallId>, Vec<NodeName>)> = Vec::new();
            for node in silent {
                let call = calls.get(&node).copied();
                match rounds.iter_mut().find(|(of, _)| *of == call) {
                    Some((_, nodes)) => nodes.push(node),
                    None if call.is_some() => rounds.push((call, vec![node])),
                    None => {}
                }
            }
            if !again.is_empty() {
                rounds.push((None, again));
            }
            for (call, nodes) in rounds {
                // A node that cannot be reached again keeps what it had.
                if let Ok(report) = self.send(&nodes, call, &mut calls).await {
                    renew(&mut whole, report);
                }
            }
        }
        Ok(whole)
    }

    /// Sends a call, or asks for one again, and notes which call each node has.
    async fn send(
        &self,
        nodes: &[NodeName],
        resend: Option<CallId>,
        calls: &mut HashMap<NodeName, CallId>,
    ) -> Result<CallReport, CallError> {
        let scope = Scope::Nodes(nodes.to_vec());
        let report = (self.call)(CallRequest { scope, resend, ..self.request.clone() }).await?;
        if let Some(call) = report.call {
            calls.extend(nodes.iter().map(|node| (node.clone(), call)));
        }
        Ok(report)
    }
}

/// The result of a node that a piece could not be sent to. When the session ended in the middle nobody knows.
fn unsent(node: &NodeName, error: &CallError) -> NodeResult {
    match error {
        CallError::Ended => NodeResult::silent(node.clone(), error.to_string(), false, Duration::ZERO),
        _ => NodeResult::not_started(node.clone(), error.to_string()),
    }
}

fn bad(results: &[NodeResult]) -> usize {
    results.iter().filter(|result| !result.is_ok()).count()
}

fn take(whole: &mut CallReport, part: CallReport) {
    let CallReport { results, unanswered, away, foreign, skipped, interrupted, call: _ } = part;
    whole.results.extend(results);
    whole.unanswered.extend(unanswered);
    whole.away.extend(away);
    whole.foreign.extend(foreign);
    whole.skipped += skipped;
    whole.interrupted |= interrupted;
}

/// Puts later results in the place of earlier ones; a node that was not reached again keeps what it had.
fn renew(whole: &mut CallReport, again: CallReport) {
    whole.interrupted |= again.interrupted;
    let mut newer: HashMap<NodeName, NodeResult> = again
        .results
        .into_iter()
        .filter(|result| result.outcome != Outcome::NotStarted)
        .map(|result| (result.node.clone(), result))
        .collect();
    for result in &mut whole.results {
        if let Some(mut newer) = newer.remove(&result.node) {
            // That it had begun is known once and for all.
            newer.began |= newer.outcome == Outcome::Silent && result.began;
            *result = newer;
        }
    }
}

/// Events of a call that goes out in pieces, as those of one call: how many are expected is said once.
pub fn pieces(events: EventSink, expected: usize) -> EventSink {
    events(CallEvent::Planned { expected });
    Arc::new(move |event| {
        if !matches!(event, CallEvent::Planned { .. }) {
            events(event);
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tolerance_counts_or_takes_a_share() {
        assert!(Tolerance::Count(0).bears(0, 5));
        assert!(!Tolerance::Count(1).bears(2, 5));
        assert!(Tolerance::Percent(40).bears(2, 5));
        assert!(!Tolerance::Percent(39).bears(2, 5));
        assert!(Tolerance::Percent(10).bears(0, 0));
        assert!(Tolerance::All.bears(5, 5));
    }
}
