//! What a certificate says of itself: the names it is for, and when it holds. Verifies no
//! signature and trusts nobody; times are arguments, since it has no clock.

use rustls::pki_types::CertificateDer;
use webpki::EndEntityCert;

const DAY_S: i64 = 86_400;

/// So many days before its end a certificate is spoken of: a renewal that works comes
/// earlier, at 30 days as ACME clients have it.
pub const ENDING_DAYS: i64 = 14;

/// Of one that lives for weeks or days only, this part of its life comes first: it is renewed
/// when a third is left.
const ENDING_PART: i64 = 4;

/// What a certificate says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Papers {
    /// The DNS names it is for, in lower case and in its own order, wildcards among them.
    pub names: Vec<String>,
    /// The second from which it holds, of Unix time.
    pub not_before_s: i64,
    /// The last second in which it holds.
    pub not_after_s: i64,
}

/// How a certificate stands at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// It holds, and will for a while.
    Good,
    /// It holds, for fewer than [`ENDING_DAYS`] and a quarter of its life.
    Ending,
    /// It does not hold yet.
    Early,
    /// It holds no longer.
    Over,
}

impl Papers {
    /// What a certificate in DER says. `None`: it cannot be read.
    pub(super) fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        let names = EndEntityCert::try_from(certificate).ok()?;
        let names = names.valid_dns_names().map(str::to_ascii_lowercase);
        let (not_before_s, not_after_s) = validity(certificate)?;
        Some(Self {
            names: names.collect(),
            not_before_s,
            not_after_s,
        })
    }

    /// What it is called where one name is enough: the first. `unnamed` is one for addresses.
    #[must_use]
    pub fn name(&self) -> &str {
        self.names.first().map_or("unnamed", String::as_str)
    }

    /// Whole days until its end; below zero once that is past.
    #[must_use]
    pub fn days_left(&self, now_s: i64) -> i64 {
        self.not_after_s.saturating_sub(now_s).div_euclid(DAY_S)
    }

    /// How it stands.
    #[must_use]
    pub fn standing(&self, now_s: i64) -> Standing {
        let life_s = self.not_after_s.saturating_sub(self.not_before_s);
        match now_s {
            now if now > self.not_after_s => Standing::Over,
            now if now < self.not_before_s => Standing::Early,
            now if self.not_after_s.saturating_sub(now) > life_s / ENDING_PART => Standing::Good,
            now if self.days_left(now) < ENDING_DAYS => Standing::Ending,
            _ => Standing::Good,
        }
    }

    /// In words what an operator should know of it; `None` while all is well.
    #[must_use]
    pub fn trouble(&self, now_s: i64) -> Option<String> {
        match self.standing(now_s) {
            Standing::Good => None,
            Standing::Ending => Some(match self.days_left(now_s) {
                0 => "ends today".to_owned(),
                1 => "ends in 1 day".to_owned(),
                days => format!("ends in {days} days"),
            }),
            Standing::Early => Some("does not hold yet".to_owned()),
            Standing::Over => Some("has expired".to_owned()),
        }
    }
}

/// What an authority knows a certificate by: its own key's identifier, and the number that it
/// gave the certificate (RFC 9773, section 4.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Serial {
    /// The identifier of the authority's key.
    pub authority: Vec<u8>,
    /// The number's bytes in DER, a leading zero among them.
    pub number: Vec<u8>,
}

