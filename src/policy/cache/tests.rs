//! Promises of what is kept of web's answers: for whom, how long, and what makes room.

use bytes::Bytes;
use http::{HeaderName, HeaderValue};

use super::*;

const DAY_MS: u64 = 86_400_000;

fn head(lines: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        headers.append(name, HeaderValue::from_str(value).unwrap());
    }
    headers
}

fn stored_for(request: &HeaderMap, lines: &[(&str, &str)], body: &str) -> Option<Arc<Stored>> {
    let body = Bytes::copy_from_slice(body.as_bytes());
    Stored::new(Millis(1000), 0, request, &head(lines), body, DAY_MS).map(Arc::new)
}

fn stored(lines: &[(&str, &str)]) -> Option<Arc<Stored>> {
    stored_for(&HeaderMap::new(), lines, "body")
}

fn roomy() -> Cache {
    Cache::new(Limits {
        bytes_max: 1 << 20,
        entries_max: 100,
    })
}

const KEY: &[u8] = b"/js-sdk-loader/a.js";

/// What a cache with this answer says so many milliseconds later.
#[track_caller]
fn check_at(control: &str, later_ms: u64, want: &str) {
    let cache = roomy();
    let none = HeaderMap::new();
    cache.keep(KEY, &none, stored(&[("cache-control", control)]).unwrap());
    let now = Millis(1000 + later_ms);
    let found = cache.find(now, KEY, &none, false);
    assert_eq!(name(&found), want, "{control} after {later_ms} ms");
}

fn name(found: &Found) -> &'static str {
    match found {
        Found::Nothing => "nothing",
        Found::Fresh(_) => "fresh",
        Found::Standby(_) => "standby",
        Found::Stale(_, IfError::Serves) => "stale",
        Found::Stale(_, IfError::Fails) => "too old",
    }
}

#[test]
fn an_answer_is_fresh_for_as_long_as_it_says_to_shared_caches() {
    check_at("max-age=60", 59_999, "fresh");
    check_at("max-age=60", 60_000, "stale");
    check_at("max-age=60, s-maxage=10", 9_999, "fresh");
    check_at("max-age=60, s-maxage=10", 10_000, "stale");
    check_at("no-cache, max-age=60", 0, "too old");
    check_at("public", 0, "stale");
}

#[test]
fn a_stale_answer_stands_in_for_a_failure_within_both_limits() {
    check_at("max-age=0, stale-if-error=5", 4_999, "stale");
    check_at("max-age=0, stale-if-error=5", 5_000, "too old");
    check_at("max-age=1", 1_000 + DAY_MS - 1, "stale");
    check_at("max-age=1", 1_000 + DAY_MS, "too old");
    check_at(
        "max-age=1, stale-if-error=315360000",
        1_000 + DAY_MS,
        "too old",
    );
    for never in ["must-revalidate", "proxy-revalidate", "stale-if-error=0"] {
        check_at(&format!("max-age=1, {never}"), 1_000, "too old");
    }
}

#[test]
fn what_it_is_aged_by_before_counts() {
    let aged = stored(&[("cache-control", "max-age=60"), ("age", "50")]).unwrap();
    assert_eq!(aged.age_s(Millis(1000)), 50);
    assert!(
        !aged.headers.contains_key("age"),
        "it is told anew each time"
    );
    let cache = roomy();
    let none = HeaderMap::new();
    cache.keep(KEY, &none, aged);
    let at = |now| name(&cache.find(Millis(now), KEY, &none, false));
    assert_eq!((at(10_999), at(11_000)), ("fresh", "stale"));
}

#[test]
fn what_is_for_one_person_or_for_nobody_is_not_kept() {
    assert!(stored(&[]).is_some());
    for (name, value) in [
        ("cache-control", "no-store"),
        ("cache-control", "private"),
        ("set-cookie", "a=1"),
        ("content-range", "bytes 0-1/2"),
        ("vary", "*"),
        ("vary", "origin, *"),
    ] {
        assert!(stored(&[(name, value)]).is_none(), "{name}: {value}");
    }
    assert!(may_be_asked(&head(&[("cookie", "sentrysid=1")])));
    for (name, value) in [
        ("authorization", "Bearer a"),
        ("range", "bytes=0-"),
        ("cache-control", "no-store"),
    ] {
        assert!(!may_be_asked(&head(&[(name, value)])), "{name}: {value}");
    }
}

#[test]
fn who_reloads_hears_from_the_upstream() {
    for (name, value, want) in [
        ("cache-control", "no-cache", true),
        ("cache-control", "max-age=0", true),
        ("pragma", "no-cache", true),
        ("cache-control", "max-age=1", false),
        ("accept", "*/*", false),
    ] {
        assert_eq!(insists(&head(&[(name, value)])), want, "{name}: {value}");
    }
    let cache = roomy();
    let none = HeaderMap::new();
    cache.keep(
        KEY,
        &none,
        stored(&[("cache-control", "max-age=60")]).unwrap(),
    );
    assert_eq!(name(&cache.find(Millis(1000), KEY, &none, true)), "stale");
}

