//! What a scanner that nobody here wrote finds in a listener's TLS: sslyze tries every
//! version, cipher, curve and known attack, and measures them by Mozilla's intermediate
//! configuration. Any finding fails, but for those of a test's own certificates.

use std::path::Path;
use std::process::Command;

use libtest_mimic::Trial;
use serde_json::{Value, json};

use super::authority::Authority;
use super::{NAME, pair, secured, text_of};
use crate::parts::{Part, promises, python};
use crate::upstream::Fake;

pub(crate) fn trials() -> Vec<Trial> {
    promises![&[Part::Python]; a_scanner_finds_no_weakness]
}

/// Findings that are none of the edge's, each with its reason.
const ALLOWED: &[(&str, &str)] = &[
    (
        "certificate_path_validation",
        "no public store holds the test's own authority",
    ),
    (
        "maximum_certificate_lifespan",
        "the test's certificates are valid from 2020 on",
    ),
];

/// What each scan must have found, at its place in the report.
const FOUND: &[(&str, &str, Found)] = &[
    (
        "ssl_2_0_cipher_suites",
        "/is_tls_version_supported",
        Found::No,
    ),
    (
        "ssl_3_0_cipher_suites",
        "/is_tls_version_supported",
        Found::No,
    ),
    (
        "tls_1_0_cipher_suites",
        "/is_tls_version_supported",
        Found::No,
    ),
    (
        "tls_1_1_cipher_suites",
        "/is_tls_version_supported",
        Found::No,
    ),
    (
        "tls_1_2_cipher_suites",
        "/is_tls_version_supported",
        Found::Yes,
    ),
    (
        "tls_1_3_cipher_suites",
        "/is_tls_version_supported",
        Found::Yes,
    ),
    ("tls_1_3_early_data", "/supports_early_data", Found::No),
    ("tls_compression", "/supports_compression", Found::No),
    ("tls_fallback_scsv", "/supports_fallback_scsv", Found::Yes),
    (
        "tls_extended_master_secret",
        "/supports_ems_extension",
        Found::Yes,
    ),
    ("heartbleed", "/is_vulnerable_to_heartbleed", Found::No),
    (
        "openssl_ccs_injection",
        "/is_vulnerable_to_ccs_injection",
        Found::No,
    ),
    (
        "session_renegotiation",
        "/is_vulnerable_to_client_renegotiation_dos",
        Found::No,
    ),
    (
        "session_renegotiation",
        "/supports_secure_renegotiation",
        Found::Yes,
    ),
];

/// A finding.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Found {
    Yes,
    No,
}

fn a_scanner_finds_no_weakness() {
    let (fake, authority) = (Fake::start(), Authority::new());
    // Both kinds of key, since the old attacks are on RSA's.
    let young = authority.issue("young", &[NAME]);
    let old = authority.issue_by("old", &[NAME], &rcgen::PKCS_RSA_SHA256);
    let tls = json!({"certs": [pair(&young), pair(&old)]});
    let edge = secured(&fake, &tls, &json!({}));
    let report = edge.folder().join("scan.json");
    let port = edge.public.port();
    let output = Command::new(python().unwrap())
        .args([
            "-m",
            "sslyze",
            "--mozilla_config=intermediate",
            "--early_data",
        ])
        .args(["--certinfo_ca_file", &text_of(&authority.file())])
        .args(["--json_out", &text_of(&report)])
        .arg(format!("{NAME}:{port}{{127.0.0.1}}"))
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    let failed = String::from_utf8_lossy(&output.stderr).into_owned();
    let scans = &scans_of(&report).unwrap_or_else(|| panic!("{told}\n{failed}"));
    for (scan, place, want) in FOUND {
        let found = found(scans, scan).pointer(place);
        let want = Some(&Value::Bool(*want == Found::Yes));
        assert_eq!(found, want, "{scan}{place}\n{told}");
    }
    check_ciphers(scans);
    check_compliance(&told);
}

/// A report's scans, but for that of the certificates: in it an RSA key stands as a number
/// of two thousand bits, which only Python reads.
fn scans_of(report: &Path) -> Option<Value> {
    const SHORTEN: &str = "import json, sys\n\
        scans = json.load(open(sys.argv[1]))['server_scan_results'][0]['scan_result']\n\
        del scans['certificate_info']\n\
        json.dump(scans, sys.stdout)";
    let mut python = Command::new(python().unwrap());
    let output = python.args(["-c", SHORTEN]).arg(report).output().unwrap();
    serde_json::from_slice(&output.stdout).ok()
}

/// A scan's result, which must have come to its end.
#[track_caller]
fn found<'s>(scans: &'s Value, scan: &str) -> &'s Value {
    assert_eq!(
        scans[scan]["status"], "COMPLETED",
        "{scan}: {}",
        scans[scan]
    );
    &scans[scan]["result"]
}

/// Nothing but sealed modes, fresh keys and the three curves that Mozilla names.
#[track_caller]
fn check_ciphers(scans: &Value) {
    let robot = &found(scans, "robot")["robot_result"];
    assert_eq!(robot, "NOT_VULNERABLE_RSA_NOT_SUPPORTED");
    for scan in ["tls_1_2_cipher_suites", "tls_1_3_cipher_suites"] {
        let accepted = found(scans, scan)["accepted_cipher_suites"].as_array();
        let accepted = accepted.unwrap();
        assert!(accepted.len() >= 3, "{scan}: {accepted:?}");
        for suite in accepted {
            let name = suite["cipher_suite"]["name"].as_str().unwrap();
            let sealed = name.contains("_GCM_") || name.contains("_CHACHA20_POLY1305_");
            let fresh = suite["ephemeral_key"]["type_name"] == "ECDH";
            assert!(sealed && fresh, "{suite}");
        }
    }
    let curves = found(scans, "elliptic_curves")["supported_curves"].as_array();
    let names: Vec<&str> = curves
        .unwrap()
        .iter()
        .map(|curve| curve["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["X25519", "secp256r1", "secp384r1"]);
}

/// What the measure itself objects to: a line with a star each.
#[track_caller]
fn check_compliance(told: &str) {
    let (_, verdict) = told
        .split_once("COMPLIANCE AGAINST")
        .unwrap_or_else(|| panic!("no verdict: {told}"));
    for objection in verdict
        .lines()
        .filter_map(|line| line.trim().strip_prefix("* "))
    {
        let allowed = ALLOWED.iter().any(|(name, _)| objection.starts_with(name));
        assert!(allowed, "{objection}\n{told}");
    }
}
