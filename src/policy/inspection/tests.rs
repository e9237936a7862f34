//! What becomes of items, whatever they come in.

use std::time::Duration;

use super::super::learned::LearnedLimit;
use super::super::quotas::{CounterLimits, QuotaSpec, Quotas, Who};
use super::*;
use crate::domain::category::Category;
use crate::domain::credentials::Key;
use crate::domain::endpoint::ProjectId;
use crate::domain::quota::{By, Limit, Per, Quota};
use crate::policy::quotas::Trust;

/// A project's quotas, what was used of them, and what was learned.
struct Scene {
    quotas: Quotas,
    counters: Counters,
    learned: Learned,
    pair: Pair,
    who: Who,
    wishes: Wishes,
    repeats: Repeats,
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
            key,
            ip: "203.0.113.9".parse().unwrap(),
            trust: Trust::Whole,
        },
        wishes: Wishes::default(),
        repeats: Repeats::new(10),
    }
}

impl Scene {
    fn room(&self) -> Room<'_> {
        Room {
            quotas: self.quotas.of(&self.who),
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
            draw: 0,
            repeats: &self.repeats,
            whose: Whose {
                project: self.who.project,
                ip: self.who.ip,
            },
        }
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
