//! A webhook: each start and each end once and in order, whether it takes them, is slow, fails or
//! is gone; and nothing waits for it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::client::{Answer, ask};
use crate::edge::{Edge, configuration, program};
use crate::exchange::{Exchange, Next};
use crate::parts::promises;
use crate::spool::event;
use crate::upstream::{Door, Ended, Fake, Request, Silent};

use super::{lines, once, told};

pub(super) fn trials() -> Vec<Trial> {
    promises![&[];
        a_webhook_hears_of_a_start_and_of_its_end,
        what_is_over_soon_and_what_is_no_page_is_not_told,
        a_webhook_that_fails_hears_it_later_and_once,
        a_webhook_that_is_put_right_hears_what_waited,
        a_webhook_that_is_slow_holds_up_nothing,
        a_webhook_that_refuses_is_said_once_and_not_asked_again,
        a_webhook_can_be_tried,
        a_bad_url_is_refused_by_check_and_never_printed,
    ]
}

/// An edge that tells this webhook at once, and its file while all is well.
struct Told {
    edge: Edge,
    good: String,
    _fake: Fake,
}

impl Told {
    #[track_caller]
    fn by(url: &str, changes: &Value) -> Self {
        let fake = Fake::start();
        let mut all = json!({"alerts": {"webhook": {
            "url": format!("{url}/services/s3cret?room=7"),
            "token": "t0ken",
            "after": "0s",
        }}});
        crate::edge::lay_over(&mut all, changes);
        let good = configuration(&fake.url(), &fake.url(), &all).to_string();
        let edge = Edge::run(&good, &[]);
        Self {
            edge,
            good,
            _fake: fake,
        }
    }

    /// Begins an incident.
    fn breaks(&self) {
        self.edge.rewrite("nonsense: true");
        once(&self.edge, "active", "reload_refused");
    }

    /// Ends it.
    fn is_mended(&self) {
        self.edge.rewrite(&self.good);
        once(&self.edge, "ended", "reload_refused");
    }

    fn counted(&self, outcome: &str) -> f64 {
        let label = format!("outcome=\"{outcome}\"");
        self.edge
            .metric("vidette_webhook_messages_total", &[&label])
    }

    #[track_caller]
    fn waits_until_counted(&self, outcome: &str, least: f64) {
        let label = format!("outcome=\"{outcome}\"");
        self.edge
            .wait_metric("vidette_webhook_messages_total", &[&label], least);
    }
}

fn takes(exchange: &mut Exchange<'_>) -> io::Result<Next> {
    exchange.read_body()?;
    exchange.answer(200, &[], b"ok")
}

/// The first so many messages that arrived whole.
#[track_caller]
fn messages(hook: &Fake, count: usize) -> Vec<(Request, Value)> {
    let whole = hook.wait_for(&format!("{count} messages"), |ledger| {
        let whole = ledger.requests.iter();
        let whole = whole.filter(|request| request.ended == Ended::Whole);
        let whole: Vec<Request> = whole.cloned().collect();
        (whole.len() >= count).then_some(whole)
    });
    let read = whole.into_iter().map(|request| {
        let body = serde_json::from_slice(&request.body).unwrap();
        (request, body)
    });
    read.collect()
}

