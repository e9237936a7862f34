//! The closed set of what can go wrong so that an operator should know: each kind with how
//! grave it is, how long it has to hold before it is told, and what to do about it.
//!
//! Owns the names and the words, which `config/prometheus/alerts.yml` has too where it has an
//! alert on the same. Never sees a number, and never decides whether something holds.

use std::fmt::Write as _;

/// How soon somebody has to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Events are being lost, or soon will be: somebody gets up.
    Page,
    /// To be looked at this week.
    Ticket,
}

impl Severity {
    /// Its name, as alerts have it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Page => "page",
            Self::Ticket => "ticket",
        }
    }
}

/// Declares the kinds once.
macro_rules! kinds {
    ($(
        $(#[$doc:meta])*
        $kind:ident = $name:literal, $severity:ident, after $hold_s:literal, over $clear_s:literal $end:literal,
        $alert:expr, $advice:literal;
    )+) => {
        /// What can go wrong. The set is closed: boards and receivers are built on it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Kind { $($(#[$doc])* $kind,)+ }

        impl Kind {
            /// Every kind, the gravest first.
            pub const ALL: &[Self] = &[$(Self::$kind,)+];

            /// Its name on every surface.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$kind => $name,)+ }
            }

            /// How grave it is, where whoever sees it does not know better.
            #[must_use]
            pub const fn severity(self) -> Severity {
                match self { $(Self::$kind => Severity::$severity,)+ }
            }

            /// For how many seconds it has to hold before it is an incident.
            #[must_use]
            pub const fn hold_s(self) -> u64 {
                match self { $(Self::$kind => $hold_s,)+ }
            }

            /// For how many seconds it has to be gone before the incident is over.
            #[must_use]
            pub const fn clear_s(self) -> u64 {
                match self { $(Self::$kind => $clear_s,)+ }
            }

            /// What is said when it is over.
            #[must_use]
            pub const fn over(self) -> &'static str {
                match self { $(Self::$kind => $end,)+ }
            }

            /// The alert of `config/prometheus/alerts.yml` on the same, where there is one.
            #[must_use]
            pub const fn alert(self) -> Option<&'static str> {
                match self { $(Self::$kind => $alert,)+ }
            }

            const fn advice(self) -> &'static str {
                match self { $(Self::$kind => $advice,)+ }
            }
        }
    };
}

