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
}

/// What to write down.
pub(crate) fn encode(known: &Known) -> Vec<u8> {
    let states = known.states.iter();
    let states = states.filter_map(|(key, state)| {
        let text: &RawValue = serde_json::from_str(state.text()).ok()?;
        Some((key.as_str(), text))
    });
    let body = serde_json::to_vec(&states.collect::<BTreeMap<&str, &RawValue>>());
    let body = body.unwrap_or_default();
    [SEAL.line(&body).as_bytes(), &body].concat()
}

/// What was written down.
pub(crate) fn decode(bytes: &[u8]) -> Result<Known, CopyError> {
    let body = SEAL.open(bytes).map_err(|unsealed| match unsealed {
        Unsealed::Foreign => CopyError::Foreign,
        Unsealed::Damaged => CopyError::Damaged,
    })?;
    let read: HashMap<Cow<'_, str>, &RawValue> =
        serde_json::from_slice(body).map_err(|_| CopyError::Damaged)?;
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
        assert_eq!(decode(&encode(&known())), Ok(known()));
        assert_eq!(decode(&encode(&Known::default())), Ok(Known::default()));
    }

    #[test]
    fn a_changed_byte_is_noticed_wherever_it_is() {
        let bytes = encode(&known());
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x20;
            assert!(decode(&damaged).is_err(), "byte {at}");
            assert!(decode(&bytes[..at]).is_err(), "cut at {at}");
        }
        assert_eq!(decode(b"vidette key list 1 "), Err(CopyError::Foreign));
    }
}
