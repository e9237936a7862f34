//! What the edge tells, as far as it is shown: who sends most, how everything is, and one
//! project's books. All of it is text from elsewhere and is made harmless as it is read.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};

use crate::cli::plain;

/// Frames that a rate is the mean of: ten seconds.
const RATED: usize = 5;

/// Frames that the edge is asked for: half a minute, in which a quiet one answered something.
pub(super) const FRAMES: usize = 15;

/// Each frame begins with its number, its moment, and how long it lasted in milliseconds.
const SPAN_PLACE: usize = 2;
const HEAD: usize = 3;

/// Who sends most.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct Top {
    /// How far back it goes.
    pub(super) span_s: u64,
    /// One request in so many was looked at.
    pub(super) one_in: f64,
    pub(super) rows: Vec<Row>,
    /// All that have no row, as one.
    pub(super) others: Others,
}

/// One of those who send.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct Row {
    #[serde(deserialize_with = "harmless")]
    pub(super) name: String,
    /// The name that the configuration gives it.
    #[serde(default, deserialize_with = "harmless_if_any")]
    pub(super) label: Option<String>,
    /// `None`: nobody vouches for it.
    #[serde(default)]
    pub(super) project: Option<u64>,
    pub(super) items: u64,
    pub(super) bytes: u64,
    pub(super) dropped: u64,
    /// Of what rows are ordered by.
    pub(super) share: f64,
}

impl Row {
    /// The name for people.
    pub(super) fn shown(&self) -> String {
        match &self.label {
            Some(label) => format!("{label} ({})", self.name),
            None if self.name.is_empty() => "(none)".to_owned(),
            None => self.name.clone(),
        }
    }
}

/// All others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub(super) struct Others {
    pub(super) items: u64,
    pub(super) bytes: u64,
    pub(super) dropped: u64,
}

/// How everything is.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Glance {
    pub(super) light: String,
    /// Why it is not green.
    pub(super) reasons: Vec<String>,
    /// Items that came, a second.
    pub(super) items_in: f64,
    pub(super) bytes_in: f64,
    /// Items that the upstream took, a second.
    pub(super) delivered: f64,
    pub(super) spool: Spool,
    pub(super) upstreams: Vec<Upstream>,
}

/// What is kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub(super) struct Spool {
    pub(super) items: u64,
    pub(super) bytes: u64,
    pub(super) oldest_s: u64,
}

/// An upstream.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Upstream {
    pub(super) name: String,
    pub(super) state: String,
    /// Of its answers 95 in a hundred take no longer. `None`: it gave none lately.
    pub(super) p95_us: Option<f64>,
}

/// The edge's answer on how everything is.
#[derive(Deserialize)]
struct History {
    columns: Vec<(String, String, String)>,
    fine: Vec<Vec<Option<f64>>>,
    now: Now,
}

#[derive(Deserialize)]
struct Now {
    status: Status,
}

#[derive(Deserialize)]
struct Status {
    #[serde(deserialize_with = "harmless")]
    light: String,
    reasons: Vec<String>,
    spool: Spool,
    upstreams: Vec<Named>,
}

#[derive(Deserialize)]
struct Named {
    #[serde(deserialize_with = "harmless")]
    name: String,
    #[serde(deserialize_with = "harmless")]
    state: String,
}

impl History {
    /// The columns of a family, of one label or of all.
    fn places<'h>(
        &'h self,
        family: &'h str,
        label: Option<&'h str>,
    ) -> impl Iterator<Item = usize> {
        let columns = self.columns.iter().enumerate();
        columns
            .filter(move |(_, (own, name, _))| {
                own == family && label.is_none_or(|label| name == label)
            })
            .map(|(place, _)| place + HEAD)
    }

    /// The mean of a family over the last frames, a second.
    fn rate(&self, family: &str) -> f64 {
        let frames = self.fine.iter().rev().take(RATED);
        let number = |frame: &[Option<f64>], place| frame.get(place).copied().flatten();
        let (mut sum, mut span_ms) = (0.0, 0.0);
        for frame in frames {
            span_ms += number(frame, SPAN_PLACE).unwrap_or(0.0);
            for place in self.places(family, None) {
                sum += number(frame, place).unwrap_or(0.0);
            }
        }
        if span_ms > 0.0 {
            sum * 1000.0 / span_ms
        } else {
            0.0
        }
    }

    /// The last that was measured of a column.
    fn last(&self, family: &str, label: &str) -> Option<f64> {
        let place = self.places(family, Some(label)).next()?;
        let mut frames = self.fine.iter().rev();
        frames.find_map(|frame| frame.get(place).copied().flatten())
    }
}