fn a_webhook_hears_of_a_start_and_of_its_end() {
    let hook = Fake::with(takes);
    let told_hook = Told::by(&hook.url(), &json!({}));
    told_hook.breaks();
    let (request, started) = messages(&hook, 1).remove(0);
    assert_eq!(request.method, "POST");
    assert_eq!(request.target_text(), "/services/s3cret?room=7");
    let header = |name: &str| request.headers.all(name).pop();
    assert_eq!(header("content-type").as_deref(), Some("application/json"));
    assert_eq!(header("authorization").as_deref(), Some("Bearer t0ken"));
    assert_eq!(header("host"), Some(hook.address().to_string()));
    assert_eq!(
        (&started["state"], &started["kind"], &started["severity"]),
        (
            &json!("started"),
            &json!("reload_refused"),
            &json!("ticket")
        )
    );
    let text = started["text"].as_str().unwrap();
    assert!(
        text.contains("[ticket] reload_refused configuration: ")
            && text.contains("unknown key \"nonsense\"")
            && text.contains("vidette check says where each error is"),
        "{text}"
    );
    told_hook.is_mended();
    let (_, ended) = messages(&hook, 2).remove(1);
    assert_eq!(ended["state"], "ended");
    assert_eq!(ended["id"], started["id"]);
    let shown = told(&told_hook.edge)["ended"][0].clone();
    for field in [
        "id",
        "kind",
        "subject",
        "started_at",
        "ended_at",
        "says",
        "was",
        "loss",
    ] {
        assert_eq!(ended[field], shown[field], "{field}");
    }
    told_hook.waits_until_counted("sent", 2.0);
    let config = told_hook.edge.admin_get("/api/v1/config").text();
    for text in [told_hook.edge.log.text(), config] {
        assert!(
            !text.contains("s3cret") && !text.contains("t0ken"),
            "{text}"
        );
    }
}

fn what_is_over_soon_and_what_is_no_page_is_not_told() {
    let hook = Fake::with(takes);
    let changes = json!({"alerts": {"webhook": {"after": "1h"}}});
    let patient = Told::by(&hook.url(), &changes);
    patient.breaks();
    assert_eq!(told(&patient.edge)["webhook"]["waiting"], 1);
    patient.is_mended();
    assert_eq!(told(&patient.edge)["webhook"]["waiting"], 0);
    let changes = json!({"alerts": {"webhook": {"severity": "page"}}});
    let grave = Told::by(&hook.url(), &changes);
    grave.breaks();
    assert_eq!(told(&grave.edge)["webhook"]["waiting"], 0);
    assert!(hook.requests().is_empty());
}

fn a_webhook_that_fails_hears_it_later_and_once() {
    let asked = Arc::new(AtomicUsize::new(0));
    let (down, count) = (Silent::reserve(), Arc::clone(&asked));
    let told_hook = Told::by(&down.url(), &json!({}));
    told_hook.breaks();
    told_hook.waits_until_counted("failed", 1.0);
    told_hook.is_mended();
    // Both wait; it comes, and is ill twice.
    let hook = down.listen(move |exchange| {
        exchange.read_body()?;
        match count.fetch_add(1, SeqCst) {
            0 => exchange.reset(),
            1 => exchange.answer(503, &[], b""),
            _ => exchange.answer(204, &[], b""),
        }
    });
    told_hook.waits_until_counted("sent", 2.0);
    let messages = messages(&hook, 4);
    let states: Vec<&str> = messages
        .iter()
        .map(|(_, body)| body["state"].as_str().unwrap())
        .collect();
    assert_eq!(states, ["started", "started", "started", "ended"]);
    let log = &told_hook.edge;
    let away = lines(log, "alerts.webhook does not hear of incidents");
    assert_eq!(away.len(), 1, "{away:?}");
    assert_eq!(
        lines(log, "alerts.webhook hears of incidents again").len(),
        1
    );
    let webhook = told(log)["webhook"].clone();
    assert_eq!(webhook, json!({"waiting": 0, "failing": null}));
}

fn a_webhook_that_is_put_right_hears_what_waited() {
    let (down, hook) = (Silent::reserve(), Fake::with(takes));
    let told_hook = Told::by(&down.url(), &json!({}));
    told_hook.breaks();
    // By now it waits for eight seconds, and longer each time.
    told_hook.waits_until_counted("failed", 4.0);
    let waited = told(&told_hook.edge)["active"][0].clone();
    // That mends the file, too: its end waits behind its start.
    told_hook
        .edge
        .rewrite(&told_hook.good.replace(&down.url(), &hook.url()));
    let messages = messages(&hook, 2);
    for ((_, message), state) in messages.iter().zip(["started", "ended"]) {
        assert_eq!(
            (&message["id"], &message["state"]),
            (&waited["id"], &json!(state))
        );
    }
    told_hook.waits_until_counted("sent", 2.0);
    assert_eq!(told_hook.counted("dropped"), 0.0);
    assert!(told_hook.counted("failed") < 6.0, "it is asked no more");
}

