//! Answers read ahead of slow clients: the upstream's connection is free as soon
//! as the rest of an answer fits the read-ahead. Never holds more than that, and all of them
//! together never much more than their budget.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http_body::SizeHint;

use crate::server::client::reply::{Passing, ReplyError};
use crate::server::ingest::chunks::{gather, total_bytes};
use crate::server::ticket::Ticket;
use crate::server::upstream::framing::Fault;

/// Beyond the budget of all, an answer is read ahead by so much: enough to keep its connection
/// busy, and few clients have as little room.
const TIGHT_BYTES: u64 = 64 * 1024;

/// What all answers together may hold, over all workers.
#[derive(Debug, Clone)]
pub(crate) struct Budget {
    /// What they hold now.
    pub held: Arc<AtomicU64>,
    /// What they may.
    pub bytes_max: u64,
}

/// The client's end of a body that is read ahead. Dropping it stops the reading.
#[derive(Debug)]
pub(crate) struct Ahead {
    queue: Rc<Queue>,
    length: Option<u64>,
}

/// What the reader has put down and the client has not taken up.
#[derive(Debug)]
struct Queue {
    chunks: RefCell<VecDeque<Bytes>>,
    bytes_max: u64,
    budget: Budget,
    ending: RefCell<Option<Result<Option<Ticket>, Fault>>>,
    client: RefCell<Option<Waker>>,
    reader: RefCell<Option<Waker>>,
    left: Cell<bool>,
}

impl Ahead {
    /// Starts reading `passing` ahead by up to `bytes_max`, while the budget has room.
    pub(crate) fn read(passing: Passing, bytes_max: u64, budget: Budget) -> Self {
        let length = passing.size_hint().exact();
        let queue = Rc::new(Queue {
            chunks: RefCell::default(),
            bytes_max,
            budget,
            ending: RefCell::default(),
            client: RefCell::default(),
            reader: RefCell::default(),
            left: Cell::new(false),
        });
        tokio::task::spawn_local(pump(Rc::clone(&queue), passing));
        Self { queue, length }
    }

    /// The next chunk for the client.
    pub(crate) fn poll_chunk(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, ReplyError>>> {
        let queue = &self.queue;
        let chunk = queue.chunks.borrow_mut().pop_front();
        if let Some(chunk) = chunk {
            queue.let_go(chunk_bytes(&chunk));
            wake(&queue.reader);
            return Poll::Ready(Some(Ok(chunk)));
        }
        let ending = queue.ending.borrow_mut().take();
        match ending {
            Some(Ok(ticket)) => {
                drop(ticket);
                *queue.ending.borrow_mut() = Some(Ok(None));
                Poll::Ready(None)
            }
            Some(Err(error)) => Poll::Ready(Some(Err(error.into()))),
            None => {
                *queue.client.borrow_mut() = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    /// The exact length, if the upstream told it.
    pub(crate) fn size_hint(&self) -> SizeHint {
        self.length
            .map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        let queue = &self.queue;
        queue.left.set(true);
        wake(&queue.reader);
        if !queue.chunks.borrow().is_empty()
            && let Some(Ok(Some(ticket))) = &mut *queue.ending.borrow_mut()
        {
            ticket.aborted();
        }
    }
}

impl Queue {
    /// Whether there is room for more.
    fn has_room(&self) -> bool {
        let here = total_bytes(&self.chunks.borrow());
        let spent = self.budget.held.load(Ordering::Relaxed) >= self.budget.bytes_max;
        let most = match spent {
            true => self.bytes_max.min(TIGHT_BYTES),
            false => self.bytes_max,
        };
        here < most
    }

    fn put(&self, chunk: Bytes) {
        let bytes = chunk_bytes(&chunk);
        self.budget.held.fetch_add(bytes, Ordering::Relaxed);
        gather(&mut self.chunks.borrow_mut(), chunk);
    }

    fn let_go(&self, bytes: u64) {
        self.budget.held.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        let left = total_bytes(&self.chunks.borrow());
        self.let_go(left);
    }
}

fn chunk_bytes(chunk: &Bytes) -> u64 {
    u64::try_from(chunk.len()).unwrap_or(u64::MAX)
}

fn wake(waker: &RefCell<Option<Waker>>) {
    let waker = waker.borrow_mut().take();
    if let Some(waker) = waker {
        waker.wake();
    }
}

async fn pump(queue: Rc<Queue>, mut passing: Passing) {
    loop {
        let chunk = poll_fn(|cx| {
            *queue.reader.borrow_mut() = Some(cx.waker().clone());
            if queue.left.get() {
                return Poll::Ready(None);
            }
            if !queue.has_room() {
                return Poll::Pending;
            }
            passing.poll_chunk(cx).map(Some)
        });
        match chunk.await {
            Some(Some(Ok(chunk))) => queue.put(chunk),
            Some(Some(Err(error))) => {
                *queue.ending.borrow_mut() = Some(Err(error));
                return wake(&queue.client);
            }
            Some(None) => {
                *queue.ending.borrow_mut() = Some(Ok(passing.ended()));
                return wake(&queue.client);
            }
            None => return,
        }
        wake(&queue.client);
    }
}
