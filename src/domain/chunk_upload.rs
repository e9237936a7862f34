//! What Sentry answers who asks how to upload: where chunks go, how large they are and how many
//! go at a time (PROTOCOL 1.5). Owns how that is made to fit what stands in front. Never makes
//! anything larger, never reads a chunk.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

/// What a part of a form takes beside its chunk: boundary, name, file name and type. sentry-cli's
/// take some 190 bytes.
const PART_BYTES: u64 = 256;

/// How many chunks a request has where Sentry does not say.
const PARTS: u64 = 64;

/// The answer is to hold this.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wanted<'a> {
    /// The largest request in bytes, its form included; `None` leaves sizes as they are.
    pub request_bytes_max: Option<u64>,
    /// Scheme and host of the place where chunks are to go, such as
    /// `https://sentry.example.com`; `None` leaves the place as it is.
    pub origin: Option<&'a str>,
}

/// The answer is none that was asked for: no object with these fields in these forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the settings of an upload")]
pub struct NotSettings;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Settings<'a> {
    #[serde(borrow)]
    url: &'a RawValue,
    #[serde(borrow)]
    chunk_size: &'a RawValue,
    #[serde(borrow)]
    max_request_size: &'a RawValue,
    #[serde(borrow, default)]
    chunks_per_request: Option<&'a RawValue>,
}

/// Whether a normalised path is where uploaders ask, and send their chunks.
#[must_use]
pub fn is_asked_at(normalised: &[u8]) -> bool {
    let Some(below) = normalised.strip_prefix(b"/api/0/organizations/") else {
        return false;
    };
    let mut segments = below.splitn(2, |&byte| byte == b'/');
    let organization = segments.next().unwrap_or_default();
    let rest = segments.next().unwrap_or_default();
    !organization.is_empty() && matches!(rest, b"chunk-upload" | b"chunk-upload/")
}

/// The answer as it is wanted; `None`: it is so already. What is not named here stays byte for
/// byte.
///
/// A chunk stays a power of two, which sentry-cli insists on, and a request of it leaves room
/// for its form and for what does not compress. A place that is no absolute URL of this very
/// path stays: uploaders send to whom they asked then, or the operator wants them elsewhere.
///
/// # Errors
/// [`NotSettings`], and the answer is for others to judge.
pub fn fitted(answer: &[u8], wanted: Wanted<'_>) -> Result<Option<Vec<u8>>, NotSettings> {
    // serde would take a list for the object as well.
    if !answer.trim_ascii_start().starts_with(b"{") {
        return Err(NotSettings);
    }
    let told: Settings<'_> = serde_json::from_slice(answer).map_err(|_| NotSettings)?;
    let mut edits: Vec<(&RawValue, String)> = Vec::new();
    if let Some(request_bytes_max) = wanted.request_bytes_max {
        let parts = told.chunks_per_request.map_or(Ok(PARTS), number)?;
        let (chunk, request) = (number(told.chunk_size)?, number(told.max_request_size)?);
        let sizes = Sizes::within(request_bytes_max, chunk, request, parts);
        if sizes.chunk != chunk {
            edits.push((told.chunk_size, sizes.chunk.to_string()));
        }
        if sizes.request != request {
            edits.push((told.max_request_size, sizes.request.to_string()));
        }
        if let Some(raw) = told.chunks_per_request.filter(|_| sizes.parts != parts) {
            edits.push((raw, sizes.parts.to_string()));
        }
    }
    if let Some(origin) = wanted.origin {
        let url: Cow<'_, str> = serde_json::from_str(told.url.get()).map_err(|_| NotSettings)?;
        if let Some(moved) = moved(&url, origin) {
            let moved = serde_json::to_string(&moved).map_err(|_| NotSettings)?;
            edits.push((told.url, moved));
        }
    }
    Ok((!edits.is_empty()).then(|| spliced(answer, edits)))
}

fn number(raw: &RawValue) -> Result<u64, NotSettings> {
    raw.get().parse().map_err(|_| NotSettings)
}

/// What an uploader is told of sizes.
struct Sizes {
    chunk: u64,
    request: u64,
    parts: u64,
}

