//! Whether Sentry has an event. Asks one page of its API, and says in words why it could not.

use super::Source;
use super::api::{ApiError, Line};
use super::line::LineError;
use crate::domain::trial_event::stored_path;

/// Whether Sentry knows an event of this organization's by its id. Dropping it closes the
/// connection.
///
/// # Errors
/// Why that is not known, in words that name no host.
pub(crate) async fn has_event(
    source: &Source,
    organization: &str,
    id: &str,
) -> Result<bool, String> {
    let path = stored_path(organization, id);
    match Line::new(source).page(&path, None).await {
        Ok(_) => Ok(true),
        Err(ApiError::Missing) => Ok(false),
        Err(error) => Err(words(&error)),
    }
}

/// The same faults as of a listing, of another server and with another token.
fn words(error: &ApiError) -> String {
    let words = match error {
        ApiError::TokenRefused => "Sentry refuses canary.token (401): wrong, expired or revoked",
        ApiError::TokenLacks => {
            "canary.token may not read the events of canary.org (403): it needs event:read"
        }
        ApiError::Line(LineError::Unresolved) => "the name in upstream.web does not resolve",
        ApiError::Line(LineError::Unaskable) => {
            "canary.token holds a character that no request may carry"
        }
        ApiError::Unexpected(status) => {
            return format!("Sentry answers {status}, not whether it has the event");
        }
        ApiError::Line(
            LineError::Unreachable(_)
            | LineError::Tls(_)
            | LineError::Timeout
            | LineError::Broken
            | LineError::TooLarge,
        )
        | ApiError::Busy { .. }
        | ApiError::Missing
        | ApiError::NotAList
        | ApiError::BadLink
        | ApiError::Endless
        | ApiError::TooMany { .. }
        | ApiError::NoProjects => return error.to_string(),
    };
    words.to_owned()
}
