//! What was carried over, as a vidette.yml, and what was not. Knows nothing of nginx.

use std::fmt::Write as _;

use super::super::plain;
use super::grammar::Place;
use super::held::Held;

/// Where something stands, what it is, and why it was not carried over or what helps.
pub(super) type Note = (Place, String, String);

/// What the server of an address passes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Serves {
    /// Pages, with or without events: it has a word on who may see them.
    #[default]
    All,
    /// Events alone, where pages have a server of their own.
    Ingest,
}

/// One address to listen on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Entry {
    pub address: String,
    pub serves: Serves,
    /// Certificates and their keys, if it speaks TLS.
    pub certificates: Vec<(String, String)>,
    pub client_ca: Option<String>,
    pub client_auth_optional: bool,
    pub proxy_protocol: bool,
    pub redirect_to_https: Option<u16>,
    pub allow: Vec<String>,
}

/// What was carried over, where a value is nginx's own.
#[derive(Debug, Default)]
pub(super) struct Sheet {
    pub workers: Option<u64>,
    pub public: Vec<Entry>,
    pub ingest: Vec<String>,
    pub web: Vec<String>,
    pub host: Option<&'static str>,
    pub ca: Option<String>,
    pub certificate: Option<(String, String)>,
    pub connect: Option<String>,
    pub read_ingest: Option<String>,
    pub read_web: Option<String>,
    pub trusted: Vec<String>,
    pub header: Option<String>,
    pub send_as: Vec<String>,
    pub body_ingest: Option<String>,
    pub body_web: Option<String>,
    pub body_upload: Option<String>,
    pub head_timeout: Option<String>,
    pub body_idle: Option<String>,
    pub keep_alive: Option<String>,
    pub per_client: Option<u64>,
    /// Quotas of every project by address, and of everybody together: limit and per.
    pub by_ip: Option<(u64, String)>,
    pub global: Option<(u64, String)>,
    /// Path, folder, and whether any origin may read it.
    pub statics: Vec<(String, String, bool)>,
    /// What all this was said by.
    pub held: Held,
    /// What was not carried over, or not as it was.
    pub left: Vec<Note>,
    /// What is done here by itself, in another way: nobody has to do anything.
    pub otherwise: Vec<Note>,
}

impl Sheet {
    /// Notes that a directive was not carried over, or not as it was.
    pub(super) fn leaves(
        &mut self,
        place: &Place,
        what: impl Into<String>,
        why: impl Into<String>,
    ) {
        note(&mut self.left, (place.clone(), what.into(), why.into()));
    }

    /// Notes that what a directive is for is done here in another way.
    pub(super) fn does_otherwise(
        &mut self,
        place: &Place,
        what: impl Into<String>,
        why: impl Into<String>,
    ) {
        note(
            &mut self.otherwise,
            (place.clone(), what.into(), why.into()),
        );
    }

    /// Adds folders, and what was noted, of another server of the same site.
    pub(super) fn adds(&mut self, other: Self) {
        for folder in other.statics {
            if !self.statics.contains(&folder) {
                self.statics.push(folder);
            }
        }
        for one in other.left {
            note(&mut self.left, one);
        }
        for one in other.otherwise {
            note(&mut self.otherwise, one);
        }
    }

    /// The file.
    pub(super) fn to_yaml(&self, source: &str) -> String {
        let mut text = format!(
            "# From {}, by vidette import-nginx. What is not here has vidette's default;\n\
             # `vidette check --print` shows all of it.\n",
            plain(source)
        );
        for (key, node) in self.sections() {
            node.write_key(&mut text, 0, key);
        }
        if self.trusted.is_empty() && self.header.is_none() {
            text.push_str(
                "client_ip:\n  # As nginx, it believes nobody's word on a client's address. If \
                 something stands\n  # in front, list it: `vidette doctor ip` finds it.\n  \
                 trusted_proxies: []\n",
            );
        }
        list(&mut text, "Not carried over", &self.left);
        list(
            &mut text,
            "Done here in another way, with nothing to do",
            &self.otherwise,
        );
        text
    }

