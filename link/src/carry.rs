//! Carries both lanes of a connection between the peer and two local sockets, each under its checks and rules.

use std::pin::{Pin, pin};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::mux::{self, Trunk};
use crate::relay::{Inspect, Overflow, RelayEnd, RelaySettings, relay};
use crate::zmtp::Traffic;

/// When the peer has ended the connection, what it sent before has this long to go on.
const REST: Duration = Duration::from_secs(1);
/// The farewell of TLS has this long; the peer may be gone already.
const FAREWELL: Duration = Duration::from_secs(1);

/// The near end of one lane.
pub struct LaneEnd<I> {
    /// The socket behind which it goes on.
    pub local: UnixStream,
    /// What the peer may send on it; the other direction carries the other kind.
    pub from_peer: Traffic,
    /// The rules for it.
    pub inspect: I,
}

/// Carries until either lane ends, a check or rule refuses, or `stop` is cancelled. What came before an end still goes on.
pub async fn carry<S, I>(
    stream: S,
    call: LaneEnd<I>,
    reply: LaneEnd<I>,
    overflow: Overflow,
    stop: CancellationToken,
) -> RelayEnd
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
    I: Inspect,
{
    let (calls, replies, trunk) = mux::split(stream);
    // First the lane on which the peer speaks: what it says then need not be put aside by the other.
    let (first, second) = match call.from_peer {
        Traffic::Messages => ((calls, call), (replies, reply)),
        Traffic::Subscriptions => ((replies, reply), (calls, call)),
    };
    // In a block of its own: when it has ended, all that waits must go at once. While nobody reads the local sockets,
    // those behind them would pile up more.
    let end = {
        let run = |(stream, LaneEnd { local, from_peer, inspect })| {
            relay(stream, local, RelaySettings { from_peer, overflow }, inspect)
        };
        let (mut first, mut second) = (pin!(run(first)), pin!(run(second)));
        tokio::select! {
            biased;
            () = stop.cancelled() => RelayEnd::new("stopped", ""),
            end = &mut first => with_the_rest(end, &trunk, second).await,
            end = &mut second => with_the_rest(end, &trunk, first).await,
        }
    };
    let _ = timeout(FAREWELL, trunk.shutdown()).await;
    end
}

/// A peer that has ended the connection ends both lanes, and the other one may have something left to deliver.
async fn with_the_rest<S: AsyncWrite + Unpin>(
    end: RelayEnd,
    trunk: &Trunk<S>,
    other: Pin<&mut impl Future<Output = RelayEnd>>,
) -> RelayEnd {
    if !trunk.ended() {
        return end;
    }
    match timeout(REST, other).await {
        Ok(other) if end.reason == "closed" => other,
        _ => end,
    }
}
