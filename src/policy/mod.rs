//! May this request pass? Synchronous, in memory, bounded; the time is an
//! argument. Never reads a body's payload, never sends an answer: it yields a
//! proof of admission or a refusal, and the server does the rest.
//!
//! The checks in their order, the first that refuses names the reason: method,
//! size, credentials, form of the request, key, project, verdict, origin; then, with
//! the items, what is muted.

pub mod asking;
mod atomic;
pub mod baselines;
pub mod blocks;
pub mod breaker;
pub mod cache;
pub mod directory;
pub mod disk_guard;
pub mod evidence;
pub mod filling;
pub mod gcra;
mod homes;
pub mod incidents;
pub mod inspection;
pub mod learned;
pub mod lookback;
pub mod millis;
pub mod moves;
pub mod one_in;
pub mod origins;
pub mod outlook;
pub mod pace;
pub mod pair;
pub mod proven;
pub mod proven_file;
pub mod quotas;
pub mod refusal;
mod refused;
pub mod renewal;
pub mod repeats;
pub mod replay;
pub mod reports;
pub mod strangers;
pub mod switches;
mod table;
mod unproven;
pub mod verdicts;
pub mod wanted;
mod welcome;
mod who;
mod word;

use std::net::IpAddr;

use crate::domain::credentials::{self, Credentials, Key, Sources};
use crate::domain::endpoint::{Endpoint, Ingest, Project, ProjectId};
use crate::domain::origin::Page;
use crate::domain::outcome::Reason;

use directory::Directory;
use millis::Millis;
use moves::Moves;
use origins::Origins;
use pair::{Known, Sender};
use proven::ProvenHere;
use quotas::Quotas;
use strangers::Strangers;
use verdicts::{Verdict, Verdicts};
use wanted::Wanted;

pub use refusal::Refusal;
pub use who::sender;

/// What the gate looks at: the head of one ingest request. Not to be printed:
/// it holds credentials.
#[derive(Clone, Copy)]
pub struct Question<'a> {
    /// Endpoint, project and key as the path has them.
    pub ingest: Ingest<'a>,
    /// The method's name.
    pub method: &'a str,
    /// Where credentials may stand.
    pub sources: Sources<'a>,
    /// The content type, if any.
    pub content_type: Option<&'a [u8]>,
    /// The body's announced length; `None` when it is chunked.
    pub announced: Option<u64>,
    /// The page it speaks for, if a browser says so.
    pub page: &'a Page<'a>,
    /// Whose it is, by address and by its own word.
    pub client: Client<'a>,
}

/// The machine and the program that sent a request.
#[derive(Debug, Clone, Copy)]
pub struct Client<'a> {
    /// Its address.
    pub ip: IpAddr,
    /// The first user agent in the head, if it is text.
    pub user_agent: Option<&'a str>,
}

/// Whom a request says it is from, once its key is known, wherever that stood.
#[derive(Debug, Clone, Copy)]
pub struct Claim<'a> {
    /// The public key.
    pub key: Key,
    /// The project it is sent to; `None` where the key alone tells.
    pub project: Option<ProjectId>,
    /// The page it speaks for, if a browser says so.
    pub page: &'a Page<'a>,
    /// Whose it is, by address and by its own word.
    pub client: Client<'a>,
    /// What it was posted to, for the answer to what nobody wants.
    pub endpoint: Endpoint,
}

/// The live state that a judgement reads and moves. One for each request.
pub struct Live<'a> {
    /// When the request came.
    pub now: Millis,
    /// What all workers have learned.
    pub verdicts: &'a Verdicts,
    /// What this worker has met of it.
    pub here: &'a mut ProvenHere,
    /// The keys that nobody has told of.
    pub strangers: &'a Strangers,
}

/// Proof that a request passed the gate. Only `Gate::admit` makes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Admitted {
    /// The key it came with. `None`: only line one of its body may know.
    pub credentials: Option<Credentials>,
    /// Who sent it, for what its answer will teach.
    pub sender: Option<Sender>,
    /// Line one must name a DSN, or the request is refused after all.
    pub peek: bool,
    proof: Proof,
}

/// What nobody outside of this module can make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Proof;

/// Which keys are let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Any well-formed key that is not switched off.
    Open,
    /// The same, but for those that the upstream was seen to refuse.
    Learn,
    /// Only keys that somebody names.
    Strict,
}

/// The checks in their order, with what they need. Immutable: a reload builds
/// another.
pub struct Gate {
    /// The largest ingest body, in bytes as they arrive.
    pub body_bytes_max: u64,
    /// Which keys are let in.
    pub mode: Mode,
    /// `strict` waits for Sentry's list of keys, and the mode is `learn` that long.
    pub awaits_list: bool,
    /// Where `learn` stands in for `strict`: the projects, in order, that the
    /// configuration gives keys. They take no others that nobody has told of.
    pub closed: Box<[ProjectId]>,
    /// Old DSNs that lead elsewhere: all that follows is asked of where they lead.
    pub moves: Moves,
    /// The keys that somebody names.
    pub directory: Directory,
    /// The origins that each project allows.
    pub origins: Origins,
    /// How much of what each may send.
    pub quotas: Quotas,
    /// What of it is wanted.
    pub wanted: Wanted,
}

