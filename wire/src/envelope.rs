//! Frames of a message, and the seal around them (`design.md` section 4).
//!
//! Layers, outermost first: [`Frames`] as they travel; [`open`] checks sizes, decodes the header and verifies the seal;
//! only then [`Opened::body`] decrypts and decompresses. Nothing is re-encoded to verify.

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::cipher;
pub use crate::cipher::NONCE_BYTES;
use crate::codec::{self, CodecError};
use crate::header::{Header, Kind};
use crate::keys::Keys;
use crate::limits::{BODY_BYTES, COMPRESS_ABOVE, HEADER_BYTES, PLAIN_BODY_BYTES, SEAL_BYTES, TOPIC_BYTES};
use crate::topic::{Topic, TopicError};

/// First byte of the seal in mode `psk`; other modes will have others.
const MODE_PSK: u8 = 1;

/// The four frames of a message as they travel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frames {
    /// Topic.
    pub topic: Bytes,
    /// Header, in clear.
    pub header: Bytes,
    /// Body, encrypted.
    pub body: Bytes,
    /// Seal over the other three.
    pub seal: Bytes,
}

impl Frames {
    /// Takes the frames of a received message; checks only their number and lengths.
    pub fn from_parts(parts: Vec<Bytes>) -> Result<Self, EnvelopeError> {
        let [topic, header, body, seal] =
            <[Bytes; 4]>::try_from(parts).map_err(|parts| EnvelopeError::FrameCount(parts.len()))?;
        let limits = [
            ("topic", topic.len(), TOPIC_BYTES),
            ("header", header.len(), HEADER_BYTES),
            ("body", body.len(), BODY_BYTES),
            ("seal", seal.len(), SEAL_BYTES),
        ];
        for (frame, actual, limit) in limits {
            if actual > limit {
                return Err(EnvelopeError::FrameLength { frame, actual, limit });
            }
        }
        Ok(Self { topic, header, body, seal })
    }

    /// The frames in order.
    pub fn into_parts(self) -> Vec<Bytes> {
        vec![self.topic, self.header, self.body, self.seal]
    }

    /// Decodes topic and header without verifying anything: enough for the broker, which holds no key, and for
    /// probes, which carry no authority.
    pub fn peek(&self) -> Result<(Topic, Header), EnvelopeError> {
        let topic = Topic::from_frame(&self.topic)?;
        let header: Header = codec::decode(&self.header, HEADER_BYTES).map_err(EnvelopeError::Header)?;
        Ok((topic, header))
    }
}

/// Why a message cannot be made or read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// Not four frames.
    #[error("a message of {0} frames")]
    FrameCount(usize),
    /// A frame over its limit.
    #[error("a {frame} of {actual} bytes where {limit} are allowed")]
    FrameLength {
        /// Which frame.
        frame: &'static str,
        /// Its length.
        actual: usize,
        /// Its limit.
        limit: usize,
    },
    /// The topic frame is no topic.
    #[error(transparent)]
    Topic(#[from] TopicError),
    /// The header does not decode.
    #[error("header: {0}")]
    Header(CodecError),
    /// The header is of another protocol version.
    #[error("protocol {0}, this is {ours}", ours = crate::limits::PROTOCOL)]
    Version(u8),
    /// The seal does not fit: another key, or a changed message.
    #[error("the seal does not verify")]
    Seal,
    /// The body does not decrypt, although the seal verified.
    #[error("the body does not decrypt")]
    Body,
    /// The body does not decompress, or grows beyond its limit.
    #[error("the body does not decompress within {PLAIN_BODY_BYTES} bytes")]
    Decompress,
    /// The body does not decode.
    #[error("body: {0}")]
    Content(CodecError),
    /// The body is too large to send.
    #[error("a body of {0} bytes is too large to send")]
    TooLarge(usize),
}

/// Purpose byte of the seal: a message of one purpose can never pass for another.
fn purpose(kind: &Kind) -> u8 {
    match kind {
        Kind::Call(_) => 1,
        Kind::Resend(_) => 2,
        Kind::Cancel(_) => 3,
        Kind::Reply(_) => 4,
        Kind::Card(_) => 5,
        Kind::Probe(_) => 6,
    }
}

