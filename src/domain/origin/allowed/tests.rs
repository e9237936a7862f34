//! What an allowed list promises: each rule of matching with both sides of its boundary, each
//! refused pattern beside an accepted one.

use proptest::prelude::*;

use super::*;

/// Asks a list about a request whose `Origin` header is `origin`, which must be usable.
#[track_caller]
fn check(patterns: &[&str], origin: &str, want: bool) {
    let list = AllowedOrigins::parse(patterns.iter().copied()).expect("a sound list");
    let read = Origin::of_request(Some(origin.as_bytes()), None).expect("a usable origin");
    assert_eq!(list.allows(Some(&read)), want, "{patterns:?} for {origin}");
}

#[track_caller]
fn check_fault(written: &str, want: Option<OriginPatternFault>) {
    let got = AllowedOrigins::parse(["a.com", written]).err();
    assert_eq!(
        got,
        want.map(|fault| OriginPatternError { place: 1, fault }),
        "{written:?}"
    );
}

#[test]
fn a_request_without_an_origin_is_always_allowed() {
    for patterns in [&[][..], &["a.com"], &["*"]] {
        let list = AllowedOrigins::parse(patterns.iter().copied()).expect("a sound list");
        assert!(list.allows(None), "{patterns:?}");
    }
}

#[test]
fn an_empty_list_refuses_every_origin_and_a_star_none() {
    for origin in ["https://a.com", "http://[::1]:8080", "http://localhost"] {
        check(&[], origin, false);
        check(&["*"], origin, true);
        check(&["b.com", "*"], origin, true);
    }
}

#[test]
fn any_is_the_list_of_one_star() {
    let any = AllowedOrigins::any();
    assert_eq!(AllowedOrigins::parse(["*"]), Ok(any.clone()));
    assert!(any.is_any(), "the star");
    let is_any = |patterns: &[&str]| {
        AllowedOrigins::parse(patterns.iter().copied())
            .expect("a sound list")
            .is_any()
    };
    assert!(is_any(&["a.com", "*://*:*/x"]), "a star in every part");
    for list in [&[][..], &["a.com"], &["https://*"], &["*:8080"], &["*.com"]] {
        assert!(!is_any(list), "{list:?}");
    }
}

#[test]
fn one_matching_pattern_is_enough() {
    check(&["a.com", "b.com"], "https://b.com", true);
    check(&["a.com", "b.com"], "https://c.com", false);
}

#[test]
fn a_plain_host_matches_itself_in_any_case() {
    check(&["Example.COM"], "https://example.com", true);
    check(&["example.com"], "https://EXAMPLE.com", true);
    check(&["example.com"], "https://www.example.com", false);
    check(&["example.com"], "https://notexample.com", false);
    check(&["example.com"], "https://example.com.evil.org", false);
    check(
        &["xn--bcher-kva.example"],
        "https://xn--bcher-kva.example",
        true,
    );
    check(
        &["b\u{fc}cher.example"],
        "https://xn--bcher-kva.example",
        false,
    );
}

#[test]
fn a_scheme_is_compared_where_it_is_written() {
    check(&["HTTPS://a.com"], "https://a.com", true);
    check(&["https://a.com"], "http://a.com", false);
    check(&["http://*"], "http://a.com", true);
    check(&["http://*"], "https://a.com", false);
    for pattern in ["a.com", "*://a.com"] {
        check(&[pattern], "http://a.com", true);
        check(&[pattern], "https://a.com", true);
    }
}

#[test]
fn a_port_is_compared_where_it_is_written() {
    check(&["a.com:8080"], "https://a.com:8080", true);
    check(&["a.com:8080"], "https://a.com:8081", false);
    check(&["a.com:8080"], "https://a.com", false);
    check(&["*:8080"], "http://b.com:8080", true);
    for pattern in ["a.com", "a.com:*"] {
        check(&[pattern], "https://a.com:8080", true);
        check(&[pattern], "https://a.com", true);
    }
}

