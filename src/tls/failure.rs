//! Why a handshake failed, sorted into the closed list of causes. Shows nothing of what
//! the client sent.

use std::io;

use rustls::{AlertDescription, Error, PeerIncompatible};

use crate::domain::handshake::HandshakeFault;

/// The cause behind a failed handshake.
pub(super) fn cause(error: &io::Error) -> HandshakeFault {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    inner.map_or(HandshakeFault::Closed, of_library)
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the library adds errors with any release, and what we do not know is malformed"
)]
fn of_library(error: &Error) -> HandshakeFault {
    match error {
        Error::PeerIncompatible(
            PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::SupportedVersionsExtensionRequired
            | PeerIncompatible::Tls12NotOffered
            | PeerIncompatible::Tls12NotOfferedOrEnabled
            // Clients of TLS 1.1 and older are the ones that do not list any.
            | PeerIncompatible::SignatureAlgorithmsExtensionRequired
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
        ) => HandshakeFault::NoVersion,
        Error::PeerIncompatible(_) => HandshakeFault::NoCipher,
        Error::NoApplicationProtocol => HandshakeFault::NoProtocol,
        Error::NoCertificatesPresented => HandshakeFault::NoClientCertificate,
        Error::InvalidCertificate(_) => HandshakeFault::BadClientCertificate,
        // The one thing that the library calls so when it serves: there is nothing to show.
        Error::General(_) => HandshakeFault::NoCertificate,
        Error::AlertReceived(alert) => of_alert(*alert),
        _ => HandshakeFault::Malformed,
    }
}

/// What a client's alert says. Those about versions and ciphers it sends where it finds that
/// our choice is none of its own.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "alerts without a cause of their own, those to come among them, are one"
)]
fn of_alert(alert: AlertDescription) -> HandshakeFault {
    match alert {
        AlertDescription::UnknownCA
        | AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateRevoked
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateUnknown
        // So says who knows an authority of the same name with another key.
        | AlertDescription::DecryptError => HandshakeFault::CertificateRefused,
        AlertDescription::ProtocolVersion => HandshakeFault::NoVersion,
        AlertDescription::HandshakeFailure | AlertDescription::InsufficientSecurity => {
            HandshakeFault::NoCipher
        }
        _ => HandshakeFault::Alert,
    }
}

#[cfg(test)]
mod tests {
    use rustls::{CertificateError, PeerMisbehaved};

    use super::*;

    #[track_caller]
    fn check(error: Error, want: HandshakeFault) {
        let told = io::Error::new(io::ErrorKind::InvalidData, error.clone());
        assert_eq!(cause(&told), want, "{error:?}");
    }

    #[test]
    fn failures_are_told_apart_by_whose_they_are() {
        check(
            PeerIncompatible::Tls12NotOfferedOrEnabled.into(),
            HandshakeFault::NoVersion,
        );
        check(
            PeerIncompatible::SignatureAlgorithmsExtensionRequired.into(),
            HandshakeFault::NoVersion,
        );
        check(
            PeerIncompatible::NoCipherSuitesInCommon.into(),
            HandshakeFault::NoCipher,
        );
        check(Error::NoApplicationProtocol, HandshakeFault::NoProtocol);
        check(
            Error::NoCertificatesPresented,
            HandshakeFault::NoClientCertificate,
        );
        check(
            CertificateError::UnknownIssuer.into(),
            HandshakeFault::BadClientCertificate,
        );
        check(
            PeerMisbehaved::IllegalMiddleboxChangeCipherSpec.into(),
            HandshakeFault::Malformed,
        );
        for (alert, want) in [
            (
                AlertDescription::UnknownCA,
                HandshakeFault::CertificateRefused,
            ),
            (
                AlertDescription::CertificateExpired,
                HandshakeFault::CertificateRefused,
            ),
            (AlertDescription::ProtocolVersion, HandshakeFault::NoVersion),
            (AlertDescription::UserCanceled, HandshakeFault::Alert),
        ] {
            check(Error::AlertReceived(alert), want);
        }
    }

    #[test]
    fn a_broken_connection_is_not_the_handshakes_fault() {
        let gone = io::Error::from(io::ErrorKind::ConnectionReset);
        assert_eq!(cause(&gone), HandshakeFault::Closed);
        let ended = io::Error::new(io::ErrorKind::UnexpectedEof, "tls handshake eof");
        assert_eq!(cause(&ended), HandshakeFault::Closed);
    }
}
