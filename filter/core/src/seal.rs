//! Authenticated encryption of what is kept in a browser: sessions and sign-in attempts.
//!
//! A sealed value is unpadded base64url of `version ‖ key id ‖ nonce ‖ ciphertext ‖ tag` with XChaCha20-Poly1305. Its
//! purpose has a key of its own (HKDF-SHA256, RFC 5869), and the host it is for is authenticated with it, so that a
//! value can be used neither for another purpose nor on another host. Nonces are 24 random bytes: they need no counter
//! that instances would have to share.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chacha20poly1305::{
    KeyInit as _, XChaCha20Poly1305, XNonce,
    aead::{Aead as _, Payload},
};
use hkdf::Hkdf;
use sha2::Sha256;

use crate::config::Secret;
use crate::env::{Env, NoRandomness};

/// First byte of every sealed value; another one is refused.
const VERSION: u8 = 1;
/// Length of a key's name, enough to tell the keys of one ring apart.
const KEY_ID: usize = 4;
const NONCE: usize = 24;
const HEADER: usize = 1 + KEY_ID + NONCE;
const TAG: usize = 16;
/// Longest sealed text that is looked at. A browser keeps at most 4096 bytes of a cookie with its name and attributes.
const MAX_SEALED: usize = 4096;

/// What a sealed value is for. Each has a key of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A visitor's session.
    Session,
    /// A sign-in that has begun and waits for its callback.
    Attempt,
}

impl Purpose {
    const fn label(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Attempt => "sign-in attempt",
        }
    }
}

/// The sealing keys of one secret.
pub struct Sealer {
    key_id: [u8; KEY_ID],
    session: XChaCha20Poly1305,
    attempt: XChaCha20Poly1305,
}

impl Sealer {
    /// Derives the keys. The secret has 32 bytes, which the configuration has checked.
    #[must_use]
    pub fn new(secret: &Secret) -> Self {
        let ring = Hkdf::<Sha256>::new(Some(b"jetway sealed cookies"), secret.expose());
        let mut key_id = [0; KEY_ID];
        expand(&ring, "key id", &mut key_id);
        Self {
            key_id,
            session: cipher(&ring, Purpose::Session),
            attempt: cipher(&ring, Purpose::Attempt),
        }
    }

    fn key(&self, purpose: Purpose) -> &XChaCha20Poly1305 {
        match purpose {
            Purpose::Session => &self.session,
            Purpose::Attempt => &self.attempt,
        }
    }

    /// Seals `plaintext` for one purpose and host.
    ///
    /// # Errors
    /// When there is no randomness for the nonce.
    pub fn seal(
        &self,
        purpose: Purpose,
        host: &str,
        plaintext: &[u8],
        env: &mut Env<'_>,
    ) -> Result<String, NoRandomness> {
        let nonce: [u8; NONCE] = env.bytes()?;
        let mut sealed = Vec::with_capacity(HEADER + plaintext.len() + TAG);
        sealed.push(VERSION);
        sealed.extend_from_slice(&self.key_id);
        sealed.extend_from_slice(&nonce);
        let aad = associated(&sealed, purpose, host);
        let payload = Payload {
            msg: plaintext,
            aad: &aad,
        };
        // Encryption fails only for a plaintext of 256 GiB; refusing is right for that, too.
        let ciphertext = self
            .key(purpose)
            .encrypt(&XNonce::from(nonce), payload)
            .map_err(|_| NoRandomness)?;
        sealed.extend_from_slice(&ciphertext);
        Ok(URL_SAFE_NO_PAD.encode(sealed))
    }

    /// Opens a sealed value; `None` for anything that was not sealed by this key, for this purpose and host.
    #[must_use]
    pub fn open(&self, purpose: Purpose, host: &str, sealed: &[u8]) -> Option<Vec<u8>> {
        if sealed.len() > MAX_SEALED {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let (header, ciphertext) = bytes.split_at_checked(HEADER)?;
        let (version, rest) = header.split_first()?;
        let (key_id, nonce) = rest.split_at_checked(KEY_ID)?;
        if *version != VERSION || key_id != self.key_id {
            return None;
        }
        let nonce: [u8; NONCE] = nonce.try_into().ok()?;
        let aad = associated(header, purpose, host);
        self.key(purpose)
            .decrypt(
                &XNonce::from(nonce),
                Payload {
                    msg: ciphertext,
                    aad: &aad,
                },
            )
            .ok()
    }
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sealer(..)")
    }
}

