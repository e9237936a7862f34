//! `/api/v1/incidents`: what is the matter, and what was; and a message to try the webhook with.
//! Never starts or ends an incident.

use http::{Method, StatusCode};
use serde_json::json;

use super::{Answer, Desk, error_answer, get, json_answer, not_allowed};

/// The path of all.
pub(super) const PATH: &str = "/api/v1/incidents";

/// The path that sends a message.
pub(super) const TEST: &str = "/api/v1/incidents/test";

impl Desk {
    /// `/api/v1/incidents`.
    pub(super) fn incidents(&self, method: &Method) -> Answer {
        get(method, || {
            json_answer(StatusCode::OK, &self.incidents.told(&self.shared))
        })
    }

    /// `/api/v1/incidents/test`: waits for the receiver, for `alerts.webhook.timeout` at most.
    pub(super) async fn try_webhook(&self, method: &Method) -> Answer {
        if method != Method::POST {
            return not_allowed("POST");
        }
        if self.shared.rules.load().config.alerts.webhook.url.is_none() {
            let detail = "there is no webhook: alerts.webhook.url is not set";
            return error_answer(StatusCode::CONFLICT, detail);
        }
        match self.incidents.try_webhook(&self.shared).await {
            Ok(status) => {
                let told = json!({"delivered": true, "status": status});
                json_answer(StatusCode::OK, &told)
            }
            Err(fault) => {
                let detail = format!("the webhook did not take the message: {fault}");
                error_answer(StatusCode::BAD_GATEWAY, &detail)
            }
        }
    }
}
