//! Telling an envelope's items apart, and line one: read, cleaned, moved in time.

use std::hint::black_box;
use std::time::Duration;

use gungraun::{library_benchmark, library_benchmark_group};
use vidette::domain::envelope::cleaned::without_forged;
use vidette::domain::envelope::header;
use vidette::domain::envelope::held::sent_later;
use vidette::domain::envelope::scan::{ScanLimits, Scanner, What};

use crate::event::envelope_of;
use crate::{TIMES, kept};

const LIMITS: ScanLimits = ScanLimits { items_max: 1_000 };

const LINE: &[u8] = br#"{"event_id":"9ec79c33ec9942ab8353589fcb2e04dc","sent_at":"2026-11-20T10:15:30.250Z","sdk":{"name":"sentry.python","version":"2.43.0"},"trace":{"trace_id":"4a106cf6b15144eb9131ae7db1a157a3","public_key":"a94ae32be2584e0bbd7a4cbb95971fee","release":"shop@4.12.0","environment":"production","sampled":"true"}}"#;

const FORGED: &[u8] = br#"{"event_id":"9ec79c33ec9942ab8353589fcb2e04dc","sent_at":"2026-11-20T10:15:30.250Z","forwarded_for":"203.0.113.9","sdk":{"name":"sentry.python","version":"2.43.0"},"remote_addr":"203.0.113.9","retention":90}"#;

/// What follows line one, of an error of so many bytes in all.
fn error(bytes: usize) -> &'static [u8] {
    let envelope = envelope_of(bytes);
    let line = envelope.iter().position(|byte| *byte == b'\n');
    let items = envelope.into_iter().skip(line.map_or(0, |at| at + 1));
    met(items.collect())
}

/// So many items of a hundred bytes, as a batch of sessions or check-ins is.
fn many(items: usize) -> &'static [u8] {
    let payload = "x".repeat(100);
    let item = format!("{{\"type\":\"session\",\"length\":100}}\n{payload}\n");
    met(item.repeat(items).into_bytes())
}

/// Scanned once before it is counted.
fn met(items: Vec<u8>) -> &'static [u8] {
    let items = kept(items);
    assert!(scan(items) > 0, "the envelope of a bench is sound");
    items
}

/// How many items a body has. As the edge does it where a body came in one piece.
fn scan(mut body: &[u8]) -> u32 {
    let mut scanner = Scanner::new(LIMITS);
    while !body.is_empty() {
        let Ok(step) = scanner.push(black_box(body)) else {
            return 0;
        };
        if let What::Item(item) = step.what {
            black_box(item);
        }
        body = body.get(step.read..).unwrap_or_default();
    }
    match scanner.finish() {
        Ok(_) => scanner.items(),
        Err(_) => 0,
    }
}

#[library_benchmark]
#[bench::error_of_1_4_kb_x100(args = (1_400,), setup = error)]
#[bench::error_of_20_kb_x100(args = (20_000,), setup = error)]
#[bench::many_items_500_x100(args = (500,), setup = many)]
fn scanned(items: &'static [u8]) -> u32 {
    (0..TIMES).map(|_| scan(black_box(items))).sum()
}

fn read_once(line: &'static [u8]) -> &'static [u8] {
    black_box(header::parse(line).is_ok());
    black_box(without_forged(line));
    black_box(sent_later(line, Duration::from_secs(60)));
    line
}

#[library_benchmark]
#[bench::line_one_x100(args = (LINE,), setup = read_once)]
fn read(line: &'static [u8]) -> usize {
    let sound = |_: &usize| header::parse(black_box(line)).is_ok_and(|header| !header.forged);
    (0..TIMES).filter(sound).count()
}

#[library_benchmark]
#[bench::line_one_x100(args = (FORGED,), setup = read_once)]
fn cleaned(line: &'static [u8]) -> usize {
    let clean = |_: usize| without_forged(black_box(line)).map_or(0, |line| line.len());
    (0..TIMES).map(clean).sum()
}

#[library_benchmark]
#[bench::line_one_x100(args = (LINE,), setup = read_once)]
fn moved(line: &'static [u8]) -> usize {
    let held = Duration::from_secs(3_600);
    let later = |_: usize| sent_later(black_box(line), held).map_or(0, |line| line.len());
    (0..TIMES).map(later).sum()
}

library_benchmark_group!(
    name = envelopes,
    benchmarks = [scanned, read, cleaned, moved]
);
