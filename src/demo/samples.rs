//! Owns the demo's requests: what a shop's pages, API and app would send, made
//! from a seeded draw so that a run can be had again. Opens no connection.

use std::io::Write as _;
use std::time::SystemTime;

use fastrand::Rng;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use super::event_id;
use super::senders::{API, APP, Manner, Project, WEB};
use crate::telemetry::clock::rfc3339;

/// One request, ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sample {
    /// Path and query.
    pub(super) target: String,
    /// Headers beyond those of every request.
    pub(super) headers: Vec<(&'static str, String)>,
    /// The body as it goes out.
    pub(super) body: Vec<u8>,
}

/// What happens somewhere in the shop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Happening {
    Error,
    Transaction,
    Session,
    ErrorWithAttachment,
    CheckIn,
    PolicyViolation,
    /// A key that no Sentry issued: the edge refuses it.
    BrokenKey,
}

/// How often each happens, in hundredths: about the mix of a small shop.
const MIX: [(Happening, u8); 7] = [
    (Happening::Error, 36),
    (Happening::Transaction, 26),
    (Happening::Session, 16),
    (Happening::ErrorWithAttachment, 8),
    (Happening::CheckIn, 7),
    (Happening::PolicyViolation, 4),
    (Happening::BrokenKey, 3),
];

/// Draws the next request.
pub(super) fn next(now: SystemTime, rng: &mut Rng) -> Sample {
    let project = [&WEB, &API, &APP]
        .into_iter()
        .nth(rng.usize(..3))
        .unwrap_or(&WEB);
    match happening(rng.u8(..100)) {
        Happening::Error => {
            let id = fresh_id(rng);
            let event = error(now, project, &id, rng);
            envelope(
                now,
                project,
                Some(&id),
                &[item("event", &json_bytes(&event))],
                rng,
            )
        }
        Happening::Transaction => {
            let id = fresh_id(rng);
            let event = transaction(now, project, &id, rng);
            envelope(
                now,
                project,
                Some(&id),
                &[item("transaction", &json_bytes(&event))],
                rng,
            )
        }
        Happening::Session => {
            let session = session(now, project, rng);
            envelope(
                now,
                project,
                None,
                &[item("session", &json_bytes(&session))],
                rng,
            )
        }
        Happening::ErrorWithAttachment => {
            let id = fresh_id(rng);
            let event = error(now, project, &id, rng);
            let items = [item("event", &json_bytes(&event)), screenshot(rng)];
            envelope(now, project, Some(&id), &items, rng)
        }
        Happening::CheckIn => {
            let check_in = json!({
                "check_in_id": fresh_id(rng), "monitor_slug": "nightly-invoices",
                "status": "ok", "duration": rng.u32(20..90), "environment": "production",
            });
            envelope(
                now,
                &API,
                None,
                &[item("check_in", &json_bytes(&check_in))],
                rng,
            )
        }
        Happening::PolicyViolation => policy_violation(rng),
        Happening::BrokenKey => {
            let items = [item("session", &json_bytes(&session(now, project, rng)))];
            let broken = Project {
                key: "changeme",
                ..WEB
            };
            envelope(now, &broken, None, &items, rng)
        }
    }
}

fn happening(draw: u8) -> Happening {
    let mut below = 0;
    for (happening, share) in MIX {
        below += share;
        if draw < below {
            return happening;
        }
    }
    Happening::Error
}

/// An item with its length announced, as the SDKs write it.
fn item(kind: &str, payload: &[u8]) -> Vec<u8> {
    let header = json!({"type": kind, "length": payload.len(), "content_type": "application/json"});
    lines(&header, payload)
}

fn screenshot(rng: &mut Rng) -> Vec<u8> {
    // Random bytes hold line feeds, as pictures do.
    let length = rng.usize(8_000..60_000);
    let picture: Vec<u8> = std::iter::repeat_with(|| rng.u8(..)).take(length).collect();
    let header = json!({
        "type": "attachment", "length": length, "filename": "screenshot.png",
        "content_type": "image/png", "attachment_type": "event.attachment",
    });
    lines(&header, &picture)
}

fn lines(header: &Value, payload: &[u8]) -> Vec<u8> {
    let mut item = header.to_string().into_bytes();
    item.push(b'\n');
    item.extend_from_slice(payload);
    item.push(b'\n');
    item
}

