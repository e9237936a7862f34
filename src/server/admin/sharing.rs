//! What an operator sees of quotas that many edges share. Reads what the keeper has shown, and
//! asks nobody.

use std::time::{Duration, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::policy::quotas::Contact;
use crate::telemetry::clock::rfc3339;
use crate::telemetry::sharing::{SharingReading, SharingState};

use crate::server::shared_quota::{Board, Standing};

const EVICTS: &str = "shared_quota: its servers evict keys where their memory is full, and limits may be exceeded: set maxmemory-policy to noeviction";

const SETTLES: &str = "shared_quota settles, as its servers are new: nothing is lent for some seconds yet, and what this edge holds nothing of is refused";

fn state(standing: &Standing) -> SharingState {
    match standing.contact {
        Contact::New => SharingState::New,
        Contact::Joined => SharingState::Joined,
        Contact::Away => SharingState::Away,
    }
}

/// The sharing in the metrics.
pub(super) fn reading(board: &Board) -> SharingReading {
    let Some(standing) = board.read() else {
        return SharingReading::default();
    };
    SharingReading {
        state: state(&standing),
        present: standing.present,
        counters: standing.counters,
        exchanges: standing.exchanges,
        failures: standing.failures,
        lost_windows: standing.lost_windows,
    }
}

/// What is not as it should be, in words.
pub(in crate::server) fn reasons(board: &Board) -> Option<String> {
    let standing = board.read()?;
    let part = match standing.contact {
        Contact::Joined => return standing.evicts.then(|| EVICTS.to_owned()),
        Contact::New => "this edge counts alone".to_owned(),
        Contact::Away if standing.one_in == 0 => {
            "quotas go on with what this edge holds, and there is no part for it in new windows"
                .to_owned()
        }
        Contact::Away => format!(
            "quotas go on with what this edge holds, and in new windows with its part, one in {}",
            standing.one_in
        ),
    };
    let fault = standing.fault.as_ref()?;
    let refuse = match standing.refusing {
        0 => String::new(),
        count => format!(
            "; {count} counters that this edge met first meanwhile admit nothing but their part of what is kept until it is back, or their window ends"
        ),
    };
    Some(format!(
        "shared_quota is out of reach: {fault}: {part}{refuse}"
    ))
}

/// That this edge waits for what others hold, in words. It passes by itself: no incident.
pub(super) fn settling(board: &Board) -> Option<String> {
    settles(&*board.read()?)
}

fn settles(standing: &Standing) -> Option<String> {
    standing.settles.then(|| SETTLES.to_owned())
}

/// With whom a window is shared, behind its name.
pub(super) fn words(board: &Board) -> String {
    match board.read() {
        Some(standing) => format!(", shared with {} edges", standing.present.max(1)),
        None => String::new(),
    }
}

/// The sharing in `status`; null where nothing is shared.
pub(super) fn told(board: &Board) -> Value {
    let Some(standing) = board.read() else {
        return Value::Null;
    };
    let heard = standing.heard_unix_s;
    json!({
        "state": state(&standing).as_str(),
        "settling": standing.settles,
        "fault": standing.fault.as_ref().map(ToString::to_string),
        "edges": standing.present,
        "edges_known": standing.sharers,
        "part": standing.one_in,
        "leases": standing.counters,
        "refusing": standing.refusing,
        "heard_at": heard.map(|unix_s| rfc3339(UNIX_EPOCH + Duration::from_secs(unix_s))),
        "exchange_us": standing.took_us,
        "evicts": standing.evicts,
        "lost_windows": standing.lost_windows,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edge_that_settles_says_so_though_it_has_joined() {
        let mut standing = Standing {
            contact: Contact::Joined,
            settles: true,
            fault: None,
            present: 1,
            sharers: 1,
            one_in: 1,
            counters: 0,
            refusing: 0,
            heard_unix_s: Some(1_700_000_000),
            took_us: 100,
            exchanges: 1,
            failures: 0,
            evicts: false,
            lost_windows: 0,
        };
        assert_eq!(state(&standing), SharingState::Joined);
        let words = settles(&standing).unwrap();
        assert!(words.contains("nothing is lent"), "{words}");
        standing.settles = false;
        assert_eq!(settles(&standing), None);
    }
}
