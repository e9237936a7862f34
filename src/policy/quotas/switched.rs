//! Limits that an operator switched on for a while: quotas of one project, asked
//! before all others and charged together with them. Owns when each is over; how one
//! counts is not its business.

use crate::domain::category::Categories;
use crate::domain::endpoint::ProjectId;
use crate::domain::quota::{By, Limit, Per, Quota};

use super::Applying;
use super::compiled::Compiled;
use super::counters::Counters;
use super::identity::Owner;

/// A limit that is switched on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SwitchedLimit {
    /// What it counts; empty: everything but client reports.
    pub categories: Categories,
    /// How much.
    pub limit: Limit,
    /// In how long.
    pub per: Per,
    /// The first second in which it is off again.
    pub until_unix_s: u64,
}

/// A project's limits, those that last longest first: what is on is a beginning of them.
#[derive(Debug, Default)]
pub struct SwitchedLimits {
    until_unix_s: Box<[u64]>,
    compiled: Box<[Compiled]>,
}

impl SwitchedLimits {
    /// Builds what requests meet. A limit switched on anew on the same categories for the same
    /// time goes on counting where it was.
    #[must_use]
    pub fn compile(
        project: ProjectId,
        mut limits: Vec<SwitchedLimit>,
        counters: &Counters,
    ) -> Self {
        limits.sort_by_key(|limit| std::cmp::Reverse(limit.until_unix_s));
        let compiled = limits.iter().map(|limit| {
            let quota = Quota {
                name: Quota::default_name(limit.categories, limit.per, By::Project).into(),
                categories: limit.categories,
                limit: limit.limit,
                per: limit.per,
                by: By::Project,
            };
            Compiled::new(Owner::Switch(project), &quota, None, counters)
        });
        Self {
            compiled: compiled.collect(),
            until_unix_s: limits.iter().map(|limit| limit.until_unix_s).collect(),
        }
    }

    /// Those that are on.
    fn on(&self, unix_s: u64) -> &[Compiled] {
        let on = self.until_unix_s.partition_point(|until| *until > unix_s);
        self.compiled.get(..on).unwrap_or_default()
    }
}

impl<'q> Applying<'q> {
    /// The same under these limits too.
    #[must_use]
    pub fn under(mut self, limits: &'q SwitchedLimits, unix_s: u64) -> Self {
        let [switched, ..] = &mut self.lists;
        *switched = limits.on(unix_s);
        self
    }
}
