//! The dashboard in headless Chromium: it looks as it should, and does what it says. What the
//! browser does is the script's (`tests/clients/dashboard.mjs`).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use libtest_mimic::Trial;
use serde_json::{Value, json};

use super::EVENT;
use crate::client::{Client, ask, request};
use crate::edge::{Edge, KEY};
use crate::incidents::once;
use crate::parts::{Part, node, promises};
use crate::spool::keeping;
use crate::upstream::{Fake, Silent};
use crate::way::run;

pub(super) fn trials() -> Vec<Trial> {
    promises![&[Part::Browser];
        it_draws_what_happens_in_every_light_and_width,
        a_mute_by_keyboard_alone_holds,
        a_token_is_asked_for_and_kept_in_the_tab,
        a_projects_page_opens,
        who_sends_most_and_what_is_uploaded_is_told_while_it_is_seen,
        mirrors_are_told_of_beside_the_first_where_there_are_any,
        incidents_are_told_of_with_what_to_do_and_with_their_end,
        each_reason_is_a_line_of_its_own_and_goes_with_its_cause,
        maintenance_and_reload_say_what_they_do,
    ]
}

/// What the browser made of a scene, at whose sight nobody complained.
#[track_caller]
pub(super) fn scene(url: &str, arguments: &[&str]) -> Value {
    let mut told = run(&node(), "dashboard.mjs", &[&[url], arguments].concat());
    let told = told.pop().unwrap();
    assert!(
        told["foreign"].as_array().is_none_or(Vec::is_empty),
        "asked another server: {told}"
    );
    told
}

/// The same where every request was answered well.
#[track_caller]
fn quiet_scene(edge: &Edge, arguments: &[&str]) -> Value {
    let told = scene(&format!("http://{}/", edge.admin), arguments);
    assert_eq!(told["complaints"], json!([]), "the console complains");
    assert_eq!(told["failed"], json!([]), "requests fail");
    told
}

/// Sends events until it is dropped.
pub(super) struct Traffic {
    stop: Arc<AtomicBool>,
    sending: Option<JoinHandle<()>>,
}

impl Traffic {
    pub(super) fn to(
        edge: &Edge,
        mut next: impl FnMut(u64) -> (String, Vec<u8>) + Send + 'static,
    ) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, public) = (Arc::clone(&stop), edge.public);
        let sending = thread::spawn(move || {
            let mut client = Client::connect(public);
            let mut sent = 0;
            while !stopped.load(Ordering::Relaxed) {
                let (target, body) = next(sent);
                client.send(&request("POST", &target, &[], &body));
                client.answer_to("POST");
                sent += 1;
                thread::sleep(Duration::from_millis(20));
            }
        });
        Self {
            stop,
            sending: Some(sending),
        }
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let sent = self.sending.take().unwrap().join();
        assert!(sent.is_ok() || thread::panicking(), "the traffic broke");
    }
}

fn target(project: u64) -> String {
    format!("/api/{project}/envelope/?sentry_key={KEY}&sentry_version=7")
}

fn it_draws_what_happens_in_every_light_and_width() {
    let fake = Fake::start();
    let edge = Edge::before(&fake);
    let traffic = Traffic::to(&edge, |sent| (target(1 + sent % 30), EVENT.to_vec()));
    let told = quiet_scene(&edge, &["look"]);
    drop(traffic);
    assert_eq!(told["title"], "Green · vidette");
    for tile in ["Requests", "Items in", "Delivered"] {
        let value = told["tiles"][tile].as_str().unwrap();
        assert!(value.ends_with("/s") && value != "0/s", "{tile}: {value}");
    }
    let painted = told["painted"].as_object().unwrap();
    assert_eq!(painted.len(), 13, "{painted:?}");
    for plot in [
        "items", "bytes", "outcomes", "answers", "latency", "open", "memory",
    ] {
        assert!(
            painted[plot].as_u64() > Some(50),
            "{plot} is blank: {painted:?}"
        );
    }
    for colours in ["light", "dark"] {
        assert_eq!(told[colours]["wrong"], json!([]), "{colours}: too pale");
        assert!(told[colours]["looked"].as_u64() > Some(100), "{told}");
    }
    let grounds = told["grounds"].as_array().unwrap();
    assert_ne!(grounds[0], grounds[1], "dark is not dark");
    assert_eq!(grounds[0], grounds[2], "the button does nothing");
    for (width, over) in told["overflow"].as_object().unwrap() {
        assert!(
            over.as_i64() <= Some(0),
            "{width} px wide: {over} px too much"
        );
    }
    assert!(
        told["shifted"].as_f64() < Some(0.1),
        "it jumps: {}",
        told["shifted"]
    );
    assert_eq!(told["numbers"].as_array().unwrap().len(), 2, "{told}");
    let projects = told["projects"].as_array().unwrap();
    assert_eq!(projects.len(), 11, "ten and the rest: {projects:?}");
    assert_eq!(projects[10], "20 more");
}

