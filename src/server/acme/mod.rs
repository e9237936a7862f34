//! Certificates that the edge has for itself, by ACME (RFC 8555): ordered, proved, kept on
//! disk, and renewed when their authority would have it. One task of the control thread asks
//! the authority; workers only look here. What is missing stops no start, and what fails
//! leaves the old certificate in force.

mod account;
mod failure;
mod issuance;
mod keeper;
mod line;
mod order;
mod store;

use std::collections::{BTreeMap, HashMap};

use arc_swap::ArcSwap;

use crate::tls::{Identity, ProofDigest, ProofError, Proofs};

use crate::server::entrance;

pub(crate) use issuance::Issuance;

/// Where an authority asks for a proof by HTTP (RFC 8555, section 8.3).
const PLACE: &str = "/.well-known/acme-challenge/";

/// What all threads share of it.
#[derive(Debug, Default)]
pub(crate) struct Showcase {
    /// The proofs that are shown by TLS.
    pub proofs: Proofs,
    /// Those that are shown by HTTP, by their token.
    tokens: ArcSwap<HashMap<String, String>>,
    /// The certificates that are there, by their one name.
    issued: ArcSwap<HashMap<String, Identity>>,
    /// What went wrong last, by name; gone once it went well.
    troubles: ArcSwap<BTreeMap<String, String>>,
}

/// A proof that is shown until this is dropped.
pub(super) struct Shown<'b> {
    showcase: &'b Showcase,
    by: Way,
}

/// How a name is proved to be ours.
enum Way {
    /// By HTTP, under this token.
    Http(String),
    /// By TLS, under this name.
    Tls(String),
}

impl Showcase {
    /// What is told an authority that asks for this path in the clear; `None`: it is no
    /// question that anybody was asked to put.
    pub(crate) fn answer_to(&self, path: &str) -> Option<String> {
        let token = path.strip_prefix(PLACE)?;
        self.tokens.load().get(token).cloned()
    }

    /// The certificate for a name that was had by ACME.
    pub(crate) fn issued(&self, name: &str) -> Option<Identity> {
        self.issued.load().get(name).cloned()
    }

    fn put(&self, name: &str, identity: &Identity) {
        self.issued.rcu(|issued| {
            let mut issued = HashMap::clone(issued);
            issued.insert(name.to_owned(), identity.clone());
            issued
        });
    }

    /// Notes what went wrong with a name, or that nothing is any more.
    fn note(&self, name: &str, trouble: Option<&str>) {
        self.troubles.rcu(|troubles| {
            let mut troubles = BTreeMap::clone(troubles);
            match trouble {
                Some(trouble) => troubles.insert(name.to_owned(), trouble.to_owned()),
                None => troubles.remove(name),
            };
            troubles
        });
    }

    fn show_by_http(&self, token: &str, authorization: &str) -> Shown<'_> {
        self.tokens.rcu(|tokens| {
            let mut tokens = HashMap::clone(tokens);
            tokens.insert(token.to_owned(), authorization.to_owned());
            tokens
        });
        Shown {
            showcase: self,
            by: Way::Http(token.to_owned()),
        }
    }

    fn show_by_tls(&self, name: &str, digest: &ProofDigest) -> Result<Shown<'_>, ProofError> {
        self.proofs.show(name, digest)?;
        Ok(Shown {
            showcase: self,
            by: Way::Tls(name.to_owned()),
        })
    }

    /// What is not as it should be with the names that a listener wants certificates for, in
    /// words, at `now_s` of Unix time.
    pub(crate) fn reasons(&self, wanted: &[String], now_s: i64) -> Vec<String> {
        let (issued, troubles) = (self.issued.load(), self.troubles.load());
        let reason = |name: &String| {
            let trouble = troubles.get(name).map(String::as_str);
            match (issued.get(name), trouble) {
                (None, trouble) => {
                    let trouble = trouble.unwrap_or("it is being ordered");
                    Some(format!("no certificate for {name} yet: {trouble}"))
                }
                (Some(identity), Some(trouble)) => {
                    let late = entrance::life(identity.papers()).is_late(now_s);
                    late.then(|| format!("the certificate for {name} is not renewed: {trouble}"))
                }
                (Some(_), None) => None,
            }
        };
        wanted.iter().filter_map(reason).collect()
    }
}

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        match &self.by {
            Way::Tls(name) => self.showcase.proofs.hide(name),
            Way::Http(token) => {
                self.showcase.tokens.rcu(|tokens| {
                    let mut tokens = HashMap::clone(tokens);
                    tokens.remove(token);
                    tokens
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(showcase: &Showcase, path: &str, want: Option<&str>) {
        assert_eq!(showcase.answer_to(path).as_deref(), want, "{path}");
    }

    #[test]
    fn a_proof_is_told_under_its_token_alone_and_only_while_it_is_asked_for() {
        let showcase = Showcase::default();
        check(&showcase, "/.well-known/acme-challenge/abc", None);
        let shown = showcase.show_by_http("abc", "abc.thumb");
        check(
            &showcase,
            "/.well-known/acme-challenge/abc",
            Some("abc.thumb"),
        );
        for other in [
            "/.well-known/acme-challenge/",
            "/.well-known/acme-challenge/ab",
            "/.well-known/acme-challenge/abc/",
            "/x/.well-known/acme-challenge/abc",
            "/abc",
        ] {
            check(&showcase, other, None);
        }
        drop(shown);
        check(&showcase, "/.well-known/acme-challenge/abc", None);
    }

    #[test]
    fn a_name_without_a_certificate_is_a_reason_with_what_went_wrong() {
        let showcase = Showcase::default();
        let wanted = ["a.example".to_owned()];
        assert_eq!(
            showcase.reasons(&wanted, 0),
            ["no certificate for a.example yet: it is being ordered"]
        );
        showcase.note("a.example", Some("the authority is away"));
        assert_eq!(
            showcase.reasons(&wanted, 0),
            ["no certificate for a.example yet: the authority is away"]
        );
        assert_eq!(showcase.reasons(&[], 0), Vec::<String>::new());
    }
}
