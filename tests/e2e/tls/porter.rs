//! A server between the edge and Pebble: sees what is asked, can keep it waiting or be away,
//! and says what Debian's Pebble cannot: when a certificate is to be renewed (RFC 9773).

use std::io::{self, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};

use super::authority::Authority;
use super::client::{SecureClient, Trust};
use super::pebble::Pebble;
use crate::upstream::HANG;
use crate::wire::{Framing, Wire};

/// How the porter stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stand {
    /// What is asked goes on to Pebble.
    Open,
    /// It waits.
    Shut,
    /// Connections are closed unread.
    Away,
    /// Orders are refused for an hour.
    Limited,
}

/// What was seen, and what is to be said.
pub(super) struct Seen {
    stand: Stand,
    /// What was asked, as method and path.
    pub(super) asked: Vec<String>,
    /// So many more questions after an order have their nonce rejected.
    pub(super) rejects: u32,
    /// How often a nonce was rejected.
    pub(super) nonces_rejected: u64,
    /// The next certificate that is asked about is to be renewed now.
    pub(super) due: bool,
    /// What orders have named as replaced.
    pub(super) replaced: Vec<String>,
}

struct Shared {
    seen: Mutex<Seen>,
    changed: Condvar,
    address: SocketAddr,
    pebble: SocketAddr,
    trust: Trust,
    terms: Arc<ServerConfig>,
}

/// A running porter. Its thread ends with the tests.
pub(super) struct Porter(Arc<Shared>);

impl Porter {
    pub(super) fn before(pebble: &Pebble) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let shared = Arc::new(Shared {
            seen: Mutex::new(Seen {
                stand: Stand::Open,
                asked: Vec::new(),
                rejects: 0,
                nonces_rejected: 0,
                due: false,
                replaced: Vec::new(),
            }),
            changed: Condvar::new(),
            address: listener.local_addr().unwrap(),
            pebble: pebble.address,
            trust: Trust::of(&pebble.authority),
            terms: terms(&pebble.authority),
        });
        let serving = Arc::clone(&shared);
        thread::spawn(move || {
            for socket in listener.incoming() {
                let (Ok(socket), shared) = (socket, Arc::clone(&serving)) else {
                    continue;
                };
                // The edge may go away in the middle of a question.
                thread::spawn(move || drop(shared.serve(socket)));
            }
        });
        Self(shared)
    }

    /// The directory's URL.
    pub(super) fn directory(&self) -> String {
        format!("https://{}/dir", self.0.address)
    }

    pub(super) fn stands(&self, stand: Stand) {
        self.look(|seen| seen.stand = stand);
        self.0.changed.notify_all();
    }

    pub(super) fn look<T>(&self, look: impl FnOnce(&mut Seen) -> T) -> T {
        look(&mut self.0.seen.lock().unwrap())
    }

    /// How many orders were placed.
    pub(super) fn orders(&self) -> usize {
        let order = |asked: &&String| asked.contains("order-plz");
        self.look(|seen| seen.asked.iter().filter(order).count())
    }
}

fn terms(authority: &Authority) -> Arc<ServerConfig> {
    let (cert, key) = authority.issue("porter", &["localhost", "127.0.0.1"]);
    let cert = CertificateDer::from_pem_file(cert).unwrap();
    let key = PrivateKeyDer::from_pem_file(key).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider);
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    let config = builder.with_no_client_auth();
    Arc::new(config.with_single_cert(vec![cert], key).unwrap())
}

/// An answer, as far as the edge looks at it.
struct Told {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Told {
    fn json(status: u16, kind: &str, headers: &[(&str, &str)], body: &Value) -> Self {
        let kind = [("Content-Type", kind)];
        let headers = kind.iter().chain(headers);
        Self {
            status,
            headers: headers
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            body: body.to_string().into_bytes(),
        }
    }
}

impl Shared {
    /// One question, which is all the edge asks on a connection.
    fn serve(&self, socket: TcpStream) -> io::Result<()> {
        let seen = self.seen.lock().unwrap();
        let shut = |seen: &mut Seen| seen.stand == Stand::Shut;
        let seen = self.changed.wait_while(seen, shut).unwrap();
        if seen.stand == Stand::Away {
            return Ok(());
        }
        drop(seen);
        socket.set_read_timeout(Some(HANG))?;
        let session = ServerConnection::new(Arc::clone(&self.terms)).map_err(io::Error::other)?;
        let mut wire = Wire::new(StreamOwned::new(session, socket));
        let Some(head) = wire.head()? else {
            return Ok(());
        };
        let mut body = Vec::new();
        let framing = Framing::of_request(&head.headers)?;
        wire.body(framing, &mut |piece| body.extend_from_slice(piece))?;
        let words = head.words();
        let [method, path] = [0, 1].map(|at| String::from_utf8(words[at].clone()).unwrap());
        let kind = head.headers.one("content-type").unwrap_or_default();
        let told = self.answer(&method, &path, &kind, &body)?;
        let mut text = format!("HTTP/1.1 {} Told\r\nConnection: close\r\n", told.status);
        for (name, value) in &told.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str(&format!("Content-Length: {}\r\n\r\n", told.body.len()));
        wire.stream.write_all(text.as_bytes())?;
        if method != "HEAD" {
            wire.stream.write_all(&told.body)?;
        }
        wire.stream.conn.send_close_notify();
        wire.stream.flush()
    }

