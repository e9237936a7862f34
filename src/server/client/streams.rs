//! The streams of one HTTP/2 connection as they run. A client that opens no window for an
//! answer it asked for keeps that answer's buffers here and its connection upstream: it loses
//! the stream after `limits.body_idle`, as it would lose a connection over HTTP/1. Never cuts
//! a stream that waits for anybody else.

use std::cell::Cell;
use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep};

use crate::server::client::reply::{Reply, ReplyError};

/// Whom an answer under way waits for, as far as its last poll told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// It was not asked for anything.
    Unknown,
    /// It has given something, which the client has to take before more is asked for.
    Client,
    /// It had nothing to give.
    Elsewhere,
}

/// Runs a connection's streams on the worker's thread.
#[derive(Debug, Clone)]
pub(crate) struct Streams {
    idle: Duration,
    /// Of the stream that is being polled: one at a time is.
    turn: Rc<Cell<Turn>>,
}

impl Streams {
    /// Streams that may wait so long for their client.
    pub(crate) fn new(idle: Duration) -> Self {
        let turn = Rc::new(Cell::new(Turn::Unknown));
        Self { idle, turn }
    }

    /// An answer whose body tells whom it waits for.
    pub(crate) fn answers<A>(
        &self,
        answer: A,
    ) -> impl Future<Output = Result<Response<Told>, Infallible>> + use<A>
    where
        A: Future<Output = Result<Response<Reply>, Infallible>>,
    {
        let turn = Rc::clone(&self.turn);
        async move {
            let answer = answer.await?;
            turn.set(Turn::Client);
            Ok(answer.map(|reply| Told { reply, turn }))
        }
    }
}

impl<F: Future<Output = ()> + 'static> hyper::rt::Executor<F> for Streams {
    fn execute(&self, task: F) {
        let (turn, idle) = (Rc::clone(&self.turn), self.idle);
        drop(tokio::task::spawn_local(async move {
            let mut task = pin!(task);
            let mut patience: Option<Pin<Box<Sleep>>> = None;
            poll_fn(|cx| {
                turn.set(Turn::Unknown);
                if task.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(());
                }
                match (turn.get(), &mut patience) {
                    (Turn::Unknown, _) => {}
                    (Turn::Elsewhere, patience) => *patience = None,
                    (Turn::Client, Some(patience)) => {
                        patience.as_mut().reset(Instant::now() + idle);
                    }
                    (Turn::Client, patience) => *patience = Some(Box::pin(sleep(idle))),
                }
                match &mut patience {
                    Some(patience) => patience.as_mut().poll(cx),
                    None => Poll::Pending,
                }
            })
            .await;
        }));
    }
}

/// An answer's body that tells whom it waits for.
#[derive(Debug)]
pub(crate) struct Told {
    reply: Reply,
    turn: Rc<Cell<Turn>>,
}

impl Body for Told {
    type Data = Bytes;
    type Error = ReplyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ReplyError>>> {
        let polled = Pin::new(&mut self.reply).poll_frame(cx);
        self.turn.set(match polled {
            Poll::Ready(_) => Turn::Client,
            Poll::Pending => Turn::Elsewhere,
        });
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.reply.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.reply.size_hint()
    }
}
