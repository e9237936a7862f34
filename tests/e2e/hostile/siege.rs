//! An edge under attack: two honest clients send events all the while, and what the attack
//! cost is measured and judged. Never attacks by itself.

use std::fs;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::books::check_equation;
use crate::client::{Client, request};
use crate::edge::{Edge, envelope_target, lay_over};
use crate::ingest::ENVELOPE;
use crate::upstream::{Fake, HANG};

/// Who attacks: no trusted proxy, and of the loopback network, so that it is never blocked.
pub(crate) const ATTACKER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 66);
/// Who sends events.
const HONEST: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 9);

/// How much more memory may be in use after an attack than before it, and at its height.
const GROWTH_KIB_MAX: u64 = 16 << 10;
const PEAK_KIB_MAX: u64 = 192 << 10;

/// Descriptors that may be open beyond those before: the upstream's kept connections.
const DESCRIPTORS_MORE: usize = 8;

/// An honest client's rest between two events.
const PACE: Duration = Duration::from_millis(4);

/// Attacks come one at a time, or they would be one another's figures.
static TURN: Mutex<()> = Mutex::new(());
static TABLE_HEAD: Once = Once::new();

/// An edge that is about to be attacked.
pub(super) struct Siege {
    edge: Edge,
    fake: Fake,
    _turn: MutexGuard<'static, ()>,
}

impl Siege {
    /// An edge with the default limits before a fake, with changes.
    #[track_caller]
    pub(super) fn before(fake: Fake, changes: Value) -> Self {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all = serde_json::json!({
            "client_ip": {"trusted_proxies": ["127.0.0.1"]},
            "log": {"level": "info"},
        });
        lay_over(&mut all, &changes);
        Self {
            edge: Edge::configured(&fake.url(), &fake.url(), all),
            fake,
            _turn: turn,
        }
    }

    /// Attacks it, with `units` of whatever the attack counts in, and prints what that cost.
    #[track_caller]
    pub(super) fn under<T>(
        self,
        what: &str,
        units: u64,
        attack: impl FnOnce(&Edge, &Fake) -> T,
    ) -> Survived {
        let Self { edge, fake, _turn } = self;
        drop(Honest::sends(&edge, 50));
        let before = Used::by(&edge);
        // From here on the kernel notes the height anew.
        fs::write(format!("/proc/{}/clear_refs", edge.pid()), "5").unwrap();
        let over = AtomicBool::new(false);
        let (took, honest) = thread::scope(|scope| {
            let kept = scope.spawn(|| Honest::until(&edge, &over, Way::KeptAlive));
            let anew = scope.spawn(|| Honest::until(&edge, &over, Way::Anew));
            let began = Instant::now();
            let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                attack(&edge, &fake);
            }));
            let took = began.elapsed();
            over.store(true, Ordering::SeqCst);
            let honest = [kept.join().unwrap(), anew.join().unwrap()];
            if let Err(panic) = done {
                std::panic::resume_unwind(panic);
            }
            (took, honest)
        });
        let peak_kib = edge.memory_kib("VmHWM");
        let after = settled(&edge, &before);
        for (honest, way) in honest.iter().zip(["kept alive", "connecting anew"]) {
            assert_eq!(honest.failed, Vec::<String>::new(), "{what}: honest, {way}");
            assert!(
                !honest.took.is_empty(),
                "{what}: honest, {way}, sent nothing"
            );
        }
        let height = peak_kib.saturating_sub(before.resident_kib);
        assert!(height < PEAK_KIB_MAX, "{what}: memory rose by {height} KiB");
        row(what, units, took, &honest, (&before, peak_kib, &after));
        Survived { edge, fake }
    }
}

/// What came through an attack.
pub(super) struct Survived {
    pub(super) edge: Edge,
    pub(super) fake: Fake,
}

impl Survived {
    /// Judges how often something was counted: at least so.
    #[track_caller]
    pub(super) fn counted(&self, metric: &str, outcome: &str, least: u32) {
        let label = format!("=\"{outcome}\"");
        self.edge.wait_metric(metric, &[&label], f64::from(least));
    }
}

/// What the edge uses of the machine.
#[derive(Debug)]
pub(crate) struct Used {
    pub(crate) resident_kib: u64,
    pub(crate) descriptors: usize,
    pub(crate) threads: usize,
    pub(crate) cpu: Duration,
}

