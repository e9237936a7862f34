//! Where a request goes, and what its endpoint asks of it.
//!
//! Owns the facts of each ingestion endpoint and the form of a project's number; its neighbour
//! owns the route table. Never looks at policy: what is allowed here may still be refused there.

mod project_id;
mod route;

pub use project_id::ProjectId;
pub use route::{Ingest, Project, Route, route};

/// What an ingestion request is posted to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Endpoint {
    /// Envelopes: the main path.
    Envelope,
    /// Single events of old clients.
    Store,
    /// Reports of browsers about policies: CSP, expect-CT, expect-staple, HPKP.
    Security,
    /// Network error logging of browsers.
    Nel,
    /// Crash dumps of native programs.
    Minidump,
    /// Crash reports of Unreal Engine, the key in the path.
    Unreal,
    /// Attachments added to an event sent before.
    Attachments,
    /// Check-ins of scheduled jobs by plain HTTP.
    Cron,
    /// A resumable upload's beginning.
    UploadCreate,
    /// A resumable upload's parts; the query is signed.
    UploadChunk,
    /// OpenTelemetry traces.
    OtlpTraces,
    /// OpenTelemetry logs.
    OtlpLogs,
    /// Log drains and the like of named vendors.
    Integration,
    /// Crash reports of consoles.
    Playstation,
    /// Anything else below a project: forwarded, the upstream knows.
    Unknown,
}

impl Endpoint {
    /// Every endpoint, in the order of their declaration.
    pub const ALL: &[Endpoint] = &[
        Endpoint::Envelope,
        Endpoint::Store,
        Endpoint::Security,
        Endpoint::Nel,
        Endpoint::Minidump,
        Endpoint::Unreal,
        Endpoint::Attachments,
        Endpoint::Cron,
        Endpoint::UploadCreate,
        Endpoint::UploadChunk,
        Endpoint::OtlpTraces,
        Endpoint::OtlpLogs,
        Endpoint::Integration,
        Endpoint::Playstation,
        Endpoint::Unknown,
    ];

