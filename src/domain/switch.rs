//! A red switch: what an operator turns on in a running edge, for a while. Owns what
//! a switch says and how its value is written; never knows which ones are on.

use std::fmt;

use super::category::{Categories, Category};
use super::endpoint::ProjectId;
use super::quota::{COUNTED_MAX, Limit, PER_MAX, PER_MIN, Per};
use super::units;

/// What a switch does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Lets nothing through, or a small share.
    Mute,
    /// Lets so much through in so long.
    Limit,
    /// Lets at most a share through, silently.
    Sample,
}

impl Action {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Mute, Self::Limit, Self::Sample];

    /// Its name, as commands, the admin API and metrics have it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mute => "mute",
            Self::Limit => "limit",
            Self::Sample => "sample",
        }
    }

    /// The action of that name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|action| action.name() == name)
    }
}

/// A part of a whole, from none to all, in millionths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Share(u32);

impl Share {
    /// Nothing.
    pub const NONE: Self = Self(0);

    /// Everything.
    pub const ALL: Self = Self(1_000_000);

    /// Reads `0.1` or `10%`, to the millionth. `None`: it is neither, or above all.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let (number, places) = match text.strip_suffix('%') {
            Some(percent) => (percent, 4),
            None => (text, 6),
        };
        let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole) || !digits(part) || part.len() > places {
            return None;
        }
        let millionths = format!("{whole}{part:0<places$}").parse().ok()?;
        Some(Self(millionths)).filter(|share| *share <= Self::ALL)
    }

    /// How much a part is of a whole, to the millionth below; what is more than all is all.
    /// `None`: of nothing.
    #[must_use]
    pub fn of(part: u64, whole: u64) -> Option<Self> {
        let millionths = u128::from(part) * u128::from(Self::ALL.0);
        let millionths = millionths.checked_div(u128::from(whole))?;
        Some(u32::try_from(millionths).map_or(Self::ALL, |share| Self(share).min(Self::ALL)))
    }

    /// What is left of it without another; nothing, where that is more.
    #[must_use]
    pub const fn less(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// So much of an amount.
    #[must_use]
    pub fn part_of(self, whole: u64) -> u64 {
        let part = u128::from(whole) * u128::from(self.0) / u128::from(Self::ALL.0);
        u64::try_from(part).unwrap_or(whole)
    }

    /// As people read it: a percentage to a tenth, cut off.
    #[must_use]
    pub fn short(self) -> String {
        format!("{}.{}%", self.0 / 10_000, self.0 / 1000 % 10)
    }

    /// Whether a draw falls into it; draws are even from 0 to below [`ALL`](Self::ALL).
    #[must_use]
    pub const fn has(self, draw: u32) -> bool {
        draw < self.0
    }

    /// In millionths.
    #[must_use]
    pub const fn millionths(self) -> u32 {
        self.0
    }

    /// From 0 to 1.
    #[must_use]
    pub fn ratio(self) -> f64 {
        f64::from(self.0) / f64::from(Self::ALL.0)
    }
}

/// As a percentage that [`Share::read`] reads.
impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (percents, part) = (self.0 / 10_000, self.0 % 10_000);
        match part {
            0 => write!(f, "{percents}%"),
            _ => write!(
                f,
                "{percents}.{}%",
                format!("{part:04}").trim_end_matches('0')
            ),
        }
    }
}

/// What a switch does, with how much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Lets nothing through.
    Mute {
        /// But for this share of requests: more than none, less than all.
        keep: Option<Share>,
    },
    /// Lets so much through in so long.
    Limit {
        /// How much.
        limit: Limit,
        /// In how long.
        per: Per,
    },
    /// Lets at most a share through, silently.
    Sample {
        /// How large a share; what the configuration keeps less of stays at that.
        rate: Share,
    },
}

