//! Promises of incidents: one start and one end each, nothing that comes and goes twice, and
//! losses as the books have them. Time is added.

use proptest::prelude::*;

use super::*;
use crate::domain::outcome::Reason;

fn moment(ms: u64) -> Moment {
    Moment {
        at: Millis(ms),
        unix_ms: 1_700_000_000_000 + ms,
    }
}

fn lost(items: u64) -> Loss {
    let mut lost = Loss::default();
    lost.add(Reason::SpoolFull, items, items * 10);
    lost
}

fn of(kind: Kind, subject: &str) -> Condition {
    Condition::new(kind, subject, "it is so")
}

/// What a look changed: `+`, `!` and `-` with kind and subject. What does not hold is gone.
fn look(incidents: &mut Incidents, s: u64, lost: Loss, conditions: &[Condition]) -> Vec<String> {
    look_where(incidents, s, lost, conditions, Looked::Gone)
}

/// The same with how what does not hold was looked for.
fn look_where(
    incidents: &mut Incidents,
    s: u64,
    lost: Loss,
    conditions: &[Condition],
    looked: Looked,
) -> Vec<String> {
    let changes = incidents.look(moment(s * 1000), lost, conditions.to_vec(), |_, _| looked);
    let named = changes.iter().map(|change| {
        let (sign, incident) = match change {
            Change::Started(incident) => ('+', incident),
            Change::Graver(incident) => ('!', incident),
            Change::Ended(incident) => ('-', incident),
        };
        let Condition { kind, subject, .. } = &incident.condition;
        format!("{sign}{} {subject}", kind.as_str())
    });
    named.collect()
}

#[test]
fn it_starts_once_it_has_held_and_is_dated_back() {
    let mut incidents = Incidents::new(Loss::default());
    let errors = [of(Kind::IngestErrors, "ingest")];
    assert_eq!(
        look(&mut incidents, 10, lost(0), &errors),
        Vec::<String>::new()
    );
    assert_eq!(
        look(&mut incidents, 129, lost(0), &errors),
        Vec::<String>::new()
    );
    assert_eq!(incidents.active(), []);
    assert_eq!(
        look(&mut incidents, 130, lost(0), &errors),
        ["+ingest_errors ingest"]
    );
    let [active] = incidents.active().try_into().unwrap();
    assert_eq!((active.number, active.since), (1, moment(10_000)));
    assert_eq!(incidents.find(1), Some(active));
}

#[test]
fn what_is_gone_for_one_look_before_it_started_begins_anew() {
    let mut incidents = Incidents::new(Loss::default());
    let errors = [of(Kind::IngestErrors, "ingest")];
    look(&mut incidents, 0, lost(0), &errors);
    look(&mut incidents, 100, lost(0), &[]);
    look(&mut incidents, 102, lost(0), &errors);
    assert_eq!(
        look(&mut incidents, 221, lost(0), &errors),
        Vec::<String>::new()
    );
    assert_eq!(
        look(&mut incidents, 222, lost(0), &errors),
        ["+ingest_errors ingest"]
    );
}

#[test]
fn what_comes_and_goes_is_one_incident() {
    let mut incidents = Incidents::new(Loss::default());
    let away = [of(Kind::NotDelivering, "ingest")];
    assert_eq!(
        look(&mut incidents, 0, lost(0), &away),
        ["+not_delivering ingest"]
    );
    for s in 1..100 {
        let now: &[Condition] = if s % 9 == 0 { &away } else { &[] };
        assert_eq!(
            look(&mut incidents, s, lost(s), now),
            Vec::<String>::new(),
            "second {s}"
        );
    }
    // Gone since the second 100.
    look(&mut incidents, 99, lost(100), &away);
    look(&mut incidents, 100, lost(101), &[]);
    assert_eq!(
        look(&mut incidents, 109, lost(500), &[]),
        Vec::<String>::new()
    );
    assert_eq!(
        look(&mut incidents, 110, lost(600), &[]),
        ["-not_delivering ingest"]
    );
    let ended = incidents.ended().next().unwrap();
    assert_eq!(
        (ended.since, ended.ended),
        (moment(0), Some(moment(100_000)))
    );
    assert_eq!(ended.loss, lost(101), "what was lost later is not its own");
}

