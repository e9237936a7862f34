//! Tells a webhook: one message at a time, on a connection of its own, again until it arrives.
//! Follows no redirect, goes to no host but the configured one, and shows its path and its token
//! to nobody else. Nothing waits for it.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONNECTION, CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderValue, Request};
use http_body_util::Full;
use hyper::client::conn::http1::Builder;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, sleep_until, timeout};

use crate::config::checked::{Scheme, Webhook, WebhookUrl};
use crate::domain::reach::ReachFault;
use crate::policy::incidents::letters::{Letter, Tells};
use crate::telemetry::incidents::Notified;
use crate::tls::{Name, Trust, TrustFiles};

use super::letter;
use crate::server::admin::Desk;
use crate::server::sentry::line::NAME;
use crate::server::upstream::stream::Stream;
use crate::server::worker::Shared;

/// The wait behind a first failure; it doubles up to the longest.
const BACK_OFF: Duration = Duration::from_secs(1);
const BACK_OFF_MAX: Duration = Duration::from_secs(60);

/// How often it is looked what is due, and whether the receiver is still the same.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Bytes of an answer's head.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// Why a message did not arrive. Names no host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum Fault {
    /// The resolver knows no address.
    #[error("its name does not resolve")]
    Unresolved,
    /// No address took a connection.
    #[error("it takes no connection: {0}")]
    Unreachable(io::ErrorKind),
    /// The system names no authority whose word about it could be believed.
    #[error("the system has no list of authorities; install ca-certificates, or set SSL_CERT_FILE")]
    NoAuthorities,
    /// There was a connection, and no TLS on it.
    #[error("TLS with it fails: {0}")]
    Tls(ReachFault),
    /// No answer came in time.
    #[error("it does not answer in alerts.webhook.timeout")]
    Timeout,
    /// Closed or garbled before the answer.
    #[error("the connection broke before its answer")]
    Broken,
    /// It cannot take this now: 408, 429 or 5xx.
    #[error("it answers {0}")]
    Busy(u16),
    /// It does not want this: any other answer that is no 2xx, redirects among them.
    #[error("it refuses the message ({0}); is alerts.webhook.url right, and itself no redirect?")]
    Refused(u16),
    /// The request cannot be put into words.
    #[error("its URL or token holds a character that no request may carry")]
    Unaskable,
}

impl Fault {
    /// Whether the same message may arrive later.
    const fn is_passing(self) -> bool {
        !matches!(self, Self::Refused(_) | Self::Unaskable)
    }
}

/// Tells what is due for as long as it runs.
pub(crate) async fn keep_telling(desk: Rc<Desk>) {
    let watch = &*desk.incidents;
    watch.letters.borrow_mut().later();
    let mut receiver: Option<WebhookUrl> = None;
    let mut failures = 0_u32;
    loop {
        let rules = desk.shared.rules.load_full();
        let webhook = &rules.config.alerts.webhook;
        if receiver != webhook.url {
            // What goes on here after a hand-over that came to nothing has its receiver still.
            if receiver.is_some() {
                let mut letters = watch.letters.borrow_mut();
                let dropped = match &webhook.url {
                    Some(_) => letters.exchange(),
                    None => letters.clear(),
                };
                let counts = &desk.metrics.control.incidents;
                counts.notified(Notified::Dropped, dropped);
            }
            watch.failing.replace(None);
            failures = 0;
            receiver.clone_from(&webhook.url);
        }
        let now = desk.shared.millis(Instant::now());
        let letter = webhook.url.as_ref().and_then(|_| {
            let mut letters = watch.letters.borrow_mut();
            letters.take(now)
        });
        let Some(letter) = letter else {
            timeout(LOOK_EVERY, watch.written.notified()).await.ok();
            continue;
        };
        let sent = send(webhook, &watch.message(&letter)).await;
        if watch.hear(&desk, &letter, sent) {
            failures = 0;
            continue;
        }
        holds_back(&desk, webhook, back_off(failures)).await;
        failures = failures.saturating_add(1);
    }
}

/// Waits, unless the webhook is configured otherwise meanwhile: that is what mends most.
async fn holds_back(desk: &Desk, failed: &Webhook, wait: Duration) {
    let until = Instant::now() + wait;
    while Instant::now() < until {
        sleep_until(until.min(Instant::now() + LOOK_EVERY)).await;
        if desk.shared.rules.load().config.alerts.webhook != *failed {
            return;
        }
    }
}

fn back_off(failures: u32) -> Duration {
    BACK_OFF
        .saturating_mul(1 << failures.min(10))
        .min(BACK_OFF_MAX)
}

impl super::Watch {
    /// A letter's text. A start that comes late tells how it stands now.
    fn message(&self, letter: &Letter) -> Value {
        let now = match letter.tells {
            Tells::Start => self.incidents.borrow().find(letter.incident.number),
            Tells::End => None,
        };
        let incident = now.as_ref().unwrap_or(&letter.incident);
        letter::message(self.run, &name(), incident, letter.tells)
    }

