//! Promises about the Sentry that is asked for keys, what is kept over a restart,
//! and what is made of addresses.

use std::time::Duration;

use super::*;

#[track_caller]
fn check_error(text: &str, want: &str) {
    let text = format!("{UPSTREAM}{text}");
    assert_eq!(refused(&text, &Env::empty()), want, "{text}");
}

#[track_caller]
fn check_warnings(text: &str, want: &[&str]) {
    match parse("v.yml", &format!("{UPSTREAM}{text}"), &Env::empty()) {
        Ok((_, warnings)) => assert_eq!(warnings, want, "{text}"),
        Err(errors) => panic!("refused: {errors}"),
    }
}

#[test]
fn sentry_is_asked_by_url_and_token() {
    let sentry = |text: &str| accepted(text, &Env::empty()).sentry;
    let url = UpstreamUrl {
        scheme: Scheme::Http,
        host: "web".to_owned(),
        port: 9000,
    };
    let want = Sentry {
        url,
        token: Some(Secret::new("t0ken")),
        token_file: None,
        credentials: None,
        credentials_file: None,
        interval: Duration::from_secs(60),
    };
    assert_eq!(
        sentry("sentry: {url: 'http://web:9000/', token: t0ken}"),
        Some(want)
    );
    assert_eq!(
        sentry("sentry: {url: '', token: '', token_file: '', interval: 10s}"),
        None
    );
    assert_eq!(sentry("sentry:"), None);
}

#[test]
fn sentry_is_asked_by_credentials_too_and_its_files_need_no_sentry() {
    let read = |text: &str| accepted(text, &Env::empty());
    let both = "sentry: {url: 'http://web', credentials: /c.json, token: a}";
    let sentry = read(both).sentry.unwrap();
    let path = Some(PathBuf::from("/c.json"));
    assert_eq!((sentry.credentials_file, sentry.credentials), (path, None));
    let files = read("sentry: {projects: /relay/projects}");
    assert_eq!(files.sentry, None);
    let path = Some(PathBuf::from("/relay/projects"));
    assert_eq!(files.project_files, path);
    assert_eq!(read("sentry: {projects: ''}").project_files, None);
}

#[test]
fn half_a_sentry_names_what_is_missing() {
    check_error(
        "sentry:\n  url: http://web:9000\n",
        "v.yml:3:8: error: sentry.url without a token or credentials; set sentry.token, \
         sentry.token_file or sentry.credentials",
    );
    check_error(
        "sentry:\n  token: t0ken\n",
        "v.yml:3:10: error: sentry.token without sentry.url; set both or neither",
    );
    check_error(
        "sentry: {token_file: /run/token}\n",
        "v.yml:2:22: error: sentry.token_file without sentry.url; set both or neither",
    );
    check_error(
        "sentry: {credentials: /c.json}\n",
        "v.yml:2:23: error: sentry.credentials without sentry.url; set both or neither",
    );
    check_error(
        "sentry: {url: 'http://web', token: a, token_file: b}\n",
        "v.yml:2:51: error: both sentry.token and sentry.token_file are set; keep one",
    );
}

#[test]
fn a_bad_half_is_one_error() {
    check_error(
        "sentry: {url: 'ftp://web', token: t0ken}\n",
        "v.yml:2:15: error: not an http URL in sentry.url; \
         write http://HOST:PORT or https://HOST:PORT, such as http://web:9000",
    );
    check_error(
        "sentry: {url: 'http://web/sentry', token: t0ken}\n",
        "v.yml:2:15: error: a URL with a path in sentry.url; \
         write http://HOST:PORT or https://HOST:PORT, such as http://web:9000",
    );
    check_error(
        "sentry: {url: 'http://web', token: 's3cret and blanks'}\n",
        "v.yml:2:36: error: not a token in sentry.token; \
         write visible ASCII without blanks, or name a file in sentry.token_file",
    );
    check_error(
        "sentry: {url: 'http://web', token: '***'}\n",
        "v.yml:2:36: error: the mask that stands for a token where one is shown in sentry.token; \
         write visible ASCII without blanks, or name a file in sentry.token_file",
    );
    check_error(
        "sentry: {intervall: 60s}\n",
        "v.yml:2:10: error: unknown key \"intervall\" in sentry; did you mean \"interval\"?",
    );
}

#[test]
fn sentry_is_not_asked_too_often() {
    let check = |interval: &str, wrong: &str| {
        let text = format!("sentry: {{url: 'http://web', token: a, interval: {interval}}}");
        check_value(&text, wrong);
    };
    check("10s", "");
    check("1d", "");
    check("9999ms", "out of bounds in sentry.interval");
    check("25h", "out of bounds in sentry.interval");
    check("60", "no unit in sentry.interval");
}

#[test]
fn a_strict_edge_that_knows_no_key_is_warned_of() {
    let want = "keys.mode is strict, but no project has keys and sentry.url is not set: \
                every event is refused";
    let keyless = "keys.mode is strict, and projects[1] (project 7) has no keys: every event of it \
                   is refused";
    check_warnings(
        "keys: {mode: strict}\nprojects: [{id: 42, keys: [a94ae32be2584e0bbd7a4cbb95971fee]}, {id: 7}]",
        &[keyless],
    );
    check_warnings("keys: {mode: strict}", &[want]);
    check_warnings("keys: {mode: strict}\nprojects: [{id: 42}]", &[want]);
    check_warnings(
        "keys: {mode: strict}\nprojects: [{id: 42, keys: [a94ae32be2584e0bbd7a4cbb95971fee]}]",
        &[],
    );
    check_warnings(
        "keys: {mode: strict}\nsentry: {url: 'http://web', token: a}",
        &[],
    );
    check_warnings("keys: {mode: strict}\nsentry: {projects: /p}", &[]);
    check_warnings("keys: {mode: learn}", &[]);
}

#[test]
fn a_hash_key_is_for_hashing() {
    let want = "client_ip.hash_key does nothing: client_ip.store is not hash";
    check_warnings("client_ip: {hash_key: s3cret}", &[want]);
    check_warnings("client_ip: {store: drop, hash_key_file: /k}", &[want]);
    check_warnings("client_ip: {store: hash, hash_key: s3cret}", &[]);
    check_warnings("client_ip: {store: hash}", &[]);
    check_error(
        "client_ip: {store: hash, hash_key: 's3cret and blanks'}\n",
        "v.yml:2:36: error: not a key in client_ip.hash_key; \
         write visible ASCII without blanks, or name a file in client_ip.hash_key_file",
    );
    check_error(
        "client_ip: {hash_key: a, hash_key_file: b}\n",
        "v.yml:2:41: error: both client_ip.hash_key and client_ip.hash_key_file are set; keep one",
    );
}

#[test]
fn the_state_is_a_directory_or_off() {
    let path = |text: &str| accepted(text, &Env::empty()).state.path;
    let some = |path: &str| Some(PathBuf::from(path));
    assert_eq!(path(""), some("/var/lib/vidette"));
    assert_eq!(path("state: {path: /srv/x}"), some("/srv/x"));
    assert_eq!(path("state: {path: ./off}"), some("./off"));
    assert_eq!(path("state: {path: off}"), None);
    for bad in ["''", "none", "false", "'/a\\0'"] {
        let bad = bad.replace("'/a\\0'", "\"/a\\0\"");
        check_value(
            &format!("state: {{path: {bad}}}"),
            "not a directory's path in state.path",
        );
    }
    check_error(
        "state: {path: none}\n",
        "v.yml:2:15: error: not a directory's path in state.path; write a directory such as /var/lib/vidette, or off",
    );
}
