//! What goes on are the kept items, byte for byte, in whatever pieces they came.

use proptest::prelude::*;

use super::*;
use crate::domain::envelope::scan::{ScanError, ScanLimits};

const LINE: &str = "{\"event_id\":\"9ec7\"}";

fn scanner() -> Scanner {
    Scanner::new(ScanLimits { items_max: 100 })
}

/// What is left of a body that comes in chunks which end at these places.
fn sieved(body: &Bytes, ends: &[usize], fates: &[Fate]) -> Result<VecDeque<Bytes>, BodyError> {
    let mut chunks = VecDeque::new();
    let mut from = 0;
    for end in ends.iter().copied().chain([body.len()]) {
        chunks.push_back(body.slice(from..end));
        from = end;
    }
    let source = Unpacked::Plain { chunks, rest: None };
    let judge = Judge::Before(fates.iter().copied().collect());
    Sieve::new(
        Bytes::from_static(LINE.as_bytes()),
        source,
        scanner(),
        judge,
    )
    .drain()
}

fn text(chunks: &VecDeque<Bytes>) -> Vec<u8> {
    chunks.iter().flatten().copied().collect()
}

const GONE: Fate = Fate::Dropped(Reason::Quota);

#[track_caller]
fn check(body: &str, fates: &[Fate], want: &str) {
    let body = Bytes::from(body.to_owned());
    let want = format!("{LINE}{want}");
    for bytes in 1..=body.len() {
        let ends: Vec<usize> = (1..)
            .map(|n| n * bytes)
            .take_while(|end| *end < body.len())
            .collect();
        let left = sieved(&body, &ends, fates).expect("sound");
        assert_eq!(
            text(&left).escape_ascii().to_string(),
            want.as_bytes().escape_ascii().to_string(),
            "in pieces of {bytes}"
        );
    }
}

const FIRST: &str = "{\"type\":\"event\",\"length\":5}\na\nb\nc\n";
const SECOND: &str = "{\"type\":\"session\"}\n{}\n";
const LAST: &str = " {\"type\":\"attachment\",\"x\":\"}\"}\nrest";

#[test]
fn kept_items_go_on_and_others_do_not() {
    use Fate::Kept;
    let all = format!("\n{FIRST}{SECOND}{LAST}");
    check(&all, &[Kept, Kept, Kept], &all);
    check(&all, &[GONE, Kept, Kept], &format!("\n{SECOND}{LAST}"));
    check(&all, &[Kept, GONE, Kept], &format!("\n{FIRST}{LAST}"));
    check(&all, &[Kept, Kept, GONE], &format!("\n{FIRST}{SECOND}"));
    check(&all, &[GONE, GONE, Kept], &format!("\n{LAST}"));
    check(&all, &[GONE, GONE, GONE], "\n");
    check("\n", &[], "\n");
    check("", &[], "");
    check("\n{\"type\":\"session\"}", &[GONE], "\n");
    check(
        "\n{\"type\":\"session\"}",
        &[Kept],
        "\n{\"type\":\"session\"}",
    );
}

/// An empty piece in front once made line one's end pass for a blank line.
#[test]
fn empty_pieces_are_passed_over() {
    let body = Bytes::from(format!("\n{SECOND}"));
    let left = sieved(&body, &[0, 0, 1, 1], &[Fate::Kept]).expect("sound");
    assert_eq!(text(&left), format!("{LINE}\n{SECOND}").into_bytes());
    let nothing = sieved(&Bytes::from_static(b"\n"), &[0], &[]).expect("sound");
    assert_eq!(text(&nothing), format!("{LINE}\n").into_bytes());
}

#[test]
fn a_flag_stands_behind_the_brace_once() {
    let plain = "\n {\"type\":\"attachment\",\"length\":1}\nx\n";
    let flagged = "\n {\"rate_limited\":true,\"type\":\"attachment\",\"length\":1}\nx\n";
    check(plain, &[Fate::KeptAsError], flagged);
    check(flagged, &[Fate::KeptAsError], flagged);
    let between = format!("{plain}{SECOND}");
    check(&between, &[Fate::KeptAsError, GONE], flagged);
}

#[test]
fn what_goes_on_is_shared_not_copied() {
    let body = Bytes::from(format!("\n{FIRST}{SECOND}{FIRST}"));
    let left = sieved(&body, &[], &[Fate::Kept, GONE, Fate::Kept]).expect("sound");
    let behind = body.len() - FIRST.len();
    let slices: Vec<_> = left
        .iter()
        .skip(1)
        .map(|chunk| (chunk.as_ptr(), chunk.len()))
        .collect();
    assert_eq!(
        slices,
        [
            (body.as_ptr(), 1 + FIRST.len()),
            (body.as_ptr().wrapping_add(behind), FIRST.len()),
        ]
    );
}

#[test]
fn a_body_that_cannot_be_followed_is_an_error() {
    let body = Bytes::from_static(b"\n{\"type\":\"event\",\"length\":9}\n{}");
    let left = sieved(&body, &[10], &[Fate::Kept]);
    assert_eq!(left, Err(BodyError::Envelope(ScanError::Truncated)));
}

proptest! {
    #[test]
    fn pieces_make_no_difference_to_what_is_left(
        items in prop::collection::vec((prop_oneof![Just(FIRST), Just(SECOND)], any::<bool>()), 0..8),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let parts = |only_kept: bool| -> String {
            let kept = items.iter().filter(|(_, kept)| *kept || !only_kept);
            kept.map(|(item, _)| *item).collect()
        };
        let body = Bytes::from(format!("\n{}", parts(false)));
        let fates: Vec<Fate> = items.iter().map(|(_, kept)| if *kept { Fate::Kept } else { GONE }).collect();
        let mut ends: Vec<usize> = cuts.iter().map(|cut| cut.index(body.len())).collect();
        ends.sort_unstable();
        let left = sieved(&body, &ends, &fates).expect("sound");
        prop_assert_eq!(text(&left), format!("{LINE}\n{}", parts(true)).into_bytes());
    }
}
