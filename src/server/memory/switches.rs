//! The red switches of this edge: which are on, who switched them, and which were on
//! lately; in force together with what the disk guard keeps here. The control thread's alone; workers see what is in force, swapped whole at
//! each change. On disk before anybody hears that a switch is on, where there is a
//! folder: without one, or where its disk fails, it is in force all the same, since
//! a mute is wanted most when disks are full, and whoever asked is told.

mod file;

pub(crate) use file::{on_of_json, on_to_json};

use std::cell::{Cell, Ref, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use arc_swap::ArcSwap;
use tokio::time::sleep;

use crate::domain::category::Category;
use crate::domain::switch::{Action, Switch};
use crate::policy::disk_guard::Guard;
use crate::policy::quotas::Counters;
use crate::policy::switches::Switches;
use crate::telemetry::clock::rfc3339;
use crate::telemetry::process;

use crate::server::memory::state::StateFolder;

/// As many are on at once: each is some operator's decision.
pub(crate) const SWITCHES_MAX: usize = 1000;

/// As many are remembered that are over.
pub(crate) const ENDED_MAX: usize = 200;

/// How often the clock is looked at. A switch is off at its end whether or not: only
/// the log and the books wait for it.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A switch that is on, and how it came to that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct On {
    /// Never used again.
    pub id: u64,
    /// What it does.
    pub switch: Switch,
    /// Who switched it on.
    pub by: String,
    /// What for, if they said.
    pub why: Option<String>,
    /// When, in seconds since 1970.
    pub set_unix_s: u64,
}

/// How a switch came to be off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// Its time was over.
    Expired,
    /// Somebody ended it.
    Removed,
    /// Another took its place.
    Replaced,
}

impl End {
    const ALL: [Self; 3] = [Self::Expired, Self::Removed, Self::Replaced];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Removed => "removed",
            Self::Replaced => "replaced",
        }
    }
}

/// A switch that was on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ended {
    /// What it was.
    pub was: On,
    /// How it ended.
    pub end: End,
    /// Who ended it; `None`: nobody had to.
    pub by: Option<String>,
    /// When, in seconds since 1970.
    pub at_unix_s: u64,
}

/// What is on and what was: all that the file holds.
#[derive(Debug, Default, PartialEq, Eq)]
struct Books {
    last_id: u64,
    on: Vec<On>,
    /// The latest comes last.
    ended: VecDeque<Ended>,
}

/// A switch as somebody asks for it.
#[derive(Debug)]
pub(crate) struct Asked {
    pub switch: Switch,
    pub by: String,
    pub why: Option<String>,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Set {
    pub on: On,
    /// What was on in its place.
    pub replaced: Option<On>,
    /// Whether a restart will know of it.
    pub kept: bool,
}

/// The red switches.
#[derive(Debug)]
pub(crate) struct Switchboard {
    books: RefCell<Books>,
    /// Whether the file says what is on.
    kept: Cell<bool>,
    folder: Option<StateFolder>,
    /// Of no operator's doing: a restart looks at the disks itself.
    guard: Cell<Option<Guard>>,
    in_force: Arc<ArcSwap<Switches>>,
    counters: Arc<Counters>,
}

impl Switchboard {
    /// Takes up what an earlier run left on, and puts it in force.
    pub(crate) fn recall(
        folder: Option<StateFolder>,
        counters: &Arc<Counters>,
        now_unix_s: u64,
    ) -> Self {
        let books = folder.as_ref().map(file::load).unwrap_or_default();
        let own = Self {
            kept: Cell::new(folder.is_some()),
            books: RefCell::new(books),
            folder,
            guard: Cell::new(None),
            in_force: Arc::default(),
            counters: Arc::clone(counters),
        };
        own.look(now_unix_s);
        own.put_in_force();
        for on in &own.books.borrow().on {
            tell("a switch of an earlier run is on", on, None);
        }
        own
    }

    /// What workers look at.
    pub(crate) fn in_force(&self) -> &Arc<ArcSwap<Switches>> {
        &self.in_force
    }

    /// Switches on, in the place of what was there; `None`: there are too many.
    pub(crate) fn set(&self, asked: Asked, now_unix_s: u64) -> Option<Set> {
        let Asked { switch, by, why } = asked;
        let (on, replaced) = {
            let mut books = self.books.borrow_mut();
            let place = |on: &On| on.switch.is_in_place_of(&switch);
            let place = books.on.iter().position(place);
            if place.is_none() && books.on.len() >= SWITCHES_MAX {
                return None;
            }
            books.last_id += 1;
            let on = On {
                id: books.last_id,
                switch,
                by,
                why,
                set_unix_s: now_unix_s,
            };
            let replaced = place.map(|place| books.on.remove(place));
            if let Some(was) = &replaced {
                books.ends(was.clone(), End::Replaced, Some(&on.by), now_unix_s);
            }
            books.on.push(on.clone());
            (on, replaced)
        };
        self.changed();
        match &replaced {
            Some(was) => tell("a switch is on in another's place", &on, Some(was.id)),
            None => tell("a switch is on", &on, None),
        }
        Some(Set {
            on,
            replaced,
            kept: self.kept.get(),
        })
    }

