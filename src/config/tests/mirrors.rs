//! Promises about other Sentrys that get copies.

use std::time::Duration;

use super::*;
use crate::domain::endpoint::ProjectId;
use crate::domain::sampling::Rate;

#[test]
fn a_mirror_is_read_whole_and_reads_back() {
    let config = accepted(
        "mirrors:\n  - {name: next, ingest: ['http://next:3000'], host: client, share: 25%, projects: [7, 3], \
         dsn_map: [{key: 11111111111111111111111111111111, to: {key: 22222222222222222222222222222222, project: 42}}], \
         spool: {max_bytes: 2MiB, max_age: 2h}}\n  - {name: b, ingest: ['https://b.example']}\n",
        &Env::empty(),
    );
    let [next, plain] = config.mirrors.as_slice() else {
        panic!("two were written");
    };
    assert_eq!(
        (next.name.as_str(), next.host),
        ("next", MirrorHost::Client)
    );
    assert_eq!(next.share, Rate::of(0.25).unwrap());
    let projects: Vec<u64> = next.projects.iter().copied().map(ProjectId::get).collect();
    assert_eq!(projects, [3, 7], "in order");
    assert_eq!(next.dsn_map.moves().len(), 1);
    assert_eq!(next.spool.max_bytes, 2 << 20);
    assert_eq!(next.spool.max_age, Duration::from_secs(7200));
    assert_eq!((plain.host, plain.share), (MirrorHost::Target, Rate::ALL));
    assert_eq!(plain.spool.max_bytes, 1 << 30);
    assert_eq!(plain.spool.max_age, Duration::from_secs(86_400));
    assert!(config.reaches_by_tls());
    let (back, _) = parse("shown.yml", &config.to_yaml(), &Env::empty()).unwrap();
    assert_eq!(back, config, "{}", config.to_yaml());
}

#[test]
fn a_mirror_has_a_name_of_its_own_and_servers() {
    check_value("mirrors: []", "");
    check_value("mirrors: next", "no list in mirrors");
    check_value("mirrors: [next]", "no name in mirrors[0]");
    check_value("mirrors: [{name: next}]", "no \"ingest\" in mirrors[0]");
    check_value(
        "mirrors: [{ingest: ['http://a']}]",
        "no \"name\" in mirrors[0]",
    );
    check_value(
        "mirrors: [{name: ../up, ingest: ['http://a']}]",
        "not a name in mirrors[0].name",
    );
    check_value(
        "mirrors: [{name: a, ingest: ['http://a']}, {name: a, ingest: ['http://b']}]",
        "the same name in mirrors[0] and mirrors[1]",
    );
    check_value(
        "mirrors: [{name: a, ingest: []}]",
        "no server in mirrors[0].ingest",
    );
    check_value(
        "mirrors: [{name: a, ingest: ['http://a'], projects: [1, 1]}]",
        "the same project in mirrors[0].projects[0] and mirrors[0].projects[1]",
    );
    check_value(
        "mirrors: [{name: a, ingest: ['http://a'], share: 2}]",
        "out of bounds in mirrors[0].share",
    );
    check_value(
        "mirrors: [{name: a, ingest: ['http://a'], host: client_without_port}]",
        "an unknown word in mirrors[0].host",
    );
    check_value(
        "mirrors: [{name: a, ingest: ['http://a'], spool: {max_bytes: 1KiB}}]",
        "out of bounds in mirrors[0].spool.max_bytes",
    );
}

#[test]
fn there_are_four_at_most() {
    let mirrors = |count: usize| {
        let all = (0..count).map(|at| format!("{{name: m{at}, ingest: ['http://m{at}']}}"));
        format!("mirrors: [{}]", all.collect::<Vec<_>>().join(", "))
    };
    check_value(&mirrors(4), "");
    check_value(&mirrors(5), "more than 4 mirrors in mirrors");
}

#[test]
fn a_mirror_is_not_the_first_sentry() {
    let text = "mirrors: [{name: a, ingest: ['http://a', 'http://relay:3000']}]";
    let errors = refused(&format!("{UPSTREAM}{text}"), &Env::empty());
    let want = "v.yml:2:10: error: mirrors[0].ingest names a server of upstream.ingest, which would \
                have every event twice; name the other Sentry's";
    assert_eq!(errors, want);
}

#[test]
fn a_new_name_waits_for_a_restart_and_nothing_else_does() {
    let of = |text: &str| accepted(text, &Env::empty());
    let was = of("mirrors: [{name: a, ingest: ['http://a']}]");
    let changed = of("mirrors: [{name: a, ingest: ['http://b'], share: 10%, projects: [1]}]");
    assert_eq!(needs_restart(&was, &changed), Vec::<&str>::new());
    let renamed = of("mirrors: [{name: b, ingest: ['http://a']}]");
    assert_eq!(needs_restart(&was, &renamed), ["mirrors"]);
    assert_eq!(needs_restart(&was, &of("")), ["mirrors"]);
}
