//! What is shown of paths, agents and addresses, and that no secret is, however it is written.

use proptest::prelude::*;

use super::*;

const KEY: &str = "a94ae32be2584e0bbd7a4cbb95971fee";

#[track_caller]
fn check(raw: &str, want: &str) {
    assert_eq!(path(raw), want, "{raw}");
}

#[test]
fn the_words_of_routes_are_shown() {
    for same in [
        "/",
        "/api/42/envelope/",
        "/api/0/projects/my-org/my_project-2/events/",
        "/organizations/sentry/issues/1234567/",
        "/_static/dist/sentry/entrypoints/app.js",
        "/js-sdk/7.0.0/bundle.tracing.min.js",
        "/account/settings/",
        "/api/0/organizations/my-org/releases/frontend@1.2.3/",
    ] {
        check(same, same);
    }
}

#[test]
fn keys_show_their_first_digits() {
    check(
        &format!("/api/42/cron/nightly/{KEY}/"),
        "/api/42/cron/nightly/a94a.../",
    );
    check(&format!("/api/42/unreal/{KEY}"), "/api/42/unreal/a94a...");
    check(
        &format!("/js-sdk-loader/{KEY}.min.js"),
        "/js-sdk-loader/a94a....min.js",
    );
    check(
        &format!("/api/42/unreal/{}/", KEY.to_uppercase()),
        "/api/42/unreal/***/",
    );
    check(&format!("/api/42/unreal/{KEY}0/"), "/api/42/unreal/***/");
}

#[test]
fn what_has_the_form_of_a_token_is_masked() {
    for token in [
        "sntrys_eyJpYXQiOjE3",
        "SNTRYU_short",
        "eyJhbGciOiJIUzI1NiJ9.e30.x",
        "6fa459ea-ee8a-3ca4-894e-db77e160355e",
        "b5bb9d8014a0f9b1d61e21e796d78dccdf1352f23cd32812f4850b878ae4944c",
        "pZ7gT2mQ9sXwY4vB8nL3",
        "dQw4w-gXcQ_aBc9-zzZ_01Yx",
        "123456789012345678901",
        "a%20b",
        "key=value",
        "a;jsessionid=1",
        "caf%C3%A9",
        "%ff%fe",
        "a%22b",
        "a%0ab",
        &"x".repeat(65),
    ] {
        check(&format!("/x/{token}/y"), "/x/***/y");
    }
}

#[test]
fn behind_words_that_lead_to_secrets_only_plain_words_are_shown() {
    check(
        "/account/recover/confirm/1/Secret7/",
        "/account/recover/confirm/1/***/",
    );
    check(
        "/account/confirm-email/7/Ab1/",
        "/account/confirm-email/7/***/",
    );
    check("/accept/my-org/12/Tok3n/", "/accept/my-org/12/***/");
    check(
        "/api/0/accept-invite/my-org/12/Tok3n/",
        "/api/0/accept-invite/my-org/12/***/",
    );
    check(&format!("/share/issue/{KEY}/"), "/share/issue/***/");
    check(
        "/api/0/hooks/release/builtin/42/Sig1/",
        "/api/0/hooks/release/builtin/42/***/",
    );
    check("/api/42/upload/Loc4tion/", "/api/42/upload/***/");
    check(
        "/Account/RECOVER/confirm/1/Secret7/",
        "/Account/RECOVER/confirm/1/***/",
    );
}

#[test]
fn no_spelling_of_a_path_gets_round_it() {
    check(
        "/account/recover%2Fconfirm/1/Secret7/",
        "/account/recover/confirm/1/***/",
    );
    check(
        "//account//./recover/confirm/1/Secret7",
        "/account/recover/confirm/1/***",
    );
    check("/x/%61%39%34ae32be2584e0bbd7a4cbb95971fee", "/x/a94a...");
    // Decoded once, as by whoever serves it: what is still escaped may be anything.
    check("/x/%2561bc/", "/x/***/");
    for broken in ["/a%zz", "*", "/..", "/a%00"] {
        check(broken, "***");
    }
}

#[test]
fn a_long_path_ends_before_the_word_that_is_cut() {
    let long = format!("/a{}/{}", "/b".repeat(505), "c7".repeat(40));
    assert_eq!(long.len(), 1093);
    let shown = path(&long);
    assert!(shown.ends_with("/b/b/..."), "{shown}");
    assert!(shown.len() <= PATH_BYTES_MAX + 4);
    check(&format!("/{}", "c7".repeat(600)), "***");
}

#[test]
fn agents_are_shown_without_tokens() {
    for same in [
        "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
        "sentry.javascript.react-native/5.15.0",
        "sentry-cli/2.31.0",
        "Go-http-client/1.1",
        "-",
        "",
    ] {
        assert_eq!(agent(same.as_bytes()), same);
    }
    let shown = |raw: &str| agent(raw.as_bytes());
    assert_eq!(shown(&format!("a/1 {KEY} b")), "a/1 *** b");
    assert_eq!(shown("curl/8 (token=hunter2)"), "curl/8 (***)");
    assert_eq!(shown("x/sntrys_abc;y"), "***;y");
    // Whatever stands before a token, chance has found it shown.
    let chance = "a/1 (@sntryi_Aa0+0__a0A0+_+00_a+_; b)";
    assert_eq!(shown(chance), "a/1 (***; b)");
    assert_eq!(shown("xsntrya_abc y"), "*** y");
    assert_eq!(shown("@eyJhbGci y"), "*** y");
    assert_eq!(shown("keyjar/1 sentry/2"), "keyjar/1 sentry/2");
    assert_eq!(shown("a\"b\\c\u{7}"), "a\\x22b\\x5Cc\\x07");
    assert_eq!(agent(b"caf\xe9\n"), "caf\\xE9\\x0A");
    let long = format!("{} {}", "word ".repeat(50).trim_end(), "c7".repeat(30));
    assert_eq!(
        shown(&long),
        format!("{}...", "word ".repeat(50).trim_end())
    );
    assert_eq!(shown(&"c7".repeat(200)), "...");
}

