//! One handshake with a server, and why it failed. Waits as long as it is let, and believes
//! no server unchecked.

use std::io;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{AlertDescription, CertificateError, ClientConfig, Error, PeerIncompatible};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::trust::{TrustError, TrustFiles};
use crate::domain::reach::ReachFault;

/// What is spoken inside.
const HTTP1: &[u8] = b"http/1.1";

/// A connection to a server that is who it should be.
pub type Reached = TlsStream<TcpStream>;

/// The name that a server's certificate has to be for.
#[derive(Debug, Clone)]
pub struct Name(ServerName<'static>);

impl Name {
    /// A name, or an address without brackets. `None`: no certificate can be for it.
    #[must_use]
    pub fn parse(host: &str) -> Option<Self> {
        // The root's dot is none of a certificate's.
        let host = host.strip_suffix('.').unwrap_or(host);
        ServerName::try_from(host.to_owned()).ok().map(Self)
    }
}

/// What handshakes with servers are made with. One value for all workers, so that each
/// resumes what another has agreed on; never changed, but exchanged whole.
#[derive(Debug)]
pub struct Trust(Arc<ClientConfig>);

impl Trust {
    /// Reads it. Blocks on the file system.
    ///
    /// # Errors
    /// What of it is of no use, and why.
    pub fn read(files: TrustFiles<'_>) -> Result<Self, TrustError> {
        Ok(Self(Arc::new(files.read(&[HTTP1])?)))
    }

    /// The same for a server that speaks no HTTP.
    ///
    /// # Errors
    /// What of it is of no use, and why.
    pub fn read_for(files: TrustFiles<'_>) -> Result<Self, TrustError> {
        Ok(Self(Arc::new(files.read(&[])?)))
    }

    /// Agrees on TLS with whoever answers there, if that is who it should be. Dropping it
    /// closes the socket.
    ///
    /// A server of TLS 1.3 judges our certificate after this: see [`refusal`].
    ///
    /// # Errors
    /// The cause of the failure.
    pub async fn reach(&self, name: &Name, socket: TcpStream) -> Result<Reached, ReachFault> {
        let connector = TlsConnector::from(Arc::clone(&self.0));
        let agreed = connector.connect(name.0.clone(), socket).await;
        agreed.map_err(|error| cause(&error))
    }
}

/// Whether a connection that stood was broken off because of our certificate: nothing that
/// was sent on it was looked at.
#[must_use]
pub fn refusal(error: &io::Error) -> Option<ReachFault> {
    let Error::AlertReceived(alert) = library(error)? else {
        return None;
    };
    of_our_certificate(*alert)
}

fn library(error: &io::Error) -> Option<&Error> {
    error.get_ref()?.downcast_ref()
}

fn cause(error: &io::Error) -> ReachFault {
    library(error).map_or(ReachFault::Closed, of_library)
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the library adds errors with any release, and what we do not know is malformed"
)]
fn of_library(error: &Error) -> ReachFault {
    match error {
        Error::InvalidMessage(_) => ReachFault::NotTls,
        Error::PeerIncompatible(
            PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
        ) => ReachFault::NoVersion,
        Error::PeerIncompatible(_) => ReachFault::NoCipher,
        Error::NoApplicationProtocol => ReachFault::NoProtocol,
        Error::InvalidCertificate(wrong) => of_certificate(wrong),
        Error::AlertReceived(alert) => of_alert(*alert),
        _ => ReachFault::Malformed,
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "what else can be wrong with a certificate, now or in a later release, is one cause"
)]
fn of_certificate(wrong: &CertificateError) -> ReachFault {
    match wrong {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => ReachFault::Expired,
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            ReachFault::Early
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            ReachFault::WrongName
        }
        CertificateError::UnknownIssuer
        // So an authority is found out that has the name of one we know, and another key.
        | CertificateError::BadSignature => ReachFault::UnknownAuthority,
        _ => ReachFault::BadCertificate,
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "alerts without a cause of their own, those to come among them, are one"
)]
fn of_alert(alert: AlertDescription) -> ReachFault {
    match alert {
        AlertDescription::ProtocolVersion => ReachFault::NoVersion,
        AlertDescription::HandshakeFailure | AlertDescription::InsufficientSecurity => {
            ReachFault::NoCipher
        }
        AlertDescription::NoApplicationProtocol => ReachFault::NoProtocol,
        AlertDescription::UnrecognisedName => ReachFault::WrongName,
        alert => of_our_certificate(alert).unwrap_or(ReachFault::Alert),
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "all other alerts, those to come among them, say nothing of our certificate"
)]
fn of_our_certificate(alert: AlertDescription) -> Option<ReachFault> {
    match alert {
        AlertDescription::CertificateRequired | AlertDescription::NoCertificate => {
            Some(ReachFault::NoClientCertificate)
        }
        AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateRevoked
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateUnknown
        | AlertDescription::UnknownCA
        | AlertDescription::AccessDenied
        | AlertDescription::DecryptError => Some(ReachFault::ClientCertificateRefused),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use rustls::{InvalidMessage, PeerMisbehaved};

    use super::*;

    #[track_caller]
    fn check(error: Error, want: ReachFault) {
        let told = io::Error::new(io::ErrorKind::InvalidData, error.clone());
        assert_eq!(cause(&told), want, "{error:?}");
    }

    #[test]
    fn failures_are_told_apart_by_what_an_operator_can_do() {
        for (wrong, want) in [
            (CertificateError::Expired, ReachFault::Expired),
            (CertificateError::NotValidYet, ReachFault::Early),
            (CertificateError::NotValidForName, ReachFault::WrongName),
            (
                CertificateError::UnknownIssuer,
                ReachFault::UnknownAuthority,
            ),
            (CertificateError::BadSignature, ReachFault::UnknownAuthority),
            (CertificateError::Revoked, ReachFault::BadCertificate),
        ] {
            check(wrong.into(), want);
        }
        check(
            InvalidMessage::InvalidContentType.into(),
            ReachFault::NotTls,
        );
        check(
            PeerIncompatible::ServerDoesNotSupportTls12Or13.into(),
            ReachFault::NoVersion,
        );
        check(
            PeerMisbehaved::IllegalMiddleboxChangeCipherSpec.into(),
            ReachFault::Malformed,
        );
        for (alert, want) in [
            (
                AlertDescription::CertificateRequired,
                ReachFault::NoClientCertificate,
            ),
            (
                AlertDescription::UnknownCA,
                ReachFault::ClientCertificateRefused,
            ),
            (AlertDescription::UnrecognisedName, ReachFault::WrongName),
            (
                AlertDescription::NoApplicationProtocol,
                ReachFault::NoProtocol,
            ),
            (AlertDescription::InternalError, ReachFault::Alert),
        ] {
            check(Error::AlertReceived(alert), want);
        }
        let gone = io::Error::from(io::ErrorKind::ConnectionReset);
        assert_eq!(cause(&gone), ReachFault::Closed);
    }

    #[test]
    fn only_a_word_on_our_certificate_breaks_off_what_stood() {
        let check = |error: Error, want| {
            let told = io::Error::new(io::ErrorKind::InvalidData, error);
            assert_eq!(refusal(&told), want);
        };
        check(
            Error::AlertReceived(AlertDescription::CertificateRequired),
            Some(ReachFault::NoClientCertificate),
        );
        check(Error::AlertReceived(AlertDescription::InternalError), None);
        check(Error::DecryptError, None);
        assert_eq!(refusal(&io::ErrorKind::ConnectionReset.into()), None);
    }

    #[test]
    fn what_no_certificate_can_be_for_is_no_name() {
        for host in [
            "sentry.example",
            "sentry.example.",
            "sentry_web",
            "10.0.0.1",
            "::1",
        ] {
            assert!(Name::parse(host).is_some(), "{host}");
        }
        for host in ["", "[::1]", "a b", "10.0.0.256"] {
            assert!(Name::parse(host).is_none(), "{host}");
        }
    }
}
