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
        for word in &words {
            let before = servers.rows.get(&word.place).map(|(stamp, _)| *stamp);
            if before.is_none_or(|before| word.stamp_ms > before) {
                let row = (word.stamp_ms, word.row.clone());
                servers.rows.insert(word.place.clone(), row);
                servers.version += 1;
            }
        }
        self.exchange.told(self.name, words);
        let rows = servers.rows.iter();
        let rows = rows.map(|(place, (stamp, row))| (place.clone(), format!("{stamp} {row}")));
        let version = servers.version.to_string();
        let over = self
            .exchange
            .take(rows.collect(), version, &self.board, now_s);
        for place in over {
            servers.rows.remove(&place);
        }
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
    a.turn(&mut servers, 110 + FORGOTTEN_S);
    assert_eq!(servers.rows.keys().collect::<Vec<_>>(), ["x"]);
    assert!(a.exchange.known.is_empty());
}
