//! What is found in answers, whose fault it is said to be, and how the command exits.

use clap::Parser;

use super::super::super::fake::{Asked, Fake, answer as raw, json as answered};
use super::super::Mark;
use super::*;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    arguments: Arguments,
}

const PREFLIGHT: [&str; 3] = [
    "access-control-allow-origin: *",
    "access-control-allow-methods: POST",
    "access-control-allow-headers: x-sentry-auth,x-requested-with,content-type",
];
const REFUSAL: [&str; 3] = [
    "access-control-allow-origin: *",
    "access-control-expose-headers: x-sentry-error,x-sentry-rate-limits,retry-after",
    "x-sentry-error: the body is empty",
];

/// What the edge answers a browser.
fn sound(asked: &Asked) -> String {
    match &*asked.method {
        "OPTIONS" => raw("200 OK", &PREFLIGHT, ""),
        _ => raw("400 Bad Request", &REFUSAL, "{}"),
    }
}

/// An edge's admin side: where it listens, and what it explains.
fn admin(listen: &str, explained: &str) -> Fake {
    let status = json!({"light": "green", "public": [listen]}).to_string();
    let explained = explained.to_owned();
    Fake::start(move |asked| match &*asked.path {
        "/api/v1/status" => answered("200 OK", &status),
        _ => answered("200 OK", &explained),
    })
}

const ADMITTED: &str = r#"{"steps":[{"step":"origin","result":"admitted","why":"*"}],"verdict":"refused","status":400,"reason":"empty"}"#;
const REFUSED: &str = r#"{"steps":[],"verdict":"refused","status":403,"reason":"origin"}"#;
const UNKNOWN: &str = r#"{"steps":[],"verdict":"refused","status":403,"reason":"unknown_key"}"#;

fn typed(admin: &Fake, line: &[&str]) -> Arguments {
    let address = admin.address.to_string();
    let line = [&["cors", "--admin", &address], line].concat();
    Line::try_parse_from(line).unwrap().arguments
}

fn place(fake: &Fake) -> Place {
    Place::parse(&format!("http://{}", fake.address)).unwrap()
}

fn probe() -> Probe {
    Probe {
        project: 1,
        path: "/api/1/envelope/".to_owned(),
        origin: "https://shop.example".to_owned(),
        authorities: Authorities::default(),
    }
}

/// What is found where the preflight and the POST are answered so; each finding
/// wanted is a mark and what stands in it.
#[track_caller]
fn check(
    preflight: (&'static str, &[&'static str]),
    report: (&'static str, &[&'static str], &'static str),
    want: &[(Mark, &str)],
) {
    let (preflight_status, preflight) = (preflight.0, preflight.1.to_vec());
    let (status, head, body) = (report.0, report.1.to_vec(), report.2);
    let fake = Fake::start(move |asked| match &*asked.method {
        "OPTIONS" => raw(preflight_status, &preflight, ""),
        _ => raw(status, &head, body),
    });
    let found = direct(&probe(), &place(&fake));
    let all: Vec<String> = found.iter().flat_map(Finding::lines).collect();
    let all = all.join("\n");
    assert_eq!(found.len(), want.len(), "{all}");
    for (finding, (mark, seen)) in found.iter().zip(want) {
        assert_eq!(finding.mark, *mark, "{all}");
        assert!(finding.seen.contains(seen), "no {seen} in: {all}");
    }
}

const SOUND_PREFLIGHT: (&str, &[&str]) = ("200 OK", &PREFLIGHT);
const SOUND_REPORT: (&str, &[&str], &str) = ("400 Bad Request", &REFUSAL, "{}");
const OK_PREFLIGHT: (Mark, &str) = (Mark::Ok, "preflight: 200");
const OK_REPORT: (Mark, &str) = (Mark::Ok, "POST: 400");

#[test]
fn sound_answers_are_ok() {
    check(SOUND_PREFLIGHT, SOUND_REPORT, &[OK_PREFLIGHT, OK_REPORT]);
    let named = [
        "access-control-allow-origin: https://shop.example",
        "access-control-allow-methods: GET, POST",
        "access-control-allow-headers: *",
    ];
    check(
        ("204 No Content", &named),
        SOUND_REPORT,
        &[(Mark::Ok, "204"), OK_REPORT],
    );
}

