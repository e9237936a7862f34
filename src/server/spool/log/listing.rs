//! The files of a log's directory, by what their names say. Opens none of them.

use std::collections::HashSet;
use std::io;

use super::disk::{Disk, forgive};
use super::names::{Name, SegmentId};

/// The files of a directory.
#[derive(Debug, Default)]
pub(super) struct Listing {
    pub segments: Vec<SegmentId>,
    pub acks: Vec<SegmentId>,
    /// What is kept for its damage.
    pub damaged: Vec<Name>,
    /// Bodies that no record is known to refer to.
    pub bodies: HashSet<u64>,
    pub temporary: Vec<String>,
    /// The highest number that a name takes up.
    pub number_max: u32,
}

impl Listing {
    /// What a disk lists.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn of<D: Disk>(disk: &D) -> io::Result<Self> {
        let mut listing = Self::default();
        for file in disk.list()? {
            let Some(name) = Name::parse(&file) else {
                continue;
            };
            listing.number_max = listing.number_max.max(name.number());
            match name {
                Name::Segment(id) => listing.segments.push(id),
                Name::Acks(id) => listing.acks.push(id),
                Name::Damaged(_) | Name::DamagedBody(_) => listing.damaged.push(name),
                Name::Temporary => listing.temporary.push(file),
                Name::Body(number) => {
                    listing.bodies.insert(number);
                }
            }
        }
        listing.segments.sort_unstable();
        Ok(listing)
    }

    /// Gives a body that is not as it was written the name of one that is put aside, if it
    /// is there at all.
    pub(super) fn put_aside<D: Disk>(&mut self, disk: &D, number: u64) {
        if !self.bodies.remove(&number) {
            return;
        }
        let aside = Name::DamagedBody(number);
        let renamed = disk.rename(&Name::Body(number).to_string(), &aside.to_string());
        if forgive(renamed, "a damaged body stays until the next start") {
            self.damaged.push(aside);
        }
    }
}
