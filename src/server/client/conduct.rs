//! How an HTTP/2 client behaves: its frames are counted as they come in, and whoever only keeps
//! the edge busy is told to go. Looks at the nine bytes before each frame, never at what
//! follows them; what a frame means is the library's.

use std::cell::Cell;

use crate::config::checked::Http2;

/// How long what was counted stands, in looks of a second each.
const WINDOW_TICKS: u32 = 10;

/// What a client sends before its first frame (RFC 9113, section 3.4).
const PREFACE_BYTES: u32 = 24;

/// What stands before each frame's payload (section 4.1): its length, type, flags and stream.
const HEAD_BYTES: usize = 9;

/// Control frames that one request may bring along: its priority, its windows.
const PER_REQUEST: u64 = 4;

/// Bytes of answers for which one more window update is in order. Clients send far fewer.
const PER_UPDATE_BYTES: u64 = 1024;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const END_STREAM: u8 = 1;

/// A PING of seven bytes, in the place of whatever the client would have gone on with: such a
/// frame ends a connection with GOAWAY (section 6.7), and only the library can send one between
/// two frames of its own.
pub(super) const LAST_FRAME: &[u8] = &[0, 0, 7, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// The conduct of one connection's client.
#[derive(Debug)]
pub(crate) struct Conduct {
    resets_max: u64,
    control_max: u64,
    walk: Cell<Walk>,
    counts: Cell<Counts>,
    /// It is over what it may.
    pub over: Cell<bool>,
    /// It has ended its half of the connection.
    pub ended: Cell<bool>,
    /// It was asked to leave in peace.
    pub leaving: Cell<bool>,
    /// The connection is being closed.
    pub closing: Cell<bool>,
}

/// Where in the stream of frames its bytes have got to.
#[derive(Debug, Clone, Copy)]
struct Walk {
    head: [u8; HEAD_BYTES],
    /// Bytes of `head` that are here.
    here: usize,
    /// Bytes of the preface or of a payload that are still to come.
    left: u32,
}

/// What was counted in the window.
#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    ticks: u32,
    resets: u64,
    control: u64,
    requests: u64,
    written_bytes: u64,
}

impl Conduct {
    /// Nothing seen yet.
    pub(crate) fn new(limits: &Http2) -> Self {
        Self {
            resets_max: limits.resets,
            control_max: limits.control_frames,
            walk: Cell::new(Walk {
                head: [0; HEAD_BYTES],
                here: 0,
                left: PREFACE_BYTES,
            }),
            counts: Cell::default(),
            over: Cell::default(),
            ended: Cell::default(),
            leaving: Cell::default(),
            closing: Cell::default(),
        }
    }

    /// Whether it is closed over what its client did: who leaves, or was asked to, has done
    /// nothing.
    pub(crate) fn is_told_to_go(&self) -> bool {
        !self.ended.get() && !self.leaving.get()
    }

    /// A second has passed.
    pub(crate) fn tick(&self) {
        let mut counts = self.counts.get();
        counts.ticks += 1;
        if counts.ticks >= WINDOW_TICKS {
            counts = Counts::default();
        }
        self.counts.set(counts);
    }

    /// So much was written of answers.
    pub(crate) fn wrote(&self, bytes: usize) {
        let mut counts = self.counts.get();
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        counts.written_bytes = counts.written_bytes.saturating_add(bytes);
        self.counts.set(counts);
    }

    /// Counts the frames in what came in. `Some`: only so many of these bytes are to be read
    /// on, up to a frame's end; the client is over what it may.
    pub(crate) fn came_in(&self, bytes: &[u8]) -> Option<usize> {
        let (mut walk, mut counts) = (self.walk.get(), self.counts.get());
        let mut rest = bytes;
        let mut cut = None;
        while !rest.is_empty() {
            if self.over.get() && walk.here == 0 && walk.left == 0 {
                cut = bytes.len().checked_sub(rest.len());
                break;
            }
            rest = walk.step(rest, |kind, flags, length| {
                self.count(&mut counts, kind, flags, length);
            });
        }
        self.walk.set(walk);
        self.counts.set(counts);
        cut
    }

    fn count(&self, counts: &mut Counts, kind: u8, flags: u8, length: u32) {
        match kind {
            HEADERS => counts.requests += 1,
            DATA if length > 0 || flags & END_STREAM != 0 => {}
            RST_STREAM => counts.resets += 1,
            // Also those of types that nobody knows: they are as much work.
            _ => counts.control += 1,
        }
        let earned = counts.requests.saturating_mul(PER_REQUEST);
        let earned = earned.saturating_add(counts.written_bytes / PER_UPDATE_BYTES);
        let control_max = self.control_max.saturating_add(earned);
        if counts.resets > self.resets_max || counts.control > control_max {
            self.over.set(true);
        }
    }
}

impl Walk {
    /// Walks on to the next frame's head, or to the end of the bytes. Yields the rest.
    fn step<'b>(&mut self, bytes: &'b [u8], mut frame: impl FnMut(u8, u8, u32)) -> &'b [u8] {
        if self.left > 0 {
            let left = usize::try_from(self.left).unwrap_or(usize::MAX);
            let passed = left.min(bytes.len());
            self.left -= u32::try_from(passed).unwrap_or(self.left);
            return bytes.get(passed..).unwrap_or_default();
        }
        let room = self.head.get_mut(self.here..).unwrap_or_default();
        let taken = room.len().min(bytes.len());
        let (head, rest) = bytes.split_at(taken);
        if let Some(room) = room.get_mut(..taken) {
            room.copy_from_slice(head);
        }
        self.here += taken;
        if self.here == HEAD_BYTES {
            let [high, middle, low, kind, flags, ..] = self.head;
            self.left = u32::from_be_bytes([0, high, middle, low]);
            self.here = 0;
            frame(kind, flags, self.left);
        }
        rest
    }
}

#[cfg(test)]
mod tests;
