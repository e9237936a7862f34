//! How hops are written: decorated, in RFC 7239 elements, alone, and wrongly.

use super::*;

#[test]
fn decorated_addresses_are_read_and_their_decoration_cut() {
    for (written, want) in [
        ("203.0.113.9", "203.0.113.9"),
        ("\"203.0.113.9\"", "203.0.113.9"),
        ("203.0.113.9:0", "203.0.113.9"),
        ("203.0.113.9:65535", "203.0.113.9"),
        ("2001:db8::5", "2001:db8::5"),
        ("2001:DB8:0::5", "2001:db8::5"),
        ("[2001:db8::5]", "2001:db8::5"),
        ("\"[2001:db8::5]:443\"", "2001:db8::5"),
        ("[2001:db8::5%eth0]:443", "2001:db8::5"),
        ("2001:db8::5%eth0", "2001:db8::5"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("[::ffff:203.0.113.9]:443", "203.0.113.9"),
    ] {
        check_docker(written, want, Source::Header);
        check(
            HeaderForm::Single,
            &["docker"],
            DOCKER_GATEWAY,
            written,
            (want, Source::Header),
        );
    }
}

#[test]
fn addresses_that_are_none_are_hidden_hops() {
    for written in [
        "203.0.113.9:",
        "203.0.113.9:65536",
        "203.0.113.9:+80",
        "203.0.113.9:8a",
        "203.0.113.9:80:80",
        "203.0.113",
        "203.0.113.9/32",
        "[2001:db8::5",
        "[2001:db8::5]443",
        "[2001:db8::5]:",
        "[2001:db8::5]:65536",
        "[203.0.113.9]",
        "2001:db8::5%",
        "2001:db8::g",
        "%eth0",
        "\"",
        "\"\"",
        "\"203.0.113.9",
        "localhost",
        "\u{661}\u{660}.0.0.1",
    ] {
        check_docker(written, DOCKER_GATEWAY, Source::Unknown);
        let want = (DOCKER_GATEWAY, Source::Unknown);
        check(
            HeaderForm::Single,
            &["docker"],
            DOCKER_GATEWAY,
            written,
            want,
        );
    }
    let longest = format!("2001:db8::5%{}", "z".repeat(128 - "2001:db8::5%".len()));
    check_docker(&longest, "2001:db8::5", Source::Header);
    check_docker(&format!("{longest}z"), DOCKER_GATEWAY, Source::Unknown);
}

#[track_caller]
fn check_forwarded(header: &str, want: &str, source: Source) {
    check(
        HeaderForm::Forwarded,
        &["docker"],
        DOCKER_GATEWAY,
        header,
        (want, source),
    );
}

#[test]
fn forwarded_elements_are_walked_by_their_for() {
    use Source::Header;
    check_forwarded(
        "for=203.0.113.9;x=\"\\\";for=6.6.6.6\"",
        "203.0.113.9",
        Header,
    );
    check_forwarded("for=203.0.113.9", "203.0.113.9", Header);
    check_forwarded(
        "For=\"203.0.113.9:4711\";proto=https;by=10.0.0.1",
        "203.0.113.9",
        Header,
    );
    check_forwarded(
        "proto=https; for = \"[2001:db8::5]:4711\" ;",
        "2001:db8::5",
        Header,
    );
    check_forwarded(
        "for=6.6.6.6, for=203.0.113.9;host=\"a, for=7.7.7.7;b\"",
        "203.0.113.9",
        Header,
    );
    check_forwarded(
        "for=203.0.113.9;x=\"\\\"\", for=10.0.0.1",
        "203.0.113.9",
        Header,
    );
    check_forwarded(
        "for=6.6.6.6\nfor=203.0.113.9, , for=10.0.0.1",
        "203.0.113.9",
        Header,
    );
}

#[test]
fn forwarded_elements_without_an_address_stop_the_walk() {
    use Source::Unknown;
    for element in [
        "for=unknown",
        "for=_hidden",
        "for=\"_SEVKISEK\"",
        "proto=https;by=203.0.113.1",
        "for=",
        "for=\"\"",
        "for",
        ";",
        "203.0.113.9",
        "for=203.0.113.9;for=203.0.113.9",
        "for=203.0.113.9;proto",
        "for=\"203.0.113.9",
        "for=\"203.0\\.113.9\"",
    ] {
        check_forwarded(element, DOCKER_GATEWAY, Unknown);
        check_forwarded(
            &format!("for=6.6.6.6, {element}, for=10.0.0.7"),
            "10.0.0.7",
            Unknown,
        );
    }
}

#[test]
fn quotes_end_only_where_no_backslash_escapes_them() {
    for quoted in ["a,b\\\"c", "a,b\\\\", "a,b\\\\\\\"c", "a,b\\\\\\\\"] {
        let line = format!("for=203.0.113.9;x=\"{quoted}\", for=10.0.0.1");
        check_forwarded(&line, "203.0.113.9", Source::Header);
    }
}

#[test]
fn an_open_quote_to_the_left_cannot_swallow_a_sure_hop() {
    check_forwarded(
        "for=\"6.6.6.6, for=203.0.113.9",
        "203.0.113.9",
        Source::Header,
    );
    check_forwarded(
        "for=\"6.6.6.6\\, for=203.0.113.9, for=10.0.0.1",
        "203.0.113.9",
        Source::Header,
    );
}

#[test]
fn a_single_header_is_its_last_line_and_one_address() {
    let single = |header, want, source| {
        check(
            HeaderForm::Single,
            &["cloudflare"],
            "172.70.82.11",
            header,
            (want, source),
        );
    };
    single("203.0.113.9", "203.0.113.9", Source::Header);
    single("6.6.6.6\n203.0.113.9", "203.0.113.9", Source::Header);
    single("172.70.82.12", "172.70.82.12", Source::Header);
    single("10.0.0.1", "10.0.0.1", Source::Private);
    single("6.6.6.6, 203.0.113.9", "172.70.82.11", Source::Unknown);
    single("203.0.113.9\nunknown", "172.70.82.11", Source::Unknown);
}
