//! A request's head as it would be had its client been given the new DSN. Owns which places of a
//! head name a key or a project, and what stays when a path is replaced; never looks at a body, and
//! never judges.

use http::header::AUTHORIZATION;
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderValue, Uri};

use crate::domain::credentials::{header_with_key, query_with_key};
use crate::domain::dsn_map::Move;

use crate::server::ingest::claims::X_SENTRY_AUTH;

/// Puts the new key and project in the old ones' places: path, query and the two headers that
/// may hold credentials. What cannot be rewritten stays, and its upstream says so.
pub(crate) fn move_head(head: &mut Parts, to: &Move) {
    let path = to.path(head.uri.path());
    let query = head.uri.query().map(|query| {
        let moved = query_with_key(query, &to.to_key);
        moved.unwrap_or_else(|| query.to_owned())
    });
    let path = path.as_deref().unwrap_or(head.uri.path());
    let target = match query {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    if let Ok(target) = PathAndQuery::try_from(target) {
        aim(head, target);
    }
    for name in [X_SENTRY_AUTH, AUTHORIZATION] {
        let value = head.headers.get(&name);
        let moved = value.and_then(|value| header_with_key(value.as_bytes(), &to.to_key));
        if let Some(moved) = moved.and_then(|moved| HeaderValue::from_bytes(&moved).ok()) {
            head.headers.insert(name, moved);
        }
    }
}

/// Asks for this path and query instead, of the same host: where the target names one, as HTTP/2
/// always does, that is still to be read.
pub(crate) fn aim(head: &mut Parts, target: PathAndQuery) {
    let mut parts = head.uri.clone().into_parts();
    parts.path_and_query = Some(target);
    if let Ok(uri) = Uri::from_parts(parts) {
        head.uri = uri;
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;
    use crate::domain::credentials::Key;
    use crate::domain::endpoint::ProjectId;

    const OLD: &str = "a94ae32be2584e0bbd7a4cbb95971fee";
    const NEW: &str = "b94ae32be2584e0bbd7a4cbb95971fee";

    fn keys(text: &str) -> String {
        text.replace("OLD", OLD).replace("NEW", NEW)
    }

    #[track_caller]
    fn check(target: &str, header: Option<(&str, &str)>, want: (&str, Option<&str>)) {
        let key = |text: &str| Key::parse(text.as_bytes()).unwrap();
        let to = Move {
            key: key(OLD),
            project: None,
            to_key: key(NEW),
            to_project: ProjectId::parse(b"42").unwrap(),
            to_upstream: None,
        };
        let mut request = Request::builder().uri(keys(target));
        if let Some((name, value)) = header {
            request = request.header(name, keys(value));
        }
        let mut head = request.body(()).unwrap().into_parts().0;
        move_head(&mut head, &to);
        assert_eq!(head.uri.to_string(), keys(want.0), "{target}");
        let value = header.map(|(name, _)| head.headers[name].to_str().unwrap().to_owned());
        assert_eq!(value, want.1.map(keys), "{target}");
    }

    #[test]
    fn each_place_of_a_head_gets_the_new_key() {
        check(
            "/api/12/envelope/?sentry_key=OLD&sentry_version=7",
            None,
            ("/api/42/envelope/?sentry_key=NEW&sentry_version=7", None),
        );
        check(
            "/api/12/store/",
            Some(("x-sentry-auth", "Sentry sentry_key=OLD, sentry_version=7")),
            (
                "/api/42/store/",
                Some("Sentry sentry_key=NEW, sentry_version=7"),
            ),
        );
        check(
            "/api/12/store/?a=b",
            Some(("authorization", "Sentry sentry_key=OLD")),
            ("/api/42/store/?a=b", Some("Sentry sentry_key=NEW")),
        );
        check(
            "/api/12/unreal/OLD/?UserID=x&AppVersion=1",
            None,
            ("/api/42/unreal/NEW/?UserID=x&AppVersion=1", None),
        );
        check(
            "/api/store/?sentry_key=OLD",
            None,
            ("/api/store/?sentry_key=NEW", None),
        );
    }

    #[test]
    fn the_host_of_a_target_stays() {
        check(
            "https://sentry.example:8443/api/12/envelope/?sentry_key=OLD",
            None,
            (
                "https://sentry.example:8443/api/42/envelope/?sentry_key=NEW",
                None,
            ),
        );
    }

    #[test]
    fn credentials_that_are_not_sentrys_stay() {
        check(
            "/api/12/envelope/",
            Some(("authorization", "Bearer OLD")),
            ("/api/42/envelope/", Some("Bearer OLD")),
        );
    }
}
