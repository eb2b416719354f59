//! Both lanes on one connection: each chunk is preceded by the lane it is of and its length.
//!
//! One connection, because each costs a TLS handshake, a TLS session and a descriptor at both ends. A lane's messages go
//! one way only, so the two hardly meet: calls come in where replies go out.
//!
//! The lanes of a connection belong to one task. The stream below remembers only who polled it last, and here a lane
//! is woken for another only when something was put aside for it.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Before each chunk: the lane, and the length as u16 BE.
const HEAD: usize = 3;
/// Longest chunk: with its head it fills one record of TLS.
const CHUNK: usize = 16 * 1024 - HEAD;
/// Bytes that are put aside for a lane that does not read while the other one does.
const ASIDE: usize = 64 * 1024;

/// Bytes that are put aside at once.
const STEP: usize = 4096;

/// Which lane of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Calls, from operators to nodes.
    Call,
    /// Replies, from nodes to operators.
    Reply,
}

impl Lane {
    fn byte(self) -> u8 {
        match self {
            Lane::Call => 0,
            Lane::Reply => 1,
        }
    }

    fn from_byte(byte: u8) -> Option<Self> {
        [Lane::Call, Lane::Reply].into_iter().find(|lane| lane.byte() == byte)
    }

    fn other(self) -> Self {
        match self {
            Lane::Call => Lane::Reply,
            Lane::Reply => Lane::Call,
        }
    }
}

/// A chunk that is coming in.
enum Incoming {
    /// Its head, as far as it has come.
    Head([u8; HEAD], usize),
    /// So many bytes of it, for this lane.
    Bytes(Lane, usize),
}

/// A chunk of which a part has gone out: nothing else may go before its rest.
struct Outgoing {
    lane: Lane,
    head: [u8; HEAD],
    head_gone: usize,
    left: usize,
}

/// What waits for one lane, and who waits there.
#[derive(Default)]
struct Side {
    /// Came while the other lane was read.
    aside: BytesMut,
    reader: Option<Waker>,
    writer: Option<Waker>,
    /// Nobody reads it any more.
    gone: bool,
}

/// Notes who waits; the same one again costs nothing.
fn note(slot: &mut Option<Waker>, cx: &Context<'_>) {
    match slot {
        Some(waker) => waker.clone_from(cx.waker()),
        None => *slot = Some(cx.waker().clone()),
    }
}

impl Side {
    /// Whether no more may be put aside.
    fn is_full(&self) -> bool {
        self.aside.len() >= ASIDE
    }

    fn take(&mut self, buf: &mut ReadBuf<'_>) -> bool {
        let count = self.aside.len().min(buf.remaining());
        buf.put_slice(self.aside.get(..count).unwrap_or_default());
        self.aside.advance(count);
        if self.aside.is_empty() {
            self.aside = BytesMut::new();
        }
        count > 0
    }
}

struct Shared<S> {
    stream: S,
    incoming: Incoming,
    outgoing: Option<Outgoing>,
    ended: bool,
    call: Side,
    reply: Side,
}

/// One lane of a connection.
pub struct LaneStream<S> {
    lane: Lane,
    shared: Arc<Mutex<Shared<S>>>,
}

/// The connection below its lanes.
pub struct Trunk<S>(Arc<Mutex<Shared<S>>>);

/// Takes a connection apart into the call lane, the reply lane, and what they stand on.
pub fn split<S>(stream: S) -> (LaneStream<S>, LaneStream<S>, Trunk<S>) {
    let shared = Arc::new(Mutex::new(Shared {
        stream,
        incoming: Incoming::Head([0; HEAD], 0),
        outgoing: None,
        ended: false,
        call: Side::default(),
        reply: Side::default(),
    }));
    let lane = |lane| LaneStream { lane, shared: Arc::clone(&shared) };
    (lane(Lane::Call), lane(Lane::Reply), Trunk(shared))
}

fn lock<S>(shared: &Mutex<Shared<S>>) -> MutexGuard<'_, Shared<S>> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn broken(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

impl<S> Shared<S> {
    fn side(&mut self, lane: Lane) -> &mut Side {
        match lane {
            Lane::Call => &mut self.call,
            Lane::Reply => &mut self.reply,
        }
    }

    fn wake_reader(&mut self, lane: Lane) {
        if let Some(waker) = self.side(lane).reader.take() {
            waker.wake();
        }
    }

    fn wake_writer(&mut self, lane: Lane) {
        if let Some(waker) = self.side(lane).writer.take() {
            waker.wake();
        }
    }
}

