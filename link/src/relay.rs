//! The relay: copies between one lane of a connection and a local Unix socket, with the frame checks, in both directions.
//!
//! One task per connection drives both its lanes in both directions and owns all their buffers. It is the only one that learns that a
//! stream ended. At rest it holds no buffer: what arrives goes through a scratch buffer of the thread, straight to
//! the other side where that takes it.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::UnixStream;
use tokio::time::{Instant, Sleep, sleep};

use queue::Queue;

use crate::zmtp::{FrameCheck, Item, Piece, Traffic};

/// Messages that may wait for a slow peer.
const QUEUE_MESSAGES: usize = 4096;
/// Bytes that may wait for a slow peer, an item that is not yet whole among them.
const QUEUE_BYTES: usize = 4 * 1024 * 1024;
/// Bytes that wait before the source is read no further, where waiting is allowed.
const PAUSE_BYTES: usize = 256 * 1024;
/// A write that makes no progress for this long ends the connection.
const STALL: Duration = Duration::from_secs(10);
/// Greeting and READY must have passed in both directions by then.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Room for the end of a message behind its body.
const SEAL_ROOM: usize = 256;

thread_local! {
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; 64 * 1024].into_boxed_slice());
}

/// What a rule says to an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It goes on.
    Pass,
    /// It goes no further; the connection stays.
    Drop,
    /// It ends the connection; the text is the stable word by which that is counted.
    Close(&'static str),
}

/// Rules of a relay: looks at each item in both directions.
pub trait Inspect: Send {
    /// Judges what the peer sent.
    fn inward(&mut self, item: Item<'_>) -> Verdict;
    /// Judges what goes to the peer.
    fn outward(&mut self, item: Item<'_>) -> Verdict;
}

/// Lets everything pass whose frames are sound: the client's side.
#[derive(Debug)]
pub struct PassAll;

impl Inspect for PassAll {
    fn inward(&mut self, _: Item<'_>) -> Verdict {
        Verdict::Pass
    }
    fn outward(&mut self, _: Item<'_>) -> Verdict {
        Verdict::Pass
    }
}

/// What happens when the queue toward the peer is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overflow {
    /// The connection is closed: at the gate, where one slow peer must not hold up the others.
    Close,
    /// The local socket is read no further: at clients, whose own messages wait.
    Wait,
}

/// How a relay behaves.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RelaySettings {
    /// What the peer may send; the other direction carries the other kind.
    pub(crate) from_peer: Traffic,
    /// What happens when the queue toward the peer is full.
    pub(crate) overflow: Overflow,
}

/// How a relay ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelayEnd {
    /// Stable word: `closed`, `stopped`, `queue_full`, `stalled`, `handshake`, `malformed`, `io`, or a rule's.
    pub reason: &'static str,
    /// The same for people, with what was seen; may be empty.
    pub detail: String,
}

impl RelayEnd {
    pub(crate) fn new(reason: &'static str, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into() }
    }
}

/// One direction of the relay.
struct Direction {
    check: FrameCheck,
    /// The start of an item whose rest has not come, and never more than this one item.
    partial: Vec<u8>,
    queue: Queue,
    ended: bool,
    unflushed: bool,
}

impl Direction {
    fn new(traffic: Traffic) -> Self {
        Self {
            check: FrameCheck::new(traffic),
            partial: Vec::new(),
            queue: Queue::default(),
            ended: false,
            unflushed: false,
        }
    }

    /// Whether everything that came has gone on.
    fn is_drained(&self) -> bool {
        self.queue.is_empty() && !self.unflushed
    }

    /// Whether more waits than may. An item that is coming counts as soon as its length is known, and twice: the crate
    /// has it in its own buffer until all of it has come.
    fn is_full(&self) -> bool {
        let coming = if self.partial.is_empty() { 0 } else { self.check.wanted(&self.partial) };
        self.queue.held() + 2 * coming > QUEUE_BYTES || self.queue.items() > QUEUE_MESSAGES
    }

