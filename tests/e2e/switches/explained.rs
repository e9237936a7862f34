//! What `explain` tells of switches that are on.

use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::explained::envelope_explained;
use crate::parts::promises;
use crate::upstream::Fake;

use super::{EVENT, delete, edge, switch};

pub(super) fn trials() -> Vec<Trial> {
    promises![&[];
        an_explanation_tells_of_a_mute_and_moves_no_limit,
    ]
}

fn an_explanation_tells_of_a_mute_and_moves_no_limit() {
    let fake = Fake::start();
    let edge = edge(&fake, &json!({}));
    let mute = |told: &Value| {
        let steps = told["steps"].as_array().unwrap();
        let mut found = steps.iter().filter(|step| step["step"] == "mute");
        found.next().unwrap()["result"].clone()
    };
    let told = envelope_explained(&edge, EVENT);
    assert_eq!(
        (mute(&told), &told["verdict"]),
        (json!("none"), &json!("forwarded"))
    );
    switch(&edge, json!({"category": "error"}));
    let told = envelope_explained(&edge, EVENT);
    assert_eq!(mute(&told), "error");
    assert_eq!(
        (&told["status"], &told["reason"]),
        (&json!(429), &json!("muted"))
    );
    switch(&edge, json!({}));
    let told = envelope_explained(&edge, b"");
    assert_eq!(mute(&told), "error; all");
    assert_eq!(
        (&told["status"], &told["reason"]),
        (&json!(429), &json!("muted"))
    );
    switch(&edge, json!({"category": "error", "value": "1%"}));
    assert_eq!(
        mute(&envelope_explained(&edge, EVENT)),
        "all; error but for 1%"
    );
    delete(&edge, &json!(2));
    // Of a hundred requests ninety-nine hear 429.
    let told = envelope_explained(&edge, EVENT);
    assert_eq!(
        (&told["verdict"], &told["status"], &told["reason"]),
        (&json!("refused"), &json!(429), &json!("muted"))
    );
    let steps = told["steps"].to_string();
    for words in ["share that passes", "muted but for 1% of requests until 20"] {
        assert!(steps.contains(words), "no {words} in {steps}");
    }
    delete(&edge, &json!(3));
    switch(&edge, json!({"action": "limit", "value": "1/30d"}));
    for _ in 0..3 {
        assert_eq!(envelope_explained(&edge, EVENT)["verdict"], "forwarded");
    }
    assert_eq!(edge.post_envelope(&[], EVENT).status, 200);
    let told = envelope_explained(&edge, EVENT);
    assert_eq!(told["reason"], "limited");
    let steps = told["steps"].to_string();
    assert!(!steps.contains("limited limited"), "{steps}");
}
