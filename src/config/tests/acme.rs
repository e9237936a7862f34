//! Promises about certificates by ACME: how they are asked for, and what is said of those
//! that could never be had.

use std::fs;

use super::*;

/// A listener that wants certificates for these names.
fn wanting(names: &str) -> String {
    format!("listen: {{public: [{{address: '[::]:443', tls: {{acme: {names}}}}}]}}\n")
}

const AGREED: &str = "acme: {agree_to_terms: true}\n";

#[track_caller]
fn check_error(text: &str, want: &str) {
    let text = format!("{UPSTREAM}{text}");
    assert_eq!(refused(&text, &Env::empty()), want, "{text}");
}

#[test]
fn a_listener_names_what_it_wants_certificates_for() {
    let tls = |names: &str| {
        let config = accepted(&format!("{AGREED}{}", wanting(names)), &Env::empty());
        config.listen.public[0].tls.clone().unwrap()
    };
    let wanted = tls("[Sentry.Example.com, 'xn--bcher-kva.example', intranet]");
    assert_eq!(
        wanted.acme,
        ["sentry.example.com", "xn--bcher-kva.example", "intranet"]
    );
    assert_eq!(wanted.certificates, Vec::new());
    let beside = tls("[a.example], cert: /a.pem, key: /a.key");
    assert_eq!((beside.certificates.len(), beside.acme.len()), (1, 1));
    let beside = tls("[a.example], certs: [{cert: /a.pem, key: /a.key}]");
    assert_eq!((beside.certificates.len(), beside.acme.len()), (1, 1));
}

#[test]
fn a_name_that_nobody_certifies_is_refused() {
    let check = |names: &str, wrong: &str| {
        check_value(&format!("{AGREED}{}", wanting(names)), wrong);
    };
    let at = "in listen.public[0].tls.acme";
    check("[sentry.example.com]", "");
    check("[]", &format!("no name {at}"));
    check("sentry.example.com", &format!("no list {at}"));
    check(
        "['*.example.com']",
        &format!("a wildcard, which takes a proof by DNS that this version lacks, {at}[0]"),
    );
    check("[10.0.0.1]", &format!("an address {at}[0]"));
    check("['2001:db8::1']", &format!("an address {at}[0]"));
    let long = format!("[{}.example]", "a".repeat(64));
    for bad in [
        "['a b']",
        "[a..b]",
        "[a.example.]",
        "[a_b.example]",
        "['-a.example']",
        "['b\u{fc}cher.example']",
        "['https://a.example']",
        "['a.example:443']",
        "['a.*.example']",
        "['']",
        &long,
    ] {
        check(bad, &format!("not a DNS name {at}[0]"));
    }
    check(
        "[a.example, b.example, A.example]",
        "the same name in listen.public[0].tls.acme[0] and listen.public[0].tls.acme[2]",
    );
    let many = "a.example, ".repeat(65);
    check(&format!("[{many}]"), &format!("more than 64 names {at}"));
    check(
        "[a.example], cert: /a.pem",
        "no \"key\" in listen.public[0].tls",
    );
}

#[test]
fn terms_must_be_agreed_to_where_a_certificate_is_wanted() {
    let listener =
        "listen:\n  public:\n    - address: '[::]:443'\n      tls: {acme: [a.example]}\n";
    let want = "v.yml:5:19: error: listen.public[0].tls.acme asks an authority for certificates \
                whose terms nobody has agreed to; read them, and write acme: {agree_to_terms: true}";
    check_error(listener, want);
    check_error(
        &format!("{listener}acme: {{agree_to_terms: false}}\n"),
        want,
    );
    check_value(&format!("{listener}{AGREED}"), "");
    check_value("acme: {agree_to_terms: false}", "");
    // What is wrong with `acme` is said, and not that it says nothing.
    check_error(
        &format!("{listener}acme: {{agree_to_terms: true, path: no}}\n"),
        "v.yml:6:36: error: not a directory's path in acme.path; write a directory such as \
         /var/lib/vidette/acme",
    );
}

#[test]
fn http_01_needs_a_listener_without_tls() {
    let acme = "acme: {agree_to_terms: true, challenge: http-01}\n";
    check_error(
        &format!("{acme}{}", wanting("[a.example]")),
        "v.yml:2:41: error: acme.challenge is http-01, but no listener is without tls; add one at \
         port 80, or write tls-alpn-01",
    );
    let both = "listen: {public: [{address: '[::]:443', tls: {acme: [a.example]}}, '[::]:80']}";
    check_value(&format!("{acme}{both}"), "");
    for other in ["auto", "tls-alpn-01"] {
        let acme = format!("acme: {{agree_to_terms: true, challenge: {other}}}\n");
        check_value(&format!("{acme}{}", wanting("[a.example]")), "");
    }
    check_value(
        "acme: {challenge: dns-01}",
        "an unknown word in acme.challenge",
    );
}

#[test]
fn an_authority_is_named_by_an_https_url() {
    let check =
        |url: &str, wrong: &str| check_value(&format!("acme: {{directory: '{url}'}}"), wrong);
    for good in [
        "https://acme-staging-v02.api.letsencrypt.org/directory",
        "https://127.0.0.1:14000/dir",
        "https://[::1]:14000/dir?x=y",
        "https://ca",
    ] {
        check(good, "");
    }
    for bad in [
        "",
        "http://ca.example/dir",
        "ca.example/dir",
        "https://",
        "https:///dir",
        "https://user@ca.example/dir",
        "https://ca.example:0/dir",
        "https://ca.example:/dir",
        "https://ca.example/a b",
        "https://ca.example/dir#x",
    ] {
        check(bad, "not an https URL in acme.directory");
    }
}

