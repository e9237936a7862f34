//! Whether a file changed since somebody read it. Never reads one.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

/// How often files are looked at. A change counts once two looks in a row have seen
/// the same: a certificate and its key are written one after the other.
pub(crate) const LOOK_EVERY: Duration = Duration::from_secs(2);

/// What tells one content of a file from the next: its inode, its size and when it was
/// written. A link that is turned to another file, as Kubernetes does, is another inode.
pub(crate) type Stamp = Option<(u64, u64, i64, i64)>;

/// What a file's content is known by now; `None` where there is none to be seen.
pub(crate) fn stamp(path: &Path) -> Stamp {
    let found = fs::metadata(path).ok()?;
    let (at_s, at_ns) = (found.mtime(), found.mtime_nsec());
    Some((found.ino(), found.size(), at_s, at_ns))
}
