//! Both sides of every mark, and what passes at each stage.

use super::*;
use crate::domain::category::Category;

fn share(text: &str) -> Share {
    Share::read(text).unwrap()
}

fn ladder() -> Ladder {
    Ladder::new([share("85%"), share("90%"), share("95%")], share("2%"))
}

#[track_caller]
fn check(was: Stage, used: &str, want: Stage) {
    let stage = ladder().stage(was, share(used));
    assert_eq!(stage, want, "{used} after {was:?}");
}

#[test]
fn a_stage_begins_at_its_mark() {
    for (used, want) in [
        ("0", Stage::Open),
        ("84.9999%", Stage::Open),
        ("85%", Stage::Large),
        ("89.9999%", Stage::Large),
        ("90%", Stage::Bulk),
        ("94.9999%", Stage::Bulk),
        ("95%", Stage::Errors),
        ("100%", Stage::Errors),
    ] {
        check(Stage::Open, used, want);
    }
}

#[test]
fn a_stage_ends_so_far_below_its_mark_and_not_before() {
    check(Stage::Errors, "93.0001%", Stage::Errors);
    check(Stage::Errors, "93%", Stage::Bulk);
    check(Stage::Errors, "88.0001%", Stage::Bulk);
    check(Stage::Errors, "88%", Stage::Large);
    check(Stage::Errors, "83.0001%", Stage::Large);
    check(Stage::Errors, "83%", Stage::Open);
    check(Stage::Large, "83.0001%", Stage::Large);
    check(Stage::Large, "83%", Stage::Open);
    // What is not reached yet is not held either.
    check(Stage::Large, "89%", Stage::Large);
    check(Stage::Bulk, "94%", Stage::Bulk);
}

/// Up and down around a mark, less than `back`: one step.
#[test]
fn a_use_that_swings_around_a_mark_takes_one_step() {
    let (ladder, mut stage, mut steps) = (ladder(), Stage::Open, 0);
    for turn in 0..1000 {
        let used = if turn % 2 == 0 { "85.9%" } else { "84.1%" };
        let next = ladder.stage(stage, share(used));
        steps += usize::from(next != stage);
        stage = next;
    }
    assert_eq!((stage, steps), (Stage::Large, 1));
}

#[test]
fn without_a_way_back_a_stage_ends_below_its_mark() {
    let ladder = Ladder::new([share("85%"), share("90%"), share("95%")], Share::NONE);
    assert_eq!(ladder.stage(Stage::Large, share("85%")), Stage::Large);
    assert_eq!(ladder.stage(Stage::Large, share("84.9999%")), Stage::Open);
}

#[test]
fn the_next_stage_is_the_one_that_is_not_on() {
    let next = |is, used| ladder().next(is, share(used)).map(|(stage, _)| stage);
    assert_eq!(next(Stage::Open, "10%"), Some(Stage::Large));
    assert_eq!(next(Stage::Large, "84%"), Some(Stage::Bulk));
    // Another disk is behind the one that set the stage.
    assert_eq!(next(Stage::Bulk, "10%"), Some(Stage::Errors));
    assert_eq!(next(Stage::Errors, "96%"), None);
    assert_eq!(ladder().mark(Stage::Bulk), Some(share("90%")));
    assert_eq!(ladder().mark(Stage::Open), None);
}

fn guard(stage: Stage, errors: f64) -> Guard {
    Guard::at(stage, Rate::of(errors).unwrap()).unwrap()
}

/// The kinds of which nothing passes.
fn gone(stage: Stage, errors: f64) -> Vec<ItemKind> {
    let guard = guard(stage, errors);
    let none = |kind: &ItemKind| guard.rate(*kind) == Some(Rate::NONE);
    ItemKind::ALL.iter().copied().filter(none).collect()
}

