//! sentry-cli through the edge: every byte of what it uploads arrives.

use std::fs;
use std::path::Path;

use libtest_mimic::Trial;
use serde_json::Value;

use crate::parts::{Part, promises, python};
use crate::way::{CLIENT, Front, Served, Way, run};

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = promises![&[Part::Python]; sentry_cli_uploads_every_byte];
    trials.extend(promises![&[Part::Python, Part::Nginx];
        sentry_cli_uploads_every_byte_through_nginx,
    ]);
    trials
}

#[track_caller]
fn check_uploads(front: Front) {
    let folder = tempfile::tempdir().unwrap();
    let got = folder.path();
    let fake = Served::start("fake_chunk_upload.py", &[got.to_str().unwrap()]);
    let way = Way::to(&format!("http://{}", fake.address("url: http://")), front);
    let url = format!("http://{}/", way.tap.address);
    let given = run(
        &python().unwrap(),
        "upload.py",
        &[&url, "--megabytes", "20", "--files", "3"],
    );
    let problems = fs::read_to_string(got.join("problems.txt")).unwrap_or_default();
    assert_eq!(problems, "", "chunks were not what their names say");
    let files = given.iter().filter(|line| line["kind"] == "debug-files");
    let mut count = 0;
    for file in files {
        let sha1 = file["sha1"].as_str().unwrap();
        let assembled = fs::metadata(got.join("assembled").join(sha1));
        assert_eq!(
            assembled.unwrap().len(),
            file["bytes"].as_u64().unwrap(),
            "{file}"
        );
        count += 1;
    }
    assert_eq!(count, 3, "{given:?}");
    // Each request by itself: its target, its length and its headers' words.
    let lines = fs::read_to_string(got.join("requests.jsonl")).unwrap();
    let arrived: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    for seen in &arrived {
        assert_eq!(values(seen, "x-forwarded-for"), [CLIENT.to_string()]);
        assert_eq!(values(seen, "authorization").len(), 1, "{seen}");
    }
    let mut arrived: Vec<(String, u64)> = arrived
        .iter()
        .map(|seen| {
            (
                seen["target"].as_str().unwrap().to_owned(),
                seen["bytes"].as_u64().unwrap(),
            )
        })
        .collect();
    let sent = way.tap.sent();
    let mut departed: Vec<(String, u64)> = sent
        .iter()
        .map(|sent| {
            (
                String::from_utf8(sent.head.words().swap_remove(1)).unwrap(),
                sent.body.len() as u64,
            )
        })
        .collect();
    arrived.sort();
    departed.sort();
    assert_eq!(arrived, departed);
    let parts: Vec<_> = fs::read_dir(got.join("parts"))
        .unwrap()
        .map(|part| part.unwrap().path())
        .collect();
    // The debug files alone are three chunks each.
    assert!(parts.len() >= 9, "{} parts are not an upload", parts.len());
    for part in parts {
        let bytes = fs::read(&part).unwrap();
        let named = sent.iter().filter(|sent| holds_name(&sent.body, &part));
        assert!(
            named.map(|sent| contains(&sent.body, &bytes)).eq([true]),
            "{} was not sent once, as it arrived",
            part.display()
        );
    }
}

/// All values that the fake was given of a header.
pub(crate) fn values(seen: &Value, name: &str) -> Vec<String> {
    let lines = seen["headers"].as_array().unwrap().iter();
    lines
        .filter(|line| line[0].as_str().unwrap().eq_ignore_ascii_case(name))
        .map(|line| line[1].as_str().unwrap().to_owned())
        .collect()
}

/// Whether a form's body names this part's file.
fn holds_name(body: &[u8], part: &Path) -> bool {
    let name = part.file_name().unwrap().to_str().unwrap();
    contains(body, format!("filename=\"{name}\"").as_bytes())
}

/// Whether `bytes` stand in `body`; both may be large.
fn contains(body: &[u8], bytes: &[u8]) -> bool {
    memchr::memmem::find(body, bytes).is_some()
}

fn sentry_cli_uploads_every_byte() {
    check_uploads(Front::Nothing);
}

fn sentry_cli_uploads_every_byte_through_nginx() {
    check_uploads(Front::Nginx);
}
