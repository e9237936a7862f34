//! A case of the corpus: what a client sends, what an upstream answers, what becomes of
//! both at vidette, and why it may be something else elsewhere.

use super::readers::{Next, Read, Reader};
use super::recorder::Reply;
use super::side::{Client, Side};
use crate::edge::dump_target;

/// What stands for the path of the route in question.
const TARGET: &str = "@T";

/// A piece that begins with a POST to the route's path.
macro_rules! post {
    ($rest:literal) => {
        concat!("POST @T HTTP/1.1\r\nHost: a\r\n", $rest)
    };
}

/// The same in chunks.
macro_rules! in_chunks {
    ($rest:literal) => {
        concat!(
            "POST @T HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
            $rest
        )
    };
}

/// The same by a GET.
macro_rules! get {
    ($rest:literal) => {
        concat!("GET @T HTTP/1.1\r\nHost: a\r\n", $rest)
    };
}

pub(super) use {get, in_chunks, post};

/// The two ways through the edge that treat a body differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route {
    /// An event whose body nobody looks into.
    Event,
    /// A page of Sentry's web.
    Page,
}

impl Route {
    pub(super) const ALL: [Self; 2] = [Self::Event, Self::Page];

    fn target(self) -> String {
        match self {
            Self::Event => dump_target(),
            Self::Page => "/web".to_owned(),
        }
    }
}

/// One case. Built as a constant, so that the corpus is a table.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) name: &'static str,
    /// Where it is written what must hold: RFC and section.
    pub(super) section: &'static str,
    /// Each piece is sent once the one before was looked at. `@T` is the route's path, and
    /// `{x*9}` nine times an x.
    sent: &'static [&'static str],
    replies: &'static [Reply],
    wants: [Option<&'static str>; 2],
    pub(super) whys: [Option<&'static str>; 2],
}

impl Case {
    pub(super) const fn of(
        name: &'static str,
        section: &'static str,
        sent: &'static [&'static str],
    ) -> Self {
        Self {
            name,
            section,
            sent,
            replies: &[],
            wants: [None; 2],
            whys: [None; 2],
        }
    }

    /// The upstream says this.
    pub(super) const fn told(self, replies: &'static [Reply]) -> Self {
        Self { replies, ..self }
    }

    /// What becomes of it where it is an event.
    pub(super) const fn event(mut self, want: &'static str) -> Self {
        self.wants[0] = Some(want);
        self
    }

    /// What becomes of it where it is a page.
    pub(super) const fn page(mut self, want: &'static str) -> Self {
        self.wants[1] = Some(want);
        self
    }

    /// What becomes of it on both ways.
    pub(super) const fn both(self, want: &'static str) -> Self {
        self.event(want).page(want)
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

    /// The ways on which it is tried, and what is wanted there.
    pub(super) fn wants(&self) -> impl Iterator<Item = (Route, &'static str)> {
        let both = Route::ALL.into_iter().zip(self.wants);
        both.filter_map(|(route, want)| Some((route, want?)))
    }

    /// Sends it, and says what became of it.
    pub(super) fn tried(&self, side: &mut Side, route: Route) -> Became {
        side.recorder.begin(self.replies);
        let mut client = Client::of(side);
        for piece in self.sent {
            client.send(side, &spelled(piece, route));
        }
        let methods: Vec<&str> = self.sent.iter().flat_map(|piece| methods(piece)).collect();
        let answers = answers(&client.heard, &methods, client.is_closed);
        let is_closed = client.is_closed;
        client.leave(side);
        Became::new(answers, is_closed, &side.recorder.taken(), &route.target())
    }
}

/// A piece as it leaves.
fn spelled(piece: &str, route: Route) -> Vec<u8> {
    expanded(&piece.replace(TARGET, &route.target()))
}

/// Text with `{x*9}` written out.
pub(super) fn expanded(text: &str) -> Vec<u8> {
    let (mut out, mut left) = (String::new(), text);
    while let Some((before, behind)) = left.split_once('{') {
        out.push_str(before);
        let times = behind.split_once('}').and_then(|(inside, behind)| {
            let (what, times) = inside.rsplit_once('*')?;
            Some((what.repeat(times.parse().ok()?), behind))
        });
        left = match times {
            Some((written, behind)) => {
                out.push_str(&written);
                behind
            }
            None => {
                out.push('{');
                behind
            }
        };
    }
    out.push_str(left);
    out.into_bytes()
}

/// The methods of a piece's requests, as far as they decide what an answer looks like.
fn methods(piece: &str) -> Vec<&str> {
    let lines = piece.split("\r\n").filter(|line| line.contains(" HTTP/1."));
    lines.filter_map(|line| line.split(' ').next()).collect()
}

/// What became of a case at one of the three.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Became {
    /// What a client saw, in order: `200`, `200 "body"` where it is not the usual `ok`.
    answers: Vec<String>,
    is_closed: bool,
    /// What the upstream saw.
    arrived: Vec<String>,
    /// Why readers could take that in more ways than one.
    pub(super) doubts: Vec<String>,
}