#[test]
fn two_origins_are_a_problem_on_one_line_or_two() {
    let wanted = [
        OK_PREFLIGHT,
        (Mark::Problem, "2 values in Access-Control-Allow-Origin"),
    ];
    for twice in [
        &["access-control-allow-origin: *, *"][..],
        &[
            "access-control-allow-origin: *",
            "access-control-allow-origin: https://shop.example",
        ],
    ] {
        let head = [twice, &REFUSAL[1..]].concat();
        check(SOUND_PREFLIGHT, ("400 Bad Request", &head, "{}"), &wanted);
    }
}

#[test]
fn an_origin_that_is_missing_or_anothers_is_a_problem() {
    check(
        SOUND_PREFLIGHT,
        ("429 Too Many Requests", &REFUSAL[1..], "{}"),
        &[
            OK_PREFLIGHT,
            (Mark::Problem, "no Access-Control-Allow-Origin"),
        ],
    );
    let other = [
        "access-control-allow-origin: https://other.example",
        REFUSAL[1],
        REFUSAL[2],
    ];
    check(
        SOUND_PREFLIGHT,
        ("400 Bad Request", &other, "{}"),
        &[OK_PREFLIGHT, (Mark::Problem, "https://other.example")],
    );
}

#[test]
fn a_preflight_must_admit_method_and_headers() {
    check(
        ("200 OK", &PREFLIGHT[..1]),
        SOUND_REPORT,
        &[
            (Mark::Problem, "does not name POST"),
            (Mark::Problem, "does not name content-type, x-sentry-auth"),
            OK_REPORT,
        ],
    );
    check(
        ("405 Method Not Allowed", &PREFLIGHT),
        SOUND_REPORT,
        &[(Mark::Problem, "405"), OK_REPORT],
    );
}

#[test]
fn limits_that_a_page_cannot_read_are_a_problem() {
    let hidden = [
        REFUSAL[0],
        "access-control-expose-headers: sentry-trace,headers",
        REFUSAL[2],
    ];
    check(
        SOUND_PREFLIGHT,
        ("400 Bad Request", &hidden, "{}"),
        &[
            OK_PREFLIGHT,
            (
                Mark::Problem,
                "x-sentry-rate-limits, retry-after, x-sentry-error",
            ),
        ],
    );
}

#[test]
fn redirects_and_pages_are_not_the_edges() {
    check(
        ("301 Moved Permanently", &["location: https://a.example/"]),
        (
            "200 OK",
            &["content-type: text/html; charset=utf-8"],
            "hello",
        ),
        &[
            (Mark::Problem, "301 to https://a.example/"),
            (Mark::Problem, "a page of HTML"),
        ],
    );
    check(
        SOUND_PREFLIGHT,
        ("502 Bad Gateway", &[], " <html>"),
        &[OK_PREFLIGHT, (Mark::Problem, "502 with a page")],
    );
}

#[test]
fn an_empty_event_that_is_taken_or_lost_is_told() {
    check(
        SOUND_PREFLIGHT,
        ("200 OK", &REFUSAL, "{}"),
        &[OK_PREFLIGHT, (Mark::Warn, "an empty event")],
    );
    check(
        SOUND_PREFLIGHT,
        ("404 Not Found", &REFUSAL[..2], "{}"),
        &[OK_PREFLIGHT, (Mark::Problem, "404 without x-sentry-error")],
    );
}

/// The findings about the POST through a front that hides the limits.
fn through_a_hiding_front(own: anyhow::Result<Place>) -> Vec<String> {
    let hiding = Fake::start(|asked| match &*asked.method {
        "OPTIONS" => sound(asked),
        _ => raw("400 Bad Request", &[REFUSAL[0], REFUSAL[2]], "{}"),
    });
    let found = through(&probe(), &place(&hiding), own);
    found.into_iter().map(|finding| finding.seen).collect()
}

#[test]
fn the_edges_own_answer_tells_whose_fault_it_is() {
    let edge = Fake::start(sound);
    let found = through_a_hiding_front(Ok(place(&edge)));
    assert!(found[1].contains("in front of it"), "{found:?}");
    let same = Fake::start(|_| raw("400 Bad Request", &[REFUSAL[0], REFUSAL[2]], "{}"));
    let found = through_a_hiding_front(Ok(place(&same)));
    assert!(found[1].contains("answers the same"), "{found:?}");
    let found = through_a_hiding_front(Err(anyhow::anyhow!("no edge")));
    assert!(found[1].contains("could not be had"), "{found:?}");
    assert!(found[2].contains("no comparison"), "{found:?}");
}

