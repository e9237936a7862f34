//! Clients that only misbehave, as connections and requests meet them: who is told apart from
//! whom, who is exempt, and what a blocked one hears. What is counted, and for how long, is
//! policy's. Costs an honest client one look at an empty table.

use std::net::IpAddr;
use std::time::{Duration, UNIX_EPOCH};

use tokio::time::Instant;

use crate::domain::handshake::HandshakeFault;
use crate::domain::outcome::Reason;
use crate::policy::Refusal;
use crate::policy::millis::Millis;
use crate::telemetry::clock::rfc3339;

use crate::server::rules::Rules;
use crate::server::worker::{Shared, Worker};

/// Counts a misdeed of a client. Whoever brings others, and whoever is exempt, has none.
#[cold]
pub(crate) fn strike(worker: &Worker, client: IpAddr) {
    let rules = worker.rules();
    if is_exempt(&rules, client) {
        return;
    }
    let now = worker.millis(Instant::now());
    let rule = &rules.config.limits.block.rule;
    if worker.shared.blocks.strike(now, rule, client) {
        let for_s = rule.lasts.as_secs();
        let client = rules.store.stored(client).map(|ip| ip.to_string());
        tracing::info!(
            client = client.as_deref().unwrap_or("not kept"),
            for_s,
            "a client that only misbehaved is blocked (limits.block)"
        );
    }
}

/// Nobody is blocked by whom others come, nor this machine itself.
fn is_exempt(rules: &Rules, client: IpAddr) -> bool {
    rules.config.limits.block.rule.after == 0
        || client.to_canonical().is_loopback()
        || rules.trusted.contains(client)
        || rules.exempt.contains(client)
}

/// Whether nobody is to be heard from this address now.
pub(crate) fn is_blocked(worker: &Worker, client: IpAddr) -> bool {
    let shared = &worker.shared;
    !shared.blocks.is_empty() && until(shared, &worker.rules(), client).is_some()
}

#[cold]
fn until(shared: &Shared, rules: &Rules, client: IpAddr) -> Option<Millis> {
    let now = shared.millis(Instant::now());
    let until = shared.blocks.until(now, client)?;
    // A reload may have exempted it.
    (!is_exempt(rules, client)).then_some(until)
}

/// What a blocked client's request is refused with. `None`: it is not blocked. `brought`: by a
/// trusted proxy, whose connection others use.
pub(crate) fn refusal(
    shared: &Shared,
    rules: &Rules,
    client: IpAddr,
    brought: bool,
) -> Option<Refusal> {
    if shared.blocks.is_empty() {
        return None;
    }
    let until = until(shared, rules, client)?;
    let now = shared.millis(Instant::now());
    let left_s = until.since(now).div_ceil(1000);
    let moment = rfc3339(moment(shared, until));
    let detail = format!("this client has only misbehaved, and is not heard until {moment}");
    let mut refusal = Refusal::of(Reason::Blocked, 403, detail);
    refusal.retry_after_s = Some(u32::try_from(left_s).unwrap_or(u32::MAX).max(1));
    refusal.close = !brought;
    Some(refusal)
}

/// When a block ends, by the wall clock.
pub(crate) fn moment(shared: &Shared, until: Millis) -> std::time::SystemTime {
    let unix_ms = shared.moment_ms(until);
    UNIX_EPOCH + Duration::from_millis(unix_ms)
}

/// Whether a handshake's end speaks of ill will: nobody's trust, age or mistaken port does.
pub(crate) fn is_garbage(fault: HandshakeFault, spoke_http: bool) -> bool {
    match fault {
        HandshakeFault::Malformed => true,
        HandshakeFault::NotTls => !spoke_http,
        HandshakeFault::NoVersion
        | HandshakeFault::NoCipher
        | HandshakeFault::NoProtocol
        | HandshakeFault::NoCertificate
        | HandshakeFault::CertificateRefused
        | HandshakeFault::NoClientCertificate
        | HandshakeFault::BadClientCertificate
        | HandshakeFault::Alert
        | HandshakeFault::Closed
        | HandshakeFault::Timeout
        | HandshakeFault::Crowded => false,
    }
}

/// Whether a request's end is a misdeed of whoever sent it.
pub(crate) const fn is_misdeed(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::BadFraming | Reason::Bomb | Reason::ClientSlow
    )
}
