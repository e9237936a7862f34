//! What reading an origin promises: each rule with both sides of its boundary.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

/// Reads the two headers; `want` is the effective origin as `Origin` headers have it.
#[track_caller]
fn check_read(origin: Option<&str>, referer: Option<&str>, want: Option<&str>) {
    let got = Origin::of_request(origin.map(str::as_bytes), referer.map(str::as_bytes));
    assert_eq!(
        got.map(|origin| origin.to_string()).as_deref(),
        want,
        "origin {origin:?}, referer {referer:?}"
    );
}

#[track_caller]
fn check_url(url: &str, want: Option<&str>) {
    check_read(Some(url), None, want);
    check_read(None, Some(url), want);
}

#[test]
fn the_origin_header_is_asked_before_the_referer() {
    let (a, b) = ("https://a.com", "https://b.com/shop?x=1");
    check_read(Some(a), Some(b), Some("https://a.com"));
    check_read(Some(a), None, Some("https://a.com"));
    check_read(None, Some(b), Some("https://b.com"));
    check_read(None, None, None);
}

#[test]
fn an_unusable_origin_falls_back_to_the_referer() {
    for unusable in [
        "null",
        "",
        "a.com",
        "//a.com",
        "chrome-extension://abcdef",
        "file:///etc/passwd",
        "ftp://a.com",
        "https://",
        "https://a.com https://c.com",
    ] {
        check_read(
            Some(unusable),
            Some("https://b.com/"),
            Some("https://b.com"),
        );
        check_read(Some(unusable), Some("about:blank"), None);
        check_read(Some(unusable), None, None);
    }
}

#[test]
fn scheme_and_host_are_in_lower_case() {
    check_url("HTTPS://Shop.Example.COM", Some("https://shop.example.com"));
    check_url(
        "https://B\u{dc}cher.example",
        Some("https://b\u{dc}cher.example"),
    );
}

#[test]
fn default_ports_are_dropped_and_others_kept() {
    check_url("https://a.com:443", Some("https://a.com"));
    check_url("http://a.com:80", Some("http://a.com"));
    check_url("https://a.com:80", Some("https://a.com:80"));
    check_url("http://a.com:443", Some("http://a.com:443"));
    check_url("https://a.com:0443", Some("https://a.com"));
    check_url("https://a.com:", Some("https://a.com"));
    check_url("https://a.com:0", Some("https://a.com:0"));
    check_url("https://a.com:65535", Some("https://a.com:65535"));
    for port in ["65536", "+80", "-1", "8x", "80:80", " 80"] {
        check_url(&format!("https://a.com:{port}"), None);
    }
}

#[test]
fn user_name_path_query_and_fragment_are_cut() {
    for rest in [
        "/",
        "/x/y",
        "?x=https://b.com",
        "#@b.com",
        "/@b.com",
        "\\.b.com",
        "\\@b.com",
    ] {
        check_url(
            &format!("https://a.com:8443{rest}"),
            Some("https://a.com:8443"),
        );
    }
    check_url("https://user:pass@a.com/x", Some("https://a.com"));
    check_url("https://b.com@c.com@a.com/x", Some("https://a.com"));
    check_url(" https://a.com\t", Some("https://a.com"));
}

#[test]
fn an_address_in_brackets_is_a_host() {
    check_url("http://[::1]:8080/x", Some("http://[::1]:8080"));
    check_url("http://[::1]:80", Some("http://[::1]"));
    check_url("https://[2001:DB8:0:0::1]", Some("https://[2001:db8::1]"));
    for host in [
        "[",
        "[]",
        "[::1",
        "[::1]x",
        "[a.com]",
        "[fe80::1%eth0]",
        "::1",
    ] {
        check_url(&format!("https://{host}"), None);
    }
}

