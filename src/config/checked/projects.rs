//! Owns who may send, and how much: the key policy, the quotas, the projects that
//! the operator lists, and the Sentry that knows the rest.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::{KeyMode, Secret, UpstreamUrl};
use crate::domain::credentials::Key;
use crate::domain::endpoint::ProjectId;
use crate::domain::filter::Filters;
use crate::domain::quota::Quota;
use crate::domain::relay::RelayCredentials;
use crate::domain::repeat::Repeat;
use crate::domain::sampling::Sample;

/// Which keys are let in, and how many are remembered.
#[derive(Clone, Debug, PartialEq)]
pub struct Keys {
    /// Default `learn`.
    pub mode: KeyMode,
    /// What all keys without a verdict share; default 50 a second.
    pub unproven_rate: Rate,
    /// Keys remembered as proven; default 100000, from 100 to 1000000. This and
    /// the three below are taken up at start only.
    pub proven_max: u64,
    /// Keys remembered on their way to be proven; default 20000, from 100 to 1000000.
    pub candidates_max: u64,
    /// Keys remembered as refused; default 50000, from 100 to 1000000.
    pub refused_max: u64,
    /// Keys whose limits the upstream told and that are remembered; default 20000,
    /// from 100 to 1000000.
    pub limited_max: u64,
}

/// So many in so long, as it was written: `60/m` and `1/s` differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// At least 1.
    pub count: u64,
    /// A second, a minute or an hour.
    pub per: Duration,
}

/// What holds for all projects together.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Global {
    /// At most 50, names unique; default none. By project, everybody shares one
    /// count.
    pub quotas: Vec<Quota>,
    /// Bytes of all projects together in a day of UTC; default none, written `off`.
    pub budget: Option<u64>,
}

/// What a project that says nothing of its own follows.
#[derive(Clone, Debug, PartialEq)]
pub struct Defaults {
    /// At most 50, names unique; default none.
    pub quotas: Vec<Quota>,
    /// Bytes of each project in a day of UTC; default none, written `off`.
    pub budget: Option<u64>,
    /// How much is kept; default all.
    pub sample: Sample,
    /// What is not wanted at all; default nothing.
    pub filters: Filters,
    /// How many of the same error of the same client are let through; default all.
    pub repeats: Option<Repeat>,
    /// The origins that pages may send from, as patterns; default `*`. Empty
    /// refuses every page that names its origin.
    pub allowed_origins: Vec<String>,
}

/// A project that the operator lists.
#[derive(Clone, Debug, PartialEq)]
pub struct Project {
    /// The number in a DSN's path.
    pub id: ProjectId,
    /// For people; up to 200 characters, never empty.
    pub name: Option<String>,
    /// The keys that may send to it; default none.
    pub keys: Vec<ProjectKey>,
    /// The origins that pages may send from, as patterns; `None` follows the
    /// default, else this replaces it whole.
    pub allowed_origins: Option<Vec<String>>,
    /// At most 50, names unique; `None` follows the default, else this replaces it
    /// whole, with none where it is empty.
    pub quotas: Option<Vec<Quota>>,
    /// Bytes in a day of UTC; the outer `None` follows the default, whatever `quotas` says.
    pub budget: Option<Option<u64>>,
    /// How much is kept; `None` follows the default, else this replaces it whole.
    pub sample: Option<Sample>,
    /// What is not wanted at all; `None` follows the default, else this replaces it
    /// whole.
    pub filters: Option<Filters>,
    /// How many of the same error of the same client are let through; the outer `None`
    /// follows the default.
    pub repeats: Option<Option<Repeat>>,
}

/// A key of a listed project.
#[derive(Clone, Debug, PartialEq)]
pub struct ProjectKey {
    /// The public key in a DSN.
    pub key: Key,
    /// For people; up to 200 characters, never empty.
    pub name: Option<String>,
    /// Default true; false refuses what carries the key.
    pub enabled: bool,
    /// Beside those of its project; at most 50, names unique among them, none by
    /// project; default none.
    pub quotas: Vec<Quota>,
}

/// The Sentry that is asked for its keys and projects. It has a token, or credentials, or both.
#[derive(Clone, Debug, PartialEq)]
pub struct Sentry {
    /// Its web server.
    pub url: UpstreamUrl,
    /// A token that may read projects, from `token` or from the file `token_file`, by which
    /// all keys are listed. Empty where the file was not read: see
    /// [`parse`](crate::config::parse).
    pub token: Option<Secret>,
    /// The file that `token` was read from; default none.
    pub token_file: Option<PathBuf>,
    /// What is proven with to Sentry that this is a relay, to be told its projects' states, from
    /// the file `credentials_file`. `None` where that was not read, as with a token.
    pub credentials: Option<Arc<RelayCredentials>>,
    /// The file that `credentials` were read from, written `credentials`; default none.
    pub credentials_file: Option<PathBuf>,
    /// How often it is asked; default 60 s, from 10 s to a day.
    pub interval: Duration,
}