kinds! {
    /// The edge neither delivers nor keeps.
    NotAccepting = "not_accepting", Page, after 60, over 30 "events are taken again",
    Some("VidetteRed"),
    "vidette status says why. Usually Sentry is away and the spool is off, full, or its disk fails.";

    /// Items go lost that nobody's policy dropped.
    Loss = "loss", Page, after 0, over 0 "nothing more was lost",
    Some("VidetteLoss"),
    "vidette status and vidette spool ls. spool_full: give spool.max_bytes more, or bring Sentry back; spool_expired: spool.max_age; no_upstream: set spool.path, so that it is kept while Sentry is away (vidette doctor dns says whether it is reached); overloaded: more workers or fewer bodies at a time.";

    /// What is kept has waited for over ten minutes.
    SpoolOld = "spool_old", Page, after 0, over 30 "nothing that is kept is old any more",
    Some("VidetteSpoolOld"),
    "Is Sentry back? vidette status names the upstream and its breaker; vidette spool ls says what is held and when it will be sent. During an upgrade: vidette maintenance on --for 40m says that it is meant.";

    /// More than 70 % of what may be kept is.
    SpoolFilling = "spool_filling", Page, after 0, over 30 "the spool has room again",
    Some("VidetteSpoolFilling"),
    "Replays and profiles are refused from here on, more with each step. Bring Sentry back, raise spool.max_bytes (a reload takes it), or vidette spool drop --project of what is not worth it.";

    /// More than a hundredth of the events are answered 5xx.
    IngestErrors = "ingest_errors", Page, after 120, over 60 "events are answered well again",
    Some("VidetteIngestErrors"),
    "SDKs do not send again after a 5xx. vidette status; the log names the upstream's answers.";

    /// The disk guard keeps something here.
    DiskGuard = "disk_guard", Page, after 0, over 30 "the disk guard lets everything through again",
    Some("VidetteDiskFull"),
    "vidette status says which, what is dropped for it, and when it will be full. Lower Sentry's retention, or give the disk room.";

    /// Events that are sent to be found again are not.
    CanaryMissing = "canary_missing", Page, after 0, over 0 "the canaries arrive again",
    Some("VidetteCanaryMissing"),
    "vidette status says how far the last one came. Refused: is canary.dsn still a key of Sentry's? Not stored: Sentry answers 200 and loses events; are the consumers and Kafka up? vidette send-test follows one event.";

    /// An upstream is away.
    NotDelivering = "not_delivering", Ticket, after 0, over 10 "the upstream takes requests again",
    Some("VidetteUpstreamDown"),
    "docker compose ps relay web; vidette doctor dns names what it finds. What comes meanwhile is kept where spool.path is set, and else lost.";

    /// The servers by which quotas are shared are out of reach.
    SharedQuotaAway = "shared_quota_away", Ticket, after 300, over 30 "quotas are shared again",
    Some("VidetteSharedQuotaAway"),
    "It goes on with its own part of each limit. vidette status says why.";

    /// A project has had no room for a quarter of an hour.
    ProjectLimited = "project_limited", Ticket, after 900, over 60 "the project has room again",
    Some("VidetteProjectLimited"),
    "vidette status names the quota; a loop in a release is the usual reason. Raise the quota, or mute what loops: vidette mute {subject} --for 1h.";

    /// A project sends nothing that usually does.
    ProjectSilent = "project_silent", Ticket, after 0, over 0 "the project sends again",
    Some("VidetteProjectSilent"),
    "A broken DSN in a new release, a blocked domain, a firewall. vidette send-test shows whether the way is free.";

    /// A project sends far more than it usually does.
    Spike = "spike", Ticket, after 0, over 60 "the project sends as usual",
    Some("VidetteSpike"),
    "Nothing is dropped for it. A loop in a release is the usual reason; vidette top names who sends. vidette limit {subject} 10/s --for 1h, or vidette mute {subject} --for 1h.";

    /// One client sends most of what a project gets, minute after minute.
    ClientLoop = "client_loop", Ticket, after 0, over 60 "no client sends most of what the project gets any more",
    None,
    "Which release is it? repeats thins it, in defaults or for the project; vidette mute ends it for a while.";

    /// Many more keys than usual that nobody knows.
    UnknownKeys = "unknown_keys", Ticket, after 600, over 300 "unknown keys are as few as usual",
    Some("VidetteUnknownKeys"),
    "A deleted project still in shipped apps, a wrong DSN in a release, or somebody guessing.";

    /// Nearly all clients seem to be in private networks.
    PrivateClients = "private_clients", Ticket, after 900, over 300 "clients have addresses of their own again",
    Some("VidettePrivateAddresses"),
    "A proxy in front hides them. vidette doctor ip names it and the line that mends it.";

    /// A certificate is near its end, or behind it.
    Certificate = "certificate", Ticket, after 0, over 0 "the certificate is good",
    Some("VidetteCertificateEnds"),
    "Put the new files in their place: they are taken up by themselves. With acme: vidette status says why it is not renewed.";

    /// Sentry says no more how its projects are set.
    StatesStale = "states_stale", Ticket, after 0, over 0 "Sentry tells of its projects again",
    None,
    "What it said last stands; what is changed on its pages since does not count here. Is sentry.url Sentry itself, or a Relay, and not what redirects to it? Does it know this relay (vidette credentials show) and do the clocks agree? vidette status says what it answers.";

    /// A changed configuration was refused.
    ReloadRefused = "reload_refused", Ticket, after 0, over 0 "the file that lies there is in force",
    Some("VidetteReloadRefused"),
    "The old one stays in force. vidette check says where each error is, and what.";
}

impl Kind {
    /// How many there are: the length of an array that [`index`](Self::index) fits.
    pub const COUNT: usize = Self::ALL.len();

    /// Its place in [`ALL`](Self::ALL).
    #[expect(
        clippy::as_conversions,
        reason = "a fieldless repr(u8) enum numbers its variants from 0 without gaps"
    )]
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Whether the log hears of it where it happens, with the details that are known there
    /// alone: a second line would say less.
    #[must_use]
    pub const fn is_logged_where_it_happens(self) -> bool {
        matches!(
            self,
            Self::DiskGuard | Self::Certificate | Self::ReloadRefused
        )
    }

    /// What to do about one of these with this subject.
    #[must_use]
    pub fn advice_on(self, subject: &str) -> String {
        self.advice().replace("{subject}", subject)
    }
}

/// Characters of a subject, and of what is said: an operator's own names may be long.
const SUBJECT_CHARS_MAX: usize = 128;
const SAYS_CHARS_MAX: usize = 500;

/// Something that holds at the moment, and that an operator should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// What it is.
    pub kind: Kind,
    /// How grave it is; the gravest look at it counts.
    pub severity: Severity,
    /// Whom it is about: a project's number, an upstream's name, a reason. With the kind it
    /// tells one condition from another.
    pub subject: String,
    /// What is the matter, in a few words; the last look at it counts.
    pub says: String,
    /// The same for whoever is told by others than the edge, where less is for them.
    pub abroad: Option<String>,
}

impl Condition {
    /// As grave as its kind is. Text beyond 128 and 500 characters is cut.
    #[must_use]
    pub fn new(kind: Kind, subject: &str, says: &str) -> Self {
        Self {
            kind,
            severity: kind.severity(),
            subject: subject.chars().take(SUBJECT_CHARS_MAX).collect(),
            says: says.chars().take(SAYS_CHARS_MAX).collect(),
            abroad: None,
        }
    }

