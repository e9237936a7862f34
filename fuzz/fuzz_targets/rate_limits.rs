//! `X-Sentry-Rate-Limits`: no header panics, and what was read is written and read back.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vidette::domain::rate_limits::{RateLimit, parse, write};

fuzz_target!(|input: &[u8]| {
    let read: Vec<RateLimit> = parse(input).collect();
    let mut text = String::new();
    write(&read, &mut text);
    assert!(text.is_ascii(), "no header's value");
    assert_eq!(parse(text.as_bytes()).collect::<Vec<_>>(), read, "{text}");
});
