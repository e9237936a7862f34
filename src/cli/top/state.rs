//! What the screen shows, and what a key or an answer makes of it. Never draws, never asks.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::answers::{Glance, Project, Row, Top};
use super::asking::{Heard, Wanted};
use super::question::{Question, behind};
use crate::telemetry::live::senders::By;

/// Rows that a page is taken for, whatever the screen's height.
const PAGE: usize = 10;

/// All that the screen shows.
#[derive(Debug, Clone)]
pub(super) struct State {
    pub(super) question: Question,
    /// Where the edge is.
    pub(super) edge: String,
    pub(super) has_colours: bool,
    pub(super) glance: Option<Glance>,
    /// What was told last, of this question or the one before.
    pub(super) top: Option<Top>,
    /// It is of the question before.
    pub(super) is_stale: bool,
    /// Why the edge tells nothing.
    pub(super) away: Option<String>,
    /// The marked row.
    pub(super) marked: usize,
    /// The project whose page is open.
    pub(super) opened: Option<Opened>,
    /// It is over.
    pub(super) leaves: bool,
}

/// A project's page.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Opened {
    pub(super) project: u64,
    /// `None`: not told yet.
    pub(super) told: Option<Project>,
}

impl State {
    /// Nothing is known yet.
    pub(super) const fn new(question: Question, edge: String, has_colours: bool) -> Self {
        Self {
            question,
            edge,
            has_colours,
            glance: None,
            top: None,
            is_stale: false,
            away: None,
            marked: 0,
            opened: None,
            leaves: false,
        }
    }

    /// What the edge is to be asked.
    pub(super) fn wanted(&self) -> Wanted {
        Wanted {
            question: self.question.clone(),
            opened: self.opened.as_ref().map(|opened| opened.project),
        }
    }

    /// The rows as they are shown.
    pub(super) fn rows(&self) -> &[Row] {
        self.top.as_ref().map_or(&[], |top| &top.rows)
    }

    fn marked_row(&self) -> Option<&Row> {
        self.rows().get(self.marked)
    }

    /// After an answer, or what came instead. An answer to another question than the one that
    /// stands tells how everything is, and no more. The mark stays on whom it is on.
    pub(super) fn hears(mut self, heard: Heard) -> Self {
        let told = match heard {
            Ok(told) => *told,
            Err(why) => {
                self.away = Some(why);
                return self;
            }
        };
        self.away = None;
        self.glance = Some(told.glance);
        if let (Some(opened), Some(project)) = (&mut self.opened, told.project)
            && opened.project == project.project
        {
            opened.told = Some(project);
        }
        if told.wanted.question != self.question {
            return self;
        }
        let same = |row: &Row| {
            let marked = self.marked_row();
            marked.is_some_and(|marked| (&marked.name, marked.project) == (&row.name, row.project))
        };
        let follows = !self.is_stale;
        let place = told.top.rows.iter().position(same);
        if let (true, Some(place)) = (follows, place) {
            self.marked = place;
        }
        self.marked = self.marked.min(told.top.rows.len().saturating_sub(1));
        self.top = Some(told.top);
        self.is_stale = false;
        self
    }

    /// After another question: what is shown is of the one before, until the answer comes.
    fn asks(mut self, question: Question) -> Self {
        if question != self.question {
            self.question = question;
            self.is_stale = true;
            self.marked = 0;
        }
        self
    }

    fn groups(self, by: By) -> Self {
        let question = Question {
            by,
            ..self.question.clone()
        };
        self.asks(question)
    }

    fn goes_back(self, minutes: u64) -> Self {
        let question = Question {
            minutes,
            ..self.question.clone()
        };
        self.asks(question)
    }

    /// Keeps to the marked row's project, or no longer to any.
    fn narrows(self) -> Self {
        let project = match self.question.project {
            Some(_) => None,
            None => self.marked_row().and_then(|row| row.project),
        };
        let question = Question {
            project,
            ..self.question.clone()
        };
        self.asks(question)
    }

    fn opens(mut self) -> Self {
        // What stands on the screen is of another question: who is marked is not known.
        if let (false, Some(project)) =
            (self.is_stale, self.marked_row().and_then(|row| row.project))
        {
            self.opened = Some(Opened {
                project,
                told: None,
            });
        }
        self
    }

    fn marks(mut self, place: usize) -> Self {
        self.marked = place.min(self.rows().len().saturating_sub(1));
        self
    }
}

