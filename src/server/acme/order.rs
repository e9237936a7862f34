//! One order, from the name to the chain: each name that the authority does not believe ours
//! is proved one way, and a key is made for it. Keeps nothing, and tries nothing twice.

use std::borrow::Cow;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use instant_acme::{
    Account, AuthorizationStatus, CertificateIdentifier, ChallengeType, Error, Identifier,
    NewOrder, Order, OrderStatus, Problem, RetryPolicy,
};

use crate::config::checked::AcmeChallenge;
use crate::telemetry::labels::Ordered;
use crate::tls::{ProofDigest, Request, Serial};

use super::failure::{Failure, Whose};
use super::{Showcase, Shown};

/// How long an authority may take over a proof, and over signing; it is asked in between after
/// a quarter of a second, then twice as long each time, or when it says.
const PATIENCE: RetryPolicy = RetryPolicy::new().timeout(Duration::from_secs(90));

/// What is ordered.
pub(super) struct Wish<'a> {
    /// The one name of the certificate.
    pub name: &'a str,
    /// How it is proved to be ours.
    pub challenge: AcmeChallenge,
    /// The certificate that this one is to replace, where the authority wants to know.
    pub replaces: Option<&'a Serial>,
}

/// What came of it.
pub(super) struct Fulfilled {
    /// The key, in PEM.
    pub key_pem: String,
    /// The certificate and those between it and its authority, in PEM.
    pub chain_pem: String,
}

impl Wish<'_> {
    /// Orders it. Dropping the future hides the proof; the authority forgets the order.
    ///
    /// # Errors
    /// Why there is no certificate.
    pub(super) async fn order(
        &self,
        account: &Account,
        showcase: &Showcase,
    ) -> Result<Fulfilled, Failure> {
        let failed = |error| Failure::of(&error);
        let names = [Identifier::Dns(self.name.to_owned())];
        let mut order = self.placed(account, &names).await.map_err(failed)?;
        if order.state().status == OrderStatus::Pending {
            self.prove(&mut order, showcase).await?;
        }
        let request = Request::new(self.name);
        let request = request.map_err(|error| Failure::of_edge(error.to_string()))?;
        order.finalize_csr(request.csr()).await.map_err(failed)?;
        let chain_pem = order.poll_certificate(&PATIENCE).await.map_err(failed)?;
        Ok(Fulfilled {
            key_pem: request.key_pem().to_owned(),
            chain_pem,
        })
    }

    /// Places the order. Where it is refused for what it replaces, it is placed without.
    async fn placed(&self, account: &Account, names: &[Identifier]) -> Result<Order, Error> {
        if let Some(serial) = self.replaces {
            let replaces = NewOrder::new(names).replaces(known_by(serial));
            match account.new_order(&replaces).await {
                Err(Error::Api(problem)) if !is_about_replacing(&problem) => {
                    return Err(Error::Api(problem));
                }
                // It does not say that it has replaced anything: it is one of the old kind.
                Err(Error::Api(_) | Error::Other(_)) => {}
                placed => return placed,
            }
        }
        account.new_order(&NewOrder::new(names)).await
    }

    /// Has the authority look at the proof, and waits for what it thinks of it.
    async fn prove(&self, order: &mut Order, showcase: &Showcase) -> Result<(), Failure> {
        let failed = |error| Failure::of(&error);
        let mut shown = Vec::new();
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let mut authorization = authorization.map_err(failed)?;
            if authorization.status == AuthorizationStatus::Valid {
                continue;
            }
            let Some(mut challenge) = authorization.challenge(kind(self.challenge)) else {
                let way = self.challenge.as_str();
                let advice = format!("the authority takes no proof by {way}; set acme.challenge");
                return Err(Failure::of_name(Ordered::Refused, advice));
            };
            let key = challenge.key_authorization();
            let digest = key.digest();
            let proof = self.show(showcase, &challenge.token, key.as_str(), digest.as_ref());
            shown.push(proof?);
            challenge.set_ready().await.map_err(failed)?;
        }
        let thought = order.poll_ready(&PATIENCE).await;
        drop(shown);
        match thought {
            Ok(OrderStatus::Ready) => Ok(()),
            Ok(_) => {
                let problem = disliked(order).await;
                Err(Failure::unproved(self.challenge, problem.as_ref()))
            }
            Err(error) => {
                let failure = Failure::of(&error);
                // What it did not like stands with the proof. A refusal to tell is not that.
                let told = matches!(error, Error::Api(_)) && failure.whose != Whose::Nobody;
                let problem = match told {
                    true => disliked(order).await,
                    false => None,
                };
                Err(problem.map_or(failure, |problem| {
                    Failure::unproved(self.challenge, Some(&problem))
                }))
            }
        }
    }

    fn show<'b>(
        &self,
        showcase: &'b Showcase,
        token: &str,
        authorization: &str,
        digest: &[u8],
    ) -> Result<Shown<'b>, Failure> {
        match self.challenge {
            AcmeChallenge::TlsAlpn01 => {
                let digest = ProofDigest::try_from(digest);
                let digest = digest.map_err(|_| Failure::of_edge("a digest of another length"))?;
                let shown = showcase.show_by_tls(self.name, &digest);
                shown.map_err(|error| Failure::of_edge(error.to_string()))
            }
            AcmeChallenge::Http01 | AcmeChallenge::Auto => {
                Ok(showcase.show_by_http(token, authorization))
            }
        }
    }
}

fn kind(challenge: AcmeChallenge) -> ChallengeType {
    match challenge {
        AcmeChallenge::TlsAlpn01 => ChallengeType::TlsAlpn01,
        AcmeChallenge::Http01 | AcmeChallenge::Auto => ChallengeType::Http01,
    }
}

/// How an authority and its clients call a certificate (RFC 9773, section 4.1).
pub(super) fn known_by(serial: &Serial) -> CertificateIdentifier<'static> {
    CertificateIdentifier {
        authority_key_identifier: Cow::Owned(URL_SAFE_NO_PAD.encode(&serial.authority)),
        serial: Cow::Owned(URL_SAFE_NO_PAD.encode(&serial.number)),
    }
}

/// Whether an order was refused for what it replaces (RFC 9773, section 5).
fn is_about_replacing(problem: &Problem) -> bool {
    let kind = problem.r#type.as_deref().unwrap_or_default();
    ["alreadyReplaced", "malformed", "conflict"]
        .iter()
        .any(|known| kind.ends_with(known))
}

/// What the authority did not like about a proof.
async fn disliked(order: &mut Order) -> Option<Problem> {
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization.ok()?;
        let seen = authorization.refresh().await.ok()?;
        let mut challenges = seen.challenges.iter();
        if let Some(problem) = challenges.find_map(|challenge| challenge.error.clone()) {
            return Some(problem);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 9773, section 4.1.
    #[test]
    fn a_certificate_is_called_as_the_standard_has_it() {
        let serial = Serial {
            authority: vec![
                0x69, 0x88, 0x5b, 0x6b, 0x87, 0x46, 0x40, 0x41, 0xe1, 0xb3, 0x7b, 0x84, 0x7b, 0xa0,
                0xae, 0x2c, 0xde, 0x01, 0xc8, 0xd4,
            ],
            number: vec![0x00, 0x87, 0x65, 0x43, 0x21],
        };
        let want = "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE";
        assert_eq!(known_by(&serial).to_string(), want);
    }
}
