//! A request that is kept: what it carries, its head as it was to leave, its body. Owns
//! how that is written into one record of the log, and read back; never writes a file.
//!
//! A record's payload is, all numbers little endian:
//!
//! | bytes | what |
//! |---|---|
//! | 4 | length of the label |
//! | 4 | length of the head |
//! | | the label: JSON, [`Label`] |
//! | | the head: an HTTP/1.1 request's, from its request line to its empty line |
//! | | the body, unless it lies in a file of its own |

use bytes::{Buf as _, Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, Request, Uri};
use serde::{Deserialize, Serialize};

use crate::domain::category::{Categories, Category};
use crate::domain::coding::Coding;
use crate::domain::credentials::Key;
use crate::domain::endpoint::ProjectId;
use crate::policy::pair::Pair;
use crate::policy::replay::lane::Lane;
use crate::telemetry::ledger::Account;

use crate::server::delivery::tee::Copied;
use crate::server::ingest::chunks::total_bytes;

/// Items of one kind that a request carries, as they stand in the books.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Holding {
    /// Whose they are.
    pub account: Account,
    /// What they are.
    pub category: Category,
    /// How many.
    pub items: u64,
    /// Their bytes together.
    pub bytes: u64,
}

/// A request that is to be kept.
#[derive(Debug)]
pub(crate) struct Parcel {
    /// What it carries.
    pub holdings: Vec<Holding>,
    /// The mirror whose Sentry is to have it, by its name. `None`: the first.
    pub to: Option<Box<str>>,
    /// The project that it counts for.
    pub project: Option<ProjectId>,
    /// Its sender's key and its path's project: whose limits its answer will tell of.
    pub sender: Option<Pair>,
    /// Its sender's key is known to be real.
    pub proven: bool,
    /// The upstream may have taken it already.
    pub maybe_sent: bool,
    /// How its body is packed, if that is an envelope.
    pub envelope: Option<Coding>,
    /// Its head as bytes.
    pub head: Vec<u8>,
    /// Its body.
    pub body: Copied,
}

impl Parcel {
    /// What it is worth.
    pub(crate) fn lane(&self) -> Lane {
        lane(&self.holdings)
    }

    /// How many items it carries.
    pub(crate) fn items(&self) -> u64 {
        self.holdings.iter().map(|held| held.items).sum()
    }

    /// The length of its body.
    pub(in crate::server) fn body_bytes(&self) -> u64 {
        match &self.body {
            Copied::Chunks(chunks) => total_bytes(chunks),
            Copied::File(file) => file.file().1,
        }
    }

    /// What vouches for its body, if that goes into a file of its own, since it is more than
    /// a record takes. `None` of one that is shorter, too: its record vouches for it.
    pub(in crate::server) fn checksum(&self, inline_bytes_max: u32) -> Option<u32> {
        match &self.body {
            Copied::File(file) => file.checksum(),
            Copied::Chunks(chunks) => {
                let front = u64::try_from(self.head.len()).unwrap_or(u64::MAX);
                let all = total_bytes(chunks) + front.saturating_add(LABEL_BYTES_MOST);
                (all > u64::from(inline_bytes_max)).then(|| {
                    let mut hasher = crc32fast::Hasher::new();
                    chunks.iter().for_each(|chunk| hasher.update(chunk));
                    hasher.finalize()
                })
            }
        }
    }

    /// What it takes of memory.
    pub(in crate::server) fn memory_bytes(&self) -> u64 {
        let body = match &self.body {
            Copied::Chunks(chunks) => total_bytes(chunks),
            Copied::File(_) => 0,
        };
        body + u64::try_from(self.head.len()).unwrap_or(u64::MAX)
    }
}

/// What a label takes at most, as good as always: one that is longer may cost a body of the
/// very length that no longer fits its checksum.
const LABEL_BYTES_MOST: u64 = 4 << 10;

/// What a parcel is worth that holds this.
pub(crate) fn lane(holdings: &[Holding]) -> Lane {
    let all = holdings.iter().map(|held| held.category);
    Lane::of(all.fold(Categories::EMPTY, Categories::with))
}

/// What stands on a parcel. Keys that are not known are left alone: a later version may
/// have written them.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Label {
    /// Account, category, items, bytes.
    holds: Vec<(String, String, u64, u64)>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    unproven: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    maybe_sent: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    envelope: Option<String>,
    /// Key and path's project of its sender.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sender: Option<(String, Option<u64>)>,
    /// The mirror whose Sentry is to have it. An earlier version sends it to the first, which
    /// knows no such key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    to: Option<Box<str>>,
    /// The crc32 of a body that lies in a file of its own. Earlier versions wrote none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body_crc: Option<u32>,
}

/// Writes what comes before a parcel's body, for a log that takes payloads up to this length.
pub(crate) fn write(parcel: &Parcel, inline_bytes_max: u32) -> Bytes {
    write_with(parcel, parcel.checksum(inline_bytes_max))
}

/// The same, with what vouches for a body in a file of its own.
pub(crate) fn write_with(parcel: &Parcel, body_crc: Option<u32>) -> Bytes {
    let holds = parcel.holdings.iter().map(|held| {
        let category = held.category.name().to_owned();
        (held.account.label(), category, held.items, held.bytes)
    });
    let label = Label {
        holds: holds.collect(),
        unproven: !parcel.proven,
        maybe_sent: parcel.maybe_sent,
        envelope: parcel.envelope.map(|coding| coding.name().to_owned()),
        sender: parcel.sender.map(|pair| {
            let project = pair.project().map(ProjectId::get);
            (pair.key().as_str().to_owned(), project)
        }),
        to: parcel.to.clone(),
        body_crc,
    };
    // Strings and numbers are always JSON.
    let label = serde_json::to_vec(&label).unwrap_or_default();
    let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes();
    let mut front = BytesMut::with_capacity(8 + label.len() + parcel.head.len());
    front.extend_from_slice(&length(&label));
    front.extend_from_slice(&length(&parcel.head));
    front.extend_from_slice(&label);
    front.extend_from_slice(&parcel.head);
    front.freeze()
}

