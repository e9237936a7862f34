//! What Sentry tells an uploader: where to send its chunks, how large and how many at a time, held
//! against who was asked and against what the edge takes. Needs a token; uploads nothing.

use anyhow::bail;
use bytes::Bytes;
use http::header::{AUTHORIZATION, HOST, USER_AGENT};
use http::{Request, StatusCode};
use http_body_util::Full;
use serde::Deserialize;

use super::super::Finding;
use super::{Asked, Room};
use crate::cli::place::Place;
use crate::cli::plain;
use crate::domain::units::show_size;

/// What Sentry says of chunks.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Announced {
    url: String,
    pub(super) chunk_size: u64,
    pub(super) max_request_size: u64,
    pub(super) concurrency: u64,
}

impl Announced {
    /// What a Sentry says whose operator has changed nothing.
    pub(super) fn usual() -> Self {
        Self {
            url: String::new(),
            chunk_size: 8 << 20,
            max_request_size: 32 << 20,
            concurrency: 8,
        }
    }
}

/// Asks one place for it, as `host` if that is another's.
pub(super) fn ask(
    asked: &Asked,
    place: &Place,
    host: &str,
    token: &str,
) -> anyhow::Result<Announced> {
    let request = Request::get(format!("{}{}", place.prefix, asked.path))
        .header(HOST, host)
        .header(USER_AGENT, "vidette-doctor")
        .header(AUTHORIZATION, format!("Bearer {token}"))
        .body(Full::new(Bytes::new()))?;
    let answer = place.exchange(request, &asked.authorities)?;
    match answer.status() {
        StatusCode::OK => {}
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => bail!(
            "{} refuses the token ({}): it takes one that may upload (org:ci, or project:releases)",
            place,
            answer.status()
        ),
        StatusCode::NOT_FOUND => bail!("{place} knows no organization of that name: see --org"),
        status => bail!("{place} answers {status} when asked for its upload settings"),
    }
    serde_json::from_slice(answer.body())
        .map_err(|_| anyhow::anyhow!("{place} answers with something else than upload settings"))
}

/// Whether chunks go to where uploaders look for Sentry.
pub(super) fn address(asked: &Place, announced: &Announced, behind: Option<&Announced>) -> Finding {
    let url = plain(&announced.url);
    // Newer uploaders are told a path alone, which is sent to whoever was asked.
    if announced.url.starts_with('/') {
        return Finding::ok(format!(
            "Sentry has chunks sent to {url}, at whoever was asked"
        ));
    }
    let Ok(told) = Place::parse(&announced.url) else {
        return Finding::problem(format!("Sentry has chunks sent to {url}, which is no URL"))
            .mend("see system.url-prefix in sentry/config.yml");
    };
    if (told.scheme, &told.dialled) == (asked.scheme, &asked.dialled) {
        return Finding::ok(format!("Sentry has chunks sent to {url}"));
    }
    let found = Finding::problem(format!(
        "Sentry has chunks sent to {url}, and was asked at {asked}"
    ));
    let why = match behind {
        Some(behind) if behind.url != announced.url => {
            "web itself says otherwise: something in front of it changes its answers"
        }
        Some(_) | None if told.scheme != asked.scheme && told.authority == asked.authority => {
            "so sentry-cli sends them in another scheme, to a port where it may find nobody, or a redirect"
        }
        Some(_) | None => "so sentry-cli sends them there, wherever that leads",
    };
    let scheme = asked.scheme.as_str();
    found
        .why(why)
        .mend("in sentry/config.yml, then restart web:")
        .paste(format!(
            "system.url-prefix: '{scheme}://{}'",
            asked.authority
        ))
}

/// Whether the edge has room for what uploaders are told to send.
pub(super) fn room(announced: &Announced, room: &Room) -> Vec<Finding> {
    let Announced {
        max_request_size,
        concurrency,
        ..
    } = announced;
    let mut findings = Vec::new();
    let request = show_size(*max_request_size);
    if room.bodies < *max_request_size {
        findings.push(
            Finding::problem(format!(
                "limits.bodies.upload is {}, and uploaders send up to {request} at a time",
                show_size(room.bodies)
            ))
            .why("the edge answers them 413")
            .mend("raise it")
            .paste("limits: {bodies: {upload: 2GiB}}"),
        );
    }
    let together = max_request_size.saturating_mul(*concurrency);
    let whole = together.saturating_sub(room.ahead_in_memory.saturating_mul(*concurrency));
    if room.ahead_on_disk < whole {
        findings.push(
            Finding::warn(format!(
                "upstream.web_read_ahead.disk is {}, and one uploader sends {concurrency} times {request} at once",
                show_size(room.ahead_on_disk)
            ))
            .why("what is beyond holds a worker of web for as long as its client is slow")
            .paste("upstream: {web_read_ahead: {disk: 2GiB}}"),
        );
    }
    if let Some((folder, free)) = room.free.as_ref().filter(|(_, free)| *free < whole) {
        findings.push(
            Finding::warn(format!(
                "{} has {} free, and one uploader sends {concurrency} times {request} at once",
                folder.display(),
                show_size(*free)
            ))
            .why("bodies are read ahead to there, where the edge is on this machine")
            .mend("make room, or name another disk in upstream.web_read_ahead.path"),
        );
    }
    if findings.is_empty() {
        findings.push(Finding::ok(format!(
            "the edge takes {concurrency} bodies of {request} at a time, and up to {} each",
            show_size(room.bodies)
        )));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::super::Mark;
    use super::*;

    #[track_caller]
    fn check(asked: &str, url: &str, mark: Mark, part: &str) {
        let announced = Announced {
            url: url.to_owned(),
            ..Announced::usual()
        };
        let found = address(&Place::parse(asked).unwrap(), &announced, None);
        let said = found.lines().join("\n");
        assert_eq!(found.mark, mark, "{said}");
        assert!(said.contains(part), "no {part} in: {said}");
    }

    #[test]
    fn chunks_go_to_where_sentry_was_asked() {
        let asked = "https://sentry.example.com";
        let path = "/api/0/organizations/sentry/chunk-upload/";
        check(asked, path, Mark::Ok, "whoever was asked");
        check(asked, &format!("{asked}{path}"), Mark::Ok, asked);
        check(asked, &format!("{asked}:443{path}"), Mark::Ok, asked);
        check(
            asked,
            &format!("http://sentry.example.com{path}"),
            Mark::Problem,
            "another scheme",
        );
        check(
            asked,
            &format!("http://localhost:9000{path}"),
            Mark::Problem,
            "system.url-prefix: 'https://sentry.example.com'",
        );
        check(asked, "nowhere", Mark::Problem, "no URL");
    }

    #[test]
    fn the_edges_own_limits_are_held_against_what_uploaders_send() {
        let marks = |bodies: u64, disk: u64, free: u64| {
            let found = room(
                &Announced::usual(),
                &Room {
                    bodies,
                    ahead_in_memory: 1 << 20,
                    ahead_on_disk: disk,
                    free: Some(("/tmp".into(), free)),
                },
            );
            found.iter().map(|found| found.mark).collect::<Vec<_>>()
        };
        let (request, whole) = (32 << 20, 8 * (31 << 20));
        assert_eq!(marks(request, whole, whole), [Mark::Ok]);
        assert_eq!(marks(request - 1, whole, whole), [Mark::Problem]);
        assert_eq!(marks(request, whole - 1, whole), [Mark::Warn]);
        assert_eq!(marks(request, whole, whole - 1), [Mark::Warn]);
    }
}
