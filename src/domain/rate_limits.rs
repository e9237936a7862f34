//! `X-Sentry-Rate-Limits`: what a client is to hold back, and for how long.
//!
//! Owns the header's grammar (PROTOCOL 4.1), both ways. Never enforces a limit.

use std::fmt::Write as _;

use super::category::{Categories, Category};

/// More limits than any Sentry has; the rest of a longer header is not read.
const LIMITS_MAX: usize = 64;

/// Longer reasons are cut off: they are codes, and are repeated to clients.
const REASON_BYTES_MAX: usize = 64;

/// A limit, as a header states it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateLimit {
    /// For how many seconds; parts of one count as a whole.
    pub retry_after_s: u64,
    /// What is to be held back; empty: everything.
    pub categories: Categories,
    /// For whom.
    pub scope: Scope,
    /// A code that says why.
    pub reason: Option<Box<str>>,
}

/// Whom a limit is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// All projects of an organization.
    Organization,
    /// All keys of a project.
    Project,
    /// One key; what clients take an unknown scope for.
    Key,
    /// Everybody.
    Global,
}

impl Scope {
    /// The header's word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Organization => "organization",
            Self::Project => "project",
            Self::Key => "key",
            Self::Global => "global",
        }
    }

    fn of_name(name: &str) -> Self {
        match name {
            "organization" => Self::Organization,
            "project" => Self::Project,
            "global" => Self::Global,
            _ => Self::Key,
        }
    }
}

/// Reads a header's value. What cannot be read is passed over, the rest stands, as clients do it.
///
/// A limit on unknown categories alone is one on nothing here. So is one on a namespace of
/// metrics: it leaves the category's others alone.
pub fn parse(value: &[u8]) -> impl Iterator<Item = RateLimit> {
    let limits = value.split(|byte| *byte == b',').take(LIMITS_MAX);
    limits.filter_map(|text| limit(str::from_utf8(text).ok()?))
}

fn limit(text: &str) -> Option<RateLimit> {
    let mut fields = text.trim().split(':').map(str::trim);
    let retry_after_s = seconds(fields.next()?)?;
    // Only nothing at all is everything: separators with nothing between them name nothing.
    let named = fields.next()?;
    let known = named
        .split(';')
        .filter_map(|name| Category::of_name(name.trim()));
    let categories = known.fold(Categories::EMPTY, Categories::with);
    let scope = Scope::of_name(fields.next().unwrap_or_default());
    let reason = fields.next().filter(|reason| !reason.is_empty());
    let namespaces = fields.next().filter(|namespaces| !namespaces.is_empty());
    if !named.is_empty() && categories.is_empty() || namespaces.is_some() {
        return None;
    }
    Some(RateLimit {
        retry_after_s,
        categories,
        scope,
        reason: reason.map(|reason| code(reason).collect()),
    })
}

/// Whole seconds, rounded up; readers must take decimals.
fn seconds(text: &str) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(part) {
        return None;
    }
    let whole: u64 = whole.parse().ok()?;
    let more = part.bytes().any(|byte| byte != b'0');
    whole.checked_add(u64::from(more))
}

/// Writes limits behind one another, behind what is there already.
pub fn write(limits: &[RateLimit], into: &mut String) {
    for (number, limit) in limits.iter().enumerate() {
        if number > 0 {
            into.push_str(", ");
        }
        // Writing into memory cannot fail.
        write!(into, "{}:", limit.retry_after_s).ok();
        for (number, category) in limit.categories.iter().enumerate() {
            if number > 0 {
                into.push(';');
            }
            into.push_str(category.name());
        }
        into.push(':');
        into.push_str(limit.scope.name());
        if let Some(reason) = &limit.reason {
            into.push(':');
            into.extend(code(reason));
        }
    }
}

