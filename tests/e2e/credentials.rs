//! Keys of events: the places that may hold one, and what their absence, their
//! form and their number lead to. Never about the event itself.

use libtest_mimic::Trial;

use crate::client::Lines;
use crate::edge::{Edge, KEY, envelope_target};
use crate::ingest::{check_refusal, check_status};
use crate::parts::promises;
use crate::upstream::Fake;

pub(crate) fn trials() -> Vec<Trial> {
    promises![&[];
        a_key_passes_from_each_of_its_places,
        absent_keys_are_refused_with_401,
        malformed_keys_are_refused_with_400,
        two_places_are_refused_with_401,
        an_envelope_may_name_its_dsn_alone,
        cookies_and_foreign_tokens_do_not_cross,
    ]
}

fn a_key_passes_from_each_of_its_places() {
    let fake = Fake::start();
    let edge = Edge::before(&fake);
    let sentry = format!("Sentry sentry_version=7, sentry_client=a/1, sentry_key={KEY}");
    // base64 of KEY with an empty password.
    let basic = "Basic YTk0YWUzMmJlMjU4NGUwYmJkN2E0Y2JiOTU5NzFmZWU6";
    let cases: &[(&str, &str, Lines<'_>)] = &[
        ("query", &envelope_target(), &[]),
        (
            "query alone",
            &format!("/api/42/envelope/?sentry_key={KEY}"),
            &[],
        ),
        (
            "X-Sentry-Auth",
            "/api/42/envelope/",
            &[("X-Sentry-Auth", &sentry)],
        ),
        (
            "x-sentry-auth in capitals",
            "/api/42/store/",
            &[("X-SENTRY-AUTH", &sentry.replace("Sentry ", "SENTRY "))],
        ),
        (
            "Authorization",
            "/api/42/envelope/",
            &[("Authorization", &sentry)],
        ),
        ("Basic", "/api/42/envelope/", &[("Authorization", basic)]),
        ("unreal path", &format!("/api/42/unreal/{KEY}/"), &[]),
        ("cron path", &format!("/api/42/cron/nightly/{KEY}/"), &[]),
        (
            "version 5",
            &format!("/api/42/store/?sentry_key={KEY}&sentry_version=5"),
            &[],
        ),
        (
            "a Bearer token is no second place",
            &envelope_target(),
            &[("Authorization", "Bearer abc")],
        ),
    ];
    for (number, (what, target, headers)) in cases.iter().enumerate() {
        check_status(&edge, what, "POST", target, headers, 200);
        let seen = fake.requests();
        assert_eq!(seen.len(), number + 1, "{what} does not reach the upstream");
        assert_eq!(seen[number].target_text(), *target, "{what}");
    }
}

fn absent_keys_are_refused_with_401() {
    let fake = Fake::start();
    let edge = Edge::before(&fake);
    for (what, target, headers) in [
        ("nothing", "/api/42/store/", &[][..]),
        ("unrelated query", "/api/42/store/?a=b", &[]),
        ("oldest form", "/api/store/", &[]),
        (
            "Bearer",
            "/api/42/security/",
            &[
                ("Authorization", "Bearer abc"),
                ("Content-Type", "application/csp-report"),
            ],
        ),
        ("envelope without a dsn", "/api/42/envelope/", &[]),
        ("minidump", "/api/42/minidump/", &[]),
    ] {
        check_refusal(&check_status(&edge, what, "POST", target, headers, 401));
    }
    assert!(
        fake.requests().is_empty(),
        "a request without a key reached the upstream"
    );
}

fn malformed_keys_are_refused_with_400() {
    let fake = Fake::start();
    let edge = Edge::before(&fake);
    let short = &KEY[1..];
    let query = |key: &str| format!("/api/42/store/?sentry_key={key}");
    for (what, target, headers, want) in [
        ("31 digits", query(short), None, 400),
        ("33 digits", query(&format!("{KEY}0")), None, 400),
        ("capitals", query(&KEY.to_uppercase()), None, 400),
        ("no digits", query(&"g".repeat(32)), None, 400),
        ("empty", query(""), None, 400),
        (
            "version 8",
            format!("{}&sentry_version=8", query(KEY)),
            None,
            400,
        ),
        (
            "in a header",
            "/api/42/store/".to_owned(),
            Some(format!("Sentry sentry_key={short}")),
            400,
        ),
        ("in a path", format!("/api/42/unreal/{short}/"), None, 400),
        (
            "header without a key",
            "/api/42/store/".to_owned(),
            Some("Sentry sentry_version=7".to_owned()),
            401,
        ),
        (
            "no pairs at all",
            "/api/42/store/".to_owned(),
            Some("Sentry".to_owned()),
            401,
        ),
    ] {
        let headers: Vec<(&str, &str)> = headers
            .iter()
            .map(|value| ("X-Sentry-Auth", value.as_str()))
            .collect();
        check_refusal(&check_status(&edge, what, "POST", &target, &headers, want));
    }
    assert!(
        fake.requests().is_empty(),
        "a malformed key reached the upstream"
    );
}

fn two_places_are_refused_with_401() {
    let fake = Fake::start();
    let edge = Edge::before(&fake);
    let sentry = format!("Sentry sentry_key={KEY}");
    let both = [
        ("X-Sentry-Auth", sentry.as_str()),
        ("Authorization", sentry.as_str()),
    ];
    check_refusal(&check_status(
        &edge,
        "query and header",
        "POST",
        &envelope_target(),
        &both[..1],
        401,
    ));
    check_refusal(&check_status(
        &edge,
        "two headers",
        "POST",
        "/api/42/store/",
        &both,
        401,
    ));
    let release = "/api/42/envelope/?sentry_release=1";
    check_refusal(&check_status(
        &edge,
        "header and another sentry_ value",
        "POST",
        release,
        &both[..1],
        401,
    ));
    assert!(fake.requests().is_empty());
}

fn an_envelope_may_name_its_dsn_alone() {
    let fake = Fake::start();
    let edge = Edge::before(&fake);
    let body = format!(
        "{{\"dsn\":\"https://{KEY}@sentry.example.com/42\"}}\n{{\"type\":\"event\"}}\n{{}}\n"
    );
    let answer = edge.ask("POST", "/api/42/envelope/", &[], body.as_bytes());
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(fake.only_request().body, body.as_bytes());
    // Line one may come late and in pieces.
    let mut client = edge.connect();
    client
        .send(b"POST /api/42/envelope/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    for piece in body.as_bytes().chunks(10) {
        client.send(&[format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat());
    }
    client.send(b"0\r\n\r\n");
    assert_eq!(client.answer_to("POST").status, 200);
    assert_eq!(fake.requests()[1].body, body.as_bytes());
    for (dsn, want) in [("not a dsn", 401), (&KEY[1..], 401)] {
        let body = format!("{{\"dsn\":\"{dsn}\"}}\n{{\"type\":\"event\"}}\n{{}}\n");
        check_refusal(&{
            let answer = edge.ask("POST", "/api/42/envelope/", &[], body.as_bytes());
            assert_eq!(answer.status, want, "{dsn}: {}", answer.text());
            answer
        });
    }
    assert_eq!(fake.requests().len(), 2);
}

fn cookies_and_foreign_tokens_do_not_cross() {
    let fake = Fake::start();
    let edge = Edge::before(&fake);
    let sentry = format!("Sentry sentry_key={KEY}");
    let basic = "Basic YTk0YWUzMmJlMjU4NGUwYmJkN2E0Y2JiOTU5NzFmZWU6";
    let cases: &[(&str, &str, bool)] = &[
        (&envelope_target(), "Bearer abc", false),
        (&envelope_target(), "Negotiate abc", false),
        ("/api/42/envelope/", &sentry, true),
        ("/api/42/envelope/", basic, true),
    ];
    for (number, (target, authorization, crosses)) in cases.iter().enumerate() {
        let headers = [
            ("Authorization", *authorization),
            ("Cookie", "sentrysid=secret"),
            ("cookie", "b=c"),
        ];
        check_status(&edge, authorization, "POST", target, &headers, 200);
        let seen = &fake.requests()[number];
        assert_eq!(
            seen.headers.all("cookie"),
            Vec::<String>::new(),
            "{authorization}"
        );
        let want: Vec<String> = crosses
            .then(|| (*authorization).to_owned())
            .into_iter()
            .collect();
        assert_eq!(seen.headers.all("authorization"), want);
    }
}
