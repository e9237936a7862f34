//! An envelope's items judged: all of them before the upstream is dialled where the
//! body is here, one by one as they come where it is not. Owns which of the two, and
//! what follows; never what a judgement is.

use std::collections::VecDeque;
use std::rc::Rc;

use bytes::Bytes;
use http::header::CONTENT_ENCODING;
use http::request::Parts;

use crate::config::checked::Inspect;
use crate::domain::coding::{Coding, Decoder, Peek};
use crate::domain::envelope::scan::{ScanLimits, Scanner};
use crate::domain::outcome::Reason;
use crate::policy::Refusal;
use crate::policy::inspection::Fate;

use crate::server::client::stream::Stream;
use crate::server::delivery::body::Outgoing;
use crate::server::ingest::chunks::total_bytes;
use crate::server::ingest::inflating::Place;
use crate::server::ingest::line_one::{Begun, Change, LineOne};
use crate::server::ingest::manifest::Manifest;
use crate::server::ingest::opening::{Turned, refuse_line};
use crate::server::ingest::sieve::{Judge, Sieve};
use crate::server::ingest::survey::{Found, Survey};
use crate::server::ingest::tally::Tally;
use crate::server::ingest::unpacked::Unpacked;
use crate::server::worker::{InForce, Worker};

/// Seconds after which a body that could not be unpacked may come again.
const RETRY_AFTER_S: u32 = 30;

/// A packed body that becomes no longer than this is unpacked in one go: nobody else runs
/// meanwhile, so a larger `limits.inspect_bytes` does not count here.
const AT_ONCE_BYTES: usize = 256 * 1024;

/// An envelope whose line one was judged.
pub(crate) struct Envelope {
    /// Its line one.
    pub line: LineOne,
    /// How the line must be rewritten before it leaves.
    pub change: Change,
    /// How it is packed.
    pub coding: Coding,
    /// As far as it is here.
    pub begun: Begun,
    /// The place that it has while it is looked into. Never held while its client is
    /// waited for: who sends slowly would stand in everybody's way.
    pub looking: Option<Place>,
}

/// Judges an envelope's items, and yields what of it leaves.
pub(crate) async fn inspect(
    worker: &Worker,
    rules: &InForce,
    mut envelope: Envelope,
    manifest: &Rc<Manifest>,
    head: &mut Parts,
) -> Result<Outgoing, Turned> {
    let looks = rules.config.inspect == Inspect::Always;
    let body = match envelope.begun.rest {
        _ if !looks && manifest.is_boundless() => unread(worker, rules, envelope, manifest)?,
        None => whole(worker, rules, &mut envelope, manifest).await?,
        // Boxed as it is not the common way: a short envelope's future stays small.
        Some(_) => Box::pin(streamed(worker, rules, envelope, manifest)).await?,
    };
    if body.is_inflated() {
        head.headers.remove(CONTENT_ENCODING);
    }
    Ok(body)
}

/// A body that is here: nothing leaves before all of it was judged, and where nothing
/// stays behind, it leaves as it came.
async fn whole(
    worker: &Worker,
    rules: &InForce,
    envelope: &mut Envelope,
    manifest: &Rc<Manifest>,
) -> Result<Outgoing, Turned> {
    let (change, coding) = (envelope.change, envelope.coding);
    // What is unpacked makes way for others in between.
    let waited = envelope.begun.waited || coding != Coding::Identity;
    let line = std::mem::replace(&mut envelope.line, LineOne::Plain(0));
    let mut survey = Survey::new(rules.items_max, manifest.asking());
    // Line one stays where it can be used again.
    let (line, read) = match line {
        LineOne::Plain(line_bytes) => {
            let read = survey.scan_behind(line_bytes, &envelope.begun.chunks);
            (Some(line), read)
        }
        LineOne::Packed { peek, given, left } => {
            let look = (*peek, given, left);
            let read = Box::pin(unpack_through(&mut survey, worker, look, &envelope.begun)).await;
            (None, read)
        }
    };
    let read = read.and_then(|()| survey.end());
    let found = survey.found();
    match read {
        Ok(()) => {}
        Err(refusal) => {
            for Found { item, bytes, .. } in found {
                manifest.pass_by(item, *bytes);
            }
            return Err(refused(refusal));
        }
    }
    if waited && !manifest.is_boundless() {
        manifest.looks_at_clock();
    }
    let fates = judge(manifest, &survey);
    if !manifest.is_secure() {
        manifest.secured().await;
    }
    if !fates.is_empty() && fates.iter().all(|fate| matches!(fate, Fate::Dropped(_))) {
        return Err(Turned::Refused(Box::new(manifest.nothing_left()), None));
    }
    let stays = |(fate, Found { item, .. }): (&Fate, &Found)| match fate {
        Fate::Kept => true,
        Fate::KeptAsError => item.flag.is_some(),
        Fate::Dropped(_) => false,
    };
    let begun = std::mem::take(&mut envelope.begun);
    if !change.is_due() && fates.iter().zip(found).all(stays) {
        return Ok(begun.unchanged());
    }
    let line = match line {
        Some(line) => line,
        // The decoder has gone through the body once, and must again.
        None => {
            LineOne::find(&begun, coding, rules.decode).map_err(|why| refused(refuse_line(why)))?
        }
    };
    let (line, source) = parted(worker, rules, line, begun, change)?;
    let judge = Judge::Before(fates);
    out(rules, Sieve::new(line, source, scanner(rules), judge))
}

