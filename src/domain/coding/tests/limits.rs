//! What a body may unpack to, on both sides of every limit.

use super::*;

/// A zstd frame of blocks that each repeat one byte 128 KiB long: 6 bytes before the blocks, 4 a
/// block.
fn runs(blocks: usize) -> Vec<u8> {
    // Magic number, no flags, a window of 128 KiB (2^(10 + 7)).
    let mut frame = b"\x28\xb5\x2f\xfd\x00\x38".to_vec();
    for left in (0..blocks).rev() {
        let header: u32 = (128 << 10) << 3 | 1 << 1 | u32::from(left == 0);
        frame.extend_from_slice(&header.to_le_bytes()[..3]);
        frame.push(b'0');
    }
    frame
}

/// What comes out is counted at each slice, and the slice that is over a limit is not given.
#[track_caller]
fn check_limits(
    coding: Coding,
    packed: &[u8],
    limits: DecodeLimits,
    want: Result<usize, DecodeError>,
) {
    for (chunk_bytes, slice_bytes) in [
        (usize::MAX, SLICE_BYTES),
        (1, SLICE_BYTES),
        (5, SLICE_BYTES / 2),
    ] {
        let got = unpack(coding, limits, packed, chunk_bytes, slice_bytes);
        assert_eq!(
            got.as_ref().map(Vec::len).map_err(|(error, _)| *error),
            want,
            "{coding:?} in chunks of {chunk_bytes}, slices of {slice_bytes}"
        );
        if let Err((_, made)) = got {
            let most = limits.decoded_bytes.max(RATIO_FLOOR_BYTES);
            assert!(u64::try_from(made).expect("64 bits") <= most);
        }
    }
}

#[test]
fn a_bomb_stops_at_the_floor_of_the_ratio() {
    let limits = DecodeLimits {
        decoded_bytes: 400 << 20,
        ratio: 200,
    };
    for coding in PACKED {
        let packed = zeros(coding);
        check_limits(coding, &packed, limits, Err(DecodeError::Bomb));
        let limits = DecodeLimits {
            decoded_bytes: u64::MAX,
            ratio: u64::MAX,
        };
        check_limits(coding, &packed, limits, Ok(ZEROS));
    }
}

#[test]
fn a_bomb_stops_at_the_cap_when_its_ratio_may_be_any() {
    let limits = DecodeLimits {
        decoded_bytes: 3 << 20,
        ratio: u64::MAX,
    };
    for coding in PACKED {
        let packed = zeros(coding);
        check_limits(coding, &packed, limits, Err(DecodeError::TooLarge));
    }
}

#[test]
fn the_cap_itself_still_passes() {
    let length = u64::try_from(ENVELOPE.len()).expect("64 bits");
    let limits = |decoded_bytes| DecodeLimits {
        decoded_bytes,
        ratio: 200,
    };
    for coding in [Coding::Identity].into_iter().chain(PACKED) {
        let packed = pack(coding, ENVELOPE);
        check_limits(coding, &packed, limits(length), Ok(ENVELOPE.len()));
        let short = limits(length - 1);
        check_limits(coding, &packed, short, Err(DecodeError::TooLarge));
    }
}

#[test]
fn small_bodies_may_have_any_ratio() {
    let limits = DecodeLimits {
        decoded_bytes: 400 << 20,
        ratio: 1,
    };
    check_limits(Coding::Zstd, &runs(8), limits, Ok(1 << 20));
    check_limits(Coding::Zstd, &runs(9), limits, Err(DecodeError::Bomb));
}

#[test]
fn the_ratio_itself_still_passes() {
    // 9 blocks are 42 bytes and unpack to 1_179_648: 28_086.9 for one.
    let limits = |ratio| DecodeLimits {
        decoded_bytes: 400 << 20,
        ratio,
    };
    check_limits(Coding::Zstd, &runs(9), limits(28_087), Ok(1_179_648));
    check_limits(
        Coding::Zstd,
        &runs(9),
        limits(28_086),
        Err(DecodeError::Bomb),
    );
    let noise: Vec<u8> = (0..3_u32 << 18)
        .flat_map(|n| n.wrapping_mul(0x9e37_79b9).to_be_bytes())
        .collect();
    check_limits(Coding::Identity, &noise, limits(1), Ok(noise.len()));
}

#[test]
fn a_stream_may_not_ask_for_more_memory_than_http_gives_it() {
    let frame = |window| [b"\x28\xb5\x2f\xfd\0", &[window][..], b"\x09\0\0x"].concat();
    // 2^(10 + 13) bytes, an eighth more, and 2^(10 + 31).
    check(Coding::Zstd, &frame(13 << 3), Ok(b"x"));
    check(Coding::Zstd, &frame(13 << 3 | 1), Err(DecodeError::Broken));
    check(Coding::Zstd, &frame(31 << 3), Err(DecodeError::Broken));
    // Brotli's large windows (here 2^30) are not in its RFC.
    check(Coding::Brotli, b"\x11\x1e\x03", Err(DecodeError::Broken));
}

#[test]
fn the_number_of_parts_has_a_limit() {
    for coding in [Coding::Gzip, Coding::Zstd] {
        let most = pack(coding, b"x").repeat(1024);
        check(coding, &most, Ok(&[b'x'; 1024]));
        let more = [most, pack(coding, b"x")].concat();
        check(coding, &more, Err(DecodeError::Broken));
    }
}

#[test]
fn one_push_is_a_bounded_piece_of_work() {
    // Empty blocks of deflate make no output at all.
    let mut blocks = b"\x78\x9c".to_vec();
    blocks.extend(b"\x00\x00\x00\xff\xff".repeat(100_000));
    let mut decoder = Decoder::new(Coding::Deflate, ROOMY);
    let progress = decoder.push(&blocks, &mut [0; 10]).expect("a sound stream");
    assert_eq!((progress.read, progress.written), (16 * 1024, 0));
    assert!(progress.more, "most of the input is left");
}
