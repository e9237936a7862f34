//! What a message says of caches: the directives of `Cache-Control` that bind a shared one
//! (RFC 9111, section 5.2, and RFC 5861). Never decides whether an answer is kept.

/// The directives of all lines together; one that is not there binds nobody.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct CacheControl {
    /// Nothing of it may be kept.
    pub no_store: bool,
    /// It is asked for anew each time.
    pub no_cache: bool,
    /// It is for one person.
    pub private: bool,
    /// Once stale it is never served unasked (`must-revalidate`, `proxy-revalidate`).
    pub must_revalidate: bool,
    /// Seconds for which it is fresh.
    pub max_age_s: Option<u64>,
    /// The same for shared caches, which goes first.
    pub s_maxage_s: Option<u64>,
    /// Seconds beyond for which it stands in for a failure.
    pub stale_if_error_s: Option<u64>,
    /// Seconds beyond for which it is served while it is asked for anew.
    pub stale_while_revalidate_s: Option<u64>,
}

impl CacheControl {
    /// Reads the values of all `Cache-Control` lines. What cannot be read binds as strictly as
    /// it can: a number that is none counts as 0 (RFC 9111, section 4.2.1), and of two the
    /// smaller.
    pub fn read<'v>(lines: impl Iterator<Item = &'v [u8]>) -> Self {
        let mut all = Self::default();
        for line in lines {
            for directive in Directives(line) {
                all.take(directive);
            }
        }
        all
    }

    /// Seconds for which a shared cache serves it unasked.
    #[must_use]
    pub fn fresh_for_s(&self) -> u64 {
        match self.no_cache {
            true => 0,
            false => self.s_maxage_s.or(self.max_age_s).unwrap_or(0),
        }
    }

    fn take(&mut self, directive: &[u8]) {
        let (name, value) = match directive.iter().position(|&byte| byte == b'=') {
            Some(at) => {
                let (name, value) = directive.split_at(at);
                (name, value.get(1..))
            }
            None => (directive, None),
        };
        let is = |word: &str| name.trim_ascii().eq_ignore_ascii_case(word.as_bytes());
        let least = |old: Option<u64>| {
            let new = value.and_then(seconds).unwrap_or(0);
            Some(old.map_or(new, |old| old.min(new)))
        };
        // `no-cache="set-cookie"` and the like are about some headers; all of it is safer.
        self.no_store |= is("no-store");
        self.no_cache |= is("no-cache");
        self.private |= is("private");
        self.must_revalidate |= is("must-revalidate") || is("proxy-revalidate");
        if is("max-age") {
            self.max_age_s = least(self.max_age_s);
        } else if is("s-maxage") {
            self.s_maxage_s = least(self.s_maxage_s);
        } else if is("stale-if-error") {
            self.stale_if_error_s = least(self.stale_if_error_s);
        } else if is("stale-while-revalidate") {
            self.stale_while_revalidate_s = least(self.stale_while_revalidate_s);
        }
    }
}

/// Digits, in quotes or without; more than fits is very long.
fn seconds(value: &[u8]) -> Option<u64> {
    let value = value.trim_ascii();
    let bare = value
        .strip_prefix(b"\"")
        .and_then(|value| value.strip_suffix(b"\""))
        .unwrap_or(value);
    if bare.is_empty() || !bare.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digits = str::from_utf8(bare).ok()?;
    Some(digits.parse().unwrap_or(u64::MAX))
}

/// The directives of one line: at its commas, but for those in quotes.
struct Directives<'v>(&'v [u8]);

impl<'v> Iterator for Directives<'v> {
    type Item = &'v [u8];

    fn next(&mut self) -> Option<&'v [u8]> {
        if self.0.is_empty() {
            return None;
        }
        let (mut quoted, mut escaped) = (false, false);
        let end = self.0.iter().position(|&byte| {
            let ends = byte == b',' && !quoted;
            quoted ^= byte == b'"' && !escaped;
            escaped = byte == b'\\' && quoted && !escaped;
            ends
        });
        let (directive, rest) = self.0.split_at(end.unwrap_or(self.0.len()));
        self.0 = rest.get(1..).unwrap_or_default();
        Some(directive)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(lines: &[&str], want: CacheControl) {
        let read = CacheControl::read(lines.iter().map(|line| line.as_bytes()));
        assert_eq!(read, want, "{lines:?}");
    }

    /// What Sentry says of its loader.
    #[test]
    fn the_loaders_own_line_is_read() {
        let line = "public, max-age=3600, s-maxage=60, stale-while-revalidate=315360000, \
                    stale-if-error=315360000";
        let want = CacheControl {
            max_age_s: Some(3600),
            s_maxage_s: Some(60),
            stale_while_revalidate_s: Some(315_360_000),
            stale_if_error_s: Some(315_360_000),
            ..CacheControl::default()
        };
        check(&[line], want);
        assert_eq!(want.fresh_for_s(), 60, "shared caches have their own");
    }

    #[test]
    fn every_line_and_every_case_counts() {
        let want = CacheControl {
            no_store: true,
            private: true,
            must_revalidate: true,
            max_age_s: Some(5),
            ..CacheControl::default()
        };
        check(
            &["No-Store", "PRIVATE ,Max-Age = 5", "must-revalidate"],
            want,
        );
        check(
            &["no-store,private=\"a, max-age=1\",proxy-revalidate,max-age=\"5\""],
            want,
        );
    }

    #[test]
    fn what_cannot_be_read_binds_as_strictly_as_it_can() {
        let zero = CacheControl {
            max_age_s: Some(0),
            ..CacheControl::default()
        };
        for line in [
            "max-age",
            "max-age=",
            "max-age=-1",
            "max-age=1.5",
            "max-age=x",
        ] {
            check(&[line], zero);
        }
        check(&["max-age=9, max-age=0"], zero);
        check(&["max-age=0", "max-age=9"], zero);
        check(
            &["", ",,", "public", "x-max-age=9"],
            CacheControl::default(),
        );
        let long = CacheControl::read([&b"max-age=99999999999999999999"[..]].into_iter());
        assert_eq!(long.fresh_for_s(), u64::MAX);
        let asked = CacheControl::read([&b"no-cache, max-age=9"[..]].into_iter());
        assert_eq!(asked.fresh_for_s(), 0);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(line in prop::collection::vec(any::<u8>(), 0..60)) {
            let _read = CacheControl::read([line.as_slice()].into_iter());
        }
    }
}
