//! Owns where secrets come from: a key or a file, one of them, and the file's reading.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::domain::relay::RelayCredentials;

use super::checked::{Config, Secret, Sentry};
use super::draft::Draft;
use super::errors::{Errors, Faults, Place};
use super::kinds;
use super::read::{Checked, Reading};

/// More is no secret, and a path given by mistake may never end.
pub(super) const SECRET_BYTES_MAX: u64 = 64 << 10;

impl Reading {
    /// Each secret once: the environment's, whichever way it is given, goes
    /// before the file's.
    pub(super) fn secrets(&mut self) {
        let Self {
            draft: Draft { config, sentry },
            places,
            faults,
            ..
        } = self;
        let mut once = Once { places, faults };
        let (admin, client_ip) = (&mut config.admin, &mut config.client_ip);
        let (webhook, pool) = (&mut config.alerts.webhook, &mut config.shared_quota);
        once.keep("admin.token", &mut admin.token, &mut admin.token_file);
        once.keep(
            "client_ip.hash_key",
            &mut client_ip.hash_key,
            &mut client_ip.hash_key_file,
        );
        once.keep(
            "shared_quota.password",
            &mut pool.password,
            &mut pool.password_file,
        );
        once.keep("sentry.token", &mut sentry.token, &mut sentry.token_file);
        let canary = &mut config.canary;
        once.keep("canary.token", &mut canary.token, &mut canary.token_file);
        once.keep(
            "alerts.webhook.url",
            &mut webhook.url,
            &mut webhook.url_file,
        );
        once.keep(
            "alerts.webhook.token",
            &mut webhook.token,
            &mut webhook.token_file,
        );
    }
}

/// Keeps one of the two places of a secret.
struct Once<'r> {
    places: &'r BTreeMap<&'static str, Place>,
    faults: &'r mut Faults,
}

impl Once<'_> {
    fn keep<T>(&mut self, path: &str, secret: &mut Option<T>, file: &mut Option<PathBuf>) {
        let path_of_file = format!("{path}_file");
        let set = |path: &str| self.places.get(path);
        let variable = |path: &str| matches!(set(path), Some(Place::Variable(_)));
        match (variable(path), variable(&path_of_file)) {
            _ if secret.is_none() || file.is_none() => {}
            (true, false) => {
                *file = None;
                self.warn_over(path, &path_of_file);
            }
            (false, true) => {
                *secret = None;
                self.warn_over(&path_of_file, path);
            }
            (true, true) | (false, false) => {
                let place = set(&path_of_file).unwrap_or(&Place::Environment);
                let message = format!("both {path} and {path_of_file} are set; keep one");
                self.faults.error(place, message);
            }
        }
    }

    /// The environment's is kept, in whichever form the file has the other.
    fn warn_over(&mut self, kept: &str, other: &str) {
        let (kept, before) = (self.places.get(kept), self.places.get(other));
        let warning = kept.and_then(|kept| kept.over(other, before));
        self.faults.warnings.extend(warning);
    }
}

/// Reads the secrets that are named by their files. One that cannot be had is an error
/// where its file is named: the path may be a secret that was put there by mistake.
pub(super) fn read(checked: &mut Checked) -> Result<(), Errors> {
    let Checked {
        config,
        places,
        files,
        ..
    } = checked;
    let (mut faults, mut bad_urls) = (Faults::default(), Faults::default());
    let mut read = |path: &Option<PathBuf>, what: &str, key: &str| {
        let secret = secret_of(path.as_deref()?, what);
        let refused = |fault| {
            let place = places.get(key).or_else(|| files.get(key));
            let place = place.unwrap_or(&Place::Environment);
            faults.error(place, format!("the file of {key} {fault}"));
        };
        secret.map_err(refused).ok()
    };
    for (secret, file, what, key) in by_file(config) {
        if let Some(read) = read(file, what, key) {
            *secret = Some(read);
        }
    }
    if let Some(sentry) = &mut config.sentry
        && let Some(token) = read(&sentry.token_file, "token", "sentry.token_file")
    {
        sentry.token = Some(token);
    }
    const URL_FILE: &str = "alerts.webhook.url_file";
    let webhook = &mut config.alerts.webhook;
    let url = read(&webhook.url_file, "URL", URL_FILE);
    match url.map(|url| kinds::webhook(url.expose())).transpose() {
        Ok(None) => {}
        Ok(url) => webhook.url = url,
        Err(wrong) => {
            let place = places.get(URL_FILE).unwrap_or(&Place::Environment);
            let message = format!("the file of {URL_FILE} holds no URL of a webhook: {wrong}");
            bad_urls.error(place, message);
        }
    }
    if let Some(account) = &mut config.acme.external_account {
        const KEY_FILE: &str = "acme.external_account.key_file";
        if let Some(key) = read(&account.key_file, "key", KEY_FILE) {
            account.key = key;
            if account.key_bytes().is_none() {
                let place = files.get(KEY_FILE).unwrap_or(&Place::Environment);
                let message = format!("the file of {KEY_FILE} holds no key in base64url");
                faults.error(place, message);
            }
        }
    }
    if let Some(sentry) = &mut config.sentry
        && let Err(fault) = credentials(sentry)
    {
        const CREDENTIALS: &str = "sentry.credentials";
        let place = places.get(CREDENTIALS).or_else(|| files.get(CREDENTIALS));
        let place = place.unwrap_or(&Place::Environment);
        faults.error(place, format!("the file of {CREDENTIALS} {fault}"));
    }
    faults.errors.append(&mut bad_urls.errors);
    in_order(faults)
}

