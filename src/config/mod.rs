//! Owns the configuration: a file and the environment in, one checked
//! [`Config`] or every error out.
//!
//! The walk: `tree` reads YAML into nodes that know their place and puts the
//! environment into `${VAR}`; `read` takes each node to its row in `keys`, the
//! one table that says which keys exist, how each is read and shown, and what
//! its variable is called (`bounds` says how much is too much); `kinds` are the ways a value can be written; `across`
//! judges what keys say together; `certificates` looks into the files that TLS stands on, and
//! `secrets` into those that hold one. `schema` says all of it to an editor, in `shape`s that each
//! kind knows of itself, with the `comments` of the file that we ship; `reference` says the same to a manual.
//! What comes out is `checked`. Only [`load`] and [`find`] touch the file system; nothing
//! here logs, resolves a name or keeps state.

mod across;
mod bounds;
mod certificates;
pub mod checked;
mod comments;
mod defaults;
mod draft;
mod env;
mod errors;
mod interpolate;
mod keys;
mod kinds;
mod read;
mod reference;
mod schema;
mod secrets;
mod shape;
mod show;
mod tree;
mod words;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::domain::category::Category;
use crate::domain::dsn_map::DsnMap;
use crate::domain::units;

use errors::Faults;
use kinds::categories::Asked;
use read::Checked;

pub use secrets::credentials_of;

pub use checked::*;
pub use env::Env;
pub use errors::{ConfigError, Errors, Place};
pub use reference::Told;

/// A configuration that can be run, and where it came from.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What is in force.
    pub config: Config,
    /// The file it was read from; `None` when the environment said it all.
    pub file: Option<PathBuf>,
    /// A digest of the file's bytes, for noticing that it changed; never for
    /// security. Files that it names are not part of it.
    pub digest: u64,
    /// What an operator should look at, one sentence each.
    pub warnings: Vec<String>,
    /// It was made by the program itself: there is nothing to read again.
    pub built_in: bool,
}

/// Larger files are refused unread: a hundred thousand projects with a million
/// keys stay below, and a path given by mistake may hold anything.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// Where the file is looked for when neither a flag nor `VIDETTE_CONFIG` names one.
const FILES: [&str; 2] = ["vidette.yml", "/etc/vidette/vidette.yml"];

/// Finds the configuration's file: the flag, else `VIDETTE_CONFIG`, else the
/// first of `./vidette.yml` and `/etc/vidette/vidette.yml` that exists.
///
/// A file that was named is returned unseen: that it is missing is for [`load`] to say.
pub fn find(flag: Option<&Path>, env: &Env) -> Option<PathBuf> {
    let named = flag
        .map(Path::to_path_buf)
        .or_else(|| env.value("VIDETTE_CONFIG").map(PathBuf::from));
    named.or_else(|| FILES.iter().map(PathBuf::from).find(|path| path.exists()))
}

/// Reads the file, lays the environment over it and checks the whole.
///
/// Blocks on the file system: not for a worker's thread.
pub fn load(file: Option<&Path>, env: &Env) -> Result<Loaded, Errors> {
    let (bytes, name) = match file {
        Some(path) => (bytes_of(path)?, Some(path.display().to_string())),
        None => (Vec::new(), None),
    };
    let mut checked = match &name {
        Some(name) => read::file(name, text_of(name, &bytes)?, env)?,
        None => read::environment(env)?,
    };
    secrets::read(&mut checked)?;
    look_at_certificates(&mut checked)?;
    look_at_disks(&mut checked);
    look_at_access_log(&mut checked);
    Ok(Loaded {
        config: checked.config,
        file: file.map(Path::to_path_buf),
        digest: digest(&bytes),
        warnings: checked.warnings,
        built_in: false,
    })
}

/// The nearest of `known`, if a slip of the fingers can explain the difference: one edit in three
/// characters, case and dashes aside, or one where many are meant.
pub fn nearest<'k>(written: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    errors::nearest(written, known)
}

/// A time as the configuration has it: `90s`, `40m`, `2h`. `None`: it is none.
#[must_use]
pub fn duration(text: &str) -> Option<std::time::Duration> {
    units::duration(text)
}

