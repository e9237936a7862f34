//! What resolving promises: the peer's part, spoofed hops, bounds.

mod chains;
mod conclusions;
mod explained;
mod networks;
mod presets;
mod properties;
mod spellings;
mod stored;

use ipnet::IpNet;

use super::*;

/// Presets and CIDRs, as the configuration writes them.
fn trusted(names: &[&str]) -> Networks {
    let mut networks: Vec<IpNet> = Vec::new();
    for name in names {
        match preset(name) {
            Some(known) => networks.extend(known),
            None => networks.push(name.parse().expect("a CIDR")),
        }
    }
    networks.into_iter().collect()
}

/// The only caller of `resolve` in examples: all lines, separated by LF in `header`. Every example
/// is explained too.
#[track_caller]
fn check(form: HeaderForm, hops: &[&str], peer: &str, header: &str, want: (&str, Source)) {
    let peer = peer.parse().expect("an address");
    let lines: Vec<&[u8]> = match header {
        "" => Vec::new(),
        text => text.split('\n').map(str::as_bytes).collect(),
    };
    let trusted = trusted(hops);
    let got = resolve(peer, form, lines.iter().copied(), &trusted);
    assert_eq!(
        (got.address.to_string().as_str(), got.source),
        want,
        "{peer} saying {header:?}"
    );
    let explained = explain(peer, form, lines.into_iter(), &trusted);
    assert_eq!(
        explained.client, got,
        "{peer} saying {header:?} is explained otherwise"
    );
}

const DOCKER_GATEWAY: &str = "172.18.0.1";

#[track_caller]
fn check_docker(header: &str, want: &str, source: Source) {
    check(
        HeaderForm::List,
        &["docker"],
        DOCKER_GATEWAY,
        header,
        (want, source),
    );
}

#[test]
fn an_untrusted_peer_is_the_client_whatever_it_says() {
    let hops = ["10.0.0.0/8"];
    for form in [HeaderForm::List, HeaderForm::Forwarded, HeaderForm::Single] {
        check(
            form,
            &hops,
            "203.0.113.9",
            "6.6.6.6",
            ("203.0.113.9", Source::Peer),
        );
        check(
            form,
            &hops,
            "203.0.113.9",
            "for=6.6.6.6",
            ("203.0.113.9", Source::Peer),
        );
        check(
            form,
            &hops,
            "192.168.0.9",
            "6.6.6.6",
            ("192.168.0.9", Source::Peer),
        );
        check(
            form,
            &[],
            "127.0.0.1",
            "6.6.6.6",
            ("127.0.0.1", Source::Peer),
        );
    }
}

#[test]
fn a_trusted_peer_that_names_nobody_is_the_answer() {
    for form in [HeaderForm::List, HeaderForm::Forwarded, HeaderForm::Single] {
        check(
            form,
            &["35.191.0.0/16"],
            "35.191.0.7",
            "",
            ("35.191.0.7", Source::Peer),
        );
        check(
            form,
            &["35.191.0.0/16"],
            "35.191.0.7",
            " \t",
            ("35.191.0.7", Source::Peer),
        );
        check(
            form,
            &["docker"],
            DOCKER_GATEWAY,
            "",
            (DOCKER_GATEWAY, Source::Private),
        );
    }
    check_docker(", ,\t,", DOCKER_GATEWAY, Source::Private);
}

#[test]
fn spoofed_hops_left_of_a_stranger_are_ignored() {
    check_docker("10.0.0.9, 203.0.113.9", "203.0.113.9", Source::Header);
    check_docker(
        "127.0.0.1, 10.0.0.9, 203.0.113.9, 10.0.0.1",
        "203.0.113.9",
        Source::Header,
    );
    check_docker(
        "garbage, \"unclosed, 203.0.113.9",
        "203.0.113.9",
        Source::Header,
    );
    check_docker("6.6.6.6\n203.0.113.9", "203.0.113.9", Source::Header);
    check_docker(
        "203.0.113.9\n10.0.0.1, 10.0.0.2",
        "203.0.113.9",
        Source::Header,
    );
}

#[test]
fn with_only_trusted_hops_the_left_most_is_the_client() {
    check_docker(
        "10.0.0.9, 192.168.3.4, 172.18.0.1",
        "10.0.0.9",
        Source::Private,
    );
    check_docker("10.0.0.9\n192.168.3.4", "10.0.0.9", Source::Private);
    check_docker("10.0.0.9, , 192.168.3.4", "10.0.0.9", Source::Private);
}

#[test]
fn a_malformed_hop_stops_the_walk_at_the_last_sure_one() {
    use Source::Unknown;
    check_docker("203.0.113.9, unknown, 10.0.0.1", "10.0.0.1", Unknown);
    check_docker(
        "203.0.113.9, _hidden, 10.0.0.2, 10.0.0.1",
        "10.0.0.2",
        Unknown,
    );
    check_docker("203.0.113.9, 10.0.0.256", DOCKER_GATEWAY, Unknown);
    check_docker("203.0.113.9, 010.0.0.1", DOCKER_GATEWAY, Unknown);
    check_docker("203.0.113.9\n\"", DOCKER_GATEWAY, Unknown);
    check_docker("203.0.113.9 10.0.0.1", DOCKER_GATEWAY, Unknown);
}

#[test]
fn a_mapped_peer_and_a_mapped_hop_count_as_ipv4() {
    let header = "203.0.113.9, ::ffff:10.0.0.1";
    check(
        HeaderForm::List,
        &["docker"],
        "::ffff:172.18.0.1",
        header,
        ("203.0.113.9", Source::Header),
    );
    check(
        HeaderForm::List,
        &[],
        "::ffff:172.18.0.1",
        header,
        ("172.18.0.1", Source::Peer),
    );
    let mapped = ["::ffff:10.0.0.0/104"];
    check(
        HeaderForm::List,
        &mapped,
        "10.9.9.9",
        "203.0.113.9",
        ("203.0.113.9", Source::Header),
    );
    check(
        HeaderForm::List,
        &mapped,
        "11.0.0.0",
        "203.0.113.9",
        ("11.0.0.0", Source::Peer),
    );
}

#[test]
fn the_walk_is_bounded() {
    let hops = |count: usize| format!("203.0.113.9{}", ", 10.0.0.1".repeat(count));
    check_docker(&hops(63), "203.0.113.9", Source::Header);
    check_docker(&hops(64), "10.0.0.1", Source::Unknown);
    check_docker(
        &format!("203.0.113.9{}", ",".repeat(64)),
        DOCKER_GATEWAY,
        Source::Unknown,
    );
    check_docker(&hops(10_000), "10.0.0.1", Source::Unknown);
}
