//! What of a request the access log may show. A path keeps the words that routes are made of and
//! loses whatever could be a secret: it is told by its form, since nobody can list the secrets of
//! a Sentry. What is masked needlessly costs an operator a word; what is not costs a customer.
//! Whatever comes out is visible ASCII without a quote or a backslash that was not put there.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::domain::credentials::Key;
use crate::domain::path::normalise;

/// What stands for a secret.
const MASK: &str = "***";

/// What stands for what was cut off.
const CUT: &str = "...";

/// So much of a path is looked at: Sentry's longest are a tenth.
const PATH_BYTES_MAX: usize = 1024;

/// So much of a user agent: browsers that say everything need half.
const AGENT_BYTES_MAX: usize = 256;

/// The longest word that is shown: what is longer is mostly a token.
const WORD_BYTES_MAX: usize = 64;

/// The longest name of an SDK with its version.
const SDK_BYTES_MAX: usize = 64;

/// So many letters and digits in a row are a token if both are among them: hashes begin at 16.
const TOKEN_BYTES: usize = 16;

/// So many letters in a row are no word.
const LETTERS_MAX: usize = 31;

/// The longest number is one of 64 bits.
const DIGITS_MAX: usize = 20;

/// A token of all kinds of letters in parts, with dashes or dots between: base64url.
const PARTED_BYTES: usize = 20;

/// The shortest part of a UUID.
const HEX_PART_BYTES: usize = 4;

/// Behind these everything is somebody's: hashes to recover an account or to confirm an address,
/// invitations, shares, signatures of hooks, places of uploads.
const SECRETIVE: &[&str] = &[
    "recover",
    "confirm",
    "confirm-email",
    "user-confirm",
    "confirm-invite",
    "accept",
    "accept-invite",
    "accept-transfer",
    "invite",
    "share",
    "shared",
    "hooks",
    "webhook",
    "unsubscribe",
    "token",
    "tokens",
    "password",
    "reset",
    "verify",
    "upload",
];

/// A word of a route behind those: no secret is that short and plain.
const PLAIN_BYTES_MAX: usize = 12;

/// A path without its secrets, in the form that routes are found by: decoded, slashes merged,
/// dots resolved. One that has no such form is masked whole.
#[must_use]
pub fn path(raw: &str) -> String {
    let whole = raw.len() <= PATH_BYTES_MAX;
    let kept = match whole {
        true => raw,
        // A token that is cut may look like a word: its whole segment goes.
        false => head(raw, PATH_BYTES_MAX)
            .rsplit_once('/')
            .map_or("", |cut| cut.0),
    };
    let Ok(normal) = normalise(kept) else {
        return MASK.to_owned();
    };
    let mut shown = String::with_capacity(normal.len());
    let mut secretive = false;
    for (place, segment) in normal.split(|byte| *byte == b'/').enumerate() {
        if place > 0 {
            shown.push('/');
        }
        let plain = match secretive {
            true => is_plain(segment),
            false => is_path_word(segment),
        };
        match str::from_utf8(segment) {
            Ok(word) if plain => shown.push_str(word),
            Ok(word) if !secretive => shown.push_str(&key_and_suffix(word)),
            Ok(_) | Err(_) => shown.push_str(MASK),
        }
        secretive = secretive || is_secretive(segment);
    }
    if !whole {
        shown.push('/');
        shown.push_str(CUT);
    }
    shown
}

fn is_secretive(segment: &[u8]) -> bool {
    let is = |word: &&str| segment.eq_ignore_ascii_case(word.as_bytes());
    SECRETIVE.iter().any(is)
}

/// A number, a short word of small letters, or nothing.
fn is_plain(segment: &[u8]) -> bool {
    let digits = segment.iter().all(u8::is_ascii_digit);
    let word = |byte: &u8| byte.is_ascii_lowercase() || *byte == b'-';
    let letters = segment.iter().all(word) && segment.len() <= PLAIN_BYTES_MAX;
    digits && segment.len() <= DIGITS_MAX || letters
}

