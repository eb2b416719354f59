//! The device: two lanes, each a SUB socket that feeds a PUB socket.
//!
//! Two, because the crate's PUB walks all its subscribers for each message: on one shared socket the replies of N
//! nodes would cost N times N. Beside forwarding, the lanes answer what proves them: probes, and cards with an
//! acknowledgement. Those cross over, since an answer goes out on the other lane than the question came in by.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use orch_link::entropy;
use orch_link::socket_dir::SocketDir;
use orch_link::task::{self, Task};
use orch_wire::codec;
use orch_wire::envelope;
use orch_wire::header::{CardHeader, Header, Kind, Millis, ProbeHeader};
use orch_wire::ids::{BrokerName, Party};
use orch_wire::limits::{HEADER_BYTES, PROTOCOL};
use orch_wire::topic::Topic;
use tokio::sync::mpsc;
use zeromq::{PubSocket, Socket, SocketRecv, SocketSend, SubSocket, ZmqError, ZmqMessage};

use crate::roster::Lane;

/// Answers that may wait to cross over; a probe or card whose answer is lost is repeated.
const CROSSING: usize = 4096;
/// Time-to-live of an answer, which nobody holds against it.
const ANSWER_TTL: Millis = Millis(1000);

/// Where the gate joins connections to the lanes.
#[derive(Debug)]
pub(crate) struct LaneSockets {
    /// Operators publish calls here.
    pub(crate) call_in: PathBuf,
    /// Nodes listen to calls here.
    pub(crate) call_out: PathBuf,
    /// Nodes publish replies here.
    pub(crate) reply_in: PathBuf,
    /// Operators listen to replies here.
    pub(crate) reply_out: PathBuf,
}

/// Messages since the start.
#[derive(Debug, Default)]
pub(crate) struct Forwarded {
    pub(crate) calls: AtomicU64,
    pub(crate) replies: AtomicU64,
    pub(crate) faults: AtomicU64,
}

/// The running device.
pub(crate) struct Lanes {
    pub(crate) sockets: LaneSockets,
    pub(crate) forwarded: Arc<Forwarded>,
    pub(crate) call: Task<()>,
    pub(crate) reply: Task<()>,
}

/// Which way a message goes.
#[derive(Debug, PartialEq, Eq)]
enum Way {
    /// On, by its own lane.
    On,
    /// Nowhere; the broker answers its nonce to this topic, by the other lane.
    Answer(Topic, u64),
    /// Nowhere.
    Nowhere,
}

impl Lanes {
    /// Binds the four sockets and starts to forward.
    pub(crate) async fn start(name: &BrokerName, folder: &SocketDir) -> Result<Self, ZmqError> {
        let sockets = LaneSockets {
            call_in: folder.socket("call-in"),
            call_out: folder.socket("call-out"),
            reply_in: folder.socket("reply-in"),
            reply_out: folder.socket("reply-out"),
        };
        let forwarded = Arc::new(Forwarded::default());
        let (to_call, calls_back) = mpsc::channel(CROSSING);
        let (to_reply, replies_back) = mpsc::channel(CROSSING);
        let call = Device {
            lane: Lane::Call,
            input: bound_input(&sockets.call_in).await?,
            output: bound_output(&sockets.call_out).await?,
            crossing_in: calls_back,
            crossing_out: to_reply,
            sender: Party::Broker(name.clone()),
            forwarded: Arc::clone(&forwarded),
        };
        let reply = Device {
            lane: Lane::Reply,
            input: bound_input(&sockets.reply_in).await?,
            output: bound_output(&sockets.reply_out).await?,
            crossing_in: replies_back,
            crossing_out: to_call,
            sender: Party::Broker(name.clone()),
            forwarded: Arc::clone(&forwarded),
        };
        Ok(Self { sockets, forwarded, call: task::spawn(call.run()), reply: task::spawn(reply.run()) })
    }
}

async fn bound_input(path: &Path) -> Result<SubSocket, ZmqError> {
    let mut socket = SubSocket::new();
    // The gate lets in only what may be published, so a lane takes everything.
    socket.subscribe("").await?;
    socket.bind(&format!("ipc://{}", path.display())).await?;
    Ok(socket)
}

async fn bound_output(path: &Path) -> Result<PubSocket, ZmqError> {
    let mut socket = PubSocket::new();
    socket.bind(&format!("ipc://{}", path.display())).await?;
    Ok(socket)
}

/// One lane at work.
struct Device {
    lane: Lane,
    input: SubSocket,
    output: PubSocket,
    crossing_in: mpsc::Receiver<ZmqMessage>,
    crossing_out: mpsc::Sender<ZmqMessage>,
    sender: Party,
    forwarded: Arc<Forwarded>,
}