fn seal_of(keys: &Keys, purpose: u8, parts: [&[u8]; 3]) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new_keyed(keys.sealing());
    hasher.update(&[purpose]);
    for part in parts {
        // Frames are at most a mebibyte: see `Frames::from_parts` and `seal`.
        hasher.update(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
        hasher.update(part);
    }
    hasher.finalize()
}

/// Makes a message: encodes, compresses, encrypts and seals. `nonce` must be random and new.
pub fn seal<T: Serialize>(
    keys: &Keys,
    topic: &Topic,
    mut header: Header,
    body: &T,
    nonce: &[u8; NONCE_BYTES],
) -> Result<Frames, EnvelopeError> {
    let mut plain = codec::encode(body).map_err(EnvelopeError::Content)?;
    if plain.len() > PLAIN_BODY_BYTES {
        return Err(EnvelopeError::TooLarge(plain.len()));
    }
    codec::check_values(&plain, PLAIN_BODY_BYTES).map_err(EnvelopeError::Content)?;
    header.lz4 = false;
    if plain.len() > COMPRESS_ABOVE {
        let packed = lz4_flex::block::compress_prepend_size(&plain);
        if packed.len() < plain.len() {
            plain = packed;
            header.lz4 = true;
        }
    }
    let body = cipher::encrypt(keys.encrypting(), nonce, &plain).ok_or(EnvelopeError::Body)?;
    if body.len() > BODY_BYTES {
        return Err(EnvelopeError::TooLarge(body.len()));
    }

    let topic = topic.to_string();
    let kind = purpose(&header.kind);
    let header = codec::encode(&header).map_err(EnvelopeError::Header)?;
    if header.len() > HEADER_BYTES {
        return Err(EnvelopeError::FrameLength {
            frame: "header",
            actual: header.len(),
            limit: HEADER_BYTES,
        });
    }
    let mac = seal_of(keys, kind, [topic.as_bytes(), &header, &body]);
    let mut seal = Vec::with_capacity(33);
    seal.push(MODE_PSK);
    seal.extend_from_slice(mac.as_bytes());
    Ok(Frames { topic: topic.into(), header: header.into(), body: body.into(), seal: seal.into() })
}

/// Makes a message without body and seal, for probes, which carry no authority.
pub fn unsealed(topic: &Topic, header: &Header) -> Result<Frames, EnvelopeError> {
    Ok(Frames {
        topic: topic.to_string().into(),
        header: codec::encode(header).map_err(EnvelopeError::Header)?.into(),
        body: Bytes::new(),
        seal: Bytes::new(),
    })
}

/// A message whose seal verified.
#[derive(Debug)]
pub struct Opened {
    /// Where it went.
    pub topic: Topic,
    /// Its header.
    pub header: Header,
    sealed_body: Bytes,
}

/// Decodes the header and verifies the seal. The body stays as it is until [`Opened::body`].
pub fn open(keys: &Keys, frames: &Frames) -> Result<Opened, EnvelopeError> {
    let (topic, header) = frames.peek()?;
    if !header.is_ours() {
        return Err(EnvelopeError::Version(header.version));
    }
    let Some((&MODE_PSK, mac)) = frames.seal.split_first() else { return Err(EnvelopeError::Seal) };
    let mac = <[u8; 32]>::try_from(mac).map_err(|_| EnvelopeError::Seal)?;
    // `blake3::Hash` compares in constant time.
    if seal_of(keys, purpose(&header.kind), [&frames.topic, &frames.header, &frames.body])
        != blake3::Hash::from(mac)
    {
        return Err(EnvelopeError::Seal);
    }
    Ok(Opened { topic, header, sealed_body: frames.body.clone() })
}

impl Opened {
    /// Decrypts, decompresses and decodes the body, each within its limits.
    pub fn body<T: DeserializeOwned>(&self, keys: &Keys) -> Result<T, EnvelopeError> {
        let mut plain = cipher::decrypt(keys.encrypting(), &self.sealed_body).ok_or(EnvelopeError::Body)?;
        if self.header.lz4 {
            plain = decompress(&plain)?;
        }
        codec::decode(&plain, PLAIN_BODY_BYTES).map_err(EnvelopeError::Content)
    }
}