impl<'de> Deserialize<'de> for Glance {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let history = History::deserialize(deserializer)?;
        let status = &history.now.status;
        let reasons = status.reasons.iter().map(|reason| plain(reason));
        let upstreams = status
            .upstreams
            .iter()
            .map(|Named { name, state }| Upstream {
                name: name.clone(),
                state: state.clone(),
                p95_us: history.last("upstream_us", &format!("{name}.p95")),
            });
        Ok(Self {
            light: status.light.clone(),
            reasons: reasons.collect(),
            items_in: history.rate("items_in"),
            bytes_in: history.rate("bytes_in"),
            delivered: history.rate("items_out"),
            spool: status.spool,
            upstreams: upstreams.collect(),
        })
    }
}

/// One project since the start.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct Project {
    pub(super) project: u64,
    #[serde(default, deserialize_with = "harmless_if_any")]
    pub(super) name: Option<String>,
    pub(super) rows: Vec<Booked>,
    pub(super) quotas: Vec<Quota>,
}

/// A category of it in the books.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct Booked {
    #[serde(deserialize_with = "harmless")]
    pub(super) category: String,
    pub(super) items: Sums,
    pub(super) bytes: Sums,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Sums {
    pub(super) received: u64,
    pub(super) forwarded: u64,
    pub(super) spooled: u64,
    /// By reason.
    pub(super) dropped: BTreeMap<String, u64>,
}

/// A quota of it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct Quota {
    #[serde(deserialize_with = "harmless")]
    pub(super) name: String,
    /// The share that is used.
    pub(super) ratio: f64,
}

fn harmless<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(plain(&String::deserialize(deserializer)?))
}

fn harmless_if_any<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    Ok(text.map(|text| plain(&text)))
}

/// Two keys of project 42 and one that nobody vouches for, as an edge tells of them.
#[cfg(test)]
pub(super) const TOP: &str = r#"{"by":"key","span_s":300,"one_in":4.0,"rows":[
    {"name":"a94a...","label":"web","project":42,"items":12345,"bytes":45678901,"dropped":12,"share":0.61},
    {"name":"beef...","label":null,"project":7,"items":4000,"bytes":1024,"dropped":0,"share":0.2},
    {"name":"\u001b[2J","label":null,"project":null,"items":1,"bytes":9,"dropped":1,"share":0.001}],
    "others":{"items":3800,"bytes":70000,"dropped":5}}"#;

/// How an edge is that has something to say.
#[cfg(test)]
pub(super) const HISTORY: &str = r#"{"columns":[["items_in","error","sum"],["items_in","session","sum"],
    ["items_out","error","sum"],["bytes_in","error","sum"],["upstream_us","ingest.p95","quantile"],
    ["upstream_us","web.p95","quantile"]],
    "fine":[[1,1000,2000,900,0,900,9000,2500,null],[2,3000,2000,10,2,8,4096,null,null]],
    "now":{"status":{"light":"amber","reasons":["the ingest upstream fails"],
    "spool":{"items":120,"bytes":65536,"oldest_s":240,"paused":false},
    "upstreams":[{"name":"ingest","state":"degraded"},{"name":"web","state":"up"}]}}}"#;

/// Project 42.
#[cfg(test)]
pub(super) const PROJECT: &str = r#"{"project":42,"name":"shop","configured":true,"rows":[
    {"category":"error","items":{"received":1200,"carried":0,"forwarded":1100,"spooled":20,
        "dropped":{"quota":70,"filter":10}},
     "bytes":{"received":1048576,"carried":0,"forwarded":9,"spooled":9,"dropped":{}}}],
    "quotas":[{"name":"errors-1h","ratio":0.93}],"keys":[],"switches":[]}"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_from_elsewhere_cannot_steer_the_terminal() {
        let top: Top = serde_json::from_str(TOP).unwrap();
        let shown: Vec<String> = top.rows.iter().map(Row::shown).collect();
        assert_eq!(shown, ["web (a94a...)", "beef...", "\\u{1b}[2J"]);
    }

    #[test]
    fn rates_are_means_and_a_quantile_is_the_last_that_was_measured() {
        let glance: Glance = serde_json::from_str(HISTORY).unwrap();
        assert_eq!(glance.items_in, 228.0);
        assert_eq!(glance.delivered, 227.0);
        assert_eq!(glance.bytes_in, 3274.0);
        let p95: Vec<Option<f64>> = glance.upstreams.iter().map(|one| one.p95_us).collect();
        assert_eq!(p95, [Some(2500.0), None]);
        assert_eq!(glance.spool.items, 120);
    }

    #[test]
    fn a_glance_is_taken_of_the_last_ten_seconds_only() {
        let quiet = HISTORY.replace(
            "\"fine\":[",
            "\"fine\":[[0,1,2000,9999,0,0,0,null,null],[0,1,2000,0,0,0,0,null,null],\
             [0,1,2000,0,0,0,0,null,null],[0,1,2000,0,0,0,0,null,null],",
        );
        let glance: Glance = serde_json::from_str(&quiet).unwrap();
        assert_eq!(glance.items_in, 91.2, "five frames of two seconds");
    }
}
