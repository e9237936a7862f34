//! Owns how certificates by ACME are written: the authority, the account, and the names
//! that a listener wants one for.

use std::path::PathBuf;

use serde_json::Value as Json;

use super::{
    Fields, Kind, OptionalPath, Shown, Token, Variable, Word, at_most, each, flag, map, refuse,
    refuse_repeats, scalar, text,
};
use crate::config::checked::{Acme, AcmeChallenge, ExternalAccount, Secret};
use crate::config::defaults;
use crate::config::errors::Faults;
use crate::config::shape;
use crate::config::tree::{Content, Node};

/// `{contact, directory, path, challenge, ca, external_account, agree_to_terms}`.
pub(in crate::config) struct Authority;

const CHALLENGE: Word<AcmeChallenge> = Word::of(AcmeChallenge::WORDS);

/// Where the place of a key is noted that `across` judges beside listeners.
pub(in crate::config) const CHALLENGE_PATH: &str = "acme.challenge";

/// As many certificates by ACME as one listener may have by files.
const NAMES_MAX: usize = 64;

/// Somebody reads these; Let's Encrypt takes ten.
const CONTACTS_MAX: usize = 10;

const KEY: Token = Token {
    what: "key",
    file: "acme.external_account.key_file",
};

const KNOWN: [&str; 7] = [
    "contact",
    "directory",
    "path",
    "challenge",
    "ca",
    "external_account",
    "agree_to_terms",
];

const ACCOUNT: [&str; 3] = ["id", "key", "key_file"];

/// The shape of each key; what most mean, the file that we ship says.
fn field(key: &str) -> (&'static str, Json) {
    match key {
        "contact" => (
            "",
            shape::list(0, CONTACTS_MAX, shape::text("^mailto:.+@.+$")),
        ),
        "directory" => ("", shape::text("^https://.+$")),
        "path" => ("", shape::text("/")),
        "challenge" => ("", CHALLENGE.shape()),
        "ca" => ("", OptionalPath.shape()),
        "external_account" => (
            "Ties the account to one that the authority gave you.",
            shape::fields(&ACCOUNT, &["id"], account_field),
        ),
        "agree_to_terms" => ("", shape::flag()),
        _ => ("", Json::Bool(false)),
    }
}

fn account_field(key: &str) -> (&'static str, Json) {
    match key {
        "id" => (
            "The authority's name for it.",
            shape::text_or_digits("^[!-~]+$"),
        ),
        "key" => ("Its key in base64url.", KEY.shape()),
        "key_file" => ("A file that holds the key instead.", OptionalPath.shape()),
        _ => ("", Json::Bool(false)),
    }
}

impl Kind for Authority {
    type Value = Acme;
    const VARIABLE: Variable = Variable::Keys {
        whole: false,
        each: || KNOWN.map(|key| (key, variable(key))).to_vec(),
    };

    fn read(&self, node: &Node, faults: &mut Faults) -> Option<Acme> {
        is_map(node, faults, "write {agree_to_terms: true}")?;
        let fields = Fields::of(node, faults, &KNOWN, &[])?;
        let standard = defaults::acme();
        let contact = match fields.optional("contact") {
            Some(node) => contacts(node, faults),
            None => Some(standard.contact),
        };
        let directory = match fields.optional("directory") {
            Some(node) => directory(node, faults),
            None => Some(standard.directory),
        };
        let path = match fields.optional("path") {
            Some(node) => folder(node, faults),
            None => Some(standard.path),
        };
        let challenge = match fields.optional("challenge") {
            Some(node) => {
                faults.notes(node);
                CHALLENGE.read(node, faults)
            }
            None => Some(standard.challenge),
        };
        let ca = match fields.optional("ca") {
            Some(node) => {
                faults.names_file(node);
                OptionalPath.read(node, faults)
            }
            None => Some(standard.ca),
        };
        let external_account = match fields.optional("external_account") {
            Some(node) => external_account(node, faults).map(Some),
            None => Some(standard.external_account),
        };
        let agree_to_terms = match fields.optional("agree_to_terms") {
            Some(node) => flag(node, faults),
            None => Some(standard.agree_to_terms),
        };
        let acme = Acme {
            contact: contact?,
            directory: directory?,
            path: path?,
            challenge: challenge?,
            ca: ca?,
            external_account: external_account?,
            agree_to_terms: agree_to_terms?,
        };
        // It was read whole: what listeners say can be judged beside it.
        faults.notes(node);
        Some(acme)
    }

