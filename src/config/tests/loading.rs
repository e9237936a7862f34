//! Promises about files on disk: which one is found, and what cannot be read.

use std::fs;

use super::*;

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
    error(": error: larger than 4 MiB, which is no configuration");
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
    assert!(
        refused().contains("cannot be read") && refused().ends_with("named by admin.token_file")
    );
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
fn only_listen_and_workers_need_a_restart() {
    let old = Config::in_front_of(relay());
    let mut new = old.clone();
    new.log.level = Level::Debug;
    new.upstream.connections = 1;
    assert_eq!(needs_restart(&old, &new), Vec::<&str>::new());
    new.listen.admin.set_port(0);
    new.workers = std::num::NonZeroUsize::new(3);
    assert_eq!(needs_restart(&old, &new), ["listen", "workers"]);
}
