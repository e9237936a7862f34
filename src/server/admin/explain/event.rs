//! What `explain` tells of an event: the gate's checks and then its items', in the
//! order in which real ones meet them.

use std::collections::VecDeque;
use std::net::IpAddr;

use http::Method;
use tokio::time::Instant;

use crate::domain::coding::Coding;
use crate::domain::credentials::{Credentials, Sources};
use crate::domain::endpoint::{Endpoint, Ingest};
use crate::domain::envelope::header;
use crate::policy::inspection::only_item;
use crate::policy::pair::{Known, Sender};
use crate::policy::verdicts::Standing;
use crate::policy::{Claim, Mode, Question, Refusal, sender};
use crate::telemetry::labels::Route;

use super::super::super::claims::Claims;
use super::super::super::ingest::holds_envelope;
use super::super::super::line_one::{Begun, LineOne};
use super::super::super::opening::{refuse_line, whose};
use super::items::{Looking, find};
use super::{Asking, End, Judged, Told};

impl Asking<'_> {
    pub(super) fn event(
        &self,
        told: &mut Told,
        ingest: Ingest<'_>,
        claims: &Claims<'_>,
        sources: Sources<'_>,
        client: IpAddr,
    ) -> End {
        if self.head.method == Method::OPTIONS {
            told.step("preflight", "200", "preflights are answered here");
            return End::Local(200);
        }
        match self.judged(told, ingest, claims, sources, client) {
            Ok(()) => self.passes(told, Route::Ingest),
            Err(refusal) => End::Refused(refusal),
        }
    }

    /// The gate's checks, one by one in its order.
    fn judged(
        &self,
        told: &mut Told,
        ingest: Ingest<'_>,
        claims: &Claims<'_>,
        sources: Sources<'_>,
        client: IpAddr,
    ) -> Result<(), Refusal> {
        let page = claims.page();
        let question = Question {
            ingest,
            method: self.head.method.as_str(),
            sources,
            content_type: claims.content_type,
            announced: self.announced(),
            page: &page,
        };
        let credentials = self.rules.gate.read(&question)?;
        let mut sender = None;
        if let Some(found) = &credentials {
            told.step(
                "credentials",
                found.key.masked().to_string(),
                found.place.as_str(),
            );
            sender = Some(self.key(told, &question.claim(found.key))?);
        } else {
            told.step(
                "credentials",
                "none in the head",
                "the envelope's dsn may tell",
            );
        }
        let full = |sender: &Sender| self.looking(sender, client).full();
        if !holds_envelope(ingest.endpoint, &question) {
            return match &sender {
                Some(sender) => self.only_item(told, ingest.endpoint, sender, client),
                None => Ok(()),
            };
        }
        let coding = claims.coding()?;
        if let Some(refusal) = sender.as_ref().and_then(full) {
            return Err(refusal);
        }
        let begun = Begun {
            chunks: VecDeque::from([self.body.clone()]),
            rest: None,
        };
        let told_sender = self.line_one(told, &question, coding, credentials.as_ref(), &begun)?;
        if let Some(refusal) = told_sender.as_ref().and_then(full) {
            return Err(refusal);
        }
        if self.body.is_empty() {
            let why = "give the body to see what limits would make of its items";
            told.step("items", "not given", why);
            told.judged = Judged::Head;
        }
        match told_sender.or(sender) {
            Some(sender) if !self.body.is_empty() => {
                self.items(told, coding, &begun, &self.looking(&sender, client))
            }
            Some(_) | None => Ok(()),
        }
    }

    fn looking<'l>(&'l self, sender: &'l Sender, client: IpAddr) -> Looking<'l> {
        Looking {
            rules: self.rules,
            shared: self.shared,
            sender,
            client,
        }
    }

    /// A request that is no envelope is one item.
    fn only_item(
        &self,
        told: &mut Told,
        endpoint: Endpoint,
        sender: &Sender,
        client: IpAddr,
    ) -> Result<(), Refusal> {
        let announced = self.announced();
        let item = only_item(endpoint, announced);
        let looked = self
            .looking(sender, client)
            .item(&item, announced.unwrap_or(0), None);
        told.step("item", looked.result, looked.why);
        match looked.dropped {
            None => Ok(()),
            Some(reason) => {
                let status = if endpoint.never_429() { 200 } else { 429 };
                let detail = "a rate limit leaves nothing of this request";
                Err(Refusal::of(reason, status, detail))
            }
        }
    }

    fn items(
        &self,
        told: &mut Told,
        coding: Coding,
        begun: &Begun,
        looking: &Looking<'_>,
    ) -> Result<(), Refusal> {
        let line = LineOne::find(begun, coding, self.rules.decode).map_err(refuse_line)?;
        let found = find(self.rules, coding, line, begun)?;
        let events = found.iter().filter(|(item, _)| item.kind.is_event());
        let mut events =
            events.filter_map(|(item, bytes)| looking.item(item, *bytes, None).dropped);
        let event = events.next();
        let mut dropped = Vec::new();
        for (item, bytes) in &found {
            let looked = looking.item(item, *bytes, event);
            told.step("item", looked.result, looked.why);
            dropped.extend(looked.dropped);
        }
        match dropped.last() {
            Some(reason) if dropped.len() == found.len() => {
                let detail = "a rate limit leaves nothing of this request";
                Err(Refusal::of(*reason, 429, detail))
            }
            Some(_) | None => Ok(()),
        }
    }

    fn key(&self, told: &mut Told, claim: &Claim<'_>) -> Result<Sender, Refusal> {
        let gate = &self.rules.gate;
        if gate.awaits_list.is_some() {
            told.step("mode", "learn", super::super::STRICT_WAITS);
        }
        let known = gate.identify(claim)?;
        let verdicts = &self.shared.verdicts;
        let sender = sender(claim, known, verdicts);
        let standing = verdicts.look(self.shared.millis(Instant::now()), &sender);
        let (result, why) = match (gate.mode, standing) {
            (Mode::Learn, Standing::Refused { .. }) => return Err(Refusal::refused_upstream()),
            (_, Standing::Refused { .. }) => ("refused upstream", "this mode does not act on it"),
            (_, _) if known == Known::Named => ("named", "the configuration or Sentry names it"),
            (_, Standing::Named) => ("named", "the configuration or Sentry names it"),
            (_, Standing::Proven { .. }) => ("proven", "Sentry has accepted it for long enough"),
            (_, Standing::Candidate { .. }) => (
                "not proven yet",
                "Sentry has answered it, not for long enough",
            ),
            (Mode::Open, Standing::New) => ("new", "never seen; this mode asks for no more"),
            (Mode::Learn | Mode::Strict, Standing::New) => (
                "new",
                "never seen; while refusals dominate such keys share keys.unproven_rate",
            ),
        };
        told.step("key", result, why);
        gate.check_origin(claim)?;
        let (origin, why) = match &claim.page.origin {
            Some(origin) => (origin.to_string(), "allowed_origins lets it send"),
            None if claim.page.is_plain() => ("none".to_owned(), "no page is named, so it passes"),
            None => (
                "unreadable".to_owned(),
                "cannot be read, so it passes, as in Sentry",
            ),
        };
        told.step("origin", origin, why);
        Ok(sender)
    }

    fn line_one(
        &self,
        told: &mut Told,
        question: &Question<'_>,
        coding: Coding,
        credentials: Option<&Credentials>,
        begun: &Begun,
    ) -> Result<Option<Sender>, Refusal> {
        if self.body.is_empty() {
            told.step(
                "line one",
                "not given",
                "give the body to have it looked at",
            );
            return match credentials {
                Some(_) => Ok(None),
                None => Err(Refusal::no_dsn()),
            };
        }
        let mut sender = None;
        let line = LineOne::find(begun, coding, self.rules.decode).map_err(refuse_line)?;
        let text = line.text(&begun.chunks);
        let header = header::parse(&text).map_err(Refusal::malformed)?;
        if let Some(dsn) = whose(&header, credentials, question.project())? {
            let shown = format!("{} of project {}", dsn.key.masked(), dsn.project);
            told.step("line one", shown, "its dsn tells whose the envelope is");
            let claim = Claim {
                key: dsn.key,
                project: Some(dsn.project),
                page: question.page,
            };
            sender = Some(self.key(told, &claim)?);
        } else {
            told.step("line one", "agrees", "it does not contradict the head");
        }
        if header.forged {
            told.step(
                "line one",
                "cleaned",
                "fields that only a Relay may write are removed",
            );
        }
        Ok(sender)
    }

    /// The body's length, or what its length would be if it were given.
    pub(super) fn announced(&self) -> Option<u64> {
        let given = u64::try_from(self.body.len()).ok();
        let said = || {
            let length = self.head.headers.get(http::header::CONTENT_LENGTH)?;
            length.to_str().ok()?.parse().ok()
        };
        // A body that is not given is not an empty one.
        let is_some = |bytes: &u64| *bytes > 0;
        given.filter(is_some).or_else(said).filter(is_some)
    }
}
