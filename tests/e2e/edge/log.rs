//! What a process writes, line by line, as it writes it.

use std::io::{BufRead as _, BufReader};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Instant;

use crate::upstream::HANG;

/// What the processes under test write about themselves.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<(Mutex<Lines>, Condvar)>);

#[derive(Default)]
struct Lines {
    lines: Vec<String>,
    ended: bool,
}

impl Log {
    /// Follows a stream to its end on a thread of its own.
    pub(crate) fn follow(stream: impl std::io::Read + Send + 'static) -> Self {
        let log = Self::default();
        let writer = log.clone();
        thread::spawn(move || {
            for line in BufReader::new(stream).split(b'\n') {
                let Ok(line) = line else { break };
                writer.change(|log| log.lines.push(uncoloured(&line)));
            }
            writer.change(|log| log.ended = true);
        });
        log
    }

    fn change(&self, change: impl FnOnce(&mut Lines)) {
        change(&mut self.0.0.lock().unwrap());
        self.0.1.notify_all();
    }

    /// Everything so far.
    pub(crate) fn text(&self) -> String {
        self.0.0.lock().unwrap().lines.join("\n")
    }

    /// Waits for a line in which `look` finds what it looks for.
    #[track_caller]
    pub(crate) fn wait_for<T>(&self, what: &str, look: impl Fn(&str) -> Option<T>) -> T {
        let deadline = Instant::now() + HANG;
        let mut lines = self.0.0.lock().unwrap();
        loop {
            if let Some(found) = lines.lines.iter().find_map(|line| look(line)) {
                return found;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || lines.ended {
                let text = lines.lines.join("\n");
                // The log is still shown when the edge is dropped.
                drop(lines);
                panic!("no line with {what} in:\n{text}");
            }
            lines = self.0.1.wait_timeout(lines, left).unwrap().0;
        }
    }

    /// Waits for a line with `text` in it.
    #[track_caller]
    pub(crate) fn wait_for_text(&self, text: &str) {
        self.wait_for(text, |line| line.contains(text).then_some(()));
    }

    /// Everything, once the stream has ended.
    pub(crate) fn whole(&self) -> String {
        let lines = self.0.0.lock().unwrap();
        let (lines, _) = self
            .0
            .1
            .wait_timeout_while(lines, HANG, |lines| !lines.ended)
            .unwrap();
        lines.lines.join("\n")
    }
}

/// A line without the escapes that colour it.
fn uncoloured(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    let mut parts = text.split("\u{1b}[");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |plain, part| {
        plain + part.split_once('m').map_or(part, |(_, rest)| rest)
    })
}