impl Became {
    fn new(answers: Vec<String>, is_closed: bool, taken: &[Vec<u8>], target: &str) -> Self {
        let (arrived, doubts) = arrived(taken, target);
        Self {
            answers,
            is_closed,
            arrived,
            doubts,
        }
    }

    /// As a case wants it said.
    pub(super) fn text(&self) -> String {
        let mut text = match self.answers.is_empty() {
            true => "silence".to_owned(),
            false => counted(&self.answers).join(" "),
        };
        text.push_str(if self.is_closed { ", closed" } else { ", open" });
        for arrived in counted(&self.arrived) {
            text.push_str("; ");
            text.push_str(&arrived);
        }
        text
    }

    /// As it is compared: of an answer of theirs, the class of its status.
    pub(super) fn class(&self) -> String {
        let classes = self.answers.iter().map(|answer| match answer.get(..1) {
            Some(class @ ("4" | "5")) => format!("{class}xx"),
            _ => answer.clone(),
        });
        let answers = classes.collect();
        let (arrived, doubts) = (self.arrived.clone(), Vec::new());
        let is_closed = self.is_closed;
        let classed = Self {
            answers,
            is_closed,
            arrived,
            doubts,
        };
        classed.text()
    }
}

/// What is said more than thrice in a row is said once, and how often.
pub(super) fn counted(all: &[String]) -> Vec<String> {
    let mut out = Vec::new();
    for same in all.chunk_by(|one, other| one == other) {
        match same {
            [first, _, _, _, ..] => out.push(format!("{} times {first}", same.len())),
            few => out.extend_from_slice(few),
        }
    }
    out
}

/// What an upstream saw, as a strict reader has it; and where others have it otherwise.
pub(super) fn arrived(taken: &[Vec<u8>], target: &str) -> (Vec<String>, Vec<String>) {
    let (mut arrived, mut doubts) = (Vec::new(), Vec::new());
    for bytes in taken {
        let [strict, others @ ..] = Reader::ALL.map(|reader| reader.requests(bytes));
        match &strict {
            Ok(requests) => arrived.extend(requests.iter().map(|read| shown(read, target))),
            Err(why) => arrived.push(format!("unreadable ({why})")),
        }
        if strict.is_err() || others.iter().any(|other| *other != strict) {
            doubts.push(format!("{strict:?} or {others:?}"));
        }
    }
    // Connections come in no order that matters.
    arrived.sort();
    (arrived, doubts)
}

fn shown(read: &Read, target: &str) -> String {
    let target = match read.target == target {
        true => "T",
        false => &read.target,
    };
    let (method, target, framing) = (short(&read.method), short(target), read.framing);
    match &read.body {
        None => format!("{method} {target} {framing} cut"),
        Some(_) if framing == "bare" => format!("{method} {target} bare"),
        Some(body) => format!("{method} {target} {framing} {}", brief(body)),
    }
}

/// The most of anything that a person is shown in full.
const SHOWN_MAX: usize = 72;

/// A word for a person: all of it, or how long it is.
fn short(word: &str) -> String {
    match word.len() {
        0..=SHOWN_MAX => word.to_owned(),
        count => format!("({count} bytes)"),
    }
}

