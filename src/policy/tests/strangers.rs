//! Promises about keys that nobody names, where Sentry can be asked for them.

use super::*;
use crate::policy::strangers::{Lack, Strangers};

/// What becomes of a stranger's key, and whether it is asked for. `absent`: Sentry does not
/// know it.
#[track_caller]
fn check_stranger(
    gate: &Gate,
    key: &[u8],
    absent: Option<Lack>,
    want: Option<Reason>,
    asked: bool,
) {
    let strangers = Strangers::new(10);
    strangers.first_seen.switch(true);
    let key = Key::parse(key).unwrap();
    if let Some(lack) = absent {
        strangers.absent.note(Millis(0), &key, lack, 1000);
    }
    let (verdicts, page) = (verdicts(), Page::default());
    let claim = Claim {
        key,
        project: ProjectId::parse(b"42"),
        page: &page,
        client: CLIENT,
        endpoint: Endpoint::Envelope,
    };
    let mut live = Live {
        now: Millis(0),
        verdicts: &verdicts,
        here: &mut ProvenHere::default(),
        strangers: &strangers,
    };
    let refused = gate.admit_key(&claim, &mut live).err();
    let mode = gate.mode;
    assert_eq!(refused.map(|refusal| refusal.reason), want, "{mode:?}");
    let waits: &[Key] = if asked { &[key] } else { &[] };
    assert_eq!(strangers.first_seen.take(), waits, "{mode:?}");
}

#[test]
fn a_key_that_nobody_names_is_asked_for_and_refused_once_sentry_does_not_know_it() {
    let unknown = Some(Reason::UnknownKey);
    let lacks = Some(Lack::Unknown);
    check_stranger(&gate(Mode::Learn), STRANGE, None, None, true);
    check_stranger(&gate(Mode::Learn), STRANGE, lacks, unknown, false);
    check_stranger(&gate(Mode::Strict), STRANGE, None, unknown, true);
    check_stranger(&gate(Mode::Strict), STRANGE, lacks, unknown, false);
    check_stranger(&gate(Mode::Open), STRANGE, None, None, true);
    check_stranger(&gate(Mode::Open), STRANGE, lacks, None, false);
    check_stranger(&gate(Mode::Learn), GOOD, lacks, None, false);
    let off = Some(Reason::DisabledKey);
    check_stranger(&gate(Mode::Learn), OFF, None, off, false);
    for mode in [Mode::Open, Mode::Learn, Mode::Strict] {
        let lacks = Some(Lack::Disabled);
        check_stranger(&gate(mode), STRANGE, lacks, off, false);
    }
    let mut closed = gate(Mode::Learn);
    closed.closed = [ProjectId::parse(b"42").unwrap()].into();
    check_stranger(&closed, STRANGE, None, unknown, true);
}