#[test]
fn a_default_port_in_a_pattern_never_matches() {
    check(&["https://a.com:443"], "https://a.com", false);
    check(&["https://a.com:443"], "https://a.com:443", false);
    check(&["http://a.com:80"], "http://a.com:80", false);
    // The other scheme's default is a port like any other.
    check(&["a.com:443"], "https://a.com:443", false);
    check(&["a.com:443"], "http://a.com:443", true);
    check(&["https://a.com:80"], "https://a.com:80", true);
}

#[test]
fn a_star_and_a_dot_match_the_domain_and_all_below() {
    check(&["*.example.com"], "https://example.com", true);
    check(&["*.example.com"], "https://www.example.com", true);
    check(&["*.example.com"], "https://a.b.example.com:8080", true);
    check(&["*.example.com"], "https://notexample.com", false);
    check(&["*.example.com"], "https://example.com.evil.org", false);
    check(
        &["https://*.example.com:8080"],
        "https://example.com:8080",
        true,
    );
    check(
        &["https://*.example.com:8080"],
        "https://example.com",
        false,
    );
}

#[test]
fn a_star_without_a_dot_is_a_raw_suffix() {
    check(&["*example.com"], "https://notexample.com", true);
    check(&["*example.com"], "https://example.com", true);
    check(&["*example.com"], "https://www.example.com", true);
    check(&["*example.com"], "https://example.org", false);
}

#[test]
fn stars_elsewhere_stand_for_any_run_of_characters() {
    check(&["example.*"], "https://example.co.uk", true);
    check(&["example.*"], "https://www.example.com", false);
    check(&["a*.example.com"], "https://a.b.example.com", true);
    check(&["a*.example.com"], "https://a.example.com", true);
    check(&["a*.example.com"], "https://example.com", false);
    check(&["app-*-x.*.com"], "https://app-1-x.eu.com", true);
    check(&["app-*-x.*.com"], "https://app-x.eu.com", false);
    check(&["*.*.com"], "https://b.com", true);
    check(&["*.*.com"], "https://com", false);
    check(&["**a**b**"], "https://ab", true);
    check(&["**a**b**"], "https://ba", false);
    // Head and tail must not share a character.
    check(&["ab*ba"], "https://abba", true);
    check(&["ab*ba"], "https://aba", false);
    check(&["*ab*ab"], "https://xab", false);
}

#[test]
fn addresses_are_compared_by_their_shortest_spelling() {
    check(&["[2001:db8:0::1]"], "https://[2001:DB8::1]", true);
    check(&["[::1]:8080"], "http://[::1]:8080", true);
    check(&["[::1]:8080"], "http://[::1]", false);
    check(&["[2001:DB8:*]"], "http://[2001:db8::7]", true);
    check(&["[2001:DB8:*]"], "http://[2001:db9::7]", false);
}

#[test]
fn the_path_of_a_pattern_is_ignored() {
    for path in ["/", "/*", "/x/y", "?x", "#x", "/from=http://b.com", "//x"] {
        for pattern in [format!("a.com{path}"), format!("https://a.com{path}")] {
            check(&[&pattern], "https://a.com", true);
            check(&[&pattern], "https://b.com", false);
        }
    }
}

#[test]
fn patterns_are_shown_as_they_were_written() {
    let written = ["HTTPS://*.Example.com:*/x", "*", "[0::1]"];
    let list = AllowedOrigins::parse(written).expect("a sound list");
    assert_eq!(list.patterns().collect::<Vec<_>>(), written);
    assert_eq!(AllowedOrigins::any().patterns().collect::<Vec<_>>(), ["*"]);
}

