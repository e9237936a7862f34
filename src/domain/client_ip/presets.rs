//! Networks of trusted hops by name, in one table.
//!
//! Owns the numbers and where each comes from; nothing here is fetched. A provider that changes
//! its networks changes this file, and until then its CIDRs can stand in the configuration.

use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// The preset names that the configuration accepts, in the order in which they are explained.
pub const PRESETS: &[&str] = &[
    "loopback",
    "private",
    "docker",
    "cloudflare",
    "gcp",
    "aliyun",
    "aws",
];

/// The networks behind a preset's name.
pub fn preset(name: &str) -> Option<&'static [IpNet]> {
    match name {
        "loopback" => Some(LOOPBACK),
        "private" => Some(PRIVATE),
        "docker" => Some(DOCKER),
        "cloudflare" => Some(CLOUDFLARE),
        "gcp" => Some(GCP),
        "aliyun" => Some(ALIYUN),
        "aws" => Some(AWS),
        _ => None,
    }
}

/// The machine itself: RFC 1122 section 3.2.1.3, RFC 4291 section 2.5.3.
const LOOPBACK: &[IpNet] = &[v4(127, 0, 0, 0, 8), v6([0, 0, 0, 0, 0, 0, 0, 1], 128)];

/// Private networks: RFC 1918; link-local, RFC 3927 and RFC 4291 section 2.5.6; unique local,
/// RFC 4193. Without the shared range of RFC 6598, where a provider's customers live.
const PRIVATE: &[IpNet] = &[
    v4(10, 0, 0, 0, 8),
    v4(172, 16, 0, 0, 12),
    v4(192, 168, 0, 0, 16),
    v4(169, 254, 0, 0, 16),
    v6([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7),
    v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10),
];

/// What self-hosted's nginx trusts: the default address pools of the Docker engine (172.17 to
/// 172.31, 192.168) and 10/8 for swarm's. Beyond nginx: loopback, for an outer proxy on the same
/// host, and fd00::/8, from which the engine's IPv6 networks are taken.
const DOCKER: &[IpNet] = &[
    v4(172, 17, 0, 0, 16),
    v4(172, 18, 0, 0, 16),
    v4(172, 19, 0, 0, 16),
    v4(172, 20, 0, 0, 14),
    v4(172, 24, 0, 0, 14),
    v4(172, 28, 0, 0, 14),
    v4(192, 168, 0, 0, 16),
    v4(10, 0, 0, 0, 8),
    v4(127, 0, 0, 0, 8),
    v6([0, 0, 0, 0, 0, 0, 0, 1], 128),
    v6([0xfd00, 0, 0, 0, 0, 0, 0, 0], 8),
];

/// Cloudflare's published lists, www.cloudflare.com/ips-v4 and /ips-v6, as they stood in 2026.
const CLOUDFLARE: &[IpNet] = &[
    v4(173, 245, 48, 0, 20),
    v4(103, 21, 244, 0, 22),
    v4(103, 22, 200, 0, 22),
    v4(103, 31, 4, 0, 22),
    v4(141, 101, 64, 0, 18),
    v4(108, 162, 192, 0, 18),
    v4(190, 93, 240, 0, 20),
    v4(188, 114, 96, 0, 20),
    v4(197, 234, 240, 0, 22),
    v4(198, 41, 128, 0, 17),
    v4(162, 158, 0, 0, 15),
    v4(104, 16, 0, 0, 13),
    v4(104, 24, 0, 0, 14),
    v4(172, 64, 0, 0, 13),
    v4(131, 0, 72, 0, 22),
    v6([0x2400, 0xcb00, 0, 0, 0, 0, 0, 0], 32),
    v6([0x2606, 0x4700, 0, 0, 0, 0, 0, 0], 32),
    v6([0x2803, 0xf800, 0, 0, 0, 0, 0, 0], 32),
    v6([0x2405, 0xb500, 0, 0, 0, 0, 0, 0], 32),
    v6([0x2405, 0x8100, 0, 0, 0, 0, 0, 0], 32),
    v6([0x2a06, 0x98c0, 0, 0, 0, 0, 0, 0], 29),
    v6([0x2c0f, 0xf248, 0, 0, 0, 0, 0, 0], 32),
];

/// Google's front ends towards backends: cloud.google.com/load-balancing/docs/firewall-rules.
///
/// An external application load balancer writes `client, its own address`, and that address is
/// the customer's: it has to be listed beside the preset.
const GCP: &[IpNet] = &[
    v4(35, 191, 0, 0, 16),
    v4(130, 211, 0, 0, 22),
    v6([0x2600, 0x2d00, 0x1, 0xb029, 0, 0, 0, 0], 64),
    v6([0x2600, 0x2d00, 0x1, 0x1, 0, 0, 0, 0], 64),
];

/// Alibaba Cloud's balancers reach backends from the shared range of RFC 6598.
const ALIYUN: &[IpNet] = &[v4(100, 64, 0, 0, 10)];

/// Balancers of AWS live in the customer's VPC: RFC 1918, or RFC 6598 where that is configured.
const AWS: &[IpNet] = &[
    v4(10, 0, 0, 0, 8),
    v4(172, 16, 0, 0, 12),
    v4(192, 168, 0, 0, 16),
    v4(100, 64, 0, 0, 10),
];

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix_bits: u8) -> IpNet {
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix_bits))
}

const fn v6(groups: [u16; 8], prefix_bits: u8) -> IpNet {
    let [a, b, c, d, e, f, g, h] = groups;
    IpNet::V6(Ipv6Net::new_assert(
        Ipv6Addr::new(a, b, c, d, e, f, g, h),
        prefix_bits,
    ))
}