    fn show(&self, value: &Acme) -> Shown {
        let texts = |texts: &[String]| {
            let shown = texts.iter().cloned().map(Shown::Text).collect();
            (!texts.is_empty()).then_some(Shown::List(shown))
        };
        let path = |path: &PathBuf| Shown::Text(path.display().to_string());
        map([
            ("contact", texts(&value.contact)),
            ("directory", Some(Shown::Text(value.directory.clone()))),
            ("path", Some(path(&value.path))),
            ("challenge", Some(CHALLENGE.show(&value.challenge))),
            ("ca", value.ca.as_ref().map(path)),
            (
                "external_account",
                value.external_account.as_ref().map(show_account),
            ),
            ("agree_to_terms", Some(Shown::Flag(value.agree_to_terms))),
        ])
    }

    fn shape(&self) -> Json {
        shape::fields(&KNOWN, &[], field)
    }
}

fn variable(key: &str) -> Variable {
    match key {
        "contact" => Variable::List,
        "external_account" => Variable::Never,
        _ => Variable::One,
    }
}

fn is_map(node: &Node, faults: &mut Faults, accepted: &str) -> Option<()> {
    match node.content {
        Content::Map(_) => Some(()),
        Content::Reported => None,
        Content::Empty | Content::Scalar(_) | Content::List(_) => {
            refuse(node, faults, "no keys", accepted)
        }
    }
}

fn contacts(node: &Node, faults: &mut Faults) -> Option<Vec<String>> {
    const ACCEPTED: &str = "write a list such as [\"mailto:ops@example.com\"]";
    at_most(node, faults, CONTACTS_MAX, "contacts")?;
    each(node, faults, ACCEPTED, |node, faults| {
        let text = scalar(node, faults, ACCEPTED)?;
        let address = text.strip_prefix("mailto:").and_then(|address| {
            // The authority forbids more than one address, and headers beside it.
            let plain = |byte: u8| byte.is_ascii_graphic() && !b",?".contains(&byte);
            let (user, host) = address.rsplit_once('@')?;
            let sound = !user.is_empty() && address.bytes().all(plain);
            sound.then(|| text::host(host)).flatten()
        });
        match address {
            Some(_) => Some(text.to_owned()),
            None => refuse(node, faults, "not a mailto: address", ACCEPTED),
        }
    })
}

fn directory(node: &Node, faults: &mut Faults) -> Option<String> {
    const ACCEPTED: &str = "write a URL such as https://acme.example.com/directory";
    let text = scalar(node, faults, ACCEPTED)?;
    let Some(rest) = text.strip_prefix("https://") else {
        return refuse(node, faults, "not an https URL", ACCEPTED);
    };
    let uri = text.parse::<http::Uri>().ok();
    let authority = uri.as_ref().and_then(http::Uri::authority);
    let host = authority.map(|authority| authority.host().trim_matches(['[', ']']));
    let sound = host.is_some_and(|host| text::host(host).is_some())
        && authority.is_some_and(|authority| {
            // A colon without a port behind it reads as none.
            authority.port().is_none_or(|port| port.as_u16() != 0)
                && !authority.as_str().ends_with(':')
        });
    match sound && !rest.contains(['@', '#']) {
        true => Some(text.to_owned()),
        false => refuse(node, faults, "not an https URL", ACCEPTED),
    }
}

/// A directory's path. It must have a slash: a word that means no would else become one.
fn folder(node: &Node, faults: &mut Faults) -> Option<PathBuf> {
    const ACCEPTED: &str = "write a directory such as /var/lib/vidette/acme";
    match scalar(node, faults, ACCEPTED)? {
        text if text.contains('/') && !text.contains('\0') => Some(PathBuf::from(text)),
        _ => refuse(node, faults, "not a directory's path", ACCEPTED),
    }
}