#[test]
fn a_host_with_characters_that_no_host_has_is_unusable() {
    for host in [
        "a b",
        "a<b",
        "a%41",
        "a^b",
        "a|b",
        "a\u{7f}b",
        "a\u{2028}b",
        "a]",
        ":80",
        "@",
    ] {
        check_url(&format!("https://{host}/"), None);
    }
    for host in ["localhost", "a-b_c", "10.0.0.1", "a.com.", "a*b", "a,b"] {
        check_url(&format!("https://{host}"), Some(&format!("https://{host}")));
    }
    let broken = Origin::of_request(Some(b"https://a\xff.com"), None);
    assert_eq!(broken, None, "a host that is no text");
    let sound = Origin::of_request(Some(b"https://a.com/\xff"), None);
    assert!(sound.is_some(), "a path that is no text is not looked at");
}

#[test]
fn an_overlong_host_or_user_name_is_unusable() {
    let longest = format!("https://{}", "a".repeat(HOST_BYTES_MAX));
    check_url(&longest, Some(&longest));
    check_url(&format!("{longest}a"), None);
    let user = "u".repeat(AUTHORITY_BYTES_MAX - "@a.com".len());
    check_url(&format!("https://{user}@a.com/x"), Some("https://a.com"));
    check_url(&format!("https://{user}@a.com"), Some("https://a.com"));
    check_url(&format!("https://u{user}@a.com/x"), None);
    check_url(&format!("https://u{user}@a.com"), None);
}

#[test]
fn what_browsers_write_is_borrowed() {
    let borrowed = |url: &str| {
        let origin = Origin::of_request(Some(url.as_bytes()), None).expect("a usable origin");
        matches!(origin.host, Cow::Borrowed(_))
    };
    assert!(borrowed("https://shop.example.com:8443"), "a name");
    assert!(borrowed("https://[2001:db8::1]"), "an address");
    assert!(!borrowed("https://Shop.example.com"), "capitals");
}

#[test]
fn a_table_of_owned_origins_is_asked_with_borrowed_ones() {
    let read = |url: &'static str| Origin::of_request(Some(url.as_bytes()), None);
    let mut table: HashMap<(u8, Option<Origin<'static>>), &str> = HashMap::new();
    table.insert(
        (1, read("https://A.com:443/x").map(Origin::into_owned)),
        "a",
    );
    table.insert((1, None), "none");
    let header = String::from("https://a.com");
    let ask = |project: u8, header: Option<&str>| {
        let origin = Origin::of_request(header.map(str::as_bytes), None);
        table.get(&(project, origin)).copied()
    };
    assert_eq!(ask(1, Some(&header)), Some("a"), "the same origin");
    assert_eq!(ask(1, Some("http://a.com")), None, "another scheme");
    assert_eq!(ask(1, Some("https://a.com:444")), None, "another port");
    assert_eq!(ask(1, Some("null")), Some("none"), "no origin");
    assert_eq!(ask(2, Some(&header)), None, "another project");
}

#[test]
fn a_page_tells_what_was_passed_over() {
    let shop = "https://shop.example";
    let odd = "https://%65vil.example";
    for (origin, referer, want, odd_origin, odd_referer) in [
        (None, None, None, None, None),
        (Some(shop), None, Some(shop), None, None),
        (Some(shop), Some(odd), Some(shop), None, None),
        (None, Some(shop), Some(shop), None, None),
        (None, Some(odd), None, None, Some(odd)),
        (Some(odd), Some(shop), Some(shop), Some(odd), None),
        (Some("null"), Some(odd), None, Some("null"), Some(odd)),
        (Some(""), None, None, Some(""), None),
    ] {
        let page = Page::of_request(origin.map(str::as_bytes), referer.map(str::as_bytes));
        let read = page.origin.as_ref().map(ToString::to_string);
        let case = format!("{origin:?} {referer:?}");
        assert_eq!(read.as_deref(), want, "{case}");
        assert_eq!(page.odd_origin, odd_origin.map(str::as_bytes), "{case}");
        assert_eq!(page.odd_referer, odd_referer.map(str::as_bytes), "{case}");
        let plain = odd_origin.is_none() && odd_referer.is_none();
        assert_eq!(page.is_plain(), plain, "{case}");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_reading_panic(
        origin in prop::collection::vec(any::<u8>(), 0..40),
        referer in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let behind_a_scheme = [b"https://", &referer[..]].concat();
        let _read = Origin::of_request(Some(&origin), Some(&behind_a_scheme));
    }
}
