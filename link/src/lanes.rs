//! A client's pair of lanes: opened with proof, and open only when a message has gone round.
//!
//! Publishing sockets are XPUB: the crate's PUB preallocates four megabytes, and only XPUB tells when the broker's
//! subscription has come. Each lane's relay is the only one that learns that its stream ended; then both go.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use orch_wire::envelope::{self, Frames};
use orch_wire::header::{Header, Kind, Millis, ProbeHeader};
use orch_wire::ids::{CollectiveName, NodeName, Party};
use orch_wire::limits::PROTOCOL;
use orch_wire::topic::{ReplyTopic, Topic};
use tokio::net::UnixListener;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::{CancellationToken, DropGuard};
use zeromq::{Socket, SocketRecv, SocketSend, SubSocket, XPubSocket, ZmqError, ZmqMessage};

use crate::dial::{Dialer, OpenError};
use crate::entropy;
use crate::relay::{Overflow, PassAll, RelayEnd, RelaySettings, relay};
use crate::task::{self, Task};
use crate::tls::{Channel, ClientStream};
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

/// The relays of both lanes.
pub(crate) struct Relays {
    publishing: Task<RelayEnd>,
    subscribing: Task<RelayEnd>,
    address: String,
    _stop: DropGuard,
}

/// An open pair of lanes.
pub(crate) struct Lanes {
    pub(crate) publisher: Publisher,
    pub(crate) subscriber: Subscriber,
    pub(crate) relays: Relays,
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
    let stop = CancellationToken::new();
    let (calls, replies) = tokio::try_join!(dialer.dial(Channel::Call), dialer.dial(Channel::Reply))?;
    let mut subscriber = SubSocket::new();
    let subscription = async {
        subscriber.subscribe(reply_topic.as_str()).await.map_err(|e| local("subscribing", e))?;
        attach(dialer, &mut subscriber, replies, Traffic::Messages, &stop, deadline).await
    };
    let mut publisher = XPubSocket::new();
    let publication = async {
        let task = attach(dialer, &mut publisher, calls, Traffic::Subscriptions, &stop, deadline).await?;
        Ok::<_, OpenError>((await_subscriber(&mut publisher, deadline).await, task))
    };
    let (subscribing, (subscribed, publishing)) = tokio::try_join!(subscription, publication)?;
    let mut lanes = Lanes {
        publisher: Publisher {
            socket: publisher,
            sender: dialer.credentials().party().clone(),
            reply_topic: Some(reply_topic.clone()),
        },
        subscriber: Subscriber { socket: subscriber },
        relays: Relays {
            publishing,
            subscribing,
            address: dialer.address().to_owned(),
            _stop: stop.drop_guard(),
        },
    };
    if let Err(error) = subscribed {
        return Err(lanes.relays.verdict_or(error).await);
    }
    let nonce = entropy::nonce();
    let proof = async {
        loop {
            lanes.publisher.probe(nonce).await?;
            if lanes.subscriber.echo_within(nonce, PROBE_EVERY).await? {
                return Ok(());
            }
        }
    };
    prove(proof, &mut lanes.relays, dialer, deadline, "the proof of the lanes").await?;
    Ok(lanes)
}

async fn open_node(
    dialer: &Dialer,
    name: &NodeName,
    collectives: &[CollectiveName],
    card: &mut CardMaker,
    deadline: Instant,
) -> Result<Lanes, OpenError> {
    let stop = CancellationToken::new();
    let mut subscriber = SubSocket::new();
    for collective in collectives {
        let topic = Topic::Collective(collective.clone()).to_string();
        subscriber.subscribe(&topic).await.map_err(|e| local("subscribing", e))?;
    }
    let calls = dialer.dial(Channel::Call).await?;
    let subscribing = attach(dialer, &mut subscriber, calls, Traffic::Messages, &stop, deadline).await?;
    // Last, on the open stream: when a message comes by this topic, all subscriptions are in force.
    let own = Topic::Node(name.clone()).to_string();
    subscriber.subscribe(&own).await.map_err(|e| local("subscribing", e))?;

    let replies = dialer.dial(Channel::Reply).await?;
    let mut publisher = XPubSocket::new();
    let publishing = attach(dialer, &mut publisher, replies, Traffic::Subscriptions, &stop, deadline).await?;
    let subscribed = await_subscriber(&mut publisher, deadline).await;
    let mut lanes = Lanes {
        publisher: Publisher { socket: publisher, sender: Party::Node(name.clone()), reply_topic: None },
        subscriber: Subscriber { socket: subscriber },
        relays: Relays {
            publishing,
            subscribing,
            address: dialer.address().to_owned(),
            _stop: stop.drop_guard(),
        },
    };
    if let Err(error) = subscribed {
        return Err(lanes.relays.verdict_or(error).await);
    }
    let nonce = entropy::nonce();
    let proof = async {
        let mut wait = CARD_FIRST;
        loop {
            lanes.publisher.send(card(nonce)).await?;
            if lanes.subscriber.echo_within(nonce, wait).await? {
                return Ok(());
            }
            wait = (wait * 2).min(CARD_LAST);
        }
    };
    prove(proof, &mut lanes.relays, dialer, deadline, "the broker's acknowledgement of the card").await?;
    Ok(lanes)
}