fn a_mute_by_keyboard_alone_holds() {
    let fake = Fake::start();
    let edge = Edge::configured(
        &fake.url(),
        &fake.url(),
        json!({"projects": [{"id": 42, "keys": [KEY]}]}),
    );
    let told = quiet_scene(&edge, &["mute", "42"]);
    assert_ne!(told["outline"], "none", "the focus cannot be seen");
    let effect = told["effect"].as_str().unwrap();
    assert!(
        effect.starts_with("Everything of project 42 is answered 429 and lost"),
        "{effect}"
    );
    assert!(
        told["said"].as_str().unwrap().contains("everything muted"),
        "{told}"
    );
    let on = edge.admin_get("/api/v1/mutes").json();
    let on = &on["switches"][0];
    assert_eq!(
        (&on["project"], &on["action"], &on["why"]),
        (&json!(42), &json!("mute"), &json!("a trial"))
    );
    let row = told["on"][0].as_str().unwrap();
    assert!(row.starts_with("project 42everything muted"), "{row}");
    assert_eq!(edge.post_envelope(&[], EVENT).status, 429, "it holds");
}

fn a_token_is_asked_for_and_kept_in_the_tab() {
    let fake = Fake::start();
    let wide = json!({"listen": {"admin": "0.0.0.0:0"}, "admin": {"token": "right-token"}});
    let edge = Edge::configured(&fake.url(), &fake.url(), wide);
    let url = format!("http://127.0.0.1:{}/", edge.admin.port());
    let told = scene(&url, &["token", "wrong-token", "right-token"]);
    let asked = told["asked"].as_str().unwrap();
    assert!(asked.contains("whoever has its token"), "{asked}");
    let again = told["again"].as_str().unwrap();
    assert!(again.contains("not the edge's"), "{again}");
    assert_eq!(told["boardBefore"], false, "an empty board tells nothing");
    assert_eq!(told["visible"], false, "asked again after a reload");
    assert_eq!(told["stores"], json!([[], ["vidette.token"], ""]));
    let only_401 = told["failed"].as_array().unwrap();
    let only_401 = only_401
        .iter()
        .all(|one| one.as_str().unwrap().starts_with("401 "));
    assert!(only_401, "{told}");
}

fn a_projects_page_opens() {
    let fake = Fake::start();
    let edge = Edge::configured(
        &fake.url(),
        &fake.url(),
        json!({"projects": [{"id": 42, "name": "shop", "keys": [KEY]}]}),
    );
    assert_eq!(edge.post_envelope(&[], EVENT).status, 200);
    let told = quiet_scene(&edge, &["project", "42"]);
    let text = told["text"].as_str().unwrap();
    for part in ["shop (project 42)", "error", "a94a...", "the configuration"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains(KEY), "{text}");
    assert_eq!(told["contrast"]["wrong"], json!([]));
    assert_eq!(told["hash"], "", "closed, it is no longer in the address");
}

