//! What a Relay is known by: an id and a pair of Ed25519 keys, as its `credentials.json` holds
//! them. Owns that form, and what in it cannot be; shows the secret to whoever writes the file
//! and to nobody else.

use std::fmt;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::domain::sampling;

/// Bytes of a secret's seed, and of a public key.
const KEY_BYTES: usize = 32;

/// Why a text holds no credentials. Repeats nothing of it: half of it is secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CredentialsFault {
    /// Another file.
    #[error("is not JSON with secret_key, public_key and id, each a text")]
    Form,
    /// No base64url, or of another length.
    #[error("has a {0} that is no Ed25519 key in base64url")]
    Key(&'static str),
    /// The two are of different pairs: whatever is signed would be refused.
    #[error("has a public_key that does not belong to its secret_key")]
    Pair,
    /// No UUID.
    #[error("has an id that is no UUID")]
    Id,
}

/// The file's form. What else stands in it is passed over.
#[derive(Serialize, Deserialize)]
struct Written<'w> {
    #[serde(borrow)]
    secret_key: std::borrow::Cow<'w, str>,
    #[serde(borrow)]
    public_key: std::borrow::Cow<'w, str>,
    #[serde(borrow)]
    id: std::borrow::Cow<'w, str>,
}

/// An id and a pair of keys.
pub struct RelayCredentials {
    id: Box<str>,
    seed: [u8; KEY_BYTES],
    pair: Ed25519KeyPair,
}

impl RelayCredentials {
    /// Credentials of these 48 bytes, which chance has to draw: whoever can guess them can sign.
    ///
    /// # Errors
    /// The library cannot work with the seed; none is known for which that is so.
    pub fn drawn(seed: [u8; KEY_BYTES], id: [u8; 16]) -> Result<Self, CredentialsFault> {
        // The version and the variant of an id that was drawn (RFC 9562).
        const FIXED: u128 = 0x0000_0000_0000_f000_c000_0000_0000_0000;
        const VALUE: u128 = 0x0000_0000_0000_4000_8000_0000_0000_0000;
        let id = u128::from_be_bytes(id) & !FIXED | VALUE;
        Self::of(seed, id)
    }

    /// Reads `credentials.json`. A secret may be the seed alone, or the seed and the public key.
    ///
    /// # Errors
    /// What makes it unusable.
    pub fn parse(text: &str) -> Result<Self, CredentialsFault> {
        let written: Written<'_> =
            serde_json::from_str(text).map_err(|_| CredentialsFault::Form)?;
        let secret = decoded(&written.secret_key);
        let seed = secret.filter(|secret| [KEY_BYTES, 2 * KEY_BYTES].contains(&secret.len()));
        let seed = seed.and_then(|secret| secret.first_chunk::<KEY_BYTES>().copied());
        let seed = seed.ok_or(CredentialsFault::Key("secret_key"))?;
        let public = decoded(&written.public_key).filter(|public| public.len() == KEY_BYTES);
        let public = public.ok_or(CredentialsFault::Key("public_key"))?;
        let id = sampling::id(&written.id).ok_or(CredentialsFault::Id)?;
        let read = Self::of(seed, id)?;
        match read.pair.public_key().as_ref() == public {
            true => Ok(read),
            false => Err(CredentialsFault::Pair),
        }
    }

    fn of(seed: [u8; KEY_BYTES], id: u128) -> Result<Self, CredentialsFault> {
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed);
        let pair = pair.map_err(|_| CredentialsFault::Key("secret_key"))?;
        Ok(Self {
            id: dashed(id),
            seed,
            pair,
        })
    }

    /// The id: a UUID in lower case, with dashes.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The public key in base64url: what an operator of Sentry enters.
    #[must_use]
    pub fn public_key(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.pair.public_key())
    }

    /// The text of `credentials.json`, with the secret in it.
    #[must_use]
    pub fn to_json(&self) -> String {
        let written = Written {
            secret_key: URL_SAFE_NO_PAD.encode(self.seed).into(),
            public_key: self.public_key().into(),
            id: self.id().into(),
        };
        let text = serde_json::to_string_pretty(&written);
        text.expect("three texts are JSON") + "\n"
    }

    /// The signature of a message, in base64url.
    pub(super) fn sign(&self, message: &[u8]) -> String {
        URL_SAFE_NO_PAD.encode(self.pair.sign(message))
    }
}

