//! Promises about certificate files: what is refused stands beside what is accepted, and
//! which of several certificates a name gets.

use std::fs;
use std::path::PathBuf;

use rcgen::{CertificateParams, KeyPair};
use tempfile::TempDir;

use super::*;

/// A folder with a certificate for each of these lists of names, each with its key.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    fn certificate(&self, name: &str, names: &[&str]) -> (PathBuf, PathBuf) {
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2060, 2, 29);
        let certificate = params.self_signed(&key).unwrap();
        (
            self.write(&format!("{name}.pem"), &certificate.pem()),
            self.write(&format!("{name}.key"), &key.serialize_pem()),
        )
    }

    fn identity(&self, name: &str, names: &[&str]) -> Identity {
        let (cert, key) = self.certificate(name, names);
        let (chain, key) = (Chain::read(&cert).unwrap(), PrivateKey::read(&key).unwrap());
        Identity::new(chain, key).unwrap()
    }
}

#[test]
fn a_chain_says_what_it_is_for_and_until_when() {
    let folder = Folder::new();
    let (cert, _) = folder.certificate("a", &["Edge.Example.org", "*.example.org", "10.0.0.1"]);
    let chain = Chain::read(&cert).unwrap();
    let want = Papers {
        names: vec!["edge.example.org".to_owned(), "*.example.org".to_owned()],
        not_before_s: 1_577_836_800,
        not_after_s: 2_845_238_400,
    };
    assert_eq!(chain.papers(), &want);
}

#[track_caller]
fn check_refused<T: std::fmt::Debug>(read: Result<T, FileFault>, want: &str) {
    let fault = read.unwrap_err().to_string();
    assert!(fault.starts_with(want), "{fault}");
}

#[test]
fn files_that_are_of_no_use_say_why() {
    let folder = Folder::new();
    let (cert, key) = folder.certificate("a", &["a.example"]);
    let absent = folder.0.path().join("absent");
    check_refused(Chain::read(&absent), "cannot be read: No such file");
    check_refused(PrivateKey::read(&absent), "cannot be read: No such file");
    check_refused(Authorities::read(&absent), "cannot be read: No such file");
    let empty = folder.write("empty", "");
    check_refused(Chain::read(&empty), "holds no certificate in PEM");
    check_refused(PrivateKey::read(&empty), "holds no private key in PEM");
    check_refused(Authorities::read(&empty), "holds no certificate in PEM");
    check_refused(Chain::read(&key), "holds no certificate in PEM");
    check_refused(PrivateKey::read(&cert), "holds no private key in PEM");
    let text = fs::read_to_string(&cert).unwrap();
    let hollow = folder.write(
        "hollow",
        "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n",
    );
    check_refused(Chain::read(&hollow), "holds a certificate that cannot be");
    check_refused(
        Authorities::read(&hollow),
        "holds a certificate that cannot be",
    );
    let cut = folder.write("cut", text.get(..text.len() / 2).unwrap());
    check_refused(Chain::read(&cut), "holds a certificate that cannot be");
    let long = folder.write("long", &text.repeat(17));
    check_refused(Chain::read(&long), "holds more than 16 certificates");
    Chain::read(&folder.write("sixteen", &text.repeat(16))).unwrap();
    let large = folder.write("large", &" ".repeat((1 << 20) + 1));
    check_refused(Chain::read(&large), "is larger than 1 MiB");
    let locked =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAA=\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let locked = folder.write("locked", locked);
    check_refused(
        PrivateKey::read(&locked),
        "holds a private key that is encrypted",
    );
    let none = "-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n";
    let none = PrivateKey::read(&folder.write("none", none)).unwrap();
    let chain = Chain::read(&cert).unwrap();
    check_refused(Identity::new(chain, none), "holds a private key of a kind");
}

#[test]
fn a_key_belongs_to_its_certificate_alone() {
    let folder = Folder::new();
    let (cert, key) = folder.certificate("a", &["a.example"]);
    let (_, other) = folder.certificate("b", &["a.example"]);
    let read = |key| Identity::new(Chain::read(&cert).unwrap(), PrivateKey::read(key).unwrap());
    check_refused(read(&other), "holds the private key of another certificate");
    read(&key).unwrap();
    assert_eq!(
        format!("{:?}", PrivateKey::read(&key).unwrap()),
        "PrivateKey(***)"
    );
}

#[test]
fn a_name_gets_its_own_certificate_before_a_wildcard() {
    let folder = Folder::new();
    let identities = vec![
        folder.identity("first", &["first.example"]),
        folder.identity("wild", &["*.shop.example"]),
        folder.identity("own", &["eu.shop.example"]),
    ];
    let all: Vec<_> = identities
        .iter()
        .map(|one| Arc::clone(&one.certified))
        .collect();
    let shown = terms::Shown::of(identities, &[]).unwrap();
    let check = |name: &str, want: Option<usize>| {
        let found = shown.for_name(name).and_then(<[_]>::first);
        let place = found.and_then(|found| all.iter().position(|one| Arc::ptr_eq(one, found)));
        assert_eq!(place, want, "{name}");
    };
    check("first.example", Some(0));
    check("FIRST.example", Some(0));
    check("eu.shop.example", Some(2));
    check("us.shop.example", Some(1));
    check("shop.example", None);
    check("a.us.shop.example", None);
    check("", None);
}

