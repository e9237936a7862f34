//! Promises about listeners that speak TLS: how that is written, and what is said of
//! certificate files that are of no use.

use std::fs;

use rcgen::{CertificateParams, KeyPair};

use super::*;

#[test]
fn a_listener_has_one_certificate_or_several() {
    let tls = |text: &str| {
        let text = format!("listen: {{public: [{{address: '[::]:443', tls: {text}}}]}}");
        accepted(&text, &Env::empty()).listen.public[0]
            .tls
            .clone()
            .unwrap()
    };
    let pair = |name: &str| CertificateFiles {
        cert: format!("/{name}.pem").into(),
        key: format!("/{name}.key").into(),
    };
    let one = ListenerTls {
        certificates: vec![pair("a")],
        acme: Vec::new(),
        client_ca: None,
        client_auth: ClientAuth::Required,
    };
    assert_eq!(tls("{cert: /a.pem, key: /a.key}"), one);
    assert_eq!(tls("{certs: [{cert: /a.pem, key: /a.key}]}"), one);
    assert_eq!(
        tls("{certs: [{cert: /a.pem, key: /a.key}, {cert: /b.pem, key: /b.key}], client_ca: /ca}"),
        ListenerTls {
            certificates: vec![pair("a"), pair("b")],
            acme: Vec::new(),
            client_ca: Some("/ca".into()),
            client_auth: ClientAuth::Required,
        }
    );
    let optional = tls("{cert: /a.pem, key: /a.key, client_ca: /ca, client_auth: optional}");
    assert_eq!(optional.client_auth, ClientAuth::Optional);
}

#[test]
fn half_a_certificate_is_refused() {
    let check = |entry: &str, wrong: &str| {
        let text = format!("listen: {{public: [{{address: '[::]:443', {entry}}}]}}");
        check_value(&text, wrong);
    };
    let pair = "cert: /a.pem, key: /a.key";
    check(&format!("tls: {{{pair}}}"), "");
    check("tls: {cert: /a.pem}", "no \"key\" in listen.public[0].tls");
    check("tls: {key: /a.key}", "no \"cert\" in listen.public[0].tls");
    check("tls: {}", "no \"cert\" in listen.public[0].tls");
    check("tls: on", "no cert and key in listen.public[0].tls");
    check(
        "tls: {cert: '', key: /a.key}",
        "not a file's path in listen.public[0].tls.cert",
    );
    check(
        "tls: {certs: []}",
        "no certificate in listen.public[0].tls.certs",
    );
    check(
        "tls: {certs: [/a.pem]}",
        "no cert and key in listen.public[0].tls.certs[0]",
    );
    check(
        "tls: {certs: [{cert: /a.pem}]}",
        "no \"key\" in listen.public[0].tls.certs[0]",
    );
    check(
        &format!("tls: {{{pair}, certs: [{{{pair}}}]}}"),
        "both certs and a certificate alone in listen.public[0].tls",
    );
    check(
        &format!("tls: {{{pair}, client_auth: optional}}"),
        "nobody to vouch for clients in listen.public[0].tls.client_auth",
    );
    check(
        &format!("tls: {{{pair}, client_ca: /ca, client_auth: never}}"),
        "an unknown word in listen.public[0].tls.client_auth",
    );
    let many = format!("{{{pair}}}, ").repeat(65);
    check(
        &format!("tls: {{certs: [{many}]}}"),
        "more than 64 certificates in listen.public[0].tls.certs",
    );
}

#[test]
fn pages_are_moved_from_listeners_without_tls() {
    let redirect = |text: &str| {
        let text =
            format!("listen: {{public: [{{address: '[::]:80', redirect_to_https: {text}}}]}}");
        accepted(&text, &Env::empty()).listen.public[0].redirect_to_https
    };
    assert_eq!(redirect("true"), Some(443));
    assert_eq!(redirect("8443"), Some(8443));
    assert_eq!(redirect("false"), None);
    let check = |text: &str, wrong: &str| {
        check_value(
            &format!("listen: {{public: [{{address: '[::]:80', redirect_to_https: {text}}}]}}"),
            wrong,
        );
    };
    for bad in ["yes", "0", "65536", "+80"] {
        check(
            bad,
            "not true, false or a port in listen.public[0].redirect_to_https",
        );
    }
    check(
        "true, tls: {cert: /a.pem, key: /a.key}",
        "a redirect beside tls in listen.public[0].redirect_to_https",
    );
    check("false, tls: {cert: /a.pem, key: /a.key}", "");
}

