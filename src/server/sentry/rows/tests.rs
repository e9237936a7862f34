//! Pages as Sentry writes them, and as nobody should.

use proptest::prelude::*;

use super::*;

const PUBLIC: &str = "a94ae32be2584e0bbd7a4cbb95971fee";

fn id(number: u64) -> ProjectId {
    ProjectId::parse(number.to_string().as_bytes()).unwrap()
}

#[track_caller]
fn check_project(row: &str, want: Option<(u64, &str, &str, bool)>) {
    let page = projects(format!("[{row}]").as_bytes()).unwrap();
    let got = page.read.first().map(|project| {
        let ListedProject {
            id,
            organization,
            slug,
            active,
        } = project;
        (id.get(), organization.as_str(), slug.as_str(), *active)
    });
    assert_eq!(got, want, "{row}");
    assert_eq!(page.skipped, u64::from(want.is_none()), "{row}");
}

#[test]
fn a_project_needs_a_number_and_two_names() {
    let whole = r#"{"id":"42","slug":"shop","status":"active","organization":{"slug":"acme","id":"1"},"teams":[{}]}"#;
    check_project(whole, Some((42, "acme", "shop", true)));
    check_project(
        &whole.replace("\"42\"", "42"),
        Some((42, "acme", "shop", true)),
    );
    check_project(
        &whole.replace("active", "pending_deletion"),
        Some((42, "acme", "shop", false)),
    );
    check_project(
        &whole.replace("status", "other"),
        Some((42, "acme", "shop", true)),
    );
    for (field, value) in [
        ("\"42\"", "\"0\""),
        ("\"42\"", "null"),
        ("\"42\"", "[42]"),
        ("\"42\"", "-1"),
        ("\"42\"", "4.2"),
        ("\"shop\"", "\"\""),
        ("\"shop\"", "\"..\""),
        ("\"shop\"", "7"),
        ("{\"slug\":\"acme\",\"id\":\"1\"}", "null"),
        ("{\"slug\":\"acme\",\"id\":\"1\"}", "\"acme\""),
    ] {
        check_project(&whole.replace(field, value), None);
    }
    for row in ["{}", "null", "42", "[]", "\"x\""] {
        check_project(row, None);
    }
    let long = whole.replace("shop", &"s".repeat(SLUG_BYTES_MAX + 1));
    check_project(&long, None);
}

#[track_caller]
fn check_key(row: &str, want: Option<ListedKey>) {
    let page = keys(format!("[{row}]").as_bytes(), id(42)).unwrap();
    assert_eq!(page.read.first(), want.as_ref(), "{row}");
    assert_eq!(page.skipped, u64::from(want.is_none()), "{row}");
}

fn listed() -> ListedKey {
    ListedKey {
        key: Key::parse(PUBLIC.as_bytes()).unwrap(),
        project: id(42),
        enabled: true,
        name: String::new(),
        rate_limit: None,
    }
}

#[test]
fn a_key_needs_nothing_but_itself() {
    check_key(&format!(r#"{{"public":"{PUBLIC}"}}"#), Some(listed()));
    check_key(
        &format!(
            r#"{{"public":"{PUBLIC}","secret":"x","isActive":false,"projectId":7,"name":"Default","label":"other","rateLimit":{{"window":60,"count":100}}}}"#
        ),
        Some(ListedKey {
            project: id(7),
            enabled: false,
            name: "Default".to_owned(),
            rate_limit: Some(RateLimit {
                count: 100,
                window_s: 60,
            }),
            ..listed()
        }),
    );
    check_key(
        &format!(
            r#"{{"public":"{PUBLIC}","name":null,"label":"a\u0000b\nc","rateLimit":null,"projectId":null,"isActive":null}}"#
        ),
        Some(ListedKey {
            name: "abc".to_owned(),
            ..listed()
        }),
    );
}

#[test]
fn fields_of_an_unknown_form_count_as_absent() {
    for field in [
        r#""rateLimit":[]"#,
        r#""rateLimit":{"window":0,"count":5}"#,
        r#""rateLimit":{"window":60,"count":0}"#,
        r#""rateLimit":{"window":-1,"count":5}"#,
        r#""rateLimit":{"window":60}"#,
        r#""isActive":"no""#,
        r#""projectId":{}"#,
        r#""projectId":0"#,
        r#""name":7"#,
    ] {
        check_key(
            &format!(r#"{{"public":"{PUBLIC}",{field}}}"#),
            Some(listed()),
        );
    }
}

#[test]
fn what_no_client_can_send_is_skipped_and_counted() {
    for public in [
        "null",
        "7",
        "\"\"",
        "\"A94AE32BE2584E0BBD7A4CBB95971FEE\"",
        "\"a94ae32be2584e0bbd7a4cbb95971fe\"",
    ] {
        check_key(&format!(r#"{{"public":{public}}}"#), None);
    }
    check_key("{}", None);
    let page = keys(
        format!(r#"[{{}},{{"public":"{PUBLIC}"}},7]"#).as_bytes(),
        id(42),
    )
    .unwrap();
    assert_eq!((page.read.len(), page.skipped), (1, 2));
}

#[test]
fn a_name_is_cut_between_characters() {
    let name = "\u{1f4a5}".repeat(NAME_CHARS_MAX + 1);
    let want = "\u{1f4a5}".repeat(NAME_CHARS_MAX);
    check_key(
        &format!(r#"{{"public":"{PUBLIC}","name":"{name}"}}"#),
        Some(ListedKey {
            name: want,
            ..listed()
        }),
    );
}

#[test]
fn a_page_is_a_json_list() {
    for body in [
        "",
        "{}",
        "null",
        "<html>",
        "[",
        "[{]",
        "[] x",
        r#"{"detail":"x"}"#,
    ] {
        assert_eq!(
            projects(body.as_bytes()).unwrap_err(),
            ApiError::NotAList,
            "{body}"
        );
    }
    assert_eq!(projects(b"[\"\xff\"]").unwrap_err(), ApiError::NotAList);
    assert_eq!(projects(b" [ ] ").unwrap().read, []);
}

proptest! {
    #[test]
    fn any_page_is_read_to_an_end(body in "[\\[\\]{}:,\"a-z0-9\\\\ ]{0,80}") {
        projects(body.as_bytes()).ok();
        keys(body.as_bytes(), id(1)).ok();
    }
}
