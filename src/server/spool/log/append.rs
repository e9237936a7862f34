//! Appending: bodies first, then one vectored write and one sync for all records
//! that a segment takes. A file whose write or sync failed is given up for good:
//! after a failed sync nothing that a later one says can be trusted.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io::{self, IoSlice};

use super::disk::{Disk, forgive, write_all, write_zeros};
use super::frame::{BodyRef, Frame};
use super::names::{Name, SegmentId};
use super::segment::{
    Footer, Framed, HEADER_LEN, Header, Newest, Segment, VERSION, fitting, room_for, write_frames,
};
use super::{AppendError, Draft, Log, LogLimits, Place};

impl<D: Disk> Log<D> {
    /// Keeps records; `Ok` means on disk. Yields one answer for each, in their order.
    ///
    /// When writing fails, a new segment is begun and what failed is tried once more
    /// there. What was refused may all the same be found by a restart: give its order
    /// to nothing else.
    pub fn append(&mut self, batch: &mut [Draft<'_, D::File>]) -> Vec<Result<Place, AppendError>> {
        self.flush_acks();
        let mut bodies = self.keep_bodies(batch).into_iter();
        let mut framed = Vec::with_capacity(batch.len());
        let mut refused = Vec::with_capacity(batch.len());
        for draft in batch.iter() {
            let body = bodies.next().unwrap_or(Ok(None));
            let frame = body.and_then(|body| {
                Frame::of(draft.head, draft.payload, body)
                    .filter(|frame| frame.payload_bytes <= self.limits.inline_bytes_max)
                    .ok_or(AppendError::TooLarge)
            });
            refused.push(frame.err());
            framed.extend(frame.ok().map(|frame| Framed {
                frame,
                payload: draft.payload,
            }));
        }
        let written = self.write(&framed);
        for (one, written) in framed.iter().zip(&written) {
            let bytes = one.frame.bytes();
            let project = one.frame.head.project.unwrap_or_default();
            match (written, one.frame.body) {
                (Ok(_), _) => self.books.add(project, bytes),
                // Nothing was accepted that refers to it.
                (Err(_), Some(body)) => self.bodies.remove(&self.disk, body),
                (Err(_), None) => {}
            }
        }
        let mut written = written.into_iter();
        let lost = Err(AppendError::Io(io::ErrorKind::Other));
        refused
            .into_iter()
            .map(|refused| refused.map_or_else(|| written.next().unwrap_or(lost), Err))
            .collect()
    }

    /// Has each body of a batch on disk under its name.
    fn keep_bodies(
        &mut self,
        batch: &mut [Draft<'_, D::File>],
    ) -> Vec<Result<Option<BodyRef>, AppendError>> {
        let inline_max = usize::try_from(self.limits.inline_bytes_max).unwrap_or(usize::MAX);
        let mut kept: Vec<Result<Option<BodyRef>, AppendError>> = batch
            .iter_mut()
            .map(|draft| {
                let bytes: usize = draft.payload.iter().map(bytes::Bytes::len).sum();
                // Named for nothing, it would stay until the next start.
                let body = draft.body.take().filter(|_| bytes <= inline_max);
                body.map(|file| self.bodies.keep(&self.disk, file))
                    .transpose()
                    .map_err(AppendError::from)
            })
            .collect();
        if !kept.iter().any(|body| matches!(body, Ok(Some(_)))) {
            return kept;
        }
        if let Err(error) = self.disk.sync_dir() {
            let error = AppendError::from(error);
            for kept in kept.iter_mut() {
                if let Ok(Some(body)) = *kept {
                    self.bodies.remove(&self.disk, body);
                    *kept = Err(error);
                }
            }
        }
        kept
    }

    /// Writes frames, into as many segments as they need.
    pub(super) fn write(&mut self, framed: &[Framed<'_>]) -> Vec<Result<Place, AppendError>> {
        let mut answers = Vec::with_capacity(framed.len());
        while let Some(rest) = framed.get(answers.len()..).filter(|rest| !rest.is_empty()) {
            match self.write_some(rest).or_else(|_| self.write_some(rest)) {
                Ok(places) => answers.extend(places.into_iter().map(Ok)),
                Err(error) => answers.extend(rest.iter().map(|_| Err(error))),
            }
        }
        answers
    }

    /// Writes as many frames as the newest segment, or a new one, takes: at least one.
    fn write_some(&mut self, framed: &[Framed<'_>]) -> Result<Vec<Place>, AppendError> {
        let mut count = self.fitting(framed);
        if count == 0 {
            self.seal();
            self.begin(framed)?;
            count = self.fitting(framed);
        }
        let framed = framed.get(..count).unwrap_or(framed);
        let Some(newest) = self.newest.as_ref().filter(|_| count > 0) else {
            return Err(AppendError::TooLarge);
        };
        let number = newest.id.number;
        let end = self.segments.get(&number).map_or(HEADER_LEN, |it| it.end);
        let written = write_frames(&self.disk, newest, framed, end);
        let (offsets, end) = written.inspect_err(|_| self.retire())?;
        let (Some(newest), Some(segment)) = (&mut self.newest, self.segments.get_mut(&number))
        else {
            return Err(AppendError::Io(io::ErrorKind::Other));
        };
        segment.end = end;
        for (one, offset) in framed.iter().zip(&offsets) {
            newest.footer.add(&one.frame);
            segment.push(*offset, &one.frame);
        }
        let place = |offset| Place {
            segment: number,
            offset,
        };
        Ok(offsets.into_iter().map(place).collect())
    }

    /// How many of the frames the newest segment takes; none if there is no segment.
    fn fitting(&self, framed: &[Framed<'_>]) -> usize {
        let newest = self.newest.as_ref();
        let segment = newest.and_then(|newest| self.segments.get(&newest.id.number));
        newest.zip(segment).map_or(0, |(newest, segment)| {
            fitting(framed, segment.end, &newest.footer, segment.file_bytes)
        })
    }

    /// Begins a new segment, whose name is on disk. Its header waits for the first sync. It
    /// has room for the first of these, were that of a time when segments were longer.
    fn begin(&mut self, framed: &[Framed<'_>]) -> Result<(), AppendError> {
        let first = framed.first();
        let room = first.map_or(0, |first| room_for(first.frame.payload_bytes));
        let bytes = u64::from(self.limits.segment_bytes).max(room);
        let number = self
            .next_number
            .ok_or(AppendError::Io(io::ErrorKind::Other))?;
        self.next_number = number.checked_add(1);
        // Drawn by the system, as the keys of std's hash tables are.
        let salt = RandomState::new().build_hasher().finish();
        let id = SegmentId { number, salt };
        let name = Name::Segment(id).to_string();
        let file = self.disk.create(&name)?;
        let begun = self.fill_new(&file, id, bytes);
        if let Err(error) = begun {
            forgive(self.disk.unlink(&name), "an unused segment stays");
            return Err(error.into());
        }
        self.segments.insert(number, Segment::new(id, bytes));
        self.newest = Some(Newest {
            id,
            file,
            footer: Footer::default(),
        });
        Ok(())
    }

    fn fill_new(&self, file: &D::File, id: SegmentId, bytes: u64) -> io::Result<()> {
        let (previous, previous_end) = self.previous;
        let header = Header {
            version: VERSION,
            previous,
            previous_end,
        };
        match self.disk.preallocate(file, bytes) {
            // A nearly full disk may still hold what little is to be written.
            Err(error) if AppendError::from(error.kind()) == AppendError::NoSpace => {
                self.disk.set_len(file, bytes)?;
            }
            given => given?,
        }
        let header = header.encode(id);
        write_all(&self.disk, file, &mut [IoSlice::new(&header)], 0)?;
        self.disk.sync_dir()
    }

    /// Has the disk take so many zeros into a file without a name, which goes at once: whether
    /// one that failed is well again need not wait for the next who loses by it.
    ///
    /// # Errors
    /// What the system says.
    pub fn try_disk(&self, bytes: u64) -> io::Result<()> {
        let file = self.disk.unnamed()?;
        write_zeros(&self.disk, &file, 0, bytes)?;
        self.disk.sync_data(&file)
    }

    /// Has files of these sizes from now on. The segment that is written to ends, if it is
    /// longer than one may be: what of its length holds no record is free again.
    pub fn resize(&mut self, limits: LogLimits) {
        self.limits = limits.with_room();
        let newest = self.newest.as_ref().map(|newest| newest.id.number);
        let newest = newest.and_then(|number| self.segments.get(&number));
        if newest.is_some_and(|it| it.file_bytes > u64::from(self.limits.segment_bytes)) {
            self.seal();
        }
    }

    /// Ends the newest segment with its footer.
    pub(super) fn seal(&mut self) {
        let Some(newest) = self.newest.take() else {
            return;
        };
        let Some(segment) = self.segments.get_mut(&newest.id.number) else {
            return;
        };
        self.previous = (segment.id.number, segment.end);
        let sealed = newest
            .footer
            .write(&self.disk, &newest.file, newest.id, segment.end);
        match sealed {
            Ok(bytes) => segment.file_bytes = bytes,
            Err(error) => {
                tracing::warn!(%error, "spool: a segment gets no footer: a restart takes longer");
            }
        }
        self.drop_if_done(newest.id.number);
    }

    /// Gives the newest segment up after a failure: what was synced stays.
    pub(super) fn retire(&mut self) {
        let Some(newest) = self.newest.take() else {
            return;
        };
        let Some(segment) = self.segments.get_mut(&newest.id.number) else {
            return;
        };
        self.previous = (segment.id.number, segment.end);
        // What was half written goes, and so does an empty rest on a disk that may be
        // full. No promise rests on this sync: the next segment tells the end as well.
        let bytes = u64::from(segment.end);
        let cut = self.disk.set_len(&newest.file, bytes);
        if forgive(cut, "a segment that was given up keeps its length") {
            segment.file_bytes = bytes;
            let synced = self.disk.sync_data(&newest.file);
            forgive(synced, "a crash may bring back what was refused");
        }
        self.drop_if_done(newest.id.number);
    }
}
