//! Whether an item is wanted: what that costs where nobody asked for anything, where line one
//! tells enough, and where the payload has to be read; and an item's whole judgement.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};

use gungraun::{library_benchmark, library_benchmark_group};
use vidette::domain::category::{Categories, Category};
use vidette::domain::credentials::Key;
use vidette::domain::endpoint::ProjectId;
use vidette::domain::envelope::item::ItemKind;
use vidette::domain::envelope::scan::ItemHeader;
use vidette::domain::envelope::trace::Trace;
use vidette::domain::event::Event;
use vidette::domain::filter;
use vidette::domain::glob::Glob;
use vidette::domain::sampling::{Rate, Rule, Sample};
use vidette::policy::inspection::{Fate, Room};
use vidette::policy::learned::Learned;
use vidette::policy::millis::Millis;
use vidette::policy::pair::Pair;
use vidette::policy::quotas::{CounterLimits, Counters, Moment, QuotaSpec, Quotas, Trust, Who};
use vidette::policy::repeats::{Repeats, Whose};
use vidette::policy::wanted::Wanted;

use crate::event::KEY;
use crate::event::envelope_of;
use crate::{TIMES, kept};

const LINE: &[u8] = br#"{"event_id":"9ec79c33ec9942ab8353589fcb2e04dc","sent_at":"2026-11-20T10:15:30.250Z","sdk":{"name":"sentry.python","version":"2.43.0"},"trace":{"trace_id":"4a106cf6b15144eb9131ae7db1a157a3","public_key":"a94ae32be2584e0bbd7a4cbb95971fee","release":"shop@4.12.0","environment":"production","sampled":"true"}}"#;

const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 9));

/// A project's wishes, and an item to hold against them.
struct Scene {
    wanted: Wanted,
    who: Who,
    quotas: Quotas,
    counters: Counters,
    learned: Learned,
    pair: Pair,
    repeats: Repeats,
    item: ItemHeader,
    payload: Vec<u8>,
}

fn glob(text: &str) -> Option<Glob> {
    Glob::parse(text).ok()
}

/// One in a hundred of a test stage, half of all else.
fn sample() -> Sample {
    let transactions = Categories::of(&[Category::Transaction]);
    let rule = Rate::of(0.01).map(|rate| Rule {
        categories: transactions,
        environment: glob("stag*"),
        release: None,
        rate,
    });
    Sample {
        rules: rule.into_iter().collect(),
        categories: Rate::of(0.5)
            .map(|half| (transactions, half))
            .into_iter()
            .collect(),
    }
}

/// Some of each kind, none of which the events here match.
fn filters() -> filter::Filters {
    filter::Filters {
        releases: glob("shop@1.*").into_iter().collect(),
        environments: glob("dev*").into_iter().collect(),
        error_messages: ["*ResizeObserver loop*", "ChunkLoadError*", "*timeout*"]
            .into_iter()
            .filter_map(glob)
            .collect(),
        localhost: true,
        ..filter::Filters::default()
    }
}

fn scene(wanted: Wanted, kind: ItemKind, bytes: usize) -> &'static Scene {
    let envelope = envelope_of(bytes);
    let mut lines = envelope.split(|byte| *byte == b'\n');
    let payload = lines.nth(2).unwrap_or_default().to_vec();
    assert!(
        Event::read(&payload).is_some(),
        "the event of a bench is one"
    );
    let key = Key::parse(KEY.as_bytes());
    let key = key.unwrap_or_else(|| Key::unpacked([0; 16]));
    let project = ProjectId::parse(b"42");
    let counters = Counters::new(CounterLimits {
        ips: 100,
        counters: 100,
    });
    let item = ItemHeader {
        kind,
        length: u64::try_from(payload.len()).ok(),
        count: 1,
        flag: None,
    };
    let scene = kept(Scene {
        wanted,
        who: Who {
            project,
            key: key.packed(),
            ip: ADDRESS,
            trust: Trust::Whole,
        },
        quotas: Quotas::compile(&QuotaSpec::default(), &counters),
        counters,
        learned: Learned::new(1_000),
        pair: Pair::new(&key, project),
        repeats: Repeats::new(1_000),
        item,
        payload,
    });
    black_box(judged_once(scene));
    scene
}

fn nothing() -> &'static Scene {
    scene(Wanted::default(), ItemKind::Event, 1_400)
}

fn halves() -> &'static Scene {
    let wanted = Wanted::new(&filter::Filters::default(), &sample(), None, []);
    scene(wanted, ItemKind::Transaction, 1_400)
}

fn filtered(bytes: usize) -> &'static Scene {
    let wanted = Wanted::new(&filters(), &Sample::default(), None, []);
    scene(wanted, ItemKind::Event, bytes)
}

/// An item as the edge judges it: line one and the payload are read where the project's wishes
/// ask for them, and not otherwise.
fn judged_once(scene: &Scene) -> bool {
    let wishes = scene.wanted.of(scene.who.project);
    let trace = match wishes.rates.is_empty() {
        true => Trace::NOTHING,
        false => Trace::read(black_box(LINE)),
    };
    let event = match wishes.read(scene.item.kind, &trace) {
        true => Event::read(black_box(&scene.payload)),
        false => None,
    };
    let room = Room {
        switches: None,
        quotas: scene.quotas.of(&scene.who),
        counters: &scene.counters,
        learned: &scene.learned,
        pair: &scene.pair,
        at: Moment {
            since_start_ns: 1_000_000_000,
            unix_s: 1_767_225_600,
        },
        now: Millis(1_000),
        charges: true,
        wishes,
        trace: &trace,
        draw: 0,
        repeats: &scene.repeats,
        whose: Whose {
            project: scene.who.project,
            ip: ADDRESS,
        },
    };
    let ruling = room.judge(black_box(&scene.item), 1_400, None, event.as_ref());
    ruling.fate == Fate::Kept
}

#[library_benchmark]
#[bench::where_nobody_asks_x100(setup = nothing)]
#[bench::by_line_one_x100(setup = halves)]
#[bench::by_payload_of_1_4_kb_x100(args = (1_400,), setup = filtered)]
#[bench::by_payload_of_20_kb_x100(args = (20_000,), setup = filtered)]
fn judged(scene: &'static Scene) -> usize {
    (0..TIMES).filter(|_| judged_once(black_box(scene))).count()
}

library_benchmark_group!(name = wanted, benchmarks = judged);
