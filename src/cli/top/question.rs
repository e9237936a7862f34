//! What is asked: by what rows are told apart, how they are ordered, how far back, of which
//! project.

use crate::telemetry::live::senders::{By, Order};

/// What rows are told apart by, for people.
pub(super) const fn named(by: By) -> &'static str {
    match by {
        By::Project | By::Key | By::Release => by.as_str(),
        By::Sdk => "SDK",
        By::Ip => "IP",
    }
}

/// The next order in the round.
pub(super) const fn behind(order: Order) -> Order {
    match order {
        Order::Items => Order::Bytes,
        Order::Bytes => Order::Dropped,
        Order::Dropped => Order::Items,
    }
}

/// All that decides which rows come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Question {
    pub(super) by: By,
    pub(super) order: Order,
    /// The last so many, 1 to 60.
    pub(super) minutes: u64,
    /// `None`: of all projects.
    pub(super) project: Option<u64>,
    /// At most so many rows.
    pub(super) rows: u16,
}

impl Question {
    /// The path and query of the admin's API.
    pub(super) fn path(&self) -> String {
        let Self {
            by,
            order,
            minutes,
            project,
            rows,
        } = self;
        let (by, order) = (by.as_str(), order.as_str());
        let mut path = format!("/api/v1/top?by={by}&order={order}&minutes={minutes}&n={rows}");
        if let Some(project) = project {
            path.push_str(&format!("&project={project}"));
        }
        path
    }

    /// What is said where no row comes. What keys sent that were not seen to work is no project's.
    pub(super) const fn nobody(&self) -> &'static str {
        match (self.by, self.project) {
            (By::Project | By::Key | By::Ip, None) => "nobody sent anything",
            (By::Release, None) => "nobody named a release",
            (By::Sdk, None) => "nobody named an SDK",
            (By::Project | By::Key | By::Ip, Some(_)) => {
                "nobody sent anything by a key that has been seen to work"
            }
            (By::Release, Some(_)) => "nobody named a release by a key that has been seen to work",
            (By::Sdk, Some(_)) => "nobody named an SDK by a key that has been seen to work",
        }
    }

    /// The question in words, with how long the answer goes back.
    pub(super) fn words(&self, span_s: u64) -> String {
        let of = match self.project {
            Some(project) => format!("project {project}"),
            None => "all projects".to_owned(),
        };
        let span = crate::telemetry::clock::lasting(span_s);
        let (by, order) = (named(self.by), self.order.as_str());
        format!("by {by}, most {order} first, {of}, last {span}")
    }
}

#[cfg(test)]
impl Question {
    /// Five minutes of all projects.
    pub(super) const fn of(by: By) -> Self {
        Self {
            by,
            order: Order::Items,
            minutes: 5,
            project: None,
            rows: 50,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_one_path() {
        let question = Question::of(By::Sdk);
        assert_eq!(
            question.path(),
            "/api/v1/top?by=sdk&order=items&minutes=5&n=50"
        );
        let narrowed = Question {
            order: Order::Dropped,
            minutes: 60,
            project: Some(42),
            rows: 10,
            ..question
        };
        assert_eq!(
            narrowed.path(),
            "/api/v1/top?by=sdk&order=dropped&minutes=60&n=10&project=42"
        );
    }

    #[test]
    fn of_a_project_no_more_is_said_than_is_known() {
        for by in By::ALL {
            let mut question = Question::of(by);
            let of_all = question.nobody();
            question.project = Some(42);
            let want = format!("{of_all} by a key that has been seen to work");
            assert_eq!(question.nobody(), want);
        }
    }

    #[test]
    fn the_round_of_orders_comes_back() {
        let round = behind(behind(behind(Order::Items)));
        assert_eq!(round, Order::Items);
    }
}