    /// What is set, in the order of our own file.
    fn sections(&self) -> Vec<(&'static str, Node)> {
        let certificate = self.certificate.as_ref();
        let tls = vec![
            ("ca", Node::text(self.ca.as_deref())),
            (
                "cert",
                Node::text(certificate.map(|(cert, _)| cert.as_str())),
            ),
            ("key", Node::text(certificate.map(|(_, key)| key.as_str()))),
        ];
        let timeouts = vec![
            ("connect", Node::text(self.connect.as_deref())),
            ("ingest", Node::text(self.read_ingest.as_deref())),
            ("web", Node::text(self.read_web.as_deref())),
        ];
        let bodies = vec![
            ("ingest", Node::text(self.body_ingest.as_deref())),
            ("web", Node::text(self.body_web.as_deref())),
            ("upload", Node::text(self.body_upload.as_deref())),
        ];
        let upstream = vec![
            ("ingest", Node::texts(&self.ingest)),
            ("web", Node::texts(&self.web)),
            ("host", Node::text(self.host)),
            ("tls", Node::Keys(tls)),
            ("timeouts", Node::Keys(timeouts)),
        ];
        let client_ip = vec![
            ("trusted_proxies", Node::texts(&self.trusted)),
            ("header", Node::text(self.header.as_deref())),
            ("send_as", Node::texts(&self.send_as)),
        ];
        let limits = vec![
            ("bodies", Node::Keys(bodies)),
            ("head_timeout", Node::text(self.head_timeout.as_deref())),
            ("body_idle", Node::text(self.body_idle.as_deref())),
            ("keep_alive", Node::text(self.keep_alive.as_deref())),
            ("connections_per_client", Node::number(self.per_client)),
        ];
        let public = self.public.iter().map(Entry::node).collect();
        vec![
            ("workers", Node::number(self.workers)),
            ("listen", Node::Keys(vec![("public", Node::List(public))])),
            ("upstream", Node::Keys(upstream)),
            ("client_ip", Node::Keys(client_ip)),
            (
                "global",
                Node::Keys(vec![("quotas", quota(self.global.as_ref(), None))]),
            ),
            (
                "defaults",
                Node::Keys(vec![("quotas", quota(self.by_ip.as_ref(), Some("ip")))]),
            ),
            (
                "static",
                Node::List(self.statics.iter().map(folder).collect()),
            ),
            ("limits", Node::Keys(limits)),
        ]
    }
}

/// Of what is mostly one in a request: nginx counts requests, a quota items, of which one
/// request may have hundreds of all others.
const ONE_A_REQUEST: [&str; 2] = ["error", "transaction"];

/// Adds a note, once, though it holds in several places.
fn note(notes: &mut Vec<Note>, note: Note) {
    let is_noted = |(at, noted, _): &Note| (at, noted) == (&note.0, &note.1);
    if !notes.iter().any(is_noted) {
        notes.push(note);
    }
}

fn list(text: &mut String, title: &str, notes: &[Note]) {
    if !notes.is_empty() {
        writeln!(text, "\n# {title}:").ok();
    }
    for (place, what, why) in notes {
        writeln!(text, "#   {}", plain(&format!("{place}: {what}: {why}"))).ok();
    }
}

fn quota(rate: Option<&(u64, String)>, by: Option<&str>) -> Node {
    let one = |(limit, per): &(u64, String)| {
        Node::Keys(vec![
            ("limit", Node::number(Some(*limit))),
            ("per", Node::text(Some(per))),
            ("by", Node::text(by)),
            ("categories", Node::texts(&ONE_A_REQUEST.map(str::to_owned))),
        ])
    };
    Node::List(rate.map(one).into_iter().collect())
}

fn folder((path, root, cors): &(String, String, bool)) -> Node {
    Node::Keys(vec![
        ("path", Node::text(Some(path))),
        ("root", Node::text(Some(root))),
        (
            "cors",
            cors.then(|| Node::Bare("true".to_owned()))
                .unwrap_or_default(),
        ),
    ])
}

