//! How much is kept under a rate and a switch together.

use std::sync::Arc;

use super::*;
use crate::domain::sampling::{self, Rate};
use crate::policy::switches::Sampled;
use crate::policy::wanted::{Rates, SampleKey};

const ERROR: Categories = Categories::of(&[Category::Error]);

/// What is kept of an error at a configured rate under a switch, and who says so.
#[track_caller]
fn check_sampled(configured: f64, switched: &str, want: Fate, says: Sampling) {
    let mut scene = scene(Vec::new());
    scene.wishes.rates = Arc::new(Rates::new(&sampling::Sample {
        rules: Vec::new(),
        categories: vec![(ERROR, Rate::of(configured).unwrap())],
    }));
    scene.switch(Some(Category::Error), Action::Sample, Some(switched));
    scene.check(ItemKind::Event, None, want);
    let sampling = scene.room().sampling(ItemKind::Event, None);
    assert_eq!(sampling, Some(says), "{configured} under {switched}");
}

/// A sample that an operator switches on to shed load took the place of the configured one:
/// five times as much arrived.
#[test]
fn a_switched_sample_keeps_no_more_than_what_is_configured() {
    const SAMPLED: Fate = Fate::Dropped(Reason::Sampled);
    let configured = |share| {
        let key = SampleKey::Category(ERROR);
        Sampling::Configured(Rate::of(share).unwrap(), key)
    };
    let switched = |share| {
        Sampling::Switched(Sampled {
            category: Some(Category::Error),
            rate: Share::read(share).unwrap(),
            until_unix_s: 1_700_000_060,
        })
    };
    check_sampled(0.0, "100%", SAMPLED, configured(0.0));
    check_sampled(1.0, "0%", SAMPLED, switched("0%"));
    check_sampled(0.1, "50%", SAMPLED, configured(0.1));
    check_sampled(0.5, "0.1", SAMPLED, switched("10%"));
    check_sampled(1.0, "100%", Fate::Kept, configured(1.0));
    let mut scene = scene(Vec::new());
    assert_eq!(scene.room().sampling(ItemKind::Event, None), None);
    scene.switch(None, Action::Sample, Some("1%"));
    assert_eq!(scene.room().sampling(ItemKind::Session, None), None);
}
