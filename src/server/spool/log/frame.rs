//! One record as bytes: its head of fixed size, and what vouches for both. Owns
//! the frame's format (in [the log's docs](super)); a payload is never copied, it
//! is written from where it lies.

use bytes::{Buf as _, BufMut, Bytes};

use super::names::SegmentId;

/// Bytes of a record's head on disk.
pub(super) const HEAD_BYTES: usize = 64;

/// As many as an offset adds up with.
pub(super) const HEAD_LEN: u32 = 64;

/// Bytes of a head without its mark and its checksum: what a footer repeats.
pub(super) const FIELDS_BYTES: usize = 56;

/// As many as an offset adds up with.
pub(super) const FIELDS_LEN: u32 = 56;

const WITH_PROJECT: u8 = 1;
const WITH_BODY: u8 = 2;

/// What is known of a record besides its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Its place among all records. No two have the same, not even after an error:
    /// of two with one order a restart keeps one.
    pub order: u64,
    /// When it was taken in.
    pub at_unix_ms: u64,
    /// Whose it is.
    pub project: Option<u64>,
    /// What its owner sorts records by; the log only keeps it.
    pub lane: u8,
    /// How many items it holds; the log only keeps it.
    pub items: u32,
}

/// A body that lies in a file of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BodyRef {
    /// Its file's name.
    pub number: u64,
    /// The file's length.
    pub bytes: u64,
}

/// All of a record but its payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame {
    /// What its owner told of it.
    pub head: Head,
    /// Bytes that follow the head.
    pub payload_bytes: u32,
    /// Checksum of those bytes. Plain: the salted one of the head covers it.
    pub payload_crc: u32,
    /// Its body, when that is too large to follow.
    pub body: Option<BodyRef>,
}

/// A length as bytes in a file.
pub(super) fn size(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

impl Frame {
    /// Describes a payload; `None` when it is longer than any frame's can be.
    pub(super) fn of(head: Head, payload: &[Bytes], body: Option<BodyRef>) -> Option<Self> {
        let mut hasher = crc32fast::Hasher::new();
        let mut payload_bytes = 0_u32;
        for chunk in payload {
            hasher.update(chunk);
            payload_bytes = payload_bytes.checked_add(u32::try_from(chunk.len()).ok()?)?;
        }
        Some(Self {
            head,
            payload_bytes,
            payload_crc: hasher.finalize(),
            body,
        })
    }

    /// Bytes of the whole frame in its segment.
    pub(super) fn len(&self) -> u64 {
        u64::from(HEAD_LEN) + u64::from(self.payload_bytes)
    }

    /// Bytes that the record takes up with its body.
    pub(super) fn bytes(&self) -> u64 {
        self.len() + self.body.map_or(0, |body| body.bytes)
    }

    /// The head as it lies before the payload.
    pub(super) fn encode(&self, id: SegmentId) -> [u8; HEAD_BYTES] {
        let mut head = [0; HEAD_BYTES];
        let mut out = head.as_mut_slice();
        out.put_slice(&id.mark());
        self.put_fields(&mut out);
        let (vouched, mut out) = head.split_at_mut(HEAD_BYTES - 4);
        out.put_u32_le(id.crc(vouched));
        head
    }

    /// Reads a head; `None` if these bytes are none of this segment's.
    pub(super) fn decode(head: &[u8], id: SegmentId) -> Option<Self> {
        let head = head.first_chunk::<HEAD_BYTES>()?;
        let (vouched, mut crc) = head.split_at(HEAD_BYTES - 4);
        let mut fields = vouched.strip_prefix(&id.mark())?;
        (crc.get_u32_le() == id.crc(vouched)).then(|| Self::get_fields(&mut fields))?
    }

    /// Writes what a footer repeats of a head.
    pub(super) fn put_fields(&self, out: &mut impl BufMut) {
        let head = &self.head;
        let body = self.body.unwrap_or(BodyRef {
            number: 0,
            bytes: 0,
        });
        let with_project = head.project.map_or(0, |_| WITH_PROJECT);
        let with_body = self.body.map_or(0, |_| WITH_BODY);
        out.put_u32_le(self.payload_bytes);
        out.put_u64_le(head.order);
        out.put_u64_le(head.at_unix_ms);
        out.put_u64_le(head.project.unwrap_or_default());
        out.put_u64_le(body.number);
        out.put_u64_le(body.bytes);
        out.put_u32_le(head.items);
        out.put_u8(head.lane);
        out.put_u8(with_project | with_body);
        out.put_u16_le(0);
        out.put_u32_le(self.payload_crc);
    }

    /// Reads what [`Frame::put_fields`] wrote; `None` if nobody can have written it.
    pub(super) fn get_fields(from: &mut &[u8]) -> Option<Self> {
        let mut fields: &[u8] = from.split_off(..FIELDS_BYTES)?;
        let payload_bytes = fields.get_u32_le();
        let order = fields.get_u64_le();
        let at_unix_ms = fields.get_u64_le();
        let project = fields.get_u64_le();
        let body = BodyRef {
            number: fields.get_u64_le(),
            bytes: fields.get_u64_le(),
        };
        let items = fields.get_u32_le();
        let lane = fields.get_u8();
        let flags = fields.get_u8();
        let reserved = fields.get_u16_le();
        let payload_crc = fields.get_u32_le();
        let known = flags & !(WITH_PROJECT | WITH_BODY) == 0 && reserved == 0;
        known.then_some(Self {
            head: Head {
                order,
                at_unix_ms,
                project: (flags & WITH_PROJECT != 0).then_some(project),
                lane,
                items,
            },
            payload_bytes,
            payload_crc,
            body: (flags & WITH_BODY != 0).then_some(body),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: SegmentId = SegmentId {
        number: 3,
        salt: 0x0123_4567_89ab_cdef,
    };

    fn frame(project: Option<u64>, body: Option<BodyRef>) -> Frame {
        let head = Head {
            order: 7,
            at_unix_ms: u64::MAX,
            project,
            lane: 2,
            items: 9,
        };
        let payload = [Bytes::from_static(b"{}\n"), Bytes::from_static(b"rest")];
        Frame::of(head, &payload, body).unwrap()
    }

    #[test]
    fn a_head_is_read_as_it_was_written() {
        let body = Some(BodyRef {
            number: 5,
            bytes: 1 << 40,
        });
        for project in [None, Some(0), Some(u64::MAX)] {
            for body in [None, body] {
                let frame = frame(project, body);
                assert_eq!(Frame::decode(&frame.encode(ID), ID), Some(frame));
                let mut fields = Vec::new();
                frame.put_fields(&mut fields);
                assert_eq!(fields.len(), FIELDS_BYTES);
                assert_eq!(Frame::get_fields(&mut fields.as_slice()), Some(frame));
            }
        }
    }

    #[test]
    fn no_changed_bit_no_piece_and_no_other_segments_head_is_one() {
        let whole = frame(Some(1), None).encode(ID);
        for at in 0..whole.len() * 8 {
            let mut changed = whole;
            changed[at / 8] ^= 1 << (at % 8);
            assert_eq!(Frame::decode(&changed, ID), None, "bit {at}");
            assert_eq!(Frame::decode(&whole[..at / 8], ID), None);
        }
        for salt in [ID.salt ^ 2, ID.salt ^ (1 << 63)] {
            assert_eq!(Frame::decode(&whole, SegmentId { salt, ..ID }), None);
        }
        assert_eq!(
            Frame::decode(&[0; HEAD_BYTES], SegmentId { salt: 0, ..ID }),
            None
        );
    }
}
