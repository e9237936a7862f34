//! Promises about files on disk: which one is found, and what cannot be read.

use std::fs;

use super::*;
use crate::domain::relay::RelayCredentials;

#[test]
fn the_flag_goes_before_the_variable() {
    let env = Env::from([("VIDETTE_CONFIG", "/etc/from-env.yml")]);
    assert_eq!(
        find(Some(Path::new("flag.yml")), &env),
        Some(PathBuf::from("flag.yml"))
    );
    assert_eq!(find(None, &env), Some(PathBuf::from("/etc/from-env.yml")));
    assert_ne!(
        find(None, &Env::from([("VIDETTE_CONFIG", "")])),
        Some(PathBuf::new())
    );
}

#[test]
fn the_digest_tells_one_content_from_another() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("v.yml");
    fs::write(&path, UPSTREAM).unwrap();
    let first = load(Some(&path), &Env::empty()).unwrap();
    assert_eq!(first.config, Config::in_front_of(relay()));
    assert_eq!(first.file.as_deref(), Some(path.as_path()));
    assert_eq!(
        load(Some(&path), &Env::empty()).unwrap().digest,
        first.digest
    );
    fs::write(&path, format!("{UPSTREAM}# another\n")).unwrap();
    assert_ne!(
        load(Some(&path), &Env::empty()).unwrap().digest,
        first.digest
    );
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("v.yml");
    let error = |want: &str| {
        let shown = load(Some(&path), &Env::empty()).unwrap_err().to_string();
        let name = path.display();
        assert!(shown.starts_with(&format!("{name}{want}")), "{shown}");
    };
    error(": error: cannot be read: ");
    fs::write(&path, b"workers: 1\n\xc3\xa9 \xff\n").unwrap();
    error(":2:3: error: not UTF-8; save the file in that encoding");
    let large = fs::File::create(&path).unwrap();
    large.set_len(FILE_BYTES_MAX + 1).unwrap();
    error(": error: larger than 64 MiB, which is no configuration");
    large.set_len(FILE_BYTES_MAX).unwrap();
    error(":1:1: error: not YAML: ");
}

#[test]
fn the_token_is_read_from_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    let env = Env::from([
        ("VIDETTE_ADMIN_TOKEN_FILE", token.to_str().unwrap()),
        ("VIDETTE_UPSTREAM_INGEST", "http://relay:3000"),
    ]);
    let refused = || load(None, &env).unwrap_err().to_string();
    let place = "environment: error: VIDETTE_ADMIN_TOKEN_FILE: ";
    assert!(refused().starts_with(&format!(
        "{place}the file of admin.token_file cannot be read: "
    )));
    fs::write(&token, "\n").unwrap();
    assert!(refused().contains("holds no token"), "{}", refused());
    fs::write(&token, "two words").unwrap();
    assert!(refused().contains("holds no token"), "{}", refused());
    fs::write(&token, " s3cret\n").unwrap();
    let loaded = load(None, &env).unwrap();
    assert_eq!(
        loaded.config.admin.token.as_ref().map(Secret::expose),
        Some("s3cret")
    );
    assert!(!loaded.config.to_yaml().contains("s3cret"));
}

#[test]
fn other_secrets_are_read_from_their_files_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let text = format!(
        "{UPSTREAM}sentry: {{url: 'http://web', token_file: '{}'}}\n\
         client_ip: {{store: hash, hash_key_file: '{}'}}\n",
        path("token"),
        path("key")
    );
    let file = folder.path().join("v.yml");
    fs::write(&file, text).unwrap();
    let refused = || load(Some(&file), &Env::empty()).unwrap_err().to_string();
    fs::write(path("key"), "\n").unwrap();
    assert_eq!(
        refused(),
        format!(
            "{name}:2:41: error: the file of sentry.token_file cannot be read: \
             No such file or directory (os error 2)\n\
             {name}:3:41: error: the file of client_ip.hash_key_file holds no key (one line of \
             visible ASCII)",
            name = file.display(),
        )
    );
    fs::write(path("key"), "s3cret\n").unwrap();
    let error = refused();
    assert!(error.contains(":2:"), "{error}");
    assert!(!error.contains(&path("token")), "{error}");
    let most = usize::try_from(secrets::SECRET_BYTES_MAX).unwrap();
    fs::write(path("token"), "t".repeat(most + 1)).unwrap();
    assert!(refused().contains("holds no token"), "{}", refused());
    fs::write(path("token"), "t".repeat(most)).unwrap();
    let config = load(Some(&file), &Env::empty()).unwrap().config;
    assert_eq!(
        config.client_ip.hash_key.as_ref().map(Secret::expose),
        Some("s3cret")
    );
    let token = config.sentry.as_ref().unwrap().token.as_ref();
    assert_eq!(token.map(|token| token.expose().len()), Some(most));
    // Shown as its file, it reads back without being unmasked by hand.
    let (back, _) = parse("shown.yml", &config.to_yaml(), &Env::empty()).unwrap();
    assert_eq!(back.client_ip.hash_key_file, config.client_ip.hash_key_file);
    assert!(!config.to_yaml().contains("***"), "{}", config.to_yaml());
}

