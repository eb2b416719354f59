//! Frames of `orch-ctl/1`: the length as u32 big endian, then the encoded value (`wire::control`).

use std::io;

use bytes::{Buf, BytesMut};
use orch_wire::codec::{self, CodecError};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::dial::{Dialer, OpenError};
use crate::tls::{Channel, ClientStream};

/// Why a control channel cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// The connection broke.
    #[error("the control connection broke: {0}")]
    Io(#[from] io::Error),
    /// A frame is too long or malformed.
    #[error("control frame: {0}")]
    Codec(#[from] CodecError),
}

/// One end of a control channel.
#[derive(Debug)]
pub struct ControlStream<S> {
    stream: S,
    received: BytesMut,
}

impl<S: AsyncRead + AsyncWrite + Unpin> ControlStream<S> {
    /// A channel over a connection that agreed on [`Channel::Control`].
    pub fn new(stream: S) -> Self {
        Self { stream, received: BytesMut::new() }
    }

    /// Sends a value.
    pub async fn send<T: Serialize>(&mut self, value: &T) -> Result<(), ControlError> {
        let value = codec::encode(value)?;
        let length = u32::try_from(value.len())
            .map_err(|_| CodecError::TooLong { actual: value.len(), limit: u32::MAX as usize })?;
        let mut frame = Vec::with_capacity(4 + value.len());
        frame.extend_from_slice(&length.to_be_bytes());
        frame.extend_from_slice(&value);
        self.stream.write_all(&frame).await?;
        self.stream.flush().await?;
        Ok(())
    }

    /// Waits for the next value of at most `limit` bytes; `None` once the peer has closed between two values.
    /// Dropping the future loses nothing.
    pub async fn recv<T: DeserializeOwned>(&mut self, limit: usize) -> Result<Option<T>, ControlError> {
        loop {
            if let Some((length, rest)) = self.received.split_first_chunk::<4>() {
                let length = u32::from_be_bytes(*length) as usize;
                if length > limit {
                    return Err(CodecError::TooLong { actual: length, limit }.into());
                }
                if let Some(frame) = rest.get(..length) {
                    let value = codec::decode(frame, limit)?;
                    self.received.advance(4 + length);
                    return Ok(Some(value));
                }
            }
            if self.stream.read_buf(&mut self.received).await? == 0 {
                if self.received.is_empty() {
                    return Ok(None);
                }
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
        }
    }
}

/// Opens the control channel to the broker.
pub async fn connect(dialer: &Dialer) -> Result<ControlStream<ClientStream>, OpenError> {
    Ok(ControlStream::new(dialer.dial(Channel::Control).await?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn values_come_out_whole_and_in_order() {
        let (left, right) = tokio::io::duplex(7);
        let (mut left, mut right) = (ControlStream::new(left), ControlStream::new(right));
        let writer = crate::task::spawn(async move {
            left.send(&"one").await.unwrap();
            left.send(&"two".repeat(100)).await.unwrap();
        });
        assert_eq!(right.recv::<String>(1000).await.unwrap().unwrap(), "one");
        assert_eq!(right.recv::<String>(1000).await.unwrap().unwrap(), "two".repeat(100));
        writer.await.unwrap();
        assert_eq!(right.recv::<String>(1000).await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_long_frame_is_refused_at_its_length() {
        let (mut left, right) = tokio::io::duplex(64);
        left.write_all(&u32::MAX.to_be_bytes()).await.unwrap();
        let error = ControlStream::new(right).recv::<String>(1000).await.unwrap_err();
        assert!(matches!(error, ControlError::Codec(CodecError::TooLong { .. })));
    }

    #[tokio::test]
    async fn a_cut_frame_is_an_error() {
        let (mut left, right) = tokio::io::duplex(64);
        left.write_all(&[0, 0, 0, 9, 1]).await.unwrap();
        drop(left);
        assert!(matches!(ControlStream::new(right).recv::<String>(1000).await, Err(ControlError::Io(_))));
    }
}
