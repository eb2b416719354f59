//! A client's pair of lanes: opened with proof, and open only when a message has gone round.
//!
//! Publishing sockets are XPUB: the crate's PUB preallocates four megabytes, and only XPUB tells when the broker's
//! subscription has come. What carries the lanes is the only one that learns that the connection ended; then both go.

use std::io;
use std::path::PathBuf;
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use orch_wire::envelope::{self, Frames};
use orch_wire::header::{Header, Kind, Millis, ProbeHeader};
use orch_wire::ids::{CollectiveName, NodeName, Party};
use orch_wire::limits::PROTOCOL;
use orch_wire::topic::{ReplyTopic, Topic};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::{CancellationToken, DropGuard};
use zeromq::{Socket, SocketRecv, SocketSend, SubSocket, XPubSocket, ZmqError, ZmqMessage};

use crate::carry::{LaneEnd, carry};
use crate::dial::{Dialer, OpenError};
use crate::entropy;
use crate::relay::{Overflow, PassAll, RelayEnd};
use crate::task::{self, Task};
use crate::tls::Channel;
use crate::zmtp::Traffic;

/// A runner repeats its probe this often until it comes back.
const PROBE_EVERY: Duration = Duration::from_millis(20);
/// A node repeats its card after this time, doubling to [`CARD_LAST`], until it is acknowledged.
const CARD_FIRST: Duration = Duration::from_millis(50);
const CARD_LAST: Duration = Duration::from_secs(2);

/// Makes a node's sealed card with a given nonce.
pub type CardMaker = Box<dyn FnMut(u64) -> Frames + Send>;

/// Whose lanes they are.
pub enum LinkRole {
    /// A runner's: publishes calls, subscribes to its own reply topic.
    Operator {
        /// Its reply topic.
        reply_topic: ReplyTopic,
    },
    /// A node's: subscribes to calls, publishes replies.
    Node {
        /// Its name.
        name: NodeName,
        /// The collectives it listens to.
        collectives: Vec<CollectiveName>,
        /// Makes its card.
        card: CardMaker,
    },
}

/// Sends on the lane this party publishes on.
pub(crate) struct Publisher {
    socket: XPubSocket,
    sender: Party,
    reply_topic: Option<ReplyTopic>,
}

/// Receives from the lane this party subscribes to.
pub(crate) struct Subscriber {
    socket: SubSocket,
}

/// What carries the lanes.
pub(crate) struct Carrier {
    task: Task<RelayEnd>,
    address: String,
    _stop: DropGuard,
}

/// An open pair of lanes.
pub(crate) struct Lanes {
    pub(crate) publisher: Publisher,
    pub(crate) subscriber: Subscriber,
    pub(crate) carrier: Carrier,
}

/// Opens both lanes and proves them, within the dialer's timeout.
pub(crate) async fn open(dialer: &Dialer, role: &mut LinkRole) -> Result<Lanes, OpenError> {
    let deadline = Instant::now() + dialer.timeout();
    match role {
        LinkRole::Operator { reply_topic } => open_operator(dialer, reply_topic, deadline).await,
        LinkRole::Node { name, collectives, card } => {
            open_node(dialer, name, collectives, card, deadline).await
        }
    }
}

async fn open_operator(
    dialer: &Dialer,
    reply_topic: &ReplyTopic,
    deadline: Instant,
) -> Result<Lanes, OpenError> {
    let mut subscriber = SubSocket::new();
    subscriber.subscribe(reply_topic.as_str()).await.map_err(|e| local("subscribing", e))?;
    let sender = dialer.credentials().party().clone();
    let mut lanes = attach(dialer, subscriber, sender, Some(reply_topic.clone()), deadline).await?;
    let nonce = entropy::nonce();
    let proof = async {
        lanes.publisher.await_subscriber().await?;
        loop {
            lanes.publisher.probe(nonce).await?;
            if lanes.subscriber.echo_within(nonce, PROBE_EVERY).await? {
                return Ok(());
            }
        }
    };
    prove(proof, &mut lanes.carrier, dialer, deadline, "the proof of the lanes").await?;
    Ok(lanes)
}

