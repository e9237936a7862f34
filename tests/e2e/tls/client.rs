//! A client that speaks TLS by rustls, and HTTP/1 by the bytes it is given. Never forms a
//! request that its test did not spell out.

use std::io::{self, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion,
};

use super::NAME;
use super::authority::{Authority, Files};
use crate::client::{Answer, request};
use crate::upstream::HANG;
use crate::wire::{Framing, Wire};

/// What a client believes and offers.
#[derive(Clone)]
pub(crate) struct Trust(Arc<ClientConfig>);

impl Trust {
    /// In this authority alone, with both versions and no list of protocols.
    pub(crate) fn of(authority: &Authority) -> Self {
        Self::with(authority, rustls::ALL_VERSIONS, None, &[])
    }

    /// In these authorities alone, with both versions and no list of protocols.
    pub(crate) fn in_roots(roots: Arc<RootCertStore>) -> Self {
        Self::made(roots, rustls::ALL_VERSIONS, None, &[])
    }

    /// The same, with a certificate of its own.
    pub(crate) fn showing(roots: Arc<RootCertStore>, own: &Files) -> Self {
        Self::made(roots, rustls::ALL_VERSIONS, Some(own), &[])
    }

    /// The same, with a list of protocols.
    pub(crate) fn offering(roots: Arc<RootCertStore>, protocols: &[&str]) -> Self {
        Self::made(roots, rustls::ALL_VERSIONS, None, protocols)
    }

    pub(crate) fn with(
        authority: &Authority,
        versions: &[&'static SupportedProtocolVersion],
        own: Option<&Files>,
        protocols: &[&str],
    ) -> Self {
        Self::made(authority.roots(), versions, own, protocols)
    }

    fn made(
        roots: Arc<RootCertStore>,
        versions: &[&'static SupportedProtocolVersion],
        own: Option<&Files>,
        protocols: &[&str],
    ) -> Self {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match own {
            None => builder.with_no_client_auth(),
            Some((cert, key)) => {
                let cert = CertificateDer::from_pem_file(cert).unwrap();
                let key = PrivateKeyDer::from_pem_file(key).unwrap();
                builder.with_client_auth_cert(vec![cert], key).unwrap()
            }
        };
        config.alpn_protocols = protocols
            .iter()
            .map(|protocol| protocol.as_bytes().to_vec())
            .collect();
        Self(Arc::new(config))
    }
}

/// An open connection.
pub(crate) struct SecureClient {
    wire: Wire<StreamOwned<ClientConnection, TcpStream>>,
}

impl SecureClient {
    /// Connects and agrees on TLS, asking for [`NAME`].
    #[track_caller]
    pub(crate) fn connect(address: SocketAddr, trust: &Trust) -> Self {
        Self::try_connect(address, trust, NAME)
            .unwrap_or_else(|error| panic!("no handshake: {error}"))
    }

    /// The same for another name, or the reason why not.
    pub(crate) fn try_connect(address: SocketAddr, trust: &Trust, name: &str) -> io::Result<Self> {
        let mut socket = TcpStream::connect(address)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(HANG))?;
        socket.set_write_timeout(Some(HANG))?;
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let mut session =
            ClientConnection::new(Arc::clone(&trust.0), name).map_err(io::Error::other)?;
        while session.is_handshaking() {
            session.complete_io(&mut socket)?;
        }
        Ok(Self {
            wire: Wire::new(StreamOwned::new(session, socket)),
        })
    }

    pub(crate) fn session(&self) -> &ClientConnection {
        &self.wire.stream.conn
    }

    /// What the server has shown first.
    pub(crate) fn shown(&self) -> CertificateDer<'static> {
        let shown = self.session().peer_certificates().unwrap();
        shown[0].clone().into_owned()
    }

    /// Sends these bytes.
    pub(crate) fn try_send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.wire.stream.write_all(bytes)?;
        self.wire.stream.flush()
    }

    /// Reads the answer to a request with this method.
    pub(crate) fn try_answer_to(&mut self, method: &str) -> io::Result<Answer> {
        let head = self.wire.head()?.ok_or(io::ErrorKind::UnexpectedEof)?;
        let status = std::str::from_utf8(&head.words()[1])
            .unwrap()
            .parse()
            .unwrap();
        let framing = Framing::of_response(&head.headers, status, method)?;
        let mut body = Vec::new();
        self.wire
            .body(framing, &mut |piece| body.extend_from_slice(piece))?;
        Ok(Answer {
            interim: Vec::new(),
            status,
            headers: head.headers,
            body,
        })
    }

    /// One request and its answer.
    pub(crate) fn try_ask(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> io::Result<Answer> {
        self.try_send(&request(method, target, headers, body))?;
        self.try_answer_to(method)
    }

    #[track_caller]
    pub(crate) fn ask(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        self.try_ask(method, target, headers, body)
            .unwrap_or_else(|error| panic!("no whole answer to {method}: {error}"))
    }

    /// Waits until the server says that it is done; panics where it just closes.
    #[track_caller]
    pub(crate) fn expect_end(&mut self) {
        assert!(!self.wire.has_ahead(), "more bytes than one answer");
        assert_eq!(self.wire.more().unwrap(), 0, "bytes where an end was due");
    }

    /// Waits until the server closes, with or without a word.
    #[track_caller]
    pub(crate) fn expect_end_or_close(&mut self) {
        match self.wire.more() {
            Ok(count) => assert_eq!(count, 0, "bytes where a close was due"),
            Err(error) => assert_ne!(error.kind(), io::ErrorKind::WouldBlock, "it stays open"),
        }
    }
}