#[test]
fn an_sdk_is_shown_where_it_has_the_form_of_one() {
    let of = |header: Option<&str>, query| sdk(header.map(str::as_bytes), query);
    let auth = "Sentry sentry_key=x, sentry_client=sentry.python.django/2.1.0,sentry_version=7";
    assert_eq!(
        of(Some(auth), None).as_deref(),
        Some("sentry.python.django/2.1.0")
    );
    let query = format!("sentry_key={KEY}&sentry_client=sentry.javascript.browser%2F8.30.0");
    assert_eq!(
        of(None, Some(&query)).as_deref(),
        Some("sentry.javascript.browser/8.30.0")
    );
    for none in [
        "sentry_client=",
        "sentry_client=hunter2",
        "sentry_client=a/b",
        "sentry_client=Secret/1",
        "sentry_client=a%2f1\"",
        &format!("sentry_client=x/1{KEY}"),
        &format!("sentry_client={KEY}/1"),
        "other=a/1",
    ] {
        assert_eq!(of(Some(none), None), None, "{none}");
        assert_eq!(of(None, Some(none)), None, "{none}");
    }
}

#[test]
fn addresses_show_their_network() {
    for (address, shown, network) in [
        ("203.0.113.9", "203.0.113.x", "203.0.113.0"),
        ("::ffff:203.0.113.9", "203.0.113.x", "203.0.113.0"),
        ("2001:db8:1:2::3", "2001:db8:1::x", "2001:db8:1::"),
        ("::1", "0:0:0::x", "::"),
    ] {
        let address: IpAddr = address.parse().unwrap();
        assert_eq!(network_of(address), shown);
        assert_eq!(network_address(address).to_string(), network);
    }
}

/// A secret as Sentry and its like make them.
fn secret() -> impl Strategy<Value = String> {
    prop_oneof![
        "[0-9a-f]{32}",
        "[0-9a-f]{40}",
        "[0-9a-f]{64}",
        "[0-9A-Za-z]{32,48}",
        "[0-9A-Za-z_-]{43}",
        "sntry[suai]_[0-9A-Za-z+/=_]{20,40}".prop_map(|token| token.replace('/', "_")),
        "eyJ[0-9A-Za-z_-]{20}\\.eyJ[0-9A-Za-z_-]{20}\\.[0-9A-Za-z_-]{43}",
        "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}",
    ]
}

/// All of it as escapes, which every server decodes.
fn escaped(secret: &str) -> String {
    secret.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

/// A piece of it that nobody writes by chance.
fn gives_away(shown: &str, secret: &str) -> bool {
    let pieces = secret.as_bytes().windows(8);
    pieces.into_iter().any(|piece| {
        let found = memchr::memmem::find(shown.as_bytes(), piece);
        found.is_some()
    })
}

proptest! {
    #[test]
    fn no_secret_is_shown_wherever_it_stands(
        secret in secret(),
        before in "(/[a-z]{1,10}){0,4}",
        after in "(/[a-z]{1,10}){0,3}/?",
        prefix in "[a-z]{0,3}[.~@]?",
        suffix in "([.;=@][a-z]{0,4})?",
    ) {
        for written in [secret.clone(), escaped(&secret)] {
            let raw = format!("{before}/{prefix}{written}{suffix}{after}");
            let shown = path(&raw);
            prop_assert!(!gives_away(&shown, &secret), "{} shows {}", raw, shown);
        }
        for raw in [
            format!("agent/{secret}"),
            format!("a/1 ({prefix}{secret}{suffix}; b)"),
            secret.clone(),
        ] {
            let shown = agent(raw.as_bytes());
            prop_assert!(!gives_away(&shown, &secret), "{} shows {}", raw, shown);
        }
        let query = format!("sentry_key={secret}&sentry_client={secret}&a={secret}");
        prop_assert_eq!(sdk(Some(query.as_bytes()), Some(&query)), None);
        let query = format!("sentry_client=x/{secret}");
        prop_assert_eq!(sdk(None, Some(&query)), None);
        prop_assert_eq!(word(&secret, 64), "***");
    }

    /// Even one that is as short as a word, where routes carry such.
    #[test]
    fn no_short_secret_is_shown_behind_a_word_that_leads_to_one(
        secret in "[0-9A-Za-z]{6,12}[0-9A-Z][a-z0-9]",
        word in prop::sample::select(SECRETIVE),
    ) {
        let shown = path(&format!("/a/{word}/12/{secret}/"));
        prop_assert_eq!(shown, format!("/a/{word}/12/***/"));
    }
}
