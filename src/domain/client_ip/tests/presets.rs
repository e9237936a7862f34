//! What the presets hold, and that their file can be read to the last line.

use super::super::presets::{BadLine, TEXT, parse};
use super::*;

#[test]
fn the_file_has_exactly_the_names_that_the_configuration_accepts() {
    let presets = parse(TEXT).expect("a readable file");
    let names: Vec<&str> = presets.iter().map(|preset| preset.name.as_str()).collect();
    assert_eq!(names, PRESETS, "presets.txt and PRESETS differ");
    for preset in &presets {
        let name = &preset.name;
        assert!(!preset.networks.is_empty(), "{name} is empty");
        assert_eq!(
            super::preset(name),
            Some(preset.networks.as_slice()),
            "{name}"
        );
    }
    for other in ["", "Docker", "Podman", "docker ", "[docker]"] {
        assert_eq!(preset(other), None, "{other:?} is no preset");
    }
}

#[test]
fn no_preset_says_a_network_twice() {
    for name in PRESETS {
        let networks = preset(name).expect("a known name");
        for (at, network) in networks.iter().enumerate() {
            let others = networks
                .iter()
                .enumerate()
                .filter(|(other, _)| *other != at);
            for (_, other) in others {
                assert!(
                    !other.contains(network),
                    "{name}: {network} lies in {other}"
                );
            }
        }
    }
}

/// An edge that trusts the whole Internet through a slip in the file would believe anybody.
#[test]
fn no_preset_trusts_a_large_part_of_the_internet() {
    for network in PRESETS.iter().filter_map(|name| preset(name)).flatten() {
        let shortest = match network {
            IpNet::V4(_) => 8,
            IpNet::V6(_) => 7,
        };
        assert!(network.prefix_len() >= shortest, "{network} is too wide");
    }
}

/// Addresses with blanks between.
#[track_caller]
fn check_members(name: &str, inside: &str, outside: &str) {
    let hops = trusted(&[name]);
    for (addresses, want) in [(inside, true), (outside, false)] {
        for address in addresses.split_whitespace() {
            let parsed = address.parse().expect("an address");
            assert_eq!(hops.contains(parsed), want, "{address} in {name}");
        }
    }
}

#[test]
fn presets_of_networks_at_home_have_their_members_and_no_neighbours() {
    check_members(
        "loopback",
        "127.0.0.1 127.255.255.255 ::1 ::ffff:127.0.0.1",
        "126.255.255.255 128.0.0.0 10.0.0.1 :: ::2",
    );
    check_members(
        "private",
        "10.0.0.1 172.31.255.255 192.168.1.1 169.254.1.1 fc00::1 fe80::1",
        "127.0.0.1 100.64.0.1 172.32.0.0 169.253.255.255 fec0::1 203.0.113.9",
    );
    check_members(
        "docker",
        "172.17.0.1 172.18.0.1 172.31.255.255 192.168.0.1 10.0.0.1 127.0.0.1 ::1 fd00::7",
        "172.16.255.255 172.32.0.0 100.64.0.1 169.254.1.1 fc00::7 fe80::1 203.0.113.9",
    );
    check_members(
        "podman",
        "10.88.0.1 10.89.0.1 10.127.255.255 10.128.0.0 10.255.255.255 127.0.0.1 ::1 fd12::7",
        "10.87.255.255 10.0.0.1 11.0.0.0 172.17.0.1 192.168.0.1 fc00::7",
    );
}

#[test]
fn presets_of_providers_have_their_members_and_no_neighbours() {
    check_members(
        "cloudflare",
        "172.70.82.11 104.16.0.0 131.0.75.255 2606:4700::6810:1 2a06:98c7::1",
        "172.63.255.255 172.80.0.0 131.0.76.0 2606:4701::1 2a06:98c8::1",
    );
    check_members(
        "gcp",
        "35.191.0.7 130.211.3.255 2600:2d00:1:b029::1 2600:2d00:1:1::1",
        "35.190.255.255 130.211.4.0 2600:2d00:1:2::1",
    );
    check_members(
        "aliyun",
        "100.64.0.0 100.64.3.4 100.127.255.255",
        "100.63.255.255 100.128.0.0 10.0.0.1",
    );
    check_members(
        "aws",
        "10.0.0.1 172.16.0.1 192.168.0.1 100.64.0.1",
        "127.0.0.1 172.15.255.255 169.254.169.254 fd00::7",
    );
}

#[test]
fn a_file_that_is_not_all_names_and_networks_is_refused_by_line() {
    for (text, line) in [
        ("10.0.0.0/8", 1),
        ("[a]\n10.0.0.1/8", 2),
        ("[a]\n\n# why\n10.0.0.0", 4),
        ("[a]\n10.0.0.0/33", 2),
        ("[a]\n10.0.0.0/8 # why", 2),
        ("[a]\n10.0.0.0/8\n[a]", 3),
        ("[]", 1),
        ("[a", 1),
        ("[a]\nb", 2),
    ] {
        assert_eq!(parse(text), Err(BadLine { line }), "{text:?}");
    }
    let read = parse("# why\r\n[a]\r\n 10.0.0.0/8 \r\n[b]\n::/0").expect("a readable file");
    let lengths: Vec<usize> = read.iter().map(|preset| preset.networks.len()).collect();
    assert_eq!(lengths, [1, 1], "blanks and CR around a line do not count");
}
