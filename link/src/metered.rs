//! A TCP stream from which a stranger gets no more read than a handshake needs.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Bytes of a handshake: a hello of two kilobytes and a chain of certificates. TLS would take twice as much of each
/// message and keep it until the message is whole.
const HANDSHAKE_BYTES: usize = 32 * 1024;

/// A TCP stream that gives [`HANDSHAKE_BYTES`] until it is told that the peer is known, and then an error of the kind
/// `QuotaExceeded`.
#[derive(Debug)]
pub struct Metered {
    tcp: TcpStream,
    left: Option<usize>,
}

impl Metered {
    pub(crate) fn new(tcp: TcpStream) -> Self {
        Self { tcp, left: Some(HANDSHAKE_BYTES) }
    }

    /// The peer is known: from now on others count what it sends.
    pub(crate) fn lift(&mut self) {
        self.left = None;
    }
}

impl AsyncRead for Metered {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Some(left) = self.left else { return Pin::new(&mut self.tcp).poll_read(cx, buf) };
        if left == 0 {
            return Poll::Ready(Err(io::Error::from(io::ErrorKind::QuotaExceeded)));
        }
        let mut some = ReadBuf::new(buf.initialize_unfilled_to(left.min(buf.remaining())));
        ready!(Pin::new(&mut self.tcp).poll_read(cx, &mut some))?;
        let read = some.filled().len();
        buf.advance(read);
        self.left = Some(left - read);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Metered {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}