/// The length that an lz4 body claims is checked before anything is allocated for it.
fn decompress(packed: &[u8]) -> Result<Vec<u8>, EnvelopeError> {
    let (length, block) = packed.split_first_chunk::<4>().ok_or(EnvelopeError::Decompress)?;
    let length = u32::from_le_bytes(*length) as usize;
    if length > PLAIN_BODY_BYTES {
        return Err(EnvelopeError::Decompress);
    }
    lz4_flex::block::decompress(block, length).map_err(|_| EnvelopeError::Decompress)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::header::{CardHeader, Millis};
    use crate::ids::{MessageId, NodeName, Party};
    use crate::keys::Psk;
    use crate::limits::PROTOCOL;
    use crate::time::Timestamp;
    use proptest::prelude::*;

    fn keys(seed: u8) -> Keys {
        Keys::derive(&Psk::from_bytes([seed; 32]))
    }

    fn header() -> Header {
        Header {
            version: PROTOCOL,
            id: MessageId::new(Timestamp::from_millis(1), &[1; 10]),
            sender: Party::Node(NodeName::new("web1").unwrap()),
            issued_at: Timestamp::from_millis(1),
            ttl: Millis(60_000),
            lz4: false,
            kind: Kind::Card(CardHeader { nonce: 1, goodbye: false }),
        }
    }

    fn topic() -> Topic {
        Topic::Card(NodeName::new("web1").unwrap())
    }

    fn sealed(text: &str) -> Frames {
        seal(&keys(1), &topic(), header(), &text, &[9; NONCE_BYTES]).unwrap()
    }

    #[test]
    fn a_message_comes_out_as_it_went_in() {
        for text in ["", "short", &"long ".repeat(10_000)] {
            let frames = sealed(text);
            let opened = open(&keys(1), &frames).unwrap();
            assert_eq!(opened.topic, topic());
            assert_eq!(opened.body::<String>(&keys(1)).unwrap(), text);
            assert_eq!(opened.header.lz4, text.len() > COMPRESS_ABOVE);
        }
    }

    #[test]
    fn another_key_opens_nothing() {
        assert_eq!(open(&keys(2), &sealed("x")).unwrap_err(), EnvelopeError::Seal);
    }

    #[test]
    fn the_text_is_not_in_the_frames() {
        let frames = sealed("a secret word");
        for part in frames.into_parts() {
            assert!(!part.windows(6).any(|window| window == b"secret"));
        }
    }

    #[test]
    fn a_bomb_is_refused_before_it_is_unpacked() {
        let mut bomb = u32::MAX.to_le_bytes().to_vec();
        bomb.extend_from_slice(&[0x1f; 100]);
        assert_eq!(decompress(&bomb), Err(EnvelopeError::Decompress));
        // A length that is allowed but smaller than what comes out.
        let mut liar = lz4_flex::block::compress_prepend_size(&[0; 100_000]);
        liar[..4].copy_from_slice(&10u32.to_le_bytes());
        assert_eq!(decompress(&liar), Err(EnvelopeError::Decompress));
    }

    #[test]
    fn too_large_a_body_is_an_error_to_its_sender() {
        // Random-looking text does not compress below the frame's limit.
        let mut state = 1u64;
        let noise: String = (0..2 * BODY_BYTES)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                char::from(33 + (state >> 58) as u8)
            })
            .collect();
        let result = seal(&keys(1), &topic(), header(), &noise, &[0; NONCE_BYTES]);
        assert!(matches!(result, Err(EnvelopeError::TooLarge(_))));
        // These would fit, and not be read.
        let result = seal(&keys(1), &topic(), header(), &vec![0_u8; BODY_BYTES], &[0; NONCE_BYTES]);
        assert!(matches!(result, Err(EnvelopeError::Content(CodecError::TooMany { .. }))));
    }

    proptest! {
        #[test]
        fn any_changed_byte_breaks_the_seal(part in 0usize..4, at in 0usize..10_000, flip in 1u8..=255) {
            let mut parts = sealed("hello").into_parts();
            let mut bytes = parts[part].to_vec();
            let at = at % bytes.len();
            bytes[at] ^= flip;
            parts[part] = bytes.into();
            let frames = Frames::from_parts(parts).unwrap();
            prop_assert!(open(&keys(1), &frames).is_err());
        }

        #[test]
        fn no_frames_panic(parts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 0..6)) {
            let parts = parts.into_iter().map(Bytes::from).collect();
            if let Ok(frames) = Frames::from_parts(parts) {
                prop_assert!(open(&keys(1), &frames).is_err());
            }
        }
    }
}
