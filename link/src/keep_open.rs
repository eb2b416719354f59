//! Keeps a pair of lanes open: opens, beats, and opens again with full jitter when the connection has ended.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use orch_wire::envelope::Frames;
use orch_wire::ids::CollectiveName;
use orch_wire::limits::{HEARTBEAT, HEARTBEAT_LOST};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};

use crate::backoff::Backoff;
use crate::dial::{Dialer, OpenError};
use crate::entropy;
use crate::lanes::{self, Lanes, LinkRole, Publisher, Received, Subscriber};
use crate::task::{self, Task};

/// Messages that wait to be sent, or to be taken by the owner.
const QUEUE: usize = 256;
/// Lanes that stayed open this long start over with the backoff.
const STEADY: Duration = Duration::from_secs(10);
/// Time to send what is left when the owner closes.
const CLOSING: Duration = Duration::from_secs(2);

/// What happens on the lanes.
#[derive(Debug)]
pub enum LinkEvent {
    /// The lanes are open and proven.
    Up,
    /// The lanes ended or could not be opened.
    Down {
        /// Why.
        error: OpenError,
        /// When the next try is made.
        retry_in: Duration,
    },
    /// A message came. Nothing of it but its size has been checked.
    Message(Frames),
}

/// The link has ended because its event receiver is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the link to the broker has ended")]
pub struct LinkClosed;

/// Another way to the broker, or other collectives.
struct Redial {
    dialer: Dialer,
    collectives: Vec<CollectiveName>,
}

impl Redial {
    fn apply(self, dialer: &mut Dialer, role: &mut LinkRole) {
        *dialer = self.dialer;
        if let LinkRole::Node { collectives, .. } = role {
            *collectives = self.collectives;
        }
    }
}

/// Sends on the lanes; dropping it ends them.
#[derive(Debug)]
pub struct LinkHandle {
    outgoing: mpsc::Sender<Frames>,
    redials: mpsc::Sender<Redial>,
    driver: Task<()>,
}

impl LinkHandle {
    /// Sends a message; waits while the queue is full, as it is when the lanes are down for long.
    pub async fn send(&self, frames: Frames) -> Result<(), LinkClosed> {
        self.outgoing.send(frames).await.map_err(|_| LinkClosed)
    }

    /// A sender for other tasks of the same owner.
    pub fn sender(&self) -> mpsc::Sender<Frames> {
        self.outgoing.clone()
    }

    /// Opens the lanes of a node anew, by another way or for other collectives. What is on them is sent, and what waits is sent on the
    /// new ones. False where there is no room for the wish because earlier ones wait.
    pub fn redial(&self, dialer: Dialer, collectives: Vec<CollectiveName>) -> bool {
        self.redials.try_send(Redial { dialer, collectives }).is_ok()
    }

    /// Sends what is queued, then closes; waits two seconds at most. Other senders must be gone.
    pub async fn close(self) {
        let Self { outgoing, driver, .. } = self;
        drop(outgoing);
        let _ = timeout(CLOSING, driver).await;
    }
}

/// Starts to keep a pair of lanes open.
pub fn keep_open(dialer: Dialer, role: LinkRole) -> (LinkHandle, mpsc::Receiver<LinkEvent>) {
    let (outgoing, to_send) = mpsc::channel(QUEUE);
    let (events, received) = mpsc::channel(QUEUE);
    let (redials, wishes) = mpsc::channel(4);
    let driver = task::spawn(drive(dialer, role, to_send, wishes, events));
    (LinkHandle { outgoing, redials, driver }, received)
}

/// How a pair of open lanes ended.
enum End {
    /// The owner is gone: no more tries.
    Owner,
    /// The owner wants others.
    Redial(Redial),
    /// The lanes are.
    Lanes(OpenError),
}

