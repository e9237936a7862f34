//! What the gate lets in and what it refuses, in its order.

mod moves;
mod strangers;

use std::net::Ipv4Addr;

use super::strangers::Strangers;
use super::*;
use crate::domain::endpoint::{Route, route};
use crate::domain::origin::AllowedOrigins;
use directory::{Named, Source};
use verdicts::{Answer, VerdictLimits};

const KEY: &str = "sentry_key=a94ae32be2584e0bbd7a4cbb95971fee";

#[track_caller]
fn check(
    method: &str,
    path: &str,
    query: &str,
    announced: Option<u64>,
    want: Option<(u16, Reason)>,
) {
    let Route::Ingest(ingest) = route(path.as_bytes()) else {
        panic!("{path} is not ingest");
    };
    let sources = Sources {
        sentry_auth: None,
        authorization: None,
        query: Some(query),
        path_key: ingest.path_key,
    };
    let question = Question {
        ingest,
        method,
        sources,
        content_type: None,
        announced,
        page: &Page::default(),
        client: CLIENT,
    };
    let gate = Gate {
        body_bytes_max: 1000,
        mode: Mode::Open,
        awaits_list: false,
        closed: Box::default(),
        moves: Moves::default(),
        directory: Directory::default(),
        origins: Origins::default(),
        quotas: Quotas::default(),
        wanted: Wanted::default(),
    };
    let verdicts = verdicts();
    let mut live = Live {
        now: Millis(0),
        verdicts: &verdicts,
        here: &mut ProvenHere::default(),
        strangers: &Strangers::new(10),
    };
    let admitted = gate.admit(&question, &mut live);
    let refused = admitted.err().map(|r| (r.status, r.reason));
    assert_eq!(refused, want, "{method} {path}?{query} {announced:?}");
}

#[test]
fn a_good_key_passes() {
    check("POST", "/api/42/envelope/", KEY, Some(10), None);
    check("POST", "/api/42/store/", KEY, None, None);
    check("GET", "/api/store/", KEY, None, None);
}

#[test]
fn a_key_is_asked_for_where_no_other_place_can_hold_it() {
    check(
        "POST",
        "/api/42/store/",
        "",
        Some(10),
        Some((401, Reason::NoKey)),
    );
    check("POST", "/api/42/envelope/", "", Some(10), None);
    check("PATCH", "/api/42/upload/abc/", "", Some(10), None);
    check("POST", "/api/42/something/new/", "", Some(10), None);
}

#[test]
fn the_limit_itself_still_passes() {
    check("POST", "/api/42/envelope/", KEY, Some(1000), None);
    check(
        "POST",
        "/api/42/envelope/",
        KEY,
        Some(1001),
        Some((413, Reason::TooLarge)),
    );
}

#[test]
fn method_goes_before_size_and_size_before_credentials() {
    check(
        "PUT",
        "/api/42/envelope/",
        "",
        Some(9999),
        Some((405, Reason::Method)),
    );
    check(
        "POST",
        "/api/42/envelope/",
        "sentry_key=x",
        Some(9999),
        Some((413, Reason::TooLarge)),
    );
    check(
        "POST",
        "/api/42/envelope/",
        "sentry_key=x",
        Some(10),
        Some((400, Reason::BadKey)),
    );
}

#[test]
fn an_empty_event_is_refused_and_an_empty_unknown_request_is_not() {
    check(
        "POST",
        "/api/42/envelope/",
        KEY,
        Some(0),
        Some((400, Reason::Empty)),
    );
    check(
        "POST",
        "/api/42/store/",
        KEY,
        Some(0),
        Some((400, Reason::Empty)),
    );
    check("POST", "/api/42/something/new/", KEY, Some(0), None);
}

#[test]
fn a_project_id_beyond_all_numbers_is_refused() {
    let path = "/api/99999999999999999999999/envelope/";
    check("POST", path, KEY, Some(10), Some((400, Reason::BadProject)));
}

fn verdicts() -> Verdicts {
    Verdicts::new(VerdictLimits {
        proven_max: 1000,
        candidates_max: 1000,
        refused_max: 1000,
        unproven_per_second: 10,
    })
}