/// Why a value does not fit its switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// A limit without one, or with one that is none.
    #[error("no limit: write 100/s, 1000/1h, or for bytes 1GiB/1d")]
    NotALimit,
    /// A limit beyond what can be counted, or for a time that nothing is counted in.
    #[error("out of bounds: write a limit below 2^48 for a time from 100ms to 366d")]
    OutOfBounds,
    /// A time that is neither below a minute nor whole seconds.
    #[error("a part of a second beyond a minute: write whole seconds")]
    BrokenSecond,
    /// A sample without a share, or with something else.
    #[error("no share: write 0.1 or 10%, to the millionth")]
    NotAShare,
    /// A mute that would keep all, or says that it keeps nothing.
    #[error("no share to keep: write 0.01 or 1%, or nothing to keep nothing")]
    KeepsNoPart,
    /// A limit of things on what is counted in bytes.
    #[error("log_byte counts bytes: write a size, such as 1GiB/1d")]
    WantsBytes,
    /// A sample of what must arrive whole.
    #[error(
        "sessions, check-ins (monitor) and client reports are never sampled: their counts would be wrong"
    )]
    NeverSampled,
}

/// What sampling leaves alone: counts of it would be wrong, and its absence an alarm.
pub const NEVER_SAMPLED: Categories =
    Categories::of(&[Category::Session, Category::Monitor, Category::ClientReport]);

impl Effect {
    /// What it does.
    #[must_use]
    pub const fn action(self) -> Action {
        match self {
            Self::Mute { .. } => Action::Mute,
            Self::Limit { .. } => Action::Limit,
            Self::Sample { .. } => Action::Sample,
        }
    }

    /// The effect of an action with a value, on a category or on everything.
    ///
    /// # Errors
    /// What is wrong with the value, and what to write.
    pub fn read(
        action: Action,
        category: Option<Category>,
        value: Option<&str>,
    ) -> Result<Self, ValueError> {
        match (action, value) {
            (Action::Mute, None) => Ok(Self::Mute { keep: None }),
            (Action::Mute, Some(value)) => {
                let keep = Share::read(value).ok_or(ValueError::NotAShare)?;
                match keep == Share::NONE || keep == Share::ALL {
                    true => Err(ValueError::KeepsNoPart),
                    false => Ok(Self::Mute { keep: Some(keep) }),
                }
            }
            (Action::Limit, value) => limit(value.unwrap_or_default(), category),
            (Action::Sample, value) => {
                if category.is_some_and(|category| NEVER_SAMPLED.has(category)) {
                    return Err(ValueError::NeverSampled);
                }
                let rate = Share::read(value.unwrap_or_default());
                let rate = rate.ok_or(ValueError::NotAShare)?;
                Ok(Self::Sample { rate })
            }
        }
    }

    /// The value, as [`read`](Self::read) takes it.
    #[must_use]
    pub fn value(self) -> Option<String> {
        match self {
            Self::Mute { keep } => keep.map(|keep| keep.to_string()),
            Self::Sample { rate } => Some(rate.to_string()),
            Self::Limit { limit, per } => {
                let amount = match limit {
                    Limit::Items(items) => items.to_string(),
                    Limit::Bytes(bytes) => units::show_size_with_unit(bytes),
                };
                Some(format!("{amount}/{per}"))
            }
        }
    }
}

fn limit(text: &str, category: Option<Category>) -> Result<Effect, ValueError> {
    let (amount, time) = text.split_once('/').ok_or(ValueError::NotALimit)?;
    let limit = match amount.bytes().all(|byte| byte.is_ascii_digit()) {
        true => amount.parse().ok().map(Limit::Items),
        false => units::size(amount).map(Limit::Bytes),
    };
    let limit = limit.ok_or(ValueError::NotALimit)?;
    let per = per(time)?;
    if limit.number() > COUNTED_MAX {
        return Err(ValueError::OutOfBounds);
    }
    match (limit, category) {
        (Limit::Items(_), Some(category)) if category.is_bytes() => Err(ValueError::WantsBytes),
        (limit, _) => Ok(Effect::Limit { limit, per }),
    }
}

/// `s` is `1s`, as in a rate.
fn per(text: &str) -> Result<Per, ValueError> {
    let counted = text.starts_with(|first: char| first.is_ascii_digit());
    let text = match counted {
        true => text.to_owned(),
        false => format!("1{text}"),
    };
    if text == "1mo" {
        return Ok(Per::Month);
    }
    let time = units::duration(&text).ok_or(ValueError::NotALimit)?;
    if !(PER_MIN..=PER_MAX).contains(&time) {
        return Err(ValueError::OutOfBounds);
    }
    Per::of(time).ok_or(ValueError::BrokenSecond)
}

