//! What becomes of items, whatever they come in.

mod fitting;
mod guarded;
mod repeated;
mod sampled;

use std::time::Duration;

use super::super::learned::LearnedLimit;
use super::super::quotas::{CounterLimits, QuotaSpec, Quotas, Who};
use super::*;
use crate::domain::category::Category;
use crate::domain::credentials::Key;
use crate::domain::endpoint::ProjectId;
use crate::domain::quota::{By, Limit, Per, Quota};
use crate::domain::switch::{Action, Effect, Switch};
use crate::policy::quotas::Trust;
use crate::policy::switches::Switches;

/// A project's quotas, what was used of them, and what was learned.
struct Scene {
    quotas: Quotas,
    counters: Counters,
    learned: Learned,
    pair: Pair,
    who: Who,
    wishes: Wishes,
    repeats: Repeats,
    switches: Switches,
}

fn quota(categories: &[Category], limit: Limit) -> Quota {
    Quota {
        name: Box::from("q"),
        categories: Categories::of(categories),
        limit,
        per: Per::of(Duration::from_secs(3600)).unwrap(),
        by: By::Project,
    }
}

fn scene(quotas: Vec<Quota>) -> Scene {
    let key = Key::parse(b"a94ae32be2584e0bbd7a4cbb95971fee").unwrap();
    let project = ProjectId::parse(b"42");
    let counters = Counters::new(CounterLimits {
        ips: 1000,
        counters: 100,
    });
    let spec = QuotaSpec {
        defaults: quotas,
        ..QuotaSpec::default()
    };
    Scene {
        quotas: Quotas::compile(&spec, &counters),
        counters,
        learned: Learned::new(10),
        pair: Pair::new(&key, project),
        who: Who {
            project,
            key: key.packed(),
            ip: "203.0.113.9".parse().unwrap(),
            trust: Trust::Whole,
        },
        wishes: Wishes::default(),
        repeats: Repeats::new(10),
        switches: Switches::default(),
    }
}

impl Scene {
    fn room(&self) -> Room<'_> {
        let switches = self.switches.of(self.who.project).map(|of| &**of);
        let mut quotas = self.quotas.of(&self.who);
        if let Some(of) = switches {
            quotas = quotas.under(of.limits(), 1_700_000_000);
        }
        Room {
            switches,
            draw: 500_000,
            quotas,
            counters: &self.counters,
            learned: &self.learned,
            pair: &self.pair,
            at: Moment {
                since_start_ns: 1_000_000_000,
                unix_s: 1_700_000_000,
            },
            now: Millis(1000),
            charges: true,
            wishes: &self.wishes,
            trace: &Trace::NOTHING,
            repeats: &self.repeats,
            whose: Whose {
                project: self.who.project,
                ip: self.who.ip,
            },
        }
    }

    fn switch(&mut self, category: Option<Category>, action: Action, value: Option<&str>) {
        let switch = Switch {
            project: self.who.project.unwrap(),
            category,
            effect: Effect::read(action, category, value).unwrap(),
            until_unix_s: 1_700_000_060,
        };
        self.switches = Switches::compile(&[switch], None, &self.counters);
    }

    fn learns(&self, categories: &[Category]) {
        let limit = LearnedLimit {
            categories: Categories::of(categories),
            scope: Scope::Organization,
            reason: Some(Box::from("told")),
            for_ms: 1500,
        };
        self.learned.learn(Millis(1000), self.pair, limit);
    }

    #[track_caller]
    fn check(&self, kind: ItemKind, event: Option<Reason>, want: Fate) -> Option<RateLimit> {
        let ruling = self.room().judge(&item(kind, 1), 10, event, None);
        assert_eq!(ruling.fate, want, "{kind:?}");
        ruling.limit
    }
}

fn item(kind: ItemKind, count: u64) -> ItemHeader {
    ItemHeader {
        kind,
        length: Some(10),
        count,
        flag: None,
    }
}

const FULL: Fate = Fate::Dropped(Reason::Quota);

#[test]
fn an_item_passes_while_its_quota_has_room() {
    let scene = scene(vec![quota(&[Category::Error], Limit::Items(1))]);
    assert_eq!(scene.check(ItemKind::Event, None, Fate::Kept), None);
    let told = scene.check(ItemKind::Event, None, FULL).unwrap();
    assert_eq!(told.categories, Categories::of(&[Category::Error]));
    assert_eq!(
        (told.scope, told.reason.as_deref()),
        (Scope::Project, Some("q"))
    );
    assert_eq!(scene.check(ItemKind::Session, None, Fate::Kept), None);
}

