//! What a sender is told of an item for which a quota has no room left.

use super::*;

#[test]
fn what_is_larger_than_what_is_left_holds_back_its_own_kind_alone() {
    let scene = scene(vec![quota(&[], Limit::Bytes(100))]);
    let judge = |kind, bytes| scene.room().judge(&item(kind, 1), bytes, None, None);
    let held_back = |kind, bytes| judge(kind, bytes).limit.unwrap().categories;
    let attachment = Categories::of(&[Category::Attachment, Category::AttachmentItem]);
    assert_eq!(held_back(ItemKind::Attachment, 101), attachment);
    assert_eq!(judge(ItemKind::Event, 60).fate, Fate::Kept);
    assert_eq!(held_back(ItemKind::Attachment, 41), attachment);
    assert_eq!(judge(ItemKind::Attachment, 40).fate, Fate::Kept);
    assert_eq!(
        held_back(ItemKind::Attachment, 1),
        Categories::EMPTY,
        "it is full"
    );
    assert_eq!(held_back(ItemKind::Event, 1), Categories::EMPTY);
    // No more than the quota is on.
    let some = [Category::Attachment, Category::Error];
    let scene = self::scene(vec![quota(&some, Limit::Bytes(100))]);
    let ruling = scene
        .room()
        .judge(&item(ItemKind::Attachment, 1), 101, None, None);
    let attachment = Categories::of(&[Category::Attachment]);
    assert_eq!(ruling.limit.unwrap().categories, attachment);
}
