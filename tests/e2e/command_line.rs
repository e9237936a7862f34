//! The commands as a user types them: what they print, where, and how they exit.

use std::fs;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use libtest_mimic::Trial;
use rustix::process::{Pid, Signal, kill_process};

use crate::client::ask;
use crate::edge::{Log, address_after, ended, program};
use crate::parts::{checkout, promises};
use crate::upstream::HANG;

pub(crate) fn trials() -> Vec<Trial> {
    promises![&[];
        check_says_ok_for_a_good_file,
        check_names_line_column_and_the_nearest_key,
        check_prints_what_is_in_force,
        the_shipped_file_is_good,
        usage_errors_exit_with_2,
        check_takes_one_file,
        an_address_that_is_taken_is_said_once,
        run_refuses_to_start_on_a_bad_file,
        run_needs_an_upstream,
        environment_alone_is_enough,
        version_and_help_are_printed,
    ]
}

/// How a command ended, and what it said.
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs a command to its end.
pub(crate) fn ran(command: &mut Command) -> Ran {
    let output = command.stdin(Stdio::null()).output().unwrap();
    Ran {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// `vidette check` on a file with this text, run beside it.
fn checked(text: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Ran {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("edge.yml"), text).unwrap();
    let mut command = program();
    command
        .args(["check", "-c", "edge.yml"])
        .args(arguments)
        .envs(environment.iter().copied());
    ran(command.current_dir(folder.path()))
}

const GOOD: &str = "upstream:\n  ingest: [\"http://relay:3000\"]\n";

fn check_says_ok_for_a_good_file() {
    let good = checked(GOOD, &[], &[]);
    assert_eq!(good.code, Some(0), "{}", good.stderr);
    assert!(
        format!("{}{}", good.stdout, good.stderr).contains("edge.yml: ok"),
        "{}{}",
        good.stdout,
        good.stderr
    );
}

fn check_names_line_column_and_the_nearest_key() {
    for (text, want) in [
        (
            format!("{GOOD}upstrem: {{}}\n"),
            "edge.yml:3:1: error: unknown key \"upstrem\"",
        ),
        (
            format!("{GOOD}upstrem: {{}}\n"),
            "did you mean \"upstream\"?",
        ),
        (
            format!("{GOOD}limits:\n  bodes: {{}}\n"),
            "edge.yml:4:3: error: unknown key \"bodes\" in limits; did you mean \"bodies\"?",
        ),
        (
            format!("{GOOD}limits:\n  bodies: {{ingest: 20MB, wbe: 1MiB}}\n"),
            "edge.yml:4:",
        ),
        (
            format!("{GOOD}limits:\n  bodies:\n    ingest: 20 apples\n"),
            "edge.yml:5:13: error: ",
        ),
        (
            format!("{GOOD}client_ip:\n  trusted_proxies: [docker, 10.0.0.0/99]\n"),
            "edge.yml:4:",
        ),
        (format!("{GOOD}keys: {{mode: everyone}}\n"), "edge.yml:3:"),
        (format!("{GOOD}workers: 0\n"), "edge.yml:3:"),
        (format!("{GOOD}{GOOD}"), "edge.yml:3:1: error: "),
        (
            "upstream:\n  ingest: [\"ftp://relay\"]\n".to_owned(),
            "edge.yml:2:",
        ),
        ("upstream:\n\tingest: x\n".to_owned(), "edge.yml:2:"),
        (
            format!("{GOOD}sentry: {{credentials: x.json}}\n"),
            "edge.yml:3:23: error: sentry.credentials without sentry.url",
        ),
        (
            format!("{GOOD}shared_quota: {{url: \"redis://:secret@redis\"}}\n"),
            "edge.yml:3:21: error: a URL with a password in shared_quota.url",
        ),
        (
            format!("{GOOD}projects: [{{id: 42, keys: [shop]}}]\n"),
            "edge.yml:3:28: error: not a key in projects[0].keys[0]",
        ),
        (
            format!("{GOOD}admin: {{token: \"${{VIDETTE_TEST_UNSET}}\"}}\n"),
            "VIDETTE_TEST_UNSET",
        ),
    ] {
        let bad = checked(&text, &[], &[]);
        assert_eq!(bad.code, Some(1), "{text}: {}{}", bad.stdout, bad.stderr);
        assert!(
            bad.stderr.contains(want),
            "{text}wants {want}\ngot   {}",
            bad.stderr
        );
        assert_eq!(bad.stdout, "", "errors belong on stderr");
    }
}

/// The second was not looked at, and all was said to be well.
fn check_takes_one_file() {
    let two = checked(GOOD, &["other.yml"], &[]);
    assert_eq!((two.code, &*two.stdout), (Some(2), ""), "{}", two.stderr);
    assert!(two.stderr.contains("cannot be used with"), "{}", two.stderr);
}

fn an_address_that_is_taken_is_said_once() {
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = holder.local_addr().unwrap().to_string();
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "{GOOD}listen: {{public: [\"127.0.0.1:0\"], admin: \"{taken}\"}}\n\
         spool: {{path: off}}\nstate: {{path: off}}\nstatic: []\n"
    );
    let file = folder.path().join("edge.yml");
    fs::write(&file, text).unwrap();
    for (command, next) in [
        (program().args(["run", "-c"]).arg(&file), "--takeover"),
        (
            program().args(["demo", "--public", "127.0.0.1:0", "--admin", &taken]),
            "with --public and --admin",
        ),
    ] {
        let refused = ran(command);
        assert_eq!(refused.code, Some(1), "{}", refused.stderr);
        let said = refused.stderr;
        let said = said
            .lines()
            .find(|line| line.starts_with("vidette: "))
            .unwrap();
        assert_eq!(said.matches(&taken).count(), 1, "{said}");
        assert!(said.contains("another process has it"), "{said}");
        assert!(said.contains(next), "{said}");
    }
}

fn check_prints_what_is_in_force() {
    let text =
        format!("{GOOD}admin: {{token: hush-hush}}\nlimits: {{bodies: {{ingest: 20MiB}}}}\n");
    let environment = [
        ("VIDETTE_LIMITS_BODIES_WEB", "30MiB"),
        ("VIDETTE_LIMITS_BODIES_INGEST", "25MiB"),
    ];
    let printed = checked(&text, &["--print"], &environment);
    assert_eq!(printed.code, Some(0), "{}", printed.stderr);
    for part in [
        "http://relay:3000",
        "30MiB",
        "25MiB",
        "trusted_proxies",
        "***",
    ] {
        assert!(
            printed.stdout.contains(part),
            "no {part} in:\n{}",
            printed.stdout
        );
    }
    assert!(
        !printed.stdout.contains("20MiB"),
        "the environment lies above the file"
    );
    assert!(!format!("{}{}", printed.stdout, printed.stderr).contains("hush-hush"));
    let again = checked(&printed.stdout.replace("***", "hush-hush"), &[], &[]);
    assert_eq!(
        again.code,
        Some(0),
        "what is printed is no good file: {}\n{}",
        again.stderr,
        printed.stdout
    );
}

fn the_shipped_file_is_good() {
    let shipped = ran(program()
        .arg("check")
        .arg("-c")
        .arg(checkout("config/vidette.yml")));
    assert_eq!(shipped.code, Some(0), "{}", shipped.stderr);
}

fn usage_errors_exit_with_2() {
    for arguments in [
        &["frobnicate"][..],
        &["run", "--absent-flag"],
        &["check", "-c"],
        &["demo", "--public", "nowhere"],
        &["explain"],
        &["explain", "api/1/envelope/"],
        &["doctor"],
        &["doctor", "cors", "--url", "ftp://sentry.example.com"],
    ] {
        let wrong = ran(program().args(arguments));
        assert_eq!(wrong.code, Some(2), "{arguments:?}: {}", wrong.stderr);
        assert!(
            !wrong.stderr.is_empty() && wrong.stdout.is_empty(),
            "{arguments:?}"
        );
    }
    let absent = ran(program().args(["check", "-c", "/absent/vidette.yml"]));
    assert_eq!(absent.code, Some(1));
    assert!(
        absent.stderr.contains("/absent/vidette.yml"),
        "{}",
        absent.stderr
    );
}

fn run_refuses_to_start_on_a_bad_file() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join("edge.yml"),
        format!("{GOOD}upstrem: {{}}\n"),
    )
    .unwrap();
    let refused = ran(program()
        .args(["run", "-c", "edge.yml"])
        .current_dir(folder.path()));
    assert_eq!(refused.code, Some(1));
    assert!(
        refused.stderr.contains("edge.yml:3:1: error: unknown key"),
        "{}",
        refused.stderr
    );
    assert!(
        !refused.stderr.contains("listening"),
        "it listened first: {}",
        refused.stderr
    );
}

