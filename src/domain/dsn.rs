//! The DSN: the one line of configuration that every SDK is given.
//!
//! Owns its grammar. Never resolves or dials the host it names: whoever sends one chose it.

use super::credentials::{Credentials, Key, Place, VERSION_MAX};
use super::endpoint::ProjectId;

/// A DSN's parts, borrowed from its text. The obsolete secret is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dsn<'a> {
    /// The public key.
    pub key: Key,
    /// The project, the path's last segment.
    pub project: ProjectId,
    /// How its host is spoken to.
    pub scheme: Scheme,
    /// Host and, if written, port: `host[:port]`.
    pub authority: &'a str,
    /// What stands between the host and the project: empty, or `/` and more without a last slash.
    pub prefix: &'a str,
}

/// The two schemes that a DSN, or an origin, may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// `http`
    Http,
    /// `https`
    Https,
}

impl Scheme {
    /// The scheme as it is written before `://`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// Why a text is not a DSN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DsnError {
    /// Neither `http://` nor `https://`.
    #[error("dsn does not begin with http:// or https://")]
    BadScheme,
    /// No user name, hence no public key.
    #[error("dsn has no public key before '@'")]
    MissingKey,
    /// A user name that is not 32 lower-case hex digits.
    #[error("dsn's public key is not 32 lower-case hex digits")]
    BadKey,
    /// No host, a host with characters that no host has, or a port that is no port.
    #[error("dsn's host is missing or malformed")]
    BadHost,
    /// The last path segment is not a project's number.
    #[error("dsn does not end in a project id")]
    BadProject,
}

impl Dsn<'_> {
    /// `scheme://host[:port][/prefix]`: where the DSN's owner meant its events to go.
    pub fn origin(&self) -> String {
        format!(
            "{}://{}{}",
            self.scheme.as_str(),
            self.authority,
            self.prefix
        )
    }

    /// The credentials of a request whose only proof is this DSN.
    pub const fn credentials(&self) -> Credentials {
        Credentials {
            key: self.key,
            version: VERSION_MAX,
            place: Place::EnvelopeDsn,
        }
    }
}

/// Reads `scheme://PUBLIC[:SECRET]@host[:port][/prefix]/PROJECT`. Query and fragment are ignored.
pub fn parse(text: &str) -> Result<Dsn<'_>, DsnError> {
    let (scheme, rest) = text.split_once("://").ok_or(DsnError::BadScheme)?;
    let scheme = if scheme.eq_ignore_ascii_case("https") {
        Scheme::Https
    } else if scheme.eq_ignore_ascii_case("http") {
        Scheme::Http
    } else {
        return Err(DsnError::BadScheme);
    };
    let located = rest.split(['?', '#']).next().unwrap_or_default();
    let (userinfo_and_host, path) = match located
        .find('/')
        .and_then(|slash| located.split_at_checked(slash))
    {
        Some((before, path)) => (before, path),
        None => (located, ""),
    };
    let (userinfo, authority) = userinfo_and_host
        .rsplit_once('@')
        .ok_or(DsnError::MissingKey)?;
    let key = match userinfo.split(':').next().unwrap_or_default() {
        "" => return Err(DsnError::MissingKey),
        user => Key::parse(user.as_bytes()).ok_or(DsnError::BadKey)?,
    };
    if !is_authority(authority) {
        return Err(DsnError::BadHost);
    }
    let (prefix, project) = path.rsplit_once('/').ok_or(DsnError::BadProject)?;
    let project = ProjectId::parse(project.as_bytes()).ok_or(DsnError::BadProject)?;
    Ok(Dsn {
        key,
        project,
        scheme,
        authority,
        prefix,
    })
}

/// `host[:port]`, the host a name, an IPv4 address, or an IPv6 address in brackets.
fn is_authority(authority: &str) -> bool {
    let (host_is_sound, port) = match authority
        .strip_prefix('[')
        .map(|inner| inner.split_once(']'))
    {
        Some(Some((address, port))) => {
            let sound = |byte: u8| {
                byte.is_ascii_alphanumeric() || matches!(byte, b':' | b'.' | b'%' | b'-' | b'_')
            };
            (!address.is_empty() && address.bytes().all(sound), port)
        }
        Some(None) => return false,
        None => {
            let (host, port) = match authority
                .find(':')
                .and_then(|colon| authority.split_at_checked(colon))
            {
                Some(parts) => parts,
                None => (authority, ""),
            };
            // Names outside ASCII are written as they are by some SDKs.
            let sound = |ch: char| ch.is_alphanumeric() || matches!(ch, '-' | '.' | '_');
            (!host.is_empty() && host.chars().all(sound), port)
        }
    };
    host_is_sound && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port))
}

