//! One command's manual page: what clap knows of it, and what a shell has to know beside that:
//! environment, files, exit status.

use clap::{Arg, Command};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use crate::config;

/// What the page is about, in its foot.
pub(super) const SOURCE: &str = concat!("vidette ", env!("CARGO_PKG_VERSION"));

/// The command's name with those before it, dashes between, as its page is called.
pub(super) fn name(command: &Command) -> &str {
    command
        .get_display_name()
        .unwrap_or_else(|| command.get_name())
}

/// The page.
pub(super) fn of(command: &Command) -> std::io::Result<String> {
    let man = Man::new(command.clone())
        // An empty one is left out, and what follows would stand in its place.
        .date(" ")
        .source(SOURCE)
        .manual("vidette");
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    let mut synopsis = Roff::default();
    super::synopsis::section(&mut synopsis, command);
    synopsis.to_writer(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    let mut roff = Roff::default();
    examples(&mut roff, command);
    entries(&mut roff, "ENVIRONMENT", &environment(command));
    entries(&mut roff, "FILES", &files(command));
    entries(&mut roff, "EXIT STATUS", &statuses(command));
    roff.to_writer(&mut page)?;
    Ok(String::from_utf8_lossy(&page).into_owned())
}

/// What the help ends with, line by line as it is: examples are lines of a shell.
fn examples(roff: &mut Roff, command: &Command) {
    let Some(after) = command.get_after_help() else {
        return;
    };
    roff.control("SH", ["EXAMPLES"]);
    roff.control("nf", []);
    let after = after.to_string();
    for line in after.lines().filter(|line| !line.starts_with("Example")) {
        roff.text([roman(line)]);
    }
    roff.control("fi", []);
}

fn entries(roff: &mut Roff, heading: &str, entries: &[(String, String)]) {
    if entries.is_empty() {
        return;
    }
    roff.control("SH", [heading]);
    for (name, said) in entries {
        roff.control("TP", []);
        roff.text([bold(name.as_str())]);
        roff.text([roman(said.as_str())]);
    }
}

fn owned(entries: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = entries.iter();
    owned
        .map(|(name, said)| ((*name).to_owned(), (*said).to_owned()))
        .collect()
}

fn takes(command: &Command, long: &str) -> bool {
    let mut arguments = command.get_arguments();
    arguments.any(|argument| argument.get_long() == Some(long))
}

fn environment(command: &Command) -> Vec<(String, String)> {
    let mut told: Vec<(String, String)> = command.get_arguments().filter_map(of_argument).collect();
    if takes(command, "config") {
        told.extend(owned(&[(
            "VIDETTE_CONFIG",
            "The configuration file, where --config names none.",
        )]));
    }
    if takes(command, "ca") {
        told.extend(owned(&[(
            "SSL_CERT_FILE, SSL_CERT_DIR",
            "The authorities that are believed, where --ca names none; else the system's.",
        )]));
    }
    match name(command) {
        "vidette-run" => {
            told.extend(owned(&OF_RUN));
            let keys = config::variables().into_iter();
            told.extend(keys.map(|(variable, key)| (variable, format!("Sets {key}."))));
        }
        "vidette-check" => told.extend(owned(&[(
            "VIDETTE_...",
            "Goes before the file, as in vidette-run(1), which lists all of them.",
        )])),
        "vidette-mute" | "vidette-unmute" | "vidette-limit" | "vidette-sample" => {
            told.extend(owned(&[("USER", "Who did it, for the list and the log.")]));
        }
        "vidette-doctor-compose" => told.extend(owned(&[(
            "any",
            "Goes before .env in the place of ${NAME}, as Compose has it.",
        )])),
        _ => {}
    }
    told
}

/// What `run` reads beside the configuration.
const OF_RUN: [(&str, &str); 4] = [
    (
        "SSL_CERT_FILE, SSL_CERT_DIR",
        "The authorities that upstreams are judged by, where upstream.tls.ca names none.",
    ),
    (
        "NOTIFY_SOCKET, WATCHDOG_USEC",
        "Where systemd is told that the edge is ready and lives.",
    ),
    (
        "LISTEN_FDS, LISTEN_FDNAMES, LISTEN_PID",
        "Sockets that systemd hands over.",
    ),
    (
        "TMPDIR",
        "Where bodies are read ahead to, where upstream.web_read_ahead.path names no place.",
    ),
];

fn of_argument(argument: &Arg) -> Option<(String, String)> {
    let variable = argument.get_env()?.to_str()?.to_owned();
    let long = argument.get_long()?;
    Some((
        variable,
        format!("What --{long} says, where that is not given."),
    ))
}

fn files(command: &Command) -> Vec<(String, String)> {
    if !takes(command, "config") {
        return Vec::new();
    }
    let mut told = owned(&[(
        "./vidette.yml, /etc/vidette/vidette.yml",
        "The configuration, the first that is there, where none is named.",
    )]);
    if name(command) == "vidette-run" {
        told.extend(owned(&[
            (
                "/var/lib/vidette",
                "What was learned and counted, over a restart (state.path).",
            ),
            (
                "/var/lib/vidette/spool",
                "Events that Sentry has not taken yet (spool.path).",
            ),
            (
                "/var/lib/vidette/acme",
                "Certificates that the edge got by itself (acme.path).",
            ),
            (
                "/var/www/js-sdk",
                "The browser SDK, served under /js-sdk/ (static).",
            ),
        ]));
    }
    told
}

fn statuses(command: &Command) -> Vec<(String, String)> {
    let problem = match name(command) {
        "vidette" => "A problem was found, or it could not be done.",
        "vidette-run" => {
            "It cannot run: the configuration is wrong, an address or a folder is taken."
        }
        "vidette-check" => "The configuration cannot be run.",
        "vidette-status" => "The light is red, or nobody answers.",
        "vidette-healthcheck" => "The edge is not ready, or nobody answers.",
        "vidette-explain" => "The request would be refused.",
        "vidette-send-test" => "The event did not arrive, as far as can be seen.",
        doctor if doctor.starts_with("vidette-doctor") => "A problem was found.",
        _ => "It could not be done; standard error says why.",
    };
    owned(&[
        ("0", "All is well."),
        ("1", problem),
        ("2", "The command line makes no sense."),
    ])
}
