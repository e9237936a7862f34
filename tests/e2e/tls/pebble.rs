//! Pebble from Debian: an ACME authority of the test's own, which rejects good nonces now and
//! then, and the DNS in which it finds every name at loopback.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::json;
use socket2::{Domain, Socket, Type};

use super::authority::Authority;
use super::client::{SecureClient, Trust};
use crate::edge::Log;
use crate::parts::program;
use crate::upstream::HANG;

/// A port that nobody else is given meanwhile, and that somebody else may listen on.
pub(super) struct Port {
    _held: Socket,
    pub(super) number: u16,
}

impl Port {
    pub(super) fn hold() -> Self {
        let held = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        held.set_reuse_address(true).unwrap();
        held.set_reuse_port(true).unwrap();
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        held.bind(&any.into()).unwrap();
        let number = held.local_addr().unwrap().as_socket().unwrap().port();
        Self {
            _held: held,
            number,
        }
    }

    /// At loopback.
    pub(super) fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.number).into()
    }
}

/// What a test wants of it.
pub(super) struct How {
    /// Where it asks for proofs by HTTP.
    pub(super) http_port: u16,
    /// Where it asks for proofs by TLS.
    pub(super) tls_port: u16,
    /// How long certificates hold.
    pub(super) life: Duration,
    /// Of a hundred good nonces it rejects so many.
    pub(super) nonces_rejected: u32,
}

/// A running Pebble. Dropping it kills it.
pub(super) struct Pebble {
    child: Child,
    names: Child,
    log: Log,
    /// Who vouches for its own servers.
    pub(super) authority: Authority,
    /// Where ACME is spoken.
    pub(super) address: SocketAddr,
    management: SocketAddr,
    _ports: [Port; 4],
}

impl Pebble {
    #[track_caller]
    pub(super) fn start(how: &How) -> Self {
        let authority = Authority::called("the authority of the authority");
        let (cert, key) = authority.issue("pebble", &["localhost", "127.0.0.1"]);
        let ports = [(); 4].map(|()| Port::hold());
        let [acme, management, dns, steering] = ports.each_ref().map(Port::address);
        let mut names = Command::new(program("pebble-challtestsrv").unwrap());
        names
            .args(["-http01", "", "-https01", "", "-tlsalpn01", ""])
            .args(["-defaultIPv4", "127.0.0.1", "-defaultIPv6", ""])
            .args(["-dns01", &dns.to_string()])
            .args(["-management", &steering.to_string()]);
        let names = names.stdout(Stdio::null()).stderr(Stdio::null());
        let names = names.spawn().unwrap();
        let file = authority.folder().join("pebble.json");
        let text = json!({"pebble": {
            "listenAddress": acme.to_string(),
            "managementListenAddress": management.to_string(),
            "certificate": cert,
            "privateKey": key,
            "httpPort": how.http_port,
            "tlsPort": how.tls_port,
            "ocspResponderURL": "",
            "externalAccountBindingRequired": false,
            "certificateValidityPeriod": how.life.as_secs(),
        }});
        fs::write(&file, text.to_string()).unwrap();
        let mut child = Command::new(program("pebble").unwrap())
            .arg("-config")
            .arg(&file)
            .args(["-dnsserver", &dns.to_string()])
            .env("PEBBLE_VA_NOSLEEP", "1")
            // Each order is proved anew.
            .env("PEBBLE_AUTHZREUSE", "0")
            .env("PEBBLE_WFE_NONCEREJECT", how.nonces_rejected.to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let log = Log::follow(child.stdout.take().unwrap());
        let pebble = Self {
            child,
            names,
            log,
            authority,
            address: acme,
            management,
            _ports: ports,
        };
        pebble.wait_ready();
        pebble
    }

    #[track_caller]
    fn wait_ready(&self) {
        let trust = Trust::of(&self.authority);
        let deadline = Instant::now() + HANG;
        for address in [self.address, self.management] {
            while SecureClient::try_connect(address, &trust, "localhost").is_err() {
                assert!(Instant::now() < deadline, "Pebble does not come up");
                thread::sleep(Duration::from_millis(20));
            }
        }
    }

    /// Who vouches for the certificates that it gives.
    #[track_caller]
    pub(super) fn roots(&self) -> Arc<RootCertStore> {
        let trust = Trust::of(&self.authority);
        let client = SecureClient::try_connect(self.management, &trust, "localhost");
        let headers = [("Host", "localhost"), ("Connection", "close")];
        let root = client.unwrap().ask("GET", "/roots/0", &headers, b"");
        let root = CertificateDer::from_pem_slice(&root.body).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(root).unwrap();
        Arc::new(roots)
    }
}

impl Drop for Pebble {
    fn drop(&mut self) {
        for child in [&mut self.child, &mut self.names] {
            drop(child.kill());
            drop(child.wait());
        }
        if thread::panicking() {
            eprintln!("--- Pebble's log ---\n{}\n---", self.log.text());
        }
    }
}