#[test]
fn terms_need_a_certificate() {
    let none = Terms::new(Vec::new(), &[], None, Tickets::new().unwrap());
    assert!(matches!(none, Err(TermsError::NoCertificate)));
    let folder = Folder::new();
    let (cert, _) = folder.certificate("ca", &["ca"]);
    for required in [true, false] {
        let clients = Clients {
            authorities: Authorities::read(&cert).unwrap(),
            required,
        };
        let identities = vec![folder.identity("a", &["a.example"])];
        let terms = Terms::new(identities, &[], Some(clients), Tickets::new().unwrap()).unwrap();
        assert_eq!(terms.papers()[0].name(), "a.example");
    }
}

#[test]
fn servers_are_reached_on_terms_whose_files_are_good() {
    let folder = Folder::new();
    let (ca, key) = folder.certificate("a", &["a.example"]);
    let (_, other) = folder.certificate("b", &["b.example"]);
    let empty = folder.write("empty", "");
    let files = |ca, client| TrustFiles { ca, client };
    let read = |files: TrustFiles<'_>| files.read(&[b"http/1.1"]);
    let alone = read(files(Some(&ca), None)).unwrap();
    assert_eq!(alone.alpn_protocols, [b"http/1.1"]);
    assert!(!alone.client_auth_cert_resolver.has_certs());
    let both = read(files(Some(&ca), Some((&ca, &key)))).unwrap();
    assert!(both.client_auth_cert_resolver.has_certs());
    let check = |files: TrustFiles<'_>, want: &str| {
        let fault = read(files).unwrap_err().to_string();
        assert!(fault.starts_with(want), "{fault}");
    };
    check(files(Some(&empty), None), "the file of ca holds no cert");
    let refused = files(Some(&ca), Some((&empty, &key)));
    check(refused, "the file of cert holds no cert");
    let refused = files(Some(&ca), Some((&ca, &empty)));
    check(refused, "the file of key holds no private key");
    let refused = files(Some(&ca), Some((&ca, &other)));
    check(refused, "the file of key holds the private key of another");
}

#[test]
fn a_name_that_is_awaited_is_shown_nothing_else() {
    let folder = Folder::new();
    let awaited = ["new.example".to_owned(), "eu.wild.example".to_owned()];
    let identities = vec![
        folder.identity("first", &["first.example"]),
        folder.identity("wild", &["*.wild.example"]),
    ];
    let shown = terms::Shown::of(identities, &awaited).unwrap();
    let check = |name: &str, found: bool, awaits: bool| {
        assert_eq!(shown.for_name(name).is_some(), found, "{name}");
        assert_eq!(shown.awaits(name), awaits, "{name}");
    };
    check("first.example", true, false);
    check("new.example", false, true);
    check("NEW.example", false, true);
    check("other.example", false, false);
    // Somebody gave one by hand that is for it.
    check("eu.wild.example", true, true);
    assert!(terms::Shown::of(Vec::new(), &awaited).is_some());
    assert!(terms::Shown::of(Vec::new(), &[]).is_none());
}

#[test]
fn of_two_certificates_for_a_name_the_first_is_shown() {
    let folder = Folder::new();
    let given = folder.identity("given", &["a.example"]);
    let had = folder.identity("had", &["a.example"]);
    let first = Arc::clone(&given.certified);
    let shown = terms::Shown::of(vec![given, had], &["a.example".to_owned()]).unwrap();
    let found = shown.for_name("a.example").and_then(<[_]>::first);
    assert!(found.is_some_and(|found| Arc::ptr_eq(found, &first)));
}

/// The numbers that a certificate was made with are those it is known by.
#[test]
fn a_certificate_says_what_its_authority_knows_it_by() {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.key_identifier_method = rcgen::KeyIdMethod::PreSpecified(vec![1, 2, 3, 4]);
    let issuer = rcgen::Issuer::new(params, key);
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
    params.serial_number = Some(vec![0x87, 0x65].into());
    let without = params.signed_by(&key, &issuer).unwrap();
    params.use_authority_key_identifier_extension = true;
    let with = params.signed_by(&key, &issuer).unwrap();
    let serial = |pem: &str| Chain::parse(pem.as_bytes()).unwrap().serial();
    let want = Serial {
        authority: vec![1, 2, 3, 4],
        number: vec![0, 0x87, 0x65],
    };
    assert_eq!(serial(&with.pem()), Some(want));
    assert_eq!(serial(&without.pem()), None);
}

#[test]
fn a_request_and_its_key_belong_together_and_are_shown_as_nothing() {
    let request = Request::new("a.example").unwrap();
    PrivateKey::parse(request.key_pem().as_bytes()).unwrap();
    assert!(!request.csr().is_empty());
    assert_eq!(format!("{request:?}"), "Request(***)");
}
