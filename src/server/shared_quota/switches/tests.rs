//! What is said at one edge is so at all: edges that talk over what the script keeps.

use std::sync::Arc;

use super::*;
use crate::domain::endpoint::ProjectId;
use crate::domain::switch::Effect;
use crate::policy::quotas::{CounterLimits, Counters};

/// What the script keeps.
#[derive(Default)]
struct Servers {
    rows: BTreeMap<String, (u64, String)>,
    version: u64,
    /// How often all was lost.
    losses: u64,
}

impl Servers {
    fn hear(&mut self, words: &[Word]) -> usize {
        let mut stand = 0;
        for word in words {
            let before = self.rows.get(&word.place).map(|(stamp, _)| *stamp);
            if before.is_none_or(|before| word.stamp_ms > before) {
                let row = (word.stamp_ms, word.row.clone());
                self.rows.insert(word.place.clone(), row);
                self.version += 1;
                stand += 1;
            }
        }
        stand
    }

    fn forget(&mut self, over: Vec<(String, u64)>) {
        for (place, stamp) in over {
            self.rows
                .retain(|other, row| *other != place || row.0 != stamp);
        }
    }
}

struct Edge {
    name: &'static str,
    board: Switchboard,
    exchange: Exchange,
}

fn edge(name: &'static str) -> Edge {
    let limits = CounterLimits {
        ips: 1,
        counters: 1,
    };
    let counters = Arc::new(Counters::new(limits));
    Edge {
        name,
        board: Switchboard::recall(None, &counters, 0),
        exchange: Exchange::default(),
    }
}

impl Edge {
    fn mute(&self, project: u64, now_s: u64, for_s: u64) -> u64 {
        let switch = Switch {
            project: ProjectId::parse(project.to_string().as_bytes()).unwrap(),
            category: None,
            effect: Effect::Mute { keep: None },
            until_unix_s: now_s + for_s,
        };
        let asked = Asked {
            switch,
            by: self.name.to_owned(),
            why: None,
        };
        self.board.set(asked, now_s).unwrap().on.id
    }

    fn turn(&mut self, servers: &mut Servers, now_s: u64) {
        let words = self.exchange.words(self.name, &self.board, now_s);
        let stand = servers.hear(&words);
        self.exchange.told(words, stand);
        let over = self.read(servers, now_s);
        servers.forget(over);
    }

    fn read(&mut self, servers: &Servers, now_s: u64) -> Vec<(String, u64)> {
        let rows = servers.rows.iter();
        let rows = rows.map(|(place, (stamp, row))| (place.clone(), format!("{stamp} {row}")));
        let version = match servers.version {
            0 => String::new(),
            version => format!("{}.{version}", servers.losses),
        };
        if self.exchange.is_current(&version) {
            return Vec::new();
        }
        self.exchange
            .take(rows.collect(), version, &self.board, now_s)
    }

    fn on(&self) -> Vec<(String, String)> {
        let on = self.board.on();
        let on = on.iter();
        on.map(|on| (place_of(&on.switch), on.by.clone())).collect()
    }
}

fn pair(place: &str, by: &str) -> (String, String) {
    (place.to_owned(), by.to_owned())
}

#[test]
fn what_is_switched_on_at_one_is_on_at_all_and_ends_at_all() {
    let (mut servers, mut a, mut b) = (Servers::default(), edge("a"), edge("b"));
    a.turn(&mut servers, 100);
    b.turn(&mut servers, 100);
    let id = a.mute(42, 100, 600);
    a.turn(&mut servers, 101);
    b.turn(&mut servers, 101);
    assert_eq!(b.on(), [pair("42/all/mute", "a")]);
    a.board.end(id, "ops", 102);
    a.turn(&mut servers, 102);
    b.turn(&mut servers, 102);
    assert_eq!(b.on(), []);
    assert_eq!(b.board.ended()[0].by.as_deref(), Some("ops"));
    for now_s in 103..110 {
        b.turn(&mut servers, now_s);
        a.turn(&mut servers, now_s);
    }
    assert_eq!((a.on(), b.on()), (vec![], vec![]), "nothing comes back");
}

#[test]
fn the_latest_word_stands_whoever_was_cut_off() {
    let (mut servers, mut a, mut b) = (Servers::default(), edge("a"), edge("b"));
    a.turn(&mut servers, 100);
    b.turn(&mut servers, 100);
    a.mute(42, 101, 600);
    b.mute(42, 105, 60);
    b.mute(43, 105, 60);
    a.turn(&mut servers, 110);
    b.turn(&mut servers, 111);
    a.turn(&mut servers, 112);
    assert_eq!(a.on(), [pair("42/all/mute", "b"), pair("43/all/mute", "b")]);
    assert_eq!(b.on(), a.on());
}

#[test]
fn of_two_in_one_second_one_stands_at_both() {
    let (mut servers, mut a, mut b) = (Servers::default(), edge("a"), edge("b"));
    a.turn(&mut servers, 100);
    b.turn(&mut servers, 100);
    a.mute(42, 101, 600);
    b.mute(42, 101, 60);
    for now_s in 102..105 {
        a.turn(&mut servers, now_s);
        b.turn(&mut servers, now_s);
    }
    assert_eq!(a.on(), [pair("42/all/mute", "a")]);
    assert_eq!(b.on(), a.on());
}

