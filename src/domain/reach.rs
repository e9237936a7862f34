//! Why TLS with a server came to nothing: a closed list, so that it can be counted and told
//! by cause. Knows no TLS; whoever speaks it sorts its failures in here.

use std::fmt;

/// The cause of a handshake with a server that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReachFault {
    /// What came was no TLS: a port that speaks HTTP in the clear, most often.
    NotTls,
    /// It speaks no version that we speak.
    NoVersion,
    /// No cipher, group or signature in common; some servers say so of a client certificate
    /// that they miss.
    NoCipher,
    /// It does not speak HTTP/1.1 by its own list.
    NoProtocol,
    /// Its certificate leads to no authority that is believed.
    UnknownAuthority,
    /// Its certificate, or all that it serves, is for other names.
    WrongName,
    /// Its certificate is past its end.
    Expired,
    /// Its certificate is before its beginning, or the clock here is wrong.
    Early,
    /// Its certificate cannot be accepted for another reason: revoked, or no server's.
    BadCertificate,
    /// It wants a certificate of us, and there is none to show.
    NoClientCertificate,
    /// It does not accept the certificate that it was shown, or that there is none.
    ClientCertificateRefused,
    /// It broke off with another alert.
    Alert,
    /// It closed, or its connection broke.
    Closed,
    /// It was too slow.
    Timeout,
    /// What it sent breaks TLS in some other way.
    Malformed,
    /// There is nothing to check it by: no authorities could be read.
    Unready,
}

impl ReachFault {
    /// Every cause, in the order of export.
    pub const ALL: &'static [Self] = &[
        Self::NotTls,
        Self::NoVersion,
        Self::NoCipher,
        Self::NoProtocol,
        Self::UnknownAuthority,
        Self::WrongName,
        Self::Expired,
        Self::Early,
        Self::BadCertificate,
        Self::NoClientCertificate,
        Self::ClientCertificateRefused,
        Self::Alert,
        Self::Closed,
        Self::Timeout,
        Self::Malformed,
        Self::Unready,
    ];

    /// The word for it in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.told().0
    }

    /// The word for it, and what it means in a sentence about the server.
    const fn told(self) -> (&'static str, &'static str) {
        match self {
            Self::NotTls => ("not_tls", "it does not speak TLS at this port"),
            Self::NoVersion => ("no_version", "it speaks neither TLS 1.2 nor TLS 1.3"),
            Self::NoCipher => (
                "no_cipher",
                "it agrees to no cipher, or misses a client certificate",
            ),
            Self::NoProtocol => ("no_protocol", "it does not speak HTTP/1.1 over TLS"),
            Self::UnknownAuthority => (
                "unknown_authority",
                "its certificate is of no authority that is known here (upstream.tls.ca)",
            ),
            Self::WrongName => (
                "wrong_name",
                "it has no certificate for the name in its URL",
            ),
            Self::Expired => ("expired", "its certificate has expired"),
            Self::Early => ("early", "its certificate does not hold yet"),
            Self::BadCertificate => ("bad_certificate", "its certificate cannot be accepted"),
            Self::NoClientCertificate => (
                "no_client_certificate",
                "it requires a client certificate (upstream.tls.cert)",
            ),
            Self::ClientCertificateRefused => (
                "client_certificate_refused",
                "it refuses the client certificate, or that there is none (upstream.tls.cert)",
            ),
            Self::Alert => ("alert", "it broke off the handshake with an alert"),
            Self::Closed => ("closed", "it closed the connection amid the handshake"),
            Self::Timeout => ("timeout", "it does not end a handshake in time"),
            Self::Malformed => ("malformed", "what it sends breaks TLS"),
            Self::Unready => ("unready", "no authorities are known to check it by"),
        }
    }

    /// The place in an array as long as `ALL`.
    #[must_use]
    pub fn index(self) -> usize {
        let all = Self::ALL.iter();
        let mut places = all.enumerate().filter(|(_, fault)| **fault == self);
        places.next().map_or(0, |(place, _)| place)
    }
}

impl fmt::Display for ReachFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.told().1)
    }
}

impl std::error::Error for ReachFault {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_has_a_place_a_word_and_a_sentence_of_its_own() {
        let mut words: Vec<String> = Vec::new();
        for (place, fault) in ReachFault::ALL.iter().enumerate() {
            assert_eq!(fault.index(), place, "{fault:?}");
            words.push(fault.as_str().to_owned());
            words.push(fault.to_string());
        }
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), 2 * ReachFault::ALL.len());
    }
}