impl Sizes {
    /// What of these fits requests of so many bytes.
    fn within(request_bytes_max: u64, chunk: u64, request: u64, parts: u64) -> Self {
        // Forms may have a quarter; a Sentry that allows more parts is told of fewer.
        let parts = parts.min(request_bytes_max / 4 / PART_BYTES).max(1);
        // Compressed, what cannot be compressed grows by less than a thousandth.
        let beside = parts * PART_BYTES + PART_BYTES + request_bytes_max / 1000;
        let fits = request.min(request_bytes_max.saturating_sub(beside)).max(1);
        // Sentry's own requests hold four chunks. One that holds a single chunk, the next power
        // of two below, would be half empty.
        let chunk = match fits == request && chunk <= request {
            true => chunk,
            false => chunk.min(1 << (fits / 4).max(1).ilog2()),
        };
        Self {
            chunk,
            request: fits,
            parts,
        }
    }
}

/// An absolute URL of the asked path, at another origin; `None`: it is no such URL, or is
/// there already.
fn moved(url: &str, origin: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return None;
    }
    let (_host, target) = rest.split_at_checked(rest.find('/')?)?;
    let path = target.split(['?', '#']).next().unwrap_or_default();
    let moved = format!("{origin}{target}");
    (is_asked_at(path.as_bytes()) && moved != url).then_some(moved)
}

