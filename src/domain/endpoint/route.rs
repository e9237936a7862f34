//! The route table of self-hosted's nginx, by prefix.
//!
//! Looks at the normalised path alone; never at a method, a host, a query or the raw path.

use super::{Endpoint, ProjectId};

/// Which part of the edge answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route<'p> {
    /// `/api/store/` and `/api/<number>/...`: the ingest upstream.
    Ingest(Ingest<'p>),
    /// `/api/0/relays/...`: the ingest upstream, for those whom `serve_relays` lets in.
    Relays,
    /// `/api/relay` and below: Relay's own health and metrics, never public.
    RelayInternal,
    /// `/_assets/...`: web's `/_static/dist/sentry/...`.
    Assets {
        /// What follows `/_assets/`.
        rest: &'p [u8],
    },
    /// `/_static/...`: web.
    Static,
    /// Web routes that carry source maps, debug files and mapping files: large bodies, long waits.
    Upload,
    /// Everything else: web.
    Web,
}

/// An ingestion request, as far as its path tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ingest<'p> {
    /// What it is posted to.
    pub endpoint: Endpoint,
    /// Whose it is.
    pub project: Project,
    /// The key in the path of unreal and cron requests; its form is not checked yet.
    pub path_key: Option<&'p [u8]>,
}

/// What the path says about the project.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Project {
    /// The path names it.
    Number(ProjectId),
    /// `/api/store/`, the oldest form: the key alone tells.
    OfKey,
    /// Digits that no 64-bit number holds.
    Unparsable,
}

/// The route of a normalised path: prefixes as in self-hosted's nginx, so that an endpoint we have
/// not heard of reaches the ingest upstream like the others.
pub fn route(normalised: &[u8]) -> Route<'_> {
    if let Some(api) = normalised.strip_prefix(b"/api/") {
        return route_api(api);
    }
    if let Some(rest) = normalised.strip_prefix(b"/_assets/") {
        return Route::Assets { rest };
    }
    match normalised.starts_with(b"/_static/") {
        true => Route::Static,
        false => Route::Web,
    }
}

fn route_api(api: &[u8]) -> Route<'_> {
    let digits = api.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if let Some((number @ [b'1'..=b'9', ..], tail)) = api.split_at_checked(digits)
        && let Some(tail) = tail.strip_prefix(b"/")
    {
        let project = ProjectId::parse(number).map_or(Project::Unparsable, Project::Number);
        let (endpoint, path_key) = endpoint_of(tail);
        return Route::Ingest(Ingest {
            endpoint,
            project,
            path_key,
        });
    }
    if let Some(tail) = api.strip_prefix(b"store/") {
        let endpoint = if tail.is_empty() {
            Endpoint::Store
        } else {
            Endpoint::Unknown
        };
        return Route::Ingest(Ingest {
            endpoint,
            project: Project::OfKey,
            path_key: None,
        });
    }
    if let Some(web_api) = api.strip_prefix(b"0/") {
        return match web_api {
            _ if web_api.starts_with(b"relays/") => Route::Relays,
            _ if carries_upload(web_api) => Route::Upload,
            _ => Route::Web,
        };
    }
    match api == b"relay" || api.starts_with(b"relay/") {
        true => Route::RelayInternal,
        false => Route::Web,
    }
}

/// No ingestion path that we know has more segments than this, its last slash counted as one.
const SEGMENTS_MAX: usize = 6;

/// The endpoint behind `/api/<number>/`, and the key if the path carries one.
fn endpoint_of(tail: &[u8]) -> (Endpoint, Option<&[u8]>) {
    let mut segments: [&[u8]; SEGMENTS_MAX] = [b""; SEGMENTS_MAX];
    let mut count = 0;
    for (slot, segment) in segments
        .iter_mut()
        .zip(tail.splitn(SEGMENTS_MAX, |&byte| byte == b'/'))
    {
        *slot = segment;
        count += 1;
    }
    let endpoint = match segments.get(..count).unwrap_or_default() {
        [b"envelope", b""] => Endpoint::Envelope,
        [b"store", b""] => Endpoint::Store,
        [b"security" | b"csp-report", b""] => Endpoint::Security,
        [b"nel", b""] => Endpoint::Nel,
        [b"minidump"] | [b"minidump", b""] => Endpoint::Minidump,
        [b"unreal", key, b""] => return (Endpoint::Unreal, Some(key)),
        [b"events", _, b"attachments", b""] => Endpoint::Attachments,
        [b"cron", slug] | [b"cron", slug, b""] if !slug.is_empty() => Endpoint::Cron,
        [b"cron", _, key] | [b"cron", _, key, b""] => return (Endpoint::Cron, Some(key)),
        [b"upload"] | [b"upload", b""] => Endpoint::UploadCreate,
        [b"upload", _, b""] => Endpoint::UploadChunk,
        [b"integration", b"otlp", b"v1", b"traces"]
        | [b"integration", b"otlp", b"v1", b"traces", b""]
        | [b"otlp", b"v1", b"traces"]
        | [b"otlp", b"v1", b"traces", b""] => Endpoint::OtlpTraces,
        [b"integration", b"otlp", b"v1", b"logs"]
        | [b"integration", b"otlp", b"v1", b"logs", b""] => Endpoint::OtlpLogs,
        [b"integration", name, ..] if !name.is_empty() => Endpoint::Integration,
        [b"playstation", b""] => Endpoint::Playstation,
        _ => Endpoint::Unknown,
    };
    (endpoint, None)
}

