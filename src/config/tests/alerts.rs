//! Promises about whom an edge tells that something is wrong.

use std::time::Duration;

use super::*;
use crate::domain::incident::Severity;

#[track_caller]
fn check_error(text: &str, want: &str) {
    let text = format!("{UPSTREAM}{text}");
    assert_eq!(refused(&text, &Env::empty()), want, "{text}");
}

fn hook(text: &str) -> Webhook {
    let text = format!("alerts: {{webhook: {{{text}}}}}");
    accepted(&text, &Env::empty()).alerts.webhook
}

/// Where a URL leads: server and target.
#[track_caller]
fn check_url(url: &str, server: &str, target: &str) {
    let url = hook(&format!("url: '{url}'")).url.unwrap();
    assert_eq!(
        (url.server.to_string().as_str(), url.target.expose()),
        (server, target)
    );
}

#[test]
fn a_webhook_is_a_url_whose_path_counts() {
    check_url(
        "https://hooks.example.com/services/T0/B0/x?y=%20z",
        "https://hooks.example.com:443",
        "/services/T0/B0/x?y=%20z",
    );
    check_url("http://[::1]:8080", "http://[::1]:8080", "/");
    check_url("http://bot?room=7", "http://bot:80", "/?room=7");
    assert_eq!(hook("url: ''").url, None);
}

#[test]
fn a_bad_url_is_refused_and_never_shown() {
    for (url, wrong) in [
        ("hooks.example.com/x", "not a URL"),
        ("ftp://hooks.example.com/x", "not an http URL"),
        ("https:///x", "not a host"),
        ("https://a:b@hooks.example.com/x", "a URL with a user name"),
        ("https://hooks.example.com:0/x", "not a port"),
        ("https://hooks.example.com/x#y", "a URL with a fragment"),
        ("https://hooks.example.com/x y", "not a URL"),
        (
            "https://hooks.example.com/***",
            "the mask that stands for a path where one is shown",
        ),
    ] {
        let text = format!("alerts: {{webhook: {{url: '{url}'}}}}");
        check_value(&text, &format!("{wrong} in alerts.webhook.url"));
        let text = format!("{UPSTREAM}{text}");
        assert!(!refused(&text, &Env::empty()).contains("hooks.example.com/x"));
    }
}

#[test]
fn path_and_token_are_never_shown() {
    let config = accepted(
        "alerts: {webhook: {url: 'https://hooks.example.com/s3cret/path', token: t0ken}}",
        &Env::empty(),
    );
    let (yaml, json) = (config.to_yaml(), config.to_json().to_string());
    for shown in [yaml.clone(), json, format!("{config:?}")] {
        assert!(
            !shown.contains("s3cret") && !shown.contains("t0ken"),
            "{shown}"
        );
    }
    assert!(yaml.contains("https://hooks.example.com:443/***"), "{yaml}");
}

#[test]
fn a_secret_stands_once_and_may_lie_in_a_file() {
    check_error(
        "alerts: {webhook: {url: 'http://a', url_file: /b}}\n",
        "v.yml:2:47: error: both alerts.webhook.url and alerts.webhook.url_file are set; keep one",
    );
    let folder = tempfile::tempdir().unwrap();
    let (url, token) = (folder.path().join("url"), folder.path().join("token"));
    std::fs::write(&url, "https://hooks.example.com/x\n").unwrap();
    std::fs::write(&token, "t0ken\n").unwrap();
    let file = folder.path().join("v.yml");
    let write = |url: &Path| {
        let (url, token) = (url.display(), token.display());
        let text =
            format!("{UPSTREAM}alerts: {{webhook: {{url_file: {url}, token_file: {token}}}}}\n");
        std::fs::write(&file, text).unwrap();
        load(Some(&file), &Env::empty())
    };
    let config = write(&url).unwrap().config;
    // Each is shown as its file's name alone, or what is shown could not be read again.
    let shown = config.to_yaml();
    assert!(!shown.contains("***"), "{shown}");
    assert!(parse("v.yml", &shown, &Env::empty()).is_ok(), "{shown}");
    let webhook = config.alerts.webhook;
    assert_eq!(webhook.url.unwrap().target.expose(), "/x");
    assert_eq!(webhook.token.unwrap().expose(), "t0ken");
    let errors = write(&token).unwrap_err().to_string();
    assert!(
        errors
            .ends_with("the file of alerts.webhook.url_file holds no URL of a webhook: not a URL"),
        "{errors}"
    );
}

#[test]
fn what_is_told_and_when_is_bounded() {
    let webhook = hook("url: 'http://a', severity: page, after: 0s, timeout: 100ms");
    assert_eq!(webhook.severity, Severity::Page);
    assert_eq!(webhook.after, Duration::ZERO);
    assert_eq!(webhook.timeout, Duration::from_millis(100));
    let check = |text: &str, wrong: &str| {
        check_value(
            &format!("alerts: {{webhook: {{url: 'http://a', {text}}}}}"),
            wrong,
        );
    };
    check("after: 1d", "");
    check("after: 25h", "out of bounds in alerts.webhook.after");
    check("timeout: 1m", "");
    check("timeout: 99ms", "out of bounds in alerts.webhook.timeout");
    check("timeout: 61s", "out of bounds in alerts.webhook.timeout");
    check(
        "severity: info",
        "an unknown word in alerts.webhook.severity",
    );
}

#[test]
fn keys_of_a_webhook_that_is_nowhere_are_warned_of() {
    let warnings = |text: &str| {
        let text = format!("{UPSTREAM}alerts: {{webhook: {{{text}}}}}\n");
        parse("v.yml", &text, &Env::empty()).unwrap().1
    };
    let want = "alerts.webhook does nothing: neither its url nor its url_file is set";
    assert_eq!(warnings("token: t0ken"), [want]);
    assert_eq!(warnings("after: 5m"), [want]);
    assert_eq!(warnings("url: ''"), [""; 0]);
    assert_eq!(warnings("url: 'http://a', token: t0ken"), [""; 0]);
    assert_eq!(warnings("url_file: /a, after: 5m"), [""; 0]);
}

#[test]
fn the_environment_sets_each_key_of_a_webhook() {
    let env = Env::from([
        ("VIDETTE_ALERTS_WEBHOOK_URL", "http://a/b"),
        ("VIDETTE_ALERTS_WEBHOOK_TOKEN", "t0ken"),
        ("VIDETTE_ALERTS_WEBHOOK_SEVERITY", "page"),
        ("VIDETTE_ALERTS_WEBHOOK_AFTER", "5m"),
        ("VIDETTE_ALERTS_WEBHOOK_TIMEOUT", "1s"),
    ]);
    let in_file = hook("url: 'http://a/b', token: t0ken, severity: page, after: 5m, timeout: 1s");
    assert_eq!(accepted("", &env).alerts.webhook, in_file);
}