/// A parcel as it comes out of the log.
#[derive(Debug)]
pub(crate) struct Opened {
    /// What it carries.
    pub holdings: Vec<Holding>,
    /// The mirror whose Sentry is to have it.
    pub to: Option<Box<str>>,
    /// Its sender's key and its path's project.
    pub sender: Option<Pair>,
    /// Its sender's key was known to be real.
    pub proven: bool,
    /// The upstream may have taken it already.
    pub maybe_sent: bool,
    /// How its body is packed, if that is an envelope.
    pub envelope: Option<Coding>,
    /// Its head, without a word on its body's length.
    pub head: Box<Parts>,
    /// Its body, unless that lies in a file.
    pub body: Bytes,
    /// The crc32 of one that does, if it is known.
    pub body_crc: Option<u32>,
}

/// What stands before a body: label and head, and the body behind them.
fn apart(mut payload: Bytes) -> Option<(Label, Bytes, Bytes)> {
    let mut length = || Some(usize::try_from(payload.try_get_u32_le().ok()?).ok());
    let (label_bytes, head_bytes) = (length()??, length()??);
    if label_bytes.checked_add(head_bytes)? > payload.len() {
        return None;
    }
    let label: Label = serde_json::from_slice(&payload.split_to(label_bytes)).ok()?;
    let head = payload.split_to(head_bytes);
    Some((label, head, payload))
}

impl Label {
    fn holdings(&self) -> Vec<Holding> {
        let all = Category::ALL.iter();
        let holdings = self.holds.iter().filter_map(|held| {
            Some(Holding {
                account: account(&held.0)?,
                category: *all.clone().find(|known| known.name() == held.1)?,
                items: held.2,
                bytes: held.3,
            })
        });
        holdings.collect()
    }

    fn sender(&self) -> Option<Pair> {
        self.sender.as_ref().and_then(|told| pair(&told.0, told.1))
    }

    fn coding(&self) -> Option<Coding> {
        self.envelope.as_deref().and_then(Coding::of_name)
    }
}

/// Reads a record's payload. `None`: no parcel was written like this.
pub(crate) fn open(payload: Bytes) -> Option<Opened> {
    let (label, head, body) = apart(payload)?;
    Some(Opened {
        holdings: label.holdings(),
        sender: label.sender(),
        proven: !label.unproven,
        maybe_sent: label.maybe_sent,
        envelope: label.coding(),
        head: Box::new(read_head(&head)?),
        body,
        to: label.to,
        body_crc: label.body_crc,
    })
}

/// Reads what [`write()`] wrote, as a parcel without its body and of no project. `None`: no parcel
/// was written like this. Beside it, what vouches for a body in a file.
pub(crate) fn reopen(front: Bytes) -> Option<(Parcel, Option<u32>)> {
    let (label, head, _) = apart(front)?;
    read_head(&head)?;
    let parcel = Parcel {
        holdings: label.holdings(),
        project: None,
        sender: label.sender(),
        proven: !label.unproven,
        maybe_sent: label.maybe_sent,
        envelope: label.coding(),
        to: label.to,
        head: head.into(),
        body: Copied::Chunks(std::collections::VecDeque::new()),
    };
    Some((parcel, label.body_crc))
}

/// The account of a label.
pub(in crate::server) fn account(label: &str) -> Option<Account> {
    match label {
        "other" => Some(Account::Other),
        "unproven" => Some(Account::Unproven),
        number => ProjectId::parse(number.as_bytes()).map(Account::Project),
    }
}

fn pair(key: &str, project: Option<u64>) -> Option<Pair> {
    let project = match project {
        Some(number) => Some(ProjectId::parse(number.to_string().as_bytes())?),
        None => None,
    };
    Some(Pair::new(&Key::parse(key.as_bytes())?, project))
}

/// Reads a head that was written here.
pub(in crate::server) fn read_head(bytes: &[u8]) -> Option<Parts> {
    let text = bytes.strip_suffix(b"\r\n\r\n")?;
    let mut lines = Lines(text);
    let mut words = lines.next()?.split(|byte| *byte == b' ');
    let (method, target) = (words.next()?, words.next()?);
    let mut request = Request::new(());
    *request.method_mut() = Method::from_bytes(method).ok()?;
    *request.uri_mut() = Uri::try_from(target).ok()?;
    for line in lines {
        let colon = memchr::memchr(b':', line)?;
        let (name, value) = line.split_at_checked(colon)?;
        let name = HeaderName::from_bytes(name).ok()?;
        if name != CONTENT_LENGTH && name != TRANSFER_ENCODING {
            let value = HeaderValue::from_bytes(value.get(1..)?.trim_ascii()).ok()?;
            request.headers_mut().append(name, value);
        }
    }
    Some(request.into_parts().0)
}

/// What stands between line ends.
struct Lines<'h>(&'h [u8]);

impl<'h> Iterator for Lines<'h> {
    type Item = &'h [u8];

    fn next(&mut self) -> Option<&'h [u8]> {
        if self.0.is_empty() {
            return None;
        }
        let end = memchr::memmem::find(self.0, b"\r\n");
        let line = self.0.get(..end.unwrap_or(self.0.len()))?;
        self.0 = end
            .and_then(|end| self.0.get(end + 2..))
            .unwrap_or_default();
        Some(line)
    }
}

#[cfg(test)]
mod tests;