/// Whether a path below `/api/0/` is one that sentry-cli and build plugins upload through.
///
/// A release's version may hold slashes once decoded, so what follows it is looked for at the end
/// or in the middle, not at a fixed place. A path that merely resembles an upload gains a larger
/// body limit and nothing else: web still asks for its token.
fn carries_upload(web_api: &[u8]) -> bool {
    let mut segments = web_api.splitn(4, |&byte| byte == b'/');
    let kind = segments.next();
    let _organisation = segments.next();
    let (second, rest) = (
        segments.next().unwrap_or_default(),
        segments.next().unwrap_or_default(),
    );
    match kind {
        Some(b"organizations") => match second {
            b"chunk-upload" => rest.is_empty(),
            b"artifactbundle" => matches!(rest, b"assemble" | b"assemble/"),
            b"releases" => is_release_upload(rest),
            _ => false,
        },
        Some(b"projects") => match rest.strip_prefix(b"releases/") {
            Some(release) => is_release_upload(release),
            None => rest
                .strip_prefix(b"files/")
                .is_some_and(|file| !file.is_empty()),
        },
        _ => false,
    }
}

/// `{version}/files/...` or `{version}/assemble/`, with or without the last slash.
fn is_release_upload(release: &[u8]) -> bool {
    let release = release.strip_suffix(b"/").unwrap_or(release);
    release.ends_with(b"/assemble")
        || release.ends_with(b"/files")
        || memchr::memmem::find(release, b"/files/").is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(path: &str, want: Route<'_>) {
        assert_eq!(route(path.as_bytes()), want, "{path:?}");
    }

    /// An ingestion route of project 42, `tail` standing behind its number.
    #[track_caller]
    fn check_42(tail: &str, endpoint: Endpoint, path_key: Option<&str>) {
        let project = Project::Number(ProjectId::parse(b"42").expect("a number"));
        let path_key = path_key.map(str::as_bytes);
        check(
            &format!("/api/42/{tail}"),
            Route::Ingest(Ingest {
                endpoint,
                project,
                path_key,
            }),
        );
    }

    #[test]
    fn ingestion_endpoints_are_told_by_their_path() {
        check_42("envelope/", Endpoint::Envelope, None);
        check_42("store/", Endpoint::Store, None);
        check_42("security/", Endpoint::Security, None);
        check_42("csp-report/", Endpoint::Security, None);
        check_42("nel/", Endpoint::Nel, None);
        check_42("minidump/", Endpoint::Minidump, None);
        check_42("minidump", Endpoint::Minidump, None);
        check_42("unreal/abc/", Endpoint::Unreal, Some("abc"));
        check_42("events/0123/attachments/", Endpoint::Attachments, None);
        check_42("cron/nightly", Endpoint::Cron, None);
        check_42("cron/nightly/", Endpoint::Cron, None);
        check_42("cron/nightly/abc", Endpoint::Cron, Some("abc"));
        check_42("cron/nightly/abc/", Endpoint::Cron, Some("abc"));
        check_42("upload", Endpoint::UploadCreate, None);
        check_42("upload/", Endpoint::UploadCreate, None);
        check_42("upload/x1/", Endpoint::UploadChunk, None);
        check_42("integration/otlp/v1/traces", Endpoint::OtlpTraces, None);
        check_42("integration/otlp/v1/traces/", Endpoint::OtlpTraces, None);
        check_42("integration/otlp/v1/logs/", Endpoint::OtlpLogs, None);
        check_42("otlp/v1/traces", Endpoint::OtlpTraces, None);
        check_42("otlp/v1/traces/", Endpoint::OtlpTraces, None);
        check_42("integration/vercel/logs/", Endpoint::Integration, None);
        check_42("integration/heroku/a/b/c/d/e", Endpoint::Integration, None);
        check_42("integration/otlp/v1/metrics/", Endpoint::Integration, None);
        check_42("playstation/", Endpoint::Playstation, None);
    }

    #[test]
    fn what_is_not_exactly_an_endpoint_is_an_unknown_one() {
        for tail in [
            "",
            "envelope",
            "envelope/x",
            "envelope/x/",
            "Envelope/",
            "store",
            "security",
            "nel",
            "minidump/x",
            "unreal/",
            "unreal/abc",
            "unreal/abc/x/",
            "events/0123/attachments",
            "events/attachments/",
            "cron",
            "cron/",
            "cron/a/b/c",
            "upload/x1",
            "otlp/v1/logs/",
            "otlp/",
            "integration",
            "integration/",
            "playstation",
            "a/b/c/d/e/f/g/h",
        ] {
            check_42(tail, Endpoint::Unknown, None);
        }
    }

    #[test]
    fn the_oldest_store_leaves_the_project_to_the_key() {
        let of_key = |endpoint| {
            Route::Ingest(Ingest {
                endpoint,
                project: Project::OfKey,
                path_key: None,
            })
        };
        check("/api/store/", of_key(Endpoint::Store));
        check("/api/store/x", of_key(Endpoint::Unknown));
        check("/api/store", Route::Web);
        check("/api/stores/", Route::Web);
    }

    #[test]
    fn numbers_that_are_no_projects_go_where_nginx_sends_them() {
        let unparsable = Route::Ingest(Ingest {
            endpoint: Endpoint::Envelope,
            project: Project::Unparsable,
            path_key: None,
        });
        let largest = ProjectId::parse(b"18446744073709551615").expect("a number");
        let project = Project::Number(largest);
        let endpoint = Endpoint::Envelope;
        let at_the_limit = Route::Ingest(Ingest {
            endpoint,
            project,
            path_key: None,
        });
        check("/api/18446744073709551615/envelope/", at_the_limit);
        check("/api/18446744073709551616/envelope/", unparsable);
        check("/api/1", Route::Web);
        check("/api/01/envelope/", Route::Web);
        check("/api/0/envelope/", Route::Web);
        check("/api/-1/envelope/", Route::Web);
        check("/api/1a/envelope/", Route::Web);
        check("/api/\u{661}/envelope/", Route::Web);
        check("/api//envelope/", Route::Web);
    }

    #[test]
    fn relays_and_their_internals_are_told_apart_from_web() {
        check("/api/0/relays/", Route::Relays);
        check("/api/0/relays/projectconfigs/", Route::Relays);
        check("/api/0/relays", Route::Web);
        check("/api/0/relaysx/", Route::Web);
        check("/api/relay", Route::RelayInternal);
        check("/api/relay/", Route::RelayInternal);
        check("/api/relay/healthcheck/live/", Route::RelayInternal);
        check("/api/relays/", Route::Web);
    }

    #[test]
    fn static_files_have_their_routes() {
        check("/_assets/app.js", Route::Assets { rest: b"app.js" });
        check("/_assets/", Route::Assets { rest: b"" });
        check("/_assets", Route::Web);
        check("/_static/dist/sentry/app.js", Route::Static);
        check("/_static", Route::Web);
    }

    #[test]
    fn uploads_of_build_tools_are_told_apart() {
        for path in [
            "organizations/o/chunk-upload/",
            "organizations/o/chunk-upload",
            "organizations/o/artifactbundle/assemble/",
            "organizations/o/releases/1.0/assemble/",
            "organizations/o/releases/app@1.0/rc/files/",
            "organizations/o/releases/1.0/files",
            "organizations/o/releases/1.0/files/7/",
            "projects/o/p/files/dsyms/",
            "projects/o/p/files/difs/assemble/",
            "projects/o/p/files/preprodartifacts/assemble/",
            "projects/o/p/releases/app@1.0/rc/files/",
        ] {
            check(&format!("/api/0/{path}"), Route::Upload);
        }
        for path in [
            "",
            "organizations/",
            "organizations/o/",
            "organizations/o/chunk-upload/x",
            "organizations/o/chunk-uploads/",
            "organizations/o/artifactbundle/",
            "organizations/o/releases/",
            "organizations/o/releases/files/",
            "organizations/o/releases/1.0/",
            "organizations/o/releases/1.0/deploys/",
            "organizations/o/files/dsyms/",
            "projects/o/p/",
            "projects/o/p/files",
            "projects/o/p/files/",
            "projects/o/p/filesx/dsyms/",
            "projects/o/p/releases/1.0/commits/",
            "users/me/regions/",
        ] {
            check(&format!("/api/0/{path}"), Route::Web);
        }
        check("/api/1/organizations/o/chunk-upload/", {
            let project = Project::Number(ProjectId::parse(b"1").expect("a number"));
            Route::Ingest(Ingest {
                endpoint: Endpoint::Unknown,
                project,
                path_key: None,
            })
        });
    }

    #[test]
    fn everything_else_is_web() {
        for path in [
            "/",
            "",
            "/api",
            "/api/",
            "/API/1/envelope/",
            "/x/api/1/envelope/",
            "/auth/login/",
            "/js-sdk-loader/abc.min.js",
            "/api/embed/error-page/",
            "/_health/",
            "/js-sdk/8.0.0/bundle.min.js",
        ] {
            check(path, Route::Web);
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_routing_panic(path in prop::collection::vec(any::<u8>(), 0..60)) {
            let _somewhere = route(&path);
        }

        #[test]
        fn every_path_below_a_project_is_ingest(number in 1..=u64::MAX, tail in "[a-z0-9/.-]{0,40}") {
            let path = format!("/api/{number}/{tail}");
            let Route::Ingest(ingest) = route(path.as_bytes()) else {
                return Err(TestCaseError::fail(format!("{path} is not ingest")));
            };
            let Project::Number(project) = ingest.project else {
                return Err(TestCaseError::fail(format!("{path} has no project")));
            };
            prop_assert_eq!(project.get(), number);
        }
    }
}
