//! The head of a request as the upstream gets it: what belongs to one connection
//! removed, what a stranger claims about itself removed, one client address
//! added. The path and the query leave as they came. Never looks at a body.

use std::net::IpAddr;

use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, EXPECT,
    HOST, ORIGIN, REFERER, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Uri, Version};

use crate::config::checked::HostPolicy;
use crate::telemetry::labels::{Route, Upstream};

use crate::server::client::arrival::Scheme;
use crate::server::ingest::claims::X_SENTRY_AUTH;
use crate::server::rules::Rules;
use crate::server::upstream;

/// Whether a header is one by which a hop tells the next who the client is.
/// From whom they are believed was decided before; none crosses as it came
/// (PROTOCOL 6).
fn names_the_client(name: &str) -> bool {
    // The first letter spares most headers the comparisons.
    match name.as_bytes() {
        [b'x', ..] => matches!(
            name,
            "x-client-ip"
                | "x-cluster-client-ip"
                | "x-envoy-external-address"
                | "x-azure-clientip"
                | "x-azure-socketip"
                | "x-forwarded"
                | "x-forwarded-by"
                | "x-forwarded-for"
                | "x-forwarded-port"
                | "x-original-forwarded-for"
                | "x-originating-ip"
                | "x-real-ip"
                | "x-remote-addr"
                | "x-remote-ip"
                | "x-true-client-ip"
                | "x-sentry-forwarded-for"
                | "x-vercel-forwarded-for"
        ),
        [b'c', ..] => matches!(
            name,
            "cf-connecting-ip" | "cf-connecting-ipv6" | "cf-pseudo-ipv4" | "client-ip"
        ),
        [b'd', ..] => name == "do-connecting-ip",
        [b'f', ..] => matches!(
            name,
            "fastly-client-ip" | "fly-client-ip" | "forwarded" | "forwarded-for"
        ),
        [b't', ..] => name == "true-client-ip",
        _ => false,
    }
}

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
/// By which scheme the client spoke.
pub(crate) const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
/// The host that a proxy was asked for.
pub(crate) const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Whom the request comes from, as far as it was proved.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sender {
    /// The one address that goes upstream.
    pub client: IpAddr,
    /// How it spoke to us, or to a trusted peer in front.
    pub scheme: Scheme,
    /// Whether the peer's word about host and scheme is believed.
    pub trusted: bool,
}

/// Makes a client's head the upstream's. `path` replaces the path and query
/// where the route asks for another; else they stay byte for byte.
pub(crate) fn prepare(
    head: &mut Parts,
    sender: Sender,
    route: Route,
    rules: &Rules,
    path: Option<PathAndQuery>,
) {
    let host = host(head, route, rules);
    // Of an absolute target only the path and the query leave: the rest is for us.
    if let Some(path) = path {
        head.uri = Uri::from(path);
    }
    let from_h2 = head.version == Version::HTTP_2;
    head.version = Version::HTTP_11;
    head.extensions.clear();
    let headers = &mut head.headers;
    drop_strangers(headers, route, &rules.send_as);
    if from_h2 {
        join_cookies(headers);
    }
    if let Some(host) = host {
        headers.insert(HOST, host);
    }
    let client = client(sender.client, route, rules);
    for name in &rules.send_as {
        headers.insert(name, client.clone());
    }
    headers.insert(
        X_FORWARDED_PROTO,
        HeaderValue::from_static(sender.scheme.as_str()),
    );
    if !sender.trusted {
        headers.remove(X_FORWARDED_HOST);
    }
    headers.insert(X_REQUEST_ID, request_id());
}

/// The client as the upstream learns of it. Events may carry less than the
/// address; pages and the API always get it whole, since sessions and permissions
/// hang on it. In the place of an address that is not sent stands `unknown`
/// (RFC 7239, section 6.2): with nothing there, Relay would take our own.
fn client(client: IpAddr, route: Route, rules: &Rules) -> HeaderValue {
    let stored = match route.is_event() {
        true => rules.store.stored(client),
        false => Some(client),
    };
    stored.map_or(HeaderValue::from_static("unknown"), address)
}

