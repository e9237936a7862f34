//! How commands reach a running edge: one request to its admin address. Never
//! goes anywhere else, and gives up after a few seconds unless what is asked takes longer.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{anyhow, bail};
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::exchange::{Away, Heard, Hearing, PATIENCE, exchange, listen};
use super::plain;

/// Where the running edge is.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Address {
    /// The edge's admin address.
    #[arg(
        long,
        value_name = "ADDR",
        env = "VIDETTE_ADMIN",
        default_value = "127.0.0.1:9001",
        value_parser = socket
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

/// An address as people write it: of all names `localhost` alone, which asks nobody.
fn socket(text: &str) -> Result<SocketAddr, String> {
    let text = match text.split_once(':') {
        Some((host, port)) if host.eq_ignore_ascii_case("localhost") => {
            format!("{}:{port}", Ipv4Addr::LOCALHOST)
        }
        Some(_) | None => text.to_owned(),
    };
    let example = "write an IP address and a port, such as 127.0.0.1:9001, or localhost:9001";
    text.parse().map_err(|_| example.to_owned())
}

/// How long an edge may say nothing to who listens: it sends a word each 15 s.
const SILENCE: Duration = Duration::from_secs(45);

/// Said where something else than an edge's admin side answers.
const FOREIGN: &str =
    "what answers there is no vidette's admin address, or is of another version: see --admin";

/// An error with what to look at, where no edge was found.
fn found(error: anyhow::Error) -> anyhow::Error {
    match error.is::<Away>() {
        true => anyhow!(
            "{error:#}; does vidette run, and is that its listen.admin? Another is named by \
             --admin or VIDETTE_ADMIN"
        ),
        false => error,
    }
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

    /// The address as it is written.
    pub(super) fn place(&self) -> String {
        self.admin.to_string()
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
        let request = self.request(method, path, body)?;
        self.let_in(exchange(&to, None, request, patience).map_err(found)?)
    }

    fn request(
        &self,
        method: &Method,
        path: &str,
        body: Bytes,
    ) -> anyhow::Result<Request<Full<Bytes>>> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, self.admin.to_string());
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        if !method.is_safe() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        Ok(request.body(Full::new(body))?)
    }

    /// The answer, unless nobody is let in. No command can go on then, so each says the same.
    fn let_in(&self, answer: Response<Bytes>) -> anyhow::Result<Answer> {
        let (head, body) = answer.into_parts();
        let answer = Answer {
            status: head.status,
            body: String::from_utf8_lossy(&body).into_owned(),
        };
        if matches!(
            answer.status,
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN
        ) {
            bail!(
                "the edge at {} lets nobody in like this ({}: {}); unless both ends are on one \
                 machine it wants its admin token, with --token or VIDETTE_ADMIN_TOKEN, and a \
                 Host that admin.hosts lists",
                self.admin,
                answer.status,
                answer.fault()
            );
        }
        Ok(answer)
    }

    /// Listens to what goes on at `path`, line by line, for so long. `Some`: it does not go on
    /// there, and this is what was said.
    ///
    /// # Errors
    /// The edge is not there, lets nobody in, or has gone away.
    pub(super) fn listen(
        &self,
        path: &str,
        lasts: Option<Duration>,
        hear: impl FnMut(&str) -> Hearing,
    ) -> anyhow::Result<Option<Answer>> {
        let to = self.admin.to_string();
        let request = self.request(&Method::GET, path, Bytes::new())?;
        match listen(&to, request, lasts, SILENCE, hear).map_err(found)? {
            Heard::Enough => Ok(None),
            Heard::Refused(answer) => self.let_in(answer).map(Some),
            Heard::Ended => bail!("the edge at {to} has ended it: it stops, or starts anew"),
            Heard::Silent => bail!(
                "the edge at {to} has said nothing for {} s: it is gone, or cannot be reached",
                SILENCE.as_secs()
            ),
        }
    }
}

impl Answer {
    /// What a 200 says; any other status is an error in the edge's own words.
    pub(super) fn json<T: DeserializeOwned>(&self) -> anyhow::Result<T> {
        if self.status == StatusCode::OK {
            return self.read();
        }
        match serde_json::from_str::<Value>(&self.body) {
            Ok(Value::Object(_)) => bail!("the edge answered {}: {}", self.status, self.fault()),
            // An edge refuses with an object.
            Ok(_) | Err(_) => bail!("{FOREIGN} (it answered {})", self.status),
        }
    }

    /// What the body says, whatever the status.
    pub(super) fn read<T: DeserializeOwned>(&self) -> anyhow::Result<T> {
        // Which field is missing helps nobody who has asked the wrong port.
        serde_json::from_str(&self.body).map_err(|_| anyhow::anyhow!(FOREIGN))
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

    /// It stood there twice, and nobody was told what to look at.
    #[test]
    fn where_no_edge_is_found_its_address_is_said_once_and_what_to_look_at() {
        let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = Address::of(nobody.local_addr().unwrap());
        drop(nobody);
        let asked = address.ask(&Method::GET, "/").unwrap_err();
        let listened = address.listen("/", None, |_| Hearing::Enough).unwrap_err();
        for error in [asked, listened] {
            let said = format!("{error:#}");
            assert_eq!(said.matches(&address.place()).count(), 1, "{said}");
            for part in [
                "no connection to",
                "refused",
                "listen.admin",
                "--admin",
                "VIDETTE_ADMIN",
            ] {
                assert!(said.contains(part), "no {part} in: {said}");
            }
        }
    }

    #[test]
    fn an_address_is_numbers_or_localhost() {
        for (text, want) in [
            ("127.0.0.1:9001", "127.0.0.1:9001"),
            ("[::1]:9001", "[::1]:9001"),
            ("localhost:19501", "127.0.0.1:19501"),
            ("LocalHost:1", "127.0.0.1:1"),
        ] {
            assert_eq!(socket(text), Ok(want.parse().unwrap()), "{text}");
        }
        for text in [
            "",
            "9001",
            "localhost",
            "localhost:",
            "edge:9001",
            "127.0.0.1",
        ] {
            let error = socket(text).unwrap_err();
            assert!(error.contains("such as 127.0.0.1:9001"), "{text}: {error}");
        }
    }

    #[test]
    fn what_is_no_edge_is_called_so() {
        for (status, body) in [
            ("200 OK", r#"{"id":"9ec7"}"#),
            ("200 OK", "<html>"),
            ("404 Not Found", "<html>"),
            ("404 Not Found", ""),
        ] {
            let fake = Fake::start(move |_| json(status, body));
            let answer = Address::of(fake.address).ask(&Method::GET, "/x").unwrap();
            let error = answer.json::<Vec<u8>>().unwrap_err();
            let said = format!("{error:#}");
            assert!(said.contains("no vidette's admin address"), "{said}");
            assert!(!said.contains("line 1"), "{said}");
        }
        let fake = Fake::start(|_| json("503 Service Unavailable", r#"{"error":"busy"}"#));
        let answer = Address::of(fake.address).ask(&Method::GET, "/x").unwrap();
        let said = answer.json::<Value>().unwrap_err().to_string();
        assert!(said.ends_with(": busy"), "{said}");
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
