//! The grammar of a `Host` (RFC 9110, section 7.2): a name or an address, and perhaps a
//! port. Never resolves one, and never says whether it is ours.

/// Whether it is what a `Host` may hold: a name of RFC 3986 or an address in brackets, with
/// nothing or a number behind a colon. An empty one is, of a client that asks for nobody in
/// particular. A user in front, a path behind or a blank inside are not: whoever takes them
/// for part of a link leads people elsewhere.
pub fn is_host(value: &[u8]) -> bool {
    let (name, port) = match value.split_first() {
        Some((b'[', inside)) => {
            let Some(end) = inside.iter().position(|&byte| byte == b']') else {
                return false;
            };
            let (address, behind) = inside.split_at(end);
            let written = |byte: &u8| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.');
            if address.is_empty() || !address.iter().all(written) {
                return false;
            }
            match behind {
                b"]" => return true,
                [b']', b':', port @ ..] => return port.iter().all(u8::is_ascii_digit),
                _ => return false,
            }
        }
        // Most hosts have neither a port nor anything else to look for.
        _ => match value.iter().position(|&byte| byte == b':') {
            Some(colon) => value.split_at(colon),
            None => (value, &b""[..]),
        },
    };
    name.iter().all(is_of_a_name) && port.iter().skip(1).all(u8::is_ascii_digit)
}

/// RFC 3986's `reg-name`: unreserved, escapes, and delimiters that delimit nothing here.
fn is_of_a_name(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=".contains(byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(value: &str, want: bool) {
        assert_eq!(is_host(value.as_bytes()), want, "{value}");
    }

    #[test]
    fn names_and_addresses_with_and_without_a_port_are_hosts() {
        for value in [
            "",
            "a",
            "sentry.example.com",
            "sentry_web:9000",
            "127.0.0.1:8443",
            "a:",
            "[2001:db8::1]",
            "[2001:db8::1]:443",
            "[::ffff:1.2.3.4]",
            "xn--bcher-kva.example",
            "a%20b",
            "a,b",
        ] {
            check(value, true);
        }
    }

    #[test]
    fn what_could_be_taken_for_more_than_a_host_is_none() {
        for value in [
            "a b",
            "a, b",
            "a/b",
            "../a",
            "a?b",
            "a#b",
            "u@a",
            "u:p@a",
            "a\\b",
            "a:x",
            "a:80:80",
            "2001:db8::1",
            "[::1",
            "[]",
            "[a/b]",
            "[::1]x",
            "[::1]:x",
            "b\u{fc}cher.example",
            "a\"b",
            "<a>",
        ] {
            check(value, false);
        }
    }
}