async fn open_node(
    dialer: &Dialer,
    name: &NodeName,
    collectives: &[CollectiveName],
    card: &mut CardMaker,
    deadline: Instant,
) -> Result<Lanes, OpenError> {
    let mut subscriber = SubSocket::new();
    for collective in collectives {
        let topic = Topic::Collective(collective.clone()).to_string();
        subscriber.subscribe(&topic).await.map_err(|e| local("subscribing", e))?;
    }
    let mut lanes = attach(dialer, subscriber, Party::Node(name.clone()), None, deadline).await?;
    // Last, on the open stream: when a message comes by this topic, all subscriptions are in force.
    let own = Topic::Node(name.clone()).to_string();
    lanes.subscriber.socket.subscribe(&own).await.map_err(|e| local("subscribing", e))?;

    let nonce = entropy::nonce();
    let proof = async {
        lanes.publisher.await_subscriber().await?;
        let mut wait = CARD_FIRST;
        loop {
            lanes.publisher.send(card(nonce)).await?;
            if lanes.subscriber.echo_within(nonce, wait).await? {
                return Ok(());
            }
            wait = (wait * 2).min(CARD_LAST);
        }
    };
    prove(proof, &mut lanes.carrier, dialer, deadline, "the broker's acknowledgement of the card").await?;
    Ok(lanes)
}

/// Waits for a proof, for the end of the connection, or for the deadline, whichever comes first.
async fn prove(
    proof: impl Future<Output = Result<(), OpenError>>,
    carrier: &mut Carrier,
    dialer: &Dialer,
    deadline: Instant,
    what: &'static str,
) -> Result<(), OpenError> {
    let ended = async { Err(refused(dialer.address(), &carrier.ended().await)) };
    let outcome = timeout_at(deadline, async {
        tokio::select! {
            proven = proof => proven,
            ended = ended => ended,
        }
    });
    outcome.await.unwrap_or(Err(OpenError::Timeout { what, limit: dialer.timeout() }))
}

/// Joins both sockets of the crate to a connection. Each connects to a listener that is gone the moment it has accepted,
/// so that nothing else ever gets in.
async fn attach(
    dialer: &Dialer,
    mut subscriber: SubSocket,
    sender: Party,
    reply_topic: Option<ReplyTopic>,
    deadline: Instant,
) -> Result<Lanes, OpenError> {
    let mut publisher = XPubSocket::new();
    let stream = dialer.dial(Channel::Lanes).await?;
    let (from, to) = (LocalDoor::open(dialer)?, LocalDoor::open(dialer)?);
    let stop = CancellationToken::new();
    let address = dialer.address().to_owned();
    let attached = async {
        // The crate's handshakes run through what carries the lanes, which must be there first; if the broker ends the
        // connection in the handshake, that knows why and the crate does not.
        let (subscribing, publishing) = (from.endpoint(), to.endpoint());
        let mut connecting = pin!(async {
            tokio::try_join!(subscriber.connect(&subscribing), publisher.connect(&publishing)).map(drop)
        });
        let (listened, spoken) = tokio::select! {
            accepted = async { tokio::try_join!(from.accept(), to.accept()) } => accepted?,
            connected = &mut connecting => return Err(local(DOOR, connected.err().unwrap_or(ZmqError::NoMessage))),
        };
        let listens = LaneEnd { local: listened, from_peer: Traffic::Messages, inspect: PassAll };
        let speaks = LaneEnd { local: spoken, from_peer: Traffic::Subscriptions, inspect: PassAll };
        let (call, reply) = if reply_topic.is_some() { (speaks, listens) } else { (listens, speaks) };
        let task = task::spawn(carry(stream, call, reply, Overflow::Wait, stop.clone()));
        let mut carrier = Carrier { task, address, _stop: stop.drop_guard() };
        tokio::select! {
            biased;
            connected = &mut connecting => match connected {
                Ok(()) => Ok(carrier),
                Err(error) => Err(carrier.verdict_or(local("opening a lane", error)).await),
            },
            end = carrier.ended() => Err(refused(dialer.address(), &end)),
        }
    };
    let carrier = timeout_at(deadline, attached)
        .await
        .unwrap_or(Err(OpenError::Timeout { what: "opening the lanes", limit: dialer.timeout() }))?;
    Ok(Lanes {
        publisher: Publisher { socket: publisher, sender, reply_topic },
        subscriber: Subscriber { socket: subscriber },
        carrier,
    })
}

const DOOR: &str = "opening a local socket";

/// A listener for one connection, gone with it.
struct LocalDoor {
    listener: UnixListener,
    path: PathBuf,
}

impl LocalDoor {
    fn open(dialer: &Dialer) -> Result<Self, OpenError> {
        let path = dialer.sockets().fresh_socket();
        let listener = UnixListener::bind(&path).map_err(|source| OpenError::Local { what: DOOR, source })?;
        Ok(Self { listener, path })
    }

