//! Blocks one by one, and against a model that keeps every misdeed.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const RULE: BlockRule = BlockRule {
    after: 3,
    per: Duration::from_secs(1),
    lasts: Duration::from_secs(5),
};

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// So many misdeeds at one moment; whether the last one led to a block.
fn strikes(blocks: &Blocks, now_ms: u64, client: &str, count: u64) -> bool {
    let last = (0..count).map(|_| blocks.strike(Millis(now_ms), &RULE, ip(client)));
    last.last().unwrap_or(false)
}

fn until(blocks: &Blocks, now_ms: u64, client: &str) -> Option<u64> {
    blocks
        .until(Millis(now_ms), ip(client))
        .map(|until| until.0)
}

#[test]
fn who_only_misbehaves_is_blocked_for_a_while() {
    let blocks = Blocks::new(100);
    assert!(!strikes(&blocks, 1000, "203.0.113.9", 2));
    assert_eq!(until(&blocks, 1000, "203.0.113.9"), None);
    assert!(strikes(&blocks, 1999, "203.0.113.9", 1));
    assert_eq!(until(&blocks, 1999, "203.0.113.9"), Some(6999));
    assert_eq!(until(&blocks, 1999, "203.0.113.10"), None);
    assert!(!strikes(&blocks, 3000, "203.0.113.9", 9), "it is blocked");
    assert_eq!(until(&blocks, 6998, "203.0.113.9"), Some(6999));
    assert_eq!(until(&blocks, 6999, "203.0.113.9"), None);
    assert!(!strikes(&blocks, 6999, "203.0.113.9", 2), "it begins anew");
}

#[test]
fn one_good_request_takes_all_back() {
    let blocks = Blocks::new(100);
    for round in 0..9 {
        assert!(!strikes(&blocks, round, "203.0.113.9", 2));
        blocks.clears(ip("203.0.113.9"));
    }
    assert!(strikes(&blocks, 10, "203.0.113.9", 3));
    blocks.clears(ip("203.0.113.9"));
    assert_eq!(until(&blocks, 10, "203.0.113.9"), Some(5010), "too late");
}

#[test]
fn misdeeds_are_forgotten_with_their_window() {
    let blocks = Blocks::new(100);
    assert!(!strikes(&blocks, 0, "203.0.113.9", 2));
    assert!(!strikes(&blocks, 1000, "203.0.113.9", 2));
    assert!(strikes(&blocks, 1999, "203.0.113.9", 1));
}

#[test]
fn a_network_of_ipv6_is_one_client() {
    let blocks = Blocks::new(100);
    for client in ["2001:db8::1", "2001:db8::2", "2001:db8::ffff:3"] {
        strikes(&blocks, 0, client, 1);
    }
    assert!(until(&blocks, 0, "2001:db8::9").is_some());
    assert!(until(&blocks, 0, "2001:db8:0:1::9").is_none());
    strikes(&blocks, 0, "::ffff:203.0.113.9", 3);
    assert!(until(&blocks, 0, "203.0.113.9").is_some());
}

#[test]
fn an_operator_sees_and_lifts_blocks() {
    let blocks = Blocks::new(100);
    strikes(&blocks, 0, "203.0.113.9", 3);
    strikes(&blocks, 7, "2001:db8::1", 3);
    strikes(&blocks, 7, "203.0.113.10", 2);
    let seen = blocks.blocked(Millis(10));
    let seen: Vec<_> = seen
        .iter()
        .map(|one| (one.client, one.until.0, one.strikes))
        .collect();
    let want = [(ip("2001:db8::"), 5007, 3), (ip("203.0.113.9"), 5000, 3)];
    assert_eq!(seen, want);
    assert!(
        !blocks.lift(Millis(10), ip("203.0.113.10")),
        "it is not blocked"
    );
    assert!(blocks.lift(Millis(10), ip("2001:db8::77")));
    assert!(!blocks.lift(Millis(10), ip("2001:db8::77")));
    assert_eq!(until(&blocks, 10, "2001:db8::1"), None);
    assert!(
        !blocks.lift(Millis(5000), ip("203.0.113.9")),
        "over already"
    );
}

