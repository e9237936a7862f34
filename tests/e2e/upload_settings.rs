//! What uploaders are told before they upload, made to fit what stands in front: sentry-cli
//! uploads through a proxy with a cap where it is, and fails where it is not.

use std::fs;
use std::process::{Output, Stdio};

use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::client::{Answer, Client, request};
use crate::edge::Edge;
use crate::exchange::Next;
use crate::front::Nginx;
use crate::parts::{Part, promises, python};
use crate::patterns;
use crate::senders::reload;
use crate::upstream::Fake;
use crate::way::{Served, script_command};

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = promises![&[];
        nothing_is_changed_where_nothing_is_asked,
        sizes_and_place_are_made_to_fit_and_the_rest_stays,
        the_place_is_the_host_that_proxies_are_believed_about,
        what_cannot_be_read_passes_as_it_came_and_is_counted,
        only_whole_answers_to_that_question_are_touched,
    ];
    trials.extend(promises![&[Part::Python, Part::Nginx];
        sentry_cli_uploads_through_a_cap_once_it_is_told_of_it,
        no_request_of_many_small_files_is_over_the_cap,
    ]);
    trials
}

const PATH: &str = "/api/0/organizations/acme/chunk-upload/";

/// Where a Sentry whose operator never set system.url-prefix has chunks sent.
const INSIDE: &str = "http://web:9000";

fn told(url: &str, chunk: u64, request: u64) -> String {
    format!(
        "{{\"url\":\"{url}{PATH}\",\"chunkSize\":{chunk},\"chunksPerRequest\":64,\
         \"maxFileSize\":2147483648,\"maxRequestSize\":{request},\"concurrency\":8, \"later\":[1.0]}}"
    )
}

const JSON: (&str, &str) = ("content-type", "application/json");

/// A web that answers so whatever is asked.
fn web(status: u16, headers: &'static [(&str, &str)], body: Vec<u8>) -> Fake {
    Fake::with(move |exchange| {
        exchange.read_body()?;
        exchange.answer(status, headers, &body)
    })
}

fn before(fake: &Fake, uploads: Value) -> Edge {
    let changes = json!({
        "uploads": uploads,
        "client_ip": {"trusted_proxies": ["127.0.0.1/32"]},
    });
    Edge::configured(&fake.url(), &fake.url(), changes)
}

fn fitting() -> Value {
    json!({"request_max": "1MiB", "url": "caller"})
}

fn outcomes(edge: &Edge) -> Vec<(&'static str, f64)> {
    ["changed", "fits", "encoded", "too_long", "unreadable"]
        .map(|outcome| {
            let label = format!("outcome=\"{outcome}\"");
            let n = edge.metric("vidette_upload_settings_total", &[&label]);
            (outcome, n)
        })
        .into_iter()
        .filter(|(_, n)| *n > 0.0)
        .collect()
}

#[track_caller]
fn check_body(answer: &Answer, want: &str) {
    assert_eq!(answer.status, 200);
    assert_eq!(answer.text(), want);
    let length = want.len().to_string();
    assert_eq!(answer.header("content-length"), Some(length));
}

fn nothing_is_changed_where_nothing_is_asked() {
    let usual = told(INSIDE, 8 << 20, 32 << 20);
    let fake = web(200, &[JSON, ("etag", "\"1\"")], usual.clone().into());
    let edge = Edge::before(&fake);
    let answer = edge.ask("GET", PATH, &[("Accept-Encoding", "gzip")], b"");
    check_body(&answer, &usual);
    assert_eq!(answer.header("etag"), Some("\"1\"".to_owned()));
    let asked = fake.only_request();
    assert_eq!(asked.headers.all("accept-encoding"), ["gzip"]);
    assert_eq!(outcomes(&edge), []);
}

fn sizes_and_place_are_made_to_fit_and_the_rest_stays() {
    let usual = told(INSIDE, 8 << 20, 32 << 20);
    let headers = &[JSON, ("etag", "\"1\""), ("x-other", "stays")];
    let fake = web(200, headers, usual.into());
    let edge = before(&fake, fitting());
    let conditions = [
        ("Host", "sentry.example.com:8443"),
        ("If-None-Match", "\"1\""),
        ("Range", "bytes=0-3"),
        ("Accept-Encoding", "gzip"),
        ("Authorization", "Bearer sntrys_token"),
    ];
    let target = format!("{PATH}?x=1");
    let answer = edge.ask("GET", &target, &conditions, b"");
    let want = told("http://sentry.example.com:8443", 128 << 10, 1_030_888);
    check_body(&answer, &want);
    assert_eq!(answer.header("etag"), None, "it is of other bytes");
    assert_eq!(answer.header("x-other"), Some("stays".to_owned()));
    let asked = fake.only_request();
    assert_eq!(asked.target_text(), target);
    assert_eq!(asked.headers.all("accept-encoding"), ["identity"]);
    for name in ["if-none-match", "range"] {
        assert_eq!(
            asked.headers.one(name),
            None,
            "{name} has it answer in part"
        );
    }
    assert_eq!(asked.headers.all("authorization").len(), 1);
    assert_eq!(outcomes(&edge), [("changed", 1.0)]);
    // A reload takes it up, and back.
    let less = json!({"request_max": "100MB", "url": "sentry"});
    reload(&edge, &fake, &json!({"uploads": less}));
    let answer = edge.ask("GET", PATH, &[], b"");
    check_body(&answer, &told(INSIDE, 8 << 20, 32 << 20));
    assert_eq!(outcomes(&edge), [("changed", 1.0), ("fits", 1.0)]);
}