#[test]
fn the_edge_is_asked_as_a_browser_asks_and_exits_with_0() {
    let edge = Fake::start(sound);
    let admin = admin(&edge.address.to_string(), ADMITTED);
    let key = "a94ae32be2584e0bbd7a4cbb95971fee";
    let dsn = format!("https://{key}@sentry.example/42");
    let line = ["--dsn", &dsn, "--origin", "https://Shop.example:443/x"];
    assert_eq!(main(&typed(&admin, &line)), ExitCode::SUCCESS);
    let asked = edge.asked();
    let methods: Vec<&str> = asked.iter().map(|asked| &*asked.method).collect();
    assert_eq!(methods, ["OPTIONS", "POST"]);
    for asked in &asked {
        assert!(
            asked.path.starts_with("/api/42/envelope/?"),
            "{}",
            asked.path
        );
        assert!(asked.path.contains(key), "{}", asked.path);
        assert_eq!(asked.header("origin"), ["https://shop.example"]);
        assert_eq!(asked.body, "");
    }
    assert_eq!(asked[0].header("access-control-request-method"), ["POST"]);
    assert_eq!(asked[1].header("content-length"), ["0"]);
    let explained = admin.asked().pop().unwrap();
    assert_eq!(explained.path, explain::PATH);
    let question: Value = serde_json::from_str(&explained.body).unwrap();
    assert_eq!(question["path"], asked[1].path);
    assert!(
        question["headers"]
            .as_array()
            .unwrap()
            .contains(&json!(["origin", "https://shop.example"])),
        "{question}"
    );
}

#[test]
fn an_origin_that_the_project_refuses_is_a_problem_when_it_was_named() {
    let edge = Fake::start(sound);
    let admin = admin(&edge.address.to_string(), REFUSED);
    let named = typed(&admin, &["--origin", "https://shop.example", "--json"]);
    assert_eq!(main(&named), ExitCode::FAILURE);
    assert_eq!(main(&typed(&admin, &[])), ExitCode::SUCCESS);
}

/// What an explanation is taken for.
#[track_caller]
fn check_judged(explained: &str, is_named: bool, mark: Mark, seen: &str) {
    let explained = serde_json::from_str(explained).unwrap();
    let mend = || anyhow::bail!("not asked");
    let found = judged(&explained, is_named, "https://shop.example", mend);
    assert_eq!(found.mark, mark, "{}", found.seen);
    assert!(found.seen.contains(seen), "{}", found.seen);
}

#[test]
fn a_refusal_before_the_origin_proves_nothing_about_it() {
    check_judged(UNKNOWN, true, Mark::Warn, "unknown_key");
    check_judged(ADMITTED, true, Mark::Ok, "admit https://shop.example");
    check_judged(REFUSED, true, Mark::Problem, "do not admit");
    check_judged(REFUSED, false, Mark::Warn, "do not admit");
    let forwarded = r#"{"steps":[],"verdict":"forwarded","status":null,"reason":null}"#;
    check_judged(forwarded, true, Mark::Ok, "admit");
}

#[test]
fn what_cannot_be_asked_is_misuse_or_a_failure() {
    let edge = Fake::start(sound);
    let known = admin(&edge.address.to_string(), ADMITTED);
    for line in [
        ["--url", "ftp://sentry.example"],
        ["--url", "sentry.example"],
        ["--origin", "shop.example"],
        ["--dsn", "https://sentry.example/42"],
    ] {
        assert_eq!(main(&typed(&known, &line)), ExitCode::from(2), "{line:?}");
    }
    assert!(edge.asked().is_empty());
    let nowhere = Fake::start(|_| answered("200 OK", r#"{"public":[]}"#));
    assert_eq!(main(&typed(&nowhere, &[])), ExitCode::FAILURE);
    let closed = Fake::start(|_| answered("403 Forbidden", r#"{"error":"no"}"#));
    assert_eq!(main(&typed(&closed, &[])), ExitCode::FAILURE);
    let front = format!("http://{}/", edge.address);
    assert_eq!(
        main(&typed(&closed, &["--url", &front])),
        ExitCode::SUCCESS,
        "a front can be judged without the edge's word"
    );
}
