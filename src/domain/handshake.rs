//! Why a TLS handshake came to nothing: a closed list, so that it can be counted by cause.
//! Knows no TLS; whoever speaks it sorts its failures in here.

/// The cause of a handshake that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HandshakeFault {
    /// What came first was no TLS: plain HTTP at a port that speaks HTTPS, most often.
    NotTls,
    /// The client speaks no version that we speak.
    NoVersion,
    /// No cipher, group or signature in common.
    NoCipher,
    /// The client speaks neither HTTP/1.1 nor HTTP/2 by its own list.
    NoProtocol,
    /// The certificate for the name that the client asks for is still to come.
    NoCertificate,
    /// The client does not believe our certificate, and said so.
    CertificateRefused,
    /// The client has shown no certificate where one is required.
    NoClientCertificate,
    /// The client's certificate is not one of `client_ca`, or is out of its time.
    BadClientCertificate,
    /// The client broke off with another alert.
    Alert,
    /// The client closed, or its connection broke.
    Closed,
    /// It took longer than `limits.head_timeout`.
    Timeout,
    /// It was slow, and others waited for its place (`limits.handshakes`).
    Crowded,
    /// What the client sent breaks TLS in some other way.
    Malformed,
}

impl HandshakeFault {
    /// Every cause, in the order of export.
    pub const ALL: &'static [Self] = &[
        Self::NotTls,
        Self::NoVersion,
        Self::NoCipher,
        Self::NoProtocol,
        Self::NoCertificate,
        Self::CertificateRefused,
        Self::NoClientCertificate,
        Self::BadClientCertificate,
        Self::Alert,
        Self::Closed,
        Self::Timeout,
        Self::Crowded,
        Self::Malformed,
    ];

    /// The word for it in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotTls => "not_tls",
            Self::NoVersion => "no_version",
            Self::NoCipher => "no_cipher",
            Self::NoProtocol => "no_protocol",
            Self::NoCertificate => "no_certificate",
            Self::CertificateRefused => "certificate_refused",
            Self::NoClientCertificate => "no_client_certificate",
            Self::BadClientCertificate => "bad_client_certificate",
            Self::Alert => "alert",
            Self::Closed => "closed",
            Self::Timeout => "timeout",
            Self::Crowded => "crowded",
            Self::Malformed => "malformed",
        }
    }

    /// The place in an array as long as `ALL`.
    #[must_use]
    pub fn index(self) -> usize {
        Self::ALL
            .iter()
            .position(|fault| *fault == self)
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_has_a_place_and_a_word_of_its_own() {
        let mut words: Vec<&str> = Vec::new();
        for (place, fault) in HandshakeFault::ALL.iter().enumerate() {
            assert_eq!(fault.index(), place, "{fault:?}");
            words.push(fault.as_str());
        }
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), HandshakeFault::ALL.len());
    }
}
