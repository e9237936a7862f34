//! Promises about the access log's keys: what is taken, and what is refused.

use super::*;

#[track_caller]
fn check_refused(text: &str, want: &str) {
    let text = format!("{UPSTREAM}access_log: {{mode: all, {text}}}");
    let errors = parse("v.yml", &text, &Env::empty())
        .unwrap_err()
        .to_string();
    assert!(errors.contains(want), "{errors}");
}

#[test]
fn every_key_is_taken_from_the_file_and_from_the_environment() {
    let config = accepted(
        "access_log: {mode: sampled, sample: 5%, errors: 10/m, format: common, to: /var/log/x.log, \
         max_bytes: 64KiB, files: 0, buffer: 1MiB}",
        &Env::empty(),
    );
    let want = AccessLog {
        mode: AccessMode::Sampled,
        sample: crate::domain::sampling::Rate::of(0.05).unwrap(),
        errors: Rate {
            count: 10,
            per: std::time::Duration::from_secs(60),
        },
        format: AccessFormat::Common,
        to: AccessTarget::File("/var/log/x.log".into()),
        max_bytes: 64 << 10,
        files: 0,
        buffer: 1 << 20,
    };
    assert_eq!(config.access_log, want);
    let env = Env::from([
        ("VIDETTE_ACCESS_LOG_MODE", "sampled"),
        ("VIDETTE_ACCESS_LOG_SAMPLE", "0.05"),
        ("VIDETTE_ACCESS_LOG_ERRORS", "10/m"),
        ("VIDETTE_ACCESS_LOG_FORMAT", "common"),
        ("VIDETTE_ACCESS_LOG_TO", "/var/log/x.log"),
        ("VIDETTE_ACCESS_LOG_MAX_BYTES", "64KiB"),
        ("VIDETTE_ACCESS_LOG_FILES", "0"),
        ("VIDETTE_ACCESS_LOG_BUFFER", "1MiB"),
    ]);
    assert_eq!(accepted("", &env).access_log, want);
    let yaml = config.to_yaml();
    let back = parse("shown.yml", &yaml, &Env::empty());
    assert_eq!(back.unwrap().0.access_log, want, "{yaml}");
}

#[test]
fn it_is_off_and_goes_to_stdout_by_itself() {
    let log = Config::in_front_of(relay()).access_log;
    assert!(!log.is_on());
    assert_eq!(log.to, AccessTarget::Stdout);
}

#[test]
fn what_it_cannot_be_is_refused() {
    check_refused("to: stderr", "not a file's path in access_log.to");
    check_refused("to: /var/log/", "not a file's path in access_log.to");
    check_refused("sample: 1.5", "out of bounds in access_log.sample");
    check_refused("max_bytes: 1KiB", "out of bounds in access_log.max_bytes");
    check_refused("files: 1001", "out of bounds in access_log.files");
    check_refused("errors: 5", "no unit in access_log.errors");
    check_refused("format: combined", "an unknown word in access_log.format");
}

#[test]
fn a_file_is_refused_where_it_would_do_harm() {
    let spool = "access_log.to lies in spool.path, where it would be taken for what is kept";
    check_refused("to: /var/lib/vidette/spool/access.log", spool);
    let served = "access_log.to lies in static[0].root, where everybody could read it";
    check_refused("to: /var/www/js-sdk/access.log", served);
}

#[test]
fn a_folder_that_is_not_there_is_warned_of() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("vidette.yml");
    let warnings = |to: &str, mode: &str| {
        let to = folder.path().join(to);
        let log = format!("access_log: {{mode: {mode}, to: '{}'}}\n", to.display());
        std::fs::write(&file, format!("{UPSTREAM}{log}")).unwrap();
        load(Some(&file), &Env::empty()).unwrap().warnings
    };
    assert_eq!(warnings("access.log", "all"), Vec::<String>::new());
    assert_eq!(warnings("later/access.log", "off"), Vec::<String>::new());
    let want = "the folder of access_log.to is not there: its lines are dropped until it is";
    assert_eq!(warnings("later/access.log", "all"), [want]);
}

#[test]
fn keys_without_a_mode_are_warned_of() {
    let warnings = |text: &str| {
        let text = format!("{UPSTREAM}access_log: {{{text}}}");
        parse("v.yml", &text, &Env::empty()).unwrap().1
    };
    let want = "access_log does nothing: access_log.mode is off; sampled writes what did not end \
                well";
    assert_eq!(warnings("to: /var/log/x.log"), [want]);
    assert_eq!(warnings("mode: 'off', to: /var/log/x.log"), [""; 0]);
    assert_eq!(warnings("mode: all, to: /var/log/x.log"), [""; 0]);
}
