//! What the broker itself says, to operators, over `orch-ctl/1`.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use orch_link::control::{ControlError, ControlStream};
use orch_wire::control::{Change, Reply, Request, Status};
use orch_wire::ids::BrokerName;
use orch_wire::limits::CONTROL_REQUEST_BYTES;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::connections::Connections;
use crate::keeper::{KeeperHandle, Stopping};
use crate::lanes::Forwarded;
use crate::ledger::Ledger;

/// A reader that takes nothing for this long is given up.
const STALL: Duration = Duration::from_secs(10);

/// What the answers are made of.
pub(crate) struct Sources {
    pub(crate) name: BrokerName,
    pub(crate) keeper: KeeperHandle,
    pub(crate) connections: Arc<Connections>,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) forwarded: Arc<Forwarded>,
}

type Feed = broadcast::Receiver<Arc<Change>>;

/// Serves one operator until it closes; the stable word of how it ended.
pub(crate) async fn serve<S>(stream: S, sources: &Sources, stop: &CancellationToken) -> &'static str
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut stream = ControlStream::new(stream);
    let mut feed: Option<Feed> = None;
    loop {
        let reply = tokio::select! {
            () = stop.cancelled() => return "stopped",
            request = stream.recv::<Request>(CONTROL_REQUEST_BYTES) => match request {
                Ok(Some(request)) => match answer(sources, request, &mut feed).await {
                    Ok(reply) => reply,
                    Err(Stopping) => return "stopped",
                },
                Ok(None) => return "closed",
                Err(ControlError::Io(_)) => return "closed",
                Err(ControlError::Codec(error)) => {
                    let refusal = Reply::Refused { message: format!("not a request: {error}") };
                    let _ = timeout(STALL, stream.send(&refusal)).await;
                    return "malformed";
                }
            },
            change = next(&mut feed) => Reply::Change(change),
        };
        match timeout(STALL, stream.send(&reply)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return "closed",
            Err(_) => return "stalled",
        }
    }
}

/// The next change; never comes where nothing is watched.
async fn next(feed: &mut Option<Feed>) -> Change {
    if let Some(changes) = feed {
        match changes.recv().await {
            Ok(change) => return Change::clone(&change),
            Err(RecvError::Lagged(_)) => return Change::Missed,
            Err(RecvError::Closed) => *feed = None,
        }
    }
    std::future::pending().await
}

async fn answer(sources: &Sources, request: Request, feed: &mut Option<Feed>) -> Result<Reply, Stopping> {
    match request {
        Request::Roster { watch } => {
            let snapshot = sources.keeper.roster().await?;
            *feed = watch.then_some(snapshot.changes);
            Ok(Reply::Roster(snapshot.roster))
        }
        Request::Status => status(sources).await,
        Request::Forget { nodes } => {
            let done = sources.keeper.forget(nodes).await?;
            Ok(Reply::Forgotten { forgotten: done.forgotten, here: done.here, unknown: done.unknown })
        }
    }
}

async fn status(sources: &Sources) -> Result<Reply, Stopping> {
    let summary = sources.keeper.summary().await?;
    let report = sources.ledger.report();
    Ok(Reply::Status(Box::new(Status {
        broker: sources.name.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started: summary.started,
        settled: summary.settled,
        here: summary.counts.here,
        away: summary.counts.away,
        left: summary.counts.left,
        operators: sources.connections.operators(),
        connections: sources.connections.count(),
        calls_forwarded: sources.forwarded.calls.load(Ordering::Relaxed),
        replies_forwarded: sources.forwarded.replies.load(Ordering::Relaxed),
        refused: report.refused,
        claims: report.claims,
        recent: report.recent,
    })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_watcher_that_is_too_slow_is_told_that_it_missed_something() {
        let (changes, received) = broadcast::channel(2);
        let mut feed = Some(received);
        for name in ["a", "b", "c"] {
            changes.send(Arc::new(Change::Forgotten(name.parse().unwrap()))).unwrap();
        }
        assert_eq!(next(&mut feed).await, Change::Missed);
        assert_eq!(next(&mut feed).await, Change::Forgotten("b".parse().unwrap()));
        assert_eq!(next(&mut feed).await, Change::Forgotten("c".parse().unwrap()));
        drop(changes);
        let more = timeout(Duration::from_millis(10), next(&mut feed)).await;
        assert!(more.is_err(), "a feed that ended says nothing more");
    }
}
