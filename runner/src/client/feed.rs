//! Keeps the broker's roster feed coming: asks, listens, and asks again when the channel broke.

use orch_link::Dialer;
use orch_link::backoff::Backoff;
use orch_link::control::{self, ControlStream};
use orch_link::task::{self, Task};
use orch_link::tls::ClientStream;
use orch_wire::control::{Change, Reply, Request, Roster};
use orch_wire::limits::CONTROL_REPLY_BYTES;
use tokio::sync::mpsc;

use super::types::ConnectError;

/// Changes that wait for the session.
const QUEUE: usize = 256;

/// What the feed says.
pub enum FeedEvent {
    /// The whole roster: what was known before is void.
    Roster(Roster),
    /// One change.
    Change(Change),
    /// The channel is lost; a roster follows once it is back.
    Lost,
}

/// An open control channel with the roster it gave first.
pub(super) struct OpenFeed {
    stream: ControlStream<ClientStream>,
    pub(super) roster: Roster,
}

/// Opens the control channel and asks for the roster and its changes.
pub(super) async fn open(dialer: &Dialer) -> Result<OpenFeed, ConnectError> {
    let reading = async {
        let mut stream = control::connect(dialer).await?;
        let failed = |error: control::ControlError| ConnectError::Roster(error.to_string());
        stream.send(&Request::Roster { watch: true }).await.map_err(failed)?;
        match stream.recv::<Reply>(CONTROL_REPLY_BYTES).await.map_err(failed)? {
            Some(Reply::Roster(roster)) => Ok(OpenFeed { stream, roster }),
            Some(Reply::Refused { message }) => Err(ConnectError::Roster(message)),
            Some(_) => Err(ConnectError::Roster("the broker answered something else".to_owned())),
            None => Err(ConnectError::Roster("the broker closed the channel".to_owned())),
        }
    };
    let late = || ConnectError::Roster("the broker did not answer in time".to_owned());
    tokio::time::timeout(dialer.timeout(), reading).await.unwrap_or_else(|_| Err(late()))
}

/// Goes on with an open feed, for as long as the task is held.
pub(super) fn follow(dialer: Dialer, feed: OpenFeed) -> (Task<()>, mpsc::Receiver<FeedEvent>) {
    let (events, received) = mpsc::channel(QUEUE);
    (task::spawn(run(dialer, feed.stream, events)), received)
}

async fn run(dialer: Dialer, mut stream: ControlStream<ClientStream>, events: mpsc::Sender<FeedEvent>) {
    let mut backoff = Backoff::default();
    loop {
        while let Ok(Some(Reply::Change(change))) = stream.recv::<Reply>(CONTROL_REPLY_BYTES).await {
            if change == Change::Missed {
                break;
            }
            if events.send(FeedEvent::Change(change)).await.is_err() {
                return;
            }
        }
        if events.send(FeedEvent::Lost).await.is_err() {
            return;
        }
        stream = loop {
            tokio::time::sleep(backoff.next_delay()).await;
            if let Ok(feed) = open(&dialer).await {
                backoff.reset();
                if events.send(FeedEvent::Roster(feed.roster)).await.is_err() {
                    return;
                }
                break feed.stream;
            }
        };
    }
}
