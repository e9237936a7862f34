//! What mirrors have got so far, and how they compare with the first Sentry. Reads, never asks one.

use std::sync::atomic::Ordering::Relaxed;

use serde_json::{Map, Value, json};

use crate::telemetry::mirrors::MirrorCounts;

use crate::server::worker::Shared;

/// Each of them, in their order.
pub(super) fn told(shared: &Shared) -> Vec<Value> {
    shared.mirrors.counts().map(|counts| one(counts)).collect()
}

fn one(counts: &MirrorCounts) -> Value {
    let of = |count: &std::sync::atomic::AtomicU64| count.load(Relaxed);
    let lost = counts.lost().filter(|(_, requests)| *requests > 0);
    let lost: Map<String, Value> = lost
        .map(|(loss, requests)| (loss.as_str().to_owned(), requests.into()))
        .collect();
    let answers = counts.answered().map(|(status, requests)| {
        let status = match status {
            0 => "none".to_owned(),
            status => status.to_string(),
        };
        (status, Value::from(requests))
    });
    let compared = counts.compared();
    let took = |us: Option<[u64; 2]>| {
        us.map(|[p50, p95]| json!({"p50_ms": milliseconds(p50), "p95_ms": milliseconds(p95)}))
    };
    let (memory, disk) = (of(&counts.in_memory), of(&counts.on_disk));
    json!({
        "name": counts.name,
        "taken": of(&counts.taken),
        "carried": of(&counts.carried),
        "sent": of(&counts.sent),
        "held": memory + disk,
        "lost": lost,
        "waiting": {
            "memory": memory,
            "disk": disk,
            "disk_bytes": of(&counts.disk_bytes),
            "oldest_s": of(&counts.oldest_s),
            "set_aside": of(&counts.aside),
        },
        "compared": {
            "first_kept": of(&counts.first_kept),
            "answers": answers.collect::<Map<String, Value>>(),
            "requests": compared.requests,
            "first": took(compared.first_us),
            "mirror": took(compared.mirror_us),
        },
    })
}

/// To the tenth: the buckets are no finer.
fn milliseconds(us: u64) -> f64 {
    let tenths = u32::try_from(us / 100).unwrap_or(u32::MAX);
    f64::from(tenths) / 10.0
}
