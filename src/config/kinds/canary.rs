//! Owns what is said of the canary: whose event it is, and where Sentry keeps it.

use serde_json::Value as Json;

use super::{Kind, Shown, refuse, scalar};
use crate::config::checked::CanaryDsn;
use crate::config::errors::Faults;
use crate::config::shape;
use crate::config::tree::Node;
use crate::domain::dsn;
use crate::domain::trial_event::is_slug;

/// A DSN, or none, written empty.
pub(in crate::config) struct SentryDsn;

impl Kind for SentryDsn {
    type Value = Option<CanaryDsn>;

    fn read(&self, node: &Node, faults: &mut Faults) -> Option<Self::Value> {
        const ACCEPTED: &str = "write one as SDKs have it: https://KEY@HOST/PROJECT";
        let text = scalar(node, faults, ACCEPTED)?.trim();
        if text.is_empty() {
            return Some(None);
        }
        match dsn::parse(text) {
            Ok(dsn) => Some(Some(CanaryDsn {
                text: format!(
                    "{}://{}@{}{}/{}",
                    dsn.scheme.as_str(),
                    dsn.key.as_str(),
                    dsn.authority,
                    dsn.prefix,
                    dsn.project
                ),
                key: dsn.key,
                project: dsn.project,
                authority: dsn.authority.to_owned(),
            })),
            Err(_) => refuse(node, faults, "not a DSN", ACCEPTED),
        }
    }

    fn show(&self, value: &Self::Value) -> Shown {
        let text = value.as_ref().map(|dsn| dsn.text.clone());
        text.map_or(Shown::Absent, Shown::Text)
    }

    fn shape(&self) -> Json {
        shape::text("^ *(https?://[^ ]+@[^ ]+/[0-9]+)? *$")
    }
}

/// An organization's slug, or none, written empty.
pub(in crate::config) struct Slug;

impl Kind for Slug {
    type Value = Option<String>;

    fn read(&self, node: &Node, faults: &mut Faults) -> Option<Self::Value> {
        const ACCEPTED: &str = "write it as Sentry's addresses have it: letters, digits, - and _";
        match scalar(node, faults, ACCEPTED)? {
            "" => Some(None),
            text if is_slug(text) => Some(Some(text.to_owned())),
            _ => refuse(node, faults, "not a slug", ACCEPTED),
        }
    }

    fn show(&self, value: &Self::Value) -> Shown {
        value.clone().map_or(Shown::Absent, Shown::Text)
    }

    fn shape(&self) -> Json {
        shape::text_or_digits("^[A-Za-z0-9_-]*$")
    }
}
