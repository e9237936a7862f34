//! What operators switch on and off reaches every edge that shares quotas: a mute, a limit or a
//! sample that was set at one is set at all within two seconds, with who set it and why, and ends
//! at all. Owns what is told and what is taken; what is on is the switchboard's.
//!
//! Each switch has a place (its project, category and action), and the latest word on it stands:
//! later by the second in which it was said, but always later than what was known there then, and
//! of two in one second the first that arrived. Who is cut off keeps its own switches and tells of
//! them afterwards. What is over stays known until its time would have ended, so that nobody who
//! comes back switches it on again; and where the servers have lost a word, or have an older one,
//! whoever knows it tells it anew.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::switch::Switch;
use crate::server::memory::switches::{Asked, On, Switchboard, on_of_json, on_to_json};

/// As many places are known at once: ten times what an edge can have on.
const PLACES_MAX: usize = 10_000;

/// What is over is forgotten so long after its time.
const FORGOTTEN_S: u64 = 60;

/// What the servers hold of one place.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    /// The edge that said it.
    edge: String,
    /// When its time is over.
    until: u64,
    /// What is on; `None`: it was ended.
    on: Option<serde_json::Value>,
    /// Who ended it.
    by: Option<String>,
}

/// What is known of one place.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Known {
    stamp_ms: u64,
    edge: String,
    /// The switch here; `None`: it is off.
    id: Option<u64>,
    until: u64,
    /// The servers do not have it.
    missing: bool,
}

/// A word that is to be told.
#[derive(Debug, Clone)]
pub(super) struct Word {
    /// Of which place.
    pub place: String,
    /// When it was said.
    pub stamp_ms: u64,
    /// As it is told.
    pub row: String,
    edge: String,
    id: Option<u64>,
    until: u64,
}

/// What is known of all places.
#[derive(Debug, Default)]
pub(super) struct Exchange {
    known: BTreeMap<String, Known>,
    /// The servers' rows as last read; `None`: never.
    version: Option<String>,
    /// They did not take all that was told.
    unsure: bool,
}

fn place_of(switch: &Switch) -> String {
    let category = switch.category.map_or("all", |category| category.name());
    let action = switch.effect.action().name();
    format!("{}/{category}/{action}", switch.project)
}

impl Exchange {
    /// What has changed here since it was last told. Nothing before the servers were read.
    pub(super) fn words(&self, edge: &str, board: &Switchboard, now_s: u64) -> Vec<Word> {
        if self.version.is_none() {
            return Vec::new();
        }
        let on = board.on();
        let mut words = Vec::new();
        for on in on.iter() {
            let place = place_of(&on.switch);
            let set_ms = on.set_unix_s.saturating_mul(1000);
            match self.known.get(&place) {
                Some(known) if known.id == Some(on.id) => {
                    if known.missing {
                        words.extend(word(place, &known.edge, known.stamp_ms, on));
                    }
                }
                Some(known) => {
                    let stamp_ms = set_ms.max(known.stamp_ms.saturating_add(1));
                    words.extend(word(place, edge, stamp_ms, on));
                }
                None => words.extend(word(place, edge, set_ms, on)),
            }
        }
        for (place, known) in &self.known {
            if known.until <= now_s {
                continue;
            }
            let is_on = on.iter().any(|on| place_of(&on.switch) == *place);
            let (edge, stamp_ms) = match known.id {
                // Later than what it ends, which may have begun in this second.
                Some(_) if !is_on => {
                    let now_ms = now_s.saturating_mul(1000);
                    (edge, now_ms.max(known.stamp_ms.saturating_add(1)))
                }
                None if known.missing && !is_on => (&*known.edge, known.stamp_ms),
                Some(_) | None => continue,
            };
            let row = Row {
                edge: edge.to_owned(),
                until: known.until,
                on: None,
                by: last_to_end(board, place),
            };
            words.extend(spelled(place.clone(), stamp_ms, &row, None));
        }
        words
    }

    /// The servers have them; so many stand, where others' words of the same places are not later.
    pub(super) fn told(&mut self, words: Vec<Word>, stand: usize) {
        self.unsure |= stand < words.len();
        for word in words {
            let known = Known {
                stamp_ms: word.stamp_ms,
                edge: word.edge,
                id: word.id,
                until: word.until,
                missing: false,
            };
            self.know(word.place, known);
        }
    }

