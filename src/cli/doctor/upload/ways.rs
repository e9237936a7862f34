//! The ways in which uploaders send: asked for, in chunks, with packed parts, and slowly. Each is
//! held against how the same body fares that is sent in the plainest way.

use std::time::Duration;

use super::super::Finding;
use super::Asked;
use super::bodies::Route;
use super::post::{Framing, Post, Went};
use super::whose::Who;
use crate::domain::units::show_duration;

/// Enough for every proxy's buffer not to matter, and no load.
const BYTES: u64 = 64 * 1024;

/// What is found of each.
pub(super) fn of(asked: &Asked) -> Vec<Finding> {
    let plain = Route::Upload.post(asked, BYTES);
    let send = |post: &Post| post.send(&asked.place, &asked.authorities);
    let Some(usual) = send(&plain).ok().and_then(|went| status(&went)) else {
        // What is wrong with the plainest is said of bodies.
        return Vec::new();
    };
    let asking = Post {
        expects: true,
        ..plain.clone()
    };
    let chunked = Post {
        framing: Framing::Chunked,
        ..plain.clone()
    };
    let packed = Post {
        encoding: Some("gzip"),
        ..plain.clone()
    };
    let slow = Post {
        pause: asked.pause,
        ..plain
    };
    let mut findings = vec![
        expected(send(&asking), usual),
        chunks(send(&chunked), usual),
        parts(send(&packed), usual),
    ];
    if !asked.pause.is_zero() {
        findings.push(slowly(send(&slow), asked.pause, usual));
    }
    findings
}

fn status(went: &Went) -> Option<u16> {
    Some(went.answer.as_ref()?.status)
}

/// What came instead of the usual answer, in words.
fn instead(went: &Went) -> String {
    went.answer.as_ref().map_or_else(
        || "closes the connection".to_owned(),
        |answer| format!("answers {} ({})", answer.status, Who::of(answer).name()),
    )
}

fn expected(went: anyhow::Result<Went>, usual: u16) -> Finding {
    const NAME: &str = "Expect: 100-continue";
    match went {
        Ok(went) if went.asked_for => Finding::ok(format!("{NAME}: the body is asked for")),
        // Refused before its body: that is what it is for.
        Ok(went) if status(&went) == Some(usual) && went.sent == 0 => {
            Finding::ok(format!("{NAME}: answered {usual} before the body"))
        }
        Ok(went) if status(&went) == Some(usual) => {
            Finding::warn(format!("{NAME}: nobody asks for the body"))
                .why("sentry-cli waits a second before each request that is large")
                .mend("let the proxy in front answer it, or pass it on")
        }
        Ok(went) => Finding::problem(format!("{NAME}: {}", instead(&went)))
            .why("sentry-cli sends it with large requests")
            .mend("let the proxy in front answer it, or pass it on"),
        Err(error) => Finding::problem(format!("{NAME}: {error:#}")),
    }
}

fn chunks(went: anyhow::Result<Went>, usual: u16) -> Finding {
    const NAME: &str = "a body in chunks, without its length";
    match went {
        Ok(went) if status(&went) == Some(usual) => Finding::ok(format!("{NAME}: as with it")),
        Ok(went) => Finding::problem(format!("{NAME}: {}", instead(&went)))
            .why("SDKs that stream, and Relays, send so")
            .mend("have the proxy in front speak HTTP/1.1 (nginx: proxy_http_version 1.1)"),
        Err(error) => Finding::problem(format!("{NAME}: {error:#}")),
    }
}

fn parts(went: anyhow::Result<Went>, usual: u16) -> Finding {
    const NAME: &str = "Content-Encoding: gzip, which uploaders mean of each part";
    match went {
        Ok(went) if status(&went) == Some(usual) => Finding::ok(format!("{NAME}: left alone")),
        Ok(went) => Finding::problem(format!("{NAME}: {}", instead(&went)))
            .why("something unpacks bodies on the way, which breaks every chunk")
            .mend("turn that off for /api/0/ (a firewall's inspection, a decompressing filter)"),
        Err(error) => Finding::problem(format!("{NAME}: {error:#}")),
    }
}

fn slowly(went: anyhow::Result<Went>, pause: Duration, usual: u16) -> Finding {
    let shown = show_duration(pause);
    match went {
        Ok(went) if status(&went) == Some(usual) => Finding::ok(format!(
            "a body that stands still for {shown} is waited for"
        )),
        Ok(went) => Finding::problem(format!(
            "a body that stands still for {shown}: {}",
            instead(&went)
        ))
        .why("uploads over a poor line end so")
        .mend(
            "raise the proxy's time between two pieces of a body (nginx: client_body_timeout; \
             here: limits.body_idle)",
        ),
        Err(error) => Finding::problem(format!("a body that stands still for {shown}: {error:#}")),
    }
}
