//! What a request leaves in metrics and books, and what it takes to tell all of them.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use gungraun::{library_benchmark, library_benchmark_group};
use vidette::domain::category::Category;
use vidette::domain::endpoint::ProjectId;
use vidette::domain::outcome::Reason;
use vidette::telemetry::access::Reading;
use vidette::telemetry::exposition::{Exposition, Readings};
use vidette::telemetry::kept::SpoolReading;
use vidette::telemetry::labels::{Attempt, Ending, Journal, Light, Route, Upstream};
use vidette::telemetry::ledger::{Ledger, WorkerLedger};
use vidette::telemetry::metrics::{Metrics, WorkerMetrics};

use crate::{TIMES, kept};

/// As many as `metrics.projects_max` has by default.
const PROJECTS: u64 = 1_000;

/// What a project sends, of which the last is over its quota now and then.
const CATEGORIES: [Category; 3] = [Category::Error, Category::Transaction, Category::Attachment];

struct Books {
    metrics: Arc<Metrics>,
    worker: WorkerLedger,
}

fn project(number: u64) -> Option<ProjectId> {
    ProjectId::parse(number.to_string().as_bytes())
}

/// Two workers' metrics, and books in which every project has some of each.
fn books_of(projects: u64) -> Books {
    let places = usize::try_from(projects).unwrap_or(usize::MAX);
    let ledger = Arc::new(Ledger::new(SystemTime::UNIX_EPOCH, places));
    let worker = ledger.worker();
    for number in 1..=projects {
        let account = worker.account(project(number), true);
        for category in CATEGORIES {
            let row = worker.row(account, category);
            row.received(2, 2_800);
            row.forwarded(1, 1_400);
            row.dropped(Reason::Quota, 1, 1_400);
        }
    }
    let metrics = Arc::new(Metrics::new(2, vec!["public".to_owned()], ledger));
    Books { metrics, worker }
}

fn a_thousand() -> &'static Books {
    let books = kept(books_of(PROJECTS));
    black_box(
        books
            .metrics
            .workers
            .iter()
            .map(|worker| count(worker))
            .count(),
    );
    book(&books.worker, project(1));
    books
}

/// All that one forwarded event counts in metrics.
fn count(worker: &WorkerMetrics) {
    worker
        .requests(Route::Ingest, Ending::Forwarded, 200)
        .add(1);
    let route = Route::Ingest.index();
    worker
        .durations
        .at(route)
        .observe(black_box(Duration::from_micros(1_200)));
    worker.request_bytes.at(route).add(1_400);
    worker.attempts(Upstream::Ingest, Attempt::Ok).add(1);
    let upstream = worker.upstream_durations.at(Upstream::Ingest.index());
    upstream.observe(black_box(Duration::from_micros(900)));
}

/// All that one forwarded item leaves in the books.
fn book(worker: &WorkerLedger, project: Option<ProjectId>) {
    let account = worker.account(project, true);
    let row = worker.row(account, Category::Error);
    row.received(1, 1_400);
    row.forwarded(1, 1_400);
}

#[library_benchmark]
#[bench::request_x100(setup = a_thousand)]
fn counted(books: &'static Books) -> usize {
    let worker = books.metrics.workers.iter().cycle().take(TIMES);
    worker.map(|worker| count(black_box(worker))).count()
}

#[library_benchmark]
#[bench::item_x100(setup = a_thousand)]
fn booked(books: &'static Books) -> usize {
    // Two in turn, so that none is the row that was asked for last.
    let in_turn = [project(7), project(42)].into_iter().cycle().take(TIMES);
    let projects = in_turn.map(|project| book(black_box(&books.worker), black_box(project)));
    projects.count()
}

fn readings() -> Readings {
    Readings {
        light: Light::Green,
        certificates: Vec::new(),
        secured: Vec::new(),
        quotas_used: Vec::new(),
        limits_learned_longest_s: 0,
        journal: Journal::Written,
        guard: Default::default(),
        habits: Default::default(),
        sharing: Default::default(),
        spool: SpoolReading::default(),
        switches: Vec::new(),
        sealed: Vec::new(),
        breakers: ["ingest", "web"].map(|name| (name.to_owned(), 0)).into(),
        access: Reading::default(),
    }
}

/// Told once before it is counted.
fn page() -> &'static Exposition {
    let exposition = Exposition::new(Arc::clone(&a_thousand().metrics));
    assert!(
        exposition.render(readings).len() > 100_000,
        "a thousand projects are told"
    );
    kept(exposition)
}

#[library_benchmark]
#[bench::of_1_000_projects(setup = page)]
fn told(page: &'static Exposition) -> usize {
    // The text is leaked as whoever gets it takes it over.
    page.render(readings).leak().len()
}

library_benchmark_group!(name = books, benchmarks = [counted, booked, told]);