#[test]
fn a_pattern_that_cannot_mean_anything_is_refused() {
    use OriginPatternFault::*;
    check_fault("", Some(Empty));
    for written in [
        " ", "a.com ", " a.com", "a b", "a.com\n", "a\u{a0}b", "a\0b",
    ] {
        check_fault(written, Some(Blank));
    }
    for written in [
        "ftp://a.com",
        "://a.com",
        "http*://a.com",
        "a.com://b.com",
        "**://a.com",
    ] {
        check_fault(written, Some(BadScheme));
    }
    for written in ["https://http://a.com", "*://*://a.com", "http://https:///"] {
        check_fault(written, Some(SecondScheme));
    }
    for written in [
        "https://", "/x", ":80", "a@b.com", "::1", "[::1", "[::1]x", "[*", "[g*]", "a%b", "<",
    ] {
        check_fault(written, Some(BadHost));
    }
    for written in [
        "a.com:",
        "a.com:65536",
        "a.com:080",
        "a.com:+8",
        "a.com:8*",
        "a:b:c",
    ] {
        check_fault(written, Some(BadPort));
    }
    for written in [
        "a.com",
        "*.a.com",
        "*:0",
        "*://a.com:65535",
        "localhost",
        "10.0.0.1:8080",
    ] {
        check_fault(written, None);
    }
}

#[test]
fn lengths_and_counts_have_limits() {
    use OriginPatternFault::{TooLong, TooMany};
    let host = "a".repeat(HOST_BYTES_MAX);
    check_fault(&format!("https://*.{host}:65535"), None);
    check_fault(&format!("https://*.a{host}"), Some(TooLong));
    let path = "x".repeat(PATTERN_BYTES_MAX - "a.com/".len());
    check_fault(&format!("a.com/{path}"), None);
    check_fault(&format!("a.com/x{path}"), Some(TooLong));
    let list = |count| AllowedOrigins::parse(std::iter::repeat_n("a.com", count));
    assert!(list(PATTERNS_MAX).is_ok(), "a full list");
    let error = OriginPatternError {
        place: PATTERNS_MAX,
        fault: TooMany,
    };
    assert_eq!(list(PATTERNS_MAX + 1), Err(error));
}

#[test]
fn an_error_says_where_and_never_what_was_written() {
    let error = AllowedOrigins::parse(["a.com", "secret@b.com"]).expect_err("a user name");
    let want = "pattern [1] has a host that is missing or malformed";
    assert_eq!(error.to_string(), want);
}

/// The plainest meaning of a star, for comparison: try every run.
fn every_run(pattern: &[u8], text: &[u8]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some((b'*', rest)) => (0..=text.len()).any(|run| every_run(rest, &text[run..])),
        Some((first, rest)) => text.first() == Some(first) && every_run(rest, &text[1..]),
    }
}

proptest! {
    #[test]
    fn no_text_makes_parsing_panic(text in "((https?|\\*)://)?(\\[[0-9a-f:*]{0,9}\\]?)?\\PC{0,30}") {
        let _parsed = AllowedOrigins::parse([&*text]);
    }

    #[test]
    fn an_origin_matches_the_pattern_of_its_own_text(
        url in "[hH]ttps?://([A-Za-z0-9*.!_-]{1,20}\\PC?|\\[[0-9a-fA-F:]{2,12}\\])(:[0-9]{0,5})?(/\\PC{0,9})?",
    ) {
        if let Some(origin) = Origin::of_request(Some(url.as_bytes()), None) {
            let text = origin.to_string();
            let list = AllowedOrigins::parse([&*text]).expect("an origin's text is a pattern");
            prop_assert!(list.allows(Some(&origin)), "{text}");
            let again = Origin::of_request(Some(text.as_bytes()), None);
            prop_assert_eq!(again.as_ref(), Some(&origin), "{} reads as itself", text);
        }
    }

    #[test]
    fn stars_match_as_trying_every_run_would(pattern in "[ab*]{0,8}", text in "[ab]{0,10}") {
        prop_assert_eq!(is_match(&pattern, &text), every_run(pattern.as_bytes(), text.as_bytes()));
    }
}
