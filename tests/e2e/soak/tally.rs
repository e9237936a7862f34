//! What was done and what came of it, counted; and what may not have come. Prints the table.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use crate::hostile::siege::Used;

/// So many of what may not be are kept in words; the rest is counted.
const BROKEN_SHOWN: usize = 20;

/// Groups of what is counted, as the table names them.
pub(super) const WAS: &str = "the upstream was";
pub(super) const SURVIVED: &str = "the edge survived";
pub(super) const TRIED: &str = "inputs tried";

#[derive(Default)]
struct Counts {
    /// By kind, in groups: what the upstream was, what befell the edge, what clients tried.
    done: BTreeMap<&'static str, BTreeMap<&'static str, u64>>,
    answers: BTreeMap<String, u64>,
    answered: Vec<u128>,
    /// Of a project that has moved: answered 200, and not stored by its Sentry.
    elsewhere: (usize, usize),
    twice: u64,
    broken: Vec<String>,
    more_broken: usize,
}

/// Shared by all who take part.
#[derive(Default)]
pub(super) struct Tally(Mutex<Counts>);

/// What is held against what was there at the beginning.
pub(super) struct Held {
    pub(super) begin: Used,
    pub(super) rests: Vec<Used>,
}

impl Tally {
    /// Something of a group was done so many times.
    pub(super) fn did(&self, group: &'static str, kind: &'static str, times: u64) {
        let mut counts = self.0.lock().unwrap();
        *counts
            .done
            .entry(group)
            .or_default()
            .entry(kind)
            .or_default() += times;
    }

    /// Whether something was done so far.
    pub(super) fn has(&self, group: &str, kind: &str) -> bool {
        let counts = self.0.lock().unwrap();
        let kinds = counts.done.get(group);
        kinds.is_some_and(|kinds| kinds.contains_key(kind))
    }

    /// An event was answered so; 200 promises it.
    pub(super) fn answered(&self, id: Option<u128>, status: Option<u16>) {
        let mut counts = self.0.lock().unwrap();
        if let (Some(id), Some(200)) = (id, status) {
            counts.answered.push(id);
        }
        let word = status.map_or_else(|| "no answer".to_owned(), |status| status.to_string());
        *counts.answers.entry(word).or_default() += 1;
    }

    pub(super) fn twice(&self) {
        self.0.lock().unwrap().twice += 1;
    }

    /// Something happened that may not.
    pub(super) fn broken(&self, what: String) {
        let mut counts = self.0.lock().unwrap();
        match counts.broken.len() < BROKEN_SHOWN {
            true => counts.broken.push(what),
            false => counts.more_broken += 1,
        }
    }

    /// So many were answered 200 for another Sentry, and so many of them it does not have.
    pub(super) fn elsewhere(&self, answered: usize, lost: usize) {
        self.0.lock().unwrap().elsewhere = (answered, lost);
    }

    /// All events that were answered 200.
    pub(super) fn promised(&self) -> Vec<u128> {
        self.0.lock().unwrap().answered.clone()
    }

    /// Panics where something happened that may not.
    #[track_caller]
    pub(super) fn judge(&self) {
        let counts = self.0.lock().unwrap();
        let (broken, more) = (&counts.broken, counts.more_broken);
        assert!(broken.is_empty(), "{}\nand {more} more", broken.join("\n"));
    }

    /// The table of README.
    pub(super) fn print(&self, lasted: Duration, arrived: usize, lost: usize, held: &Held) {
        let counts = self.0.lock().unwrap();
        let sent: u64 = counts.answers.values().sum();
        let answers = list(counts.answers.iter().map(|(word, n)| (&**word, *n)));
        println!("| what | in {:.0} s |\n|---|---|", lasted.as_secs_f64());
        println!(
            "| load held | {sent} requests, {:.0} a second, and four SDKs; answered {answers} |",
            sent as f64 / lasted.as_secs_f64()
        );
        for (group, kinds) in &counts.done {
            let kinds = list(kinds.iter().map(|(kind, n)| (*kind, *n)));
            println!("| {group} | {kinds} |");
        }
        println!(
            "| events | {} answered 200, {arrived} arrived, **{lost} lost**, {} twice, each explained |",
            counts.answered.len(),
            counts.twice
        );
        let (elsewhere, lost) = counts.elsewhere;
        println!(
            "| a project that has moved | {elsewhere} answered 200 by its old DSN, **{lost} lost** on \
             the way to Bugsink |"
        );
        let rests = held.rests.iter();
        let (mib, more) = (|used: &Used| used.resident_kib / 1024, held.rests.last());
        println!(
            "| the edge at rest | memory {} MiB at the beginning, {} at its {} later rests; \
             descriptors {}, {} at the end; threads {}, {} at the end |",
            mib(&held.begin),
            rests
                .map(|used| mib(used).to_string())
                .collect::<Vec<_>>()
                .join(", "),
            held.rests.len(),
            held.begin.descriptors,
            more.map_or(0, |used| used.descriptors),
            held.begin.threads,
            more.map_or(0, |used| used.threads),
        );
    }
}

fn list<'a>(of: impl Iterator<Item = (&'a str, u64)>) -> String {
    let of: Vec<String> = of.map(|(word, n)| format!("{word} {n}")).collect();
    of.join(", ")
}
