//! TLS 1.3 for the three roles; the only place that names `rustls`.
//!
//! Both ends verify the other against the fleet's CA. The channel is agreed by ALPN, and since rustls lets a client
//! without ALPN through, the acceptor refuses it itself. There are no session tickets: each connection meets the
//! present revocation list.

use std::fmt;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use orch_wire::ids::{NameError, Party};
use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::net::TcpStream;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::metered::Metered;
use crate::revocation::{CertificateId, Revocations};
use crate::socket_dir::is_own;

/// The broker's end of a connection.
pub type ServerStream = tokio_rustls::server::TlsStream<Metered>;
/// A node's or runner's end of a connection.
pub type ClientStream = tokio_rustls::client::TlsStream<TcpStream>;

/// What a connection is for, as ALPN names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Channel {
    /// Calls and replies.
    Lanes,
    /// What the broker itself says.
    Control,
}

impl Channel {
    /// Every channel.
    pub const ALL: [Channel; 2] = [Channel::Lanes, Channel::Control];

    /// The channel's name in ALPN.
    pub fn alpn(self) -> &'static str {
        match self {
            Channel::Lanes => "orch-lanes/1",
            Channel::Control => "orch-ctl/1",
        }
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.alpn())
    }
}

/// Where a party's certificate, key and CA are.
#[derive(Debug, Clone)]
pub struct CredentialFiles {
    /// The fleet's CA.
    pub ca: PathBuf,
    /// Own certificate.
    pub cert: PathBuf,
    /// Own key; refused unless of mode 0600 or stricter.
    pub key: PathBuf,
}

/// Why credentials cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// A file cannot be read.
    #[error("{path}: {source}", path = .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A key file that others may read.
    #[error("{path}: others may read this key (mode {mode:04o}); run `chmod 600` on it", path = .path.display())]
    Mode {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// A key file of another user.
    #[error("{path}: another user ({owner}) may read this key, for it is theirs; run `chown` on it", path = .path.display())]
    Owner {
        /// The file.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
    },
    /// Not PEM of the kind expected.
    #[error("{what}: {detail}")]
    Pem {
        /// Which of the three.
        what: &'static str,
        /// What is wrong.
        detail: String,
    },
    /// A file of revocation lists that cannot be used.
    #[error("{path}: {error}", path = .path.display())]
    Revocations {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: Box<CredentialsError>,
    },
    /// The certificate does not say who it is for.
    #[error("the certificate names no party of orch: it needs one URI SAN like `orch://node/web1`")]
    Nameless,
    /// The name in the certificate is no name.
    #[error("the certificate's name: {0}")]
    Name(#[from] NameError),
    /// Certificate, key and CA do not fit together.
    #[error("the certificate, key and CA cannot be used: {0}")]
    Unusable(String),
}

/// Own certificate and key, and the CA that the other end must be of.
#[derive(Clone)]
pub struct Credentials(Arc<Inner>);

struct Inner {
    authorities: Vec<CertificateDer<'static>>,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    roots: Arc<RootCertStore>,
    party: Party,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials({})", self.0.party)
    }
}

impl Credentials {
    /// Reads and checks the three files.
    pub fn load(files: &CredentialFiles) -> Result<Self, CredentialsError> {
        require_private(&files.key)?;
        Self::from_pem(&read(&files.ca)?, &read(&files.cert)?, &read(&files.key)?)
    }