fn envelope(
    now: SystemTime,
    project: &Project,
    event_id: Option<&str>,
    items: &[Vec<u8>],
    rng: &mut Rng,
) -> Sample {
    let mut header = json!({
        "sent_at": rfc3339(now), "sdk": sdk(project),
        "trace": {
            "trace_id": fresh_id(rng), "public_key": project.key,
            "release": project.release, "environment": "production",
        },
    });
    if let (Some(id), Some(fields)) = (event_id, header.as_object_mut()) {
        fields.insert("event_id".to_owned(), id.into());
    }
    let mut body = header.to_string().into_bytes();
    body.push(b'\n');
    body.extend(items.concat());
    let path = format!("/api/{}/envelope/", project.id);
    let mut headers = vec![("X-Forwarded-For", forwarded_for(project, rng))];
    match project.manner {
        Manner::Browser => {
            headers.push(("Origin", "https://shop.example".to_owned()));
            headers.push(("Content-Type", "text/plain;charset=UTF-8".to_owned()));
            let client = project.client.replace('/', "%2F");
            let query = format!(
                "sentry_key={}&sentry_version=7&sentry_client={client}",
                project.key
            );
            Sample {
                target: format!("{path}?{query}"),
                headers,
                body,
            }
        }
        Manner::Server => {
            let (key, client) = (project.key, project.client);
            let auth = format!("Sentry sentry_key={key}, sentry_version=7, sentry_client={client}");
            headers.push(("X-Sentry-Auth", auth));
            headers.push(("Content-Type", "application/x-sentry-envelope".to_owned()));
            headers.push(("Content-Encoding", "gzip".to_owned()));
            Sample {
                target: path,
                headers,
                body: gzip(&body),
            }
        }
    }
}

/// The client's address as a proxy in front would write it, now and then behind
/// one that the client made up: the edge must show the real one.
fn forwarded_for(project: &Project, rng: &mut Rng) -> String {
    let client = project
        .clients
        .get(rng.usize(..project.clients.len().max(1)));
    let client = client.copied().unwrap_or("192.0.2.1");
    if rng.u8(..10) == 0 {
        format!("192.0.2.66, {client}")
    } else {
        client.to_owned()
    }
}

fn error(now: SystemTime, project: &Project, id: &str, rng: &mut Rng) -> Value {
    let (kind, text) = pick(project.errors, rng).unwrap_or(("Error", "unknown"));
    let frames: Vec<Value> = (0..rng.u32(4..18))
        .map(|depth| {
            json!({
                "function": format!("step_{depth}"), "module": format!("shop.orders.part_{}", depth % 5),
                "filename": format!("shop/orders/part_{}", depth % 5), "lineno": 40 + depth * 7,
                "in_app": depth % 3 == 0,
            })
        })
        .collect();
    json!({
        "event_id": id, "timestamp": rfc3339(now), "platform": project.platform, "level": "error",
        "release": project.release, "environment": "production", "sdk": sdk(project),
        "exception": {"values": [{"type": kind, "value": text, "stacktrace": {"frames": frames}}]},
        "breadcrumbs": {"values": [{"category": "ui.click", "message": "button#buy", "timestamp": rfc3339(now)}]},
        "tags": {"shop": "example", "currency": "EUR"},
    })
}

fn transaction(now: SystemTime, project: &Project, id: &str, rng: &mut Rng) -> Value {
    let trace_id = fresh_id(rng);
    let spans: Vec<Value> = (0..rng.u32(3..25))
        .map(|_| {
            json!({
                "trace_id": trace_id, "span_id": span_id(rng), "op": "db.query",
                "description": "SELECT * FROM product WHERE id = %s", "start_timestamp": rfc3339(now),
                "timestamp": rfc3339(now),
            })
        })
        .collect();
    json!({
        "event_id": id, "type": "transaction", "transaction": pick(project.transactions, rng),
        "start_timestamp": rfc3339(now), "timestamp": rfc3339(now), "platform": project.platform,
        "release": project.release, "environment": "production", "sdk": sdk(project),
        "contexts": {"trace": {"trace_id": trace_id, "span_id": span_id(rng), "op": "http.server"}},
        "spans": spans,
    })
}