#[test]
fn an_authority_may_write_to_addresses() {
    let check =
        |contact: &str, wrong: &str| check_value(&format!("acme: {{contact: {contact}}}"), wrong);
    check("['mailto:ops@example.com', 'mailto:a+b@c.example']", "");
    for bad in [
        "ops@example.com",
        "mailto:ops",
        "mailto:@example.com",
        "mailto:a@b.example,c@d.example",
        "mailto:a@b.example?subject=x",
        "tel:+4930",
    ] {
        check(
            &format!("['{bad}']"),
            "not a mailto: address in acme.contact[0]",
        );
    }
    check("mailto:ops@example.com", "no list in acme.contact");
}

#[test]
fn an_external_account_has_an_id_and_one_key() {
    let check = |account: &str, wrong: &str| {
        check_value(&format!("acme: {{external_account: {account}}}"), wrong);
    };
    check("{id: kid-1, key: AAECAwQ}", "");
    check("{id: kid-1, key: AAECAwQ=}", "");
    check("{id: kid-1, key_file: /run/key}", "");
    check("{key: AAECAwQ}", "no \"id\" in acme.external_account");
    check("{id: kid-1}", "no key in acme.external_account");
    check(
        "{id: kid-1, key: AAECAwQ, key_file: /run/key}",
        "both key and key_file in acme.external_account",
    );
    check(
        "{id: kid-1, key: 'a/b'}",
        "no base64url in acme.external_account.key",
    );
    check(
        "{id: 'kid 1', key: AAECAwQ}",
        "not an id in acme.external_account.id",
    );
    check("kid-1", "no keys in acme.external_account");
}

#[test]
fn an_accounts_key_can_lie_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let (key, file) = (folder.path().join("key"), folder.path().join("v.yml"));
    let account = format!("{{id: kid-1, key_file: '{}'}}", key.display());
    fs::write(
        &file,
        format!("{UPSTREAM}acme: {{external_account: {account}}}\n"),
    )
    .unwrap();
    let loaded = || load(Some(&file), &Env::empty());
    fs::write(&key, "AAECAwQ\n").unwrap();
    let config = loaded().unwrap().config;
    let account = config.acme.external_account.as_ref().unwrap();
    assert_eq!(account.key_bytes(), Some(vec![0, 1, 2, 3, 4]));
    assert!(
        !config.to_yaml().contains("AAECAwQ"),
        "{}",
        config.to_yaml()
    );
    fs::write(&key, "a/b").unwrap();
    let error = loaded().unwrap_err().to_string();
    let want = ":2:48: error: the file of acme.external_account.key_file holds no key in base64url";
    assert!(error.ends_with(want), "{error}");
    fs::remove_file(&key).unwrap();
    let error = loaded().unwrap_err().to_string();
    let want = ":2:48: error: the file of acme.external_account.key_file cannot be read: ";
    assert!(error.contains(want), "{error}");
}

#[test]
fn a_private_authoritys_file_is_looked_into() {
    let folder = tempfile::tempdir().unwrap();
    let (ca, file) = (folder.path().join("ca"), folder.path().join("v.yml"));
    fs::write(&ca, "no PEM").unwrap();
    fs::write(
        &file,
        format!("{UPSTREAM}acme: {{ca: '{}'}}\n", ca.display()),
    )
    .unwrap();
    let error = load(Some(&file), &Env::empty()).unwrap_err().to_string();
    let want = ":2:12: error: the file of acme.ca holds no certificate in PEM (BEGIN CERTIFICATE)";
    assert!(error.ends_with(want), "{error}");
}

#[test]
fn what_is_said_of_acme_reads_back_without_its_secret() {
    let text = "acme: {agree_to_terms: true, contact: ['mailto:a@b.example'], directory: \
                'https://ca.example/dir', path: /a/b, challenge: tls-alpn-01, ca: /ca.pem, \
                external_account: {id: kid-1, key_file: /run/key}}\n";
    let config = accepted(
        &format!("{text}{}", wanting("[a.example, b.example]")),
        &Env::empty(),
    );
    let yaml = config.to_yaml();
    let (back, _) = parse("shown.yml", &yaml, &Env::empty()).unwrap();
    assert_eq!(back, config, "{yaml}");
    let text = "acme: {external_account: {id: kid-1, key: AAECAwQ}}\n";
    let yaml = accepted(text, &Env::empty()).to_yaml();
    assert!(
        yaml.contains("external_account: {id: kid-1, key: \"***\"}"),
        "{yaml}"
    );
}

#[test]
fn acme_can_be_set_by_the_environment() {
    let env = Env::from([
        ("VIDETTE_ACME_AGREE_TO_TERMS", "true"),
        (
            "VIDETTE_ACME_CONTACT",
            "mailto:a@b.example,mailto:c@d.example",
        ),
        ("VIDETTE_ACME_PATH", "/elsewhere/acme"),
    ]);
    let acme = accepted(&wanting("[a.example]"), &env).acme;
    assert!(acme.agree_to_terms);
    assert_eq!(acme.contact, ["mailto:a@b.example", "mailto:c@d.example"]);
    assert_eq!(acme.path, std::path::Path::new("/elsewhere/acme"));
    let env = Env::from([("VIDETTE_ACME_AGREE_TO_TERMS", "maybe")]);
    let error = refused(UPSTREAM, &env);
    assert!(
        error.starts_with("environment: error: VIDETTE_ACME_AGREE_TO_TERMS: not true or false"),
        "{error}"
    );
}
