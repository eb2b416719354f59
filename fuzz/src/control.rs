//! Requests and replies of the control channel, and their framing.

use std::fmt::Debug;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::FutureExt;
use orch_link::control::{ControlError, ControlStream};
use orch_wire::codec::CodecError;
use orch_wire::control::{Reply, Request};
use orch_wire::limits::{CONTROL_REPLY_BYTES, CONTROL_REQUEST_BYTES};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The first byte says whether requests or replies are read, the second how the stream is cut; the rest is the stream.
///
/// Values come out alike however the stream is cut, what came out arrives again when it is sent, and a length over the
/// limit ends the channel at once.
pub fn control(data: &[u8]) {
    let [kind, cut, stream @ ..] = data else { return };
    let step = usize::from(*cut) + 1;
    if kind % 2 == 0 {
        look_at::<Request>(stream, step, CONTROL_REQUEST_BYTES);
    } else {
        look_at::<Reply>(stream, step, CONTROL_REPLY_BYTES);
    }
}

/// How a channel ended.
#[derive(Debug, PartialEq, Eq)]
enum End {
    Closed,
    Cut,
    Refused(CodecError),
}

fn look_at<T: Serialize + DeserializeOwned + PartialEq + Debug>(stream: &[u8], step: usize, limit: usize) {
    let (values, end) = receive::<T>(stream, stream.len().max(1), limit);
    if let End::Refused(CodecError::TooLong { actual, limit: refused }) = &end {
        assert!(*refused == limit && *actual > limit);
    }
    let sent = send(&values);
    let whole = (values, end);
    assert_eq!(receive::<T>(stream, step, limit), whole, "cut every {step} bytes");
    // What was spelled with fewer bytes than the encoder takes may be longer now.
    assert_eq!(receive::<T>(&sent, step, usize::MAX), (whole.0, End::Closed), "sent again");
}

fn receive<T: DeserializeOwned>(stream: &[u8], step: usize, limit: usize) -> (Vec<T>, End) {
    let mut sent = Vec::new();
    let mut channel = ControlStream::new(Pipe { incoming: stream, step, outgoing: &mut sent });
    let mut values = Vec::new();
    loop {
        match channel.recv::<T>(limit).now_or_never() {
            Some(Ok(Some(value))) => values.push(value),
            Some(Ok(None)) => return (values, End::Closed),
            Some(Err(ControlError::Io(error))) => {
                assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
                return (values, End::Cut);
            }
            Some(Err(ControlError::Codec(error))) => return (values, End::Refused(error)),
            None => panic!("it waits although the stream has ended"),
        }
    }
}

fn send<T: Serialize>(values: &[T]) -> Vec<u8> {
    let mut sent = Vec::new();
    let mut channel = ControlStream::new(Pipe { incoming: &[], step: 1, outgoing: &mut sent });
    for value in values {
        let done = channel.send(value).now_or_never();
        assert!(matches!(done, Some(Ok(()))), "{done:?}");
    }
    sent
}

/// A connection that is never waited for: it gives at most `step` bytes at a time and takes whatever comes.
struct Pipe<'a> {
    incoming: &'a [u8],
    step: usize,
    outgoing: &'a mut Vec<u8>,
}

impl AsyncRead for Pipe<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let length = self.step.min(self.incoming.len()).min(into.remaining());
        let (now, later) = self.incoming.split_at(length);
        into.put_slice(now);
        self.incoming = later;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Pipe<'_> {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.outgoing.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
