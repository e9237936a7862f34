//! What is kept of an address: whole, cut, as a pseudonym, not at all.

use std::net::{Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use super::*;

const SECRET: &[u8] = b"correct horse battery staple";

fn hashing(secret: &[u8]) -> Store {
    Store::Hash(HashKey::from_secret(secret))
}

#[track_caller]
fn check(store: &Store, address: &str, want: Option<&str>) {
    let parsed = address.parse().expect("an address");
    let got = store.stored(parsed).map(|kept| kept.to_string());
    assert_eq!(got.as_deref(), want, "{address} under {store:?}");
}

#[test]
fn full_keeps_the_address_and_undresses_it() {
    for (address, want) in [
        ("203.0.113.9", "203.0.113.9"),
        ("2001:db8::5", "2001:db8::5"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
    ] {
        check(&Store::Full, address, Some(want));
    }
}

#[test]
fn truncate_keeps_a_24_or_a_48() {
    for (address, want) in [
        ("203.0.113.9", "203.0.113.0"),
        ("203.0.113.255", "203.0.113.0"),
        ("203.0.112.255", "203.0.112.0"),
        ("255.255.255.255", "255.255.255.0"),
        ("::ffff:203.0.113.9", "203.0.113.0"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1::"),
        ("2001:db8:1:ffff:ffff:ffff:ffff:ffff", "2001:db8:1::"),
        ("2001:db8:2::", "2001:db8:2::"),
        ("::1", "::"),
    ] {
        check(&Store::Truncate, address, Some(want));
    }
}

#[test]
fn drop_keeps_nothing() {
    for address in ["203.0.113.9", "2001:db8::5", "::ffff:203.0.113.9"] {
        check(&Store::Drop, address, None);
    }
}

/// Reckoned by another implementation of SipHash-2-4-128, which gives the vectors of its authors.
/// If these change with a release, every visitor becomes a new user on that day.
#[test]
fn pseudonyms_stay_what_they_are() {
    let v4 = "fd6c:4216:2ef8:67ba:9d6e:f78c:c5b0:9428";
    let v6 = "fda5:6da3:2add:e530:6f20:3423:2ae9:5dba";
    let hash = hashing(SECRET);
    check(&hash, "203.0.113.9", Some(v4));
    check(&hash, "::ffff:203.0.113.9", Some(v4));
    check(&hash, "2001:db8::5", Some(v6));
}

#[test]
fn an_ipv6_device_keeps_its_pseudonym_within_its_64_and_not_beyond() {
    let hash = hashing(SECRET);
    let of = |address: &str| hash.stored(address.parse().expect("an address"));
    let home = of("2001:db8:0:7::1");
    assert_eq!(
        home,
        of("2001:db8:0:7:a8b1:ffff:fe00:1"),
        "a new interface id"
    );
    assert_ne!(home, of("2001:db8:0:8::1"), "the neighbours' network");
    assert_ne!(of("203.0.113.9"), of("203.0.113.10"), "IPv4 neighbours");
    // The same eight bytes in front, and the same four: the families do not meet.
    assert_ne!(of("203.0.113.9"), of("cb00:7109::"));
}

#[test]
fn a_zone_id_is_gone_before_anything_is_kept() {
    let line: &[u8] = b"[fe80::1%eth0]:443";
    let peer = DOCKER_GATEWAY.parse().expect("an address");
    let lines = std::iter::once(line);
    let client = resolve(peer, HeaderForm::List, lines, &trusted(&["docker"])).address;
    check(&Store::Full, &client.to_string(), Some("fe80::1"));
    check(&Store::Truncate, &client.to_string(), Some("fe80::"));
}

#[test]
fn a_key_depends_on_the_whole_secret_and_is_never_shown() {
    let secrets: [&[u8]; 6] = [b"", b"a", b"b", b"a\0", &[b'a'; 16], &[b'a'; 1000]];
    for (at, secret) in secrets.iter().enumerate() {
        for other in &secrets[..at] {
            assert_ne!(HashKey::from_secret(secret), HashKey::from_secret(other));
        }
        assert_eq!(HashKey::from_secret(secret), HashKey::from_secret(secret));
    }
    assert_eq!(format!("{:?}", hashing(SECRET)), "Hash(HashKey(***))");
}

/// Addresses of both families, and IPv4 ones in IPv6 clothing.
fn address() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        any::<Ipv4Addr>().prop_map(IpAddr::V4),
        any::<Ipv6Addr>().prop_map(IpAddr::V6),
        any::<Ipv4Addr>().prop_map(|v4| IpAddr::V6(v4.to_ipv6_mapped())),
    ]
}

proptest! {
    #[test]
    fn a_pseudonym_is_a_unique_local_address_of_its_client_and_key(
        address in address(),
        secret in prop::collection::vec(any::<u8>(), 0..40),
        other in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let kept = hashing(&secret).stored(address);
        let Some(IpAddr::V6(pseudonym)) = kept else {
            return Err(TestCaseError::fail("no IPv6 address"));
        };
        prop_assert_eq!(pseudonym.octets()[0], 0xfd);
        prop_assert_eq!(hashing(&secret).stored(address.to_canonical()), kept);
        if secret != other {
            prop_assert_ne!(hashing(&other).stored(address), kept);
        }
    }

    #[test]
    fn truncating_twice_is_truncating_once_and_keeps_the_family(address in address()) {
        let once = Store::Truncate.stored(address).expect("truncating drops nothing");
        prop_assert_eq!(Store::Truncate.stored(once), Some(once));
        prop_assert_eq!(once.is_ipv4(), address.to_canonical().is_ipv4());
        prop_assert_eq!(Store::Full.stored(address), Some(address.to_canonical()));
    }
}
