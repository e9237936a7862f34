//! An upgrade in place at a signal: SIGUSR2 has this process start the program anew, from the
//! path it was started by and with its own arguments, to take over from it. So the new process
//! is a child of the old one and stays in its service's group. Owns the child until it has
//! taken over or failed; a child that fails changes nothing.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::Builder;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// What the service manager has told this process alone.
const OWN: [&str; 4] = ["WATCHDOG_PID", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"];

const TAKE_OVER: &str = "--takeover";

/// Heeds SIGUSR2 from now on, which would end the process else.
pub(crate) fn upgrades() -> io::Result<Signal> {
    signal(SignalKind::user_defined2())
}

/// Starts a process to take over at each SIGUSR2, one at a time. `can`: somebody could.
pub(crate) async fn upgrade_on_signal(asked: io::Result<Signal>, can: bool) {
    let mut asked = match asked {
        Ok(asked) => asked,
        Err(error) => {
            tracing::warn!(%error, "SIGUSR2 cannot be caught; upgrade by starting with --takeover instead");
            return;
        }
    };
    let under_way = Arc::new(AtomicBool::new(false));
    while asked.recv().await.is_some() {
        if !can {
            tracing::error!(
                "SIGUSR2: no process can take over from this one, as the log said at its start"
            );
        } else if under_way.swap(true, Ordering::Relaxed) {
            tracing::warn!("SIGUSR2: a process is already starting to take over");
        } else if let Err(error) = start(&under_way) {
            under_way.store(false, Ordering::Relaxed);
            tracing::error!(%error, "SIGUSR2: no process can be started to take over; this one goes on");
        }
    }
}

fn start(under_way: &Arc<AtomicBool>) -> io::Result<()> {
    let mut arguments = env::args_os();
    let program = arguments.next().unwrap_or_else(|| "vidette".into());
    let mut command = Command::new(&program);
    command
        .args(arguments_to_take_over(arguments))
        .stdin(Stdio::null());
    for name in OWN {
        command.env_remove(name);
    }
    let mut child = command.spawn()?;
    tracing::info!(
        pid = child.id(),
        "SIGUSR2: a process is started to take over"
    );
    let under_way = Arc::clone(under_way);
    let waiting = move || {
        // One that took over outlives this process: nobody is there to hear of its end.
        match child.wait() {
            Ok(status) => tracing::error!(%status, "the process that was to take over has ended"),
            Err(error) => tracing::error!(%error, "the process that was to take over is not seen"),
        }
        under_way.store(false, Ordering::Relaxed);
    };
    Builder::new().name("upgrade".to_owned()).spawn(waiting)?;
    Ok(())
}

/// The same arguments, and that one more.
fn arguments_to_take_over(arguments: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut all: Vec<OsString> = arguments.collect();
    if !all.iter().any(|argument| argument == OsStr::new(TAKE_OVER)) {
        all.push(TAKE_OVER.into());
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(arguments: &[&str], want: &[&str]) {
        let all = arguments_to_take_over(arguments.iter().map(OsString::from));
        assert_eq!(all, want);
    }

    #[test]
    fn a_process_is_told_once_to_take_over() {
        let asked = ["run", "-c", "v.yml", "--takeover"];
        check(&["run", "-c", "v.yml"], &asked);
        check(&asked, &asked);
        check(&["run", "--takeover"], &["run", "--takeover"]);
    }
}
