//! Hand-overs that come to nothing, at each step of the conversation: the process that runs
//! goes on as if nothing had been, and hands over to the next that asks.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use libtest_mimic::Trial;
use serde_json::{Value, json};

use super::load::Load;
use super::{errors, run, text, upgrade};
use crate::edge::{Edge, program};
use crate::parts::promises;
use crate::spool::{check_taken, emptied, event};
use crate::upstream::{Fake, HANG, Silent};

pub(crate) fn trials() -> Vec<Trial> {
    promises![&[];
        an_heir_that_goes_away_at_any_step_changes_nothing,
        what_came_while_an_heir_was_awaited_in_vain_is_kept,
        who_says_rubbish_or_nothing_changes_nothing,
        another_protocol_is_refused_in_words,
        an_heir_that_cannot_start_leaves_all_as_it_was,
        an_heir_that_is_killed_on_its_way_changes_nothing,
        an_elder_that_is_killed_while_it_finishes_leaves_books_that_close,
        where_nobody_runs_it_starts_as_usual,
        without_takeover_a_second_start_is_told_how,
    ]
}

/// Somebody at the hand-over socket, who speaks as a test has it.
struct Guest(UnixStream);

const HELLO: u8 = 1;
const REFUSED: u8 = 2;
const ALL: u8 = 5;
const YIELD: u8 = 6;
const YIELDED: u8 = 9;

impl Guest {
    fn at(place: &Path) -> Self {
        let stream = UnixStream::connect(place.join("state/handover.sock")).unwrap();
        stream.set_read_timeout(Some(HANG)).unwrap();
        Self(stream)
    }

    fn say(&mut self, kind: u8, payload: &str) {
        let length = u32::try_from(payload.len()).unwrap().to_le_bytes();
        let mut frame = vec![kind, 0, 0, 0];
        frame.extend_from_slice(&length);
        frame.extend_from_slice(payload.as_bytes());
        self.0.write_all(&frame).unwrap();
    }

    fn hello(&mut self, protocol: u32) {
        let hello = json!({"protocol": protocol, "version": "0.0.0", "pid": 1});
        self.say(HELLO, &hello.to_string());
    }

    /// The next frame. What comes beside it is closed.
    fn hear(&mut self) -> (u8, String) {
        let mut head = [0; 8];
        self.0.read_exact(&mut head).unwrap();
        let length = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        self.0.read_exact(&mut payload).unwrap();
        (head[0], String::from_utf8_lossy(&payload).into_owned())
    }

    fn hear_until(&mut self, kind: u8) {
        while self.hear().0 != kind {}
    }
}

/// The steps of a conversation that breaks off.
const STEPS: [fn(&Path); 6] = [
    |place| drop(Guest::at(place)),
    |place| Guest::at(place).hello(1),
    |place| {
        let mut guest = Guest::at(place);
        guest.hello(1);
        guest.hear_until(ALL);
    },
    |place| {
        let mut guest = Guest::at(place);
        guest.hello(1);
        guest.hear_until(ALL);
        guest.say(YIELD, "");
    },
    |place| {
        let mut guest = Guest::at(place);
        guest.hello(1);
        guest.hear_until(ALL);
        guest.say(YIELD, "");
        guest.hear_until(YIELDED);
    },
    |place| {
        let mut guest = Guest::at(place);
        guest.hello(1);
        guest.hear_until(ALL);
        guest.say(YIELD, "");
        guest.hear_until(YIELDED);
        guest.say(HELLO, "{}");
    },
];

/// Nothing of all this was noticed by those who went on sending.
#[track_caller]
fn check_unnoticed(edge: &Edge, load: Load) {
    load.goes_on(50);
    let seen = load.stop_well();
    assert_eq!(errors(edge)["forwarded"], seen.taken.len());
}