    fn endpoint(&self) -> String {
        format!("ipc://{}", self.path.display())
    }

    async fn accept(self) -> Result<UnixStream, OpenError> {
        let accepted = self.listener.accept().await;
        accepted.map(|(local, _)| local).map_err(|source| OpenError::Local { what: DOOR, source })
    }
}

impl Drop for LocalDoor {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

fn local(what: &'static str, error: ZmqError) -> OpenError {
    let source = match error {
        ZmqError::Network(source) => source,
        other => io::Error::other(other),
    };
    OpenError::Local { what, source }
}

fn refused(address: &str, end: &RelayEnd) -> OpenError {
    let detail = match end.reason {
        "closed" if end.detail.is_empty() => "it gave no reason",
        reason if end.detail.is_empty() => reason,
        _ => &end.detail,
    };
    OpenError::Refused { address: address.to_owned(), detail: detail.to_owned() }
}

impl Carrier {
    /// Waits until the connection has ended.
    pub(crate) async fn ended(&mut self) -> RelayEnd {
        let end = (&mut self.task).await;
        end.unwrap_or_else(|error| RelayEnd::new("io", format!("what carries the lanes failed: {error}")))
    }

    /// Its reason where it has one within a moment, else `error`.
    async fn verdict_or(&mut self, error: OpenError) -> OpenError {
        match tokio::time::timeout(Duration::from_millis(200), self.ended()).await {
            Ok(end) => refused(&self.address, &end),
            Err(_) => error,
        }
    }
}

impl Publisher {
    /// Waits until the broker's subscription has come, which an XPUB learns only inside `recv`.
    async fn await_subscriber(&mut self) -> Result<(), OpenError> {
        let subscribed = self.socket.recv().await;
        subscribed.map(drop).map_err(|error| local("waiting for the broker's subscription", error))
    }

    /// Sends a message; Ok means that it is in the local stream.
    pub(crate) async fn send(&mut self, frames: Frames) -> Result<(), OpenError> {
        let message =
            ZmqMessage::try_from(frames.into_parts()).map_err(|e| OpenError::Lost(e.to_string()))?;
        self.socket.send(message).await.map_err(|e| OpenError::Lost(e.to_string()))
    }

    /// Sends a probe that the broker echoes.
    pub(crate) async fn probe(&mut self, nonce: u64) -> Result<(), OpenError> {
        let header = Header {
            version: PROTOCOL,
            id: entropy::message_id(),
            sender: self.sender.clone(),
            issued_at: entropy::now(),
            ttl: Millis(1000),
            lz4: false,
            kind: Kind::Probe(ProbeHeader { nonce, reply_to: self.reply_topic.clone(), echo: false }),
        };
        let frames =
            envelope::unsealed(&Topic::Probe, &header).map_err(|e| OpenError::Lost(e.to_string()))?;
        self.send(frames).await
    }
}

/// What came on the subscribed lane.
pub(crate) enum Received {
    /// A message for the owner of the lanes.
    Message(Frames),
    /// The broker's echo of a probe or card.
    Echo(u64),
}

impl Subscriber {
    /// The next message; dropping the future loses nothing.
    pub(crate) async fn recv(&mut self) -> Result<Received, OpenError> {
        let message = self.socket.recv().await.map_err(|e| OpenError::Lost(e.to_string()))?;
        let parts: Vec<Bytes> = message.into_vec();
        // The relay's checks have passed it, so this holds.
        let frames = Frames::from_parts(parts).map_err(|e| OpenError::Lost(e.to_string()))?;
        // Only an unsealed message can be an echo: the broker has no key.
        if frames.seal.is_empty()
            && let Ok((_, Header { kind: Kind::Probe(ProbeHeader { nonce, echo: true, .. }), .. })) =
                frames.peek()
        {
            return Ok(Received::Echo(nonce));
        }
        Ok(Received::Message(frames))
    }

    /// Whether the echo with this nonce comes within `span`. Messages that come before the lanes are proven are not
    /// for this opening; their senders ask again.
    async fn echo_within(&mut self, nonce: u64, span: Duration) -> Result<bool, OpenError> {
        let deadline = Instant::now() + span;
        loop {
            match timeout_at(deadline, self.recv()).await {
                Err(_) => return Ok(false),
                Ok(Err(error)) => return Err(error),
                Ok(Ok(Received::Echo(echoed))) if echoed == nonce => return Ok(true),
                Ok(Ok(_)) => {}
            }
        }
    }
}