#[test]
fn one_that_starts_takes_what_is_on_and_tells_of_its_own() {
    let (mut servers, mut a, mut b) = (Servers::default(), edge("a"), edge("b"));
    a.mute(42, 90, 600);
    a.turn(&mut servers, 100);
    a.turn(&mut servers, 101);
    b.mute(43, 95, 600);
    b.turn(&mut servers, 102);
    b.turn(&mut servers, 103);
    a.turn(&mut servers, 104);
    let mut both = [a.on(), b.on()];
    both.iter_mut().for_each(|on| on.sort());
    let want = [pair("42/all/mute", "a"), pair("43/all/mute", "b")];
    assert_eq!(both, [want.clone(), want]);
}

#[test]
fn what_is_over_is_forgotten_and_what_cannot_be_read_left_alone() {
    let (mut servers, mut a) = (Servers::default(), edge("a"));
    a.turn(&mut servers, 100);
    a.mute(42, 100, 10);
    a.turn(&mut servers, 101);
    servers.rows.insert("x".to_owned(), (5, "{}".to_owned()));
    a.board.look(111);
    a.turn(&mut servers, 111);
    assert_eq!(servers.rows.len(), 2);
    servers.version += 1;
    a.turn(&mut servers, 110 + FORGOTTEN_S);
    assert_eq!(servers.rows.keys().collect::<Vec<_>>(), ["x"]);
    assert!(a.exchange.known.is_empty());
}

#[test]
fn of_two_at_one_edge_in_one_second_the_second_stands_at_all() {
    let (mut servers, mut a, mut b) = (Servers::default(), edge("a"), edge("b"));
    a.turn(&mut servers, 100);
    b.turn(&mut servers, 100);
    a.mute(42, 101, 600);
    a.turn(&mut servers, 101);
    b.turn(&mut servers, 101);
    a.mute(42, 101, 60);
    for now_s in 102..105 {
        a.turn(&mut servers, now_s);
        b.turn(&mut servers, now_s);
    }
    let until = |edge: &Edge| edge.board.on()[0].switch.until_unix_s;
    assert_eq!((until(&a), until(&b)), (161, 161));
}

#[test]
fn what_is_set_by_a_clock_that_is_behind_stands_behind_what_was_known_there() {
    let (mut servers, mut a, mut b) = (Servers::default(), edge("a"), edge("b"));
    a.turn(&mut servers, 100);
    b.turn(&mut servers, 98);
    a.mute(42, 101, 600);
    a.turn(&mut servers, 101);
    b.turn(&mut servers, 99);
    b.mute(42, 100, 60);
    for now_s in 102..105 {
        b.turn(&mut servers, now_s - 2);
        a.turn(&mut servers, now_s);
    }
    let until = |edge: &Edge| edge.board.on()[0].switch.until_unix_s;
    assert_eq!((until(&a), until(&b)), (160, 160));
}

#[test]
fn an_end_outlives_servers_that_begin_anew_without_data() {
    for who_was_cut_off_is_first in [true, false] {
        let (mut servers, mut a, mut b) = (Servers::default(), edge("a"), edge("b"));
        a.turn(&mut servers, 100);
        b.turn(&mut servers, 100);
        let id = a.mute(42, 100, 600);
        a.mute(43, 100, 600);
        for now_s in 101..103 {
            a.turn(&mut servers, now_s);
            b.turn(&mut servers, now_s);
        }
        // The other does not hear of it.
        a.board.end(id, "ops", 103);
        a.turn(&mut servers, 103);
        servers = Servers {
            losses: 1,
            ..Servers::default()
        };
        for now_s in 104..110 {
            if who_was_cut_off_is_first || now_s > 106 {
                b.turn(&mut servers, now_s);
            }
            a.turn(&mut servers, now_s);
        }
        let left = [pair("43/all/mute", "a")];
        assert_eq!((a.on(), b.on()), (left.to_vec(), left.to_vec()));
        assert_eq!(b.board.ended()[0].by.as_deref(), Some("ops"));
    }
}

#[test]
fn what_is_over_is_not_forgotten_where_it_was_set_anew_meanwhile() {
    let (mut servers, mut a, mut b) = (Servers::default(), edge("a"), edge("b"));
    a.turn(&mut servers, 100);
    b.turn(&mut servers, 100);
    a.mute(42, 100, 10);
    a.turn(&mut servers, 101);
    b.turn(&mut servers, 101);
    a.board.look(111);
    b.board.look(111);
    let now_s = 110 + FORGOTTEN_S;
    servers.version += 1;
    let over = a.read(&servers, now_s);
    b.mute(42, now_s, 600);
    b.turn(&mut servers, now_s);
    servers.forget(over);
    a.turn(&mut servers, now_s + 1);
    assert_eq!(a.on(), [pair("42/all/mute", "b")]);
}