fn expand(ring: &Hkdf<Sha256>, label: &str, into: &mut [u8]) {
    // HKDF refuses only outputs above 255 hash lengths; ours are constants far below.
    if ring.expand(label.as_bytes(), into).is_err() {
        unreachable!("a constant output length below 255 * 32 bytes");
    }
}

fn cipher(ring: &Hkdf<Sha256>, purpose: Purpose) -> XChaCha20Poly1305 {
    let mut key = zeroize::Zeroizing::new([0; 32]);
    expand(ring, purpose.label(), key.as_mut_slice());
    XChaCha20Poly1305::new(&(*key).into())
}

/// Header, purpose and host: the purpose's label holds no NUL, so the joint text is unambiguous.
fn associated(header: &[u8], purpose: Purpose, host: &str) -> Vec<u8> {
    let label = purpose.label();
    let mut aad = Vec::with_capacity(header.len() + label.len() + 1 + host.len());
    aad.extend_from_slice(header);
    aad.extend_from_slice(label.as_bytes());
    aad.push(0);
    aad.extend_from_slice(host.as_bytes());
    aad
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Fixture;

    fn sealer(byte: u8) -> Sealer {
        Sealer::new(&Secret::new(vec![byte; 32]))
    }

    fn sealed(fixture: &mut Fixture) -> String {
        sealer(1)
            .seal(Purpose::Session, "app.test", b"hello", &mut fixture.env())
            .unwrap()
    }

    #[test]
    fn opens_what_it_sealed() {
        let value = sealed(&mut Fixture::new());
        assert_eq!(
            sealer(1)
                .open(Purpose::Session, "app.test", value.as_bytes())
                .unwrap(),
            b"hello"
        );
    }

    #[test]
    fn purpose_host_and_key_are_bound_in() {
        let value = sealed(&mut Fixture::new());
        assert!(
            sealer(1)
                .open(Purpose::Attempt, "app.test", value.as_bytes())
                .is_none()
        );
        assert!(
            sealer(1)
                .open(Purpose::Session, "b.test", value.as_bytes())
                .is_none()
        );
        assert!(
            sealer(2)
                .open(Purpose::Session, "app.test", value.as_bytes())
                .is_none()
        );
    }

    #[test]
    fn any_flipped_bit_is_refused() {
        let value = sealed(&mut Fixture::new());
        let bytes = URL_SAFE_NO_PAD.decode(&value).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let text = URL_SAFE_NO_PAD.encode(changed);
            assert!(
                sealer(1)
                    .open(Purpose::Session, "app.test", text.as_bytes())
                    .is_none(),
                "bit {bit}"
            );
        }
    }

    #[test]
    fn any_length_is_survived() {
        let value = sealed(&mut Fixture::new());
        for length in 0..value.len() {
            assert!(
                sealer(1)
                    .open(Purpose::Session, "app.test", &value.as_bytes()[..length])
                    .is_none()
            );
        }
        assert!(
            sealer(1)
                .open(Purpose::Session, "app.test", &vec![b'A'; MAX_SEALED + 1])
                .is_none()
        );
    }

    #[test]
    fn a_dead_random_source_seals_nothing() {
        let mut broken = |_: &mut [u8]| Err(NoRandomness);
        let mut env = Env {
            now: crate::env::Timestamp(0),
            random: &mut broken,
        };
        assert_eq!(
            sealer(1).seal(Purpose::Session, "app.test", b"", &mut env),
            Err(NoRandomness)
        );
    }

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(
            format!("{:?} {:?}", sealer(1), Secret::new(b"hush".to_vec())),
            "Sealer(..) Secret(..)"
        );
    }
}
