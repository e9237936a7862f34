//! The dashboard: what it is told, and how it looks and acts in a browser. Never about what the
//! numbers mean, which the books' own tests say.

mod browsed;
mod pictures;
mod upgraded;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::client::{ask, request};
use crate::edge::{Edge, KEY, envelope_target};
use crate::parts::promises;
use crate::upstream::{Fake, HANG};

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = promises![&[];
        its_files_are_open_and_hold_no_data,
        what_it_shows_needs_the_token,
        a_listener_hears_all_and_then_what_is_new,
        so_many_listen_and_no_more,
        a_stop_ends_all_listening,
        a_thousand_projects_are_ten_and_the_rest,
        a_project_has_a_page_of_its_own,
    ];
    trials.extend(browsed::trials());
    trials.extend(pictures::trials());
    trials.extend(upgraded::trials());
    trials
}

const EVENT: &[u8] = b"{}\n{\"type\":\"event\",\"length\":2}\n{}\n";

/// What is told of at one time: small enough for a telephone.
const SNAPSHOT_BYTES_MAX: usize = 400_000;

fn its_files_are_open_and_hold_no_data() {
    let fake = Fake::start();
    let wide = json!({"listen": {"admin": "0.0.0.0:0"}, "admin": {"token": "right-token"}});
    let edge = Edge::configured(&fake.url(), &fake.url(), wide);
    let admin: SocketAddr = ([127, 0, 0, 1], edge.admin.port()).into();
    for path in [
        "/",
        "/page/page.css",
        "/page/main.js",
        "/page/uplot/LICENSE",
    ] {
        let file = ask(admin, "GET", path, &[("Host", "localhost")], b"");
        assert_eq!(file.status, 200, "{path}");
        let policy = file.header("content-security-policy").unwrap();
        for rule in [
            "default-src 'none'",
            "script-src 'self'",
            "frame-ancestors 'none'",
        ] {
            assert!(policy.contains(rule), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
        let tag = file.header("etag").unwrap();
        let again = [("Host", "localhost"), ("If-None-Match", tag.as_str())];
        let again = ask(admin, "GET", path, &again, b"");
        assert_eq!((again.status, again.body.len()), (304, 0), "{path}");
        let posted = ask(admin, "POST", path, &[("Host", "localhost")], b"");
        assert_eq!(posted.status, 405, "{path}");
    }
    let missing = ask(admin, "GET", "/page/none.js", &[("Host", "localhost")], b"");
    assert_eq!(missing.status, 401, "nobody learns what there is not");
}

fn what_it_shows_needs_the_token() {
    let fake = Fake::start();
    let wide = json!({"listen": {"admin": "0.0.0.0:0"}, "admin": {"token": "right-token"}});
    let edge = Edge::configured(&fake.url(), &fake.url(), wide);
    let admin: SocketAddr = ([127, 0, 0, 1], edge.admin.port()).into();
    for path in [
        "/api/v1/live",
        "/api/v1/history",
        "/api/v1/projects",
        "/api/v1/projects/42",
    ] {
        let status = |headers: &[(&str, &str)]| ask(admin, "GET", path, headers, b"").status;
        assert_eq!(status(&[("Host", "localhost")]), 401, "{path}");
        let foreign = [
            ("Host", "evil.example"),
            ("Authorization", "Bearer right-token"),
        ];
        assert_eq!(status(&foreign), 403, "{path}");
        if path != "/api/v1/live" {
            let right = [
                ("Host", "localhost"),
                ("Authorization", "Bearer right-token"),
            ];
            assert_eq!(status(&right), 200, "{path}");
        }
    }
    let foreign = [
        ("Host", "localhost"),
        ("Authorization", "Bearer right-token"),
        ("Content-Type", "application/json"),
        ("Origin", "http://evil.example"),
    ];
    let body = b"{\"project\": 42, \"action\": \"mute\", \"for_s\": 60}";
    let refused = ask(admin, "POST", "/api/v1/mutes", &foreign, body);
    assert_eq!(
        refused.status, 403,
        "a page of another origin steers nothing"
    );
}

/// Somebody who listens, over a plain socket.
pub(crate) struct Listener(BufReader<TcpStream>);

impl Listener {
    /// The status, and the listener.
    fn open(edge: &Edge, last: Option<&str>) -> (u16, Self) {
        let mut headers = vec![("Host", "localhost")];
        headers.extend(last.map(|last| ("Last-Event-ID", last)));
        let stream = TcpStream::connect(edge.admin).unwrap();
        Self::over(stream, &request("GET", "/api/v1/live", &headers, b""))
    }

    /// The same with another request's head.
    pub(crate) fn over(mut stream: TcpStream, head: &[u8]) -> (u16, Self) {
        stream.set_read_timeout(Some(HANG)).unwrap();
        stream.write_all(head).unwrap();
        let mut own = Self(BufReader::new(stream));
        let status = own.line();
        let status = status.split(' ').nth(1).unwrap().parse().unwrap();
        while !own.line().is_empty() {}
        (status, own)
    }

    /// The next line; empty at the end, too.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// What the next event tells; `None` at the end, however that comes.
    pub(crate) fn told(&mut self) -> Option<Value> {
        loop {
            let mut line = String::new();
            let read = self.0.read_line(&mut line);
            if !matches!(read, Ok(1..)) {
                return None;
            }
            if let Some(told) = line.strip_prefix("data: ") {
                return Some(serde_json::from_str(told).unwrap());
            }
        }
    }

    /// The next event: its id, its name, what it tells.
    pub(crate) fn event(&mut self) -> (String, String, Value) {
        let (mut id, mut name) = (String::new(), String::new());
        loop {
            // The sizes of chunks lie in between.
            let line = self.line();
            if let Some(told) = line.strip_prefix("id: ") {
                told.clone_into(&mut id);
            } else if let Some(told) = line.strip_prefix("event: ") {
                told.clone_into(&mut name);
            } else if let Some(told) = line.strip_prefix("data: ") {
                return (id, name, serde_json::from_str(told).unwrap());
            }
        }
    }
}

fn number(frame: &Value) -> u64 {
    frame[0].as_u64().unwrap()
}

fn a_listener_hears_all_and_then_what_is_new() {
    let fake = Fake::start();
    let edge = Edge::before(&fake);
    let (status, mut listener) = Listener::open(&edge, None);
    assert_eq!(status, 200);
    let (_, name, snapshot) = listener.event();
    assert_eq!(name, "snapshot");
    assert_eq!(snapshot["now"]["status"]["light"], "green", "{snapshot}");
    assert_eq!(edge.post_envelope(&[], EVENT).status, 200);
    let (id, name, delta) = listener.event();
    assert_eq!(name, "delta");
    let frames = delta["fine"].as_array().unwrap();
    assert_eq!(frames.len(), 1, "{delta}");
    drop(listener);
    let columns = snapshot["columns"].as_array().unwrap();
    assert_eq!(columns.len() + 3, frames[0].as_array().unwrap().len());
    // Two frames pass unheard.
    let heard: u64 = id.split_once('-').unwrap().1.parse().unwrap();
    let passed = |least: u64| {
        let history = edge.admin_get("/api/v1/history").json();
        number(history["fine"].as_array().unwrap().last().unwrap()) >= least
    };
    let deadline = Instant::now() + HANG;
    while !passed(heard + 2) {
        assert!(Instant::now() < deadline, "no frame comes");
        thread::sleep(Duration::from_millis(100));
    }
    let (_, mut back) = Listener::open(&edge, Some(&id));
    let (_, name, missed) = back.event();
    let missed = missed["fine"].as_array().unwrap();
    assert_eq!(name, "delta", "it goes on where it was");
    assert_eq!(number(&missed[0]), heard + 1);
    let (_, mut other) = Listener::open(&edge, Some("1-1"));
    assert_eq!(other.event().1, "snapshot", "another run's number is none");
}

fn so_many_listen_and_no_more() {
    let fake = Fake::start();
    let edge = Edge::before(&fake);
    let mut listeners: Vec<Listener> = (0..16)
        .map(|place| {
            let (status, mut listener) = Listener::open(&edge, None);
            assert_eq!(status, 200, "listener {place}");
            listener.event();
            listener
        })
        .collect();
    let refused = edge.admin_get("/api/v1/live");
    assert_eq!(refused.status, 503);
    assert!(
        refused.text().contains("16 dashboards"),
        "{}",
        refused.text()
    );
    assert!(refused.header("retry-after").is_some());
    drop(listeners.pop());
    let deadline = Instant::now() + HANG;
    while Listener::open(&edge, None).0 != 200 {
        assert!(
            Instant::now() < deadline,
            "a place that is left stays taken"
        );
        thread::sleep(Duration::from_millis(100));
    }
}

fn a_stop_ends_all_listening() {
    let fake = Fake::start();
    let mut edge = Edge::before(&fake);
    let (_, mut listener) = Listener::open(&edge, None);
    listener.event();
    edge.signal(Signal::TERM);
    let mut rest = Vec::new();
    // However it ends, it ends.
    drop(listener.0.read_to_end(&mut rest));
    assert!(edge.wait_end().success());
}

/// A position in a frame.
#[track_caller]
fn column(history: &Value, family: &str, label: &str) -> usize {
    let columns = history["columns"].as_array().unwrap();
    let found = columns
        .iter()
        .position(|column| column[0] == family && column[1] == label);
    found.unwrap_or_else(|| panic!("no {family} {label}")) + 3
}

fn a_thousand_projects_are_ten_and_the_rest() {
    const PROJECTS: u64 = 1000;
    let fake = Fake::start();
    let projects: Vec<Value> = (1..=PROJECTS)
        .map(|id| {
            json!({"id": id, "name": format!("project with a name of some length {id}"),
            "keys": [format!("{id:032x}")],
            "quotas": [{"name": "errors", "categories": ["error"], "limit": 1000, "per": "1h"}]})
        })
        .collect();
    let edge = Edge::configured(&fake.url(), &fake.url(), json!({"projects": projects}));
    let mut client = edge.connect();
    for id in 1..=PROJECTS {
        let target = format!("/api/{id}/envelope/?sentry_key={id:032x}&sentry_version=7");
        client.send(&request("POST", &target, &[], EVENT));
        assert_eq!(client.answer_to("POST").status, 200);
    }
    let deadline = Instant::now() + HANG;
    let history = loop {
        let answer = edge.admin_get("/api/v1/history");
        assert!(
            answer.body.len() < SNAPSHOT_BYTES_MAX,
            "{} bytes",
            answer.body.len()
        );
        let history = answer.json();
        let top = &history["now"]["leaders"]["10m"]["items"];
        if top["others"]["count"] == PROJECTS - 10 {
            break history;
        }
        assert!(Instant::now() < deadline, "{top}");
        thread::sleep(Duration::from_millis(200));
    };
    let now = &history["now"];
    assert!(
        now.to_string().len() < 20_000,
        "{} bytes",
        now.to_string().len()
    );
    let first = now["leaders"]["10m"]["items"]["first"].as_array().unwrap();
    assert_eq!(first.len(), 10);
    assert_eq!(
        now["leaders"]["10m"]["items"]["others"]["items"],
        PROJECTS - 10
    );
    assert_eq!(now["quotas"]["count"], PROJECTS);
    let fullest = now["quotas"]["fullest"].as_array().unwrap();
    assert_eq!(fullest.len(), 20);
    let resets = |quota: &Value| quota["resets_in_s"].as_u64();
    assert!(
        fullest
            .iter()
            .all(|quota| (0..=3600).contains(&resets(quota).unwrap())),
        "{now}"
    );
    let place = column(&history, "items_in", "error");
    let frames = history["fine"].as_array().unwrap().iter();
    let counted: u64 = frames.map(|frame| frame[place].as_u64().unwrap()).sum();
    assert_eq!(counted, PROJECTS, "the frames together are all that came");
    let listed = edge.admin_get("/api/v1/projects").json();
    assert_eq!(listed["count"], PROJECTS);
}

fn a_project_has_a_page_of_its_own() {
    let fake = Fake::start();
    let edge = Edge::configured(
        &fake.url(),
        &fake.url(),
        json!({"projects": [{"id": 42, "name": "shop", "keys": [{"key": KEY, "name": "web"}],
            "quotas": [{"name": "errors", "categories": ["error"], "limit": 4, "per": "1h"}]}]}),
    );
    let answer = edge.ask("POST", &envelope_target(), &[], EVENT);
    assert_eq!(answer.status, 200);
    let answer = edge.admin_get("/api/v1/projects/42");
    assert!(!answer.text().contains(KEY), "a key stands there whole");
    let told = answer.json();
    assert_eq!(
        (&told["project"], &told["name"]),
        (&json!(42), &json!("shop"))
    );
    assert_eq!(told["rows"][0]["category"], "error", "{told}");
    assert_eq!(told["rows"][0]["items"]["received"], 1, "{told}");
    assert_eq!(told["quotas"][0], json!({"name": "errors", "ratio": 0.25}));
    let key = json!({"key": "a94a...", "name": "web", "enabled": true, "source": "configured"});
    assert_eq!(told["keys"], json!([key]));
    assert_eq!(told["switches"], json!([]));
    let unknown = edge.admin_get("/api/v1/projects/7").json();
    assert_eq!(
        (&unknown["rows"], &unknown["keys"]),
        (&json!([]), &json!([]))
    );
    for path in [
        "/api/v1/projects/0",
        "/api/v1/projects/x",
        "/api/v1/projects/",
    ] {
        assert_eq!(edge.admin_get(path).status, 400, "{path}");
    }
    assert_eq!(edge.admin_get("/api/v1/projectsx").status, 404);
}