#[test]
fn listeners_with_tls_read_back() {
    let text = "listen: {public: [\
        {address: '[::]:443', tls: {cert: '/a b.pem', key: /a.key, client_ca: /ca, client_auth: optional}}, \
        {name: two, address: '[::]:8443', tls: {certs: [{cert: /a, key: /b}, {cert: /c, key: /d}]}}, \
        {address: '[::]:80', redirect_to_https: true}, \
        {address: '[::]:8080', redirect_to_https: 8443}]}\nlimits: {handshakes: 1}";
    let config = accepted(text, &Env::empty());
    let yaml = config.to_yaml();
    let (back, _) = parse("shown.yml", &yaml, &Env::empty()).unwrap();
    assert_eq!(back, config, "{yaml}");
}

/// A folder with a certificate of each kind, and a configuration beside them.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        folder.certificate("good", 4000);
        folder.certificate("other", 4000);
        folder.certificate("over", 2024);
        folder.write("junk", "no PEM");
        folder
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.0.path().join(name), text).unwrap();
    }

    fn certificate(&self, name: &str, last_year: i32) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["edge.example".to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(last_year, 1, 1);
        let certificate = params.self_signed(&key).unwrap();
        self.write(&format!("{name}.pem"), &certificate.pem());
        self.write(&format!("{name}.key"), &key.serialize_pem());
    }

    /// What is said of a listener with this `tls`, where `@` is the folder.
    fn load(&self, tls: &str) -> Result<Vec<String>, String> {
        let at = format!("{}/", self.0.path().display());
        let text =
            format!("{UPSTREAM}listen:\n  public:\n    - address: '[::]:443'\n      tls: {tls}\n");
        self.write("v.yml", &text.replace('@', &at));
        let file = self.0.path().join("v.yml");
        let loaded = load(Some(&file), &Env::empty());
        let loaded = loaded.map(|loaded| loaded.warnings);
        loaded.map_err(|errors| errors.to_string().replace(&at, "@"))
    }
}

#[test]
fn certificate_files_are_looked_into() {
    let folder = Folder::new();
    let check = |tls: &str, want: &str| {
        assert_eq!(folder.load(tls), Err(want.to_owned()), "{tls}");
    };
    assert_eq!(folder.load("{cert: @good.pem, key: @good.key}"), Ok(vec![]));
    assert_eq!(
        folder.load("{certs: [{cert: @good.pem, key: @good.key}], client_ca: @other.pem}"),
        Ok(vec![])
    );
    check(
        "{cert: @good.pem, key: @other.key}",
        &format!(
            "@v.yml{}: error: the file of listen.public[0].tls.key holds the private key of \
             another certificate",
            column(&folder, "{cert: @good.pem, key: "),
        ),
    );
    check(
        "{cert: @junk, key: @absent}",
        &format!(
            "@v.yml{}: error: the file of listen.public[0].tls.cert holds no certificate in PEM \
             (BEGIN CERTIFICATE)\n\
             @v.yml{}: error: the file of listen.public[0].tls.key cannot be read: No such file or \
             directory (os error 2)",
            column(&folder, "{cert: "),
            column(&folder, "{cert: @junk, key: "),
        ),
    );
    check(
        "{certs: [{cert: @good.pem, key: @good.key}, {cert: @other.pem, key: @good.key}]}",
        &format!(
            "@v.yml{}: error: the file of listen.public[0].tls.certs[1].key holds the private key \
             of another certificate",
            column(
                &folder,
                "{certs: [{cert: @good.pem, key: @good.key}, {cert: @other.pem, key: "
            ),
        ),
    );
    check(
        "{cert: @good.pem, key: @good.key, client_ca: @good.key}",
        &format!(
            "@v.yml{}: error: the file of listen.public[0].tls.client_ca holds no certificate in \
             PEM (BEGIN CERTIFICATE)",
            column(&folder, "{cert: @good.pem, key: @good.key, client_ca: "),
        ),
    );
}

/// Where a value begins behind `before`, once the folder's name is in it.
fn column(folder: &Folder, before: &str) -> String {
    let at = format!("{}/", folder.0.path().display());
    let before = before.replace('@', &at);
    format!(":5:{}", "      tls: ".len() + before.chars().count() + 1)
}

