//! The pictures of the docs: `VIDETTE_PICTURES=docs cargo test --test e2e -- pictures` draws them
//! anew; it takes ten minutes, for that is what the plots show.

use std::thread;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use serde_json::json;

use super::browsed::{Traffic, scene};
use crate::edge::Edge;
use crate::explained::post;
use crate::parts::{Part, checkout, promises};
use crate::upstream::Fake;

/// Nothing, unless it is asked for.
pub(super) fn trials() -> Vec<Trial> {
    match std::env::var_os("VIDETTE_PICTURES") {
        Some(_) => promises![&[Part::Browser]; the_pictures_are_drawn],
        None => Vec::new(),
    }
}

/// A site on a bad day.
struct BadDay {
    edge: Edge,
    begin: Instant,
    _fake: Fake,
    _folder: tempfile::TempDir,
}

impl BadDay {
    fn begin() -> Self {
        const NAMES: [&str; 8] = [
            "shop", "api", "mobile", "search", "billing", "worker", "intranet", "blog",
        ];
        let begin = Instant::now();
        let fake = Fake::with(move |exchange| {
            exchange.read_body()?;
            let dice = fastrand::u64(..100);
            let slow = if dice > 96 { 60 } else { 0 };
            thread::sleep(Duration::from_millis(2 + dice / 8 + slow));
            // Sentry is away for a minute.
            let away = (330..390).contains(&begin.elapsed().as_secs());
            let answer = b"{\"id\":\"0123456789abcdef0123456789abcdef\"}";
            exchange.answer(if away { 503 } else { 200 }, &[], answer)
        });
        let projects = NAMES.iter().zip(1..).map(|(name, id): (_, u64)| {
            json!({"id": id, "name": name, "keys": [format!("{id:032x}")], "quotas": [
                {"name": "errors", "categories": ["error"], "limit": 1500 * id, "per": "1h"},
                {"name": "transactions", "categories": ["transaction"], "limit": 6, "per": "1s"},
            ]})
        });
        let folder = tempfile::tempdir().unwrap();
        let edge = Edge::configured(
            &fake.url(),
            &fake.url(),
            json!({"projects": projects.collect::<Vec<_>>(),
                "spool": {"path": folder.path().join("spool"), "free_floor": 0},
                "state": {"path": folder.path().join("state")},
                "defaults": {"sample": {"transaction": 0.8}}}),
        );
        Self {
            edge,
            begin,
            _fake: fake,
            _folder: folder,
        }
    }

    /// What one of its clients sends next.
    fn event(begin: Instant, lane: u32, sent: u64) -> (String, Vec<u8>) {
        const KINDS: [(&str, usize); 6] = [
            ("event", 900),
            ("transaction", 2_400),
            ("session", 220),
            ("replay_event", 1_500),
            ("check_in", 180),
            ("client_report", 90),
        ];
        let low = |most: usize| fastrand::usize(..most).min(fastrand::usize(..most));
        let project = low(8) + 1;
        let (kind, size) = KINDS[low(KINDS.len())];
        let wave = (begin.elapsed().as_secs_f64() / 70.0 + f64::from(lane)).sin();
        thread::sleep(Duration::from_secs_f64((1.0 + wave) * 0.04));
        let body = "x".repeat(size / 2 + fastrand::usize(..size));
        let item = format!("{{\"message\":\"{body}\"}}");
        let trace = format!("{:032x}", fastrand::u128(1..));
        let header = json!({"trace": {"trace_id": trace, "public_key": format!("{project:032x}")}});
        let of = json!({"type": kind, "length": item.len()});
        let wrong = sent % 60 == 59;
        let key = format!(
            "{:0>32}",
            if wrong {
                "x".into()
            } else {
                format!("{project:x}")
            }
        );
        (
            format!("/api/{project}/envelope/?sentry_key={key}&sentry_version=7"),
            format!("{header}\n{of}\n{item}\n").into_bytes(),
        )
    }
}

fn the_pictures_are_drawn() {
    let day = BadDay::begin();
    let mute = json!({"project": 8, "action": "mute", "for_s": 14_400,
        "by": "anna", "why": "import of old posts"});
    post(&day.edge, "/api/v1/mutes", mute.to_string().as_bytes());
    let begin = day.begin;
    let lanes =
        (0..3).map(|lane| Traffic::to(&day.edge, move |sent| BadDay::event(begin, lane, sent)));
    let lanes: Vec<Traffic> = lanes.collect();
    thread::sleep(Duration::from_secs(600).saturating_sub(begin.elapsed()));
    let into = checkout(&std::env::var("VIDETTE_PICTURES").unwrap());
    let url = format!("http://{}/", day.edge.admin);
    let told = scene(&url, &["shots", into.to_str().unwrap()]);
    println!("{told}");
    drop(lanes);
}