async fn drive(
    mut dialer: Dialer,
    mut role: LinkRole,
    mut to_send: mpsc::Receiver<Frames>,
    mut wishes: mpsc::Receiver<Redial>,
    events: mpsc::Sender<LinkEvent>,
) {
    let mut backoff = Backoff::default();
    loop {
        // An owner that is gone must not be kept waiting for a broker that is not there.
        let opened = tokio::select! {
            opened = Box::pin(lanes::open(&dialer, &mut role)) => opened,
            () = events.closed() => return,
            Some(redial) = wishes.recv() => {
                redial.apply(&mut dialer, &mut role);
                continue;
            }
        };
        let error = match opened {
            Err(error) => error,
            Ok(lanes) => {
                if events.send(LinkEvent::Up).await.is_err() {
                    return;
                }
                let since = Instant::now();
                match run(lanes, &mut to_send, &mut wishes, &events).await {
                    End::Owner => return,
                    End::Redial(redial) => {
                        redial.apply(&mut dialer, &mut role);
                        backoff.reset();
                        continue;
                    }
                    End::Lanes(error) => {
                        if since.elapsed() >= STEADY {
                            backoff.reset();
                        }
                        error
                    }
                }
            }
        };
        let retry_in = backoff.next_delay();
        if events.send(LinkEvent::Down { error, retry_in }).await.is_err() {
            return;
        }
        tokio::select! {
            () = sleep(retry_in) => {}
            () = events.closed() => return,
            Some(redial) = wishes.recv() => {
                redial.apply(&mut dialer, &mut role);
                backoff.reset();
            }
        }
        if to_send.is_closed() && to_send.is_empty() {
            return;
        }
    }
}

/// What the two directions tell each other about the heartbeat.
#[derive(Default)]
struct Pulse {
    echoed: AtomicU64,
    owner_is_slow: AtomicBool,
}

/// Runs open lanes. The directions wait for their own queues only, never for each other.
async fn run(
    lanes: Lanes,
    to_send: &mut mpsc::Receiver<Frames>,
    wishes: &mut mpsc::Receiver<Redial>,
    events: &mpsc::Sender<LinkEvent>,
) -> End {
    let Lanes { mut publisher, mut subscriber, mut carrier } = lanes;
    let pulse = Pulse::default();
    let end = tokio::select! {
        end = publish(&mut publisher, to_send, &pulse) => end,
        end = receive(&mut subscriber, events, &pulse) => end,
        Some(redial) = wishes.recv() => End::Redial(redial),
        end = carrier.ended() => End::Lanes(OpenError::Lost(if end.detail.is_empty() {
            end.reason.to_owned()
        } else {
            format!("{}: {}", end.reason, end.detail)
        })),
    };
    if matches!(end, End::Owner | End::Redial(_)) {
        // Dropping the socket ends its local stream; what carries the lanes then sends what it still has, and ends.
        drop(publisher);
        let _ = timeout(CLOSING, carrier.ended()).await;
    }
    end
}

async fn publish(publisher: &mut Publisher, to_send: &mut mpsc::Receiver<Frames>, pulse: &Pulse) -> End {
    let mut beat = pin!(tokio::time::sleep(HEARTBEAT));
    let mut awaited: Option<(u64, Instant)> = None;
    loop {
        tokio::select! {
            frames = to_send.recv() => {
                let Some(frames) = frames else { return End::Owner };
                if let Err(error) = publisher.send(frames).await {
                    return End::Lanes(error);
                }
            }
            () = &mut beat => {
                beat.as_mut().reset(Instant::now() + HEARTBEAT);
                if let Some((nonce, since)) = awaited
                    && pulse.echoed.load(Ordering::Relaxed) != nonce
                    && !pulse.owner_is_slow.load(Ordering::Relaxed)
                    && since.elapsed() >= HEARTBEAT_LOST
                {
                    return End::Lanes(OpenError::Lost("no answer to a heartbeat".to_owned()));
                }
                let nonce = entropy::nonce();
                awaited = Some((nonce, Instant::now()));
                if let Err(error) = publisher.probe(nonce).await {
                    return End::Lanes(error);
                }
            }
        }
    }
}

async fn receive(subscriber: &mut Subscriber, events: &mpsc::Sender<LinkEvent>, pulse: &Pulse) -> End {
    loop {
        match subscriber.recv().await {
            Ok(Received::Echo(nonce)) => pulse.echoed.store(nonce, Ordering::Relaxed),
            Ok(Received::Message(frames)) => {
                pulse.owner_is_slow.store(true, Ordering::Relaxed);
                if events.send(LinkEvent::Message(frames)).await.is_err() {
                    return End::Owner;
                }
                pulse.owner_is_slow.store(false, Ordering::Relaxed);
            }
            Err(error) => return End::Lanes(error),
        }
    }
}
