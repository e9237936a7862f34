//! TLS in front of a fake Sentry: agrees with whoever comes on the terms its test names, and
//! passes on what they say. Never looks into it.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{HandshakeKind, ServerConfig, SupportedProtocolVersion};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

use super::authority::{Authority, Files};
use crate::upstream::Fake;

/// On what terms a gate agrees.
#[derive(Clone)]
pub(super) struct Terms(Arc<ServerConfig>);

impl Terms {
    /// With this certificate, asking nobody for one.
    pub(super) fn of(files: &Files) -> Self {
        Self::with(files, rustls::ALL_VERSIONS, None)
    }

    /// In these versions, and only with whom this authority vouches for.
    pub(super) fn with(
        (cert, key): &Files,
        versions: &[&'static SupportedProtocolVersion],
        clients: Option<&Authority>,
    ) -> Self {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(versions)
            .unwrap();
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let roots = authority.roots();
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
                builder.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        let cert = CertificateDer::from_pem_file(cert).unwrap();
        let key = PrivateKeyDer::from_pem_file(key).unwrap();
        let mut config = builder.with_single_cert(vec![cert], key).unwrap();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Self(Arc::new(config))
    }
}

/// What was agreed on one connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Agreed {
    pub(super) name: Option<String>,
    pub(super) protocol: Option<Vec<u8>>,
    pub(super) resumed: bool,
}

#[derive(Default)]
struct Seen {
    agreed: Vec<Agreed>,
    failed: usize,
}

/// A gate that stands open. Dropping it ends its connections.
pub(super) struct Gate {
    pub(super) address: SocketAddr,
    terms: Arc<Mutex<Terms>>,
    seen: Arc<Mutex<Seen>>,
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Gate {
    pub(super) fn before(fake: &Fake, terms: Terms) -> Self {
        let socket = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        socket.set_nonblocking(true).unwrap();
        let address = socket.local_addr().unwrap();
        let (terms, seen) = (Arc::new(Mutex::new(terms)), Arc::<Mutex<Seen>>::default());
        let (end, ended) = oneshot::channel();
        let thread = {
            let (terms, seen, behind) = (Arc::clone(&terms), Arc::clone(&seen), fake.address());
            thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .unwrap();
                runtime.block_on(async {
                    tokio::select! {
                        () = accept(socket, behind, &terms, &seen) => {}
                        _ = ended => {}
                    }
                });
            })
        };
        Self {
            address,
            terms,
            seen,
            end: Some(end),
            thread: Some(thread),
        }
    }

    /// As the configuration names it.
    pub(super) fn url(&self, host: &str) -> String {
        format!("https://{host}:{}", self.address.port())
    }

    /// Agrees on other terms from now on.
    pub(super) fn becomes(&self, terms: Terms) {
        *self.terms.lock().unwrap() = terms;
    }

    /// What was agreed so far.
    pub(super) fn agreed(&self) -> Vec<Agreed> {
        self.seen.lock().unwrap().agreed.clone()
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

async fn accept(
    socket: std::net::TcpListener,
    behind: SocketAddr,
    terms: &Arc<Mutex<Terms>>,
    seen: &Arc<Mutex<Seen>>,
) {
    let socket = TcpListener::from_std(socket).unwrap();
    loop {
        let Ok((stream, _)) = socket.accept().await else {
            continue;
        };
        drop(stream.set_nodelay(true));
        let acceptor = TlsAcceptor::from(Arc::clone(&terms.lock().unwrap().0));
        let seen = Arc::clone(seen);
        tokio::spawn(async move {
            let Ok(mut inside) = acceptor.accept(stream).await else {
                seen.lock().unwrap().failed += 1;
                return;
            };
            let session = inside.get_ref().1;
            let agreed = Agreed {
                name: session.server_name().map(str::to_owned),
                protocol: session.alpn_protocol().map(<[u8]>::to_vec),
                resumed: session.handshake_kind() == Some(HandshakeKind::Resumed),
            };
            seen.lock().unwrap().agreed.push(agreed);
            if let Ok(mut outside) = TcpStream::connect(behind).await {
                drop(outside.set_nodelay(true));
                drop(tokio::io::copy_bidirectional(&mut inside, &mut outside).await);
            }
        });
    }
}
