//! Messages as a holder of the key could seal them: any plaintext at all, so that what lies behind the seal is reached.

use bytes::Bytes;
use chacha20poly1305::aead::{Aead, KeyInit};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use orch_wire::codec;
use orch_wire::envelope::{self, EnvelopeError, Frames, NONCE_BYTES, Opened};
use orch_wire::header::{Header, Kind, Millis};
use orch_wire::ids::{MessageId, Party};
use orch_wire::keys::{Keys, Psk};
use orch_wire::limits::PROTOCOL;
use orch_wire::time::Timestamp;
use orch_wire::topic::Topic;

const PSK: [u8; 32] = [7; 32];

/// The keys of the fleet.
pub(crate) fn keys() -> Keys {
    Keys::derive(&Psk::from_bytes(PSK))
}

/// A message with this plaintext, opened; none for what could not be sealed.
pub(crate) fn opened(
    topic: &Topic,
    sender: Party,
    kind: Kind,
    lz4: bool,
    plain: &[u8],
) -> Result<Opened, EnvelopeError> {
    let now = Timestamp::from_millis(1_795_371_600_000);
    let id = MessageId::new(now, &[1; 10]);
    let header = Header { version: PROTOCOL, id, sender, issued_at: now, ttl: Millis(60_000), lz4, kind };
    envelope::open(&keys(), &seal(topic, &header, plain)?)
}

/// `envelope::seal`, but for the encoding and compression of the body.
fn seal(topic: &Topic, header: &Header, plain: &[u8]) -> Result<Frames, EnvelopeError> {
    let purpose = match header.kind {
        Kind::Call(_) => 1,
        Kind::Resend(_) => 2,
        Kind::Cancel(_) => 3,
        Kind::Reply(_) => 4,
        Kind::Card(_) => 5,
        Kind::Probe(_) => 6,
    };
    let nonce = [9; NONCE_BYTES];
    let encrypting = blake3::derive_key("orch 2026-11 psk body encryption v1", &PSK);
    let cipher = XChaCha20Poly1305::new((&encrypting).into());
    let sealed = cipher.encrypt(&XNonce::from(nonce), plain).map_err(|_| EnvelopeError::Body)?;
    let topic = topic.to_string();
    let header = codec::encode(header).map_err(EnvelopeError::Header)?;
    let body = [&nonce[..], &sealed].concat();

    let mut hasher =
        blake3::Hasher::new_keyed(&blake3::derive_key("orch 2026-11 psk envelope seal v1", &PSK));
    hasher.update(&[purpose]);
    for part in [topic.as_bytes(), &header, &body] {
        hasher.update(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes()).update(part);
    }
    let seal = [&[1][..], hasher.finalize().as_bytes()].concat();
    let parts = [topic.into_bytes(), header, body, seal];
    Frames::from_parts(parts.into_iter().map(Bytes::from).collect())
}
