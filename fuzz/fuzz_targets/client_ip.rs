//! Chains of forwarding headers: no input panics, a peer that is not trusted is the answer
//! whatever it says, and no stranger is passed over for one further left. The first byte
//! chooses the header's form and the peer; each line of the rest is a header's line.
#![no_main]

use std::net::{IpAddr, Ipv4Addr};

use libfuzzer_sys::fuzz_target;
use vidette::domain::client_ip::{HeaderForm, explain, preset, resolve};
use vidette::domain::networks::Networks;

fuzz_target!(|input: &[u8]| {
    let Some((first, text)) = input.split_first() else {
        return;
    };
    let forms = [HeaderForm::List, HeaderForm::Forwarded, HeaderForm::Single];
    let form = forms[usize::from(first % 3)];
    let peer = match first & 0x80 {
        0 => IpAddr::V4(Ipv4Addr::LOCALHOST),
        _ => IpAddr::V4(Ipv4Addr::new(203, 0, 113, *first)),
    };
    let networks = ["loopback", "private"].into_iter();
    let networks = networks.flat_map(|name| preset(name).expect("a preset").iter().copied());
    let trusted: Networks = networks.collect();
    let lines = || text.split(|byte| *byte == b'\n');
    let lines: Vec<&[u8]> = lines().collect();
    let found = resolve(peer, form, lines.iter().copied(), &trusted);
    if !trusted.contains(peer) {
        assert_eq!(found.address, peer, "a stranger's word was believed");
    }
    assert_eq!(found.address, found.address.to_canonical());
    let told = explain(peer, form, lines.iter().copied(), &trusted);
    assert_eq!(told.client, found, "the explanation is of another walk");
    // Whatever strangers write before it, the hop that the trusted peer saw stands.
    if form == HeaderForm::List && trusted.contains(peer) {
        let seen: IpAddr = "198.51.100.7".parse().expect("an address");
        let appended = [&lines[..], &[b"198.51.100.7"]].concat();
        let found = resolve(peer, form, appended.iter().copied(), &trusted);
        assert_eq!(
            found.address, seen,
            "what stands left of a stranger is his word"
        );
    }
});
