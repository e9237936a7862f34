//! Chains as they are met in the field: what is answered here, beside what the nginx.conf that
//! self-hosted ships answered to the same header.

use super::Source::{Header, Private, Unknown};
use super::*;

/// One header from a trusted peer, the gateway of a Docker network.
struct Chain {
    header: &'static str,
    trusted: &'static [&'static str],
    ours: (&'static str, Source),
    /// Measured with nginx 1.22.1, loopback added to its list for the peer; `None`: not measured.
    nginx: Option<&'static str>,
    /// Why ours is the better answer where the two differ; else what is to be known of the row.
    note: &'static str,
}

const PEER: &str = DOCKER_GATEWAY;
const VISITOR: &str = "203.0.113.9";
const DOCKER: &[&str] = &["docker"];

/// The ten chains that were measured, those with a mended answer twice: as the default trusts, and
/// with the preset of the provider that stands in front.
const MEASURED: &[Chain] = &[
    Chain {
        header: "6.6.6.6",
        trusted: DOCKER,
        ours: ("6.6.6.6", Header),
        nginx: Some("6.6.6.6"),
        note: "whoever is trusted can choose it: that is what trust means",
    },
    Chain {
        header: "6.6.6.6, 203.0.113.9",
        trusted: DOCKER,
        ours: (VISITOR, Header),
        nginx: Some(VISITOR),
        note: "the visitor's own word is not read",
    },
    Chain {
        header: "203.0.113.9, 172.18.0.1",
        trusted: DOCKER,
        ours: (VISITOR, Header),
        nginx: Some(VISITOR),
        note: "a front proxy in another Docker network",
    },
    Chain {
        header: "2001:db8::5, 172.18.0.1",
        trusted: DOCKER,
        ours: ("2001:db8::5", Header),
        nginx: Some("2001:db8::5"),
        note: "an IPv6 visitor behind an IPv4 hop",
    },
    Chain {
        header: "203.0.113.9:55123",
        trusted: DOCKER,
        ours: (VISITOR, Header),
        nginx: Some(VISITOR),
        note: "Azure's gateways write ports",
    },
    Chain {
        header: "unknown",
        trusted: DOCKER,
        ours: (PEER, Unknown),
        nginx: Some(PEER),
        note: "the peer did not say whom it saw",
    },
    Chain {
        header: "10.1.2.3",
        trusted: DOCKER,
        ours: ("10.1.2.3", Private),
        nginx: Some("10.1.2.3"),
        note: "all are trusted: the left-most",
    },
    Chain {
        header: "203.0.113.9, fd00::7",
        trusted: DOCKER,
        ours: (VISITOR, Header),
        nginx: Some("fd00::7"),
        note: "nginx's list has no IPv6, the docker preset has the engine's fd00::/8",
    },
    Chain {
        header: "203.0.113.9, 100.64.3.4",
        trusted: DOCKER,
        ours: ("100.64.3.4", Private),
        nginx: Some("100.64.3.4"),
        note: "wrong in both until the balancer is trusted; ours is counted as private",
    },
    Chain {
        header: "203.0.113.9, 100.64.3.4",
        trusted: &["docker", "aliyun"],
        ours: (VISITOR, Header),
        nginx: Some("100.64.3.4"),
        note: "the balancer's range is a preset",
    },
    Chain {
        header: "203.0.113.9, 172.70.82.11",
        trusted: DOCKER,
        ours: ("172.70.82.11", Header),
        nginx: Some("172.70.82.11"),
        note: "wrong in both until Cloudflare is trusted",
    },
    Chain {
        header: "203.0.113.9, 172.70.82.11",
        trusted: &["docker", "cloudflare"],
        ours: (VISITOR, Header),
        nginx: Some("172.70.82.11"),
        note: "Cloudflare's networks are a preset",
    },
];

/// A row that was not measured.
const fn chain(
    header: &'static str,
    trusted: &'static [&'static str],
    ours: (&'static str, Source),
    note: &'static str,
) -> Chain {
    Chain {
        header,
        trusted,
        ours,
        nginx: None,
        note,
    }
}

const CLOUDFLARE: &[&str] = &["docker", "cloudflare"];

