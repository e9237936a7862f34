//! Which pages may send to which project. Never about the preflight's words, nor
//! about what is learned of an origin.

use libtest_mimic::Trial;
use serde_json::json;

use super::{STRANGE, check_refused, target};
use crate::client::Lines;
use crate::edge::{Edge, KEY};
use crate::ingest::ENVELOPE;
use crate::parts::promises;
use crate::upstream::Fake;

pub(super) fn trials() -> Vec<Trial> {
    promises![&[];
        a_projects_own_list_replaces_the_default,
        the_referer_speaks_where_the_origin_says_nothing,
        an_empty_list_refuses_every_page_and_no_server,
        preflights_ask_for_no_origin,
    ]
}

fn edge(fake: &Fake) -> Edge {
    let changes = json!({
        "defaults": {"allowed_origins": ["*.example.org"]},
        "projects": [
            {"id": 42, "keys": [KEY], "allowed_origins": ["shop.example", "https://pay.example:8443"]},
            {"id": 7},
            {"id": 8, "allowed_origins": []},
            {"id": 9, "allowed_origins": ["*"]},
        ],
    });
    Edge::configured(&fake.url(), &fake.url(), changes)
}

/// Posts with these headers to these targets; what passes arrives, what does not
/// is told so that a page can read it.
#[track_caller]
fn check(cases: &[(&str, Lines<'_>, bool)]) {
    let fake = Fake::start();
    let edge = edge(&fake);
    let mut arrived = 0;
    for (target, headers, passes) in cases {
        let answer = edge.ask("POST", target, headers, ENVELOPE);
        let what = format!("{target} {headers:?}");
        match passes {
            true => assert_eq!(answer.status, 200, "{what}: {}", answer.text()),
            false => check_refused(&what, &answer, 403, "origin"),
        }
        arrived += usize::from(*passes);
        assert_eq!(fake.requests().len(), arrived, "{what}");
    }
}

fn a_projects_own_list_replaces_the_default() {
    let own = target(42, KEY);
    let store = format!("/api/store/?sentry_key={KEY}");
    let (default, absent, open) = (target(7, STRANGE), target(77, STRANGE), target(9, STRANGE));
    let (shop, org) = ("https://shop.example", "https://www.example.org");
    check(&[
        (&own, &[("Origin", shop)], true),
        (&own, &[("Origin", "http://SHOP.example:8080")], true),
        (&own, &[("Origin", "https://pay.example:8443")], true),
        (&own, &[("Origin", "https://pay.example")], false),
        (&own, &[("Origin", "http://pay.example:8443")], false),
        (&own, &[("Origin", "https://www.shop.example")], false),
        (
            &own,
            &[("Origin", "https://shop.example.evil.example")],
            false,
        ),
        (&own, &[("Origin", org)], false),
        // The oldest path names no project: the key's own counts.
        (&store, &[("Origin", shop)], true),
        (&store, &[("Origin", org)], false),
        (&default, &[("Origin", org)], true),
        (&default, &[("Origin", "https://example.org")], true),
        (&default, &[("Origin", shop)], false),
        (&absent, &[("Origin", org)], true),
        (&absent, &[("Origin", shop)], false),
        (&open, &[("Origin", "https://evil.example")], true),
    ]);
}

fn the_referer_speaks_where_the_origin_says_nothing() {
    let own = target(42, KEY);
    let (good, evil) = (
        "https://shop.example/a?b#c",
        "https://evil.example/shop.example",
    );
    let null = ("Origin", "null");
    check(&[
        (&own, &[], true),
        (&own, &[("Referer", good)], true),
        (&own, &[("Referer", evil)], false),
        (&own, &[null], true),
        (&own, &[null, ("Referer", good)], true),
        (&own, &[null, ("Referer", evil)], false),
        (&own, &[("Origin", good), ("Referer", evil)], true),
        (&own, &[("Origin", evil), ("Referer", good)], false),
        (&own, &[("Origin", "capacitor://localhost")], true),
        (&own, &[("Referer", "android-app://evil.example")], true),
        (
            &own,
            &[("Referer", "https://shop.example@evil.example/")],
            false,
        ),
    ]);
}

fn an_empty_list_refuses_every_page_and_no_server() {
    let none = target(8, STRANGE);
    check(&[
        (&none, &[], true),
        (&none, &[("Origin", "null")], true),
        (&none, &[("Origin", "https://www.example.org")], false),
        (&none, &[("Referer", "https://www.example.org/")], false),
    ]);
}

fn preflights_ask_for_no_origin() {
    let fake = Fake::start();
    let edge = edge(&fake);
    let headers = [
        ("Origin", "https://evil.example"),
        ("Access-Control-Request-Method", "POST"),
    ];
    for target in [
        target(42, KEY),
        target(8, STRANGE),
        "/api/store/".to_owned(),
    ] {
        let answer = edge.ask("OPTIONS", &target, &headers, b"");
        assert_eq!(answer.status, 200, "{target}: {}", answer.text());
        crate::ingest::check_cors(&answer);
    }
    assert!(fake.requests().is_empty());
}