impl std::fmt::Debug for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gate")
            .field("mode", &self.mode)
            .field("keys", &self.directory.len())
            .finish_non_exhaustive()
    }
}

impl Gate {
    /// Judges the head of an ingest request.
    ///
    /// # Errors
    /// The refusal, with the status that Sentry's own relay would give.
    pub fn admit(&self, question: &Question<'_>, live: &mut Live<'_>) -> Result<Admitted, Refusal> {
        let credentials = self.read(question)?;
        let sender = match credentials {
            Some(credentials) => Some(self.admit_key(&question.claim(credentials.key), live)?),
            None => None,
        };
        let peek = credentials.is_none() && question.ingest.endpoint == Endpoint::Envelope;
        Ok(Admitted {
            credentials,
            sender,
            peek,
            proof: Proof,
        })
    }

    /// Judges who sends, once the key is known: at the head, or from line one. Who comes by a DSN
    /// that has moved is the one that it leads to.
    ///
    /// # Errors
    /// A refusal of the groups key and filter, always 403.
    pub fn admit_key(&self, claim: &Claim<'_>, live: &mut Live<'_>) -> Result<Sender, Refusal> {
        let moved = self.moves.meet(claim);
        let claim = moved.as_ref().unwrap_or(claim);
        let known = self.look_up(claim, live)?;
        let sender = sender(claim, known, live.verdicts);
        if self.mode == Mode::Learn {
            match live.verdicts.admit(live.now, &sender, live.here) {
                Verdict::Pass => {}
                Verdict::Refused => return Err(Refusal::refused_upstream()),
                Verdict::OverUnprovenRate => return Err(Refusal::unproven()),
            }
        }
        let welcome = self
            .check_address(claim)
            .and_then(|()| self.check_origin(claim))
            .and_then(|()| self.check_agent(claim));
        match welcome {
            Ok(()) => Ok(sender),
            Err(mut refusal) => {
                refusal.sender = Some(Box::new(sender));
                refusal.endpoint = Some(claim.endpoint);
                Err(refusal)
            }
        }
    }

    /// What stands in the head, checked in form; the key, if the head has one.
    ///
    /// # Errors
    /// A refusal of the group request.
    pub fn read(&self, question: &Question<'_>) -> Result<Option<Credentials>, Refusal> {
        let endpoint = question.ingest.endpoint;
        if !endpoint.allows(question.method) {
            return Err(Refusal::method(endpoint.allowed()));
        }
        let over = |bytes: u64| bytes > self.body_bytes_max;
        if question.announced.is_some_and(over) {
            return Err(Refusal::too_large(
                "ingest",
                "limits.bodies.ingest",
                self.body_bytes_max,
            ));
        }
        let credentials = credentials::read(&question.sources).map_err(Refusal::credentials)?;
        if credentials.is_none() && endpoint.needs_key() {
            return Err(Refusal::no_key());
        }
        if question.ingest.project == Project::Unparsable {
            let detail = "the project id is not a number";
            return Err(Refusal::of(Reason::BadProject, 400, detail));
        }
        let post = question.method == "POST";
        if post && !endpoint.accepts_content_type(question.content_type) {
            let detail = "this endpoint does not take that content type";
            return Err(Refusal::of(Reason::ContentType, 415, detail));
        }
        let takes_payload = matches!(endpoint, Endpoint::Envelope | Endpoint::Store);
        if takes_payload && post && question.announced == Some(0) {
            return Err(Refusal::empty());
        }
        Ok(credentials)
    }

    /// Whether somebody names the key, and for this project.
    ///
    /// # Errors
    /// A key that is switched off, of another project, or in mode `strict` of nobody.
    pub fn identify(&self, claim: &Claim<'_>) -> Result<Known, Refusal> {
        // Whatever the first Sentry says of a key whose project has left it.
        if self.moves.away(&claim.key, claim.project).is_some() {
            return Ok(Known::Named);
        }
        let Some(named) = self.directory.find(&claim.key) else {
            return match self.mode {
                Mode::Strict => Err(Refusal::unknown_key()),
                Mode::Learn if self.keeps_to_named(claim.project) => Err(Refusal::unknown_key()),
                Mode::Open | Mode::Learn => Ok(Known::Unnamed),
            };
        };
        if !named.enabled {
            return Err(Refusal::disabled_key());
        }
        match (named.project, claim.project) {
            (Some(own), Some(asked)) if own != asked => Err(Refusal::wrong_project()),
            (Some(_) | None, Some(_) | None) => Ok(Known::Named),
        }
    }

    /// Whether a project takes the keys that somebody names and no others, though the mode is
    /// `learn`.
    fn keeps_to_named(&self, project: Option<ProjectId>) -> bool {
        project.is_some_and(|project| self.closed.binary_search(&project).is_ok())
    }
}

impl<'a> Question<'a> {
    /// The project that the path names.
    #[must_use]
    pub fn project(&self) -> Option<ProjectId> {
        match self.ingest.project {
            Project::Number(project) => Some(project),
            Project::OfKey | Project::Unparsable => None,
        }
    }

    /// What the request claims, with the key that was read.
    #[must_use]
    pub fn claim(&self, key: Key) -> Claim<'a> {
        Claim {
            key,
            project: self.project(),
            page: self.page,
            client: self.client,
            endpoint: self.ingest.endpoint,
        }
    }
}

#[cfg(test)]
mod tests;