    /// Takes up what became of a letter. False: it is to be tried again after a while.
    fn hear(&self, desk: &Desk, letter: &Letter, sent: Result<u16, Fault>) -> bool {
        let counts = &desk.metrics.control.incidents;
        let mut letters = self.letters.borrow_mut();
        let fault = match sent {
            Ok(_) => {
                counts.notified(Notified::Sent, 1);
                letters.told(letter);
                self.hears();
                return true;
            }
            Err(fault) => fault,
        };
        let outcome = match fault.is_passing() {
            true => {
                letters.later();
                Notified::Failed
            }
            false => {
                letters.refused(letter);
                Notified::Refused
            }
        };
        counts.notified(outcome, 1);
        if self.failing.replace(Some(fault.to_string())).is_none() {
            tracing::error!(%fault, "alerts.webhook does not hear of incidents");
        }
        !fault.is_passing()
    }
}

/// What the machine calls itself: several edges may tell one webhook.
fn name() -> String {
    let system = rustix::system::uname();
    system.nodename().to_string_lossy().into_owned()
}

/// Sends a message that says nothing is wrong, and yields the answer's status.
pub(super) async fn try_out(shared: &Shared) -> Result<u16, String> {
    let rules = shared.rules.load_full();
    let webhook = &rules.config.alerts.webhook;
    let sent = send(webhook, &letter::trial(&name())).await;
    sent.map_err(|fault| fault.to_string())
}

/// Posts a message, and yields the status of an answer that says it has arrived.
async fn send(webhook: &Webhook, message: &Value) -> Result<u16, Fault> {
    let url = webhook.url.as_ref().ok_or(Fault::Unaskable)?;
    let request = request(webhook, url, message)?;
    let posted = timeout(webhook.timeout, post(url, request)).await;
    let status = posted.map_err(|_| Fault::Timeout)??;
    match status {
        200..300 => Ok(status),
        408 | 429 | 500.. => Err(Fault::Busy(status)),
        refused => Err(Fault::Refused(refused)),
    }
}

fn request(
    webhook: &Webhook,
    url: &WebhookUrl,
    message: &Value,
) -> Result<Request<Full<Bytes>>, Fault> {
    let mut request = Request::post(url.target.expose())
        .header(HOST, url.server.host_header())
        .header(USER_AGENT, NAME)
        .header(CONTENT_TYPE, "application/json")
        .header(CONNECTION, "close");
    if let Some(token) = &webhook.token {
        let token = format!("Bearer {}", token.expose());
        let mut token = HeaderValue::try_from(token).map_err(|_| Fault::Unaskable)?;
        token.set_sensitive(true);
        request = request.header(AUTHORIZATION, token);
    }
    let body = Full::new(Bytes::from(message.to_string()));
    request.body(body).map_err(|_| Fault::Unaskable)
}

/// One request on a connection of its own. When the future is dropped the connection goes with it.
async fn post(url: &WebhookUrl, request: Request<Full<Bytes>>) -> Result<u16, Fault> {
    let server = &url.server;
    let addresses = lookup_host((server.host.as_str(), server.port)).await;
    let addresses: Vec<_> = addresses.map_err(|_| Fault::Unresolved)?.collect();
    let socket = TcpStream::connect(addresses.as_slice()).await;
    let socket = socket.map_err(|error| Fault::Unreachable(error.kind()))?;
    let stream = match server.scheme {
        Scheme::Http => Stream::Clear(socket),
        Scheme::Https => {
            // Read each time, which is seldom: authorities may come and go meanwhile.
            let trust = tokio::task::spawn_blocking(|| Trust::read(TrustFiles::default()));
            let trust = trust.await.map_err(|_| Fault::NoAuthorities)?;
            let trust = trust.map_err(|_| Fault::NoAuthorities)?;
            let name = Name::parse(&server.host).ok_or(Fault::Unaskable)?;
            let reached = trust.reach(&name, socket).await.map_err(Fault::Tls)?;
            Stream::Sealed(Box::new(reached))
        }
    };
    let mut builder = Builder::new();
    let shaken = builder.max_buf_size(HEAD_BYTES_MAX);
    let shaken = shaken.handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = shaken.map_err(|_| Fault::Broken)?;
    let mut exchange = std::pin::pin!(sender.send_request(request));
    let answer = tokio::select! {
        answer = &mut exchange => answer,
        // It has closed behind its answer.
        _ = connection => exchange.await,
    };
    let answer = answer.map_err(|_| Fault::Broken)?;
    Ok(answer.status().as_u16())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_minute() {
        let waits: Vec<u64> = (0..9).map(|n| back_off(n).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(back_off(u32::MAX), BACK_OFF_MAX);
    }

    #[test]
    fn only_what_may_pass_is_tried_again() {
        assert!(Fault::Timeout.is_passing());
        assert!(Fault::Busy(503).is_passing());
        assert!(!Fault::Refused(404).is_passing());
        assert!(!Fault::Unaskable.is_passing());
    }
}