    /// The endpoint's name, safe as a label value.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Envelope => "envelope",
            Self::Store => "store",
            Self::Security => "security",
            Self::Nel => "nel",
            Self::Minidump => "minidump",
            Self::Unreal => "unreal",
            Self::Attachments => "attachments",
            Self::Cron => "cron",
            Self::UploadCreate => "upload_create",
            Self::UploadChunk => "upload_chunk",
            Self::OtlpTraces => "otlp_traces",
            Self::OtlpLogs => "otlp_logs",
            Self::Integration => "integration",
            Self::Playstation => "playstation",
            Self::Unknown => "unknown",
        }
    }

    /// Whether the endpoint has this method; OPTIONS always, since the edge answers preflights.
    pub fn allows(self, method: &str) -> bool {
        // What we do not know in full, the upstream judges.
        matches!(self, Self::Integration | Self::Unknown)
            || self.allowed().split(", ").any(|allowed| allowed == method)
    }

    /// The value of the `Allow` header that goes with a 405.
    pub const fn allowed(self) -> &'static str {
        match self {
            Self::Store | Self::Cron => "GET, POST, OPTIONS",
            // TUS asks for its offset by HEAD before it resumes.
            Self::UploadChunk => "HEAD, PATCH, OPTIONS",
            Self::Envelope
            | Self::Security
            | Self::Nel
            | Self::Minidump
            | Self::Unreal
            | Self::Attachments
            | Self::UploadCreate
            | Self::OtlpTraces
            | Self::OtlpLogs
            | Self::Playstation => "POST, OPTIONS",
            Self::Integration | Self::Unknown => "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS",
        }
    }

    /// Whether a request can be kept and sent later: its answer says nothing that only the
    /// upstream knows, and its client does not wait for more than that.
    #[must_use]
    pub const fn can_wait(self) -> bool {
        match self {
            Self::Envelope
            | Self::Store
            | Self::Security
            | Self::Nel
            | Self::Minidump
            | Self::Unreal
            | Self::Attachments
            | Self::Cron => true,
            Self::UploadCreate
            | Self::UploadChunk
            | Self::OtlpTraces
            | Self::OtlpLogs
            | Self::Integration
            | Self::Playstation
            | Self::Unknown => false,
        }
    }

    /// Whether a request that names no key in header, query or path is refused at its head.
    ///
    /// False where a key may still come (an envelope's first line), where another proof stands in
    /// (the signed query of an upload's parts), and where only the upstream knows the rules.
    pub const fn needs_key(self) -> bool {
        match self {
            Self::Envelope | Self::UploadChunk | Self::Integration | Self::Unknown => false,
            Self::Store
            | Self::Security
            | Self::Nel
            | Self::Minidump
            | Self::Unreal
            | Self::Attachments
            | Self::Cron
            | Self::UploadCreate
            | Self::OtlpTraces
            | Self::OtlpLogs
            | Self::Playstation => true,
        }
    }

    /// Whether a limited request gets the usual success answer, because its clients retry on 429
    /// or do not understand it.
    pub const fn never_429(self) -> bool {
        matches!(self, Self::Nel | Self::Minidump | Self::Unreal | Self::Cron)
    }

    /// Whether the endpoint takes this `Content-Type`; where it does not, the answer is 415.
    ///
    /// Parameters and case do not count. Most endpoints take anything, and an envelope must never
    /// be refused for it: browsers post it as plain text.
    pub fn accepts_content_type(self, content_type: Option<&[u8]>) -> bool {
        let full = content_type.unwrap_or_default();
        let media = full
            .split(|&byte| byte == b';')
            .next()
            .unwrap_or_default()
            .trim_ascii();
        let is = |known: &[u8]| media.eq_ignore_ascii_case(known);
        match self {
            Self::Security => {
                is(b"application/json")
                    || is(b"application/csp-report")
                    || is(b"application/expect-ct-report")
                    || is(b"application/expect-staple-report")
                    || is_application_json_suffix(media)
            }
            Self::Nel => is(b"application/json") || is(b"application/reports+json"),
            Self::OtlpTraces | Self::OtlpLogs => {
                is(b"application/json") || is(b"application/x-protobuf")
            }
            Self::Envelope
            | Self::Store
            | Self::Minidump
            | Self::Unreal
            | Self::Attachments
            | Self::Cron
            | Self::UploadCreate
            | Self::UploadChunk
            | Self::Integration
            | Self::Playstation
            | Self::Unknown => true,
        }
    }
}