#[test]
fn each_gets_the_answer_that_was_chosen_by_its_own_headers() {
    let cache = roomy();
    let (packed, plain) = (head(&[("accept-encoding", "gzip")]), HeaderMap::new());
    let lines = [
        ("vary", "Accept-Encoding, origin"),
        ("cache-control", "max-age=9"),
    ];
    cache.keep(KEY, &packed, stored_for(&packed, &lines, "packed").unwrap());
    let now = Millis(1000);
    assert_eq!(name(&cache.find(now, KEY, &plain, false)), "nothing");
    cache.keep(KEY, &plain, stored_for(&plain, &lines, "plain").unwrap());
    for (request, want) in [(&packed, "packed"), (&plain, "plain")] {
        let Found::Fresh(found) = cache.find(now, KEY, request, false) else {
            panic!("{want} is gone");
        };
        assert_eq!(found.body, want);
    }
    let other = head(&[("accept-encoding", "gzip"), ("origin", "https://a.example")]);
    assert_eq!(name(&cache.find(now, KEY, &other, false)), "nothing");
    cache.forget(KEY, &packed);
    assert_eq!(name(&cache.find(now, KEY, &packed, false)), "nothing");
    assert_eq!(name(&cache.find(now, KEY, &plain, false)), "fresh");
    assert_eq!(cache.held().0, 1);
}

#[test]
fn one_asks_for_all_where_the_answer_allows_it() {
    let none = HeaderMap::new();
    let ask_twice = |control: &str| {
        let cache = roomy();
        cache.keep(KEY, &none, stored(&[("cache-control", control)]).unwrap());
        let ask = |now| name(&cache.find(Millis(now), KEY, &none, false));
        [ask(5_000), ask(6_999), ask(7_000)]
    };
    let shared = "max-age=1, stale-while-revalidate=60";
    assert_eq!(ask_twice(shared), ["stale", "standby", "stale"]);
    assert_eq!(ask_twice("max-age=1"), ["stale", "stale", "stale"]);
}

#[test]
fn after_a_failure_nobody_asks_for_a_while() {
    let cache = roomy();
    let none = HeaderMap::new();
    let kept = stored(&[("cache-control", "max-age=1")]).unwrap();
    cache.keep(KEY, &none, Arc::clone(&kept));
    cache.fails(Millis(5_000), KEY, &kept);
    let ask = |now, insists| name(&cache.find(Millis(now), KEY, &none, insists));
    assert_eq!(ask(14_999, false), "standby");
    assert_eq!(ask(14_999, true), "standby", "there is nothing newer");
    assert_eq!(ask(15_000, false), "stale");
    // It was about another answer than the one that is kept now.
    cache.keep(
        KEY,
        &none,
        stored(&[("cache-control", "max-age=1")]).unwrap(),
    );
    cache.fails(Millis(20_000), KEY, &kept);
    assert_eq!(ask(21_000, false), "stale");
}

#[test]
fn a_confirmed_answer_is_young_again_and_keeps_its_body() {
    let lines = [
        ("cache-control", "max-age=1"),
        ("etag", "\"1\""),
        ("content-type", "text/javascript"),
        ("x-old", "1"),
    ];
    let old = stored(&lines).unwrap();
    let news = head(&[
        ("cache-control", "max-age=9"),
        ("content-type", "text/html"),
        ("x-old", "2"),
    ]);
    let new = old.confirmed(Millis(50_000), 0, &news, DAY_MS).unwrap();
    assert_eq!(new.body, old.body);
    assert_eq!(new.age_s(Millis(50_999)), 0);
    assert_eq!(new.headers["content-type"], "text/javascript");
    assert_eq!(new.headers["x-old"], "2");
    assert!(new.standing(Millis(58_999)).fresh && !new.standing(Millis(59_000)).fresh);
    let withdrawn = head(&[("cache-control", "no-store")]);
    assert!(old.confirmed(Millis(0), 0, &withdrawn, DAY_MS).is_none());
}

#[test]
fn it_is_asked_by_the_upstreams_own_words_alone() {
    let ask = |lines: &[(&str, &str)]| {
        let mut request = HeaderMap::new();
        stored(lines).unwrap().ask(&mut request);
        request
    };
    let told = ask(&[
        ("etag", "\"1\""),
        ("last-modified", "Thu, 26 Nov 2026 00:00:00 GMT"),
    ]);
    assert_eq!(told["if-none-match"], "\"1\"");
    assert_eq!(told["if-modified-since"], "Thu, 26 Nov 2026 00:00:00 GMT");
    assert!(ask(&[]).is_empty(), "our own tag says nothing to it");
}