/// The `Host` to send, if it differs from what stands in the headers.
fn host(head: &Parts, route: Route, rules: &Rules) -> Option<HeaderValue> {
    let asked = match head.uri.authority() {
        // HTTP/2's `:authority`, and the absolute form of HTTP/1, win over Host
        // (RFC 9113, section 8.3.1; RFC 9112, section 3.2.2).
        Some(authority) => HeaderValue::from_str(authority.as_str()).ok(),
        // HTTP/1.0 need not name one, and HTTP/1.1 goes nowhere without (RFC 9112, section 3.2).
        None if head.version == Version::HTTP_10 && !head.headers.contains_key(HOST) => {
            return own_name(route, rules);
        }
        None => None,
    };
    match rules.config.upstream.host {
        HostPolicy::Client => asked,
        HostPolicy::ClientWithoutPort => {
            let host = asked.or_else(|| head.headers.get(HOST).cloned())?;
            HeaderValue::from_str(without_port(host.to_str().ok()?)).ok()
        }
        // Whoever picks the server writes its name.
        HostPolicy::Target => None,
    }
}

/// The upstream's name for itself.
fn own_name(route: Route, rules: &Rules) -> Option<HeaderValue> {
    let servers = match upstream::of_route(route) {
        Upstream::Ingest => &rules.config.upstream.ingest,
        Upstream::Web | Upstream::Mirror(_) => &rules.config.upstream.web,
    };
    HeaderValue::from_str(&servers.first()?.host_header()).ok()
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) && !name.is_empty() => {
            let bracketed = name.starts_with('[') && name.ends_with(']');
            if bracketed || !name.contains(':') {
                name
            } else {
                host
            }
        }
        Some(_) | None => host,
    }
}

/// Drops what must not cross, in one walk: look-ups for each name would cost
/// more than the few requests that carry any of them.
///
/// What is `replaced` may stay: that costs less than to remove it first.
fn drop_strangers(headers: &mut HeaderMap, route: Route, replaced: &[HeaderName]) {
    let ingest = route.is_event();
    let mut doomed: Vec<HeaderName> = Vec::new();
    let mut repeated: Vec<HeaderName> = Vec::new();
    let mut last = None;
    for (name, value) in headers.iter() {
        if name == CONNECTION {
            doomed.extend(named_by(value));
        }
        // The values of one name follow one another.
        if ingest && last.replace(name) == Some(name) && is_judged(name) {
            repeated.push(name.clone());
        }
        // An event needs neither the session of whoever is logged in at the
        // same host nor credentials that are not Sentry's.
        let foreign =
            ingest && (name == COOKIE || name == AUTHORIZATION && !is_sentry_scheme(value));
        if foreign
            || is_of_one_hop(name)
            || names_the_client(name.as_str()) && !replaced.contains(name)
            || is_ambiguous(name.as_str())
        {
            doomed.push(name.clone());
        }
    }
    for name in doomed {
        headers.remove(name);
    }
    for name in repeated {
        // The first was judged: of two, the upstream could read the other.
        if let Some(first) = headers.get(&name).cloned() {
            headers.insert(name, first);
        }
    }
}

/// Whether an event was judged by this header, which must then leave as it was
/// judged: an upstream that did not see it would refuse under another's name, or
/// read another body.
fn is_judged(name: &HeaderName) -> bool {
    name == ORIGIN
        || name == REFERER
        || name == CONTENT_TYPE
        || name == CONTENT_ENCODING
        || name == X_SENTRY_AUTH
}

/// Whether web would take the header for another: WSGI spells `X_Real_IP` and
/// `X-Real-IP` alike, so an underscore would carry a forged address past us.
/// The shipped nginx drops such headers too.
fn is_ambiguous(name: &str) -> bool {
    // Names are short: the setup of a faster search would be most of its cost.
    name.as_bytes().contains(&b'_')
}

/// Whether a header belongs to one connection (RFC 9110, section 7.6.1).
pub(crate) fn is_of_one_hop(name: &HeaderName) -> bool {
    name == CONNECTION
        || name == TRANSFER_ENCODING
        || name == TE
        || name == TRAILER
        || name == UPGRADE
        || name == EXPECT
        || name == KEEP_ALIVE
        || name == PROXY_CONNECTION
}

/// The headers that a `Connection` header names, but for those whose loss would
/// let a client cut out what later hops rely on.
pub(crate) fn named_by(connection: &HeaderValue) -> impl Iterator<Item = HeaderName> {
    let names = connection.to_str().unwrap_or_default().split(',');
    names
        .filter_map(|name| HeaderName::from_bytes(name.trim().as_bytes()).ok())
        .filter(|name| *name != HOST && *name != AUTHORIZATION && *name != CONTENT_LENGTH)
        .filter(|name| !is_judged(name))
}