const GOOD: &[u8; 32] = b"a94ae32be2584e0bbd7a4cbb95971fee";
const OFF: &[u8; 32] = b"b94ae32be2584e0bbd7a4cbb95971fee";
const STRANGE: &[u8; 32] = b"c94ae32be2584e0bbd7a4cbb95971fee";

/// Somebody whom nobody filters.
const CLIENT: Client<'static> = Client {
    ip: IpAddr::V4(Ipv4Addr::new(203, 0, 113, 9)),
    user_agent: Some("sentry.python/2.0"),
};

/// A gate that knows `GOOD` as project 42's and `OFF` as switched off; project 42
/// allows one shop's pages.
fn gate(mode: Mode) -> Gate {
    let named = |enabled| Named {
        project: ProjectId::parse(b"42"),
        enabled,
        name: None,
        source: Source::Configured,
        rate_limit: None,
    };
    let keys = [(GOOD, true), (OFF, false)]
        .map(|(key, enabled)| (Key::parse(key).unwrap(), named(enabled)));
    let shop = AllowedOrigins::parse(["shop.example"]).unwrap();
    Gate {
        body_bytes_max: 1000,
        mode,
        awaits_list: false,
        closed: Box::default(),
        moves: Moves::default(),
        directory: Directory::build(keys).unwrap(),
        quotas: Quotas::default(),
        wanted: Wanted::default(),
        origins: Origins::new(
            AllowedOrigins::any(),
            [(ProjectId::parse(b"42").unwrap(), shop)],
        ),
    }
}

#[track_caller]
fn check_key(mode: Mode, key: &[u8], project: &str, origin: Option<&str>, want: Option<Reason>) {
    let verdicts = verdicts();
    let mut here = ProvenHere::default();
    let refused = ask(&gate(mode), &verdicts, &mut here, 0, key, project, origin);
    assert_eq!(
        refused
            .err()
            .map(|refusal| (refusal.status, refusal.reason)),
        want.map(|reason| (403, reason)),
        "{mode:?} {project} {origin:?}"
    );
}

fn ask(
    gate: &Gate,
    verdicts: &Verdicts,
    here: &mut ProvenHere,
    now_s: u64,
    key: &[u8],
    project: &str,
    origin: Option<&str>,
) -> Result<Sender, Refusal> {
    let page = Page::of_request(origin.map(str::as_bytes), None);
    let claim = Claim {
        key: Key::parse(key).unwrap(),
        project: ProjectId::parse(project.as_bytes()),
        page: &page,
        client: CLIENT,
        endpoint: Endpoint::Envelope,
    };
    let now = Millis(now_s * 1000);
    let mut live = Live {
        now,
        verdicts,
        here,
        strangers: &Strangers::new(10),
    };
    gate.admit_key(&claim, &mut live)
}

#[test]
fn a_named_key_passes_for_its_own_project_in_every_mode() {
    for mode in [Mode::Open, Mode::Learn, Mode::Strict] {
        check_key(mode, GOOD, "42", None, None);
        check_key(mode, GOOD, "", None, None);
        check_key(mode, GOOD, "43", None, Some(Reason::WrongProject));
    }
}

#[test]
fn a_key_that_is_switched_off_never_passes() {
    for mode in [Mode::Open, Mode::Learn, Mode::Strict] {
        check_key(mode, OFF, "42", None, Some(Reason::DisabledKey));
        check_key(mode, OFF, "43", None, Some(Reason::DisabledKey));
    }
}

#[test]
fn only_strict_refuses_a_key_that_nobody_names() {
    check_key(Mode::Open, STRANGE, "42", None, None);
    check_key(Mode::Learn, STRANGE, "42", None, None);
    check_key(Mode::Strict, STRANGE, "42", None, Some(Reason::UnknownKey));
}