#[test]
fn what_belongs_to_a_dropped_event_goes_with_it_and_is_not_charged() {
    let scene = scene(vec![quota(&[Category::Attachment], Limit::Items(1))]);
    let gone = Some(Reason::Rate);
    for kind in [
        ItemKind::Attachment,
        ItemKind::Profile,
        ItemKind::ReplayEvent,
        ItemKind::FormData,
        ItemKind::Feedback,
    ] {
        let told = scene.check(kind, gone, Fate::Dropped(Reason::Rate));
        assert_eq!(told, None, "its event's limit was told already");
    }
    for kind in [
        ItemKind::Session,
        ItemKind::CheckIn,
        ItemKind::ClientReport,
        ItemKind::Span,
        ItemKind::ReplayRecording,
    ] {
        scene.check(kind, gone, Fate::Kept);
    }
    scene.check(ItemKind::Attachment, None, Fate::Kept);
}

#[test]
fn client_reports_pass_whatever_is_full() {
    let scene = scene(vec![quota(&[], Limit::Items(0))]);
    scene.learns(&[]);
    scene.check(ItemKind::ClientReport, None, Fate::Kept);
    scene.check(ItemKind::Unknown, None, Fate::Dropped(Reason::Learned));
}

#[test]
fn a_quota_on_everything_covers_what_has_no_category() {
    let scene = scene(vec![quota(&[], Limit::Items(1))]);
    scene.check(ItemKind::Unknown, None, Fate::Kept);
    scene.check(ItemKind::FormData, None, FULL);
    let scene = self::scene(vec![quota(&[Category::Error], Limit::Items(0))]);
    scene.check(ItemKind::Unknown, None, Fate::Kept);
}

#[test]
fn learned_limits_go_before_quotas_and_charge_nothing() {
    let scene = scene(vec![quota(&[Category::Error], Limit::Items(1))]);
    scene.learns(&[Category::Error]);
    let told = scene
        .check(ItemKind::Event, None, Fate::Dropped(Reason::Learned))
        .unwrap();
    assert_eq!(
        (told.retry_after_s, told.scope),
        (2, Scope::Organization),
        "rounded up"
    );
    let mut later = scene.room();
    later.now = Millis(2500);
    let fate = later.judge(&item(ItemKind::Event, 1), 10, None, None).fate;
    assert_eq!(fate, Fate::Kept, "the one place was not used");
}

#[test]
fn of_a_learned_limit_on_what_is_kept_of_an_item_nothing_is_dropped() {
    let scene = scene(Vec::new());
    scene.learns(&[
        Category::TransactionIndexed,
        Category::SpanIndexed,
        Category::ProfileIndexed,
    ]);
    for kind in [ItemKind::Transaction, ItemKind::Span, ItemKind::Profile] {
        scene.check(kind, None, Fate::Kept);
    }
}

#[test]
fn a_crash_is_an_error_and_an_attachment() {
    let crash = ItemKind::CrashAttachment;
    let scene = scene(vec![quota(&[Category::Attachment], Limit::Items(0))]);
    let told = scene.check(crash, None, Fate::KeptAsError).unwrap();
    assert_eq!(told.categories, Categories::of(&[Category::Attachment]));
    let scene = self::scene(vec![quota(&[Category::Error], Limit::Items(0))]);
    scene.check(crash, None, FULL);
    let scene = self::scene(vec![quota(&[Category::Error], Limit::Items(1))]);
    scene.check(crash, None, Fate::Kept);
    scene.check(ItemKind::Event, None, FULL);
}

#[test]
fn what_is_given_back_can_be_had_again() {
    let quotas = || {
        vec![
            Quota {
                name: Box::from("e"),
                ..quota(&[Category::Error], Limit::Items(1))
            },
            Quota {
                name: Box::from("a"),
                ..quota(&[Category::Attachment], Limit::Bytes(10))
            },
        ]
    };
    for (kind, fate) in [
        (ItemKind::Event, Fate::Kept),
        (ItemKind::Attachment, Fate::Kept),
        (ItemKind::CrashAttachment, Fate::Kept),
    ] {
        let scene = scene(quotas());
        scene.check(kind, None, fate);
        scene.check(kind, None, FULL);
        let room = scene.room();
        room.give_back(room.at, kind, fate, 1, 10);
        scene.check(kind, None, fate);
    }
    let scene = scene(quotas());
    let room = scene.room();
    room.give_back(room.at, ItemKind::Event, FULL, 1, 10);
    scene.check(ItemKind::Event, None, Fate::Kept);
    scene.check(ItemKind::Event, None, FULL);
}

#[test]
fn a_look_charges_nothing() {
    let scene = scene(vec![quota(&[Category::Error], Limit::Items(1))]);
    let mut looking = scene.room();
    looking.charges = false;
    for _ in 0..3 {
        assert_eq!(
            looking.judge(&item(ItemKind::Event, 1), 1, None, None).fate,
            Fate::Kept
        );
    }
    scene.check(ItemKind::Event, None, Fate::Kept);
    assert_eq!(
        looking.judge(&item(ItemKind::Event, 1), 1, None, None).fate,
        FULL
    );
}

