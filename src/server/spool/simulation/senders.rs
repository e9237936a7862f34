//! Who sends, and what: items with a number of their own.

use fastrand::Rng;

use crate::domain::category::{Categories, Category};
use crate::domain::credentials::Key;
use crate::domain::endpoint::ProjectId;
use crate::policy::pair::{Known, Pair, Sender};
use crate::policy::replay::lane::Lane;

/// Whom the configuration names, whom the upstream knows, and whom nobody does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Named,
    Proven,
    MadeUp,
}

/// All senders: their project and what they are.
const SENDERS: [(u64, Kind); 6] = [
    (1, Kind::Named),
    (2, Kind::Named),
    (3, Kind::Named),
    (1, Kind::Proven),
    (2, Kind::MadeUp),
    (3, Kind::Named),
];

pub(super) const COUNT: usize = SENDERS.len();

const CATEGORIES: [Category; 5] = [
    Category::Error,
    Category::Error,
    Category::Transaction,
    Category::Monitor,
    Category::Replay,
];

/// One item of a request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Item {
    pub(super) id: u64,
    pub(super) sender: usize,
    pub(super) category: Category,
    pub(super) bytes: u64,
}

pub(super) fn project(number: u64) -> ProjectId {
    ProjectId::parse(number.to_string().as_bytes()).unwrap()
}

impl Item {
    pub(super) fn drawn(id: u64, sender: usize, rng: &mut Rng) -> Self {
        Self {
            id,
            sender,
            category: rng.choice(CATEGORIES).unwrap(),
            bytes: rng.u64(16..160),
        }
    }

    pub(super) fn project(&self) -> ProjectId {
        project(SENDERS[self.sender].0)
    }

    pub(super) fn kind(&self) -> Kind {
        SENDERS[self.sender].1
    }

    pub(super) fn categories(&self) -> Categories {
        Categories::of(&[self.category])
    }

    pub(super) fn lane(&self) -> Lane {
        Lane::of(self.categories())
    }

    pub(super) fn key(&self) -> Key {
        Key::parse(format!("{:032x}", self.sender + 1).as_bytes()).unwrap()
    }

    pub(super) fn pair(&self) -> Pair {
        Pair::new(&self.key(), Some(self.project()))
    }

    pub(super) fn sender(&self) -> Sender {
        Sender {
            pair: self.pair(),
            origin: None,
            known: match self.kind() {
                Kind::Named => Known::Named,
                Kind::Proven | Kind::MadeUp => Known::Unnamed,
            },
        }
    }

    /// Of a hundred traces; what belongs to one is kept or left out together.
    pub(super) fn trace(&self) -> u128 {
        u128::from(self.id % 100) << 64 | u128::from(self.id % 100)
    }

    /// One that the upstream stumbles over, whatever it does with others.
    pub(super) fn is_ill(&self) -> bool {
        self.id.is_multiple_of(701)
    }

    /// The bytes that it is kept as: its number, and what no other has.
    pub(super) fn payload(&self) -> Vec<u8> {
        let mut rng = Rng::with_seed(self.id);
        let mut bytes = self.id.to_le_bytes().to_vec();
        bytes.extend((8..self.bytes).map(|_| rng.u8(..)));
        bytes
    }
}