#[test]
fn its_loss_begins_with_what_made_it_seen() {
    let mut incidents = Incidents::new(lost(5));
    look(&mut incidents, 0, lost(5), &[]);
    let loss = [of(Kind::Loss, "spool_full")];
    assert_eq!(
        look(&mut incidents, 2, lost(8), &loss),
        ["+loss spool_full"]
    );
    assert_eq!(incidents.active()[0].loss, lost(3));
    look(&mut incidents, 4, lost(9), &loss);
    assert_eq!(incidents.active()[0].loss, lost(4));
}

#[test]
fn the_last_words_count_and_the_gravest_severity() {
    let mut incidents = Incidents::new(Loss::default());
    let ends = [of(Kind::Certificate, "a.example")];
    look(&mut incidents, 0, lost(0), &ends);
    let worse = Condition::new(Kind::Certificate, "a.example", "has ended");
    let worse = [worse.graded(Severity::Page)];
    let changed = look(&mut incidents, 1, lost(0), &worse);
    assert_eq!(changed, ["!certificate a.example"]);
    let [active] = incidents.active().try_into().unwrap();
    assert_eq!(active.condition.says, "has ended");
    assert_eq!(active.condition.severity, Severity::Page);
    // Once.
    let changed = look(&mut incidents, 2, lost(0), &worse);
    assert_eq!(changed, Vec::<String>::new());
    let changed = look(&mut incidents, 3, lost(0), &ends);
    assert_eq!(changed, Vec::<String>::new());
    let [active] = incidents.active().try_into().unwrap();
    assert_eq!(
        active.condition.severity,
        Severity::Page,
        "none grows lighter"
    );
}

#[test]
fn what_grows_graver_finds_a_place_among_its_kind_or_stays() {
    let mut incidents = Incidents::new(Loss::default());
    let pages = (0..FOLLOWED_MAX).map(|n| of(Kind::Loss, &n.to_string()));
    let mut all: Vec<Condition> = pages.collect();
    all.push(of(Kind::Certificate, "a.example"));
    look(&mut incidents, 0, lost(0), &all);
    let worse = all.pop().unwrap().graded(Severity::Page);
    all.push(worse);
    assert_eq!(look(&mut incidents, 1, lost(0), &all), Vec::<String>::new());
    let changed = look(&mut incidents, 2, lost(0), &all[1..]);
    assert_eq!(changed, ["-loss 0", "!certificate a.example"]);
}

#[test]
fn what_nobody_looks_for_has_not_recovered() {
    let mut incidents = Incidents::new(Loss::default());
    let away = [of(Kind::NotDelivering, "ingest")];
    look(&mut incidents, 0, lost(0), &away);
    look(&mut incidents, 1, lost(0), &[]);
    for s in 2..100 {
        let changed = look_where(&mut incidents, s, lost(s), &[], Looked::Suspended);
        assert_eq!(changed, Vec::<String>::new(), "second {s}");
    }
    assert_eq!(incidents.active()[0].loss, lost(99), "it goes on");
    // Looked at again, it is gone, and has been since then.
    look(&mut incidents, 100, lost(100), &[]);
    let changed = look(&mut incidents, 110, lost(100), &[]);
    assert_eq!(changed, ["-not_delivering ingest"]);
    let ended = incidents.ended().next().unwrap();
    assert_eq!(ended.ended, Some(moment(100_000)));
    assert_eq!(ended.over(), "the upstream takes requests again");

    look(&mut incidents, 200, lost(100), &away);
    look_where(&mut incidents, 210, lost(100), &[], Looked::Unwatched);
    look_where(&mut incidents, 220, lost(100), &[], Looked::Unwatched);
    let ended = incidents.ended().next().unwrap();
    assert_eq!(ended.over(), "it is not looked for any more");
}

#[test]
fn what_had_not_started_is_not_suspended() {
    let mut incidents = Incidents::new(Loss::default());
    let errors = [of(Kind::IngestErrors, "ingest")];
    look(&mut incidents, 0, lost(0), &errors);
    look_where(&mut incidents, 100, lost(0), &[], Looked::Suspended);
    let changed = look(&mut incidents, 130, lost(0), &errors);
    assert_eq!(changed, Vec::<String>::new());
}