/// A category that something can be limited by, in the spelling of a quota's `categories`.
///
/// # Errors
/// What is wrong with it and what to write, the nearest name among it; never the text itself.
pub fn category(text: &str) -> Result<Category, String> {
    let named = Asked::COUNTED.category(text);
    named.map_err(|fault| format!("{}: {}", fault.wrong, fault.accepted))
}

/// Every environment variable that sets something, and the path of the key that it sets.
#[must_use]
pub fn variables() -> Vec<(String, String)> {
    keys::KEYS.iter().flat_map(read::settable).collect()
}

/// Every key with its default, its variable and what it means, for a manual.
#[must_use]
pub fn reference() -> Vec<Told> {
    reference::keys()
}

/// What the file that we ship says of itself, before its first key.
#[must_use]
pub fn head() -> String {
    reference::head()
}

/// The JSON Schema (2020-12) of a configuration file: every key with its default, its form and
/// what it means. What it refuses [`parse`] refuses too; what keys say together only that knows.
#[must_use]
pub fn schema() -> serde_json::Value {
    schema::schema()
}

/// The digest of a file's bytes that [`Loaded`] carries.
pub fn digest(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}

/// Checks a configuration's text with the environment laid over it; `name` is
/// what errors call the file. Reads no file, not even those that keys name: no
/// certificate is looked at, and the secrets of `admin.token_file`, `client_ip.hash_key_file` and `shared_quota.password_file`
/// are then absent,
/// those of `sentry.token_file` and of an external account's `key_file` are empty, and credentials absent. The strings are warnings.
pub fn parse(name: &str, text: &str, env: &Env) -> Result<(Config, Vec<String>), Errors> {
    let checked = read::file(name, text, env)?;
    Ok((checked.config, checked.warnings))
}

/// The keys that differ and that only a restart can take up.
pub fn needs_restart(old: &Config, new: &Config) -> Vec<&'static str> {
    let differs = [
        ("listen", old.listen != new.listen),
        ("acme", old.acme != new.acme),
        ("workers", old.workers != new.workers),
        ("user", old.user != new.user),
        (
            "keys.proven_max",
            old.keys.proven_max != new.keys.proven_max,
        ),
        (
            "keys.candidates_max",
            old.keys.candidates_max != new.keys.candidates_max,
        ),
        (
            "keys.refused_max",
            old.keys.refused_max != new.keys.refused_max,
        ),
        (
            "keys.limited_max",
            old.keys.limited_max != new.keys.limited_max,
        ),
        ("state.path", old.state.path != new.state.path),
        ("shared_quota", old.shared_quota != new.shared_quota),
        ("spool.path", old.spool.path != new.spool.path),
        ("mirrors", old.mirror_names() != new.mirror_names()),
        (
            "limits.quota_ips",
            old.limits.quota_ips != new.limits.quota_ips,
        ),
        (
            "limits.quota_counters",
            old.limits.quota_counters != new.limits.quota_counters,
        ),
        ("limits.repeats", old.limits.repeats != new.limits.repeats),
        (
            "limits.block.clients_max",
            old.limits.block.clients_max != new.limits.block.clients_max,
        ),
    ];
    differs
        .into_iter()
        .filter(|(_, differs)| *differs)
        .map(|(key, _)| key)
        .collect()
}

impl Config {
    /// Every default, in front of these ingest upstreams, which take the web
    /// traffic too.
    pub fn in_front_of(ingest: Vec<UpstreamUrl>) -> Self {
        let mut config = defaults::config();
        config.upstream.web.clone_from(&ingest);
        config.upstream.ingest = ingest;
        config
    }

    /// Whether any server is spoken to by TLS, be it this edge.
    pub fn reaches_by_tls(&self) -> bool {
        let upstreams = self.upstream.ingest.iter().chain(&self.upstream.web);
        let sentry = self.sentry.as_ref().map(|sentry| &sentry.url);
        let mirrors = self.mirrors.iter().flat_map(|mirror| &mirror.ingest);
        let mut all = upstreams.chain(sentry).chain(mirrors);
        all.any(|url| url.scheme == Scheme::Https) || self.canary_is_sealed()
    }