/// Shows no secret.
impl fmt::Debug for RelayCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RelayCredentials({})", self.id)
    }
}

impl PartialEq for RelayCredentials {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id && self.seed == other.seed
    }
}

/// Base64url, with or without the padding that some write.
fn decoded(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok()
}

fn dashed(id: u128) -> Box<str> {
    let hex = format!("{id:032x}");
    let mut dashed = String::with_capacity(36);
    for (place, digit) in hex.chars().enumerate() {
        if [8, 12, 16, 20].contains(&place) {
            dashed.push('-');
        }
        dashed.push(digit);
    }
    dashed.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0a1b2c3d-4e5f-4789-8abc-def012345678";
    const SECRET: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
    const PUBLIC: &str = "A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg";

    #[track_caller]
    fn check(secret: &str, public: &str, id: &str, want: Result<&str, CredentialsFault>) {
        let text =
            format!(r#"{{"secret_key":"{secret}","public_key":"{public}","id":"{id}","more":1}}"#);
        let read = RelayCredentials::parse(&text);
        let read = read.as_ref().map(RelayCredentials::id);
        assert_eq!(read.map_err(|fault| *fault), want, "{text}");
    }

    #[test]
    fn a_relays_own_file_is_read() {
        check(SECRET, PUBLIC, ID, Ok(ID));
        check(SECRET, PUBLIC, &ID.to_uppercase().replace('-', ""), Ok(ID));
        check(&format!("{SECRET}="), &format!("{PUBLIC}="), ID, Ok(ID));
        // The seed and the public key behind it, as older ones write the secret.
        let seed: Vec<u8> = (0..32).collect();
        let whole = [seed, URL_SAFE_NO_PAD.decode(PUBLIC).unwrap()].concat();
        check(&URL_SAFE_NO_PAD.encode(whole), PUBLIC, ID, Ok(ID));
    }

    #[test]
    fn what_cannot_sign_is_refused() {
        let no_key = |what| Err(CredentialsFault::Key(what));
        check("", PUBLIC, ID, no_key("secret_key"));
        let short = |text: &'static str| text.get(..42).unwrap();
        check(short(SECRET), PUBLIC, ID, no_key("secret_key"));
        check(&format!("{SECRET}AA"), PUBLIC, ID, no_key("secret_key"));
        check(SECRET, "+", ID, no_key("public_key"));
        check(SECRET, short(PUBLIC), ID, no_key("public_key"));
        check(SECRET, SECRET, ID, Err(CredentialsFault::Pair));
        check(
            SECRET,
            PUBLIC,
            ID.get(1..).unwrap(),
            Err(CredentialsFault::Id),
        );
        for text in [
            "",
            "{}",
            "[]",
            r#"{"secret_key":1,"public_key":"","id":""}"#,
        ] {
            let read = RelayCredentials::parse(text).unwrap_err();
            assert_eq!(read, CredentialsFault::Form, "{text}");
        }
    }

    #[test]
    fn what_was_drawn_is_read_back_as_it_was_written() {
        let drawn = RelayCredentials::drawn([7; 32], [0xff; 16]).unwrap();
        assert_eq!(drawn.id(), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        let read = RelayCredentials::parse(&drawn.to_json()).unwrap();
        assert_eq!(read, drawn);
        let zero = RelayCredentials::drawn([7; 32], [0; 16]).unwrap();
        assert_eq!(zero.id(), "00000000-0000-4000-8000-000000000000");
        assert_ne!(zero, drawn, "another id is another relay");
    }

    #[test]
    fn nobody_sees_the_secret_who_prints_them() {
        let drawn = RelayCredentials::drawn([7; 32], [1; 16]).unwrap();
        assert_eq!(
            format!("{drawn:?}"),
            "RelayCredentials(01010101-0101-4101-8101-010101010101)"
        );
    }
}
