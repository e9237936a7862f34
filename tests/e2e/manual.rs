//! What the commands say of themselves: help, manual pages and completions.

use std::fs;
use std::process::Command;

use libtest_mimic::Trial;
use serde_json::Value;

use crate::command_line::ran;
use crate::edge::program;
use crate::parts::{Part, promises};

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = promises![&[];
        every_help_fits_a_screen_and_has_an_example,
        every_command_has_a_page_that_says_what_a_shell_must_know,
        every_key_of_the_configuration_stands_in_its_page,
        shells_take_the_completions,
    ];
    trials.extend(promises![&[Part::Groff]; pages_are_set_without_a_warning]);
    trials
}

/// The pages of every command and subcommand, as `man --dir` names them.
fn pages() -> Vec<(String, String)> {
    let mut pages = all_pages();
    pages.retain(|(name, _)| name.ends_with(".1"));
    pages
}

fn all_pages() -> Vec<(String, String)> {
    let folder = tempfile::tempdir().unwrap();
    let written = ran(program().args(["man", "--dir"]).arg(folder.path()));
    assert_eq!(written.code, Some(0), "{}", written.stderr);
    let mut sections: Vec<_> = fs::read_dir(folder.path())
        .unwrap()
        .map(|section| section.unwrap().path())
        .collect();
    sections.sort();
    assert_eq!(
        sections,
        ["man1", "man5"].map(|name| folder.path().join(name))
    );
    let files = sections.iter().flat_map(|one| fs::read_dir(one).unwrap());
    let mut pages: Vec<(String, String)> = files
        .map(|file| {
            let file = file.unwrap();
            let name = file.file_name().into_string().unwrap();
            // A page lies where `man` looks for its section.
            let (_, section) = name.rsplit_once('.').unwrap();
            let above = file.path().parent().unwrap().to_owned();
            assert!(above.ends_with(format!("man{section}")), "{name}");
            (name, fs::read_to_string(file.path()).unwrap())
        })
        .collect();
    pages.sort();
    // Once more into the same folder: an upgrade.
    let again = ran(program().args(["man", "--dir"]).arg(folder.path()));
    assert_eq!(again.code, Some(0), "{}", again.stderr);
    pages
}

/// A terminal that most people have at least.
const SCREEN_COLUMNS: usize = 80;
const SCREEN_LINES: usize = 50;

/// The words of a command, as its page's synopsis has them in bold.
fn words_of(page: &str) -> Vec<String> {
    let (_, synopsis) = page.split_once(".SH SYNOPSIS\n").unwrap();
    let (_, bold) = synopsis.split_once("\\fB").unwrap();
    let (bold, _) = bold.split_once("\\fR").unwrap();
    let name = bold.replace("\\-", "-");
    name.split(' ').skip(1).map(str::to_owned).collect()
}

fn every_help_fits_a_screen_and_has_an_example() {
    let pages = pages();
    assert!(pages.len() > 30, "{}", pages.len());
    for (name, page) in &pages {
        let words = words_of(page);
        let help = ran(program()
            .args(&words)
            .arg("--help")
            .env("COLUMNS", SCREEN_COLUMNS.to_string()));
        assert_eq!(help.code, Some(0), "{name}: {}", help.stderr);
        let lines = help.stdout.lines().count();
        assert!(
            lines <= SCREEN_LINES,
            "{name}: {lines} lines\n{}",
            help.stdout
        );
        let (_, examples) = help.stdout.split_once("Example").unwrap_or_default();
        let command = format!("vidette {}", words.join(" "));
        let shown = examples.contains(command.trim());
        assert!(shown, "{name} has no example:\n{}", help.stdout);
    }
}

