//! The upstream's stand-in: away until it is opened, then it reads whatever comes to its end and
//! answers 200 at once. Its port is held all the while, so that nobody else listens there.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// More than an edge ever opens at once.
const BACKLOG: i32 = 1024;

const ANSWER: &[u8] = br#"{"id":"9ec79c33ec9942ab8353589fcb2e04dc"}"#;

/// What it has read.
#[derive(Default)]
pub(crate) struct Seen {
    requests: AtomicU64,
    bytes: AtomicU64,
    first: OnceLock<Instant>,
}

impl Seen {
    /// Whole requests.
    pub(crate) fn requests(&self) -> u64 {
        self.requests.load(Relaxed)
    }

    /// Bytes of their bodies.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Relaxed)
    }

    /// When the first of them was whole.
    pub(crate) fn first(&self) -> Option<Instant> {
        self.first.get().copied()
    }
}

/// Dropping it closes its port and every connection.
pub(crate) struct Upstream {
    pub(crate) port: u16,
    pub(crate) seen: Arc<Seen>,
    socket: Socket,
    open: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

impl Upstream {
    /// One that refuses connections: it has an address, and does not listen.
    pub(crate) fn away() -> Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
        socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
        let address = socket.local_addr()?.as_socket();
        Ok(Self {
            port: address.context("a socket without an address")?.port(),
            seen: Arc::default(),
            socket,
            open: None,
        })
    }

    /// One that takes everything from the start.
    pub(crate) fn opened() -> Result<Self> {
        let mut upstream = Self::away()?;
        upstream.open()?;
        Ok(upstream)
    }

    /// From here on it takes everything.
    pub(crate) fn open(&mut self) -> Result<()> {
        self.socket.listen(BACKLOG)?;
        self.socket.set_nonblocking(true)?;
        let listener = std::net::TcpListener::from(self.socket.try_clone()?);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let seen = Arc::clone(&self.seen);
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = thread::spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    ended = serve(listener, &seen) => {
                        if let Err(error) = ended {
                            eprintln!("spool: the upstream's stand-in fails: {error}");
                        }
                    }
                    _ = stopped => {}
                }
            });
        });
        self.open = Some((stop, serving));
        Ok(())
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        if let Some((stop, serving)) = self.open.take() {
            drop(stop);
            serving.join().ok();
        }
    }
}

async fn serve(listener: std::net::TcpListener, seen: &Arc<Seen>) -> std::io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let seen = Arc::clone(seen);
        tokio::spawn(async move {
            let taking = service_fn(|request| take(request, &seen));
            // A connection that breaks is the edge's to notice: its request is not counted.
            drop(
                http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), taking)
                    .await,
            );
        });
    }
}

async fn take(
    request: Request<Incoming>,
    seen: &Seen,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut body = request.into_body();
    let mut whole = true;
    while let Some(frame) = body.frame().await {
        match frame.map(|frame| frame.into_data().unwrap_or_default()) {
            Ok(bytes) => {
                let bytes = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
                seen.bytes.fetch_add(bytes, Relaxed);
            }
            Err(_) => whole = false,
        }
    }
    if whole {
        seen.first.get_or_init(Instant::now);
        seen.requests.fetch_add(1, Relaxed);
    }
    Ok(Response::new(Full::new(Bytes::from_static(ANSWER))))
}
