//! The spellings of credentials: header fields, form-encoded query, Basic token, path segment.
//!
//! Owns their decoding, without an allocation. Never chooses between places.

use base64::Engine as _;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::{Credentials, CredentialsError, Key, Place, VERSION_MAX};
use crate::domain::path::hex_digit;

/// What a place's fields hold, before it is judged: `Some(None)` is a field that was there and bad.
#[derive(Default)]
struct Found {
    key: Option<Option<Key>>,
    version: Option<Option<u8>>,
}

impl Found {
    /// Takes one field's value in. A second key or version is refused: two readers could believe
    /// different ones, and quotas by key would be evaded.
    fn take(&mut self, field: Field, value: &[u8], place: Place) -> Result<(), CredentialsError> {
        let (taken_before, field) = match field {
            Field::Key => (self.key.replace(Key::parse(value)).is_some(), KEY),
            Field::Version => (self.version.replace(version_of(value)).is_some(), VERSION),
        };
        if taken_before {
            Err(CredentialsError::Doubled { field, place })
        } else {
            Ok(())
        }
    }

    fn check(self, place: Place) -> Result<Credentials, CredentialsError> {
        let key = self.key.ok_or(CredentialsError::NoKey { place })?;
        let key = key.ok_or(CredentialsError::BadKey { place })?;
        let version = self
            .version
            .unwrap_or(Some(VERSION_MAX))
            .ok_or(CredentialsError::BadVersion { place })?;
        Ok(Credentials {
            key,
            version,
            place,
        })
    }
}

/// A path's segment that is nothing but the key.
pub(super) fn read_path(key: &[u8]) -> Result<Credentials, CredentialsError> {
    Found {
        key: Some(Key::parse(key)),
        version: None,
    }
    .check(Place::Path)
}

pub(super) const KEY: &str = "sentry_key";
const VERSION: &str = "sentry_version";

/// The fields that are read; client, secret and timestamp are not.
enum Field {
    Key,
    Version,
}

impl Field {
    fn named(name: &[u8]) -> Option<Self> {
        match name {
            name if name == KEY.as_bytes() => Some(Self::Key),
            name if name == VERSION.as_bytes() => Some(Self::Version),
            _ => None,
        }
    }
}

/// `k=v, k=v`: split at commas, then at the first `=`, blanks trimmed. A piece without `=` names
/// nothing and is passed over, as is every field that we do not read.
pub(super) fn read_header(fields: &[u8], place: Place) -> Result<Credentials, CredentialsError> {
    let mut found = Found::default();
    for piece in fields.split(|&byte| byte == b',') {
        let Some((name, value)) = split_at_equals(piece) else {
            continue;
        };
        if let Some(field) = Field::named(name.trim_ascii()) {
            found.take(field, value.trim_ascii(), place)?;
        }
    }
    found.check(place)
}

/// `name=value&name=value`, names and values percent-decoded, `+` a blank.
pub(super) fn read_query(query: &str) -> Result<Credentials, CredentialsError> {
    let place = Place::Query;
    let mut found = Found::default();
    let (mut name_room, mut value_room) = ([0; DECODED_BYTES_MAX], [0; DECODED_BYTES_MAX]);
    for pair in query.as_bytes().split(|&byte| byte == b'&') {
        let (name, value) = split_at_equals(pair).unwrap_or((pair, b""));
        if let Some(field) = Field::named(decoded(name, &mut name_room)) {
            found.take(field, decoded(value, &mut value_room), place)?;
        }
    }
    found.check(place)
}

pub(super) fn split_at_equals(pair: &[u8]) -> Option<(&[u8], &[u8])> {
    let (name, equals_and_value) = pair.split_at_checked(memchr::memchr(b'=', pair)?)?;
    Some((name, equals_and_value.strip_prefix(b"=")?))
}

/// Whether a form field of this encoded name is the key.
pub(super) fn is_key(name: &[u8]) -> bool {
    decoded(name, &mut [0; DECODED_BYTES_MAX]) == KEY.as_bytes()
}

/// Room for a decoded name or value: twice a key. What is longer is cut, and
/// then is none of ours.
const DECODED_BYTES_MAX: usize = 64;

/// A form field's bytes, decoded. One without escapes, as all SDKs send them, is
/// the slice itself.
fn decoded<'b>(encoded: &'b [u8], room: &'b mut [u8; DECODED_BYTES_MAX]) -> &'b [u8] {
    if memchr::memchr2(b'%', b'+', encoded).is_none() {
        return encoded;
    }
    let mut len = 0;
    for (slot, byte) in room.iter_mut().zip(form_decoded(encoded)) {
        *slot = byte;
        len += 1;
    }
    room.get(..len).unwrap_or_default()
}

/// A form field's bytes, decoded one by one; an escape that is none stands for itself.
fn form_decoded(encoded: &[u8]) -> impl Iterator<Item = u8> {
    let mut left = encoded;
    std::iter::from_fn(move || {
        let (&byte, after) = left.split_first()?;
        let escape = after.split_first_chunk::<2>();
        let (decoded, after) = match (byte, escape) {
            (b'+', _) => (b' ', after),
            (b'%', Some((&[high, low], after_escape))) => match (hex_digit(high), hex_digit(low)) {
                (Some(high), Some(low)) => (high << 4 | low, after_escape),
                (None, _) | (_, None) => (byte, after),
            },
            (literal, _) => (literal, after),
        };
        left = after;
        Some(decoded)
    })
}

/// The number before the first dot, if it is one and not above 7.
fn version_of(text: &[u8]) -> Option<u8> {
    let mut version = None;
    for &byte in text.iter().take_while(|&&byte| byte != b'.') {
        let digit = byte.is_ascii_digit().then(|| byte - b'0')?;
        let so_far: u8 = version.unwrap_or(0);
        version = Some(so_far.checked_mul(10)?.checked_add(digit)?);
    }
    version.filter(|&version| version <= VERSION_MAX)
}

/// A Basic token beyond this is no `KEY:SECRET`: those take 88 characters.
const BASIC_TOKEN_BYTES_MAX: usize = 1024;

/// Room for what such a token decodes to.
const BASIC_DECODED_BYTES_MAX: usize = BASIC_TOKEN_BYTES_MAX / 4 * 3;

/// Standard base64 with or without its padding: clients disagree.
pub(super) const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// `base64(KEY:anything)`: the user's name is the key.
pub(super) fn read_basic(token: &[u8]) -> Result<Credentials, CredentialsError> {
    let place = Place::Basic;
    let unparsable = CredentialsError::Unparsable { place };
    let mut decoded = [0; BASIC_DECODED_BYTES_MAX];
    let length = match token.len() {
        0..=BASIC_TOKEN_BYTES_MAX => BASE64
            .decode_slice(token, &mut decoded)
            .map_err(|_undecodable| unparsable)?,
        _longer => return Err(unparsable),
    };
    let pair = decoded.get(..length).unwrap_or_default();
    match pair.split(|&byte| byte == b':').next().unwrap_or_default() {
        b"" => Err(CredentialsError::NoKey { place }),
        user => Found {
            key: Some(Key::parse(user)),
            version: None,
        }
        .check(place),
    }
}
