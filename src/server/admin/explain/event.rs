//! What `explain` tells of an event: the gate's checks and then its items', in the
//! order in which real ones meet them.

use std::collections::VecDeque;
use std::net::IpAddr;

use http::Method;
use tokio::time::Instant;

use crate::config::checked::KeyMode;
use crate::domain::coding::Coding;
use crate::domain::credentials::{Credentials, Sources};
use crate::domain::endpoint::{Endpoint, Ingest};
use crate::domain::envelope::header;
use crate::domain::envelope::moved::moved;
use crate::domain::envelope::trace::Trace;
use crate::domain::event::Event;
use crate::domain::outcome::Reason;
use crate::policy::inspection::only_item;
use crate::policy::pair::{Known, Sender};
use crate::policy::verdicts::Standing;
use crate::policy::wanted;
use crate::policy::{Claim, Client, Mode, Question, Refusal, sender};
use crate::telemetry::labels::Route;

use super::items::{Looking, find};
use super::{Asking, End, Judged, Told};
use crate::server::admin::STRICT_READS;
use crate::server::ingest::claims::Claims;
use crate::server::ingest::event_id;
use crate::server::ingest::holds_envelope;
use crate::server::ingest::line_one::{Begun, LineOne};
use crate::server::ingest::opening::{refuse_line, whose};
use crate::server::ingest::survey::Found;
use crate::server::memory::knowledge::asks;

