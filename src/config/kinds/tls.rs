//! Owns what TLS is spoken with, as it is written. Looks into no file: it notes
//! where each was named, for whoever may read them.

use std::path::PathBuf;

use serde_json::{Value as Json, json};

use super::{Fields, Kind, Shown, Word, acme, each, map, refuse, scalar};
use crate::config::checked::{CertificateFiles, ClientAuth, ListenerTls};
use crate::config::errors::Faults;
use crate::config::shape;
use crate::config::tree::{Content, Node};

/// Each is read again every few seconds.
const CERTIFICATES_MAX: usize = 64;

const TLS: &str = "write {cert: /etc/vidette/tls.pem, key: /etc/vidette/tls.key}";

const CLIENT_AUTH: Word<ClientAuth> = Word::of(ClientAuth::WORDS);

const KNOWN: [&str; 6] = ["cert", "key", "certs", "acme", "client_ca", "client_auth"];

const PAIR: [&str; 2] = ["cert", "key"];

/// The schema of what [`tls`] reads.
pub(super) fn shape() -> Json {
    let mut keyed = shape::fields(&KNOWN, &[], |key| match key {
        "certs" => (
            "Several certificates: a client gets the one for the name it asks for, else the first.",
            shape::list(1, CERTIFICATES_MAX, shape::fields(&PAIR, &PAIR, pair_field)),
        ),
        "acme" => (
            "Names that the edge gets certificates for by itself.",
            acme::shape_of_names(),
        ),
        "client_ca" => (
            "Asks clients for a certificate that this file vouches for.",
            shape::text("^.+$"),
        ),
        "client_auth" => (
            "optional lets clients have none. Default required.",
            CLIENT_AUTH.shape(),
        ),
        key => pair_field(key),
    });
    if let Some(keyed) = keyed.as_object_mut() {
        let any = [&PAIR[..], &["certs"], &["acme"]].map(|keys| json!({"required": keys}));
        keyed.insert("anyOf".to_owned(), any.into_iter().collect());
    }
    keyed
}

fn pair_field(key: &str) -> (&'static str, Json) {
    let description = match key {
        "cert" => "The certificate, and behind it those between it and its authority, in PEM.",
        "key" => "Its key, in PEM, without a password.",
        _ => return ("", Json::Bool(false)),
    };
    (description, shape::text("^.+$"))
}

/// `{cert, key}` or `{certs: [{cert, key}]}`, `acme` beside or instead, with `client_ca` and
/// `client_auth`.
pub(super) fn tls(node: &Node, faults: &mut Faults) -> Option<ListenerTls> {
    if !is_map(node, faults, TLS) {
        return None;
    }
    let fields = Fields::of(node, faults, &KNOWN, &[])?;
    let certificates = certificates(node, &fields, faults);
    let acme = match fields.optional("acme") {
        Some(node) => acme::names(node, faults),
        None => Some(Vec::new()),
    };
    let client_ca = match fields.optional("client_ca") {
        Some(node) => file(node, faults).map(Some),
        None => Some(None),
    };
    let client_auth = match fields.optional("client_auth") {
        Some(node) if fields.optional("client_ca").is_none() => refuse(
            node,
            faults,
            "nobody to vouch for clients",
            "set client_ca beside it, or remove it",
        ),
        Some(node) => CLIENT_AUTH.read(node, faults),
        None => Some(ClientAuth::Required),
    };
    Some(ListenerTls {
        certificates: certificates?,
        acme: acme?,
        client_ca: client_ca?,
        client_auth: client_auth?,
    })
}

fn certificates(
    node: &Node,
    fields: &Fields<'_>,
    faults: &mut Faults,
) -> Option<Vec<CertificateFiles>> {
    let Some(several) = fields.optional("certs") else {
        let none = fields.optional("cert").is_none() && fields.optional("key").is_none();
        if none && fields.optional("acme").is_some() {
            return Some(Vec::new());
        }
        return Some(vec![pair(fields, faults)?]);
    };
    if fields.optional("cert").is_some() || fields.optional("key").is_some() {
        let accepted = "keep certs, with every certificate in it";
        return refuse(node, faults, "both certs and a certificate alone", accepted);
    }
    const ACCEPTED: &str = "write a list such as [{cert: /etc/a.pem, key: /etc/a.key}]";
    super::at_most(several, faults, CERTIFICATES_MAX, "certificates")?;
    let certificates = each(several, faults, ACCEPTED, |node, faults| {
        if !is_map(node, faults, TLS) {
            return None;
        }
        let fields = Fields::of(node, faults, &PAIR, &[])?;
        pair(&fields, faults)
    })?;
    match certificates.is_empty() {
        true => refuse(several, faults, "no certificate", ACCEPTED),
        false => Some(certificates),
    }
}