impl<S: AsyncRead + Unpin> Shared<S> {
    fn poll_read(&mut self, lane: Lane, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        loop {
            let was_full = self.side(lane).is_full();
            if self.side(lane).take(buf) {
                if was_full {
                    self.wake_reader(lane.other());
                }
                return Poll::Ready(Ok(()));
            }
            if self.ended || buf.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
            let came = match self.incoming {
                Incoming::Head(..) => self.poll_head(cx),
                Incoming::Bytes(of, left) if of == lane => self.poll_own(of, left, cx, buf),
                Incoming::Bytes(of, left) => self.poll_aside(of, left, cx),
            };
            if came.is_pending() {
                note(&mut self.side(lane).reader, cx);
            }
            ready!(came)?;
            if buf.filled().len() > before {
                return Poll::Ready(Ok(()));
            }
        }
    }

    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Incoming::Head(head, come) = &mut self.incoming else { return Poll::Ready(Ok(())) };
        let mut rest = ReadBuf::new(head.get_mut(*come..).unwrap_or_default());
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut rest))?;
        let count = rest.filled().len();
        *come += count;
        if count == 0 {
            if *come > 0 {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
            self.ended = true;
            self.wake_reader(Lane::Call);
            self.wake_reader(Lane::Reply);
        } else if *come == HEAD {
            let [lane, high, low] = *head;
            let lane = Lane::from_byte(lane).ok_or_else(|| broken("a chunk of no lane"))?;
            let length = usize::from(u16::from_be_bytes([high, low]));
            if length == 0 || length > CHUNK {
                return Poll::Ready(Err(broken("a chunk of no length that may be")));
            }
            self.incoming = Incoming::Bytes(lane, length);
        }
        Poll::Ready(Ok(()))
    }

    /// Reads what is coming for the lane that asks.
    fn poll_own(
        &mut self,
        lane: Lane,
        left: usize,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let room = left.min(buf.remaining());
        let mut part = ReadBuf::new(buf.initialize_unfilled_to(room));
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut part))?;
        let count = part.filled().len();
        buf.advance(count);
        Poll::Ready(self.came(lane, left, count))
    }

    /// Reads what is coming for the other lane, so that the one that asks gets at what is behind it.
    fn poll_aside(&mut self, lane: Lane, left: usize, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let side = match lane {
            Lane::Call => &mut self.call,
            Lane::Reply => &mut self.reply,
        };
        if side.is_full() {
            return Poll::Pending;
        }
        let held = side.aside.len();
        side.aside.resize(held + left.min(STEP), 0);
        let mut part = ReadBuf::new(side.aside.get_mut(held..).unwrap_or_default());
        let polled = Pin::new(&mut self.stream).poll_read(cx, &mut part);
        let count = part.filled().len();
        side.aside.truncate(held + count);
        if side.gone {
            side.aside = BytesMut::new();
        }
        ready!(polled)?;
        self.wake_reader(lane);
        Poll::Ready(self.came(lane, left, count))
    }

    fn came(&mut self, lane: Lane, left: usize, count: usize) -> io::Result<()> {
        self.incoming = match left - count {
            _ if count == 0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            0 => Incoming::Head([0; HEAD], 0),
            rest => Incoming::Bytes(lane, rest),
        };
        Ok(())
    }
}

impl<S: AsyncWrite + Unpin> Shared<S> {
    fn poll_write(&mut self, lane: Lane, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut chunk = match self.outgoing.take() {
            Some(chunk) if chunk.lane == lane => chunk,
            Some(chunk) => {
                self.outgoing = Some(chunk);
                note(&mut self.side(lane).writer, cx);
                return Poll::Pending;
            }
            None => {
                let length = bytes.len().min(CHUNK);
                let [high, low] = u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes();
                Outgoing { lane, head: [lane.byte(), high, low], head_gone: 0, left: length }
            }
        };
        let polled = chunk.poll_write(&mut self.stream, cx, bytes);
        if chunk.left == 0 {
            self.wake_writer(lane.other());
        } else if chunk.head_gone > 0 {
            self.outgoing = Some(chunk);
        }
        if polled.is_pending() {
            note(&mut self.side(lane).writer, cx);
        }
        polled
    }
}

impl Outgoing {
    /// Writes the head, or its rest, and with it or after it what it announced; how much of the latter.
    fn poll_write<S: AsyncWrite + Unpin>(
        &mut self,
        stream: &mut S,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        loop {
            let part = bytes.get(..self.left).unwrap_or(bytes);
            let head = self.head.get(self.head_gone..).unwrap_or_default();
            // Together, so that they are one record.
            let count = match head {
                [] => ready!(Pin::new(&mut *stream).poll_write(cx, part))?,
                head => {
                    let slices = [IoSlice::new(head), IoSlice::new(part)];
                    ready!(Pin::new(&mut *stream).poll_write_vectored(cx, &slices))?
                }
            };
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            let of_head = count.min(head.len());
            self.head_gone += of_head;
            self.left -= count - of_head;
            if count > of_head {
                return Poll::Ready(Ok(count - of_head));
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for LaneStream<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        lock(&self.shared).poll_read(self.lane, cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for LaneStream<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        lock(&self.shared).poll_write(self.lane, cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut lock(&self.shared).stream).poll_flush(cx)
    }

    /// Ends nothing: a connection ends with both its lanes.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(cx)
    }
}

impl<S> Drop for LaneStream<S> {
    fn drop(&mut self) {
        let mut shared = lock(&self.shared);
        let side = shared.side(self.lane);
        (side.gone, side.aside) = (true, BytesMut::new());
        shared.wake_reader(self.lane.other());
    }
}

impl<S> Trunk<S> {
    /// Whether the peer has ended the connection.
    pub fn ended(&self) -> bool {
        lock(&self.0).ended
    }
}

impl<S: AsyncWrite + Unpin> Trunk<S> {
    /// Tells the peer that this is an end and no cut.
    pub async fn shutdown(&self) -> io::Result<()> {
        std::future::poll_fn(|cx| Pin::new(&mut lock(&self.0).stream).poll_shutdown(cx)).await
    }
}

#[cfg(test)]
mod tests;
