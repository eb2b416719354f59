//! The encryption of bodies: XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03), its two steps from the two crates that are quick at them.
//!
//! A long random nonce first makes a key for this one message (HChaCha20), with which ring's ChaCha20-Poly1305 then encrypts. The
//! crate `chacha20poly1305` does both, and takes eight times as long for a message of the usual 200 bytes: its vector code is not
//! inlined where the program is built for every processor. What it makes must be what is made here, which a test holds.

use chacha20::R20;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use zeroize::Zeroizing;

/// Bytes of the nonce at the start of an encrypted body.
pub const NONCE_BYTES: usize = 24;
/// Bytes of the nonce from which the message's key is made; the rest is the nonce of its encryption.
const OF_KEY: usize = 16;
/// Bytes that are zero at the start of the nonce of the encryption.
const ZEROS: usize = NONCE_LEN - (NONCE_BYTES - OF_KEY);

/// The key and nonce of one message.
fn of_message(key: &[u8; 32], nonce: &[u8; NONCE_BYTES]) -> Option<(LessSafeKey, Nonce)> {
    let (of_key, rest) = nonce.split_first_chunk::<OF_KEY>()?;
    let key = Zeroizing::new(chacha20::hchacha::<R20>(key.into(), of_key.into()).0);
    let key = UnboundKey::new(&CHACHA20_POLY1305, key.as_slice()).ok()?;
    let mut nonce = [0; NONCE_LEN];
    nonce.get_mut(ZEROS..)?.copy_from_slice(rest);
    Some((LessSafeKey::new(key), Nonce::assume_unique_for_key(nonce)))
}

/// The nonce, and behind it what is encrypted with its tag. None only for more bytes than a message has by far.
pub(crate) fn encrypt(key: &[u8; 32], nonce: &[u8; NONCE_BYTES], plain: &[u8]) -> Option<Vec<u8>> {
    let (key, once) = of_message(key, nonce)?;
    let mut body = Vec::with_capacity(NONCE_BYTES + plain.len() + CHACHA20_POLY1305.tag_len());
    body.extend_from_slice(nonce);
    body.extend_from_slice(plain);
    let tag = key.seal_in_place_separate_tag(once, Aad::empty(), body.get_mut(NONCE_BYTES..)?).ok()?;
    body.extend_from_slice(tag.as_ref());
    Some(body)
}

/// What [`encrypt`] was given; none where it was another key, or the body was changed.
pub(crate) fn decrypt(key: &[u8; 32], body: &[u8]) -> Option<Vec<u8>> {
    let (nonce, sealed) = body.split_first_chunk::<NONCE_BYTES>()?;
    let (key, once) = of_message(key, nonce)?;
    let mut plain = sealed.to_vec();
    let length = key.open_in_place(once, Aad::empty(), &mut plain).ok()?.len();
    plain.truncate(length);
    Some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use chacha20poly1305::aead::{Aead, KeyInit};
    use chacha20poly1305::{XChaCha20Poly1305, XNonce};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_is_what_the_other_crate_makes_and_reads(
            key in any::<[u8; 32]>(),
            nonce in any::<[u8; NONCE_BYTES]>(),
            plain in proptest::collection::vec(any::<u8>(), 0..2000),
        ) {
            let other = XChaCha20Poly1305::new((&key).into());
            let body = encrypt(&key, &nonce, &plain).unwrap();
            prop_assert_eq!(&body[..NONCE_BYTES], nonce);
            prop_assert_eq!(&body[NONCE_BYTES..], other.encrypt(&XNonce::from(nonce), plain.as_slice()).unwrap());
            prop_assert_eq!(decrypt(&key, &body), Some(plain));
        }

        #[test]
        fn what_was_changed_is_not_decrypted(length in 0usize..200, at in any::<prop::sample::Index>(), flip in 1u8..) {
            let (key, nonce) = ([7; 32], [9; NONCE_BYTES]);
            let mut body = encrypt(&key, &nonce, &vec![1; length]).unwrap();
            let at = at.index(body.len());
            body[at] ^= flip;
            prop_assert_eq!(decrypt(&key, &body), None);
            body.truncate(at);
            prop_assert_eq!(decrypt(&key, &body), None);
        }
    }

    /// draft-irtf-cfrg-xchacha-03, section 2.2.1.
    #[test]
    fn the_key_of_a_message_is_that_of_the_draft() {
        let key: [u8; 32] = std::array::from_fn(|at| u8::try_from(at).unwrap());
        let input: [u8; 16] = [0, 0, 0, 9, 0, 0, 0, 0x4a, 0, 0, 0, 0, 0x31, 0x41, 0x59, 0x27];
        let derived = chacha20::hchacha::<R20>((&key).into(), (&input).into());
        let hex: String = derived.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "82413b4227b27bfed30e42508a877d73a0f9e4d58a74a853c12ec41326d3ecdc");
    }
}