fn is_sentry_scheme(value: &HeaderValue) -> bool {
    let scheme = value
        .as_bytes()
        .split(|byte| *byte == b' ')
        .next()
        .unwrap_or_default();
    scheme.eq_ignore_ascii_case(b"sentry") || scheme.eq_ignore_ascii_case(b"basic")
}

/// HTTP/2 splits cookies into crumbs; one that is not joined again logs its
/// user out (RFC 9113, section 8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    if headers.get_all(COOKIE).iter().nth(1).is_none() {
        return;
    }
    let crumbs: Vec<&[u8]> = headers
        .get_all(COOKIE)
        .iter()
        .map(HeaderValue::as_bytes)
        .collect();
    if let Ok(joined) = HeaderValue::from_bytes(&crumbs.join(&b"; "[..])) {
        headers.insert(COOKIE, joined);
    }
}

/// The client's address as a header. IPv4 is written by hand: the standard library's
/// formatting of four numbers costs as much as parsing half the request's head.
fn address(client: IpAddr) -> HeaderValue {
    let IpAddr::V4(client) = client else {
        return HeaderValue::from_str(&client.to_string()).expect("an address is visible ASCII");
    };
    let mut text = [b'.'; 16];
    let mut places = text.iter_mut();
    let mut length = 0;
    let mut write = |byte| {
        if let Some(place) = places.next() {
            *place = byte;
            length += 1;
        }
    };
    for (number, octet) in client.octets().into_iter().enumerate() {
        if number > 0 {
            write(b'.');
        }
        if octet >= 100 {
            write(b'0' + octet / 100);
        }
        if octet >= 10 {
            write(b'0' + octet / 10 % 10);
        }
        write(b'0' + octet % 10);
    }
    let text = text.get(..length).unwrap_or_default();
    HeaderValue::from_bytes(text).expect("digits and dots are visible ASCII")
}