#[test]
fn a_relays_credentials_are_read_from_its_own_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("credentials.json");
    let text = format!(
        "{UPSTREAM}sentry: {{url: 'http://web', credentials: '{}'}}\n",
        path.display()
    );
    let file = folder.path().join("v.yml");
    fs::write(&file, text).unwrap();
    let refused = || load(Some(&file), &Env::empty()).unwrap_err().to_string();
    let check = |fault: &str| {
        let name = file.display();
        let want = format!("{name}:2:42: error: the file of sentry.credentials {fault}");
        assert_eq!(refused(), want);
    };
    check("is not there: vidette credentials generate FILE makes one");
    fs::write(&path, "{}").unwrap();
    check("is not JSON with secret_key, public_key and id, each a text");
    let drawn = RelayCredentials::drawn([1; 32], [2; 16]).unwrap();
    fs::write(&path, drawn.to_json()).unwrap();
    let config = load(Some(&file), &Env::empty()).unwrap().config;
    let sentry = config.sentry.as_ref().unwrap();
    assert_eq!(sentry.credentials.as_deref(), Some(&drawn));
    assert_eq!(sentry.token, None);
    let shown = config.to_yaml();
    assert!(shown.contains("credentials.json"), "{shown}");
    let json: serde_json::Value = serde_json::from_str(&drawn.to_json()).unwrap();
    let secret = json["secret_key"].as_str().unwrap();
    assert!(!format!("{shown}{config:?}").contains(secret));
}

#[test]
fn what_a_reload_cannot_take_up_needs_a_restart() {
    let old = Config::in_front_of(relay());
    let mut new = old.clone();
    new.log.level = Level::Debug;
    new.upstream.connections = 1;
    new.keys.mode = KeyMode::Open;
    new.keys.unproven_rate.count = 1;
    new.tunnel.paths = vec!["/t".to_owned()];
    new.inspect = Inspect::WhenNeeded;
    new.limits.retry_after_max *= 2;
    new.limits.items = 1;
    new.metrics.projects_max = 1;
    new.global = accepted("global: {quotas: [{limit: 1, per: 1s}]}", &Env::empty()).global;
    assert_eq!(needs_restart(&old, &new), Vec::<&str>::new());
    new.listen.admin.set_port(0);
    new.workers = std::num::NonZeroUsize::new(3);
    new.state.path = None;
    new.keys.proven_max = 100;
    new.keys.candidates_max = 100;
    new.keys.refused_max = 100;
    new.keys.limited_max = 100;
    new.limits.quota_ips = 1_000;
    new.limits.quota_counters = 100;
    new.limits.repeats = 100;
    assert_eq!(
        needs_restart(&old, &new),
        [
            "listen",
            "workers",
            "keys.proven_max",
            "keys.candidates_max",
            "keys.refused_max",
            "keys.limited_max",
            "state.path",
            "limits.quota_ips",
            "limits.quota_counters",
            "limits.repeats"
        ]
    );
}

/// The second block named `client_ip` once more, which is an error.
#[test]
fn the_readmes_blocks_can_be_pasted_into_one_file() {
    let readme = include_str!("../../../README.md");
    let blocks = readme.split("```yaml\n").skip(1);
    let text: String = blocks.filter_map(|rest| rest.split("```").next()).collect();
    let (config, warnings) = parse("README.md", &text, &Env::empty()).unwrap();
    assert_eq!(warnings, Vec::<String>::new());
    assert_eq!(config.keys.mode, KeyMode::Strict, "both blocks were read");
    assert_eq!(config.client_ip.trusted_proxies.written, ["docker"]);
}
