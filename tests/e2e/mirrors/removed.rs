//! A mirror that is taken out of the file while something is kept for it: that is told until it is
//! back, or its folder is gone.

use libtest_mimic::Trial;
use rustix::process::Signal;
use serde_json::{Value, json};

use super::{check_taken_any, mirroring, settled, wait_told};
use crate::edge::Edge;
use crate::parts::promises;
use crate::spool::{arrived, event};
use crate::upstream::{Fake, Silent};

pub(crate) fn trials() -> Vec<Trial> {
    promises![&[];
        what_is_kept_for_a_mirror_that_is_gone_is_told,
        a_mirror_that_is_gone_and_had_everything_is_not_told,
    ]
}

fn ended(mut edge: Edge) {
    edge.signal(Signal::TERM);
    assert!(edge.wait_end().success());
}

/// Why the light is not green, as far as that is mirrors.
fn reasons(edge: &Edge) -> Vec<String> {
    let status = edge.admin_get("/api/v1/status").json();
    let all = status["reasons"].as_array().unwrap().iter();
    let all = all.filter_map(Value::as_str);
    let told = all.filter(|reason| reason.starts_with("mirrors: "));
    told.map(str::to_owned).collect()
}

fn what_is_kept_for_a_mirror_that_is_gone_is_told() {
    let (first, down) = (Fake::start(), Silent::reserve());
    let url = down.url();
    let place = tempfile::tempdir().unwrap();
    let none = json!({"mirrors": []});
    let start = |changes: &Value| mirroring(&first.url(), &url, place.path(), changes);
    let edge = start(&json!({}));
    for number in 0..3 {
        check_taken_any(&edge.post_envelope(&[], &event(number)));
    }
    wait_told(&edge, "kept", |told| told["waiting"]["disk"] == 3);
    assert_eq!(reasons(&edge), Vec::<String>::new());
    ended(edge);
    let edge = start(&none);
    let all = reasons(&edge);
    let [said] = &all[..] else {
        panic!("{all:?}");
    };
    let folder = place.path().join("mirrors/next");
    for words in [
        "3 requests",
        "no mirror is called next",
        &folder.display().to_string(),
    ] {
        assert!(said.contains(words), "no {words:?} in {said}");
    }
    edge.log
        .wait_for_text("is kept for a mirror that is not configured any more");
    ended(edge);
    // Back, it gets what was kept.
    let edge = start(&json!({}));
    assert_eq!(reasons(&edge), Vec::<String>::new());
    let second = down.listen(|exchange| {
        exchange.read_body()?;
        exchange.answer(200, &[], b"{}")
    });
    arrived(&second, 3);
    settled(&edge);
}

fn a_mirror_that_is_gone_and_had_everything_is_not_told() {
    let (first, second) = (Fake::start(), Silent::reserve());
    let url = second.url();
    let place = tempfile::tempdir().unwrap();
    let start = |changes: &Value| mirroring(&first.url(), &url, place.path(), changes);
    let edge = start(&json!({}));
    for number in 0..3 {
        check_taken_any(&edge.post_envelope(&[], &event(number)));
    }
    wait_told(&edge, "kept", |told| told["waiting"]["disk"] == 3);
    ended(edge);
    let kept = start(&json!({"mirrors": []}));
    assert_eq!(reasons(&kept).len(), 1);
    // Somebody takes the folder away, which no process holds.
    std::fs::remove_dir_all(place.path().join("mirrors/next")).unwrap();
    assert_eq!(reasons(&kept), Vec::<String>::new());
    ended(kept);
    let edge = start(&json!({}));
    check_taken_any(&edge.post_envelope(&[], &event(3)));
    let up = second.listen(|exchange| {
        exchange.read_body()?;
        exchange.answer(200, &[], b"{}")
    });
    arrived(&up, 1);
    settled(&edge);
    ended(edge);
    assert_eq!(
        reasons(&start(&json!({"mirrors": []}))),
        Vec::<String>::new()
    );
}