impl Serial {
    /// Of a certificate in DER. `None`: it does not say.
    pub(super) fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        let (number, rest) = behind_serial(certificate)?;
        let (_algorithm, rest) = expect(SEQUENCE, rest)?;
        let (_issuer, rest) = expect(SEQUENCE, rest)?;
        let (_times, rest) = expect(SEQUENCE, rest)?;
        let (_subject, rest) = expect(SEQUENCE, rest)?;
        let (_key, mut rest) = expect(SEQUENCE, rest)?;
        let extensions = loop {
            let (tag, content, behind) = element(rest)?;
            if tag == EXTENSIONS {
                break content;
            }
            rest = behind;
        };
        let (mut extensions, _) = expect(SEQUENCE, extensions)?;
        loop {
            let (extension, behind) = expect(SEQUENCE, extensions)?;
            let (name, value) = expect(OBJECT, extension)?;
            if name == AUTHORITY_KEY {
                let (value, _) = expect(OCTETS, value)?;
                let (value, _) = expect(SEQUENCE, value)?;
                let (authority, _) = expect(KEY_IDENTIFIER, value)?;
                return Some(Self {
                    authority: authority.to_vec(),
                    number: number.to_vec(),
                });
            }
            extensions = behind;
        }
    }
}

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const OBJECT: u8 = 0x06;
const OCTETS: u8 = 0x04;
const EXTENSIONS: u8 = 0xa3;
const KEY_IDENTIFIER: u8 = 0x80;

/// The name of the extension with the authority's key: 2.5.29.35. It is never critical, so
/// that its value follows at once.
const AUTHORITY_KEY: &[u8] = &[0x55, 0x1d, 0x23];
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// The first and the last second in which a certificate holds (RFC 5280, section 4.1).
fn validity(certificate: &[u8]) -> Option<(i64, i64)> {
    let (_serial, rest) = behind_serial(certificate)?;
    let (_algorithm, rest) = expect(SEQUENCE, rest)?;
    let (_issuer, rest) = expect(SEQUENCE, rest)?;
    let (times, _) = expect(SEQUENCE, rest)?;
    let (tag, from, rest) = element(times)?;
    let from = moment(tag, from)?;
    let (tag, until, _) = element(rest)?;
    Some((from, moment(tag, until)?))
}

/// A certificate's number, and what follows it in what is signed.
fn behind_serial(certificate: &[u8]) -> Option<(&[u8], &[u8])> {
    let (certificate, _) = expect(SEQUENCE, certificate)?;
    let (signed, _) = expect(SEQUENCE, certificate)?;
    let rest = match element(signed)? {
        (VERSION, _, rest) => rest,
        _ => signed,
    };
    expect(INTEGER, rest)
}

/// An element that must have this tag, and what follows it.
fn expect(tag: u8, bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (found, content, rest) = element(bytes)?;
    (found == tag).then_some((content, rest))
}