/// A switch that is on until it is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Switch {
    /// Whose items it is about.
    pub project: ProjectId,
    /// Which of them; `None`: all.
    pub category: Option<Category>,
    /// What it does.
    pub effect: Effect,
    /// The first second in which it is off again, by the wall clock.
    pub until_unix_s: u64,
}

impl Switch {
    /// Whether it does nothing any more.
    #[must_use]
    pub const fn is_over(&self, unix_s: u64) -> bool {
        self.until_unix_s <= unix_s
    }

    /// Whether another one stands in its place: there is one for each project, category and
    /// action.
    #[must_use]
    pub fn is_in_place_of(&self, other: &Self) -> bool {
        let place = |switch: &Self| {
            (
                switch.project,
                switch.category,
                switch.effect.action().name(),
            )
        };
        place(self) == place(other)
    }
}

/// What it does, in words: `all muted but for 1%`, `error limited to 100/1s`.
impl fmt::Display for Switch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.category.map_or("all", Category::name))?;
        match self.effect {
            Effect::Mute { keep: None } => f.write_str(" muted"),
            Effect::Mute { keep: Some(keep) } => write!(f, " muted but for {keep}"),
            Effect::Limit { .. } => {
                write!(f, " limited to {}", self.effect.value().unwrap_or_default())
            }
            Effect::Sample { rate } => write!(f, " sampled to at most {rate}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[track_caller]
    fn check_share(text: &str, want: Option<u32>, shown: &str) {
        let share = Share::read(text);
        assert_eq!(share.map(Share::millionths), want, "{text}");
        let back = share.map(|share| share.to_string());
        assert_eq!(back.as_deref().unwrap_or_default(), shown, "{text}");
        if let Some(share) = share {
            assert_eq!(Share::read(&share.to_string()), Some(share), "{text}");
        }
    }

    #[test]
    fn a_share_is_a_decimal_or_a_percentage() {
        check_share("0.1", Some(100_000), "10%");
        check_share("10%", Some(100_000), "10%");
        check_share("0.5%", Some(5000), "0.5%");
        check_share("0.000001", Some(1), "0.0001%");
        check_share("0.0001%", Some(1), "0.0001%");
        check_share("1", Some(1_000_000), "100%");
        check_share("1.000000", Some(1_000_000), "100%");
        check_share("0", Some(0), "0%");
        for text in [
            "",
            "%",
            ".5",
            "5.",
            "-0.1",
            "+0.1",
            "1.000001",
            "100.0001%",
            "2",
            "0.0000001",
            "0.00001%",
            "1e-2",
            "10 %",
            "99999999999999999999",
        ] {
            check_share(text, None, "");
        }
    }

    #[test]
    fn a_share_is_a_part_of_a_whole_and_never_more() {
        let share = |part, whole| Share::of(part, whole).map(Share::millionths);
        assert_eq!(share(1, 3), Some(333_333));
        assert_eq!(share(3, 3), Some(1_000_000));
        assert_eq!(share(4, 3), Some(1_000_000));
        assert_eq!(share(u64::MAX, 1), Some(1_000_000));
        assert_eq!(share(0, 0), None);
        let third = Share::of(1, 3).unwrap();
        assert_eq!(third.short(), "33.3%");
        assert_eq!(Share::ALL.short(), "100.0%");
        assert_eq!(Share::ALL.less(third).millionths(), 666_667);
        assert_eq!(third.less(Share::ALL), Share::NONE);
        assert_eq!(third.part_of(3_000_000), 999_999);
        assert_eq!(Share::ALL.part_of(u64::MAX), u64::MAX);
    }

    #[test]
    fn a_share_has_as_many_draws_as_it_is_large() {
        let share = Share::read("1%").unwrap();
        assert!(share.has(0) && share.has(9_999) && !share.has(10_000));
        assert!(!Share::NONE.has(0) && Share::ALL.has(999_999));
    }

    #[track_caller]
    fn check(action: Action, value: Option<&str>, want: Result<&str, ValueError>) {
        let effect = Effect::read(action, None, value);
        let shown = effect.map(|effect| effect.value().unwrap_or_default());
        assert_eq!(shown.as_deref().map_err(|error| *error), want, "{value:?}");
        if let Ok(effect) = effect {
            let again = Effect::read(action, None, effect.value().as_deref());
            assert_eq!(again, Ok(effect), "{value:?}");
        }
    }

    #[test]
    fn a_limit_is_an_amount_for_a_time() {
        check(Action::Limit, Some("100/s"), Ok("100/1s"));
        check(Action::Limit, Some("1000/1h"), Ok("1000/1h"));
        check(Action::Limit, Some("1GiB/1d"), Ok("1GiB/1d"));
        check(Action::Limit, Some("1025B/m"), Ok("1025B/1m"));
        check(Action::Limit, Some("0/s"), Ok("0/1s"));
        check(Action::Limit, Some("5/mo"), Ok("5/1mo"));
        check(Action::Limit, Some("5/100ms"), Ok("5/100ms"));
        let wrong = [
            None,
            Some(""),
            Some("100"),
            Some("/s"),
            Some("100/"),
            Some("x/s"),
            Some("-1/s"),
            Some("100/parsec"),
            Some("10%"),
        ];
        for value in wrong {
            check(Action::Limit, value, Err(ValueError::NotALimit));
        }
        for value in ["281474976710656/s", "1/99ms", "1/367d"] {
            check(Action::Limit, Some(value), Err(ValueError::OutOfBounds));
        }
        check(
            Action::Limit,
            Some("281474976710655/s"),
            Ok("281474976710655/1s"),
        );
        check(
            Action::Limit,
            Some("1/60500ms"),
            Err(ValueError::BrokenSecond),
        );
    }

    #[test]
    fn a_mute_keeps_nothing_or_a_part() {
        check(Action::Mute, None, Ok(""));
        check(Action::Mute, Some("1%"), Ok("1%"));
        check(Action::Mute, Some("0"), Err(ValueError::KeepsNoPart));
        check(Action::Mute, Some("1"), Err(ValueError::KeepsNoPart));
        check(Action::Mute, Some("100/s"), Err(ValueError::NotAShare));
    }

    #[test]
    fn a_sample_is_a_share_and_may_be_none_or_all() {
        check(Action::Sample, Some("0.1"), Ok("10%"));
        check(Action::Sample, Some("0"), Ok("0%"));
        check(Action::Sample, Some("1"), Ok("100%"));
        check(Action::Sample, None, Err(ValueError::NotAShare));
        for category in [Category::Session, Category::Monitor, Category::ClientReport] {
            let read = Effect::read(Action::Sample, Some(category), Some("0.1"));
            assert_eq!(read, Err(ValueError::NeverSampled));
        }
        let read = Effect::read(Action::Sample, Some(Category::Error), Some("0.1"));
        assert!(read.is_ok());
    }

    #[test]
    fn what_counts_bytes_is_limited_in_bytes() {
        let read = |value| Effect::read(Action::Limit, Some(Category::LogByte), Some(value));
        assert_eq!(read("100/s"), Err(ValueError::WantsBytes));
        assert_eq!(
            read("100B/s"),
            Ok(Effect::Limit {
                limit: Limit::Bytes(100),
                per: Per::Rate(Duration::from_secs(1)),
            })
        );
    }

    fn switch(category: Option<Category>, effect: Effect) -> Switch {
        Switch {
            project: ProjectId::parse(b"42").unwrap(),
            category,
            effect,
            until_unix_s: 100,
        }
    }

    #[test]
    fn a_switch_is_over_in_its_last_second_and_not_before() {
        let mute = switch(None, Effect::Mute { keep: None });
        assert!(!mute.is_over(99) && mute.is_over(100));
    }

    #[test]
    fn there_is_one_for_each_category_and_action() {
        let keep = Share::read("1%");
        let mute = switch(None, Effect::Mute { keep: None });
        let other = switch(None, Effect::Mute { keep });
        assert!(mute.is_in_place_of(&other));
        let sample = switch(None, Effect::Sample { rate: Share::NONE });
        assert!(!mute.is_in_place_of(&sample));
        let error = switch(Some(Category::Error), Effect::Mute { keep: None });
        assert!(!mute.is_in_place_of(&error));
        let text: Vec<_> = [mute, other, sample, error].map(|s| s.to_string()).into();
        let want = [
            "all muted",
            "all muted but for 1%",
            "all sampled to at most 0%",
            "error muted",
        ];
        assert_eq!(text, want);
    }
}
