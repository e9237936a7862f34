//! Owns whose word about the client's address is believed, and what becomes of it.

use std::path::PathBuf;

use ipnet::IpNet;

use super::{Secret, StorePolicy};
use crate::domain::client_ip::HeaderForm;
use crate::domain::networks::Networks;

/// How the client's address is found and handed on.
#[derive(Clone, Debug, PartialEq)]
pub struct ClientIpRules {
    /// Whose word about the client's address is believed; default `docker`.
    pub trusted_proxies: TrustedProxies,
    /// Where trusted proxies put it; default `x-forwarded-for`.
    pub header: ForwardedHeader,
    /// The headers that carry the one address upstream, lower case; default
    /// `x-forwarded-for`. Empty sends none.
    pub send_as: Vec<String>,
    /// What is kept of the address and sent on; default `full`.
    pub store: StorePolicy,
    /// What addresses are hashed with where `store` is `hash`, from `hash_key` or
    /// from the file `hash_key_file`; default none, which leaves it to the edge to
    /// make one.
    pub hash_key: Option<Secret>,
    /// The file that `hash_key` was read from; default none.
    pub hash_key_file: Option<PathBuf>,
}

/// Peers whose word about the client's address is believed.
#[derive(Clone, Debug, PartialEq)]
pub struct TrustedProxies {
    /// CIDRs and presets as the operator wrote them.
    pub written: Vec<String>,
    /// The same with the presets spelled out.
    pub nets: Vec<IpNet>,
}

impl TrustedProxies {
    /// The set to ask; build it once per policy, not per request.
    pub fn hops(&self) -> Networks {
        self.nets.iter().copied().collect()
    }
}

/// The header in which trusted proxies name the client.
#[derive(Clone, Debug, PartialEq)]
pub struct ForwardedHeader {
    /// Lower case.
    pub name: String,
    /// How its value reads; follows from the name.
    pub form: HeaderForm,
}
