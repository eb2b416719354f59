//! Peers that speak TLS and ZMTP by hand and so can say anything.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use orch_link::mux::{self, Lane};
use orch_link::tls::Channel;
use orch_runner::pki::CertPem;
use orch_wire::envelope::Frames;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, version};

/// Longest wait for anything; reached only where a test fails.
const PATIENCE: Duration = Duration::from_secs(30);

const MORE: u8 = 1;
const LONG: u8 = 2;

/// What a peer can speak over.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// Runs a conversation to its end.
///
/// # Errors
/// Those of the conversation.
pub fn block_on<T>(talk: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(talk)
}

/// One end of a connection or lane, by hand.
pub struct RawPeer {
    stream: Box<dyn Stream>,
}

impl RawPeer {
    /// Goes to the broker with its lanes: the one for calls and the one for replies.
    ///
    /// # Errors
    /// As [`RawPeer::dial`].
    pub async fn dial_lanes(port: u16, ca: &str, own: &CertPem) -> Result<(Self, Self)> {
        let peer = Self::dial(port, ca, Some(own), Some(Channel::Lanes.alpn())).await?;
        Ok(peer.lanes())
    }

    /// The same, for one lane; nothing is ever said on the other.
    ///
    /// # Errors
    /// As [`RawPeer::dial`].
    pub async fn dial_lane(port: u16, ca: &str, own: &CertPem, lane: Lane) -> Result<Self> {
        let (calls, replies) = Self::dial_lanes(port, ca, own).await?;
        Ok(if lane == Lane::Call { calls } else { replies })
    }

    /// Takes the connection for its lanes: calls, replies.
    #[must_use]
    pub fn lanes(self) -> (Self, Self) {
        let (calls, replies, _) = mux::split(self.stream);
        (Self::new(calls), Self::new(replies))
    }

    /// Goes to the broker on this port of the loopback with any certificate or none, and any ALPN or none.
    ///
    /// # Errors
    /// When the handshake fails, as far as a client learns it: with TLS 1.3 it may hear of a refusal only when it reads.
    pub async fn dial(port: u16, ca: &str, own: Option<&CertPem>, alpn: Option<&str>) -> Result<Self> {
        let config = client_config(ca, own, alpn)?;
        let tcp = TcpStream::connect(("127.0.0.1", port)).await?;
        tcp.set_nodelay(true)?;
        let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
        let name = ServerName::try_from("127.0.0.1")?;
        let stream = timeout(PATIENCE, connector.connect(name, tcp)).await??;
        Ok(Self::new(stream))
    }

    /// Goes on with a stream that is there.
    pub fn new(stream: impl Stream + 'static) -> Self {
        Self { stream: Box::new(stream) }
    }

    /// Sends greeting and READY as a socket of this type.
    ///
    /// # Errors
    /// When the stream has ended.
    pub async fn greet(&mut self, socket_type: &str) -> Result<()> {
        self.write(&hello(&[("Socket-Type", socket_type.as_bytes())])).await
    }

    /// Sends bytes.
    ///
    /// # Errors
    /// When the stream has ended.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let writing = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        Ok(timeout(PATIENCE, writing).await.context("the peer reads nothing")??)
    }

    /// Sends bytes that the other end may refuse at any of them.
    pub async fn write_if_it_takes_it(&mut self, bytes: &[u8]) {
        // That it ended is what `closed` looks for.
        let _ = self.write(bytes).await;
    }

    /// Publishes a message.
    ///
    /// # Errors
    /// When the stream has ended.
    pub async fn publish(&mut self, frames: &Frames) -> Result<()> {
        self.write(&message(&[&frames.topic, &frames.header, &frames.body, &frames.seal])).await
    }

    /// Reads the other end's greeting and READY.
    ///
    /// # Errors
    /// When the stream ends before.
    pub async fn greeted(&mut self) -> Result<()> {
        self.read_exact(64).await?;
        self.frame().await.map(drop)
    }

    /// Reads one frame; whether more belong to it.
    ///
    /// # Errors
    /// When the stream ends before.
    pub async fn frame(&mut self) -> Result<(bool, Bytes)> {
        let flags = self.read_exact(1).await?;
        let &[flags] = flags.as_slice() else { bail!("no flags") };
        let length = if flags & LONG == 0 {
            self.read_exact(1).await?.first().copied().map(u64::from).unwrap_or_default()
        } else {
            u64::from_be_bytes(self.read_exact(8).await?.try_into().unwrap_or_default())
        };
        let body = self.read_exact(usize::try_from(length)?).await?;
        Ok((flags & MORE != 0, body.into()))
    }

    /// Reads one message.
    ///
    /// # Errors
    /// When the stream ends before.
    pub async fn frames(&mut self) -> Result<Frames> {
        let mut parts = Vec::new();
        loop {
            let (more, part) = self.frame().await?;
            parts.push(part);
            if !more {
                return Ok(Frames::from_parts(parts)?);
            }
        }
    }

    /// Reads so many bytes.
    ///
    /// # Errors
    /// When the stream ends before.
    pub async fn read_exact(&mut self, count: usize) -> Result<Vec<u8>> {
        let mut bytes = vec![0; count];
        timeout(PATIENCE, self.stream.read_exact(&mut bytes)).await.context("nothing came")??;
        Ok(bytes)
    }

    /// Reads until the other end has ended the connection; what came before.
    ///
    /// # Errors
    /// When it does not end it.
    pub async fn closed(mut self) -> Result<Vec<u8>> {
        let mut all = Vec::new();
        let reading = async {
            let mut bytes = [0; 4096];
            // Any error is an end too: a reset where bytes were under way.
            while let Ok(count) = self.stream.read(&mut bytes).await
                && count > 0
            {
                all.extend_from_slice(bytes.get(..count).unwrap_or_default());
            }
        };
        timeout(PATIENCE, reading).await.context("the connection was not ended")?;
        Ok(all)
    }
}

