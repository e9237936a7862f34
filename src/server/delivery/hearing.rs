//! What an upstream's answer says about the key that asked. Owns the form in which
//! a refusal counts; never says what follows from it.

use std::borrow::Cow;

use bytes::Bytes;
use http::StatusCode;

use crate::policy::verdicts::Answer;

/// The longest refusal that is listened to: Sentry's own take a hundred bytes or
/// two, and a longer page is somebody else's.
const REFUSAL_BYTES_MAX: usize = 4096;

/// A refusal's words, as far as they have come: an upstream may send its head and
/// its body apart.
#[derive(Debug, Default)]
pub(crate) struct Hearing {
    words: Vec<u8>,
    too_long: bool,
}

/// What an answer's head says already.
pub(crate) enum First {
    /// This, whatever follows.
    Word(Answer),
    /// Its body must be heard.
    Listen,
}

impl First {
    /// What a status says. A refusal counts only in the form in which Sentry refuses
    /// keys: whatever stands between may answer 403 too.
    pub(crate) fn of(status: StatusCode) -> Self {
        match status {
            status if status.is_success() => Self::Word(Answer::Accepted),
            StatusCode::FORBIDDEN => Self::Listen,
            _ => Self::Word(Answer::Other),
        }
    }
}

impl Hearing {
    /// Takes up the next piece of the body.
    pub(crate) fn hear(&mut self, chunk: &Bytes) {
        self.too_long |= chunk.len() > REFUSAL_BYTES_MAX - self.words.len();
        if !self.too_long {
            self.words.extend_from_slice(chunk);
        }
    }

    /// What was said, once the body has ended: a refusal is a JSON object with a
    /// `detail` in words.
    pub(crate) fn end(self) -> Answer {
        #[derive(serde::Deserialize)]
        struct Refused<'a> {
            #[serde(borrow, rename = "detail")]
            _detail: Cow<'a, str>,
        }
        // serde would take a list of one string for the object as well.
        let is_object = self.words.trim_ascii_start().starts_with(b"{");
        let refused = || serde_json::from_slice::<Refused<'_>>(&self.words).is_ok();
        match !self.too_long && is_object && refused() {
            true => Answer::Refused,
            false => Answer::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pieces: &[&str], want: Answer) {
        let mut hearing = Hearing::default();
        for piece in pieces {
            hearing.hear(&Bytes::copy_from_slice(piece.as_bytes()));
        }
        assert_eq!(hearing.end(), want, "{pieces:?}");
    }

    #[test]
    fn an_object_with_a_detail_is_a_refusal_in_however_many_pieces() {
        check(&[r#"{"detail":"told"}"#], Answer::Refused);
        check(&[r#" {"causes":[],"detail":"t\u006fld"}"#], Answer::Refused);
        check(&["{\"det", "", "ail\":\"told\"", "}"], Answer::Refused);
    }

    #[test]
    fn anything_else_says_nothing() {
        for other in [
            "",
            "<html>",
            "{}",
            r#"["told"]"#,
            r#"{"detail":null}"#,
            r#"{"detail":{"code":"told"}}"#,
            r#"{"detail":"told""#,
            r#"{"error":"told"}"#,
        ] {
            check(&[other], Answer::Other);
        }
    }

    #[test]
    fn a_refusal_has_a_longest_length() {
        let of = |bytes: usize| format!(r#"{{"detail":"{}"}}"#, "a".repeat(bytes - 13));
        check(&[&of(REFUSAL_BYTES_MAX)], Answer::Refused);
        check(&[&of(REFUSAL_BYTES_MAX + 1)], Answer::Other);
        let page = "a".repeat(REFUSAL_BYTES_MAX);
        check(&[&page, &page, r#"{"detail":"told"}"#], Answer::Other);
    }
}
