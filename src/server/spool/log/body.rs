//! Large bodies in files of their own: synced and named before the record that
//! refers to them is written, gone after it is done with. What vouches for their bytes is
//! their owner's to keep, in the payload: it saw them come. Here a file of another length
//! than its record says counts as damaged.

use std::io;

use super::disk::{Disk, forgive, write_zeros};
use super::frame::BodyRef;
use super::names::Name;

/// The bodies of one log.
#[derive(Debug)]
pub(super) struct Bodies {
    /// The name of the next: its upper half is a segment's number not used before
    /// this start, so that no record left over can mean another's body.
    pub next: u64,
    /// Bytes of those that are there.
    pub bytes: u64,
}

impl Bodies {
    /// Names a file that was filled; [`Disk::sync_dir`] has yet to make the name last.
    pub(super) fn keep<D: Disk>(&mut self, disk: &D, file: D::File) -> io::Result<BodyRef> {
        disk.sync_data(&file)?;
        let body = BodyRef {
            number: self.next,
            bytes: disk.len(&file)?,
        };
        // A name that was tried is spent, whatever came of it.
        self.next = self.next.saturating_add(1);
        disk.link(file, &Name::Body(body.number).to_string())?;
        self.bytes = self.bytes.saturating_add(body.bytes);
        Ok(body)
    }

    /// Gives a body that is not as it was written the name of one that is put aside.
    pub(super) fn put_aside<D: Disk>(&mut self, disk: &D, body: BodyRef, aside: Name) -> bool {
        let name = Name::Body(body.number).to_string();
        let renamed = match disk.rename(&name, &aside.to_string()) {
            // Nothing is left of it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            renamed => forgive(renamed, "a damaged body stays until the next start"),
        };
        self.bytes = self.bytes.saturating_sub(body.bytes);
        renamed
    }

    /// Takes a body's name away. One that stays is removed by the next start.
    pub(super) fn remove<D: Disk>(&mut self, disk: &D, body: BodyRef) {
        let unlinked = disk.unlink(&Name::Body(body.number).to_string());
        if forgive(unlinked, "a large body that is done with stays") {
            self.bytes = self.bytes.saturating_sub(body.bytes);
        }
    }
}

/// A body's file, if it is there at its full length.
pub(super) fn open<D: Disk>(disk: &D, body: BodyRef) -> io::Result<Option<D::File>> {
    match disk.open(&Name::Body(body.number).to_string()) {
        Ok(file) => Ok((disk.len(&file)? == body.bytes).then_some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Overwrites a body with zeros, from one of its bytes on and at most so many, on disk.
/// Yields how far it is overwritten now; one that is gone, to its end.
pub(super) fn wipe<D: Disk>(disk: &D, body: BodyRef, from: u64, bytes_max: u64) -> io::Result<u64> {
    let Some(file) = open(disk, body)? else {
        return Ok(body.bytes);
    };
    let bytes = body.bytes.saturating_sub(from).min(bytes_max);
    write_zeros(disk, &file, from, bytes)?;
    disk.sync_data(&file)?;
    Ok(from + bytes)
}
