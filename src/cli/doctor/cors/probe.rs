//! What a browser sends when a page reports to Sentry, and what came back.
//!
//! Owns the two requests. Never judges an answer.

use bytes::Bytes;
use http::header::HOST;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::Full;

use super::super::super::place::{Authorities, Place};

/// The two questions of a browser.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ask {
    /// May the page send this? Asked where the SDK sets headers of its own.
    Preflight,
    /// The report itself.
    Report,
}

impl Ask {
    /// In the order in which a browser asks them.
    pub(super) const BOTH: [Ask; 2] = [Ask::Preflight, Ask::Report];

    /// How findings call it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Preflight => "preflight",
            Self::Report => "POST",
        }
    }

    const fn method(self) -> Method {
        match self {
            Self::Preflight => Method::OPTIONS,
            Self::Report => Method::POST,
        }
    }
}

/// An answer without its body.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    /// The body begins like a page, whatever its head says.
    pub(super) is_page: bool,
}

/// The page that is played.
pub(super) struct Probe {
    /// The project in the path.
    pub(super) project: u64,
    /// Path and query, from `/api/` on.
    pub(super) path: String,
    /// As a browser writes it.
    pub(super) origin: String,
    /// Whose word about the front is believed.
    pub(super) authorities: Authorities,
}

impl Probe {
    /// Sends one of the two and reads the answer; a redirect is not followed.
    pub(super) fn send(&self, ask: Ask, to: &Place) -> anyhow::Result<Answer> {
        let mut request = Request::builder()
            .method(ask.method())
            .uri(format!("{}{}", to.prefix, self.path))
            .header(HOST, &to.authority);
        for (name, value) in self.headers(ask) {
            request = request.header(name, value);
        }
        // Without a body the edge refuses whatever the key is, and nothing is stored.
        let request = request.body(Full::new(Bytes::new()))?;
        to.exchange(request, &self.authorities).map(Answer::of)
    }

    /// What Firefox and Chromium set by themselves, as far as a server looks at it.
    pub(super) fn headers(&self, ask: Ask) -> Vec<(&'static str, String)> {
        let mut headers = vec![
            ("origin", self.origin.clone()),
            ("referer", format!("{}/", self.origin)),
            ("user-agent", "Mozilla/5.0 (vidette doctor)".to_owned()),
            ("accept", "*/*".to_owned()),
        ];
        match ask {
            Ask::Preflight => headers.extend([
                ("access-control-request-method", "POST".to_owned()),
                (
                    "access-control-request-headers",
                    "content-type,x-sentry-auth".to_owned(),
                ),
            ]),
            Ask::Report => headers.extend([
                ("content-type", "text/plain;charset=UTF-8".to_owned()),
                ("content-length", "0".to_owned()),
            ]),
        }
        headers
    }
}

impl Answer {
    fn of(response: Response<Bytes>) -> Self {
        let (head, body) = response.into_parts();
        Self {
            status: head.status,
            headers: head.headers,
            is_page: body.trim_ascii_start().starts_with(b"<"),
        }
    }

    /// The values of a header; several lines and commas in one are the same to a browser.
    pub(super) fn values(&self, name: &str) -> Vec<String> {
        let lines = self.headers.get_all(name).iter();
        let lines: Vec<String> = lines
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
            .collect();
        let values = lines.iter().flat_map(|line| line.split(','));
        values
            .map(|value| value.trim().to_owned())
            .filter(|value| !value.is_empty())
            .collect()
    }

    /// Whether a list names this, or everything.
    pub(super) fn lists(&self, name: &str, wanted: &str) -> bool {
        let values = self.values(name);
        values
            .iter()
            .any(|value| value == "*" || value.eq_ignore_ascii_case(wanted))
    }
}
