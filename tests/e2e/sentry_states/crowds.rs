//! What many keys cost, real ones and made-up ones: so many questions, and so many makings of rules.

use std::time::Instant;

use libtest_mimic::Trial;
use serde_json::{Value, json};

use super::office::Office;
use super::{Rig, disabled, send, send_until, state, wait_states};
use crate::edge::Edge;
use crate::parts::promises;
use crate::senders::check_refused;

pub(super) fn trials() -> Vec<Trial> {
    promises![&[];
        made_up_keys_are_asked_for_in_a_bounded_number,
        ten_thousand_projects_are_few_questions_and_one_making_of_rules,
    ]
}

fn made_up_keys_are_asked_for_in_a_bounded_number() {
    const KEYS: u32 = 2_000;
    let (rig, office) = (Rig::new(), Office::open());
    let began = Instant::now();
    let edge = rig.edge(&office, &json!({"keys": {"unproven_rate": "1/s"}}));
    for number in 0..KEYS {
        // Once Sentry was seen to refuse, some of them are turned away here: all are seen.
        send(&edge, 42, &format!("{number:032x}"));
    }
    wait_states(&edge, "strangers turned away", |states| {
        states["turned_away"].as_u64() > Some(100) && states["waiting"] == 0
    });
    // Ten seconds' worth at once, and one a second since.
    let most = 10 + began.elapsed().as_secs() + 1;
    let asked = u64::try_from(office.asked().len()).unwrap();
    assert!((1..=most).contains(&asked), "{asked} were asked for");
    // Those that Sentry does not know are not kept.
    wait_states(&edge, "no key", |states| states["keys"] == 0);
}

/// What is logged when rules are made of what Sentry said.
const IN_FORCE: &str = "what Sentry says of projects is in force";

/// How often that was.
fn makings(edge: &Edge) -> usize {
    edge.log.text().matches(IN_FORCE).count()
}

fn ten_thousand_projects_are_few_questions_and_one_making_of_rules() {
    const PROJECTS: u64 = 10_000;
    let (rig, office) = (Rig::new(), Office::open());
    let key = |project: u64| format!("{project:032x}");
    let config = json!({
        "allowedDomains": ["shop.example", "*.shop.example"],
        "quotas": [
            {"id": "p", "scope": "project", "limit": 1000, "window": 60, "reasonCode": "project_quota"},
            {"id": "o", "scope": "organization", "limit": 9000, "window": 60, "reasonCode": "org_quota"},
        ],
        "filterSettings": {"webCrawlers": {"isEnabled": true}, "releases": {"releases": ["0.*"]}},
    });
    for project in 1..=PROJECTS {
        office.set(&key(project), state(&key(project), project, "a", &config));
    }
    let projects = (1..=PROJECTS).map(|project| json!({"id": project, "keys": [key(project)]}));
    let projects: Vec<Value> = projects.collect();
    let edge = rig.edge(
        &office,
        &json!({"projects": projects, "log": {"level": "debug"}}),
    );
    wait_states(&edge, "all states", |states| states["keys"] == PROJECTS);
    edge.log.wait_for_text(IN_FORCE);
    // Five hundred at a time, over five lines, and no more of rules than of rounds.
    let questions = office.books().asked.len();
    assert!((20..=30).contains(&questions), "{questions} questions");
    let made = makings(&edge);
    assert!((1..=2).contains(&made), "rules were made {made} times");
    // What changes in one is made once more, and the rest is not told again.
    office.set(&key(7), disabled());
    check_refused(
        "off now",
        &send_until(&edge, 7, &key(7), 403),
        403,
        "disabled_key",
    );
    assert_eq!(makings(&edge), made + 1);
    let asked = office.books().asked.iter().map(Vec::len).sum::<usize>();
    let told = asked - office.books().unchanged;
    assert_eq!(u64::try_from(told).unwrap(), PROJECTS + 1);
    // How long it took is measured, and never asserted.
    let log = edge.log.text();
    for line in log.lines().filter(|line| line.contains(IN_FORCE)) {
        println!("{line}");
    }
}