impl Device {
    async fn run(mut self) {
        loop {
            let message = tokio::select! {
                received = self.input.recv() => match received {
                    Ok(message) => self.pass(message),
                    // One peer's fault: it has been disconnected, the others go on.
                    Err(error) => {
                        self.forwarded.faults.fetch_add(1, Ordering::Relaxed);
                        tracing::debug!(lane = ?self.lane, "a peer's fault: {error}");
                        tokio::task::yield_now().await;
                        None
                    }
                },
                Some(answer) = self.crossing_in.recv() => Some(answer),
            };
            if let Some(message) = message
                && let Err(error) = self.output.send(message).await
            {
                self.forwarded.faults.fetch_add(1, Ordering::Relaxed);
                tracing::debug!(lane = ?self.lane, "not sent: {error}");
            }
        }
    }

    /// The message, if it goes on.
    fn pass(&self, message: ZmqMessage) -> Option<ZmqMessage> {
        let (topic, header) = (message.get(0)?, message.get(1)?);
        match way(self.lane, topic, header) {
            Way::On => {
                let counter = match self.lane {
                    Lane::Call => &self.forwarded.calls,
                    Lane::Reply => &self.forwarded.replies,
                };
                counter.fetch_add(1, Ordering::Relaxed);
                Some(message)
            }
            Way::Answer(to, nonce) => {
                // Without room the answer is lost, and the question repeated.
                if let Some(answer) = self.answer(&to, nonce) {
                    let _ = self.crossing_out.try_send(answer);
                }
                None
            }
            Way::Nowhere => None,
        }
    }

    fn answer(&self, to: &Topic, nonce: u64) -> Option<ZmqMessage> {
        let header = Header {
            version: PROTOCOL,
            id: entropy::message_id(),
            sender: self.sender.clone(),
            issued_at: entropy::now(),
            ttl: ANSWER_TTL,
            lz4: false,
            kind: Kind::Probe(ProbeHeader { nonce, reply_to: None, echo: true }),
        };
        ZmqMessage::try_from(envelope::unsealed(to, &header).ok()?.into_parts()).ok()
    }
}

/// Decides by the topic alone; only what the broker answers is decoded. The gate has checked who sent it.
fn way(lane: Lane, topic: &[u8], header: &[u8]) -> Way {
    let decode = || codec::decode::<Header>(header, HEADER_BYTES).ok();
    match (lane, topic) {
        (Lane::Call, [b'c' | b'n', b'/', ..]) | (Lane::Reply, [b'r', b'/', ..]) => Way::On,
        (Lane::Call, b"b/") => match decode().map(|header| header.kind) {
            Some(Kind::Probe(ProbeHeader { nonce, reply_to: Some(to), echo: false })) => {
                Way::Answer(Topic::Reply(to), nonce)
            }
            _ => Way::Nowhere,
        },
        (Lane::Reply, [b'b' | b'p', b'/', ..]) => match decode() {
            Some(Header {
                sender: Party::Node(node),
                kind:
                    Kind::Probe(ProbeHeader { nonce, echo: false, .. }) | Kind::Card(CardHeader { nonce, .. }),
                ..
            }) => Way::Answer(Topic::Node(node), nonce),
            _ => Way::Nowhere,
        },
        _ => Way::Nowhere,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use orch_wire::topic::ReplyTopic;

    fn header(sender: &str, kind: Kind) -> Vec<u8> {
        codec::encode(&Header {
            version: PROTOCOL,
            id: entropy::message_id(),
            sender: sender.parse().unwrap(),
            issued_at: entropy::now(),
            ttl: ANSWER_TTL,
            lz4: false,
            kind,
        })
        .unwrap()
    }

    #[test]
    fn messages_go_on_and_proofs_go_back() {
        let to = ReplyTopic::new(b"certificate", &[1; 16]);
        let probe = |reply_to, echo| Kind::Probe(ProbeHeader { nonce: 7, reply_to, echo });
        let operator = header("orch://operator/alice", probe(Some(to.clone()), false));
        let node_probe = header("orch://node/web1", probe(None, false));
        let card = header("orch://node/web1", Kind::Card(CardHeader { nonce: 8, goodbye: false }));
        let web1 = || Topic::Node("web1".parse().unwrap());
        for (lane, topic, header, expected) in [
            (Lane::Call, "c/main/", &b"anything"[..], Way::On),
            (Lane::Call, "n/web1/", b"anything", Way::On),
            (Lane::Call, "b/", &operator, Way::Answer(Topic::Reply(to.clone()), 7)),
            (Lane::Call, "b/", &node_probe, Way::Nowhere),
            (Lane::Call, "b/", b"garbage", Way::Nowhere),
            (Lane::Call, to.as_str(), b"anything", Way::Nowhere),
            (Lane::Reply, to.as_str(), b"anything", Way::On),
            (Lane::Reply, "b/", &node_probe, Way::Answer(web1(), 7)),
            (Lane::Reply, "p/web1/", &card, Way::Answer(web1(), 8)),
            (Lane::Reply, "p/web1/", b"garbage", Way::Nowhere),
            (Lane::Reply, "b/", &operator, Way::Nowhere),
            (Lane::Reply, "c/main/", b"anything", Way::Nowhere),
            (Lane::Reply, "", b"", Way::Nowhere),
        ] {
            assert_eq!(way(lane, topic.as_bytes(), header), expected, "{lane:?} {topic}");
        }
    }
}