fn client_config(ca: &str, own: Option<&CertPem>, alpn: Option<&str>) -> Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca.as_bytes())?)?;
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&version::TLS13])?
        .with_root_certificates(roots);
    let mut config = match own {
        None => config.with_no_client_auth(),
        Some(pem) => config.with_client_auth_cert(
            vec![CertificateDer::from_pem_slice(pem.cert.as_bytes())?],
            PrivateKeyDer::from_pem_slice(pem.key.as_bytes())?,
        )?,
    };
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    Ok(config)
}

/// What a client says first in a TLS handshake.
///
/// # Errors
/// When the CA is none.
pub fn client_hello(ca: &str, alpn: &str) -> Result<Vec<u8>> {
    let config = Arc::new(client_config(ca, None, Some(alpn))?);
    let mut client = ClientConnection::new(config, ServerName::try_from("127.0.0.1")?)?;
    let mut hello = Vec::new();
    client.write_tls(&mut hello)?;
    Ok(hello)
}

/// The greeting of ZMTP 3.0 with NULL, and a READY with these properties.
#[must_use]
pub fn hello(properties: &[(&str, &[u8])]) -> Vec<u8> {
    let mut bytes = vec![0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0x7f, 3, 0];
    bytes.extend_from_slice(b"NULL");
    bytes.resize(64, 0);
    let mut ready = b"\x05READY".to_vec();
    for (name, value) in properties {
        ready.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
        ready.extend_from_slice(name.as_bytes());
        ready.extend_from_slice(&u32::try_from(value.len()).unwrap_or(u32::MAX).to_be_bytes());
        ready.extend_from_slice(value);
    }
    match u8::try_from(ready.len()) {
        Ok(length) => bytes.extend_from_slice(&[4, length]),
        Err(_) => {
            bytes.push(6);
            bytes.extend_from_slice(&(ready.len() as u64).to_be_bytes());
        }
    }
    bytes.extend_from_slice(&ready);
    bytes
}

/// The head of a long frame that claims this length.
#[must_use]
pub fn long_head(length: u64, more: bool) -> Vec<u8> {
    let mut bytes = vec![LONG | u8::from(more)];
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes
}

/// A message of these frames.
#[must_use]
pub fn message(parts: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (at, part) in parts.iter().enumerate() {
        bytes.extend(long_head(part.len() as u64, at + 1 < parts.len()));
        bytes.extend_from_slice(part);
    }
    bytes
}

/// A subscription to a topic.
#[must_use]
pub fn subscription(topic: &str) -> Vec<u8> {
    [&[0, u8::try_from(topic.len() + 1).unwrap_or(u8::MAX), 1], topic.as_bytes()].concat()
}

/// Sends bytes to a port without TLS and waits for the end of the connection.
///
/// # Errors
/// When it cannot connect, or is not refused.
pub async fn plain(port: u16, bytes: &[u8]) -> Result<()> {
    let mut tcp = TcpStream::connect(("127.0.0.1", port)).await?;
    let _ = tcp.write_all(bytes).await;
    let _: io::Result<()> = tcp.shutdown().await;
    RawPeer::new(tcp).closed().await.map(drop)
}
