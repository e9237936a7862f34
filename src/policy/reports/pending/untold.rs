//! What waits, as bytes, to outlive a restart. Owns the format: bytes in, sums out; never
//! opens a file and never trusts one.
//!
//! ```text
//! vidette-untold-reports 1 5d3c1e6f0a9b8c77              version, checksum of all below
//! {"key":"a94ae32be2584e0bbd7a4cbb95971fee","project":42,"vouched":true,"until":1790000000,"rows":[..]}
//! ```
//!
//! One line is one sender's hour. It names customers' keys: whoever writes it keeps it from
//! others' eyes.

use serde::{Deserialize, Serialize};

use super::{Pending, Row, Standing};
use crate::domain::category::Category;
use crate::domain::credentials::Key;
use crate::domain::endpoint::ProjectId;
use crate::domain::outcome::Reason;
use crate::policy::millis::Millis;
use crate::policy::pair::Pair;
use crate::policy::proven_file::checksum;
use crate::policy::reports::Dropped;

const TITLE: &[u8] = b"vidette-untold-reports ";
const VERSION: &[u8] = b"1";

/// More than the most sums that wait can take, with the longest names of limits in escapes.
pub const UNTOLD_BYTES_MAX: u64 = 32 << 20;

/// Why bytes are not what waited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UntoldError {
    /// Somebody else's file, or an empty one.
    #[error("not a file of untold reports")]
    Foreign,
    /// A newer vidette wrote it.
    #[error("a file of untold reports of another version; this one reads version 1")]
    Version,
    /// Cut short, or changed since it was written.
    #[error("the file of untold reports is damaged: its checksum does not match")]
    Damaged,
    /// Its writer was wrong, since the checksum is right, or knows more than this one.
    #[error("line {line} of the file of untold reports is not one sender's sums")]
    Line {
        /// Counted from 1.
        line: usize,
    },
}

/// One sender's sums of an hour.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    key: String,
    project: Option<u64>,
    vouched: bool,
    /// When the last was added, in seconds of Unix time.
    until: u64,
    rows: Vec<Sum>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sum {
    reason: String,
    limit: Option<String>,
    category: String,
    items: u64,
    bytes: u64,
}

impl Pending {
    /// All that waits, as bytes, at a moment on both clocks.
    #[must_use]
    pub fn encode(&self, now: Millis, now_unix_s: u64) -> Vec<u8> {
        let mut body = Vec::new();
        for (pair, sender) in &self.senders {
            for batch in sender.batches.values() {
                let ago_s = now.since(batch.until) / 1000;
                let line = Line {
                    key: pair.key().as_str().to_owned(),
                    project: pair.project().map(ProjectId::get),
                    vouched: sender.standing == Standing::Vouched,
                    until: now_unix_s.saturating_sub(ago_s),
                    rows: batch.rows.0.iter().map(Sum::of).collect(),
                };
                serde_json::to_writer(&mut body, &line).expect("memory takes what is written");
                body.push(b'\n');
            }
        }
        let sum = format!(" {:016x}\n", checksum(&body));
        [TITLE, VERSION, sum.as_bytes(), &body].concat()
    }

    /// Reads what [`encode`](Self::encode) wrote, at a moment on both clocks: each sum is as
    /// old as it was, and what has meanwhile grown too old goes with [`expire`](Self::expire).
    ///
    /// # Errors
    /// What is wrong with the bytes, without repeating any. Nothing of a damaged file is used:
    /// a key with a flipped bit would be somebody else's.
    pub fn decode(bytes: &[u8], now: Millis, now_unix_s: u64) -> Result<Self, UntoldError> {
        let rest = bytes.strip_prefix(TITLE).ok_or(UntoldError::Foreign)?;
        let (first, body) = split(rest, b'\n').ok_or(UntoldError::Damaged)?;
        let (version, sum) = split(first, b' ').ok_or(UntoldError::Damaged)?;
        if version != VERSION {
            return Err(UntoldError::Version);
        }
        if sum != format!("{:016x}", checksum(body)).as_bytes() {
            return Err(UntoldError::Damaged);
        }
        let mut pending = Self::default();
        for (nth, text) in body.split_inclusive(|byte| *byte == b'\n').enumerate() {
            let line = serde_json::from_slice(text).ok();
            line.and_then(|line| pending.take_up(line, now, now_unix_s))
                .ok_or(UntoldError::Line { line: nth + 2 })?;
        }
        Ok(pending)
    }

    /// `None`: the line says what is nothing here.
    fn take_up(&mut self, line: Line, now: Millis, now_unix_s: u64) -> Option<()> {
        let project = match line.project {
            Some(project) => Some(ProjectId::parse(project.to_string().as_bytes())?),
            None => None,
        };
        let pair = Pair::new(&Key::parse(line.key.as_bytes())?, project);
        let standing = match line.vouched {
            true => Standing::Vouched,
            false => Standing::Stranger,
        };
        let ago_ms = now_unix_s.saturating_sub(line.until).saturating_mul(1000);
        let at = Millis(now.0.saturating_sub(ago_ms));
        for row in &line.rows {
            self.add(at, pair, standing, row.dropped()?);
        }
        Some(())
    }
}

impl Sum {
    fn of(row: &Row) -> Self {
        Self {
            reason: row.reason.as_str().to_owned(),
            limit: row.limit.as_deref().map(str::to_owned),
            category: row.category.name().to_owned(),
            items: row.items,
            bytes: row.bytes,
        }
    }

    fn dropped(&self) -> Option<Dropped<'_>> {
        let mut reasons = Reason::ALL.iter();
        let mut categories = Category::ALL.iter();
        let dropped = Dropped {
            reason: *reasons.find(|reason| reason.as_str() == self.reason)?,
            limit: self.limit.as_deref(),
            category: *categories.find(|category| category.name() == self.category)?,
            items: self.items,
            bytes: self.bytes,
        };
        dropped.counts().then_some(dropped)
    }
}

/// What lies before the first such byte, and after it.
fn split(bytes: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let mut parts = bytes.splitn(2, |byte| *byte == at);
    parts.next().zip(parts.next())
}
