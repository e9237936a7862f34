//! What `explain` tells of an envelope's items: what each counts as, and what a limit
//! would make of it now. Looks at counts, and charges none.

use std::net::IpAddr;
use std::sync::Arc;

use crate::domain::coding::Coding;
use crate::domain::envelope::scan::ItemHeader;
use crate::domain::envelope::trace::Trace;
use crate::domain::event::Event;
use crate::domain::outcome::Reason;
use crate::policy::Refusal;
use crate::policy::inspection::{Fate, Room};
use crate::policy::pair::Sender;
use crate::policy::proven::ProvenHere;
use crate::policy::quotas::{Trust, Who};
use crate::policy::repeats::Whose;
use crate::policy::switches::OfProject;
use crate::policy::wanted::{Asking, Wishes};

use crate::server::ingest::line_one::{Begun, LineOne};
use crate::server::ingest::survey::Survey;
use crate::server::rules::Rules;
use crate::server::worker::Shared;

/// What is unpacked in one go.
const SLICE_BYTES: usize = 64 * 1024;

/// No mute keeps a request with this draw: whether one falls into the share that is kept, chance
/// decides, and what becomes of the others is worth being told.
const LEFT_OUT: u128 = 999_999;

/// What has no room is not a quota, but what some may use of it.
pub(super) const SHARE_USED: &str = "; used up is the twentieth that keys share which nobody \
     vouches for: one that Sentry has accepted gets an item through each minute, until it is proven";

/// What would become of an item, in words.
pub(super) struct ItemTold {
    /// Its category and its size.
    pub result: String,
    /// What becomes of it, and why.
    pub why: String,
    /// Why it would stay here.
    pub dropped: Option<Reason>,
}

/// The items of a body, found as real ones are.
///
/// # Errors
/// What the envelope would be refused for.
pub(super) fn find<'a>(
    rules: &Rules,
    coding: Coding,
    line: LineOne,
    begun: &Begun,
    asking: Asking<'a>,
) -> Result<Survey<'a>, Refusal> {
    let mut survey = Survey::new(rules.items_max, asking);
    match line {
        LineOne::Plain(line_bytes) => {
            debug_assert_eq!(coding, Coding::Identity, "a plain line is not packed");
            survey.scan_behind(line_bytes, &begun.chunks)?;
        }
        LineOne::Packed { peek, given, left } => {
            let line_bytes = peek.line().len();
            let (mut decoder, decoded) = peek.into_parts();
            survey.scan(decoded.get(line_bytes + 1..).unwrap_or_default())?;
            let mut slice = vec![0; SLICE_BYTES];
            let later = begun.chunks.iter().skip(given);
            for mut packed in std::iter::once(left).chain(later.cloned()) {
                while survey.unpack(&mut decoder, &mut packed, &mut slice)? {}
            }
            decoder.finish().map_err(Refusal::coding)?;
        }
    }
    survey.end()?;
    Ok(survey)
}

/// Who asks, and what there is to ask.
pub(super) struct Looking<'a> {
    /// What is in force.
    pub rules: &'a Rules,
    /// What was used and learned.
    pub shared: &'a Shared,
    /// Whose request it is.
    pub sender: &'a Sender,
    /// The client's address.
    pub client: IpAddr,
    /// What line one tells.
    pub trace: Trace,
}

impl Looking<'_> {
    pub(super) fn look<T>(&self, look: impl FnOnce(&Room<'_>) -> T) -> T {
        self.look_as(self.who(), look)
    }

    /// The same as if its key were vouched for; `None`: it is.
    pub(super) fn look_as_vouched<T>(&self, look: impl FnOnce(&Room<'_>) -> T) -> Option<T> {
        let who = self.who();
        let vouched = Who {
            trust: Trust::Whole,
            ..who
        };
        (who.trust != Trust::Whole).then(|| self.look_as(vouched, look))
    }

    fn look_as<T>(&self, who: Who, look: impl FnOnce(&Room<'_>) -> T) -> T {
        let now = tokio::time::Instant::now();
        let at = self.shared.moment(now);
        let switches = self.switches();
        let switches = switches.as_deref();
        let mut quotas = self.rules.gate.quotas.of(&who);
        if let Some(of) = switches {
            quotas = quotas.under(of.limits(), at.unix_s);
        }
        look(&Room {
            switches,
            quotas,
            counters: &self.shared.counters,
            learned: &self.shared.learned,
            pair: &self.sender.pair,
            at,
            now: self.shared.millis(now),
            charges: false,
            wishes: self.wishes(),
            trace: &self.trace,
            draw: LEFT_OUT,
            repeats: &self.shared.repeats,
            whose: Whose {
                project: who.project,
                ip: who.ip,
            },
        })
    }

    /// For whom it would count.
    pub(super) fn who(&self) -> Who {
        let mut nothing_met = ProvenHere::new(0);
        let (gate, verdicts) = (&self.rules.gate, &self.shared.verdicts);
        gate.who(self.sender, self.client, verdicts, &mut nothing_met)
            .0
    }

    /// What its project wants.
    pub(super) fn wishes(&self) -> &Wishes {
        self.rules.gate.wanted.of(self.who().project)
    }

    /// What is switched on for its project, if anything is.
    pub(super) fn switches(&self) -> Option<Arc<OfProject>> {
        let switches = self.shared.switches.load();
        switches.of(self.who().project).cloned()
    }

    /// What would become of an item; `gone`: why its event would stay here; `event`: what its
    /// payload tells, where that was read.
    pub(super) fn item(
        &self,
        item: &ItemHeader,
        bytes: u64,
        gone: Option<Reason>,
        event: Option<&Event<'_>>,
    ) -> ItemTold {
        let ruling = self.look(|room| room.judge(item, bytes, gone, event));
        let category = item.kind.category().name();
        let result = match item.count {
            1 => format!("{category}, {bytes} bytes"),
            count => format!("{category} of {count}, {bytes} bytes"),
        };
        let (why, dropped) = match (ruling.fate, ruling.limit) {
            (Fate::Kept, _) => ("goes on".to_owned(), None),
            (Fate::KeptAsError, _) => {
                let why = "goes on as the error that it makes, marked rate_limited";
                (why.to_owned(), None)
            }
            (Fate::Dropped(reason), Some(limit)) => {
                let vouched = self.look_as_vouched(|room| room.judge(item, bytes, gone, event));
                let of_share = vouched.is_some_and(|ruling| ruling.fate == Fate::Kept);
                let because = self.no_room(reason, item.kind, &limit);
                let share = if of_share { SHARE_USED } else { "" };
                let why = format!("stays here: {because}{share}");
                (why, Some(reason))
            }
            (Fate::Dropped(reason), None) if gone.is_some() && item.kind.follows_event() => {
                let why = format!("stays here with its event: {}", reason.as_str());
                (why, Some(reason))
            }
            (Fate::Dropped(reason), None) => {
                let because = self.unwanted(reason, item.kind, event);
                let why = format!("is not wanted: {}{because}", reason.as_str());
                (why, Some(reason))
            }
        };
        ItemTold {
            result,
            why,
            dropped,
        }
    }
}
