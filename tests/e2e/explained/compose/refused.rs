//! Files that nothing can run on, found by `vidette doctor compose`.

use std::fs;

use libtest_mimic::Trial;

use super::{BASE, BIND, check, check_files, doctor, folder, ours};
use crate::parts::promises;

pub(super) fn trials() -> Vec<Trial> {
    promises![&[];
        a_configuration_that_is_refused_is_named,
        files_that_cannot_be_read_are_a_matter_of_usage,
        a_second_file_is_pointed_to_its_option,
        an_override_alone_is_pointed_to_its_file,
    ]
}

fn a_configuration_that_is_refused_is_named() {
    check(
        "VIDETTE_LISTEN_ADMIN: \"127.0.0.1:9001\"",
        "VIDETTE_LISTEN_ADMIN: \"nowhere\"",
        "problem",
        &["its configuration is refused", "VIDETTE_LISTEN_ADMIN"],
    );
    check(
        "      VIDETTE_UPSTREAM_WEB",
        "      VIDETTE_UPSTREAM_INGST: x\n      VIDETTE_UPSTREAM_WEB",
        "warn",
        &[
            "VIDETTE_UPSTREAM_INGST sets nothing",
            "VIDETTE_UPSTREAM_INGEST",
        ],
    );
    let mounted = ours().replace("      # - ./vidette.yml", "      - ./vidette.yml");
    let folder = folder(BASE, &mounted, BIND);
    fs::write(folder.path().join("vidette.yml"), "limits: {drain: 2m}\n").unwrap();
    let told = doctor(folder.path(), &[]);
    assert_eq!(told.code, Some(1), "{}", told.stdout);
    assert!(
        told.stdout.contains("killed after 40s, and drains for 2m"),
        "{}",
        told.stdout
    );
    let named = mounted.replace(
        "      VIDETTE_LISTEN_ADMIN",
        "      VIDETTE_CONFIG: /etc/vidette/vidette.yml\n      VIDETTE_LISTEN_ADMIN",
    );
    check_files(&named, BIND, "problem", &["vidette.yml cannot be read"]);
    let told = doctor(folder.path(), &["--service", "edge"]);
    assert!(
        told.stdout.contains("no service is called edge"),
        "{}",
        told.stdout
    );
}

fn files_that_cannot_be_read_are_a_matter_of_usage() {
    let folder = tempfile::tempdir().unwrap();
    for (text, said) in [
        (None, "docker-compose.yml"),
        (Some("services: [\n"), "docker-compose.yml:"),
        (Some("a: 1\n"), "no services"),
    ] {
        if let Some(text) = text {
            fs::write(folder.path().join("docker-compose.yml"), text).unwrap();
        }
        let told = doctor(folder.path(), &[]);
        assert_eq!(told.code, Some(2), "{}", told.stdout);
        assert!(told.stderr.contains(said), "{}", told.stderr);
    }
}

fn a_second_file_is_pointed_to_its_option() {
    let folder = folder(BASE, &ours(), BIND);
    let told = doctor(folder.path(), &["docker-compose.yml", "more.yml"]);
    assert_eq!(told.code, Some(2), "{}", told.stdout);
    let want = "vidette doctor compose docker-compose.yml -f more.yml";
    assert!(told.stderr.contains(want), "{}", told.stderr);
}

/// It was told to write what stood there already.
fn an_override_alone_is_pointed_to_its_file() {
    let folder = folder(BASE, &ours(), BIND);
    let told = doctor(folder.path(), &["docker-compose.override.yml"]);
    assert_eq!(told.code, Some(1), "{}", told.stderr);
    for part in [
        "no service is called so",
        "an override alone is no Sentry",
        "doctor compose docker-compose.yml -f docker-compose.override.yml",
    ] {
        assert!(told.stdout.contains(part), "no {part} in\n{}", told.stdout);
    }
    let same = told
        .stdout
        .contains("VIDETTE_UPSTREAM_INGEST: http://relay:3000");
    assert!(!same, "{}", told.stdout);
}
