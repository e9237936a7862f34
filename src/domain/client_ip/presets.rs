//! Networks of trusted hops by name.
//!
//! Owns how `presets.txt` is read; the numbers and where each comes from stand there. Nothing is
//! fetched: a provider that changes its networks changes that file, and until then its CIDRs can
//! stand in the configuration.

use std::sync::LazyLock;

use ipnet::IpNet;

/// The preset names that the configuration accepts, in the order in which they are explained.
pub const PRESETS: &[&str] = &[
    "loopback",
    "private",
    "docker",
    "podman",
    "cloudflare",
    "gcp",
    "aliyun",
    "aws",
];

/// The networks behind a preset's name. The first call reads them all.
pub fn preset(name: &str) -> Option<&'static [IpNet]> {
    let named = TABLE.iter().find(|preset| preset.name == name);
    named.map(|preset| preset.networks.as_slice())
}

/// The presets whose networks only balancers and CDNs speak from. `aws` is left out:
/// all of it is private ranges, where visitors may sit too.
pub const FRONTS: [&str; 3] = ["cloudflare", "gcp", "aliyun"];

/// The preset of a front that all of a network is part of.
pub fn front_of(network: &IpNet) -> Option<&'static str> {
    FRONTS.into_iter().find(|name| {
        preset(name).is_some_and(|fronts| fronts.iter().any(|front| front.contains(network)))
    })
}

/// The file as it was when this was built.
pub(super) const TEXT: &str = include_str!("presets.txt");

static TABLE: LazyLock<Vec<Preset>> =
    LazyLock::new(|| parse(TEXT).expect("the tests have read every line"));

/// One section of the file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Preset {
    pub(super) name: String,
    pub(super) networks: Vec<IpNet>,
}

/// The file cannot be read as presets.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line} is neither a new name nor a network under one")]
pub(super) struct BadLine {
    /// Counted from one.
    pub(super) line: usize,
}

/// Reads sections; a network with bits behind its prefix is refused, since it would be a guess.
pub(super) fn parse(text: &str) -> Result<Vec<Preset>, BadLine> {
    let mut presets: Vec<Preset> = Vec::new();
    for (before, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let bad = BadLine { line: before + 1 };
        let name = line
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'));
        if let Some(name) = name {
            if name.is_empty() || presets.iter().any(|preset| preset.name == name) {
                return Err(bad);
            }
            presets.push(Preset {
                name: name.to_owned(),
                networks: Vec::new(),
            });
            continue;
        }
        match (presets.last_mut(), line.parse::<IpNet>()) {
            (Some(preset), Ok(network)) if network == network.trunc() => {
                preset.networks.push(network);
            }
            (Some(_) | None, Ok(_) | Err(_)) => return Err(bad),
        }
    }
    Ok(presets)
}