    /// Switches off; `None`: no such switch is on.
    pub(crate) fn end(&self, id: u64, by: &str, now_unix_s: u64) -> Option<On> {
        let was = {
            let mut books = self.books.borrow_mut();
            let place = books.on.iter().position(|on| on.id == id)?;
            let was = books.on.remove(place);
            books.ends(was.clone(), End::Removed, Some(by), now_unix_s);
            was
        };
        self.changed();
        tell_ended(&was, End::Removed, Some(by));
        Some(was)
    }

    /// Looks at the clock, and books what is over.
    pub(crate) fn look(&self, now_unix_s: u64) {
        let over: Vec<On> = {
            let mut books = self.books.borrow_mut();
            let on = books.on.iter();
            if !on.clone().any(|on| on.switch.is_over(now_unix_s)) {
                return;
            }
            let is_over = |on: &mut On| on.switch.is_over(now_unix_s);
            let over: Vec<On> = books.on.extract_if(.., is_over).collect();
            for was in &over {
                let at_unix_s = was.switch.until_unix_s;
                books.ends(was.clone(), End::Expired, None, at_unix_s);
            }
            over
        };
        self.changed();
        for was in &over {
            tell_ended(was, End::Expired, None);
        }
    }

    /// Looks at the clock for as long as it runs.
    pub(crate) async fn keep(self: Rc<Self>) {
        loop {
            sleep(LOOK_EVERY).await;
            self.look(process::now_s());
        }
    }

    /// Puts in force what the disk guard keeps here from now on.
    pub(crate) fn guards(&self, guard: Option<Guard>) {
        self.guard.set(guard);
        self.put_in_force();
    }

    /// All that are on, in the order in which they were switched.
    pub(crate) fn on(&self) -> Ref<'_, [On]> {
        Ref::map(self.books.borrow(), |books| &*books.on)
    }

    /// Those that are over, the latest last.
    pub(crate) fn ended(&self) -> Ref<'_, VecDeque<Ended>> {
        Ref::map(self.books.borrow(), |books| &books.ended)
    }

    /// How many of each action are on.
    pub(crate) fn counts(&self) -> Vec<(&'static str, u64)> {
        let on = self.on();
        let count = |action| {
            let alike = on.iter().map(|on| on.switch.effect.action());
            u64::try_from(alike.filter(|other| *other == action).count()).unwrap_or(u64::MAX)
        };
        let all = Action::ALL.into_iter();
        all.map(|action| (action.name(), count(action))).collect()
    }

    /// Whether a restart will know of what is on.
    pub(crate) fn is_kept(&self) -> bool {
        self.kept.get()
    }

    /// Writes down what is on now, and puts it in force.
    fn changed(&self) {
        if let Some(folder) = &self.folder {
            let kept = file::save(folder, &self.books.borrow());
            self.kept.set(kept.is_ok());
            if let Err(error) = kept {
                tracing::warn!(%error, "a restart will not know which switches are on");
            }
        }
        self.put_in_force();
    }

    fn put_in_force(&self) {
        let on = self.on();
        let switches: Vec<Switch> = on.iter().map(|on| on.switch).collect();
        let compiled = Switches::compile(&switches, self.guard.get(), &self.counters);
        self.in_force.store(Arc::new(compiled));
    }
}

impl Books {
    fn ends(&mut self, was: On, end: End, by: Option<&str>, at_unix_s: u64) {
        if self.ended.len() >= ENDED_MAX {
            self.ended.pop_front();
        }
        self.ended.push_back(Ended {
            was,
            end,
            by: by.map(str::to_owned),
            at_unix_s,
        });
    }
}

fn tell(what: &str, on: &On, instead_of: Option<u64>) {
    let Switch {
        project,
        category,
        effect,
        until_unix_s,
    } = on.switch;
    tracing::info!(
        id = on.id,
        %project,
        category = category.map_or("all", Category::name),
        action = effect.action().name(),
        value = effect.value(),
        by = on.by,
        why = on.why,
        until = moment(until_unix_s),
        instead_of,
        "{what}"
    );
}

fn tell_ended(was: &On, end: End, by: Option<&str>) {
    let Switch {
        project,
        category,
        effect,
        ..
    } = was.switch;
    tracing::info!(
        id = was.id,
        %project,
        category = category.map_or("all", Category::name),
        action = effect.action().name(),
        value = effect.value(),
        by,
        set_by = was.by,
        end = end.name(),
        "a switch is off"
    );
}

/// A second since 1970 in words.
pub(crate) fn moment(unix_s: u64) -> String {
    rfc3339(UNIX_EPOCH + Duration::from_secs(unix_s))
}

#[cfg(test)]
mod tests;
