//! Promises about what uploaders are told.

use super::*;

#[track_caller]
fn check(text: &str, request_max: Option<u64>, url: UploadUrl) {
    let config = accepted(text, &Env::empty());
    let want = checked::Uploads { request_max, url };
    assert_eq!(config.uploads, want, "{text}");
    let (back, _) = parse("shown.yml", &config.to_yaml(), &Env::empty()).unwrap();
    assert_eq!(back.uploads, want, "{}", config.to_yaml());
}

#[test]
fn uploaders_are_told_what_sentry_says_unless_somebody_asks() {
    use UploadUrl::{Caller, Sentry};
    check("", None, Sentry);
    check("uploads: {request_max: off}\n", None, Sentry);
    check("uploads: {request_max: 64KiB}\n", Some(65_536), Sentry);
    check(
        "uploads: {request_max: 100MB, url: caller}\n",
        Some(100_000_000),
        Caller,
    );
    let env = Env::from([
        ("VIDETTE_UPLOADS_REQUEST_MAX", "1MiB"),
        ("VIDETTE_UPLOADS_URL", "caller"),
    ]);
    let config = accepted("", &env);
    assert_eq!(
        (config.uploads.request_max, config.uploads.url),
        (Some(1 << 20), Caller)
    );
}

#[test]
fn a_cap_that_holds_no_chunk_is_refused() {
    check_value(
        "uploads: {request_max: 65535}",
        "out of bounds in uploads.request_max",
    );
    check_value(
        "uploads: {request_max: on}",
        "not a size in uploads.request_max",
    );
    check_value("uploads: {url: outside}", "an unknown word in uploads.url");
}
