//! What is refused for its first line, each beside the nearest that is not: too
//! long, no header, packed in ways unknown or broken, and whose DSN is another's.

use libtest_mimic::Trial;

use crate::client::{Answer, Lines};
use crate::edge::{Edge, KEY, dump_target, envelope_target};
use crate::ingest::check_refusal;
use crate::parts::promises;
use crate::patterns;
use crate::upstream::{Ended, Fake};

use super::packing::Packing;
use super::{ALL_FORGED, ITEMS, attached, whole};

pub(super) fn trials() -> Vec<Trial> {
    promises![&[];
        line_one_is_at_most_64_kib_however_it_is_packed,
        what_is_no_header_is_malformed,
        unknown_codings_get_415_naming_those_known,
        broken_packing_in_line_one_gets_400,
        broken_packing_behind_a_forged_line_never_ends_cleanly_upstream,
        dsn_and_head_must_name_the_same,
        an_envelope_without_any_other_credentials_is_its_dsns,
    ]
}

/// Why a refusal says it is one.
fn reason(answer: &Answer) -> String {
    answer.json()["causes"][0].as_str().unwrap_or("").to_owned()
}

/// Sends a body that must pass or be refused, and be seen upstream accordingly.
#[track_caller]
fn check(
    edge: &Edge,
    fake: &Fake,
    target: &str,
    headers: Lines<'_>,
    body: &[u8],
    want: Option<(u16, &str)>,
) -> Answer {
    let before = fake.requests().len();
    let answer = edge.ask("POST", target, headers, body);
    let begin = body[..body.len().min(120)].escape_ascii();
    let what = format!("{target} {headers:?} {begin}: {}", answer.text());
    let passed = fake.requests().len() - before;
    match want {
        None => assert_eq!((answer.status, passed), (200, 1), "{what}"),
        Some((status, want)) => {
            assert_eq!((answer.status, passed), (status, 0), "{what}");
            assert_eq!(reason(&answer), want, "{what}");
            check_refusal(&answer);
        }
    }
    answer
}