/// A secret that is only read: its place, its file, what it is, and the file's key.
type ByFile<'c> = (
    &'c mut Option<Secret>,
    &'c Option<PathBuf>,
    &'static str,
    &'static str,
);

fn by_file(config: &mut Config) -> [ByFile<'_>; 5] {
    let (admin, client_ip) = (&mut config.admin, &mut config.client_ip);
    let (pool, canary) = (&mut config.shared_quota, &mut config.canary);
    let hook = &mut config.alerts.webhook;
    let hash_key = &client_ip.hash_key_file;
    let password = &pool.password_file;
    [
        (
            &mut admin.token,
            &admin.token_file,
            "token",
            "admin.token_file",
        ),
        (
            &mut client_ip.hash_key,
            hash_key,
            "key",
            "client_ip.hash_key_file",
        ),
        (
            &mut pool.password,
            password,
            "password",
            "shared_quota.password_file",
        ),
        (
            &mut canary.token,
            &canary.token_file,
            "token",
            "canary.token_file",
        ),
        (
            &mut hook.token,
            &hook.token_file,
            "token",
            "alerts.webhook.token_file",
        ),
    ]
}

/// What is wrong, in the order of its places.
fn in_order(mut faults: Faults) -> Result<(), Errors> {
    let errors = &mut faults.errors;
    errors.sort_by(|one, other| one.place.cmp(&other.place));
    match errors.is_empty() {
        true => Ok(()),
        false => Err(Errors(faults.errors)),
    }
}

/// Reads the credentials that prove to Sentry who asks, where a file is named.
fn credentials(sentry: &mut Sentry) -> Result<(), String> {
    if let Some(path) = &sentry.credentials_file {
        sentry.credentials = Some(Arc::new(credentials_of(path)?));
    }
    Ok(())
}

/// The secret that a file holds, or what is wrong with the file.
fn secret_of(path: &Path, what: &str) -> Result<Secret, String> {
    let text = text_of(path).map_err(|error| format!("cannot be read: {error}"))?;
    let secret = text.as_deref().and_then(kinds::token);
    secret.ok_or_else(|| format!("holds no {what} (one line of visible ASCII)"))
}

/// The credentials that a file of a Relay's holds.
///
/// # Errors
/// What is wrong with the file, to stand behind its name.
pub fn credentials_of(path: &Path) -> Result<RelayCredentials, String> {
    let text = text_of(path).map_err(|error| match error.kind() == io::ErrorKind::NotFound {
        true => "is not there: vidette credentials generate FILE makes one".to_owned(),
        false => format!("cannot be read: {error}"),
    })?;
    let read = RelayCredentials::parse(&text.unwrap_or_default());
    read.map_err(|fault| fault.to_string())
}

/// A file's text; `None`: it is too long to be a secret's.
fn text_of(path: &Path) -> io::Result<Option<String>> {
    let mut text = String::new();
    let length = File::open(path)?
        .take(SECRET_BYTES_MAX + 1)
        .read_to_string(&mut text)?;
    let whole = u64::try_from(length).is_ok_and(|length| length <= SECRET_BYTES_MAX);
    Ok(whole.then_some(text))
}