/// It stands in the place of another block's `listen`, and so by itself.
#[test]
fn the_readmes_listeners_are_taken() {
    let folder = Folder::new();
    folder.certificate("tls", 2060);
    let readme = include_str!("../../../README.md");
    let (_, block) = readme
        .split_once("```yml\n# vidette.yml, in the place of `listen`")
        .unwrap();
    let (block, _) = block.split_once("```").unwrap();
    let here = folder.0.path().display().to_string();
    let text = format!("{UPSTREAM}#{}", block.replace("/etc/vidette", &here));
    let (config, warnings) = parse("README.md", &text, &Env::empty()).unwrap();
    assert_eq!(warnings, Vec::<String>::new());
    assert_eq!(config.listen.public.len(), 3);
}

#[test]
fn a_certificate_that_has_expired_is_warned_of() {
    let folder = Folder::new();
    assert_eq!(
        folder.load("{cert: @over.pem, key: @over.key}"),
        Ok(vec![
            "the certificate of listen.public[0].tls.cert has expired".to_owned()
        ])
    );
}

#[test]
fn servers_are_shown_a_certificate_with_its_key_or_none() {
    let refused = |tls: &str| {
        let text = format!("upstream: {{ingest: ['https://relay'], tls: {tls}}}");
        parse("v.yml", &text, &Env::empty()).map_err(|errors| errors.to_string())
    };
    let (config, warnings) = refused("{ca: /ca, cert: /a.pem, key: /a.key}").unwrap();
    assert_eq!(warnings, Vec::<String>::new());
    let yaml = config.to_yaml();
    let (back, _) = parse("shown.yml", &yaml, &Env::empty()).unwrap();
    assert_eq!(back, config, "{yaml}");
    assert!(config.upstream.tls.files().client.is_some());
    let none = refused("{ca: '', cert: '', key: ''}").unwrap().0;
    assert_eq!(none.upstream.tls, UpstreamTls::default());
    for (set, missing) in [("cert", "key"), ("key", "cert")] {
        let wrong = refused(&format!("{{{set}: /a}}")).unwrap_err();
        let want = format!("upstream.tls.{set} without upstream.tls.{missing}; set both");
        assert!(wrong.contains(&want), "{wrong}");
    }
    let wrong = refused("{ca: [/ca]}").unwrap_err();
    assert!(wrong.contains("in upstream.tls.ca"), "{wrong}");
}

#[test]
fn tls_with_nobody_to_speak_it_to_is_warned_of() {
    let text = "upstream: {ingest: ['http://relay'], tls: {ca: /ca}}";
    let (_, warnings) = parse("v.yml", text, &Env::empty()).unwrap();
    let want = "upstream.tls does nothing: neither an upstream nor sentry.url is https";
    assert_eq!(warnings, [want]);
    let sentry = format!("{text}\nsentry: {{url: 'https://web', token: a}}");
    let (_, warnings) = parse("v.yml", &sentry, &Env::empty()).unwrap();
    assert_eq!(warnings, Vec::<String>::new());
}

#[test]
fn the_files_for_servers_are_looked_into() {
    let folder = Folder::new();
    let load = |tls: &str| {
        let at = format!("{}/", folder.0.path().display());
        let text = format!("upstream: {{ingest: ['https://relay'], tls: {tls}}}");
        folder.write("v.yml", &text.replace('@', &at));
        let loaded = load(Some(&folder.0.path().join("v.yml")), &Env::empty());
        let loaded = loaded.map(|loaded| loaded.warnings);
        loaded.map_err(|errors| errors.to_string())
    };
    let good = "{ca: @other.pem, cert: @good.pem, key: @good.key}";
    assert_eq!(load(good), Ok(vec![]));
    assert_eq!(
        load("{ca: @other.pem, cert: @over.pem, key: @over.key}"),
        Ok(vec![
            "the certificate of upstream.tls.cert has expired".to_owned()
        ])
    );
    let check = |tls: &str, want: &str| {
        let errors = load(tls).unwrap_err();
        assert!(errors.contains(want), "{errors}");
    };
    check("{ca: @junk}", "the file of upstream.tls.ca holds no cert");
    check(
        "{ca: @absent}",
        "the file of upstream.tls.ca cannot be read",
    );
    let other = "{ca: @other.pem, cert: @good.pem, key: @other.key}";
    check(
        other,
        "the file of upstream.tls.key holds the private key of",
    );
}