/// What names are made of in paths, and nothing of a token's form.
fn is_path_word(segment: &[u8]) -> bool {
    let named = |byte: &u8| byte.is_ascii_alphanumeric() || b"._~@-".contains(byte);
    segment.iter().all(named) && !is_secret(segment)
}

/// A public key shows its first digits, as everywhere, and what follows behind a dot: the loader
/// of browsers is a file of that name.
fn key_and_suffix(segment: &str) -> String {
    let (name, suffix) = segment.split_at_checked(32).unwrap_or((segment, ""));
    let Some(key) = Key::parse(name.as_bytes()) else {
        return MASK.to_owned();
    };
    let is_suffix = suffix.starts_with('.') && is_path_word(suffix.as_bytes());
    match suffix.is_empty() || is_suffix {
        true => format!("{}{suffix}", key.masked()),
        false => MASK.to_owned(),
    }
}

/// Whether a word has the form of a token. Short secrets that look like words cannot be told.
fn is_secret(word: &[u8]) -> bool {
    // Sentry's own tokens, whatever stands before one: no word has these letters. And whatever is
    // signed as JSON, of which some words have the letters within.
    let begins = |of: &'static [u8]| {
        move |run: &[u8]| {
            let begins = run.get(..of.len());
            begins.is_some_and(|begins| begins.eq_ignore_ascii_case(of))
        }
    };
    const OWN: &[u8] = b"sntry";
    let own = word.windows(OWN.len()).any(begins(OWN));
    if word.len() > WORD_BYTES_MAX || own || parts(word).any(begins(b"eyj")) {
        return true;
    }
    // Most words are too short for any of it.
    if word.len() < TOKEN_BYTES {
        return false;
    }
    parts(word).any(is_token_run) || is_parted_token(word)
}

/// Letters and digits in a row.
fn parts(word: &[u8]) -> impl Iterator<Item = &[u8]> {
    word.split(|byte| !byte.is_ascii_alphanumeric())
}

fn is_token_run(run: &[u8]) -> bool {
    let digits = run.iter().filter(|byte| byte.is_ascii_digit()).count();
    let large = run.iter().filter(|byte| byte.is_ascii_uppercase()).count();
    let letters = run.len() - digits;
    let mixed = letters > 0 && digits > 0;
    // Chance has as many large as small; names in one word have few of either.
    let cased = large * 4 >= letters && (letters - large) * 4 >= letters;
    (mixed || cased && letters > 0) && run.len() >= TOKEN_BYTES
        || letters > LETTERS_MAX
        || digits > DIGITS_MAX
}

/// A UUID, or base64url, whose dashes and underlines make short runs of a long token.
fn is_parted_token(word: &[u8]) -> bool {
    let count = |of: fn(&u8) -> bool| word.iter().filter(|byte| of(byte)).count();
    let (digits, small) = (count(u8::is_ascii_digit), count(u8::is_ascii_lowercase));
    let large = count(u8::is_ascii_uppercase);
    let all = digits + small + large;
    let cased = small > 0 && large > 0;
    let hex = |part: &&[u8]| part.len() >= HEX_PART_BYTES && part.iter().all(u8::is_ascii_hexdigit);
    let hex_bytes: usize = parts(word).filter(hex).map(<[u8]>::len).sum();
    hex_bytes >= TOKEN_BYTES && digits > 0
        || cased && digits > 0 && all >= PARTED_BYTES
        || cased && all > LETTERS_MAX
}

/// A user agent without what could be a secret, cut at a blank where it is long.
#[must_use]
pub fn agent(raw: &[u8]) -> String {
    let whole = raw.len() <= AGENT_BYTES_MAX;
    let kept = raw.get(..AGENT_BYTES_MAX).unwrap_or(raw);
    let kept = match whole {
        true => kept,
        false => {
            let end = kept.iter().rposition(|byte| *byte == b' ');
            kept.get(..end.unwrap_or(0)).unwrap_or_default()
        }
    };
    let mut shown = String::with_capacity(kept.len() + CUT.len());
    let between = |byte: &u8| b" ;,()[]".contains(byte);
    for piece in kept.split_inclusive(between) {
        let last = piece.last().filter(|byte| between(byte));
        let word = piece.get(..piece.len() - usize::from(last.is_some()));
        match word.unwrap_or_default() {
            // A name and its value: whatever it is, it is no program's name.
            word if word.contains(&b'=') || is_secret_agent(word) => shown.push_str(MASK),
            word => shown.push_str(&visible(word)),
        }
        if let Some(last) = last {
            shown.push(char::from(*last));
        }
    }
    if !whole {
        shown.push_str(CUT);
    }
    shown
}

