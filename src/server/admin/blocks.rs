//! `/api/v1/blocks`: the clients that are not heard, and the end of it before its time. Never
//! blocks anybody.

use std::net::IpAddr;

use http::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::telemetry::clock::rfc3339;

use super::{Answer, Desk, error_answer, json_answer, not_allowed};
use crate::server::client::blocking::moment;

/// The path of all, and of one behind a slash.
pub(super) const PATH: &str = "/api/v1/blocks";

/// So many are listed; of the others the number is enough.
const LISTED_MAX: usize = 1000;

impl Desk {
    /// `/api/v1/blocks`, and `/api/v1/blocks/<ip>`.
    pub(super) fn blocks(&self, method: &Method, path: &str) -> Answer {
        match (path.strip_prefix(PATH), method) {
            (Some(""), &(Method::GET | Method::HEAD)) => {
                json_answer(StatusCode::OK, &self.listed())
            }
            (Some(""), _) => not_allowed("GET, HEAD"),
            (Some(rest), &Method::DELETE) => self.lift(rest.trim_start_matches('/')),
            (_, _) => not_allowed("DELETE"),
        }
    }

    fn listed(&self) -> Value {
        let shared = &self.shared;
        let blocked = shared.blocks.blocked(shared.millis(Instant::now()));
        let count = blocked.len();
        let shown = blocked.into_iter().take(LISTED_MAX).map(|one| {
            json!({
                "ip": one.client.to_string(),
                "until": rfc3339(moment(shared, one.until)),
                "misdeeds": one.strikes,
            })
        });
        json!({"blocked": count, "blocks": shown.collect::<Vec<_>>()})
    }

    fn lift(&self, client: &str) -> Answer {
        let Ok(client) = client.parse::<IpAddr>() else {
            let detail = "write the address of a client that GET /api/v1/blocks lists";
            return error_answer(StatusCode::BAD_REQUEST, detail);
        };
        let shared = &self.shared;
        match shared.blocks.lift(shared.millis(Instant::now()), client) {
            true => {
                tracing::info!("an operator lifted a block");
                json_answer(StatusCode::OK, &json!({"lifted": true}))
            }
            false => error_answer(StatusCode::NOT_FOUND, "this client is not blocked"),
        }
    }
}
