//! Sentry's SDKs through the edge, with nginx in front and without: what they send
//! arrives in its original bytes with the address they come from. What the clients
//! do is theirs; the scripts that run them lie in `tests/clients/`.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::Path;

use crate::parts::{Part, node, promises, python};
use crate::tap::Sent;
use crate::upstream::{Ended, Fake, Request};
use crate::way::{CLIENT, Front, Way, run};
use libtest_mimic::Trial;

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = promises![&[Part::Python];
        python_sdk_arrives_in_its_own_bytes,
        python_sdk_arrives_over_fresh_connections,
    ];
    trials.extend(promises![&[Part::Node];
        node_sdk_arrives_in_its_own_bytes,
        node_sdk_streams_a_large_attachment,
    ]);
    trials.extend(promises![&[Part::Browser];
        browser_sdk_arrives_across_origins,
        browser_sdk_arrives_after_a_preflight,
        a_closing_page_loses_nothing,
    ]);
    trials.extend(promises![&[Part::Python, Part::Nginx];
        python_sdk_arrives_through_nginx,
    ]);
    trials.extend(promises![&[Part::Node, Part::Nginx]; node_sdk_arrives_through_nginx]);
    trials.extend(promises![&[Part::Browser, Part::Nginx]; browser_sdk_arrives_through_nginx]);
    trials
}

/// A client's run towards a fake: all it sent arrived, byte by byte, from its address.
#[track_caller]
fn check_client(program: &Path, script: &str, arguments: &[&str], front: Front) -> Vec<Sent> {
    let fake = Fake::start();
    let way = Way::to(&fake.url(), front);
    let dsn = way.dsn(42);
    let told = run(program, script, &[&[dsn.as_str()], arguments].concat());
    let sent: Vec<Sent> = way.tap.sent();
    let posted: Vec<&Sent> = sent
        .iter()
        .filter(|sent| sent.head.first.starts_with(b"POST "))
        .collect();
    let seen = fake.wait_for("all that was sent", |ledger| {
        let all = ledger.requests.len() >= posted.len();
        (all && ledger.requests.iter().all(|seen| seen.ended != Ended::Open))
            .then(|| ledger.requests.clone())
    });
    assert_eq!(
        seen.len(),
        posted.len(),
        "{script}: not as many arrived as were sent"
    );
    let mut arrived: Vec<(Vec<u8>, Vec<String>, &[u8])> = seen.iter().map(essence).collect();
    let mut departed: Vec<(Vec<u8>, Vec<String>, &[u8])> = posted
        .iter()
        .map(|sent| {
            (
                sent.head.words().swap_remove(1),
                sent.head.headers.all("content-encoding"),
                sent.body.as_slice(),
            )
        })
        .collect();
    arrived.sort();
    departed.sort();
    assert!(
        arrived == departed,
        "{script}: what arrived is not what was sent"
    );
    for request in &seen {
        assert_eq!(
            request.headers.all("x-forwarded-for"),
            [CLIENT.to_string()],
            "{script}"
        );
        assert_eq!(
            request.headers.all("host"),
            [way.tap.address.to_string()],
            "{script}"
        );
    }
    let bodies: Vec<String> = seen.iter().map(readable).collect();
    let kinds: BTreeSet<&str> = told
        .iter()
        .filter_map(|line| line["kind"].as_str())
        .collect();
    assert!(
        kinds.is_superset(&BTreeSet::from(["error", "session", "attachment"])),
        "{kinds:?}"
    );
    for line in &told {
        let id = line["event_id"].as_str().unwrap();
        let plain = id.replace('-', "");
        let holds = |body: &String| body.contains(id) || body.replace('-', "").contains(&plain);
        assert!(bodies.iter().any(holds), "{script}: {line} is in no body");
    }
    sent
}

fn essence(request: &Request) -> (Vec<u8>, Vec<String>, &[u8]) {
    (
        request.target.clone(),
        request.headers.all("content-encoding"),
        request.body.as_slice(),
    )
}

/// A body without its compression, as text.
pub(crate) fn readable(request: &Request) -> String {
    let mut plain = Vec::new();
    let body = request.body.as_slice();
    let inflated = match request.headers.one("content-encoding").as_deref() {
        Some("gzip") => flate2::read::GzDecoder::new(body).read_to_end(&mut plain),
        Some("br") => brotli_decompressor::Decompressor::new(body, 4096).read_to_end(&mut plain),
        _ => body.take(u64::MAX).read_to_end(&mut plain),
    };
    inflated.unwrap();
    String::from_utf8_lossy(&plain).into_owned()
}

fn python_sdk_arrives_in_its_own_bytes() {
    for compression in ["default", "gzip", "none"] {
        let arguments = ["--compression", compression];
        check_client(
            &python().unwrap(),
            "python_sdk.py",
            &arguments,
            Front::Nothing,
        );
    }
}

fn python_sdk_arrives_over_fresh_connections() {
    let arguments = ["--fresh-connections", "--rounds", "5"];
    check_client(
        &python().unwrap(),
        "python_sdk.py",
        &arguments,
        Front::Nothing,
    );
}

fn python_sdk_arrives_through_nginx() {
    check_client(&python().unwrap(), "python_sdk.py", &[], Front::Nginx);
}

fn node_sdk_arrives_in_its_own_bytes() {
    check_client(&node(), "node_sdk.mjs", &[], Front::Nothing);
}

fn node_sdk_streams_a_large_attachment() {
    let sent = check_client(&node(), "node_sdk.mjs", &["--large"], Front::Nothing);
    let chunked = sent
        .iter()
        .any(|sent| !sent.head.headers.all("transfer-encoding").is_empty());
    assert!(
        chunked,
        "the SDK no longer sends large envelopes in chunks: this test proves nothing"
    );
}

fn node_sdk_arrives_through_nginx() {
    check_client(&node(), "node_sdk.mjs", &[], Front::Nginx);
}

fn browser_sdk_arrives_across_origins() {
    check_client(&node(), "browser.mjs", &[], Front::Nothing);
}

fn browser_sdk_arrives_after_a_preflight() {
    let sent = check_client(&node(), "browser.mjs", &["--preflight"], Front::Nothing);
    let asked = sent
        .iter()
        .any(|sent| sent.head.first.starts_with(b"OPTIONS "));
    assert!(
        asked,
        "the browser asked for no preflight: this test proves nothing"
    );
}

fn browser_sdk_arrives_through_nginx() {
    check_client(&node(), "browser.mjs", &[], Front::Nginx);
}

fn a_closing_page_loses_nothing() {
    check_client(&node(), "browser.mjs", &["--close-at-end"], Front::Nothing);
}
