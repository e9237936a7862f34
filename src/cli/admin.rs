//! How commands reach a running edge: one request to its admin address. Never
//! goes anywhere else, and gives up after a few seconds unless what is asked takes longer.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{Method, Request, StatusCode};
use http_body_util::Full;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::exchange::{PATIENCE, exchange};
use super::plain;

/// Where the running edge is.
#[derive(Debug, clap::Args)]
pub(super) struct Address {
    /// The edge's admin address.
    #[arg(
        long,
        value_name = "ADDR",
        env = "VIDETTE_ADMIN",
        default_value = "127.0.0.1:9001"
    )]
    admin: SocketAddr,
    /// The admin token, if the edge is on another machine.
    #[arg(
        long,
        value_name = "TOKEN",
        env = "VIDETTE_ADMIN_TOKEN",
        hide_env_values = true
    )]
    token: Option<String>,
}

/// A status and the body that came with it.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: String,
}

impl Address {
    /// Asks the edge for `path`; a POST carries an empty JSON object.
    pub(super) fn ask(&self, method: &Method, path: &str) -> anyhow::Result<Answer> {
        let body = if *method == Method::POST {
            Bytes::from_static(b"{}")
        } else {
            Bytes::new()
        };
        self.send(method, path, body, PATIENCE)
    }

    /// Asks the edge to drop what `path` names, and waits so long until it has.
    pub(super) fn delete(&self, path: &str, patience: Duration) -> anyhow::Result<Answer> {
        self.send(&Method::DELETE, path, Bytes::new(), patience)
    }

    /// Posts a JSON value to `path`.
    pub(super) fn post(&self, path: &str, body: &Value) -> anyhow::Result<Answer> {
        self.send(&Method::POST, path, body.to_string().into(), PATIENCE)
    }

    /// Deletes `path`, saying this.
    pub(super) fn end(&self, path: &str, body: &Value) -> anyhow::Result<Answer> {
        self.send(&Method::DELETE, path, body.to_string().into(), PATIENCE)
    }

    /// The machine the edge is on, as far as it is known here.
    pub(super) const fn ip(&self) -> IpAddr {
        self.admin.ip()
    }

    fn send(
        &self,
        method: &Method,
        path: &str,
        body: Bytes,
        patience: Duration,
    ) -> anyhow::Result<Answer> {
        let to = self.admin.to_string();
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, &to);
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        if !method.is_safe() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let (head, body) = exchange(&to, request.body(Full::new(body))?, patience)?.into_parts();
        let answer = Answer {
            status: head.status,
            body: String::from_utf8_lossy(&body).into_owned(),
        };
        // No command can go on without being let in, so each says the same.
        if matches!(
            answer.status,
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN
        ) {
            bail!(
                "the edge at {to} lets nobody in like this ({}: {}); unless both ends are on one \
                 machine it wants its admin token, with --token or VIDETTE_ADMIN_TOKEN, and a \
                 Host that admin.hosts lists",
                answer.status,
                answer.fault()
            );
        }
        Ok(answer)
    }
}

impl Answer {
    /// What a 200 says; any other status is an error in the edge's own words.
    pub(super) fn json<T: DeserializeOwned>(&self) -> anyhow::Result<T> {
        if self.status != StatusCode::OK {
            bail!("the edge answered {}: {}", self.status, self.fault());
        }
        serde_json::from_str(&self.body).context("the edge's answer is not what was asked for")
    }

    /// The `error` of a refusal, or the body where it has none.
    pub(super) fn fault(&self) -> String {
        let parsed: Value = serde_json::from_str(&self.body).unwrap_or_default();
        let named = parsed.get("error").and_then(Value::as_str);
        plain(named.unwrap_or(&self.body))
    }
}

#[cfg(test)]
impl Address {
    /// A local edge that asks for no token.
    pub(super) const fn of(admin: SocketAddr) -> Self {
        Self { admin, token: None }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake::{Fake, json};
    use super::*;

    #[test]
    fn a_closed_door_names_the_key_to_it() {
        for status in ["401 Unauthorized", "403 Forbidden"] {
            let fake = Fake::start(move |_| json(status, r#"{"error":"set admin.token_file"}"#));
            let address = Address::of(fake.address);
            let error = address.ask(&Method::GET, "/api/v1/status").unwrap_err();
            let said = format!("{error:#}");
            for part in [
                "set admin.token_file",
                "--token",
                "VIDETTE_ADMIN_TOKEN",
                status,
            ] {
                assert!(said.contains(part), "no {part} in: {said}");
            }
        }
    }

    #[test]
    fn a_posted_value_arrives_with_the_token() {
        let fake = Fake::start(|_| json("200 OK", "{}"));
        let address = Address {
            admin: fake.address,
            token: Some("s3cret".to_owned()),
        };
        let value = serde_json::json!({"a": [1, 2]});
        assert_eq!(
            address.post("/api/v1/x", &value).unwrap().status,
            StatusCode::OK
        );
        let asked = fake.asked();
        assert_eq!((&*asked[0].method, &*asked[0].path), ("POST", "/api/v1/x"));
        assert_eq!(asked[0].header("authorization"), ["Bearer s3cret"]);
        assert_eq!(asked[0].header("content-type"), ["application/json"]);
        assert_eq!(asked[0].body, value.to_string());
    }
}
