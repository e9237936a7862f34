//! What of nginx's directives was carried over, and for which side of the site.

use super::grammar::Directive;

/// A side of the site: what is one of it for all its locations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Ingest,
    Web,
    Uploads,
    /// Where nothing is passed on.
    Folder,
}

impl Side {
    pub(super) const ALL: &[Self] = &[Self::Ingest, Self::Web, Self::Uploads, Self::Folder];
}

/// Directives by their words: what says the same elsewhere on a side was carried over with it.
#[derive(Debug, Default)]
pub(super) struct Held(Vec<(Side, String, Vec<String>)>);

impl Held {
    /// Notes that a directive was carried over for these sides.
    pub(super) fn note(&mut self, sides: &[Side], directive: &Directive) {
        for side in sides {
            let (name, arguments) = (directive.name.clone(), directive.arguments.clone());
            self.0.push((*side, name, arguments));
        }
    }

    /// Takes over what another server's pages were carried over by, of these names.
    pub(super) fn adopt_pages(&mut self, other: Self, names: &[&str]) {
        let of_pages = other.0.into_iter().filter(|(side, name, _)| {
            matches!(side, Side::Web | Side::Uploads) && names.contains(&name.as_str())
        });
        self.0.extend(of_pages);
    }

    /// Whether one of these words was, for this side.
    pub(super) fn has(&self, side: Side, directive: &Directive) -> bool {
        self.0.iter().any(|(of, name, arguments)| {
            (*of, name, arguments) == (side, &directive.name, &directive.arguments)
        })
    }

    /// Whether one of these words was, for any side.
    pub(super) fn knows(&self, directive: &Directive) -> bool {
        Side::ALL.iter().any(|side| self.has(*side, directive))
    }
}
