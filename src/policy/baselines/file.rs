//! Baselines as bytes, to outlive a restart. Owns the format: bytes in, values out; never opens
//! a file and never trusts one.
//!
//! ```text
//! vidette-baselines 1 5d3c1e6f0a9b8c77             version, checksum of all below
//! {"minute":29833333,"project":42,"last_item":29833331,"watched":[..],"busy":[..],"kinds":[..]}
//! ```
//!
//! One line is one project; the numbers of each list are hours, the oldest first, and the last
//! is the hour of the minute.

use serde::{Deserialize, Serialize};

use super::project::{Kind, Project};
use super::week::{HOURS, Week};
use super::{Baselines, HOUR_MINUTES, PROJECTS_MAX};
use crate::domain::category::Category;
use crate::domain::endpoint::ProjectId;
use crate::policy::proven_file::checksum;

const TITLE: &[u8] = b"vidette-baselines ";
const VERSION: &[u8] = b"1";

/// A line's names and numbers beside its lists.
const LINE_BYTES_MAX: usize = 1024;
/// An hour of a list, with its comma: counts have ten digits at most.
const HOUR_BYTES_MAX: usize = 11;

/// Why bytes are no baselines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BaselinesFileError {
    /// Somebody else's file, or an empty one.
    #[error("not a file of baselines")]
    Foreign,
    /// A newer vidette wrote it.
    #[error("a file of baselines of another version; this one reads version 1")]
    Version,
    /// Cut short, or changed since it was written.
    #[error("the file of baselines is damaged: its checksum does not match")]
    Damaged,
    /// Its writer was wrong, since the checksum is right, or knows more than this one.
    #[error("line {line} of the file of baselines is not one project's")]
    Line {
        /// Counted from 1.
        line: usize,
    },
}

/// One project.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    /// The last that was looked at.
    minute: u64,
    project: u64,
    last_item: u64,
    missed: u64,
    silent_since: Option<u64>,
    held_until: u64,
    watched: Vec<u8>,
    busy: Vec<u8>,
    kinds: Vec<KindLine>,
}

/// One category of it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KindLine {
    category: String,
    since: u64,
    counts: Vec<u32>,
}

/// The longest file that so many projects make, a few categories each: reading more than this is
/// a waste.
#[must_use]
pub const fn bytes_max() -> usize {
    const LISTS: usize = 8;
    PROJECTS_MAX * (LINE_BYTES_MAX + LISTS * HOURS * HOUR_BYTES_MAX)
}

/// Writes all that is known.
///
/// # Panics
/// Never: memory takes what is written.
#[must_use]
pub fn encode(baselines: &Baselines) -> Vec<u8> {
    let hour = baselines.minute / HOUR_MINUTES;
    let mut body = Vec::new();
    for (id, project) in &baselines.projects {
        let kinds = project.kinds.iter();
        let line = Line {
            minute: baselines.minute,
            project: id.get(),
            last_item: project.last_item,
            missed: project.missed,
            silent_since: project.silent_since,
            held_until: project.held_until,
            watched: project.watched.until(hour).collect(),
            busy: project.busy.until(hour).collect(),
            kinds: kinds
                .map(|kind| KindLine {
                    category: kind.category.name().to_owned(),
                    since: kind.since,
                    counts: kind.counts.until(hour).collect(),
                })
                .collect(),
        };
        serde_json::to_writer(&mut body, &line).expect("memory takes what is written");
        body.push(b'\n');
    }
    let sum = format!(" {:016x}\n", checksum(&body));
    [TITLE, VERSION, sum.as_bytes(), &body].concat()
}

/// Reads what [`encode`] wrote. Of more than [`PROJECTS_MAX`] projects the rest goes without.
///
/// # Errors
/// What is wrong with the bytes, without repeating any. Nothing of a damaged file is used.
pub fn decode(bytes: &[u8]) -> Result<Baselines, BaselinesFileError> {
    let rest = bytes
        .strip_prefix(TITLE)
        .ok_or(BaselinesFileError::Foreign)?;
    let mut parts = rest.splitn(2, |byte| *byte == b'\n');
    let (first, body) = parts
        .next()
        .zip(parts.next())
        .ok_or(BaselinesFileError::Damaged)?;
    let sum = match first.strip_prefix(VERSION) {
        Some(sum) => sum.strip_prefix(b" ").ok_or(BaselinesFileError::Version)?,
        None => return Err(BaselinesFileError::Version),
    };
    if sum != format!("{:016x}", checksum(body)).as_bytes() {
        return Err(BaselinesFileError::Damaged);
    }
    let mut baselines = Baselines::default();
    let lines = body.split_inclusive(|byte| *byte == b'\n');
    for (nth, text) in lines.take(PROJECTS_MAX).enumerate() {
        let line = serde_json::from_slice(text).ok();
        line.and_then(|line| baselines.take_up(line))
            .ok_or(BaselinesFileError::Line { line: nth + 2 })?;
    }
    Ok(baselines)
}

impl Baselines {
    /// `None`: the line says what is nothing here.
    fn take_up(&mut self, line: Line) -> Option<()> {
        let id = ProjectId::parse(line.project.to_string().as_bytes())?;
        let hour = line.minute / HOUR_MINUTES;
        if !self.projects.is_empty() && self.minute != line.minute {
            return None;
        }
        let kinds = line.kinds.into_iter().map(|kind| {
            let mut categories = Category::ALL.iter();
            let category = categories.find(|category| category.name() == kind.category)?;
            let counts = Week::of(hour, kind.counts.into_iter())?;
            Some(Kind::new(*category, kind.since, counts))
        });
        let project = Project {
            watched: Week::of(hour, line.watched.into_iter())?,
            busy: Week::of(hour, line.busy.into_iter())?,
            kinds: kinds.collect::<Option<_>>()?,
            last_item: line.last_item,
            missed: line.missed,
            silent_since: line.silent_since,
            held_until: line.held_until,
        };
        self.minute = line.minute;
        self.projects.insert(id, project).is_none().then_some(())
    }
}
