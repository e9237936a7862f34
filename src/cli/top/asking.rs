//! Who asks the edge, beside whoever draws: a thread of its own, so that an edge that does not
//! answer holds up no key. Asks each interval, and at once when something else is wanted.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use http::Method;

use super::answers::{FRAMES, Glance, Project, Top};
use super::question::Question;
use crate::cli::admin::Address;

/// What is wanted now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) question: Question,
    /// The project whose books are shown too.
    pub(super) opened: Option<u64>,
}

/// What the edge told.
#[derive(Debug, Clone)]
pub(super) struct Told {
    /// To what.
    pub(super) wanted: Wanted,
    pub(super) glance: Glance,
    pub(super) top: Top,
    pub(super) project: Option<Project>,
}

/// What came of asking: a failure in words.
pub(super) type Heard = Result<Box<Told>, String>;

/// Answers that wait for whoever draws.
const QUEUE_MAX: usize = 4;

/// Asks once for everything that is wanted.
pub(super) fn ask(address: &Address, wanted: &Wanted) -> anyhow::Result<Told> {
    let glance = address.ask(&Method::GET, &format!("/api/v1/history?frames={FRAMES}"))?;
    let top = address.ask(&Method::GET, &wanted.question.path())?;
    let project = match wanted.opened {
        Some(id) => Some(address.ask(&Method::GET, &format!("/api/v1/projects/{id}"))?),
        None => None,
    };
    Ok(Told {
        wanted: wanted.clone(),
        glance: glance.json()?,
        top: top.json()?,
        project: project.map(|answer| answer.json()).transpose()?,
    })
}

/// The other end of the thread. Dropping it ends the thread once its question is answered.
#[derive(Debug)]
pub(super) struct Asking {
    wanted: Arc<Mutex<Wanted>>,
    bell: SyncSender<()>,
    heard: Receiver<Heard>,
}

impl Asking {
    /// Begins to ask.
    pub(super) fn start(address: &Address, first: Wanted, every: Duration) -> anyhow::Result<Self> {
        let wanted = Arc::new(Mutex::new(first));
        let (bell, rung) = sync_channel(1);
        let (tells, heard) = sync_channel(QUEUE_MAX);
        let (address, read) = (address.clone(), Arc::clone(&wanted));
        std::thread::Builder::new()
            .name("asking".to_owned())
            .spawn(move || {
                loop {
                    let wanted = read.lock().unwrap_or_else(PoisonError::into_inner).clone();
                    let told = ask(&address, &wanted);
                    let told = told.map(Box::new).map_err(|error| format!("{error:#}"));
                    if tells.send(told).is_err() {
                        return;
                    }
                    match rung.recv_timeout(every) {
                        Ok(()) | Err(RecvTimeoutError::Timeout) => {}
                        Err(RecvTimeoutError::Disconnected) => return,
                    }
                }
            })
            .context("no thread that asks the edge")?;
        Ok(Self {
            wanted,
            bell,
            heard,
        })
    }

    /// Wants something else, and that at once.
    pub(super) fn wants(&self, wanted: Wanted) {
        *self.wanted.lock().unwrap_or_else(PoisonError::into_inner) = wanted;
        // One that has been rung is heard all the same.
        self.bell.try_send(()).ok();
    }

    /// What came since, the oldest first.
    pub(super) fn heard(&self) -> impl Iterator<Item = Heard> {
        self.heard.try_iter()
    }
}

#[cfg(test)]
impl Told {
    /// What the edge of the tests tells, with this table.
    pub(super) fn of(wanted: Wanted, top: &str) -> Self {
        use super::answers::{HISTORY, PROJECT};
        let project = wanted.opened;
        Self {
            wanted,
            glance: serde_json::from_str(HISTORY).unwrap(),
            top: serde_json::from_str(top).unwrap(),
            project: project.map(|_| serde_json::from_str(PROJECT).unwrap()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::answers::{HISTORY, PROJECT, TOP};
    use super::*;
    use crate::cli::fake::{Asked, Fake, json};
    use crate::telemetry::live::senders::By;

    fn edge(asked: &Asked) -> String {
        let body = match asked.path.split('?').next() {
            Some("/api/v1/history") => HISTORY,
            Some("/api/v1/top") => TOP,
            Some("/api/v1/projects/42") => PROJECT,
            Some(_) | None => return json("404 Not Found", r#"{"error":"no"}"#),
        };
        json("200 OK", body)
    }

    #[test]
    fn everything_that_is_wanted_is_asked_for() {
        let fake = Fake::start(edge);
        let wanted = Wanted {
            question: Question::of(By::Key),
            opened: Some(42),
        };
        let told = ask(&Address::of(fake.address), &wanted).unwrap();
        assert_eq!(told.project.unwrap().project, 42);
        assert_eq!(told.top.rows.len(), 3);
        let asked: Vec<String> = fake.asked().into_iter().map(|one| one.path).collect();
        assert_eq!(
            asked,
            [
                "/api/v1/history?frames=15".to_owned(),
                wanted.question.path(),
                "/api/v1/projects/42".to_owned(),
            ]
        );
    }

    #[test]
    fn another_wish_does_not_wait_for_the_interval() {
        let fake = Fake::start(edge);
        let mut wanted = Wanted {
            question: Question::of(By::Key),
            opened: None,
        };
        // An hour: whatever comes then came for the wish.
        let every = Duration::from_secs(3600);
        let asking = Asking::start(&Address::of(fake.address), wanted.clone(), every).unwrap();
        let first = asking.heard.recv().unwrap().unwrap();
        assert_eq!(first.wanted, wanted);
        wanted.opened = Some(42);
        asking.wants(wanted.clone());
        let second = asking.heard.recv().unwrap().unwrap();
        assert_eq!(second.wanted, wanted);
    }

    #[test]
    fn an_edge_that_is_away_is_a_sentence() {
        let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = Address::of(nobody.local_addr().unwrap());
        drop(nobody);
        let wanted = Wanted {
            question: Question::of(By::Key),
            opened: None,
        };
        let asking = Asking::start(&address, wanted, Duration::from_secs(3600)).unwrap();
        let words = asking.heard.recv().unwrap().unwrap_err();
        assert!(words.starts_with("no connection to 127.0.0.1:"), "{words}");
    }
}
