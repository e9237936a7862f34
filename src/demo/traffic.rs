//! Owns the demo's trickle of traffic: a thread that sends one request after
//! another to the edge, about two a second. What it sends is `samples`'.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use fastrand::Rng;

use super::samples::{self, Sample};

/// Any number does; the same one gives the same shop every time.
const SEED: u64 = 0x51de_77e5;

/// Pauses between requests, in milliseconds: about two a second, unevenly.
const PAUSE_MS: std::ops::Range<u64> = 150..850;

/// On loopback an answer takes milliseconds; this is for an edge that is stopping.
const PATIENCE: Duration = Duration::from_secs(3);

/// Answers to events are a line; more than this is not read.
const ANSWER_BYTES_MAX: u64 = 64 * 1024;

/// Running traffic. Dropping it ends the thread after the request under way.
#[derive(Debug)]
pub(super) struct Traffic {
    stop: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Traffic {
    /// Starts sending to an edge's public address.
    pub(super) fn start(edge: SocketAddr) -> io::Result<Self> {
        let (stop, stopped) = sync_channel::<()>(0);
        let thread = std::thread::Builder::new()
            .name("traffic".to_owned())
            .spawn(move || {
                let mut rng = Rng::with_seed(SEED);
                loop {
                    let pause = Duration::from_millis(rng.u64(PAUSE_MS));
                    // The pause is a wait for the stop, so that a stop never waits for it.
                    if stopped.recv_timeout(pause) != Err(RecvTimeoutError::Timeout) {
                        return;
                    }
                    if let Err(error) = send(edge, &samples::next(SystemTime::now(), &mut rng)) {
                        tracing::debug!(%error, "the edge did not answer the demo's traffic");
                    }
                }
            })?;
        Ok(Self {
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the traffic's thread panicked");
        }
    }
}

/// Sends one request on a connection of its own and gives back the answer's status.
fn send(edge: SocketAddr, sample: &Sample) -> io::Result<u16> {
    let mut stream = TcpStream::connect_timeout(&edge, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut request = format!("POST {} HTTP/1.1\r\nHost: {edge}\r\n", sample.target);
    for (name, value) in &sample.headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str(&format!(
        "Content-Length: {}\r\nConnection: close\r\n\r\n",
        sample.body.len()
    ));
    let mut request = request.into_bytes();
    request.extend_from_slice(&sample.body);
    stream.write_all(&request)?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer)?;
    status(&answer).ok_or_else(|| io::Error::other("no status line"))
}

fn status(answer: &[u8]) -> Option<u16> {
    let code = answer.strip_prefix(b"HTTP/1.1 ")?.get(..3)?;
    str::from_utf8(code).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::demo::events::Events;
    use crate::demo::stand_in::StandIn;

    use super::*;

    #[test]
    fn the_stand_in_takes_all_that_has_a_sound_key_and_refuses_the_rest() {
        let events = Arc::new(Events::default());
        let stand_in = StandIn::start(Arc::clone(&events)).expect("a loopback port is free");
        let mut rng = Rng::with_seed(SEED);
        for round in 0..120 {
            let sample = samples::next(SystemTime::now(), &mut rng);
            let status = send(stand_in.address(), &sample).expect("an answer");
            let want = if sample.target.contains("changeme") {
                400
            } else {
                200
            };
            assert_eq!(status, want, "round {round}: {}", sample.target);
        }
        drop(stand_in);
        let summary = events.summary_json("");
        let summary: serde_json::Value = serde_json::from_slice(&summary).expect("JSON");
        for kind in [
            "error",
            "transaction",
            "session",
            "attachment",
            "check_in",
            "security",
        ] {
            assert!(
                summary["by_type"][kind].as_u64() > Some(0),
                "no {kind} in {summary}"
            );
        }
    }

    #[test]
    fn statuses_are_read_from_whole_status_lines() {
        assert_eq!(status(b"HTTP/1.1 200 OK\r\n\r\n"), Some(200));
        assert_eq!(status(b"HTTP/1.1 20"), None);
        assert_eq!(status(b""), None);
    }

    #[test]
    fn traffic_ends_when_it_is_dropped_even_with_nobody_listening() {
        let nobody =
            std::net::TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
        drop(Traffic::start(nobody.expect("a loopback port is free")));
    }
}