/// Waits for a proof, for the end of a relay, or for the deadline, whichever comes first.
async fn prove(
    proof: impl Future<Output = Result<(), OpenError>>,
    relays: &mut Relays,
    dialer: &Dialer,
    deadline: Instant,
    what: &'static str,
) -> Result<(), OpenError> {
    let ended = async {
        let end = relays.ended().await;
        Err(OpenError::Refused { address: dialer.address().to_owned(), detail: describe(&end) })
    };
    let outcome = timeout_at(deadline, async {
        tokio::select! {
            proven = proof => proven,
            ended = ended => ended,
        }
    });
    outcome.await.unwrap_or(Err(OpenError::Timeout { what, limit: dialer.timeout() }))
}

/// Joins a socket of the crate to a TLS stream through a relay. The socket connects to a listener that is gone the
/// moment it has accepted, so that nothing else ever gets in.
async fn attach<S: Socket>(
    dialer: &Dialer,
    socket: &mut S,
    stream: ClientStream,
    from_peer: Traffic,
    stop: &CancellationToken,
    deadline: Instant,
) -> Result<Task<RelayEnd>, OpenError> {
    const WHAT: &str = "opening a local socket";
    let path = dialer.sockets().fresh_socket();
    let listener = UnixListener::bind(&path).map_err(|source| OpenError::Local { what: WHAT, source })?;
    let stop = stop.clone();
    let accept = async {
        let accepted = listener.accept().await;
        let _ = std::fs::remove_file(&path);
        let (local, _) = accepted.map_err(|source| OpenError::Local { what: WHAT, source })?;
        let settings = RelaySettings { from_peer, overflow: Overflow::Wait };
        Ok(task::spawn(relay(stream, local, settings, PassAll, stop)))
    };
    let endpoint = format!("ipc://{}", path.display());
    let attached = async {
        // The crate's handshake runs through the relay, which must be there first; if the broker ends the stream in
        // the handshake, the relay knows why and the crate does not.
        let mut connecting = socket.connect(&endpoint);
        let mut relay: Task<RelayEnd> = tokio::select! {
            task = accept => task?,
            connected = &mut connecting => return Err(local(WHAT, connected.err().unwrap_or(ZmqError::NoMessage))),
        };
        tokio::select! {
            biased;
            connected = &mut connecting => match connected {
                Ok(()) => Ok(relay),
                Err(error) => Err(Relays::verdict(&mut relay, dialer.address(), error).await),
            },
            end = &mut relay => Err(refused(dialer.address(), end.ok().as_ref())),
        }
    };
    timeout_at(deadline, attached)
        .await
        .unwrap_or(Err(OpenError::Timeout { what: "opening a lane", limit: dialer.timeout() }))
}

/// Waits until the broker's subscription has come to an XPUB, which learns it only inside `recv`.
async fn await_subscriber(socket: &mut XPubSocket, deadline: Instant) -> Result<(), OpenError> {
    match timeout_at(deadline, socket.recv()).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(local("waiting for the broker's subscription", error)),
        Err(_) => Err(OpenError::Timeout {
            what: "the broker's subscription",
            limit: deadline.saturating_duration_since(Instant::now()),
        }),
    }
}

fn local(what: &'static str, error: ZmqError) -> OpenError {
    let source = match error {
        ZmqError::Network(source) => source,
        other => io::Error::other(other),
    };
    OpenError::Local { what, source }
}

fn refused(address: &str, end: Option<&RelayEnd>) -> OpenError {
    let detail = end.map_or_else(|| "the relay failed".to_owned(), describe);
    OpenError::Refused { address: address.to_owned(), detail }
}

fn describe(end: &RelayEnd) -> String {
    match end.reason {
        "closed" if end.detail.is_empty() => "it gave no reason".to_owned(),
        _ if end.detail.is_empty() => end.reason.to_owned(),
        _ => end.detail.clone(),
    }
}

impl Relays {
    /// Waits until either lane's stream has ended.
    pub(crate) async fn ended(&mut self) -> RelayEnd {
        let end = tokio::select! {
            end = &mut self.publishing => end,
            end = &mut self.subscribing => end,
        };
        end.unwrap_or_else(|error| RelayEnd { reason: "io", detail: format!("the relay failed: {error}") })
    }

    /// Waits until the publishing lane's relay has sent what it had and ended.
    pub(crate) async fn published(&mut self) {
        let _ = (&mut self.publishing).await;
    }

    /// The relay's reason where it has one within a moment, else `error`.
    async fn verdict_or(&mut self, error: OpenError) -> OpenError {
        match tokio::time::timeout(Duration::from_millis(200), self.ended()).await {
            Ok(end) => refused(&self.address, Some(&end)),
            Err(_) => error,
        }
    }

    async fn verdict(relay: &mut Task<RelayEnd>, address: &str, error: ZmqError) -> OpenError {
        match tokio::time::timeout(Duration::from_millis(200), relay).await {
            Ok(end) => refused(address, end.ok().as_ref()),
            Err(_) => local("opening a lane", error),
        }
    }
}

impl Publisher {
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
