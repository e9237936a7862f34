//! An incident as it is told: in the log, over the API and to a webhook. Never sends anything.

use std::time::{Duration, UNIX_EPOCH};

use serde_json::{Map, Value, json};

use crate::domain::incident::{Condition, Severity};
use crate::policy::incidents::letters::Tells;
use crate::policy::incidents::{Change, Incident, Loss, Moment};
use crate::telemetry::clock::{lasting, rfc3339};

/// Which incident, in one word that no other run of an edge uses: when this one began, and the
/// incident's number.
pub(super) fn id(run: u64, incident: &Incident) -> String {
    format!("{run}-{}", incident.number)
}

/// A moment, as it is shown.
pub(super) fn shown(moment: Moment) -> String {
    rfc3339(UNIX_EPOCH + Duration::from_millis(moment.unix_ms))
}

/// Says in one line what has changed: where it does not say so itself, and at a level that says
/// whether an operator must act.
pub(super) fn log(run: u64, change: &Change) {
    let (Change::Started(incident) | Change::Graver(incident) | Change::Ended(incident)) = change;
    let Condition {
        kind,
        severity,
        subject,
        says,
        ..
    } = &incident.condition;
    if kind.is_logged_where_it_happens() {
        return;
    }
    let (id, since, lost) = (
        id(run, incident),
        shown(incident.since),
        incident.loss.total(),
    );
    let (lost_items, lost_bytes) = (lost.items, lost.bytes);
    match change {
        Change::Started(_) | Change::Graver(_) => {
            let advice = incident.condition.advice();
            // A level belongs to the place of a line, and is no value.
            macro_rules! say {
                ($level:ident) => {
                    tracing::$level!(
                        incident = id,
                        kind = kind.as_str(),
                        subject,
                        since,
                        lost_items,
                        lost_bytes,
                        advice,
                        "{says}"
                    )
                };
            }
            match severity {
                Severity::Page => say!(error),
                Severity::Ticket => say!(warn),
            }
        }
        Change::Ended(_) => {
            let lost_by_reason = by_reason(&incident.loss).to_string();
            tracing::info!(
                incident = id,
                kind = kind.as_str(),
                subject,
                since,
                lasted = lasted(incident),
                lost_items,
                lost_bytes,
                lost_by_reason,
                "{}",
                incident.over()
            );
        }
    }
}

/// How long it went on, in words, if it is over.
fn lasted(incident: &Incident) -> Option<String> {
    let ended = incident.ended?;
    Some(lasting(ended.at.since(incident.since.at) / 1000))
}

/// An incident for a program. What is over says so, and what it was, and asks for nothing.
pub(super) fn told(run: u64, incident: &Incident) -> Value {
    let condition = &incident.condition;
    let mut told = json!({
        "id": id(run, incident),
        "kind": condition.kind.as_str(),
        "severity": condition.severity.as_str(),
        "subject": condition.subject,
        "started_at": shown(incident.since),
        "says": condition.says,
        "advice": condition.advice(),
        "loss": loss(&incident.loss),
    });
    if let (Some(ended), Some(fields)) = (incident.ended, told.as_object_mut()) {
        fields.insert("ended_at".to_owned(), shown(ended).into());
        fields.insert("says".to_owned(), incident.over().into());
        fields.insert("was".to_owned(), condition.says.clone().into());
        fields.insert("advice".to_owned(), "".into());
    }
    told
}

fn loss(loss: &Loss) -> Value {
    let total = loss.total();
    json!({"items": total.items, "bytes": total.bytes, "by_reason": by_reason(loss)})
}

fn by_reason(loss: &Loss) -> Value {
    let reasons = loss.by_reason().map(|(reason, lost)| {
        let lost = json!({"items": lost.items, "bytes": lost.bytes});
        (reason.as_str().to_owned(), lost)
    });
    Value::Object(Map::from_iter(reasons))
}

/// The message on an incident: what the API tells of it as far as others may know, which of the
/// two it is, who says so, and all of it in `text`, which chats show.
pub(super) fn message(run: u64, edge: &str, incident: &Incident, tells: Tells) -> Value {
    let incident = &Incident {
        condition: incident.condition.abroad(),
        ..incident.clone()
    };
    let condition = &incident.condition;
    let (state, text) = match tells {
        Tells::Start => ("started", format!("vidette on {edge} {}", condition.line())),
        Tells::End => ("ended", over(edge, incident)),
    };
    let mut message = told(run, incident);
    if let Some(fields) = message.as_object_mut() {
        fields.insert("text".to_owned(), inert(&text).into());
        fields.insert("state".to_owned(), state.into());
        fields.insert("edge".to_owned(), edge.into());
        fields.insert("version".to_owned(), env!("CARGO_PKG_VERSION").into());
    }
    message
}

