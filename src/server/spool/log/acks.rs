//! What of a segment is done with: a bitmap in memory, and a side file that is
//! written now and then and synced only before the body of an acked record goes.
//! An ack that a crash forgets is a duplicate, never a loss; one that nobody made
//! is never believed.

use std::io::{self, IoSlice};

use bytes::{Buf as _, BufMut as _};

use super::disk::{Disk, read_full, write_all};
use super::frame::{BodyRef, size};
use super::names::{Name, SegmentId};

/// An offset and what vouches for it.
const ACK_BYTES: usize = 8;

/// Bytes read at once from a side file.
const READ_BYTES: usize = 64 * 1024;

/// A side file tells each record once, but for what torn writes left in it: so many
/// times its records are read, and a few more for a small segment.
const TORN_FACTOR: usize = 4;
const ACKS_MIN: usize = 1024;

/// In which way a segment is done with a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ack {
    /// Nobody needs it any more, nor any copy of it.
    Done,
    /// It goes on in another segment: this says nothing of the copy there.
    Elsewhere,
}

/// How far the acks of one segment are, and how far they are written.
#[derive(Debug, Default)]
pub(super) struct Acks {
    bits: Vec<u64>,
    /// Set bits.
    pub count: usize,
    /// Offsets that the side file has yet to tell.
    pending: Vec<(u32, Ack)>,
    /// Bytes of the side file that are good.
    pub file_bytes: u64,
    /// Whether there may be a side file, be it one that could not be written whole.
    pub has_file: bool,
    /// Bodies of acked records: their files go once the ack is on disk, since a
    /// reference without its file would look like a loss.
    doomed: Vec<BodyRef>,
}

/// The vouched-for form of an ack.
fn encode(id: SegmentId, offset: u32, how: Ack) -> [u8; ACK_BYTES] {
    let mut vouched = id.hasher();
    vouched.update(&offset.to_le_bytes());
    vouched.update(match how {
        Ack::Done => &[0],
        Ack::Elsewhere => &[1],
    });
    let mut ack = [0; ACK_BYTES];
    let mut out = ack.as_mut_slice();
    out.put_u32_le(offset);
    out.put_u32_le(vouched.finalize());
    ack
}

impl Acks {
    /// Whether the record of that index is done with.
    pub(super) fn has(&self, index: usize) -> bool {
        let word = self.bits.get(index / 64).copied().unwrap_or_default();
        word >> (index % 64) & 1 == 1
    }

    /// Marks a record in memory alone; false if it was.
    pub(super) fn mark(&mut self, index: usize) -> bool {
        if self.has(index) {
            return false;
        }
        if self.bits.len() <= index / 64 {
            self.bits.resize(index / 64 + 1, 0);
        }
        if let Some(word) = self.bits.get_mut(index / 64) {
            *word |= 1 << (index % 64);
        }
        self.count += 1;
        true
    }

    /// Marks a record, to be written; false if it was marked before.
    pub(super) fn set(&mut self, index: usize, offset: u32, how: Ack) -> bool {
        let new = self.mark(index);
        if new {
            self.pending.push((offset, how));
        }
        new
    }

    /// Leaves what goes on elsewhere unwritten: the copy there may not be on disk.
    pub(super) fn keep_elsewhere_unsaid(&mut self) {
        self.pending.retain(|(_, how)| *how == Ack::Done);
    }

    /// Whether the side file has anything to be told.
    pub(super) fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Lets a body go once the acks are on disk.
    pub(super) fn doom(&mut self, body: BodyRef) {
        self.doomed.push(body);
    }

    /// Whether bodies wait to be let go.
    pub(super) fn has_doomed(&self) -> bool {
        !self.doomed.is_empty()
    }

    /// The bodies that may go now.
    pub(super) fn take_doomed(&mut self) -> Vec<BodyRef> {
        std::mem::take(&mut self.doomed)
    }

    /// Writes what is pending, and has it on disk if that is `durable`. What fails
    /// stays pending.
    pub(super) fn write<D: Disk>(
        &mut self,
        disk: &D,
        id: SegmentId,
        durable: bool,
    ) -> io::Result<()> {
        if self.pending.is_empty() && !durable {
            return Ok(());
        }
        let name = Name::Acks(id).to_string();
        let file = match disk.open(&name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => disk.create(&name)?,
            file => file?,
        };
        self.has_file = true;
        let acks: Vec<u8> = self
            .pending
            .iter()
            .flat_map(|(offset, how)| encode(id, *offset, *how))
            .collect();
        write_all(disk, &file, &mut [IoSlice::new(&acks)], self.file_bytes)?;
        if durable {
            disk.sync_data(&file)?;
        }
        self.file_bytes += size(acks.len());
        self.pending.clear();
        Ok(())
    }
}

/// Reads a side file: calls back for each ack that holds, and says how long the
/// file is in whole acks. What is longer than torn writes make it is not read.
pub(super) fn load<D: Disk>(
    disk: &D,
    id: SegmentId,
    records: usize,
    mut each: impl FnMut(u32, Ack),
) -> io::Result<u64> {
    let file = match disk.open(&Name::Acks(id).to_string()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        file => file?,
    };
    let acks_max = records.saturating_mul(TORN_FACTOR).saturating_add(ACKS_MIN);
    let bytes_max = size(acks_max.saturating_mul(ACK_BYTES));
    let mut piece = vec![0; READ_BYTES];
    let mut at = 0;
    while at < bytes_max {
        let read = read_full(disk, &file, &mut piece, at)?;
        let whole = piece.get(..read).unwrap_or_default();
        let (acks, _) = whole.as_chunks::<ACK_BYTES>();
        for ack in acks {
            let offset = ack.as_slice().get_u32_le();
            for how in [Ack::Done, Ack::Elsewhere] {
                if *ack == encode(id, offset, how) {
                    each(offset, how);
                }
            }
        }
        at += size(acks.len() * ACK_BYTES);
        if read < piece.len() {
            break;
        }
    }
    Ok(at)
}