/// A reason that the grammar can hold.
fn code(reason: &str) -> impl Iterator<Item = char> {
    let safe = |sign: char| match sign {
        ':' | ',' | ';' => '_',
        sign if sign.is_ascii_graphic() => sign,
        _ => '_',
    };
    // One byte a sign is what comes out.
    reason.chars().take(REASON_BYTES_MAX).map(safe)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(limit: &RateLimit) -> String {
        let mut text = String::new();
        write(std::slice::from_ref(limit), &mut text);
        text
    }

    /// What is read, written again.
    #[track_caller]
    fn check(header: &str, want: &[&str]) {
        let read: Vec<String> = parse(header.as_bytes())
            .map(|limit| shown(&limit))
            .collect();
        assert_eq!(read, want, "{header:?}");
    }

    #[test]
    fn limits_are_read_as_the_protocol_has_them() {
        check("60::key", &["60::key"]);
        check(
            "60:error;default;security:project:project_quota",
            &["60:default;error;security:project:project_quota"],
        );
        check(
            "60:transaction:key, 2700:default;error;security:organization",
            &[
                "60:transaction:key",
                "2700:default;error;security:organization",
            ],
        );
        check("7:session:global:x::more:and:more", &["7:session:global:x"]);
        check(" 5 : error : key : why ", &["5:error:key:why"]);
    }

    #[test]
    fn seconds_are_rounded_up() {
        check("0.1:error:key", &["1:error:key"]);
        check("2.000:error:key", &["2:error:key"]);
        check("2.:error:key", &["2:error:key"]);
        check("0:error:key", &["0:error:key"]);
    }

    #[test]
    fn a_bad_limit_takes_no_other_along() {
        check("x:error:key, 5:session:key", &["5:session:key"]);
        for bad in [
            "",
            ",",
            "60",
            "-1:error:key",
            "1e3:error:key",
            "+5:error:key",
            "99999999999999999999:error:key",
            "NaN::key",
            ".5::key",
        ] {
            check(&format!("{bad},5::key"), &["5::key"]);
        }
    }

    #[test]
    fn bytes_that_are_no_text_spoil_their_own_limit_alone() {
        for bad in [
            &b"9:session:key:\xff"[..],
            b"9:\xc3:key",
            b"\xe9",
            b"9:error\xf0\x9f:key",
        ] {
            let header = [b"5::key, ", bad, b",60:error:key"].concat();
            let read: Vec<_> = parse(&header).map(|limit| shown(&limit)).collect();
            assert_eq!(read, ["5::key", "60:error:key"], "{}", bad.escape_ascii());
        }
    }

    #[test]
    fn what_is_unknown_limits_nothing_and_its_neighbours_still_do() {
        check("60:of_tomorrow:key", &[]);
        check("60:of_tomorrow;error:key", &["60:error:key"]);
        check("60:error:of_tomorrow", &["60:error:key"]);
        for nothing in [";", ";;", " ; "] {
            check(&format!("60:{nothing}:key"), &[]);
            check(&format!("60:{nothing};error:key"), &["60:error:key"]);
        }
        check("2700:metric_bucket:organization:quota_exceeded:custom", &[]);
        check(
            "2700:metric_bucket:organization:quota_exceeded",
            &["2700:metric_bucket:organization:quota_exceeded"],
        );
    }

    #[test]
    fn a_header_has_a_most_of_limits() {
        let many = "5::key,".repeat(LIMITS_MAX + 10);
        assert_eq!(parse(many.as_bytes()).count(), LIMITS_MAX);
    }

    #[test]
    fn a_reason_cannot_break_the_grammar() {
        let limit = RateLimit {
            retry_after_s: 5,
            categories: Categories::EMPTY,
            scope: Scope::Key,
            reason: Some("a:b,c;d e\r\n\u{e9}".into()),
        };
        assert_eq!(shown(&limit), "5::key:a_b_c_d_e___");
    }

    #[test]
    fn a_reason_is_cut_behind_its_last_allowed_byte() {
        for (bytes, kept) in [(1, 1), (63, 63), (64, 64), (65, 64), (9000, 64)] {
            let (given, want) = ("r".repeat(bytes), "r".repeat(kept));
            check(&format!("5::key:{given}"), &[&format!("5::key:{want}")]);
        }
    }

    proptest! {
        #[test]
        fn what_was_written_is_read_back(
            limits in prop::collection::vec((any::<u64>(), 0..37_usize, 0..37_usize, 0..4_usize, prop::option::of("[a-z_.+-]{1,20}")), 1..10),
        ) {
            let scopes = [Scope::Organization, Scope::Project, Scope::Key, Scope::Global];
            let limits: Vec<RateLimit> = limits.into_iter().map(|(retry_after_s, one, other, scope, reason)| RateLimit {
                retry_after_s,
                categories: Categories::of(&[Category::ALL[one], Category::ALL[other]]),
                scope: scopes[scope],
                reason: reason.map(Box::from),
            }).collect();
            let mut text = String::new();
            write(&limits, &mut text);
            prop_assert_eq!(parse(text.as_bytes()).collect::<Vec<_>>(), limits, "{}", text);
        }

        #[test]
        fn no_header_makes_it_panic_and_what_it_reads_can_be_written(
            header in prop_oneof![
                prop::collection::vec(any::<u8>(), 0..60),
                "[0-9.:;, a-z_é]{0,60}".prop_map(String::into_bytes),
            ],
        ) {
            for limit in parse(&header) {
                let text = shown(&limit);
                prop_assert_eq!(parse(text.as_bytes()).collect::<Vec<_>>(), [limit], "{}", text);
            }
        }
    }
}
