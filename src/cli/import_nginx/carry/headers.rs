//! What upstreams are told by headers of nginx's, and how it shows itself to them.

use super::super::grammar::Directive;
use super::super::held::Side;
use super::super::sheet::Sheet;
use super::super::site::Scope;

/// The headers that hold in a scope, as far as there are such here.
pub(super) fn carry(sheet: &mut Sheet, scope: &Scope<'_>) {
    // Without a word of its own nginx names the upstream.
    sheet.host = Some("target");
    for header in scope.all("proxy_set_header") {
        let name = header.argument(0);
        if name.eq_ignore_ascii_case("host") {
            sheet.host = Some(host(header.argument(1)));
        } else if name.eq_ignore_ascii_case("x-real-ip") && header.argument(1) == "$remote_addr" {
            sheet.send_as = vec!["x-forwarded-for".to_owned(), "x-real-ip".to_owned()];
        }
    }
    if let Some(ca) = scope.one("proxy_ssl_trusted_certificate") {
        sheet.held.note(Side::ALL, ca);
        sheet.ca = Some(ca.argument(0).to_owned());
    }
    let pair = (
        scope.one("proxy_ssl_certificate"),
        scope.one("proxy_ssl_certificate_key"),
    );
    if let (Some(cert), Some(key)) = pair {
        sheet.held.note(Side::ALL, cert);
        sheet.held.note(Side::ALL, key);
        sheet.certificate = Some((cert.argument(0).to_owned(), key.argument(0).to_owned()));
    }
}

/// `upstream.host` for a value of `Host`.
fn host(value: &str) -> &'static str {
    match value {
        "$host" => "client_without_port",
        "$http_host" | "$host:$server_port" => "client",
        _ => "target",
    }
}

/// Whether the upstream hears another `Host` where this scope holds: a block with headers of its
/// own cancels all that stand around it.
pub(super) fn cancels_host(sheet: &Sheet, scope: &Scope<'_>) -> bool {
    let mut headers = scope.all("proxy_set_header").into_iter();
    let said = headers.any(|header| header.argument(0).eq_ignore_ascii_case("host"));
    !said && sheet.host != Some("target")
}

/// Why a `proxy_set_header` is not what is done here, if it is not.
pub(super) fn why_left(sheet: &Sheet, header: &Directive) -> Option<&'static str> {
    let (name, value) = (header.argument(0).to_ascii_lowercase(), header.argument(1));
    match (name.as_str(), value) {
        ("host", value) => (sheet.host != Some(host(value)))
            .then_some("Host is one for all of the site: upstream.host"),
        ("x-real-ip", "$remote_addr") => {
            let sent = sheet.send_as.contains(&name);
            (!sent)
                .then_some("what tells of the client is one for all of the site: client_ip.send_as")
        }
        ("x-forwarded-for", "$proxy_add_x_forwarded_for") => {
            Some("one address is sent, the client's: nothing that others say before it")
        }
        ("x-forwarded-for", "$remote_addr")
        | ("x-forwarded-proto", "$scheme" | "$http_x_forwarded_proto")
        | ("connection" | "upgrade", "" | "close" | "keep-alive")
        | ("x-request-id" | "x-forwarded-host" | "x-forwarded-port", _) => None,
        ("connection" | "upgrade", _) => Some(
            "connections are not switched to another protocol (WebSocket): Sentry needs none; keep nginx for what does",
        ),
        // What clients claim of this does not go on.
        ("forwarded" | "x-forwarded-for" | "x-forwarded-proto" | "x-real-ip", "") => None,
        ("x-forwarded-proto", _) => Some(
            "believed from client_ip.trusted_proxies: have the proxy that ends TLS send it, or end TLS here",
        ),
        (_, "") => Some("no headers are taken away here: what clients send goes on"),
        (_, _) => Some("no headers are made up here: what clients send goes on"),
    }
}