    /// The same with what is said of it outside of the edge, its log and its API.
    #[must_use]
    pub fn said_abroad(self, says: &str) -> Self {
        let abroad = Some(says.chars().take(SAYS_CHARS_MAX).collect());
        Self { abroad, ..self }
    }

    /// As it is told outside.
    #[must_use]
    pub fn abroad(&self) -> Self {
        let says = self.abroad.as_ref().unwrap_or(&self.says);
        Self {
            says: says.clone(),
            abroad: None,
            ..self.clone()
        }
    }

    /// The same, graver or less so.
    #[must_use]
    pub fn graded(self, severity: Severity) -> Self {
        Self { severity, ..self }
    }

    /// What to do about it.
    #[must_use]
    pub fn advice(&self) -> String {
        self.kind.advice_on(&self.subject)
    }

    /// All of it in one line, for people: `[page] loss spool_full: ... What to do`.
    #[must_use]
    pub fn line(&self) -> String {
        let (severity, kind) = (self.severity.as_str(), self.kind.as_str());
        let mut line = format!("[{severity}] {kind} {}: {}", self.subject, self.says);
        if !line.ends_with('.') {
            line.push('.');
        }
        // To a string that never fails.
        write!(line, " {}", self.advice()).ok();
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::outcome::Reason;

    const ALERTS: &str = include_str!("../../config/prometheus/alerts.yml");

    /// The text of one alert.
    fn alert(name: &str) -> &'static str {
        let mut alerts = ALERTS.split("- alert: ").skip(1);
        let found = alerts.find(|text| text.lines().next() == Some(name));
        found.unwrap_or_else(|| panic!("alerts.yml has no {name}"))
    }

    #[test]
    fn a_kind_and_its_alert_are_of_one_severity_and_say_to_do_the_same() {
        let mut with_alert = 0;
        for kind in Kind::ALL {
            let Some(name) = kind.alert() else { continue };
            with_alert += 1;
            let text = alert(name);
            let severity = format!("severity: {}", kind.severity().as_str());
            assert!(text.contains(&severity), "{name} is no {severity}");
            let action = format!("action: \"{}\"", kind.advice_on("{{ $labels.project }}"));
            assert!(text.contains(&action), "{name} does not say {action}");
        }
        assert!(with_alert >= 12);
    }

    #[test]
    fn what_has_to_hold_holds_as_long_as_for_its_alert() {
        for kind in Kind::ALL.iter().filter(|kind| kind.hold_s() > 0) {
            let name = kind.alert().unwrap();
            let minutes = format!("for: {}m\n", kind.hold_s() / 60);
            assert!(alert(name).contains(&minutes), "{name}: not {minutes}");
        }
    }

    #[test]
    fn the_alert_on_loss_names_what_counts_as_lost() {
        let lost = Reason::ALL.iter().filter(|reason| reason.is_loss());
        let lost: Vec<&str> = lost.map(|reason| reason.as_str()).collect();
        let named = format!("reason=~\"{}\"", lost.join("|"));
        assert!(alert("VidetteLoss").contains(&named), "{named}");
    }

    #[test]
    fn the_readme_knows_every_kind() {
        let readme = include_str!("../../README.md");
        for kind in Kind::ALL {
            let name = format!("`{}`", kind.as_str());
            assert!(readme.contains(&name), "README.md has no {name}");
        }
    }

    #[test]
    fn names_are_distinct_and_each_kind_sits_at_its_index() {
        let mut names: Vec<&str> = Kind::ALL.iter().map(|kind| kind.as_str()).collect();
        for (place, kind) in Kind::ALL.iter().enumerate() {
            assert_eq!(kind.index(), place, "{}", kind.as_str());
        }
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Kind::COUNT);
    }

    #[test]
    fn a_condition_is_one_line_that_names_whom_to_mute() {
        let limited = Condition::new(Kind::ProjectLimited, "42", "it has no room");
        assert_eq!(
            limited.line(),
            "[ticket] project_limited 42: it has no room. vidette status names the quota; a loop \
             in a release is the usual reason. Raise the quota, or mute what loops: vidette mute \
             42 --for 1h."
        );
        let page = limited.graded(Severity::Page).line();
        assert!(page.starts_with("[page] "), "{page}");
    }

    #[test]
    fn what_is_said_has_a_longest_length() {
        let long = "\u{e9}".repeat(SAYS_CHARS_MAX + 1);
        let condition = Condition::new(Kind::Loss, &long, &long);
        assert_eq!(condition.subject.chars().count(), SUBJECT_CHARS_MAX);
        assert_eq!(condition.says.chars().count(), SAYS_CHARS_MAX);
    }
}
