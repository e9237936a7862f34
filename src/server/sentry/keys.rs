//! One reading of the listing: all projects, then the keys of each. All or
//! nothing: a reading that fails on its way yields an error and no list.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use tokio::time::{Instant, sleep_until};
use tokio::try_join;

use crate::domain::endpoint::ProjectId;

use super::Source;
use super::api::{ApiError, Line, Page, escaped};
use super::link::Cursor;
use super::list::{KeyList, ListedKey, ListedProject};
use super::rows::{self, Rows};

/// How often one page is asked for while Sentry answers 429. Its API lets some
/// forty requests a second through, which four lanes soon exceed.
const ASKED_MAX: u32 = 6;

/// The longest wait within a reading; who asks for more is asked again later.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// Reads the listing from its first page to its last, with at most four
/// requests under way. Dropping the future closes all of its connections.
pub(crate) async fn walk(now: SystemTime, source: &Source) -> Result<KeyList, ApiError> {
    let walk = Walk::new(source);
    let mut line = Line::new(source);
    let mut projects = walk.projects(&mut line).await?;
    let active = projects.iter().filter(|project| project.active);
    walk.waiting.replace(active.cloned().collect());
    let asked = walk.waiting.borrow().len();
    // Each lane has one request under way: these are the four.
    try_join!(
        walk.lane(line),
        walk.lane(Line::new(source)),
        walk.lane(Line::new(source)),
        walk.lane(Line::new(source)),
    )?;
    let gone = walk.gone.into_inner();
    if asked > 0 && gone.len() == asked {
        // Something hides the keys: not all projects can go between two requests.
        return Err(ApiError::Missing);
    }
    let mut keys = walk.found.into_inner();
    projects.retain(|project| !gone.contains(&project.id));
    keys.retain(|key| !gone.contains(&key.project));
    keys.sort_unstable_by_key(|key| (key.key, key.project));
    keys.dedup_by_key(|key| key.key);
    Ok(KeyList {
        projects,
        keys,
        skipped: walk.skipped.get(),
        at: now,
    })
}

/// What the lanes share.
struct Walk<'s> {
    source: &'s Source,
    /// Projects whose keys are still to be asked for.
    waiting: RefCell<Vec<ListedProject>>,
    found: RefCell<Vec<ListedKey>>,
    /// Projects that were deleted after they had been listed.
    gone: RefCell<BTreeSet<ProjectId>>,
    skipped: Cell<u64>,
    further_pages: Cell<usize>,
    /// No lane asks before. All rest when one is refused: lanes that went on
    /// would use up each new window, and the refused one would starve.
    rest_until: Cell<Instant>,
}

impl<'s> Walk<'s> {
    fn new(source: &'s Source) -> Self {
        Self {
            source,
            waiting: RefCell::default(),
            found: RefCell::default(),
            gone: RefCell::default(),
            skipped: Cell::default(),
            further_pages: Cell::default(),
            rest_until: Cell::new(Instant::now()),
        }
    }

    async fn projects(&self, line: &mut Line<'_>) -> Result<Vec<ListedProject>, ApiError> {
        let max = self.source.bounds.projects_max;
        let mut projects = Vec::new();
        self.each_page(line, "/api/0/projects/", |body| {
            self.keep(rows::projects(body)?, &mut projects, "projects", max)
        })
        .await?;
        if projects.is_empty() {
            return Err(ApiError::NoProjects);
        }
        // One that was added meanwhile pushes another onto the next page.
        projects.sort_unstable_by_key(|project| project.id);
        projects.dedup_by_key(|project| project.id);
        Ok(projects)
    }

    /// Asks for the keys of one waiting project after the other.
    async fn lane(&self, mut line: Line<'_>) -> Result<(), ApiError> {
        loop {
            let next = self.waiting.borrow_mut().pop();
            let Some(project) = next else {
                return Ok(());
            };
            self.keys_of(&mut line, &project).await?;
        }
    }

    async fn keys_of(&self, line: &mut Line<'_>, project: &ListedProject) -> Result<(), ApiError> {
        let max = self.source.bounds.keys_max;
        let organization = escaped(&project.organization);
        let path = format!(
            "/api/0/projects/{organization}/{}/keys/",
            escaped(&project.slug)
        );
        let read = self.each_page(line, &path, |body| {
            let page = rows::keys(body, project.id)?;
            self.keep(page, &mut self.found.borrow_mut(), "keys", max)
        });
        match read.await {
            // Deleted since it was listed, or about to be: Sentry knows it no more.
            Err(ApiError::Missing) => {
                self.gone.borrow_mut().insert(project.id);
                Ok(())
            }
            read => read,
        }
    }

    fn keep<T>(
        &self,
        page: Rows<T>,
        kept: &mut Vec<T>,
        what: &'static str,
        max: usize,
    ) -> Result<(), ApiError> {
        self.skipped.set(self.skipped.get() + page.skipped);
        kept.extend(page.read);
        match kept.len() > max {
            true => Err(ApiError::TooMany { what, max }),
            false => Ok(()),
        }
    }

    /// Hands each page of a list to `take`.
    async fn each_page(
        &self,
        line: &mut Line<'_>,
        path: &str,
        mut take: impl FnMut(&[u8]) -> Result<(), ApiError>,
    ) -> Result<(), ApiError> {
        let mut cursor = None;
        loop {
            let page = self.page(line, path, cursor.as_ref()).await?;
            take(&page.body)?;
            let further = self.further_pages.get() + 1;
            match page.next {
                None => return Ok(()),
                next if next == cursor => return Err(ApiError::Endless),
                Some(_) if further > self.source.bounds.further_pages_max => {
                    return Err(ApiError::Endless);
                }
                next => cursor = next,
            }
            self.further_pages.set(further);
        }
    }

    /// One page, asked for again after a rest when Sentry says 429.
    async fn page(
        &self,
        line: &mut Line<'_>,
        path: &str,
        cursor: Option<&Cursor>,
    ) -> Result<Page, ApiError> {
        let mut pause = self.source.bounds.pause;
        for _ in 1..ASKED_MAX {
            sleep_until(self.rest_until.get()).await;
            match line.page(path, cursor).await {
                Err(ApiError::Busy {
                    status: 429,
                    retry_after,
                }) if retry_after.is_none_or(|asked| asked <= PAUSE_MAX) => {
                    let rest = retry_after.unwrap_or_default().max(pause);
                    let until = self.rest_until.get().max(Instant::now() + rest);
                    self.rest_until.set(until);
                    pause = pause.saturating_mul(2).min(PAUSE_MAX);
                }
                answer => return answer,
            }
        }
        sleep_until(self.rest_until.get()).await;
        line.page(path, cursor).await
    }
}

#[cfg(test)]
mod tests;