    /// Checks new bytes and queues the pieces that pass.
    fn take(&mut self, mut new: &[u8], mut judge: impl FnMut(Item<'_>) -> Verdict) -> Result<(), RelayEnd> {
        while !self.partial.is_empty() {
            let wanted = self.check.wanted(&self.partial);
            let missing = wanted.saturating_sub(self.partial.len()).max(1).min(new.len());
            let (more, rest) = new.split_at(missing);
            if more.is_empty() {
                return Ok(());
            }
            self.make_room(wanted, more.len());
            self.partial.extend_from_slice(more);
            new = rest;
            if let Some((_, passes)) = judged(&mut self.check, &self.partial, &mut judge)? {
                let whole = std::mem::take(&mut self.partial);
                if passes {
                    self.queue.push_whole(whole);
                }
            }
        }
        while let Some((length, passes)) = judged(&mut self.check, new, &mut judge)? {
            let (item, rest) = new.split_at(length);
            if passes {
                self.queue.push(item);
            }
            new = rest;
        }
        self.partial.extend_from_slice(new);
        Ok(())
    }

    /// Room for what comes next. A large item gets what it says it needs, so that its memory does not double over and
    /// over, but only so many times what has come: to announce much is cheap.
    fn make_room(&mut self, wanted: usize, more: usize) {
        let length = self.partial.len() + more;
        if length > self.partial.capacity() {
            let room = (wanted + SEAL_ROOM).min(64 * length).max(length);
            self.partial.reserve_exact(room - self.partial.len());
        }
    }

    /// Reads from `source` until it has nothing more; whether anything came.
    fn poll_fill<R: AsyncRead + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut R,
        mut judge: impl FnMut(Item<'_>) -> Verdict,
    ) -> Result<bool, RelayEnd> {
        if self.ended {
            return Ok(false);
        }
        SCRATCH.with_borrow_mut(|scratch| {
            let mut buffer = ReadBuf::new(scratch);
            match Pin::new(source).poll_read(cx, &mut buffer) {
                Poll::Pending => Ok(false),
                Poll::Ready(Ok(())) if buffer.filled().is_empty() => {
                    self.ended = true;
                    Ok(true)
                }
                Poll::Ready(Ok(())) => {
                    self.take(buffer.filled(), &mut judge)?;
                    Ok(true)
                }
                // A peer that just goes away is an end like any other; all else is told.
                Poll::Ready(Err(e)) if is_gone(&e) => {
                    self.ended = true;
                    Ok(true)
                }
                Poll::Ready(Err(e)) if e.kind() == io::ErrorKind::InvalidData => {
                    Err(RelayEnd::new("malformed", e.to_string()))
                }
                Poll::Ready(Err(e)) => Err(RelayEnd::new("io", e.to_string())),
            }
        })
    }

    /// Writes what waits to `sink`; whether anything went.
    fn poll_drain<W: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        sink: &mut W,
    ) -> Result<bool, RelayEnd> {
        let mut moved = false;
        while !self.queue.is_empty() {
            match Pin::new(&mut *sink).poll_write(cx, self.queue.front()) {
                Poll::Pending => return Ok(moved),
                Poll::Ready(Ok(0)) => return Err(RelayEnd::new("closed", "")),
                Poll::Ready(Ok(count)) => {
                    self.queue.advance(count);
                    self.unflushed = true;
                    moved = true;
                }
                Poll::Ready(Err(e)) if is_gone(&e) => return Err(RelayEnd::new("closed", e.to_string())),
                Poll::Ready(Err(e)) => return Err(RelayEnd::new("io", e.to_string())),
            }
        }
        if self.unflushed {
            match Pin::new(sink).poll_flush(cx) {
                Poll::Pending => {}
                Poll::Ready(Ok(())) => {
                    self.unflushed = false;
                    moved = true;
                }
                Poll::Ready(Err(e)) => return Err(RelayEnd::new("closed", e.to_string())),
            }
        }
        Ok(moved)
    }
}

/// The length of the piece at the start of `data` and whether it passes, or `None` while bytes are missing.
fn judged(
    check: &mut FrameCheck,
    data: &[u8],
    judge: &mut impl FnMut(Item<'_>) -> Verdict,
) -> Result<Option<(usize, bool)>, RelayEnd> {
    let Some((length, piece)) = check.next(data).map_err(|e| RelayEnd::new("malformed", e.to_string()))?
    else {
        return Ok(None);
    };
    let verdict = match piece {
        Piece::Item(item) => judge(item),
        Piece::Greeting | Piece::Ready => Verdict::Pass,
    };
    match verdict {
        Verdict::Pass => Ok(Some((length, true))),
        Verdict::Drop => Ok(Some((length, false))),
        Verdict::Close(reason) => Err(RelayEnd::new(reason, "")),
    }
}

fn is_gone(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::NotConnected
    )
}