    /// Takes the three as PEM texts.
    pub fn from_pem(ca: &str, cert: &str, key: &str) -> Result<Self, CredentialsError> {
        let chain = certificates("certificate", cert)?;
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes())
            .map_err(|e| CredentialsError::Pem { what: "key", detail: e.to_string() })?;
        let authorities = certificates("CA", ca)?;
        let mut roots = RootCertStore::empty();
        for certificate in &authorities {
            roots
                .add(certificate.clone())
                .map_err(|e| CredentialsError::Pem { what: "CA", detail: e.to_string() })?;
        }
        let own = chain.first().ok_or(CredentialsError::Nameless)?;
        let names = CertificateNames::of(own)
            .ok_or(CredentialsError::Pem { what: "certificate", detail: "not X.509".to_owned() })?;
        let [uri] = names.uris.as_slice() else { return Err(CredentialsError::Nameless) };
        let party = uri.parse()?;
        Ok(Self(Arc::new(Inner { authorities, chain, key, roots: Arc::new(roots), party })))
    }

    /// Who the certificate is for.
    pub fn party(&self) -> &Party {
        &self.0.party
    }

    /// Own certificate as DER.
    pub fn certificate(&self) -> &[u8] {
        self.0.chain.first().map(AsRef::as_ref).unwrap_or_default()
    }

    /// The certificates of the fleet's authorities.
    pub(crate) fn authorities(&self) -> &[CertificateDer<'static>] {
        &self.0.authorities
    }

    /// Whether these are the same authorities.
    pub fn same_authorities(&self, other: &Self) -> bool {
        self.0.authorities == other.0.authorities
    }

    /// Whether these are the same certificate and key.
    pub fn same_certificate(&self, other: &Self) -> bool {
        self.0.chain == other.0.chain && self.0.key.secret_der() == other.0.key.secret_der()
    }

    fn client_config(&self, channel: Channel) -> Result<ClientConfig, CredentialsError> {
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(unusable)?
            .with_root_certificates(Arc::clone(&self.0.roots))
            .with_client_auth_cert(self.0.chain.clone(), self.0.key.clone_key())
            .map_err(unusable)?;
        config.alpn_protocols = vec![channel.alpn().into()];
        config.resumption = Resumption::disabled();
        Ok(config)
    }

    fn server_config(&self, revocations: Option<&Revocations>) -> Result<ServerConfig, CredentialsError> {
        let mut verifier = WebPkiClientVerifier::builder_with_provider(Arc::clone(&self.0.roots), provider());
        if let Some(revocations) = revocations {
            verifier = verifier.with_crls(revocations.lists());
        }
        let verifier = verifier.build().map_err(|e| CredentialsError::Unusable(e.to_string()))?;
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(unusable)?
            .with_client_cert_verifier(verifier)
            .with_single_cert(self.0.chain.clone(), self.0.key.clone_key())
            .map_err(unusable)?;
        config.alpn_protocols = Channel::ALL.iter().map(|channel| channel.alpn().into()).collect();
        config.send_tls13_tickets = 0;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        Ok(config)
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
fn unusable(error: rustls::Error) -> CredentialsError {
    CredentialsError::Unusable(error.to_string())
}

pub(crate) fn certificates(
    what: &'static str,
    pem: &str,
) -> Result<Vec<CertificateDer<'static>>, CredentialsError> {
    let list = CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|e| CredentialsError::Pem { what, detail: e.to_string() })?;
    if list.is_empty() {
        return Err(CredentialsError::Pem { what, detail: "no certificate in it".to_owned() });
    }
    Ok(list)
}

fn read(path: &Path) -> Result<String, CredentialsError> {
    std::fs::read_to_string(path).map_err(|source| CredentialsError::Read { path: path.to_owned(), source })
}

/// Refuses a secret file that others than this user, or the system, may read.
pub fn require_private(path: &Path) -> Result<(), CredentialsError> {
    let meta =
        std::fs::metadata(path).map_err(|source| CredentialsError::Read { path: path.to_owned(), source })?;
    let mode = meta.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(CredentialsError::Mode { path: path.to_owned(), mode });
    }
    if !is_own(meta.uid()) {
        return Err(CredentialsError::Owner { path: path.to_owned(), owner: meta.uid() });
    }
    Ok(())
}

/// The names that a certificate carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateNames {
    /// URIs among its alternative names.
    pub uris: Vec<String>,
    /// Its subject's common name.
    pub common_name: Option<String>,
}

impl CertificateNames {
    /// Reads them from a certificate in DER; none where it is not one.
    pub fn of(der: &[u8]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let mut uris = Vec::new();
        if let Ok(Some(names)) = certificate.subject_alternative_name() {
            for name in &names.value.general_names {
                if let GeneralName::URI(uri) = name {
                    uris.push((*uri).to_owned());
                }
            }
        }
        let common_name = certificate
            .subject()
            .iter_common_name()
            .next()
            .and_then(|cn| cn.as_str().ok())
            .map(str::to_owned);
        Some(Self { uris, common_name })
    }
}

/// The broker's side: takes TCP connections and says who is there.
#[derive(Clone)]
pub struct Acceptor(tokio_rustls::TlsAcceptor);

/// A connection whose handshake is done.
pub struct Admitted {
    /// The connection.
    pub stream: ServerStream,
    /// What it is for.
    pub channel: Channel,
    /// The peer's certificate as DER.
    pub certificate: Vec<u8>,
    /// The certificates that the peer showed, its own first.
    pub shown: Box<[CertificateId]>,
    /// The peer's names.
    pub names: CertificateNames,
}