#[track_caller]
fn check_had(lines: &[(&str, &str)], want: bool) {
    let kept = stored(&[("etag", "W/\"1\""), ("last-modified", "now")]).unwrap();
    assert_eq!(kept.is_had(&head(lines)), want, "{lines:?}");
}

#[test]
fn who_has_it_already_is_not_sent_it_again() {
    check_had(&[("if-none-match", "\"1\"")], true);
    check_had(&[("if-none-match", "\"0\", W/\"1\"")], true);
    check_had(&[("if-none-match", "*")], true);
    check_had(&[("if-none-match", "\"2\"")], false);
    check_had(
        &[("if-none-match", "\"2\""), ("if-modified-since", "now")],
        false,
    );
    check_had(&[("if-modified-since", "now")], true);
    check_had(&[("if-modified-since", "then")], false);
    check_had(&[], false);
}

#[test]
fn an_answer_without_a_tag_gets_one_by_its_bytes_and_coding() {
    let tag = |lines: &[(&str, &str)], body: &str| {
        let stored = stored_for(&HeaderMap::new(), lines, body).unwrap();
        stored.headers["etag"].clone()
    };
    assert_eq!(tag(&[], "a"), tag(&[("x", "y")], "a"));
    assert_ne!(tag(&[], "a"), tag(&[], "b"));
    assert_ne!(tag(&[], "a"), tag(&[("content-encoding", "gzip")], "a"));
}

fn fill(cache: &Cache, keys: impl Iterator<Item = usize>) {
    let none = HeaderMap::new();
    for key in keys {
        let fresh = stored(&[("cache-control", "max-age=9")]).unwrap();
        cache.keep(&key.to_be_bytes(), &none, fresh);
    }
}

fn is_kept(cache: &Cache, key: usize) -> bool {
    let found = cache.find(Millis(1000), &key.to_be_bytes(), &HeaderMap::new(), false);
    matches!(found, Found::Fresh(_))
}

#[test]
fn what_is_asked_for_once_never_pushes_out_what_is_asked_for_again() {
    let cache = Cache::new(Limits {
        bytes_max: 1 << 20,
        entries_max: 8,
    });
    fill(&cache, 0..6);
    assert!((0..6).all(|key| is_kept(&cache, key)));
    fill(&cache, 100..1000);
    assert_eq!(cache.held().0, 8);
    assert!((0..6).all(|key| is_kept(&cache, key)), "a flood won");
    // What is new has a quarter, and a place once it is asked for again.
    assert!(is_kept(&cache, 999) && is_kept(&cache, 998));
    fill(&cache, 2000..2002);
    assert!(is_kept(&cache, 2000) && is_kept(&cache, 2001));
    assert!(!is_kept(&cache, 0), "it was asked for longest ago");
}

#[test]
fn bytes_are_a_limit_and_come_back() {
    let none = HeaderMap::new();
    let big = |byte: &str| stored_for(&none, &[], &byte.repeat(10_000)).unwrap();
    let cache = Cache::new(Limits {
        bytes_max: 25_000,
        entries_max: 100,
    });
    for key in [b"a", b"b", b"c"] {
        cache.keep(key, &none, big("x"));
    }
    let (entries, bytes) = cache.held();
    assert_eq!(entries, 2);
    assert!((20_000..=25_000).contains(&bytes), "{bytes}");
    cache.keep(
        b"d",
        &none,
        stored_for(&none, &[], &"x".repeat(25_000)).unwrap(),
    );
    assert_eq!(cache.held().0, 2, "what is larger than all is not kept");
    cache.limit(Limits {
        bytes_max: 12_000,
        entries_max: 100,
    });
    assert_eq!(cache.held().0, 1);
    cache.clear();
    assert_eq!(cache.held(), (0, 0));
}

/// Each that leaves is found by a look at all, while others wait.
#[test]
fn where_too_many_would_have_to_leave_all_do() {
    let limits = |entries_max| Limits {
        bytes_max: 1 << 20,
        entries_max,
    };
    for (entries_max, want) in [(136, 136), (135, 0)] {
        let cache = Cache::new(limits(1000));
        fill(&cache, 0..200);
        cache.limit(limits(entries_max));
        assert_eq!(cache.held().0, want);
    }
}

#[test]
fn one_address_has_so_many_variants() {
    let cache = roomy();
    for number in 0..40 {
        let request = head(&[("accept-encoding", &number.to_string())]);
        let lines = [("vary", "accept-encoding")];
        cache.keep(KEY, &request, stored_for(&request, &lines, "body").unwrap());
    }
    assert_eq!(cache.held().0, VARIANTS_MAX);
}
