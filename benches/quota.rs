//! What a quota's check costs with a million keys live: beside one key, and beside one load from
//! memory that no cache holds.
//!
//! `cargo bench --bench quota` prints a table. Times are the thread's own on its core, in rounds
//! that take turns, and a ratio is taken within a round: a machine drifts. Asserts nothing.

#[expect(dead_code, reason = "the rig writes JSON with it")]
#[path = "rig/spread.rs"]
mod spread;
#[path = "rig/thread.rs"]
mod thread;

use std::hint::black_box;
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr};

use anyhow::{Result, ensure};
use vidette::domain::category::{Categories, Category};
use vidette::domain::endpoint::ProjectId;
use vidette::domain::quota::{By, Limit, Per, Quota};
use vidette::policy::quotas::{
    CounterLimits, Counters, Load, Moment, QuotaSpec, Quotas, Trust, Who,
};

use spread::Spread;
use thread::time_on_core;

const KEYS: u32 = 1_000_000;
const ROUNDS: usize = 7;
const TIMES: u32 = 500_000;
/// Without a factor in common with the number of keys: steps by it meet each of them.
const STRIDE: u32 = 618_033;
/// Half a gigabyte of places that lead to one another: far more than any cache.
const PLACES: u32 = 1 << 27;

const NOW: Moment = Moment {
    since_start_ns: 1_000_000_000,
    unix_s: 1_767_225_600,
};

const ERROR: Load = Load {
    categories: Categories::of(&[Category::Error]),
    items: 1,
    bytes: 1_400,
};

fn main() -> Result<()> {
    if !std::env::args().any(|word| word == "--bench") {
        writeln!(
            std::io::stdout(),
            "nothing measured; run cargo bench --bench quota"
        )?;
        return Ok(());
    }
    let (one, all) = (Scene::of(1)?, Scene::of(KEYS)?);
    let places = places()?;
    let (mut with_one, mut with_all, mut loads) = (Vec::new(), Vec::new(), Vec::new());
    let mut at = 0;
    for _ in 0..ROUNDS {
        with_one.push(each(|| one.charges())?);
        with_all.push(each(|| all.charges())?);
        loads.push(each(|| {
            for _ in 0..TIMES {
                at = follow(&places, at);
            }
            Ok(())
        })?);
    }
    black_box(at);
    let ratios = with_all
        .iter()
        .zip(&loads)
        .map(|(check, load)| check / load);
    let ratios = told(ratios.collect(), 2);
    writeln!(
        std::io::stdout(),
        "| | ns, median (min to max) | to a load | gate | goal |\n|---|---|---|---|---|\n\
         | a check with one key | {} | | | |\n\
         | a check with {KEYS} keys live | {} | {ratios} | 2.0 | 1.2 |\n\
         | a load from memory | {} | | | |",
        told(with_one, 0),
        told(with_all, 0),
        told(loads, 0),
    )?;
    Ok(())
}

/// A quota by key, and so many keys that were each charged once.
struct Scene {
    quotas: Quotas,
    counters: Counters,
    keys: u32,
}

impl Scene {
    fn of(keys: u32) -> Result<Self> {
        let counters = Counters::new(CounterLimits {
            ips: 1_000,
            counters: 2 * usize::try_from(KEYS)?,
        });
        let by_key = Quota {
            name: "keys".into(),
            categories: Categories::of(&[Category::Error]),
            limit: Limit::Items(100_000_000),
            per: Per::Window { seconds: 3_600 },
            by: By::Key,
        };
        let spec = QuotaSpec {
            defaults: vec![by_key],
            ..QuotaSpec::default()
        };
        let quotas = Quotas::compile(&spec, &counters);
        let scene = Self {
            quotas,
            counters,
            keys,
        };
        (0..keys).try_for_each(|key| scene.charge(key))?;
        Ok(scene)
    }

    /// As often as it is measured, each time for a key far from the last.
    fn charges(&self) -> Result<()> {
        let mut key = 0;
        for _ in 0..TIMES {
            self.charge(key)?;
            key = (key + STRIDE) % self.keys;
        }
        Ok(())
    }

    fn charge(&self, key: u32) -> Result<()> {
        let mut packed = [0; 16];
        let (_, low) = packed.split_at_mut(12);
        low.copy_from_slice(&key.to_be_bytes());
        let who = Who {
            project: ProjectId::parse(b"42"),
            key: packed,
            ip: IpAddr::V4(Ipv4Addr::new(203, 0, 113, 9)),
            trust: Trust::Whole,
        };
        let charged = self
            .quotas
            .of(black_box(&who))
            .charge(NOW, &ERROR, &self.counters);
        ensure!(charged.is_ok(), "the quotas of a bench have room");
        Ok(())
    }
}

/// One circle through all places in no order (Sattolo's shuffle): each load waits for the last.
fn places() -> Result<Vec<u32>> {
    let mut places: Vec<u32> = (0..PLACES).collect();
    let mut random = fastrand::Rng::with_seed(7);
    for last in (1..usize::try_from(PLACES)?).rev() {
        places.swap(last, random.usize(..last));
    }
    Ok(places)
}

fn follow(places: &[u32], at: u32) -> u32 {
    let at = usize::try_from(at).unwrap_or_default();
    black_box(places.get(at).copied().unwrap_or_default())
}

/// Nanoseconds on the core for each of `TIMES`.
fn each(mut work: impl FnMut() -> Result<()>) -> Result<f64> {
    let before = time_on_core()?;
    work()?;
    let spent = time_on_core()?.saturating_sub(before);
    Ok(spent.as_secs_f64() * 1e9 / f64::from(TIMES))
}

/// The median, and between what it lies.
fn told(rounds: Vec<f64>, digits: usize) -> String {
    let spread = Spread::of(rounds);
    spread.map_or_else(String::new, |Spread { min, median, max }| {
        format!("{median:.digits$} ({min:.digits$} to {max:.digits$})")
    })
}
