//! What a process writes, line by line, as it writes it.

use std::io::{ErrorKind, Read};
use std::os::fd::AsFd;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

use crate::upstream::HANG;

/// How often it is read on, whether or not somebody asks: nobody waits long for room in a pipe.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// What the processes under test write about themselves.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<(Mutex<Lines>, Condvar)>);

#[derive(Default)]
struct Lines {
    /// `None` once it has ended.
    source: Option<Box<dyn Read + Send>>,
    /// A line whose end is to come.
    begun: Vec<u8>,
    lines: Vec<String>,
}

impl Lines {
    /// Reads all that was written so far, and says whether that was anything, or the end.
    fn catch_up(&mut self) -> bool {
        let mut chunk = [0; 16 * 1024];
        let mut news = false;
        while let Some(source) = &mut self.source {
            match source.read(&mut chunk) {
                Ok(n) if n > 0 => self.add(&chunk[..n]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Ok(_) | Err(_) => self.end(),
            }
            news = true;
        }
        news
    }

    fn add(&mut self, bytes: &[u8]) {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.begun.extend(part);
            if self.begun.pop_if(|last| *last == b'\n').is_some() {
                self.lines
                    .push(uncoloured(&std::mem::take(&mut self.begun)));
            }
        }
    }

    fn end(&mut self) {
        self.source = None;
        if !self.begun.is_empty() {
            self.add(b"\n");
        }
    }

    fn has_ended(&self) -> bool {
        self.source.is_none()
    }
}

impl Log {
    /// Follows a stream to its end.
    pub(crate) fn follow(stream: impl Read + AsFd + Send + 'static) -> Self {
        let flags = fcntl_getfl(&stream).unwrap();
        fcntl_setfl(&stream, flags | OFlags::NONBLOCK).unwrap();
        let log = Self::default();
        log.0.0.lock().unwrap().source = Some(Box::new(stream));
        let follower = log.clone();
        thread::spawn(move || {
            while !follower.look() {
                thread::sleep(LOOK_EVERY);
            }
        });
        log
    }

    /// Catches up, and says whether that is all.
    fn look(&self) -> bool {
        let mut lines = self.0.0.lock().unwrap();
        if lines.catch_up() {
            self.0.1.notify_all();
        }
        lines.has_ended()
    }

    /// Everything that was written before this was asked.
    pub(crate) fn text(&self) -> String {
        self.look();
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
            if left.is_zero() || lines.has_ended() {
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
            .wait_timeout_while(lines, HANG, |lines| !lines.has_ended())
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