fn an_heir_that_goes_away_at_any_step_changes_nothing() {
    let (fake, place) = (Fake::start(), tempfile::tempdir().unwrap());
    let edge = run(&fake.url(), place.path(), &json!({}));
    let load = Load::start(edge.public, 2, Duration::from_millis(10));
    for (number, step) in (1..).zip(STEPS) {
        step(place.path());
        load.goes_on(50);
        let mute = json!({"project": 7, "action": "mute", "for_s": 60}).to_string();
        let headers = [("Host", "localhost"), ("Content-Type", "application/json")];
        // Admin requests wait where need be, as long as a hand-over takes.
        let muted = crate::client::ask(
            edge.admin,
            "POST",
            "/api/v1/mutes",
            &headers,
            mute.as_bytes(),
        );
        assert_eq!(muted.status, 201, "step {number}: {}", muted.text());
        assert_eq!(
            muted.json()["kept"],
            true,
            "step {number}: {}",
            muted.text()
        );
    }
    let edge = upgrade(edge);
    check_unnoticed(&edge, load);
}

fn what_came_while_an_heir_was_awaited_in_vain_is_kept() {
    let (silent, place) = (Silent::reserve(), tempfile::tempdir().unwrap());
    let edge = run(&silent.url(), place.path(), &json!({}));
    check_taken(&edge.post_envelope(&[], &event(1)), 1);
    for (number, step) in (2..).zip(STEPS) {
        let place = place.path().to_path_buf();
        let stepping = std::thread::spawn(move || step(&place));
        check_taken(&edge.post_envelope(&[], &event(number)), number);
        stepping.join().unwrap();
        check_taken(&edge.post_envelope(&[], &event(100 + number)), 100 + number);
    }
    let sent = 1 + 2 * STEPS.len();
    assert_eq!(errors(&edge)["spooled"], sent);
    let fake = silent.listen(|exchange| {
        exchange.read_body()?;
        exchange.answer(200, &[], b"{}")
    });
    emptied(&edge);
    let row = errors(&edge);
    assert_eq!(
        (&row["forwarded"], &row["carried"]),
        (&json!(sent), &json!(0))
    );
    assert_eq!(fake.look(|ledger| ledger.requests.len()), sent, "sent once");
}

fn who_says_rubbish_or_nothing_changes_nothing() {
    let (fake, place) = (Fake::start(), tempfile::tempdir().unwrap());
    let edge = run(&fake.url(), place.path(), &json!({}));
    let silent = Guest::at(place.path());
    for rubbish in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        &[0; 64],
        &[255; 64],
        &[1, 0, 0, 0, 2, 0, 0, 0, b'{', b'}'],
    ] {
        let mut guest = Guest::at(place.path());
        guest.0.write_all(rubbish).unwrap();
    }
    // Who says nothing is waited for, but not for long.
    let edge = upgrade(edge);
    drop(silent);
    assert_eq!(edge.post_envelope(&[], &event(1)).status, 200);
}

fn another_protocol_is_refused_in_words() {
    let (fake, place) = (Fake::start(), tempfile::tempdir().unwrap());
    let edge = run(&fake.url(), place.path(), &json!({}));
    let mut guest = Guest::at(place.path());
    guest.hello(99);
    let (kind, why) = guest.hear();
    assert_eq!(kind, REFUSED);
    assert!(why.contains("by protocol 1 and not by 99"), "{why}");
    drop(guest);
    upgrade(edge);
}

/// Starts what does not come to run, and yields what it says.
#[track_caller]
fn fails(edge: &Edge, more: &[&str]) -> String {
    let Output { status, stderr, .. } = command(edge, more).output().unwrap();
    let said = String::from_utf8_lossy(&stderr).into_owned();
    assert_eq!(status.code(), Some(1), "{said}");
    said
}

fn command(edge: &Edge, more: &[&str]) -> Command {
    let mut command = program();
    command
        .args(["run", "-c"])
        .arg(edge.folder().join("vidette.yml"))
        .args(more);
    command
}

fn an_heir_that_cannot_start_leaves_all_as_it_was() {
    let (fake, place) = (Fake::start(), tempfile::tempdir().unwrap());
    let edge = run(&fake.url(), place.path(), &json!({}));
    let load = Load::start(edge.public, 2, Duration::from_millis(10));
    edge.rewrite("nonsense: true");
    assert!(fails(&edge, &["--takeover"]).contains("unknown key"));
    let with = |changes: &Value| text(&fake.url(), &fake.url(), place.path(), changes);
    let somebody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = somebody.local_addr().unwrap().to_string();
    edge.rewrite(&with(
        &json!({"listen": {"public": ["127.0.0.1:0", taken]}}),
    ));
    let said = fails(&edge, &["--takeover"]);
    assert!(said.contains("cannot listen on"), "{said}");
    // Another spool, which somebody has: this is seen only when the elder has let go.
    let other = tempfile::tempdir().unwrap();
    let _holder = run(&fake.url(), other.path(), &json!({}));
    let spool = json!({"spool": {"path": other.path().join("spool")}});
    edge.rewrite(&with(&spool));
    let said = fails(&edge, &["--takeover"]);
    assert!(said.contains("spool.path is in use"), "{said}");
    edge.log.wait_for_text("everything is this process's again");
    edge.rewrite(&with(&json!({})));
    let edge = upgrade(edge);
    check_unnoticed(&edge, load);
}