/// A fresh id for each request, as nginx's `$request_id`: 32 hex digits. The
/// client's own is replaced, since it could name somebody else's.
fn request_id() -> HeaderValue {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut id = [b'0'; 32];
    // Two draws of a word each: to shift one of twice the size costs more than both.
    for half in id.chunks_mut(16) {
        let mut random = fastrand::u64(..);
        for digit in half {
            let [place, ..] = random.to_le_bytes();
            *digit = DIGITS
                .get(usize::from(place & 0xf))
                .copied()
                .unwrap_or(b'0');
            random >>= 4;
        }
    }
    HeaderValue::from_bytes(&id).expect("hex digits are visible ASCII")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_port(host: &str, want: &str) {
        assert_eq!(without_port(host), want);
    }

    #[test]
    fn only_a_port_is_cut_off() {
        check_port("sentry.example.com:8443", "sentry.example.com");
        check_port("sentry.example.com", "sentry.example.com");
        check_port("[2001:db8::1]:443", "[2001:db8::1]");
        check_port("[2001:db8::1]", "[2001:db8::1]");
        check_port("2001:db8::1", "2001:db8::1");
        check_port(":80", ":80");
    }

    #[track_caller]
    fn check_dropped(route: Route, name: &'static str, value: &'static str, stays: bool) {
        let mut headers = HeaderMap::new();
        headers.insert(
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        );
        drop_strangers(&mut headers, route, &[]);
        assert_eq!(
            headers.contains_key(name),
            stays,
            "{name}: {value} on {route:?}"
        );
    }

    #[test]
    fn what_belongs_to_one_connection_does_not_cross() {
        for name in [
            "connection",
            "keep-alive",
            "te",
            "upgrade",
            "expect",
            "proxy-connection",
        ] {
            check_dropped(Route::Web, name, "x", false);
        }
    }

    #[test]
    fn forged_addresses_do_not_cross() {
        for name in [
            "x-forwarded-for",
            "cf-connecting-ip",
            "x-sentry-forwarded-for",
            "forwarded",
            "forwarded-for",
            "true-client-ip",
            "client-ip",
            "x-client-ip",
            "x-cluster-client-ip",
            "x-original-forwarded-for",
            "x-originating-ip",
            "x-true-client-ip",
            "x-real-ip",
            "x-remote-ip",
            "x-remote-addr",
            "x-azure-clientip",
            "x-azure-socketip",
            "x-forwarded-by",
            "x-vercel-forwarded-for",
            "do-connecting-ip",
            "fastly-client-ip",
            "fly-client-ip",
        ] {
            check_dropped(Route::Web, name, "6.6.6.6", false);
            check_dropped(Route::Ingest, name, "6.6.6.6", false);
        }
        check_dropped(Route::Web, "x_forwarded_for", "6.6.6.6", false);
        check_dropped(Route::Web, "x-forwarded-protocol", "https", true);
        // Of no client: where the site lies, and which proxies were passed.
        for name in ["x-forwarded-prefix", "x-forwarded-server", "via"] {
            check_dropped(Route::Web, name, "x", true);
        }
    }

    #[test]
    fn events_carry_no_foreign_credentials() {
        check_dropped(Route::Ingest, "cookie", "sentrysid=1", false);
        check_dropped(Route::Web, "cookie", "sentrysid=1", true);
        check_dropped(Route::Ingest, "authorization", "Bearer abc", false);
        check_dropped(Route::Web, "authorization", "Bearer abc", true);
        check_dropped(Route::Ingest, "authorization", "Sentry sentry_key=x", true);
        check_dropped(Route::Ingest, "authorization", "basic YTo=", true);
    }

    #[test]
    fn a_header_named_by_connection_goes_with_it() {
        let mut headers = HeaderMap::new();
        headers.insert(CONNECTION, HeaderValue::from_static("close, X-Hop, host"));
        headers.insert("x-hop", HeaderValue::from_static("1"));
        headers.insert(HOST, HeaderValue::from_static("a.example"));
        drop_strangers(&mut headers, Route::Web, &[]);
        assert!(!headers.contains_key("x-hop"));
        assert!(headers.contains_key(HOST), "the host cannot be cut out");
    }

    /// A client that names the `Origin` it was judged by, so that only its `Referer`
    /// reached the upstream, had another page's senders refused.
    #[test]
    fn what_an_event_was_judged_by_cannot_be_cut_out() {
        for name in [
            "origin",
            "referer",
            "content-type",
            "content-encoding",
            "x-sentry-auth",
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(CONNECTION, HeaderValue::from_static(name));
            headers.insert(name, HeaderValue::from_static("judged"));
            drop_strangers(&mut headers, Route::Ingest, &[]);
            assert!(headers.contains_key(name), "{name}");
        }
    }

    #[test]
    fn of_two_values_the_one_that_was_judged_leaves() {
        let mut headers = HeaderMap::new();
        for value in ["https://shop.example", "https://evil.example"] {
            headers.append(ORIGIN, HeaderValue::from_static(value));
            headers.append("x-other", HeaderValue::from_static(value));
        }
        drop_strangers(&mut headers, Route::Ingest, &[]);
        let origins: Vec<_> = headers.get_all(ORIGIN).iter().collect();
        assert_eq!(origins, ["https://shop.example"]);
        assert_eq!(headers.get_all("x-other").iter().count(), 2);
    }

    #[test]
    fn cookie_crumbs_become_one_cookie() {
        let mut headers = HeaderMap::new();
        for crumb in ["a=1", "b=2"] {
            headers.append(COOKIE, HeaderValue::from_static(crumb));
        }
        join_cookies(&mut headers);
        let cookies: Vec<_> = headers.get_all(COOKIE).iter().collect();
        assert_eq!(cookies, ["a=1; b=2"]);
    }

    #[track_caller]
    fn check_address(text: &str) {
        let client: IpAddr = text.parse().unwrap();
        assert_eq!(address(client), text);
    }

    #[test]
    fn addresses_are_written_as_everybody_writes_them() {
        for octet in 0..=255 {
            check_address(&format!("{octet}.0.{octet}.1"));
        }
        check_address("255.255.255.255");
        check_address("2001:db8::1");
    }

    #[test]
    fn ids_are_32_hex_digits_and_differ() {
        let (first, second) = (request_id(), request_id());
        assert_ne!(first, second);
        for id in [first, second] {
            let digits = id.as_bytes();
            assert_eq!(digits.len(), 32);
            assert!(
                digits
                    .iter()
                    .all(|digit| b"0123456789abcdef".contains(digit))
            );
        }
    }
}