    /// Whether their rows of that version are known.
    pub(super) fn is_current(&self, version: &str) -> bool {
        !self.unsure && self.version.as_deref() == Some(version)
    }

    /// Takes what the servers hold: places and their rows. Yields the places that are over, and
    /// the stamps by which they are.
    pub(super) fn take(
        &mut self,
        rows: Vec<(String, String)>,
        version: String,
        board: &Switchboard,
        now_s: u64,
    ) -> Vec<(String, u64)> {
        let mut over = Vec::new();
        self.known
            .values_mut()
            .for_each(|known| known.missing = true);
        for (place, row) in rows {
            let read = read(&row);
            if let Some(known) = self.known.get_mut(&place) {
                let is_older = |(stamp_ms, _): &(u64, Row)| *stamp_ms < known.stamp_ms;
                known.missing = read.as_ref().is_some_and(is_older);
            }
            let Some((stamp_ms, row)) = read else {
                continue;
            };
            if row.until.saturating_add(FORGOTTEN_S) <= now_s {
                over.push((place, stamp_ms));
            } else {
                self.take_one(place, stamp_ms, row, board, now_s);
            }
        }
        let forgotten = |known: &Known| known.until.saturating_add(FORGOTTEN_S) <= now_s;
        self.known.retain(|_, known| !forgotten(known));
        self.version = Some(version);
        self.unsure = false;
        over
    }

    fn take_one(
        &mut self,
        place: String,
        stamp_ms: u64,
        row: Row,
        board: &Switchboard,
        now_s: u64,
    ) {
        let here = {
            let on = board.on();
            let mut on = on.iter();
            on.find(|on| place_of(&on.switch) == place).cloned()
        };
        let before = self.known.get(&place).map_or_else(
            || (here.as_ref().map_or(0, |on| on.set_unix_s * 1000), ""),
            |known| (known.stamp_ms, &*known.edge),
        );
        if (stamp_ms, &*row.edge) == before || stamp_ms < before.0 {
            return;
        }
        let theirs = row.on.as_ref().map(on_of_json);
        let id = match theirs {
            // Not one that this version knows.
            Some(None) => return,
            Some(Some(theirs)) if place_of(&theirs.switch) != place => return,
            Some(Some(theirs)) if theirs.switch.is_over(now_s) => None,
            Some(Some(theirs)) => match &here {
                Some(on) if on.switch == theirs.switch => Some(on.id),
                Some(_) | None => {
                    let asked = Asked {
                        switch: theirs.switch,
                        by: theirs.by,
                        why: theirs.why,
                    };
                    board.set(asked, now_s).map(|set| set.on.id)
                }
            },
            None => {
                if let Some(on) = &here {
                    board.end(on.id, row.by.as_deref().unwrap_or("another edge"), now_s);
                }
                None
            }
        };
        let known = Known {
            stamp_ms,
            edge: row.edge,
            id,
            until: row.until,
            missing: false,
        };
        self.know(place, known);
    }

    fn know(&mut self, place: String, known: Known) {
        if self.known.len() < PLACES_MAX || self.known.contains_key(&place) {
            self.known.insert(place, known);
        }
    }
}

fn word(place: String, edge: &str, stamp_ms: u64, on: &On) -> Option<Word> {
    let row = Row {
        edge: edge.to_owned(),
        until: on.switch.until_unix_s,
        on: Some(on_to_json(on)?),
        by: None,
    };
    spelled(place, stamp_ms, &row, Some(on.id))
}

fn spelled(place: String, stamp_ms: u64, row: &Row, id: Option<u64>) -> Option<Word> {
    Some(Word {
        place,
        stamp_ms,
        row: serde_json::to_string(row).ok()?,
        edge: row.edge.clone(),
        id,
        until: row.until,
    })
}

/// A stamp and what was said then.
fn read(row: &str) -> Option<(u64, Row)> {
    let (stamp, row) = row.split_once(' ')?;
    Some((stamp.parse().ok()?, serde_json::from_str(row).ok()?))
}

/// Who ended the switch of a place here.
fn last_to_end(board: &Switchboard, place: &str) -> Option<String> {
    let ended = board.ended();
    let mut ended = ended.iter().rev();
    let ended = ended.find(|ended| place_of(&ended.was.switch) == place)?;
    ended.by.clone()
}

#[cfg(test)]
mod tests;
