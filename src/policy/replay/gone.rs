//! What is given up: too old, or unwanted by an operator. Owns how it is found; never
//! decides that it should be.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::lane::ByLane;
use super::project::{Course, Project};
use super::turns::Name;
use super::{AT_ONCE, Held, Replay, told};

impl<P: Copy> Replay<P> {
    /// Gives up what waits and was taken in longer ago than that: the oldest first, at most `most`
    /// a call, but for those set aside, which go before. What is under way may still arrive. Looks at each project once, and at the first of
    /// each lane: behind a first one that is young nobody is sought, so after a clock was set back
    /// some stay a little longer.
    pub fn expire(&mut self, now_unix_ms: u64, max_age_ms: u64, most: usize) -> Vec<Held<P>> {
        let is_over = |at: u64| now_unix_ms.saturating_sub(at) > max_age_ms;
        let mut fronts = BinaryHeap::new();
        for (name, project) in &self.projects {
            for (lane, line) in project.lines.iter() {
                if let Some(front) = line.queue.front().filter(|front| is_over(front.at())) {
                    fronts.push(Reverse((front.at(), front.order(), *name, lane)));
                }
            }
        }
        let mut expired = self.aside.take_all(most, |held| is_over(held.at));
        for held in &expired {
            self.uncount(held);
        }
        while expired.len() < most {
            let Some(Reverse((_, _, name, lane))) = fronts.pop() else {
                break;
            };
            let Some(project) = self.projects.get_mut(&name) else {
                break;
            };
            let queue = &mut project.lines.at_mut(lane).queue;
            let Some(taken) = queue.take_front() else {
                break;
            };
            if let Some(front) = queue.front().filter(|front| is_over(front.at())) {
                fronts.push(Reverse((front.at(), front.order(), name, lane)));
            }
            let held = told(&taken, name, lane);
            self.left(&held);
            expired.push(held);
        }
        expired
    }

    /// Gives up all that waits of a project, the important lanes first, and what is set
    /// aside last. It is gone at once, even
    /// where nobody takes it from the iterator. What is under way stays, and may come back.
    #[must_use = "the log has to let go of what is yielded"]
    pub fn drop_project(&mut self, project: Name) -> impl Iterator<Item = Held<P>> + use<P> {
        let lines = self.projects.get_mut(&project).map(Project::take_lines);
        let is_its = |held: &Held<P>| held.project == project;
        let aside = self.aside.take_all(usize::MAX, is_its);
        let under_way = self
            .under_way
            .values()
            .filter(|other| other.held.project == project);
        let (records, bytes) = under_way.fold((0, 0), |(records, bytes), other| {
            (records + 1, bytes + u64::from(other.held.bytes))
        });
        if let Some(found) = self.projects.get_mut(&project) {
            self.records = self
                .records
                .saturating_sub(found.records.saturating_sub(records));
            self.bytes = self.bytes.saturating_sub(found.bytes.saturating_sub(bytes));
            (found.records, found.bytes) = (records, bytes);
        }
        for course in Course::ALL {
            self.seat(AT_ONCE, project, course);
        }
        self.forget_if_empty(project);
        let lines = lines.into_iter().flat_map(ByLane::into_each);
        let waiting = lines.flat_map(move |(lane, line)| {
            let waiting = line.queue.into_each();
            waiting.map(move |waiting| told(&waiting, project, lane))
        });
        waiting.chain(aside)
    }
}
