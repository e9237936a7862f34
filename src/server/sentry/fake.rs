//! A stand-in for Sentry's web API in tests: answers as it is told, and
//! remembers who asked what. Knows no projects but those that a test makes up.

use std::cell::{Cell, RefCell};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::LocalOptions;

use crate::config::checked::{Scheme, Secret, UpstreamUrl};

use super::{Bounds, Source};

/// The token of every test; no log may show it.
pub(super) const TOKEN: &str = "sntrys_not_for_your_eyes";

/// What happens to a request.
pub(super) enum Reply {
    /// These bytes, and the connection stays.
    Whole(String),
    /// These bytes, and the connection is closed.
    Last(String),
    /// Nothing, ever.
    Stall,
}

/// A listening stand-in. It goes with the runtime.
pub(super) struct Fake {
    address: SocketAddr,
    /// The heads of all requests, in order.
    pub heads: RefCell<Vec<String>>,
    /// Connections taken so far.
    pub connections: Cell<usize>,
}

impl Fake {
    /// Answers each request by its path, query included.
    pub(super) async fn start(answer: impl Fn(&str) -> Reply + 'static) -> Rc<Self> {
        Self::hearing(move |path, _| answer(path)).await
    }

    /// The same by its path and its body.
    pub(super) async fn hearing(answer: impl Fn(&str, &str) -> Reply + 'static) -> Rc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let fake = Rc::new(Self {
            address: listener.local_addr().unwrap(),
            heads: RefCell::default(),
            connections: Cell::default(),
        });
        let (answer, taking) = (Rc::new(answer), Rc::clone(&fake));
        tokio::task::spawn_local(async move {
            while let Ok((stream, _)) = listener.accept().await {
                taking.connections.set(taking.connections.get() + 1);
                let (fake, answer) = (Rc::clone(&taking), Rc::clone(&answer));
                tokio::task::spawn_local(async move { fake.serve(stream, &*answer).await });
            }
        });
        fake
    }

    async fn serve(&self, mut stream: TcpStream, answer: &impl Fn(&str, &str) -> Reply) {
        loop {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                match stream.read_u8().await {
                    Ok(byte) => head.push(byte),
                    Err(_) => return,
                }
            }
            let head = String::from_utf8(head).unwrap();
            let path = head.split(' ').nth(1).unwrap().to_owned();
            let length = head.split_once("content-length: ").map_or(0, |(_, rest)| {
                rest.split_once("\r\n").unwrap().0.parse().unwrap()
            });
            self.heads.borrow_mut().push(head);
            let mut body = vec![0; length];
            if stream.read_exact(&mut body).await.is_err() {
                return;
            }
            match answer(&path, &String::from_utf8(body).unwrap()) {
                Reply::Whole(bytes) => stream.write_all(bytes.as_bytes()).await.unwrap(),
                Reply::Last(bytes) => return stream.write_all(bytes.as_bytes()).await.unwrap(),
                Reply::Stall => std::future::pending().await,
            }
        }
    }

    /// How the stand-in is reached, impatiently.
    pub(super) fn source(&self) -> Source {
        Source {
            trust: std::sync::Arc::default(),
            server: UpstreamUrl {
                scheme: Scheme::Http,
                host: self.address.ip().to_string(),
                port: self.address.port(),
            },
            prefix: String::new(),
            token: Secret::new(TOKEN),
            interval: Duration::from_millis(20),
            bounds: Bounds {
                timeout: Duration::from_secs(5),
                pause: Duration::from_millis(1),
                ..Bounds::default()
            },
        }
    }

    /// The paths that were asked for, in order.
    pub(super) fn paths(&self) -> Vec<String> {
        let path = |head: &String| head.split(' ').nth(1).unwrap().to_owned();
        self.heads.borrow().iter().map(path).collect()
    }

    /// `http://HOST:PORT`.
    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

/// An answer with this status, these further header lines and this body.
pub(super) fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> Reply {
    let mut whole = format!(
        "HTTP/1.1 {status} Told\r\ncontent-length: {}\r\n",
        body.len()
    );
    for (name, value) in headers {
        write!(whole, "{name}: {value}\r\n").unwrap();
    }
    Reply::Whole(format!("{whole}\r\n{body}"))
}

/// The rows that `path` asks for, a hundred a page, with a `Link` as Sentry
/// writes it, whose URLs lie below `elsewhere`.
pub(super) fn page(path: &str, elsewhere: &str, rows: &[String]) -> Reply {
    const ROWS: usize = 100;
    let cursor = path.split_once("?cursor=0:").map_or("0", |(_, rest)| rest);
    let from: usize = cursor.trim_end_matches(":0").parse().unwrap();
    let to = rows.len().min(from + ROWS);
    let (before, has_next) = (from.saturating_sub(ROWS), to < rows.len());
    let link = format!(
        r#"<{elsewhere}/?&cursor=0:{before}:1>; rel="previous"; results="{}"; cursor="0:{before}:1", <{elsewhere}/?&cursor=0:{to}:0>; rel="next"; results="{has_next}"; cursor="0:{to}:0""#,
        from > 0,
    );
    answer(
        200,
        &[("link", &link)],
        &format!("[{}]", rows[from..to].join(",")),
    )
}

/// A row of the list of projects: number `n`, named `p<n>`, of `acme`.
pub(super) fn project_row(n: u64) -> String {
    format!(r#"{{"id":"{n}","slug":"p{n}","status":"active","organization":{{"slug":"acme"}}}}"#)
}

/// A row of the list of keys: the `nth` key of project `n`.
pub(super) fn key_row(n: u64, nth: u64) -> String {
    format!(
        r#"{{"public":"{:032x}","isActive":true,"projectId":{n},"name":"Default","rateLimit":null}}"#,
        n * 1000 + nth
    )
}

/// The project whose keys a path asks for.
pub(super) fn project_of(path: &str) -> Option<u64> {
    let rest = path.strip_prefix("/api/0/projects/acme/p")?;
    rest.split_once("/keys/")?.0.parse().ok()
}

/// A Sentry with projects from 1 on, each with so many keys.
pub(super) fn sentry(projects: u64, keys: u64, elsewhere: String) -> impl Fn(&str) -> Reply {
    let listed: Vec<String> = (1..=projects).map(project_row).collect();
    move |path| match project_of(path) {
        Some(n) => {
            let rows: Vec<String> = (0..keys).map(|nth| key_row(n, nth)).collect();
            page(path, &elsewhere, &rows)
        }
        None if path.starts_with("/api/0/projects/") => page(path, &elsewhere, &listed),
        None => answer(404, &[], ""),
    }
}

/// Runs a test as the control thread runs its tasks.
pub(super) fn on_a_runtime<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(LocalOptions::default())
        .unwrap()
        .block_on(work)
}