fn who_sends_most_and_what_is_uploaded_is_told_while_it_is_seen() {
    let fake = Fake::start();
    let edge = Edge::configured(
        &fake.url(),
        &fake.url(),
        json!({"projects": [{"id": 42, "keys": [{"key": KEY, "name": "web"}]}],
            "limits": {"bodies": {"upload": "1MiB"}}}),
    );
    let line_one = json!({"sdk": {"name": "sentry.python", "version": "2.75.0"},
        "trace": {"trace_id": "4a106cf6b15144eb9131ae7db1a157a3", "public_key": KEY,
            "release": "shop@1.2.3"}});
    let event = [line_one.to_string().as_bytes(), &EVENT[2..]].concat();
    for _ in 0..4 {
        assert_eq!(edge.ask("POST", &target(42), &[], &event).status, 200);
    }
    const UPLOAD: &str = "/api/0/organizations/acme/chunk-upload/";
    let mut uploading = Client::connect(edge.public);
    let length = [("Content-Length", "100000")];
    uploading.send(&request("POST", UPLOAD, &length, &[b'x'; 51_200]));
    let large = [("Content-Length", "2000000")];
    let mut refused = Client::connect(edge.public);
    refused.send(&request("POST", UPLOAD, &large, b""));
    assert_eq!(refused.answer_to("POST").status, 413);
    edge.wait_metric("vidette_uploads_active_bytes", &[], 51_200.0);

    let told = quiet_scene(&edge, &["senders"]);
    assert_eq!(told["unasked"], 0, "nobody looks at keys yet");
    let row = |kind: &str| told["tabs"][kind][0].as_str().unwrap().to_owned();
    assert_eq!(row("key"), "web (a94a...) project 42");
    assert_eq!(row("release"), "shop@1.2.3 project 42");
    assert!(row("sdk").starts_with("sentry.python"), "{told}");
    assert!(row("ip").starts_with("127.0.0.1 "), "{told}");
    assert_eq!(told["head"], "Client");
    assert_ne!(told["outline"], "none", "the focus cannot be seen");
    assert!(told["again"].as_u64() >= Some(1), "{told}");
    assert_eq!(told["unseen"], 0, "it asks for what nobody sees");
    for colours in ["light", "dark"] {
        assert_eq!(told[colours]["wrong"], json!([]), "{colours}: too pale");
    }
    assert!(told["overflow"].as_i64() <= Some(0), "too wide: {told}");
    assert_eq!(told["underWay"], "1 under way, of which 50 KiB have come");
    assert_eq!(
        told["endings"][0],
        json!(["uploads", "0", "1", "0", "0", "0"])
    );
    assert_eq!(told["endings"][1][1], "4", "events: {told}");
    assert_eq!(told["opened"], "Project 42", "{told}");
    drop(uploading);
}

fn mirrors_are_told_of_beside_the_first_where_there_are_any() {
    let (first, second) = (Fake::start(), Fake::start());
    let alone = Edge::before(&first);
    assert_eq!(quiet_scene(&alone, &["card", "mirrors"])["shown"], false);

    let mirrors = json!({"mirrors": [{"name": "next", "ingest": [second.url()]}]});
    let edge = Edge::configured(&first.url(), &first.url(), mirrors);
    for _ in 0..3 {
        assert_eq!(edge.ask("POST", &target(42), &[], EVENT).status, 200);
    }
    let labels = ["mirror=\"next\"", "outcome=\"sent\""];
    edge.wait_metric("vidette_mirror_requests_total", &labels, 3.0);
    let told = quiet_scene(&edge, &["card", "mirrors"]);
    let row = told["rows"][0].as_array().unwrap();
    let words: Vec<&str> = row.iter().filter_map(Value::as_str).collect();
    assert_eq!(words[..6], ["next", "3", "3", "0", "0", "3 \u{d7} 200"]);
    assert!(words[6..].iter().all(|time| time.ends_with('s')), "{told}");
    check_seen(&told);
}

/// A card is readable in both lights and on a phone.
#[track_caller]
fn check_seen(told: &Value) {
    for colours in ["light", "dark"] {
        assert_eq!(told[colours]["wrong"], json!([]), "{colours}: too pale");
    }
    assert!(told["overflow"].as_i64() <= Some(0), "too wide: {told}");
}