#[test]
fn a_project_with_named_keys_takes_no_others_while_the_list_is_awaited() {
    let mut gate = gate(Mode::Learn);
    gate.closed = ["7", "42"]
        .map(|id| ProjectId::parse(id.as_bytes()).unwrap())
        .into();
    let verdicts = verdicts();
    let refused = |key: &[u8], project| {
        let mut here = ProvenHere::default();
        let asked = ask(&gate, &verdicts, &mut here, 0, key, project, None);
        asked.err().map(|refusal| refusal.reason)
    };
    assert_eq!(refused(GOOD, "42"), None);
    assert_eq!(refused(GOOD, "43"), Some(Reason::WrongProject));
    assert_eq!(refused(OFF, "42"), Some(Reason::DisabledKey));
    assert_eq!(refused(STRANGE, "42"), Some(Reason::UnknownKey));
    assert_eq!(refused(STRANGE, "43"), None, "Sentry may know it");
    assert_eq!(refused(STRANGE, ""), None, "whose it is only Sentry knows");
}

#[test]
fn an_origin_counts_for_the_project_that_names_it() {
    let (shop, other) = (Some("https://shop.example"), Some("https://evil.example"));
    check_key(Mode::Open, GOOD, "42", shop, None);
    check_key(Mode::Open, GOOD, "42", other, Some(Reason::Origin));
    // Without a number in the path it is the key's project that counts.
    check_key(Mode::Open, GOOD, "", other, Some(Reason::Origin));
    check_key(Mode::Open, STRANGE, "43", other, None);
    check_key(Mode::Open, GOOD, "42", Some("null"), None);
}

#[test]
fn only_learn_acts_on_what_the_upstream_refused() {
    for (mode, refused) in [(Mode::Learn, true), (Mode::Open, false)] {
        let (gate, verdicts) = (gate(mode), verdicts());
        let mut here = ProvenHere::default();
        for now_s in 0..3 {
            let sender = ask(&gate, &verdicts, &mut here, now_s, STRANGE, "7", None);
            let sender = sender.expect("not refused yet");
            let now = Millis(now_s * 1000);
            verdicts.learn(now, &sender, Answer::Refused, &mut here);
        }
        let last = ask(&gate, &verdicts, &mut here, 4, STRANGE, "7", None);
        let reason = last.err().map(|refusal| refusal.reason);
        assert_eq!(reason, refused.then_some(Reason::UnknownKey), "{mode:?}");
    }
}

#[test]
fn an_attackers_refusals_never_touch_the_good_senders() {
    let (gate, verdicts) = (gate(Mode::Learn), verdicts());
    let mut here = ProvenHere::default();
    // With the good key towards another project's number, and from a page of his own.
    for now_s in 0..10 {
        let answers = [
            (STRANGE, "8", None),
            (STRANGE, "7", Some("https://evil.example")),
        ];
        for (key, project, origin) in answers {
            if let Ok(sender) = ask(&gate, &verdicts, &mut here, now_s, key, project, origin) {
                let now = Millis(now_s * 1000);
                verdicts.learn(now, &sender, Answer::Refused, &mut here);
            }
        }
    }
    let attacker = ask(&gate, &verdicts, &mut here, 10, STRANGE, "8", None);
    assert_eq!(attacker.err().map(|r| r.reason), Some(Reason::UnknownKey));
    for origin in [None, Some("https://shop.example")] {
        let owner = ask(&gate, &verdicts, &mut here, 10, STRANGE, "7", origin);
        assert!(owner.is_ok(), "{origin:?}: {owner:?}");
    }
}

/// Relay read what the edge passes over, and a verdict fell on all who name no page.
#[test]
fn pages_that_others_read_differently_stand_for_themselves() {
    let verdicts = verdicts();
    let of = |origin: Option<&str>, referer: Option<&str>| {
        let page = Page::of_request(origin.map(str::as_bytes), referer.map(str::as_bytes));
        super::who::origin_key(&page, &verdicts)
    };
    let (shop, odd) = (Some("https://shop.example"), Some("https://%65vil.example"));
    assert_eq!(of(None, None), None);
    assert_eq!(of(None, shop), of(shop, odd), "the same page");
    let all = [
        of(None, None),
        of(shop, None),
        of(odd, None),
        of(odd, shop),
        of(None, odd),
        of(odd, odd),
        of(Some("null"), None),
        of(Some("null"), odd),
        of(Some("null"), shop),
        of(Some("https://shop.example\u{e9}%"), None),
    ];
    for (place, one) in all.iter().enumerate() {
        assert!(!all[..place].contains(one), "{place} passes for another");
    }
}