#[test]
fn each_stage_takes_more_and_what_always_passes_stays() {
    use ItemKind as K;
    assert_eq!(Guard::at(Stage::Open, Rate::ALL), None);
    let large = [
        K::Attachment,
        K::CrashAttachment,
        K::Profile,
        K::ProfileChunk,
        K::ProfileChunkUi,
        K::ReplayEvent,
        K::ReplayRecording,
    ];
    let bulk = [
        K::Transaction,
        K::Span,
        K::Log,
        K::TraceMetric,
        K::Metrics,
        K::Nel,
        K::Unknown,
    ];
    let mut both = [&large[..], &bulk[..]].concat();
    let in_order = |kinds: &[K]| -> Vec<K> {
        let all = K::ALL.iter().copied();
        all.filter(|kind| kinds.contains(kind)).collect()
    };
    assert_eq!(gone(Stage::Large, 0.1), in_order(&large));
    assert_eq!(gone(Stage::Bulk, 0.1), in_order(&both));
    assert_eq!(
        gone(Stage::Errors, 0.1),
        in_order(&both),
        "some errors pass"
    );
    both.extend([K::Event, K::Security, K::UnrealReport]);
    assert_eq!(gone(Stage::Errors, 0.0), in_order(&both));
    for kind in [
        K::CheckIn,
        K::Session,
        K::ClientReport,
        K::Feedback,
        K::FormData,
    ] {
        assert_eq!(guard(Stage::Errors, 0.0).rate(kind), None, "{kind:?}");
    }
}

#[test]
fn errors_are_sampled_at_the_last_stage_alone() {
    let rate = |stage, errors| guard(stage, errors).rate(ItemKind::Event).map(Rate::share);
    assert_eq!(rate(Stage::Bulk, 0.1), None);
    assert_eq!(rate(Stage::Errors, 0.1), Some(0.1));
    assert_eq!(rate(Stage::Errors, 1.0), None);
    let error = ItemKind::Event.categories();
    assert!(guard(Stage::Errors, 0.1).samples(error));
    assert!(!guard(Stage::Bulk, 0.1).samples(error));
    assert!(
        !guard(Stage::Errors, 0.0).samples(error),
        "nobody has to ask"
    );
    assert!(!guard(Stage::Errors, 0.1).samples(ItemKind::Span.categories()));
}

#[test]
fn senders_are_told_of_all_that_stays_here_and_never_of_everything() {
    let told = guard(Stage::Large, 0.1).told(ItemKind::ReplayEvent);
    assert_eq!(told.retry_after_s, 60);
    for category in [
        Category::Replay,
        Category::Attachment,
        Category::ProfileChunkUi,
    ] {
        assert!(told.categories.has(category), "{}", category.name());
    }
    for category in [
        Category::Error,
        Category::Span,
        Category::Session,
        Category::Monitor,
    ] {
        assert!(!told.categories.has(category), "{}", category.name());
    }
    for stage in Stage::STEPS {
        for kind in ItemKind::ALL {
            let told = guard(stage, 0.1).told(*kind);
            assert!(!told.categories.is_empty() || guard(stage, 0.1).rate(*kind).is_none());
        }
    }
    let told = guard(Stage::Errors, 0.1).told(ItemKind::Event);
    assert_eq!(told.retry_after_s, 1, "some pass");
    assert_eq!(told.categories, ItemKind::Event.categories());
    let told = guard(Stage::Errors, 0.0).told(ItemKind::Event);
    assert_eq!(told.retry_after_s, 60, "none does");
    assert!(told.categories.has(Category::Security));
}

#[test]
fn a_stage_is_told_with_what_stays_here() {
    assert_eq!(
        Stage::Large.words(Share::NONE),
        "replays, profiles and attachments"
    );
    let last = Stage::Errors.words(share("10%"));
    assert!(last.ends_with("and of errors all but 10%"), "{last}");
    assert!(!Stage::Errors.words(Share::NONE).contains("all but"));
    let numbers = Stage::STEPS.map(|stage| (stage.number(), stage.name()));
    assert_eq!(numbers, [(1, "large"), (2, "bulk"), (3, "errors")]);
}