/// A body of which more is to come: each item is judged as its header comes by.
async fn streamed(
    worker: &Worker,
    rules: &InForce,
    envelope: Envelope,
    manifest: &Rc<Manifest>,
) -> Result<Outgoing, Turned> {
    let Envelope {
        line,
        change,
        coding,
        begun,
        looking,
    } = envelope;
    drop(looking);
    let boundless = manifest.is_boundless() && !change.is_due();
    if boundless && coding != Coding::Identity {
        return Ok(tallied(worker, rules, begun, coding, manifest));
    }
    let announced = begun.rest.as_ref().and_then(Stream::announced);
    let (line, source) = parted(worker, rules, line, begun, change)?;
    let judge = Judge::Now(Rc::clone(manifest));
    let mut sieve = Sieve::new(line, source, scanner(rules), judge);
    if boundless {
        sieve.keeps_length(announced);
    }
    let begins = sieve.begins().await.map_err(Turned::Failed)?;
    if !begins && manifest.has_met() {
        return Err(Turned::Refused(Box::new(manifest.nothing_left()), None));
    }
    Ok(Outgoing::sieved(sieve))
}

/// A body that nobody has to look into: one unread item.
fn unread(
    worker: &Worker,
    rules: &InForce,
    envelope: Envelope,
    manifest: &Rc<Manifest>,
) -> Result<Outgoing, Turned> {
    let Envelope {
        line,
        change,
        begun,
        ..
    } = envelope;
    let announced = begun.rest.as_ref().map(Stream::announced);
    let bytes = announced.unwrap_or_else(|| Some(total_bytes(&begun.chunks)));
    manifest.pass_unread(bytes.unwrap_or(0));
    if !change.is_due() {
        return Ok(begun.unchanged());
    }
    let (line, source) = parted(worker, rules, line, begun, change)?;
    out(rules, Sieve::unread(line, source))
}

/// What leaves of a body: whole where it is here, and short where it came packed, so that it needs
/// no place while the upstream is waited for, and can leave once more; else as it comes.
fn out(rules: &InForce, mut sieve: Sieve) -> Result<Outgoing, Turned> {
    match (sieve.is_here(), sieve.is_unpacked()) {
        (true, false) => return Ok(Outgoing::whole(sieve.drain().map_err(Turned::Failed)?)),
        (true, true) => {
            let looked_into = usize::try_from(rules.config.limits.inspect_bytes);
            let bytes_max = looked_into.unwrap_or(usize::MAX).min(AT_ONCE_BYTES);
            if let Some(all) = sieve.gather(bytes_max).map_err(Turned::Failed)? {
                return Ok(Outgoing::unpacked(all));
            }
        }
        (false, _) => {}
    }
    Ok(Outgoing::sieved(sieve))
}

/// A packed body of which nothing will stay here: it leaves as it came, and is looked
/// into beside. Where there is no place for another decoder, it is not.
fn tallied(
    worker: &Worker,
    rules: &InForce,
    begun: Begun,
    coding: Coding,
    manifest: &Rc<Manifest>,
) -> Outgoing {
    let Begun { chunks, rest, .. } = begun;
    let Some(mut stream) = rest else {
        return Outgoing::whole(chunks);
    };
    stream.put_back(chunks);
    match worker.unpacking.take(rules.config.limits.unpacking) {
        Some(place) => {
            let decoder = Decoder::new(coding, rules.decode);
            let manifest = Rc::clone(manifest);
            Outgoing::tallied(Tally::new(stream, decoder, scanner(rules), manifest, place))
        }
        None => {
            manifest.pass_unread(stream.announced().unwrap_or(0));
            Outgoing::stream(stream)
        }
    }
}

