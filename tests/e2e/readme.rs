//! The README's commands, as they are printed, in a shell: a command that is not in the table
//! below is run, and has to work; one that is, is run elsewhere, and that place is looked at.

use std::fs;
use std::process::Command;

use libtest_mimic::Trial;
use serde_json::json;
use tempfile::TempDir;

use crate::command_line::ran;
use crate::edge::{Edge, configuration, program};
use crate::parts::{Part, checkout, promises};
use crate::send_test::sentry;
use crate::upstream::Fake;

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = promises![&[]; what_is_run_elsewhere_is_run_there];
    trials.extend(promises![&[Part::Curl]; every_command_of_the_readme_does_what_it_says]);
    trials
}

/// What a command of the README comes to here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// It is done, and exits 0.
    Works,
    /// It looks for problems: 1 says that it found some.
    Finds,
    /// It goes on until somebody ends it.
    Lasts,
    /// This file runs it, by this line.
    Elsewhere(&'static str, &'static str),
}

/// Commands by how they begin; the first that fits counts, and what is not here has to work.
const WAYS: [(&str, Way); 23] = [
    (
        "cargo run --release -- demo",
        Way::Elsewhere("tests/e2e/demo.rs", "\"demo\""),
    ),
    ("tests/run", Way::Elsewhere(".ci/run", "exec tests/run")),
    (
        "tests/soak",
        Way::Elsewhere("tests/run", "tests/soak --minutes"),
    ),
    (
        "tests/simulate",
        Way::Elsewhere("tests/run", "tests/simulate"),
    ),
    ("fuzz/run", Way::Elsewhere("tests/run", "fuzz/run 60")),
    (
        "cargo install",
        Way::Elsewhere("Dockerfile", "cargo build --release --locked"),
    ),
    (
        "vidette run --takeover",
        Way::Elsewhere("tests/e2e/edge.rs", "--takeover"),
    ),
    ("vidette run", Way::Lasts),
    (
        "kill -USR2",
        Way::Elsewhere("tests/e2e/takeover/inherited.rs", "Signal::USR2"),
    ),
    (
        "systemctl kill -s USR2",
        Way::Elsewhere(
            "config/debian/postinst",
            "systemctl kill -s USR2 --kill-whom=main",
        ),
    ),
    ("vidette explain", Way::Finds),
    ("vidette doctor", Way::Finds),
    ("vidette tail", Way::Lasts),
    ("curl -sN", Way::Lasts),
    (
        "cargo test --test e2e",
        Way::Elsewhere("tests/run", "--test e2e"),
    ),
    (
        "VIDETTE_PARTS_DIR=",
        Way::Elsewhere("tests/run", "--test e2e"),
    ),
    (
        "cargo bench --bench rig",
        Way::Elsewhere("tests/run", "cargo bench --locked --bench rig"),
    ),
    (
        "cargo bench --bench spool",
        Way::Elsewhere("benches/run", "--bench spool"),
    ),
    ("benches/run", Way::Elsewhere("benches/run", "--bench rig")),
    (
        "PATH=\"$(tests/parts/install | tail -n 1)/bin:$PATH\" benches/micro/policy",
        Way::Elsewhere("tests/run", "benches/micro/policy"),
    ),
    (
        "PATH=\"$(tests/parts/install | tail -n 1)/bin:$PATH\" benches/micro/gate",
        Way::Elsewhere("tests/run", "benches/micro/gate"),
    ),
    (
        "cargo test --test allocations",
        Way::Elsewhere("tests/run", "--test allocations"),
    ),
    (
        "config/debian/build",
        Way::Elsewhere("tests/package/check", "config/debian/build"),
    ),
];

fn way(command: &str) -> Way {
    let found = WAYS.iter().find(|(begins, _)| command.starts_with(begins));
    found.map_or(Way::Works, |(_, way)| *way)
}

/// What stands behind a prompt in the README.
fn commands() -> Vec<String> {
    let readme = fs::read_to_string(checkout("README.md")).unwrap();
    let blocks = readme.split("```console\n").skip(1);
    let lines = blocks.flat_map(|block| block.split("```").next().unwrap().lines());
    let commands: Vec<String> = lines
        .filter_map(|line| line.strip_prefix("$ "))
        .map(str::to_owned)
        .collect();
    assert!(commands.len() > 30, "{commands:?}");
    commands
}

fn what_is_run_elsewhere_is_run_there() {
    let commands = commands();
    for (begins, way) in WAYS {
        let printed = commands.iter().any(|command| command.starts_with(begins));
        assert!(printed, "the README no longer has `{begins}`");
        if let Way::Elsewhere(file, line) = way {
            let text = fs::read_to_string(checkout(file)).unwrap();
            assert!(text.contains(line), "{file} no longer has `{line}`");
        }
    }
}

/// A machine as the README has it: the program on the PATH, vidette.yml here and an edge on it,
/// Sentry's folder beside.
struct Machine {
    edge: Edge,
    folder: TempDir,
    path: String,
}

impl Machine {
    fn set_up(fake: &Fake) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let keeps = json!({"state": {"path": at("state")}, "spool": {"path": at("spool")}});
        let edge = Edge::configured(&fake.url(), &fake.url(), keeps);
        let bin = folder.path().join("bin");
        fs::create_dir(&bin).unwrap();
        std::os::unix::fs::symlink(program().get_program(), bin.join("vidette")).unwrap();
        let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
        let again = configuration(&fake.url(), &fake.url(), &json!({})).to_string();
        fs::write(folder.path().join("vidette.yml"), again).unwrap();
        let compose = folder.path().join("self-hosted");
        fs::create_dir(&compose).unwrap();
        fs::copy(
            checkout("tests/compose/26/docker-compose.yml"),
            compose.join("docker-compose.yml"),
        )
        .unwrap();
        Self { edge, folder, path }
    }

    /// Runs a line in a shell, with this edge in the place of those that the README names.
    fn run(&self, command: &str) -> crate::command_line::Ran {
        let (public, admin) = (self.edge.public.to_string(), self.edge.admin.to_string());
        let etc = self.folder.path().join("etc");
        fs::create_dir_all(&etc).unwrap();
        let here = command
            .replace("localhost:9001", &admin)
            .replace("/etc/vidette", etc.to_str().unwrap())
            .replace("@sentry.example.com", &format!("@{public}"))
            .replace("https://a94", "http://a94")
            .replace("sentry.example.com", &public);
        ran(Command::new("sh")
            .args(["-c", &here])
            .current_dir(self.folder.path())
            .env("PATH", &self.path)
            .env("VIDETTE_ADMIN", &admin))
    }
}

fn every_command_of_the_readme_does_what_it_says() {
    let fake = sentry(0);
    let machine = Machine::set_up(&fake);
    for command in commands() {
        let way = way(&command);
        let done = match way {
            Way::Elsewhere(..) => continue,
            // What has not ended by then goes on.
            Way::Lasts => machine.run(&format!("timeout --preserve-status -s INT 2 {command}")),
            Way::Works | Way::Finds => machine.run(&command),
        };
        let well = match (way, done.code) {
            (Way::Works, Some(0)) | (Way::Finds, Some(0 | 1)) => true,
            // Ended by us, or by itself in good order.
            (Way::Lasts, Some(0 | 130) | None) => true,
            _ => false,
        };
        assert!(
            well,
            "`{command}`: {:?}\n{}\n{}",
            done.code, done.stdout, done.stderr
        );
        assert!(
            !done.stderr.contains("panicked"),
            "`{command}`: {}",
            done.stderr
        );
    }
}
