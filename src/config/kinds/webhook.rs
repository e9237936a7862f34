//! Owns where a webhook is: a URL whose path is a secret.

use http::uri::PathAndQuery;
use serde_json::Value as Json;

use super::{Kind, Shown, address, refuse, scalar};
use crate::config::checked::{Secret, WebhookUrl};
use crate::config::errors::Faults;
use crate::config::shape;
use crate::config::tree::Node;

/// A webhook's URL, or none, written empty.
pub(in crate::config) struct WebhookAddress;

impl Kind for WebhookAddress {
    type Value = Option<WebhookUrl>;

    fn read(&self, node: &Node, faults: &mut Faults) -> Option<Self::Value> {
        const ACCEPTED: &str = "write a URL such as https://hooks.example.com/services/T0/B0/x, \
                                or name a file in alerts.webhook.url_file";
        match scalar(node, faults, ACCEPTED)? {
            "" => Some(None),
            text => match webhook(text) {
                Ok(url) => Some(Some(url)),
                Err(wrong) => refuse(node, faults, wrong, ACCEPTED),
            },
        }
    }

    fn show(&self, value: &Self::Value) -> Shown {
        let url = value.as_ref().map(WebhookUrl::to_string);
        url.map_or(Shown::Absent, Shown::Text)
    }

    fn shape(&self) -> Json {
        shape::text("^(https?://[^#]+)?$")
    }
}

/// A webhook's URL, or what is wrong with it.
pub(in crate::config) fn webhook(text: &str) -> Result<WebhookUrl, &'static str> {
    // Longer fits into no head that anybody takes.
    const BYTES_MAX: usize = 4096;
    let text = text.trim();
    if text.len() > BYTES_MAX || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("not a URL");
    }
    let (scheme, rest) = text.split_once("://").ok_or("not a URL")?;
    if rest.contains('#') {
        return Err("a URL with a fragment");
    }
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, target) = rest.split_at_checked(end).ok_or("not a URL")?;
    if target.trim_start_matches('/') == Secret::MASK {
        return Err("the mask that stands for a path where one is shown");
    }
    let server = address::url(&format!("{scheme}://{authority}"))?;
    let target = match target.starts_with('/') {
        true => target.to_owned(),
        false => format!("/{target}"),
    };
    if PathAndQuery::try_from(target.as_str()).is_err() {
        return Err("not a path that a request may carry");
    }
    Ok(WebhookUrl {
        server,
        target: Secret::new(target),
    })
}