/// What a key makes of it. On a project's page only those count that close it, or leave.
pub(super) fn on_key(mut state: State, key: KeyEvent) -> State {
    let code = key.code;
    let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
    // A terminal in raw mode sends Ctrl-C as a letter; all others are other keys than theirs.
    let leaves = KeyCode::Char(if is_control { 'c' } else { 'q' });
    if is_control && code != leaves {
        return state;
    }
    if code == leaves {
        state.leaves = true;
        return state;
    }
    if state.opened.is_some() {
        if matches!(
            code,
            KeyCode::Esc | KeyCode::Enter | KeyCode::Backspace | KeyCode::Left
        ) {
            state.opened = None;
        }
        return state;
    }
    let marked = state.marked;
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "a keyboard has more keys than this has"
    )]
    match code {
        KeyCode::Esc => state.leaves = true,
        KeyCode::Char('p') => return state.groups(By::Project),
        KeyCode::Char('k') => return state.groups(By::Key),
        KeyCode::Char('r') => return state.groups(By::Release),
        KeyCode::Char('s') => return state.groups(By::Sdk),
        KeyCode::Char('i') => return state.groups(By::Ip),
        KeyCode::Char('1') => return state.goes_back(1),
        KeyCode::Char('5') => return state.goes_back(5),
        KeyCode::Char('6') => return state.goes_back(60),
        KeyCode::Char('o') => {
            let question = Question {
                order: behind(state.question.order),
                ..state.question.clone()
            };
            return state.asks(question);
        }
        KeyCode::Char('f') => return state.narrows(),
        KeyCode::Enter => return state.opens(),
        KeyCode::Down | KeyCode::Char('j') => return state.marks(marked.saturating_add(1)),
        KeyCode::Up | KeyCode::Char('K') => return state.marks(marked.saturating_sub(1)),
        KeyCode::PageDown => return state.marks(marked.saturating_add(PAGE)),
        KeyCode::PageUp => return state.marks(marked.saturating_sub(PAGE)),
        KeyCode::Home => return state.marks(0),
        KeyCode::End => return state.marks(usize::MAX),
        _ => {}
    }
    state
}

#[cfg(test)]
mod tests {
    use ratatui::crossterm::event::KeyEventKind;

    use super::super::answers::TOP;
    use super::super::asking::Told;
    use super::*;
    use crate::telemetry::live::senders::Order;

    fn key(code: KeyCode) -> KeyEvent {
        KeyEvent::new(code, KeyModifiers::NONE)
    }

    fn pressed(state: State, keys: &str) -> State {
        let each = keys.chars().map(|letter| match letter {
            '>' => KeyCode::Enter,
            '<' => KeyCode::Esc,
            'v' => KeyCode::Down,
            '^' => KeyCode::Up,
            letter => KeyCode::Char(letter),
        });
        each.fold(state, |state, code| on_key(state, key(code)))
    }

    fn told(state: &State, top: &str) -> Heard {
        Ok(Box::new(Told::of(state.wanted(), top)))
    }

    fn filled() -> State {
        let state = State::new(Question::of(By::Key), "127.0.0.1:9001".to_owned(), true);
        let heard = told(&state, TOP);
        state.hears(heard)
    }

    /// The keys, and what the edge is asked then.
    #[track_caller]
    fn check(keys: &str, want: &str) {
        let question = pressed(filled(), keys).question;
        let project = question
            .project
            .map_or_else(String::new, |id| format!(" of {id}"));
        let (by, order) = (question.by.as_str(), question.order.as_str());
        assert_eq!(
            format!("{by} {order} {}{project}", question.minutes),
            want,
            "{keys}"
        );
    }

    #[test]
    fn letters_group_order_and_go_back() {
        check("", "key items 5");
        check("p", "project items 5");
        check("r", "release items 5");
        check("s", "sdk items 5");
        check("i", "ip items 5");
        check("pk", "key items 5");
        check("o", "key bytes 5");
        check("oo", "key dropped 5");
        check("ooo", "key items 5");
        check("1", "key items 1");
        check("6", "key items 60");
        check("65", "key items 5");
        check("xyz?", "key items 5");
    }

    #[test]
    fn f_keeps_to_the_marked_rows_project_and_lets_go_again() {
        check("f", "key items 5 of 42");
        check("vf", "key items 5 of 7");
        check("ff", "key items 5");
        // The third row belongs to nobody.
        check("vvf", "key items 5");
    }

