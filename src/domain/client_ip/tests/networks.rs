//! Which networks are private, internal, trusted.

use super::*;

#[test]
fn private_is_said_of_private_answers_alone() {
    for (address, source) in [
        ("9.255.255.255", Source::Header),
        ("10.0.0.0", Source::Private),
        ("100.63.255.255", Source::Header),
        ("100.64.0.0", Source::Private),
        ("100.127.255.255", Source::Private),
        ("100.128.0.0", Source::Header),
        ("127.255.255.255", Source::Private),
        ("169.253.255.255", Source::Header),
        ("169.254.0.1", Source::Private),
        ("172.15.255.255", Source::Header),
        ("172.16.0.0", Source::Private),
        ("172.31.255.255", Source::Private),
        ("172.32.0.0", Source::Header),
        ("192.168.255.255", Source::Private),
        ("192.169.0.0", Source::Header),
        ("::1", Source::Private),
        ("::2", Source::Header),
        ("fbff::1", Source::Header),
        ("fc00::1", Source::Private),
        ("fe80::1", Source::Private),
        ("fec0::1", Source::Header),
    ] {
        check(
            HeaderForm::List,
            &["198.51.100.1/32"],
            "198.51.100.1",
            address,
            (address, source),
        );
    }
}

#[test]
fn internal_is_loopback_and_private_but_not_the_shared_range() {
    for (address, internal) in [
        ("127.0.0.1", true),
        ("::1", true),
        ("10.255.255.255", true),
        ("11.0.0.0", false),
        ("172.31.0.1", true),
        ("172.32.0.1", false),
        ("192.168.1.1", true),
        ("169.254.1.1", true),
        ("fd00::7", true),
        ("fe80::7", true),
        ("::ffff:10.0.0.1", true),
        ("::ffff:203.0.113.9", false),
        ("100.64.0.1", false),
        ("203.0.113.9", false),
        ("2001:db8::1", false),
        ("0.0.0.0", false),
    ] {
        let parsed: IpAddr = address.parse().expect("an address");
        assert_eq!(is_internal(parsed), internal, "{address}");
    }
}

#[test]
fn membership_holds_at_both_ends_of_overlapping_networks() {
    let hops = trusted(&[
        "10.1.0.0/16",
        "10.0.0.0/8",
        "192.0.2.4/30",
        "192.0.2.8/32",
        "fd00::/8",
    ]);
    for (address, inside) in [
        ("9.255.255.255", false),
        ("10.0.0.0", true),
        ("10.1.2.3", true),
        ("10.255.255.255", true),
        ("11.0.0.0", false),
        ("192.0.2.3", false),
        ("192.0.2.4", true),
        ("192.0.2.7", true),
        ("192.0.2.8", true),
        ("192.0.2.9", false),
        ("fcff:ffff::", false),
        ("fd00::", true),
        ("fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", true),
        ("fe00::", false),
    ] {
        let parsed = address.parse().expect("an address");
        assert_eq!(hops.contains(parsed), inside, "{address}");
    }
    assert!(
        trusted(&["0.0.0.0/0", "::/0"]).contains("255.255.255.255".parse().expect("an address"))
    );
    assert!(
        Networks::default().is_empty(),
        "the default trusts somebody"
    );
}
