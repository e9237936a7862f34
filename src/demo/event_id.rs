//! Owns the form of an event's id: 32 hex digits without dashes. Never knows
//! whether such an event exists, and draws no random number of its own.

/// Reads an id as clients write it, 32 digits or 36 with dashes, in either
/// case. `None` when it is neither.
pub(super) fn parse(text: &str) -> Option<String> {
    let digits: String = text.chars().filter(|c| *c != '-').collect();
    let dashed = text
        .char_indices()
        .filter(|(_, c)| *c == '-')
        .map(|(at, _)| at);
    let sound = match text.len() {
        32 => true,
        36 => dashed.eq([8, 13, 18, 23]),
        _ => false,
    };
    let hex = digits.len() == 32 && digits.chars().all(|c| c.is_ascii_hexdigit());
    (sound && hex).then(|| digits.to_ascii_lowercase())
}

/// An id made from random bits: version 4 of RFC 9562, as the SDKs make them.
pub(super) fn from_bits(random: u128) -> String {
    const VERSION: u128 = 0xf << 76;
    const VARIANT: u128 = 0x3 << 62;
    let id = random & !VERSION & !VARIANT | 0x4 << 76 | 0x2 << 62;
    format!("{id:032x}")
}

/// The id with dashes, the form in which crash uploads are answered.
pub(super) fn dashed(id: &str) -> String {
    let mut out = String::with_capacity(36);
    for (at, digit) in id.chars().enumerate() {
        if matches!(at, 8 | 12 | 16 | 20) {
            out.push('-');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, want: Option<&str>) {
        assert_eq!(parse(text).as_deref(), want, "{text:?}");
    }

    #[test]
    fn both_forms_are_read_and_anything_else_is_refused() {
        let id = "a94ae32be2584e0bbd7a4cbb95971fee";
        check(id, Some(id));
        check("A94AE32BE2584E0BBD7A4CBB95971FEE", Some(id));
        check("a94ae32b-e258-4e0b-bd7a-4cbb95971fee", Some(id));
        check("", None);
        check("a94ae32be2584e0bbd7a4cbb95971fe", None);
        check("a94ae32be2584e0bbd7a4cbb95971fee0", None);
        check("a94ae32b-e2584e0b-bd7a-4cbb-95971fee", None);
        check("a94ae32be2584e0bbd7a4cbb95971fe-", None);
        check("g94ae32be2584e0bbd7a4cbb95971fee", None);
        check("\u{e9}94ae32be2584e0bbd7a4cbb95971fe", None);
    }

    #[test]
    fn made_ids_are_of_version_4_and_are_read_back() {
        assert_eq!(from_bits(0), "00000000000040008000000000000000");
        assert_eq!(from_bits(u128::MAX), "ffffffffffff4fffbfffffffffffffff");
        check(&dashed(&from_bits(7)), Some(&from_bits(7)));
    }
}