    #[test]
    fn the_mark_stays_among_the_rows() {
        let place = |keys| pressed(filled(), keys).marked;
        for (keys, want) in [
            ("", 0),
            ("v", 1),
            ("vj", 2),
            ("vvv", 2),
            ("^", 0),
            ("vv^", 1),
            ("vvK", 1),
            ("vp", 0),
        ] {
            assert_eq!(place(keys), want, "{keys}");
        }
        let far = |code| on_key(pressed(filled(), "v"), key(code)).marked;
        assert_eq!((far(KeyCode::End), far(KeyCode::Home)), (2, 0));
        assert_eq!((far(KeyCode::PageDown), far(KeyCode::PageUp)), (2, 0));
    }

    #[test]
    fn the_mark_goes_with_whom_it_is_on() {
        let state = pressed(filled(), "v");
        let mut value: serde_json::Value = serde_json::from_str(TOP).unwrap();
        value["rows"].as_array_mut().unwrap().swap(0, 1);
        let swapped = told(&state, &value.to_string());
        assert_eq!(state.clone().hears(swapped).marked, 0);
        value["rows"].as_array_mut().unwrap().truncate(1);
        value["rows"][0]["name"] = "feed...".into();
        let short = told(&state, &value.to_string());
        assert_eq!(
            state.hears(short).marked,
            0,
            "nobody is beyond the last row"
        );
    }

    #[test]
    fn an_answer_to_the_question_before_fills_no_table() {
        let state = filled();
        let late = told(&state, &TOP.replace("12345", "99999"));
        let asked = pressed(state, "r");
        assert!(asked.is_stale);
        let heard = asked.hears(late);
        assert!(heard.is_stale);
        assert_eq!(heard.rows()[0].items, 12_345);
        let right = told(&heard, TOP);
        assert!(!heard.hears(right).is_stale);
    }

    #[test]
    fn a_page_opens_is_filled_and_closes() {
        let state = pressed(filled(), ">");
        assert_eq!(state.wanted().opened, Some(42));
        assert_eq!(state.opened.as_ref().unwrap().told, None);
        let heard = told(&state, TOP);
        let state = state.hears(heard);
        let page = state.opened.as_ref().unwrap().told.as_ref().unwrap();
        assert_eq!(page.name.as_deref(), Some("shop"));
        assert_eq!(
            pressed(state.clone(), "r").question.by,
            By::Key,
            "keys rest meanwhile"
        );
        let closed = pressed(state, "<");
        assert_eq!((closed.opened, closed.leaves), (None, false));
        // Another project's books are not shown as this one's.
        let other = pressed(filled(), "v>");
        let heard = told(&other, TOP);
        assert_eq!(other.hears(heard).opened.unwrap().told, None);
        assert_eq!(pressed(filled(), "vv>").opened, None, "nobody's has none");
        assert_eq!(
            pressed(filled(), "r>").opened,
            None,
            "whose row it is is not known yet"
        );
    }

    #[test]
    fn q_escape_and_control_c_leave() {
        assert!(pressed(filled(), "q").leaves);
        assert!(pressed(filled(), "<").leaves);
        assert!(pressed(filled(), ">q").leaves);
        let control = |letter| KeyEvent::new(KeyCode::Char(letter), KeyModifiers::CONTROL);
        assert!(on_key(filled(), control('c')).leaves);
        assert!(on_key(pressed(filled(), ">"), control('c')).leaves);
        let other = on_key(filled(), control('q'));
        assert!(!other.leaves, "that is another key");
        assert_eq!(on_key(filled(), control('r')).question.by, By::Key);
        assert_eq!(control('c').kind, KeyEventKind::Press);
    }

    #[test]
    fn an_edge_that_is_away_leaves_what_was_known() {
        let away = filled().hears(Err("no answer".to_owned()));
        assert_eq!(away.away.as_deref(), Some("no answer"));
        assert_eq!(away.rows().len(), 3);
        let heard = told(&away, TOP);
        assert_eq!(away.hears(heard).away, None);
    }

    #[test]
    fn orders_are_the_edges_not_the_screens() {
        assert_eq!(pressed(filled(), "oo").question.order, Order::Dropped);
        let names: Vec<String> = pressed(filled(), "oo")
            .rows()
            .iter()
            .map(Row::shown)
            .collect();
        assert_eq!(names[0], "web (a94a...)");
    }
}
