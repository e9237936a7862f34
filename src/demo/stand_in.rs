//! Owns the stand-in's socket, thread and connections: an HTTP/1 server on a
//! loopback port of its own. What a request means is `reception`'s to say.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::events::Events;
use super::reception;

/// As many as an edge opens to one upstream by its defaults; more wait.
const CONNECTIONS_MAX: usize = 1024;

/// How long a connection may be idle or take over a head: longer than the edge
/// keeps one (`upstream.idle`), so that closing is the edge's part.
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);

/// A pause after the system refused a connection, most often for want of
/// descriptors: trying again at once would only spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A running stand-in. Dropping it closes its connections and waits for its thread.
#[derive(Debug)]
pub(super) struct StandIn {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl StandIn {
    /// Listens on a free loopback port; what arrives is added to `events`.
    pub(super) fn start(events: Arc<Events>) -> io::Result<Self> {
        let socket = StdListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.set_nonblocking(true)?;
        let address = socket.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::Builder::new()
            .name("stand-in".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    tokio::select! {
                        served = serve(socket, events) => {
                            if let Err(error) = served {
                                tracing::error!(%error, "the stand-in ended");
                            }
                        }
                        // Sent or dropped: either says stop.
                        _ = stopped => {}
                    }
                });
            })?;
        Ok(Self {
            address,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the stand-in's thread panicked");
        }
    }
}

async fn serve(socket: StdListener, events: Arc<Events>) -> io::Result<()> {
    let socket = TcpListener::from_std(socket)?;
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let permit = Arc::clone(&room)
            .acquire_owned()
            .await
            .map_err(io::Error::other)?;
        match socket.accept().await {
            Ok((stream, _peer)) => {
                tokio::spawn(keep(stream, Arc::clone(&events), permit));
            }
            Err(error) => {
                tracing::debug!(%error, "the stand-in could not accept");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Serves one connection until either side closes it.
async fn keep(stream: TcpStream, events: Arc<Events>, _permit: OwnedSemaphorePermit) {
    let service = service_fn(move |request| {
        let events = Arc::clone(&events);
        async move { Ok::<_, std::convert::Infallible>(reception::receive(&events, request).await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a connection of the stand-in ended early");
    }
}

#[cfg(test)]
mod tests;