fn external_account(node: &Node, faults: &mut Faults) -> Option<ExternalAccount> {
    const ACCEPTED: &str = "write {id: ..., key: ...}, as the authority gave it to you";
    is_map(node, faults, ACCEPTED)?;
    let fields = Fields::of(node, faults, &ACCOUNT, &[])?;
    let id = fields.required("id", faults).and_then(|node| {
        const ACCEPTED: &str = "write the key's id as the authority gave it to you";
        let text = scalar(node, faults, ACCEPTED)?;
        let sound = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        match sound {
            true => Some(text.to_owned()),
            false => refuse(node, faults, "not an id", ACCEPTED),
        }
    });
    let written = match fields.optional("key") {
        Some(node) => KEY.read(node, faults).map(|key| key.map(|key| (node, key))),
        None => Some(None),
    };
    let key_file = match fields.optional("key_file") {
        Some(node) => {
            faults.names_file(node);
            OptionalPath.read(node, faults)
        }
        None => Some(None),
    };
    let (id, key_file) = (id?, key_file?);
    let account = |key: Secret| ExternalAccount {
        id,
        key,
        key_file: key_file.clone(),
    };
    match (written?, &key_file) {
        (Some((node, key)), None) => {
            let account = account(key);
            match account.key_bytes() {
                Some(_) => Some(account),
                None => refuse(
                    node,
                    faults,
                    "no base64url",
                    "write the key as the authority gave it to you",
                ),
            }
        }
        // A file's key is read by whoever may read files.
        (None, Some(_)) => Some(account(Secret::new(""))),
        (Some(_), Some(_)) => refuse(node, faults, "both key and key_file", "keep one"),
        (None, None) => refuse(node, faults, "no key", "set key or key_file"),
    }
}

fn show_account(account: &ExternalAccount) -> Shown {
    let file = account.key_file.as_ref();
    map([
        ("id", Some(Shown::Text(account.id.clone()))),
        (
            "key",
            file.is_none().then(|| Shown::Text(account.key.to_string())),
        ),
        (
            "key_file",
            file.map(|file| Shown::Text(file.display().to_string())),
        ),
    ])
}

/// The names that a listener wants certificates for, in lower case.
pub(super) fn names(node: &Node, faults: &mut Faults) -> Option<Vec<String>> {
    const ACCEPTED: &str = "write a list such as [sentry.example.com]";
    faults.notes(node);
    at_most(node, faults, NAMES_MAX, "names")?;
    let names = each(node, faults, ACCEPTED, name)?;
    if names.is_empty() {
        return refuse(node, faults, "no name", ACCEPTED);
    }
    refuse_repeats(node, &names, faults, "name", |name| Some(name.clone()))?;
    Some(names)
}

/// The schema of what [`names`] reads.
pub(super) fn shape_of_names() -> Json {
    shape::list(
        1,
        NAMES_MAX,
        shape::text("^[A-Za-z0-9-]+([.][A-Za-z0-9-]+)*$"),
    )
}

fn name(node: &Node, faults: &mut Faults) -> Option<String> {
    /// The longest part of a name that the DNS can hold.
    const LABEL_BYTES_MAX: usize = 63;
    const ACCEPTED: &str = "write a name such as sentry.example.com";
    let text = scalar(node, faults, ACCEPTED)?;
    if text.starts_with("*.") {
        return refuse(
            node,
            faults,
            "a wildcard, which takes a proof by DNS that this version lacks,",
            "name each host, or give a certificate by cert and key",
        );
    }
    let host = text::host(text).filter(|host| {
        let label = |label: &str| label.len() <= LABEL_BYTES_MAX && !label.contains('_');
        host.split('.').all(label) && !host.ends_with('.')
    });
    match host {
        Some(host) if host.parse::<std::net::IpAddr>().is_err() => Some(host),
        Some(_) => refuse(node, faults, "an address", ACCEPTED),
        None => refuse(node, faults, "not a DNS name", ACCEPTED),
    }
}

pub(super) fn show_names(names: &[String]) -> Option<Shown> {
    let shown = names.iter().cloned().map(Shown::Text).collect();
    (!names.is_empty()).then_some(Shown::List(shown))
}
