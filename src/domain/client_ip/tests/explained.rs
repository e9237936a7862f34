//! What an operator is told about a walk.

use super::HopVerdict::{
    AllTrustedSoThis, Empty, NotAnAddressSoBefore, NotTrustedSoThis, PeerNotTrustedSoPeer, TooMany,
    TrustedSoOn,
};
use super::*;

/// Steps as `text > verdict`, the peer first.
#[track_caller]
fn check_steps(form: HeaderForm, peer: &str, header: &str, want: &[(&str, HopVerdict)]) {
    let lines = header.split('\n').map(str::as_bytes);
    let peer = peer.parse().expect("an address");
    let explained = explain(peer, form, lines, &trusted(&["docker"]));
    let got: Vec<(&str, HopVerdict)> = explained
        .steps
        .iter()
        .map(|step| (step.text.as_str(), step.verdict))
        .collect();
    assert_eq!(got, want, "{peer} saying {header:?}");
}

#[test]
fn steps_go_from_the_peer_to_the_client_and_no_further() {
    check_steps(
        HeaderForm::List,
        DOCKER_GATEWAY,
        "6.6.6.6, 203.0.113.9:55123\n , 10.0.0.2",
        &[
            ("peer", TrustedSoOn),
            ("10.0.0.2", TrustedSoOn),
            ("", Empty),
            ("203.0.113.9:55123", NotTrustedSoThis),
        ],
    );
    check_steps(
        HeaderForm::Forwarded,
        DOCKER_GATEWAY,
        "for=6.6.6.6, for=\"[2001:db8::5]:443\";proto=https, for=10.0.0.2",
        &[
            ("peer", TrustedSoOn),
            ("for=10.0.0.2", TrustedSoOn),
            ("for=\"[2001:db8::5]:443\";proto=https", NotTrustedSoThis),
        ],
    );
    check_steps(
        HeaderForm::Single,
        DOCKER_GATEWAY,
        "6.6.6.6\n203.0.113.9",
        &[("peer", TrustedSoOn), ("203.0.113.9", NotTrustedSoThis)],
    );
    check_steps(
        HeaderForm::List,
        "198.51.100.1",
        "6.6.6.6",
        &[("peer", PeerNotTrustedSoPeer)],
    );
    check_steps(
        HeaderForm::List,
        DOCKER_GATEWAY,
        "6.6.6.6, unknown, 10.0.0.2",
        &[
            ("peer", TrustedSoOn),
            ("10.0.0.2", TrustedSoOn),
            ("unknown", NotAnAddressSoBefore),
        ],
    );
}

#[test]
fn the_last_of_trusted_hops_is_told_to_be_the_client() {
    check_steps(
        HeaderForm::List,
        DOCKER_GATEWAY,
        ", 10.0.0.9, 10.0.0.2",
        &[
            ("peer", TrustedSoOn),
            ("10.0.0.2", TrustedSoOn),
            ("10.0.0.9", AllTrustedSoThis),
            ("", Empty),
        ],
    );
    check_steps(
        HeaderForm::Single,
        DOCKER_GATEWAY,
        "10.0.0.9",
        &[("peer", TrustedSoOn), ("10.0.0.9", AllTrustedSoThis)],
    );
    let nobody = std::iter::empty();
    let peer = DOCKER_GATEWAY.parse().expect("an address");
    let explained = explain(peer, HeaderForm::List, nobody, &trusted(&["docker"]));
    let verdicts: Vec<HopVerdict> = explained.steps.iter().map(|step| step.verdict).collect();
    assert_eq!(verdicts, [AllTrustedSoThis], "no header at all");
}

#[test]
fn a_hop_too_many_is_told_as_such() {
    let header = format!("203.0.113.9{}", ", 10.0.0.1".repeat(64));
    let mut want = vec![("peer", TrustedSoOn)];
    want.extend([("10.0.0.1", TrustedSoOn); 64]);
    want.push(("203.0.113.9", TooMany));
    check_steps(HeaderForm::List, DOCKER_GATEWAY, &header, &want);
}

#[test]
fn addresses_are_told_undressed() {
    let line: &[u8] = b"[::ffff:203.0.113.9]:443";
    let peer = "::ffff:172.18.0.1".parse().expect("an address");
    let lines = std::iter::once(line);
    let explained = explain(peer, HeaderForm::List, lines, &trusted(&["docker"]));
    let addresses: Vec<String> = explained
        .steps
        .iter()
        .filter_map(|step| step.address)
        .map(|address| address.to_string())
        .collect();
    assert_eq!(addresses, [DOCKER_GATEWAY, "203.0.113.9"]);
}

#[test]
fn a_hops_text_is_cut_and_cannot_steer_a_terminal() {
    let check = |written: &str, want: &str| {
        check_steps(
            HeaderForm::List,
            DOCKER_GATEWAY,
            written,
            &[("peer", TrustedSoOn), (want, NotAnAddressSoBefore)],
        );
    };
    check("a\u{1b}[31mb", "a\\x1b[31mb");
    check("a\\x1b", "a\\\\x1b");
    check("\u{e9}", "\\xc3\\xa9");
    check(&"z".repeat(64), &"z".repeat(64));
    check(&"z".repeat(65), &format!("{}...", "z".repeat(61)));
    check(&"\u{1}".repeat(16), &"\\x01".repeat(16));
    check(&"\u{1}".repeat(17), &format!("{}...", "\\x01".repeat(15)));
}

#[test]
fn every_verdict_has_words_of_its_own() {
    for (at, verdict) in HopVerdict::ALL.iter().enumerate() {
        for other in &HopVerdict::ALL[..at] {
            assert_ne!(verdict.as_str(), other.as_str());
        }
    }
}