fn run_needs_an_upstream() {
    let folder = tempfile::tempdir().unwrap();
    let refused = ran(program().arg("run").current_dir(folder.path()));
    assert_eq!(refused.code, Some(1), "{}", refused.stderr);
    assert!(refused.stderr.contains("upstream"), "{}", refused.stderr);
}

/// A process that ends with its test.
pub(crate) struct Running(pub(crate) Child, pub(crate) Log);

impl Running {
    /// Asks it to stop, and waits until it has.
    pub(crate) fn stop(mut self) -> Option<i32> {
        kill_process(Pid::from_child(&self.0), Signal::TERM).unwrap();
        ended(&mut self.0, &self.1, HANG).code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn environment_alone_is_enough() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = program()
        .arg("run")
        .current_dir(folder.path())
        .env("VIDETTE_UPSTREAM_INGEST", "http://127.0.0.1:9")
        .env("VIDETTE_LISTEN_PUBLIC", "127.0.0.1:0")
        .env("VIDETTE_LISTEN_ADMIN", "127.0.0.1:0")
        .env("VIDETTE_STATE_PATH", "off")
        .env("VIDETTE_SERVICE_HOST", "10.0.0.1")
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let log = Log::follow(child.stderr.take().unwrap());
    let running = Running(child, log.clone());
    let admin = log.wait_for("its addresses", |line| address_after(line, "admin"));
    assert_eq!(
        ask(admin, "GET", "/health/live", &[("Host", "localhost")], b"").status,
        200
    );
    assert_eq!(running.stop(), Some(0));
}

fn version_and_help_are_printed() {
    let version = ran(program().arg("--version"));
    assert_eq!(
        (version.code, version.stdout.trim()),
        (Some(0), concat!("vidette ", env!("CARGO_PKG_VERSION")))
    );
    let word = ran(program().arg("version"));
    assert_eq!((word.code, word.stdout), (Some(0), version.stdout));
    let help = ran(program().arg("--help"));
    assert_eq!(help.code, Some(0));
    for command in ["run", "demo", "check", "explain", "doctor"] {
        assert!(help.stdout.contains(command), "{}", help.stdout);
    }
}
