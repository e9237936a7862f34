//! A case of the corpus in HTTP/2: the frames that a client sends, and what becomes of its
//! streams and of its connection.

use super::case::{arrived, counted};
use super::frames::{Heard, PREFACE, settings};
use super::side::{Client, Side};

/// HPACK's table is switched off, so that every status stands for itself.
const HEADER_TABLE_SIZE: u16 = 1;

/// One case. Each piece is sent once the one before was looked at.
pub(super) struct StreamCase {
    pub(super) name: &'static str,
    /// RFC and section.
    pub(super) section: &'static str,
    sent: fn() -> Vec<Vec<u8>>,
    /// It brings its own preface.
    opens: bool,
    pub(super) want: &'static str,
    pub(super) whys: [Option<&'static str>; 2],
}

impl StreamCase {
    pub(super) const fn of(
        name: &'static str,
        section: &'static str,
        sent: fn() -> Vec<Vec<u8>>,
    ) -> Self {
        Self {
            name,
            section,
            sent,
            opens: false,
            want: "",
            whys: [None; 2],
        }
    }

    /// One that opens its connection itself.
    pub(super) const fn opening(mut self) -> Self {
        self.opens = true;
        self
    }

    /// What becomes of it.
    pub(super) const fn gives(mut self, want: &'static str) -> Self {
        self.want = want;
        self
    }

    /// Why nginx does otherwise.
    pub(super) const fn nginx(mut self, why: &'static str) -> Self {
        self.whys[0] = Some(why);
        self
    }

    /// Why HAProxy does otherwise.
    pub(super) const fn haproxy(mut self, why: &'static str) -> Self {
        self.whys[1] = Some(why);
        self
    }

    /// Sends it, and says what became of it.
    pub(super) fn tried(&self, side: &mut Side) -> Streams {
        side.recorder.begin(&[]);
        let mut client = Client::of(side);
        if !self.opens {
            let hello = [PREFACE, &settings(&[(HEADER_TABLE_SIZE, 0)])].concat();
            client.send(side, &hello);
        }
        for piece in (self.sent)() {
            client.send(side, &piece);
        }
        let (heard, is_closed) = (Heard::of(&client.heard), client.is_closed);
        client.leave(side);
        let (arrived, doubts) = arrived(&side.recorder.taken(), "/web");
        Streams {
            heard,
            is_closed,
            arrived,
            doubts,
        }
    }
}

/// What became of a case at one of the three.
pub(super) struct Streams {
    heard: Heard,
    is_closed: bool,
    arrived: Vec<String>,
    pub(super) doubts: Vec<String>,
}

impl Streams {
    /// As a case wants it said.
    pub(super) fn text(&self) -> String {
        let streams: Vec<(&u32, &String)> = self.heard.streams.iter().collect();
        let mut said: Vec<String> = Vec::new();
        for same in streams.chunk_by(|(_, one), (_, other)| one == other) {
            match same {
                [(first, what), _, _, _, .., (last, _)] => {
                    said.push(format!("{first} to {last}: {what}"));
                }
                few => said.extend(few.iter().map(|(id, what)| format!("{id}: {what}"))),
            }
        }
        said.extend(self.heard.connection.iter().cloned());
        said.push(if self.is_closed { "closed" } else { "open" }.to_owned());
        format!("{}{}", said.join(", "), self.behind())
    }

    /// As it is compared: which streams were served, and whether the connection goes on.
    /// Which of its errors a refusal is given as is each one's own.
    pub(super) fn class(&self) -> String {
        let gone = self.heard.connection.iter();
        let is_over = self.is_closed || gone.clone().any(|said| said.starts_with("goaway"));
        let served = self.heard.streams.iter();
        let served = served.filter(|(_, said)| said.starts_with('2'));
        let served = served.map(|(id, _)| format!("{id} "));
        let served: String = served.collect();
        format!("{served}over {is_over}{}", self.behind())
    }

    fn behind(&self) -> String {
        let arrived = counted(&self.arrived);
        arrived.iter().map(|one| format!("; {one}")).collect()
    }
}
