//! A thousand reloads below the same clients.

use std::time::Instant;

use libtest_mimic::Trial;
use serde_json::json;

use super::load::Load;
use super::rolling::PACE;
use super::{errors, text};
use crate::admin::post;
use crate::edge::Edge;
use crate::parts::promises;
use crate::upstream::Fake;

pub(crate) fn trials() -> Vec<Trial> {
    promises![&[];
        a_thousand_reloads_are_noticed_by_nobody,
    ]
}

const RELOADS: usize = 1000;

/// One in so many has a bad file.
const BAD_EVERY: usize = 50;

fn a_thousand_reloads_are_noticed_by_nobody() {
    let (fake, place) = (Fake::start(), tempfile::tempdir().unwrap());
    let with = |keep_alive: &str| {
        let changes = json!({"limits": {"keep_alive": keep_alive}});
        text(&fake.url(), &fake.url(), place.path(), &changes)
    };
    let good = [with("70s"), with("80s")];
    let edge = Edge::run(&good[0], &[]);
    let load = Load::start(edge.public, 4, PACE);
    let began = Instant::now();
    for number in 0..RELOADS {
        let bad = number % BAD_EVERY == BAD_EVERY - 1;
        let (file, want) = match bad {
            true => ("nonsense: true", 422),
            false => (good[number % 2].as_str(), 200),
        };
        edge.rewrite(file);
        assert_eq!(post(&edge, "/api/v1/reload", &[]).status, want, "{number}");
    }
    load.goes_on(10);
    let seen = load.stop_well();
    let row = errors(&edge);
    assert_eq!(row["received"], seen.taken.len(), "{row}");
    assert_eq!(row["forwarded"], row["received"], "{row}");
    println!(
        "{RELOADS} reloads: {} events in {:.1} s",
        seen.taken.len(),
        began.elapsed().as_secs_f32()
    );
}