/// The answer with some of its values replaced.
fn spliced(answer: &[u8], mut edits: Vec<(&RawValue, String)>) -> Vec<u8> {
    let start = answer.as_ptr().addr();
    let at = |raw: &RawValue| raw.get().as_ptr().addr().saturating_sub(start);
    edits.sort_by_key(|(raw, _)| at(raw));
    let added: usize = edits.iter().map(|(_, new)| new.len()).sum();
    let mut whole = Vec::with_capacity(answer.len() + added);
    let mut copied = 0;
    for (raw, new) in edits {
        whole.extend_from_slice(answer.get(copied..at(raw)).unwrap_or_default());
        whole.extend_from_slice(new.as_bytes());
        copied = at(raw) + raw.get().len();
    }
    whole.extend_from_slice(answer.get(copied..).unwrap_or_default());
    whole
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MIB: u64 = 1 << 20;

    fn told(url: &str, chunk: u64, request: u64, parts: u64) -> String {
        format!(
            "{{\"url\": \"{url}\",\n \"chunkSize\": {chunk}, \"maxRequestSize\":{request}, \
             \"chunksPerRequest\": {parts}, \"concurrency\": 8, \"later\": [1.50, {{}}]}}"
        )
    }

    #[track_caller]
    fn check(answer: &str, wanted: Wanted<'_>, want: Result<Option<&str>, NotSettings>) {
        let got = fitted(answer.as_bytes(), wanted);
        let got = got.map(|some| some.map(|bytes| String::from_utf8(bytes).unwrap()));
        assert_eq!(got, want.map(|some| some.map(str::to_owned)), "{answer}");
    }

    fn sized(request_bytes_max: u64) -> Wanted<'static> {
        Wanted {
            request_bytes_max: Some(request_bytes_max),
            origin: None,
        }
    }

    fn at(origin: &str) -> Wanted<'_> {
        Wanted {
            request_bytes_max: None,
            origin: Some(origin),
        }
    }

    const PATH: &str = "/api/0/organizations/acme/chunk-upload/";

    #[test]
    fn only_the_path_of_chunks_is_where_uploaders_ask() {
        for path in [PATH, "/api/0/organizations/a/chunk-upload"] {
            assert!(is_asked_at(path.as_bytes()), "{path}");
        }
        for path in [
            "/api/0/organizations//chunk-upload/",
            "/api/0/organizations/chunk-upload/",
            "/api/0/organizations/a/chunk-upload/x",
            "/api/0/organizations/a/b/chunk-upload/",
            "/api/0/projects/a/chunk-upload/",
            "/api/1/organizations/a/chunk-upload/",
            "/",
        ] {
            assert!(!is_asked_at(path.as_bytes()), "{path}");
        }
    }

    #[test]
    fn sizes_are_lowered_to_what_fits_and_nothing_else_changes() {
        let usual = told(PATH, 8 * MIB, 32 * MIB, 64);
        // A MiB, less 65 times 256 bytes, less a thousandth.
        let request = MIB - 65 * 256 - 1048;
        check(
            &usual,
            sized(MIB),
            Ok(Some(&told(PATH, MIB / 8, request, 64))),
        );
        // Cloudflare's 100 MB have room for what Sentry says as shipped.
        check(&usual, sized(100_000_000), Ok(None));
    }

    #[test]
    fn nothing_is_ever_raised() {
        let small = told(PATH, 4096, 8192, 2);
        check(&small, sized(1 << 40), Ok(None));
        let just = 8192 + 3 * 256 + 8;
        check(&small, sized(just + 1), Ok(None));
        let lowered = told(PATH, 1024, 8190, 2);
        check(&small, sized(just - 2), Ok(Some(&lowered)));
    }

    #[test]
    fn forms_never_take_all_of_a_request() {
        let many = told(PATH, 8 * MIB, 32 * MIB, 1_000_000);
        let request = 65_536 - 16_384 - 256 - 65;
        let want = told(PATH, 8192, request, 64);
        check(&many, sized(65_536), Ok(Some(&want)));
    }

    #[test]
    fn chunks_go_to_where_their_sender_asked() {
        let inside = told(&format!("http://web:9000{PATH}"), 1, 1, 1);
        let outside = told(&format!("https://sentry.example.com{PATH}"), 1, 1, 1);
        check(
            &inside,
            at("https://sentry.example.com"),
            Ok(Some(&outside)),
        );
        check(&outside, at("https://sentry.example.com"), Ok(None));
    }

    #[test]
    fn a_place_that_is_not_that_path_stays() {
        for url in [
            PATH,
            "organizations/acme/chunk-upload/",
            "https://storage.example.com/bucket/",
            "https://sentry.example.com",
            "ftp://web/api/0/organizations/acme/chunk-upload/",
            "",
        ] {
            check(&told(url, 1, 1, 1), at("http://a"), Ok(None));
        }
    }

    #[test]
    fn what_are_no_settings_is_left_alone() {
        let both = Wanted {
            request_bytes_max: Some(MIB),
            origin: Some("http://a"),
        };
        for answer in [
            "",
            "[]",
            "<html>",
            "{}",
            r#"["u", 1, 1, 1]"#,
            r#"{"url": "u", "chunkSize": 1}"#,
            r#"{"url": "u", "chunkSize": "1", "maxRequestSize": 1}"#,
            r#"{"url": "u", "chunkSize": -1, "maxRequestSize": 1}"#,
            r#"{"url": 1, "chunkSize": 1, "maxRequestSize": 1}"#,
            r#"{"url": "u", "chunkSize": 1, "chunkSize": 1, "maxRequestSize": 1}"#,
            r#"{"url": "u", "chunkSize": 1, "maxRequestSize": 1"#,
        ] {
            check(answer, both, Err(NotSettings));
        }
    }

    proptest! {
        #[test]
        fn whatever_is_told_fits_and_chunks_stay_powers_of_two(
            request_bytes_max in 65_536_u64..1 << 40,
            chunk in 0_u32..40,
            request in 1_u64..1 << 42,
            parts in 1_u64..1 << 20,
        ) {
            let chunk = 1 << chunk;
            let sizes = Sizes::within(request_bytes_max, chunk, request, parts);
            prop_assert!(sizes.chunk.is_power_of_two());
            prop_assert!(sizes.chunk <= chunk && sizes.request <= request && sizes.parts <= parts);
            prop_assert!(sizes.chunk <= sizes.request);
            let form = sizes.parts * PART_BYTES + PART_BYTES;
            prop_assert!(sizes.request + form <= request_bytes_max);
            prop_assert!(8 * sizes.chunk > sizes.request.min(chunk));
        }

        #[test]
        fn no_answer_makes_it_panic(answer in ".{0,80}", origin in ".{0,9}") {
            let wanted = Wanted { request_bytes_max: Some(65_536), origin: Some(&origin) };
            let _either = fitted(answer.as_bytes(), wanted);
        }
    }
}
