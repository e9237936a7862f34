//! The signature of a request. Its form is `SIGNATURE "." HEADER`, both in base64url: the header
//! is JSON and says when it was signed, and what is signed is the header, a zero byte and the
//! body. Path, method and query are not signed.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;

use super::RelayCredentials;

/// The header that names the relay.
pub const ID_HEADER: &str = "x-sentry-relay-id";

/// The header with the signature.
pub const SIGNATURE_HEADER: &str = "x-sentry-relay-signature";

/// The value of [`SIGNATURE_HEADER`] for a body that is sent now: `now_us` microseconds after
/// 1970. Who verifies it takes five minutes for too old.
#[must_use]
pub fn signature(now_us: i64, credentials: &RelayCredentials, body: &[u8]) -> String {
    // Beyond the calendar's end no receiver would take it anyway.
    let now = Timestamp::from_microsecond(now_us).unwrap_or(Timestamp::MAX);
    let header = format!(r#"{{"t":"{now:.6}"}}"#);
    let message = [header.as_bytes(), &[0], body].concat();
    let signed = credentials.sign(&message);
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(header))
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};

    use super::*;

    /// 2026-01-02T03:04:05.678901Z.
    const NOW_US: i64 = 1_767_323_045_678_901;

    fn credentials() -> RelayCredentials {
        let seed: Vec<u8> = (0..32).collect();
        RelayCredentials::drawn(seed.try_into().unwrap(), [0; 16]).unwrap()
    }

    /// PROTOCOL 9 has it, made by another implementation.
    #[test]
    fn a_body_is_signed_as_the_protocol_has_it() {
        let body = br#"{"publicKeys":["0123456789abcdef0123456789abcdef"],"fullConfig":true}"#;
        let want = "80z6bnGwrfWgrz4ugXSfPqfzibdwudjLPepDA4IyLI2ulmcu_ap1Mc2eEH5frbdGjdqdhOaZOqPQEPEApOepCA.eyJ0IjoiMjAyNi0wMS0wMlQwMzowNDowNS42Nzg5MDFaIn0";
        assert_eq!(signature(NOW_US, &credentials(), body), want);
        let public = "A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg";
        assert_eq!(credentials().public_key(), public);
    }

    /// Whether the signature is one of this body under the relay's own key.
    fn holds(signature: &str, body: &[u8]) -> bool {
        let (signed, header) = signature.split_once('.').unwrap();
        let bytes = |text: &str| URL_SAFE_NO_PAD.decode(text).unwrap();
        let message = [bytes(header), vec![0], body.to_vec()].concat();
        let public = bytes(&credentials().public_key());
        let key = UnparsedPublicKey::new(&ED25519, public);
        key.verify(&message, &bytes(signed)).is_ok()
    }

    #[test]
    fn a_signature_is_of_one_body_alone() {
        for body in ["", "{}", "{}\n", "\0"] {
            let signed = signature(NOW_US, &credentials(), body.as_bytes());
            assert!(holds(&signed, body.as_bytes()), "{body:?}");
            assert!(!holds(&signed, b"another"), "{body:?}");
        }
    }

    #[test]
    fn a_time_has_six_digits_of_a_second_whatever_they_are() {
        for (us, want) in [
            (0, "1970-01-01T00:00:00.000000Z"),
            (1_500_000, "1970-01-01T00:00:01.500000Z"),
            (i64::MAX, "9999-12-30T22:00:00.999999Z"),
        ] {
            let signed = signature(us, &credentials(), b"");
            let (_, header) = signed.split_once('.').unwrap();
            let header = URL_SAFE_NO_PAD.decode(header).unwrap();
            let want = format!(r#"{{"t":"{want}"}}"#);
            assert_eq!(String::from_utf8(header).unwrap(), want);
        }
    }
}
