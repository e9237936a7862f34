//! The envelope's scanner: whole and in any pieces it says the same, and it sees the
//! items that a plain reader sees. The first byte chooses the pieces.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vidette::domain::envelope::scan::{Ended, ItemHeader, ScanError, ScanLimits, Scanner, What};

#[path = "../../src/domain/envelope/scan/reference.rs"]
mod reference;

type Said = (Vec<(ItemHeader, usize)>, Option<ScanError>);

fn scan<'b>(pieces: impl Iterator<Item = &'b [u8]>) -> Said {
    let mut scanner = Scanner::new(ScanLimits { items_max: 50 });
    let mut items: Vec<(ItemHeader, usize)> = Vec::new();
    for piece in pieces {
        let mut rest = piece;
        while !rest.is_empty() {
            let step = match scanner.push(rest) {
                Ok(step) => step,
                Err(error) => return (items, Some(error)),
            };
            assert!(step.read > 0, "no progress");
            rest = &rest[step.read..];
            match step.what {
                What::Header => {}
                What::Item(item) => items.push((item, 0)),
                What::Payload { bytes, .. } => items.last_mut().unwrap().1 += bytes,
            }
        }
    }
    let ended = scanner.finish();
    if let Ok(Ended::Item(item)) = ended {
        items.push((item, 0));
    }
    (items, ended.err())
}

fuzz_target!(|input: &[u8]| {
    let Some((first, body)) = input.split_first() else {
        return;
    };
    let (items, error) = scan(std::iter::once(body));
    let size = usize::from(first % 16) + 1;
    assert_eq!(
        scan(body.chunks(size)),
        (items.clone(), error),
        "in pieces of {size}"
    );
    match (reference::read(body), error) {
        (Ok(plain), None) => {
            let plain: Vec<usize> = plain.into_iter().map(|(_, bytes)| bytes).collect();
            let ours: Vec<usize> = items.into_iter().map(|(_, bytes)| bytes).collect();
            assert_eq!(ours, plain);
        }
        (Err(_), Some(_)) | (_, Some(ScanError::TooManyItems | ScanError::HeaderTooLong)) => {}
        (plain, ours) => panic!("{plain:?}, {ours:?}"),
    }
});