/// The tag and the content of the first element in DER, and what follows it.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    /// Lengths of more bytes are no certificate's.
    const LENGTH_BYTES_MAX: usize = 3;
    let (&tag, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        _ => {
            let of_length = usize::from(first & 0x7f);
            if !(1..=LENGTH_BYTES_MAX).contains(&of_length) {
                return None;
            }
            let (digits, rest) = rest.split_at_checked(of_length)?;
            let length = digits
                .iter()
                .fold(0, |length, digit| (length << 8) | usize::from(*digit));
            (length, rest)
        }
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

/// A time as certificates write it, in seconds of Unix time: `YYMMDDHHMMSSZ`, which means
/// 1950 to 2049, or `YYYYMMDDHHMMSSZ`.
fn moment(tag: u8, text: &[u8]) -> Option<i64> {
    let digits = text.strip_suffix(b"Z")?;
    let (year, rest) = match tag {
        UTC_TIME => {
            let (year, rest) = digits.split_at_checked(2)?;
            let year = number(year)?;
            (if year < 50 { 2000 + year } else { 1900 + year }, rest)
        }
        GENERALIZED_TIME => {
            let (year, rest) = digits.split_at_checked(4)?;
            (number(year)?, rest)
        }
        _ => return None,
    };
    let mut pairs = rest.chunks(2).map(number);
    let mut next = |from: i64, to: i64| {
        let n = pairs.next().flatten()?;
        (from..=to).contains(&n).then_some(n)
    };
    let (month, day) = (next(1, 12)?, next(1, 31)?);
    let (hour, minute, second) = (next(0, 23)?, next(0, 59)?, next(0, 59)?);
    let whole = rest.len() == 10;
    whole.then(|| days(year, month, day) * DAY_S + hour * 3600 + minute * 60 + second)
}

fn number(digits: &[u8]) -> Option<i64> {
    let sound = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    let all = || digits.iter().map(|digit| i64::from(digit - b'0'));
    sound.then(|| all().fold(0, |sum, digit| sum * 10 + digit))
}

/// Days from 1970-01-01, with years that begin in March, so that a leap day is the last.
/// `jiff` ends a day before 9999-12-31, by which certificates without an end are written.
fn days(year: i64, month: i64, day: i64) -> i64 {
    const DAYS_TO_1970: i64 = 719_468;
    let year = if month <= 2 { year - 1 } else { year };
    let from_march = if month <= 2 { month + 9 } else { month - 3 };
    let of_year = (153 * from_march + 2) / 5 + day - 1;
    year * 365 + year / 4 - year / 100 + year / 400 + of_year - DAYS_TO_1970
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(tag: u8, text: &str, want: Option<i64>) {
        assert_eq!(moment(tag, text.as_bytes()), want, "{text}");
    }

    #[test]
    fn times_are_read_in_both_spellings() {
        check(UTC_TIME, "700101000000Z", Some(0));
        check(UTC_TIME, "490101000000Z", Some(2_493_072_000));
        check(UTC_TIME, "500101000000Z", Some(-631_152_000));
        check(UTC_TIME, "240229235959Z", Some(1_709_251_199));
        check(GENERALIZED_TIME, "20240301000000Z", Some(1_709_251_200));
        check(GENERALIZED_TIME, "20500101000000Z", Some(2_524_608_000));
        check(GENERALIZED_TIME, "99991231235959Z", Some(253_402_300_799));
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in [
            "",
            "Z",
            "700101000000",
            "7001010000Z",
            "701301000000Z",
            "70010100000aZ",
        ] {
            check(UTC_TIME, text, None);
        }
        check(GENERALIZED_TIME, "700101000000Z", None);
        check(GENERALIZED_TIME, "2024030100000000Z", None);
        check(INTEGER, "700101000000Z", None);
    }

    fn papers(not_after_s: i64) -> Papers {
        Papers {
            names: Vec::new(),
            not_before_s: 1_000 - 90 * DAY_S,
            not_after_s,
        }
    }

    #[test]
    fn a_certificate_is_spoken_of_before_its_end_and_after_it() {
        let check = |days: i64, want: Standing, trouble: Option<&str>| {
            let papers = papers(2_000 + days * DAY_S);
            assert_eq!(papers.standing(2_000), want, "{days}");
            assert_eq!(papers.trouble(2_000).as_deref(), trouble, "{days}");
            assert_eq!(papers.days_left(2_000), days);
        };
        check(90, Standing::Good, None);
        check(14, Standing::Good, None);
        check(13, Standing::Ending, Some("ends in 13 days"));
        check(1, Standing::Ending, Some("ends in 1 day"));
        check(0, Standing::Ending, Some("ends today"));
        check(-1, Standing::Over, Some("has expired"));
        let early = papers(DAY_S);
        assert_eq!(early.standing(early.not_before_s - 1), Standing::Early);
        assert_eq!(papers(DAY_S).name(), "unnamed");
    }

    #[test]
    fn one_that_lives_for_days_is_spoken_of_in_its_last_quarter() {
        let papers = Papers {
            names: Vec::new(),
            not_before_s: 0,
            not_after_s: 6 * DAY_S,
        };
        assert_eq!(papers.standing(4 * DAY_S), Standing::Good);
        assert_eq!(papers.standing(4 * DAY_S + DAY_S / 2), Standing::Ending);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), tag: u8) {
            prop_assert!(validity(&bytes).is_none() || bytes.len() > 20);
            moment(tag, &bytes);
            Serial::of(&bytes.into());
        }
    }
}