/// Bytes for a person: all of them, or how many of which.
fn brief(bytes: &[u8]) -> String {
    let first = bytes.first().copied().unwrap_or_default();
    match bytes.len() {
        0..=SHOWN_MAX => bytes.escape_ascii().to_string(),
        count if bytes.iter().all(|byte| *byte == first) => {
            format!("{}*{count}", first.escape_ascii())
        }
        count => format!("{count} bytes"),
    }
}

/// The answers that a client has heard.
fn answers(heard: &[u8], methods: &[&str], is_closed: bool) -> Vec<String> {
    let (mut left, mut answers, mut asked) = (heard, Vec::new(), methods.iter());
    while !left.is_empty() {
        let Some((status, fields, behind)) = head(left) else {
            answers.push(format!("no answer but {}", brief(left)));
            break;
        };
        left = behind;
        if (100..200).contains(&status) {
            answers.push(status.to_string());
            if status == 101 {
                answers.push(format!("tunnel {}", brief(left)));
                break;
            }
            continue;
        }
        let method = asked.next().copied().unwrap_or("GET");
        // An error's words are its own; whether they are due to a HEAD is not asked.
        if status >= 400 && method == "HEAD" && is_closed {
            answers.push(status.to_string());
            break;
        }
        let (body, behind) = body(status, &fields, method, left, is_closed);
        left = behind;
        answers.push(match body.as_deref() {
            _ if status >= 400 => status.to_string(),
            Some("ok") => status.to_string(),
            Some(body) => format!("{status} \"{body}\""),
            None => format!("{status} cut"),
        });
    }
    let cut = answers.last().is_none_or(|last| last.ends_with(" cut"));
    if is_closed && cut {
        // Whether the head of an answer that breaks off was still sent is chance.
        answers.pop();
        answers.push("cut".to_owned());
    }
    answers
}

type Fields = Vec<(String, String)>;

fn head(bytes: &[u8]) -> Option<(u16, Fields, &[u8])> {
    let end = crate::wire::find(bytes, b"\r\n\r\n")?;
    let text = String::from_utf8_lossy(&bytes[..end]);
    let mut lines = text.split("\r\n");
    let first = lines.next()?;
    let status = first
        .strip_prefix("HTTP/1.1 ")
        .or(first.strip_prefix("HTTP/1.0 "));
    let status = status?.get(..3)?;
    let fields = lines.filter_map(|line| line.split_once(':'));
    let fields = fields.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()));
    Some((status.parse().ok()?, fields.collect(), &bytes[end + 4..]))
}

/// An answer's body, if it is whole, and what lies behind it.
fn body<'b>(
    status: u16,
    fields: &Fields,
    method: &str,
    bytes: &'b [u8],
    is_closed: bool,
) -> (Option<String>, &'b [u8]) {
    let all = |name: &str| -> Vec<&str> {
        let named = fields.iter().filter(|(is, _)| is == name);
        named.map(|(_, value)| value.as_str()).collect()
    };
    if method == "HEAD" || matches!(status, 204 | 304) {
        return (Some("ok".to_owned()), bytes);
    }
    let (codings, lengths) = (all("transfer-encoding"), all("content-length"));
    match (codings.as_slice(), lengths.as_slice()) {
        ([], [length]) => match length
            .parse()
            .ok()
            .and_then(|at| bytes.split_at_checked(at))
        {
            Some((body, behind)) => (Some(brief(body)), behind),
            None => (None, &[]),
        },
        (["chunked"], []) => {
            let request = [
                b"X / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
                bytes,
            ]
            .concat();
            match Reader::Strict.next(&request) {
                Next::Whole(read, count) => {
                    let behind = &bytes[bytes.len() + count - request.len()..];
                    (read.body.as_deref().map(brief), behind)
                }
                Next::Begun(_) | Next::Unheaded | Next::Bad(_) => (None, &[]),
            }
        }
        ([], []) if is_closed => (Some(brief(bytes)), &[]),
        _ => (None, &[]),
    }
}
