//! A chunk upload whose `Content-Encoding` speaks of its parts, not of its form:
//! header and bytes cross untouched, so that a server which takes the header at
//! its word finds the chunk. An upstream decodes here; the edge never may.

use std::fs;

use flate2::Compression;
use flate2::write::GzEncoder;
use libtest_mimic::Trial;
use serde_json::Value;

use crate::client::ask;
use crate::parts::{Part, promises};
use crate::sentry_cli::values;
use crate::way::{CLIENT, Front, Served, Way};

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = promises![&[Part::Python]; it_crosses_untouched];
    trials.extend(promises![&[Part::Python, Part::Nginx]; it_crosses_untouched_through_nginx]);
    trials
}

/// A million times the letter a, and its SHA-1 as FIPS 180 gives it.
const CHUNK: &[u8] = &[b'a'; 1_000_000];
const CHUNK_SHA1: &str = "34aa973cd4c4daa4f61eeb2bdbad27316534016f";

const UPLOAD: &str = "/api/0/organizations/acme/chunk-upload/";

#[track_caller]
fn check_untouched(front: Front) {
    let folder = tempfile::tempdir().unwrap();
    let got = folder.path();
    let fake = Served::start("fake_chunk_upload.py", &[got.to_str().unwrap()]);
    let way = Way::to(&format!("http://{}", fake.address("url: http://")), front);
    let part = stored_gzip(CHUNK);
    let body = [
        b"--b0und\r\nContent-Disposition: form-data; name=\"file\"; filename=\"".as_slice(),
        CHUNK_SHA1.as_bytes(),
        b"\"\r\nContent-Type: application/octet-stream\r\n\r\n",
        &part,
        b"\r\n--b0und--\r\n",
    ]
    .concat();
    let headers = [
        ("Content-Type", "multipart/form-data; boundary=b0und"),
        ("Content-Encoding", "gzip"),
        ("Authorization", "Bearer sntrys_token"),
    ];
    let answer = ask(way.tap.address, "POST", UPLOAD, &headers, &body);
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(
        fs::read(got.join("parts").join(CHUNK_SHA1)).unwrap() == part,
        "the part changed on its way"
    );
    assert!(
        fs::read(got.join("chunks").join(CHUNK_SHA1)).unwrap() == CHUNK,
        "the part is not the chunk"
    );
    let lines = fs::read_to_string(got.join("requests.jsonl")).unwrap();
    let seen: Value = serde_json::from_str(lines.trim()).unwrap();
    assert_eq!(seen["bytes"], body.len(), "{seen}");
    let address = CLIENT.to_string();
    for (name, want) in headers.into_iter().chain([("X-Forwarded-For", &*address)]) {
        assert_eq!(values(&seen, name), [want], "{name}");
    }
}

/// Gzip that stays as long as its content, so that it streams.
fn stored_gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut encoder = GzEncoder::new(Vec::new(), Compression::none());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn it_crosses_untouched() {
    check_untouched(Front::Nothing);
}

fn it_crosses_untouched_through_nginx() {
    check_untouched(Front::Nginx);
}
