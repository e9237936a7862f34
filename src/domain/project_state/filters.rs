//! A state's `filterSettings` (PROTOCOL 10) as our own. Those that need more of an event than is
//! read here are left to Sentry, which filters again anyway.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{object, value};
use crate::domain::filter::Filters;
use crate::domain::glob::Glob;

/// Addresses and patterns of one list, as many as the configuration takes.
const NETWORKS_MAX: usize = 10_000;
const PATTERNS_MAX: usize = 1_000;

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Settings<'r> {
    #[serde(borrow)]
    client_ips: Option<&'r RawValue>,
    #[serde(borrow)]
    web_crawlers: Option<&'r RawValue>,
    #[serde(borrow)]
    releases: Option<&'r RawValue>,
    #[serde(borrow)]
    error_messages: Option<&'r RawValue>,
    #[serde(borrow)]
    localhost: Option<&'r RawValue>,
    #[serde(borrow)]
    generic: Option<&'r RawValue>,
    #[serde(borrow)]
    csp: Option<&'r RawValue>,
    #[serde(borrow)]
    browser_extensions: Option<&'r RawValue>,
    #[serde(borrow)]
    legacy_browsers: Option<&'r RawValue>,
    #[serde(borrow)]
    ignore_transactions: Option<&'r RawValue>,
}

/// One filter: a switch, a list, or both.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Setting<'r> {
    #[serde(borrow)]
    is_enabled: Option<&'r RawValue>,
    #[serde(borrow)]
    blacklisted_ips: Option<&'r RawValue>,
    #[serde(borrow)]
    releases: Option<&'r RawValue>,
    #[serde(borrow)]
    patterns: Option<&'r RawValue>,
    #[serde(borrow)]
    disallowed_sources: Option<&'r RawValue>,
    #[serde(borrow)]
    filters: Option<&'r RawValue>,
}

impl Setting<'_> {
    fn of(field: Option<&RawValue>) -> Setting<'_> {
        let setting = field.and_then(|field| object(field.get()));
        setting.unwrap_or_default()
    }

    /// Whether it is on; where it does not say, `otherwise`.
    fn is_on(&self, otherwise: bool) -> bool {
        value(self.is_enabled).unwrap_or(otherwise)
    }
}

/// Reads the settings.
pub(super) fn read(settings: &RawValue, left_out: &mut BTreeSet<&'static str>) -> Option<Filters> {
    let settings: Settings<'_> = object(settings.get())?;
    let [ips, releases, messages] = [
        Setting::of(settings.client_ips),
        Setting::of(settings.releases),
        Setting::of(settings.error_messages),
    ];
    let mut list = |setting: &Setting<'_>, field, most, word| {
        let texts = texts(field).filter(|_| setting.is_on(true));
        let mut texts = texts.unwrap_or_default();
        if texts.len() > most {
            left_out.insert(word);
            texts.truncate(most);
        }
        texts
    };
    let networks = list(
        &ips,
        ips.blacklisted_ips,
        NETWORKS_MAX,
        "filterSettings.clientIps",
    );
    let releases = list(
        &releases,
        releases.releases,
        PATTERNS_MAX,
        "filterSettings.releases",
    );
    let messages = list(
        &messages,
        messages.patterns,
        PATTERNS_MAX,
        "filterSettings.errorMessages",
    );
    let read = Filters {
        client_ips: each(&networks, network, "filterSettings.clientIps", left_out),
        crawlers: Setting::of(settings.web_crawlers).is_on(false),
        releases: each(&releases, glob, "filterSettings.releases", left_out),
        error_messages: each(&messages, glob, "filterSettings.errorMessages", left_out),
        localhost: Setting::of(settings.localhost).is_on(false),
        ..Filters::default()
    };
    left_out.extend(others(&settings));
    Some(read)
}

/// The filters that are on and not known here.
fn others(settings: &Settings<'_>) -> impl Iterator<Item = &'static str> {
    let some = |field| texts_or_more(field) > 0;
    let generic = Setting::of(settings.generic);
    let csp = Setting::of(settings.csp);
    [
        ("filterSettings.generic", some(generic.filters)),
        ("filterSettings.csp", some(csp.disallowed_sources)),
        (
            "filterSettings.browserExtensions",
            Setting::of(settings.browser_extensions).is_on(false),
        ),
        (
            "filterSettings.legacyBrowsers",
            Setting::of(settings.legacy_browsers).is_on(false),
        ),
        (
            "filterSettings.ignoreTransactions",
            Setting::of(settings.ignore_transactions).is_on(false),
        ),
    ]
    .into_iter()
    .filter_map(|(word, on)| on.then_some(word))
}

/// How many elements a list has.
fn texts_or_more(field: Option<&RawValue>) -> usize {
    let elements: Vec<&RawValue> = value(field).unwrap_or_default();
    elements.len()
}

/// The texts of a list; what is none is passed over.
fn texts(field: Option<&RawValue>) -> Option<Vec<String>> {
    let elements: Vec<&RawValue> = value(field)?;
    let texts = elements
        .into_iter()
        .filter_map(|element| value(Some(element)));
    Some(
        texts
            .filter(|text: &String| !text.trim().is_empty())
            .collect(),
    )
}

/// Each text as it is meant; `word` tells that some are not.
fn each<T>(
    texts: &[String],
    read: impl Fn(&str) -> Option<T>,
    word: &'static str,
    left_out: &mut BTreeSet<&'static str>,
) -> Vec<T> {
    let read: Vec<T> = texts.iter().filter_map(|text| read(text.trim())).collect();
    if read.len() < texts.len() {
        left_out.insert(word);
    }
    read
}

fn glob(text: &str) -> Option<Glob> {
    Glob::parse(text).ok()
}

/// A network, or an address alone.
fn network(text: &str) -> Option<IpNet> {
    let alone = || text.parse::<IpAddr>().ok().map(IpNet::from);
    text.parse::<IpNet>().ok().or_else(alone)
}
