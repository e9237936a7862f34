//! What people write into a quota where another word is meant: Sentry's words for the
//! same thing, units in full, a rate where two keys stand. Owns the guesses; never
//! accepts one, and never repeats what was written.

use super::number::whole;
use crate::domain::category::Category;
use crate::domain::envelope::item::ItemKind;
use crate::domain::units;

/// Words for what a category counts that are no item's type, and too far from its name
/// for a slip of the fingers.
const CATEGORIES: [(&str, Category); 14] = [
    ("default", Category::Error),
    ("exception", Category::Error),
    ("crash", Category::Error),
    ("minidump", Category::Error),
    ("cron", Category::Monitor),
    ("checkin", Category::Monitor),
    ("monitor_seat", Category::Monitor),
    ("csp", Category::Security),
    ("metric", Category::MetricBucket),
    ("transaction_processed", Category::Transaction),
    ("profile_duration", Category::ProfileChunk),
    ("profile_backend", Category::ProfileChunk),
    ("profile_duration_ui", Category::ProfileChunkUi),
    ("profile_ui", Category::ProfileChunkUi),
];

/// Units as people write them, what they are here, and how many of that.
const UNITS: [(&[&str], &str, u64); 7] = [
    (&["ms", "msec", "millisecond"], "ms", 1),
    (&["s", "sec", "second"], "s", 1),
    (&["m", "min", "minute"], "m", 1),
    (&["h", "hr", "hour"], "h", 1),
    (&["d", "day"], "d", 1),
    (&["w", "wk", "week"], "d", 7),
    (&["y", "yr", "year"], "d", 365),
];

/// The category that a word stands for elsewhere: an item's type, or one of the list.
pub(super) fn category(written: &str) -> Option<Category> {
    let word = written.to_ascii_lowercase().replace('-', "_");
    singulars(&word).find_map(|word| {
        let listed = CATEGORIES.iter().find(|(known, _)| *known == word);
        let of_type = || Some(ItemKind::of(word, None, None)?.category());
        let meant = listed.map(|(_, category)| *category).or_else(of_type);
        meant.filter(|category| category.is_sentrys())
    })
}

/// The time that is meant, as it has to be written.
pub(super) fn duration(written: &str) -> Option<String> {
    let digits = written.bytes().take_while(u8::is_ascii_digit).count();
    let (count, unit) = written.split_at_checked(digits)?;
    let unit = unit.trim_start();
    // Minutes or months: nobody can tell.
    if unit == "M" {
        return None;
    }
    let unit = unit.to_ascii_lowercase();
    let count = match count {
        "" => 1,
        count => count.parse::<u64>().ok()?,
    };
    singulars(&unit).find_map(|word| {
        if ["mo", "mon", "month"].contains(&word) {
            return (count == 1).then(|| "1mo".to_owned());
        }
        let known = UNITS.iter().find(|(words, ..)| words.contains(&word));
        let (_, unit, times) = known?;
        Some(format!("{}{unit}", count.checked_mul(*times)?))
    })
}

/// The limit and the time of a rate that was written as one.
pub(super) fn rate(written: &str) -> Option<(String, String)> {
    let (amount, time) = written
        .split_once('/')
        .or_else(|| written.split_once(" per "))?;
    let amount = amount.trim_end();
    let amount = match whole(amount) {
        Some(items) => items.to_string(),
        None => units::show_size_with_unit(units::size(amount)?),
    };
    Some((amount, duration(time.trim_start())?))
}

/// A word, and what it is without an s.
fn singulars(word: &str) -> impl Iterator<Item = &str> {
    std::iter::once(word).chain(word.strip_suffix('s'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_category(written: &str, want: Option<Category>) {
        assert_eq!(category(written), want, "{written}");
    }

    #[test]
    fn an_items_type_and_sentrys_other_words_name_a_category() {
        check_category("log", Some(Category::LogItem));
        check_category("logs", Some(Category::LogItem));
        check_category("check_in", Some(Category::Monitor));
        check_category("check-ins", Some(Category::Monitor));
        check_category("crons", Some(Category::Monitor));
        check_category("sessions", Some(Category::Session));
        check_category("events", Some(Category::Error));
        check_category("Transactions", Some(Category::Transaction));
        check_category("default", Some(Category::Error));
        check_category("replay_video", Some(Category::Replay));
        check_category("user_report", Some(Category::Feedback));
    }

    #[test]
    fn other_words_name_none() {
        for written in ["", "s", "uptime", "client_report", "nel", "integration"] {
            check_category(written, None);
        }
    }

    #[track_caller]
    fn check_duration(written: &str, want: Option<&str>) {
        assert_eq!(duration(written).as_deref(), want, "{written}");
    }

    #[test]
    fn weeks_and_whole_words_are_told_in_units() {
        check_duration("1w", Some("7d"));
        check_duration("2 weeks", Some("14d"));
        check_duration("1y", Some("365d"));
        check_duration("hour", Some("1h"));
        check_duration("30 Minutes", Some("30m"));
        check_duration("15secs", Some("15s"));
        check_duration("month", Some("1mo"));
        check_duration("1 MO", Some("1mo"));
        for text in ["", "1M", "2mo", "1h30m", "1.5h", "99999999999999999999w"] {
            check_duration(text, None);
        }
    }

    #[track_caller]
    fn check_rate(written: &str, want: Option<(&str, &str)>) {
        let told = rate(written);
        let told = told.as_ref().map(|(limit, per)| (&**limit, &**per));
        assert_eq!(told, want, "{written}");
    }

    #[test]
    fn a_rate_is_told_as_a_limit_and_a_time() {
        check_rate("10/s", Some(("10", "1s")));
        check_rate("10 / min", Some(("10", "1m")));
        check_rate("100 per hour", Some(("100", "1h")));
        check_rate("1GiB/d", Some(("1GiB", "1d")));
        check_rate("5/10s", Some(("5", "10s")));
        for text in ["10", "/s", "10/", "10/parsec", "x/s"] {
            check_rate(text, None);
        }
    }
}