/// A program's name and version may be long together.
fn is_secret_agent(word: &[u8]) -> bool {
    word.split(|byte| b"/:".contains(byte)).any(is_secret)
}

/// A word that has few values, such as a method, cut to a length.
#[must_use]
pub fn word(text: &str, bytes_max: usize) -> String {
    match is_secret(text.as_bytes()) || text.len() > bytes_max {
        true => MASK.to_owned(),
        false => visible(text.as_bytes()),
    }
}

/// The SDK that `sentry_client` names, in the header or in the query: `sentry.python/2.1.0`. Nothing
/// that has not this form is shown.
#[must_use]
pub fn sdk(header: Option<&[u8]>, query: Option<&str>) -> Option<String> {
    const FIELD: &[u8] = b"sentry_client=";
    let of = |text: &[u8]| {
        let at = memchr::memmem::find(text, FIELD)? + FIELD.len();
        let value = text.get(at..)?.split(|byte| b",& ".contains(byte)).next()?;
        let value = str::from_utf8(value)
            .ok()
            .filter(|value| value.len() <= SDK_BYTES_MAX)?;
        let value = value.replace("%2F", "/").replace("%2f", "/");
        let (name, version) = value.split_once('/')?;
        let small = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let named = |byte: u8| small(byte) || b"._-".contains(&byte);
        let numbered = |byte: u8| byte.is_ascii_alphanumeric() || b".+-".contains(&byte);
        let formed = name.starts_with(|first: char| first.is_ascii_lowercase())
            && name.bytes().all(named)
            && version.starts_with(|first: char| first.is_ascii_digit())
            && version.bytes().all(numbered);
        let secret = is_secret(name.as_bytes()) || is_secret(version.as_bytes());
        (formed && !secret).then_some(value)
    };
    header
        .and_then(of)
        .or_else(|| query.and_then(|query| of(query.as_bytes())))
}

/// Bytes as visible ASCII: all else, quotes and backslashes as `\xNN`, as nginx writes them.
#[must_use]
pub fn visible(bytes: &[u8]) -> String {
    let mut shown = String::with_capacity(bytes.len());
    for byte in bytes {
        match byte {
            b'"' | b'\\' | ..b' ' | 0x7f.. => shown.push_str(&format!("\\x{byte:02X}")),
            byte => shown.push(char::from(*byte)),
        }
    }
    shown
}

/// The network of a client, as an address: the last byte of IPv4 cleared, of IPv6 all but a site's
/// 48 bits.
#[must_use]
pub fn network_address(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4 & Ipv4Addr::new(255, 255, 255, 0)),
        IpAddr::V6(v6) => {
            let site = Ipv6Addr::new(0xffff, 0xffff, 0xffff, 0, 0, 0, 0, 0);
            IpAddr::V6(v6 & site)
        }
    }
}

/// The same as people read it: `203.0.113.x`, `2001:db8:1::x`.
#[must_use]
pub fn network_of(address: IpAddr) -> String {
    match network_address(address) {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            format!("{a}.{b}.{c}.x")
        }
        IpAddr::V6(v6) => {
            let [a, b, c, ..] = v6.segments();
            format!("{a:x}:{b:x}:{c:x}::x")
        }
    }
}

/// The beginning of a text, no longer than so many bytes.
fn head(text: &str, bytes_max: usize) -> &str {
    let fits = |end: &usize| text.is_char_boundary(*end);
    let end = (0..=bytes_max.min(text.len())).rev().find(fits);
    text.get(..end.unwrap_or(0)).unwrap_or_default()
}

#[cfg(test)]
mod tests;
