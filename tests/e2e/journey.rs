//! One run of a real client and all that came of it: what it says it sent, what
//! passed on its wire, what arrived. Holds the three against each other; knows no
//! client.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::Path;

use serde_json::Value;

use crate::tap::Sent;
use crate::upstream::{Ended, Fake, Request};
use crate::way::{CLIENT, Way, run};

/// What came of a client's run.
pub(crate) struct Journey {
    script: String,
    told: Vec<Value>,
    /// Every request on the client's wire, preflights too.
    pub(crate) sent: Vec<Sent>,
    seen: Vec<Request>,
    host: String,
}

impl Journey {
    /// Runs a client along a way that ends at this fake, until all it posted arrived.
    #[track_caller]
    pub(crate) fn along(
        way: &Way,
        fake: &Fake,
        (program, script): (&Path, &str),
        arguments: &[&str],
    ) -> Self {
        let dsn = way.dsn(42);
        let told = run(program, script, &[&[dsn.as_str()], arguments].concat());
        let sent = way.tap.sent();
        let posted = sent.iter().filter(|sent| is_post(sent)).count();
        let seen = fake.wait_for("all that was sent", |ledger| {
            let all = ledger.requests.len() >= posted;
            (all && ledger.requests.iter().all(|seen| seen.ended != Ended::Open))
                .then(|| ledger.requests.clone())
        });
        Self {
            script: [&[script], arguments].concat().join(" "),
            told,
            sent,
            seen,
            host: way.tap.address.to_string(),
        }
    }

    /// What the client posted; a preflight is the edge's to answer.
    pub(crate) fn posted(&self) -> impl Iterator<Item = &Sent> {
        self.sent.iter().filter(|sent| is_post(sent))
    }

    /// All that was posted arrived byte by byte, with the client's address; `place`
    /// is what a target on either side of the edge is compared by.
    #[track_caller]
    pub(crate) fn check_arrival(&self, place: impl Fn(&[u8]) -> Vec<u8>) {
        let script = &self.script;
        let mut arrived: Vec<(Vec<u8>, Vec<String>, &[u8])> = self
            .seen
            .iter()
            .map(|seen| {
                (
                    place(&seen.target),
                    seen.headers.all("content-encoding"),
                    seen.body.as_slice(),
                )
            })
            .collect();
        let mut departed: Vec<(Vec<u8>, Vec<String>, &[u8])> = self
            .posted()
            .map(|sent| {
                (
                    place(&target(sent)),
                    sent.head.headers.all("content-encoding"),
                    sent.body.as_slice(),
                )
            })
            .collect();
        assert_eq!(
            arrived.len(),
            departed.len(),
            "{script}: not as many arrived as were sent"
        );
        arrived.sort();
        departed.sort();
        assert!(
            arrived == departed,
            "{script}: what arrived is not what was sent"
        );
        for request in &self.seen {
            let from = request.headers.all("x-forwarded-for");
            assert_eq!(from, [CLIENT.to_string()], "{script}");
            let host = request.headers.all("host");
            assert_eq!(host, [self.host.as_str()], "{script}");
        }
    }

    /// The client sent all of these kinds, and whatever it told of is in a body.
    #[track_caller]
    pub(crate) fn check_told(&self, wanted: &[&str]) {
        let script = &self.script;
        let kinds: BTreeSet<&str> = self
            .told
            .iter()
            .filter_map(|line| line["kind"].as_str())
            .collect();
        let wanted = wanted.iter().copied().collect();
        assert!(kinds.is_superset(&wanted), "{script}: {kinds:?}");
        let bodies: Vec<String> = self.seen.iter().map(readable).collect();
        for line in &self.told {
            let id = line["event_id"].as_str().unwrap();
            let plain = id.replace('-', "");
            let holds = |body: &String| body.contains(id) || body.replace('-', "").contains(&plain);
            assert!(bodies.iter().any(holds), "{script}: {line} is in no body");
        }
    }

    /// Each of these words is in something that arrived.
    #[track_caller]
    pub(crate) fn check_words(&self, words: &[&str]) {
        let bodies: Vec<String> = self.seen.iter().map(readable).collect();
        for word in words {
            assert!(
                bodies.iter().any(|body| body.contains(word)),
                "{}: {word} is in no body: this test proves nothing",
                self.script
            );
        }
    }
}

fn is_post(sent: &Sent) -> bool {
    sent.head.first.starts_with(b"POST ")
}

/// Path and query as the client wrote them.
pub(crate) fn target(sent: &Sent) -> Vec<u8> {
    sent.head.words().swap_remove(1)
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