/// Why a key that nobody names passes though `keys.mode` is `strict`.
const STRICT_ASKS: &str = "keys.mode is strict, and Sentry is asked for each key that is new: it \
                           passes until Sentry has answered, but for projects whose keys are named";

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
            client: Client {
                ip: client,
                user_agent: claims.user_agent,
            },
        };
        let credentials = self.rules.gate.read(&question)?;
        let mut sender = None;
        if let Some(found) = &credentials {
            told.step(
                "credentials",
                found.key.masked().to_string(),
                found.place.as_str(),
            );
            let known = self.key(told, &question.claim(found.key))?;
            self.switches(told, &known, client);
            sender = Some(known);
        } else {
            told.step(
                "credentials",
                "none in the head",
                "the envelope's dsn may tell",
            );
        }
        let full = |sender: &Sender| self.looking(sender, client, None).full();
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
            waited: false,
        };
        let told_sender = self.line_one(told, &question, coding, credentials.as_ref(), &begun)?;
        if let Some(known) = &told_sender {
            self.switches(told, known, client);
        }
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
                let looking = self.looking(&sender, client, Some((&begun, coding)));
                self.items(told, coding, &begun, &looking)
            }
            Some(_) | None => Ok(()),
        }
    }

    fn looking<'l>(
        &'l self,
        sender: &'l Sender,
        client: IpAddr,
        begun: Option<(&Begun, Coding)>,
    ) -> Looking<'l> {
        Looking {
            rules: self.rules,
            shared: self.shared,
            sender,
            client,
            trace: self.trace(begun),
        }
    }

    /// What line one tells of the trace, where there is one to be read.
    fn trace(&self, begun: Option<(&Begun, Coding)>) -> Trace {
        let Some((begun, coding)) = begun else {
            return Trace::NOTHING;
        };
        match LineOne::find(begun, coding, self.rules.decode) {
            Ok(line) => Trace::read_whole(&line.text(&begun.chunks)),
            Err(_) => Trace::NOTHING,
        }
    }

    fn switches(&self, told: &mut Told, sender: &Sender, client: IpAddr) {
        let looking = self.looking(sender, client, None);
        let (result, why) = looking.mute();
        told.step("mute", result, why);
        if let Some((result, why)) = looking.sample() {
            told.step("sample", result, why);
        }
        if let Some((result, why)) = looking.disk_guard() {
            told.step("disk guard", result, why);
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
        let single = endpoint == Endpoint::Store;
        let text = single.then(|| event_id::text(&self.body)).flatten();
        let event = text.as_deref().and_then(Event::read);
        let looked = self.looking(sender, client, None).item(
            &item,
            announced.unwrap_or(0),
            None,
            event.as_ref(),
        );
        told.step("item", looked.result, looked.why);
        told.counts(1, usize::from(looked.dropped.is_some()));
        match looked.dropped {
            None => Ok(()),
            Some(reason) => Err(nothing_left(reason, endpoint)),
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
        let switches = looking.switches();
        let asking = wanted::Asking {
            wishes: looking.wishes(),
            switches: switches.as_deref(),
            trace: &looking.trace,
        };
        let survey = find(self.rules, coding, line, begun, asking)?;
        let found = survey.found();
        let look = |found: &Found, gone| {
            let event = survey.event(found);
            looking.item(&found.item, found.bytes, gone, event.as_ref())
        };
        let mut events = found.iter().filter(|found| found.item.kind.is_event());
        let event = events.find_map(|found| look(found, None).dropped);
        let mut dropped = Vec::new();
        for found in found {
            let looked = look(found, event);
            told.step("item", looked.result, looked.why);
            dropped.extend(looked.dropped);
        }
        told.counts(found.len(), dropped.len());
        match dropped.last() {
            Some(reason) if dropped.len() == found.len() => {
                Err(nothing_left(*reason, Endpoint::Envelope))
            }
            Some(_) | None => Ok(()),
        }
    }

    fn key(&self, told: &mut Told, claim: &Claim<'_>) -> Result<Sender, Refusal> {
        let gate = &self.rules.gate;
        let followed = gate.moves.follow(claim);
        if let Some((_, to)) = &followed {
            let shown = format!("{} of project {}", to.to_key.masked(), to.to_project);
            let (shown, why) = match &to.to_upstream {
                Some(name) => (
                    format!("{shown} at {name}"),
                    "another Sentry has the project: it goes there, and all else is asked of the old DSN",
                ),
                None => (shown, "the DSN has moved: all else is asked of this one"),
            };
            told.step("dsn_map", shown, why);
        }
        let claim = followed.as_ref().map_or(claim, |(claim, _)| claim);
        if gate.awaits_list {
            told.step("mode", "learn", super::super::STRICT_WAITS);
        } else if gate.mode == Mode::Learn && self.rules.config.keys.mode == KeyMode::Strict {
            let why = asks(&self.rules.config).then_some(STRICT_ASKS);
            told.step("mode", "learn", why.unwrap_or(STRICT_READS));
        }
        let absent = &self.shared.strangers.absent;
        let known = gate.identify(claim)?;
        let now = self.shared.millis(Instant::now());
        if known == Known::Unnamed {
            gate.admits_lacking(absent.meets(now, &claim.key))?;
        }
        let verdicts = &self.shared.verdicts;
        let sender = sender(claim, known, verdicts);
        told.to = self.rules.destination(&sender.pair);
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
        self.welcome(told, claim, &sender)?;
        Ok(sender)
    }

    /// Whether its project wants anything from where it comes.
    fn welcome(&self, told: &mut Told, claim: &Claim<'_>, sender: &Sender) -> Result<(), Refusal> {
        let (gate, client) = (&self.rules.gate, claim.client);
        let looking = self.looking(sender, client.ip, None);
        if let Err(refusal) = gate.check_address(claim) {
            let why = looking.address_is_filtered();
            told.step("filter", refusal.reason.as_str(), why);
            return Err(refusal);
        }
        gate.check_origin(claim)?;
        let (origin, why) = match &claim.page.origin {
            Some(origin) => {
                let why = looking
                    .origins_are_by()
                    .unwrap_or("allowed_origins lets it send");
                (origin.to_string(), why)
            }
            None if claim.page.is_plain() => ("none".to_owned(), "no page is named, so it passes"),
            None => (
                "unreadable".to_owned(),
                "cannot be read, so it passes, as in Sentry",
            ),
        };
        told.step("origin", origin, why);
        if let Err(refusal) = gate.check_agent(claim) {
            let why = looking.agent_is_filtered(client.user_agent);
            told.step("filter", refusal.reason.as_str(), why);
            return Err(refusal);
        }
        Ok(())
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
                client: question.client,
                endpoint: question.ingest.endpoint,
            };
            sender = Some(self.key(told, &claim)?);
        } else {
            told.step("line one", "agrees", "it does not contradict the head");
        }
        if moved(&text, self.rules.gate.moves.map()).is_some() {
            told.step(
                "line one",
                "moved",
                "what names the old DSN names the new one",
            );
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

/// What a request is answered of which nothing is left.
fn nothing_left(reason: Reason, endpoint: Endpoint) -> Refusal {
    if reason.is_silent() {
        return Refusal::unwanted(reason, endpoint);
    }
    let status = if endpoint.never_429() { 200 } else { 429 };
    let detail = "a rate limit leaves nothing of this request";
    Refusal::of(reason, status, detail)
}