#[test]
fn a_crowd_of_tickets_is_counted_and_hides_no_page() {
    let mut incidents = Incidents::new(Loss::default());
    let mut all: Vec<Condition> = (0..FOLLOWED_MAX + 7)
        .map(|n| of(Kind::Certificate, &n.to_string()))
        .collect();
    all.push(of(Kind::SpoolOld, "spool"));
    let changes = look(&mut incidents, 0, lost(0), &all);
    assert_eq!(changes.len(), FOLLOWED_MAX + 1);
    assert_eq!(incidents.without_place(), 7);
    assert_eq!(incidents.active()[0].condition.kind, Kind::SpoolOld);
    // Those that are over leave their places, and are remembered up to a number.
    look(&mut incidents, 1, lost(0), &all[50..]);
    look(&mut incidents, 2, lost(0), &all[57..]);
    assert_eq!(incidents.without_place(), 0);
    for s in 3..200 {
        let now: &[Condition] = if s % 2 == 0 { &all[..5] } else { &[] };
        look(&mut incidents, s, lost(0), now);
    }
    assert_eq!(incidents.ended().count(), ENDED_MAX);
}

#[test]
fn who_wants_pages_hears_of_no_ticket() {
    assert!(is_wanted(Severity::Page, Severity::Page));
    assert!(!is_wanted(Severity::Page, Severity::Ticket));
    assert!(is_wanted(Severity::Ticket, Severity::Page));
    assert!(is_wanted(Severity::Ticket, Severity::Ticket));
}

/// One look of a course: how many seconds after the last, which of the kinds hold, and how many
/// items were lost since.
fn courses() -> impl Strategy<Value = Vec<(u64, Vec<bool>, u64)>> {
    let holding = proptest::collection::vec(any::<bool>(), KINDS.len());
    // Runs of the same, or nothing would ever hold for two minutes.
    let step = (1_u64..40, holding, 0_u64..3, 1_usize..8);
    proptest::collection::vec(step, 1..40).prop_map(|steps| {
        let runs = steps
            .into_iter()
            .flat_map(|(s, holding, lost, times)| std::iter::repeat_n((s, holding, lost), times));
        runs.collect()
    })
}

const KINDS: [Kind; 4] = [
    Kind::NotDelivering,
    Kind::IngestErrors,
    Kind::SpoolOld,
    Kind::ReloadRefused,
];

proptest! {
    /// Against a plain reading of the rules over the whole history.
    #[test]
    fn starts_and_ends_alternate_hold_their_times_and_have_the_losses_between(
        course in courses(),
    ) {
        let mut incidents = Incidents::new(Loss::default());
        let (mut s, mut items) = (0, 0);
        // Each look: the second, the items lost until then, what held.
        let mut history: Vec<(u64, u64, Vec<bool>)> = vec![(0, 0, vec![false; KINDS.len()])];
        let mut open: BTreeMap<Kind, u64> = BTreeMap::new();
        let mut numbers = BTreeSet::new();
        for (after, holding, more) in course {
            (s, items) = (s + after, items + more);
            history.push((s, items, holding.clone()));
            let now = KINDS.iter().zip(&holding).filter(|(_, holds)| **holds);
            let now: Vec<Condition> = now.map(|(kind, _)| of(*kind, "it")).collect();
            for change in incidents.look(moment(s * 1000), lost(items), now, |_, _| Looked::Gone) {
                match change {
                    Change::Started(incident) => {
                        let kind = incident.condition.kind;
                        let place = KINDS.iter().position(|one| *one == kind).unwrap();
                        prop_assert!(open.insert(kind, incident.number).is_none(), "started twice");
                        prop_assert!(numbers.insert(incident.number));
                        let held = history.iter().rev().take_while(|look| look.2[place]);
                        let first = held.last().unwrap().0;
                        prop_assert_eq!(incident.since.at.0, first * 1000);
                        prop_assert!(s - first >= kind.hold_s());
                    }
                    Change::Graver(incident) => panic!("{incident:?} grew"),
                    Change::Ended(incident) => {
                        let kind = incident.condition.kind;
                        let place = KINDS.iter().position(|one| *one == kind).unwrap();
                        prop_assert_eq!(open.remove(&kind), Some(incident.number));
                        let gone = history.iter().rev().take_while(|look| !look.2[place]);
                        let (first, lost_at, _) = gone.last().unwrap();
                        prop_assert_eq!(incident.ended.unwrap().at.0, first * 1000);
                        prop_assert!(s - first >= kind.clear_s());
                        let from = incident.since.at.0 / 1000;
                        let before = history.iter().rev().find(|look| look.0 < from).unwrap();
                        prop_assert_eq!(incident.loss.total().items, lost_at - before.1);
                    }
                }
            }
            let active: Vec<u64> = incidents.active().iter().map(|one| one.number).collect();
            prop_assert_eq!(BTreeSet::from_iter(active), BTreeSet::from_iter(open.values().copied()));
        }
    }
}
