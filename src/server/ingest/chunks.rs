//! A list of chunks that is a body, or a piece of one: kept as they came, unless they
//! are many and small. Never copies a large one.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

/// The bytes in a list of chunks.
pub(crate) fn total_bytes(chunks: &VecDeque<Bytes>) -> u64 {
    chunks
        .iter()
        .map(|chunk| u64::try_from(chunk.len()).unwrap_or(u64::MAX))
        .sum()
}

/// All of it in one piece, copied only where it lies in several.
pub(crate) fn joined(chunks: &VecDeque<Bytes>) -> Bytes {
    match (chunks.front(), chunks.len()) {
        (Some(only), 1) => only.clone(),
        (_, _) => chunks.iter().flatten().copied().collect(),
    }
}

/// How many chunks of a body are kept as they came, and how large later ones are
/// made by joining. A chunk costs a handle of 32 bytes: what is sent byte by byte
/// would take as many times its length, and as many steps each time it is added up.
const SHARED_CHUNKS: usize = 16;
const JOINED_BYTES_MAX: usize = 16 * 1024;

/// Keeps a chunk; where many have come before, small ones are copied together.
pub(crate) fn gather(chunks: &mut VecDeque<Bytes>, chunk: Bytes) {
    let many = chunks.len() >= SHARED_CHUNKS;
    match chunks.back_mut() {
        Some(last) if many && last.len() + chunk.len() <= JOINED_BYTES_MAX => {
            // Copies once: what is joined is nobody else's, and grows in place.
            let mut joined = BytesMut::from(std::mem::take(last));
            joined.extend_from_slice(&chunk);
            *last = joined.freeze();
        }
        Some(_) | None => chunks.push_back(chunk),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_sent_byte_by_byte_takes_few_handles_and_stays_the_same() {
        let body: Vec<u8> = (0..=255).cycle().take(256 * 1024).collect();
        let mut chunks = VecDeque::new();
        for byte in &body {
            gather(&mut chunks, Bytes::copy_from_slice(&[*byte]));
        }
        assert!(chunks.len() <= 64, "{} chunks", chunks.len());
        assert_eq!(chunks.iter().flatten().copied().collect::<Vec<_>>(), body);
    }

    #[test]
    fn a_body_in_few_chunks_is_shared_not_copied() {
        let whole = Bytes::from(vec![b'x'; 64 * 1024]);
        let mut chunks = VecDeque::new();
        let parts: Vec<Bytes> = (0..4)
            .map(|at| whole.slice(at * 10..at * 10 + 10))
            .collect();
        for part in &parts {
            gather(&mut chunks, part.clone());
        }
        let kept = chunks.iter().map(|chunk| chunk.as_ptr());
        assert!(kept.eq(parts.iter().map(|part| part.as_ptr())));
    }
}