fn the_place_is_the_host_that_proxies_are_believed_about() {
    let fake = web(200, &[JSON], told(INSIDE, 1, 1).into());
    let edge = before(&fake, json!({"url": "caller"}));
    let check = |source: [u8; 4], headers: &[(&str, &str)], want: &str| {
        let mut client = Client::connect_from(source.into(), edge.public);
        client.send(&request("GET", PATH, headers, b""));
        check_body(&client.answer_to("GET"), &told(want, 1, 1));
    };
    let (proxy, stranger) = ([127, 0, 0, 1], [127, 0, 0, 77]);
    let forwarded = [
        ("X-Forwarded-Host", "sentry.example.org"),
        ("X-Forwarded-Proto", "https"),
    ];
    check(proxy, &[], "http://sentry.example.com");
    check(proxy, &forwarded, "https://sentry.example.org");
    check(stranger, &forwarded, "http://sentry.example.com");
    for odd in [
        "a.example, b.example",
        "a.example,b.example",
        "u@a",
        "",
        "a/b",
    ] {
        let headers = [("X-Forwarded-Host", odd)];
        check(proxy, &headers, "http://sentry.example.com");
    }
    let twice = [forwarded[0], ("X-Forwarded-Host", "b.example")];
    check(proxy, &twice, "http://sentry.example.com");
    let absolute = format!("http://other.example{PATH}");
    let mut client = Client::connect_from(proxy.into(), edge.public);
    client.send(&request("GET", &absolute, &[], b""));
    check_body(
        &client.answer_to("GET"),
        &told("http://other.example", 1, 1),
    );
}

fn what_cannot_be_read_passes_as_it_came_and_is_counted() {
    let usual = told(INSIDE, 8 << 20, 32 << 20);
    let packed = patterns::gzip(usual.as_bytes());
    let long = format!("{{\"later\":\"{}\",{}", "x".repeat(80_000), &usual[1..]);
    let check = |fake: Fake, body: &[u8], outcome: &str| {
        let edge = before(&fake, fitting());
        let answer = edge.ask("GET", PATH, &[], b"");
        assert_eq!(answer.status, 200, "{outcome}");
        assert!(answer.body == body, "{outcome}: {}", answer.text());
        assert_eq!(outcomes(&edge), [(outcome, 1.0)]);
    };
    let gzip = &[JSON, ("content-encoding", "gzip")];
    check(web(200, gzip, packed.clone()), &packed, "encoded");
    check(
        web(200, &[JSON], long.clone().into()),
        long.as_bytes(),
        "too_long",
    );
    let chunked = long.clone();
    let chunked = Fake::with(move |exchange| {
        exchange.read_body()?;
        exchange.answer_chunked(200, &[JSON], chunked.as_bytes())
    });
    check(chunked, long.as_bytes(), "too_long");
    let page = b"<html>";
    check(web(200, &[JSON], page.to_vec()), page, "unreadable");
}

