//! What is known of a request's items beside their headers, for whoever is asked whether they are
//! wanted.

use crate::domain::envelope::item::ItemKind;
use crate::domain::envelope::trace::Trace;
use crate::policy::wanted::{Asking, Wishes};

use super::Manifest;

impl Manifest {
    /// What its project wants.
    pub(crate) fn wishes(&self) -> &Wishes {
        self.rules.gate.wanted.of(self.who.project)
    }

    /// What its line one tells.
    pub(crate) fn trace(&self) -> &Trace {
        static NOTHING: Trace = Trace::NOTHING;
        self.trace.get().unwrap_or(&NOTHING)
    }

    /// Who asks what its payloads say.
    pub(crate) fn asking(&self) -> Asking<'_> {
        Asking {
            wishes: self.wishes(),
            switches: self.switches.as_deref(),
            trace: self.trace(),
        }
    }

    /// Whether the payload of such an item is asked for.
    pub(crate) fn reads(&self, kind: ItemKind) -> bool {
        self.asking().read(kind)
    }

    /// Reads what its line one tells, if anybody asks, or has a closer look.
    pub(crate) fn hears(&self, line: &[u8]) {
        if let Some(look) = &self.look {
            look.reads(line);
        }
        if self.switches.is_some() || !self.wishes().is_empty() || self.rules.mirrors_sample {
            self.trace.get_or_init(|| match self.wishes().sentry {
                Some(_) => Trace::read_whole(line),
                None => Trace::read(line),
            });
        }
    }

    /// What all that belongs together with it has in common: its trace, else its event. By chance
    /// where it names neither.
    pub(crate) fn id(&self) -> u128 {
        let Trace { id, event_id, .. } = self.trace();
        id.or(*event_id).unwrap_or_else(|| fastrand::u128(..))
    }

    /// Knows an event by its id, where there is no line one.
    pub(crate) fn is_of(&self, event_id: Option<u128>) {
        self.trace.get_or_init(|| Trace {
            event_id,
            ..Trace::NOTHING
        });
    }
}