/// Text that a chat shows and does not obey: strangers write names of releases. Slack has
/// `<!channel>` and `<url|text>`, Mattermost `@channel` and `[text](url)`, and both make links of
/// what looks like one.
fn inert(text: &str) -> String {
    let escaped = text.replace('&', "&amp;");
    let escaped = escaped.replace('<', "&lt;").replace('>', "&gt;");
    // A space that nobody sees: no name, and no link, begins behind it.
    let mut inert = escaped.replace('@', "@\u{200b}");
    for link in ["](", "://"] {
        let (first, rest) = link.split_at(1);
        inert = inert.replace(link, &format!("{first}\u{200b}{rest}"));
    }
    inert
}

fn over(edge: &str, incident: &Incident) -> String {
    let Condition { kind, subject, .. } = &incident.condition;
    let (name, over) = (kind.as_str(), incident.over());
    let lasted = lasted(incident).unwrap_or_default();
    let lost = match incident.loss.total().items {
        0 => "nothing was lost".to_owned(),
        items => format!("{items} items were lost"),
    };
    format!("vidette on {edge} [over] {name} {subject}: {over}. It lasted {lasted}; {lost}.")
}

/// What is sent to try a webhook.
pub(super) fn trial(edge: &str) -> Value {
    json!({
        "text": format!("vidette on {edge} [test] this is how you will hear of incidents. Nothing is wrong."),
        "state": "test",
        "edge": edge,
        "version": env!("CARGO_PKG_VERSION"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::incident::Kind;
    use crate::domain::outcome::Reason;
    use crate::policy::millis::Millis;

    fn moment(s: u64) -> Moment {
        Moment {
            at: Millis(s * 1000),
            unix_ms: 1_700_000_000_000 + s * 1000,
        }
    }

    fn incident(lost: u64, ended: Option<u64>) -> Incident {
        let mut loss = Loss::default();
        loss.add(Reason::SpoolFull, lost, lost * 10);
        let says = "the upstream does not take events: they are kept";
        Incident {
            number: 3,
            condition: Condition::new(Kind::NotDelivering, "ingest", says),
            since: moment(0),
            ended: ended.map(moment),
            unwatched: false,
            loss,
        }
    }

    #[test]
    fn a_start_says_what_to_do_and_an_end_what_it_cost() {
        let started = message(17, "edge-1", &incident(0, None), Tells::Start);
        assert_eq!(
            started["text"],
            "vidette on edge-1 [ticket] not_delivering ingest: the upstream does not take events: \
             they are kept. docker compose ps relay web; vidette doctor dns names what it finds. \
             What comes meanwhile is kept where spool.path is set, and else lost."
        );
        assert_eq!(
            (&started["state"], &started["id"]),
            (&json!("started"), &json!("17-3"))
        );
        assert_eq!(started["started_at"], "2023-11-14T22:13:20.000Z");
        assert_eq!(started.get("ended_at"), None);
        let ended = message(17, "edge-1", &incident(4, Some(300)), Tells::End);
        assert_eq!(
            ended["text"],
            "vidette on edge-1 [over] not_delivering ingest: the upstream takes requests again. \
             It lasted 5 min; 4 items were lost."
        );
        assert_eq!(
            (&ended["state"], &ended["id"]),
            (&json!("ended"), &json!("17-3"))
        );
        assert_eq!(ended["ended_at"], "2023-11-14T22:18:20.000Z");
        let want = json!({"items": 4, "bytes": 40, "by_reason": {"spool_full": {"items": 4, "bytes": 40}}});
        assert_eq!(ended["loss"], want);
        let none = message(17, "e", &incident(0, Some(90)), Tells::End);
        let text = none["text"].as_str().unwrap();
        assert!(
            text.ends_with("It lasted 90 s; nothing was lost."),
            "{text}"
        );
    }

    #[test]
    fn what_is_over_says_so_and_asks_for_nothing() {
        let mut over = incident(0, Some(300));
        let ended = message(17, "e", &over, Tells::End);
        assert_eq!(ended["says"], "the upstream takes requests again");
        let was = "the upstream does not take events: they are kept";
        assert_eq!((&ended["was"], &ended["advice"]), (&json!(was), &json!("")));
        over.unwatched = true;
        let ended = message(17, "e", &over, Tells::End);
        assert_eq!(ended["says"], "it is not looked for any more");
        let text = ended["text"].as_str().unwrap();
        assert!(!text.contains("again"), "{text}");
    }

    #[test]
    fn what_goes_abroad_names_nobody_and_is_no_order() {
        let mut looping = incident(0, None);
        let own = "42: 203.0.113.9 (release x@1)";
        let abroad = "42: 203.0.113.x (release <!channel> @all [a](https://b.example) R&D)";
        looping.condition = Condition::new(Kind::ClientLoop, "42", own).said_abroad(abroad);
        assert_eq!(told(17, &looping)["says"], own);
        let sent = message(17, "e", &looping, Tells::Start);
        assert_eq!(sent["says"], abroad);
        assert!(!sent.to_string().contains("203.0.113.9"), "{sent}");
        let text = sent["text"].as_str().unwrap();
        let want = "42: 203.0.113.x (release &lt;!channel&gt; @\u{200b}all \
                    [a]\u{200b}(https:\u{200b}//b.example) R&amp;D)";
        assert!(text.contains(want), "{text}");
    }
}
