//! One answer that is kept: whether it may be, for whom it stands, and how long it is fresh.
//! Never changes; one that is confirmed is another.

use std::hash::Hasher as _;

use bytes::Bytes;
use http::header::{
    ACCEPT_RANGES, AGE, AUTHORIZATION, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH,
    CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED, PRAGMA,
    RANGE, SET_COOKIE, VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue};
use siphasher::sip128::{Hasher128 as _, SipHasher13};

use crate::domain::cache_control::CacheControl;
use crate::policy::millis::Millis;

/// What an entry takes beside its bytes: places in maps, counts, and a header's own.
const ENTRY_BYTES: u64 = 512;
const HEADER_BYTES: u64 = 96;

/// An answer with status 200 to a GET.
#[derive(Debug)]
pub struct Stored {
    /// Its head, with a tag, and without length and age.
    pub headers: HeaderMap,
    /// All of its body, in the coding that the head says.
    pub body: Bytes,
    /// Whether the tag is the upstream's own.
    tagged: bool,
    /// What of a request it was chosen by.
    varies: Vec<(HeaderName, Vec<HeaderValue>)>,
    /// When the upstream last said so, and how old it was then.
    said: Millis,
    age_then_ms: u64,
    fresh_ms: u64,
    /// For how long beyond it stands in for a failure.
    if_error_ms: u64,
    /// For how long beyond it is served while somebody asks anew.
    while_asked_ms: u64,
}

/// How a kept answer stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) fresh: bool,
    /// It stands in for a failure.
    pub(super) if_error: bool,
    /// It is served while another asks anew.
    pub(super) while_asked: bool,
}

impl Stored {
    /// The answer as it is kept; `None`: it must not be, or cannot.
    ///
    /// `request` chose it, `age_ms` is the time its exchange took, `if_error_max_ms` the longest
    /// that it stands in for a failure, and as long as it does where the upstream does not say.
    #[must_use]
    pub fn new(
        now: Millis,
        age_ms: u64,
        request: &HeaderMap,
        headers: &HeaderMap,
        body: Bytes,
        if_error_max_ms: u64,
    ) -> Option<Self> {
        if !may_be_kept(headers) {
            return None;
        }
        let varies = chosen_by(headers, request)?;
        let mut kept = headers.clone();
        kept.remove(CONTENT_LENGTH);
        let tagged = kept.contains_key(ETAG);
        if !tagged {
            kept.insert(ETAG, tag(&body, &kept));
        }
        Some(Self::fresh_from(
            now,
            age_ms,
            kept,
            (body, tagged, varies),
            if_error_max_ms,
        ))
    }

    fn fresh_from(
        now: Millis,
        age_ms: u64,
        mut headers: HeaderMap,
        (body, tagged, varies): (Bytes, bool, Vec<(HeaderName, Vec<HeaderValue>)>),
        if_error_max_ms: u64,
    ) -> Self {
        let told = control(&headers);
        let age = headers.remove(AGE);
        let age_s = age.and_then(|age| age.to_str().ok()?.trim().parse::<u64>().ok());
        let age_ms = age_ms.saturating_add(ms(age_s.unwrap_or(0)));
        let stale = |ms: u64| match told.must_revalidate || told.no_cache {
            true => 0,
            false => ms.min(if_error_max_ms),
        };
        let if_error_ms = told.stale_if_error_s.map_or(if_error_max_ms, ms);
        let while_asked_ms = told.stale_while_revalidate_s.map_or(0, ms);
        Self {
            headers,
            body,
            tagged,
            varies,
            said: now,
            age_then_ms: age_ms,
            fresh_ms: ms(told.fresh_for_s()),
            if_error_ms: stale(if_error_ms),
            while_asked_ms: stale(while_asked_ms),
        }
    }

    /// The same answer, of which the upstream has just said by a 304 with `headers` that it still
    /// stands (RFC 9111, section 4.3.4). `None`: it says besides that it is not to be kept.
    #[must_use]
    pub fn confirmed(
        &self,
        now: Millis,
        age_ms: u64,
        headers: &HeaderMap,
        if_error_max_ms: u64,
    ) -> Option<Self> {
        let mut kept = self.headers.clone();
        for name in headers.keys().filter(|name| !is_of_the_body(name)) {
            kept.remove(name);
            for value in headers.get_all(name) {
                kept.append(name, value.clone());
            }
        }
        if !may_be_kept(&kept) {
            return None;
        }
        let same = (self.body.clone(), self.tagged, self.varies.clone());
        Some(Self::fresh_from(now, age_ms, kept, same, if_error_max_ms))
    }

    /// Whether it is what this request would have chosen.
    pub(super) fn suits(&self, request: &HeaderMap) -> bool {
        self.varies
            .iter()
            .all(|(name, values)| values_of(request, name) == *values)
    }

    pub(super) fn standing(&self, now: Millis) -> Standing {
        let age_ms = self.age_ms(now);
        let fresh = age_ms < self.fresh_ms;
        let within = |ms: u64| age_ms < self.fresh_ms.saturating_add(ms);
        Standing {
            fresh,
            if_error: within(self.if_error_ms),
            while_asked: within(self.while_asked_ms),
        }
    }

    /// Its age in whole seconds, as `Age` has it.
    #[must_use]
    pub fn age_s(&self, now: Millis) -> u64 {
        self.age_ms(now) / 1000
    }

    fn age_ms(&self, now: Millis) -> u64 {
        self.age_then_ms.saturating_add(now.since(self.said))
    }

