//! Promises about what outlives a restart.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use rcgen::{CertificateParams, KeyPair};

use super::*;
use crate::config::checked::Config;

const NAME: &str = "sentry.example.com";

/// In the year 2026.
const NOW_S: i64 = 1_780_000_000;

fn acme(path: &Path) -> Acme {
    Acme {
        path: path.to_path_buf(),
        directory: "https://ca.example:14000/dir".to_owned(),
        ..Config::in_front_of(Vec::new()).acme
    }
}

/// A key and a certificate for a name, from and to these years.
fn issued(name: &str, from: i32, until: i32) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.not_before = rcgen::date_time_ymd(from, 1, 1);
    params.not_after = rcgen::date_time_ymd(until, 1, 1);
    let certificate = params.self_signed(&key).unwrap();
    (key.serialize_pem(), certificate.pem())
}

/// A folder with a certificate for [`NAME`] in it.
fn with_one(place: &Path) -> Store {
    let store = Store::open(&acme(place)).unwrap();
    let (key, chain) = issued(NAME, 2020, 2060);
    store.keep_certificate(NAME, &key, &chain, NOW_S).unwrap();
    store
}

#[test]
fn a_certificate_is_found_again_and_is_nobody_elses() {
    let place = tempfile::tempdir().unwrap();
    let store = with_one(place.path());
    let found = store.certificate(NAME).unwrap();
    assert_eq!(found.identity.papers().names, [NAME]);
    assert!(store.certificate("other.example.com").is_none());
    let file = place
        .path()
        .join("ca.example-14000-dir/sentry.example.com.pem");
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn what_is_of_no_use_leaves_the_old_where_it_is() {
    let place = tempfile::tempdir().unwrap();
    let store = with_one(place.path());
    let check = |key: &str, chain: &str, want: &str| {
        let refused = store.keep_certificate(NAME, key, chain, NOW_S);
        let refused = refused.unwrap_err().to_string();
        assert!(refused.starts_with(want), "{refused}");
    };
    let (key, chain) = issued(NAME, 2020, 2060);
    let (other_key, other) = issued("other.example.com", 2020, 2060);
    check(&other_key, &other, "it is not for this name");
    check(&other_key, &chain, "it holds the private key of another");
    check(&key, "", "it holds no certificate");
    let (key, over) = issued(NAME, 2020, 2021);
    check(&key, &over, "it does not hold now");
    assert!(store.certificate(NAME).is_some());
}

#[test]
fn one_that_the_disk_does_not_take_is_good_until_a_restart() {
    let place = tempfile::tempdir().unwrap();
    let store = with_one(place.path());
    std::fs::remove_dir_all(place.path().join("ca.example-14000-dir")).unwrap();
    let (key, chain) = issued(NAME, 2021, 2060);
    let kept = store.keep_certificate(NAME, &key, &chain, NOW_S).unwrap();
    assert_eq!(kept.identity.papers().names, [NAME]);
    assert!(store.certificate(NAME).is_none());
}

#[test]
fn a_damaged_certificate_is_put_aside_and_missing() {
    let place = tempfile::tempdir().unwrap();
    let store = with_one(place.path());
    let file = place
        .path()
        .join("ca.example-14000-dir/sentry.example.com.pem");
    std::fs::write(&file, "no PEM").unwrap();
    assert!(store.certificate(NAME).is_none());
    assert!(!file.exists());
    assert!(file.with_extension("pem.unread").exists());
}

#[test]
fn waits_are_found_again_and_without_any_there_are_none() {
    let place = tempfile::tempdir().unwrap();
    let store = Store::open(&acme(place.path())).unwrap();
    assert_eq!(store.waits(), BTreeMap::new());
    let waits = BTreeMap::from([(NAME.to_owned(), NOW_S)]);
    store.keep_waits(&waits);
    assert_eq!(store.waits(), waits);
}

#[test]
fn an_account_that_cannot_be_read_is_put_aside() {
    let place = tempfile::tempdir().unwrap();
    let store = Store::open(&acme(place.path())).unwrap();
    assert!(store.account().is_none());
    let file = place.path().join("ca.example-14000-dir/account.json");
    std::fs::write(&file, "{}").unwrap();
    assert!(store.account().is_none());
    assert!(!file.exists());
}

#[test]
fn a_folder_is_one_authoritys_and_one_edges() {
    let check = |url: &str, want: &str| assert_eq!(folder_of(url), want, "{url}");
    check(
        "https://acme-v02.api.letsencrypt.org/directory",
        "acme-v02.api.letsencrypt.org-directory",
    );
    check("https://[::1]:14000/dir", "1--14000-dir");
    check("https://a.example/../x/", "a.example-..-x");
    let place = tempfile::tempdir().unwrap();
    let first = Store::open(&acme(place.path())).unwrap();
    let second = Store::open(&acme(place.path()));
    assert!(matches!(second, Err(StateError::Taken(_))), "{second:?}");
    drop(first);
}
