//! Which quotas fill, and when they are full should it go on like this. Keeps how full the
//! fullest were in the last minutes; never counts by itself.

use std::collections::{HashMap, VecDeque};

use crate::telemetry::exposition::QuotaUsed;

/// How often it is noted how full they are.
const NOTE_MS: u64 = 30_000;

/// Five minutes of notes.
const NOTES_MAX: usize = 10;

/// The quotas of a note: the fullest.
const QUOTAS_MAX: usize = 200;

/// A quota, and how it goes on.
#[derive(Debug, Clone, PartialEq)]
pub struct Fill {
    /// Its project, as the metrics name it.
    pub project: String,
    /// Its name.
    pub name: String,
    /// The share that is used.
    pub ratio: f64,
    /// In how many seconds it is full. `None`: it is, it does not fill, or too little was seen.
    pub full_in_s: Option<f64>,
}

type Note = HashMap<(String, String), f64>;

/// How full quotas were in the last minutes.
#[derive(Debug, Default)]
pub struct Filling {
    notes: VecDeque<(u64, Note)>,
}

impl Filling {
    /// Notes how full they are, if it is time.
    pub fn note(&mut self, now_ms: u64, used: &[QuotaUsed]) {
        let last = self.notes.back();
        if last.is_some_and(|(at_ms, _)| now_ms.saturating_sub(*at_ms) < NOTE_MS) {
            return;
        }
        if self.notes.len() >= NOTES_MAX {
            self.notes.pop_front();
        }
        let fullest = fullest(used, QUOTAS_MAX).into_iter();
        let note = fullest.map(|(project, name, ratio)| ((project, name), ratio));
        self.notes.push_back((now_ms, note.collect()));
    }

    /// The fullest of these, at most so many.
    #[must_use]
    pub fn fullest(&self, now_ms: u64, used: &[QuotaUsed], most: usize) -> Vec<Fill> {
        let fullest = fullest(used, most).into_iter();
        let fills = fullest.map(|(project, name, ratio)| {
            let place = (project, name);
            let full_in_s = self.full_in_s(now_ms, &place, ratio);
            let (project, name) = place;
            Fill {
                project,
                name,
                ratio,
                full_in_s,
            }
        });
        fills.collect()
    }

    fn full_in_s(&self, now_ms: u64, place: &(String, String), ratio: f64) -> Option<f64> {
        let mut notes = self.notes.iter().rev();
        // A window that began anew meanwhile is followed from there.
        let mut earliest = None;
        let mut later = ratio;
        while let Some((at_ms, note)) = notes.next()
            && let Some(then) = note.get(place)
            && *then <= later
        {
            earliest = Some((*at_ms, *then));
            later = *then;
        }
        let (at_ms, then) = earliest?;
        let took_ms = u32::try_from(now_ms.saturating_sub(at_ms)).ok()?;
        let grew = ratio - then;
        if ratio >= 1.0 || grew <= 0.0 || u64::from(took_ms) < NOTE_MS {
            return None;
        }
        Some(f64::from(took_ms) / 1000.0 * (1.0 - ratio) / grew)
    }
}

/// The fullest first; by name where they are alike.
fn fullest(used: &[QuotaUsed], most: usize) -> Vec<QuotaUsed> {
    let mut used: Vec<&QuotaUsed> = used.iter().collect();
    used.sort_by(|a, b| {
        b.2.total_cmp(&a.2)
            .then_with(|| (&a.0, &a.1).cmp(&(&b.0, &b.1)))
    });
    used.into_iter().take(most).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(ratio: f64) -> Vec<QuotaUsed> {
        vec![("42".to_owned(), "errors".to_owned(), ratio)]
    }

    /// How full it was at each half minute; when it is full, half a minute later.
    #[track_caller]
    fn check(ratios: &[f64], want: Option<f64>) {
        let mut filling = Filling::default();
        let mut now_ms = 0;
        let (last, before) = ratios.split_last().unwrap();
        for ratio in before {
            filling.note(now_ms, &used(*ratio));
            now_ms += NOTE_MS;
        }
        let fills = filling.fullest(now_ms, &used(*last), 5);
        let told = fills[0].full_in_s.map(f64::round);
        assert_eq!(told, want, "{ratios:?}");
    }

    #[test]
    fn a_quota_that_fills_is_full_in_so_long() {
        check(&[0.1, 0.2], Some(240.0));
        check(&[0.1, 0.2, 0.4], Some(120.0));
    }

    #[test]
    fn nothing_is_foretold_of_one_that_rests_or_is_full() {
        check(&[0.2], None);
        check(&[0.2, 0.2], None);
        check(&[0.5, 1.0], None);
        check(&[0.9, 0.2], None);
    }

    #[test]
    fn a_window_that_began_anew_is_followed_from_there() {
        check(&[0.8, 0.9, 0.1, 0.2], Some(240.0));
    }

    #[test]
    fn the_fullest_come_first_and_no_more_than_asked_for() {
        let filling = Filling::default();
        let all: Vec<QuotaUsed> = (0..1_000_u32)
            .map(|n| (n.to_string(), "q".to_owned(), f64::from(n) / 1_000.0))
            .collect();
        let fills = filling.fullest(0, &all, 3);
        let named: Vec<&str> = fills.iter().map(|fill| fill.project.as_str()).collect();
        assert_eq!(named, ["999", "998", "997"]);
    }

    #[test]
    fn notes_have_a_limit() {
        let mut filling = Filling::default();
        let all: Vec<QuotaUsed> = (0..1_000_u32)
            .map(|n| (n.to_string(), "q".to_owned(), 0.5))
            .collect();
        for note in 0..50 {
            filling.note(note * NOTE_MS, &all);
        }
        assert_eq!(filling.notes.len(), NOTES_MAX);
        assert!(
            filling
                .notes
                .iter()
                .all(|(_, note)| note.len() == QUOTAS_MAX)
        );
    }
}
