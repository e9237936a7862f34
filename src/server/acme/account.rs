//! The account at an authority: opened once, kept, and told when whom to write to changes.

use instant_acme::{Account, AccountCredentials, ExternalAccountKey, NewAccount};
use serde::{Deserialize, Serialize};

use crate::config::checked::Acme;

use super::failure::Failure;
use super::line::Line;
use super::store::Store;

/// An account as it is kept.
#[derive(Serialize, Deserialize)]
pub(super) struct KeptAccount {
    /// Whom the authority was told it may write to.
    contact: Vec<String>,
    credentials: AccountCredentials,
}

/// The account: the one that is kept, else a new one. The authority is asked either way.
///
/// # Errors
/// Why there is none.
pub(super) async fn account(acme: &Acme, store: &Store, line: &Line) -> Result<Account, Failure> {
    let builder = Account::builder_with_http(Box::new(line.clone()));
    let contact: Vec<&str> = acme.contact.iter().map(String::as_str).collect();
    let failed = |error| Failure::of(&error);
    if let Some(kept) = store.account() {
        let account = builder.from_credentials(kept.credentials).await;
        let account = account.map_err(failed)?;
        if kept.contact != acme.contact {
            account.update_contacts(&contact).await.map_err(failed)?;
            // What the file holds beside is not to be had from the account any more.
            if let Some(kept) = store.account() {
                keep(acme, store, kept.credentials)?;
            }
        }
        return Ok(account);
    }
    let external = acme.external_account.as_ref().map(|external| {
        let key = external.key_bytes().unwrap_or_default();
        ExternalAccountKey::new(external.id.clone(), &key)
    });
    let wanted = NewAccount {
        contact: &contact,
        terms_of_service_agreed: acme.agree_to_terms,
        only_return_existing: false,
    };
    let opened = builder.create(&wanted, acme.directory.clone(), external.as_ref());
    let (account, credentials) = opened.await.map_err(failed)?;
    keep(acme, store, credentials)?;
    tracing::info!("an account with the authority was opened");
    Ok(account)
}

fn keep(acme: &Acme, store: &Store, credentials: AccountCredentials) -> Result<(), Failure> {
    let kept = KeptAccount {
        contact: acme.contact.clone(),
        credentials,
    };
    let kept = store.keep_account(&kept);
    kept.map_err(|error| Failure::of_edge(format!("acme.path takes no file: {error}")))
}