impl Entry {
    fn node(&self) -> Node {
        let pair = |(cert, key): &(String, String)| {
            vec![
                ("cert", Node::text(Some(cert))),
                ("key", Node::text(Some(key))),
            ]
        };
        let mut tls = match self.certificates.as_slice() {
            [] => Vec::new(),
            [one] => pair(one),
            several => {
                let several = several.iter().map(|one| Node::Keys(pair(one)));
                vec![("certs", Node::List(several.collect()))]
            }
        };
        if !tls.is_empty() {
            tls.push(("client_ca", Node::text(self.client_ca.as_deref())));
            let optional = self.client_ca.is_some() && self.client_auth_optional;
            tls.push(("client_auth", Node::text(optional.then_some("optional"))));
        }
        let moved = self.redirect_to_https.map(|port| match port {
            443 => "true".to_owned(),
            port => port.to_string(),
        });
        Node::Keys(vec![
            ("address", Node::text(Some(&self.address))),
            ("tls", Node::Keys(tls)),
            (
                "proxy_protocol",
                Node::text(self.proxy_protocol.then_some("required")),
            ),
            (
                "redirect_to_https",
                moved.map(Node::Bare).unwrap_or_default(),
            ),
            (
                "serve",
                Node::text((self.serves == Serves::Ingest).then_some("ingest")),
            ),
            ("allow", Node::texts(&self.allow)),
        ])
    }
}

/// What a key can have; nothing is written of what is empty.
#[derive(Debug, Default)]
enum Node {
    #[default]
    Nothing,
    /// Written as it is.
    Bare(String),
    List(Vec<Node>),
    Keys(Vec<(&'static str, Node)>),
}

impl Node {
    /// A text, in quotes where YAML could take it for something else. `$` is doubled: it would
    /// be a variable.
    fn text(text: Option<&str>) -> Self {
        let Some(text) = text else {
            return Self::Nothing;
        };
        let text = text.replace('$', "$$");
        let harmless = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte);
        let begins = text
            .bytes()
            .next()
            .is_some_and(|first| first.is_ascii_alphanumeric() || first == b'/');
        let plain = begins && text.bytes().all(harmless) && text.parse::<f64>().is_err();
        Self::Bare(
            match plain
                && !matches!(
                    text.as_str(),
                    "on" | "off" | "yes" | "no" | "true" | "false" | "null"
                ) {
                true => text,
                false => serde_json::Value::from(text).to_string(),
            },
        )
    }

    fn texts(texts: &[String]) -> Self {
        Self::List(texts.iter().map(|text| Self::text(Some(text))).collect())
    }

    fn number(number: Option<u64>) -> Self {
        number.map_or(Self::Nothing, |number| Self::Bare(number.to_string()))
    }

    fn is_empty(&self) -> bool {
        match self {
            Self::Nothing => true,
            Self::Bare(_) => false,
            Self::List(items) => items.iter().all(Self::is_empty),
            Self::Keys(keys) => keys.iter().all(|(_, node)| node.is_empty()),
        }
    }

    /// In one line.
    fn flow(&self) -> String {
        match self {
            Self::Nothing => String::new(),
            Self::Bare(text) => text.clone(),
            Self::List(items) => {
                let items: Vec<String> = items.iter().map(Self::flow).collect();
                format!("[{}]", items.join(", "))
            }
            Self::Keys(keys) => {
                let set = keys.iter().filter(|(_, node)| !node.is_empty());
                let keys: Vec<String> = set
                    .map(|(key, node)| format!("{key}: {}", node.flow()))
                    .collect();
                format!("{{{}}}", keys.join(", "))
            }
        }
    }

    /// As a key of a block.
    fn write_key(&self, text: &mut String, depth: usize, key: &str) {
        if self.is_empty() {
            return;
        }
        let margin = "  ".repeat(depth);
        match self {
            Self::Keys(keys) => {
                writeln!(text, "{margin}{key}:").ok();
                for (key, node) in keys {
                    node.write_key(text, depth + 1, key);
                }
            }
            Self::List(items) if items.iter().any(|item| matches!(item, Self::Keys(_))) => {
                writeln!(text, "{margin}{key}:").ok();
                for item in items {
                    writeln!(text, "{margin}  - {}", item.flow()).ok();
                }
            }
            Self::Nothing | Self::Bare(_) | Self::List(_) => {
                writeln!(text, "{margin}{key}: {}", self.flow()).ok();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_yaml_would_take_for_something_else_are_quoted() {
        for (text, want) in [
            ("target", "target"),
            ("/var/www/js-sdk", "/var/www/js-sdk"),
            ("0.0.0.0:80", "\"0.0.0.0:80\""),
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("90s", "90s"),
            ("on", "\"on\""),
            ("1e3", "\"1e3\""),
            ("a$b", "\"a$$b\""),
            ("", "\"\""),
            ("*", "\"*\""),
        ] {
            assert_eq!(Node::text(Some(text)).flow(), want, "{text}");
        }
    }
}