/// A deadline that exists only while something is being waited for.
#[derive(Default)]
struct Deadline(Option<Pin<Box<Sleep>>>);

impl Deadline {
    fn set(&mut self, span: Duration) {
        match &mut self.0 {
            Some(timer) => timer.as_mut().reset(Instant::now() + span),
            None => self.0 = Some(Box::pin(sleep(span))),
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.0 {
            Some(timer) => timer.as_mut().poll(cx),
            None => Poll::Pending,
        }
    }
}

struct Relay<S, I> {
    peer: S,
    local: UnixStream,
    overflow: Overflow,
    inspect: I,
    inward: Direction,
    outward: Direction,
    stall: Deadline,
    handshake: Deadline,
}

/// Relays until either side ends or a check or rule refuses. What came before an end still goes on.
pub(crate) async fn relay<S, I>(peer: S, local: UnixStream, settings: RelaySettings, inspect: I) -> RelayEnd
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
    I: Inspect,
{
    let to_peer = match settings.from_peer {
        Traffic::Subscriptions => Traffic::Messages,
        Traffic::Messages => Traffic::Subscriptions,
    };
    let mut relay = Relay {
        peer,
        local,
        overflow: settings.overflow,
        inspect,
        inward: Direction::new(settings.from_peer),
        outward: Direction::new(to_peer),
        stall: Deadline::default(),
        handshake: Deadline::default(),
    };
    relay.handshake.set(HANDSHAKE);
    std::future::poll_fn(|cx| relay.poll(cx)).await
}

impl<S: AsyncRead + AsyncWrite + Unpin, I: Inspect> Relay<S, I> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<RelayEnd> {
        match self.poll_step(cx) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(end)) | Err(end) => Poll::Ready(end),
        }
    }

    fn poll_step(&mut self, cx: &mut Context<'_>) -> Result<Poll<RelayEnd>, RelayEnd> {
        let inspect = &mut self.inspect;
        loop {
            let mut moved = false;
            // From the peer: its messages wait in its own socket while the local one does not take them.
            if self.inward.queue.held() < PAUSE_BYTES {
                moved |= self.inward.poll_fill(cx, &mut self.peer, |item| inspect.inward(item))?;
            }
            moved |= self.inward.poll_drain(cx, &mut self.local)?;

            // To the peer: the gate reads its socket without pause, since the crate's queue has no byte bound.
            if self.overflow == Overflow::Close || self.outward.queue.held() < PAUSE_BYTES {
                moved |= self.outward.poll_fill(cx, &mut self.local, |item| inspect.outward(item))?;
            }
            let waited = !self.outward.is_drained();
            let sent = self.outward.poll_drain(cx, &mut self.peer)?;
            moved |= sent;
            if self.outward.is_drained() {
                self.stall = Deadline::default();
            } else if sent || !waited || self.stall.0.is_none() {
                self.stall.set(STALL);
            }
            if self.overflow == Overflow::Close && self.outward.is_full() {
                return Err(RelayEnd::new("queue_full", "the peer reads too slowly"));
            }

            if (self.inward.ended && self.inward.is_drained())
                || (self.outward.ended && self.outward.is_drained())
            {
                return Ok(Poll::Ready(RelayEnd::new("closed", "")));
            }
            if !moved {
                break;
            }
        }
        if self.handshake.0.is_some() {
            if self.inward.check.is_open() && self.outward.check.is_open() {
                self.handshake = Deadline::default();
            } else if self.handshake.poll(cx).is_ready() {
                return Err(RelayEnd::new("handshake", "no ZMTP greeting and READY in time"));
            }
        }
        match self.stall.poll(cx) {
            Poll::Ready(()) => Err(RelayEnd::new("stalled", "a write made no progress for 10 s")),
            Poll::Pending => Ok(Poll::Pending),
        }
    }
}

mod queue;
#[cfg(test)]
mod tests;
