//! What holds for every chain of hops, however forged.

use std::net::Ipv4Addr;

use proptest::prelude::*;

use super::*;

/// Ten addresses of 10/8, which the properties trust, and ten of 203.0.113/24, which they do not.
fn hop() -> impl Strategy<Value = Ipv4Addr> {
    (any::<bool>(), 0..10_u8).prop_map(|(trusted, host)| match trusted {
        true => Ipv4Addr::new(10, 0, 0, host),
        false => Ipv4Addr::new(203, 0, 113, host),
    })
}

fn is_trusted(address: Ipv4Addr) -> bool {
    address.octets().starts_with(&[10])
}

fn resolve_lines(form: HeaderForm, lines: &[Vec<u8>]) -> ClientIp {
    let peer = IpAddr::from([10, 0, 0, 200]);
    let lines = lines.iter().map(Vec::as_slice);
    resolve(peer, form, lines, &trusted(&["10.0.0.0/8"]))
}

/// Lines as strangers may write them: bytes, and text that comes near to chains.
fn forged_lines() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let part =
        "10\\.0\\.0\\.[0-9]|203\\.0\\.113\\.[0-9](:80)?|fd00::7|unknown|(for=)?10\\.0\\.0\\.1|";
    let chain = prop::collection::vec(part, 0..80).prop_map(|parts| parts.join(","));
    prop::collection::vec(
        prop_oneof![
            prop::collection::vec(any::<u8>(), 0..80),
            "[-for=\"\\\\,;:.%0-9\\[\\] ]{0,40}".prop_map(String::into_bytes),
            chain.prop_map(String::into_bytes),
        ],
        0..4,
    )
}

/// What a walk's last step says of the one that names the client.
fn naming_step(steps: &[HopStep]) -> Option<&HopStep> {
    let last = steps.last()?;
    match last.verdict {
        HopVerdict::NotTrustedSoThis | HopVerdict::PeerNotTrustedSoPeer => Some(last),
        HopVerdict::NotAnAddressSoBefore | HopVerdict::TooMany => {
            steps.iter().rev().find(|step| step.address.is_some())
        }
        HopVerdict::AllTrustedSoThis | HopVerdict::Empty | HopVerdict::TrustedSoOn => steps
            .iter()
            .find(|step| step.verdict == HopVerdict::AllTrustedSoThis),
    }
}

proptest! {
    #[test]
    fn the_right_most_stranger_wins_and_else_the_left_most(
        hops in prop::collection::vec(hop(), 1..20),
        cuts in prop::collection::vec(any::<bool>(), 20),
    ) {
        let stranger = hops.iter().rev().find(|hop| !is_trusted(**hop));
        let want = *stranger.unwrap_or(&hops[0]);
        for (form, prefix) in [(HeaderForm::List, ""), (HeaderForm::Forwarded, "for=")] {
            let mut lines = vec![String::new()];
            for (hop, cut) in hops.iter().zip(&cuts) {
                let line = lines.last_mut().expect("never empty");
                if *cut || line.is_empty() {
                    lines.push(format!("{prefix}{hop}"));
                } else {
                    line.push_str(&format!(", {prefix}{hop}"));
                }
            }
            let lines: Vec<Vec<u8>> = lines.into_iter().map(String::into_bytes).collect();
            prop_assert_eq!(resolve_lines(form, &lines).address, IpAddr::V4(want));
        }
    }

    #[test]
    fn nothing_to_the_left_of_a_stranger_matters(
        forged in prop::collection::vec(any::<u8>(), 0..60),
        sure in prop::collection::vec(0..10_u8, 0..5),
    ) {
        let stranger = IpAddr::from([203, 0, 113, 77]);
        for (form, prefix) in [(HeaderForm::List, ""), (HeaderForm::Forwarded, "for=")] {
            let mut line = forged.clone();
            line.extend_from_slice(format!(", {prefix}203.0.113.77").as_bytes());
            for host in &sure {
                line.extend_from_slice(format!(", {prefix}10.0.0.{host}").as_bytes());
            }
            let want = ClientIp { address: stranger, source: Source::Header };
            prop_assert_eq!(resolve_lines(form, &[line]), want);
        }
    }

    #[test]
    fn no_header_makes_resolving_panic(lines in forged_lines()) {
        for form in [HeaderForm::List, HeaderForm::Forwarded, HeaderForm::Single] {
            let got = resolve_lines(form, &lines);
            prop_assert_eq!(got.address, got.address.to_canonical());
        }
    }

    #[test]
    fn an_explanation_ends_where_resolving_does_and_names_the_step(
        peer in prop_oneof![hop().prop_map(IpAddr::V4), any::<IpAddr>()],
        lines in forged_lines(),
    ) {
        let trusted = trusted(&["10.0.0.0/8", "fd00::/8"]);
        for form in [HeaderForm::List, HeaderForm::Forwarded, HeaderForm::Single] {
            let slices = || lines.iter().map(Vec::as_slice);
            let explained = explain(peer, form, slices(), &trusted);
            prop_assert_eq!(explained.client, resolve(peer, form, slices(), &trusted));
            let named = naming_step(&explained.steps).and_then(|step| step.address);
            prop_assert_eq!(named, Some(explained.client.address), "{:?}", &explained.steps);
            prop_assert!(explained.steps.len() <= 66, "{} steps", explained.steps.len());
            for step in &explained.steps {
                prop_assert!(step.text.len() <= TEXT_CHARS_MAX, "{:?} is too long", &step.text);
                let is_plain = step.text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
                prop_assert!(is_plain, "{:?} can move a cursor", &step.text);
            }
        }
    }

    #[test]
    fn membership_equals_asking_each_network(
        networks in prop::collection::vec((any::<u32>(), 0..=32_u8), 0..30),
        address in any::<u32>(),
        near in any::<prop::sample::Index>(),
    ) {
        let networks: Vec<IpNet> = networks
            .into_iter()
            .filter_map(|(bits, length)| IpNet::new(Ipv4Addr::from(bits).into(), length).ok())
            .collect();
        let hops: Networks = networks.iter().copied().collect();
        let mut addresses = vec![IpAddr::from(Ipv4Addr::from(address))];
        if !networks.is_empty() {
            let network = networks[near.index(networks.len())];
            addresses.extend([network.network(), network.broadcast()]);
        }
        for address in addresses {
            let want = networks.iter().any(|network| network.contains(&address));
            prop_assert_eq!(hops.contains(address), want, "{} in {:?}", address, &networks);
        }
    }
}