#[test]
fn only_a_limit_on_everything_refuses_at_the_head() {
    let scene = scene(vec![quota(&[Category::Error], Limit::Items(0))]);
    assert_eq!(scene.room().full(), None);
    assert!(!scene.room().is_boundless());
    scene.learns(&[]);
    assert_eq!(
        scene.room().full().map(|(reason, _)| reason),
        Some(Reason::Learned)
    );
    let scene = self::scene(vec![quota(&[], Limit::Items(0))]);
    assert_eq!(
        scene.room().full().map(|(reason, _)| reason),
        Some(Reason::Quota)
    );
    let scene = self::scene(Vec::new());
    assert!(scene.room().is_boundless());
    scene.learns(&[Category::Session]);
    assert!(!scene.room().is_boundless(), "something may be refused");
}

const MUTED: Fate = Fate::Dropped(Reason::Muted);

#[test]
fn a_muted_project_is_refused_before_its_body_is_read() {
    let mut scene = scene(Vec::new());
    assert!(scene.room().is_boundless());
    scene.switch(None, Action::Mute, None);
    assert!(!scene.room().is_boundless());
    let (reason, limit) = scene.room().full().unwrap();
    assert_eq!((reason, limit.retry_after_s), (Reason::Muted, 60));
    assert!(limit.categories.is_empty() && limit.scope == Scope::Project);
    assert_eq!(limit.reason.as_deref(), Some("muted"));
    // What is no envelope is met as one item.
    assert_eq!(scene.check(ItemKind::Event, None, MUTED), Some(limit));
    scene.check(ItemKind::Unknown, None, MUTED);
}

#[test]
fn a_muted_error_takes_along_what_belongs_to_it_and_nothing_else() {
    let mut scene = scene(Vec::new());
    scene.switch(Some(Category::Error), Action::Mute, None);
    assert_eq!(scene.room().full(), None);
    let limit = scene.check(ItemKind::Event, None, MUTED).unwrap();
    assert_eq!(limit.categories, Categories::of(&[Category::Error]));
    scene.check(ItemKind::Attachment, Some(Reason::Muted), MUTED);
    scene.check(ItemKind::CrashAttachment, None, MUTED);
    scene.check(ItemKind::Attachment, None, Fate::Kept);
    scene.check(ItemKind::Session, None, Fate::Kept);
    scene.check(ItemKind::ClientReport, None, Fate::Kept);
}

#[test]
fn of_a_crash_whose_attachments_are_muted_the_error_goes_on() {
    let mut scene = scene(Vec::new());
    scene.switch(Some(Category::Attachment), Action::Mute, None);
    scene.check(ItemKind::Attachment, None, MUTED);
    scene.check(ItemKind::CrashAttachment, None, Fate::KeptAsError);
    scene.check(ItemKind::Event, None, Fate::Kept);
}

#[test]
fn a_crash_is_sampled_as_the_error_that_it_makes() {
    const SAMPLED: Fate = Fate::Dropped(Reason::Sampled);
    let mut scene = scene(Vec::new());
    scene.switch(Some(Category::Error), Action::Sample, Some("0%"));
    scene.check(ItemKind::Event, None, SAMPLED);
    scene.check(ItemKind::CrashAttachment, None, SAMPLED);
    scene.check(ItemKind::Attachment, None, Fate::Kept);
    scene.switch(Some(Category::Error), Action::Sample, Some("100%"));
    scene.check(ItemKind::CrashAttachment, None, Fate::Kept);
}

#[test]
fn a_mute_comes_before_a_learned_limit_and_a_switched_one_behind_it() {
    let mut scene = scene(vec![quota(&[Category::Error], Limit::Items(0))]);
    scene.check(ItemKind::Event, None, FULL);
    scene.switch(Some(Category::Error), Action::Limit, Some("0/1h"));
    scene.check(ItemKind::Event, None, Fate::Dropped(Reason::Limited));
    scene.learns(&[Category::Error]);
    scene.check(ItemKind::Event, None, Fate::Dropped(Reason::Learned));
    scene.switch(Some(Category::Error), Action::Mute, None);
    scene.check(ItemKind::Event, None, MUTED);
}

#[test]
fn what_a_mute_keeps_meets_everything_else() {
    let mut scene = scene(vec![quota(&[Category::Error], Limit::Items(0))]);
    // The draw is a half.
    scene.switch(None, Action::Mute, Some("50%"));
    scene.check(ItemKind::Event, None, MUTED);
    scene.switch(None, Action::Mute, Some("50.0001%"));
    assert_eq!(scene.room().full(), None);
    scene.check(ItemKind::Event, None, FULL);
}

#[test]
fn what_a_quota_refuses_is_not_charged_to_a_switched_limit() {
    let mut scene = scene(vec![quota(&[Category::Error], Limit::Items(1))]);
    scene.switch(None, Action::Limit, Some("2/1h"));
    scene.check(ItemKind::Event, None, Fate::Kept);
    scene.check(ItemKind::Event, None, FULL);
    scene.check(ItemKind::Session, None, Fate::Kept);
    scene.check(ItemKind::Session, None, Fate::Dropped(Reason::Limited));
    assert_eq!(scene.room().full().unwrap().0, Reason::Limited);
}
