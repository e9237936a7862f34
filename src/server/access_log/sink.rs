//! Where lines end up: standard output, or a file that never grows beyond its limit. Whole lines
//! or none: what was written in part is taken back, or ended. Finds out by itself when its file is
//! moved away, and tries again where it could not be opened.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::fs::OFlags;

use crate::config::checked::{AccessLog as Plan, AccessTarget};

/// Nothing is waited for when a file is opened, nor when a pipe has no room.
const AT_ONCE: i32 = OFlags::NONBLOCK.bits().cast_signed();

/// A file that cannot be opened is tried again after so long.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// How long to wait for room in a pipe that says it has none instead of waiting itself.
const FULL_FOR: Duration = Duration::from_millis(5);

/// For whoever reads logs by group, and for nobody else.
const MODE: u32 = 0o640;

/// Where lines go, and how.
#[derive(Debug)]
pub(super) struct Sink {
    plan: Plan,
    open: Option<Open>,
    /// When it was tried in vain to open it, and why that was.
    refused: Option<(Instant, String)>,
    /// Why the last lines were not written, if they were not.
    failed: Option<String>,
}

/// A place that can be written to.
#[derive(Debug)]
struct Open {
    to: File,
    /// A file with a name and a length: neither pipes nor devices can be moved or grow.
    regular: bool,
    /// The last line may lack its end.
    torn: bool,
}

impl Sink {
    /// Not open yet.
    pub(super) fn new(plan: &Plan) -> Self {
        Self {
            plan: plan.clone(),
            open: None,
            refused: None,
            failed: None,
        }
    }

    /// Goes by another plan. One without lines leaves everything open: some may still come.
    pub(super) fn follow(&mut self, plan: &Plan) {
        if plan.to != self.plan.to {
            self.reopen();
        }
        self.plan.clone_from(plan);
    }

    /// Opens anew what is written to next.
    pub(super) fn reopen(&mut self) {
        self.open = None;
        self.refused = None;
        self.failed = None;
    }

    /// Whether it can be written to, as far as that is known without a line; `None`: nobody
    /// wants to.
    pub(super) fn look(&mut self) -> Option<Result<(), String>> {
        let on = self.plan.is_on();
        on.then(|| match self.ready(0).map(|_| ()) {
            // A full disk lets every file be opened.
            Ok(()) => self.failed.clone().map_or(Ok(()), Err),
            Err(why) => Err(why),
        })
    }

    /// Writes whole lines.
    ///
    /// # Errors
    /// None of them is written, and why.
    pub(super) fn write(&mut self, lines: &[u8]) -> Result<(), String> {
        let coming = u64::try_from(lines.len()).unwrap_or(u64::MAX);
        let open = self.ready(coming)?;
        let before = length(&open.to);
        let written = match open.torn {
            true => all(&mut open.to, b"\n").and_then(|()| all(&mut open.to, lines)),
            false => all(&mut open.to, lines),
        };
        let Err(error) = written else {
            open.torn = false;
            self.failed = None;
            return Ok(());
        };
        // Nobody else appends to it.
        let taken_back = open.regular && before.is_ok_and(|bytes| open.to.set_len(bytes).is_ok());
        open.torn = open.torn || !taken_back;
        let place = self.place();
        if matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::NotFound) {
            self.open = None;
        }
        let why = format!("{place}: {error}");
        self.failed = Some(why.clone());
        Err(why)
    }

    fn place(&self) -> String {
        match &self.plan.to {
            AccessTarget::Stdout => "stdout".to_owned(),
            AccessTarget::File(path) => path.display().to_string(),
        }
    }

    /// What lines are written to, with room for so many bytes.
    fn ready(&mut self, coming: u64) -> Result<&mut Open, String> {
        let now = Instant::now();
        if let Some((at, why)) = &self.refused
            && now.saturating_duration_since(*at) < RETRY_AFTER
        {
            return Err(why.clone());
        }
        let before = self.open.take();
        match open_for(&self.plan, before, coming) {
            Ok(open) => {
                self.refused = None;
                Ok(self.open.insert(open))
            }
            Err(error) => {
                let why = format!("{}: {error}", self.place());
                self.refused = Some((now, why.clone()));
                Err(why)
            }
        }
    }
}

/// The same place if it is still there and has room; a new one else.
fn open_for(plan: &Plan, before: Option<Open>, coming: u64) -> io::Result<Open> {
    let AccessTarget::File(path) = &plan.to else {
        return before.map_or_else(stdout, Ok);
    };
    let open = match before {
        Some(open) if !open.regular || is_at(&open.to, path) => open,
        Some(_) | None => file(path)?,
    };
    if !open.regular {
        return Ok(open);
    }
    let bytes = length(&open.to)?;
    if bytes == 0 || bytes.saturating_add(coming) <= plan.max_bytes {
        return Ok(open);
    }
    drop(open);
    // Where it is a link, what it leads to is moved on, and the link stays.
    rotate(&fs::canonicalize(path)?, plan.files)?;
    file(path)
}

fn stdout() -> io::Result<Open> {
    // Not by way of std's own, which keeps back what it could not write.
    let to = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    Ok(Open {
        to,
        regular: false,
        torn: false,
    })
}

fn file(path: &Path) -> io::Result<Open> {
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(MODE);
    // A pipe that nobody reads fails at once, where it would wait for a reader for ever.
    let to = options.custom_flags(AT_ONCE).open(path)?;
    let regular = to.metadata()?.is_file();
    Ok(Open {
        torn: regular && ends_amid_line(path),
        to,
        regular,
    })
}

/// A crash may have cut the last line.
fn ends_amid_line(path: &Path) -> bool {
    let mut last = [0];
    let read = File::open(path).and_then(|mut file| {
        file.seek(SeekFrom::End(-1))?;
        file.read(&mut last)
    });
    // Where there is no last byte there is no line.
    read.is_ok_and(|bytes| bytes == 1) && last != *b"\n"
}

/// Whether a path still leads to this file.
fn is_at(file: &File, path: &Path) -> bool {
    let (Ok(own), Ok(there)) = (file.metadata(), fs::metadata(path)) else {
        return false;
    };
    (own.dev(), own.ino()) == (there.dev(), there.ino())
}

fn length(file: &File) -> io::Result<u64> {
    Ok(file.metadata()?.len())
}

/// Moves each file up by one; the last falls out.
fn rotate(path: &Path, files: u64) -> io::Result<()> {
    let numbered = |number: u64| {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{number}"));
        PathBuf::from(name)
    };
    if files == 0 {
        return fs::remove_file(path);
    }
    for number in (1..files).rev() {
        match fs::rename(numbered(number), numbered(number + 1)) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    fs::rename(path, numbered(1))
}

/// Writes all of it, however long that takes: only its own thread waits.
fn all(to: &mut File, bytes: &[u8]) -> io::Result<()> {
    let mut left = bytes;
    while !left.is_empty() {
        match to.write(left) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => left = left.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // Whoever shares the pipe has made it so.
            Err(error) if error.kind() == ErrorKind::WouldBlock => sleep(FULL_FOR),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
