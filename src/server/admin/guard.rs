//! Who may use the admin API: a bearer token, or loopback on both ends; never a
//! page of another origin. Decides from the head alone.

use std::net::SocketAddr;

use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, ORIGIN};
use http::{HeaderMap, Request, StatusCode};

use crate::config::Admin;

/// The two ends of an admin connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ends {
    /// Ours, as bound: one that takes connections from anywhere is not local.
    pub bound: SocketAddr,
    /// The operator's.
    pub peer: SocketAddr,
}

/// Why a request is turned away.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Denied {
    /// 401, 403 or 415.
    pub status: StatusCode,
    /// What would help.
    pub detail: &'static str,
}

const fn denied(status: StatusCode, detail: &'static str) -> Denied {
    Denied { status, detail }
}

/// Lets an operator in.
///
/// `Host` must be a loopback address or configured, so that a name that was
/// rebound to this machine gets nothing out of a browser; a write needs JSON and
/// no foreign `Origin`, so that no form of another site can make one.
pub(super) fn check<B>(admin: &Admin, request: &Request<B>, ends: Ends) -> Result<(), Denied> {
    let headers = request.headers();
    let host = host(request);
    if !host.is_some_and(|host| is_known(admin, host)) {
        return Err(denied(
            StatusCode::FORBIDDEN,
            "this Host is not in admin.hosts",
        ));
    }
    check_token(admin, headers, ends)?;
    if request.method().is_safe() {
        return Ok(());
    }
    let json = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    if !json.is_some_and(|json| json.starts_with("application/json")) {
        let detail = "writes need content-type: application/json";
        return Err(denied(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
    }
    let origin = headers
        .get(ORIGIN)
        .map(|origin| origin.to_str().unwrap_or(""));
    let own = |origin: &str| {
        origin
            .split_once("://")
            .is_some_and(|(_, authority)| Some(authority) == host)
    };
    match origin {
        Some(origin) if !own(origin) => Err(denied(
            StatusCode::FORBIDDEN,
            "writes from pages of another origin are refused",
        )),
        Some(_) | None => Ok(()),
    }
}

fn host<B>(request: &Request<B>) -> Option<&str> {
    let header = request
        .headers()
        .get(HOST)
        .and_then(|host| host.to_str().ok());
    request
        .uri()
        .authority()
        .map(http::uri::Authority::as_str)
        .or(header)
}

fn is_known(admin: &Admin, host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        Some(_) | None => host,
    };
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    bare.parse::<std::net::IpAddr>()
        .is_ok_and(|address| address.is_loopback())
        || admin
            .hosts
            .iter()
            .any(|known| known.eq_ignore_ascii_case(name))
}

fn check_token(admin: &Admin, headers: &HeaderMap, ends: Ends) -> Result<(), Denied> {
    let local =
        ends.bound.ip().to_canonical().is_loopback() && ends.peer.ip().to_canonical().is_loopback();
    if local {
        return Ok(());
    }
    let Some(token) = &admin.token else {
        let detail = "set admin.token_file to use this from another machine";
        return Err(denied(StatusCode::FORBIDDEN, detail));
    };
    let given = headers.get(AUTHORIZATION).map(http::HeaderValue::as_bytes);
    let given = given.and_then(|value| value.strip_prefix(b"Bearer "));
    if given.is_some_and(|given| is_same(given, token.expose().as_bytes())) {
        return Ok(());
    }
    Err(denied(
        StatusCode::UNAUTHORIZED,
        "the bearer token is missing or wrong",
    ))
}

/// Takes as long for a wrong first byte as for a wrong last one.
fn is_same(given: &[u8], token: &[u8]) -> bool {
    let differing = given.iter().zip(token).fold(0, |sum, (a, b)| sum | (a ^ b));
    given.len() == token.len() && differing == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;

    const LOCAL: &str = "127.0.0.1:9001";
    const OTHER: &str = "192.0.2.1:5000";

    #[track_caller]
    fn check_request(token: Option<&str>, peer: &str, head: &[(&str, &str)], want: Option<u16>) {
        let admin = Admin {
            token: token.map(Secret::new),
            token_file: None,
            hosts: vec!["localhost".to_owned(), "edge.internal".to_owned()],
        };
        let mut request = Request::new(());
        for (name, value) in head {
            match *name {
                "method" => *request.method_mut() = value.parse().unwrap(),
                name => {
                    let name = http::HeaderName::from_bytes(name.as_bytes()).unwrap();
                    request.headers_mut().insert(name, value.parse().unwrap());
                }
            }
        }
        let bound = if peer == LOCAL {
            LOCAL
        } else {
            "192.0.2.9:9001"
        };
        let ends = Ends {
            bound: bound.parse().unwrap(),
            peer: peer.parse().unwrap(),
        };
        let refused = check(&admin, &request, ends)
            .err()
            .map(|d| d.status.as_u16());
        assert_eq!(refused, want, "{head:?} from {peer}");
    }

    #[test]
    fn loopback_reads_without_a_token() {
        check_request(None, LOCAL, &[("host", "127.0.0.1:9001")], None);
        check_request(None, LOCAL, &[("host", "[::1]:9001")], None);
        check_request(None, LOCAL, &[("host", "localhost")], None);
    }

    #[test]
    fn another_machine_needs_the_token() {
        let host = ("host", "edge.internal:9001");
        check_request(None, OTHER, &[host], Some(403));
        check_request(Some("s3cret"), OTHER, &[host], Some(401));
        check_request(
            Some("s3cret"),
            OTHER,
            &[host, ("authorization", "Bearer s3cre")],
            Some(401),
        );
        check_request(
            Some("s3cret"),
            OTHER,
            &[host, ("authorization", "Bearer s3crex")],
            Some(401),
        );
        check_request(
            Some("s3cret"),
            OTHER,
            &[host, ("authorization", "Bearer s3cret")],
            None,
        );
    }

    #[test]
    fn a_rebound_name_gets_nothing() {
        check_request(None, LOCAL, &[("host", "evil.example:9001")], Some(403));
        check_request(None, LOCAL, &[], Some(403));
    }

    #[test]
    fn no_form_of_another_site_writes() {
        let post = [("method", "POST"), ("host", "localhost:9001")];
        let json = ("content-type", "application/json");
        check_request(None, LOCAL, &post, Some(415));
        check_request(None, LOCAL, &[post[0], post[1], json], None);
        let foreign = ("origin", "https://evil.example");
        check_request(None, LOCAL, &[post[0], post[1], json, foreign], Some(403));
        let own = ("origin", "http://localhost:9001");
        check_request(None, LOCAL, &[post[0], post[1], json, own], None);
    }
}