fn incidents_are_told_of_with_what_to_do_and_with_their_end() {
    let (down, folder) = (Silent::reserve(), tempfile::tempdir().unwrap());
    let web = Fake::start();
    let well = Edge::before(&web);
    assert_eq!(quiet_scene(&well, &["card", "incidents"])["shown"], false);

    let changes = json!({"upstream": {"web": [web.url()]}});
    let edge = keeping(&down.url(), folder.path(), &changes);
    assert_eq!(edge.ask("POST", &target(42), &[], EVENT).status, 200);
    let going_on = once(&edge, "active", "not_delivering");
    let told = quiet_scene(&edge, &["card", "incidents"]);
    let row = &told["rows"][0];
    let says = format!(
        "not delivering ingest: {}{}",
        going_on["says"].as_str().unwrap(),
        going_on["advice"].as_str().unwrap()
    );
    assert_eq!((&row[0], &row[1]), (&json!("ticket"), &json!(says)));
    assert_eq!(row[4], "nothing", "{told}");
    check_seen(&told);

    let _up = down.listen(|exchange| {
        exchange.read_body()?;
        exchange.answer(200, &[], b"{}")
    });
    once(&edge, "ended", "not_delivering");
    let told = quiet_scene(&edge, &["card", "incidents"]);
    let rows = told["rows"].as_array().unwrap();
    let over = rows.iter().find(|row| row[0] == "over").unwrap();
    let says = over[1].as_str().unwrap();
    let over = "not delivering ingest: the upstream takes requests again";
    assert_eq!(says, over, "it asks for nothing: {told}");
    check_seen(&told);
}

fn each_reason_is_a_line_of_its_own_and_goes_with_its_cause() {
    let fake = Fake::start();
    let edge = Edge::before(&fake);
    for project in [7, 42] {
        let mute = json!({"project": project, "action": "mute", "for_s": 3600});
        let headers = [("Host", "localhost"), ("Content-Type", "application/json")];
        let body = mute.to_string();
        let answer = ask(
            edge.admin,
            "POST",
            "/api/v1/mutes",
            &headers,
            body.as_bytes(),
        );
        assert_eq!(answer.status, 201, "{}", answer.text());
    }
    let told = quiet_scene(&edge, &["reasons"]);
    // Their numbers are all that tells one from the other. The time that is left goes on.
    let without_numbers = |list: &Value| -> Vec<String> {
        let list = list.as_array().unwrap().iter();
        let reason = |one: &Value| one.as_str().unwrap().replace(char::is_numeric, "");
        list.map(reason).collect()
    };
    let (on, status) = (&told["on"], &told["status"]);
    assert_eq!(without_numbers(on), without_numbers(status), "{told}");
    for project in ["project 7:", "project 42:"] {
        let of_one = on.as_array().unwrap().iter();
        let of_one = of_one.filter(|one| one.as_str().unwrap().contains(project));
        assert_eq!(of_one.count(), 1, "{project}: {told}");
    }
    assert_eq!(told["over"], json!(["nothing is amiss"]), "{told}");
}

fn maintenance_and_reload_say_what_they_do() {
    let fake = Fake::start();
    let folder = tempfile::tempdir().unwrap();
    let spool = json!({"spool": {"path": folder.path(), "free_floor": 0}});
    let edge = Edge::configured(&fake.url(), &fake.url(), spool);
    let told = quiet_scene(&edge, &["steer"]);
    let effects = told["effects"].to_string();
    for part in [
        "none is sent to Sentry",
        "is sent from now on",
        "nothing changes",
    ] {
        assert!(effects.contains(part), "{part}: {effects}");
    }
    let banner = told["banner"].as_str().unwrap();
    assert!(banner.starts_with("Maintenance until"), "{banner}");
    let want = [
        "Maintenance is on for 60 min.",
        "Maintenance is off.",
        "Reloaded.",
    ];
    assert_eq!(told["said"], json!(want));
    assert_eq!(
        edge.admin_get("/api/v1/status").json()["maintenance"],
        Value::Null
    );
}
