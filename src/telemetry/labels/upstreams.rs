//! The services behind the edge, of which all but two are as many as there are mirrors. Never
//! knows a mirror's name.

use crate::domain::dsn_map::MIRRORS_MAX;

/// One of the mirrors, in the order in which they are configured at the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MirrorPlace(u8);

impl MirrorPlace {
    /// All that there may be.
    pub const ALL: [Self; MIRRORS_MAX] = [Self(0), Self(1), Self(2), Self(3)];

    /// The place, counted from 0.
    #[must_use]
    pub fn get(self) -> usize {
        usize::from(self.0)
    }
}

/// The services behind the edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Upstream {
    /// Relay, which takes events.
    Ingest,
    /// Sentry's web.
    Web,
    /// Another Sentry, which gets copies of what the first takes, and what old DSNs lead to it.
    Mirror(MirrorPlace),
}

impl Upstream {
    /// Those that every edge has, in the order of export.
    pub const OWN: &'static [Self] = &[Self::Ingest, Self::Web];

    /// How many there may be: the length of an array with a place for each.
    pub const COUNT: usize = Self::OWN.len() + MIRRORS_MAX;

    /// All that there may be.
    pub fn all() -> impl Iterator<Item = Self> {
        let mirrors = MirrorPlace::ALL.into_iter().map(Self::Mirror);
        Self::OWN.iter().copied().chain(mirrors)
    }

    /// Its place in such an array.
    #[must_use]
    pub fn index(self) -> usize {
        match self {
            Self::Ingest => 0,
            Self::Web => 1,
            Self::Mirror(place) => Self::OWN.len() + place.get(),
        }
    }

    /// The word in the exposition, which goes on with a mirror's own name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Web => "web",
            Self::Mirror(_) => "mirror",
        }
    }
}

labels! {
    /// Why a mirror has no copy of a request.
    MirrorLoss {
        /// More waited for it than may.
        QueueFull = "queue_full",
        /// A large body of which there was no copy.
        Large = "large",
        /// Its spool has no room.
        SpoolFull = "spool_full",
        /// The disk does not take it.
        Disk = "disk",
        /// It was kept for too long.
        Expired = "expired",
        /// It is not as it was written.
        Damaged = "damaged",
        /// The mirror looked at it and said no.
        Refused = "refused",
        /// The mirror did not take it, and nothing is kept.
        Undelivered = "undelivered",
        /// The edge stopped, and nothing is kept.
        Stopped = "stopped",
        /// An operator dropped it.
        Dropped = "dropped",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_upstream_has_the_place_in_which_it_is_told() {
        let places: Vec<usize> = Upstream::all().map(Upstream::index).collect();
        assert_eq!(places, (0..Upstream::COUNT).collect::<Vec<_>>());
    }
}