fn only_whole_answers_to_that_question_are_touched() {
    let usual = told(INSIDE, 8 << 20, 32 << 20);
    let fake = web(200, &[JSON], usual.clone().into());
    let edge = before(&fake, fitting());
    for (method, path) in [
        ("POST", PATH),
        ("HEAD", PATH),
        ("GET", "/api/0/organizations/acme/"),
        ("GET", "/api/0/projects/acme/shop/files/dsyms/"),
        ("GET", "/"),
    ] {
        let answer = edge.ask(method, path, &[], b"");
        let length = usual.len().to_string();
        assert_eq!(
            answer.header("content-length"),
            Some(length),
            "{method} {path}"
        );
        if method != "HEAD" {
            assert_eq!(answer.text(), usual, "{method} {path}");
        }
    }
    // However the path is spelled, web reads the same.
    let spelled = "/api/0//organizations/acme/%63hunk-upload";
    assert_ne!(edge.ask("GET", spelled, &[], b"").text(), usual);
    assert_eq!(outcomes(&edge), [("changed", 1.0)]);
    let refusing = web(403, &[JSON], usual.clone().into());
    let edge = before(&refusing, fitting());
    let answer = edge.ask("GET", PATH, &[], b"");
    assert_eq!((answer.status, answer.text()), (403, usual.clone()));
    assert_eq!(outcomes(&edge), []);
    // An answer that breaks off never looks whole.
    let half = usual.len() / 2;
    let broken = Fake::with(move |exchange| {
        exchange.read_body()?;
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", usual.len());
        exchange.write(head.as_bytes())?;
        exchange.write(&usual.as_bytes()[..half])?;
        Ok(Next::Close)
    });
    let edge = before(&broken, fitting());
    let mut client = edge.connect();
    client.send(&request("GET", PATH, &[], b""));
    assert!(client.try_answer_to("GET").is_err());
}

/// What nginx takes where nobody told it otherwise.
const CAP: u64 = 1 << 20;

/// A Sentry behind the edge behind an nginx with a cap.
struct Capped {
    folder: tempfile::TempDir,
    nginx: Nginx,
    _edge: Edge,
    _fake: Served,
}

impl Capped {
    fn start(uploads: Value, web: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut arguments = vec![folder.path().to_str().unwrap()];
        arguments.extend(web);
        let fake = Served::start("fake_chunk_upload.py", &arguments);
        let url = format!("http://{}", fake.address("url: http://"));
        let edge = Edge::configured(&url, &url, json!({"uploads": uploads}));
        let cap = format!("client_max_body_size {CAP};");
        let nginx = Nginx::with_limits(edge.public, &cap);
        Self {
            folder,
            nginx,
            _edge: edge,
            _fake: fake,
        }
    }

    /// sentry-cli uploads debug files of made-up bytes.
    fn upload(&self, files: &str, megabytes: &str) -> Output {
        let url = format!("http://{}/", self.nginx.address);
        let arguments = [
            &url,
            "--kind",
            "debug-files",
            "--files",
            files,
            "--megabytes",
            megabytes,
        ];
        script_command(&python().unwrap(), "upload.py", &arguments)
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// Every file is there, byte for byte, by requests of at most the cap.
    #[track_caller]
    fn check_arrived(&self, told: &Output, count: usize) {
        let said = String::from_utf8_lossy(&told.stderr);
        assert!(told.status.success(), "{said}");
        let given = String::from_utf8_lossy(&told.stdout);
        let given: Vec<Value> = given
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(given.len(), count);
        for file in given {
            let at = self.folder.path().join("assembled");
            let assembled = fs::metadata(at.join(file["sha1"].as_str().unwrap()));
            assert_eq!(assembled.unwrap().len(), file["bytes"].as_u64().unwrap());
        }
        let requests = self.requests();
        let largest = requests.iter().map(|request| request["bytes"].as_u64());
        let largest = largest.max().flatten().unwrap();
        println!(
            "{} requests, the largest of {largest} bytes",
            requests.len()
        );
        assert!(largest <= CAP);
        // Smaller would be more requests than there need be.
        assert!(largest > CAP / 4);
    }

    fn requests(&self) -> Vec<Value> {
        let lines = fs::read_to_string(self.folder.path().join("requests.jsonl")).unwrap();
        let lines = lines.lines();
        lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

/// A port at which nobody listens, as web's own is from outside.
const NOWHERE: [&str; 2] = ["--url-prefix", "http://127.0.0.1:9"];

#[track_caller]
fn check_fails(told: &Output, why: &str) {
    let said = String::from_utf8_lossy(&told.stderr);
    assert!(!told.status.success(), "it uploads all the same: {said}");
    assert!(said.contains(why), "{said}");
}

fn sentry_cli_uploads_through_a_cap_once_it_is_told_of_it() {
    let files = ("2", "3");
    let untold = Capped::start(json!({}), &[]);
    check_fails(&untold.upload(files.0, files.1), "413");
    let elsewhere = Capped::start(json!({"request_max": "1MiB"}), &NOWHERE);
    check_fails(&elsewhere.upload(files.0, files.1), "127.0.0.1");
    let well = Capped::start(fitting(), &NOWHERE);
    well.check_arrived(&well.upload(files.0, files.1), 2);
}

fn no_request_of_many_small_files_is_over_the_cap() {
    // As many parts as a request may have, none of them compressed, fill it to the brim.
    let well = Capped::start(fitting(), &["--compression", "none"]);
    well.check_arrived(&well.upload("80", "0.0155"), 80);
}
