//! Whom the gate takes who comes by a DSN that leads elsewhere.

use super::*;
use crate::domain::dsn_map::{DsnMap, Move};
use crate::policy::pair::Pair;

/// The same gate, with keys that lead from project 42 to 7 of another Sentry, or of this one.
fn leading(mode: Mode, upstream: Option<&str>) -> Gate {
    let moves = [OFF, STRANGE].map(|key| Move {
        key: Key::parse(key).unwrap(),
        project: ProjectId::parse(b"42"),
        to_key: Key::parse(GOOD).unwrap(),
        to_project: ProjectId::parse(b"7").unwrap(),
        to_upstream: upstream.map(Into::into),
    });
    Gate {
        moves: Moves::new(DsnMap::new(moves.into())),
        ..gate(mode)
    }
}

#[test]
fn who_is_led_to_another_sentry_is_judged_as_before_and_vouched_for() {
    let verdicts = verdicts();
    for mode in [Mode::Open, Mode::Learn, Mode::Strict] {
        let gate = leading(mode, Some("next"));
        for key in [OFF, STRANGE] {
            let mut here = ProvenHere::default();
            let mut of = |project| ask(&gate, &verdicts, &mut here, 0, key, project, None);
            let sender = of("42").unwrap();
            let pair = Pair::new(&Key::parse(key).unwrap(), ProjectId::parse(b"42"));
            assert_eq!(
                (sender.pair, sender.known),
                (pair, Known::Named),
                "{mode:?}"
            );
            assert!(gate.vouches_for(&pair, &verdicts), "{mode:?}");
            let (who, vouched) = gate.who(
                &of("").unwrap(),
                CLIENT.ip,
                &verdicts,
                &mut ProvenHere::default(),
            );
            assert_eq!(
                who.project,
                ProjectId::parse(b"42"),
                "its own, where it names none"
            );
            assert!(vouched, "{mode:?}");
        }
        // Its origins are the old project's, too, and where the path names none.
        let mut here = ProvenHere::default();
        let origin = Some("https://evil.example");
        for project in ["42", ""] {
            let refused = ask(&gate, &verdicts, &mut here, 0, STRANGE, project, origin);
            assert_eq!(refused.unwrap_err().reason, Reason::Origin, "{mode:?}");
        }
        // Of another project it is nobody's word.
        let refused = ask(&gate, &verdicts, &mut here, 0, OFF, "43", None);
        assert_eq!(refused.unwrap_err().reason, Reason::DisabledKey, "{mode:?}");
    }
}

#[test]
fn who_is_led_within_one_sentry_is_judged_as_the_new_one() {
    let verdicts = verdicts();
    let mut here = ProvenHere::default();
    let gate = leading(Mode::Strict, None);
    let refused = ask(&gate, &verdicts, &mut here, 0, STRANGE, "42", None);
    assert_eq!(
        refused.unwrap_err().reason,
        Reason::WrongProject,
        "42 has the new key, not 7"
    );
}

#[test]
fn who_names_no_project_is_judged_as_the_new_ones_too() {
    let verdicts = verdicts();
    let shop = AllowedOrigins::parse(["shop.example"]).unwrap();
    for mode in [Mode::Open, Mode::Learn] {
        let gate = Gate {
            // Nobody names the new key, and it is proven with nothing.
            directory: Directory::default(),
            origins: Origins::new(
                AllowedOrigins::any(),
                [(ProjectId::parse(b"7").unwrap(), shop.clone())],
            ),
            ..leading(mode, None)
        };
        for project in ["42", ""] {
            let mut here = ProvenHere::default();
            let mut of = |origin| ask(&gate, &verdicts, &mut here, 0, STRANGE, project, origin);
            let sender = of(None).unwrap();
            let pair = Pair::new(&Key::parse(GOOD).unwrap(), ProjectId::parse(b"7"));
            assert_eq!(sender.pair, pair, "{mode:?} {project:?}");
            let refused = of(Some("https://evil.example")).unwrap_err();
            assert_eq!(refused.reason, Reason::Origin, "{mode:?} {project:?}");
            let (who, _) = gate.who(&sender, CLIENT.ip, &verdicts, &mut ProvenHere::default());
            assert_eq!(who.project, ProjectId::parse(b"7"), "{mode:?} {project:?}");
        }
    }
}
