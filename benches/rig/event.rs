//! An error event as an envelope, of any size to the byte. The same bytes on every machine and
//! every run.

use serde_json::{Value, json};

/// Whose events they are: the one key of project 42.
pub(crate) const KEY: &str = "a94ae32be2584e0bbd7a4cbb95971fee";
const EVENT_ID: &str = "9ec79c33ec9942ab8353589fcb2e04dc";
const SDK: (&str, &str) = ("sentry.python", "2.43.0");
/// No event of these sizes has more; it ends the search for a frame that still fits.
const FRAMES_MAX: usize = 1_000;

/// An envelope of exactly so many bytes: as many stack frames as fit, the rest a variable.
pub(crate) fn envelope_of(bytes: usize) -> Vec<u8> {
    let fits = |frames: &usize| envelope(*frames, 0).len() <= bytes;
    let frames = (1..FRAMES_MAX).take_while(fits).last().unwrap_or(1);
    let mut filler = bytes.saturating_sub(envelope(frames, 0).len());
    // The filler also lengthens the number that announces the payload, by a digit at most.
    filler -= envelope(frames, filler)
        .len()
        .saturating_sub(bytes)
        .min(filler);
    envelope(frames, filler)
}

fn envelope(frames: usize, filler: usize) -> Vec<u8> {
    let payload = event(frames, filler).to_string();
    let sdk = json!({"name": SDK.0, "version": SDK.1});
    let header = json!({"event_id": EVENT_ID, "sent_at": "2026-11-20T10:15:30.250Z", "sdk": sdk});
    let item = json!({
        "type": "event", "content_type": "application/json", "length": payload.len(),
    });
    format!("{header}\n{item}\n{payload}\n").into_bytes()
}

fn event(frames: usize, filler: usize) -> Value {
    let stack: Vec<Value> = (0..frames).map(frame).collect();
    json!({
        "event_id": EVENT_ID,
        "timestamp": "2026-11-20T10:15:30.000Z",
        "platform": "python",
        "level": "error",
        "release": "shop@4.12.0",
        "environment": "production",
        "server_name": "web-3",
        "transaction": "/checkout/{cart}/pay",
        "sdk": {"name": SDK.0, "version": SDK.1},
        "tags": {"region": "eu-west", "plan": "team"},
        "exception": {"values": [{
            "type": "KeyError",
            "value": "'currency'",
            "mechanism": {"type": "django", "handled": false},
            "stacktrace": {"frames": stack},
        }]},
        "extra": {"cart": words(filler)},
    })
}

fn frame(depth: usize) -> Value {
    json!({
        "module": format!("shop.checkout.step{depth}"),
        "filename": format!("shop/checkout/step{depth}.py"),
        "function": "charge",
        "lineno": 40 + depth * 7,
        "context_line": "    return gateway.charge(cart.total, cart[\"currency\"])",
        "in_app": depth.is_multiple_of(2),
    })
}

/// Words of plain letters, so that a byte of text is a byte of JSON.
fn words(bytes: usize) -> String {
    ["amber ", "basket ", "copper ", "delta ", "ember ", "fjord "]
        .iter()
        .cycle()
        .flat_map(|word| word.chars())
        .take(bytes)
        .collect()
}
