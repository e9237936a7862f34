//! What a directory promises of the keys it is built from.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

fn key(number: u32) -> Key {
    Key::unpacked((u128::from(number) << 64).to_be_bytes())
}

fn project(number: u32) -> Option<ProjectId> {
    ProjectId::parse(number.to_string().as_bytes())
}

fn named(source: Source, project_id: u32, enabled: bool) -> Named {
    Named {
        project: project(project_id),
        enabled,
        name: None,
        source,
        rate_limit: None,
    }
}

/// Names one key by these words, in this order and in reverse, and looks at who it belongs to.
#[track_caller]
fn check(words: &[Named], want: (Source, u32, bool)) {
    for reversed in [false, true] {
        let mut words = words.to_vec();
        if reversed {
            words.reverse();
        }
        let words = words.into_iter().map(|named| (key(1), named));
        let directory = Directory::build(words).expect("few keys");
        let found = directory.find(&key(1)).expect("it was named");
        let got = (found.source, found.project, found.enabled);
        assert_eq!(
            got,
            (want.0, project(want.1), want.2),
            "reversed: {reversed}"
        );
        assert_eq!(directory.len(), 1);
    }
}

#[test]
fn a_key_is_what_its_source_says() {
    use Source::{Configured, Sentry};
    check(&[named(Configured, 42, true)], (Configured, 42, true));
    check(&[named(Configured, 42, false)], (Configured, 42, false));
    check(&[named(Sentry, 42, false)], (Sentry, 42, false));
}

#[test]
fn the_configuration_wins_but_cannot_enable_what_sentry_disabled() {
    use Source::{Configured, Sentry};
    let configured = |enabled| named(Configured, 42, enabled);
    let sentry = |enabled| named(Sentry, 43, enabled);
    check(&[configured(true), sentry(true)], (Configured, 42, true));
    check(&[configured(true), sentry(false)], (Configured, 42, false));
    check(&[configured(false), sentry(true)], (Configured, 42, false));
}

#[test]
fn what_the_configuration_leaves_open_is_sentrys() {
    let mut ours = named(Source::Configured, 0, true);
    ours.name = Some("shop".into());
    let mut theirs = named(Source::Sentry, 43, true);
    theirs.name = Some("Default".into());
    theirs.rate_limit = Some(KeyRate {
        count: 100,
        window_s: 60,
    });
    let words = [(key(1), theirs.clone()), (key(1), ours)];
    let directory = Directory::build(words).expect("few keys");
    let found = directory.find(&key(1)).expect("it was named");
    assert_eq!(found.project, project(43));
    assert_eq!(found.name.as_deref(), Some("shop"));
    assert_eq!(found.rate_limit, theirs.rate_limit);
}

#[test]
fn of_two_words_from_one_source_the_first_stands() {
    let words = [
        (key(1), named(Source::Configured, 1, true)),
        (key(1), named(Source::Configured, 2, false)),
    ];
    let directory = Directory::build(words).expect("few keys");
    let found = directory.find(&key(1)).expect("it was named");
    assert_eq!((found.project, found.enabled), (project(1), true));
}

#[test]
fn nobody_is_found_in_an_empty_directory() {
    assert_eq!(Directory::default().find(&key(1)), None);
    let built = Directory::build([]).expect("no keys");
    assert!(built.is_empty() && built.find(&key(1)).is_none());
}

#[test]
fn a_million_keys_are_found_and_no_other() {
    let words = (0..1_000_000).map(|n| (key(n), named(Source::Sentry, n + 1, true)));
    let directory = Directory::build(words).expect("a million is allowed");
    assert_eq!(directory.len(), 1_000_000);
    assert!(size_of::<Entry>() <= 64, "{} bytes", size_of::<Entry>());
    for n in 0..1_000_000 {
        let found = directory.find(&key(n)).and_then(|named| named.project);
        assert_eq!(found, project(n + 1), "key {n}");
    }
    for n in 1_000_000..1_100_000 {
        assert_eq!(directory.find(&key(n)), None, "key {n}");
    }
}

#[test]
fn more_keys_than_the_limit_are_refused() {
    let words = |keys| (0..keys).map(|n| (key(n), named(Source::Sentry, 1, true)));
    assert_eq!(
        Directory::within(5, words(5)).map(|built| built.len()),
        Ok(5)
    );
    assert_eq!(Directory::within(5, words(6)).err(), Some(TooManyKeys));
    assert_eq!(
        Directory::within(5, words(u32::MAX)).err(),
        Some(TooManyKeys)
    );
    let twice = words(5).chain(words(5));
    assert_eq!(Directory::within(5, twice).map(|built| built.len()), Ok(5));
}

#[test]
fn a_projects_keys_are_its_own_and_no_more_than_asked_for() {
    let words = (0..9).map(|number| (key(number), named(Source::Sentry, number % 3, true)));
    let directory = Directory::build(words).expect("few keys");
    let keys = |number, most| {
        let of = project(number).expect("a number");
        let keys = directory.of_project(of, most);
        keys.map(|(key, _)| key).collect::<Vec<_>>()
    };
    assert_eq!(keys(1, 9), [key(1), key(4), key(7)]);
    assert_eq!(keys(2, 2), [key(2), key(5)]);
    assert_eq!(keys(5, 9), []);
}

proptest! {
    #[test]
    fn a_directory_finds_what_a_map_would(
        added in prop::collection::vec((0..50_u32, 1..9_u32), 0..60),
    ) {
        let mut map = HashMap::new();
        for (number, project_id) in &added {
            map.entry(*number).or_insert(*project_id);
        }
        let words = added
            .iter()
            .map(|(number, project_id)| (key(*number), named(Source::Sentry, *project_id, true)));
        let directory = Directory::build(words).expect("few keys");
        prop_assert_eq!(directory.len(), map.len());
        for number in 0..60 {
            let found = directory.find(&key(number)).and_then(|named| named.project);
            prop_assert_eq!(found, map.get(&number).and_then(|id| project(*id)));
        }
    }
}
