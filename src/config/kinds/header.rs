//! Owns header names: the one that is believed and those that are sent.

use serde_json::Value as Json;

use super::{Kind, Shown, Variable, each, refuse, refuse_repeats, scalar};
use crate::config::checked::ForwardedHeader;
use crate::config::errors::Faults;
use crate::config::shape;
use crate::config::tree::Node;
use crate::domain::client_ip::HeaderForm;

const ACCEPTED: &str = "write a header's name, such as x-forwarded-for";

/// RFC 9110, 5.6.2: a token.
const NAME: &str = "^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}$";

/// Headers that mean something else to whoever reads them: an address in one of
/// them would break the request, its framing or its credentials.
const TAKEN: [&str; 19] = [
    "host",
    "connection",
    "keep-alive",
    "proxy-connection",
    "transfer-encoding",
    "content-length",
    "content-type",
    "content-encoding",
    "te",
    "trailer",
    "upgrade",
    "expect",
    "cookie",
    "authorization",
    "proxy-authorization",
    "x-sentry-auth",
    "x-forwarded-proto",
    "x-forwarded-host",
    "x-request-id",
];

/// The header in which trusted proxies name the client.
pub(in crate::config) struct OneHeader;

impl Kind for OneHeader {
    type Value = ForwardedHeader;

    fn read(&self, node: &Node, faults: &mut Faults) -> Option<ForwardedHeader> {
        let name = name(node, faults)?;
        let form = form_of(&name);
        Some(ForwardedHeader { name, form })
    }

    fn show(&self, value: &ForwardedHeader) -> Shown {
        Shown::Text(value.name.clone())
    }

    fn shape(&self) -> Json {
        shape::text(NAME)
    }
}

/// How a header's value reads follows from its name: only RFC 7239's has a
/// syntax of its own, and only the `-forwarded-for` family is appended to by
/// each hop; all else is one proxy's one address.
fn form_of(name: &str) -> HeaderForm {
    match name {
        "forwarded" => HeaderForm::Forwarded,
        name if name.ends_with("forwarded-for") => HeaderForm::List,
        _ => HeaderForm::Single,
    }
}

/// The headers that carry the client's one address upstream.
pub(in crate::config) struct HeaderNames;

impl Kind for HeaderNames {
    type Value = Vec<String>;
    const VARIABLE: Variable = Variable::List;

    fn read(&self, node: &Node, faults: &mut Faults) -> Option<Vec<String>> {
        const LIST: &str = "write a list such as [x-forwarded-for, x-real-ip]";
        let names = each(node, faults, LIST, |node, faults| {
            match name(node, faults)?.as_str() {
                // It wants for=..., which no Sentry reads.
                "forwarded" => refuse(
                    node,
                    faults,
                    "a header that cannot hold a bare address",
                    ACCEPTED,
                ),
                name => Some(name.to_owned()),
            }
        })?;
        refuse_repeats(node, &names, faults, "header", |name| Some(name.clone()))?;
        Some(names)
    }

    fn show(&self, value: &Vec<String>) -> Shown {
        Shown::List(value.iter().cloned().map(Shown::Text).collect())
    }

    fn shape(&self) -> Json {
        shape::list(0, usize::MAX, shape::text(NAME))
    }
}

/// A header's name in lower case.
fn name(node: &Node, faults: &mut Faults) -> Option<String> {
    const CHARACTERS_MAX: usize = 64;
    // RFC 9110, 5.6.2: the punctuation of a token.
    const PUNCTUATION: &[u8] = b"!#$%&'*+-.^_`|~";
    let text = scalar(node, faults, ACCEPTED)?;
    let token = |byte: u8| byte.is_ascii_alphanumeric() || PUNCTUATION.contains(&byte);
    if !(1..=CHARACTERS_MAX).contains(&text.len()) || !text.bytes().all(token) {
        return refuse(node, faults, "not a header's name", ACCEPTED);
    }
    let name = text.to_ascii_lowercase();
    match TAKEN.contains(&name.as_str()) {
        true => refuse(node, faults, "a header with another meaning", ACCEPTED),
        false => Some(name),
    }
}