fn an_heir_that_is_killed_on_its_way_changes_nothing() {
    let (silent, place) = (Silent::reserve(), tempfile::tempdir().unwrap());
    let mut edge = run(&silent.url(), place.path(), &json!({}));
    let mut sent = 0;
    // Sooner or later it serves before it is killed: then it has taken over, and well.
    for delay_ms in (0..200).step_by(4) {
        let mut heir = command(&edge, &["--takeover"]);
        let mut heir = heir.stderr(std::process::Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(delay_ms));
        heir.kill().unwrap();
        heir.wait().unwrap();
        sent += 1;
        let connected = crate::client::Client::try_connect(edge.public);
        let Ok(mut client) = connected else { break };
        let target = crate::edge::envelope_target();
        client.send(&crate::client::request("POST", &target, &[], &event(sent)));
        match client.try_answer_to("POST") {
            Ok(answer) => check_taken(&answer, sent),
            // It came to the heir.
            Err(_) => break,
        }
    }
    let said = |what: &str| edge.log.text().matches(what).count();
    // Each that had begun and did not serve yet was taken back from.
    let deadline = std::time::Instant::now() + crate::upstream::HANG;
    let begun = || said("another process takes over") - said("another process serves");
    while said("everything is this process's again") < begun() {
        assert!(std::time::Instant::now() < deadline, "{}", edge.log.text());
        std::thread::sleep(Duration::from_millis(10));
    }
    if edge.log.text().contains("another process serves") {
        assert!(edge.wait_end().success());
    } else {
        assert_eq!(errors(&edge)["spooled"], sent);
    }
}

fn an_elder_that_is_killed_while_it_finishes_leaves_books_that_close() {
    let (fake, place) = (Fake::start(), tempfile::tempdir().unwrap());
    let mut edge = run(&fake.url(), place.path(), &json!({}));
    assert_eq!(edge.post_envelope(&[], &event(1)).status, 200);
    // Half of an upload keeps it.
    let mut client = edge.connect();
    client.send(b"POST /files HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf");
    let heir = edge.successor();
    edge.log.wait_for_text("another process serves");
    edge.signal(rustix::process::Signal::KILL);
    edge.wait_end();
    assert_eq!(heir.post_envelope(&[], &event(2)).status, 200);
    heir.log.wait_for_text("ended without a word");
    let row = errors(&heir);
    assert_eq!(
        (&row["received"], &row["forwarded"]),
        (&json!(2), &json!(2))
    );
    upgrade(heir);
}

fn where_nobody_runs_it_starts_as_usual() {
    let (fake, place) = (Fake::start(), tempfile::tempdir().unwrap());
    let mut edge = run(&fake.url(), place.path(), &json!({}));
    edge.signal(rustix::process::Signal::KILL);
    edge.wait_end();
    assert!(
        place.path().join("state/handover.sock").exists(),
        "it is stale"
    );
    let mut edge = edge.successor();
    assert!(edge.log.text().contains("nobody runs on this state.path"));
    edge.signal(rustix::process::Signal::TERM);
    assert!(edge.wait_end().success());
    assert!(
        !place.path().join("state/handover.sock").exists(),
        "it is tidied up"
    );
}

fn without_takeover_a_second_start_is_told_how() {
    let (fake, place) = (Fake::start(), tempfile::tempdir().unwrap());
    let edge = run(&fake.url(), place.path(), &json!({}));
    let said = fails(&edge, &[]);
    assert!(said.contains("start with --takeover"), "{said}");
    assert_eq!(edge.post_envelope(&[], &event(1)).status, 200);
}