/// A body's line one as it is to leave, and what stands behind it.
fn parted(
    worker: &Worker,
    rules: &InForce,
    line: LineOne,
    begun: Begun,
    change: Change,
) -> Result<(Bytes, Unpacked), Turned> {
    let (place, begun) = place(worker, rules, &line, begun)?;
    let moves = rules.gate.moves.map();
    line.part(begun, (change, moves), place)
        .ok_or_else(unwritable)
}

/// A place for the decoder of a body that leaves unpacked.
fn place(
    worker: &Worker,
    rules: &InForce,
    line: &LineOne,
    begun: Begun,
) -> Result<(Option<Place>, Begun), Turned> {
    if !line.is_packed() {
        return Ok((None, begun));
    }
    // What is here waits for no client, and so never for a place that a slow one holds.
    let places = match begun.rest {
        None => &worker.parting,
        Some(_) => &worker.unpacking,
    };
    if let Some(place) = places.take(rules.config.limits.unpacking) {
        return Ok((Some(place), begun));
    }
    let detail = "too many bodies are being unpacked (limits.unpacking)";
    let refusal = Refusal::later(Reason::Overloaded, detail, RETRY_AFTER_S);
    let unread = begun.rest.map(Stream::into_incoming);
    Err(Turned::Refused(Box::new(refusal), unread))
}

/// Judges all items. Events come first wherever they stand: what belongs to one goes
/// with it. A replay's items go on together or not at all.
fn judge(manifest: &Manifest, survey: &Survey<'_>) -> VecDeque<Fate> {
    let found = survey.found();
    let of_replay = || found.iter().filter(|found| found.item.kind.is_replay());
    let replay = of_replay().fold((0, 0_u64), |(count, all), found| {
        (count + found.item.count, all.saturating_add(found.bytes))
    });
    let mut replays = None;
    let mut meet = |found: &Found| {
        let Found { item, bytes, .. } = found;
        match (item.kind.is_replay(), replays) {
            (false, _) => manifest.meet(item, Some(*bytes), survey.event(found).as_ref()),
            (true, None) => {
                let event = of_replay().find_map(|part| survey.event(part));
                let fate = manifest.meet_for(item, Some(*bytes), replay, event.as_ref());
                *replays.insert(fate)
            }
            (true, Some(fate)) => manifest.follow(item, *bytes, fate),
        }
    };
    // Each is met in one of the two rounds.
    let mut fates = VecDeque::from(vec![Fate::Kept; found.len()]);
    for events in [true, false] {
        let due = fates.iter_mut().zip(found);
        for (fate, found) in due.filter(|(_, found)| found.item.kind.is_event() == events) {
            *fate = meet(found);
        }
    }
    fates
}

fn scanner(rules: &InForce) -> Scanner {
    let items_max = rules.items_max;
    Scanner::new(ScanLimits { items_max })
}

/// Reads a packed body through that is here: what its look at line one left of it.
async fn unpack_through(
    survey: &mut Survey<'_>,
    worker: &Worker,
    (peek, given, left): (Peek, usize, Bytes),
    begun: &Begun,
) -> Result<(), Refusal> {
    let line_bytes = peek.line().len();
    let (mut decoder, decoded) = peek.into_parts();
    survey.scan(decoded.get(line_bytes + 1..).unwrap_or_default())?;
    let later = begun.chunks.iter().skip(given);
    for mut packed in std::iter::once(left).chain(later.cloned()) {
        while survey.unpack(&mut decoder, &mut packed, &mut worker.slice.borrow_mut())? {
            // Others first: a body may unpack to hundreds of megabytes.
            tokio::task::yield_now().await;
        }
    }
    decoder.finish().map_err(Refusal::coding)
}

fn refused(refusal: Refusal) -> Turned {
    Turned::Refused(Box::new(refusal), None)
}

fn unwritable() -> Turned {
    let detail = "line one of the envelope cannot be rewritten";
    refused(Refusal::of(Reason::Malformed, 400, detail))
}