#[test]
fn a_full_table_counts_nobody_new_and_forgets_nobody() {
    let blocks = Blocks::new(2);
    assert!(strikes(&blocks, 0, "203.0.113.1", 3));
    assert!(!strikes(&blocks, 0, "203.0.113.2", 1));
    assert!(!strikes(&blocks, 0, "203.0.113.3", 9));
    assert!(strikes(&blocks, 0, "203.0.113.2", 2));
    assert!(until(&blocks, 0, "203.0.113.1").is_some());
    assert_eq!(blocks.table().entries, 2);
    for _ in 0..9 {
        blocks.sweep(Millis(5000));
    }
    assert!(blocks.is_empty(), "what is over leaves");
}

#[test]
fn a_rule_of_none_counts_nobody() {
    let blocks = Blocks::new(2);
    let off = BlockRule { after: 0, ..RULE };
    assert!(!blocks.strike(Millis(0), &off, ip("203.0.113.1")));
    assert!(blocks.is_empty());
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Wait(u64),
    Strike(u8),
    Good(u8),
    Lift(u8),
    Sweep,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        2 => (1..2_000_u64).prop_map(Step::Wait),
        8 => (0..3_u8).prop_map(Step::Strike),
        1 => (0..3_u8).prop_map(Step::Good),
        1 => (0..3_u8).prop_map(Step::Lift),
        1 => Just(Step::Sweep),
    ];
    proptest::collection::vec(step, 0..200)
}

/// Keeps every misdeed since the last good request, and searches them anew each time.
#[derive(Default)]
struct Model {
    misdeeds: BTreeMap<u8, Vec<u64>>,
    until: BTreeMap<u8, u64>,
}

impl Model {
    fn until(&self, now_ms: u64, client: u8) -> Option<u64> {
        self.until
            .get(&client)
            .copied()
            .filter(|until| now_ms < *until)
    }

    fn strike(&mut self, now_ms: u64, client: u8) {
        if self.until(now_ms, client).is_some() {
            return;
        }
        let misdeeds = self.misdeeds.entry(client).or_default();
        // The window begins with the first that none before it holds.
        if misdeeds.first().is_some_and(|first| now_ms >= first + 1000) {
            misdeeds.clear();
        }
        misdeeds.push(now_ms);
        if misdeeds.len() == 3 {
            misdeeds.clear();
            self.until.insert(client, now_ms + 5000);
        }
    }
}

proptest! {
    #[test]
    fn blocks_are_what_every_misdeed_kept_says(steps in steps()) {
        let blocks = Blocks::new(100);
        let mut model = Model::default();
        let mut now_ms = 0;
        let named = |client: u8| ip(&format!("203.0.113.{client}"));
        for step in steps {
            match step {
                Step::Wait(ms) => now_ms += ms,
                Step::Strike(client) => {
                    let before = model.until(now_ms, client);
                    model.strike(now_ms, client);
                    let blocked = blocks.strike(Millis(now_ms), &RULE, named(client));
                    prop_assert_eq!(blocked, before.is_none() && model.until(now_ms, client).is_some());
                }
                Step::Good(client) => {
                    if model.until(now_ms, client).is_none() {
                        model.misdeeds.remove(&client);
                    }
                    blocks.clears(named(client));
                }
                Step::Lift(client) => {
                    let lifted = model.until(now_ms, client).is_some();
                    if lifted {
                        model.until.remove(&client);
                    }
                    prop_assert_eq!(blocks.lift(Millis(now_ms), named(client)), lifted);
                }
                Step::Sweep => blocks.sweep(Millis(now_ms)),
            }
            for client in 0..3 {
                let until = blocks.until(Millis(now_ms), named(client)).map(|until| until.0);
                prop_assert_eq!(until, model.until(now_ms, client));
            }
        }
    }
}
