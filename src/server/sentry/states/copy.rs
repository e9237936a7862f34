//! The states on disk: an edge that restarts while Sentry is away still knows what was told. They
//! are as they came, without what means nothing here, so that a later version reads of them what
//! it understands. Never reads or writes a file.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde_json::value::RawValue;

use super::known::Known;
use crate::domain::credentials::Key;
use crate::domain::project_state::ProjectState;
use crate::server::sentry::sealed::{Seal, Unsealed};

/// The form of what is written; another one is not read.
const SEAL: Seal = Seal {
    title: "vidette project states",
    version: "1",
};

/// Among the states, whose they are: the URL. No key is called so, and earlier copies do not say.
const OF: &str = "of";

/// The largest file that is read: a hundred thousand states take some 100 MB.
pub(crate) const FILE_BYTES_MAX: u64 = 512 << 20;

/// Why there is no copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CopyError {
    /// Some other file, or the copy of another version.
    #[error("the file holds no states that this version can read")]
    Foreign,
    /// Cut short or changed since it was written.
    #[error("the copy of the states is damaged")]
    Damaged,
    /// What another Sentry said.
    #[error("the copy of the states is another Sentry's")]
    Others,
}

/// What to write down of what the Sentry at the URL `of` said.
pub(crate) fn encode(of: &str, known: &Known) -> Vec<u8> {
    let states = known.states.iter();
    let states = states.filter_map(|(key, state)| {
        let text: &RawValue = serde_json::from_str(state.text()).ok()?;
        Some((key.as_str(), text))
    });
    let of = serde_json::value::to_raw_value(of).ok();
    let of = of.as_deref().map(|of| (OF, of));
    let body = serde_json::to_vec(&states.chain(of).collect::<BTreeMap<&str, &RawValue>>());
    let body = body.unwrap_or_default();
    [SEAL.line(&body).as_bytes(), &body].concat()
}

/// What was written down of what the Sentry at the URL `of` said. A copy that does not say whose
/// it is counts as its.
pub(crate) fn decode(of: &str, bytes: &[u8]) -> Result<Known, CopyError> {
    let body = SEAL.open(bytes).map_err(|unsealed| match unsealed {
        Unsealed::Foreign => CopyError::Foreign,
        Unsealed::Damaged => CopyError::Damaged,
    })?;
    let read: HashMap<Cow<'_, str>, &RawValue> =
        serde_json::from_slice(body).map_err(|_| CopyError::Damaged)?;
    if let Some(told) = read.get(OF) {
        let told: Cow<'_, str> =
            serde_json::from_str(told.get()).map_err(|_| CopyError::Damaged)?;
        if told != of {
            return Err(CopyError::Others);
        }
    }
    let states = read.into_iter().filter_map(|(key, text)| {
        let key = Key::parse(key.as_bytes())?;
        let state = ProjectState::read(text.get()).ok()?;
        Some((key, Arc::new(state)))
    });
    Ok(Known {
        states: states.collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "http://web:9000";

    fn known() -> Known {
        let state = r#"{"projectId":7, "rev":"5f1c",
            "publicKeys":[{"publicKey":"0123456789abcdef0123456789abcdef"}],
            "config":{"allowedDomains":[ "a.example" ],"features":["x"]}}"#;
        let key = |number: u64| Key::parse(format!("{number:032x}").as_bytes()).unwrap();
        let disabled = ProjectState::disabled(key(2));
        let states = [
            (key(1), Arc::new(ProjectState::read(state).unwrap())),
            (key(2), Arc::new(disabled)),
        ];
        Known {
            states: states.into(),
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        for known in [known(), Known::default()] {
            assert_eq!(decode(URL, &encode(URL, &known)), Ok(known));
        }
    }

    /// Another Sentry's word would disable keys, and refuse pages, of which this one says nothing.
    #[test]
    fn a_copy_of_what_another_sentry_said_is_not_read() {
        let kept = encode(URL, &known());
        for other in ["https://web:9000", "http://web:9001", "http://new:9000"] {
            assert_eq!(decode(other, &kept), Err(CopyError::Others), "{other}");
        }
        // What earlier versions kept does not say whose it is.
        let body = String::from_utf8(kept).unwrap();
        let body = body.split_once('\n').unwrap().1;
        let body = body.replacen(&format!(r#","of":"{URL}""#), "", 1);
        let earlier = format!("{}{body}", SEAL.line(body.as_bytes()));
        assert_eq!(decode("http://new:9000", earlier.as_bytes()), Ok(known()));
    }

    #[test]
    fn a_changed_byte_is_noticed_wherever_it_is() {
        let bytes = encode(URL, &known());
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x20;
            assert!(decode(URL, &damaged).is_err(), "byte {at}");
            assert!(decode(URL, &bytes[..at]).is_err(), "cut at {at}");
        }
        assert_eq!(decode(URL, b"vidette key list 1 "), Err(CopyError::Foreign));
    }
}
