//! Bugsink, an upstream that nobody here wrote: it stores what comes through the
//! edge, with the address of who sent it.

use std::net::TcpListener;
use std::path::Path;

use libtest_mimic::Trial;
use serde_json::Value;
use tempfile::TempDir;

use crate::edge::KEY;
use crate::parts::{Part, node, promises, python};
use crate::way::{CLIENT, Front, Served, Way, run};

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = promises![&[Part::Python]; it_stores_what_the_python_sdk_sends];
    trials.extend(promises![&[Part::Python, Part::Node, Part::Browser];
        it_stores_what_node_and_the_browser_send,
    ]);
    trials.extend(
        promises![&[Part::Python, Part::Node, Part::Browser, Part::Nginx];
            it_stores_what_all_sdks_send_through_nginx,
        ],
    );
    trials
}

/// A running Bugsink with one project, 1, and the tests' key.
pub(crate) struct Bugsink {
    // First, so that it has ended when its folder goes.
    _served: Served,
    folder: TempDir,
    /// As the configuration names it.
    pub(crate) url: String,
}

impl Bugsink {
    #[track_caller]
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().to_str().unwrap();
        // Its server takes no socket: a port that was free a moment ago must do.
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let served = Served::start("bugsink.py", &[place, &port.to_string(), "--key", KEY]);
        Self {
            _served: served,
            folder,
            url: format!("http://127.0.0.1:{port}"),
        }
    }

    /// All events that it stored.
    #[track_caller]
    pub(crate) fn stored(&self) -> Vec<Value> {
        let place = self.folder.path().to_str().unwrap();
        let listed = run(&python().unwrap(), "bugsink.py", &["--list", place]).swap_remove(0);
        listed.as_array().unwrap().clone()
    }

    /// The ids of all of them.
    #[track_caller]
    pub(crate) fn stored_ids(&self) -> Vec<String> {
        let events = self.stored();
        let ids = events.iter().filter_map(|event| event["event_id"].as_str());
        ids.map(|id| id.replace('-', "")).collect()
    }
}

/// Bugsink before which the edge stands; runs these clients and looks at what it stored.
#[track_caller]
fn check_bugsink(front: Front, clients: &[(&Path, &str)]) {
    let bugsink = Bugsink::start();
    let way = Way::to(&bugsink.url, front);
    let mut told = Vec::new();
    for (program, script) in clients {
        told.extend(run(
            program,
            script,
            &[&way.dsn(1), "--skip", "transaction"],
        ));
    }
    // An idle connection would hold the server's end up until its patience ends.
    drop(way);
    let events = bugsink.stored();
    for line in told
        .iter()
        .filter(|line| line["kind"] == "error" || line["kind"] == "attachment")
    {
        let id = line["event_id"].as_str().unwrap().replace('-', "");
        let event = events.iter().find(|event| event["event_id"] == id.as_str());
        let event = event.unwrap_or_else(|| panic!("{line} was not stored: {events:?}"));
        assert_eq!(event["ip"], CLIENT.to_string(), "{event}");
    }
    assert_eq!(events.len(), 2 * clients.len(), "{events:?}");
}

fn it_stores_what_the_python_sdk_sends() {
    check_bugsink(Front::Nothing, &[(&python().unwrap(), "python_sdk.py")]);
}

fn it_stores_what_node_and_the_browser_send() {
    let node = node();
    let clients = [(node.as_path(), "node_sdk.mjs"), (&node, "browser.mjs")];
    check_bugsink(Front::Nothing, &clients);
}

fn it_stores_what_all_sdks_send_through_nginx() {
    let (python, node) = (python().unwrap(), node());
    let clients = [
        (python.as_path(), "python_sdk.py"),
        (&node, "node_sdk.mjs"),
        (&node, "browser.mjs"),
    ];
    check_bugsink(Front::Nginx, &clients);
}
