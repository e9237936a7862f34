//! The books: what came in and what became of it, by project and category, in items
//! and in bytes. Each worker writes rows of its own and anybody reads them, summed.
//! Owns who has a row by number; never decides what becomes of an item, and never
//! removes a row.
//!
//! Design limits: a row takes some 200 bytes, and 720 more once something was dropped
//! in it. A worker has at most `(projects_max + 2) * Category::COUNT` rows.

mod row;

pub use row::{Line, Row, Sum};

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use foldhash::fast::RandomState;

use crate::domain::category::Category;
use crate::domain::endpoint::ProjectId;

use row::Counts;

/// How many rows are read under one lock: a worker that makes a new row waits for it.
const ROWS_AT_ONCE: usize = 256;

/// Whom something is booked to. Ordered as the books list them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Account {
    /// A project that has a row by number.
    Project(ProjectId),
    /// Projects for whose number there was no room, or that sent without one.
    Other,
    /// Whoever has not yet been seen to work.
    Unproven,
}

impl Account {
    /// The `project` label of the metrics.
    #[must_use]
    pub fn label(self) -> String {
        match self {
            Self::Project(id) => id.to_string(),
            Self::Other => "other".to_owned(),
            Self::Unproven => "unproven".to_owned(),
        }
    }
}

/// The books of all workers, and the register of projects that have a number in them.
#[derive(Debug)]
pub struct Ledger {
    since: SystemTime,
    register: Mutex<HashSet<ProjectId, RandomState>>,
    /// As many as the register has, to be read without its lock. It only grows.
    registered: AtomicUsize,
    projects_max: AtomicUsize,
    shelves: Mutex<Vec<Arc<Shelf>>>,
    /// What the process before this one has booked, where it handed its books over.
    inherited: Mutex<Vec<Line>>,
}

/// One worker's rows, as readers find them.
type Shelf = Mutex<Vec<(Account, Category, Arc<Counts>)>>;

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that runs under these locks leaves anything half written.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Ledger {
    /// Empty books, opened `since`, with numbers for at most so many projects.
    #[must_use]
    pub fn new(since: SystemTime, projects_max: usize) -> Self {
        Self {
            since,
            register: Mutex::default(),
            registered: AtomicUsize::new(0),
            projects_max: AtomicUsize::new(projects_max),
            shelves: Mutex::default(),
            inherited: Mutex::default(),
        }
    }

    /// When the books were opened.
    #[must_use]
    pub fn since(&self) -> SystemTime {
        self.since
    }

    /// Gives numbers to at most so many projects from now on. Those that have one keep
    /// it, were they more: their rows are not removed.
    pub fn resize(&self, projects_max: usize) {
        self.projects_max.store(projects_max, Ordering::Relaxed);
    }

    /// Gives these projects their numbers before any other can take the room. Where the
    /// room is used up the rest, in this order, go without.
    pub fn reserve(&self, projects: &[ProjectId]) {
        let mut register = locked(&self.register);
        for project in projects {
            self.enter(&mut register, *project);
        }
    }

    /// Whether the project has a number, once it was given one if there is room.
    fn enter(&self, register: &mut HashSet<ProjectId, RandomState>, project: ProjectId) -> bool {
        if register.len() < self.projects_max.load(Ordering::Relaxed) {
            register.insert(project);
            self.registered.store(register.len(), Ordering::Relaxed);
        }
        register.contains(&project)
    }

    /// Goes on from the books of the process before, in place of what was known of them. What it
    /// had not ended is in flight until it says more.
    pub fn inherit(&self, lines: Vec<Line>) {
        let mut numbered: Vec<ProjectId> = lines.iter().filter_map(Line::project).collect();
        numbered.dedup();
        self.reserve(&numbered);
        *locked(&self.inherited) = lines;
    }

    /// The process before is gone without a last word: what it had not ended went no further.
    pub fn close_inherited(&self) {
        locked(&self.inherited).iter_mut().for_each(Line::close);
    }

    /// Opens a worker's own part. What it books stays when it is dropped.
    #[must_use]
    pub fn worker(self: &Arc<Self>) -> WorkerLedger {
        let shelf = Arc::default();
        locked(&self.shelves).push(Arc::clone(&shelf));
        WorkerLedger {
            ledger: Arc::clone(self),
            shelf,
            rows: RefCell::default(),
            last: RefCell::default(),
            numbered: RefCell::default(),
        }
    }

    /// All rows, each summed over the workers, by account and category's name; those
    /// in which nothing happened are left out. Some hundred loads a row: never call it
    /// from a worker.
    #[must_use]
    pub fn lines(&self) -> Vec<Line> {
        let shelves = locked(&self.shelves).clone();
        let mut lines = BTreeMap::new();
        for line in &*locked(&self.inherited) {
            lines.insert((line.account, line.category.name()), line.clone());
        }
        for shelf in shelves {
            let mut read = 0;
            loop {
                let rows = locked(&shelf);
                let next = rows.iter().skip(read).take(ROWS_AT_ONCE);
                let mut found = 0;
                for (account, category, counts) in next {
                    lines
                        .entry((*account, category.name()))
                        .or_insert_with(|| Line::empty(*account, *category))
                        .add(counts);
                    found += 1;
                }
                read += found;
                if found == 0 {
                    break;
                }
            }
        }
        lines.into_values().filter(Line::has_any).collect()
    }
}

