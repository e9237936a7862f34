//! Answers read ahead of slow clients: the upstream's connection is free as soon
//! as the rest of an answer fits the read-ahead. Never holds more than that.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http_body::SizeHint;

use crate::server::client::reply::{Passing, ReplyError};
use crate::server::ingest::chunks::{gather, total_bytes};
use crate::server::ticket::Ticket;
use crate::server::upstream::framing::Fault;

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
    ending: RefCell<Option<Result<Option<Ticket>, Fault>>>,
    client: RefCell<Option<Waker>>,
    reader: RefCell<Option<Waker>>,
    left: Cell<bool>,
}

impl Ahead {
    /// Starts reading `passing` ahead by up to `bytes_max`.
    pub(crate) fn read(passing: Passing, bytes_max: u64) -> Self {
        let length = passing.size_hint().exact();
        let queue = Rc::new(Queue {
            chunks: RefCell::default(),
            bytes_max,
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
            if total_bytes(&queue.chunks.borrow()) >= queue.bytes_max {
                return Poll::Pending;
            }
            passing.poll_chunk(cx).map(Some)
        });
        match chunk.await {
            Some(Some(Ok(chunk))) => gather(&mut queue.chunks.borrow_mut(), chunk),
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