const FURTHER: &[Chain] = &[
    chain(
        "203.0.113.9:55123, 10.0.0.2:80",
        DOCKER,
        (VISITOR, Header),
        "ports on every hop",
    ),
    chain(
        "[2001:db8::5]:443",
        DOCKER,
        ("2001:db8::5", Header),
        "brackets and a port",
    ),
    chain(
        "[2001:db8::5]:443, [fd00::7]:80",
        DOCKER,
        ("2001:db8::5", Header),
        "a trusted hop in brackets",
    ),
    chain(
        "[2001:db8::5]",
        DOCKER,
        ("2001:db8::5", Header),
        "brackets alone",
    ),
    chain(
        "fe80::1%eth0",
        DOCKER,
        ("fe80::1", Private),
        "a zone, which no upstream could use",
    ),
    chain(
        "[fe80::1%eth0]:443, 10.0.0.2",
        DOCKER,
        ("fe80::1", Private),
        "a zone and a port",
    ),
    chain(
        "::ffff:203.0.113.9, ::ffff:10.0.0.2",
        DOCKER,
        (VISITOR, Header),
        "IPv4 in IPv6 clothing",
    ),
    chain(
        "203.0.113.9, unknown",
        DOCKER,
        (PEER, Unknown),
        "what stands left of it is hearsay",
    ),
    chain(
        "203.0.113.9, _hidden, 10.0.0.2",
        DOCKER,
        ("10.0.0.2", Unknown),
        "an obfuscated hop ends the walk",
    ),
    chain(
        "unknown, 203.0.113.9",
        DOCKER,
        (VISITOR, Header),
        "left of a stranger nothing is read",
    ),
    chain(
        "203.0.113.9, 100.64.3.4, 10.0.0.2",
        &["docker", "aliyun"],
        (VISITOR, Header),
        "a balancer, then a proxy",
    ),
    chain(
        "100.64.3.4",
        &["docker", "aliyun"],
        ("100.64.3.4", Private),
        "a balancer's own health check",
    ),
    chain(
        "203.0.113.9, 2606:4700::1:2",
        CLOUDFLARE,
        (VISITOR, Header),
        "Cloudflare over IPv6",
    ),
    chain(
        "2001:db8::5, 172.70.82.11, 172.18.0.9",
        CLOUDFLARE,
        ("2001:db8::5", Header),
        "Cloudflare, then a tunnel in Docker",
    ),
    chain(
        "6.6.6.6, 203.0.113.9, 172.70.82.11",
        CLOUDFLARE,
        (VISITOR, Header),
        "Cloudflare appends to what the visitor forged",
    ),
    chain(
        "203.0.113.9, fd12:3456::7, fd00::7",
        DOCKER,
        (VISITOR, Header),
        "two networks of the engine",
    ),
    chain(
        "203.0.113.9",
        &["podman"],
        (PEER, Source::Peer),
        "Docker's gateway is none of Podman's",
    ),
    chain(
        "203.0.113.9",
        &[],
        (PEER, Source::Peer),
        "nobody is trusted",
    ),
    chain(
        "10.0.0.9, 192.168.3.4, 172.18.0.1",
        DOCKER,
        ("10.0.0.9", Private),
        "all trusted: the left-most",
    ),
    chain(
        "203.0.113.9, , 10.0.0.2,",
        DOCKER,
        (VISITOR, Header),
        "empty elements name nobody",
    ),
    chain(",", DOCKER, (PEER, Private), "nothing but empty elements"),
    chain(
        "",
        DOCKER,
        (PEER, Private),
        "no header: NAT has hidden the visitor",
    ),
    chain(
        "6.6.6.6\n203.0.113.9",
        DOCKER,
        (VISITOR, Header),
        "the second line was written nearer to us",
    ),
    chain(
        "203.0.113.9\n10.0.0.3, 10.0.0.2",
        DOCKER,
        (VISITOR, Header),
        "a chain over two lines",
    ),
    chain(
        "203.0.113.9\nunknown",
        DOCKER,
        (PEER, Unknown),
        "the second line hides the first",
    ),
];

#[test]
fn measured_chains_resolve_as_with_nginx_or_better() {
    for chain in MEASURED {
        check(
            HeaderForm::List,
            chain.trusted,
            PEER,
            chain.header,
            chain.ours,
        );
        let header = chain.header;
        let nginx = chain.nginx.expect("a measured row");
        assert!(
            nginx == chain.ours.0 || chain.ours == (VISITOR, Header),
            "{header}: neither nginx's answer nor the visitor"
        );
        assert!(!chain.note.is_empty(), "{header}: no word about the row");
    }
}

#[test]
fn further_chains_resolve_to_the_visitor_or_the_last_sure_hop() {
    for chain in FURTHER {
        check(
            HeaderForm::List,
            chain.trusted,
            PEER,
            chain.header,
            chain.ours,
        );
    }
}

#[test]
fn chains_through_podmans_networks_resolve_behind_podmans_gateway() {
    for (header, want) in [
        (VISITOR, (VISITOR, Header)),
        ("203.0.113.9, 10.88.0.4", (VISITOR, Header)),
        ("203.0.113.9, fd12:3456::7, 10.255.0.5", (VISITOR, Header)),
        ("203.0.113.9, 10.0.0.2", ("10.0.0.2", Private)),
    ] {
        check(HeaderForm::List, &["podman"], "10.89.0.1", header, want);
    }
}
