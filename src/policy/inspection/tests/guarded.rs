//! What the disk guard keeps here, behind all other checks.

use super::*;
use crate::domain::sampling::Rate;
use crate::policy::disk_guard::{Guard, Stage};

const SHED: Fate = Fate::Dropped(Reason::DiskGuard);

/// A scene under a stage at which such a share of errors passes.
fn guarded(quotas: Vec<Quota>, stage: Stage, errors: f64) -> Scene {
    let mut scene = scene(quotas);
    let guard = Guard::at(stage, Rate::of(errors).unwrap());
    scene.switches = Switches::compile(&[], guard, &scene.counters);
    scene
}

#[test]
fn what_a_stage_keeps_here_is_told_as_a_limit_of_everybodys() {
    let scene = guarded(Vec::new(), Stage::Large, 0.1);
    assert!(!scene.room().is_boundless());
    let told = scene.check(ItemKind::Attachment, None, SHED).unwrap();
    assert_eq!((told.retry_after_s, told.scope), (60, Scope::Global));
    assert_eq!(told.reason.as_deref(), Some("disk_guard"));
    assert!(told.categories.has(Category::Replay));
    scene.check(ItemKind::Event, None, Fate::Kept);
    scene.check(ItemKind::Transaction, None, Fate::Kept);
    scene.check(ItemKind::ClientReport, None, Fate::Kept);
    assert_eq!(scene.room().full(), None, "never everything");
}

#[test]
fn what_belongs_to_an_event_that_stays_here_stays_with_it() {
    let scene = guarded(Vec::new(), Stage::Bulk, 0.1);
    scene.check(ItemKind::Transaction, None, SHED);
    let told = scene.check(ItemKind::Profile, Some(Reason::DiskGuard), SHED);
    assert_eq!(told, None, "its event was told of");
}

/// An operator looks for who is over a quota, guard or not; and a quota must not run out on
/// what is kept here.
#[test]
fn a_quota_without_room_goes_before_and_nothing_is_charged_for_what_stays_here() {
    let attachments = || vec![quota(&[Category::Attachment], Limit::Items(1))];
    let mut scene = guarded(attachments(), Stage::Large, 0.1);
    for _ in 0..3 {
        scene.check(ItemKind::Attachment, None, SHED);
    }
    scene.switches = Switches::default();
    scene.check(ItemKind::Attachment, None, Fate::Kept);
    let guard = Guard::at(Stage::Large, Rate::ALL);
    scene.switches = Switches::compile(&[], guard, &scene.counters);
    scene.check(ItemKind::Attachment, None, FULL);
}

/// PROTOCOL 4.2: the crash is worth an error, its dump is what fills the disk.
#[test]
fn of_a_crash_the_error_passes_and_its_dump_is_marked() {
    let scene = guarded(Vec::new(), Stage::Large, 0.1);
    let told = scene.check(ItemKind::CrashAttachment, None, Fate::KeptAsError);
    assert!(told.unwrap().categories.has(Category::Attachment));
    let scene = guarded(Vec::new(), Stage::Errors, 0.0);
    scene.check(ItemKind::CrashAttachment, None, SHED);
}

#[test]
fn errors_are_sampled_by_what_they_are_part_of() {
    // Stands at 0.41 of all: a sample of half keeps it, one of a tenth does not.
    let trace = Trace {
        id: Some(0x4a10_6cf6_b151_44eb_9131_ae7d_b1a1_57a3),
        ..Trace::NOTHING
    };
    for (errors, want) in [
        (0.5, Fate::Kept),
        (0.1, SHED),
        (0.0, SHED),
        (1.0, Fate::Kept),
    ] {
        let scene = guarded(Vec::new(), Stage::Errors, errors);
        for kind in [ItemKind::Event, ItemKind::Security] {
            let room = Room {
                trace: &trace,
                ..scene.room()
            };
            let ruling = room.judge(&item(kind, 1), 10, None, None);
            assert_eq!(ruling.fate, want, "{kind:?} at {errors}");
            let told = ruling.limit.map(|limit| limit.retry_after_s);
            let wait = if errors > 0.0 { 1 } else { 60 };
            assert_eq!(told, (want == SHED).then_some(wait));
        }
        for kind in [ItemKind::CheckIn, ItemKind::Session, ItemKind::Feedback] {
            scene.check(kind, None, Fate::Kept);
        }
    }
}

#[test]
fn a_projects_own_switches_do_not_lift_the_guard() {
    let mut scene = scene(Vec::new());
    let switch = Switch {
        project: scene.who.project.unwrap(),
        category: None,
        effect: Effect::read(Action::Sample, None, Some("100%")).unwrap(),
        until_unix_s: 1_700_000_060,
    };
    let guard = Guard::at(Stage::Large, Rate::ALL);
    scene.switches = Switches::compile(&[switch], guard, &scene.counters);
    scene.check(ItemKind::Attachment, None, SHED);
    scene.who.project = ProjectId::parse(b"7");
    scene.check(ItemKind::Attachment, None, SHED);
    scene.who.project = None;
    scene.check(ItemKind::Attachment, None, SHED);
}
