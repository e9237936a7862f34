//! Promises about the Redis by which quotas are shared: how it is named, and that no password
//! shows.

use super::*;

fn pool(text: &str) -> SharedQuota {
    accepted(text, &Env::empty()).shared_quota
}

fn url(tls: bool, host: &str, port: u16) -> PoolUrl {
    PoolUrl {
        tls,
        host: host.to_owned(),
        port,
    }
}

#[test]
fn nothing_is_shared_until_somebody_says_so() {
    assert!(!pool("").is_on());
    assert!(!pool("shared_quota: {url: \"\"}").is_on());
    let env = Env::from([("VIDETTE_SHARED_QUOTA_URL", "")]);
    assert!(!accepted("", &env).shared_quota.is_on());
}

#[test]
fn one_server_is_a_text_and_several_are_a_list() {
    let one = pool("shared_quota: {url: \"redis://redis\"}");
    assert_eq!(one.url, [url(false, "redis", 6379)]);
    assert!(one.is_on() && !one.is_by_tls());
    let sealed = pool("shared_quota: {url: \"rediss://[::1]:7000/\"}");
    assert_eq!(sealed.url, [url(true, "::1", 7000)]);
    assert!(sealed.is_by_tls());
    let several = pool("shared_quota: {mode: cluster, url: [\"redis://a\", \"redis://b:1\"]}");
    assert_eq!(several.url, [url(false, "a", 6379), url(false, "b", 1)]);
    let env = Env::from([
        ("VIDETTE_SHARED_QUOTA_URL", "redis://a,redis://b"),
        ("VIDETTE_SHARED_QUOTA_MODE", "sentinel"),
    ]);
    assert_eq!(accepted("", &env).shared_quota.url.len(), 2);
}

#[test]
fn what_is_no_server_says_so() {
    for (text, wrong) in [
        ("http://redis", "not a redis URL in shared_quota.url"),
        ("redis", "not a URL in shared_quota.url"),
        (
            "redis://:x@redis",
            "a URL with a password in shared_quota.url",
        ),
        ("redis://redis/2", "a URL with a path in shared_quota.url"),
        ("redis://redis:0", "not a port in shared_quota.url"),
        ("redis://10.0.0.256", "not a host in shared_quota.url"),
    ] {
        check_value(&format!("shared_quota: {{url: \"{text}\"}}"), wrong);
    }
    let two = "shared_quota: {url: [\"redis://a\", \"redis://b\"]}";
    check_value(
        two,
        "shared_quota.url names several servers, and shared_quota.mode is single",
    );
    check_value(
        "shared_quota: {mode: cluster, url: [\"redis://a\", \"rediss://b\"]}",
        "servers with TLS and without in shared_quota.url",
    );
    check_value(
        "shared_quota: {mode: cluster, url: \"redis://a\", database: 1}",
        "a cluster has no database but 0",
    );
    check_value(
        "shared_quota: {prefix: \"a:b\"}",
        "not a name in shared_quota.prefix",
    );
}

#[test]
fn its_password_never_shows() {
    let config = accepted(
        "shared_quota: {url: \"redis://redis\", password: hunter2}",
        &Env::empty(),
    );
    assert!(
        config.to_yaml().contains("password: \"***\""),
        "{}",
        config.to_yaml()
    );
    assert!(!config.to_yaml().contains("hunter2") && !format!("{config:?}").contains("hunter2"));
    let both = "shared_quota: {password: a, password_file: /b}";
    check_value(
        both,
        "both shared_quota.password and shared_quota.password_file are set",
    );
}