/// `application/...+json`: browsers named their report types so over the years. Taking one that
/// the upstream refuses costs a forward; refusing one that it takes would lose reports.
fn is_application_json_suffix(media: &[u8]) -> bool {
    const PREFIX: &[u8] = b"application/";
    const SUFFIX: &[u8] = b"+json";
    media.len() > PREFIX.len() + SUFFIX.len()
        && media
            .split_at_checked(PREFIX.len())
            .is_some_and(|(head, _)| head.eq_ignore_ascii_case(PREFIX))
        && media
            .split_at_checked(media.len() - SUFFIX.len())
            .is_some_and(|(_, tail)| tail.eq_ignore_ascii_case(SUFFIX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_distinct_and_every_endpoint_is_listed_once() {
        let mut names: Vec<_> = Endpoint::ALL
            .iter()
            .map(|endpoint| endpoint.name())
            .collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(
            names.len(),
            Endpoint::ALL.len(),
            "two endpoints share a name"
        );
    }

    #[test]
    fn the_allow_header_lists_exactly_what_is_allowed() {
        let methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
        for endpoint in Endpoint::ALL {
            for method in methods {
                let listed = endpoint
                    .allowed()
                    .split(", ")
                    .any(|allowed| allowed == method);
                assert_eq!(
                    endpoint.allows(method),
                    listed,
                    "{method} on {}",
                    endpoint.name()
                );
            }
        }
    }

    #[track_caller]
    fn check_methods(endpoint: Endpoint, allowed: &[&str], refused: &[&str]) {
        for method in allowed {
            assert!(
                endpoint.allows(method),
                "{method} refused on {}",
                endpoint.name()
            );
        }
        for method in refused {
            assert!(
                !endpoint.allows(method),
                "{method} allowed on {}",
                endpoint.name()
            );
        }
    }

    #[test]
    fn each_endpoint_has_its_methods() {
        let post_alone = [
            "GET",
            "HEAD",
            "PUT",
            "PATCH",
            "DELETE",
            "post",
            "POS",
            "",
            "POST, OPTIONS",
        ];
        check_methods(Endpoint::Envelope, &["POST", "OPTIONS"], &post_alone);
        check_methods(Endpoint::Minidump, &["POST", "OPTIONS"], &post_alone);
        check_methods(Endpoint::OtlpTraces, &["POST", "OPTIONS"], &post_alone);
        check_methods(
            Endpoint::Store,
            &["GET", "POST", "OPTIONS"],
            &["HEAD", "PUT"],
        );
        check_methods(
            Endpoint::Cron,
            &["GET", "POST", "OPTIONS"],
            &["HEAD", "PUT"],
        );
        check_methods(
            Endpoint::UploadCreate,
            &["POST", "OPTIONS"],
            &["PATCH", "HEAD"],
        );
        check_methods(
            Endpoint::UploadChunk,
            &["PATCH", "HEAD", "OPTIONS"],
            &["POST", "GET"],
        );
        check_methods(Endpoint::Unknown, &["GET", "PROPFIND", "x"], &[]);
        check_methods(Endpoint::Integration, &["GET", "PUT", "PROPFIND"], &[]);
    }

    #[test]
    fn only_endpoints_that_can_do_without_a_key_do() {
        use Endpoint::{Envelope, Integration, Unknown, UploadChunk};
        for endpoint in Endpoint::ALL {
            let without = [Envelope, UploadChunk, Integration, Unknown].contains(endpoint);
            assert_eq!(endpoint.needs_key(), !without, "{}", endpoint.name());
        }
    }

    #[test]
    fn endpoints_whose_clients_retry_never_answer_429() {
        use Endpoint::{Cron, Minidump, Nel, Unreal};
        for endpoint in Endpoint::ALL {
            let never = [Nel, Minidump, Unreal, Cron].contains(endpoint);
            assert_eq!(endpoint.never_429(), never, "{}", endpoint.name());
        }
    }

    #[track_caller]
    fn check_types(endpoint: Endpoint, taken: &[&str], refused: &[&str]) {
        let accepts = |media: &&str| endpoint.accepts_content_type(Some(media.as_bytes()));
        for media in taken {
            assert!(accepts(media), "{media:?} refused on {}", endpoint.name());
        }
        for media in refused {
            assert!(!accepts(media), "{media:?} taken on {}", endpoint.name());
        }
    }

    #[test]
    fn browsers_report_types_are_taken_and_others_refused() {
        check_types(
            Endpoint::Security,
            &[
                "application/json",
                "application/csp-report",
                "Application/CSP-Report; charset=utf-8",
                "application/expect-ct-report",
                "application/expect-ct-report+json",
                "application/expect-staple-report",
                " application/json ;",
            ],
            &[
                "",
                "text/plain",
                "application/jso",
                "application/+json",
                "text/x+json",
                "json",
            ],
        );
        check_types(
            Endpoint::Nel,
            &["application/json", "application/reports+json;charset=utf-8"],
            &[
                "",
                "application/csp-report",
                "text/plain",
                "application/reports",
            ],
        );
        for otlp in [Endpoint::OtlpTraces, Endpoint::OtlpLogs] {
            check_types(
                otlp,
                &["application/json", "application/x-protobuf"],
                &["", "application/protobuf", "application/grpc", "text/plain"],
            );
        }
    }

    #[test]
    fn an_absent_type_is_refused_where_a_type_is_needed_and_nowhere_else() {
        use Endpoint::{Nel, OtlpLogs, OtlpTraces, Security};
        for endpoint in Endpoint::ALL {
            let needs_one = [Security, Nel, OtlpTraces, OtlpLogs].contains(endpoint);
            assert_eq!(
                endpoint.accepts_content_type(None),
                !needs_one,
                "{}",
                endpoint.name()
            );
        }
    }

    #[test]
    fn an_envelope_is_taken_whatever_its_type() {
        check_types(
            Endpoint::Envelope,
            &[
                "application/x-sentry-envelope",
                "text/plain;charset=UTF-8",
                "",
                "\u{0}",
            ],
            &[],
        );
    }
}