fn every_command_has_a_page_that_says_what_a_shell_must_know() {
    let pages = pages();
    for (name, page) in &pages {
        for part in ["NAME", "SYNOPSIS", "EXAMPLES", "EXIT STATUS"] {
            let heading = page.lines().any(|line| {
                line.strip_prefix(".SH ")
                    .map(|heading| heading.trim_matches('"'))
                    == Some(part)
            });
            assert!(heading, "{name} has no {part}");
        }
        // What asks a running edge takes its token too.
        let asks = page.contains("\\fB\\-\\-token\\fR");
        assert_eq!(page.contains("VIDETTE_ADMIN\\fR"), asks, "{name}");
    }
    let page = |name: &str| {
        let found = pages.iter().find(|(known, _)| known == name);
        found.map_or_else(|| panic!("no {name}"), |(_, page)| page.replace("\\-", "-"))
    };
    let run = page("vidette-run.1");
    for part in [
        "VIDETTE_CONFIG",
        "VIDETTE_UPSTREAM_INGEST",
        "\\fBVIDETTE_DEFAULTS_SAMPLE_TRANSACTION\\fR\nSets defaults.sample.transaction.\n",
        "\\fBVIDETTE_ACME_CA\\fR\nSets acme.ca.\n",
        "SSL_CERT_FILE",
        "/etc/vidette/vidette.yml",
        "/var/lib/vidette/spool",
    ] {
        assert!(run.contains(part), "no {part} in vidette-run.1");
    }
    assert!(page("vidette-doctor-upload.1").contains("SENTRY_AUTH_TOKEN"));
    let main = ran(program().arg("man"));
    assert_eq!(main.code, Some(0));
    assert!(main.stdout.contains(".TH vidette 1"), "{}", main.stdout);
}

fn every_key_of_the_configuration_stands_in_its_page() {
    let pages = all_pages();
    let (_, page) = pages
        .iter()
        .find(|(name, _)| name == "vidette.yml.5")
        .unwrap();
    let page = page.replace("\\-", "-");
    let printed = ran(program().arg("schema"));
    let schema: Value = serde_json::from_str(&printed.stdout).unwrap();
    let sections = schema["properties"].as_object().unwrap();
    assert!(sections.len() > 20, "{}", sections.len());
    for section in sections.keys() {
        let told = |line: &str| {
            let key = line.strip_prefix(".SS ").map(|key| key.trim_matches('"'));
            key.is_some_and(|key| key == section || key.starts_with(&format!("{section}.")))
        };
        assert!(page.lines().any(told), "{section} is told of");
    }
    for part in [
        "VIDETTE_WORKERS",
        "Default: ",
        "An empty variable counts as not set",
    ] {
        assert!(page.contains(part), "no {part}");
    }
}

fn pages_are_set_without_a_warning() {
    for (name, page) in all_pages() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(&name);
        fs::write(&file, page).unwrap();
        let set = ran(Command::new("groff")
            .args(["-man", "-Tutf8", "-ww", "-rLL=80n", "-P-cbou"])
            .arg(file));
        assert_eq!((set.code, &*set.stderr), (Some(0), ""), "{name}");
        let last = match name.ends_with(".1") {
            true => "EXIT STATUS",
            false => "SEE ALSO",
        };
        assert!(set.stdout.contains(last), "{name}: {}", set.stdout);
    }
}

fn shells_take_the_completions() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("vidette.bash");
    let printed = ran(program().args(["completions", "bash"]));
    assert_eq!(printed.code, Some(0));
    fs::write(&script, printed.stdout).unwrap();
    let asked = "source \"$1\"; COMP_WORDS=(vidette main); COMP_CWORD=1; \
                 _vidette vidette main vidette; echo \"${COMPREPLY[@]}\"";
    let completed = ran(Command::new("bash")
        .args(["-c", asked, "bash"])
        .arg(&script));
    assert_eq!(
        completed.stdout.trim(),
        "maintenance",
        "{}",
        completed.stderr
    );
    for shell in ["zsh", "fish"] {
        let printed = ran(program().args(["completions", shell]));
        assert!(printed.stdout.contains("send-test"), "{shell}");
    }
    assert_eq!(ran(program().args(["completions", "rc"])).code, Some(2));
}
