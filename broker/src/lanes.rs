//! The device: two lanes, each a SUB socket that feeds a PUB socket.
//!
//! Two, because the crate's PUB walks all its subscribers for each message: on one shared socket the replies of N
//! nodes would cost N times N. Beside forwarding, the lanes answer what proves them: probes, and cards with an
//! acknowledgement. Those cross over, since an answer goes out on the other lane than the question came in by.
//!
//! All tasks of a lane's two sockets run on one thread: that of the broker's runtime where it has only one, else one of the
//! lane's own. The crate's PUB holds a lock of its table of
//! subscribers while it waits for the next one, and takes the same locks elsewhere by blocking the thread: on a runtime
//! of several threads, subscribers that go while a message is handed out can leave every thread blocked for good (seen
//! when a thousand nodes went at once). On one thread nothing else can hold a lock while the table is walked.

use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use orch_link::entropy;
use orch_link::mux::Lane;
use orch_link::socket_dir::SocketDir;
use orch_link::task::{self, Task};
use orch_wire::codec;
use orch_wire::envelope;
use orch_wire::header::{CardHeader, Header, Kind, Millis, ProbeHeader};
use orch_wire::ids::{BrokerName, Party};
use orch_wire::limits::{HEADER_BYTES, PROTOCOL};
use orch_wire::topic::Topic;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::{CancellationToken, DropGuard};
use zeromq::{PubSocket, Socket, SocketRecv, SocketSend, SubSocket, ZmqError, ZmqMessage};

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
    pub(crate) call: RunningLane,
    pub(crate) reply: RunningLane,
}

/// A lane at work; dropping it ends the lane, awaiting it gives its end.
#[derive(Debug)]
pub(crate) struct RunningLane {
    ended: oneshot::Receiver<()>,
    _stop: DropGuard,
    /// Where it has no thread of its own.
    _task: Option<Task<()>>,
}

impl Future for RunningLane {
    type Output = ();
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.ended).poll(cx).map(|_| ())
    }
}

/// Why the lanes do not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LaneError {
    /// A socket cannot be bound.
    #[error(transparent)]
    Bind(#[from] ZmqError),
    /// No thread, or no runtime on it.
    #[error("a thread for a lane: {0}")]
    Thread(#[from] io::Error),
}

/// Which way a message goes.
#[derive(Debug, PartialEq, Eq)]
pub enum Way {
    /// On, by its own lane.
    On,
    /// Nowhere; the broker answers its nonce to this topic, by the other lane.
    Answer(Topic, u64),
    /// Nowhere.
    Nowhere,
}

impl Lanes {
    /// Binds the four sockets and starts to forward.
    pub(crate) async fn start(name: &BrokerName, folder: &SocketDir) -> Result<Self, LaneError> {
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
            crossing_in: calls_back,
            crossing_out: to_reply,
            sender: Party::Broker(name.clone()),
            forwarded: Arc::clone(&forwarded),
        };
        let reply = Device {
            lane: Lane::Reply,
            crossing_in: replies_back,
            crossing_out: to_call,
            sender: Party::Broker(name.clone()),
            forwarded: Arc::clone(&forwarded),
        };
        let call = call.start(&sockets.call_in, &sockets.call_out).await?;
        let reply = reply.start(&sockets.reply_in, &sockets.reply_out).await?;
        Ok(Self { sockets, forwarded, call, reply })
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

/// One lane, with all that it has beside its sockets.
struct Device {
    lane: Lane,
    crossing_in: mpsc::Receiver<ZmqMessage>,
    crossing_out: mpsc::Sender<ZmqMessage>,
    sender: Party,
    forwarded: Arc<Forwarded>,
}

impl Device {
    /// Starts the lane on one thread and waits until its sockets are bound.
    async fn start(self, input: &Path, output: &Path) -> Result<RunningLane, LaneError> {
        let (bound, is_bound) = oneshot::channel();
        let (ends, ended) = oneshot::channel();
        let stop = CancellationToken::new();
        let name = format!("{:?}-lane", self.lane).to_lowercase();
        let running =
            stop.clone().run_until_cancelled_owned(self.open(input.to_owned(), output.to_owned(), bound));
        let lane = async move {
            // Dropped last, however the lane ends.
            let _ends: oneshot::Sender<()> = ends;
            running.await;
        };
        let is_alone = Handle::current().runtime_flavor() == RuntimeFlavor::CurrentThread;
        let task = if is_alone {
            Some(task::spawn(lane))
        } else {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            std::thread::Builder::new().name(name).spawn(move || runtime.block_on(lane))?;
            None
        };
        let gone = |_| io::Error::other("it ended before its sockets were bound");
        is_bound.await.map_err(gone)??;
        Ok(RunningLane { ended, _stop: stop.drop_guard(), _task: task })
    }

    async fn open(self, input: PathBuf, output: PathBuf, bound: oneshot::Sender<Result<(), ZmqError>>) {
        let sockets = async { Ok((bound_input(&input).await?, bound_output(&output).await?)) };
        // Nobody waits for it where the start was given up.
        match sockets.await {
            Ok((input, output)) => {
                let _ = bound.send(Ok(()));
                self.run(input, output).await;
            }
            Err(error) => {
                let _ = bound.send(Err(error));
            }
        }
    }

    async fn run(mut self, mut input: SubSocket, mut output: PubSocket) {
        loop {
            let message = tokio::select! {
                received = input.recv() => match received {
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
                && let Err(error) = output.send(message).await
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
pub fn way(lane: Lane, topic: &[u8], header: &[u8]) -> Way {
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
mod tests;
