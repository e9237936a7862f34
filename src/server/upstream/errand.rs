//! A request between two connections: one that failed it, or never was, and the next, if
//! there is a next. Never sends it.

use http::request::Parts as Asked;

use super::head::HeadReader;
use super::sending::{Left, Sending};
use crate::server::delivery::body::Outgoing;

/// A request that goes from a connection that failed to another.
#[derive(Debug)]
pub(crate) struct Errand {
    pub(super) sending: Sending,
    pub(super) head: HeadReader,
}

impl Errand {
    /// A request that has found no connection.
    pub(crate) fn new(head: &Asked, body: Outgoing) -> Box<Self> {
        let mut sending = Sending::default();
        sending.load(head, body);
        sending.keep(true);
        Box::new(Self {
            sending,
            head: HeadReader::default(),
        })
    }

    /// What is left of the request.
    pub(crate) fn into_left(self) -> Option<Left> {
        self.sending.into_left()
    }
}