/// A header line of exactly so many bytes.
fn line_of(bytes: usize) -> String {
    let frame = r#"{"a":""}"#.len();
    format!(r#"{{"a":"{}"}}"#, "x".repeat(bytes - frame))
}

fn line_one_is_at_most_64_kib_however_it_is_packed() {
    const MOST: usize = 64 * 1024;
    let fake = Fake::start();
    let edge = Edge::before(&fake);
    for packing in Packing::ALL {
        for (bytes, want) in [
            (MOST - 1, None),
            (MOST, None),
            (MOST + 1, Some((400, "malformed"))),
            (5 * MOST, Some((400, "malformed"))),
        ] {
            for items in [ITEMS, b""] {
                let body = packing.pack(&whole(&line_of(bytes), items));
                let target = envelope_target();
                check(&edge, &fake, &target, packing.headers(), &body, want);
            }
        }
    }
}

fn what_is_no_header_is_malformed() {
    let fake = Fake::start();
    let edge = Edge::before(&fake);
    let dsn = format!("\"dsn\":\"https://{KEY}@h/42\"");
    let twice = format!("{{{dsn},{dsn}}}");
    let escaped = format!("{{{dsn},\"\\u0064sn\":null}}");
    let no = Some((400, "malformed"));
    for (line, want) in [
        ("{}".to_owned(), None),
        ("{ }".to_owned(), None),
        (format!("{{{dsn}}}"), None),
        ("{\"a\":{\"dsn\":1},\"b\":[]}".to_owned(), None),
        ("[]".to_owned(), no),
        ("\"x\"".to_owned(), no),
        ("null".to_owned(), no),
        ("hello".to_owned(), no),
        ("\u{feff}{}".to_owned(), no),
        (" {}".to_owned(), no),
        ("{} ".to_owned(), no),
        ("{}\r".to_owned(), no),
        (String::new(), no),
        ("\n{}".to_owned(), no),
        ("{".to_owned(), no),
        ("{\"a\":\n1}".to_owned(), no),
        ("{\"a\":1,}".to_owned(), no),
        ("{\"dsn\":7}".to_owned(), no),
        (twice, no),
        (escaped, no),
        ("{\"event_id\":\"1\",\"event_id\":\"2\"}".to_owned(), no),
    ] {
        for packing in Packing::ALL {
            let body = packing.pack(&whole(&line, ITEMS));
            let target = envelope_target();
            check(&edge, &fake, &target, packing.headers(), &body, want);
        }
    }
}

fn unknown_codings_get_415_naming_those_known() {
    let fake = Fake::start();
    let edge = Edge::before(&fake);
    let body = whole("{}", ITEMS);
    for names in [
        &["lz4"][..],
        &["gzip, br"],
        &["gzip,gzip"],
        &["identity, gzip"],
        &["compress"],
        &["zz-evil-mark"],
        &["gzip", "br"],
        &["gzip", "gzip"],
        &["identity", "identity"],
    ] {
        let headers: Vec<(&str, &str)> = names
            .iter()
            .map(|name| ("Content-Encoding", *name))
            .collect();
        let want = Some((415, "bad_compression"));
        let answer = check(&edge, &fake, &envelope_target(), &headers, &body, want);
        assert_eq!(
            answer.header("accept-encoding").as_deref(),
            Some("gzip, deflate, br, zstd"),
            "{names:?}"
        );
        assert!(!answer.text().contains("zz-evil-mark"));
    }
    // Where nobody looks into the body, its coding is the upstream's business.
    let dump = dump_target();
    let lz4 = [("Content-Encoding", "lz4")];
    check(&edge, &fake, &dump, &lz4, &body, None);
}

fn broken_packing_in_line_one_gets_400() {
    let fake = Fake::start();
    let edge = Edge::before(&fake);
    // Random letters, so that half of what is packed is still inside the line.
    let noise: String = patterns::slice(5, 0, 9_000)
        .into_iter()
        .map(|byte| char::from(b'a' + byte % 26))
        .collect();
    let line = format!("{{\"a\":\"{noise}\"}}");
    for packing in Packing::ALL.into_iter().skip(1) {
        let target = envelope_target();
        let packed = packing.pack(&whole(&line, b"\n"));
        let half = &packed[..packed.len() / 2];
        let broken = Some((400, "bad_compression"));
        check(&edge, &fake, &target, packing.headers(), &packed, None);
        check(&edge, &fake, &target, packing.headers(), half, broken);
        let plain = whole("{}", ITEMS);
        check(&edge, &fake, &target, packing.headers(), &plain, broken);
        let whole = packing.pack(&whole("{}", &attached(&patterns::slice(8, 0, 200_000))));
        check(&edge, &fake, &target, packing.headers(), &whole, None);
        let cut = &whole[..whole.len() - 8];
        check(&edge, &fake, &target, packing.headers(), cut, broken);
    }
}

fn broken_packing_behind_a_forged_line_never_ends_cleanly_upstream() {
    for packing in Packing::ALL.into_iter().skip(1) {
        let fake = Fake::start();
        let edge = Edge::before(&fake);
        let noise = patterns::slice(6, 0, 600_000);
        let forged = packing.pack(&whole(ALL_FORGED.0, &attached(&noise)));
        for length in [forged.len() - 9, forged.len() / 2] {
            let body = &forged[..length];
            let answer = edge.post_envelope(packing.headers(), body);
            assert_eq!(answer.status, 400, "{packing:?}: {}", answer.text());
            assert_eq!(reason(&answer), "bad_compression", "{packing:?}");
        }
        let trailed = [forged.as_slice(), b"more"].concat();
        let answer = edge.post_envelope(packing.headers(), &trailed);
        assert_eq!(answer.status, 400, "{packing:?}: {}", answer.text());
        fake.wait_for("three requests that broke off", |ledger| {
            let all = &ledger.requests;
            let cut = all.iter().filter(|seen| seen.ended == Ended::Cut);
            (all.len() == 3 && cut.count() == 3).then_some(())
        });
    }
}

const OTHER: &str = "b94ae32be2584e0bbd7a4cbb95971fee";

fn dsn_line(dsn: &str) -> Vec<u8> {
    whole(&format!("{{\"dsn\":\"{dsn}\"}}"), ITEMS)
}

fn dsn_and_head_must_name_the_same() {
    let fake = Fake::start();
    let edge = Edge::before(&fake);
    let mismatch = Some((400, "dsn_mismatch"));
    for (dsn, want) in [
        (format!("https://{KEY}@sentry.example.com/42"), None),
        (
            format!("http://{KEY}:secret@elsewhere.example:9/p/q/42"),
            None,
        ),
        (format!("https://{OTHER}@sentry.example.com/42"), mismatch),
        (format!("https://{KEY}@sentry.example.com/43"), mismatch),
        (format!("https://{OTHER}@sentry.example.com/43"), mismatch),
        (
            "https://sentry.example.com/42".to_owned(),
            Some((401, "bad_key")),
        ),
        (
            format!("https://{KEY}@sentry.example.com/x"),
            Some((401, "bad_key")),
        ),
        ("nonsense".to_owned(), Some((401, "bad_key"))),
        (String::new(), Some((401, "bad_key"))),
    ] {
        for packing in Packing::ALL {
            let body = packing.pack(&dsn_line(&dsn));
            let target = envelope_target();
            check(&edge, &fake, &target, packing.headers(), &body, want);
        }
        // Where the head has the key in a header, it is compared all the same.
        let auth = format!("Sentry sentry_version=7, sentry_key={KEY}");
        let headers = [("X-Sentry-Auth", auth.as_str())];
        let target = "/api/42/envelope/";
        check(&edge, &fake, target, &headers, &dsn_line(&dsn), want);
    }
}

fn an_envelope_without_any_other_credentials_is_its_dsns() {
    let fake = Fake::start();
    let edge = Edge::before(&fake);
    let good = format!("https://{KEY}@sentry.example.com/42");
    for (target, body, want) in [
        ("/api/42/envelope/", dsn_line(&good), None),
        (
            "/api/43/envelope/",
            dsn_line(&good),
            Some((400, "dsn_mismatch")),
        ),
        (
            "/api/42/envelope/",
            dsn_line("https://h/42"),
            Some((401, "bad_key")),
        ),
        (
            "/api/42/envelope/",
            whole("{}", ITEMS),
            Some((401, "no_key")),
        ),
        (
            "/api/42/envelope/",
            whole("{\"dsn\":null}", ITEMS),
            Some((401, "no_key")),
        ),
        // Only the envelope endpoint takes a DSN for a key.
        ("/api/42/store/", dsn_line(&good), Some((401, "no_key"))),
    ] {
        let headers = [("Content-Type", "application/x-sentry-envelope")];
        check(&edge, &fake, target, &headers, &body, want);
    }
    let seen = fake.only_request();
    assert_eq!(
        seen.body,
        dsn_line(&good),
        "the dsn stays, it is the upstream's key"
    );
}