fn session(now: SystemTime, project: &Project, rng: &mut Rng) -> Value {
    let status = if rng.u8(..10) == 0 {
        "crashed"
    } else {
        "exited"
    };
    json!({
        "sid": event_id::dashed(&fresh_id(rng)), "init": true, "status": status, "errors": 0,
        "started": rfc3339(now), "timestamp": rfc3339(now), "duration": rng.u32(5..900),
        "attrs": {"release": project.release, "environment": "production"},
    })
}

/// What a browser reports by itself when a page loads what its policy forbids.
fn policy_violation(rng: &mut Rng) -> Sample {
    let report = json!({"csp-report": {
        "document-uri": "https://shop.example/checkout", "violated-directive": "script-src",
        "effective-directive": "script-src", "blocked-uri": "https://ads.example/a.js",
        "original-policy": "script-src 'self'", "status-code": 200,
    }});
    Sample {
        target: format!(
            "/api/{}/security/?sentry_key={}&sentry_release={}",
            WEB.id, WEB.key, WEB.release
        ),
        headers: vec![
            ("X-Forwarded-For", forwarded_for(&WEB, rng)),
            ("Content-Type", "application/csp-report".to_owned()),
        ],
        body: json_bytes(&report),
    }
}

fn sdk(project: &Project) -> Value {
    let (name, version) = project
        .client
        .split_once('/')
        .unwrap_or((project.client, "0"));
    json!({"name": name, "version": version})
}

fn pick<T: Copy>(from: &[T], rng: &mut Rng) -> Option<T> {
    from.get(rng.usize(..from.len().max(1))).copied()
}

fn fresh_id(rng: &mut Rng) -> String {
    event_id::from_bits(rng.u128(..))
}

fn span_id(rng: &mut Rng) -> String {
    format!("{:016x}", rng.u64(1..))
}

fn json_bytes(value: &Value) -> Vec<u8> {
    value.to_string().into_bytes()
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let packed = encoder.write_all(body).and_then(|()| encoder.finish());
    packed.expect("writing to memory does not fail")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    fn draws(seed: u64, count: usize) -> Vec<Sample> {
        let mut rng = Rng::with_seed(seed);
        let now = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        std::iter::repeat_with(|| next(now, &mut rng))
            .take(count)
            .collect()
    }

    #[test]
    fn a_seed_gives_the_same_traffic_again() {
        assert_eq!(draws(7, 50), draws(7, 50));
        assert_ne!(draws(7, 50), draws(8, 50));
    }

    #[test]
    fn shares_add_up_to_a_hundred_and_each_happens() {
        assert_eq!(
            MIX.iter().map(|(_, share)| u32::from(*share)).sum::<u32>(),
            100
        );
        for (wanted, _) in MIX {
            assert!(
                (0..100).any(|draw| happening(draw) == wanted),
                "{wanted:?} never happens"
            );
        }
    }

    #[test]
    fn all_projects_and_both_manners_are_seen_soon() {
        let samples = draws(1, 200);
        let projects: BTreeSet<_> = samples
            .iter()
            .filter_map(|sample| sample.target.split('/').nth(2))
            .collect();
        assert_eq!(projects, BTreeSet::from(["1", "2", "3"]));
        let packed = |sample: &&Sample| {
            sample
                .headers
                .iter()
                .any(|(name, _)| *name == "Content-Encoding")
        };
        let packed = samples.iter().filter(packed).count();
        assert!(packed > 20 && packed < 180, "{packed} of 200 are packed");
    }

    #[test]
    fn each_names_the_release_that_it_is_of() {
        let samples = draws(3, 100);
        let plain = samples
            .iter()
            .filter(|sample| sample.body.starts_with(b"{"));
        let lines = plain.filter_map(|sample| sample.body.split(|byte| *byte == b'\n').next());
        let headers = lines.filter_map(|line| serde_json::from_slice::<Value>(line).ok());
        let traces = headers.filter_map(|header| header.get("trace").cloned());
        let releases: BTreeSet<String> = traces.map(|trace| trace["release"].to_string()).collect();
        assert!(
            releases.contains(&format!("\"{}\"", WEB.release)),
            "{releases:?}"
        );
    }

    #[test]
    fn requests_stay_small() {
        for sample in draws(2, 300) {
            assert!(
                sample.body.len() < 100_000,
                "{} bytes to {}",
                sample.body.len(),
                sample.target
            );
            assert!(sample.target.len() < 1000);
        }
    }
}