fn a_webhook_that_is_slow_holds_up_nothing() {
    let door = Door::default();
    let shut = door.clone();
    let hook = Fake::with(move |exchange| {
        exchange.read_body()?;
        shut.pass();
        exchange.answer(200, &[], b"")
    });
    let changes = json!({"alerts": {"webhook": {"timeout": "300ms"}}});
    let told_hook = Told::by(&hook.url(), &changes);
    told_hook.breaks();
    told_hook.waits_until_counted("failed", 1.0);
    for number in 0..20 {
        let answer = told_hook.edge.post_envelope(&[], &event(number));
        assert_eq!(answer.status, 200);
    }
    let reasons = told_hook.edge.admin_get("/api/v1/status").json()["reasons"].to_string();
    assert!(
        reasons.contains("alerts.webhook does not hear of incidents: it does not answer in"),
        "{reasons}"
    );
    told_hook.is_mended();
    door.open();
    told_hook.waits_until_counted("sent", 2.0);
}

fn a_webhook_that_refuses_is_said_once_and_not_asked_again() {
    let hook = Fake::with(|exchange| {
        exchange.read_body()?;
        exchange.answer(302, &[("location", "http://127.0.0.1:9/")], b"")
    });
    let told_hook = Told::by(&hook.url(), &json!({}));
    told_hook.breaks();
    told_hook.waits_until_counted("refused", 1.0);
    told_hook.is_mended();
    told_hook.breaks();
    told_hook.waits_until_counted("refused", 2.0);
    assert_eq!(hook.requests().len(), 2, "neither the end nor a second try");
    assert_eq!(told_hook.counted("failed"), 0.0);
    let said = lines(&told_hook.edge, "alerts.webhook does not hear");
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains("it refuses the message (302)"), "{said:?}");
}

#[track_caller]
fn tries(edge: &Edge) -> Answer {
    let headers = [("Host", "localhost"), ("Content-Type", "application/json")];
    ask(edge.admin, "POST", "/api/v1/incidents/test", &headers, b"")
}

fn a_webhook_can_be_tried() {
    let hook = Fake::with(takes);
    let told_hook = Told::by(&hook.url(), &json!({}));
    let answer = tries(&told_hook.edge);
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json(), json!({"delivered": true, "status": 200}));
    let (_, message) = messages(&hook, 1).remove(0);
    assert_eq!(message["state"], "test");
    assert!(
        message["text"]
            .as_str()
            .unwrap()
            .contains("Nothing is wrong")
    );
    let nowhere = Told::by(&Silent::reserve().url(), &json!({}));
    let answer = tries(&nowhere.edge);
    assert_eq!(answer.status, 502);
    assert!(
        answer.text().contains("it takes no connection"),
        "{}",
        answer.text()
    );
    let fake = Fake::start();
    let without = Edge::before(&fake);
    assert_eq!(tries(&without).status, 409);
    let got = without.admin_get("/api/v1/incidents/test");
    assert_eq!(
        (got.status, got.header("allow").as_deref()),
        (405, Some("POST"))
    );
}

fn a_bad_url_is_refused_by_check_and_never_printed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("vidette.yml");
    let check = |url: &str, arguments: &[&str]| {
        let changes = json!({"alerts": {"webhook": {"url": url}}});
        let text = configuration("http://a", "http://a", &changes).to_string();
        std::fs::write(&file, text).unwrap();
        let output = program()
            .args(["check", "-c"])
            .arg(&file)
            .args(arguments)
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(said).unwrap())
    };
    let (code, said) = check("hooks.example.com/s3cret", &[]);
    assert_eq!(code, Some(1));
    assert!(
        said.contains("error: not a URL in alerts.webhook.url; "),
        "{said}"
    );
    assert!(!said.contains("s3cret"), "{said}");
    let (code, said) = check("https://hooks.example.com/s3cret", &["--print"]);
    assert_eq!(code, Some(0));
    assert!(said.contains("https://hooks.example.com:443/***"), "{said}");
    assert!(!said.contains("s3cret"), "{said}");
}