    /// A copy of all but the projects and the map of DSNs, of which there may be a hundred
    /// thousand each.
    pub fn without_projects(&self) -> Self {
        Self {
            workers: self.workers,
            user: self.user.clone(),
            listen: self.listen.clone(),
            acme: self.acme.clone(),
            admin: self.admin.clone(),
            upstream: self.upstream.clone(),
            serve_relays: self.serve_relays,
            inspect: self.inspect,
            client_ip: self.client_ip.clone(),
            keys: self.keys.clone(),
            global: self.global.clone(),
            defaults: self.defaults.clone(),
            projects: Vec::new(),
            dsn_map: DsnMap::default(),
            mirrors: self.mirrors.clone(),
            tunnel: self.tunnel.clone(),
            statics: self.statics.clone(),
            cache: self.cache.clone(),
            uploads: self.uploads.clone(),
            state: self.state.clone(),
            spool: self.spool.clone(),
            disk_guard: self.disk_guard.clone(),
            shared_quota: self.shared_quota.clone(),
            sentry: self.sentry.clone(),
            project_files: self.project_files.clone(),
            client_reports: self.client_reports.clone(),
            limits: self.limits.clone(),
            metrics: self.metrics.clone(),
            log: self.log.clone(),
            alerts: self.alerts.clone(),
            silence: self.silence.clone(),
            spikes: self.spikes.clone(),
            canary: self.canary.clone(),
            access_log: self.access_log.clone(),
        }
    }

    /// The whole configuration as a file, defaults included, secrets as `***`.
    /// It reads back as the same configuration, unless a secret stood in it.
    pub fn to_yaml(&self) -> String {
        show::yaml(self)
    }

    /// The same as [`Config::to_yaml`], in JSON.
    pub fn to_json(&self) -> serde_json::Value {
        show::json(self)
    }
}

fn bytes_of(path: &Path) -> Result<Vec<u8>, Errors> {
    use std::io::Read;

    let refused = |message: String| {
        Errors::from(ConfigError {
            place: Place::File(path.display().to_string()),
            message,
        })
    };
    let file =
        std::fs::File::open(path).map_err(|error| refused(format!("cannot be read: {error}")))?;
    let mut bytes = Vec::new();
    let read = file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes);
    read.map_err(|error| refused(format!("cannot be read: {error}")))?;
    match u64::try_from(bytes.len()) {
        Ok(length) if length <= FILE_BYTES_MAX => Ok(bytes),
        Ok(_) | Err(_) => Err(refused(
            "larger than 64 MiB, which is no configuration".to_owned(),
        )),
    }
}

fn text_of<'b>(name: &str, bytes: &'b [u8]) -> Result<&'b str, Errors> {
    std::str::from_utf8(bytes).map_err(|error| {
        let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        let start = before
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1);
        let column = String::from_utf8_lossy(before.get(start..).unwrap_or_default())
            .chars()
            .count()
            + 1;
        let place = Place::At {
            file: name.into(),
            line,
            column,
        };
        ConfigError {
            place,
            message: "not UTF-8; save the file in that encoding".to_owned(),
        }
        .into()
    })
}

/// Warns of a folder that is not there: nothing but lines of the access log depends on it.
fn look_at_access_log(checked: &mut Checked) {
    let log = &checked.config.access_log;
    if let AccessTarget::File(path) = &log.to
        && let Some(folder) = path.parent()
        && log.is_on()
        && !folder.is_dir()
    {
        let warning = "the folder of access_log.to is not there: its lines are dropped until it is";
        checked.warnings.push(warning.to_owned());
    }
}

/// Looks into the certificate files, which may be unusable, and warns of what ends soon.
fn look_at_certificates(checked: &mut Checked) -> Result<(), Errors> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now_s = now.map_or(0, |now| i64::try_from(now.as_secs()).unwrap_or(i64::MAX));
    let mut faults = Faults::default();
    certificates::look(&checked.config, &checked.files, now_s, &mut faults);
    checked.warnings.append(&mut faults.warnings);
    match faults.errors.is_empty() {
        true => Ok(()),
        false => Err(Errors(faults.errors)),
    }
}

/// Warns of guarded paths that do not exist: they may still come, and must not stop a start.
fn look_at_disks(checked: &mut Checked) {
    for (at, path) in checked.config.disk_guard.paths.iter().enumerate() {
        if let Err(error) = path.metadata() {
            let fault = error.kind();
            checked.warnings.push(format!(
                "disk_guard.paths[{at}] cannot be looked at ({fault}): that disk is not guarded \
                 until it can"
            ));
        }
    }
}

#[cfg(test)]
mod tests;