    fn answer(&self, method: &str, path: &str, kind: &str, body: &[u8]) -> io::Result<Told> {
        let mut seen = self.seen.lock().unwrap();
        seen.asked.push(format!("{method} {path}"));
        let stand = seen.stand;
        if let Some(name) = path.strip_prefix("/renewal/") {
            let due = std::mem::take(&mut seen.due);
            assert!(name.contains('.'), "{name}");
            let [start, end] = match due {
                true => ["2020-01-01T00:00:00Z", "2020-01-02T00:00:00Z"],
                false => ["2060-01-01T00:00:00Z", "2060-01-02T00:00:00Z"],
            };
            let window = json!({"suggestedWindow": {"start": start, "end": end}});
            let again = [("Retry-After", "21600")];
            return Ok(Told::json(200, "application/json", &again, &window));
        }
        if path.contains("/my-order/") && seen.rejects > 0 {
            seen.rejects -= 1;
            seen.nonces_rejected += 1;
            let problem = json!({"type": "urn:ietf:params:acme:error:badNonce"});
            let kind = "application/problem+json";
            return Ok(Told::json(400, kind, &[], &problem));
        }
        drop(seen);
        let places = path.contains("order-plz");
        if places && stand == Stand::Limited {
            let problem = json!({
                "type": "urn:ietf:params:acme:error:rateLimited",
                "detail": "too many of them",
            });
            let again = [("Retry-After", "3600"), ("Replay-Nonce", "bm9uY2U")];
            return Ok(Told::json(
                429,
                "application/problem+json",
                &again,
                &problem,
            ));
        }
        let mut told = self.ask_pebble(method, path, kind, body)?;
        if String::from_utf8_lossy(&told.body).contains("badNonce") {
            self.seen.lock().unwrap().nonces_rejected += 1;
        }
        if path == "/dir" {
            let mut directory: Value = serde_json::from_slice(&told.body)?;
            directory["renewalInfo"] = format!("https://{}/renewal", self.address).into();
            told.body = directory.to_string().into_bytes();
        }
        if places
            && told.status == 201
            && let Some(name) = replaced(body)
        {
            let mut order: Value = serde_json::from_slice(&told.body)?;
            order["replaces"] = name.clone().into();
            told.body = order.to_string().into_bytes();
            self.seen.lock().unwrap().replaced.push(name);
        }
        Ok(told)
    }

    fn ask_pebble(&self, method: &str, path: &str, kind: &str, body: &[u8]) -> io::Result<Told> {
        let mut client = SecureClient::try_connect(self.pebble, &self.trust, "localhost")?;
        // What Pebble names is built from it: all of it leads back here.
        let host = self.address.to_string();
        let headers = [
            ("Host", host.as_str()),
            ("Content-Type", kind),
            ("User-Agent", "a test's porter"),
            ("Connection", "close"),
        ];
        let answer = client.try_ask(method, path, &headers, body)?;
        let framed = ["content-length", "transfer-encoding", "connection"];
        let kept = answer.headers.0.iter().filter(|(name, _)| {
            let name = name.to_ascii_lowercase();
            !framed.contains(&name.as_str())
        });
        let text = |value: &Vec<u8>| String::from_utf8_lossy(value).into_owned();
        Ok(Told {
            status: answer.status,
            headers: kept
                .map(|(name, value)| (name.clone(), text(value)))
                .collect(),
            body: answer.body,
        })
    }
}

/// What an order says that it replaces.
fn replaced(body: &[u8]) -> Option<String> {
    let sealed: Value = serde_json::from_slice(body).ok()?;
    let payload = URL_SAFE_NO_PAD.decode(sealed["payload"].as_str()?).ok()?;
    let order: Value = serde_json::from_slice(&payload).ok()?;
    Some(order["replaces"].as_str()?.to_owned())
}
