//! Promises about what is kept of web's answers.

use std::time::Duration;

use super::*;

#[track_caller]
fn check(text: &str, want: &Cache) {
    let config = accepted(text, &Env::empty());
    assert_eq!(config.cache, *want, "{text}");
    let (back, _) = parse("shown.yml", &config.to_yaml(), &Env::empty()).unwrap();
    assert_eq!(back.cache, *want, "{}", config.to_yaml());
}

#[test]
fn the_loader_is_kept_unless_switched_off() {
    let shipped = Cache {
        paths: vec!["/js-sdk-loader/".to_owned(), "/js-sdk/".to_owned()],
        max_bytes: 16 << 20,
        entries: 1000,
        answer_bytes: 1 << 20,
        stale_if_error: Duration::from_secs(7 * 86_400),
    };
    check("", &shipped);
    let none = Cache {
        paths: Vec::new(),
        ..shipped.clone()
    };
    check("cache: {paths: []}\n", &none);
    let other = Cache {
        paths: vec!["/_static/".to_owned()],
        max_bytes: 65_536,
        entries: 1,
        answer_bytes: 1024,
        stale_if_error: Duration::ZERO,
    };
    check(
        "cache: {paths: [/_static/], max_bytes: 64KiB, entries: 1, answer_bytes: 1KiB, stale_if_error: 0s}\n",
        &other,
    );
    let env = Env::from([
        ("VIDETTE_CACHE_PATHS", "/_static/"),
        ("VIDETTE_CACHE_ENTRIES", "7"),
    ]);
    let cache = accepted("", &env).cache;
    assert_eq!((cache.paths, cache.entries), (other.paths, 7));
}

#[test]
fn paths_of_events_and_odd_sizes_are_refused() {
    check_value(
        "cache: {paths: [/api/0/]}",
        "Sentry's own path in cache.paths[0]",
    );
    check_value(
        "cache: {paths: [/]}",
        "not a path's prefix in cache.paths[0]",
    );
    check_value(
        "cache: {paths: [/a]}",
        "not a path's prefix in cache.paths[0]",
    );
    check_value(
        "cache: {max_bytes: 65535}",
        "out of bounds in cache.max_bytes",
    );
    check_value("cache: {entries: 0}", "out of bounds in cache.entries");
    check_value("cache: {entries: 10001}", "out of bounds in cache.entries");
    check_value(
        "cache: {stale_if_error: 31d}",
        "out of bounds in cache.stale_if_error",
    );
}