impl Used {
    pub(crate) fn by(edge: &Edge) -> Self {
        let proc = format!("/proc/{}", edge.pid());
        let stat = fs::read_to_string(format!("{proc}/stat")).unwrap();
        // Behind the name, which may hold anything: the fields from the third on.
        let fields: Vec<&str> = stat
            .rsplit_once(')')
            .unwrap()
            .1
            .split_whitespace()
            .collect();
        let ticks = |at: usize| fields[at].parse::<u64>().unwrap();
        Self {
            resident_kib: edge.memory_kib("VmRSS"),
            descriptors: fs::read_dir(format!("{proc}/fd")).unwrap().count(),
            threads: fs::read_dir(format!("{proc}/task")).unwrap().count(),
            // Linux counts hundredths of a second here, on whatever machine.
            cpu: Duration::from_millis(10 * (ticks(11) + ticks(12))),
        }
    }
}

/// Waits until the edge is as it was, its books closed.
#[track_caller]
fn settled(edge: &Edge, before: &Used) -> Used {
    let deadline = Instant::now() + HANG;
    loop {
        let after = Used::by(edge);
        let books = edge.admin_get("/api/v1/ledger").json();
        check_equation(&books);
        let open = edge.metric("vidette_connections", &[]);
        let calm = after.resident_kib < before.resident_kib + GROWTH_KIB_MAX
            && after.descriptors <= before.descriptors + DESCRIPTORS_MORE
            && books["in_flight"] == 0
            && open == 0.0;
        if calm {
            return after;
        }
        assert!(
            Instant::now() < deadline,
            "it stays so: {} KiB (before {}), {} descriptors (before {}), {open} connections, \
             {} in flight",
            after.resident_kib,
            before.resident_kib,
            after.descriptors,
            before.descriptors,
            books["in_flight"],
        );
        thread::sleep(Duration::from_millis(50));
    }
}

/// How an honest client connects.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    KeptAlive,
    Anew,
}

/// What an honest client saw.
#[derive(Default)]
struct Honest {
    took: Vec<Duration>,
    failed: Vec<String>,
}

impl Honest {
    /// So many events on one connection.
    #[track_caller]
    fn sends(edge: &Edge, events: usize) -> Client {
        let mut client = Client::connect_from(HONEST, edge.public);
        for _ in 0..events {
            client.send(&request("POST", &envelope_target(), &[], ENVELOPE));
            assert_eq!(client.answer_to("POST").status, 200);
        }
        client
    }

    fn until(edge: &Edge, over: &AtomicBool, way: Way) -> Self {
        let mut honest = Self::default();
        let mut open = None;
        while !over.load(Ordering::SeqCst) {
            let began = Instant::now();
            let mut client = open
                .take()
                .unwrap_or_else(|| Client::connect_from(HONEST, edge.public));
            let sent = client.try_send(&request("POST", &envelope_target(), &[], ENVELOPE));
            match sent.and_then(|()| client.try_answer_to("POST")) {
                Ok(answer) if answer.status == 200 => {
                    honest.took.push(began.elapsed());
                    open = (way == Way::KeptAlive).then_some(client);
                }
                Ok(answer) => honest
                    .failed
                    .push(format!("{}: {}", answer.status, answer.text())),
                Err(error) => honest.failed.push(error.to_string()),
            }
            thread::sleep(PACE);
        }
        honest
    }

    /// The latency that so many of a hundred do not exceed, in milliseconds.
    fn percentile(&self, percent: usize) -> f64 {
        let mut took = self.took.clone();
        took.sort_unstable();
        let at = (took.len() * percent / 100).min(took.len().saturating_sub(1));
        took.get(at).map_or(0.0, |took| took.as_secs_f64() * 1e3)
    }
}

/// A row of the README's table.
fn row(
    what: &str,
    units: u64,
    took: Duration,
    honest: &[Honest; 2],
    (before, peak_kib, after): (&Used, u64, &Used),
) {
    TABLE_HEAD.call_once(|| {
        println!(
            "| attack | of | took | honest events | failed | p50 / p99, kept alive | p50 / p99, \
             connecting anew | memory before / height / after | edge CPU |\n\
             |---|--:|--:|--:|--:|--:|--:|--:|--:|"
        );
    });
    let [kept, anew] = honest;
    let times = |of: &Honest| format!("{:.1} / {:.1} ms", of.percentile(50), of.percentile(99));
    let mib = |kib: u64| kib as f64 / 1024.0;
    println!(
        "| {what} | {units} | {:.1} s | {} | {} | {} | {} | {:.0} / {:.0} / {:.0} MiB | {:.1} s |",
        took.as_secs_f64(),
        kept.took.len() + anew.took.len(),
        kept.failed.len() + anew.failed.len(),
        times(kept),
        times(anew),
        mib(before.resident_kib),
        mib(peak_kib),
        mib(after.resident_kib),
        after.cpu.saturating_sub(before.cpu).as_secs_f64(),
    );
}