fn pair(fields: &Fields<'_>, faults: &mut Faults) -> Option<CertificateFiles> {
    let [cert, key] = PAIR.map(|name| {
        let node = fields.required(name, faults);
        node.and_then(|node| file(node, faults))
    });
    Some(CertificateFiles {
        cert: cert?,
        key: key?,
    })
}

fn is_map(node: &Node, faults: &mut Faults, accepted: &str) -> bool {
    match node.content {
        Content::Map(_) => true,
        Content::Reported => false,
        Content::Empty | Content::Scalar(_) | Content::List(_) => {
            faults.value(node, "no cert and key", accepted);
            false
        }
    }
}

/// A file's path, and a note of where it was named.
fn file(node: &Node, faults: &mut Faults) -> Option<PathBuf> {
    const ACCEPTED: &str = "write a path such as /etc/vidette/tls.pem";
    let text = scalar(node, faults, ACCEPTED)?;
    if text.is_empty() || text.contains('\0') {
        return refuse(node, faults, "not a file's path", ACCEPTED);
    }
    faults.names_file(node);
    Some(PathBuf::from(text))
}

/// One file in PEM, or none, written empty.
pub(in crate::config) struct PemFile;

impl Kind for PemFile {
    type Value = Option<PathBuf>;

    fn read(&self, node: &Node, faults: &mut Faults) -> Option<Self::Value> {
        match &node.content {
            Content::Scalar(text) if text.is_empty() => Some(None),
            Content::Scalar(_)
            | Content::Empty
            | Content::List(_)
            | Content::Map(_)
            | Content::Reported => file(node, faults).map(Some),
        }
    }

    fn show(&self, value: &Self::Value) -> Shown {
        let path = value.as_ref().map(|path| path.display().to_string());
        path.map_or(Shown::Absent, Shown::Text)
    }

    fn shape(&self) -> Json {
        shape::any_text()
    }
}

pub(super) fn show(tls: &ListenerTls) -> Shown {
    let path = |path: &PathBuf| Some(Shown::Text(path.display().to_string()));
    let (cert, key, certs) = match tls.certificates.as_slice() {
        [] => (None, None, None),
        [CertificateFiles { cert, key }] => (path(cert), path(key), None),
        several => {
            let shown = several.iter().map(|CertificateFiles { cert, key }| {
                map([("cert", path(cert)), ("key", path(key))])
            });
            (None, None, Some(Shown::List(shown.collect())))
        }
    };
    let asks = tls.client_ca.is_some();
    map([
        ("cert", cert),
        ("key", key),
        ("certs", certs),
        ("acme", acme::show_names(&tls.acme)),
        ("client_ca", tls.client_ca.as_ref().and_then(path)),
        (
            "client_auth",
            asks.then(|| CLIENT_AUTH.show(&tls.client_auth)),
        ),
    ])
}

/// `true`, which means 443, `false`, or the port that clients reach TLS at.
pub(super) fn redirect(node: &Node, faults: &mut Faults) -> Option<Option<u16>> {
    const ACCEPTED: &str = "write true, false or the port that https is reached at";
    match scalar(node, faults, ACCEPTED)? {
        "true" => Some(Some(HTTPS_PORT)),
        "false" => Some(None),
        text => match text.parse() {
            Ok(port @ 1..) if text.bytes().all(|byte| byte.is_ascii_digit()) => Some(Some(port)),
            Ok(_) | Err(_) => refuse(node, faults, "not true, false or a port", ACCEPTED),
        },
    }
}

pub(super) fn show_redirect(port: u16) -> Shown {
    match port {
        HTTPS_PORT => Shown::Flag(true),
        port => Shown::Number(port.into()),
    }
}

const HTTPS_PORT: u16 = 443;