/// Why a connection was not let in.
#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    /// The client named no channel.
    #[error("no ALPN: the client named no channel")]
    NoAlpn,
    /// The client named a channel this broker does not have.
    #[error("unknown ALPN")]
    UnknownAlpn,
    /// The client showed no certificate, or none that can be read.
    #[error("no readable client certificate")]
    NoCertificate,
    /// The client sent more than a handshake takes.
    #[error("more than a handshake takes")]
    TooLong,
    /// The client's certificate is on the revocation list.
    #[error("the client's certificate is revoked")]
    Revoked,
    /// The TLS handshake failed.
    #[error("TLS: {0}")]
    Tls(String),
    /// The connection broke in the handshake.
    #[error("{0}")]
    Io(io::Error),
}

impl AcceptError {
    /// The stable word by which it is counted.
    pub fn reason(&self) -> &'static str {
        match self {
            AcceptError::NoAlpn => "no_alpn",
            AcceptError::UnknownAlpn => "unknown_alpn",
            AcceptError::NoCertificate => "no_certificate",
            AcceptError::TooLong => "handshake_too_long",
            AcceptError::Revoked => "revoked",
            AcceptError::Tls(_) => "tls",
            AcceptError::Io(_) => "io",
        }
    }
}

impl From<io::Error> for AcceptError {
    fn from(error: io::Error) -> Self {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            Some(rustls::Error::NoCertificatesPresented) => AcceptError::NoCertificate,
            Some(rustls::Error::NoApplicationProtocol) => AcceptError::UnknownAlpn,
            Some(rustls::Error::InvalidCertificate(rustls::CertificateError::Revoked)) => {
                AcceptError::Revoked
            }
            Some(tls) => AcceptError::Tls(tls.to_string()),
            None if error.kind() == io::ErrorKind::QuotaExceeded => AcceptError::TooLong,
            None => AcceptError::Io(error),
        }
    }
}

impl Acceptor {
    /// An acceptor for a broker's credentials that lets in nobody who is revoked.
    pub fn new(
        credentials: &Credentials,
        revocations: Option<&Revocations>,
    ) -> Result<Self, CredentialsError> {
        Ok(Self(tokio_rustls::TlsAcceptor::from(Arc::new(credentials.server_config(revocations)?))))
    }

    /// Shakes hands. It has no time limit of its own: the caller sets one.
    pub async fn accept(&self, tcp: TcpStream) -> Result<Admitted, AcceptError> {
        let mut stream = self.0.accept(Metered::new(tcp)).await?;
        stream.get_mut().0.lift();
        let (_, session) = stream.get_ref();
        let channel = match session.alpn_protocol() {
            None => return Err(AcceptError::NoAlpn),
            Some(name) => Channel::ALL
                .into_iter()
                .find(|channel| channel.alpn().as_bytes() == name)
                .ok_or(AcceptError::UnknownAlpn)?,
        };
        let chain = session.peer_certificates().unwrap_or_default();
        let certificate = chain.first().ok_or(AcceptError::NoCertificate)?.to_vec();
        let names = CertificateNames::of(&certificate).ok_or(AcceptError::NoCertificate)?;
        let shown = chain.iter().filter_map(|certificate| CertificateId::of(certificate)).collect();
        Ok(Admitted { stream, channel, certificate, shown, names })
    }
}

/// The client's side of the handshake, used by [`crate::dial::Dialer`].
#[derive(Clone)]
pub(crate) struct Connector {
    configs: [Arc<ClientConfig>; 2],
    server: ServerName<'static>,
}

impl Connector {
    pub(crate) fn new(credentials: &Credentials, server_name: &str) -> Result<Self, CredentialsError> {
        let server = ServerName::try_from(server_name.to_owned()).map_err(|_| {
            CredentialsError::Unusable(format!(
                "`{server_name}` is no host name to check the broker's certificate for"
            ))
        })?;
        let [lanes, control] = Channel::ALL.map(|channel| credentials.client_config(channel).map(Arc::new));
        Ok(Self { configs: [lanes?, control?], server })
    }

    pub(crate) async fn connect(&self, channel: Channel, tcp: TcpStream) -> io::Result<ClientStream> {
        let [lanes, control] = &self.configs;
        let config = match channel {
            Channel::Lanes => lanes,
            Channel::Control => control,
        };
        tokio_rustls::TlsConnector::from(Arc::clone(config)).connect(self.server.clone(), tcp).await
    }
}
