//! What outlives a restart: the account, the certificates with their keys, and until when an
//! authority is left alone. One folder for each directory, so that what a trial authority gave
//! is never taken for the real one's. Files are their owner's alone and written whole.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::config::checked::Acme;
use crate::tls::{Chain, FileFault, Identity, PrivateKey, Serial, Standing};

use crate::server::memory::state::{StateError, StateFolder};

use super::account::KeptAccount;

/// The account's file.
const ACCOUNT: &str = "account.json";

/// The file of when an authority may be asked again.
const WAITS: &str = "waits.json";

/// No file of ours is larger: a chain, an account, a line for each name.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// The folder.
#[derive(Debug)]
pub(super) struct Store(StateFolder);

/// A certificate as it is kept.
#[derive(Debug)]
pub(super) struct Kept {
    /// The certificate with its key.
    pub identity: Identity,
    /// What its authority knows it by.
    pub serial: Option<Serial>,
}

/// Why a certificate is of no use.
#[derive(Debug, thiserror::Error)]
pub(super) enum KeepError {
    /// It or its key.
    #[error("it {0}")]
    File(#[from] FileFault),
    /// It is for something else.
    #[error("it is not for this name")]
    OtherName,
    /// It has ended already, or begins some day.
    #[error("it does not hold now; is the clock right?")]
    NotNow,
}

impl Store {
    /// The folder of this authority, locked.
    ///
    /// # Errors
    /// Another edge has it, or what the system says.
    pub(super) fn open(acme: &Acme) -> Result<Self, StateError> {
        let path = Self::place(acme);
        StateFolder::open_for(&path, "acme.path").map(Self)
    }

    /// Where it lies.
    pub(super) fn place(acme: &Acme) -> PathBuf {
        acme.path.join(folder_of(&acme.directory))
    }

    /// The certificate that is kept for a name. One that cannot be read is put aside, and that
    /// is said.
    pub(super) fn certificate(&self, name: &str) -> Option<Kept> {
        let file = file_of(name);
        let read = self.0.read(&file, FILE_BYTES_MAX);
        let damage = match read {
            Ok(None) => return None,
            Ok(Some(text)) => match kept(name, &text) {
                Ok(kept) => return Some(kept),
                Err(error) => error.to_string(),
            },
            Err(error) => error.to_string(),
        };
        tracing::error!(
            certificate = name,
            error = damage,
            "a certificate in acme.path cannot be used: it is put aside, and ordered anew"
        );
        if let Err(error) = self.0.put_aside(&file) {
            tracing::warn!(%error, "it cannot be put aside");
        }
        None
    }

    /// Keeps a certificate that was issued at `now_s`: a key and a chain, both in PEM, in one
    /// file, so that they cannot come apart. One that the disk does not take is good all the
    /// same until a restart: to order it again would not help, and authorities count.
    ///
    /// # Errors
    /// It is of no use, and the old one stays.
    pub(super) fn keep_certificate(
        &self,
        name: &str,
        key_pem: &str,
        chain_pem: &str,
        now_s: i64,
    ) -> Result<Kept, KeepError> {
        let text = format!("{key_pem}{chain_pem}");
        let kept = kept(name, text.as_bytes())?;
        match kept.identity.papers().standing(now_s) {
            Standing::Good | Standing::Ending => {}
            Standing::Early | Standing::Over => return Err(KeepError::NotNow),
        }
        if let Err(error) = self.0.write(&file_of(name), text.as_bytes()) {
            tracing::error!(
                certificate = name,
                %error,
                "acme.path takes no file: the new certificate is in force, and lost at a restart"
            );
        }
        Ok(kept)
    }

    /// The account, if one was opened.
    pub(super) fn account(&self) -> Option<KeptAccount> {
        let damage = match self.0.read(ACCOUNT, FILE_BYTES_MAX) {
            Ok(None) => return None,
            Ok(Some(text)) => match serde_json::from_slice(&text) {
                Ok(account) => return Some(account),
                // Its text would show the key.
                Err(_) => "it is not what was written".to_owned(),
            },
            Err(error) => error.to_string(),
        };
        tracing::error!(
            error = damage,
            "the account in acme.path cannot be read: it is put aside, and another is opened"
        );
        self.forget_account();
        None
    }

    /// Keeps the account.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn keep_account(&self, account: &KeptAccount) -> std::io::Result<()> {
        self.0.write(ACCOUNT, &serde_json::to_vec(account)?)
    }

    /// Puts the account aside: the authority does not know it.
    pub(super) fn forget_account(&self) {
        if let Err(error) = self.0.put_aside(ACCOUNT) {
            tracing::warn!(%error, "the account in acme.path cannot be put aside");
        }
    }

    /// Until when an authority is to be left alone, by name, in seconds of Unix time.
    pub(super) fn waits(&self) -> BTreeMap<String, i64> {
        let read = self.0.read(WAITS, FILE_BYTES_MAX).ok().flatten();
        // Who cannot read them asks a little early.
        let read = read.and_then(|text| serde_json::from_slice(&text).ok());
        read.unwrap_or_default()
    }

    /// Keeps these.
    pub(super) fn keep_waits(&self, waits: &BTreeMap<String, i64>) {
        let text = serde_json::to_vec(waits).unwrap_or_default();
        if let Err(error) = self.0.write(WAITS, &text) {
            tracing::warn!(%error, "acme.path takes no file: a restart may ask the authority early");
        }
    }
}

fn kept(name: &str, text: &[u8]) -> Result<Kept, KeepError> {
    let chain = Chain::parse(text)?;
    if !chain.papers().names.iter().any(|held| held == name) {
        return Err(KeepError::OtherName);
    }
    let serial = chain.serial();
    let identity = Identity::new(chain, PrivateKey::parse(text)?)?;
    Ok(Kept { identity, serial })
}

/// A name is checked: it holds nothing that a file's name may not.
fn file_of(name: &str) -> String {
    format!("{name}.pem")
}

/// A directory's URL as a folder's name.
fn folder_of(directory: &str) -> String {
    let rest = directory.strip_prefix("https://").unwrap_or(directory);
    let plain = |character: char| match character {
        '.' | '-' | '_' => character,
        other if other.is_ascii_alphanumeric() => other.to_ascii_lowercase(),
        _ => '-',
    };
    let name: String = rest.chars().map(plain).collect();
    name.trim_matches(['-', '.']).to_owned()
}

#[cfg(test)]
mod tests;
