//! Charging an item to its quotas, however many counters are live.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};

use gungraun::{library_benchmark, library_benchmark_group};
use vidette::domain::category::{Categories, Category};
use vidette::domain::credentials::Key;
use vidette::domain::endpoint::ProjectId;
use vidette::domain::quota::{By, Limit, Per, Quota};
use vidette::policy::quotas::{
    CounterLimits, Counters, Load, Moment, QuotaSpec, Quotas, Trust, Who,
};

use crate::event::KEY;
use crate::{TIMES, kept};

/// As many as the largest bench has live, and then some: nobody is turned away.
const COUNTERS_MAX: usize = 2_000_000;

const NOW: Moment = Moment {
    since_start_ns: 1_000_000_000,
    unix_s: 1_767_225_600,
};

const ERROR: Load = Load {
    categories: Categories::of(&[Category::Error]),
    items: 1,
    bytes: 1_400,
};

struct Scene {
    quotas: Quotas,
    counters: Counters,
    /// Who is charged, a hundred in turn.
    asked: Vec<Who>,
}

fn quota(name: &str, limit: Limit, seconds: u64, by: By) -> Quota {
    Quota {
        name: name.into(),
        categories: Categories::of(&[Category::Error]),
        limit,
        per: Per::Window { seconds },
        by,
    }
}

fn who(key: u64) -> Option<Who> {
    let mut packed = [0; 16];
    let (_, low) = packed.split_at_mut(8);
    low.copy_from_slice(&key.to_be_bytes());
    Some(Who {
        project: ProjectId::parse(b"42"),
        key: packed,
        ip: IpAddr::V4(Ipv4Addr::new(203, 0, 113, 9)),
        trust: Trust::Whole,
    })
}

/// Charges everybody once before it is counted.
fn scene(
    spec: &QuotaSpec,
    ips: usize,
    live: impl Iterator<Item = Who>,
    every: usize,
) -> &'static Scene {
    let counters = Counters::new(CounterLimits {
        ips,
        counters: COUNTERS_MAX,
    });
    let quotas = Quotas::compile(spec, &counters);
    let mut asked = Vec::new();
    for (number, who) in live.enumerate() {
        let charged = quotas.of(&who).charge(NOW, &ERROR, &counters);
        assert!(charged.is_ok(), "the quotas of a bench have room");
        if number.is_multiple_of(every) && asked.len() < TIMES {
            asked.push(who);
        }
    }
    kept(Scene {
        quotas,
        counters,
        asked,
    })
}

/// A quota by key, and so many keys.
fn keys(live: u64) -> &'static Scene {
    let by_key = quota("keys", Limit::Items(1_000_000), 3_600, By::Key);
    let spec = QuotaSpec {
        defaults: vec![by_key],
        ..QuotaSpec::default()
    };
    let every = usize::try_from(live).unwrap_or(usize::MAX) / TIMES;
    scene(&spec, 1_000, (0..live).filter_map(who), every.max(1))
}

/// The rig's: a project's own two windows, and a rate by address.
fn three() -> &'static Scene {
    let by_address = Quota {
        per: Per::Rate(std::time::Duration::from_secs(1)),
        ..quota("addresses", Limit::Items(100_000_000), 1, By::Ip)
    };
    let own = vec![
        quota("errors", Limit::Items(100_000_000), 3_600, By::Project),
        quota("bytes", Limit::Bytes(1 << 47), 86_400, By::Project),
        by_address,
    ];
    let project = ProjectId::parse(b"42").map(|project| (project, Some(own)));
    let spec = QuotaSpec {
        projects: project.into_iter().collect(),
        ..QuotaSpec::default()
    };
    let sender = Key::parse(KEY.as_bytes()).and_then(|key| {
        Some(Who {
            key: key.packed(),
            ..who(1)?
        })
    });
    scene(&spec, 100_000, sender.into_iter(), 1)
}

#[library_benchmark]
#[bench::three_quotas_x100(setup = three)]
#[bench::of_1_live_key_x100(args = (1,), setup = keys)]
#[bench::of_1_000_live_keys_x100(args = (1_000,), setup = keys)]
#[bench::of_1_000_000_live_keys_x100(args = (1_000_000,), setup = keys)]
fn charged(scene: &'static Scene) -> usize {
    let in_turn = scene.asked.iter().cycle().take(TIMES);
    let granted = |who: &&Who| {
        let applying = scene.quotas.of(black_box(who));
        applying.charge(NOW, &ERROR, &scene.counters).is_ok()
    };
    in_turn.filter(granted).count()
}

library_benchmark_group!(name = quotas, benchmarks = charged);