    /// What it takes.
    pub(super) fn bytes(&self) -> u64 {
        let of = |bytes: usize| u64::try_from(bytes).unwrap_or(u64::MAX);
        let headers = self.headers.iter();
        let headers =
            headers.map(|(name, value)| HEADER_BYTES + of(name.as_str().len()) + of(value.len()));
        let varies = of(self.varies.len()) * HEADER_BYTES;
        ENTRY_BYTES + of(self.body.len()) + headers.sum::<u64>() + varies
    }

    /// Has a request ask whether it still stands, by the upstream's own words.
    pub fn ask(&self, request: &mut HeaderMap) {
        let mut say = |name, told: HeaderName| {
            if let Some(value) = self.headers.get(told) {
                request.insert(name, value.clone());
            }
        };
        say(IF_MODIFIED_SINCE, LAST_MODIFIED);
        if self.tagged {
            say(IF_NONE_MATCH, ETAG);
        }
    }

    /// Whether whoever asks under these conditions has it already (RFC 9110, section 13.2.2).
    #[must_use]
    pub fn is_had(&self, conditions: &HeaderMap) -> bool {
        if conditions.contains_key(IF_NONE_MATCH) {
            let tag = self
                .headers
                .get(ETAG)
                .map_or(&b""[..], HeaderValue::as_bytes);
            let mut lines = conditions.get_all(IF_NONE_MATCH).iter();
            return lines.any(|line| names_tag(line.as_bytes(), tag));
        }
        // A date that is not this very one says little of what came since.
        let known = conditions.get(IF_MODIFIED_SINCE);
        known.is_some() && known == self.headers.get(LAST_MODIFIED)
    }
}

/// Whether a request's answer may come from what is kept, or be kept: it asks for all of what
/// everybody gets.
#[must_use]
pub fn may_be_asked(request: &HeaderMap) -> bool {
    let personal = request.contains_key(AUTHORIZATION) || request.contains_key(RANGE);
    !personal && !control(request).no_store
}

/// Whether its sender wants to hear from the upstream itself.
#[must_use]
pub fn insists(request: &HeaderMap) -> bool {
    let told = control(request);
    let pragma = || request.get(PRAGMA).is_some_and(|value| value == "no-cache");
    told.no_cache || told.max_age_s == Some(0) || !request.contains_key(CACHE_CONTROL) && pragma()
}

/// What a head says of caches.
fn control(headers: &HeaderMap) -> CacheControl {
    let lines = headers.get_all(CACHE_CONTROL).iter();
    CacheControl::read(lines.map(HeaderValue::as_bytes))
}

/// Whether an answer with this head may be kept at all: it is for everybody.
#[must_use]
pub fn may_be_kept(headers: &HeaderMap) -> bool {
    let told = control(headers);
    let personal = headers.contains_key(SET_COOKIE) || headers.contains_key(CONTENT_RANGE);
    !told.no_store && !told.private && !personal
}

/// The values that an answer was chosen by; `None`: by more than can be told.
fn chosen_by(
    headers: &HeaderMap,
    request: &HeaderMap,
) -> Option<Vec<(HeaderName, Vec<HeaderValue>)>> {
    let mut varies: Vec<(HeaderName, Vec<HeaderValue>)> = Vec::new();
    for line in headers.get_all(VARY) {
        for name in line.as_bytes().split(|&byte| byte == b',') {
            let name = name.trim_ascii();
            if name.is_empty() {
                continue;
            }
            // `*` is no name, but it is a token.
            let name = HeaderName::from_bytes(name)
                .ok()
                .filter(|name| name != "*")?;
            if !varies.iter().any(|(known, _)| *known == name) {
                let values = values_of(request, &name);
                varies.push((name, values));
            }
        }
    }
    Some(varies)
}

/// A request's values of a header, which are compared as they came: two that mean the same and
/// are written otherwise are kept apart, and nothing is ever mixed up.
fn values_of(request: &HeaderMap, name: &HeaderName) -> Vec<HeaderValue> {
    request.get_all(name).iter().cloned().collect()
}

/// The headers that a 304 must not change: they speak of the body that was kept.
fn is_of_the_body(name: &HeaderName) -> bool {
    [
        CONTENT_LENGTH,
        CONTENT_ENCODING,
        CONTENT_TYPE,
        CONTENT_RANGE,
        ACCEPT_RANGES,
        SET_COOKIE,
        VARY,
    ]
    .contains(name)
}

/// A tag for an upstream that gives none: the same on every edge, another for each coding.
fn tag(body: &Bytes, headers: &HeaderMap) -> HeaderValue {
    // No secret: whoever could make two bodies of one tag already decides what both are.
    let mut hasher = SipHasher13::new();
    hasher.write(body);
    for coding in headers.get_all(CONTENT_ENCODING) {
        hasher.write(coding.as_bytes());
    }
    let tag = format!("\"{:032x}\"", hasher.finish128().as_u128());
    HeaderValue::from_str(&tag).expect("hex digits in quotes are visible ASCII")
}

/// Whether a line of `If-None-Match` names this tag, weakly compared, or any.
fn names_tag(line: &[u8], tag: &[u8]) -> bool {
    let strong = |tag: &'_ [u8]| tag.strip_prefix(b"W/").unwrap_or(tag).to_vec();
    let tag = strong(tag);
    // A comma may stand in a tag: then it is not found, and all of the answer is sent.
    let mut named = line.split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
    named.any(|named| named == b"*" || strong(named) == tag)
}

fn ms(seconds: u64) -> u64 {
    seconds.saturating_mul(1000)
}