fn is_port(digits: &str) -> bool {
    digits.bytes().all(|byte| byte.is_ascii_digit())
        && digits.parse::<u16>().is_ok_and(|port| port > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KEY: &str = "a94ae32be2584e0bbd7a4cbb95971fee";

    /// `text` with `KEY` standing for the sound key; `want` is origin and project.
    #[track_caller]
    fn check(text: &str, want: Result<(&str, u64), DsnError>) {
        let text = text.replace("KEY", KEY);
        let got = parse(&text).map(|dsn| {
            assert_eq!(dsn.key.as_str(), KEY, "{text:?}");
            (dsn.origin(), dsn.project.get())
        });
        assert_eq!(
            got,
            want.map(|(origin, project)| (origin.to_owned(), project)),
            "{text:?}"
        );
    }

    #[test]
    fn dsns_of_every_age_are_read() {
        check(
            "https://KEY@sentry.example.com/42",
            Ok(("https://sentry.example.com", 42)),
        );
        check(
            "http://KEY@127.0.0.1:9000/1",
            Ok(("http://127.0.0.1:9000", 1)),
        );
        check("HTTPS://KEY:secret@a.b/7", Ok(("https://a.b", 7)));
        check("https://KEY@a.b:443/x/y/7", Ok(("https://a.b:443/x/y", 7)));
        check("https://KEY@[::1]:9000/7", Ok(("https://[::1]:9000", 7)));
        check("https://KEY@a.b/7?x=/8#/9", Ok(("https://a.b", 7)));
        check("https://KEY:s@e@a.b/7", Ok(("https://a.b", 7)));
        check(
            "https://KEY@b\u{fc}cher.example/7",
            Ok(("https://b\u{fc}cher.example", 7)),
        );
    }

    #[test]
    fn only_http_and_https_are_schemes() {
        for text in [
            "",
            "KEY@a.b/7",
            "ftp://KEY@a.b/7",
            "://KEY@a.b/7",
            "https:/KEY@a.b/7",
        ] {
            check(text, Err(DsnError::BadScheme));
        }
    }

    #[test]
    fn the_key_is_needed_and_checked() {
        check("https://a.b/7", Err(DsnError::MissingKey));
        check("https://@a.b/7", Err(DsnError::MissingKey));
        check("https://:secret@a.b/7", Err(DsnError::MissingKey));
        check("https://a.b/KEY@7", Err(DsnError::MissingKey));
        check("https://public@a.b/7", Err(DsnError::BadKey));
        check("https://KEY0@a.b/7", Err(DsnError::BadKey));
        check(
            "https://A94AE32BE2584E0BBD7A4CBB95971FEE@a.b/7",
            Err(DsnError::BadKey),
        );
    }

    #[test]
    fn the_host_is_needed_and_looked_at() {
        for host in [
            "",
            ":80",
            "a b",
            "a\\b",
            "a<b",
            "a\nb",
            "[",
            "[]",
            "[::1",
            "[::1]x",
            "[::1]:",
            "[g h]",
            "a.b:",
            "a.b:0",
            "a.b:65536",
            "a.b:+80",
            "a.b:8x",
            "::1",
        ] {
            check(&format!("https://KEY@{host}/7"), Err(DsnError::BadHost));
        }
        for host in [
            "a",
            "a.b:1",
            "a.b:65535",
            "a-b_c.d.",
            "10.0.0.1",
            "[fe80::1%eth0]:80",
        ] {
            check(
                &format!("https://KEY@{host}/7"),
                Ok((&format!("https://{host}"), 7)),
            );
        }
    }

    #[test]
    fn the_last_segment_is_a_project_number() {
        for tail in [
            "",
            "/",
            "/0",
            "/07",
            "/x",
            "/7/",
            "/7x",
            "/18446744073709551616",
            "/-7",
        ] {
            check(&format!("https://KEY@a.b{tail}"), Err(DsnError::BadProject));
        }
        let largest = "https://KEY@a.b/18446744073709551615";
        check(largest, Ok(("https://a.b", u64::MAX)));
    }

    #[test]
    fn a_dsn_alone_is_a_credential_of_the_current_version() {
        let text = format!("https://{KEY}@a.b/7");
        let credentials = parse(&text).expect("a sound dsn").credentials();
        assert_eq!(credentials.key.as_str(), KEY);
        assert_eq!(
            (credentials.version, credentials.place),
            (7, Place::EnvelopeDsn)
        );
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(https?://)?(a94ae32be2584e0bbd7a4cbb95971fee@)?\\PC{0,40}") {
            let _outcome = parse(&text);
        }
    }
}
