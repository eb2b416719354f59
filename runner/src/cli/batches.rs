//! A call in batches: so many nodes at a time, and no further after a batch in which one was not ok.

use std::time::Duration;

use orch_wire::ids::NodeName;
use orch_wire::nodeset::Batch;
use orch_wire::outcome::NodeResult;

use super::failure::Failure;
use super::fleet::Connection;
use crate::client::{CallError, CallReport, CallRequest, Scope};

/// How many nodes at a time, and how long between.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Batches {
    pub(super) size: Option<Batch>,
    pub(super) pause: Option<Duration>,
}

impl Batches {
    /// The size, where nodes are called in batches at all.
    pub(super) fn size(self) -> Option<Batch> {
        self.size.filter(|batch| batch.is_on())
    }
}

impl Connection {
    /// Calls nodes batch by batch, in their order. Every node ends as exactly one outcome: those that were not reached are
    /// `not_started`.
    pub(super) async fn call_in_batches(
        &self,
        request: &CallRequest,
        nodes: &[NodeName],
        size: Batch,
        pause: Option<Duration>,
    ) -> Result<CallReport, Failure> {
        let size = size.of(nodes.len());
        let count = nodes.len().div_ceil(size);
        let mut report = CallReport::default();
        let mut stopped: Option<String> = None;
        for (number, batch) in (1..).zip(nodes.chunks(size)) {
            if let Some(pause) = pause.filter(|_| number > 1 && stopped.is_none()) {
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = self.cancel().cancelled() => {}
                }
            }
            if self.cancel().is_cancelled() && stopped.is_none() {
                report.interrupted = true;
                stopped = Some("interrupted before its batch".to_owned());
            }
            let mut was_sent = false;
            if stopped.is_none() {
                let title = format!("{}.{}, batch {number} of {count}", request.agent, request.action);
                let request = CallRequest { scope: Scope::Nodes(batch.to_vec()), ..request.clone() };
                match self.call_once(request, &title).await {
                    Ok(part) => {
                        if part.results.iter().any(|result| !result.is_ok()) {
                            stopped = Some(format!("not every node of batch {number} was ok"));
                        }
                        take(&mut report, part);
                        continue;
                    }
                    Err(error) if number == 1 => return Err(error.into()),
                    // What came in before must not be lost.
                    Err(error) => {
                        was_sent = matches!(error, CallError::Ended);
                        stopped = Some(error.to_string());
                    }
                }
            }
            let why = stopped.as_deref().unwrap_or_default();
            report.results.extend(batch.iter().map(|node| match was_sent {
                true => NodeResult::silent(node.clone(), why, false, Duration::ZERO),
                false => NodeResult::not_started(node.clone(), why),
            }));
        }
        report.results.sort_by(|one, other| one.node.cmp(&other.node));
        Ok(report)
    }
}

fn take(report: &mut CallReport, part: CallReport) {
    let CallReport { results, unanswered, away, foreign, skipped, interrupted } = part;
    report.results.extend(results);
    report.unanswered.extend(unanswered);
    report.away.extend(away);
    report.foreign.extend(foreign);
    report.skipped += skipped;
    report.interrupted |= interrupted;
}
