//! How nodes and runners reach the broker.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;

use crate::socket_dir::SocketDir;
use crate::tls::{Channel, ClientStream, Connector, Credentials, CredentialsError};

/// Where the broker is, and as whom to go there.
#[derive(Clone)]
pub struct Dialer {
    address: Arc<str>,
    connector: Connector,
    credentials: Credentials,
    sockets: Arc<SocketDir>,
    timeout: Duration,
}

/// Why a connection or a pair of lanes could not be opened, or ended.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Nothing listens there, or the name does not resolve.
    #[error("cannot reach the broker at {address}: {source}")]
    Unreachable {
        /// Host and port tried.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// The TLS handshake failed at this end: the broker's certificate is not the fleet's, or not for this name.
    #[error("the TLS handshake with {address} failed: {source}")]
    Handshake {
        /// Host and port tried.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// The broker ended the connection.
    #[error("the broker at {address} closed the connection: {detail}")]
    Refused {
        /// Host and port tried.
        address: String,
        /// What it said, as far as it said something.
        detail: String,
    },
    /// A step took too long.
    #[error("{what} took longer than {} s", .limit.as_secs_f32())]
    Timeout {
        /// The step.
        what: &'static str,
        /// Its limit.
        limit: Duration,
    },
    /// Lanes that were open ended.
    #[error("the connection to the broker ended: {0}")]
    Lost(String),
    /// Something on this machine failed.
    #[error("{what}: {source}")]
    Local {
        /// What was being done.
        what: &'static str,
        /// Why it failed.
        source: io::Error,
    },
}

impl OpenError {
    /// What the reader can check.
    pub fn help(&self) -> &'static str {
        match self {
            OpenError::Unreachable { .. } => {
                "check that orch-broker runs, that its address and port are right, and that no firewall is between"
            }
            OpenError::Handshake { .. } => {
                "check that `ca` is the fleet's CA and that the broker's certificate is for the name configured"
            }
            OpenError::Refused { .. } => {
                "check that this certificate is of the fleet's CA, is not revoked, and is not in use by another machine; \
                 `orch broker status` shows what the broker refused"
            }
            OpenError::Timeout { .. } | OpenError::Lost(_) => {
                "check the broker's log and the network between, then try again"
            }
            OpenError::Local { .. } => "check the run folder, its permissions and the limit on open files",
        }
    }
}

impl Dialer {
    /// A dialer for a broker at `address` (`host:port`) whose certificate must be for `server_name`.
    pub fn new(
        address: &str,
        server_name: &str,
        credentials: Credentials,
        sockets: Arc<SocketDir>,
        timeout: Duration,
    ) -> Result<Self, CredentialsError> {
        let connector = Connector::new(&credentials, server_name)?;
        Ok(Self { address: address.into(), connector, credentials, sockets, timeout })
    }

    /// Host and port of the broker.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// As whom it goes there.
    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// How long opening may take.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    pub(crate) fn sockets(&self) -> &SocketDir {
        &self.sockets
    }

    /// Connects and shakes hands for one channel, within the timeout.
    pub async fn dial(&self, channel: Channel) -> Result<ClientStream, OpenError> {
        let limit = self.timeout;
        let unreachable = |source| OpenError::Unreachable { address: self.address.to_string(), source };
        let connecting = tokio::time::timeout(limit, TcpStream::connect(&*self.address));
        let tcp = connecting
            .await
            .map_err(|_| unreachable(io::Error::new(io::ErrorKind::TimedOut, "no answer in time")))?
            .map_err(unreachable)?;
        settle(&tcp).map_err(unreachable)?;
        tokio::time::timeout(limit, self.connector.connect(channel, tcp))
            .await
            .map_err(|_| OpenError::Timeout { what: "the TLS handshake", limit })?
            .map_err(|source| OpenError::Handshake { address: self.address.to_string(), source })
    }
}

/// Sets what every connection of orch has: small messages go at once, and a dead peer is noticed by the kernel too.
pub fn settle(tcp: &TcpStream) -> io::Result<()> {
    let socket = SockRef::from(tcp);
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_keepalive(
        &TcpKeepalive::new()
            .with_time(Duration::from_secs(30))
            .with_interval(Duration::from_secs(10))
            .with_retries(3),
    )?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(Duration::from_secs(30)))?;
    Ok(())
}