/// One worker's part of the books. Dropping it loses nothing that was booked.
#[derive(Debug)]
pub struct WorkerLedger {
    ledger: Arc<Ledger>,
    shelf: Arc<Shelf>,
    rows: RefCell<HashMap<Place, Rc<Row>, RandomState>>,
    /// The row that was asked for last: items come in runs of a kind.
    last: RefCell<Option<(Place, Rc<Row>)>>,
    /// What this worker knows of the register, so that it need not lock it.
    numbered: RefCell<HashSet<ProjectId, RandomState>>,
}

type Place = (Account, Category);

impl WorkerLedger {
    /// The account of a project whose sender is proven, or not. A proven project gets a
    /// number while there is room. Locks the register for a project's first item here,
    /// and once more when it has become full.
    #[must_use]
    pub fn account(&self, project: Option<ProjectId>, proven: bool) -> Account {
        match project {
            _ if !proven => Account::Unproven,
            Some(project) if self.has_number(project) => Account::Project(project),
            Some(_) | None => Account::Other,
        }
    }

    fn has_number(&self, project: ProjectId) -> bool {
        let mut numbered = self.numbered.borrow_mut();
        if numbered.contains(&project) {
            return true;
        }
        let ledger = &self.ledger;
        let registered = ledger.registered.load(Ordering::Relaxed);
        let full = registered >= ledger.projects_max.load(Ordering::Relaxed);
        // The register only grows: with as many as it has, this worker knows all of it.
        if full && numbered.len() >= registered {
            return false;
        }
        let mut register = locked(&ledger.register);
        let has = ledger.enter(&mut register, project);
        match has {
            true => _ = numbered.insert(project),
            false => numbered.extend(register.iter()),
        }
        has
    }

    /// The row of an account and category, made if it is not there. A project that has
    /// no number, and gets none, is booked to `Account::Other`.
    #[must_use]
    pub fn row(&self, account: Account, category: Category) -> Rc<Row> {
        let place = (account, category);
        if let Some((last, row)) = &*self.last.borrow()
            && *last == place
        {
            return Rc::clone(row);
        }
        let found = self.rows.borrow().get(&place).cloned();
        let row = found.unwrap_or_else(|| self.make(place));
        self.last.replace(Some((place, Rc::clone(&row))));
        row
    }

    fn make(&self, (account, category): Place) -> Rc<Row> {
        let account = match account {
            Account::Project(project) => self.account(Some(project), true),
            Account::Other | Account::Unproven => account,
        };
        let mut rows = self.rows.borrow_mut();
        let row = rows.entry((account, category)).or_insert_with(|| {
            let counts = Arc::default();
            locked(&self.shelf).push((account, category, Arc::clone(&counts)));
            Rc::new(Row::new(counts))
        });
        Rc::clone(row)
    }
}

#[cfg(test)]
mod tests;
